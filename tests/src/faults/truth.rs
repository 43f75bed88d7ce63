//! What the store must hold, and what it does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use afterimage_consumer::dead_letter::REASON;
use afterimage_consumer::{Handle, Message, Pipeline, Processed, Processor, Trace};
use afterimage_diff::Rules;
use afterimage_event::{DEFAULT_NAME, RecordKey, Settings, Timestamp};
use afterimage_store::{ContentRow, Direction, Entry, Index, IndexRow, Lookup, RowRange, TableKey};
use aws_sdk_sqs::types::Message as Letter;
use futures_util::{StreamExt as _, stream};

use super::queue::Sent;
use super::stream::{Message as Told, Stream};

const DAY_MICROS: i64 = 86_400_000_000;
/// Messages looked at for the clocks of those who stored them.
const SAMPLE: usize = 200;
/// Messages compared at once.
const CHUNK: usize = 1000;
/// Records read at once.
const READS: usize = 16;
/// Index rows read at once.
const ROWS: usize = 1000;

/// The difference between what was sent and what is held. All zero but `entries`: the promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Entries that must be there.
    pub(super) entries: u64,
    /// Not there, or not in an index.
    pub(super) lost: u64,
    /// There more than once, or there without having been sent.
    pub(super) doubled: u64,
    /// There with another content or other keys than an undisturbed worker gives it.
    pub(super) altered: u64,
    /// Messages that nobody can understand, and that are not with the dead letters.
    pub(super) letters_missing: u64,
    /// Dead letters that should be none, or with another reason.
    pub(super) letters_wrong: u64,
    /// Dead letters sent again: a worker ended between the letter and the delete. No fault.
    pub(super) letters_repeated: u64,
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        let kept = Self { entries: self.entries, letters_repeated: self.letters_repeated, ..Self::default() };
        *self == kept
    }
}

/// An entry that must be there: the `nth` of its message.
struct Due<'t> {
    told: &'t Told,
    nth: usize,
    event_id: String,
}

/// Compares everything that was sent with everything that the store holds.
pub(super) struct Truth {
    store: Arc<dyn Lookup>,
    pipeline: Pipeline,
    verdict: Verdict,
    /// Rows of the tables that came up, by event; those accounted for are taken out.
    by_table: HashMap<TableKey, HashMap<String, Vec<IndexRow>>>,
    /// What each record's index must hold.
    by_record: HashMap<RecordKey, Vec<IndexRow>>,
    /// The reasons of the dead letters that must be there, by body.
    poison: HashMap<String, &'static str>,
    /// The events of each message, by its number, as far as the store has them.
    events: Vec<Vec<String>>,
    now: Timestamp,
}

impl Truth {
    /// The difference, and the ids of the events of each message that are stored.
    pub(super) async fn compare(
        store: Arc<dyn Lookup>,
        stream: Stream,
        sent: &[Sent],
        letters: &[Letter],
    ) -> (Verdict, Vec<Vec<String>>) {
        let now = sent.last().expect("something was sent").to;
        let mut truth = Self {
            store,
            pipeline: Pipeline::new(Settings::default(), Rules::default()),
            verdict: Verdict::default(),
            by_table: HashMap::new(),
            by_record: HashMap::new(),
            poison: HashMap::new(),
            events: vec![Vec::new(); sent.len()],
            now,
        };
        let mut stream = stream.peekable();
        while stream.peek().is_some() {
            let chunk: Vec<Told> = stream.by_ref().take(CHUNK).collect();
            truth.compare_contents(&chunk, sent).await;
        }
        let left = truth.by_table.values().flat_map(HashMap::values).map(Vec::len).sum::<usize>();
        truth.verdict.doubled += left as u64;
        truth.compare_records().await;
        truth.compare_letters(letters);
        (truth.verdict, truth.events)
    }

    /// What an undisturbed worker makes of a message that the queue accepted then.
    fn process(&self, told: &Told, sent: &Sent, at: Timestamp) -> Processed {
        let handle = Handle { message_id: sent.message_id.as_str().into(), receipt: "".into() };
        let message = Message {
            handle,
            body: told.body.clone(),
            attributes: Vec::new(),
            sent_at: at,
            receive_count: 1,
            group_id: sent.group_id.clone(),
            sequence_number: sent.sequence_number.clone(),
            deduplication_id: None,
            permit: None,
            trace: Trace::default(),
        };
        self.pipeline.process(&message, self.now)
    }

    async fn compare_contents(&mut self, chunk: &[Told], sent: &[Sent]) {
        let mut due: HashMap<(String, String), Vec<Due<'_>>> = HashMap::new();
        for told in chunk {
            let processed = self.process(told, &sent[told.number], sent[told.number].from);
            let is_poison = !processed.rejections.is_empty();
            assert_eq!(told.is_poison, is_poison, "message {} is not what it is meant to be", told.number);
            if let Some(rejection) = processed.rejections.first() {
                self.poison.insert(told.body.clone(), rejection.code);
            }
            for (nth, (_, entry)) in processed.entries.iter().enumerate() {
                let scope = (entry.record.tenant.clone(), entry.record.source.clone());
                due.entry(scope).or_default().push(Due { told, nth, event_id: entry.identity.event_id.clone() });
            }
        }
        for ((tenant, source), due) in due {
            let ids: Vec<String> = due.iter().map(|due| due.event_id.clone()).collect();
            let contents = self.store.contents(&tenant, &source, &ids).await.unwrap();
            for (due, versions) in due.into_iter().zip(contents) {
                let sent = &sent[due.told.number];
                self.verdict.entries += 1;
                let [version, more @ ..] = &versions[..] else {
                    self.verdict.lost += 1;
                    continue;
                };
                self.verdict.doubled += more.len() as u64;
                self.events[due.told.number].push(due.event_id);
                // When the queue accepted it is known to the queue alone, but when at most.
                let accepted_at = version.identity.published_at.clamp(sent.from, sent.to);
                let expected = self.process(due.told, sent, accepted_at).entries.swap_remove(due.nth).1;
                self.compare_entry(&expected, version).await;
            }
        }
    }

    async fn compare_entry(&mut self, expected: &Arc<Entry>, version: &ContentRow) {
        let mut same = version.identity == expected.identity && version.content == expected.content;
        let expected = IndexRow::from(&**expected);
        match &self.take_rows(&expected).await[..] {
            [] => self.verdict.lost += 1,
            [row, more @ ..] => {
                same &= *row == expected;
                self.verdict.doubled += more.len() as u64;
            }
        }
        self.verdict.altered += u64::from(!same);
        self.by_record.entry(expected.record.clone()).or_default().push(expected);
    }

    /// The rows of an event in the index of its table.
    async fn take_rows(&mut self, expected: &IndexRow) -> Vec<IndexRow> {
        let RecordKey { tenant, source, table, .. } = expected.record.clone();
        let key = TableKey { tenant, source, table };
        if !self.by_table.contains_key(&key) {
            let mut by_event: HashMap<String, Vec<IndexRow>> = HashMap::new();
            let mut range = everything();
            loop {
                let rows = self.store.rows(&Index::Table(key.clone()), &range).await.unwrap();
                range.past = rows.last().map(IndexRow::order_key);
                let is_last = rows.len() < range.limit;
                for row in rows {
                    by_event.entry(row.identity.event_id.clone()).or_default().push(row);
                }
                if is_last {
                    break;
                }
            }
            self.by_table.insert(key.clone(), by_event);
        }
        self.by_table.get_mut(&key).and_then(|rows| rows.remove(&expected.identity.event_id)).unwrap_or_default()
    }

    async fn compare_records(&mut self) {
        let store = &self.store;
        let due = std::mem::take(&mut self.by_record).into_iter();
        let held = due.map(|(record, due)| async move { (record_rows(&**store, &record).await, due) });
        let mut held = stream::iter(held).buffer_unordered(READS);
        while let Some((rows, mut due)) = held.next().await {
            due.sort_by_key(IndexRow::order_key);
            if rows != due {
                let ids = |rows: &[IndexRow]| rows.iter().map(|row| row.identity.clone()).collect::<HashSet<_>>();
                let (held, due) = (ids(&rows), ids(&due));
                let (lost, extra) = (due.difference(&held).count(), rows.len() - held.intersection(&due).count());
                self.verdict.lost += lost as u64;
                self.verdict.doubled += extra as u64;
                self.verdict.altered += u64::from(lost + extra == 0);
            }
        }
    }

    fn compare_letters(&mut self, letters: &[Letter]) {
        let mut seen = HashSet::new();
        for letter in letters {
            let body = letter.body().unwrap_or_default();
            let attributes = letter.message_attributes();
            let reason = attributes.and_then(|all| all.get(REASON)).and_then(|reason| reason.string_value());
            if reason.is_none() || self.poison.get(body).copied() != reason {
                self.verdict.letters_wrong += 1;
            } else if !seen.insert(body) {
                self.verdict.letters_repeated += 1;
            }
        }
        self.verdict.letters_missing += (self.poison.len() - seen.len()) as u64;
    }
}

async fn record_rows(store: &dyn Lookup, record: &RecordKey) -> Vec<IndexRow> {
    let mut rows = Vec::new();
    let mut range = everything();
    loop {
        let page = store.rows(&Index::Record(record.clone()), &range).await.unwrap();
        range.past = page.last().map(IndexRow::order_key);
        let is_last = page.len() < range.limit;
        rows.extend(page);
        if is_last {
            return rows;
        }
    }
}

/// On how many days the first of these messages were stored, by the clocks of those who stored them.
pub(super) async fn days_stored(store: &Arc<dyn Lookup>, stream: Stream) -> usize {
    let mut days = HashSet::new();
    for told in stream.filter(|told| !told.is_poison).take(SAMPLE) {
        let Ok(event) = serde_json::from_str::<serde_json::Value>(&told.body) else { continue };
        let (Some(id), Some(source)) = (event["eventId"].as_str(), event["source"].as_str()) else { continue };
        let versions = store.contents(DEFAULT_NAME, source, &[id.to_owned()]).await.unwrap().remove(0);
        days.extend(versions.iter().map(|version| version.stored_at.as_micros() / DAY_MICROS));
    }
    days.len()
}

fn everything() -> RowRange {
    RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: ROWS }
}
