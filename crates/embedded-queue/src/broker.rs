//! The queues by name: what needs more than one of them, or waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Millis};
use crate::error::Error;
use crate::faults::RequestFaults;
use crate::memory::Memory;
use crate::moves::Moves;
use crate::queue::{Ask, Queue, Received, Taken};
use crate::settings::Settings;

/// Most queues held.
const QUEUES_MAX: usize = 1_000;
const FIFO_SUFFIX: &str = ".fifo";
/// The account in every ARN and URL.
pub(crate) const ACCOUNT: &str = "000000000000";

/// Every queue of the endpoint.
#[derive(Debug)]
pub(crate) struct Broker {
    queues: RwLock<BTreeMap<String, Arc<Shared>>>,
    last_uid: AtomicU64,
    pub(crate) moves: Moves,
    pub(crate) memory: Arc<Memory>,
    pub(crate) clock: Clock,
    /// Cancelled on shutdown: long polls answer at once.
    pub(crate) stopping: CancellationToken,
}

/// A queue and who waits for it.
#[derive(Debug)]
pub(crate) struct Shared {
    uid: u64,
    pub(crate) name: String,
    pub(crate) arn: Arc<str>,
    pub(crate) created_at: Millis,
    state: Mutex<Queue>,
    tags: Mutex<BTreeMap<String, String>>,
    /// One permit whenever messages may be visible; who takes it and leaves some passes it on.
    arrivals: Notify,
}

impl Shared {
    /// The state, for a moment: never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The states of two different queues; always locked in the same order, so that nobody waits in a circle.
    pub(crate) fn state_with<'a>(&'a self, other: &'a Self) -> (MutexGuard<'a, Queue>, MutexGuard<'a, Queue>) {
        if self.uid < other.uid {
            let state = self.state();
            (state, other.state())
        } else {
            let others = other.state();
            (self.state(), others)
        }
    }

    pub(crate) fn tags(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_fifo(&self) -> bool {
        self.name.ends_with(FIFO_SUFFIX)
    }

    pub(crate) const fn is_same(&self, other: &Self) -> bool {
        self.uid == other.uid
    }

    /// What a receive took, spoiled as asked for.
    fn attempt(
        &self,
        now: Millis,
        mut state: MutexGuard<'_, Queue>,
        mut taken: Taken,
        faults: RequestFaults<'_>,
    ) -> Attempt {
        faults.spoil(&mut taken.received, |handle| !self.is_fifo() && state.change_visibility(now, handle, 0).is_ok());
        self.wake(&state);
        if taken.received.is_empty() {
            Attempt::Nothing { next_due: state.next_due() }
        } else {
            Attempt::Received(taken.received)
        }
    }

    /// Wakes a waiting receive when there is something to receive.
    pub(crate) fn wake(&self, state: &Queue) {
        if state.is_ready() {
            self.arrivals.notify_one();
        }
    }
}

impl Broker {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            queues: RwLock::default(),
            last_uid: AtomicU64::new(0),
            moves: Moves::default(),
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

    /// The queue whose name is the last part of `arn`; region and account mean nothing here.
    pub(crate) fn queue_of(&self, arn: &str) -> Result<Arc<Shared>, Error> {
        self.queue(arn.rsplit(':').next().unwrap_or_default())
    }

    /// The queue of that name, new unless it exists with the same attributes.
    pub(crate) fn create(
        &self,
        name: &str,
        attributes: BTreeMap<String, String>,
        tags: BTreeMap<String, String>,
    ) -> Result<Arc<Shared>, Error> {
        let fifo = attributes.get("FifoQueue").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        check_name(name, fifo)?;
        let settings = Settings::new(fifo, attributes.clone())?;
        self.check_redrive(name, &settings)?;

        // Compared without the list's lock: whoever holds a queue's state may ask for the list.
        if let Ok(existing) = self.queue(name) {
            let difference = existing.state().settings().difference(&attributes);
            return difference.map_or(Ok(existing), |attribute| Err(Error::QueueNameExists(attribute)));
        }
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        if queues.len() == QUEUES_MAX {
            return Err(Error::InvalidParameterValue(format!("the embedded queue holds at most {QUEUES_MAX} queues")));
        }
        let uid = self.last_uid.fetch_add(1, Ordering::Relaxed) + 1;
        let queue = Arc::new(Shared {
            uid,
            name: name.to_owned(),
            arn: format!("arn:aws:sqs:us-east-1:{ACCOUNT}:{name}").into(),
            created_at: self.clock.now(),
            state: Mutex::new(Queue::new(uid, settings, Arc::clone(&self.memory))),
            tags: Mutex::new(tags),
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
        self.moves.forget(&queue.arn);
        Ok(())
    }

    /// Names that begin with `prefix`, in order.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.keys().filter(|name| name.starts_with(prefix)).cloned().collect()
    }

    /// Names of the queues whose dead-letter queue has that name, in order.
    pub(crate) fn sources_of(&self, target: &str) -> Vec<String> {
        let queues: Vec<_> = self.queues.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let is_source = |queue: &Arc<Shared>| {
            queue.state().settings().redrive.as_ref().is_some_and(|policy| policy.target() == target)
        };
        queues.iter().filter(|queue| is_source(queue)).map(|queue| queue.name.clone()).collect()
    }

    /// Refuses a redrive policy that names no queue of this endpoint, the queue itself or one of the other kind, as SQS
    /// does.
    pub(crate) fn check_redrive(&self, name: &str, settings: &Settings) -> Result<(), Error> {
        let Some(policy) = &settings.redrive else { return Ok(()) };
        let invalid = |reason: &str| Error::InvalidParameterValue(format!("the redrive policy is invalid: {reason}"));
        let target = self.queue(policy.target());
        let target = target.map_err(|_| invalid("its dead-letter queue does not exist: create that queue first"))?;
        if target.name == name {
            return Err(invalid("a queue is not its own dead-letter queue"));
        }
        if target.is_fifo() != settings.fifo() {
            return Err(invalid("the dead-letter queue of a FIFO queue is one too, that of a standard queue is none"));
        }
        if !target.state().settings().allows_source(name) {
            return Err(invalid("the RedriveAllowPolicy of its dead-letter queue does not allow this queue"));
        }
        Ok(())
    }

    /// Receives what `ask` asks for, waiting up to `wait_s` for the first message.
    ///
    /// # Errors
    /// [`Error::OverLimit`] when too many are in flight and nothing was waited for; a long poll stays empty then.
    pub(crate) async fn receive(
        &self,
        queue: &Shared,
        ask: Ask<'_>,
        wait_s: u64,
        faults: RequestFaults<'_>,
    ) -> Result<Vec<Received>, Error> {
        let deadline = self.clock.now() + wait_s * 1000;
        loop {
            let advanced = self.clock.advanced();
            let next_due = match self.try_receive(queue, ask, faults) {
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
                () = advanced => {}
                () = self.stopping.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    fn try_receive(&self, queue: &Shared, ask: Ask<'_>, faults: RequestFaults<'_>) -> Result<Attempt, Error> {
        let redrive = queue.state().settings().redrive.clone();
        let redrive = redrive.and_then(|policy| Some((policy.receives_max()?, self.queue(policy.target()).ok()?)));
        let redrive = redrive.filter(|(_, target)| !target.is_same(queue));
        let now = self.clock.now();
        let Some((receives_max, target)) = redrive else {
            let mut state = queue.state();
            let taken = state.receive(now, ask)?;
            return Ok(queue.attempt(now, state, taken, faults));
        };
        // Both at once, so that what is moved is always in one of them and arrives in order.
        let (mut state, mut dead_letters) = queue.state_with(&target);
        let mut taken = state.receive(now, Ask { redrive: Some((receives_max, &queue.arn)), ..ask })?;
        for (message, record) in taken.dead.drain(..) {
            dead_letters.add(now, message, record, 0);
        }
        target.wake(&dead_letters);
        Ok(queue.attempt(now, state, taken, faults))
    }
}

/// SQS tells the kinds of queues by their names too
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>).
fn check_name(name: &str, fifo: bool) -> Result<(), Error> {
    let stem = if fifo { name.strip_suffix(FIFO_SUFFIX) } else { Some(name) };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match stem {
        Some(stem) if !stem.is_empty() && name.len() <= 80 && stem.bytes().all(is_allowed) => Ok(()),
        _ => Err(Error::InvalidParameterValue(
            "a queue name has 1 to 80 letters, digits, hyphens and underscores; that of a queue with FifoQueue=true, \
             and of no other, ends with .fifo"
                .into(),
        )),
    }
}

enum Attempt {
    Received(Vec<Received>),
    Nothing { next_due: Option<Millis> },
}
