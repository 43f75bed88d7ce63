use std::fmt;
use std::str::FromStr;

use afterimage_store::Grants;

/// Somebody who may ask: made by [`crate::Access`] from good credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// What shows who they are.
    pub credential: Credential,
    /// Their id: the name of a token, the subject (`sub`) of a JWT. Never a secret.
    pub id: String,
    /// A name for people, where there is another one.
    pub name: Option<String>,
    /// Their address, where the issuer says it.
    pub email: Option<String>,
    /// What they may do.
    pub role: Role,
    /// What they may see: the questions are put to a trail that obeys this.
    pub grants: Grants,
}

/// How a reader is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// By a token of the access file.
    Token,
    /// By a JWT of the issuer.
    Oidc,
    /// Not at all: a server that was told to answer anybody.
    Anonymous,
}

impl Credential {
    /// Its name: the actor's `type` in access entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Oidc => "oidc",
            Self::Anonymous => "anonymous",
        }
    }
}

impl Reader {
    /// Whoever reaches a server that asks for no credentials: may see everything, access entries too.
    #[must_use]
    pub fn anonymous() -> Self {
        let id = Credential::Anonymous.as_str().to_owned();
        let (name, email) = (None, None);
        Self { credential: Credential::Anonymous, id, name, email, role: Role::Auditor, grants: Grants::everything() }
    }
}

/// What a reader may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ask about what is granted.
    Reader,
    /// Ask about everything of their tenants, and about who asked what.
    Auditor,
}

impl Role {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a role: reader or auditor")]
pub struct ParseRoleError;

impl FromStr for Role {
    type Err = ParseRoleError;

    fn from_str(text: &str) -> Result<Self, ParseRoleError> {
        [Self::Reader, Self::Auditor].into_iter().find(|role| role.as_str() == text).ok_or(ParseRoleError)
    }
}
