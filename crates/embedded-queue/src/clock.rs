//! Time, as the queue keeps it.

use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::{Duration, Instant};

/// Milliseconds since 1970: what SQS attributes carry.
pub(crate) type Millis = u64;

/// Wall-clock time that never runs backwards: read once, then advanced by the monotonic clock, so that a visibility
/// time-out survives a stepped system clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_ms: Millis,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: since_epoch.as_millis() as Millis }
    }

    pub(crate) fn now(&self) -> Millis {
        self.start_ms + self.start.elapsed().as_millis() as Millis
    }

    /// The moment for a timer: one millisecond late, so that `now` has reached `at` when the timer fires.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.start + Duration::from_millis(at.saturating_sub(self.start_ms) + 1)
    }
}
