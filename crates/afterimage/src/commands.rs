//! What each command does, from its settings to its exit code.

mod completions;
mod demo;
pub(crate) mod dlq;
mod doctor;
mod export;
mod health;
mod migrate;
mod questions;
mod replay;
mod serve;
mod token;
mod worker;

use std::process::ExitCode;

use crate::config::{Config, Task};
use crate::render::Screen;
use crate::signals::Stop;

/// What runs.
const BUILD: afterimage_telemetry::Build = afterimage_telemetry::Build {
    version: env!("CARGO_PKG_VERSION"),
    revision: match option_env!("AFTERIMAGE_REVISION") {
        Some(revision) => revision,
        None => "unknown",
    },
};

/// How a command ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// A worker that ended when idle had to put messages with the dead letters.
    DeadLettered,
    /// The trail has no such record, or the queue no such letter.
    NoSuchRecord,
    /// The doctor found something that loses changes.
    Unfit,
    /// Some letters were not seen, or stayed; some lines of a file were not taken.
    Incomplete,
    /// The answer holds something, and a script wants to know.
    Found,
    /// The question makes no sense.
    Misasked,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::DeadLettered => Self::from(3),
            Outcome::NoSuchRecord => Self::from(4),
            Outcome::Unfit => Self::from(5),
            Outcome::Incomplete => Self::from(6),
            Outcome::Found => Self::from(7),
            Outcome::Misasked => Self::from(crate::EXIT_USAGE),
        }
    }
}

/// Runs the command until it is done or told to end.
pub(crate) async fn run(config: Config, stop: Stop) -> anyhow::Result<Outcome> {
    match config.task {
        Task::Worker(config) => worker::run(*config, stop).await,
        Task::Serve(config) => serve::run(*config, stop).await,
        Task::Migrate(store) => migrate::run(&store).await,
        Task::Demo(args) => demo::run(&args, stop).await,
        Task::Doctor(doctor) => doctor::run(&doctor, &config.warnings).await,
        Task::Ask(ask) => questions::run(*ask, &Screen::stdout(config.zone), &stop).await,
        Task::Export(export) => export::run(*export, &stop).await,
        Task::Replay(replay) => replay::run(*replay, &Screen::stdout(config.zone), &stop).await,
        Task::Health(listen) => health::run(listen),
        Task::Completions(shell, command) => completions::run(shell, *command),
        Task::Dlq(dlq) => dlq::run(*dlq, Screen::stdout(config.zone), stop).await,
        Task::NewToken(args) => token::new(&args),
    }
}
