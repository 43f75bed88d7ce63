//! Peak memory of the worker, at its defaults.

use super::report::{machine, table};
use super::server::Server;
use super::worker::{Store, WorkerArgs};
use crate::{EnvelopeArg, LoadArgs, fill, queue};

/// The default of `afterimage worker --memory-cap`.
const CAP_MIB: u64 = 96;
/// What the whole process may take beyond it.
const BEYOND_CAP_MIB: u64 = 100;
/// What it may take with many small messages queued.
const SMALL_MIB: u64 = 150;

/// `afterimage-bench memory`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MemoryArgs {
    #[command(flatten)]
    worker: WorkerArgs,
    /// Messages of 3 KB that are queued.
    #[arg(long, default_value_t = 100_000)]
    small: u64,
    /// Messages of 1 MiB that follow them at once, in the second scenario.
    #[arg(long, default_value_t = 400)]
    large: u64,
}

/// Measures and prints. Fails when a limit is passed.
pub(crate) async fn run(args: MemoryArgs) -> anyhow::Result<()> {
    println!("{}", machine());
    let server = Server::start(args.worker.queue_endpoint.as_deref())?;
    println!("peak resident memory of a worker with SQLite at its defaults, messages in {}\n", server.name);
    let sqs = queue::client(&format!("{}/", server.endpoint)).await?;
    let scenarios = [(args.small, 0, SMALL_MIB), (args.small / 5, args.large, CAP_MIB + BEYOND_CAP_MIB)];
    let (mut lines, mut is_within) = (Vec::new(), true);
    for (small, large, limit_mib) in scenarios {
        let url = queue::create(&sqs, &format!("bench-memory-{}-{large}", std::process::id())).await?;
        // Of few records, so that nearly all of the large ones have two images and are as long as they may be.
        let bodies = load(small, 3_000, 2_000).load().chain(load(large, 1_048_576, 8).load());
        fill::fill(&sqs, &url, bodies).await?;
        let folder = tempfile::tempdir()?;
        let store = Store::Sqlite { file: folder.path().join("memory.db") };
        let run = args.worker.run(&store, &url, small, &[], folder.path()).await?;
        sqs.delete_queue().queue_url(&url).send().await?;
        let peak_mib = run.measured.rss_peak_kib as f64 / 1024.0;
        is_within &= peak_mib <= limit_mib as f64;
        lines.push(vec![
            if large == 0 { format!("{small} × 3 KB") } else { format!("{small} × 3 KB, then {large} × 1 MiB") },
            format!("{peak_mib:.0}"),
            format!("{limit_mib}"),
            run.stored.to_string(),
        ]);
    }
    println!("{}", table(&["queued", "peak RSS MiB", "limit MiB", "entries stored"], &lines));
    anyhow::ensure!(is_within, "a limit was passed");
    Ok(())
}

fn load(events: u64, body_bytes: usize, records: usize) -> LoadArgs {
    // Seeds differ by length, so that the second load is of other events, not of the first ones told again.
    LoadArgs {
        seed: body_bytes as u64,
        events,
        body_bytes_min: body_bytes,
        body_bytes_max: body_bytes,
        records,
        envelope: EnvelopeArg::Bare,
    }
}
