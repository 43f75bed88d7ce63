//! Tasks that move messages out of a dead-letter queue.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::broker::{Broker, Shared};
use crate::clock::Millis;
use crate::error::Error;

/// Tasks of one queue that are remembered, and the most that are listed
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ListMessageMoveTasks.html>).
pub(crate) const TASKS_MAX: usize = 10;
/// Messages a task without a rate moves before it lets others work.
const BURST: u64 = 100;

/// Move tasks by the ARN of the queue they move from, newest first.
#[derive(Debug, Default)]
pub(crate) struct Moves(Mutex<BTreeMap<Arc<str>, VecDeque<Arc<Task>>>>);

/// One task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) id: Uuid,
    source: Arc<Shared>,
    /// None: each message goes to the queue it died in.
    pub(crate) destination: Option<Arc<str>>,
    /// Messages per second.
    pub(crate) rate: Option<u64>,
    pub(crate) started_at: Millis,
    /// Messages the source had when the task began.
    pub(crate) to_move: u64,
    progress: Mutex<Progress>,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) moved: u64,
    pub(crate) status: Status,
}

/// As `ListMessageMoveTasks` names it. A cancelled task ends at once here, so `CANCELLING` is never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Completed,
    Cancelled,
    Failed(&'static str),
}

impl Moves {
    /// Starts to move `source`'s messages, on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::InvalidParameterValue`] when `source` is nobody's dead-letter queue, has a task already, or the kinds of
    /// queues differ.
    pub(crate) fn start(
        broker: &Arc<Broker>,
        source: Arc<Shared>,
        destination: Option<&Arc<Shared>>,
        rate: Option<u64>,
    ) -> Result<Uuid, Error> {
        let invalid = |reason: &str| Error::InvalidParameterValue(reason.to_owned());
        if broker.sources_of(&source.name).is_empty() {
            return Err(invalid("the source queue must be configured as a dead-letter queue"));
        }
        if destination.is_some_and(|destination| destination.is_fifo() != source.is_fifo()) {
            return Err(invalid("the destination must be a queue of the source's kind, FIFO or standard"));
        }
        let started_at = broker.clock.now();
        let to_move = source.state().counts(started_at).visible as u64;
        let task = Arc::new(Task {
            id: Uuid::new_v4(),
            destination: destination.map(|destination| Arc::clone(&destination.arn)),
            rate,
            started_at,
            to_move,
            progress: Mutex::new(Progress { moved: 0, status: Status::Running }),
            source,
        });
        let mut tasks = broker.moves.lock();
        let of_source = tasks.entry(Arc::clone(&task.source.arn)).or_default();
        if of_source.front().is_some_and(|latest| latest.progress().status == Status::Running) {
            return Err(invalid("the source queue has a task that is running; one at a time is allowed"));
        }
        of_source.push_front(Arc::clone(&task));
        of_source.truncate(TASKS_MAX);
        drop(tasks);
        let id = task.id;
        tokio::spawn(run(Arc::clone(broker), task));
        Ok(id)
    }

    /// The latest tasks of a queue, newest first.
    pub(crate) fn latest(&self, source: &str, count: usize) -> Vec<Arc<Task>> {
        self.lock().get(source).into_iter().flatten().take(count).cloned().collect()
    }

    /// A queue is deleted: so are its tasks.
    pub(crate) fn forget(&self, source: &str) {
        for task in self.lock().remove(source).into_iter().flatten() {
            task.end(Status::Failed(NO_QUEUE));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, VecDeque<Arc<Task>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a task failed, as SQS says it.
const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";
const NO_SOURCE: &str = "CouldNotDetermineMessageSource";

impl Task {
    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the task; the messages moved until then.
    ///
    /// # Errors
    /// [`Error::InvalidParameterValue`] when it runs no more.
    pub(crate) fn cancel(&self) -> Result<u64, Error> {
        if !self.end(Status::Cancelled) {
            return Err(Error::InvalidParameterValue("only a task that is running can be cancelled".into()));
        }
        Ok(self.progress().moved)
    }

    /// False when it had ended already.
    fn end(&self, status: Status) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let was_running = progress.status == Status::Running;
        if was_running {
            progress.status = status;
        }
        was_running
    }

    /// Messages that may be moved by now in all.
    fn allowance(&self, now: Millis, moved: u64) -> u64 {
        self.rate.map_or(moved + BURST, |rate| (now - self.started_at) * rate / 1000 + 1).min(self.to_move)
    }

    /// When the next message may be moved.
    fn next_at(&self, now: Millis, moved: u64) -> Millis {
        self.rate.map_or(now, |rate| self.started_at + (moved * 1000).div_ceil(rate))
    }

    /// Moves one message. The progress is held all the while, so that none is moved after a cancel.
    fn step(&self, broker: &Broker, now: Millis) -> Progress {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.status != Status::Running {
            return *progress;
        }
        match self.move_one(broker, now) {
            Ok(true) => progress.moved += 1,
            Ok(false) => progress.status = Status::Completed,
            Err(reason) => progress.status = Status::Failed(reason),
        }
        if progress.moved == self.to_move && progress.status == Status::Running {
            progress.status = Status::Completed;
        }
        *progress
    }

    fn move_one(&self, broker: &Broker, now: Millis) -> Result<bool, &'static str> {
        let arn = match &self.destination {
            Some(arn) => Some(Arc::clone(arn)),
            None => match self.source.state().peek(now) {
                Some(record) => record.dead_letter_source.clone(),
                None => return Ok(false),
            },
        };
        let arn = arn.ok_or(NO_SOURCE)?;
        let destination = broker.queue_of(&arn).map_err(|_| NO_QUEUE)?;
        if destination.is_same(&self.source) {
            return Err(NO_SOURCE);
        }
        let (mut from, mut to) = self.source.state_with(&destination);
        // Somebody may have taken the one looked at, and the next may have another source: then it is that one's turn.
        let is_same = |record: &crate::queue::Record| {
            self.destination.is_some() || record.dead_letter_source.as_ref() == Some(&arn)
        };
        match from.peek(now) {
            None => Ok(false),
            Some(record) if !is_same(record) => {
                drop((from, to));
                self.move_one(broker, now)
            }
            Some(_) => {
                if let Some((message, record)) = from.take() {
                    to.add(now, message, record.renewed(now), 0);
                }
                destination.wake(&to);
                Ok(true)
            }
        }
    }
}

/// Moves until nothing is left, at the task's rate.
async fn run(broker: Arc<Broker>, task: Arc<Task>) {
    let mut progress = task.progress();
    if task.to_move == 0 {
        task.end(Status::Completed);
        return;
    }
    loop {
        let advanced = broker.clock.advanced();
        let now = broker.clock.now();
        let allowance = task.allowance(now, progress.moved);
        while progress.moved < allowance {
            progress = task.step(&broker, now);
            if progress.status != Status::Running {
                return;
            }
        }
        if task.rate.is_none() {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep_until(broker.clock.instant(task.next_at(now, progress.moved))) => {}
            () = advanced => {}
            () = broker.stopping.cancelled() => return,
        }
        progress = task.progress();
        if progress.status != Status::Running {
            return;
        }
    }
}
