//! Deletes, merged in tens across pollers, and dead letters.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::held::{Outcome, Step, Token, Work};
use super::io::{Note, Time};
use super::leases::unanswered;
use super::{Action, Call, Core};
use crate::dead_letter::{DeadLetter, DeadLettered};
use crate::message::Handle;
use crate::proof::{Delete, Proof};
use crate::queue::{BATCH_MAX, ItemError, MESSAGE_BYTES_MAX, QueueError};

/// The code of a lease that ended without the queue saying so.
const LEASE_EXPIRED: &str = "LeaseExpired";

/// The messages that wait to be deleted.
#[derive(Debug, Default)]
pub(super) struct Deletes {
    queue: VecDeque<Token>,
    /// The first of them must be on its way by then.
    due: Option<Time>,
    out: usize,
}

impl Deletes {
    pub(super) fn push(&mut self, due: Time, token: Token) {
        self.queue.push_back(token);
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }
}

/// The messages that wait to be sent to the dead letters.
#[derive(Debug, Default)]
pub(super) struct Letters {
    pub(super) queue: VecDeque<Token>,
    out: usize,
    /// Messages that calls have left waiting since the last one that worked. They are tried again and again, so that an
    /// end of it is noticed.
    pub(super) stranded: BTreeSet<Token>,
}

impl Core {
    pub(super) fn delete_deadline(&self) -> Option<Time> {
        if self.deletes.out >= self.limits.calls_max {
            return None;
        }
        self.deletes.due
    }

    pub(super) fn plan_deletes(&mut self, now: Time, actions: &mut Vec<Action>) {
        let stopping = !self.takes_receives();
        while self.deletes.out < self.limits.calls_max {
            let due = stopping || self.deletes.due.is_some_and(|due| now >= due);
            if self.deletes.queue.is_empty() || (self.deletes.queue.len() < BATCH_MAX && !due) {
                break;
            }
            let call = self.next_call();
            let mut parts = Vec::with_capacity(BATCH_MAX);
            let mut deletes = Vec::with_capacity(BATCH_MAX);
            while parts.len() < BATCH_MAX
                && let Some(token) = self.deletes.queue.pop_front()
            {
                let Some(handle) = self.take_in_turn(token, Step::Delete, call) else { continue };
                let Some(held) = self.held.get(&token) else { continue };
                let Work::Proven(proof) = &held.work else { continue };
                deletes.push(Delete::new(handle.clone(), *proof).traced(held.trace.clone()));
                parts.push((token, handle));
            }
            // The rest came later; at most it waits as long again as it was meant to.
            self.deletes.due = (!self.deletes.queue.is_empty()).then_some(now + self.limits.delete_linger());
            if parts.is_empty() {
                break;
            }
            self.deletes.out += 1;
            self.books.delete_calls += 1;
            self.calls.insert(call, Call::Delete { parts });
            actions.push(Action::Delete { call, deletes });
        }
    }

    pub(super) fn deleted(
        &mut self,
        now: Time,
        parts: Vec<(Token, Handle)>,
        result: Result<Vec<Result<(), ItemError>>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        self.deletes.out -= 1;
        Self::note_retries("delete", parts.len(), &result, actions);
        self.delete_reason = result.as_ref().err().map(|error| format!("deletes fail: {error}"));
        let mut items = result.map(Vec::into_iter);
        for (token, handle) in parts {
            let item = items.as_mut().ok().map(|items| items.next().unwrap_or_else(|| Err(unanswered())));
            let Some(held) = self.held.get(&token) else { continue };
            if held.step != Step::Delete {
                continue; // held for too long: given back meanwhile
            }
            // A newer delivery came meanwhile: deleting by an old handle may succeed and delete nothing.
            if held.handle != handle {
                self.enqueue(now, token, Step::Delete);
                continue;
            }
            match item {
                Some(Ok(())) => self.remove(token, Outcome::Deleted),
                Some(Err(error)) if error.is_final => self.lose(token, error.code, actions),
                Some(Err(_)) | None => self.retry_later(now, token),
            }
        }
    }

    /// Dead letters cannot be kept here: there is no queue for them, or it has not worked for a quarter of all that
    /// may be held. The redrive policy takes care of them; the rest of the messages must not wait for that.
    pub(super) fn leaves_letters(&self) -> bool {
        !self.limits.has_dead_letter_queue || self.letters.stranded.len() * 4 > self.limits.messages_max
    }

    /// Leaves a message that cannot be stored to the redrive policy: its lease runs out. Given back at once it would
    /// only come straight back.
    pub(super) fn leave(&mut self, token: Token, actions: &mut Vec<Action>) {
        if let Some(held) = self.held.get(&token)
            && let Work::Owes { debt, .. } = &held.work
            && let Some(first) = debt.rejections().first()
        {
            actions.push(Action::Note(Note::LeftToRedrive {
                message_id: Arc::clone(&held.handle.message_id),
                code: first.code,
                reason: format!("{} {}", first.place, first.reason).trim().to_owned(),
            }));
        }
        self.remove(token, Outcome::Left);
    }

    pub(super) fn plan_letters(&mut self, now: Time, actions: &mut Vec<Action>) {
        while self.letters.out < self.limits.calls_max {
            let call = self.next_call();
            let mut parts = Vec::new();
            let mut letters: Vec<DeadLetter> = Vec::new();
            let mut bytes = 0;
            while parts.len() < BATCH_MAX
                && let Some(token) = self.letters.queue.pop_front()
            {
                if !self.is_queued(token, Step::Letter) {
                    continue;
                }
                if !self.is_its_turn(token, Step::Letter, call) {
                    self.wait_for_turn(token);
                    continue;
                }
                let Some(held) = self.held.get(&token) else { continue };
                // Storing twice does no harm, but a letter sent by two workers may arrive twice, and out of order.
                if held.group.is_some() && held.lease.until <= now {
                    self.lose(token, LEASE_EXPIRED.to_owned(), actions);
                    continue;
                }
                let Work::Owes { message, debt, .. } = &held.work else { continue };
                let letter = DeadLetter::new(Arc::clone(message), debt.rejections(), &self.limits.worker);
                if !letters.is_empty() && bytes + letter.len_bytes() > MESSAGE_BYTES_MAX {
                    self.letters.queue.push_front(token);
                    break;
                }
                bytes += letter.len_bytes();
                let Some(handle) = self.take(token, Step::Letter, call) else { continue };
                letters.push(letter);
                parts.push((token, handle));
            }
            if parts.is_empty() {
                return;
            }
            self.letters.out += 1;
            self.calls.insert(call, Call::Letter { parts });
            actions.push(Action::DeadLetter { call, letters });
        }
    }

    /// First sent, then deleted: a crash between the two leaves two copies, of one origin, and loses none.
    pub(super) fn dead_lettered(
        &mut self,
        now: Time,
        parts: Vec<(Token, Handle)>,
        result: Result<Vec<Result<DeadLettered, ItemError>>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        self.letters.out -= 1;
        let worked = result.as_ref().is_ok_and(|items| items.iter().any(Result::is_ok));
        if worked {
            self.letters.stranded.clear();
        }
        Self::note_retries("dead_letter", parts.len(), &result, actions);
        let mut items = result.map(Vec::into_iter);
        for (token, _) in parts {
            let item = items.as_mut().ok().map(|items| items.next().unwrap_or_else(|| Err(unanswered())));
            let gives_up = self.leaves_letters();
            let Some(held) = self.held.get_mut(&token) else { continue };
            match item {
                Some(Ok(proof)) => {
                    self.books.dead_lettered += 1;
                    let code = match &held.work {
                        Work::Owes { debt, .. } => debt.rejections().first().map_or("unknown", |first| first.code),
                        Work::Unbegun(_) | Work::Proven(_) => "unknown",
                    };
                    let message_id = Arc::clone(&held.handle.message_id);
                    actions.push(Action::Note(Note::DeadLettered { message_id, code }));
                    let released = held.step == Step::Release && matches!(held.state, super::held::State::Calling(_));
                    held.work = Work::Proven(Proof::dead_lettered(proof));
                    if !released {
                        self.advance(now, token, actions);
                    }
                }
                // Refused for good (too large for that queue, say).
                Some(Err(error)) if error.is_final => self.leave(token, actions),
                Some(Err(_)) | None if gives_up => self.leave(token, actions),
                Some(Err(_)) | None if held.step == Step::Letter => {
                    if !worked {
                        self.letters.stranded.insert(token);
                    }
                    self.retry_later(now, token);
                }
                Some(Err(_)) | None => {}
            }
        }
    }

    /// One note for the items of a batch call that are tried again.
    pub(super) fn note_retries<T>(
        operation: &'static str,
        asked: usize,
        result: &Result<Vec<Result<T, ItemError>>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        let (code, items) = match result {
            Err(error) => (error.code.clone(), asked),
            Ok(items) => {
                let mut failed = items.iter().filter_map(|item| item.as_ref().err()).filter(|error| !error.is_final);
                let Some(first) = failed.next() else { return };
                (first.code.clone(), 1 + failed.count())
            }
        };
        actions.push(Action::Note(Note::Retried { operation, code, items }));
    }
}
