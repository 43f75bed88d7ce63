//! From the headers of a request to a reader.

use afterimage_access::{Access, AccessLog, Reader, Refusal};
use async_trait::async_trait;
use axum::http::{HeaderMap, header};

use super::audit::{self, Noted};
use crate::{Anonymous, Asked, Gate, Problem, ProblemKind};

/// Who is let in.
#[derive(Debug)]
pub enum Who {
    /// Whoever is known by credentials.
    Known(Box<Access>),
    /// Anybody, as far as that goes.
    Anybody(Anonymous),
}

/// The gate of `afterimage serve`: knows readers, and records what each asked, anonymous ones too.
#[derive(Debug)]
pub struct Guard {
    who: Who,
    log: AccessLog,
}

impl Guard {
    /// Lets these in, and writes into this log.
    #[must_use]
    pub const fn new(who: Who, log: AccessLog) -> Self {
        Self { who, log }
    }
}

#[async_trait]
impl Gate for Guard {
    async fn admit(&self, headers: &HeaderMap) -> Result<Reader, Problem> {
        let access = match &self.who {
            Who::Known(access) => access,
            Who::Anybody(anonymous) => return anonymous.admit(headers).await,
        };
        let mut sent = headers.get_all(header::AUTHORIZATION).iter().map(|value| value.as_bytes());
        let credentials = match (sent.next(), sent.next()) {
            // Which of two would hold is anybody's guess.
            (Some(_), Some(_)) => Some(&b""[..]),
            (one, _) => one,
        };
        access.reader(credentials).await.map_err(problem)
    }

    async fn note(&self, reader: &Reader, asked: &Asked<'_>) -> Result<Noted, Problem> {
        audit::record(&self.log, reader, asked).await
    }
}

/// What the caller is told: no more than that nobody is known by what was sent, so that nobody learns which tokens there
/// are, or were.
fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Missing => {
            Problem::new(ProblemKind::Unauthorized, "send a token: Authorization: Bearer, and what you were given")
        }
        Refusal::NoGrants => Problem::new(
            ProblemKind::Forbidden,
            "you are known, and nothing is granted to you: ask for a role, or to be put into a group that has one",
        ),
        Refusal::KeysUnavailable => Problem::new(
            ProblemKind::Unavailable,
            "the issuer of your token cannot be reached, so it cannot be checked; try again",
        ),
        _ => Problem::invalid_token("nobody is known by this token: it may have ended, or be another's"),
    }
}
