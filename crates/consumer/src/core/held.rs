//! The messages that are held, and the step each of them is at.

use std::sync::Arc;

use opentelemetry::trace::SpanContext;

use super::groups::GroupKey;
use super::io::{Arrival, CallId, Note, Time};
use super::{Action, Call, Core};
use crate::budget::Permit;
use crate::message::{Handle, Message};
use crate::process::Processed;
use crate::proof::{Debt, Proof};

/// A held message. A redelivery of one that is held keeps the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

/// What a message needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Process,
    Store,
    Letter,
    Delete,
    Release,
}

/// How far it is with its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In the queue of its step.
    Queued,
    /// Part of this call.
    Calling(CallId),
    /// Waits to be tried again.
    Later,
    /// Waits for one ahead of it in its FIFO group.
    Behind,
}

/// One held message. The lease lives in it: what is no longer held is no longer extended.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) handle: Handle,
    pub(super) receive_count: u32,
    pub(super) lease: Lease,
    pub(super) step: Step,
    pub(super) state: State,
    pub(super) tries: u32,
    /// On FIFO queues.
    pub(super) group: Option<GroupKey>,
    pub(super) weight: usize,
    /// Its span, for those who come when the message is gone from memory.
    pub(super) trace: Option<SpanContext>,
    pub(super) work: Work,
}

/// What a message is held for.
#[derive(Debug)]
pub(super) enum Work {
    /// It was not begun.
    Unbegun(Arc<Message>),
    /// It owes entries, or goes to the dead letters.
    Owes { message: Arc<Message>, debt: Debt, entry_bytes: usize, _room: Option<Permit> },
    /// It may be deleted: body and entries are gone from memory.
    Proven(Proof),
}

/// The time for which a message is ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// The receive.
    pub(super) since: Time,
    /// Others see the message from here on.
    pub(super) until: Time,
    /// Its place in the schedule of extensions; none while a call is out.
    pub(super) extend_at: Option<Time>,
}

/// How a message leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Deleted,
    /// Given back.
    Released,
    /// Left to the redrive policy; booked as given back.
    Left,
    LeaseLost,
}

impl Held {
    /// Entries waiting to be stored, and their bytes.
    pub(super) fn owed(&self) -> (usize, usize) {
        match &self.work {
            Work::Owes { debt, entry_bytes, .. } => (debt.owed().len(), *entry_bytes),
            Work::Unbegun(_) | Work::Proven(_) => (0, 0),
        }
    }
}

impl Core {
    /// Takes a delivery in.
    pub(super) fn accept(&mut self, now: Time, leased_at: Time, arrival: Arrival, actions: &mut Vec<Action>) {
        self.books.received += 1;
        if let Some(&token) = self.by_id.get(&arrival.message.handle.message_id) {
            self.accept_again(token, leased_at, &arrival.message, actions);
            return;
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        let handle = arrival.message.handle.clone();
        let receive_count = arrival.message.receive_count;
        let weight = arrival.message.weight_bytes();
        let trace = arrival.message.trace.context();
        let group = self.join_group(token, &arrival.message);
        let work = Work::Unbegun(arrival.message);
        self.books.in_flight += 1;
        self.weight += weight;
        self.by_id.insert(Arc::clone(&handle.message_id), token);
        let lease = Lease { since: leased_at, until: leased_at + self.limits.lease, extend_at: None };
        let (step, state) = (Step::Release, State::Later);
        let held = Held { handle, receive_count, lease, step, state, tries: 0, group, weight, trace, work };
        self.held.insert(token, held);
        self.schedule_extension(token, leased_at + self.limits.lease / 2);
        match arrival.processed {
            // One ahead waits for room: that which this one came to is given up, so that it can have it.
            Some(processed) if self.takes_work() && self.may_begin(token) => {
                self.begun(now, token, processed, arrival.room, actions);
            }
            _ => self.advance(now, token, actions),
        }
    }

    /// A message was turned into entries.
    pub(super) fn begun(
        &mut self,
        now: Time,
        token: Token,
        processed: Processed,
        room: Option<Permit>,
        actions: &mut Vec<Action>,
    ) {
        let Some(held) = self.held.get_mut(&token) else { return };
        let Work::Unbegun(message) = &held.work else { return };
        let message = Arc::clone(message);
        self.books.decoded += processed.events() as u64;
        self.books.unchanged += processed.unchanged as u64;
        self.books.expired += processed.expired as u64;
        self.books.rejected += processed.rejections.len() as u64;
        self.books.pending += processed.entries.len() as u64;
        if let Some(kind) = processed.control {
            self.books.control += 1;
            actions.push(Action::Note(Note::Control { message_id: Arc::clone(&held.handle.message_id), kind }));
        }
        let entry_bytes = processed.entry_bytes();
        let weight = held.weight.max(processed.weight_bytes(&message));
        self.weight = self.weight - held.weight + weight;
        held.weight = weight;
        held.work = Work::Owes { message, debt: Debt::new(processed), entry_bytes, _room: room };
        let group = held.group;
        self.advance(now, token, actions);
        if let Some(key) = group {
            self.let_next(key);
        }
    }

    /// Processes what was not begun, one message at a time: what such messages come to may be many times their size.
    pub(super) fn plan_processing(&mut self, actions: &mut Vec<Action>) {
        while !self.processing
            && let Some(token) = self.unbegun.pop_front()
        {
            let call = self.next_call();
            if self.take_in_turn(token, Step::Process, call).is_none() {
                continue;
            }
            let Some(Work::Unbegun(message)) = self.held.get(&token).map(|held| &held.work) else { continue };
            let message = Arc::clone(message);
            self.processing = true;
            self.calls.insert(call, Call::Process { token });
            actions.push(Action::Process { call, message });
        }
    }

    pub(super) fn processed(
        &mut self,
        now: Time,
        call: CallId,
        token: Token,
        processed: Processed,
        room: Option<Permit>,
        actions: &mut Vec<Action>,
    ) {
        self.processing = false;
        if self.held.get(&token).is_some_and(|held| held.state == State::Calling(call)) {
            self.begun(now, token, processed, room, actions);
        }
    }

    /// A message that is held was delivered again: the newer handle counts, the work goes on, nothing is done twice.
    fn accept_again(&mut self, token: Token, leased_at: Time, message: &Message, actions: &mut Vec<Action>) {
        self.books.redelivered += 1;
        self.books.lease_lost += 1;
        let Some(held) = self.held.get_mut(&token) else { return };
        actions.push(Action::Note(Note::LeaseLost {
            message_id: Arc::clone(&held.handle.message_id),
            code: "Redelivered".to_owned(),
        }));
        // Two receives may be answered in the wrong order: then it is this delivery that has ended.
        if message.receive_count < held.receive_count {
            return;
        }
        held.handle = message.handle.clone();
        held.receive_count = message.receive_count;
        held.lease.since = leased_at;
        held.lease.until = leased_at + self.limits.lease;
        self.schedule_extension(token, leased_at + self.limits.lease / 2);
    }

    /// Puts a message into the queue of what it needs next.
    pub(super) fn advance(&mut self, now: Time, token: Token, actions: &mut Vec<Action>) {
        let (takes_work, begins_work) = (self.takes_work(), self.takes_receives());
        let Some(held) = self.held.get_mut(&token) else { return };
        if let Work::Owes { debt, .. } = &held.work
            && let Some(proof) = debt.settled()
        {
            held.work = Work::Proven(proof);
            let weight = Message::weight_of(0, 0);
            self.weight = self.weight - held.weight + weight;
            held.weight = weight;
        }
        let group = held.group;
        let step = match &held.work {
            Work::Proven(_) => Step::Delete,
            Work::Owes { .. } if !takes_work => Step::Release,
            Work::Owes { debt, .. } if !debt.owed().is_empty() => Step::Store,
            Work::Owes { .. } => Step::Letter,
            Work::Unbegun(_) if begins_work => Step::Process,
            Work::Unbegun(_) => Step::Release,
        };
        if step == Step::Letter && self.leaves_letters() {
            self.leave(token, actions);
            return;
        }
        self.enqueue(now, token, step);
        if let (Step::Delete, Some(key)) = (step, group) {
            self.let_next(key);
        }
    }

    /// Puts a message into the queue of a step.
    pub(super) fn enqueue(&mut self, now: Time, token: Token, step: Step) {
        self.unqueue(token);
        let Some(held) = self.held.get_mut(&token) else { return };
        if held.step != step {
            held.step = step;
            held.tries = 0;
        }
        held.state = State::Queued;
        match step {
            Step::Store => {
                let (entries, bytes) = held.owed();
                self.grouping.push(now, token, entries, bytes);
            }
            Step::Process => self.unbegun.push_back(token),
            Step::Letter => self.letters.queue.push_back(token),
            Step::Delete => {
                let due = (now + self.limits.delete_linger()).min(held.lease.until).max(now);
                self.deletes.push(due, token);
            }
            // Last first: under any rule of a queue, the rest of a group is back when its first is.
            Step::Release if held.group.is_some() => self.releases.push_front(token),
            Step::Release => self.releases.push_back(token),
        }
    }

    /// Tries the step of a message again after a while.
    pub(super) fn retry_later(&mut self, now: Time, token: Token) {
        let Some(held) = self.held.get_mut(&token) else { return };
        held.state = State::Later;
        held.tries = held.tries.saturating_add(1);
        let at = now + super::backoff(&mut self.rng, held.tries);
        // What waits for its delete only is durable, and holds nobody's work up.
        let holds_up = held.group.is_some() && held.step != Step::Delete;
        self.later.insert((at, token));
        if holds_up {
            self.give_back_behind(now, token);
        }
    }

    /// Takes a queued message out of the reckoning of its queue; its place there is passed over later.
    fn unqueue(&mut self, token: Token) {
        let Some(held) = self.held.get(&token) else { return };
        if held.state == State::Queued && held.step == Step::Store {
            let (entries, bytes) = held.owed();
            self.grouping.forget(entries, bytes);
        }
    }

    /// Is this message in the queue of that step?
    pub(super) fn is_queued(&self, token: Token, step: Step) -> bool {
        self.held.get(&token).is_some_and(|held| held.step == step && held.state == State::Queued)
    }

    /// Lets go of a message.
    pub(super) fn remove(&mut self, token: Token, outcome: Outcome) {
        self.unqueue(token);
        let Some(held) = self.held.remove(&token) else { return };
        self.by_id.remove(&held.handle.message_id);
        self.letters.stranded.remove(&token);
        if let Some(at) = held.lease.extend_at {
            self.leases.remove(&(at, token));
        }
        self.weight -= held.weight;
        self.books.in_flight -= 1;
        let abandoned = held.owed().0 as u64;
        self.books.pending -= abandoned;
        self.books.abandoned += abandoned;
        match outcome {
            Outcome::Deleted => self.books.deleted += 1,
            Outcome::Released | Outcome::Left => self.books.released += 1,
            Outcome::LeaseLost => self.books.lease_lost += 1,
        }
        if let Some(key) = held.group {
            self.leave_group(key, token, outcome);
        }
    }
}
