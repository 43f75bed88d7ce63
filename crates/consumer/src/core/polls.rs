//! When to poll, and with how many pollers.

use std::time::Duration;

use super::io::{Arrival, Note, Time};
use super::storing::StoreState;
use super::{Action, Call, Core, Phase};
use crate::queue::{BATCH_MAX, QueueError, QueueErrorKind};

/// Receives with fewer messages than this are dearer than they need be: fewer pollers would fill them better.
const SPARSE: usize = BATCH_MAX / 2;
/// Receives in a row that say the same before the number of pollers shrinks: one empty answer is no empty queue.
const PATIENCE: u32 = 2;
/// An empty answer that came sooner than this did not wait as asked; the next is not asked for at once, so that a
/// queue that cannot wait is not asked (and billed) thousands of times a second.
const WAITED_MIN: Duration = Duration::from_secs(1);
/// Least bytes reckoned for a receive.
const BYTES_MIN: usize = 64 << 10;

/// The pollers.
#[derive(Debug)]
pub(super) struct Polls {
    /// As many receives as should wait at once.
    pub(super) target: usize,
    /// As many as do.
    pub(super) out: usize,
    /// None before this.
    pub(super) resume_at: Time,
    empty_streak: u32,
    sparse_streak: u32,
    /// Receives that failed in a row.
    failures: u32,
    /// What a receive may bring, by those seen lately.
    bytes_expected: usize,
    /// Since when nothing came.
    pub(super) quiet_since: Option<Time>,
}

impl Polls {
    pub(super) fn new() -> Self {
        Self {
            target: 1,
            out: 0,
            resume_at: Time::ZERO,
            empty_streak: 0,
            sparse_streak: 0,
            failures: 0,
            bytes_expected: BYTES_MIN,
            quiet_since: None,
        }
    }

    /// A receive brought so many messages.
    fn answered(&mut self, now: Time, asked_at: Time, messages: usize, pollers_max: usize, spread: Duration) {
        self.failures = 0;
        if messages == 0 {
            self.sparse_streak = 0;
            self.empty_streak += 1;
            self.quiet_since.get_or_insert(asked_at);
            if self.empty_streak >= PATIENCE {
                self.empty_streak = 0;
                self.target = (self.target / 2).max(1);
            }
            if now.saturating_sub(asked_at) < WAITED_MIN {
                self.resume_at = self.resume_at.max(now + spread);
            }
            return;
        }
        self.quiet_since = None;
        self.empty_streak = 0;
        if messages >= BATCH_MAX {
            self.sparse_streak = 0;
            self.target = (self.target + 1).min(pollers_max);
        } else if messages < SPARSE {
            self.sparse_streak += 1;
            if self.sparse_streak >= PATIENCE {
                self.sparse_streak = 0;
                self.target = self.target.saturating_sub(1).max(1);
            }
        }
    }

    /// Starts again from one poller, not before `at`.
    pub(super) fn restart(&mut self, at: Time) {
        self.target = 1;
        self.resume_at = self.resume_at.max(at);
    }
}

impl Core {
    pub(super) fn received(
        &mut self,
        now: Time,
        asked_at: Time,
        leased_at: Time,
        result: Result<Vec<Arrival>, QueueError>,
        actions: &mut Vec<Action>,
    ) {
        self.polls.out -= 1;
        match result {
            Ok(arrivals) => {
                self.queue_reason = Some(None);
                if arrivals.is_empty() {
                    self.books.receives_empty += 1;
                } else {
                    self.books.receives_full += 1;
                }
                let spread = WAITED_MIN / 2 + super::up_to(&mut self.rng, WAITED_MIN / 2);
                self.polls.answered(now, asked_at, arrivals.len(), self.limits.pollers_max, spread);
                if !arrivals.is_empty() {
                    self.idle_no_more();
                }
                let before = self.weight;
                for arrival in arrivals {
                    self.accept(now, leased_at, arrival, actions);
                }
                let seen = self.weight.saturating_sub(before);
                let decayed = self.polls.bytes_expected - self.polls.bytes_expected / 8;
                self.polls.bytes_expected = seen.max(decayed).max(BYTES_MIN);
            }
            Err(error) => {
                self.books.receives_failed += 1;
                // Saturation is no failure: ask again later, with fewer pollers, and alarm nobody.
                if error.kind == QueueErrorKind::OverLimit {
                    self.queue_reason = Some(None);
                } else {
                    self.queue_reason = Some(Some(error.to_string()));
                    actions.push(Action::Note(Note::ReceiveFailed { error }));
                }
                self.polls.failures = self.polls.failures.saturating_add(1);
                let pause = super::backoff(&mut self.rng, self.polls.failures);
                self.polls.restart(now + pause);
            }
        }
    }

    pub(super) fn plan_polls(&mut self, now: Time, actions: &mut Vec<Action>) {
        if !self.may_poll() || now < self.polls.resume_at {
            return;
        }
        let target = if matches!(self.store, StoreState::Up { .. }) { self.polls.target } else { 1 };
        while self.polls.out < target && self.has_room_for_a_receive() {
            self.polls.out += 1;
            let wait = match self.limits.exit_when_idle {
                Some(window) => self.limits.wait.min(Duration::from_secs(window.as_secs().max(1))),
                None => self.limits.wait,
            };
            let call = self.begin(Call::Receive { asked_at: now });
            actions.push(Action::Receive { call, wait });
        }
    }

    /// Is there a reason not to poll, other than time and room?
    pub(super) fn may_poll(&self) -> bool {
        matches!(self.phase, Phase::Running)
            && !matches!(self.store, StoreState::Down { .. })
            && !self.extensions_are_behind()
    }

    /// Would another full receive keep within the bounds, beside those that wait?
    fn has_room_for_a_receive(&self) -> bool {
        let receives = self.polls.out + 1;
        if self.held.len() + receives * BATCH_MAX > self.limits.messages_max {
            return false;
        }
        // Nothing held and nothing asked for: one receive always fits, whatever was seen before.
        let alone = self.held.is_empty() && self.polls.out == 0;
        alone || self.weight + receives * self.polls.bytes_expected <= self.limits.bytes_max
    }

    /// When to ask whether the queue is empty, so as to end.
    pub(super) fn idle_check_at(&self) -> Option<Time> {
        let window = self.limits.exit_when_idle?;
        let quiet_since = self.polls.quiet_since?;
        // A failed receive tells nothing: the queue is not called empty on it, but what came meanwhile would still be there
        // for the next one, or counted as held, so the time before it counts.
        let last_answered = self.polls.failures == 0;
        let asks = matches!(self.phase, Phase::Running) && self.held.is_empty() && !self.counting && last_answered;
        asks.then(|| (quiet_since + window).max(self.count_at))
    }

    pub(super) fn plan_idle(&mut self, now: Time, actions: &mut Vec<Action>) {
        if self.idle_check_at().is_some_and(|at| now >= at) {
            self.counting = true;
            let call = self.begin(Call::Count);
            actions.push(Action::Count { call });
        }
    }
}
