//! Looking at a dead-letter queue: its letters, each once, held until the look ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::held::Held;
use super::letter::Letter;
use crate::message::Handle;
use crate::proof::Delete;
use crate::queue::{Ask, BATCH_MAX, Counts, LEASE_TOTAL_MAX, Queue, QueueError, QueueErrorKind};
use crate::sqs::SqsQueue;

/// Receives under way at once.
const RECEIVES: usize = 4;
/// A receive that waits asks all servers of a queue; one that does not may miss letters
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>).
const WAIT: Duration = Duration::from_secs(1);
/// Receives in a row that bring nothing new before a queue that says it holds more is believed not to hand it out.
const EMPTY_MAX: usize = 4 * RECEIVES;
/// Failed receives in a row before the look ends.
const FAILURES_MAX: u32 = 5;
/// Between failed calls, growing.
const PAUSE: Duration = Duration::from_millis(300);
/// Calls at once that give letters back.
const RELEASES: usize = 8;
/// Attempts to delete a letter, or to give it back.
const ATTEMPTS: u32 = 3;

/// What a queue says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueFacts {
    /// What it holds.
    pub counts: Counts,
    /// Receives after which its own redrive policy moves a message on, if it has one.
    pub receives_max: Option<u32>,
}

/// Why there is nothing more to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookEnd {
    /// Everything that the queue hands out was seen.
    Seen {
        /// What it holds besides, approximately: held by somebody else, delayed, or behind a letter of its FIFO group
        /// that is held.
        others: u64,
    },
    /// The queue lets nobody hold more (`OverLimit`).
    OverLimit,
    /// As many as were asked for.
    Capped,
    /// Told to stop.
    Stopped,
}

/// What a look was, once everything is given back.
#[derive(Debug)]
pub struct Looked<R> {
    /// What came of it.
    pub outcome: R,
    /// Letters that could not be given back: they stay hidden until their leases end.
    pub still_hidden: usize,
}

/// A look at a queue.
#[derive(Debug)]
pub struct Look {
    queue: SqsQueue,
    hold: Duration,
    letters_max: usize,
    facts: QueueFacts,
    held: Arc<Mutex<Held>>,
    receives: JoinSet<Result<Vec<Letter>, QueueError>>,
    end: Option<LookEnd>,
    handed_out: usize,
    empties: usize,
    failures: u32,
}

/// Looks at a queue: holds each letter for `hold`, extended for as long as the look lasts, and gives back in the end what
/// was not deleted; also when `work` panics. Only a process that is killed leaves letters hidden, for `hold` at most.
///
/// # Errors
/// The queue does not answer the first question, what it holds.
pub async fn look<R>(
    queue: SqsQueue,
    hold: Duration,
    letters_max: usize,
    work: impl AsyncFnOnce(&mut Look) -> R,
) -> Result<Looked<R>, QueueError> {
    let facts = queue.facts().await?;
    let held = Arc::new(Mutex::new(Held::default()));
    let mut look = Look {
        queue: queue.clone(),
        hold,
        letters_max,
        facts,
        held: Arc::clone(&held),
        receives: JoinSet::new(),
        end: None,
        handed_out: 0,
        empties: 0,
        failures: 0,
    };
    let outcome = {
        let mut work = std::pin::pin!(work(&mut look));
        let work = std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        tokio::select! {
            outcome = work => outcome,
            () = keep(&queue, &held, hold) => unreachable!("leases are kept until the work ends"),
        }
    };
    look.gather().await;
    let handles = lock(&held).give_up();
    let still_hidden = give_back(&queue, handles).await;
    match outcome {
        Ok(outcome) => Ok(Looked { outcome, still_hidden }),
        Err(panic) => resume_unwind(panic),
    }
}

impl Look {
    /// What the queue said of itself when the look began.
    #[must_use]
    pub fn facts(&self) -> &QueueFacts {
        &self.facts
    }

    /// Letters handed out so far.
    #[must_use]
    pub fn handed_out(&self) -> usize {
        self.handed_out
    }

    /// Why it ended; `None` while it goes on.
    #[must_use]
    pub fn end(&self) -> Option<LookEnd> {
        self.end
    }

    /// Some letters that were not handed out before, at most ten; none when there is nothing more to see, and
    /// [`Look::end`] says why.
    ///
    /// # Errors
    /// The queue failed again and again.
    pub async fn next(&mut self, stop: &CancellationToken) -> Result<Vec<Letter>, QueueError> {
        while self.end.is_none() {
            while self.receives.len() < RECEIVES {
                self.receive();
            }
            let received = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.end = Some(LookEnd::Stopped);
                    break;
                }
                received = self.receives.join_next() => received,
            };
            match received {
                Some(Ok(Ok(letters))) => {
                    self.failures = 0;
                    let fresh = self.take(letters);
                    if !fresh.is_empty() {
                        return Ok(fresh);
                    }
                    self.empties += 1;
                    if self.empties.is_multiple_of(RECEIVES) {
                        self.end = self.seen_all().await?;
                    }
                }
                Some(Ok(Err(error))) if error.kind == QueueErrorKind::OverLimit => self.end = Some(LookEnd::OverLimit),
                Some(Ok(Err(error))) => {
                    self.failures += 1;
                    if error.kind == QueueErrorKind::Misconfigured || self.failures >= FAILURES_MAX {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE * self.failures).await;
                }
                // A task that panicked or was cancelled brought nothing.
                Some(Err(_)) | None => self.failures += 1,
            }
        }
        Ok(Vec::new())
    }

    /// Deletes letters. Those that could not be deleted come back one day; their number is the answer.
    pub async fn delete(&mut self, mut deletes: Vec<Delete>) -> usize {
        for attempt in 1..=ATTEMPTS {
            let mut failed = Vec::new();
            for batch in deletes.chunks(BATCH_MAX) {
                let results = self.queue.delete(batch).await;
                let Ok(results) = results else {
                    failed.extend_from_slice(batch);
                    continue;
                };
                for (delete, result) in batch.iter().zip(results) {
                    match result {
                        Ok(()) => lock(&self.held).forget(&delete.handle().message_id),
                        Err(_) => failed.push(delete.clone()),
                    }
                }
            }
            deletes = failed;
            if deletes.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE * attempt).await;
        }
        deletes.len()
    }

    /// Asks a queue that brings nothing new whether there is more.
    async fn seen_all(&self) -> Result<Option<LookEnd>, QueueError> {
        let counts = self.queue.counts().await?;
        let in_flight = counts.in_flight.saturating_sub(lock(&self.held).held() as u64);
        let is_seen = counts.visible == 0 || self.empties >= EMPTY_MAX;
        Ok(is_seen.then_some(LookEnd::Seen { others: counts.visible + counts.delayed + in_flight }))
    }

    fn receive(&mut self) {
        let (queue, hold) = (self.queue.clone(), self.hold);
        self.receives.spawn(async move {
            let ask = Ask { messages_max: BATCH_MAX, wait: WAIT, lease: hold };
            queue.receive_letters(ask).await
        });
    }

    /// Notes that letters are held, and keeps those that are new.
    fn take(&mut self, mut letters: Vec<Letter>) -> Vec<Letter> {
        let ends_at = Instant::now() + self.hold;
        let mut held = lock(&self.held);
        letters.retain(|letter| held.take(&letter.message.handle, ends_at));
        drop(held);
        if letters.is_empty() {
            return letters;
        }
        self.empties = 0;
        letters.truncate(self.letters_max - self.handed_out);
        self.handed_out += letters.len();
        if self.handed_out == self.letters_max {
            self.end = Some(LookEnd::Capped);
        }
        letters
    }

    /// Waits for the receives that are under way, a second at most: what they bring is held too, until it is given back.
    /// (Given up, they might have taken letters all the same, which would stay hidden.)
    async fn gather(&mut self) {
        while let Some(received) = self.receives.join_next().await {
            if let Ok(Ok(letters)) = received {
                let mut held = lock(&self.held);
                for letter in letters {
                    held.take(&letter.message.handle, Instant::now());
                }
            }
        }
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Extends leases when half of them has passed, the nearest first, for ever.
async fn keep(queue: &SqsQueue, held: &Mutex<Held>, hold: Duration) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(hold / 8).await;
        // No lease lasts longer than that, counted from its receive; what is extended beyond fails and comes back.
        if began.elapsed() + hold > LEASE_TOTAL_MAX {
            continue;
        }
        loop {
            let handles = lock(held).ending(Instant::now() + hold / 2);
            if handles.is_empty() {
                break;
            }
            let asked_at = Instant::now();
            let results = queue.change_visibility(&handles, hold.as_secs() as u32).await.unwrap_or_default();
            let mut held = lock(held);
            for (at, handle) in handles.iter().enumerate() {
                match results.get(at) {
                    Some(Ok(())) => held.extended(handle, asked_at + hold),
                    Some(Err(error)) if error.is_final => {}
                    // Again at the next round.
                    _ => held.extended(handle, asked_at + hold / 2 + hold / 8),
                }
            }
        }
    }
}

/// Makes letters visible again; the number of those for which that failed.
async fn give_back(queue: &SqsQueue, handles: Vec<Handle>) -> usize {
    let mut releases = JoinSet::new();
    let mut still_hidden = 0;
    for batch in handles.chunks(BATCH_MAX) {
        if releases.len() >= RELEASES {
            still_hidden += releases.join_next().await.and_then(Result::ok).unwrap_or_default();
        }
        let (queue, batch) = (queue.clone(), batch.to_vec());
        releases.spawn(async move { release(&queue, batch).await });
    }
    while let Some(released) = releases.join_next().await {
        still_hidden += released.unwrap_or_default();
    }
    still_hidden
}

async fn release(queue: &SqsQueue, mut handles: Vec<Handle>) -> usize {
    for attempt in 1..=ATTEMPTS {
        if let Ok(results) = queue.change_visibility(&handles, 0).await {
            // A lease that has ended needs no giving back.
            let failed = |(_, result): &(Handle, Result<(), _>)| {
                result.as_ref().is_err_and(|error: &crate::queue::ItemError| !error.is_final)
            };
            handles = handles.into_iter().zip(results).filter(failed).map(|(handle, _)| handle).collect();
        }
        if handles.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE * attempt).await;
    }
    handles.len()
}
