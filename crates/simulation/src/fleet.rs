//! The workers of a run: they start, turn, stand still, stop and die.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Arrival, CallId, Input, Limits, Message, Note, Processed, QueueKind};

use crate::corpus::number_of;
use crate::fault::Fault;
use crate::law::{Law, Violation};
use crate::mutant::Mutant;
use crate::queue::Life;
use crate::report::count_at;
use crate::store::Mood;
use crate::tally::Count;
use crate::wire::{Kind, Reply, Request, message_of};
use crate::worker::{Alive, Call, Clock, Slot, Ticket};
use crate::world::{Event, World};

/// Bodies up to this size take no part in the byte budget of a worker here: a run holds few of them.
const SMALL_BYTES: usize = 4 << 10;

impl World<'_> {
    pub(crate) fn is_alive(&self, life: Life) -> bool {
        self.slots[life.worker].life == life.life && self.slots[life.worker].alive.is_some()
    }

    pub(crate) fn life(&self, worker: usize) -> Life {
        Life { worker, life: self.slots[worker].life }
    }

    fn alive(&mut self, life: Life) -> Option<&mut Alive> {
        let slot = &mut self.slots[life.worker];
        if slot.life == life.life { slot.alive.as_deref_mut() } else { None }
    }

    pub(crate) fn start(&mut self, worker: usize) -> Result<(), Violation> {
        if self.is_ending || self.slots[worker].is_retired || self.slots[worker].alive.is_some() {
            return Ok(());
        }
        let skewed = self.plan.faults.has(Fault::ClockSkew);
        let clock = Clock {
            born: self.now,
            drift_ppm: if skewed { self.rng.i32(-20_000..20_000) } else { 0 },
            ahead: Duration::ZERO,
            wall_off_s: if skewed { self.rng.i64(-36_000..36_000) } else { 0 },
        };
        let mut limits = Limits { worker: format!("w{worker}"), ..self.plan.limits.clone() };
        if self.plan.mutant == Some(Mutant::GroupsIgnored) {
            limits.kind = QueueKind::Standard;
        }
        let seed = self.rng.u64(..);
        let alive = Alive::new(limits, seed, clock, self.plan.mutant)
            .map_err(|error| Violation::of(Law::Bounds, self.now, error.to_string()))?;
        let slot = &mut self.slots[worker];
        slot.life += 1;
        slot.alive = Some(Box::new(alive));
        self.report.tally[Count::Starts] += 1;
        self.story.tell(self.now, || format!("w{worker} starts"));
        self.turn(self.life(worker), Input::Tick)
    }

    pub(crate) fn start_later(&mut self, worker: usize) {
        let at = self.now + Duration::from_millis(self.rng.u64(0..5000));
        self.agenda.push(at, Event::Start { worker });
    }

    pub(crate) fn end_life(&mut self, worker: usize) {
        let slot = &mut self.slots[worker];
        slot.life += 1;
        if let Some(alive) = slot.alive.take() {
            self.report.tally[Count::Extensions] += alive.core.books().extended;
        }
    }

    /// Tells a worker to stop, as `SIGTERM` does.
    pub(crate) fn stop(&mut self, worker: usize) -> Result<(), Violation> {
        let (now, life) = (self.now, self.life(worker));
        let Some(alive) = self.alive(life) else { return Ok(()) };
        if alive.stopping.is_some() {
            return Ok(());
        }
        alive.stop(now);
        if alive.frozen_until > now {
            // The signal waits for the process.
            alive.hinder(alive.frozen_until);
        }
        self.report.tally[Count::Stops] += 1;
        self.story.tell(now, || format!("w{worker} is told to stop"));
        if self.chaos(Fault::ForcedKill) {
            let at = now + self.plan.limits.grace.mul_f64(self.rng.f64());
            self.agenda.push(at, Event::Kill { life });
        }
        self.turn(life, Input::Stop)
    }

    /// A timer of a worker fires.
    pub(crate) fn wake(&mut self, life: Life) -> Result<(), Violation> {
        let now = self.now;
        match self.alive(life) {
            Some(alive) if alive.wake_at.is_some_and(|at| at <= now) => {
                alive.wake_at = None;
                self.turn(life, Input::Tick)
            }
            _ => Ok(()),
        }
    }

    /// One turn of a worker's core, and what it sends then.
    pub(crate) fn turn(&mut self, life: Life, input: Input) -> Result<(), Violation> {
        let now = self.now;
        let Some(alive) = self.alive(life) else { return Ok(()) };
        if alive.frozen_until > now && matches!(input, Input::Tick | Input::Stop) {
            let at = alive.frozen_until;
            if matches!(input, Input::Stop) {
                self.agenda.push(at, Event::LateStop { life });
            } else {
                alive.wake_at = Some(at);
                self.agenda.push(at, Event::Wake { life });
            }
            return Ok(());
        }
        let mut turn = alive.turn(now, input)?;
        let (held, bytes) = (alive.shadow.len(), alive.core.held_bytes());
        let reserved = alive.reserved_bytes();
        if turn.cancels {
            alive.is_cancelled = true;
            self.cancel_receives(life);
        }
        self.report.tally[Count::Turns] += 1;
        self.report.held_max = self.report.held_max.max(held);
        self.report.held_bytes_max = self.report.held_bytes_max.max(bytes);
        self.report.reserved_bytes_max = self.report.reserved_bytes_max.max(reserved);
        for note in &turn.notes {
            if let Note::LeftToRedrive { message_id, .. } = note {
                self.left.insert(number_of(message_id));
            }
            self.story.tell(now, || format!("w{} notes {note:?}", life.worker));
        }
        let dies = self.strikes(Fault::Crash, 400);
        if dies {
            turn.requests.truncate(self.rng.usize(0..=turn.requests.len()));
        }
        for (id, request) in turn.requests {
            self.send(life, id, request)?;
        }
        if dies {
            self.crash(life.worker);
        } else if let Some(how) = turn.finish {
            self.finished(life.worker, how);
        } else if let Some(alive) = self.alive(life)
            && let Some(at) = alive.deadline(now)
            && alive.wake_at.is_none_or(|wake_at| wake_at > at)
        {
            alive.wake_at = Some(at);
            self.agenda.push(at, Event::Wake { life });
        }
        Ok(())
    }

    /// A request leaves a worker.
    fn send(&mut self, life: Life, id: CallId, request: Request) -> Result<(), Violation> {
        let asked = Rc::new(request);
        let Some(alive) = self.alive(life) else { return Ok(()) };
        let sent = alive.planted.send(&asked);
        if sent.is_empty() {
            let items = asked.handles().iter().map(|_| Ok(())).collect();
            return self.dispatch_unsent(life, id, &asked, Reply::Items(Ok(items)));
        }
        for (nth, request) in sent.into_iter().enumerate() {
            self.dispatch(life, (nth == 0).then_some(id), Rc::clone(&asked), request)?;
        }
        Ok(())
    }

    /// A call goes out: its laws, and its way.
    fn dispatch(
        &mut self,
        life: Life,
        id: Option<CallId>,
        asked: Rc<Request>,
        request: Rc<Request>,
    ) -> Result<(), Violation> {
        let (now, kind) = (self.now, request.kind());
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        if !Rc::ptr_eq(&asked, &request)
            && let Some(alive) = self.alive(life)
        {
            alive.shadow.asked(now, &request)?;
        }
        match &*request {
            Request::Delete { handles } => self.check_deletes(life, handles)?,
            Request::Letters { letters } => self.check_letter_order(letters)?,
            _ => {}
        }
        let Some(alive) = self.alive(life) else { return Ok(()) };
        alive.count_out(now, kind)?;
        alive.calls.insert(ticket, Call { id, asked, sent: Some(Rc::clone(&request)) });
        self.story.tell(now, || format!("w{} > {}", life.worker, request.tell()));
        if kind == Kind::Receive {
            count_at(&mut self.report.receives_by_second, now, 1);
        }
        if kind != Kind::Process {
            self.report.tally[Count::Calls] += 1;
        }
        self.route(life, ticket, request);
        Ok(())
    }

    /// A defect keeps a request to itself: it is answered all the same.
    fn dispatch_unsent(&mut self, life: Life, id: CallId, asked: &Rc<Request>, reply: Reply) -> Result<(), Violation> {
        let now = self.now;
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        let Some(alive) = self.alive(life) else { return Ok(()) };
        alive.count_out(now, asked.kind())?;
        alive.calls.insert(ticket, Call { id: Some(id), asked: Rc::clone(asked), sent: None });
        let began_at = now + Duration::from_millis(1);
        self.agenda.push(began_at, Event::Answer { life, ticket, reply, began_at });
        Ok(())
    }

    /// A worker gives up waiting for its receives: what they would have brought comes to nobody.
    fn cancel_receives(&mut self, life: Life) {
        let began_at = self.now + Duration::from_millis(1);
        let Some(alive) = self.alive(life) else { return };
        let receives = |(_, call): &(&Ticket, &Call)| call.asked.kind() == Kind::Receive;
        let mut tickets: Vec<Ticket> = alive.calls.iter().filter(receives).map(|(ticket, _)| *ticket).collect();
        tickets.sort_unstable();
        for ticket in tickets {
            self.agenda
                .push(began_at, Event::Answer { life, ticket, reply: Reply::Received(Ok(Vec::new())), began_at });
        }
    }

    /// An answer reaches a worker, unless it has died or given up waiting.
    pub(crate) fn answer(
        &mut self,
        life: Life,
        ticket: Ticket,
        mut reply: Reply,
        began_at: Duration,
    ) -> Result<(), Violation> {
        let now = self.now;
        let Some(alive) = self.alive(life) else { return Ok(()) };
        if alive.frozen_until > now {
            let at = alive.frozen_until;
            self.agenda.push(at, Event::Answer { life, ticket, reply, began_at: at });
            return Ok(());
        }
        if !alive.calls.contains_key(&ticket) {
            return Ok(());
        }
        if let Reply::Received(Ok(messages)) = &mut reply
            && !alive.reserve(messages, SMALL_BYTES)
        {
            // The body stays with the sender until there is room for it.
            self.agenda.push(now + Duration::from_millis(20), Event::Answer { life, ticket, reply, began_at });
            return Ok(());
        }
        let Some(call) = alive.calls.remove(&ticket) else { return Ok(()) };
        alive.count_in(call.asked.kind());
        let Some(id) = call.id else { return Ok(()) };
        let mut at_once = Vec::new();
        if let Some(sent) = &call.sent {
            alive.shadow.answered(sent, &reply);
            at_once = alive.planted.hear(&call.asked, sent, &mut reply);
        }
        alive.shadow.told(&call.asked, &reply);
        if matches!(*call.asked, Request::Extend { .. }) && !is_all_well(&reply, call.asked.handles().len()) {
            alive.trouble_until = alive.trouble_until.max(now);
        }
        self.story.tell(now, || format!("w{} < {} [{}]", life.worker, reply.tell(), call.asked.tell()));
        if !at_once.is_empty() {
            let request = Rc::new(Request::Delete { handles: at_once });
            self.dispatch(life, None, Rc::clone(&request), request)?;
        }
        let input = self.input(life, id, &call.asked, reply, began_at);
        self.turn(life, input)
    }

    /// What a worker's driver makes of an answer.
    fn input(&mut self, life: Life, call: CallId, asked: &Request, reply: Reply, began_at: Duration) -> Input {
        match (asked, reply) {
            (Request::Receive { .. }, Reply::Received(result)) => {
                let arrivals =
                    result.map(|messages| messages.into_iter().map(|message| self.arrival(life, message)).collect());
                let leased_at = self.alive(life).map_or(began_at, |alive| alive.local(began_at));
                Input::Received { call, leased_at, result: arrivals }
            }
            (Request::Process { message }, Reply::Processed) => {
                Input::Processed { call, processed: self.process(life, message), room: None }
            }
            (Request::Store { entries }, Reply::Stored(results)) => {
                if results.iter().any(|result| *result == Err(crate::store::unavailable())) {
                    self.report.tally[Count::UnknownAppends] += 1;
                }
                Input::Stored { call, results: self.notary.stored(entries, results) }
            }
            (Request::Ping, Reply::Pinged(result)) => Input::Pinged { call, result },
            (Request::Letters { letters }, Reply::Items(result)) => {
                let result = result.and_then(|items| self.notary.dead_lettered(letters, items));
                Input::DeadLettered { call, result }
            }
            (_, Reply::Items(result)) => Input::Answered { call, result },
            (_, Reply::Counted(result)) => Input::Counted { call, result },
            _ => Input::Lost { call },
        }
    }

    fn arrival(&mut self, life: Life, mut message: Message) -> Arrival {
        let number = message_of(&message.handle);
        // Nothing of it is stored: entries tell the place in a group.
        let is_all_poison = || self.corpus.entries(number).is_empty() && self.is_poison(number);
        if self.plan.mutant == Some(Mutant::PoisonUngrouped) && is_all_poison() {
            message.group_id = None;
        }
        let is_cancelled = self.alive(life).is_none_or(|alive| alive.is_cancelled);
        let begins = !is_cancelled && !self.strikes(Fault::NoRoom, 4);
        let processed = begins.then(|| self.process(life, &message));
        Arrival { message: Arc::new(message), processed, room: None }
    }

    fn process(&mut self, life: Life, message: &Message) -> Processed {
        let now = self.now;
        let anew = self.rng.u32(0..self.plan.anew_one_in) == 0;
        let corpus = self.corpus;
        self.alive(life).map_or_else(Processed::default, |alive| corpus.process(message, alive.wall_clock(now), anew))
    }

    fn crash(&mut self, worker: usize) {
        self.story.tell(self.now, || format!("w{worker} crashes"));
        self.report.tally[Count::Crashes] += 1;
        self.end_life(worker);
        let at = self.now + Duration::from_millis(self.rng.u64(0..90_000));
        self.agenda.push(at, Event::Start { worker });
    }

    /// Something goes wrong.
    pub(crate) fn trouble(&mut self, fault: Fault) -> Result<(), Violation> {
        let pause = Duration::from_millis(self.rng.u64(0..90_000)).min(self.plan.peace_at.saturating_sub(self.now));
        let until = self.now + pause;
        let worker = self.rng.usize(0..self.slots.len());
        self.story.tell(self.now, || format!("trouble: {fault:?}, w{worker} or all, {:.3} s", pause.as_secs_f64()));
        let mood = match fault {
            Fault::Crash if self.slots[worker].alive.is_some() => {
                self.crash(worker);
                return Ok(());
            }
            Fault::Stop => return self.stop(worker),
            Fault::Scale => return self.scale(worker),
            Fault::Freeze | Fault::ClockJump => {
                let life = self.life(worker);
                let Some(alive) = self.alive(life) else { return Ok(()) };
                alive.hinder(until);
                if fault == Fault::Freeze {
                    alive.frozen_until = until;
                    self.report.tally[Count::Freezes] += 1;
                } else {
                    alive.jump(pause);
                    self.report.tally[Count::ClockJumps] += 1;
                    // A timer sees the jump at once.
                    self.turn(life, Input::Tick)?;
                }
                return Ok(());
            }
            Fault::QueueDown => {
                self.queue_down_until = until;
                self.queue_trouble_until = until + Duration::from_secs(30);
                self.report.tally[Count::QueueOutages] += 1;
                return Ok(());
            }
            Fault::LettersDown => {
                self.letters_down_until = until;
                return Ok(());
            }
            Fault::StoreDown if self.rng.bool() => Mood::Silent,
            Fault::StoreDown => Mood::Down,
            Fault::StoreReplyLost => Mood::ReplyLost,
            Fault::StoreLate => Mood::Late,
            Fault::StorePartial => Mood::Partial,
            Fault::StoreSlow => Mood::Slow,
            _ => return Ok(()),
        };
        self.report.tally[Count::StoreOutages] += 1;
        self.store.set_mood(mood, until);
        Ok(())
    }

    /// A worker more, or one less for good.
    fn scale(&mut self, worker: usize) -> Result<(), Violation> {
        if self.slots.len() < 8 && self.rng.bool() {
            self.slots.push(Slot::default());
            return self.start(self.slots.len() - 1);
        }
        self.slots[worker].is_retired = true;
        self.stop(worker)
    }
}

fn is_all_well(reply: &Reply, items: usize) -> bool {
    matches!(reply, Reply::Items(Ok(results)) if results.len() == items && results.iter().all(Result::is_ok))
}
