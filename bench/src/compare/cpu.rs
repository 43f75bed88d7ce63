//! CPU of the whole worker beside the null worker.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use aws_sdk_sqs::Client;

use super::process::{Measured, measure};
use super::report::{machine, median, table};
use super::rows;
use super::server::Server;
use super::worker::{Store, WorkerArgs};
use crate::{LoadArgs, fill, queue};

/// Events by which rows per event are counted, in a run of its own that is not measured.
const COUNTED_EVENTS: u64 = 2_000;

/// `afterimage-bench cpu`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CpuArgs {
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    /// Times that everything is run.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Most receives under way at once, for every process.
    #[arg(long, default_value_t = 8)]
    pollers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Null,
    Sqlite,
    Cassandra,
}

/// What one kind did, round by round.
#[derive(Debug, Default)]
struct Series {
    cpu_s: Vec<f64>,
    ratio: Vec<f64>,
    rss_mib: Vec<f64>,
    events_per_s: Vec<f64>,
}

/// Measures and prints.
pub(crate) async fn run(args: CpuArgs) -> anyhow::Result<()> {
    println!("{}", machine());
    let bench = Bench::start(args).await?;
    let rows_per_event = bench.rows_per_event().await?;
    let mut series = BTreeMap::<Kind, Series>::new();
    for round in 0..bench.args.rounds {
        for kind in bench.kinds() {
            // Each worker beside a null worker of its own: the machine changes over minutes.
            let null = bench.measure(Kind::Null, round).await?;
            let worker = bench.measure(kind, round).await?;
            bench.note(series.entry(Kind::Null).or_default(), &null, &null);
            bench.note(series.entry(kind).or_default(), &worker, &null);
            eprint_progress(round, kind, &worker, &null);
        }
    }
    println!("{}", bench.method());
    println!("{}", bench.table(&series, &rows_per_event));
    Ok(())
}

#[allow(clippy::print_stderr, reason = "a run takes minutes; the table on stdout stays clean")]
fn eprint_progress(round: usize, kind: Kind, worker: &Measured, null: &Measured) {
    eprintln!("round {round}: {kind:?} {:.2} CPU-s, null {:.2} CPU-s", worker.cpu_s, null.cpu_s);
}

struct Bench {
    args: CpuArgs,
    server: Server,
    sqs: Client,
    folder: tempfile::TempDir,
    /// Queues and keyspaces of two runs at the same server must not meet.
    run: u128,
}

impl Bench {
    async fn start(args: CpuArgs) -> anyhow::Result<Self> {
        let server = Server::start(args.worker.queue_endpoint.as_deref())?;
        let sqs = queue::client(&format!("{}/", server.endpoint)).await?;
        let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Ok(Self { args, server, sqs, folder: tempfile::tempdir()?, run })
    }

    fn kinds(&self) -> Vec<Kind> {
        let cassandra = self.args.worker.cassandra_nodes.as_ref().map(|_| Kind::Cassandra);
        [Kind::Sqlite].into_iter().chain(cassandra).collect()
    }

    /// Fills a queue of its own, runs a process on it, and checks that it is empty then.
    async fn measure(&self, kind: Kind, round: usize) -> anyhow::Result<Measured> {
        let name = format!("bench-{}-{round}-{kind:?}", self.run);
        let url = queue::create(&self.sqs, &name).await?;
        let events = self.args.load.events;
        fill::fill(&self.sqs, &url, self.args.load.load()).await?;
        let measured = match self.store(kind, &format!("r{round}")) {
            None => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["null-worker", "--queue-url", &url, "--messages", &events.to_string()]);
                command.args(["--pollers", &self.args.pollers.to_string()]).stdout(Stdio::null());
                let measured = measure(&mut command).await?;
                ensure!(measured.status.success(), "the null worker ended with {}", measured.status);
                measured
            }
            Some(store) => {
                self.args.worker.migrate(&store)?;
                let pollers = self.args.pollers.to_string();
                let flags = ["--pollers-max", &pollers];
                let run = self.args.worker.run(&store, &url, events, &flags, self.folder.path()).await?;
                self.forget(&store).await?;
                run.measured
            }
        };
        let left = queue::depth(&self.sqs, &url).await?;
        ensure!(left == 0, "{left} messages are left in the queue");
        self.sqs.delete_queue().queue_url(&url).send().await?;
        Ok(measured)
    }

    fn store(&self, kind: Kind, name: &str) -> Option<Store> {
        match kind {
            Kind::Null => None,
            Kind::Sqlite => Some(Store::Sqlite { file: self.folder.path().join(format!("{name}.db")) }),
            Kind::Cassandra => {
                let nodes = self.args.worker.cassandra_nodes.clone()?;
                Some(Store::Cassandra { nodes, keyspace: format!("bench_{}_{name}", self.run) })
            }
        }
    }

    async fn forget(&self, store: &Store) -> anyhow::Result<()> {
        match store {
            Store::Sqlite { file } => Ok(std::fs::remove_file(file)?),
            Store::Cassandra { nodes, keyspace } => rows::drop_keyspace(nodes, keyspace).await,
        }
    }

    /// Rows that each kind of store has after some events, beyond those it had before.
    async fn rows_per_event(&self) -> anyhow::Result<BTreeMap<Kind, f64>> {
        let mut load = self.args.load.clone();
        load.events = COUNTED_EVENTS;
        let mut rows_per_event = BTreeMap::new();
        for kind in self.kinds() {
            let Some(store) = self.store(kind, "rows") else { continue };
            let url = queue::create(&self.sqs, &format!("bench-{}-rows-{kind:?}", self.run)).await?;
            fill::fill(&self.sqs, &url, load.load()).await?;
            self.args.worker.migrate(&store)?;
            let before = count(&store).await?;
            self.args.worker.run(&store, &url, load.events, &[], self.folder.path()).await?;
            let rows = count(&store).await? - before;
            rows_per_event.insert(kind, rows as f64 / COUNTED_EVENTS as f64);
            self.forget(&store).await?;
            self.sqs.delete_queue().queue_url(&url).send().await?;
        }
        Ok(rows_per_event)
    }

    fn note(&self, series: &mut Series, measured: &Measured, null: &Measured) {
        series.cpu_s.push(measured.cpu_s);
        series.ratio.push(measured.cpu_s / null.cpu_s);
        series.rss_mib.push(measured.rss_peak_kib as f64 / 1024.0);
        series.events_per_s.push(self.args.load.events as f64 / measured.wall.as_secs_f64());
    }

    fn method(&self) -> String {
        let CpuArgs { load, rounds, pollers, .. } = &self.args;
        format!(
            "{} events of {} to {} bytes ({:?}, seed {}) in {}, {rounds} rounds of null worker and worker in turn, at \
             most {pollers} pollers each; user and system time of the process from start to end; medians\n",
            load.events, load.body_bytes_min, load.body_bytes_max, load.envelope, load.seed, self.server.name,
        )
    }

    fn table(&self, series: &BTreeMap<Kind, Series>, rows_per_event: &BTreeMap<Kind, f64>) -> String {
        let events = self.args.load.events as f64;
        let lines: Vec<Vec<String>> = series
            .iter()
            .map(|(kind, series)| {
                let cpu_s = median(&series.cpu_s);
                let (min, max) = (
                    series.cpu_s.iter().copied().fold(f64::NAN, f64::min),
                    series.cpu_s.iter().copied().fold(f64::NAN, f64::max),
                );
                let per_million = 1e6 / events;
                let rows = rows_per_event.get(kind).copied();
                vec![
                    format!("{kind:?}").to_lowercase(),
                    format!("{:.1} ({:.1}–{:.1})", cpu_s * per_million, min * per_million, max * per_million),
                    format!("{:.2}", median(&series.ratio)),
                    rows.map_or_else(|| "–".to_owned(), |rows| format!("{rows:.2}")),
                    rows.map_or_else(|| "–".to_owned(), |rows| format!("{:.1}", cpu_s / events / rows * 1e6)),
                    format!("{:.0}", series.rss_mib.iter().copied().fold(0.0, f64::max)),
                    format!("{:.0}", median(&series.events_per_s)),
                ]
            })
            .collect();
        let header = [
            "worker",
            "CPU-s per million events",
            "× null",
            "rows per event",
            "CPU µs per row",
            "peak RSS MiB",
            "events/s",
        ];
        table(&header, &lines)
    }
}

async fn count(store: &Store) -> anyhow::Result<u64> {
    match store {
        Store::Sqlite { file } => rows::in_sqlite(file),
        Store::Cassandra { nodes, keyspace } => rows::in_cassandra(nodes, keyspace).await,
    }
}
