//! `simulate`: runs fleets from seeds on every core, and tells the story of the first that breaks a law.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use afterimage_simulation::{Count, Mutant, Plan, Simulator, Tally, Violation};
use clap::Parser;

/// Runs whole fleets of workers from seeds against a simulated queue, store, network and clock.
#[derive(Parser)]
#[command(name = "simulate")]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed [default: chosen at random]
    #[arg(long)]
    first: Option<u64>,
    /// Threads [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Stop after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// Tell the story of this seed, whether it breaks a law or not
    #[arg(long)]
    story: Option<u64>,
    /// Tell what concerns this message only
    #[arg(long, requires = "story")]
    message: Option<u32>,
    /// Plant a defect in every worker
    #[arg(long)]
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.story {
        Some(seed) => tell(&args, seed),
        None => run(&args),
    }
}

fn plan(args: &Args, seed: u64) -> Plan {
    Plan { mutant: args.mutant, ..Plan::of(seed) }
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
fn tell(args: &Args, seed: u64) -> ExitCode {
    let plan = plan(args, seed);
    let (result, story) = Simulator::new().tell(&plan);
    println!("{plan:#?}\n");
    match args.message {
        Some(message) => print!("{}", story.of_message(message)),
        None => print!("{}", story.all()),
    }
    match result {
        Ok(report) => {
            println!("\nseed {seed} keeps every law\n{}", report.tally);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("\nseed {seed} breaks a law: {violation}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the output of a command")]
fn run(args: &Args) -> ExitCode {
    let first = args.first.unwrap_or_else(|| fastrand::u64(..1 << 48));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.threads.unwrap_or(cores).max(1);
    let began = Instant::now();
    let end = args.seconds.map(|seconds| began + Duration::from_secs(seconds));
    let (next, broken) = (AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new((Tally::default(), None::<(u64, Violation)>));
    println!("seeds {first} to {}, {threads} threads", first + args.seeds.saturating_sub(1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let simulator = Simulator::new();
                let (mut tally, mut found) = (Tally::default(), None);
                while !broken.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= args.seeds {
                        break;
                    }
                    match simulator.run(&plan(args, first + nth)) {
                        Ok(report) => tally += report.tally,
                        Err(violation) => {
                            broken.store(true, Ordering::Relaxed);
                            found = Some((first + nth, violation));
                        }
                    }
                }
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.0 += tally;
                if let Some(found) = found
                    && total.1.as_ref().is_none_or(|(seed, _)| *seed > found.0)
                {
                    total.1 = Some(found);
                }
            });
        }
    });
    let (tally, found) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = began.elapsed().as_secs_f64();
    print!("{tally}");
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    let runs = tally[Count::Runs] as f64;
    println!("{:>16.0} seeds a second, {:.0} a second of one core", runs / seconds, runs / cpu_s);
    match found {
        None => {
            println!("lost 0, doubled 0, altered 0: every law held");
            ExitCode::SUCCESS
        }
        Some((seed, violation)) => {
            explain(args, seed, &violation);
            ExitCode::FAILURE
        }
    }
}

/// What broke, in the smallest plan that still breaks it.
#[expect(clippy::print_stdout, reason = "the output of a command")]
fn explain(args: &Args, seed: u64, violation: &Violation) {
    let simulator = Simulator::new();
    let smallest = simulator.shrink(&plan(args, seed));
    let (result, story) = simulator.tell(&smallest);
    let shown = result.err().unwrap_or_else(|| violation.clone());
    println!("\n{smallest:#?}\n");
    match shown.message {
        Some(message) => print!("{}", story.of_message(message)),
        None => print!("{}", story.all()),
    }
    println!("\nseed {seed} breaks a law: {violation}");
    println!("with the faults {:?} and {} messages: {shown}", smallest.faults, smallest.messages);
    println!("the whole story: simulate --story {seed}");
}
