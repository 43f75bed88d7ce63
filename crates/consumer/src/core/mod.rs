//! The decisions of a worker, as a state machine: no I/O, no clock, no randomness of its own.
//!
//! It is fed with time and with what happened ([`Input`]) and says what to do ([`Action`]). A driver carries the actions
//! out and reports back; a simulation can do both, from a seed.
//!
//! A message passes these steps: received → its entries stored, in groups → rejected events to the dead letters →
//! deleted, or given back. A redelivery of a message that is held renews its handle and changes nothing else. On FIFO queues
//! each step keeps the order of a group (`groups`).

mod books;
mod calls;
mod deletes;
mod groups;
mod held;
mod io;
mod leases;
mod limits;
mod polls;
mod storing;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use books::Books;
pub use io::{Action, Arrival, CallId, Finish, Input, Note, Time};
pub use limits::{Limits, LimitsError};

use crate::queue::{Counts, QueueError};
use calls::Call;
use deletes::{Deletes, Letters};
use groups::Groups;
use held::{Held, Outcome, State, Step, Token, Work};
use polls::Polls;
use storing::{Grouping, StoreState};

/// Of the grace period, this much at the end is kept for giving back what could not be finished.
const RELEASE_SHARE: u32 = 4;
/// After a stop, receives get so long before their waiting is given up. A queue that is not empty answers at once, and an
/// answer that is cut off on its way keeps its messages from everybody until their leases end.
const RECEIVE_SETTLE: Duration = Duration::from_secs(1);
/// Between two looks at whether the queue is empty.
const COUNT_PAUSE: Duration = Duration::from_secs(1);

/// The state machine.
#[derive(Debug)]
pub struct Core {
    limits: Limits,
    rng: fastrand::Rng,
    now: Time,
    phase: Phase,
    next_token: u64,
    next_call: u64,
    calls: HashMap<CallId, Call>,
    held: HashMap<Token, Held>,
    by_id: HashMap<Arc<str>, Token>,
    groups: Groups,
    /// Bytes held, as they are in memory.
    weight: usize,
    leases: BTreeSet<(Time, Token)>,
    extends_out: usize,
    later: BTreeSet<(Time, Token)>,
    polls: Polls,
    grouping: Grouping,
    store: StoreState,
    /// Messages that were not begun, and whether one of them is being processed.
    unbegun: VecDeque<Token>,
    processing: bool,
    deletes: Deletes,
    letters: Letters,
    releases: VecDeque<Token>,
    releases_out: usize,
    counting: bool,
    count_at: Time,
    /// Whether the queue answers: not known yet, yes, or why not.
    queue_reason: Option<Option<String>>,
    /// Why deletes fail, if they do.
    delete_reason: Option<String>,
    books: Books,
}

#[derive(Debug)]
enum Phase {
    Running,
    /// No more is received; what is held is finished until `release_at` and then given back; over at `end_at`.
    Draining {
        finish: Finish,
        /// When the waiting of receives is given up; `None` when it has been.
        cancel_at: Option<Time>,
        releasing: bool,
        release_at: Time,
        end_at: Time,
    },
    Finished,
}

/// Whether the worker can do its work, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `None`: not asked yet. `Some(Ok)`: the queue answers.
    pub queue: Option<Result<(), String>>,
    /// `None`: not asked yet. `Some(Ok)`: the store answers.
    pub store: Option<Result<(), String>>,
}

impl Core {
    /// A worker that holds nothing. `seed` feeds the jitter of its pauses.
    ///
    /// # Errors
    /// [`LimitsError`] when the limits contradict each other.
    pub fn new(limits: Limits, seed: u64) -> Result<Self, LimitsError> {
        limits.check()?;
        Ok(Self {
            limits,
            rng: fastrand::Rng::with_seed(seed),
            now: Time::ZERO,
            phase: Phase::Running,
            next_token: 0,
            next_call: 0,
            calls: HashMap::new(),
            held: HashMap::new(),
            by_id: HashMap::new(),
            groups: Groups::default(),
            weight: 0,
            leases: BTreeSet::new(),
            extends_out: 0,
            later: BTreeSet::new(),
            polls: Polls::new(),
            grouping: Grouping::default(),
            // Nothing is received before the store has answered once.
            store: StoreState::Down { failures: 0, since: Time::ZERO, probe_at: Time::ZERO, probe: None, reason: None },
            unbegun: VecDeque::new(),
            processing: false,
            deletes: Deletes::default(),
            letters: Letters::default(),
            releases: VecDeque::new(),
            releases_out: 0,
            counting: false,
            count_at: Time::ZERO,
            queue_reason: None,
            delete_reason: None,
            books: Books::default(),
        })
    }

    /// Takes in what happened by `now` and appends what to do to `actions`. A `now` before the last one counts as the
    /// last one.
    pub fn handle(&mut self, now: Time, input: Input, actions: &mut Vec<Action>) {
        self.now = self.now.max(now);
        let now = self.now;
        if matches!(self.phase, Phase::Finished) {
            return;
        }
        match input {
            Input::Tick => {}
            Input::Received { call, leased_at, result } => {
                if let Some(Call::Receive { asked_at }) = self.calls.remove(&call) {
                    self.received(now, asked_at, leased_at, result, actions);
                }
            }
            Input::Processed { call, processed, room } => {
                if let Some(Call::Process { token }) = self.calls.remove(&call) {
                    self.processed(now, call, token, processed, room, actions);
                }
            }
            Input::Stored { call, results } => {
                if let Some(Call::Store { parts, sent_at }) = self.calls.remove(&call) {
                    self.stored(now, call, sent_at, parts, results, actions);
                }
            }
            Input::Pinged { call, result } => {
                if let Some(Call::Ping) = self.calls.remove(&call) {
                    self.pinged(now, call, result, actions);
                }
            }
            Input::Answered { call, result } => match self.calls.remove(&call) {
                Some(Call::Delete { parts }) => self.deleted(now, parts, result, actions),
                Some(Call::Extend { parts, asked_at, until }) => {
                    self.extended(now, parts, asked_at, until, result, actions);
                }
                Some(Call::Release { parts }) => self.released(now, call, parts, result, actions),
                _ => {}
            },
            Input::DeadLettered { call, result } => {
                if let Some(Call::Letter { parts }) = self.calls.remove(&call) {
                    self.dead_lettered(now, parts, result, actions);
                }
            }
            Input::Counted { call, result } => {
                if let Some(Call::Count) = self.calls.remove(&call) {
                    self.counted(now, result, actions);
                }
            }
            Input::Lost { call } => self.lost(now, call, actions),
            Input::Stop => self.stop(now, Finish::Stopped, actions),
        }
        self.plan(now, actions);
    }

    /// When to call [`Self::handle`] with [`Input::Tick`] at the latest, if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let phase = match self.phase {
            Phase::Running => None,
            Phase::Draining { cancel_at: Some(cancel_at), .. } => Some(cancel_at),
            Phase::Draining { releasing: false, release_at, .. } => Some(release_at),
            Phase::Draining { end_at, .. } => Some(end_at),
            Phase::Finished => return None,
        };
        let resume = (self.may_poll() && self.polls.resume_at > self.now).then_some(self.polls.resume_at);
        [
            phase,
            resume,
            self.lease_deadline(),
            self.later.first().map(|(at, _)| *at),
            self.store_deadline(),
            self.delete_deadline(),
            self.idle_check_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What came in and what became of it.
    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Bytes that held messages and their entries take up.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.weight
    }

    /// Receives that are waiting.
    #[must_use]
    pub fn pollers(&self) -> usize {
        self.polls.out
    }

    /// Whether queue and store answer, and if not, why.
    #[must_use]
    pub fn status(&self) -> Status {
        let store = match &self.store {
            StoreState::Down { reason: None, .. } => None,
            StoreState::Down { reason: Some(reason), .. } => Some(Err(reason.clone())),
            StoreState::Trial { .. } | StoreState::Up { .. } => Some(Ok(())),
        };
        let queue = match (&self.queue_reason, &self.delete_reason) {
            (Some(Some(reason)), _) | (_, Some(reason)) => Some(Err(reason.clone())),
            (Some(None), None) => Some(Ok(())),
            (None, None) => None,
        };
        Status { queue, store }
    }

    /// Everything that time or room may have made possible.
    fn plan(&mut self, now: Time, actions: &mut Vec<Action>) {
        while let Some(&(at, token)) = self.later.first()
            && at <= now
        {
            self.later.pop_first();
            if self.held.get(&token).is_some_and(|held| held.state == State::Later) {
                self.advance(now, token, actions);
            }
        }
        self.plan_drain(now, actions);
        self.plan_processing(actions);
        self.plan_store(now, actions);
        self.plan_letters(now, actions);
        self.plan_deletes(now, actions);
        self.plan_extensions(now, actions);
        self.plan_releases(actions);
        self.plan_polls(now, actions);
        self.plan_idle(now, actions);
        debug_assert!(self.books.balance(), "the books do not balance: {:?}", self.books);
        debug_assert!(self.grouping.balances(), "what waits for a group is misreckoned: {:?}", self.grouping);
    }

    /// Does it still receive?
    fn takes_receives(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// Does it still begin and go on with work?
    fn takes_work(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Draining { releasing: false, .. })
    }

    fn stop(&mut self, now: Time, finish: Finish, actions: &mut Vec<Action>) {
        // One that was about to end because its queue is empty, and would go on if something came, goes on no more.
        if matches!(self.phase, Phase::Draining { finish: Finish::Stopped, .. }) {
            return;
        }
        let grace = self.limits.grace;
        let (release_at, end_at) = (now + grace - grace / RELEASE_SHARE, now + grace);
        let settle = match finish {
            Finish::Stopped => RECEIVE_SETTLE.min(grace / RELEASE_SHARE),
            // The queue counts as empty: nothing is on its way.
            Finish::Idle => Duration::ZERO,
        };
        self.phase = Phase::Draining { finish, cancel_at: Some(now + settle), releasing: false, release_at, end_at };
        actions.push(Action::Note(Note::Stopping { held: self.held.len() }));
        for token in std::mem::take(&mut self.unbegun) {
            if self.is_queued(token, Step::Process) {
                self.advance(now, token, actions);
            }
        }
    }

    /// Something came after all: the queue was not as empty as it counted.
    fn idle_no_more(&mut self) {
        if let Phase::Draining { finish: Finish::Idle, releasing: false, .. } = self.phase {
            self.phase = Phase::Running;
        }
    }

    fn plan_drain(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Phase::Draining { finish, cancel_at, releasing, release_at, end_at } = &mut self.phase else { return };
        let (finish, end_at) = (*finish, *end_at);
        if cancel_at.is_some_and(|cancel_at| cancel_at <= now) {
            *cancel_at = None;
            actions.push(Action::CancelReceives);
        }
        if !*releasing && (now >= *release_at || matches!(self.store, StoreState::Down { .. })) {
            *releasing = true;
            self.release_unproven(now);
        }
        if now >= end_at {
            let left: Vec<Token> = self.held.keys().copied().collect();
            left.into_iter().for_each(|token| self.remove(token, Outcome::LeaseLost));
        }
        if self.held.is_empty() && (self.polls.out == 0 || now >= end_at) {
            self.phase = Phase::Finished;
            actions.push(Action::Finish(finish));
        }
    }

    /// Gives back everything that is not durable, what is on its way to the store included.
    fn release_unproven(&mut self, now: Time) {
        let mut unproven: Vec<Token> = self
            .held
            .iter()
            .filter(|(_, held)| !matches!(held.work, Work::Proven(_)) && held.step != Step::Release)
            .map(|(token, _)| *token)
            .collect();
        unproven.sort_unstable();
        unproven.into_iter().for_each(|token| self.enqueue(now, token, Step::Release));
    }

    fn counted(&mut self, now: Time, result: Result<Counts, QueueError>, actions: &mut Vec<Action>) {
        self.counting = false;
        self.count_at = now + COUNT_PAUSE;
        let quiet = self.idle_check_at().is_some();
        if quiet && result.is_ok_and(Counts::is_empty) {
            self.stop(now, Finish::Idle, actions);
        }
    }
}

/// Pauses between tries: doubling from half a second to five, of which a random half is waited at least, so that those
/// who failed together do not come back together. Five, not fifty: after an outage, recovery takes as long as a pause.
fn backoff(rng: &mut fastrand::Rng, failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(5);
    let pause = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LONGEST);
    pause / 2 + up_to(rng, pause / 2)
}

/// A random duration, at most `longest`.
fn up_to(rng: &mut fastrand::Rng, longest: Duration) -> Duration {
    longest.mul_f64(rng.f64())
}
