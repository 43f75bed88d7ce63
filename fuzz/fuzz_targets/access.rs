//! Access files, tokens, and what JWTs claim: whoever is let in sees what an obvious reader of the same text lets them see,
//! and no refusal shows a token or a hash.
//!
//! The modules of `access` are taken one by one: with the crate came HTTP and TLS. The keys of an issuer are read by
//! `jsonwebtoken`, and are not fuzzed.

#![no_main]
#![allow(dead_code, reason = "each module is used in part")]

#[path = "../../crates/access/src/oidc/claims.rs"]
mod claims;
#[path = "../../crates/access/src/file.rs"]
mod file;
#[path = "../../crates/access/src/grant.rs"]
mod grant;
#[path = "../../crates/access/src/oidc/header.rs"]
mod header;
#[path = "../../crates/access/src/question.rs"]
mod question;
#[path = "../../crates/access/src/reader.rs"]
mod reader;
#[path = "../../crates/access/src/refusal.rs"]
mod refusal;
#[path = "../../crates/access/src/token.rs"]
mod token;

pub use file::{AccessFile, FileError};
pub use reader::{Credential, ParseRoleError, Reader, Role};
pub use refusal::Refusal;
pub use token::{Token, TokenHash, TokenHashError};

use std::collections::BTreeSet;

use afterimage_event::{DEFAULT_NAME, OWN_SOURCE, RecordKey, Timestamp};
use afterimage_store::Grants;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::Claims;
use header::Header;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// What the claims of a JWT are read by.
pub struct IssuerConfig {
    issuer: String,
    audiences: Vec<String>,
    claim_prefix: String,
    groups_claim: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Algorithm {
    EdDsa,
}

impl std::str::FromStr for Algorithm {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "EdDSA" { Ok(Self::EdDsa) } else { Err(()) }
    }
}

/// Tokens that a file may name: `@h2` is the hash of the third, `@t2` the token itself.
const TOKENS: usize = 4;
const NOW: &str = "2026-01-09T10:00:05Z";
const NOW_S: f64 = 1_767_952_805.0;

// A file, and behind a line `---` the claims of a JWT, or a header and a body with a dot between.
fuzz_target!(|text: &str| {
    bare(text);
    let tokens: Vec<Token> = (0..TOKENS).map(made).collect();
    let (written, claims) = text.split_once("\n---\n").unwrap_or((text, ""));
    let mut written = written.to_owned();
    for (index, token) in tokens.iter().enumerate() {
        written = written.replace(&format!("@h{index}"), &token.hash().to_string());
        written = written.replace(&format!("@t{index}"), token.reveal());
    }
    let file = match AccessFile::parse(&written) {
        Ok(file) => {
            check_file(&file, &written, &tokens);
            file
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.len() < 1_024, "{shown}");
            for token in &tokens {
                let (secret, hash) = (token.reveal(), token.hash().to_string());
                assert!(!shown.contains(&secret[12..40]) && !shown.contains(&hash[8..40]), "{shown}");
            }
            AccessFile::default()
        }
    };
    if let Ok(claims) = serde_json::from_str::<Map<String, Value>>(claims) {
        check_claims(&claims, &file, &written);
    }
});

fn made(index: usize) -> Token {
    let digits = format!("{index}a5c").repeat(16);
    let check = blake3::hash(digits.as_bytes()).to_hex();
    format!("afterimage_{digits}{}", &check[..8]).parse().unwrap()
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Texts that are read alone.
fn bare(text: &str) {
    let read: Result<Token, _> = text.parse();
    let digits = text.strip_prefix("afterimage_").unwrap_or_default();
    let is_token = digits.len() == 72
        && digits.chars().all(|digit| "0123456789abcdef".contains(digit))
        && blake3::hash(&digits.as_bytes()[..64]).to_hex().starts_with(&digits[64..]);
    assert_eq!(read.is_ok(), is_token);
    if let Ok(token) = read {
        assert_eq!(token.reveal(), text);
        assert!(!format!("{token:?}").contains(&digits[..8]));
    }
    if let Ok(hash) = text.parse::<TokenHash>() {
        assert!(hash.to_string().eq_ignore_ascii_case(text));
    }
    // `base64` knows one spelling of each header.
    let encoded = text.split_once('.').map(|(header, rest)| format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header)));
    for jwt in [Some(text.to_owned()), encoded].into_iter().flatten() {
        let Ok(header) = Header::of(&jwt) else { continue };
        let parts: Vec<&str> = jwt.split('.').collect();
        assert_eq!(parts.len(), 3);
        let told: Map<String, Value> =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap_or_default();
        // An array is read as the fields in their order; nobody signs one.
        if !told.is_empty() {
            assert!(told.get("crit").is_none_or(Value::is_null));
            assert_eq!(header.kid.as_deref(), told.get("kid").and_then(Value::as_str));
            assert_eq!(header.algorithm(&[Algorithm::EdDsa]).is_ok(), told["alg"] == "EdDSA");
        }
    }
}

fn tables<'v>(file: &'v Value, kind: &str) -> Vec<&'v Value> {
    file.get(kind).and_then(Value::as_array).into_iter().flatten().collect()
}

/// The file as plain data. Times become text.
fn plain(written: &str) -> Value {
    let table: toml::Table = written.parse().unwrap();
    fn of(value: &toml::Value) -> Value {
        match value {
            toml::Value::String(text) => text.clone().into(),
            toml::Value::Array(values) => values.iter().map(of).collect(),
            toml::Value::Table(table) => table.iter().map(|(name, value)| (name.clone(), of(value))).collect(),
            toml::Value::Datetime(time) => time.to_string().into(),
            other => format!("{other:?}").into(),
        }
    }
    of(&toml::Value::Table(table))
}

fn check_file(file: &AccessFile, written: &str, tokens: &[Token]) {
    let plain = plain(written);
    let entries = tables(&plain, "token");
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!((file.tokens(), names.len()), (entries.len(), entries.len()));
    let records = records(&plain);
    for token in tokens {
        let hash = token.hash().to_string();
        let is_its = |entry: &&&Value| entry["hash"].as_str().unwrap().eq_ignore_ascii_case(&hash);
        let expected = entries.iter().find(is_its);
        let is_over = |entry: &Value| {
            entry.get("expires").is_some_and(|time| time.as_str().unwrap().parse::<Timestamp>().unwrap() <= now())
        };
        match (file.reader(token, now()), expected) {
            (Err(Refusal::UnknownToken), None) => {}
            (Err(Refusal::Expired), Some(entry)) => assert!(is_over(entry)),
            (Ok(reader), Some(entry)) => {
                assert!(!is_over(entry));
                assert_eq!(
                    (reader.id.as_str(), reader.role.as_str()),
                    (entry["name"].as_str().unwrap(), entry["role"].as_str().unwrap())
                );
                check_grants(&reader.grants, &records, |record| sees(entry, "", record));
            }
            (reader, entry) => panic!("{reader:?} for {entry:?}"),
        }
    }
}

/// Does an entry, or what claims of this prefix say, let its owner see a record?
fn sees(entry: &Value, prefix: &str, record: &RecordKey) -> bool {
    let said = |name: &str| entry.get(format!("{prefix}{name}")).filter(|value| !value.is_null());
    let is = |value: &Value, text: &str| value.as_str() == Some(text);
    let tenants: Vec<&str> = match said("tenants") {
        Some(tenants) => tenants.as_array().unwrap().iter().map(|tenant| tenant.as_str().unwrap()).collect(),
        None => vec![DEFAULT_NAME],
    };
    let is_tenant = tenants.iter().any(|tenant| *tenant == "*" || *tenant == record.tenant);
    match said("role") {
        Some(role) if is(role, "auditor") => is_tenant,
        Some(_) => said("grants").and_then(Value::as_array).into_iter().flatten().any(|grant| {
            let part = |name| grant.get(name).filter(|value| !value.is_null());
            part("tenant").map_or(is_tenant, |tenant| is(tenant, &record.tenant))
                && part("source").map_or(record.source != OWN_SOURCE, |source| is(source, &record.source))
                && part("table").is_none_or(|table| is(table, &record.table))
                && part("record_id").is_none_or(|id| {
                    id.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).eq(record.record_id.iter())
                })
        }),
        None => false,
    }
}

fn check_grants(grants: &Grants, records: &[RecordKey], sees: impl Fn(&RecordKey) -> bool) {
    for record in records {
        assert_eq!(grants.allow(record), sees(record), "{record:?}");
    }
}

/// Records of every name that is told, and of names that are not.
fn records(told: &Value) -> Vec<RecordKey> {
    let mut names: Vec<String> = Vec::new();
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::String(text) if !text.is_empty() && text.len() < 40 && names.len() < 6 => names.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
            Value::Object(members) => members
                .iter()
                .filter(|(name, _)| !["name", "hash", "role", "expires", "iss", "aud", "sub"].contains(&name.as_str()))
                .for_each(|(_, value)| collect(value, names)),
            _ => {}
        }
    }
    collect(told, &mut names);
    names.sort();
    names.dedup();
    let with =
        |more: &[&str]| -> Vec<String> { more.iter().map(|&name| name.to_owned()).chain(names.clone()).collect() };
    let (tenants, sources, tables) = (with(&[DEFAULT_NAME, "*"]), with(&["shop", OWN_SOURCE]), with(&["orders"]));
    let ids: Vec<Vec<String>> =
        [vec![], vec!["1".to_owned()]].into_iter().chain(names.iter().map(|name| vec![name.clone()])).collect();
    let mut records = Vec::new();
    for tenant in &tenants {
        for source in &sources {
            for table in &tables {
                for record_id in &ids {
                    let [tenant, source, table] = [tenant, source, table].map(String::clone);
                    records.push(RecordKey { tenant, source, table, record_id: record_id.clone() });
                }
            }
        }
    }
    records
}

fn check_claims(claims: &Map<String, Value>, file: &AccessFile, written: &str) {
    let config = IssuerConfig {
        issuer: "https://id.example".to_owned(),
        audiences: vec!["afterimage".to_owned(), "audit".to_owned()],
        claim_prefix: "afterimage_".to_owned(),
        groups_claim: "groups".to_owned(),
    };
    let told = Value::Object(claims.clone());
    let is_for_us = |value: &Value| value == "afterimage" || value == "audit";
    let audience = &told["aud"];
    let is_ours = told["iss"] == "https://id.example"
        && (is_for_us(audience) || audience.as_array().is_some_and(|audiences| audiences.iter().any(is_for_us)));
    let second = |name: &str| told[name].as_f64();
    let is_now = second("exp").is_some_and(|exp| NOW_S < exp + 60.0 && exp.is_finite())
        && ["nbf", "iat"].iter().all(|name| {
            told.get(name).is_none() || second(name).is_some_and(|time| time - 60.0 <= NOW_S && time.is_finite())
        });
    assert_eq!(Claims(claims).check(&config, now()).is_ok(), is_ours && is_now, "{told}");

    let groups: Vec<&str> = match &told["groups"] {
        Value::String(group) => vec![group],
        Value::Array(groups) => groups.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let known = if file.groups() == 0 { Value::Null } else { plain(written) };
    let known: Vec<&Value> = tables(&known, "group")
        .into_iter()
        .filter(|entry| groups.iter().any(|group| entry["name"] == *group))
        .collect();
    if let Ok(reader) = Claims(claims).reader(&config, file) {
        assert_eq!(Some(reader.id.as_str()), told["sub"].as_str());
        let is_auditor = told["afterimage_role"] == "auditor" || known.iter().any(|entry| entry["role"] == "auditor");
        assert_eq!(reader.role == Role::Auditor, is_auditor);
        let both = serde_json::json!([told, known]);
        check_grants(&reader.grants, &records(&both), |record| {
            sees(&told, "afterimage_", record) || known.iter().any(|entry| sees(entry, "", record))
        });
    }
}
