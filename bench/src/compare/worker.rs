//! The worker under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::process::{Measured, measure};

/// The binary that is measured, and where it stores.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The afterimage binary; beside this one when not given.
    #[arg(long)]
    afterimage: Option<PathBuf>,
    /// A queue server of your own, such as ElasticMQ, by its endpoint URL; else the embedded queue is started as a
    /// process of its own.
    #[arg(long)]
    pub(super) queue_endpoint: Option<String>,
    /// Cassandra nodes, as host:port,…; without them only SQLite is measured.
    #[arg(long, env = "AFTERIMAGE_TEST_CASSANDRA_NODES")]
    pub(super) cassandra_nodes: Option<String>,
    /// Copies with which keyspaces are made.
    #[arg(long, default_value = "datacenter1:1")]
    cassandra_replication: String,
}

/// Where a worker stores.
#[derive(Clone, Debug)]
pub(super) enum Store {
    Sqlite { file: PathBuf },
    Cassandra { nodes: String, keyspace: String },
}

impl Store {
    fn flags(&self) -> Vec<String> {
        let flags: &[(&str, &str)] = match self {
            Self::Sqlite { file } => &[("--store", "sqlite"), ("--sqlite-path", &file.to_string_lossy())],
            Self::Cassandra { nodes, keyspace } => {
                &[("--store", "cassandra"), ("--cassandra-nodes", nodes), ("--cassandra-keyspace", keyspace)]
            }
        };
        flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), (*value).to_owned()]).collect()
    }
}

/// A worker's run.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerRun {
    pub(super) measured: Measured,
    /// Entries made durable, as the worker's own books say.
    pub(super) stored: u64,
}

impl WorkerArgs {
    fn binary(&self) -> anyhow::Result<PathBuf> {
        let binary = match &self.afterimage {
            Some(binary) => binary.clone(),
            None => std::env::current_exe()?.with_file_name("afterimage"),
        };
        ensure!(binary.exists(), "{} is missing: build it, or name it with --afterimage", binary.display());
        Ok(binary)
    }

    /// Prepares the schema, outside of what is measured.
    pub(super) fn migrate(&self, store: &Store) -> anyhow::Result<()> {
        let mut command = Command::new(self.binary()?);
        command.arg("migrate").args(store.flags());
        if matches!(store, Store::Cassandra { .. }) {
            command.args(["--cassandra-replication", &self.cassandra_replication]);
        }
        let output = command.output()?;
        ensure!(output.status.success(), "migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Runs a worker until the queue is empty, and checks by its books that it did the work.
    pub(super) async fn run(
        &self,
        store: &Store,
        queue_url: &str,
        events: u64,
        flags: &[&str],
        folder: &Path,
    ) -> anyhow::Result<WorkerRun> {
        let log_file = folder.join("worker.log");
        let mut command = Command::new(self.binary()?);
        command
            .args(["worker", "--queue-url", queue_url, "--listen", "127.0.0.1:0"])
            .args(["--exit-when-idle", "1s", "--log-format", "json"])
            .args(flags)
            .args(store.flags())
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_REGION", "us-east-1")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log_file)?);
        let measured = measure(&mut command).await?;
        let log = std::fs::read_to_string(&log_file)?;
        let last = log.lines().last().unwrap_or("no log");
        ensure!(measured.status.success(), "the worker ended with {}: {last}", measured.status);
        let books: Value = serde_json::from_str(last).context("the worker's last log line is no JSON")?;
        let book = |name: &str| books[name].as_u64().with_context(|| format!("the worker's books lack {name}: {last}"));
        let (stored, unchanged, decoded) = (book("stored")?, book("unchanged")?, book("decoded")?);
        ensure!(
            decoded >= events && stored + unchanged >= events,
            "the worker did {stored} stored + {unchanged} unchanged of {events} events"
        );
        Ok(WorkerRun { measured, stored })
    }
}
