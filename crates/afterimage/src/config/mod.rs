//! Configuration: flags › environment › file › defaults, read and checked before anything is opened.

mod access;
mod args;
mod ask;
mod asked;
mod bad;
mod dlq;
mod examples;
mod file;
mod mounts;
mod replay;
mod rules;
mod serve;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod units;
mod when;
mod worker;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use afterimage_diff::RuleBlock;
use afterimage_store::{Direction, ExportFormat, LIMIT_MAX, Listing, Period};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser};

pub(crate) use access::WhoConfig;
pub(crate) use args::{Cli, DemoArgs, GlobalArgs, ProcessArgs, Shell};
use args::{Command, ExportArgs, ServeArgs, StoreArgs, WorkerArgs};
use ask::ApiArgs;
use asked::Today;
pub(crate) use asked::{ApiConfig, AskConfig, Whom};
pub(crate) use bad::BadConfig;
pub(crate) use dlq::{By, DlqAction, DlqConfig, Redrive, Stored};
pub(crate) use replay::ReplayConfig;
pub(crate) use serve::ServeConfig;
pub(crate) use store::StoreConfig;
use token::TokenCommand;
pub(crate) use token::{GrantArg, NewToken, quoted};
pub(crate) use units::show_duration;
pub(crate) use worker::{DoctorConfig, WorkerConfig};

use crate::ask::{Export, Question};
use crate::zone::Zone;

/// The settings file that is read when none is named.
const DEFAULT_FILE: &str = "afterimage.toml";
/// What every environment variable begins with.
const ENV_PREFIX: &str = "AFTERIMAGE_";

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Config {
    /// What every command takes.
    pub(crate) global: GlobalArgs,
    /// What to do.
    pub(crate) task: Task,
    /// What is allowed but unwise: one line each.
    pub(crate) warnings: Vec<String>,
    /// What somebody must know who reads the answer, whatever is logged: one line each.
    pub(crate) notes: Vec<String>,
    /// The zone that times are shown in.
    pub(crate) zone: Zone,
}

/// A command with everything it needs.
#[derive(Debug)]
pub(crate) enum Task {
    Worker(Box<WorkerConfig>),
    Serve(Box<ServeConfig>),
    Migrate(StoreConfig),
    Demo(DemoArgs),
    /// Where to ask.
    Health(SocketAddr),
    Doctor(Box<DoctorConfig>),
    Ask(Box<AskConfig>),
    Export(Box<ExportConfig>),
    Replay(Box<ReplayConfig>),
    /// The command line that the shell is told of.
    Completions(Shell, Box<clap::Command>),
    Dlq(Box<DlqConfig>),
    NewToken(NewToken),
}

/// What to write out, and where to.
#[derive(Debug)]
pub(crate) struct ExportConfig {
    pub(crate) whom: Whom,
    pub(crate) export: Export,
    /// The file; standard output without one.
    pub(crate) output: Option<PathBuf>,
}

/// Why there is no configuration to run with.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Help or version was asked for: this is to be printed.
    Shown(Box<clap::Error>),
    /// It cannot be used.
    Bad(BadConfig),
}

impl From<BadConfig> for Stop {
    fn from(bad: BadConfig) -> Self {
        Self::Bad(bad)
    }
}

/// Reads the command line, the environment and the settings file.
pub(crate) fn load(argv: &[OsString]) -> Result<Config, Stop> {
    let file = match file_path(argv).map(|path| file::read(&path, &all_args())) {
        Some(Ok(file)) => file,
        // Who asks for help with a broken file needs it most.
        Some(Err(bad)) => return Err(help_asked(argv).unwrap_or(Stop::Bad(bad))),
        None => file::File::default(),
    };
    let matches = command(&file).try_get_matches_from(argv).map_err(|error| stop(error, argv, &file))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| stop(error, argv, &file))?;
    let store_is_chosen = file.values.contains_key("store") || is_given(&matches, "store");
    let shows_times = matches!(cli.command, Command::Ask(_) | Command::Export(_) | Command::Dlq(_));
    let (zone, no_zone) = if cli.global.utc { (Zone::utc(), None) } else { Zone::local() };
    let mut notes: Vec<String> = no_zone.filter(|_| shows_times).into_iter().collect();
    let today = Today::in_zone(zone);
    two_orders(&matches)?;
    let mut warnings = Vec::new();
    let mut store = |args: &StoreArgs| StoreConfig::new(args, store_is_chosen, &mut warnings);
    let task = match cli.command {
        Command::Worker(args) => {
            let store = store(&args.store)?;
            Task::Worker(Box::new(WorkerConfig::new(*args, store, file.rules, &mut warnings)?))
        }
        Command::Serve(args) => {
            let store = store(&args.store)?;
            Task::Serve(Box::new(ServeConfig::new(&args, store, file.rules)?))
        }
        Command::Migrate(args) => Task::Migrate(store(&args.store)?),
        Command::Demo(args) => Task::Demo(args),
        Command::Doctor(args) => {
            let store = store(&args.worker.store)?;
            Task::Doctor(Box::new(DoctorConfig::new(*args, store, file.rules, &mut warnings)?))
        }
        Command::Ask(asked) => {
            let ask = asked.ask();
            let whom = whom(&matches, &ask.api, &ask.store, store_is_chosen, &mut warnings, &mut notes)?;
            asked::task(&asked, whom, &today)?
        }
        Command::Export(args) => {
            let whom = whom(&matches, &args.api, &args.store, store_is_chosen, &mut warnings, &mut notes)?;
            Task::Export(Box::new(ExportConfig::new(*args, whom, &today)?))
        }
        Command::Replay(args) => {
            let store = store(&args.store)?;
            Task::Replay(Box::new(ReplayConfig::new(*args, store, file.rules, &mut warnings)?))
        }
        Command::Health(args) => Task::Health(args.listen.unwrap_or(worker::LISTEN_DEFAULT)),
        Command::Completions(args) => Task::Completions(args.shell, Box::new(Cli::command())),
        Command::Token(args) => match args.command {
            TokenCommand::New(args) => Task::NewToken(NewToken::new(args, &today)?),
        },
        Command::Dlq(args) => {
            // Whether the trail has them is asked where somebody says which trail.
            let is_told =
                store_is_chosen || is_given(&matches, "sqlite_path") || file.values.contains_key("sqlite-path");
            let store = if is_told { Some(store(args.command.store())?) } else { None };
            Task::Dlq(Box::new(DlqConfig::new(args, store, file.rules, &today)?))
        }
    };
    Ok(Config { global: cli.global, task, warnings, notes, zone: today.zone })
}

/// One command line that asks for both orders means neither.
fn two_orders(matches: &ArgMatches) -> Result<(), BadConfig> {
    let is_flag = |id| source_of(matches, id) == Some(ValueSource::CommandLine);
    let order = command_matches(matches).try_get_one::<ask::Order>("order").ok().flatten();
    match order {
        Some(ask::Order::Desc) if is_flag("order") && is_flag("asc") => {
            Err(BadConfig::at("--asc", "is given beside --order desc: leave one of them out"))
        }
        _ => Ok(()),
    }
}

/// Who is asked: the API, where one is named. Who names a store on the command line means that store, whatever the
/// environment or the file say.
fn whom(
    matches: &ArgMatches,
    api: &ApiArgs,
    store: &StoreArgs,
    store_is_chosen: bool,
    warnings: &mut Vec<String>,
    notes: &mut Vec<String>,
) -> Result<Whom, BadConfig> {
    let is_flag = |id| source_of(matches, id) == Some(ValueSource::CommandLine);
    let store_flag = ["store", "sqlite_path"].into_iter().find(|id| is_flag(*id));
    match store_flag {
        Some(id) if is_flag("api") => {
            Err(BadConfig::at("--api", format!("is given beside --{}: ask one of them", id.replace('_', "-"))))
        }
        Some(_) => Ok(Whom::Store(StoreConfig::new(store, store_is_chosen, warnings)?)),
        None => match ApiConfig::new(api, notes)? {
            Some(api) => Ok(Whom::Api(api)),
            None => Ok(Whom::Store(StoreConfig::new(store, store_is_chosen, warnings)?)),
        },
    }
}

impl ExportConfig {
    fn new(args: ExportArgs, whom: Whom, today: &Today) -> Result<Self, BadConfig> {
        let Period { from, to } = today.period(&args.period)?;
        let order = if args.asc { Direction::Ascending } else { Direction::Descending };
        let listing = Listing { from, to, order, limit: LIMIT_MAX, cursor: None };
        let format = if args.csv { ExportFormat::Csv } else { ExportFormat::Ndjson };
        let question = Question::Changes(asked::filter(&args.scope, &args.filter), listing);
        Ok(Self { whom, export: Export { question, format }, output: args.output })
    }
}

fn help_asked(argv: &[OsString]) -> Option<Stop> {
    let error = command(&file::File::default()).try_get_matches_from(argv).err()?;
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion).then(|| Stop::Shown(Box::new(error)))
}

/// The worker of the demo: the defaults, on loopback, with rules that suit the shop.
pub(crate) fn demo_worker(queue_url: &str, dlq_url: &str, store: StoreConfig) -> anyhow::Result<WorkerConfig> {
    let argv = ["afterimage", "worker", "--listen=127.0.0.1:0", "--queue-url", queue_url, "--dlq-url", dlq_url];
    let Command::Worker(args) = Cli::try_parse_from(argv)?.command else { unreachable!("it says worker") };
    let rules = vec![
        RuleBlock::new("demo", "*", "*").quiet("/updatedAt")?,
        RuleBlock::new("demo", "accounts", "users").redact("/phone", "mask")?,
        RuleBlock::new("demo", "checkout", "orders").array("/items", "keyed(/id)")?,
    ];
    // What is unwise for a trail that is to last does for one that shows how it works.
    let mut warnings = Vec::new();
    Ok(WorkerConfig::new(*args, store, rules, &mut warnings)?)
}

/// The command line, with the environment and a file's values behind it.
fn command(file: &file::File) -> clap::Command {
    let layer = |arg: Arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        let name = env_name(&long);
        // What is set to nothing is not set: the convention of container platforms.
        let is_empty = std::env::var_os(&name).is_some_and(|value| value.is_empty());
        let arg = if is_empty { arg } else { arg.env(name).hide_env_values(true) };
        match file.values.get(&long) {
            Some(setting) => arg.required(false).default_values(setting.texts.clone()),
            None => arg,
        }
    };
    Cli::command()
        .mut_args(layer)
        .mut_subcommands(|command| command.mut_args(layer).mut_subcommands(|subcommand| subcommand.mut_args(layer)))
}

fn env_name(long: &str) -> String {
    format!("{ENV_PREFIX}{}", long.to_uppercase().replace('-', "_"))
}

/// All flags of all commands; a flag of several commands once.
fn all_args() -> Vec<Arg> {
    let command = Cli::command();
    let mut args: Vec<Arg> = Vec::new();
    for arg in commands(&command).into_iter().flat_map(clap::Command::get_arguments) {
        if arg.get_long().is_some() && !args.iter().any(|seen| seen.get_long() == arg.get_long()) {
            args.push(arg.clone().global(false));
        }
    }
    args
}

/// A command, its commands and theirs.
fn commands(command: &clap::Command) -> Vec<&clap::Command> {
    let nested = command.get_subcommands().flat_map(commands);
    std::iter::once(command).chain(nested).collect()
}

/// The file to read: the one that is named, or the default if it is there. Other mistakes are found later.
fn file_path(argv: &[OsString]) -> Option<PathBuf> {
    let named = argv.iter().enumerate().find_map(|(index, arg)| {
        let text = arg.to_str()?;
        match text.strip_prefix("--config") {
            Some("") => argv.get(index + 1).map(PathBuf::from),
            Some(rest) => rest.strip_prefix('=').map(PathBuf::from),
            None => None,
        }
    });
    let from_env = || std::env::var_os(env_name("config")).filter(|value| !value.is_empty()).map(PathBuf::from);
    let by_default = || Path::new(DEFAULT_FILE).exists().then(|| PathBuf::from(DEFAULT_FILE));
    named.or_else(from_env).or_else(by_default)
}

/// Was the flag given, on the command line or by the environment?
fn is_given(matches: &ArgMatches, id: &str) -> bool {
    matches!(source_of(matches, id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Where the value of a flag of the command that runs came from.
fn source_of(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    let command = command_matches(matches);
    command.try_contains_id(id).is_ok_and(|is_there| is_there).then(|| command.value_source(id)).flatten()
}

/// What was given to the command that runs.
fn command_matches(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, nested)| command_matches(nested))
}

/// One line that names the place: the flag, the environment variable, or the file and line.
fn stop(error: clap::Error, argv: &[OsString], file: &file::File) -> Stop {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop::Shown(Box::new(error));
    }
    if matches!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand) {
        let groups = ["dlq", "token"];
        let group = argv.iter().skip(1).find_map(|arg| groups.into_iter().find(|group| arg == group));
        let command = group.map_or_else(|| "afterimage".to_owned(), |group| format!("afterimage {group}"));
        return Stop::Bad(BadConfig::new(format!("no command is given; `{command} --help` lists them")));
    }
    let is_value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
    if is_value && let Some(ContextValue::String(usage)) = error.get(ContextKind::InvalidArg) {
        let flag = usage.split([' ', '=']).next().unwrap_or(usage);
        return Stop::Bad(BadConfig::at(place(flag, argv, file), file::value_problem(&error)));
    }
    if error.kind() == ErrorKind::MissingRequiredArgument
        && let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg)
    {
        let names = missing.iter().map(|usage| usage.split(' ').next().unwrap_or(usage)).collect::<Vec<_>>();
        return Stop::Bad(BadConfig::at(names.join(", "), missing_problem(&names)));
    }
    let suggested = error.get(ContextKind::SuggestedArg).or(error.get(ContextKind::SuggestedSubcommand));
    let suggestion = match (unknown_flag(&error, argv), suggested) {
        (Some(Meant::Surely(hint)), _) => hint,
        (_, Some(ContextValue::String(name))) => format!("; did you mean {name}?"),
        (_, Some(ContextValue::Strings(names))) if !names.is_empty() => {
            format!("; did you mean {}?", names.join(" or "))
        }
        (Some(Meant::Perhaps(hint)), _) => hint.to_owned(),
        _ => String::new(),
    };
    Stop::Bad(BadConfig::new(format!("{}{suggestion}", first_paragraph(&error))))
}

/// What somebody meant who wrote what no flag is.
enum Meant {
    /// By its name it can be nothing else.
    Surely(String),
    /// Unless it is a slip of the fingers.
    Perhaps(&'static str),
}

fn unknown_flag(error: &clap::Error, argv: &[OsString]) -> Option<Meant> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument || !flag.starts_with('-') {
        return None;
    }
    let command = argv.iter().skip(1).find_map(|arg| arg.to_str().filter(|arg| !arg.starts_with('-')))?;
    let is_of_record = RECORD_COMMANDS.contains(&command);
    Some(match (command, flag.as_str()) {
        ("counts" | "bursts", "--by" | "--group-by") => {
            Meant::Surely(format!("; what is counted together is named without a flag: afterimage {command} table,op"))
        }
        ("export", "--as" | "--format") => Meant::Surely("; export writes NDJSON, or CSV with --csv".to_owned()),
        (_, "--csv" | "--ndjson") => Meant::Surely(format!("; write --as {}", flag.trim_start_matches('-'))),
        ("dlq", "--format") => return None,
        (_, "--format") => Meant::Surely("; a list is written out with --as csv or --as ndjson".to_owned()),
        ("at", "--table" | "--id" | "--record") => {
            Meant::Surely("; records are named without a flag: afterimage at TIME TABLE/ID".to_owned())
        }
        (_, "--table" | "--id" | "--record") if is_of_record => {
            Meant::Surely(format!("; a record is named without a flag: afterimage {command} TABLE ID"))
        }
        _ if is_of_record => {
            Meant::Perhaps("; what begins with - and is no flag, such as a record id, goes to the end, behind `-- `")
        }
        _ => return None,
    })
}

/// Commands that a record is named to.
const RECORD_COMMANDS: [&str; 7] = ["history", "state", "states", "at", "diff", "revert", "gaps"];

fn missing_problem(names: &[&str]) -> String {
    match names {
        [flag] if flag.starts_with("--") => {
            let long = flag.trim_start_matches('-');
            format!("must be given, or set as {}, or as {long} in {DEFAULT_FILE}", env_name(long))
        }
        _ => "must be given".to_owned(),
    }
}

fn place(flag: &str, argv: &[OsString], file: &file::File) -> String {
    let long = flag.trim_start_matches('-');
    let on_command_line = argv
        .iter()
        .filter_map(|arg| arg.to_str())
        .any(|arg| arg.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')));
    let name = env_name(long);
    if on_command_line || !flag.starts_with("--") {
        flag.to_owned()
    } else if std::env::var_os(&name).is_some_and(|value| !value.is_empty()) {
        name
    } else {
        file.values.get(long).map_or_else(|| flag.to_owned(), |setting| format!("{}: {long}", setting.place))
    }
}

/// What clap says, without usage and tips.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}
