//! The way of log lines to standard error, on which nobody waits.
//!
//! Standard error is a pipe to a collector that may stop reading, or a file on a disk that is full. Writing there from
//! where the work is done would stop the work with it, health page included. So one thread writes; what it cannot take
//! is dropped, counted, and told of once lines go through again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait: about 1 MB of ours. Bursts are shorter.
const LINES_MAX: usize = 4096;
/// Longest wait for the last lines when the process ends.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

/// Lines that standard error did not take. A process has one log, and its registries show this.
pub(crate) static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    IntCounter::new("afterimage_log_lines_dropped_total", "Lines of the log that standard error did not take.")
        .unwrap_or_else(|_| unreachable!("the name is a metric's"))
});

enum Job {
    Line(Vec<u8>),
    /// Answered when all lines before it are written.
    Flush(Sender<()>),
}

/// Where a log writes its lines. A line is one call of `write`.
#[derive(Clone, Debug)]
pub(crate) struct Outlet {
    jobs: Sender<Job>,
    untold: Arc<AtomicU64>,
}

/// The log of this process. Dropping it waits for the last lines, for a second at most.
#[derive(Debug)]
#[must_use = "the last lines are lost without it"]
pub struct Logs {
    jobs: Sender<Job>,
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.written_within(LAST_LINES_MAX);
    }
}

impl Logs {
    /// Waits until every line before this call is written, or that long.
    fn written_within(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let (written, wait) = bounded(1);
        // Behind as many lines as may wait there is no room for this either, until the thread has taken one.
        if self.jobs.send_deadline(Job::Flush(written), until).is_ok() {
            let _written_or_given_up = wait.recv_deadline(until);
        }
    }
}

impl Outlet {
    /// Starts the thread that writes to `end`.
    pub(crate) fn start(end: impl Write + Send + 'static) -> io::Result<(Self, Logs)> {
        let (jobs, queue) = bounded(LINES_MAX);
        let untold = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&untold);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(end, &queue, &told))?;
        Ok((Self { jobs: jobs.clone(), untold }, Logs { jobs }))
    }
}

fn drop_line(untold: &AtomicU64) {
    DROPPED.inc();
    untold.fetch_add(1, Ordering::Relaxed);
}

/// Until the process ends: the log is as old as it.
fn write(mut end: impl Write, queue: &Receiver<Job>, untold: &AtomicU64) {
    while let Ok(job) = queue.recv() {
        match job {
            Job::Line(line) => match end.write_all(&line).and_then(|()| end.flush()) {
                Ok(()) => match untold.swap(0, Ordering::Relaxed) {
                    0 => {}
                    lines => tracing::warn!(lines, "log lines were dropped: standard error did not take them"),
                },
                Err(_) => drop_line(untold),
            },
            Job::Flush(written) => {
                // Whoever waited may have given up.
                let _unheard = written.send(());
            }
        }
    }
}

impl Write for Outlet {
    /// Takes every line: whoever logs can do nothing about a log that fails, and has other work.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.jobs.try_send(Job::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => drop_line(&self.untold),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Outlet {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Longer than any machine keeps a thread from running.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Takes a line only while the test holds no lock on it, and fails where it is told to.
    #[derive(Clone, Default)]
    struct Reader(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut reader = self.0.lock().unwrap();
            if reader.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            reader.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_logs_does_not_wait_for_a_reader_that_stopped() {
        let reader = Reader::default();
        let (mut outlet, logs) = Outlet::start(reader.clone()).unwrap();
        let stopped = reader.0.lock().unwrap();
        for n in 0..2 * LINES_MAX {
            assert_eq!(outlet.write(format!("{n}\n").as_bytes()).unwrap(), format!("{n}\n").len());
        }
        // One line may be on its way to the reader.
        let dropped = outlet.untold.load(Ordering::Relaxed);
        assert!((LINES_MAX as u64 - 1..=LINES_MAX as u64).contains(&dropped), "{dropped}");
        drop(stopped);
        logs.written_within(PATIENCE);
        let read = String::from_utf8(reader.0.lock().unwrap().0.clone()).unwrap();
        assert!(read.starts_with("0\n1\n2\n"), "the first lines were waiting");
        assert_eq!(read.lines().count() as u64, 2 * LINES_MAX as u64 - dropped);
    }

    #[test]
    fn a_reader_that_fails_costs_lines_and_nothing_else() {
        let reader = Reader::default();
        reader.0.lock().unwrap().1 = true;
        let (mut outlet, logs) = Outlet::start(reader.clone()).unwrap();
        outlet.write_all(b"lost\n").unwrap();
        logs.written_within(PATIENCE);
        assert_eq!(outlet.untold.load(Ordering::Relaxed), 1);
        reader.0.lock().unwrap().1 = false;
        outlet.write_all(b"read\n").unwrap();
        logs.written_within(PATIENCE);
        assert_eq!(reader.0.lock().unwrap().0, b"read\n");
        assert_eq!(outlet.untold.load(Ordering::Relaxed), 0, "it was told");
    }
}
