//! FIFO groups in hand: whose turn it is, and who is given back when one fails.
//!
//! A FIFO queue hands out up to ten messages of a group, and no more of it to anybody until those are deleted or visible
//! again (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>).
//! So what came before the first in hand is dealt with, and order is a matter among those in hand:
//! - stored: not before all ahead are durable or dead letters, or go into the same group of entries;
//! - dead-lettered: not before all ahead are; of two in one request the first may fail and the second be accepted;
//! - deleted: not before all ahead are, or with them in one request;
//! - processed: not while one ahead waits for room in memory, since it must not wait for room that these hold.
//!
//! A message that is not on waits ([`State::Behind`]) outside of all queues. One that fails for now is tried again here; those
//! behind it are given back. One that is given back or lost takes all behind it along. Groups know nothing of each other.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Core;
use super::held::{Held, Outcome, State, Step, Token, Work};
use super::io::{CallId, Time};
use crate::message::Message;
use crate::queue::QueueKind;

/// A message is given back for the sake of one ahead of it until it was received so often; from then on it waits in hand. The
/// queue counts receives, and a redrive policy would take it to the dead letters for no fault of its own.
const GIVEN_BACK_RECEIVES_MAX: u32 = 1;
/// Larger messages do not wait in hand: memory that a group which does not get on holds is missed by the others.
const WAITING_BYTES_MAX: usize = 64 << 10;

/// A group in hand. It fits beside the small fields of a message, which standard queues hold without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupKey(NonZeroU32);

/// The groups in hand; as many at most as messages.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, GroupKey>,
    slots: Vec<Group>,
    free: Vec<GroupKey>,
}

#[derive(Debug)]
struct Group {
    name: Arc<str>,
    /// In the order of the queue.
    members: Vec<(u128, Token)>,
    /// One of them is [`State::Behind`].
    someone_waits: bool,
}

impl GroupKey {
    fn at(slot: usize) -> Option<Self> {
        u32::try_from(slot + 1).ok().and_then(NonZeroU32::new).map(Self)
    }

    fn slot(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Groups {
    /// Takes a message in, at its place.
    fn join(&mut self, name: &str, sequence_number: Option<&str>, token: Token) -> Option<GroupKey> {
        let key = match self.by_name.get(name) {
            Some(key) => *key,
            None => self.open(name)?,
        };
        let members = &mut self.slots.get_mut(key.slot())?.members;
        // Twenty digits on AWS. A server that counts in another way hands out in order at least.
        let last = members.last().map_or(0, |(place, _)| *place);
        let place = sequence_number.and_then(|digits| digits.parse().ok()).unwrap_or(last);
        members.insert(members.partition_point(|(other, _)| *other <= place), (place, token));
        Some(key)
    }

    fn open(&mut self, name: &str) -> Option<GroupKey> {
        let name: Arc<str> = name.into();
        let group = Group { name: Arc::clone(&name), members: Vec::new(), someone_waits: false };
        let key = match self.free.pop() {
            Some(key) => {
                *self.slots.get_mut(key.slot())? = group;
                key
            }
            None => {
                let key = GroupKey::at(self.slots.len())?;
                self.slots.push(group);
                key
            }
        };
        self.by_name.insert(name, key);
        Some(key)
    }

    fn members(&self, key: GroupKey) -> &[(u128, Token)] {
        self.slots.get(key.slot()).map_or(&[], |group| &group.members)
    }

    fn place_of(&self, key: GroupKey, token: Token) -> usize {
        let members = self.members(key);
        members.iter().position(|(_, member)| *member == token).unwrap_or(members.len())
    }

    fn ahead_of(&self, key: GroupKey, token: Token) -> impl Iterator<Item = Token> {
        self.members(key).iter().map(|(_, member)| *member).take_while(move |member| *member != token)
    }

    fn behind(&self, key: GroupKey, token: Token) -> Vec<Token> {
        self.members(key).iter().skip(self.place_of(key, token) + 1).map(|(_, member)| *member).collect()
    }

    fn leave(&mut self, key: GroupKey, token: Token) {
        let at = self.place_of(key, token);
        let Some(group) = self.slots.get_mut(key.slot()) else { return };
        if at < group.members.len() {
            group.members.remove(at);
        }
        if group.members.is_empty() {
            self.by_name.remove(&group.name);
            self.free.push(key);
        }
    }
}

impl Core {
    /// The group of a message that arrives, if order matters on this queue.
    pub(super) fn join_group(&mut self, token: Token, message: &Message) -> Option<GroupKey> {
        match self.limits.kind {
            // Standard queues have groups too, for fairness; they promise no order.
            QueueKind::Standard => None,
            QueueKind::Fifo => {
                self.groups.join(message.group_id.as_deref()?, message.sequence_number.as_deref(), token)
            }
        }
    }

    /// May a message go on with its step now, as part of this call?
    pub(super) fn is_its_turn(&self, token: Token, step: Step, call: CallId) -> bool {
        let Some(key) = self.held.get(&token).and_then(|held| held.group) else { return true };
        let mut ahead = self.groups.ahead_of(key, token).filter_map(|ahead| self.held.get(&ahead));
        ahead.all(|ahead| ahead.lets_pass(step, call))
    }

    /// May a message that arrives be begun, as far as its group goes?
    pub(super) fn may_begin(&self, token: Token) -> bool {
        self.is_its_turn(token, Step::Process, CallId::NONE)
    }

    /// Takes a message that is not on out of the queue of its step.
    pub(super) fn wait_for_turn(&mut self, token: Token) {
        let Some(held) = self.held.get_mut(&token) else { return };
        held.state = State::Behind;
        if let Some(group) = held.group.and_then(|key| self.groups.slots.get_mut(key.slot())) {
            group.someone_waits = true;
        }
    }

    /// One of a group got on: those that wait behind it may be on now.
    pub(super) fn let_next(&mut self, key: GroupKey) {
        let Some(group) = self.groups.slots.get_mut(key.slot()) else { return };
        if !std::mem::take(&mut group.someone_waits) {
            return;
        }
        let members: Vec<Token> = group.members.iter().map(|(_, member)| *member).collect();
        for member in members {
            if let Some(Held { state: State::Behind, step, .. }) = self.held.get(&member) {
                self.enqueue(self.now, member, *step);
            }
        }
    }

    /// A message failed for now: it holds its group until it succeeds, and nobody else needs to wait here for that.
    pub(super) fn give_back_behind(&mut self, now: Time, token: Token) {
        if let Some(key) = self.held.get(&token).and_then(|held| held.group) {
            let behind = self.groups.behind(key, token);
            self.give_back(now, behind, false);
        }
    }

    /// A message is no longer held.
    pub(super) fn leave_group(&mut self, key: GroupKey, token: Token, outcome: Outcome) {
        let behind = match outcome {
            Outcome::Deleted | Outcome::Left => Vec::new(),
            Outcome::Released | Outcome::LeaseLost => self.groups.behind(key, token),
        };
        self.groups.leave(key, token);
        match outcome {
            Outcome::Deleted | Outcome::Left => self.let_next(key),
            // It comes again, and the others must not be stored or deleted before it.
            Outcome::Released | Outcome::LeaseLost => self.give_back(self.now, behind, true),
        }
    }

    /// Gives these of a group back: all, or the first that may be and all behind it.
    fn give_back(&mut self, now: Time, tokens: Vec<Token>, all: bool) {
        let mut gives = all;
        for token in tokens {
            let Some(held) = self.held.get(&token) else { continue };
            gives |= held.receive_count <= GIVEN_BACK_RECEIVES_MAX || held.weight > WAITING_BYTES_MAX;
            let is_leaving = match held.step {
                Step::Release => self.is_leaving(token),
                // On its way, behind none that is not durable: the answer tells what became of it.
                Step::Delete | Step::Letter => matches!(held.state, State::Calling(_)),
                Step::Process | Step::Store => false,
            };
            if gives && !is_leaving {
                self.enqueue(now, token, Step::Release);
            }
        }
    }
}

impl Held {
    /// Does it let those behind it in its group go on with a step, as part of this call?
    fn lets_pass(&self, step: Step, call: CallId) -> bool {
        let goes_along = self.state == State::Calling(call);
        match (step, &self.work) {
            (Step::Process, work) => !matches!(work, Work::Unbegun(_)),
            (Step::Store, Work::Owes { debt, .. }) => goes_along && debt.rejections().is_empty(),
            (Step::Store | Step::Letter, work) => matches!(work, Work::Proven(_)),
            (Step::Delete, _) => goes_along,
            (Step::Release, _) => true,
        }
    }
}
