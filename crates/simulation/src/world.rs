//! The world of one run: its time, and everything in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Finish, Input, Time};
use afterimage_store::Entry;

use crate::agenda::Agenda;
use crate::corpus::{Corpus, MessageNo};
use crate::fault::Fault;
use crate::law::{Law, Violation};
use crate::notary::Notary;
use crate::plan::{Plan, Scene};
use crate::queue::{Life, SimQueue};
use crate::report::Report;
use crate::store::{Mood, SimStore};
use crate::story::Story;
use crate::tally::Count;
use crate::wire::{Reply, Request};
use crate::worker::{Slot, Ticket};

/// Turns at one moment of virtual time; more are a loop that never lets time pass.
const TURNS_AT_ONCE_MAX: u32 = 20_000;
/// Most workers of a fleet.
const WORKERS_MAX: usize = 64;

/// What happens at a moment.
pub(crate) enum Event {
    Send {
        number: MessageNo,
    },
    Start {
        worker: usize,
    },
    /// The end of whoever does not end by itself.
    Kill {
        life: Life,
    },
    /// A stop reaches a process that stood still when it was sent.
    LateStop {
        life: Life,
    },
    Trouble(Fault),
    Scene(Scene),
    Wake {
        life: Life,
    },
    /// A call reaches the queue or the store.
    Arrive {
        life: Life,
        ticket: Ticket,
        request: Rc<Request>,
        sent_at: Time,
        /// How long its answer will take; none: it will be lost.
        back: Option<Duration>,
    },
    /// An answer reaches a worker.
    Answer {
        life: Life,
        ticket: Ticket,
        reply: Reply,
        /// When it began to arrive.
        began_at: Time,
    },
    PollEnds {
        ticket: Ticket,
    },
    /// A lease has run out while somebody waits for messages.
    Lapse,
    LateAppend {
        entries: Vec<Arc<Entry>>,
    },
    /// See [`Scene::HeadsUnanswered`].
    HeadsAnswered {
        groups: u32,
    },
    Peace,
}

/// A receive that waits for messages.
pub(crate) struct Waiter {
    pub(crate) life: Life,
    pub(crate) ticket: Ticket,
    pub(crate) back: Option<Duration>,
}

/// Everything in a run.
pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) corpus: &'a Corpus,
    pub(crate) notary: &'a Notary,
    pub(crate) rng: fastrand::Rng,
    pub(crate) now: Time,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) next_ticket: Ticket,
    pub(crate) queue: SimQueue,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) lapse_at: Option<Time>,
    pub(crate) queue_down_until: Time,
    /// Until then somebody's extensions may have failed for the queue's sake.
    pub(crate) queue_trouble_until: Time,
    pub(crate) letters_down_until: Time,
    /// Copies of each message that workers sent to the dead letters.
    pub(crate) letters: HashMap<MessageNo, u32>,
    /// Poison that some worker left to the redrive policy: its group goes on without it.
    pub(crate) left: HashSet<MessageNo>,
    pub(crate) store: SimStore,
    /// Of each FIFO group, the messages sent, in order.
    pub(crate) groups: BTreeMap<u32, Vec<MessageNo>>,
    to_send: u32,
    is_peace: bool,
    pub(crate) is_ending: bool,
    pub(crate) report: Report,
    pub(crate) story: Story,
}

impl<'a> World<'a> {
    pub(crate) fn new(plan: &'a Plan, corpus: &'a Corpus, notary: &'a Notary, story: Story) -> Self {
        Self {
            plan,
            corpus,
            notary,
            rng: fastrand::Rng::with_seed(plan.seed ^ 0x5157),
            now: Time::ZERO,
            agenda: Agenda::new(),
            slots: (0..plan.workers).map(|_| Slot::default()).collect(),
            next_ticket: 0,
            queue: SimQueue::new(plan.receives_max, plan.in_flight_max),
            waiters: Vec::new(),
            lapse_at: None,
            queue_down_until: Time::ZERO,
            queue_trouble_until: Time::ZERO,
            letters_down_until: Time::ZERO,
            letters: HashMap::new(),
            left: HashSet::new(),
            store: SimStore::new(corpus.entries_len(), plan.faults.has(Fault::StoreRefuses)),
            groups: BTreeMap::new(),
            to_send: plan.messages,
            is_peace: false,
            is_ending: false,
            report: Report::default(),
            story,
        }
    }

    /// Runs to the end, or to the first law that is broken.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.prepare();
        let (mut turns, mut end_by) = (0, self.plan.peace_at + self.plan.settle);
        while let Some((at, event)) = self.agenda.pop() {
            turns = if at > self.now || matches!(event, Event::Send { .. }) { 0 } else { turns + 1 };
            if turns > TURNS_AT_ONCE_MAX {
                return Err(Violation::of(Law::NoBusyLoop, at, "time stands still"));
            }
            self.now = at;
            if at > end_by {
                break;
            }
            self.happen(event)?;
            if self.is_peace && !self.is_ending && self.is_done() {
                self.is_ending = true;
                self.report.done_at = at;
                self.story.tell(at, || "all is done: everybody is told to stop".to_owned());
                end_by = at + self.plan.limits.grace + Duration::from_secs(30);
                for worker in 0..self.slots.len() {
                    self.stop(worker)?;
                }
            }
            if self.is_ending && self.slots.iter().all(|slot| slot.alive.is_none()) {
                return self.check_end();
            }
        }
        Err(self.unfinished())
    }

    fn prepare(&mut self) {
        let peace_ms = (self.plan.peace_at.as_millis() as u64).max(1);
        let first = self.plan.first_message;
        for nth in 0..self.plan.messages {
            // Of a group, in order.
            let share = f64::from(nth) / f64::from(self.plan.messages.max(1));
            let at = if self.plan.is_fifo {
                self.plan.sending.mul_f64(share)
            } else {
                self.plan.sending.mul_f64(self.rng.f64())
            };
            self.agenda.push(at, Event::Send { number: (first + nth) % self.corpus.len() });
        }
        for worker in 0..self.plan.workers {
            let at = Duration::from_millis(self.rng.u64(0..3000));
            self.agenda.push(at, Event::Start { worker });
        }
        for fault in self.plan.faults.iter().filter(|fault| fault.comes_and_goes()) {
            for _ in 0..self.rng.u32(1..4) {
                let at = Duration::from_millis(self.rng.u64(0..peace_ms));
                self.agenda.push(at, Event::Trouble(fault));
            }
        }
        for (at, scene) in &self.plan.scenes {
            self.agenda.push(*at, Event::Scene(*scene));
        }
        self.agenda.push(self.plan.peace_at, Event::Peace);
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Send { number } => {
                self.to_send -= 1;
                self.report.tally[Count::Messages] += 1;
                let group = self.corpus.group(number);
                self.story.tell(self.now, || format!("m{number} is sent: {}", self.corpus.body(number)));
                if let Some(group) = group {
                    self.groups.entry(group).or_default().push(number);
                }
                self.queue.send(self.now, number, group);
                self.serve()
            }
            Event::Start { worker } => self.start(worker),
            Event::Kill { life } => {
                if self.is_alive(life) {
                    self.story.tell(self.now, || format!("w{} is killed while it stops", life.worker));
                    self.report.tally[Count::ForcedKills] += 1;
                    self.end_life(life.worker);
                    self.start_later(life.worker);
                }
                Ok(())
            }
            Event::LateStop { life } => self.turn(life, Input::Stop),
            Event::Trouble(fault) => self.trouble(fault),
            Event::Scene(scene) => self.play(scene),
            Event::Wake { life } => self.wake(life),
            Event::Arrive { life, ticket, request, sent_at, back } => {
                self.arrive(life, ticket, &request, sent_at, back)
            }
            Event::Answer { life, ticket, reply, began_at } => self.answer(life, ticket, reply, began_at),
            Event::PollEnds { ticket } => self.end_poll(ticket),
            Event::Lapse => {
                self.lapse_at = None;
                self.queue.pass(self.now);
                self.serve()
            }
            Event::LateAppend { entries } => {
                self.story.tell(self.now, || "the store applies late what it was sent".to_owned());
                self.append(&entries, false).map(|_| ())
            }
            Event::HeadsAnswered { groups } => {
                self.store.silent_below = 0;
                self.check_flow(groups)
            }
            Event::Peace => self.make_peace(),
        }
    }

    /// Do faults still happen?
    pub(crate) fn chaos(&self, fault: Fault) -> bool {
        !self.is_peace && self.plan.faults.has(fault)
    }

    /// Once in so many times, while this fault is on.
    pub(crate) fn strikes(&mut self, fault: Fault, one_in: u32) -> bool {
        self.chaos(fault) && self.rng.u32(0..one_in) == 0
    }

    fn make_peace(&mut self) -> Result<(), Violation> {
        self.is_peace = true;
        self.story.tell(self.now, || "peace: nothing goes wrong from now on".to_owned());
        self.store.set_mood(Mood::Well, self.now);
        if self.slots.iter().all(|slot| slot.is_retired) {
            self.slots[0].is_retired = false;
            self.agenda.push(self.now, Event::Start { worker: 0 });
        }
        Ok(())
    }

    fn play(&mut self, scene: Scene) -> Result<(), Violation> {
        self.story.tell(self.now, || format!("{scene:?}"));
        match scene {
            Scene::Scale { workers } => {
                for worker in 0..workers.min(WORKERS_MAX) {
                    if worker >= self.slots.len() {
                        self.slots.push(Slot::default());
                    }
                    self.slots[worker].is_retired = false;
                    if self.slots[worker].alive.is_none() {
                        self.start(worker)?;
                    }
                }
                for worker in workers..self.slots.len() {
                    self.slots[worker].is_retired = true;
                    self.stop(worker)?;
                }
            }
            Scene::StoreDown { pause } => self.store.set_mood(Mood::Down, self.now + pause),
            Scene::StoreSlow { pause } => self.store.set_mood(Mood::Slow, self.now + pause),
            // The messages are dealt to the groups in turn, and each has the entry of its number.
            Scene::HeadsUnanswered { groups, pause } => {
                self.store.silent_below = groups;
                self.agenda.push(self.now + pause, Event::HeadsAnswered { groups });
            }
        }
        Ok(())
    }

    pub(crate) fn finished(&mut self, worker: usize, how: Finish) {
        self.story.tell(self.now, || format!("w{worker} has ended: {how:?}"));
        self.end_life(worker);
        self.start_later(worker);
    }

    fn is_done(&self) -> bool {
        let holds = |slot: &Slot| slot.alive.as_ref().is_some_and(|alive| alive.shadow.len() > 0);
        self.to_send == 0 && self.queue.open == 0 && !self.slots.iter().any(holds)
    }

    fn unfinished(&self) -> Violation {
        let held: usize = self.slots.iter().flat_map(|slot| &slot.alive).map(|alive| alive.shadow.len()).sum();
        let what = format!("{} messages are in the queue, {held} are held", self.queue.open);
        let law = if self.is_ending { Law::StopsInTime } else { Law::EverythingGetsDone };
        Violation { law, at: self.now, what, message: self.queue.any_open() }
    }

    /// Can it never be stored?
    pub(crate) fn is_poison(&self, number: MessageNo) -> bool {
        self.corpus.rejections(number).next().is_some()
            || self.corpus.entries(number).any(|entry| self.store.refuses(entry))
    }

    /// Law: nothing is deleted before it is durable, or a dead letter.
    pub(crate) fn check_deletable(&self, number: MessageNo) -> Result<(), Violation> {
        let broken = |what: &str| Err(Violation::about(Law::DurableBeforeDelete, self.now, number, what));
        let missing = |entry: &u32| !self.store.refuses(*entry) && !self.store.is_durable(*entry);
        if self.corpus.entries(number).any(|entry| missing(&entry)) {
            return broken("is deleted before all its entries are durable");
        }
        if self.is_poison(number) && !self.letters.contains_key(&number) {
            return broken("cannot be stored, and is deleted without being a dead letter");
        }
        Ok(())
    }

    /// Law: groups that do not get on hold up no others.
    fn check_flow(&self, stuck: u32) -> Result<(), Violation> {
        let is_stuck = |number: &MessageNo| self.corpus.group(*number).is_some_and(|group| group < stuck);
        let sent = self.groups.values().flatten().copied();
        match sent.filter(|number| !is_stuck(number)).find(|number| !self.is_settled(*number)) {
            None => Ok(()),
            Some(number) => {
                Err(Violation::about(Law::GroupsFlow, self.now, number, "waits for groups that are not its own"))
            }
        }
    }

    /// Laws of the end: every event has its entry, all poison is kept, nothing healthy is with the dead letters.
    fn check_end(&mut self) -> Result<(), Violation> {
        let (mut stored, mut poison) = (0, 0);
        for nth in 0..self.plan.messages {
            let number = (self.plan.first_message + nth) % self.corpus.len();
            let is_moved = self.queue.is_moved(number);
            let is_poison = self.is_poison(number);
            let entries = self.corpus.entries(number);
            stored += entries.clone().filter(|entry| self.store.is_durable(*entry)).count();
            poison += u64::from(is_poison);
            if is_moved {
                if !is_poison && !self.plan.faults.are_costly() {
                    let what = "is healthy, and was delivered so often that the redrive policy took it";
                    return Err(Violation::about(Law::NoDeliveryIsWasted, self.now, number, what));
                }
                continue;
            }
            self.check_deletable(number).map_err(|broken| Violation {
                law: if is_poison { Law::PoisonIsKept } else { Law::OneEntryForEachEvent },
                ..broken
            })?;
        }
        if stored != self.store.count {
            let what = format!("{} entries are stored, {stored} of them have an event", self.store.count);
            return Err(Violation::of(Law::OneEntryForEachEvent, self.now, what));
        }
        let tally = &mut self.report.tally;
        tally[Count::Runs] += 1;
        tally[Count::Entries] += stored as u64;
        tally[Count::Poison] += poison;
        tally[Count::Repeated] += self.store.repeated;
        tally[Count::Letters] += self.letters.values().map(|copies| u64::from(*copies)).sum::<u64>();
        tally[Count::Moved] += self.queue.moved.len() as u64;
        tally[Count::VirtualSeconds] += self.now.as_secs();
        Ok(())
    }
}
