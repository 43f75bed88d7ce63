//! `afterimage token new`.

use afterimage_access::{AccessFile, Token};
use anyhow::Context;

use super::Outcome;
use crate::clock;
use crate::config::{NewTokenArgs, quoted};
use crate::output::print;

/// When a token ends that somebody makes and forgets.
const LIFE_MICROS: i64 = 365 * 86_400 * 1_000_000;

/// Makes a token, and shows it this once.
pub(super) fn new(args: &NewTokenArgs) -> anyhow::Result<Outcome> {
    let token = Token::generate().context("the system has no random numbers to give")?;
    let entry = entry(args, &token);
    AccessFile::parse(&entry).context("no token was made")?;
    print(&format!("{}\n\nThat is the token: it is shown this once. For the access file:\n\n{entry}", token.reveal()))?;
    Ok(Outcome::Done)
}

fn entry(args: &NewTokenArgs, token: &Token) -> String {
    let expires = clock::now().saturating_add_micros(LIFE_MICROS).to_string();
    let day = expires.split('T').next().unwrap_or_default();
    let mut entry = format!(
        "[[token]]\nname = {}\nhash = \"{}\"\nrole = \"{}\"\nexpires = {day}T00:00:00Z\n",
        quoted(&args.name),
        token.hash(),
        args.role
    );
    if !args.grants.is_empty() {
        let grants: Vec<_> = args.grants.iter().map(crate::config::GrantArg::toml).collect();
        entry.push_str(&format!("grants = [{}]\n", grants.join(", ")));
    }
    entry
}

#[cfg(test)]
mod tests {
    use afterimage_access::Role;

    use super::*;

    #[test]
    fn what_is_printed_for_the_file_is_read_by_it_and_holds_no_token() {
        let token = Token::generate().unwrap();
        let grants = ["table=orders", "source=billing", "tenant=acme,table=users,record=u\"1"];
        let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
        let args = NewTokenArgs { name: "sup \"port\"".to_owned(), role: Role::Reader, grants };
        let entry = entry(&args, &token);
        assert_eq!(AccessFile::parse(&entry).unwrap().tokens(), 1);
        assert!(entry.contains(r#"{ tenant = "acme", table = "users", record_id = ["u\"1"] }"#), "{entry}");
        assert!(!entry.contains(token.reveal()));
        for grant in ["", "orders", "table=", "tables=x", "table=a,table=b"] {
            assert!(grant.parse::<crate::config::GrantArg>().is_err(), "{grant}");
        }
    }
}
