//! One core on a bench: its time, its inputs and its actions by hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{
    Action, CallId, Core, Delete, Finish, Input, ItemError, Limits, Message, Note, QueueError, QueueErrorKind,
    dead_letter,
};
use afterimage_event::Timestamp;
use afterimage_store::{Arrival as StoreArrival, Entry, Ledger, Store};

use crate::fakes::{Faults, SimQueue, SimStore, arrival, now_or_never};

/// More turns than this without time passing are a busy loop.
const TURNS_MAX: usize = 10_000;

/// A group sent to the store.
pub(crate) type Group = (CallId, Vec<Arc<Entry>>);

pub(crate) struct Rig {
    pub(crate) core: Core,
    pub(crate) now: Duration,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) store: Arc<SimStore>,
    ledger: Ledger,
    dead_letters: SimQueue,
}

impl Rig {
    /// A core whose store has not been asked yet.
    pub(crate) fn unproven(limits: Limits) -> Self {
        let store = Arc::new(SimStore::default());
        let mut rig = Self {
            core: Core::new(limits, 1).expect("limits that work"),
            now: Duration::ZERO,
            actions: VecDeque::new(),
            ledger: Ledger::new(Arc::clone(&store) as Arc<dyn Store>),
            store,
            dead_letters: SimQueue::new(0, Faults::default()),
        };
        rig.tell(Input::Tick);
        rig
    }

    /// A core whose store answers.
    pub(crate) fn new(limits: Limits) -> Self {
        let mut rig = Self::unproven(limits);
        rig.answer_pings();
        rig
    }

    pub(crate) fn tell(&mut self, input: Input) {
        let mut actions = Vec::new();
        self.core.handle(self.now, input, &mut actions);
        self.actions.extend(actions);
        assert!(self.core.books().balance(), "{:?}", self.core.books());
    }

    /// Lets time pass, waking the core whenever it asked for it and at no other time.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0;
        while let Some(deadline) = self.core.next_deadline().filter(|deadline| *deadline <= end) {
            turns = if deadline > self.now { 0 } else { turns + 1 };
            assert!(turns < TURNS_MAX, "a busy loop at {:?}", self.now);
            self.now = self.now.max(deadline);
            self.tell(Input::Tick);
        }
        self.now = end;
    }

    /// Takes the actions out that `pick` knows.
    pub(crate) fn take<T>(&mut self, pick: impl Fn(&Action) -> Option<T>) -> Vec<T> {
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for action in self.actions.drain(..) {
            match pick(&action) {
                Some(picked) => taken.push(picked),
                None => left.push_back(action),
            }
        }
        self.actions = left;
        taken
    }

    /// The receives asked for.
    pub(crate) fn receives(&mut self) -> Vec<CallId> {
        self.take(|action| if let Action::Receive { call, .. } = action { Some(*call) } else { None })
    }

    /// Answers a receive.
    pub(crate) fn receive(&mut self, call: CallId, messages: Vec<Message>) {
        let result = Ok(messages.into_iter().map(arrival).collect());
        self.tell(Input::Received { call, leased_at: self.now, result });
    }

    /// Answers every receive asked for: there is nothing.
    pub(crate) fn receive_nothing(&mut self) {
        for call in self.receives() {
            self.receive(call, Vec::new());
        }
    }

    /// Answers the first receive asked for; it must be there.
    pub(crate) fn receive_next(&mut self, messages: Vec<Message>) {
        let calls = self.receives();
        let (first, rest) = calls.split_first().expect("it polls");
        for call in rest {
            self.actions.push_back(Action::Receive { call: *call, wait: Duration::from_secs(20) });
        }
        self.receive(*first, messages);
    }

    pub(crate) fn answer_pings(&mut self) {
        for call in self.take(|action| if let Action::Ping { call } = action { Some(*call) } else { None }) {
            let result = now_or_never(self.store.ping());
            self.tell(Input::Pinged { call, result });
        }
    }

    /// Lets the groups close and the store answer them.
    pub(crate) fn store(&mut self) {
        self.pass(Duration::from_millis(5));
        self.answer_stores();
    }

    pub(crate) fn answer_stores(&mut self) -> usize {
        let groups = self.take_groups();
        let count = groups.len();
        self.answer_groups(groups);
        count
    }

    /// The groups sent to the store.
    pub(crate) fn take_groups(&mut self) -> Vec<Group> {
        self.take(|action| match action {
            Action::Store { call, entries, .. } => Some((*call, entries.clone())),
            _ => None,
        })
    }

    /// The events of the groups that are not answered.
    pub(crate) fn groups(&self) -> Vec<String> {
        let entries = self.actions.iter().filter_map(|action| match action {
            Action::Store { entries, .. } => Some(entries),
            _ => None,
        });
        entries.flatten().map(|entry| entry.identity.event_id.clone()).collect()
    }

    pub(crate) fn answer_groups(&mut self, groups: Vec<Group>) {
        let arrival = StoreArrival { worker: "w".to_owned(), at: Timestamp::from_micros(0).unwrap() };
        for (call, entries) in groups {
            let results = now_or_never(self.ledger.append(&entries, &arrival));
            self.tell(Input::Stored { call, results });
        }
    }

    /// The deletes sent, after the time they may wait for company.
    pub(crate) fn deletes(&mut self) -> Vec<(CallId, Vec<Delete>)> {
        self.pass(Duration::from_millis(200));
        self.take(|action| match action {
            Action::Delete { call, deletes } => Some((*call, deletes.clone())),
            _ => None,
        })
    }

    /// The deletes sent by now, without letting time pass: call and message ids.
    pub(crate) fn deletes_now(&mut self) -> Vec<(CallId, Vec<String>)> {
        self.take(|action| match action {
            Action::Delete { call, deletes } => {
                Some((*call, deletes.iter().map(|delete| delete.handle().message_id.to_string()).collect()))
            }
            _ => None,
        })
    }

    /// Answers every delete with success; how many messages that were.
    pub(crate) fn delete_all(&mut self) -> usize {
        let mut count = 0;
        for (call, deletes) in self.deletes() {
            count += deletes.len();
            self.answer(call, deletes.iter().map(|_| Ok(())).collect());
        }
        count
    }

    pub(crate) fn answer(&mut self, call: CallId, items: Vec<Result<(), ItemError>>) {
        self.tell(Input::Answered { call, result: Ok(items) });
    }

    pub(crate) fn fail(&mut self, call: CallId) {
        self.tell(Input::Answered { call, result: Err(unreachable_queue()) });
    }

    /// The extensions sent: call, message ids, seconds.
    pub(crate) fn extensions(&mut self) -> Vec<(CallId, Vec<String>, u32)> {
        self.take(|action| match action {
            Action::Extend { call, handles, visibility_s } => {
                Some((*call, handles.iter().map(|handle| handle.message_id.to_string()).collect(), *visibility_s))
            }
            _ => None,
        })
    }

    /// Grants every extension; how many leases that were.
    pub(crate) fn extend_all(&mut self) -> usize {
        let mut count = 0;
        for (call, ids, _) in self.extensions() {
            count += ids.len();
            self.answer(call, ids.iter().map(|_| Ok(())).collect());
        }
        count
    }

    /// Grants every release; the message ids.
    pub(crate) fn release_all(&mut self) -> Vec<String> {
        let mut released = Vec::new();
        for (call, ids) in self.releases() {
            self.answer(call, ids.iter().map(|_| Ok(())).collect());
            released.extend(ids);
        }
        released
    }

    /// The releases sent: call and message ids.
    pub(crate) fn releases(&mut self) -> Vec<(CallId, Vec<String>)> {
        self.take(|action| match action {
            Action::Release { call, handles } => {
                Some((*call, handles.iter().map(|handle| handle.message_id.to_string()).collect()))
            }
            _ => None,
        })
    }

    /// How many messages are being given back.
    pub(crate) fn releases_held(&self) -> usize {
        let releases = self.actions.iter().map(|action| match action {
            Action::Release { handles, .. } => handles.len(),
            _ => 0,
        });
        releases.sum()
    }

    /// Takes every dead letter; the letters.
    pub(crate) fn send_letters(&mut self) -> Vec<dead_letter::DeadLetter> {
        let calls = self.take(|action| match action {
            Action::DeadLetter { call, letters } => Some((*call, letters.clone())),
            _ => None,
        });
        let mut sent = Vec::new();
        for (call, letters) in calls {
            let result = now_or_never(dead_letter::send(&self.dead_letters, &letters));
            self.tell(Input::DeadLettered { call, result });
            sent.extend(letters);
        }
        sent
    }

    pub(crate) fn notes(&mut self) -> Vec<Note> {
        self.take(|action| if let Action::Note(note) = action { Some(note.clone()) } else { None })
    }

    pub(crate) fn finish(&mut self) -> Option<Finish> {
        self.take(|action| if let Action::Finish(how) = action { Some(*how) } else { None }).pop()
    }
}

pub(crate) fn unreachable_queue() -> QueueError {
    QueueError { kind: QueueErrorKind::Unavailable, code: "Unreachable".to_owned(), reason: "refused".to_owned() }
}

pub(crate) fn item_error(code: &str, is_final: bool) -> Result<(), ItemError> {
    Err(ItemError { code: code.to_owned(), is_final })
}
