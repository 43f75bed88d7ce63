//! `afterimage replay`: its flags, and its settings checked.

use std::path::PathBuf;
use std::sync::Arc;

use afterimage_consumer::Pipeline;
use afterimage_diff::{RuleBlock, Rules};
use clap::Args;
use clap::builder::BoolishValueParser;

use super::args::{EventArgs, StoreArgs};
use super::{BadConfig, StoreConfig, worker};

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ReplayArgs {
    /// The file, `-` for standard input: one event a line, or one letter of `dlq export`, or one entry of `export`.
    file: PathBuf,
    /// Let the events of the file take the place of those with the same id: stored with a higher revision.
    #[arg(long, value_parser = BoolishValueParser::new())]
    correct: bool,
    /// Do nothing; say what would be done.
    #[arg(long, value_parser = BoolishValueParser::new())]
    dry_run: bool,
    /// End at the first line that is refused.
    #[arg(long, value_parser = BoolishValueParser::new())]
    strict: bool,
    /// Print JSON instead of a table.
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,
    #[command(flatten)]
    events: EventArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// What to feed to which store.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ReplayConfig {
    pub(crate) file: PathBuf,
    pub(crate) pipeline: Pipeline,
    /// Those of the pipeline.
    pub(crate) rules: Arc<Rules>,
    pub(crate) store: StoreConfig,
    /// As whom entries are stored.
    pub(crate) worker: String,
    pub(crate) is_correction: bool,
    pub(crate) is_dry_run: bool,
    pub(crate) is_strict: bool,
    pub(crate) json: bool,
}

impl ReplayConfig {
    pub(super) fn new(
        args: ReplayArgs,
        store: StoreConfig,
        blocks: Vec<RuleBlock>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, BadConfig> {
        let (events, rules) = worker::reading(args.events, blocks, warnings)?;
        let rules = Arc::new(rules);
        Ok(Self {
            file: args.file,
            pipeline: Pipeline::new(events, rules.clone()),
            rules,
            store,
            worker: worker::worker_name(None)?,
            is_correction: args.correct,
            is_dry_run: args.dry_run,
            is_strict: args.strict,
            json: args.json,
        })
    }
}
