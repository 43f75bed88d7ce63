//! `afterimage token new`.

use afterimage_access::{AccessFile, Token};
use afterimage_event::DEFAULT_NAME;
use anyhow::Context;

use super::Outcome;
use crate::config::{GrantArg, NewToken, quoted};
use crate::output::{complain, print};

/// Makes a token, and shows it this once.
pub(super) fn new(wanted: &NewToken) -> anyhow::Result<Outcome> {
    let token = Token::generate().context("the system has no random numbers to give")?;
    let entry = entry(wanted, &token);
    if let Err(error) = AccessFile::parse(&entry) {
        complain(format!("no token was made: {error}"));
        return Ok(Outcome::Misasked);
    }
    print(&format!("{}\n\nThat is the token: it is shown this once. For the access file:\n\n{entry}", token.reveal()))?;
    Ok(Outcome::Done)
}

fn entry(wanted: &NewToken, token: &Token) -> String {
    let mut entry = format!(
        "[[token]]\nname = {}\nhash = \"{}\"\nrole = \"{}\"\n",
        quoted(&wanted.name),
        token.hash(),
        wanted.role
    );
    if let Some(expires) = wanted.expires {
        // To the second: the rest says nothing to a person.
        let text = expires.to_string();
        entry.push_str(&format!("expires = {}Z\n", text.split(['.', 'Z']).next().unwrap_or_default()));
    }
    let list = |items: Vec<String>| items.join(", ");
    if wanted.tenants != [DEFAULT_NAME] {
        entry.push_str(&format!("tenants = [{}]\n", list(wanted.tenants.iter().map(|name| quoted(name)).collect())));
    }
    if !wanted.grants.is_empty() {
        entry.push_str(&format!("grants = [{}]\n", list(wanted.grants.iter().map(GrantArg::toml).collect())));
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
        let grants = ["table=orders", "source=billing", "tenant=acme,table=users,record=o1,u\"1"];
        let wanted = NewToken {
            name: "sup \"port\"".to_owned(),
            role: Role::Reader,
            tenants: vec!["acme".to_owned(), "*".to_owned()],
            grants: grants.iter().map(|grant| grant.parse().unwrap()).collect(),
            expires: "2027-01-09T10:00:05.120999Z".parse().ok(),
        };
        let text = entry(&wanted, &token);
        assert_eq!(AccessFile::parse(&text).unwrap().tokens(), 1);
        assert!(text.contains(r#"{ tenant = "acme", table = "users", record_id = ["o1", "u\"1"] }"#), "{text}");
        assert!(text.contains("\nexpires = 2027-01-09T10:00:05Z\ntenants = [\"acme\", \"*\"]\n"), "{text}");
        assert!(!text.contains(token.reveal()));
        let for_ever = NewToken { tenants: vec![DEFAULT_NAME.to_owned()], expires: None, ..wanted };
        let text = entry(&for_ever, &token);
        assert!(AccessFile::parse(&text).is_ok() && !text.contains("expires") && !text.contains("tenants"), "{text}");
    }
}
