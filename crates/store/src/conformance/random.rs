use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use afterimage_event::{Op, RecordKey};

use super::order::expected_rows;
use super::{DIRECTIONS, Suite, Telling, json, moment};
use crate::{
    Arrival, Entry, Identity, Index, Listing, Lookup, MemoryStore, RecordQuery, RowRange, Store, TableKey, Trail,
};

/// Questions of each kind about each record of a history.
const QUESTIONS: usize = 5;

/// Random histories of a few records: duplicates, conflicts, corrections, later publishings, expiry, ties. Every answer of
/// the store is that of the model.
pub async fn random_histories_read_as_the_model_does(suite: &Suite) {
    for round in 0..suite.random_rounds {
        // A failing round is repeated by its seed.
        let seed = u64::try_from(round).unwrap_or(0) + 0xA17E;
        let tenant = suite.tenant(&format!("random {seed}"));
        compare(suite, &tenant, &mut fastrand::Rng::with_seed(seed)).await;
    }
}

async fn compare(suite: &Suite, tenant: &str, random: &mut fastrand::Rng) {
    let model = MemoryStore::new();
    // One identity is one entry: what a producer tells again, it tells with the same position and expiry.
    let mut entries: HashMap<(String, Identity), Arc<Entry>> = HashMap::new();
    let mut told: Vec<Arc<Entry>> = (0..random.usize(20..160))
        .map(|_| telling(tenant, random).entry())
        .map(|entry| {
            let identity = (entry.record.source.clone(), entry.identity.clone());
            Arc::clone(entries.entry(identity).or_insert(entry))
        })
        .collect();
    let again: Vec<_> = (0..20).map(|_| Arc::clone(&told[random.usize(..told.len())])).collect();
    told.extend(again);
    random.shuffle(&mut told);
    let arrival = Arrival { worker: "random".to_owned(), at: moment(500) };
    let mut rest = &told[..];
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(random.usize(1..=rest.len()));
        assert_eq!(suite.store.append(batch, &arrival).await, model.append(batch, &arrival).await);
        rest = later;
    }
    let model: Arc<dyn Lookup> = Arc::new(model);
    let now = moment(random.i64(0..120));
    let trails = [Arc::clone(&suite.store), Arc::clone(&model)].map(|store| Trail::with_clock(store, move || now));
    let records: BTreeSet<&RecordKey> = told.iter().map(|entry| &entry.record).collect();
    for record in records.iter().flat_map(|record| [*record; QUESTIONS]) {
        let query = RecordQuery {
            tenant: record.tenant.clone(),
            source: Some(record.source.clone()).filter(|_| random.bool()),
            table: record.table.clone(),
            record_id: record.record_id.clone(),
        };
        let sources = async |store: &Arc<dyn Lookup>| {
            store.sources(&record.tenant, &record.table, &record.record_id).await.expect("sources")
        };
        assert_eq!(sources(&suite.store).await, sources(&model).await);
        rows(suite, record, &told, random).await;
        histories(&trails, &query, random).await;
        for _ in 0..3 {
            let at = moment(random.i64(0..60));
            let [ours, theirs] = [&trails[0], &trails[1]]
                .map(|trail| async { trail.state(&query, at).await.map_err(|e| e.to_string()) });
            let (ours, theirs) = (ours.await, theirs.await);
            assert_eq!(ours.map(|view| json(&view)), theirs.map(|view| json(&view)), "{query:?} at {at}");
        }
    }
    let ids: Vec<String> = told.iter().map(|entry| entry.identity.event_id.clone()).collect();
    let contents = async |store: &Arc<dyn Lookup>| {
        let found = store.contents(tenant, "s", &ids).await.expect("contents");
        let shown = |version: crate::ContentRow| (version.identity, version.content);
        found.into_iter().map(|versions| versions.into_iter().map(shown).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(contents(&suite.store).await, contents(&model).await);
}

fn telling(tenant: &str, random: &mut fastrand::Rng) -> Telling {
    let ops = [Op::Insert, Op::Update, Op::Update, Op::Update, Op::Delete, Op::Snapshot, Op::Access, Op::Truncate];
    let op = ops[random.usize(..ops.len())];
    let second = random.i64(0..50);
    let image = |n: u8| format!(r#"{{"n":{n}}}"#);
    let (before, after) = (image(random.u8(0..3)), image(random.u8(0..3)));
    let (before, after) = match op {
        Op::Insert | Op::Snapshot => (String::new(), after),
        Op::Update => (before, after),
        Op::Delete => (before, String::new()),
        _ => (String::new(), String::new()),
    };
    let mut telling = Telling::new(tenant, &format!("e{}", random.u8(0..60)), op, second).images(&before, &after);
    let record = format!("r{}", random.u8(0..3));
    telling = if op == Op::Truncate { telling.record("t", []) } else { telling.record("t", [record.as_str()]) };
    if random.u8(0..8) == 0 {
        telling = telling.source("other");
    }
    if random.bool() {
        telling = telling.position(&random.u32(0..30).to_string());
    }
    if random.u8(0..4) == 0 {
        telling = telling.published(random.i64(0..60));
    }
    if random.u8(0..6) == 0 {
        telling = telling.revision(random.u32(1..3));
    }
    if random.u8(0..4) == 0 {
        telling = telling.expires(second + random.i64(0..60));
    }
    telling
}

async fn rows(suite: &Suite, record: &RecordKey, told: &[Arc<Entry>], random: &mut fastrand::Rng) {
    let table = TableKey { tenant: record.tenant.clone(), source: record.source.clone(), table: record.table.clone() };
    let mut of_table: Vec<_> = told.iter().filter(|entry| in_table(entry, &table)).cloned().collect();
    of_table.sort_by_key(|entry| entry.order_key());
    of_table.dedup_by_key(|entry| entry.order_key());
    let of_record: Vec<_> = of_table.iter().filter(|entry| entry.record == *record).cloned().collect();
    let bound = |random: &mut fastrand::Rng| random.bool().then(|| moment(random.i64(0..50)));
    let range = RowRange {
        from: bound(random),
        to: bound(random),
        past: random.bool().then(|| of_table[random.usize(..of_table.len())].order_key()),
        direction: DIRECTIONS[random.usize(..2)],
        limit: random.usize(1..30),
    };
    let found = suite.store.rows(&Index::Record(record.clone()), &range).await.expect("rows");
    assert_eq!(found, expected_rows(&of_record, &range), "{record:?} {range:?}");
    let found = suite.store.rows(&Index::Table(table.clone()), &range).await.expect("rows");
    assert_eq!(found, expected_rows(&of_table, &range), "{table:?} {range:?}");
}

fn in_table(entry: &Entry, table: &TableKey) -> bool {
    entry.record.source == table.source && entry.record.table == table.table
}

async fn histories(trails: &[Trail; 2], query: &RecordQuery, random: &mut fastrand::Rng) {
    let mut listing =
        Listing { order: DIRECTIONS[random.usize(..2)], limit: random.usize(1..20), ..Listing::default() };
    if random.bool() {
        listing.from = Some(moment(random.i64(0..30)));
    }
    loop {
        let ours = trails[0].history(query, &listing).await.map_err(|error| error.to_string());
        let theirs = trails[1].history(query, &listing).await.map_err(|error| error.to_string());
        assert_eq!(ours.as_ref().map(json), theirs.as_ref().map(json), "{query:?} {listing:?}");
        match ours.map(|page| page.next) {
            Ok(Some(next)) => listing.cursor = Some(next),
            _ => return,
        }
    }
}
