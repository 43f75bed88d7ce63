//! `afterimage dlq`: its flags, and its settings checked.

use std::time::Duration;

use afterimage_diff::{RuleBlock, Rules};
use afterimage_event::Settings;
use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::args::{EventArgs, StoreArgs, http_url};
use super::ask::PeriodArgs;
use super::asked::Today;
use super::examples;
use super::units::{count, duration};
use super::{BadConfig, StoreConfig, worker};
use crate::letters::{Filter, Selection};

/// Shortest time that letters are held: leases are whole seconds, and extended when half of them has passed.
const HOLD_MIN: Duration = Duration::from_secs(2);
/// Longest: SQS takes twelve hours, counted from the receive.
const HOLD_MAX: Duration = Duration::from_secs(11 * 3600);

#[derive(Debug, Args)]
pub(crate) struct DlqArgs {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: DlqCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum DlqCommand {
    /// Count the dead letters by their kind, and list them.
    #[command(after_help = examples::DLQ_LS)]
    Ls(Box<LsArgs>),
    /// Show one letter: why it died, where in its body, how it is read now, and whether the trail has it.
    #[command(after_help = examples::DLQ_SHOW)]
    Show(Box<ShowArgs>),
    /// Send letters back to their queue, as the messages they were; or store them from here.
    #[command(after_help = examples::DLQ_REDRIVE)]
    Redrive(Box<RedriveArgs>),
    /// Write letters out as NDJSON, bodies and attributes whole. Nothing is removed.
    #[command(after_help = examples::DLQ_EXPORT)]
    Export(Box<ExportArgs>),
}

/// Which letters, and how they are read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Letters")]
pub(super) struct LookArgs {
    /// The queue of dead letters. A worker puts there what it cannot understand; without it that is left to the
    /// redrive policy of its queue.
    #[arg(long, value_name = "URL", value_parser = http_url, required = true)]
    dlq_url: String,
    /// Only letters for which this holds, as KEY=GLOB; may be given several times: of one key any, of several keys all.
    /// Keys: id, reason, via, format, source, table, worker, event (index of one that failed), now, trail.
    #[arg(long, value_name = "KEY=GLOB")]
    filter: Vec<Filter>,
    #[command(flatten)]
    period: PeriodArgs,
    /// Most letters to look at. What is left out is said.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1_000_000), default_value = "100000")]
    look_max: u32,
    /// How long letters that are looked at stay hidden from others should this process be killed. Otherwise they are given
    /// back when it ends.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    hold: Duration,
    #[command(flatten)]
    events: EventArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Args)]
pub(super) struct LsArgs {
    #[command(flatten)]
    look: LookArgs,
    /// What makes a kind of letter: via, reason, format, source, table, worker, day, now, trail.
    #[arg(long, value_name = "KEYS", value_delimiter = ',', default_values = ["reason", "format", "source", "worker", "day"])]
    by: Vec<By>,
    /// Most items to show.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=1000), default_value = "100")]
    limit: u32,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The letter: its message id, or the one it had when it was sent first.
    message_id: String,
    #[command(flatten)]
    look: LookArgs,
    /// Show values too. Without it only names, kinds and lengths are shown.
    #[arg(long, value_parser = BoolishValueParser::new())]
    raw: bool,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    look: LookArgs,
    /// The SQS queue that change events come in.
    #[arg(long, value_name = "URL", value_parser = http_url, required_unless_present = "into_store")]
    queue_url: Option<String>,
    /// Do nothing; say what would be done.
    #[arg(long, value_parser = BoolishValueParser::new())]
    dry_run: bool,
    /// Only letters that are understood now, by the settings given here.
    #[arg(long, value_parser = BoolishValueParser::new())]
    check: bool,
    /// Leave letters that are in the trail already.
    #[arg(long, value_parser = BoolishValueParser::new(), conflicts_with = "delete_stored")]
    skip_stored: bool,
    /// Remove letters that are in the trail already instead of sending them: they are stored again, which has no effect,
    /// so that the store itself vouches for them.
    #[arg(long, value_parser = BoolishValueParser::new())]
    delete_stored: bool,
    /// Send nothing: read the letters by the settings given here, store what they hold, and remove each once it is durable.
    #[arg(long, value_parser = BoolishValueParser::new())]
    into_store: bool,
    /// Most letters treated in a second.
    #[arg(long, value_name = "COUNT", value_parser = count::<u32>(1..=10_000), default_value = "100")]
    redrive_rate: u32,
    /// End after that many letters.
    #[arg(long, value_name = "COUNT", value_parser = count::<u64>(1..=u64::MAX))]
    stop_after: Option<u64>,
    /// Do not ask. (Only in a terminal is anything asked.)
    #[arg(long, value_parser = BoolishValueParser::new())]
    yes: bool,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    look: LookArgs,
    /// End after that many letters.
    #[arg(long, value_name = "COUNT", value_parser = count::<u64>(1..=u64::MAX))]
    stop_after: Option<u64>,
}

/// What letters can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// How it came to be a dead letter.
    Via,
    /// The reason's code.
    Reason,
    /// What it is taken for.
    Format,
    /// The source of its events.
    Source,
    /// The table of its events.
    Table,
    /// The worker that gave it up.
    Worker,
    /// The day it was sent to this queue.
    Day,
    /// How it is read now.
    Now,
    /// Whether the trail has it.
    Trail,
}

impl By {
    /// Its name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Via => "via",
            Self::Reason => "reason",
            Self::Format => "format",
            Self::Source => "source",
            Self::Table => "table",
            Self::Worker => "worker",
            Self::Day => "day",
            Self::Now => "now",
            Self::Trail => "trail",
        }
    }
}

/// Letters that can be looked at.
#[derive(Debug)]
pub(crate) struct DlqConfig {
    pub(crate) dlq_url: String,
    pub(crate) selection: Selection,
    pub(crate) look_max: usize,
    pub(crate) hold: Duration,
    /// How letters are read.
    pub(crate) events: Settings,
    pub(crate) rules: Rules,
    /// Where the trail is, when that was said.
    pub(crate) store: Option<StoreConfig>,
    pub(crate) action: DlqAction,
}

/// What to do with them.
#[derive(Debug)]
pub(crate) enum DlqAction {
    Ls { by: Vec<By>, limit: usize, json: bool },
    Show { message_id: String, raw: bool, json: bool },
    Redrive(Redrive),
    Export { stop_after: u64 },
}

/// How to send letters back.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Redrive {
    /// The queue they go to; absent when they are stored from here.
    pub(crate) queue_url: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) check: bool,
    pub(crate) stored: Stored,
    /// Letters a second.
    pub(crate) rate: u32,
    pub(crate) stop_after: u64,
    pub(crate) yes: bool,
    pub(crate) json: bool,
    /// As whom entries are stored from here.
    pub(crate) worker: String,
}

/// What to do with letters that are in the trail already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// As with any other.
    Send,
    /// Leave them.
    Skip,
    /// Remove them.
    Delete,
}

impl DlqCommand {
    fn look(&self) -> &LookArgs {
        match self {
            Self::Ls(args) => &args.look,
            Self::Show(args) => &args.look,
            Self::Redrive(args) => &args.look,
            Self::Export(args) => &args.look,
        }
    }

    pub(super) fn store(&self) -> &StoreArgs {
        &self.look().store
    }
}

impl DlqConfig {
    /// Refuses what cannot work. `store` is there when somebody said where the trail is.
    pub(super) fn new(
        args: DlqArgs,
        store: Option<StoreConfig>,
        blocks: Vec<RuleBlock>,
        today: &Today,
    ) -> Result<Self, BadConfig> {
        let look = args.command.look().clone();
        if !(HOLD_MIN..=HOLD_MAX).contains(&look.hold) {
            return Err(BadConfig::at("--hold", "expected 2s to 11h"));
        }
        if store.is_none() && look.filter.iter().any(Filter::needs_trail) {
            return Err(needs_store("--filter trail=…"));
        }
        // What is unwise for a worker was said to its operator.
        let (events, rules) = worker::reading(look.events, blocks, &mut Vec::new())?;
        let period = today.period(&look.period)?;
        let action = action(args.command, &look.dlq_url, store.is_some())?;
        Ok(Self {
            dlq_url: look.dlq_url,
            selection: Selection { filters: look.filter, from: period.from, to: period.to },
            look_max: look.look_max as usize,
            hold: look.hold,
            events,
            rules,
            store,
            action,
        })
    }
}

fn action(command: DlqCommand, dlq_url: &str, has_store: bool) -> Result<DlqAction, BadConfig> {
    Ok(match command {
        DlqCommand::Ls(args) => {
            if !has_store && args.by.contains(&By::Trail) {
                return Err(needs_store("--by trail"));
            }
            DlqAction::Ls { by: args.by, limit: args.limit as usize, json: args.json }
        }
        DlqCommand::Show(args) => DlqAction::Show { message_id: args.message_id, raw: args.raw, json: args.json },
        DlqCommand::Export(args) => DlqAction::Export { stop_after: args.stop_after.unwrap_or(u64::MAX) },
        DlqCommand::Redrive(args) => {
            for (flag, is_set) in [
                ("--skip-stored", args.skip_stored),
                ("--delete-stored", args.delete_stored),
                ("--into-store", args.into_store),
            ] {
                if is_set && !has_store {
                    return Err(needs_store(flag));
                }
            }
            let queue_url = args.queue_url.filter(|_| !args.into_store);
            if queue_url.as_deref() == Some(dlq_url) {
                return Err(BadConfig::at("--queue-url", "is the queue of dead letters itself"));
            }
            DlqAction::Redrive(Redrive {
                queue_url,
                dry_run: args.dry_run,
                check: args.check,
                stored: match (args.skip_stored, args.delete_stored) {
                    (true, _) => Stored::Skip,
                    (false, true) => Stored::Delete,
                    (false, false) => Stored::Send,
                },
                rate: args.redrive_rate,
                stop_after: args.stop_after.unwrap_or(u64::MAX),
                yes: args.yes,
                json: args.json,
                worker: worker::worker_name(None)?,
            })
        }
    })
}

fn needs_store(flag: &str) -> BadConfig {
    BadConfig::at(flag, "needs the trail: set --store, or --sqlite-path")
}
