//! The queues by name: what needs more than one of them, or waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Millis};
use crate::error::Error;
use crate::faults::RequestFaults;
use crate::message::Memory;
use crate::queue::{Queue, Received};
use crate::settings::Settings;

/// Most queues held.
const QUEUES_MAX: usize = 1_000;
/// The account in every ARN and URL.
pub(crate) const ACCOUNT: &str = "000000000000";

/// Every queue of the endpoint.
#[derive(Debug)]
pub(crate) struct Broker {
    queues: RwLock<BTreeMap<String, Arc<Shared>>>,
    last_uid: AtomicU64,
    pub(crate) memory: Arc<Memory>,
    pub(crate) clock: Clock,
    /// Cancelled on shutdown: long polls answer at once.
    pub(crate) stopping: CancellationToken,
}

/// A queue and who waits for it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) arn: Arc<str>,
    pub(crate) created_at: Millis,
    state: Mutex<Queue>,
    /// One permit whenever messages may be visible; who takes it and leaves some passes it on.
    arrivals: Notify,
}

impl Shared {
    /// The state, for a moment: never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a waiting receive when there is something to receive.
    pub(crate) fn wake(&self, state: &Queue) {
        if state.has_visible() {
            self.arrivals.notify_one();
        }
    }
}

impl Broker {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            queues: RwLock::default(),
            last_uid: AtomicU64::new(0),
            memory: Memory::new(bytes_max),
            clock: Clock::start(),
            stopping: CancellationToken::new(),
        }
    }

    /// The queue that `url` names in its last segment; host and account are not looked at.
    pub(crate) fn queue(&self, url: &str) -> Result<Arc<Shared>, Error> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(name).cloned().ok_or(Error::QueueDoesNotExist)
    }

    /// The queue of that name, new unless it exists with the same attributes.
    pub(crate) fn create(&self, name: &str, attributes: BTreeMap<String, String>) -> Result<Arc<Shared>, Error> {
        let name_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.ends_with(".fifo") || attributes.contains_key("FifoQueue") {
            return Err(Error::UnsupportedOperation("a FIFO queue".into()));
        }
        if name.is_empty() || name.len() > 80 || !name.bytes().all(name_allowed) {
            return Err(Error::InvalidParameterValue(
                "a queue name has 1 to 80 letters, digits, hyphens and underscores".into(),
            ));
        }
        let mut settings = Settings::default();
        settings.set(attributes.clone())?;
        self.check_redrive(&settings)?;

        // Compared without the list's lock: whoever holds a queue's state may ask for the list.
        if let Ok(existing) = self.queue(name) {
            let difference = existing.state().settings.difference(&attributes);
            return difference.map_or(Ok(existing), |attribute| Err(Error::QueueNameExists(attribute)));
        }
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if queues.len() == QUEUES_MAX {
            return Err(Error::InvalidParameterValue(format!("the embedded queue holds at most {QUEUES_MAX} queues")));
        }
        let queue = Arc::new(Shared {
            name: name.to_owned(),
            arn: format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}").into(),
            created_at: self.clock.now(),
            state: Mutex::new(Queue::new(self.last_uid.fetch_add(1, Ordering::Relaxed) + 1, settings)),
            arrivals: Notify::new(),
        });
        // Somebody else's creation of the same moment wins.
        Ok(Arc::clone(queues.entry(name.to_owned()).or_insert(queue)))
    }

    /// Removes a queue and its messages.
    pub(crate) fn remove(&self, url: &str) -> Result<(), Error> {
        let queue = self.queue(url)?;
        self.queues.write().unwrap_or_else(PoisonError::into_inner).remove(&queue.name);
        queue.state().purge();
        Ok(())
    }

    /// Names that begin with `prefix`, in order.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// Refuses a redrive policy that names no queue of this endpoint, as SQS does.
    pub(crate) fn check_redrive(&self, settings: &Settings) -> Result<(), Error> {
        match &settings.redrive {
            Some(policy) if self.queue(policy.target()).is_err() => Err(Error::InvalidParameterValue(
                "the dead letter target of the redrive policy does not exist: create that queue first".into(),
            )),
            _ => Ok(()),
        }
    }

    /// Receives up to `count` messages, waiting up to `wait_s` for the first.
    ///
    /// # Errors
    /// [`Error::OverLimit`] when too many are in flight and nothing was waited for; a long poll stays empty then.
    pub(crate) async fn receive(
        &self,
        queue: &Shared,
        count: usize,
        timeout: Option<Millis>,
        wait_s: u64,
        faults: RequestFaults<'_>,
    ) -> Result<Vec<Received>, Error> {
        let deadline = self.clock.now() + wait_s * 1000;
        loop {
            let next_due = match self.try_receive(queue, count, timeout, faults) {
                Ok(Attempt::Received(received)) => return Ok(received),
                Ok(Attempt::Nothing { next_due }) => next_due,
                Err(Error::OverLimit) if wait_s > 0 => None,
                Err(error) => return Err(error),
            };
            if self.clock.now() >= deadline {
                return Ok(Vec::new());
            }
            let wake_at = next_due.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = queue.arrivals.notified() => {}
                () = tokio::time::sleep_until(self.clock.instant(wake_at)) => {}
                () = self.stopping.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    fn try_receive(
        &self,
        queue: &Shared,
        count: usize,
        timeout: Option<Millis>,
        faults: RequestFaults<'_>,
    ) -> Result<Attempt, Error> {
        let now = self.clock.now();
        let mut state = queue.state();
        let redrive = state.settings.redrive.as_ref().and_then(|policy| {
            let target = self.queue(policy.target()).ok()?;
            Some((policy.receives_max()?, target))
        });
        let timeout = timeout.unwrap_or_else(|| state.settings.visibility_timeout());
        let limit = redrive.as_ref().map(|(receives_max, _)| (*receives_max, &queue.arn));
        let mut taken = state.receive(now, count, timeout, limit)?;
        faults.spoil(&mut taken.received, |handle| state.change_visibility(now, handle, 0).is_ok());
        queue.wake(&state);
        let next_due = state.next_due();
        // Two queues are never locked at once: they may be each other's dead-letter queues.
        drop(state);
        if let Some((_, target)) = redrive
            && !taken.dead.is_empty()
        {
            let mut state = target.state();
            for (message, history) in taken.dead {
                state.add(now, message, history, 0);
            }
            target.wake(&state);
        }
        Ok(if taken.received.is_empty() { Attempt::Nothing { next_due } } else { Attempt::Received(taken.received) })
    }
}

enum Attempt {
    Received(Vec<Received>),
    Nothing { next_due: Option<Millis> },
}
