//! `afterimage-bench-questions`: fills a trail as workers do, size after size, and asks it every question at each size.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod ask;
mod fill;
mod history;
mod meter;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afterimage_store::Lookup;
use afterimage_store_cassandra::{Asked, CassandraStore, Config};
use afterimage_store_sqlite::{Options, SqliteStore};
use clap::{Args, Parser, Subcommand};

use fill::{Filled, Pace};
use history::History;
use meter::{Metered, Read, Teller};
use report::Round;

#[derive(Debug, Parser)]
#[command(about = "Fills a trail size after size, and tells how long each question takes at each size")]
struct Cli {
    #[command(subcommand)]
    store: StoreArgs,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Subcommand)]
enum StoreArgs {
    /// A SQLite file.
    Sqlite {
        /// The file; it stays, so that a later run can go on with it.
        #[arg(long)]
        file: PathBuf,
    },
    /// A keyspace of a Cassandra cluster.
    Cassandra {
        /// Nodes, `host:port`, with commas between.
        #[arg(long, env = "AFTERIMAGE_TEST_CASSANDRA_NODES", hide_env_values = true)]
        nodes: String,
        /// The keyspace; made with one copy where it is missing, and not removed.
        #[arg(long, default_value = "questions")]
        keyspace: String,
    },
}

#[derive(Debug, Args)]
struct Asking {
    /// Entries at which to ask, growing.
    #[arg(long, global = true, value_delimiter = ',', default_value = "100000,1000000")]
    sizes: Vec<u64>,
    /// How many entries the store has, of an earlier run with the same seed.
    #[arg(long, global = true, default_value_t = 0)]
    filled: u64,
    /// How often to ask each question.
    #[arg(long, global = true, default_value_t = 200)]
    times: usize,
    /// Only the questions whose name has this text: for a profiler.
    #[arg(long, global = true, default_value = "")]
    only: String,
    /// Equal seeds give equal trails and questions.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// Entries of one append, and appends at the same time.
    #[arg(long, global = true, default_value_t = 1_000)]
    batch: usize,
    #[arg(long, global = true, default_value_t = 2)]
    appends: usize,
    /// A file that keeps what was measured: a later run shows it beside its own sizes.
    #[arg(long, global = true)]
    results: Option<PathBuf>,
    /// A document to write the table into, between the markers of the store.
    #[arg(long, global = true)]
    document: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let store = match cli.store {
        StoreArgs::Sqlite { file } => {
            let store = Arc::new(SqliteStore::open(&file, &Options::default())?);
            Opened { name: "SQLite", store, file: Some(file), teller: None }
        }
        StoreArgs::Cassandra { nodes, keyspace } => {
            let mut config = Config::new(nodes.split(',').map(str::to_owned).collect(), keyspace);
            config.replication = Some("datacenter1:1".parse()?);
            // A busy machine: an answer that takes long is measured, not an error.
            config.request_timeout = Duration::from_secs(30);
            let store = Arc::new(CassandraStore::new(config)?);
            let asked = Arc::clone(&store);
            let teller: Teller = Arc::new(move || {
                let Asked { requests, rows } = asked.asked();
                Read { calls: requests, rows }
            });
            Opened { name: "Cassandra", store, file: None, teller: Some(teller) }
        }
    };
    store.store.migrate().await?;
    run(&store, &cli.asking).await?;
    store.store.close().await;
    Ok(())
}

/// A store, and what can be told of it from outside.
struct Opened {
    name: &'static str,
    store: Arc<dyn Lookup>,
    file: Option<PathBuf>,
    teller: Option<Teller>,
}

async fn run(opened: &Opened, asking: &Asking) -> anyhow::Result<()> {
    let Opened { name, store, file, teller } = opened;
    let mut history = History::new(asking.seed);
    for _ in 0..asking.filled {
        history.next();
    }
    let pace = Pace { batch: asking.batch, appends: asking.appends };
    let mut rounds: Vec<Round> = asking.results.as_deref().map(report::earlier).transpose()?.unwrap_or_default();
    for &entries in &asking.sizes {
        let filled = match entries > history.len() {
            true => fill::fill(store, &mut history, entries, pace).await?,
            false => Filled::default(),
        };
        let before = report::load_average();
        let measured = ask::ask_all(
            Arc::new(Metered::new(Arc::clone(store), teller.clone())),
            &history,
            asking.times,
            &asking.only,
        )
        .await?;
        rounds.push(Round {
            entries: history.len(),
            filled,
            store_bytes: file.as_ref().and_then(|file| file.metadata().ok()).map(|file| file.len()),
            load: (before, report::load_average()),
            memory_available_bytes: report::memory("MemAvailable:"),
            measured,
        });
        rounds.sort_by_key(|round| round.entries);
        if let Some(file) = &asking.results {
            report::keep(file, &rounds)?;
        }
        let section = report::section(name, &rounds, asking.times)?;
        println!("{section}");
        if let Some(document) = &asking.document {
            report::write_into(document, &name.to_lowercase(), &section)?;
        }
    }
    Ok(())
}
