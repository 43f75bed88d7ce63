//! afterimage.toml: the same settings as the flags, and the rules of tables.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::Path;

use clap::builder::Resettable::Reset;
use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::bad::BadConfig;
use super::rules;
use afterimage_diff::RuleBlock;

/// Biggest settings file: far more than any honest one.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that was read: every key is a setting, every value was accepted by the setting's own parser.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// The values of each setting, by the flag's long name.
    pub(crate) values: BTreeMap<String, Setting>,
    /// The rules of tables, in the order of the file.
    pub(crate) rules: Vec<RuleBlock>,
}

/// The value of one setting and where it stands.
#[derive(Debug)]
pub(crate) struct Setting {
    /// `path:line`.
    pub(crate) place: String,
    /// As text, as the command line would have it; several for a list.
    pub(crate) texts: Vec<String>,
}

/// Reads and checks a file. `args` are all flags of all commands.
pub(crate) fn read(path: &Path, args: &[Arg]) -> Result<File, BadConfig> {
    let fail = |error: std::io::Error| BadConfig::at(path.display(), format!("cannot be read: {error}"));
    let bytes = std::fs::metadata(path).map_err(fail)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(BadConfig::at(path.display(), format!("{bytes} bytes, at most {FILE_BYTES_MAX} are read")));
    }
    parse(&path.display().to_string(), &std::fs::read_to_string(path).map_err(fail)?, args)
}

/// Checks the text of a file that is called `name` in errors.
pub(crate) fn parse(name: &str, text: &str, args: &[Arg]) -> Result<File, BadConfig> {
    let place = |offset: usize| format!("{name}:{}", 1 + text[..offset.min(text.len())].matches('\n').count());
    let table = DeTable::parse(text)
        .map_err(|error| BadConfig::at(place(error.span().map_or(0, |span| span.start)), error.message()))?;
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut file = File::default();
    for (key, value) in entries {
        let line = place(key.span().start);
        if key.get_ref() == rules::KEY {
            file.rules = rules(value, &place)?;
            continue;
        }
        let long = key.get_ref().replace('_', "-");
        let Some(arg) = args.iter().find(|arg| is_setting(arg) && arg.get_long() == Some(&long)) else {
            return Err(BadConfig::at(line, unknown(key.get_ref(), &long, args)));
        };
        let texts =
            texts(arg, value.get_ref()).map_err(|problem| BadConfig::at(&line, format!("{long}: {problem}")))?;
        check(arg, &long, &texts).map_err(|problem| BadConfig::at(&line, format!("{long}: {problem}")))?;
        if let Some(earlier) = file.values.insert(long.clone(), Setting { place: line.clone(), texts }) {
            return Err(BadConfig::at(line, format!("{long} is set a second time, first at {}", earlier.place)));
        }
    }
    Ok(file)
}

/// Can this flag stand in the file? Not `--config`, which names the file, nor what ends the program.
pub(crate) fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|long| !matches!(long, "config" | "help" | "version"))
}

fn rules(value: Spanned<DeValue<'_>>, place: &impl Fn(usize) -> String) -> Result<Vec<RuleBlock>, BadConfig> {
    let start = value.span().start;
    let DeValue::Array(blocks) = value.into_inner() else {
        return Err(BadConfig::at(place(start), "rules: expected blocks that begin with [[rules]]"));
    };
    blocks
        .into_iter()
        .map(|block| {
            let line = place(block.span().start);
            rules::read(&line, block)
                .map_err(|(offset, problem)| BadConfig::at(place(offset.unwrap_or(start)), format!("rules: {problem}")))
        })
        .collect()
}

/// The texts that the command line would carry, when the TOML type is the setting's.
fn texts(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let is_list = matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some();
    let (expected, text) = match (kind(arg.get_value_parser()), value) {
        (Kind::Switch, DeValue::Boolean(on)) => ("", Some(on.to_string())),
        (Kind::Switch, _) => ("true or false", None),
        (Kind::Number, DeValue::Integer(number)) => ("", Some(number.to_string())),
        (Kind::Number, _) => ("a whole number", None),
        (Kind::Text, DeValue::String(text)) => ("", Some(text.to_string())),
        (Kind::Text, DeValue::Array(items)) if is_list => {
            return items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| "expected strings in the list".to_owned());
        }
        (Kind::Text, _) if is_list => ("a list of strings", None),
        (Kind::Text, _) => ("a string", None),
    };
    text.map(|text| vec![text]).ok_or_else(|| format!("expected {expected}, not {}", an(value.type_str())))
}

fn an(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

#[derive(PartialEq, Eq, Debug)]
enum Kind {
    Switch,
    Number,
    Text,
}

fn kind(parser: &ValueParser) -> Kind {
    let of = parser.type_id();
    if of == TypeId::of::<bool>() {
        Kind::Switch
    } else if [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()]
        .iter()
        .any(|number| of == *number)
    {
        Kind::Number
    } else {
        Kind::Text
    }
}

/// Lets the flag's own parser judge the values.
fn check(arg: &Arg, long: &str, texts: &[String]) -> Result<(), String> {
    if kind(arg.get_value_parser()) == Kind::Switch {
        return Ok(());
    }
    let flags = texts.iter().map(|text| format!("--{long}={text}"));
    clap::Command::new("check")
        .no_binary_name(true)
        // Alone: what it goes together with is judged when all are known.
        .arg(arg.clone().env(Reset).conflicts_with(Reset).requires(Reset).required(false))
        .try_get_matches_from(flags)
        .map(drop)
        .map_err(|error| value_problem(&error))
}

/// What a flag's parser says of a value, without the flag's name.
pub(crate) fn value_problem(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        return format!("expected one of {}", valid.join(", "));
    }
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => super::first_paragraph(error),
    }
}

fn unknown(key: &str, long: &str, args: &[Arg]) -> String {
    let settings = args.iter().filter(|arg| is_setting(arg)).cloned().map(|arg| arg.required(false));
    let guess = clap::Command::new("check")
        .no_binary_name(true)
        .args(settings)
        .try_get_matches_from([format!("--{long}")])
        .err()
        .and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(name)) => Some(name.trim_start_matches('-').to_owned()),
            _ => None,
        });
    match guess {
        Some(name) => format!("no setting is called {key}; did you mean {name}?"),
        None => format!("no setting is called {key}; `afterimage worker --help` lists them"),
    }
}
