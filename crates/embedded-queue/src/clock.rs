//! Time, as the queue keeps it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Duration, Instant};

/// Milliseconds since 1970: what SQS attributes carry.
pub(crate) type Millis = u64;

/// Wall-clock time that never runs backwards: read once, then advanced by the monotonic clock, so that a visibility
/// time-out survives a stepped system clock. Tests push it forward instead of waiting.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    start_ms: Millis,
    /// How far it was pushed.
    ahead_ms: AtomicU64,
    pushed: Notify,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            start: Instant::now(),
            start_ms: since_epoch.as_millis() as Millis,
            ahead_ms: AtomicU64::new(0),
            pushed: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.base() + self.start.elapsed().as_millis() as Millis
    }

    /// Pushes time forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(by.as_millis() as Millis, Ordering::Relaxed);
        self.pushed.notify_waiters();
    }

    /// Ends when time is pushed after this call: whoever sleeps until an [`Self::instant`] must ask for it again then.
    pub(crate) fn advanced(&self) -> Notified<'_> {
        self.pushed.notified()
    }

    /// The moment for a timer: one millisecond late, so that `now` has reached `at` when the timer fires.
    pub(crate) fn instant(&self, at: Millis) -> Instant {
        self.start + Duration::from_millis(at.saturating_sub(self.base()) + 1)
    }

    fn base(&self) -> Millis {
        self.start_ms + self.ahead_ms.load(Ordering::Relaxed)
    }
}
