//! Leases: extended in the order in which they end, while their messages are held.

use std::sync::Arc;
use std::time::Duration;

use super::held::{Outcome, State, Step, Token};
use super::io::{CallId, Note, Time};
use super::{Action, Call, Core};
use crate::message::Handle;
use crate::queue::{BATCH_MAX, ItemError, QueueError};

/// A message that must be given back by then is given back so much earlier, so that the order arrives in time.
const HOLD_MARGIN: Duration = Duration::from_secs(2);
/// How often giving back a message of a FIFO group is tried again.
const RELEASE_RETRIES_MAX: u32 = 3;

impl Core {
    /// Puts a lease into the schedule, or moves it there.
    pub(super) fn schedule_extension(&mut self, token: Token, at: Time) {
        let Some(held) = self.held.get_mut(&token) else { return };
        if let Some(old) = held.lease.extend_at.replace(at) {
            self.leases.remove(&(old, token));
        }
        self.leases.insert((at, token));
    }

    /// What was to be given back and is kept after all is extended again: its turn may have passed meanwhile.
    pub(super) fn resume_extensions(&mut self, now: Time, token: Token) {
        if self.held.get(&token).is_some_and(|held| held.lease.extend_at.is_none()) {
            self.schedule_extension(token, now);
        }
    }

    pub(super) fn lease_deadline(&self) -> Option<Time> {
        if self.extensions_are_behind() {
            return None;
        }
        self.leases.first().map(|(at, _)| *at)
    }

    /// Are as many extensions out as may be? What falls due waits for them, and more messages would only make it worse.
    pub(super) fn extensions_are_behind(&self) -> bool {
        self.extends_out >= self.limits.calls_max
    }

    pub(super) fn plan_extensions(&mut self, now: Time, actions: &mut Vec<Action>) {
        // Those that fall due next fill the batch up: ten cost as much as one.
        let soon = now + self.limits.lease / 16;
        while self.extends_out < self.limits.calls_max && self.leases.first().is_some_and(|(at, _)| *at <= now) {
            let mut parts: Vec<(Token, Handle)> = Vec::new();
            let mut visibility = self.limits.lease;
            while parts.len() < BATCH_MAX
                && let Some(&(at, token)) = self.leases.first()
                && at <= soon
            {
                self.leases.pop_first();
                let is_leaving = self.is_leaving(token);
                let Some(held) = self.held.get_mut(&token) else { continue };
                held.lease.extend_at = None;
                if is_leaving {
                    continue;
                }
                let hold_until = held.lease.since + self.limits.hold_max;
                if now + HOLD_MARGIN >= hold_until {
                    let message_id = Arc::clone(&held.handle.message_id);
                    actions.push(Action::Note(Note::HeldTooLong { message_id }));
                    self.enqueue(now, token, Step::Release);
                    continue;
                }
                visibility = visibility.min(hold_until - now);
                parts.push((token, held.handle.clone()));
            }
            if parts.is_empty() {
                continue;
            }
            self.extends_out += 1;
            let visibility_s = visibility.as_secs() as u32;
            let handles = parts.iter().map(|(_, handle)| handle.clone()).collect();
            let until = now + Duration::from_secs(visibility_s.into());
            let call = self.begin(Call::Extend { parts, asked_at: now, until });
            actions.push(Action::Extend { call, handles, visibility_s });
        }
    }

    /// Is it being given back? Not if it is an older delivery that is on its way back: the newer one is kept, and its lease
    /// must not end while that call is not answered.
    pub(super) fn is_leaving(&self, token: Token) -> bool {
        let Some(held) = self.held.get(&token).filter(|held| held.step == Step::Release) else { return false };
        let sent = if let State::Calling(call) = held.state { self.calls.get(&call) } else { None };
        let Some(Call::Release { parts }) = sent else { return true };
        parts.iter().any(|(part, handle)| *part == token && *handle == held.handle)
    }

    pub(super) fn extended(
        &mut self,
        now: Time,
        parts: Vec<(Token, Handle)>,
        asked_at: Time,
        until: Time,
        result: Result<Vec<Result<(), ItemError>>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        self.extends_out -= 1;
        Self::note_retries("extend", parts.len(), &result, actions);
        let mut items = result.map(Vec::into_iter);
        for (token, handle) in parts {
            let item = items.as_mut().ok().map(|items| items.next().unwrap_or_else(|| Err(unanswered())));
            let Some(held) = self.held.get_mut(&token) else { continue };
            // A newer delivery came meanwhile: it has a lease of its own.
            if held.handle != handle {
                continue;
            }
            match item {
                Some(Ok(())) => {
                    self.books.extended += 1;
                    held.lease.until = until;
                    self.schedule_extension(token, asked_at + (until - asked_at) / 2);
                }
                // A delete on its way tells better what became of the message.
                Some(Err(error))
                    if error.is_final && !matches!((held.step, held.state), (Step::Delete, State::Calling(_))) =>
                {
                    self.lose(token, error.code, actions);
                }
                Some(Err(_)) | None => {
                    let pause = (self.limits.lease / 8).min(Duration::from_secs(5));
                    let pause = pause / 2 + super::up_to(&mut self.rng, pause / 2);
                    self.schedule_extension(token, now + pause);
                }
            }
        }
    }

    /// The queue says that a message is ours no more.
    pub(super) fn lose(&mut self, token: Token, code: String, actions: &mut Vec<Action>) {
        if let Some(held) = self.held.get(&token) {
            actions.push(Action::Note(Note::LeaseLost { message_id: Arc::clone(&held.handle.message_id), code }));
        }
        self.remove(token, Outcome::LeaseLost);
    }

    pub(super) fn plan_releases(&mut self, actions: &mut Vec<Action>) {
        while self.releases_out < self.limits.calls_max {
            let call = self.next_call();
            let mut parts = Vec::new();
            while parts.len() < BATCH_MAX
                && let Some(token) = self.releases.pop_front()
            {
                if let Some(handle) = self.take(token, Step::Release, call) {
                    parts.push((token, handle));
                }
            }
            if parts.is_empty() {
                return;
            }
            self.releases_out += 1;
            let handles = parts.iter().map(|(_, handle)| handle.clone()).collect();
            self.calls.insert(call, Call::Release { parts });
            actions.push(Action::Release { call, handles });
        }
    }

    /// Giving back is tried once: where it fails, the lease runs out. On FIFO queues that would keep a whole group from
    /// everybody for so long; there it is tried again.
    pub(super) fn released(
        &mut self,
        now: Time,
        call: CallId,
        parts: Vec<(Token, Handle)>,
        result: Result<Vec<Result<(), ItemError>>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        self.releases_out -= 1;
        let mut items = result.map(Vec::into_iter);
        for (token, handle) in parts {
            // Before anything else: the outcome of one message must not be taken for that of the next.
            let item = items.as_mut().map(|items| items.next().unwrap_or_else(|| Err(unanswered())));
            let Some(held) = self.held.get_mut(&token) else { continue };
            // Given back, and delivered here again at once: its lease goes on, unless that is given back by now, too.
            if held.handle != handle {
                if held.state == State::Calling(call) {
                    self.resume_extensions(now, token);
                    self.advance(now, token, actions);
                }
                continue;
            }
            match item {
                Ok(Ok(())) => self.remove(token, Outcome::Released),
                Ok(Err(ItemError { is_final: false, .. })) | Err(_)
                    if held.group.is_some() && held.tries < RELEASE_RETRIES_MAX =>
                {
                    held.tries += 1;
                    self.enqueue(now, token, Step::Release);
                }
                Ok(Err(error)) => self.lose(token, error.code, actions),
                Err(error) => self.lose(token, error.code.clone(), actions),
            }
        }
    }

    /// [`Self::take`], unless one of its group ahead of it is to go first: then it waits for that.
    pub(super) fn take_in_turn(&mut self, token: Token, step: Step, call: CallId) -> Option<Handle> {
        if self.is_queued(token, step) && !self.is_its_turn(token, step, call) {
            self.wait_for_turn(token);
            return None;
        }
        self.take(token, step, call)
    }

    /// Takes a message out of the queue of a step, into a call.
    pub(super) fn take(&mut self, token: Token, step: Step, call: CallId) -> Option<Handle> {
        if !self.is_queued(token, step) {
            return None;
        }
        let held = self.held.get_mut(&token)?;
        held.state = State::Calling(call);
        Some(held.handle.clone())
    }
}

/// An item that the answer does not mention.
pub(super) fn unanswered() -> ItemError {
    ItemError { code: "Unanswered".to_owned(), is_final: false }
}
