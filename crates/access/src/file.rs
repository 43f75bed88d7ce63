//! The access file: who may ask by token, and what groups of an issuer may see.

use std::collections::HashSet;

use afterimage_event::Timestamp;
use serde::Deserialize;

use crate::grant::{GrantError, GrantText, Granted};
use crate::question::cut;
use crate::{Credential, ParseRoleError, Reader, Refusal, Token, TokenHash, TokenHashError};

/// Biggest access file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most tokens: each request is compared with all of them. People come by an issuer, programs are few.
pub const TOKENS_MAX: usize = 1_000;
/// Most groups.
pub const GROUPS_MAX: usize = 1_000;
/// Most grants of one token, group or JWT, tenants counted: each row that is read is held against them.
pub const GRANTS_MAX: usize = 1_000;
/// Longest name of a token or group, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest text of a file that is repeated in an error, in bytes.
const SHOWN_BYTES_MAX: usize = 256;
/// So many hexadecimal digits in a row may be of a token or a hash.
const SECRET_DIGITS: usize = 16;

/// Who may ask, as a file says it.
///
/// ```
/// let file = afterimage_access::AccessFile::parse(
///     r#"
///     [[token]]
///     name = "support"
///     hash = "blake3:1d0ef51e5f3a1ae4ea2cf2cfdcbd3fb4a4ba6e4e2bd0c3d05d9a4c9e6f0e0a11"
///     role = "reader"
///     expires = 2027-01-01T00:00:00Z
///     grants = [{ table = "orders" }, { source = "billing" }, { table = "users", record_id = ["u1"] }]
///
///     [[group]]
///     name = "compliance"
///     role = "auditor"
///     tenants = ["*"]
///     "#,
/// )?;
/// assert_eq!(file.tokens(), 1);
/// # Ok::<(), afterimage_access::FileError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessFile {
    tokens: Vec<Known>,
    groups: Vec<(String, Granted)>,
}

#[derive(Clone, Debug)]
struct Known {
    name: String,
    hash: TokenHash,
    expires: Option<Timestamp>,
    granted: Granted,
}

/// An access file that cannot be used. Names lines and entries, never a token or a hash, wherever in the file it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not TOML, or has what an access file has not.
    #[error("line {line}: {problem}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// An entry of it makes no sense.
    #[error("{kind} {name:?}: {problem}")]
    Entry {
        /// `token` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// There is too much in it.
    #[error("at most {limit} {of} are read")]
    TooMany {
        /// The limit.
        limit: usize,
        /// Of what.
        of: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    token: Vec<TokenText>,
    #[serde(default)]
    group: Vec<GroupText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenText {
    name: String,
    hash: String,
    role: String,
    expires: Option<toml::value::Datetime>,
    tenants: Option<Vec<String>>,
    grants: Option<Vec<GrantText>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupText {
    name: String,
    role: String,
    tenants: Option<Vec<String>>,
    grants: Option<Vec<GrantText>>,
}

impl AccessFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first thing that is wrong. A file is taken as a whole or not at all.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(FileError::TooMany { limit: FILE_BYTES_MAX, of: "bytes" });
        }
        let Text { token, group } = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
            FileError::Text { line, problem: shown(error.message()) }
        })?;
        if token.len() > TOKENS_MAX {
            return Err(FileError::TooMany { limit: TOKENS_MAX, of: "tokens" });
        }
        if group.len() > GROUPS_MAX {
            return Err(FileError::TooMany { limit: GROUPS_MAX, of: "groups" });
        }
        let mut names = HashSet::new();
        let mut tokens: Vec<Known> = Vec::with_capacity(token.len());
        for token in token {
            let name = token.name.clone();
            let fail = |problem: String| FileError::Entry { kind: "token", name: shown(&name), problem };
            let known = token.read().map_err(|error| fail(error.to_string()))?;
            if !names.insert(name.clone()) {
                return Err(fail("the name is given twice: access entries name the token by it".to_owned()));
            }
            if let Some(twin) = tokens.iter().find(|other| other.hash == known.hash) {
                return Err(fail(format!("has the hash of {:?}", shown(&twin.name))));
            }
            tokens.push(known);
        }
        let mut groups: Vec<(String, Granted)> = Vec::with_capacity(group.len());
        for GroupText { name, role, tenants, grants } in group {
            let fail =
                |error: EntryError| FileError::Entry { kind: "group", name: shown(&name), problem: error.to_string() };
            check_name(&name).map_err(fail)?;
            let granted = granted(&role, tenants.as_deref(), grants.as_deref()).map_err(fail)?;
            match groups.iter_mut().find(|(known, _)| *known == name) {
                // A group that is a reader of some tenants and an auditor of others has two entries.
                Some((_, known)) => known.join(&granted),
                None => groups.push((name, granted)),
            }
        }
        Ok(Self { tokens, groups })
    }

    /// How many tokens it has.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// How many groups it has.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whose token this is.
    pub(crate) fn reader(&self, token: &Token, now: Timestamp) -> Result<Reader, Refusal> {
        let hash = token.hash();
        // All are compared, each in constant time: how long it takes tells nothing of which one was near.
        let found = self.tokens.iter().fold(None, |found, known| if known.hash == hash { Some(known) } else { found });
        let known = found.ok_or(Refusal::UnknownToken)?;
        if known.expires.is_some_and(|expires| expires <= now) {
            return Err(Refusal::Expired);
        }
        Ok(Reader {
            credential: Credential::Token,
            id: known.name.clone(),
            name: None,
            email: None,
            role: known.granted.role(),
            grants: known.granted.clone().into_grants(),
        })
    }

    /// What a group of the issuer's may see.
    pub(crate) fn group(&self, name: &str) -> Option<&Granted> {
        self.groups.iter().find(|(known, _)| known == name).map(|(_, granted)| granted)
    }
}

#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("name: expected 1 to {NAME_BYTES_MAX} bytes without control characters")]
    Name,
    #[error("hash: {0}")]
    Hash(#[from] TokenHashError),
    #[error("{0}")]
    Role(#[from] ParseRoleError),
    #[error("{0}")]
    Grant(#[from] GrantError),
    #[error("at most {GRANTS_MAX} grants, each counted once for every tenant")]
    TooManyGrants,
    #[error("expires: expected a time with its offset, such as 2027-01-01T00:00:00Z")]
    Expires,
}

impl TokenText {
    fn read(self) -> Result<Known, EntryError> {
        check_name(&self.name)?;
        let expires = self.expires.map(|time| time.to_string().parse().map_err(|_| EntryError::Expires)).transpose()?;
        let granted = granted(&self.role, self.tenants.as_deref(), self.grants.as_deref())?;
        Ok(Known { name: self.name, hash: self.hash.parse()?, expires, granted })
    }
}

/// Text of a file, as errors show it: what reads TOML repeats what it did not expect, and that may be a token that somebody
/// put in the wrong place.
fn shown(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(digits);
        let (other, behind) = behind.split_at(behind.find(|c: char| c.is_ascii_hexdigit()).unwrap_or(behind.len()));
        out.push_str(if digits < SECRET_DIGITS { run } else { "…" });
        out.push_str(other);
        rest = behind;
    }
    cut(&out, SHOWN_BYTES_MAX)
}

fn check_name(name: &str) -> Result<(), EntryError> {
    let is_good = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    if is_good { Ok(()) } else { Err(EntryError::Name) }
}

fn granted(role: &str, tenants: Option<&[String]>, grants: Option<&[GrantText]>) -> Result<Granted, EntryError> {
    let granted = Granted::new(role.parse()?, tenants, grants)?;
    if granted.grants.len() > GRANTS_MAX { Err(EntryError::TooManyGrants) } else { Ok(granted) }
}

#[cfg(test)]
mod tests {
    use afterimage_event::{OWN_SOURCE, RecordKey};

    use super::*;
    use crate::Role;

    fn token(rest: &str) -> (Token, String) {
        let token = Token::generate().unwrap();
        let text = format!("[[token]]\nname = \"support\"\nhash = \"{}\"\n{rest}\n", token.hash());
        (token, text)
    }

    fn record(tenant: &str, source: &str, table: &str, id: &str) -> RecordKey {
        let [tenant, source, table, id] = [tenant, source, table, id].map(str::to_owned);
        RecordKey { tenant, source, table, record_id: vec![id] }
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000).unwrap()
    }

    #[test]
    fn a_reader_sees_what_is_granted_in_the_tenants_that_are_named() {
        let (token, text) = token(
            r#"role = "reader"
            grants = [{ table = "orders" }, { source = "billing" }, { tenant = "acme", table = "users", record_id = ["u1"] }]"#,
        );
        let reader = AccessFile::parse(&text).unwrap().reader(&token, moment(0)).unwrap();
        assert_eq!((reader.id.as_str(), reader.role, reader.credential), ("support", Role::Reader, Credential::Token));
        for (tenant, source, table, id, seen) in [
            ("default", "shop", "orders", "1", true),
            ("default", "billing", "invoices", "1", true),
            ("acme", "shop", "users", "u1", true),
            ("acme", "shop", "users", "u2", false),
            ("default", "shop", "users", "u1", false),
            ("acme", "shop", "orders", "1", false),
            ("default", "shop", "customers", "1", false),
        ] {
            assert_eq!(reader.grants.allow(&record(tenant, source, table, id)), seen, "{tenant}/{source}/{table}/{id}");
        }
    }

    #[test]
    fn an_auditor_sees_all_of_their_tenants_and_who_asked_and_a_reader_not_that() {
        let own = |tenant| record(tenant, OWN_SOURCE, "orders", "1");
        let (key, text) = token(r#"role = "auditor""#);
        let auditor = AccessFile::parse(&text).unwrap().reader(&key, moment(0)).unwrap();
        assert_eq!(auditor.role, Role::Auditor);
        assert!(auditor.grants.allow(&own("default")) && auditor.grants.allow(&record("default", "s", "t", "1")));
        assert!(!auditor.grants.allow(&own("acme")) && !auditor.grants.allow(&record("acme", "s", "t", "1")));
        let (key, text) = token("role = \"auditor\"\ntenants = [\"*\"]");
        let auditor = AccessFile::parse(&text).unwrap().reader(&key, moment(0)).unwrap();
        assert!(auditor.grants.allow(&own("acme")));
        for (grants, seen) in [(r#"[{ table = "orders" }]"#, false), (r#"[{ source = "afterimage" }]"#, true)] {
            let (key, text) = token(&format!("role = \"reader\"\ngrants = {grants}"));
            let reader = AccessFile::parse(&text).unwrap().reader(&key, moment(0)).unwrap();
            assert_eq!(reader.grants.allow(&own("default")), seen, "{grants}");
        }
    }

    #[test]
    fn a_token_ends_when_it_says_and_another_one_is_nobody() {
        let (key, text) = token("role = \"auditor\"\nexpires = 1970-01-01T00:01:00Z");
        let file = AccessFile::parse(&text).unwrap();
        assert!(file.reader(&key, moment(59)).is_ok());
        assert_eq!(file.reader(&key, moment(60)), Err(Refusal::Expired));
        assert_eq!(file.reader(&Token::generate().unwrap(), moment(0)), Err(Refusal::UnknownToken));
    }

    #[test]
    fn a_group_of_two_entries_has_the_grants_of_both() {
        let text = r#"
            [[group]]
            name = "support"
            role = "reader"
            grants = [{ table = "orders" }]
            [[group]]
            name = "support"
            role = "auditor"
            tenants = ["acme"]"#;
        let file = AccessFile::parse(text).unwrap();
        let group = file.group("support").unwrap();
        assert_eq!((file.groups(), group.role(), group.grants.len()), (1, Role::Auditor, 3));
        assert!(file.group("Support").is_none());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_hash_is_shown() {
        let (key, good) = token(r#"role = "auditor""#);
        let hash = key.hash().to_string();
        let twice = format!("{good}{}", good.replace("support", "other"));
        let cases = [
            (good.replace("role", "rôle"), "line 4"),
            (good.replace("auditor", "admin"), "expected a role: reader or auditor"),
            (good.replace("\"auditor\"", "\"reader\""), "a reader without grants sees nothing"),
            (format!("{good}grants = [{{ table = \"t\" }}]"), "leave grants out"),
            (format!("{good}tenants = []"), "tenants must name one"),
            (format!("{good}expires = 2027-01-01"), "with its offset"),
            (format!("{good}secret = 1"), "line 5: unknown field `secret`"),
            (good.replace("auditor\"", "reader\"\ngrants = [{}]"), "must name a source"),
            (good.replace("auditor\"", "reader\"\ngrants = [{ record_id = [\"1\"] }]"), "needs table beside it"),
            (good.replace("auditor\"", "reader\"\ngrants = [{ table = \"\" }]"), "is empty"),
            (good.replace("auditor\"", "reader\"\ngrants = [{ tables = \"t\" }]"), "unknown field `tables`"),
            (good.replace(&hash, key.reveal()), "never the token itself"),
            (format!("{good}tenants = \"{}\"", key.reveal()), "expected a sequence"),
            (format!("{good}{} = true", key.reveal()), "unknown field `afterimage_…`"),
            (good.replace("auditor", key.reveal()), "expected a role"),
            (good.replace("support", key.reveal()).replace("auditor", ""), "token \"afterimage_…\": expected a role"),
            (format!("token = \"{}\"", "x".repeat(10_000)), "x…"),
            (good.replace("support", ""), "name: expected 1 to 128 bytes"),
            (format!("{good}{good}"), "given twice"),
            (twice, "has the hash of \"support\""),
            ("x".repeat(FILE_BYTES_MAX + 1), "bytes are read"),
            ("[[group]]\n".repeat(GROUPS_MAX + 1), "missing field"),
        ];
        for (text, problem) in cases {
            let error = AccessFile::parse(&text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!error.contains(&hash[8..]) && !error.contains(key.reveal()), "{error}");
            assert!(error.len() < 512, "{error}");
        }
    }

    #[test]
    fn files_and_grants_have_limits() {
        let many: String = (0..=TOKENS_MAX)
            .map(|n| {
                let hash = Token::generate().unwrap().hash();
                format!("[[token]]\nname = \"t{n}\"\nhash = \"{hash}\"\nrole = \"auditor\"\n")
            })
            .collect();
        assert!(matches!(AccessFile::parse(&many), Err(FileError::TooMany { limit: TOKENS_MAX, .. })));
        let tenants: Vec<_> = (0..=GRANTS_MAX / 2).map(|n| format!("\"t{n}\"")).collect();
        let (_, text) = token(&format!("role = \"auditor\"\ntenants = [{}]", tenants.join(",")));
        assert!(AccessFile::parse(&text).unwrap_err().to_string().contains("at most 1000 grants"));
    }
}
