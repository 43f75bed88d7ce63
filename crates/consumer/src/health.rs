//! What the health page reads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::Status;

/// The driver turns at least this often, whatever it waits for.
pub(crate) const TURN_MAX: Duration = Duration::from_secs(5);
/// Without a turn for so long it is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Whether the worker lives, and whether it can do its work. Shared between the driver and the health page.
#[derive(Debug)]
pub struct Health {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    turned_at: Instant,
    status: Status,
    ended: bool,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unhealthy(String);

impl Default for Health {
    fn default() -> Self {
        let status = Status { queue: None, store: None };
        Self { inner: Mutex::new(Inner { turned_at: Instant::now(), status, ended: false }) }
    }
}

impl Health {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was locked cannot have left it half-written: every write is one assignment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn turned(&self, status: Status) {
        let mut inner = self.inner();
        inner.turned_at = Instant::now();
        inner.status = status;
    }

    pub(crate) fn ended(&self) {
        self.inner().ended = true;
    }

    /// Does the worker make progress, or wait for good reason? A store or queue that does not answer is a good reason.
    ///
    /// # Errors
    /// [`Unhealthy`] when it is stuck: a restart would help.
    pub fn live(&self) -> Result<(), Unhealthy> {
        let inner = self.inner();
        let still = inner.turned_at.elapsed();
        if still > STUCK_AFTER && !inner.ended {
            return Err(Unhealthy(format!("the worker has not moved for {} s", still.as_secs())));
        }
        Ok(())
    }

    /// Do queue and store answer?
    ///
    /// # Errors
    /// [`Unhealthy`] says which does not, and what it said.
    pub fn ready(&self) -> Result<(), Unhealthy> {
        let inner = self.inner();
        if inner.ended {
            return Err(Unhealthy("the worker has ended".to_owned()));
        }
        match &inner.status.store {
            None => return Err(Unhealthy("store: has not answered yet".to_owned())),
            Some(Err(reason)) => return Err(Unhealthy(format!("store: {reason}"))),
            Some(Ok(())) => {}
        }
        match &inner.status.queue {
            // The first long poll may take 20 s to say anything; a queue that is not there says so at once.
            None | Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(Unhealthy(format!("queue: {reason}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_does_not_turn_is_stuck_unless_it_has_ended() {
        let health = Health::default();
        assert!(health.live().is_ok());
        let long_ago = Instant::now().checked_sub(STUCK_AFTER + TURN_MAX);
        health.inner().turned_at = long_ago.expect("the machine has run for longer");
        assert!(health.live().is_err());
        health.ended();
        assert!(health.live().is_ok());
    }
}
