//! Events from files: read as a worker reads messages, and stored by its rules.

mod chain;
mod entry;
mod images;
mod line;
mod report;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{Message, Pipeline, Processed, Processor};
use afterimage_diff::Rules;
use afterimage_event::{Contents, Layers, TimeOrigin, Timestamp, decode};
use afterimage_store::content::Content;
use afterimage_store::{AppendError, Arrival, ContentRow, Entry, Ledger, Lookup, StoreError};

use crate::clock;
use chain::Chain;
use entry::{Exported, Unproven};
use line::{Line, LineError};
pub(crate) use report::{Refused, Report};

/// Calls to a store that does not answer.
const ATTEMPTS: u32 = 3;
/// Lines that are stored together.
const LINES_MAX: usize = 200;
/// Bytes of lines that are stored together.
const BYTES_MAX: usize = 4 << 20;

/// Feeds lines to a store.
pub(crate) struct Replay {
    pipeline: Pipeline,
    /// Those of the pipeline.
    rules: Arc<Rules>,
    store: Arc<dyn Lookup>,
    ledger: Ledger,
    worker: String,
    is_correction: bool,
    is_dry_run: bool,
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    /// Event ids of those that wait: what is told twice in a file is told one after the other.
    ids: HashSet<String>,
    /// What exported entries told of their records.
    chain: Chain,
    pub(crate) report: Report,
}

/// A line that was understood, at least in part.
struct Waiting {
    line: u64,
    told: Told,
}

enum Told {
    Message {
        message: Box<Message>,
        processed: Processed,
        /// Is the time of its sending that of this run?
        is_undated: bool,
    },
    /// An entry of an export: the line.
    Entry(String, Key),
}

/// What is to be stored of one event, and what that is.
struct Telling {
    line: u64,
    entry: Arc<Entry>,
    is: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    New,
    There,
    Conflict,
    Corrected,
}

impl Replay {
    pub(crate) fn new(
        pipeline: Pipeline,
        rules: Arc<Rules>,
        store: Arc<dyn Lookup>,
        worker: String,
        is_correction: bool,
        is_dry_run: bool,
    ) -> Self {
        let ledger = Ledger::new(store.clone());
        let report = Report { dry_run: is_dry_run, ..Report::default() };
        let (waiting, ids) = (Vec::new(), HashSet::new());
        let (waiting_bytes, chain) = (0, Chain::default());
        Self {
            pipeline,
            rules,
            store,
            ledger,
            worker,
            is_correction,
            is_dry_run,
            waiting,
            waiting_bytes,
            ids,
            chain,
            report,
        }
    }

    /// Takes a line; what it holds is stored together with others, at the latest by [`Self::flush`].
    pub(crate) async fn line(&mut self, number: u64, text: &str) -> Result<(), StoreError> {
        if text.trim().is_empty() {
            return Ok(());
        }
        self.report.lines += 1;
        let now = clock::now();
        let (message, is_undated) = match Line::read(text, now) {
            Ok(Line::Event(message)) => (message, true),
            Ok(Line::Letter(message)) => (message, false),
            Ok(Line::End) => return Ok(()),
            Ok(Line::Entry) => {
                match Exported::read(text) {
                    Ok(entry) => {
                        let told = Told::Entry(text.to_owned(), (entry.tenant, entry.source, entry.id));
                        self.wait(Waiting { line: number, told }, text.len()).await?;
                    }
                    Err(unproven) => self.report.refuse(number, unproven.code(), &unproven.to_string()),
                }
                return Ok(());
            }
            Err(LineError::Letter) => {
                self.report.refuse(number, "bad_letter", "not a letter as `afterimage dlq export` writes them");
                return Ok(());
            }
        };
        if is_undated && self.lacks_time(&message) {
            let reason = "an event without a time of its own (occurredAt): a file does not say when it happened";
            self.report.refuse(number, "no_time", reason);
            return Ok(());
        }
        let processed = self.pipeline.process(&message, now);
        for rejection in &processed.rejections {
            let place = if rejection.place.is_empty() { String::new() } else { format!(" at {}", rejection.place) };
            self.report.refuse(number, rejection.code, &format!("{}{place}", rejection.reason));
        }
        if let Some(kind) = processed.control {
            self.report.refuse(number, "no_event", kind);
        }
        self.report.unchanged += processed.unchanged as u64;
        self.report.expired += processed.expired as u64;
        if processed.entries.is_empty() {
            return Ok(());
        }
        let bytes = message.body.len();
        let told = Told::Message { message: Box::new(message), processed, is_undated };
        self.wait(Waiting { line: number, told }, bytes).await
    }

    async fn wait(&mut self, one: Waiting, bytes: usize) -> Result<(), StoreError> {
        let ids: Vec<String> = one.keys().into_iter().map(|(_, _, id)| id).collect();
        if ids.iter().any(|id| self.ids.contains(id)) {
            self.flush().await?;
        }
        self.ids.extend(ids);
        self.waiting_bytes += bytes;
        self.waiting.push(one);
        if self.waiting.len() >= LINES_MAX || self.waiting_bytes >= BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// A line that is too long to be read.
    pub(crate) fn too_long(&mut self, number: u64, bytes_max: usize) {
        self.report.lines += 1;
        self.report.refuse(number, "too_long", &format!("more than {bytes_max} bytes in a line"));
    }

    /// Stores what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.ids.clear();
        let mut there = self.there(&waiting).await?;
        let now = clock::now();
        let mut tellings: Vec<Telling> = Vec::new();
        for Waiting { line, told } in waiting {
            match told {
                Told::Message { message, processed, is_undated } => {
                    tellings.extend(self.tellings(line, *message, &processed, is_undated, &mut there, now));
                }
                Told::Entry(text, key) => {
                    let versions = there.remove(&key).unwrap_or_default();
                    match self.exported(line, &text, &versions, now) {
                        Ok(Some(telling)) => tellings.push(telling),
                        Ok(None) => self.report.expired += 1,
                        Err(unproven) => self.report.refuse(line, unproven.code(), &unproven.to_string()),
                    }
                }
            }
        }
        if !self.is_dry_run {
            tellings = self.store(tellings).await?;
        }
        for telling in tellings {
            match telling.is {
                Is::New => self.report.stored += 1,
                Is::There => self.report.there_already += 1,
                Is::Conflict => self.report.conflicts += 1,
                Is::Corrected => self.report.corrected += 1,
            }
        }
        Ok(())
    }

    /// Must the time of an event be guessed?
    fn lacks_time(&self, message: &Message) -> bool {
        let (told, mut layers) = (message.told(), Layers::default());
        match decode(&told, self.pipeline.settings(), &mut layers) {
            Ok(Contents::Events(events)) => events.flatten().any(|event| event.time_origin == TimeOrigin::Sqs),
            // What is no event is refused as such.
            _ => false,
        }
    }

    /// The versions that the trail has of these events.
    async fn there(&self, waiting: &[Waiting]) -> Result<BTreeMap<Key, Vec<ContentRow>>, StoreError> {
        let mut asked: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (tenant, source, id) in waiting.iter().flat_map(Waiting::keys) {
            asked.entry((tenant, source)).or_default().push(id);
        }
        let mut there = BTreeMap::new();
        for ((tenant, source), ids) in asked {
            let versions = self.store.contents(&tenant, &source, &ids).await?;
            for (id, versions) in ids.into_iter().zip(versions) {
                there.insert((tenant.clone(), source.clone(), id), versions);
            }
        }
        Ok(there)
    }

    /// What is to be stored of an exported entry. `None`: its retention has ended.
    fn exported(
        &mut self,
        line: u64,
        text: &str,
        versions: &[ContentRow],
        now: Timestamp,
    ) -> Result<Option<Telling>, Unproven> {
        let exported = Exported::read(text)?;
        let images = exported.images(&mut self.chain);
        // What is there already need not be proven, whatever rules took out of it. Told again as it stands there, it mends an
        // index row that a crash left out.
        let there = |row: &ContentRow| {
            let entry = Entry::from_content(row.content.clone()).ok()?;
            Some(Telling { line, entry: Arc::new(entry), is: Is::There })
        };
        let is_it = |row: &&ContentRow| Content::read(&row.content).is_ok_and(|content| exported.is(&content));
        if let Some(telling) = versions.iter().find(is_it).and_then(there) {
            return Ok(Some(telling));
        }
        let highest = versions.iter().map(|row| row.identity.revision).max();
        let (revision, is) = match highest {
            None => (exported.revision, Is::New),
            Some(highest) if self.is_correction => (highest.saturating_add(1), Is::Corrected),
            Some(_) => (0, Is::Conflict),
        };
        let Some(entry) = exported.entry(&images?, &self.rules, now, revision)? else { return Ok(None) };
        // The same data, told in another way; or by the correction that stands.
        let is_told = |row: &&ContentRow| {
            row.identity.input_digest == entry.identity.input_digest
                && (!self.is_correction || Some(row.identity.revision) == highest)
        };
        if let Some(telling) = versions.iter().find(is_told).and_then(there) {
            return Ok(Some(telling));
        }
        Ok(Some(Telling { line, entry: Arc::new(entry), is }))
    }

    fn tellings(
        &self,
        line: u64,
        mut message: Message,
        processed: &Processed,
        is_undated: bool,
        there: &mut BTreeMap<Key, Vec<ContentRow>>,
        now: Timestamp,
    ) -> Vec<Telling> {
        let versions: BTreeMap<usize, Vec<ContentRow>> = processed
            .entries
            .iter()
            .map(|(index, entry)| (*index, there.remove(&key(entry)).unwrap_or_default()))
            .collect();
        let of = |index: usize| versions.get(&index).map_or(&[][..], Vec::as_slice);
        // A file does not say when its events were sent. What is there already keeps the time it was told first, so that
        // telling it again is the same to the last byte and mends an index row that a crash left out.
        let known = processed.entries.iter().find_map(|(index, entry)| {
            of(*index).iter().find(|row| row.identity.input_digest == entry.identity.input_digest)
        });
        if let Some(known) = known.filter(|_| is_undated) {
            message.sent_at = known.identity.published_at;
        }
        let highest = |index: usize| of(index).iter().map(|row| row.identity.revision).max();
        // As it would be, were it what stands there with the highest revision.
        let standing = self.pipeline.process_revised(&message, now, |index| highest(index).unwrap_or(0));
        let next = self.pipeline.process_revised(&message, now, |index| match highest(index) {
            Some(revision) if self.is_correction => revision.saturating_add(1),
            _ => 0,
        });
        let tell = |((index, entry), (_, standing)): ((usize, Arc<Entry>), (usize, Arc<Entry>))| {
            let has = |wanted: &Entry| of(index).iter().any(|row| row.content == wanted.content);
            let is_told = of(index).iter().any(|row| row.identity.input_digest == entry.identity.input_digest);
            let (entry, is) = match (self.is_correction, of(index).is_empty()) {
                (_, true) => (entry, Is::New),
                (true, false) if has(&standing) => (standing, Is::There),
                (true, false) => (entry, Is::Corrected),
                (false, false) if is_told => (entry, Is::There),
                (false, false) => (entry, Is::Conflict),
            };
            Telling { line, entry, is }
        };
        next.entries.into_iter().zip(standing.entries).map(tell).collect()
    }

    /// Makes these durable; those that the store will never take are refused. A store that does not answer is asked again.
    async fn store(&mut self, mut tellings: Vec<Telling>) -> Result<Vec<Telling>, StoreError> {
        let mut stored = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let entries: Vec<Arc<Entry>> = tellings.iter().map(|telling| telling.entry.clone()).collect();
            if entries.is_empty() {
                return Ok(stored);
            }
            let arrival = Arrival { worker: self.worker.clone(), at: clock::now() };
            let results = self.ledger.append(&entries, &arrival).await;
            let mut again = Vec::new();
            let mut why = String::new();
            for (telling, result) in tellings.into_iter().zip(results) {
                match result {
                    Ok(_durable) => stored.push(telling),
                    Err(AppendError::Unavailable { reason }) => {
                        why = reason;
                        again.push(telling);
                    }
                    Err(error) => self.report.refuse(telling.line, "not_stored", &error.to_string()),
                }
            }
            tellings = again;
            if !tellings.is_empty() {
                if attempt == ATTEMPTS {
                    return Err(StoreError::Unavailable { reason: why });
                }
                tokio::time::sleep(Duration::from_secs(attempt.into())).await;
            }
        }
        Ok(stored)
    }
}

impl Waiting {
    /// Of what it tells.
    fn keys(&self) -> Vec<Key> {
        match &self.told {
            Told::Message { processed, .. } => processed.entries.iter().map(|(_, entry)| key(entry)).collect(),
            Told::Entry(_, key) => vec![key.clone()],
        }
    }
}

/// Tenant, source, event id.
type Key = (String, String, String);

fn key(entry: &Entry) -> Key {
    (entry.record.tenant.clone(), entry.record.source.clone(), entry.identity.event_id.clone())
}
