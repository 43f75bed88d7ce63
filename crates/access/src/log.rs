//! Who asked what, made durable before it is answered.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use afterimage_diff::Rules;
use afterimage_event::{Actor, ChangeEvent, EventId, IdOrigin, OWN_SOURCE, Op, RecordKey, TimeOrigin, Timestamp};
use afterimage_store::{AppendError, Arrival, Durable, Entry, Kept, Ledger, Store, keep};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

use crate::metrics::Metrics;
use crate::question::cut;
use crate::{Question, Reader, Subject};

/// How long a question waits for its entry to be durable before it is refused.
pub const RECORD_PATIENCE: Duration = Duration::from_secs(5);
/// Questions that wait for a place in an append; beyond that the next one is refused at once.
const WAITING_MAX: usize = 1_024;
/// Questions that share one append.
const GROUP_MAX: usize = 64;
/// Appends under way at once. Whoever comes meanwhile shares the next one, so that a busy server commits once for many;
/// nobody waits for company while one is free.
const APPENDS_MAX: usize = 4;
/// An append that takes longer is given up, so that it does not keep the others out; stores mostly give up before.
const APPEND_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to store an entry that the store did not take.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Between two log lines about a store that does not take them.
const QUIET: Duration = Duration::from_secs(10);
/// Longest part of an actor that an entry has, in bytes.
const ACTOR_BYTES_MAX: usize = afterimage_event::ID_BYTES_MAX;

/// Proof that the trail holds who asked what. Only [`AccessLog::record`] makes one, and only out of the store's own
/// proofs, so an answer that needs one cannot be given unseen.
#[derive(Debug)]
#[must_use = "a proof that nobody asks for allows nothing"]
pub struct Recorded {
    _durable: Vec<Durable>,
}

/// The entry could not be made durable: the question must be refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not now, or it is not known to be.
    #[error("the store did not confirm in time that the question is recorded: {reason}")]
    Unavailable {
        /// What the driver said.
        reason: String,
    },
    /// Never: an entry of this question is refused by the store or by the rules.
    #[error("the question cannot be recorded: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

/// Writes access entries: through the writing half of a store, so a role that may insert and nothing else is enough.
#[derive(Clone)]
pub struct AccessLog {
    sender: mpsc::Sender<Job>,
    rules: Arc<Rules>,
    metrics: Metrics,
    told: Arc<Mutex<Option<Instant>>>,
    health: Arc<Health>,
}

/// What the store made of the last append.
#[derive(Default)]
struct Health {
    is_failing: AtomicBool,
}

/// Entries of one question, and who waits for them.
struct Job {
    entries: Vec<Arc<Entry>>,
    done: oneshot::Sender<Result<Vec<Durable>, AppendError>>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl AccessLog {
    /// A log on this store, within a tokio runtime. `rules` are those of the trail: retention and redaction of the source
    /// `afterimage` hold for its entries. `writer` is the name of this process in the arrival journal.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, rules: Arc<Rules>, writer: String, metrics: Metrics) -> Self {
        let (sender, jobs) = mpsc::channel(WAITING_MAX);
        let health = Arc::<Health>::default();
        let writing =
            Writing { ledger: Ledger::new(store), writer, metrics: metrics.clone(), health: Arc::clone(&health) };
        tokio::spawn(write(writing, jobs));
        Self { sender, rules, metrics, told: Arc::default(), health }
    }

    /// Did the store take the last entries? While it does not, every question is refused, so the server is of no use; an
    /// entry that it did not take is tried again until it is, whether or not anybody asks.
    #[must_use]
    pub fn takes_entries(&self) -> bool {
        !self.health.is_failing.load(Ordering::Relaxed)
    }

    /// Makes durable that this reader asked this.
    ///
    /// # Errors
    /// When the store does not confirm it within [`RECORD_PATIENCE`]. The entry may come to be there all the same: that
    /// somebody asked is then in the trail, and that they got an answer is not.
    pub async fn record(&self, reader: &Reader, question: &Question<'_>) -> Result<Recorded, RecordError> {
        let outcome = self.try_record(reader, question).await;
        self.metrics.recorded(outcome.is_ok());
        if let Err(error) = &outcome {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_none_or(|at| at.elapsed() >= QUIET) {
                *told = Some(Instant::now());
                tracing::error!(%error, "a question was refused, since it could not be recorded");
            }
        }
        outcome
    }

    async fn try_record(&self, reader: &Reader, question: &Question<'_>) -> Result<Recorded, RecordError> {
        let now = now();
        let everything = [Subject::default()];
        let subjects = if question.subjects.is_empty() { &everything[..] } else { question.subjects };
        let context = question.context();
        let entries = subjects.iter().map(|subject| self.entry(reader, question, subject, &context, now));
        let entries = entries.collect::<Result<_, _>>()?;
        let (done, outcome) = oneshot::channel();
        let busy = || RecordError::Unavailable { reason: "too many questions wait for it".to_owned() };
        self.sender.try_send(Job { entries, done }).map_err(|_| busy())?;
        match tokio::time::timeout(RECORD_PATIENCE, outcome).await {
            Ok(Ok(Ok(durable))) => Ok(Recorded { _durable: durable }),
            Ok(Ok(Err(AppendError::Refused { reason }))) => Err(RecordError::Refused { reason }),
            Ok(Ok(Err(error))) => Err(RecordError::Unavailable { reason: error.to_string() }),
            Ok(Err(_)) => Err(RecordError::Unavailable { reason: "it was given up".to_owned() }),
            Err(_) => Err(RecordError::Unavailable { reason: format!("no answer within {RECORD_PATIENCE:?}") }),
        }
    }

    fn entry(
        &self,
        reader: &Reader,
        question: &Question<'_>,
        subject: &Subject,
        context: &str,
        now: Timestamp,
    ) -> Result<Arc<Entry>, RecordError> {
        let part = |text: &str| Some(cut(text, ACTOR_BYTES_MAX)).filter(|text| !text.is_empty());
        let event = ChangeEvent {
            // Random bits enough that no two servers make the same one.
            id: EventId { value: Uuid::now_v7().to_string(), origin: IdOrigin::Event },
            record: RecordKey {
                tenant: question.tenant.to_owned(),
                source: OWN_SOURCE.to_owned(),
                table: subject.table().to_owned(),
                record_id: subject.record_id(),
            },
            op: Op::Access,
            occurred_at: now,
            time_origin: TimeOrigin::Event,
            position: None,
            position_is_own: false,
            transaction: None,
            actor: Some(Actor {
                kind: part(reader.credential.as_str()),
                id: part(&reader.id),
                name: reader.name.as_deref().and_then(part),
                email: reader.email.as_deref().and_then(part),
                on_behalf_of: None,
            }),
            context: Some(Cow::Borrowed(context)),
            asides: Vec::new(),
            labels: None,
            before: None,
            after: None,
            unknown: Vec::new(),
            published_at: now,
        };
        let refused = |reason: String| RecordError::Refused { reason };
        match keep(&event, &self.rules, now, 0).map_err(|error| refused(error.to_string()))? {
            Kept::Entry(entry) => Ok(Arc::from(entry)),
            Kept::Unchanged | Kept::Expired => {
                Err(refused("the rules keep no entries of source afterimage".to_owned()))
            }
        }
    }
}

/// What an append takes.
#[derive(Clone)]
struct Writing {
    ledger: Ledger,
    writer: String,
    metrics: Metrics,
    health: Arc<Health>,
}

/// Appends what waits, as much as there is at a time, until every log is dropped.
async fn write(writing: Writing, mut jobs: mpsc::Receiver<Job>) {
    let free = Arc::new(Semaphore::new(APPENDS_MAX));
    let mut group = Vec::new();
    loop {
        // Room first, then company: who arrives while all appends are under way shares the next.
        let Ok(room) = Arc::clone(&free).acquire_owned().await else { return };
        if jobs.recv_many(&mut group, GROUP_MAX).await == 0 {
            return;
        }
        // Who went away, or was refused for waiting too long, needs no entry: nothing was answered.
        group.retain(|job| !job.done.is_closed());
        let (writing, group) = (writing.clone(), std::mem::take(&mut group));
        tokio::spawn(async move {
            writing.append(group).await;
            drop(room);
        });
    }
}

impl Writing {
    async fn append(&self, group: Vec<Job>) {
        let entries: Vec<Arc<Entry>> = group.iter().flat_map(|job| job.entries.iter().cloned()).collect();
        let Some(first) = entries.first() else { return };
        let began = Instant::now();
        // Given up, `group` is dropped, and who still waits hears so.
        let Some(results) = self.try_append(&entries).await else { return self.failed(first) };
        let unstored = results.iter().position(|result| matches!(result, Err(AppendError::Unavailable { .. })));
        match unstored {
            Some(place) => self.failed(&entries[place]),
            None if results.iter().any(Result::is_ok) => self.health.worked(),
            None => {}
        }
        let mut results = results.into_iter();
        self.metrics.appended(began.elapsed());
        for Job { entries, done } in group {
            let outcome: Result<Vec<Durable>, AppendError> = results.by_ref().take(entries.len()).collect();
            // Whoever asked may have gone meanwhile.
            let _gone = done.send(outcome);
        }
    }

    /// `None` where it takes too long.
    async fn try_append(&self, entries: &[Arc<Entry>]) -> Option<Vec<Result<Durable, AppendError>>> {
        let arrival = Arrival { worker: self.writer.clone(), at: now() };
        tokio::time::timeout(APPEND_PATIENCE, self.ledger.append(entries, &arrival)).await.ok()
    }

    /// Remembers it, and sees to it that it is noticed when the store takes entries again: a server that is not ready is
    /// asked nothing. It is tried with an entry that was to be stored, since no other may be made up.
    fn failed(&self, entry: &Arc<Entry>) {
        if self.health.is_failing.swap(true, Ordering::Relaxed) {
            return;
        }
        let Self { ledger, writer, metrics, health } = self.clone();
        let (health, entry) = (Arc::downgrade(&health), Arc::clone(entry));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RETRY_PAUSE).await;
                // Until every log is dropped, or another entry was stored.
                let Some(health) = health.upgrade().filter(|health| health.is_failing.load(Ordering::Relaxed)) else {
                    return;
                };
                let (ledger, writer, metrics) = (ledger.clone(), writer.clone(), metrics.clone());
                let writing = Self { ledger, writer, metrics, health };
                if matches!(writing.try_append(std::slice::from_ref(&entry)).await.as_deref(), Some([Ok(_)])) {
                    writing.health.worked();
                }
            }
        });
    }
}

impl Health {
    fn worked(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("questions can be recorded again");
        }
    }
}

/// The clock of this machine.
pub(crate) fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let epoch = Timestamp::from_micros(0).unwrap_or_else(|_| unreachable!("1970 can be shown"));
    epoch.saturating_add_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
