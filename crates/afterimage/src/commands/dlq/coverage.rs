//! How much of a queue was looked at: nothing is left out in silence.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use afterimage_consumer::dead_letters::{Look, LookEnd};
use serde::Serialize;

use crate::commands::Outcome;
use crate::output;

/// Between two words on the progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What was looked at, of what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Coverage {
    pub(crate) looked_at: usize,
    /// Letters in the queue, as far as SQS knows.
    pub(crate) about: u64,
    pub(super) is_complete: bool,
    #[serde(skip)]
    end: Option<LookEnd>,
}

impl Coverage {
    /// Of a look that has ended, or that goes no further.
    pub(super) fn of(look: &Look) -> Self {
        let looked_at = look.handed_out();
        let counts = look.facts().counts;
        let (about, is_complete) = match look.end() {
            Some(LookEnd::Seen { others }) => (looked_at as u64 + others, others == 0),
            _ => ((counts.visible + counts.in_flight + counts.delayed).max(looked_at as u64), false),
        };
        Self { looked_at, about, is_complete, end: look.end() }
    }

    /// Says on standard error what is missing, and why.
    pub(super) fn warn(&self) {
        let why = match self.end {
            Some(LookEnd::Seen { others: 0 }) | None => return,
            Some(LookEnd::Seen { .. }) => {
                "SQS hands the others out to nobody now: somebody holds them, they are delayed, or they stand behind a \
                 letter of their FIFO group"
            }
            Some(LookEnd::OverLimit) => "SQS lets nobody hold more letters of this queue at once",
            Some(LookEnd::Capped) => "--look-max says so",
            Some(LookEnd::Stopped) => "told to stop",
        };
        output::warn(format!("looked at {} of about {} letters: {why}", self.looked_at, self.about));
    }

    /// How a command ended that wanted to see everything.
    pub(super) fn outcome(&self) -> Outcome {
        if self.is_complete { Outcome::Done } else { Outcome::Incomplete }
    }
}

/// How far a look is, on standard error, where that is a terminal.
pub(super) struct Progress {
    is_shown: bool,
    told_at: Instant,
    has_told: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_shown: std::io::stderr().is_terminal(), told_at: Instant::now(), has_told: false }
    }

    pub(super) fn tell(&mut self, look: &Look) {
        if self.is_shown && self.told_at.elapsed() >= PROGRESS_EVERY {
            self.told_at = Instant::now();
            self.has_told = true;
            let counts = look.facts().counts;
            let about = counts.visible.max(look.handed_out() as u64);
            self.write(&format!("\r\u{1b}[Klooked at {} of about {about} letters", look.handed_out()));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
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
