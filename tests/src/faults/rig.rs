//! A scenario: workers, a queue and a store, a load that flows, faults meanwhile, and the full comparison in the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fleet::{Fleet, GRACE, LEASE};
use super::guard::Guard;
use super::order::disorder;
use super::proxy::{Mode, Proxy};
use super::queue::{QueueKind, Queues, Sent};
use super::report::{Report, here};
use super::store::{Backing, StoreKind};
use super::stream::Stream;
use super::truth::Truth;

/// Longest wait for a queue to be worked off once all faults are over.
const SETTLE_MAX: Duration = Duration::from_secs(600);
/// Longest wait for a worker to store again after a fault: then the fault counts as not recovered from.
const RECOVERY_MAX: Duration = Duration::from_secs(120);
/// How late answers are while a worker is awaited that holds messages: longer than it takes to see it and to stop it.
const KEPT_WAITING: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// What CI has time for.
    Ci,
    /// Every scenario, for some seconds.
    Short,
    /// Every scenario, with 10^5 events.
    Long,
}

impl Form {
    /// As `AFTERIMAGE_FAULTS` says.
    ///
    /// # Panics
    /// When it says something else.
    #[must_use]
    pub fn asked_for() -> Self {
        match std::env::var("AFTERIMAGE_FAULTS").unwrap_or_default().as_str() {
            "" => Self::Ci,
            "short" => Self::Short,
            "long" => Self::Long,
            other => panic!("AFTERIMAGE_FAULTS is short, long or not set, not {other}"),
        }
    }

    /// As reports have it.
    const fn name(self) -> &'static str {
        match self {
            Self::Ci => "CI",
            Self::Short => "short",
            Self::Long => "long",
        }
    }
}

/// Events of a scenario in the long form.
const LONG_EVENTS: u64 = 100_000;
/// In the long form messages come so many times faster.
const LONG_PACE: u32 = 4;
/// And no slower than this in a second: 10^5 of them in four minutes.
const LONG_PER_S_MIN: u32 = 400;

/// What a scenario begins with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// What is done, in a few words.
    pub fault: &'static str,
    /// Which store.
    pub store: StoreKind,
    /// Which queue.
    pub queue: QueueKind,
    /// Workers at once.
    pub workers: usize,
    /// Events in the short form; the long one has 10^5.
    pub events: u64,
    /// Messages sent in a second, in the short form.
    pub per_s: u32,
    /// Groups of a FIFO queue; none: a standard queue.
    pub groups: Option<u64>,
}

impl Plan {
    /// The same messages for the same seed.
    fn stream(&self, seed: u64, events: u64) -> Stream {
        Stream::new(seed, events, self.groups.unwrap_or(1))
    }
}

/// What befell the workers beside their own ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fault {
    /// Servers killed.
    pub kills: u64,
    /// Everything else.
    pub others: u64,
}

/// A scenario that runs.
#[derive(Debug)]
pub struct Rig {
    plan: Plan,
    events: u64,
    /// Seeds the load and the faults.
    pub seed: u64,
    /// For the fault script.
    pub rng: Rng,
    /// The workers.
    pub fleet: Fleet,
    /// What the script did beyond what fleet and proxies count.
    pub faults: Fault,
    guard: Arc<Guard>,
    queues: Arc<Queues>,
    backing: Backing,
    sender: JoinHandle<()>,
    sent: Arc<Mutex<Vec<Sent>>>,
    started: Instant,
    recovery: Option<Duration>,
}

impl Rig {
    /// Starts everything, and the load.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(plan: Plan) -> Self {
        Self::start_with(plan, |_| {}).await
    }

    /// [`Self::start`], with workers that `prepare` may have given variables of their own.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start_with(plan: Plan, prepare: impl FnOnce(&mut Fleet)) -> Self {
        let seed = std::env::var("AFTERIMAGE_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        println!("{}: seed {seed}", plan.name);
        let guard = Guard::new();
        let queues = Arc::new(Queues::start(&plan.queue, plan.groups.is_some()).await);
        let backing = Backing::prepare(plan.store.clone(), &guard).await;
        let lease = format!("{}s", LEASE.as_secs());
        let grace = format!("{}s", GRACE.as_secs());
        let mut args: Vec<String> = [
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--visibility-timeout",
            &lease,
            "--grace-period",
            &grace,
        ]
        .into_iter()
        .map(str::to_owned)
        .collect();
        args.extend(queues.args());
        args.extend(backing.args());
        let fleet = Fleet::start(crate::binary::binary(), Arc::clone(&guard), args, plan.workers, prepare).await;
        let (events, per_s) = match Form::asked_for() {
            Form::Long => (LONG_EVENTS, (plan.per_s * LONG_PACE).max(LONG_PER_S_MIN)),
            _ => (plan.events, plan.per_s),
        };
        let sent = Arc::new(Mutex::new(Vec::new()));
        let sender = tokio::spawn(Arc::clone(&queues).send(plan.stream(seed, events), per_s, Arc::clone(&sent)));
        Self {
            plan,
            events,
            seed,
            rng: Rng::with_seed(seed),
            fleet,
            faults: Fault::default(),
            guard,
            queues,
            backing,
            sender,
            sent,
            started: Instant::now(),
            recovery: None,
        }
    }

    /// Is there more to come? Faults are for as long as there is.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        !self.sender.is_finished()
    }

    /// Waits.
    pub async fn pause(&self, seconds: f64) {
        sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// A worker, any.
    #[must_use]
    pub fn any_worker(&mut self) -> usize {
        self.rng.usize(0..self.fleet.len())
    }

    /// The line between workers and queue.
    #[must_use]
    pub fn queue_line(&self) -> &Proxy {
        &self.queues.proxy
    }

    /// The line between workers and store.
    ///
    /// # Panics
    /// When the store has none.
    #[must_use]
    pub fn store_line(&self) -> &Proxy {
        self.backing.proxy.as_ref().expect("a store behind a proxy")
    }

    /// Keeps the workers from writing for so long, as another program would that holds SQLite's lock.
    ///
    /// # Panics
    /// When the store is another, or cannot be locked.
    pub async fn lock_store(&mut self, seconds: f64) {
        let lock = self.backing.lock();
        self.pause(seconds).await;
        drop(lock);
        self.faults.others += 1;
    }

    /// Stops a worker in the midst of work: the store keeps everyone waiting until one holds messages. None stands still
    /// where no more come.
    pub async fn freeze_one_that_holds(&mut self) -> Option<usize> {
        let lock = matches!(self.plan.store, StoreKind::Sqlite { .. }).then(|| self.backing.lock());
        if lock.is_none() {
            self.store_line().set(Mode::Late(KEPT_WAITING));
        }
        let worker = loop {
            let at = self.any_worker();
            if self.fleet.holds(at).await {
                break Some(at);
            }
            if !self.is_sending() {
                break None;
            }
            sleep(LOOK_PAUSE).await;
        };
        if let Some(worker) = worker {
            self.fleet.freeze(worker).await;
        }
        if lock.is_none() {
            self.store_line().set(Mode::Pass);
        }
        worker
    }

    /// Cuts the line to the store for so long: connections end and none are made.
    pub async fn cut_store(&mut self, seconds: f64) {
        self.store_line().set(Mode::Refuse);
        self.pause(seconds).await;
        self.store_line().set(Mode::Pass);
        self.faults.others += 1;
    }

    /// A fault is over: measures how long it takes until every worker has stored something since. Nothing is measured
    /// where there was nothing left to store.
    pub async fn recovered(&mut self) {
        let began = Instant::now();
        let before = self.fleet.stored().await;
        loop {
            let after = self.fleet.stored().await;
            if before.iter().zip(&after).all(|(before, after)| after > before) {
                self.recovery = self.recovery.max(Some(began.elapsed()));
                return;
            }
            if (!self.is_sending() && self.queues.depth().await == 0) || began.elapsed() > RECOVERY_MAX {
                return;
            }
            sleep(LOOK_PAUSE).await;
        }
    }

    /// On how many days entries were stored, by the clocks of the workers that stored them.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn days_stored(&self) -> usize {
        let store = self.backing.open();
        let days = super::truth::days_stored(&store, self.plan.stream(self.seed, self.events.min(1_000))).await;
        store.close().await;
        days
    }

    /// Lets the workers finish, compares everything, reports.
    ///
    /// # Panics
    /// When anything was lost, doubled or altered, stored out of order, or the wrong messages are with the dead letters.
    pub async fn finish(mut self) -> Report {
        (&mut self.sender).await.unwrap();
        let settling = Instant::now();
        while self.queues.depth().await > 0 {
            self.fleet.look().await;
            assert!(settling.elapsed() < SETTLE_MAX, "the queue is not worked off:\n{}", self.fleet.log(0));
            sleep(LOOK_PAUSE).await;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        self.fleet.stop().await;
        let store = self.backing.open();
        let sent = self.sent.lock().unwrap().clone();
        let letters = self.queues.letters().await;
        let stream = self.plan.stream(self.seed, self.events);
        let (verdict, events) = Truth::compare(Arc::clone(&store), stream, &sent, &letters).await;
        store.close().await;
        let journal = self.backing.journal();
        let disordered = self
            .plan
            .groups
            .map(|_| disorder(self.plan.stream(self.seed, self.events), &events, journal.as_ref(), &letters));
        let (fleet, (date, machine)) = (&self.fleet, here());
        let report = Report {
            name: self.plan.name.to_owned(),
            fault: self.plan.fault.to_owned(),
            store: self.backing.name().to_owned(),
            queue: self.queues.kind.to_owned(),
            form: Form::asked_for().name().to_owned(),
            binary: std::env::var("AFTERIMAGE_BIN").unwrap_or_else(|_| built().to_owned()),
            workers: self.plan.workers,
            events: self.events,
            entries: verdict.entries,
            kills: fleet.kills + fleet.aborts + self.faults.kills,
            other_faults: fleet.freezes + fleet.restarts + self.faults.others,
            redeliveries: fleet.redelivered(),
            lost: verdict.lost,
            doubled: verdict.doubled,
            altered: verdict.altered,
            letters_wrong: verdict.letters_missing + verdict.letters_wrong,
            disordered,
            recovery_s: self.recovery.map(|recovery| recovery.as_secs_f64()),
            seconds,
            seed: self.seed,
            date,
            machine,
        };
        report.publish();
        assert!(verdict.is_good(), "{}: {verdict:?}; seed {}", self.plan.name, self.seed);
        assert_eq!(
            disordered.unwrap_or(0),
            0,
            "{}: out of the order of their group; seed {}",
            self.plan.name,
            self.seed
        );
        assert!(verdict.entries > self.events / 2, "most events make an entry: {verdict:?}");
        self.backing.remove().await;
        self.queues.remove().await;
        drop(self.guard);
        report
    }
}

/// How the tests were built, and the binary with them.
const fn built() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}
