use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use afterimage_event::{Actor, Op, RecordKey};

use super::order::expected_rows;
use super::{DIRECTIONS, Suite, Telling, json, moment};
use crate::{Arrival, Entry, Identity, Listing, Lookup, MemoryStore, RecordQuery, RowRange, Store, Trail};

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
    let versions = async |store: &Arc<dyn Lookup>| store.versions(tenant, "s", &ids).await.expect("versions");
    assert_eq!(versions(&suite.store).await, versions(&model).await);
    let tables = async |store: &Arc<dyn Lookup>| store.tables(tenant).await.expect("tables");
    assert_eq!(tables(&suite.store).await, tables(&model).await);
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
        telling = telling.record("u", ["r0"]);
    }
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
    made_by(telling, random)
}

/// Some names that changed, and of few actors, requests, transactions and migrations one each, or none.
fn made_by(mut telling: Telling, random: &mut fastrand::Rng) -> Telling {
    if random.bool() {
        let names: Vec<_> = ["a", "b", "A", ""].into_iter().filter(|_| random.bool()).collect();
        telling = telling.changed_names(names);
    }
    if random.bool() {
        let part = |random: &mut fastrand::Rng| ["", "1", "2", "ann"][random.usize(..4)].to_owned();
        let (id, email, name) = (part(random), part(random), part(random));
        telling = telling.actor(Actor { id: Some(id), email: Some(email), name: Some(name), ..Actor::default() });
    }
    if random.bool() {
        telling = telling.transaction(["1", "2"][random.usize(..2)]);
    }
    if random.bool() {
        let (request, migration) = (random.u8(0..3), random.u8(0..2));
        telling = telling.context(&format!(r#"{{"requestId":{request},"migration":"{migration}"}}"#));
    }
    telling
}

/// Every index of some entry of the record holds what the entries told say, in some range.
async fn rows(suite: &Suite, record: &RecordKey, told: &[Arc<Entry>], random: &mut fastrand::Rng) {
    let of_record: Vec<_> = told.iter().filter(|entry| entry.record == *record).collect();
    let bound = |random: &mut fastrand::Rng| random.bool().then(|| moment(random.i64(0..50)));
    for index in of_record[random.usize(..of_record.len())].indexes() {
        let mut of_index: Vec<_> = told.iter().filter(|entry| entry.indexes().contains(&index)).cloned().collect();
        of_index.sort_by_key(|entry| entry.order_key());
        of_index.dedup_by_key(|entry| entry.order_key());
        let range = RowRange {
            from: bound(random),
            to: bound(random),
            past: random.bool().then(|| told[random.usize(..told.len())].order_key()),
            direction: DIRECTIONS[random.usize(..2)],
            limit: random.usize(1..30),
        };
        let found = suite.store.rows(&index, &range).await.expect("rows");
        assert_eq!(found, expected_rows(&of_index, &range), "{index:?} {range:?}");
    }
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
