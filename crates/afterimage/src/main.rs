//! afterimage: the audit trail for teams whose services run on AWS.

mod ask;
mod aws;
mod clock;
mod commands;
mod config;
mod demo;
mod doctor;
mod health;
mod letters;
mod output;
mod progress;
mod render;
mod replay;
mod signals;
mod stores;
mod zone;

use std::process::ExitCode;
use std::time::Duration;

use afterimage_telemetry::{LogFilter, init_logs};

use crate::config::{Config, Task};

/// Bad configuration: `EX_USAGE` of sysexits.h.
const EXIT_USAGE: u8 = 64;
/// Threads that block (a store's file, a name being resolved) get so long to end; then the process ends without them.
const BLOCKING_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    let config = match config::load(&argv) {
        Ok(config) => config,
        Err(config::Stop::Shown(help)) => return ExitCode::from(u8::from(help.print().is_err())),
        Err(config::Stop::Bad(bad)) => {
            output::complain(bad);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let global = &config.global;
    let filter = global.log_level.clone().unwrap_or_else(|| default_filter(&config.task));
    // To the end: it writes the last lines.
    let _logs = match init_logs(global.log_format, &filter) {
        Ok(logs) => logs,
        Err(error) => {
            output::complain(format!("{:#}", anyhow::Error::from(error)));
            return ExitCode::FAILURE;
        }
    };
    let is_service = matches!(config.task, Task::Worker(_) | Task::Serve(_));
    match live(config) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            if is_service {
                tracing::error!("{error:#}");
            } else {
                output::complain(format!("{error:#}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// The life of a process that has its configuration.
fn live(config: Config) -> anyhow::Result<commands::Outcome> {
    // One TLS provider for everything in the process; whoever comes later finds it installed.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    for note in &config.notes {
        output::warn(note);
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // One thread for everything that waits: a worker's messages go from task to task, and waking another thread for each
    // step costs a tenth of its CPU. Stores that block have threads of their own; more cores serve more replicas.
    //
    // Answers are different: each is work of its own, and writing and compressing a large one must not hold up the others.
    let mut runtime = match config.task {
        Task::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let outcome = runtime.block_on(async {
        let stop = signals::Stop::on_signals()?;
        commands::run(config, stop).await
    });
    runtime.shutdown_timeout(BLOCKING_WAIT);
    outcome
}

/// What is logged when nobody says it. Whoever asks a question wants its answer.
fn default_filter(task: &Task) -> LogFilter {
    let text = match task {
        Task::Worker(_) | Task::Serve(_) => "info",
        Task::Migrate(_) => "warn",
        _ => "error",
    };
    text.parse().unwrap_or_default()
}
