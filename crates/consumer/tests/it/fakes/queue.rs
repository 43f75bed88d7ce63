//! A queue with visibility, redelivery, stale handles and partial failures; with groups, locked while one of their messages
//! is in flight, when it is FIFO. Its clock is set from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::{
    Ask, Counts, Delete, Handle, ItemError, Message, Queue, QueueError, QueueErrorKind, QueueKind, Receipt,
};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::message;

/// For how long a FIFO queue knows what it was told.
const DEDUPLICATION: Duration = Duration::from_secs(300);

/// Chances, of one, of what a standard queue may do, or its network.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// A message in flight is delivered all the same.
    pub(crate) duplicate: f64,
    /// A deleted message comes back.
    pub(crate) undelete: f64,
    /// An item of a batch fails inside a good answer.
    pub(crate) item: f64,
    /// A whole call fails.
    pub(crate) call: f64,
}

/// The queue.
pub(crate) struct SimQueue {
    state: Mutex<State>,
}

struct State {
    now: Duration,
    rng: fastrand::Rng,
    faults: Faults,
    kind: QueueKind,
    sequence: u64,
    messages: BTreeMap<String, Stored>,
    deleted: BTreeMap<String, Stored>,
    /// Of a FIFO queue: message ids in the order of their deletion.
    deletions: Vec<String>,
    dead_letters: Vec<(String, String)>,
    /// When the dead-letter queue took each deduplication id.
    taken: BTreeMap<String, Duration>,
    /// Group and message id of each letter.
    letters: Vec<(String, String)>,
    calls: usize,
    empty_receives: usize,
}

#[derive(Clone)]
struct Stored {
    body: String,
    visible_at: Duration,
    receipt: u32,
    group: Option<String>,
    sequence: u64,
}

impl SimQueue {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self::of_kind(QueueKind::Standard, seed, faults)
    }

    pub(crate) fn fifo(seed: u64, faults: Faults) -> Self {
        Self::of_kind(QueueKind::Fifo, seed, faults)
    }

    fn of_kind(kind: QueueKind, seed: u64, faults: Faults) -> Self {
        let state = State {
            now: Duration::ZERO,
            rng: fastrand::Rng::with_seed(seed),
            faults,
            kind,
            sequence: 0,
            messages: BTreeMap::new(),
            deleted: BTreeMap::new(),
            deletions: Vec::new(),
            dead_letters: Vec::new(),
            taken: BTreeMap::new(),
            letters: Vec::new(),
            calls: 0,
            empty_receives: 0,
        };
        Self { state: Mutex::new(state) }
    }

    pub(crate) fn send(&self, id: &str, body: &str) {
        self.accept(id, body, None);
    }

    pub(crate) fn send_to(&self, group: &str, id: &str, body: &str) {
        self.accept(id, body, Some(group.to_owned()));
    }

    fn accept(&self, id: &str, body: &str, group: Option<String>) {
        let mut state = self.state.lock().unwrap();
        state.sequence += 1;
        let (visible_at, sequence) = (state.now, state.sequence);
        state.messages.insert(id.to_owned(), Stored { body: body.to_owned(), visible_at, receipt: 0, group, sequence });
    }

    /// Message ids in the order of their deletion, on a FIFO queue.
    pub(crate) fn deletions(&self) -> Vec<String> {
        self.state.lock().unwrap().deletions.clone()
    }

    /// Group and message id of each letter in a FIFO dead-letter queue, in order.
    pub(crate) fn letters(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().letters.clone()
    }

    pub(crate) fn set_now(&self, now: Duration) {
        self.state.lock().unwrap().now = now;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().unwrap().messages.is_empty()
    }

    pub(crate) fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    pub(crate) fn empty_receives(&self) -> usize {
        self.state.lock().unwrap().empty_receives
    }

    /// Message id and body of each dead letter, in order of arrival.
    pub(crate) fn dead_letters(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().dead_letters.clone()
    }

    /// What can be received now.
    pub(crate) fn take(&self, messages_max: usize, lease: Duration) -> Result<Vec<Message>, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        state.fail()?;
        if state.kind == QueueKind::Fifo {
            return Ok(state.take_groups(messages_max, lease));
        }
        let State { now, rng, faults, messages, deleted, .. } = &mut *state;
        if let Some(id) = deleted.keys().next().cloned()
            && rng.f64() < faults.undelete
            && let Some(stored) = deleted.remove(&id)
        {
            messages.insert(id, stored);
        }
        let mut ids: Vec<String> = messages
            .iter()
            .filter(|(_, stored)| stored.visible_at <= *now || rng.f64() < faults.duplicate)
            .map(|(id, _)| id.clone())
            .collect();
        rng.shuffle(&mut ids);
        ids.truncate(messages_max);
        let taken: Vec<Message> = ids
            .iter()
            .filter_map(|id| {
                let stored = messages.get_mut(id)?;
                stored.visible_at = *now + lease;
                stored.receipt += 1;
                Some(message(id, &stored.body, stored.receipt))
            })
            .collect();
        if taken.is_empty() {
            state.empty_receives += 1;
        }
        Ok(taken)
    }
}

impl State {
    /// As many of one group as there are, then of the next; none of a group of which one is in flight.
    fn take_groups(&mut self, messages_max: usize, lease: Duration) -> Vec<Message> {
        let State { now, rng, messages, .. } = self;
        let locked: BTreeSet<&String> = messages
            .values()
            .filter(|stored| stored.visible_at > *now)
            .filter_map(|stored| stored.group.as_ref())
            .collect();
        let mut open: BTreeMap<&String, Vec<(u64, &String)>> = BTreeMap::new();
        for (id, stored) in messages.iter() {
            let group = stored.group.as_ref().expect("every message of a FIFO queue has a group");
            if !locked.contains(group) {
                open.entry(group).or_default().push((stored.sequence, id));
            }
        }
        let mut groups: Vec<Vec<(u64, &String)>> = open.into_values().collect();
        rng.shuffle(&mut groups);
        groups.iter_mut().for_each(|group| group.sort_unstable());
        let ids: Vec<String> = groups.into_iter().flatten().map(|(_, id)| id.clone()).take(messages_max).collect();
        if ids.is_empty() {
            self.empty_receives += 1;
        }
        let mut taken = Vec::new();
        for id in ids {
            let stored = self.messages.get_mut(&id).expect("it was there a moment ago");
            stored.visible_at = self.now + lease;
            stored.receipt += 1;
            let mut message = message(&id, &stored.body, stored.receipt);
            message.group_id.clone_from(&stored.group);
            message.sequence_number = Some(stored.sequence.to_string());
            taken.push(message);
        }
        taken
    }

    fn fail(&mut self) -> Result<(), QueueError> {
        if self.rng.f64() < self.faults.call {
            return Err(QueueError {
                kind: QueueErrorKind::Unavailable,
                code: "ServiceUnavailable".to_owned(),
                reason: "simulated".to_owned(),
            });
        }
        Ok(())
    }

    fn fail_item(&mut self) -> Result<(), ItemError> {
        if self.rng.f64() < self.faults.item {
            return Err(ItemError { code: "InternalError".to_owned(), is_final: false });
        }
        Ok(())
    }

    fn delete(&mut self, handle: &Handle) -> Result<(), ItemError> {
        self.fail_item()?;
        let id = handle.message_id.to_string();
        // What is deleted already is deleted again with success.
        let Some(stored) = self.messages.get(&id) else { return Ok(()) };
        if handle.receipt != format!("{id}/{}", stored.receipt).into() {
            // "The request will succeed, but the message might not be deleted."
            return if self.kind == QueueKind::Standard && self.rng.bool() { Ok(()) } else { Err(invalid_handle()) };
        }
        if self.kind == QueueKind::Fifo {
            if stored.visible_at <= self.now {
                return Err(invalid_handle());
            }
            self.deletions.push(id.clone());
        }
        let stored = stored.clone();
        self.messages.remove(&id);
        self.deleted.insert(id, stored);
        Ok(())
    }

    fn change_visibility(&mut self, handle: &Handle, visibility_s: u32) -> Result<(), ItemError> {
        self.fail_item()?;
        let now = self.now;
        let id = handle.message_id.to_string();
        let Some(stored) = self.messages.get_mut(&id) else { return Err(invalid_handle()) };
        if handle.receipt != format!("{id}/{}", stored.receipt).into() {
            return Err(invalid_handle());
        }
        if stored.visible_at <= now {
            return Err(ItemError { code: "MessageNotInflight".to_owned(), is_final: true });
        }
        stored.visible_at = now + Duration::from_secs(visibility_s.into());
        Ok(())
    }
}

fn invalid_handle() -> ItemError {
    ItemError { code: "ReceiptHandleIsInvalid".to_owned(), is_final: true }
}

#[async_trait]
impl Queue for SimQueue {
    fn kind(&self) -> QueueKind {
        self.state.lock().unwrap().kind
    }

    /// Does not wait: a test that needs a long poll waits itself.
    async fn receive(&self, ask: Ask, _cancel: &CancellationToken) -> Result<Receipt, QueueError> {
        let messages = self.take(ask.messages_max, ask.lease)?;
        Ok(Receipt { answered_at: Instant::now(), messages })
    }

    async fn delete(&self, deletes: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        state.fail()?;
        Ok(deletes.iter().map(|delete| state.delete(delete.handle())).collect())
    }

    async fn change_visibility(
        &self,
        handles: &[Handle],
        visibility_s: u32,
    ) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        state.fail()?;
        Ok(handles.iter().map(|handle| state.change_visibility(handle, visibility_s)).collect())
    }

    async fn send_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        state.fail()?;
        Ok(letters
            .iter()
            .map(|letter| {
                state.fail_item()?;
                // A FIFO queue says yes to what it was told in the last five minutes, and drops it.
                let (now, id) = (state.now, letter.deduplication_id());
                if state.kind == QueueKind::Fifo && state.taken.get(&id).is_some_and(|at| now - *at < DEDUPLICATION) {
                    return Ok(());
                }
                state.taken.insert(id, now);
                state.letters.push((letter.group_id().to_owned(), letter.message_id().to_owned()));
                state.dead_letters.push((letter.message_id().to_owned(), letter.body().to_owned()));
                Ok(())
            })
            .collect())
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        state.fail()?;
        let now = state.now;
        let in_flight = state.messages.values().filter(|stored| stored.visible_at > now).count() as u64;
        Ok(Counts { visible: state.messages.len() as u64 - in_flight, in_flight, delayed: 0 })
    }
}
