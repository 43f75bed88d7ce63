//! `afterimage-bench`: the load, the rivals, and the comparisons of `make bench`.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod compare;
mod fill;
mod null_worker;
mod queue;

use std::net::SocketAddr;

use afterimage_bench::{Envelope, Load, Settings};
use afterimage_embedded_queue::Faults;
use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Debug, Parser)]
#[command(about = "The load, the rivals, and the comparisons of `make bench`")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print event bodies, one a line (bodies in notifications span several lines).
    Load(LoadArgs),
    /// Send events to a queue.
    Fill {
        #[command(flatten)]
        load: LoadArgs,
        /// The queue.
        #[arg(long)]
        queue_url: String,
    },
    /// Receive and delete with the bare SDK, and nothing else: what every worker must pay.
    NullWorker {
        /// The queue.
        #[arg(long)]
        queue_url: String,
        /// Receives under way at once; each deletes what it received before it receives again.
        #[arg(long, default_value_t = 8)]
        pollers: usize,
        /// End after so many messages.
        #[arg(long)]
        messages: u64,
    },
    /// Run the embedded queue as a process of its own, until SIGTERM; prints its endpoint.
    QueueServer {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// MiB that all messages may take together.
        #[arg(long, default_value_t = 4096)]
        memory_mib: usize,
        /// What goes wrong on purpose, for example `seed=7,throttle=0.05,cut-after=0.01@DeleteMessageBatch`.
        #[arg(long, default_value = "")]
        faults: Faults,
    },
    /// Measure the CPU of the whole worker beside the null worker.
    Cpu(compare::CpuArgs),
    /// Measure the worker's peak memory.
    Memory(compare::MemoryArgs),
}

/// The load.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Equal seeds give equal events.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many events.
    #[arg(long, default_value_t = 50_000)]
    pub(crate) events: u64,
    /// Shortest event with two images, in bytes.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) body_bytes_min: usize,
    /// Longest event, in bytes.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) body_bytes_max: usize,
    /// Records alive at most.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) records: usize,
    /// How events are wrapped.
    #[arg(long, value_enum, default_value_t = EnvelopeArg::Bare)]
    pub(crate) envelope: EnvelopeArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EnvelopeArg {
    Bare,
    Sns,
}

impl LoadArgs {
    pub(crate) fn load(&self) -> Load {
        Load::new(Settings {
            seed: self.seed,
            events: self.events,
            body_bytes_min: self.body_bytes_min,
            body_bytes_max: self.body_bytes_max,
            records: self.records,
            envelope: match self.envelope {
                EnvelopeArg::Bare => Envelope::Bare,
                EnvelopeArg::Sns => Envelope::Sns,
            },
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Load(load) => load.load().for_each(|body| println!("{body}")),
        Command::Fill { load, queue_url } => {
            let sqs = queue::client(&queue_url).await?;
            let started = std::time::Instant::now();
            let sent = fill::fill(&sqs, &queue_url, load.load()).await?;
            println!("{} events, {} bytes in {:.1?}", sent.events, sent.bytes, started.elapsed());
        }
        Command::NullWorker { queue_url, pollers, messages } => {
            let sqs = queue::client(&queue_url).await?;
            let report = null_worker::run(&sqs, &queue_url, pollers, messages).await?;
            println!("{report}");
        }
        Command::QueueServer { listen, memory_mib, faults } => queue::serve(listen, memory_mib << 20, faults).await?,
        Command::Cpu(args) => compare::cpu(args).await?,
        Command::Memory(args) => compare::memory(args).await?,
    }
    Ok(())
}
