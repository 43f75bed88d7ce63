//! How entries are grouped for the store, and what happens while it does not answer.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use afterimage_store::{AppendError, Durable, StoreError};

use super::held::{Held, State, Step, Token, Work};
use super::io::{CallId, Note, Time};
use super::{Action, Call, Core};
use crate::proof::Payment;

/// After an outage the workers of a fleet come back spread over this long, so as not to topple the store again.
const RESUME_SPREAD: Duration = Duration::from_secs(2);

/// What is known of the store.
#[derive(Debug)]
pub(super) enum StoreState {
    /// It does not answer, or has not been asked yet. Nothing is received; one probe at a time.
    Down { failures: u32, since: Time, probe_at: Time, probe: Option<CallId>, reason: Option<String> },
    /// It answered a ping; whether it stores is shown by one group of entries.
    Trial { failures: u32, since: Time },
    /// It stores. So many groups may be on their way at once; so many were answered since that changed. After an outage that
    /// begins with one: all at once, from all that waits in a fleet, could topple the store again and again. There may be one
    /// more when all of them were answered in time, and one less for each that was slow: what is sent beyond what the store
    /// can do waits there, and would end in an outage that is none.
    Up { groups_max: usize, answered: usize },
}

/// The entries that wait for a group.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    queue: VecDeque<(Time, Token)>,
    entries: usize,
    bytes: usize,
    /// Groups being stored.
    out: BTreeSet<CallId>,
    /// The first call that could be made since the store answered again. What was on its way before tells nothing of it.
    fresh: CallId,
}

impl Grouping {
    pub(super) fn push(&mut self, now: Time, token: Token, entries: usize, bytes: usize) {
        self.queue.push_back((now, token));
        self.entries += entries;
        self.bytes += bytes;
    }

    /// Nothing is reckoned with where nothing waits.
    pub(super) fn balances(&self) -> bool {
        !self.queue.is_empty() || (self.entries, self.bytes) == (0, 0)
    }

    /// A waiting message left in another way.
    pub(super) fn forget(&mut self, entries: usize, bytes: usize) {
        self.entries -= entries;
        self.bytes -= bytes;
    }
}

impl Core {
    pub(super) fn plan_store(&mut self, now: Time, actions: &mut Vec<Action>) {
        match self.store {
            StoreState::Down { probe: None, probe_at, .. } if now >= probe_at => self.probe(now, actions),
            StoreState::Down { .. } => {}
            StoreState::Trial { .. } | StoreState::Up { .. } => self.form_groups(now, actions),
        }
    }

    /// The single probe: an entry that waits anyway, since only storing shows that storing works; a ping without one.
    fn probe(&mut self, now: Time, actions: &mut Vec<Action>) {
        let probe = if self.put_unsuspected_first() { self.take_group(1) } else { None };
        let call = match probe {
            Some((call, tokens)) => {
                actions.push(self.begin_group(now, call, tokens));
                call
            }
            None => {
                let call = self.begin(Call::Ping);
                actions.push(Action::Ping { call });
                call
            }
        };
        if let StoreState::Down { probe, .. } = &mut self.store {
            *probe = Some(call);
        }
    }

    /// Puts a message first that a probe may be made with. One that failed alone, or while others were answered, might tell
    /// of itself and not of the store.
    fn put_unsuspected_first(&mut self) -> bool {
        let is_fit = |token| {
            self.is_queued(token, Step::Store)
                && !self.is_suspect(token)
                && self.is_its_turn(token, Step::Store, CallId::NONE)
        };
        let Some(at) = self.grouping.queue.iter().position(|(_, token)| is_fit(*token)) else { return false };
        if let Some(fit) = self.grouping.queue.remove(at) {
            self.grouping.queue.push_front(fit);
        }
        true
    }

    /// Did the store leave it unanswered, alone or while it answered for others?
    fn is_suspect(&self, token: Token) -> bool {
        self.held.get(&token).is_some_and(|held| held.tries > 0)
    }

    fn form_groups(&mut self, now: Time, actions: &mut Vec<Action>) {
        while self.has_room() && self.group_closes_at().is_some_and(|at| now >= at) {
            let Some((call, tokens)) = self.take_group(usize::MAX) else { return };
            actions.push(self.begin_group(now, call, tokens));
        }
    }

    /// May one more group be sent? What is still on its way from before an outage does not count as one that may be: it may
    /// be without an answer for longer than the store was away.
    fn has_room(&self) -> bool {
        let groups_max = match self.store {
            StoreState::Down { .. } => 0,
            StoreState::Trial { .. } => 1,
            StoreState::Up { groups_max, .. } => groups_max,
        };
        let Grouping { out, fresh, .. } = &self.grouping;
        out.len() < self.limits.groups_max && out.range(fresh..).count() < groups_max
    }

    /// When the open group closes: now, when it is full or the worker stops; else when its first entry waited enough.
    fn group_closes_at(&self) -> Option<Time> {
        let (since, _) = self.grouping.queue.front()?;
        let full = self.grouping.entries >= self.limits.group_entries_max
            || self.grouping.bytes >= self.limits.group_bytes_max;
        Some(if full || !self.takes_receives() { Time::ZERO } else { *since + self.limits.group_linger })
    }

    pub(super) fn store_deadline(&self) -> Option<Time> {
        match self.store {
            StoreState::Down { probe: None, probe_at, .. } => Some(probe_at),
            StoreState::Down { .. } => None,
            StoreState::Trial { .. } | StoreState::Up { .. } => self.group_closes_at().filter(|_| self.has_room()),
        }
    }

    /// Takes messages from the queue until a group is full: whole messages, at least one.
    fn take_group(&mut self, messages_max: usize) -> Option<(CallId, Vec<Token>)> {
        let call = self.next_call();
        let mut tokens = Vec::new();
        let (mut entries, mut bytes) = (0, 0);
        while tokens.len() < messages_max
            && let Some(&(_, token)) = self.grouping.queue.front()
        {
            if !self.is_queued(token, Step::Store) {
                self.grouping.queue.pop_front();
                continue;
            }
            let (more_entries, more_bytes) = self.held.get(&token).map_or((0, 0), |held| held.owed());
            let fits = entries + more_entries <= self.limits.group_entries_max
                && bytes + more_bytes <= self.limits.group_bytes_max;
            if !tokens.is_empty() && !fits {
                break;
            }
            self.grouping.queue.pop_front();
            self.grouping.forget(more_entries, more_bytes);
            if self.take_in_turn(token, Step::Store, call).is_none() {
                continue;
            }
            entries += more_entries;
            bytes += more_bytes;
            tokens.push(token);
        }
        (!tokens.is_empty()).then_some((call, tokens))
    }

    fn begin_group(&mut self, now: Time, call: CallId, tokens: Vec<Token>) -> Action {
        let mut entries = Vec::new();
        let mut traced = Vec::new();
        let mut parts = Vec::with_capacity(tokens.len());
        for token in tokens {
            if let Some(Work::Owes { message, debt, .. }) = self.held.get(&token).map(|held| &held.work) {
                parts.push((token, debt.owed().len()));
                traced.extend(message.trace.owning(entries.len()..entries.len() + debt.owed().len()));
                entries.extend(debt.owed().iter().map(|owed| std::sync::Arc::clone(&owed.entry)));
            }
        }
        self.grouping.out.insert(call);
        self.books.groups += 1;
        self.calls.insert(call, Call::Store { parts, sent_at: now });
        Action::Store { call, entries, traced }
    }

    /// A group was answered.
    pub(super) fn stored(
        &mut self,
        now: Time,
        call: CallId,
        sent_at: Time,
        parts: Vec<(Token, usize)>,
        results: Vec<Result<Durable, AppendError>>,
        actions: &mut Vec<Action>,
    ) {
        self.grouping.out.remove(&call);
        let is_silent = results.iter().all(is_unknown);
        // Where something of it has no answer, that took the time, and not the rest.
        let is_slow = now.saturating_sub(sent_at) > self.limits.store_slow && !results.iter().any(is_unknown);
        let silence =
            results.iter().find_map(|result| result.as_ref().err()).filter(|_| is_silent).map(ToString::to_string);
        // These alone show no outage: else one failing message, tried again alone, would stop the whole worker.
        let is_probe = matches!(self.store, StoreState::Down { probe, .. } if probe == Some(call));
        let suspects_only = !is_probe && parts.iter().all(|(token, _)| self.is_suspect(*token));
        let alone = parts.len() == 1;
        let mut results = results.into_iter();
        for (token, entries) in &parts {
            // All of its share, whatever is made of it: what is left over would be taken for that of the next.
            let payments = results.by_ref().take(*entries).map(Payment::from).collect();
            self.pay(now, call, *token, payments, actions);
        }
        let is_outage = silence.is_some() && !suspects_only;
        match silence {
            None => self.store_answered(now, call, is_slow, actions),
            Some(reason) if is_outage => self.store_failed(now, call, reason, actions),
            Some(_) => {}
        }
        for (token, _) in parts {
            // It still owes some, and was not given back for one ahead of it in its FIFO group that failed as well.
            let Some(held) = self.held.get_mut(&token).filter(|held| held.state == State::Calling(call)) else {
                continue;
            };
            if is_outage {
                // What failed alone may tell of itself only: were it the next probe too, one message could keep a store
                // that works from all others.
                held.tries = held.tries.saturating_add(u32::from(alone));
                self.enqueue(now, token, Step::Store);
            } else {
                self.retry_later(now, token);
            }
        }
    }

    /// Books what became of a message's entries, and moves it on when it owes none.
    fn pay(&mut self, now: Time, call: CallId, token: Token, payments: Vec<Payment>, actions: &mut Vec<Action>) {
        let Some(Held { step, state, group, work: Work::Owes { debt, entry_bytes, .. }, .. }) =
            self.held.get_mut(&token)
        else {
            return;
        };
        let (owed, owed_bytes, rejected) = (debt.owed().len(), *entry_bytes, debt.rejections().len());
        // Fewer are owed when an earlier group was answered after this one was sent, which a message can get into that was
        // given back and came straight here again. What that left is stored again.
        if payments.len() == owed {
            debt.pay(payments.into_iter());
        }
        let paid = owed - debt.owed().len();
        let refused = (debt.rejections().len() - rejected) as u64;
        *entry_bytes = debt.owed().iter().map(|owed| owed.entry.weight_bytes()).sum();
        if (*step, *state) == (Step::Store, State::Queued) {
            self.grouping.forget(paid, owed_bytes - *entry_bytes);
        }
        self.books.pending -= paid as u64;
        self.books.rejected += refused;
        self.books.stored += paid as u64 - refused;
        let owes = !debt.owed().is_empty();
        let ours = *state == State::Calling(call);
        // While the answer was on its way the worker may have decided to give the message back, or to store it again. If that
        // has not been sent yet and everything is durable now, deleting is better; but nothing is kept that was to be given
        // back where one ahead of it may come again.
        let is_sent = matches!(*state, State::Calling(_));
        let can_turn = !is_sent && (*step == Step::Store || (*step == Step::Release && group.is_none()));
        if !owes && (ours || can_turn) {
            if can_turn {
                self.resume_extensions(now, token);
            }
            self.advance(now, token, actions);
        }
    }

    pub(super) fn pinged(
        &mut self,
        now: Time,
        call: CallId,
        result: Result<(), StoreError>,
        actions: &mut Vec<Action>,
    ) {
        // A ping is the only probe while it is on its way: nothing else changes what is known of the store.
        let StoreState::Down { failures, since, .. } = self.store else { return };
        match result {
            Ok(()) if failures == 0 => self.store = StoreState::Up { groups_max: self.limits.groups_max, answered: 0 },
            Ok(()) => {
                self.store = StoreState::Trial { failures, since };
                self.grouping.fresh = self.next_call();
                let pause = super::up_to(&mut self.rng, RESUME_SPREAD);
                self.polls.restart(now + pause);
            }
            Err(error) => self.store_failed(now, call, error.to_string(), actions),
        }
    }

    /// A whole group, or a ping, went unanswered.
    fn store_failed(&mut self, now: Time, call: CallId, why: String, actions: &mut Vec<Action>) {
        let is_fresh = call >= self.grouping.fresh;
        let (failures, since) = match &self.store {
            StoreState::Down { probe, failures, since, .. } if *probe == Some(call) => (*failures + 1, *since),
            StoreState::Trial { failures, since } if is_fresh => (*failures + 1, *since),
            StoreState::Up { .. } if is_fresh => (1, now),
            // Groups that were on their way when an outage began tell nothing new, after its end neither.
            _ => return,
        };
        if failures == 1 {
            actions.push(Action::Note(Note::StoreDown { reason: why.clone() }));
        }
        let probe_at = now + super::backoff(&mut self.rng, failures);
        self.store = StoreState::Down { failures, since, probe_at, probe: None, reason: Some(why) };
    }

    /// A group was answered: the store works, when it is the one that tells.
    fn store_answered(&mut self, now: Time, call: CallId, is_slow: bool, actions: &mut Vec<Action>) {
        let since = match &mut self.store {
            StoreState::Down { probe, .. } if *probe != Some(call) => return,
            StoreState::Down { since, .. } => {
                let since = *since;
                let pause = super::up_to(&mut self.rng, RESUME_SPREAD);
                self.polls.restart(now + pause);
                self.grouping.fresh = self.next_call();
                since
            }
            StoreState::Trial { since, .. } => *since,
            StoreState::Up { groups_max, answered } => {
                if call >= self.grouping.fresh {
                    (*groups_max, *answered) = match (is_slow, *answered + 1) {
                        (true, _) => ((*groups_max - 1).max(1), 0),
                        (false, answered) if answered < *groups_max => (*groups_max, answered),
                        (false, _) => ((*groups_max + 1).min(self.limits.groups_max), 0),
                    };
                }
                return;
            }
        };
        self.store = StoreState::Up { groups_max: 1, answered: 0 };
        actions.push(Action::Note(Note::StoreUp { after: now.saturating_sub(since) }));
    }
}

fn is_unknown(result: &Result<Durable, AppendError>) -> bool {
    !matches!(result, Ok(_) | Err(AppendError::Refused { .. }))
}
