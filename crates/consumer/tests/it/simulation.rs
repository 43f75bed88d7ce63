//! Whole fleets, from a seed: workers that crash, stop, freeze and come back, a queue and a store at their worst, lost and
//! late answers; and in the end every event has one entry, whatever happened.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{
    Action, Arrival, CallId, Core, Finish, Input, Limits, Processor, Queue, QueueError, QueueErrorKind, dead_letter,
};
use afterimage_event::Timestamp;
use afterimage_store::{AppendError, Arrival as StoreArrival, Ledger, Store};

use crate::fakes::{Faults, SimQueue, SimStore, Words, entry_of, now_or_never, words};

/// Faults happen until then; after that the fleet is left in peace.
const CHAOS: Duration = Duration::from_secs(300);
/// By then everything must be done.
const END: Duration = Duration::from_secs(1800);
const HEALTHY: Faults = Faults { duplicate: 0.0, undelete: 0.0, item: 0.0, call: 0.0 };

#[test]
fn no_fleet_loses_or_doubles_or_spoils_an_event() {
    let seeds = match std::env::var("AFTERIMAGE_TEST_SEEDS") {
        Ok(seeds) => seeds.parse().expect("AFTERIMAGE_TEST_SEEDS is a number"),
        Err(_) => 1200,
    };
    let first = match std::env::var("AFTERIMAGE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("AFTERIMAGE_TEST_SEED is a number"),
        Err(_) => 0,
    };
    let mut totals = Totals::default();
    for seed in first..first + seeds {
        let run = std::panic::catch_unwind(|| Fleet::new(seed, false).run());
        match run {
            Ok(Ok(run)) => totals.add(run),
            Ok(Err(_)) | Err(_) => {
                let mut fleet = Fleet::new(seed, true);
                let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fleet.run()));
                let why = match again {
                    Ok(Err(why)) => why,
                    Ok(Ok(_)) => "it passed when run again: something is not decided by the seed".to_owned(),
                    Err(_) => "it panicked, see above".to_owned(),
                };
                panic!("{}\nseed {seed}: {why}\nAFTERIMAGE_TEST_SEED={seed} runs it again", fleet.story);
            }
        }
    }
    println!("{totals:?}");
    // A simulation in which nothing goes wrong shows nothing.
    if seeds >= 1000 {
        assert!(
            totals.redelivered > 0 && totals.lease_lost > 0 && totals.abandoned > 0 && totals.released > 0,
            "{totals:?}"
        );
        assert!(
            totals.dead_lettered > 0 && totals.crashes > 0 && totals.stops > 0 && totals.extended > 0,
            "{totals:?}"
        );
    }
}

#[derive(Debug, Default)]
struct Totals {
    events: usize,
    crashes: usize,
    stops: usize,
    redelivered: u64,
    lease_lost: u64,
    released: u64,
    abandoned: u64,
    dead_lettered: u64,
    extended: u64,
}

impl Totals {
    fn add(&mut self, run: Self) {
        self.events += run.events;
        self.crashes += run.crashes;
        self.stops += run.stops;
        self.redelivered += run.redelivered;
        self.lease_lost += run.lease_lost;
        self.released += run.released;
        self.abandoned += run.abandoned;
        self.dead_lettered += run.dead_lettered;
        self.extended += run.extended;
    }
}

/// What the world does at a moment.
enum Event {
    /// A call reaches the queue or the store.
    Effect {
        worker: usize,
        life: u32,
        action: Action,
    },
    /// Its answer reaches the worker.
    Answer {
        worker: usize,
        life: u32,
        input: Input,
    },
    Wake {
        worker: usize,
        life: u32,
    },
    Fault,
    Start {
        worker: usize,
    },
    StoreBack,
    StoreKnown,
    Send {
        id: usize,
    },
}

#[derive(Default)]
struct Slot {
    core: Option<Core>,
    life: u32,
    born: Duration,
    /// How far its clock has jumped ahead.
    ahead: Duration,
    frozen_until: Duration,
    wake_at: Option<Duration>,
    polls: usize,
    /// Deletes on their way, and messages whose deletion was confirmed.
    deletes: HashSet<CallId>,
    confirmed: u64,
}

struct Fleet {
    rng: fastrand::Rng,
    now: Duration,
    turn: u64,
    agenda: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    events: Vec<Option<Event>>,
    queue: Arc<SimQueue>,
    store: Arc<SimStore>,
    ledger: Ledger,
    limits: Limits,
    workers: Vec<Slot>,
    bodies: Vec<String>,
    to_send: usize,
    totals: Totals,
    story: String,
    tells: bool,
}

impl Fleet {
    fn new(seed: u64, tells: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let faults = Faults {
            duplicate: if rng.bool() { 0.02 } else { 0.0 },
            undelete: if rng.bool() { 0.01 } else { 0.0 },
            item: if rng.bool() { 0.1 } else { 0.0 },
            call: if rng.bool() { 0.05 } else { 0.0 },
        };
        let limits = Limits {
            messages_max: rng.usize(10..60),
            bytes_max: 16 << 20,
            pollers_max: rng.usize(1..6),
            lease: Duration::from_secs(rng.u64(10..60)),
            hold_max: Duration::from_secs(rng.u64(60..600)),
            group_entries_max: rng.usize(1..40),
            groups_max: rng.usize(1..4),
            calls_max: rng.usize(1..5),
            grace: Duration::from_secs(rng.u64(1..30)),
            has_dead_letter_queue: true,
            ..Limits::default()
        };
        let store = Arc::new(SimStore::default());
        let bodies = (0..rng.usize(20..80)).map(|id| body_of(&mut rng, id)).collect();
        let workers = (0..rng.usize(1..4)).map(|_| Slot::default()).collect();
        Self {
            queue: Arc::new(SimQueue::new(seed, faults)),
            ledger: Ledger::new(Arc::clone(&store) as Arc<dyn Store>),
            store,
            rng,
            now: Duration::ZERO,
            turn: 0,
            agenda: BinaryHeap::new(),
            events: Vec::new(),
            limits,
            workers,
            bodies,
            to_send: 0,
            totals: Totals::default(),
            story: String::new(),
            tells,
        }
    }

    fn run(&mut self) -> Result<Totals, String> {
        self.to_send = self.bodies.len();
        for id in 0..self.bodies.len() {
            let at = Duration::from_millis(self.rng.u64(0..CHAOS.as_millis() as u64 / 2));
            self.at(at, Event::Send { id });
        }
        for worker in 0..self.workers.len() {
            let at = Duration::from_millis(self.rng.u64(0..5000));
            self.at(at, Event::Start { worker });
        }
        for _ in 0..self.rng.usize(0..12) {
            let at = Duration::from_millis(self.rng.u64(0..CHAOS.as_millis() as u64));
            self.at(at, Event::Fault);
        }
        let mut calm = false;
        while let Some(Reverse((at, _, index))) = self.agenda.pop() {
            self.now = at;
            if at > CHAOS && !calm {
                calm = true;
                self.queue.set_faults(HEALTHY);
                self.tell(|| "peace".to_owned());
            }
            if at > END {
                return Err(format!("not done after {} s", at.as_secs()));
            }
            self.queue.set_now(at);
            if let Some(event) = self.events[index].take() {
                self.happen(event)?;
            }
            if calm && self.is_done() {
                break;
            }
        }
        self.check_end()?;
        Ok(std::mem::take(&mut self.totals))
    }

    fn at(&mut self, at: Duration, event: Event) {
        self.turn += 1;
        self.agenda.push(Reverse((at, self.turn, self.events.len())));
        self.events.push(Some(event));
    }

    fn soon(&mut self) -> Duration {
        // Mostly a few milliseconds, now and then seconds.
        let ms = if self.rng.u8(..) < 8 { self.rng.u64(0..8000) } else { self.rng.u64(0..40) };
        self.now + Duration::from_millis(ms)
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            writeln!(self.story, "{:>10.3} {}", self.now.as_secs_f64(), what()).expect("text takes text");
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Send { id } => {
                self.to_send -= 1;
                self.queue.send(&format!("m{id}"), &self.bodies[id]);
                Ok(())
            }
            Event::Start { worker } => self.start(worker),
            Event::Wake { worker, life } => self.deliver(worker, life, Input::Tick),
            Event::Answer { worker, life, input } => self.deliver(worker, life, input),
            Event::Effect { worker, life, action } => self.effect(worker, life, action),
            Event::StoreBack => {
                self.tell(|| "the store is back".to_owned());
                self.store.set_down(false);
                Ok(())
            }
            Event::StoreKnown => {
                self.store.set_unknown(false);
                Ok(())
            }
            Event::Fault => self.fault(),
        }
    }

    fn start(&mut self, worker: usize) -> Result<(), String> {
        let slot = &mut self.workers[worker];
        slot.life += 1;
        *slot = Slot { life: slot.life, born: self.now, ..Slot::default() };
        let limits = Limits { worker: format!("w{worker}"), ..self.limits.clone() };
        slot.core = Some(Core::new(limits, self.rng.u64(..)).map_err(|error| error.to_string())?);
        let life = slot.life;
        self.tell(|| format!("w{worker} starts"));
        self.deliver(worker, life, Input::Tick)
    }

    /// Tells a worker something, unless it has died since or is frozen, and starts what it asks for.
    fn deliver(&mut self, worker: usize, life: u32, input: Input) -> Result<(), String> {
        let now = self.now;
        let slot = &mut self.workers[worker];
        if slot.life != life || slot.core.is_none() {
            return Ok(());
        }
        if slot.frozen_until > now {
            let until = slot.frozen_until;
            self.at(until, Event::Answer { worker, life, input });
            return Ok(());
        }
        match &input {
            Input::Received { .. } => slot.polls -= 1,
            Input::Answered { call, result: Ok(items) } if slot.deletes.remove(call) => {
                slot.confirmed += items.iter().filter(|item| item.is_ok()).count() as u64;
            }
            _ => {}
        }
        if self.tells && !matches!(input, Input::Tick) {
            let text = short(&input);
            self.tell(|| format!("w{worker} < {text}"));
        }
        let slot = &mut self.workers[worker];
        let local = now - slot.born + slot.ahead;
        let mut actions = Vec::new();
        let Some(core) = slot.core.as_mut() else { return Ok(()) };
        core.handle(local, input, &mut actions);
        if !core.books().balance() {
            return Err(format!("the books of w{worker} do not balance: {:?}", core.books()));
        }
        if core.books().in_flight as usize > self.limits.messages_max {
            return Err(format!("w{worker} holds {} messages", core.books().in_flight));
        }
        if core.books().deleted > slot.confirmed {
            return Err(format!(
                "w{worker} takes {} messages for deleted, {} are",
                core.books().deleted,
                slot.confirmed
            ));
        }
        let deadline = core.next_deadline();
        for action in actions {
            if self.tells {
                let text = short(&action);
                self.tell(|| format!("w{worker} > {text}"));
            }
            match action {
                Action::Note(_) | Action::CancelReceives => {}
                Action::Finish(how) => self.finished(worker, how)?,
                Action::Receive { .. } => {
                    let slot = &mut self.workers[worker];
                    slot.polls += 1;
                    if slot.polls > self.limits.pollers_max {
                        return Err(format!("w{worker} has {} pollers", slot.polls));
                    }
                    let at = self.soon();
                    self.at(at, Event::Effect { worker, life, action });
                }
                action => {
                    if let Action::Delete { call, .. } = &action {
                        self.workers[worker].deletes.insert(*call);
                    }
                    let at = self.soon();
                    self.at(at, Event::Effect { worker, life, action });
                }
            }
        }
        let slot = &mut self.workers[worker];
        if let Some(deadline) = deadline
            && slot.core.is_some()
        {
            let at = (slot.born + deadline.saturating_sub(slot.ahead)).max(now + Duration::from_millis(1));
            if slot.wake_at.is_none_or(|wake_at| wake_at > at || wake_at <= now) {
                slot.wake_at = Some(at);
                self.at(at, Event::Wake { worker, life });
            }
        }
        Ok(())
    }

    /// A call reaches the queue or the store; some are lost on the way there, some on the way back.
    fn effect(&mut self, worker: usize, life: u32, action: Action) -> Result<(), String> {
        let chaos = self.now <= CHAOS;
        // A worker that died may have sent the call before, or not.
        if self.workers[worker].life != life && self.rng.bool() {
            return Ok(());
        }
        let lost_there = chaos && self.rng.u8(..) < 4;
        let lost_back = chaos && self.rng.u8(..) < 4;
        let input = if lost_there {
            unanswered(action)
        } else {
            let input = self.carry_out(worker, action)?;
            if lost_back { forget(input) } else { input }
        };
        let mut at = self.soon();
        if lost_there || lost_back {
            at += Duration::from_secs(10);
        }
        // A long poll that brings nothing takes its time.
        if let Input::Received { result: Ok(arrivals), .. } = &input
            && arrivals.is_empty()
        {
            at += Duration::from_secs(5);
        }
        self.at(at, Event::Answer { worker, life, input });
        Ok(())
    }

    fn carry_out(&mut self, worker: usize, action: Action) -> Result<Input, String> {
        let slot = &self.workers[worker];
        let leased_at = self.now.saturating_sub(slot.born) + slot.ahead;
        Ok(match action {
            Action::Receive { call, .. } => {
                let result = self.queue.take(10, self.limits.lease).map(|messages| {
                    messages
                        .into_iter()
                        .map(|message| {
                            let processed = Words.process(&message, Timestamp::from_micros(0).unwrap());
                            let processed = (self.rng.u8(..) > 20).then_some(processed);
                            Arrival { message: Arc::new(message), processed, room: None }
                        })
                        .collect()
                });
                Input::Received { call, leased_at, result }
            }
            Action::Process { call, message } => {
                let processed = Words.process(&message, Timestamp::from_micros(0).unwrap());
                Input::Processed { call, processed, room: None }
            }
            Action::Store { call, entries } => {
                let arrival = StoreArrival { worker: format!("w{worker}"), at: Timestamp::from_micros(0).unwrap() };
                Input::Stored { call, results: now_or_never(self.ledger.append(&entries, &arrival)) }
            }
            Action::Ping { call } => Input::Pinged { call, result: now_or_never(self.store.ping()) },
            Action::Delete { call, deletes } => {
                for delete in &deletes {
                    self.check_delete(&delete.handle().message_id)?;
                }
                Input::Answered { call, result: now_or_never(self.queue.delete(&deletes)) }
            }
            Action::Extend { call, handles, visibility_s } => {
                Input::Answered { call, result: now_or_never(self.queue.change_visibility(&handles, visibility_s)) }
            }
            Action::Release { call, handles } => {
                Input::Answered { call, result: now_or_never(self.queue.change_visibility(&handles, 0)) }
            }
            Action::DeadLetter { call, letters } => {
                Input::DeadLettered { call, result: now_or_never(dead_letter::send(&*self.queue, &letters)) }
            }
            Action::Count { call } => Input::Counted { call, result: now_or_never(self.queue.counts()) },
            Action::CancelReceives | Action::Note(_) | Action::Finish(_) => unreachable!("no call"),
        })
    }

    /// Law: nothing is deleted before it is durable, or with the dead letters.
    fn check_delete(&self, id: &str) -> Result<(), String> {
        let body = self.queue.body(id).ok_or_else(|| format!("{id} was never sent"))?;
        if let Some(missing) = entries_of(&body).find(|word| !self.store.has(word)) {
            return Err(format!("{id} is deleted before {missing} is durable"));
        }
        if is_poison(&body) && !self.queue.dead_letters().iter().any(|(letter, _)| letter == id) {
            return Err(format!("{id} cannot be stored, and is deleted without being a dead letter"));
        }
        Ok(())
    }

    fn fault(&mut self) -> Result<(), String> {
        let worker = self.rng.usize(0..self.workers.len());
        let pause = Duration::from_millis(self.rng.u64(0..90_000));
        let back = self.now + pause;
        let life = self.workers[worker].life;
        match self.rng.u8(0..6) {
            0 => {
                self.tell(|| format!("w{worker} crashes"));
                self.totals.crashes += 1;
                self.end_life(worker);
                self.at(back, Event::Start { worker });
            }
            1 => {
                self.tell(|| format!("w{worker} is told to stop"));
                self.totals.stops += 1;
                self.deliver(worker, life, Input::Stop)?;
            }
            2 => {
                self.tell(|| format!("w{worker} freezes for {pause:?}"));
                self.workers[worker].frozen_until = back;
            }
            3 => {
                self.tell(|| format!("the clock of w{worker} jumps ahead by {pause:?}"));
                self.workers[worker].ahead += pause;
            }
            4 => {
                self.tell(|| format!("the store is down for {pause:?}"));
                self.store.set_down(true);
                self.at(back, Event::StoreBack);
            }
            _ => {
                self.tell(|| format!("the answers of the store are lost for {pause:?}"));
                self.store.set_unknown(true);
                self.at(back, Event::StoreKnown);
            }
        }
        Ok(())
    }

    fn finished(&mut self, worker: usize, how: Finish) -> Result<(), String> {
        let core = self.workers[worker].core.as_ref();
        let books = core.map(|core| *core.books()).unwrap_or_default();
        if books.in_flight != 0 || books.pending != 0 || core.is_some_and(|core| core.held_bytes() != 0) {
            return Err(format!("w{worker} ended ({how:?}) and still holds something: {books:?}"));
        }
        self.end_life(worker);
        let at = self.soon();
        self.at(at, Event::Start { worker });
        Ok(())
    }

    fn end_life(&mut self, worker: usize) {
        let slot = &mut self.workers[worker];
        slot.life += 1;
        if let Some(core) = slot.core.take() {
            let books = *core.books();
            self.totals.redelivered += books.redelivered;
            self.totals.lease_lost += books.lease_lost;
            self.totals.released += books.released;
            self.totals.abandoned += books.abandoned;
            self.totals.dead_lettered += books.dead_lettered;
            self.totals.extended += books.extended;
        }
    }

    fn is_done(&self) -> bool {
        let quiet = self.workers.iter().all(|slot| slot.core.as_ref().is_some_and(|core| core.books().in_flight == 0));
        self.to_send == 0 && self.queue.is_empty() && quiet
    }

    /// Laws of the end: one entry for each event, as an undisturbed run stores it; only poison among the dead letters.
    fn check_end(&mut self) -> Result<(), String> {
        for worker in 0..self.workers.len() {
            self.end_life(worker);
        }
        let mut expected: Vec<(String, String)> = self
            .bodies
            .iter()
            .flat_map(|body| entries_of(body).map(|word| (word.to_owned(), entry_of(word).content)).collect::<Vec<_>>())
            .collect();
        expected.sort();
        self.totals.events = expected.len();
        if self.store.rows() != expected {
            return Err(format!("stored {} entries of {}", self.store.rows().len(), expected.len()));
        }
        let letters = self.queue.dead_letters();
        if let Some((id, _)) = letters.iter().find(|(_, body)| !is_poison(body)) {
            return Err(format!("{id} is healthy and a dead letter"));
        }
        let bodies: HashSet<&str> = letters.iter().map(|(_, body)| body.as_str()).collect();
        match self.bodies.iter().find(|body| is_poison(body) && !bodies.contains(body.as_str())) {
            Some(body) => Err(format!("`{body}` is poison and no dead letter")),
            None => Ok(()),
        }
    }
}

fn body_of(rng: &mut fastrand::Rng, id: usize) -> String {
    let words: Vec<String> = (0..rng.usize(1..5))
        .map(|n| {
            let mark = ["!", "=", "~", "", "", "", "", "", "", "", "", ""][rng.usize(0..12)];
            format!("{mark}e{id}-{n}")
        })
        .collect();
    words.join(" ")
}

fn entries_of(body: &str) -> impl Iterator<Item = &str> {
    words(body).filter(|word| word.starts_with('e'))
}

fn is_poison(body: &str) -> bool {
    words(body).any(|word| word.starts_with('!'))
}

fn lost<T>() -> Result<T, QueueError> {
    Err(QueueError { kind: QueueErrorKind::Unavailable, code: "Timeout".to_owned(), reason: "simulated".to_owned() })
}

/// The answer to a call that never arrived: a time-out.
fn unanswered(action: Action) -> Input {
    match action {
        Action::Receive { call, .. } => Input::Received { call, leased_at: Duration::ZERO, result: lost() },
        Action::Store { call, entries } => Input::Stored {
            call,
            results: entries.iter().map(|_| Err(AppendError::Unavailable { reason: "time-out".to_owned() })).collect(),
        },
        Action::Process { call, .. } | Action::Ping { call } | Action::Count { call } => Input::Lost { call },
        Action::Delete { call, .. } | Action::Extend { call, .. } | Action::Release { call, .. } => {
            Input::Answered { call, result: lost() }
        }
        Action::DeadLetter { call, .. } => Input::DeadLettered { call, result: lost() },
        Action::CancelReceives | Action::Note(_) | Action::Finish(_) => unreachable!("no call"),
    }
}

/// The same for an answer that was lost on its way back.
fn forget(input: Input) -> Input {
    match input {
        Input::Received { call, leased_at, .. } => Input::Received { call, leased_at, result: lost() },
        Input::Answered { call, .. } => Input::Answered { call, result: lost() },
        Input::DeadLettered { call, .. } => Input::DeadLettered { call, result: lost() },
        Input::Processed { call, .. }
        | Input::Stored { call, .. }
        | Input::Pinged { call, .. }
        | Input::Counted { call, .. } => Input::Lost { call },
        other => other,
    }
}

/// One line of the story.
fn short(what: &impl std::fmt::Debug) -> String {
    let mut text = format!("{what:?}");
    if text.len() > 600 {
        let mut end = 600;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
