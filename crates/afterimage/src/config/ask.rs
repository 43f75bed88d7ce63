//! The questions on the command line: their flags.

use std::path::PathBuf;

use afterimage_event::Op;
use afterimage_json::Pointer;
use afterimage_store::{Dimension, ExportFormat};
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::args::{ScopeArgs, StoreArgs, name};
use super::examples;
use super::units::count;
use super::when::When;
use crate::ask::RecordName;
use afterimage_event::{RecordId, RecordIdError};

/// Whom to ask, and how to show the answer.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Asking")]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) json: bool,
    /// Exit with code 7 when the answer holds anything (an item; of state: the record exists; of diff and revert: anything
    /// differs): for scripts that are to notice.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) fail_if_any: bool,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// Asking through the query API instead of a store.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApiArgs {
    /// Ask this query API (`afterimage serve`) instead of a store.
    #[arg(long, value_name = "URL", value_parser = api_url)]
    pub(super) api: Option<String>,
    /// File with the token to show to the API; white space at its end is dropped.
    #[arg(long, value_name = "PATH")]
    pub(super) token_file: Option<PathBuf>,
    /// PEM file with the authorities to trust for https, and no others. Without it those of this machine; `SSL_CERT_FILE`
    /// names others, too.
    #[arg(long, value_name = "PATH")]
    pub(super) ca_file: Option<PathBuf>,
}

/// From when to when.
#[derive(Clone, Debug, Args)]
pub(crate) struct PeriodArgs {
    /// Earliest time, inclusive: a time (2026-01-09T10:00:05Z), a date, now, today, yesterday, or how long ago: 24h, 2d.
    #[arg(long, visible_alias = "since", value_name = "TIME")]
    pub(super) from: Option<When>,
    #[command(flatten)]
    pub(super) until: UntilArgs,
}

/// Until when.
#[derive(Clone, Debug, Args)]
pub(crate) struct UntilArgs {
    /// Latest time, exclusive. Of diff: the later of the two moments, now if it is not given. Of revert: the moment to go
    /// back to.
    #[arg(long, visible_alias = "until", value_name = "TIME")]
    pub(super) to: Option<When>,
}

/// Which part of a list.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(super) period: PeriodArgs,
    /// Most items to show.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1000), default_value = "100", conflicts_with = "as_lines")]
    pub(super) limit: u32,
    /// Show all items, however many: page by page.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) all: bool,
    /// desc shows the newest first, asc the oldest.
    #[arg(long, value_name = "ORDER", default_value = "desc")]
    pub(super) order: Order,
    /// The oldest first: short for --order asc.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(super) asc: bool,
    /// Where to go on: `next` of the page before, asked with the same filters.
    #[arg(long, value_name = "CURSOR", conflicts_with = "as_lines")]
    pub(super) cursor: Option<String>,
    #[command(flatten)]
    pub(super) lines: LinesArgs,
}

/// All of a list in a form for programs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Writing out")]
pub(crate) struct LinesArgs {
    /// Write all of the list, however long: ndjson or csv. The last line says how many items there are.
    #[arg(long = "as", value_name = "FORM", conflicts_with_all = ["json", "fail_if_any"])]
    pub(super) as_lines: Option<ExportFormat>,
    /// Write to this file, which is there only when all of it is; otherwise to standard output.
    #[arg(long, value_name = "PATH", requires = "as_lines")]
    pub(super) output: Option<PathBuf>,
}

/// Which changes: every part that is given must fit.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which changes")]
pub(crate) struct FilterArgs {
    /// Of this table.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) table: Option<String>,
    /// With one of these operations: insert, update, delete, truncate, snapshot, access, ddl.
    #[arg(long, value_name = "OPS", value_delimiter = ',')]
    pub(super) op: Vec<Op>,
    /// That changed this field: a top-level name of the record, status or /status.
    #[arg(long, value_name = "FIELD", value_parser = field)]
    pub(super) field: Option<String>,
    /// By this actor: an id or an address; a name only of one who has neither.
    #[arg(long, value_name = "ACTOR")]
    pub(super) actor: Option<String>,
    /// Made in this request.
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<String>,
    /// Part of this transaction.
    #[arg(long, value_name = "ID")]
    pub(super) transaction: Option<String>,
    /// Made by this migration.
    #[arg(long, value_name = "NAME")]
    pub(super) migration: Option<String>,
}

/// A record, as questions name it.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArgs {
    /// The table.
    #[arg(value_parser = name)]
    pub(super) table: String,
    /// The record's id; of several parts, joined by commas (a comma within a part is written %2C, a percent sign %25).
    #[arg(value_parser = record_id, allow_negative_numbers = true)]
    pub(super) id: RecordId,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RecordListArgs {
    #[command(flatten)]
    pub(super) record: RecordArgs,
    #[command(flatten)]
    pub(super) list: ListArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StateArgs {
    #[command(flatten)]
    pub(super) record: RecordArgs,
    /// The moment, inclusive: a time, a date (its first moment), or how long ago.
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub(super) at: When,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(super) record: RecordArgs,
    #[command(flatten)]
    pub(super) period: PeriodArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RevertArgs {
    #[command(flatten)]
    pub(super) record: RecordArgs,
    #[command(flatten)]
    pub(super) back: UntilArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AtArgs {
    /// The moment, inclusive: a time, a date (its first moment), or how long ago.
    pub(super) moment: When,
    /// The records: SOURCE/TABLE/ID, or TABLE/ID where only one source has it. Within a part a slash is written %2F, a
    /// percent sign %25; parts of an id are joined by commas.
    #[arg(required = true, value_name = "RECORD")]
    pub(super) records: Vec<RecordName>,
    #[command(flatten)]
    pub(super) lines: LinesArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct GapsArgs {
    /// The table.
    #[arg(value_parser = name)]
    pub(super) table: String,
    /// The record's id; without it, all records of the table.
    #[arg(value_parser = record_id, allow_negative_numbers = true)]
    pub(super) id: Option<RecordId>,
    #[command(flatten)]
    pub(super) list: ListArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ChangesArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) list: ListArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CountsArgs {
    /// What is counted together, joined by commas: source, table, op, actor, field, hour, day (of UTC), request, transaction,
    /// migration.
    #[arg(value_name = "BY", value_delimiter = ',', default_value = "table,op")]
    pub(super) by: Vec<Dimension>,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) period: PeriodArgs,
    #[command(flatten)]
    pub(super) lines: LinesArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BurstsArgs {
    /// Whose changes are counted together, joined by commas: source, table, op, actor, field, hour, day (of UTC), request,
    /// transaction, migration.
    #[arg(value_name = "BY", value_delimiter = ',', default_value = "actor,table,op")]
    pub(super) by: Vec<Dimension>,
    /// Length of the window that slides over the changes, at most 31d.
    #[arg(long = "window", value_name = "DURATION", value_parser = afterimage_store::window_micros, default_value = "1h")]
    pub(super) window_micros: i64,
    /// A window with more changes than this is a bulk operation.
    #[arg(long, value_name = "COUNT", value_parser = count::<u64>(1..=1_000_000_000), default_value = "100")]
    pub(super) threshold: u64,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    #[command(flatten)]
    pub(super) period: PeriodArgs,
    #[command(flatten)]
    pub(super) lines: LinesArgs,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// Which way a list runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

/// A command that asks something.
#[derive(Debug, Subcommand)]
pub(crate) enum Asked {
    /// Show the history of a record: who changed it, when, from what to what.
    #[command(after_help = examples::HISTORY)]
    History(Box<RecordListArgs>),
    /// Show a record as it stood at a moment.
    #[command(after_help = examples::STATE)]
    State(Box<StateArgs>),
    /// Show every state that a record had.
    #[command(after_help = examples::STATES)]
    States(Box<RecordListArgs>),
    /// Show several records as they stood at one moment.
    #[command(after_help = examples::AT)]
    At(Box<AtArgs>),
    /// Show what changed in a record between two moments, as RFC 6902.
    #[command(after_help = examples::DIFF)]
    Diff(Box<DiffArgs>),
    /// Show what undoes all changes of a record since a moment, as RFC 6902. Nothing is changed.
    #[command(after_help = examples::REVERT)]
    Revert(Box<RevertArgs>),
    /// Show changes by actor, table, operation, field, request, transaction, migration or time; of the last 24 hours,
    /// where no time is given.
    #[command(after_help = examples::CHANGES)]
    Changes(Box<ChangesArgs>),
    /// Tell changes in sentences; of the last 24 hours, where no time is given.
    #[command(after_help = examples::FEED)]
    Feed(Box<ChangesArgs>),
    /// Count changes; of the last 24 hours, where no time is given.
    #[command(after_help = examples::COUNTS)]
    Counts(Box<CountsArgs>),
    /// Show bulk operations: more changes in a window than a threshold; of the last 24 hours, where no time is given.
    #[command(after_help = examples::BURSTS)]
    Bursts(Box<BurstsArgs>),
    /// Show where a record, or any record of a table, was changed past the audit, or an event is missing.
    #[command(after_help = examples::GAPS)]
    Gaps(Box<GapsArgs>),
}

/// An id that a record can have.
fn record_id(text: &str) -> Result<RecordId, String> {
    if text.is_empty() {
        Err("expected the id of a record".to_owned())
    } else {
        text.parse().map_err(|error: RecordIdError| error.to_string())
    }
}

/// A top-level name, or the JSON Pointer to it, as changes show it.
fn field(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return if text.is_empty() { Err("expected a name".to_owned()) } else { Ok(text.to_owned()) };
    }
    let pointer: Pointer = text.parse().map_err(|_| "expected a name, or a JSON Pointer such as /status".to_owned())?;
    let names: Vec<String> = pointer.segments().map(|name| name.into_owned()).collect();
    match &names[..] {
        [name] => Ok(name.clone()),
        [name, ..] => Err(format!("changes are found by top-level names: write {name}, of which {text} is a part")),
        [] => Err("expected a name".to_owned()),
    }
}

fn api_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_url = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@".contains(&byte));
    if is_url { Ok(text.to_owned()) } else { Err("expected a URL such as https://trail.example.com".to_owned()) }
}
