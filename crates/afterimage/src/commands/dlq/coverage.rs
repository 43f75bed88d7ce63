//! How much of a queue was looked at: nothing is left out in silence.

use afterimage_consumer::dead_letters::{Look, LookEnd};
use serde::Serialize;

use crate::commands::Outcome;
use crate::output;
use crate::progress::Progress;

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

/// How far a look is.
pub(super) fn tell(progress: &mut Progress, look: &Look) {
    progress.tell(|| {
        let counts = look.facts().counts;
        let about = counts.visible.max(look.handed_out() as u64);
        format!("looked at {} of about {about} letters", look.handed_out())
    });
}
