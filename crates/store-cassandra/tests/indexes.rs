//! The indexes by table, operation, field and provenance: bounded, cheap to read while they are sparse, whole or not there.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use afterimage_event::{Op, Timestamp};
use afterimage_store::{
    Direction, Entry, Facet, Index, IndexRow, Lookup, MemoryStore, Provenance, RowRange, Store, TableKey,
};
use afterimage_store_cassandra::{CassandraStore, Config, RowsPerShard};
use common::Keyspace;
use common::entries::{arrival, at, entry};

const DAY_US: i64 = 86_400_000_000;
const SMALL: RowsPerShard = RowsPerShard { records: 7, quarters: 20, hours: 6, arrivals: 7 };

fn whole(direction: Direction, limit: usize) -> RowRange {
    RowRange { from: None, to: None, past: None, direction, limit }
}

fn actor(term: &str) -> Index {
    Index::Facet { tenant: "acme".to_owned(), facet: Facet::Actor, term: term.to_owned() }
}

fn request(term: &str) -> Index {
    Index::Facet { tenant: "acme".to_owned(), facet: Facet::Request, term: term.to_owned() }
}

/// The n-th of entries that differ in all that an index can tell: bursts within an hour, every 40 days.
fn varied(number: usize) -> Arc<Entry> {
    let said = |name: &str, every: usize| (!number.is_multiple_of(every)).then(|| format!("{name}-{}", number / every));
    let mut entry = entry(&format!("r{}", number % 7), number);
    let at = entry.occurred_at.saturating_add_micros((number / 60) as i64 * 40 * DAY_US);
    (entry.occurred_at, entry.identity.published_at) = (at, at);
    entry.record.source = ["billing", "crm"][number % 2].to_owned();
    entry.op = [Op::Update, Op::Update, Op::Insert, Op::Update, Op::Delete][number % 5];
    entry.changed = ["status", "owner", "amount"][..number % 3 + 1].iter().map(|name| (*name).into()).collect();
    entry.provenance = Provenance {
        actors: ["job", "job@example.com"][..number % 3].iter().map(|name| (*name).to_owned()).collect(),
        request: said("request", 20),
        transaction: said("transaction", 90),
        migration: number.is_multiple_of(11).then(|| "2026_backfill".to_owned()),
    };
    entry.expires_at = number.is_multiple_of(3).then(|| at.saturating_add_micros(DAY_US));
    Arc::new(entry)
}

/// Every page of an index.
async fn all(store: &dyn Lookup, index: &Index, mut range: RowRange) -> Vec<IndexRow> {
    let mut all = Vec::new();
    loop {
        let rows = store.rows(index, &range).await.unwrap();
        let is_last = rows.len() < range.limit;
        range.past = rows.last().map(IndexRow::order_key);
        all.extend(rows);
        if is_last {
            return all;
        }
    }
}

/// Several workers, out of order, every fifth entry told twice.
async fn tell(config: &Config, workers: usize, entries: &[Arc<Entry>]) {
    let stores: Vec<_> = (0..workers).map(|_| CassandraStore::new(config.clone()).unwrap()).collect();
    let mut shuffled: Vec<_> = entries.iter().enumerate().collect();
    shuffled.sort_by_key(|(number, _)| (number * 7_919) % 1_009);
    for (turn, chunk) in shuffled.chunks(16).enumerate() {
        let some: Vec<_> = chunk.iter().map(|(_, entry)| Arc::clone(entry)).collect();
        let again: Vec<_> =
            chunk.iter().filter(|(number, _)| number % 5 == 0).map(|(_, one)| Arc::clone(one)).collect();
        for (store, some, day) in [(turn, some, "2026-12-10T00:00:00Z"), (turn + 1, again, "2026-12-11T00:00:00Z")] {
            let results = stores[store % workers].append(&some, &arrival("w", day)).await;
            assert!(results.iter().all(Result::is_ok), "{results:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_index_reads_as_the_model_does_across_levels_shards_and_workers() {
    const WORKERS: usize = 3;
    let Some(keyspace) = Keyspace::new() else { return };
    let config = Config { rows_per_shard: SMALL, ..keyspace.config() };
    let store = keyspace.store_with(config.clone()).await;
    let entries: Vec<_> = (0..360).map(varied).collect();
    tell(&config, WORKERS, &entries).await;
    let model = MemoryStore::new();
    model.append(&entries, &arrival("w", "2026-12-10T00:00:00Z")).await;

    let indexes: BTreeSet<Index> = entries.iter().flat_map(|entry| entry.indexes()).collect();
    let (mut most, middle) = (0, entries[180].occurred_at);
    for index in &indexes {
        for direction in [Direction::Ascending, Direction::Descending] {
            let expected = all(&model, index, whole(direction, 1_000)).await;
            most = most.max(expected.len());
            assert_eq!(all(&*store, index, whole(direction, 1_000)).await, expected, "{index:?} {direction:?}");
            if expected.len() > SMALL.quarters as usize * WORKERS {
                // Pages that end within and between levels, and halves of time.
                assert_eq!(all(&*store, index, whole(direction, 17)).await, expected, "{index:?} {direction:?}");
                let half = RowRange { from: Some(middle), ..whole(direction, 17) };
                assert_eq!(all(&*store, index, half.clone()).await, all(&model, index, half).await, "{index:?}");
            }
        }
    }
    assert!(most > 100, "no index has many entries: {most}");
    assert_eq!(store.tables("acme").await.unwrap(), model.tables("acme").await.unwrap());
    assert_eq!(store.tables("other").await.unwrap(), []);
    let ids: Vec<String> = entries.iter().map(|entry| entry.identity.event_id.clone()).collect();
    let versions = store.versions("acme", "crm", &ids).await.unwrap();
    assert_eq!(versions, model.versions("acme", "crm", &ids).await.unwrap());

    let session = keyspace.session().await;
    let columns = "tenant, kind, source, table_name, term, level, bucket, shard";
    let count = format!("SELECT level, count(*) FROM {}.rows_by_term GROUP BY {columns}", keyspace.name);
    let counts = session.query_unpaged(count, ()).await.unwrap().into_rows_result().unwrap();
    let counts: Vec<(i32, i64)> = counts.rows().unwrap().map(Result::unwrap).collect();
    for (level, most) in [(0, SMALL.quarters), (1, SMALL.hours)] {
        let of_level: Vec<i64> = counts.iter().filter(|one| one.0 == level).map(|one| one.1).collect();
        let most = i64::from(most) * WORKERS as i64;
        assert!(of_level.len() > 10 && of_level.iter().all(|rows| *rows <= most), "{level}: {of_level:?}");
    }
    keyspace.drop_it().await;
}

/// One entry of an actor, in a request of its own.
fn deed(number: usize, at: Timestamp, actor: &str) -> Arc<Entry> {
    let provenance = Provenance {
        actors: vec![actor.to_owned()],
        request: Some(format!("request-{number}")),
        ..Provenance::default()
    };
    Arc::new(Entry { occurred_at: at, provenance, ..entry("r", number) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sparse_index_is_read_with_few_requests() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let first = at("2021-01-05T00:00:00Z");
    let on_day = |day: i64| first.saturating_add_micros(day * DAY_US);
    // Somebody does something each week for five years; somebody else did three times.
    let mut entries: Vec<_> = (0..260).map(|week| deed(week, on_day(week as i64 * 7), "busy")).collect();
    entries.extend([3, 900, 1_700].map(|day| deed(1_000 + day as usize, on_day(day), "seldom")));
    let results = store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");

    let table = TableKey { tenant: "acme".to_owned(), source: "billing".to_owned(), table: "users".to_owned() };
    for (index, rows, requests_max) in [
        // The directory, and three quarters.
        (actor("seldom"), 3, 4),
        // The directory, and the 21 quarters of five years.
        (actor("busy"), 260, 22),
        (Index::Table(table), 263, 22),
        // A directory of its own and one of all requests, and each quarter in which there were any.
        (request("request-900"), 0, 23),
        (request("request-1900"), 1, 23),
        (actor("nobody"), 0, 1),
    ] {
        let before = store.asked();
        let found = store.rows(&index, &whole(Direction::Descending, 1_000)).await.unwrap();
        let requests = store.asked().requests - before.requests;
        assert_eq!(found.len(), rows, "{index:?}");
        assert!(requests <= requests_max, "{requests} requests for {index:?}");
    }
    // A page of the newest looks into one quarter, then two more.
    let before = store.asked();
    assert_eq!(store.rows(&actor("busy"), &whole(Direction::Descending, 10)).await.unwrap().len(), 10);
    let asked = (store.asked().requests - before.requests, store.asked().rows - before.rows);
    assert!(asked.0 <= 4 && asked.1 <= 21 + 3 * 11, "{asked:?}");
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_of_a_busy_index_are_read_without_the_rest() {
    let Some(keyspace) = Keyspace::new() else { return };
    let rows = RowsPerShard { quarters: 100, hours: 1_000, ..RowsPerShard::default() };
    let store = keyspace.store_with(Config { rows_per_shard: rows, ..keyspace.config() }).await;
    let first = at("2026-01-05T00:00:00Z");
    let entries: Vec<_> =
        (0..1_000).map(|n| deed(n, first.saturating_add_micros(n as i64 * 60_000_000), "job")).collect();
    for some in entries.chunks(100) {
        let results = store.append(some, &arrival("w", "2026-01-10T00:00:00Z")).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    let before = store.asked();
    let found = store.rows(&actor("job"), &whole(Direction::Descending, 50)).await.unwrap();
    assert_eq!(found.first().map(|row| row.occurred_at), entries.last().map(|entry| entry.occurred_at));
    let (requests, rows) = (store.asked().requests - before.requests, store.asked().rows - before.rows);
    // Both levels in the directory; some of the wide level; the hours there are; the last hour, which is not full, and
    // two at the same time after it.
    assert!(requests <= 6, "{requests} requests");
    assert!(rows <= 2 + 16 + 24 + 3 * 50, "{rows} rows");
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_of_a_long_directory_what_it_needs_and_a_walk_reads_all_of_it() {
    let Some(keyspace) = Keyspace::new() else { return };
    let rows = RowsPerShard { quarters: 1, hours: 1_000, ..RowsPerShard::default() };
    let store = keyspace.store_with(Config { rows_per_shard: rows, ..keyspace.config() }).await;
    // One row of the first quarter stands at level 0; then 299 hours of it are listed, and 40 quarters with one row each.
    let (first, hour_us) = (at("2015-01-05T00:00:00Z"), DAY_US / 24);
    let mut entries: Vec<_> =
        (0..300).map(|n| deed(n, first.saturating_add_micros(n as i64 * hour_us), "job")).collect();
    entries.extend((1..=40).map(|n| deed(1_000 + n, first.saturating_add_micros(n as i64 * 91 * DAY_US), "job")));
    for some in entries.chunks(100) {
        let results = store.append(some, &arrival("w", "2026-01-10T00:00:00Z")).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }
    let asked = async |range: &RowRange| {
        let before = store.asked();
        let found = store.rows(&actor("job"), range).await.unwrap();
        let after = store.asked();
        (found, after.requests - before.requests, after.rows - before.rows)
    };
    // Of quarters.
    let (found, requests, read) = asked(&whole(Direction::Descending, 3)).await;
    assert_eq!(found[0].occurred_at, entries.last().unwrap().occurred_at);
    assert!(found.len() == 3 && requests <= 4 && read <= 5 + 4, "{requests} requests, {read} rows");
    // Of hours.
    let to = Some(entries[299].occurred_at.saturating_add_micros(1));
    let (found, requests, read) = asked(&RowRange { to, ..whole(Direction::Descending, 3) }).await;
    assert_eq!(found[0].occurred_at, entries[299].occurred_at);
    assert!(found.len() == 3 && requests <= 6 && read <= 2 + 5 + 1 + 4, "{requests} requests, {read} rows");

    let model = MemoryStore::new();
    model.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    for (direction, limit) in
        [(Direction::Ascending, 1_000), (Direction::Descending, 1_000), (Direction::Descending, 7)]
    {
        let expected = all(&model, &actor("job"), whole(direction, limit)).await;
        assert_eq!(all(&*store, &actor("job"), whole(direction, limit)).await, expected, "{direction:?} {limit}");
    }
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_writer_stopped_half_way_shows_nowhere_until_it_is_told_again() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let entries: Vec<_> = (0..20).map(varied).collect();
    let indexes: BTreeSet<Index> = entries.iter().flat_map(|entry| entry.indexes()).collect();
    let told = arrival("w", "2026-12-10T00:00:00Z");
    assert!(store.append(&entries, &told).await.iter().all(Result::is_ok));
    // Contents and directories are written first. This is what is there when nothing else was.
    let session = keyspace.session().await;
    for table in ["rows_by_record", "rows_by_term"] {
        session.query_unpaged(format!("TRUNCATE {}.{table}", keyspace.name), ()).await.unwrap();
    }
    for index in &indexes {
        assert_eq!(store.rows(index, &whole(Direction::Descending, 100)).await.unwrap(), [], "{index:?}");
    }
    let record = &entries[0].record;
    assert_eq!(store.sources(&record.tenant, &record.table, &record.record_id).await.unwrap().len(), 0);

    // Another worker, which knows nothing of the first.
    let again = CassandraStore::new(keyspace.config()).unwrap();
    assert!(again.append(&entries, &told).await.iter().all(Result::is_ok));
    for index in &indexes {
        let expected = entries.iter().filter(|entry| entry.indexes().contains(index)).count();
        let found = store.rows(index, &whole(Direction::Descending, 100)).await.unwrap();
        assert_eq!(found.len(), expected, "{index:?}");
    }
    keyspace.drop_it().await;
}
