//! The driver: carries out what the core decides, and tells it what came of it.
//!
//! One task turns the core; every call is a task of its own, for a whole batch. There is one timer, and no task or
//! timer per message.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afterimage_event::Timestamp;
use afterimage_failpoint::{Point, clock_skew_micros, reach};
use afterimage_store::{AppendError, Arrival as StoreArrival, Ledger, Store, StoreError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Permit};
use crate::core::{Action, Arrival, Books, CallId, Core, Finish, Input, Limits, LimitsError, Time};
use crate::health::{Health, TURN_MAX};
use crate::message::Message;
use crate::process::{Processed, Processor, process_safely};
use crate::queue::{Ask, BATCH_MAX, Queue};
use crate::telemetry::Metrics;
use crate::trace::{Traced, Tracing};
use crate::{dead_letter, queue};

/// Bodies larger than this are so much work that others get a turn in between.
const LONG_WORK_BYTES: usize = 64 << 10;

/// Memory for entries that take more than messages are reckoned with: of messages with thousands of small events, or
/// images with thousands of small members. beside `Limits::bytes_max`.
const EXPANSION_BYTES_MAX: usize = 32 << 20;
/// What a message may come to, in times its size: an event of 40 bytes makes an entry of a kilobyte.
const EXPANSION_FACTOR: usize = 32;
/// Bodies of at most this size are too small to matter: ten of them in each of 64 receives come to 40 MiB at worst.
const EXPANSION_FREE_BYTES: usize = 4 << 10;

/// A worker: takes messages from a queue, stores their entries, deletes them.
pub struct Worker {
    core: Core,
    shared: Shared,
    health: Arc<Health>,
    lease: Duration,
}

/// What the calls need.
struct Shared {
    queue: Arc<dyn Queue>,
    ledger: Ledger,
    processor: Arc<dyn Processor>,
    metrics: Metrics,
    tracing: Option<Tracing>,
    expansion: Budget,
    name: String,
    store_timeout: Duration,
    started: Instant,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub finish: Finish,
    /// What it did.
    pub books: Books,
}

impl Worker {
    /// A worker named `limits.worker`. An append that takes longer than `store_timeout` counts as an outage of the store;
    /// what became of it is not known then, and it is made again.
    ///
    /// # Errors
    /// [`LimitsError`] when the limits contradict each other.
    pub fn new(
        limits: Limits,
        store_timeout: Duration,
        queue: Arc<dyn Queue>,
        store: Arc<dyn Store>,
        processor: Arc<dyn Processor>,
        metrics: Metrics,
    ) -> Result<Self, LimitsError> {
        if store_timeout >= limits.lease {
            return Err(LimitsError { setting: "lease", expected: "longer than the store's time-out" });
        }
        let limits = Limits { kind: queue.kind(), ..limits }.with_store_timeout(store_timeout);
        let (name, lease) = (limits.worker.clone(), limits.lease);
        let core = Core::new(limits, fastrand::u64(..))?;
        let ledger = Ledger::new(store);
        let started = Instant::now();
        let shared = Shared {
            queue,
            ledger,
            processor,
            metrics,
            tracing: None,
            expansion: Budget::new(EXPANSION_BYTES_MAX),
            name,
            store_timeout,
            started,
        };
        Ok(Self { core, shared, health: Arc::default(), lease })
    }

    /// Makes spans of what it does.
    #[must_use]
    pub fn traced(mut self, tracing: Tracing) -> Self {
        self.shared.tracing = Some(tracing);
        self
    }

    /// What the health page reads.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Works until `stop` fires and everything held is finished or given back, or until the queue has been empty for as
    /// long as the limits say.
    pub async fn run(self, stop: CancellationToken) -> End {
        let Self { mut core, shared, health, lease } = self;
        let shared = Arc::new(shared);
        let mut calls = Calls {
            shared: Arc::clone(&shared),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            cancel: CancellationToken::new(),
            lease,
        };
        let mut actions = Vec::new();
        let mut books = *core.books();
        let mut stopping = false;
        let timer = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(timer);
        core.handle(shared.now(), Input::Tick, &mut actions);
        loop {
            let mut finish = None;
            for action in actions.drain(..) {
                match action {
                    Action::Finish(how) => finish = Some(how),
                    Action::Note(note) => shared.metrics.note(&note),
                    action => calls.start(action),
                }
            }
            shared.metrics.turned(&core, &books);
            books = *core.books();
            health.turned(core.status());
            if let Some(finish) = finish {
                health.ended();
                return End { finish, books };
            }
            let latest = shared.now() + TURN_MAX;
            let deadline = core.next_deadline().map_or(latest, |at| at.min(latest));
            timer.as_mut().reset(shared.started + deadline);
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    core.handle(shared.now(), Input::Stop, &mut actions);
                    reach(Point::DuringDrain);
                }
                Some(first) = calls.tasks.join_next_with_id() => {
                    // What else is done by now is taken along: one turn for all of it.
                    let mut joined = Some(first);
                    while let Some(result) = joined {
                        if let Some(input) = calls.finished(result) {
                            core.handle(shared.now(), input, &mut actions);
                        }
                        joined = calls.tasks.try_join_next_with_id();
                    }
                }
                () = &mut timer => core.handle(shared.now(), Input::Tick, &mut actions),
            }
        }
    }
}

/// The calls that are on their way.
struct Calls {
    shared: Arc<Shared>,
    tasks: JoinSet<Input>,
    ids: HashMap<Id, CallId>,
    /// Ends the waiting of receives.
    cancel: CancellationToken,
    lease: Duration,
}

impl Calls {
    fn start(&mut self, action: Action) {
        let shared = Arc::clone(&self.shared);
        let (call, task) = match action {
            Action::Receive { call, wait } => {
                let ask = Ask { messages_max: BATCH_MAX, wait, lease: self.lease };
                let cancel = self.cancel.clone();
                (call, self.tasks.spawn(async move { shared.receive(call, ask, cancel).await }))
            }
            Action::Process { call, message } => {
                (call, self.tasks.spawn(async move { shared.process_alone(call, message).await }))
            }
            Action::Store { call, entries, traced } => {
                (call, self.tasks.spawn(async move { shared.store(call, entries, traced).await }))
            }
            Action::Ping { call } => (call, self.tasks.spawn(async move { shared.ping(call).await })),
            Action::Delete { call, deletes } => (
                call,
                self.tasks.spawn(async move {
                    let at = shared.trace_time();
                    let result = shared.queue.delete(&deletes).await;
                    if let (Some(tracing), Some(at)) = (&shared.tracing, at) {
                        tracing.deleted(at, &deletes, &result);
                    }
                    reach(Point::AfterDelete);
                    Input::Answered { call, result }
                }),
            ),
            Action::Extend { call, handles, visibility_s } => (
                call,
                self.tasks.spawn(async move {
                    Input::Answered { call, result: shared.queue.change_visibility(&handles, visibility_s).await }
                }),
            ),
            Action::Release { call, handles } => (
                call,
                self.tasks.spawn(async move {
                    Input::Answered { call, result: shared.queue.change_visibility(&handles, 0).await }
                }),
            ),
            Action::DeadLetter { call, letters } => (
                call,
                self.tasks.spawn(async move {
                    let result = dead_letter::send(&*shared.queue, &letters).await;
                    reach(Point::AfterDeadLetter);
                    Input::DeadLettered { call, result }
                }),
            ),
            Action::Count { call } => {
                (call, self.tasks.spawn(async move { Input::Counted { call, result: shared.queue.counts().await } }))
            }
            Action::CancelReceives => {
                // A worker that was about to end may receive again: with a token of its own.
                std::mem::take(&mut self.cancel).cancel();
                return;
            }
            Action::Note(_) | Action::Finish(_) => return,
        };
        self.ids.insert(task.id(), call);
    }

    /// What a call that ended came to. A call that panicked is answered too: as lost.
    fn finished(&mut self, result: Result<(Id, Input), JoinError>) -> Option<Input> {
        match result {
            Ok((id, input)) => {
                self.ids.remove(&id);
                Some(input)
            }
            Err(error) => {
                tracing::error!(panicked = error.is_panic(), "a call failed unexpectedly: please report it");
                self.ids.remove(&error.id()).map(|call| Input::Lost { call })
            }
        }
    }
}

impl Shared {
    fn now(&self) -> Time {
        self.started.elapsed()
    }

    /// The time of day, where somebody is told it.
    fn trace_time(&self) -> Option<SystemTime> {
        self.tracing.as_ref().map(|_| SystemTime::now())
    }

    async fn receive(&self, call: CallId, ask: Ask, cancel: CancellationToken) -> Input {
        let asked_at = self.trace_time();
        let receipt = match self.queue.receive(ask, &cancel).await {
            Ok(receipt) => receipt,
            Err(error) => return Input::Received { call, leased_at: self.now(), result: Err(error) },
        };
        let queue::Receipt { answered_at, mut messages } = receipt;
        let leased_at = Instant::from_std(answered_at).saturating_duration_since(self.started);
        self.metrics.received(&messages);
        if !messages.is_empty() {
            reach(Point::AfterReceive);
        }
        if let (Some(tracing), Some(asked_at)) = (&self.tracing, asked_at) {
            tracing.received(asked_at, &mut messages);
        }
        let (began, now) = (Instant::now(), wall_clock());
        let mut arrivals = Vec::with_capacity(messages.len());
        for message in messages {
            let begun = if cancel.is_cancelled() { None } else { self.process_with_room(&message, now) };
            let (processed, room) = begun.unzip();
            let room = room.flatten();
            let is_long_work = message.body.len() > LONG_WORK_BYTES;
            arrivals.push(Arrival { message: Arc::new(message), processed, room });
            if is_long_work {
                tokio::task::yield_now().await;
            }
        }
        if !arrivals.is_empty() {
            self.metrics.processed(began.elapsed());
        }
        Input::Received { call, leased_at, result: Ok(arrivals) }
    }

    /// Processes a message if there is room for what it may come to.
    fn process_with_room(&self, message: &Message, now: Timestamp) -> Option<(Processed, Option<Permit>)> {
        if message.body.len() <= EXPANSION_FREE_BYTES {
            return Some((self.processed(message, now), None));
        }
        let room = self.expansion.try_acquire(message.body.len() * EXPANSION_FACTOR)?;
        let processed = self.processed(message, now);
        let room = shrunk(room, message, &processed);
        Some((processed, room))
    }

    fn processed(&self, message: &Message, now: Timestamp) -> Processed {
        let processed = process_safely(&*self.processor, message, now);
        message.trace.decoded(&processed);
        processed
    }

    async fn process_alone(&self, call: CallId, message: Arc<Message>) -> Input {
        let room = self.expansion.acquire(message.body.len() * EXPANSION_FACTOR).await;
        let processed = self.processed(&message, wall_clock());
        let room = shrunk(room, &message, &processed);
        Input::Processed { call, processed, room }
    }

    async fn store(&self, call: CallId, entries: Vec<Arc<afterimage_store::Entry>>, traced: Vec<Traced>) -> Input {
        let at = self.trace_time();
        let arrival = StoreArrival { worker: self.name.clone(), at: wall_clock() };
        let began = Instant::now();
        let results = match timeout(self.store_timeout, self.ledger.append(&entries, &arrival)).await {
            Ok(results) => results,
            Err(_) => {
                let reason = format!("no answer within {} s", self.store_timeout.as_secs());
                entries.iter().map(|_| Err(AppendError::Unavailable { reason: reason.clone() })).collect()
            }
        };
        reach(Point::AfterStore);
        self.metrics.appended(began.elapsed());
        if let (Some(tracing), Some(at)) = (&self.tracing, at) {
            tracing.appended(at, &traced, &results);
        }
        let now = wall_clock().as_micros();
        for (entry, result) in entries.iter().zip(&results) {
            if result.is_ok() {
                self.metrics.stored(entry, now);
            }
        }
        Input::Stored { call, results }
    }

    async fn ping(&self, call: CallId) -> Input {
        let result = match timeout(self.store_timeout, self.ledger.store().ping()).await {
            Ok(result) => result,
            Err(_) => {
                Err(StoreError::Unavailable { reason: format!("no answer within {} s", self.store_timeout.as_secs()) })
            }
        };
        Input::Pinged { call, result }
    }
}

/// What entries take beyond what their message is reckoned with.
fn shrunk(mut room: Permit, message: &Message, processed: &Processed) -> Option<Permit> {
    let excess = processed.weight_bytes(message).saturating_sub(message.weight_bytes());
    (excess > 0).then(|| room.split(excess))
}

fn wall_clock() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let epoch = Timestamp::from_micros(0).unwrap_or_else(|_| unreachable!("1970 is between the years 1 and 9999"));
    let micros = i64::try_from(micros).unwrap_or(i64::MAX).saturating_add(clock_skew_micros());
    epoch.saturating_add_micros(micros)
}
