//! One worker: the real core, a clock of its own, and what is known of it from outside.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use afterimage_consumer::{Action, Budget, CallId, Core, Finish, Input, Limits, LimitsError, Message, Note, Time};
use afterimage_event::Timestamp;

use crate::law::{Law, Violation};
use crate::mutant::{Mutant, Planted};
use crate::shadow::Shadow;
use crate::wire::{Kind, Request};

/// Most calls of a worker in one second of its life: a worker with few pollers that makes more spins.
const CALLS_A_SECOND_MAX: u32 = 4000;
/// A worker that was told to stop ends so long after its grace period at most.
const LATENESS_MAX: Duration = Duration::from_secs(1);
/// What a body takes while it is read and parsed, and while it is held, in times its size: as in the queue client.
const READ_FACTOR: usize = 4;
const HELD_FACTOR: usize = 3;
/// What the wall clock shows at the start of a run.
const EPOCH_MICROS: i64 = 1_767_952_800_000_000;

/// A place for a worker in the fleet; workers come and go.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) life: u32,
    /// Nobody is started here any more.
    pub(crate) is_retired: bool,
    pub(crate) alive: Option<Box<Alive>>,
}

/// A running worker.
pub(crate) struct Alive {
    pub(crate) core: Core,
    limits: Limits,
    clock: Clock,
    pub(crate) frozen_until: Time,
    pub(crate) wake_at: Option<Time>,
    pub(crate) calls: HashMap<Ticket, Call>,
    out: [usize; Kind::COUNT],
    pub(crate) shadow: Shadow,
    pub(crate) planted: Planted,
    /// Until then something may have kept it from extending its leases.
    pub(crate) trouble_until: Time,
    pub(crate) stopping: Option<Stopping>,
    /// It has given up waiting for receives.
    pub(crate) is_cancelled: bool,
    calls_in_second: (u64, u32),
    budget: Budget,
}

/// Names a call in the simulation.
pub(crate) type Ticket = u64;

/// A call that is not answered.
pub(crate) struct Call {
    /// None: a defect made it, and the core knows nothing of it.
    pub(crate) id: Option<CallId>,
    /// What the core asked for.
    pub(crate) asked: Rc<Request>,
    /// What was sent: something else, or nothing, where a defect is at work.
    pub(crate) sent: Option<Rc<Request>>,
}

/// A worker that was told to stop.
#[derive(Clone, Copy)]
pub(crate) struct Stopping {
    /// When its grace period ends, on its own clock.
    pub(crate) ends_at: Time,
    /// It was kept from keeping to it: its process stood still, its clock jumped.
    pub(crate) is_excused: bool,
}

/// A clock that starts with its worker, runs a little fast or slow, and jumps.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) born: Time,
    /// Parts in a million.
    pub(crate) drift_ppm: i32,
    pub(crate) ahead: Duration,
    /// How far the wall clock is off.
    pub(crate) wall_off_s: i64,
}

impl Clock {
    fn read(self, now: Time) -> Time {
        let life = now.saturating_sub(self.born);
        let drift = life / 1_000_000 * self.drift_ppm.unsigned_abs();
        self.ahead + if self.drift_ppm < 0 { life - drift } else { life + drift }
    }

    /// When this clock will show that; a little later, never earlier.
    fn shows_at(self, local: Time) -> Time {
        let life = local.saturating_sub(self.ahead);
        let drift = life / 1_000_000 * self.drift_ppm.unsigned_abs();
        self.born + if self.drift_ppm < 0 { life + drift + drift / 16 } else { life - drift + drift / 16 }
    }
}

/// What came of a turn.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) requests: Vec<(CallId, Request)>,
    pub(crate) notes: Vec<Note>,
    pub(crate) cancels: bool,
    pub(crate) finish: Option<Finish>,
}

impl Alive {
    pub(crate) fn new(limits: Limits, seed: u64, clock: Clock, mutant: Option<Mutant>) -> Result<Self, LimitsError> {
        let budget = Budget::new(limits.bytes_max);
        Ok(Self {
            core: Core::new(limits.clone(), seed)?,
            limits,
            clock,
            frozen_until: Time::ZERO,
            wake_at: None,
            calls: HashMap::new(),
            out: [0; Kind::COUNT],
            shadow: Shadow::default(),
            planted: Planted::new(mutant),
            trouble_until: Time::ZERO,
            stopping: None,
            is_cancelled: false,
            calls_in_second: (0, 0),
            budget,
        })
    }

    pub(crate) fn local(&self, now: Time) -> Time {
        self.clock.read(now)
    }

    /// When to wake it, in the world's time.
    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        let deadline = self.core.next_deadline()?;
        // A timer never fires early, and seldom on time.
        Some(self.clock.shows_at(deadline).max(now) + Duration::from_micros(200))
    }

    pub(crate) fn wall_clock(&self, now: Time) -> Timestamp {
        let micros = EPOCH_MICROS + self.clock.wall_off_s * 1_000_000 + now.as_micros() as i64;
        Timestamp::from_micros(micros).unwrap_or_else(|_| unreachable!("it is within a day of 2026-01-09"))
    }

    pub(crate) fn jump(&mut self, by: Duration) {
        self.clock.ahead += by;
    }

    /// Sets memory aside for large bodies, as the queue client does; false when there is none now.
    pub(crate) fn reserve(&self, messages: &mut [Message], small_bytes: usize) -> bool {
        let bytes: usize = messages.iter().map(|message| message.body.len()).filter(|len| *len > small_bytes).sum();
        if bytes == 0 || messages.iter().any(|message| message.permit.is_some()) {
            return true;
        }
        let Some(mut room) = self.budget.try_acquire(bytes * READ_FACTOR) else { return false };
        for message in messages {
            message.permit = Some(room.split(message.body.len() * HELD_FACTOR));
        }
        true
    }

    /// Bytes set aside.
    pub(crate) fn reserved_bytes(&self) -> usize {
        self.limits.bytes_max.saturating_sub(self.budget.free_bytes())
    }

    /// Told to stop, now.
    pub(crate) fn stop(&mut self, now: Time) {
        self.planted.stop();
        let ends_at = self.local(now) + self.limits.grace;
        self.stopping.get_or_insert(Stopping { ends_at, is_excused: false });
    }

    /// It could not go on as it wanted to until then.
    pub(crate) fn hinder(&mut self, until: Time) {
        self.trouble_until = self.trouble_until.max(until);
        if let Some(stopping) = &mut self.stopping {
            stopping.is_excused = true;
        }
    }

    /// Feeds the core, and sorts what it wants done.
    pub(crate) fn turn(&mut self, now: Time, input: Input) -> Result<Turn, Violation> {
        let local = self.local(now);
        let mut actions = Vec::new();
        self.core.handle(local, input, &mut actions);
        let mut turn = Turn::default();
        for action in actions {
            let (call, request) = match action {
                Action::Receive { call, wait } => (call, Request::Receive { wait }),
                Action::Process { call, message } => (call, Request::Process { message }),
                Action::Store { call, entries, .. } => (call, Request::Store { entries }),
                Action::Ping { call } => (call, Request::Ping),
                Action::Delete { call, deletes } => {
                    (call, Request::Delete { handles: deletes.iter().map(|delete| delete.handle().clone()).collect() })
                }
                Action::Extend { call, handles, visibility_s } => (call, Request::Extend { handles, visibility_s }),
                Action::Release { call, handles } => (call, Request::Release { handles }),
                Action::DeadLetter { call, letters } => (call, Request::Letters { letters }),
                Action::Count { call } => (call, Request::Count),
                Action::CancelReceives => {
                    turn.cancels = true;
                    continue;
                }
                Action::Note(note) => {
                    self.shadow.noted(now, &note)?;
                    turn.notes.push(note);
                    continue;
                }
                Action::Finish(finish) => {
                    turn.finish = Some(finish);
                    continue;
                }
            };
            self.shadow.asked(now, &request)?;
            self.shadow.called(&request);
            turn.requests.push((call, request));
        }
        if let Some(finish) = turn.finish {
            self.check_finish(now, finish)?;
        } else {
            self.check(now)?;
        }
        Ok(turn)
    }

    fn check(&self, now: Time) -> Result<(), Violation> {
        let books = self.core.books();
        self.shadow.agrees(now, books)?;
        let bounds = |what: String| Err(Violation::of(Law::Bounds, now, what));
        if self.shadow.len() > self.limits.messages_max {
            return bounds(format!("{} messages are held", self.shadow.len()));
        }
        // One receive may always be under way, however large what it brings.
        if self.core.held_bytes() > self.limits.bytes_max + (32 << 20) {
            return bounds(format!("{} bytes are held", self.core.held_bytes()));
        }
        match self.stopping {
            Some(stopping) if !stopping.is_excused && self.local(now) > stopping.ends_at + LATENESS_MAX => {
                Err(Violation::of(Law::StopsInTime, now, "the grace period is over, and it has not ended"))
            }
            _ => Ok(()),
        }
    }

    /// It says that it has ended.
    fn check_finish(&self, now: Time, finish: Finish) -> Result<(), Violation> {
        let broken = |what: String| Err(Violation::of(Law::StopsInTime, now, what));
        let books = self.core.books();
        if books.in_flight != 0 || books.pending != 0 || self.core.held_bytes() != 0 || !books.balance() {
            return broken(format!("it ended, and its books say that it holds something: {books:?}"));
        }
        let is_late = |stopping: Stopping| !stopping.is_excused && self.local(now) > stopping.ends_at + LATENESS_MAX;
        if self.stopping.is_some_and(is_late) {
            return broken("it ended, and its grace period was over".to_owned());
        }
        if finish == Finish::Idle && !self.shadow.counted_none {
            let what = "it ended for want of work, and the queue did not count nothing";
            return Err(Violation::of(Law::IdleIsEmpty, now, what));
        }
        let at_the_end = self.stopping.is_some_and(|stopping| self.local(now) >= stopping.ends_at);
        if self.shadow.len() > 0 && !at_the_end {
            return broken(format!("it ended before its time and keeps {} messages", self.shadow.len()));
        }
        Ok(())
    }

    /// Are as many calls to give back on their way as may be? What else is to be given back waits for them.
    pub(crate) fn releases_are_behind(&self) -> bool {
        self.out[Kind::Release as usize] >= self.limits.calls_max
    }

    /// A call leaves it.
    pub(crate) fn count_out(&mut self, now: Time, kind: Kind) -> Result<(), Violation> {
        self.out[kind as usize] += 1;
        let limits = &self.limits;
        let most = match kind {
            Kind::Receive => limits.pollers_max,
            // A probe may go out while groups from before the outage are still on their way.
            Kind::Store => limits.groups_max + 1,
            Kind::Process => 1,
            Kind::Delete | Kind::Extend | Kind::Release | Kind::Letters => limits.calls_max,
            Kind::Other => 2,
        };
        if self.out[kind as usize] > most {
            let what = format!("{} calls of kind {kind:?} at once", self.out[kind as usize]);
            return Err(Violation::of(Law::Bounds, now, what));
        }
        let second = now.as_secs();
        if self.calls_in_second.0 != second {
            self.calls_in_second = (second, 0);
        }
        self.calls_in_second.1 += 1;
        if self.calls_in_second.1 > CALLS_A_SECOND_MAX {
            return Err(Violation::of(Law::NoBusyLoop, now, "it makes thousands of calls a second"));
        }
        Ok(())
    }

    /// A call was answered.
    pub(crate) fn count_in(&mut self, kind: Kind) {
        self.out[kind as usize] -= 1;
    }
}
