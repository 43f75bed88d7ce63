//! Measures one differ on all cases: a line `name <TAB> case <TAB> bytes of a pair <TAB> nanoseconds for a pair`.

use crate::pairs;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Runs `differ` on the pairs of each case and prints the median of several samples, in CPU time of this thread.
pub(crate) fn run<R>(name: &str, differ: impl Fn(&str, &str) -> R) {
    const SAMPLES: usize = 15;
    const SAMPLE_TIME: Duration = Duration::from_millis(4);
    for case in pairs::cases() {
        let once = || case.pairs.iter().for_each(|(before, after)| drop(std::hint::black_box(differ(before, after))));
        // Also warms up.
        let mut rounds = 1_u32;
        while time(rounds, once) < SAMPLE_TIME {
            rounds *= 2;
        }
        let mut samples: Vec<_> = (0..SAMPLES).map(|_| time(rounds, once)).collect();
        samples.sort_unstable();
        let pairs = case.pairs.len();
        let nanoseconds = samples[SAMPLES / 2].as_nanos() as f64 / f64::from(rounds) / pairs as f64;
        let bytes = case.pairs.iter().map(|(before, after)| before.len() + after.len()).sum::<usize>() / pairs;
        println!("{name}\t{}\t{bytes}\t{nanoseconds:.1}", case.name);
    }
}

fn time(rounds: u32, once: impl Fn()) -> Duration {
    let start = thread_time();
    (0..rounds).for_each(|_| once());
    thread_time() - start
}

fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}
