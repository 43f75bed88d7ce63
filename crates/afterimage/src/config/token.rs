//! `afterimage token`: what a program shows to the query API.
//!
//! All of it is positional: flags are settings, with a variable and a key in the file, and none of this is one.

use std::str::FromStr;

use afterimage_access::Role;
use clap::{Args, Subcommand};

#[derive(Clone, Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token: prints it once, and the entry for the access file, which holds its hash alone.
    ///
    /// afterimage token new auditing auditor
    /// afterimage token new support reader table=orders source=billing table=users,record=u1
    New(NewTokenArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct NewTokenArgs {
    /// Who uses it: access entries name the reader by it.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// reader: asks about what is granted. auditor: about everything of their tenants, and about who asked what.
    #[arg(value_name = "ROLE", value_parser = Role::from_str)]
    pub(crate) role: Role,
    /// What a reader may see: table=…, source=…, record=…, tenant=…, joined by commas where one grant has several.
    #[arg(value_name = "GRANT")]
    pub(crate) grants: Vec<GrantArg>,
}

/// A grant as the command line has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrantArg {
    /// Keys of the access file and their values, as TOML.
    members: Vec<(&'static str, String)>,
}

impl GrantArg {
    /// As an inline table of TOML.
    pub(crate) fn toml(&self) -> String {
        let members: Vec<_> = self.members.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        format!("{{ {} }}", members.join(", "))
    }
}

impl FromStr for GrantArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected table=orders, source=billing, or table=users,record=u1";
        let mut grant = Self::default();
        for part in text.split(',') {
            let (key, value) = part.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or(EXPECTED)?;
            let (key, value) = match key {
                "tenant" => ("tenant", quoted(value)),
                "source" => ("source", quoted(value)),
                "table" => ("table", quoted(value)),
                "record" => ("record_id", format!("[{}]", quoted(value))),
                _ => return Err(EXPECTED),
            };
            if grant.members.iter().any(|(known, _)| *known == key) {
                return Err("a key is given twice; keys of several parts are written into the file by hand");
            }
            grant.members.push((key, value));
        }
        Ok(grant)
    }
}

/// A string of TOML: those of JSON are some.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
