//! How far a long command is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two words on the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// A line on standard error that says how far it is, where that is a terminal, and goes away in the end.
pub(crate) struct Progress {
    is_shown: bool,
    told_at: Instant,
    has_told: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        // A line that goes away takes a terminal that can take one back.
        let can_erase = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { is_shown: std::io::stderr().is_terminal() && can_erase, told_at: Instant::now(), has_told: false }
    }

    /// Says it, unless it was said just now.
    pub(crate) fn tell(&mut self, how_far: impl FnOnce() -> String) {
        if self.is_shown && self.told_at.elapsed() >= PROGRESS_EVERY {
            self.told_at = Instant::now();
            self.has_told = true;
            self.write(&format!("\r\u{1b}[K{}", how_far()));
        }
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.has_told) {
            self.write("\r\u{1b}[K");
        }
    }

    fn write(&self, text: &str) {
        // Nobody misses progress that cannot be shown.
        let mut stderr = std::io::stderr().lock();
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).ok();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
