//! `afterimage token`: what a program shows to the query API.

use std::str::FromStr;

use afterimage_access::Role;
use afterimage_event::{ID_BYTES_MAX, NAME_BYTES_MAX, OWN_SOURCE, RECORD_ID_PARTS_MAX, RecordId, Timestamp};
use clap::{Args, Subcommand};

use super::BadConfig;
use super::args::name;
use super::asked::Today;
use super::when::When;

#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token: prints it once, and the entry for the access file, which holds its hash alone.
    #[command(after_help = super::examples::TOKEN_NEW)]
    New(NewTokenArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NewTokenArgs {
    /// Who uses it: access entries name the reader by it.
    #[arg(value_name = "NAME")]
    name: String,
    /// reader: asks about what is granted. auditor: about everything of their tenants, and about who asked what.
    #[arg(value_name = "ROLE", value_parser = Role::from_str)]
    role: Role,
    /// What a reader may see: KEY=VALUE pairs joined by commas, all of which must fit: source=…, table=…, record=…, tenant=….
    /// Several grants, told apart by spaces, add up. record= comes last and beside table=: the record's id as questions take
    /// it, so record=o1,123 is one of two parts. A comma within a name or a part is written %2C, a percent sign %25.
    #[arg(value_name = "GRANT")]
    grants: Vec<GrantArg>,
    /// The customer whose records these are. For a worker: where an event names none. For a token: of whom it sees records;
    /// may be given several times there, and * is every customer.
    #[arg(long, value_name = "NAME", value_parser = name, default_value = "default")]
    tenant: Vec<String>,
    /// When a token ends: a time, a date (its first moment), from now so long (12h, 90d, 52w), or never.
    #[arg(long, value_name = "TIME", default_value = "365d")]
    expires: Expiry,
}

/// A token to make.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) tenants: Vec<String>,
    pub(crate) grants: Vec<GrantArg>,
    /// Never, where it is absent.
    pub(crate) expires: Option<Timestamp>,
}

impl NewToken {
    pub(super) fn new(args: NewTokenArgs, today: &Today) -> Result<Self, BadConfig> {
        let NewTokenArgs { name, role, grants, tenant: tenants, expires } = args;
        let expires = match expires {
            Expiry::Never => None,
            Expiry::In(micros) => Some(today.now.saturating_add_micros(micros)),
            Expiry::At(when) => Some(today.moment("--expires", when)?),
        };
        if expires.is_some_and(|expires| expires <= today.now) {
            return Err(BadConfig::at("--expires", "is past: the token would be refused from the first"));
        }
        Ok(Self { name, role, tenants, grants, expires })
    }
}

/// When a token ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    Never,
    /// So many microseconds from now.
    In(i64),
    At(When),
}

impl FromStr for Expiry {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "expected a time (2027-01-01T00:00:00Z), a date, from now so long (12h, 90d, 52w), or never";
        match text.parse::<When>() {
            _ if text == "never" => Ok(Self::Never),
            // What is a time ago elsewhere lies ahead here.
            Ok(When::Ago(micros))
                if text.starts_with(|first: char| first.is_ascii_digit()) && !text.ends_with("ago") =>
            {
                Ok(Self::In(micros))
            }
            Ok(when @ (When::At(_) | When::Local(_))) => Ok(Self::At(when)),
            _ => Err(EXPECTED),
        }
    }
}

/// A grant as the command line has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrantArg {
    tenant: Option<String>,
    source: Option<String>,
    table: Option<String>,
    record: Option<RecordId>,
}

/// What is no grant, or one that nothing could fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantArgError {
    #[error("expected table=orders, source=billing, or table=users,record=u1")]
    Shape,
    #[error("{0}= is given twice: grants that are told apart by spaces add up")]
    Twice(&'static str),
    #[error(
        "a name is granted as it stands, * is no pattern: leave {0}= out for any (%2A is an asterisk of the name itself)"
    )]
    Pattern(&'static str),
    #[error("*: every customer is said by --tenant '*'")]
    AnyTenant,
    #[error("record= needs table= in front of it")]
    RecordWithoutTable,
    #[error("no record has such an id: 1 to {RECORD_ID_PARTS_MAX} parts of at most {ID_BYTES_MAX} bytes")]
    Record,
    #[error("{0}=: expected 1 to {NAME_BYTES_MAX} bytes; a comma within is written %2C, a percent sign %25")]
    Name(&'static str),
}

impl GrantArg {
    /// As an inline table of TOML.
    pub(crate) fn toml(&self) -> String {
        let names = [("tenant", &self.tenant), ("source", &self.source), ("table", &self.table)];
        let names = names.into_iter().filter_map(|(key, name)| Some(format!("{key} = {}", quoted(name.as_ref()?))));
        let record = self.record.iter().map(|RecordId(parts)| {
            format!("record_id = [{}]", parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(", "))
        });
        format!("{{ {} }}", names.chain(record).collect::<Vec<_>>().join(", "))
    }
}

impl FromStr for GrantArg {
    type Err = GrantArgError;

    fn from_str(text: &str) -> Result<Self, GrantArgError> {
        const RECORD: &str = "record=";
        // The id has commas of its own, so it takes all that follows.
        let at = if text.starts_with(RECORD) { Some(0) } else { text.find(",record=").map(|comma| comma + 1) };
        let (names, record) = match at {
            Some(0) => return Err(GrantArgError::RecordWithoutTable),
            Some(at) => (&text[..at - 1], Some(&text[at + RECORD.len()..])),
            None => (text, None),
        };
        let mut grant = Self::default();
        for part in names.split(',') {
            let (key, value) = part.split_once('=').ok_or(GrantArgError::Shape)?;
            let (key, place) = match key {
                "tenant" => ("tenant", &mut grant.tenant),
                "source" => ("source", &mut grant.source),
                "table" => ("table", &mut grant.table),
                _ => return Err(GrantArgError::Shape),
            };
            if place.is_some() {
                return Err(GrantArgError::Twice(key));
            }
            *place = Some(decoded(key, value)?);
        }
        // Questions that name no table are entered under `*`.
        let is_any = |name: &Option<String>| name.as_deref() == Some("*");
        if is_any(&grant.table) && names.contains("table=*") && grant.source.as_deref() != Some(OWN_SOURCE) {
            return Err(GrantArgError::Pattern("table"));
        }
        match record {
            Some(_) if grant.table.is_none() => return Err(GrantArgError::RecordWithoutTable),
            Some("*") => return Err(GrantArgError::Pattern("record")),
            Some(record) => grant.record = Some(record_id(record)?),
            None => {}
        }
        Ok(grant)
    }
}

fn decoded(key: &'static str, value: &str) -> Result<String, GrantArgError> {
    match (key, value) {
        ("tenant", "*") => return Err(GrantArgError::AnyTenant),
        ("table", "*") => return Ok(value.to_owned()),
        (_, pattern) if pattern.contains('*') => return Err(GrantArgError::Pattern(key)),
        _ => {}
    }
    let RecordId(mut parts) = value.parse().map_err(|_| GrantArgError::Name(key))?;
    parts.pop().filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len())).ok_or(GrantArgError::Name(key))
}

fn record_id(text: &str) -> Result<RecordId, GrantArgError> {
    let id: RecordId = text.parse().map_err(|_| GrantArgError::Record)?;
    let fits = (1..=RECORD_ID_PARTS_MAX).contains(&id.0.len())
        && id.0.iter().all(|part| part.len() <= ID_BYTES_MAX)
        && id.0.iter().any(|part| !part.is_empty());
    if fits { Ok(id) } else { Err(GrantArgError::Record) }
}

/// A string of TOML: those of JSON are some.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> Result<String, GrantArgError> {
        text.parse().map(|grant: GrantArg| grant.toml())
    }

    #[test]
    fn a_grant_names_what_it_covers_ids_of_several_parts_and_commas_within_them_too() {
        for (text, expected) in [
            ("table=orders", r#"{ table = "orders" }"#),
            ("source=billing,tenant=acme", r#"{ tenant = "acme", source = "billing" }"#),
            ("table=members,record=o1,123", r#"{ table = "members", record_id = ["o1", "123"] }"#),
            ("table=members,record=o1%2C123", r#"{ table = "members", record_id = ["o1,123"] }"#),
            ("table=a%2Cb,record=50%25,,x", r#"{ table = "a,b", record_id = ["50%", "", "x"] }"#),
            ("table=t,record=a=b,record=c", r#"{ table = "t", record_id = ["a=b", "record=c"] }"#),
            ("source=afterimage,table=*", r#"{ source = "afterimage", table = "*" }"#),
            ("table=%2A", r#"{ table = "*" }"#),
            ("table=t,record=u\"1", r#"{ table = "t", record_id = ["u\"1"] }"#),
        ] {
            assert_eq!(toml(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_nothing_could_fit_is_refused_with_what_to_write() {
        for (text, said) in [
            ("", "expected table=orders"),
            ("orders", "expected table=orders"),
            ("tables=x", "expected table=orders"),
            ("table=", "expected 1 to 256 bytes"),
            ("table=%zz", "expected 1 to 256 bytes"),
            ("table=a,table=b", "table= is given twice"),
            ("table=*", "leave table= out"),
            ("source=bill*", "leave source= out"),
            ("tenant=*,table=a", "--tenant '*'"),
            ("record=u1", "needs table="),
            ("record=u1,table=users", "needs table="),
            ("source=shop,record=u1", "needs table="),
            ("table=users,record=", "no record has such an id"),
            ("table=users,record=,", "no record has such an id"),
            ("table=users,record=*", "leave record= out"),
        ] {
            let error = toml(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(toml(&format!("table={}", "x".repeat(257))).is_err());
    }

    #[test]
    fn a_token_ends_when_it_is_said_to() {
        assert_eq!("never".parse(), Ok(Expiry::Never));
        assert_eq!("2d".parse(), Ok(Expiry::In(2 * 86_400 * 1_000_000)));
        assert!(matches!("2027-01-01".parse(), Ok(Expiry::At(When::Local(_)))));
        for text in ["", "now", "today", "2d-ago", "1y", "soon"] {
            assert!(text.parse::<Expiry>().is_err(), "{text}");
        }
    }
}
