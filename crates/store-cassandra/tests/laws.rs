//! What only this store promises, on a real server.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use afterimage_store::{AppendError, Direction, Entry, Index, Lookup, RowRange, Store, StoreError, TableKey};
use afterimage_store_cassandra::{CassandraStore, Config, RowsPerShard};
use common::Keyspace;
use common::entries::{arrival, at, entry, record};
use scylla::client::session::Session;

fn whole(direction: Direction, limit: usize) -> RowRange {
    RowRange { from: None, to: None, past: None, direction, limit }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_migrate_at_once_and_again() {
    let Some(keyspace) = Keyspace::new() else { return };
    let stores: Vec<_> = (0..4).map(|_| Arc::new(CassandraStore::new(keyspace.config()).unwrap())).collect();
    let mut running = Vec::new();
    for store in &stores {
        let store = Arc::clone(store);
        running.push(tokio::spawn(async move { store.migrate().await }));
    }
    for one in running {
        one.await.unwrap().unwrap();
    }
    for store in &stores {
        store.ping().await.unwrap();
        assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());
    }
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_schema_is_said() {
    let Some(keyspace) = Keyspace::new() else { return };
    let mut config = keyspace.config();
    config.replication = None;
    let store = CassandraStore::new(config).unwrap();
    let said = |error: StoreError, part: &str| {
        assert!(matches!(&error, StoreError::Misconfigured { reason } if reason.contains(part)), "{error:?}");
    };
    said(store.ping().await.unwrap_err(), "does not exist");
    said(store.migrate().await.unwrap_err(), "does not exist");
    let append = store.append(&[Arc::new(entry("r", 1))], &arrival("w", "2026-01-10T00:00:00Z")).await;
    assert!(matches!(&append[0], Err(AppendError::Unavailable { reason }) if reason.contains("does not exist")));

    let session = keyspace.session().await;
    let create = "WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";
    session.query_unpaged(format!("CREATE KEYSPACE {} {create}", keyspace.name), ()).await.unwrap();
    said(store.ping().await.unwrap_err(), "run `afterimage migrate`");
    store.migrate().await.unwrap();
    store.ping().await.unwrap();

    for (version, advice) in [(99, "version 99"), (1, "another keyspace")] {
        let versions = format!("{}.schema_versions", keyspace.name);
        session.query_unpaged(format!("TRUNCATE {versions}"), ()).await.unwrap();
        let insert = format!("INSERT INTO {versions} (component, version) VALUES ('afterimage', {version})");
        session.query_unpaged(insert, ()).await.unwrap();
        let store = CassandraStore::new(keyspace.config()).unwrap();
        said(store.ping().await.unwrap_err(), advice);
        said(store.migrate().await.unwrap_err(), advice);
        let append = store.append(&[Arc::new(entry("r", 1))], &arrival("w", "2026-01-10T00:00:00Z")).await;
        assert!(
            matches!(&append[0], Err(AppendError::Unavailable { reason }) if reason.contains(advice)),
            "{append:?}"
        );
    }
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_telling_stays() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let first = entry("r", 1);
    let mut again = first.clone();
    // Later rules may make more, or less, of the same event.
    again.content = r#"{"z":"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}"#.to_owned();
    again.changed = vec!["zzz".to_owned(), "zzzz".to_owned()];
    let day = |day: u32| arrival("w", &format!("2026-01-{day:02}T00:00:00Z"));
    for (telling, when) in [(&again, day(12)), (&first, day(11)), (&again, day(13))] {
        assert_eq!(store.append(&[Arc::new(telling.clone())], &when).await, [Ok(())]);
    }
    let contents = store.contents("acme", "billing", std::slice::from_ref(&first.identity.event_id)).await.unwrap();
    assert_eq!(contents[0].len(), 1);
    assert_eq!(contents[0][0].stored_at, at("2026-01-11T00:00:00Z"));
    assert_eq!(contents[0][0].content, first.content);
    let rows = store.rows(&Index::Record(record("r")), &whole(Direction::Ascending, 10)).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].changed, first.changed);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_bound_partitions_and_are_read_as_one() {
    const ROWS: u32 = 7;
    const WORKERS: usize = 3;
    const ENTRIES: usize = 200;
    let Some(keyspace) = Keyspace::new() else { return };
    let mut config = keyspace.config();
    config.rows_per_shard = RowsPerShard { records: ROWS, quarters: ROWS, hours: ROWS, arrivals: ROWS };
    let first = keyspace.store_with(config.clone()).await;
    let entries: Vec<Arc<Entry>> = (0..ENTRIES).map(|number| Arc::new(entry("hot", number))).collect();
    let mut stores = vec![first];
    while stores.len() < WORKERS {
        stores.push(Arc::new(CassandraStore::new(config.clone()).unwrap()));
    }
    // Interleaved, out of order, and every fifth told to two workers.
    let mut shuffled: Vec<usize> = (0..ENTRIES).collect();
    shuffled.sort_by_key(|number| (number * 7_919) % 1_009);
    for (turn, chunk) in shuffled.chunks(10).enumerate() {
        let some: Vec<_> = chunk.iter().map(|number| Arc::clone(&entries[*number])).collect();
        let results = stores[turn % WORKERS].append(&some, &arrival("w", "2026-01-10T00:00:00Z")).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let again: Vec<_> = some.iter().filter(|entry| entry.identity.event_id.ends_with('5')).cloned().collect();
        let results = stores[(turn + 1) % WORKERS].append(&again, &arrival("x", "2026-01-11T00:00:00Z")).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
    }

    let session = keyspace.session().await;
    for (table, columns) in [
        ("rows_by_record", "tenant, source, table_name, record_id, bucket, shard"),
        ("rows_by_term", "tenant, kind, source, table_name, term, level, bucket, shard"),
        ("journal", "worker, bucket, shard"),
    ] {
        let count = format!("SELECT count(*) FROM {}.{table} GROUP BY {columns}", keyspace.name);
        let counts = session.query_unpaged(count, ()).await.unwrap().into_rows_result().unwrap();
        let counts: Vec<i64> = counts.rows::<(i64,)>().unwrap().map(|row| row.unwrap().0).collect();
        assert!(counts.len() >= ENTRIES / (ROWS as usize * WORKERS), "{table}: {counts:?}");
        assert!(counts.iter().all(|count| *count <= i64::from(ROWS) * WORKERS as i64), "{table}: {counts:?}");
    }

    let ids: Vec<String> = entries.iter().map(|entry| entry.identity.event_id.clone()).collect();
    let table = TableKey { tenant: "acme".to_owned(), source: "billing".to_owned(), table: "users".to_owned() };
    for direction in [Direction::Ascending, Direction::Descending] {
        for limit in [1, 3, 16, 64, 1_000] {
            let (mut of_record, mut of_table) = (Vec::new(), Vec::new());
            for (found, is_table) in [(&mut of_record, false), (&mut of_table, true)] {
                let mut range = whole(direction, limit);
                loop {
                    let rows = match is_table {
                        true => stores[0].rows(&Index::Table(table.clone()), &range).await.unwrap(),
                        false => stores[0].rows(&Index::Record(record("hot")), &range).await.unwrap(),
                    };
                    let ended = rows.len() < limit;
                    range.past = rows.last().map(afterimage_store::IndexRow::order_key);
                    found.extend(rows.into_iter().map(|row| row.identity.event_id));
                    // Pages of one row prove the point with the first thirty.
                    if ended || (limit == 1 && found.len() == 30) {
                        break;
                    }
                }
            }
            let mut expected = ids.clone();
            if direction == Direction::Descending {
                expected.reverse();
            }
            expected.truncate(of_record.len());
            assert!(of_record.len() == ENTRIES || limit == 1);
            assert_eq!(of_record, expected, "{direction:?} {limit}");
            assert_eq!(of_table, expected, "{direction:?} {limit}");
        }
    }
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_fits_is_refused_and_its_neighbours_are_stored() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let mut entries: Vec<Entry> = (0..5).map(|number| entry("r", number)).collect();
    entries[1].content = "x".repeat(9 << 20);
    entries[2].identity.event_id = "x".repeat(70_000);
    entries[3].content = format!(r#"{{"image":"{}"}}"#, "x".repeat(2 << 20));
    let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
    let results = store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    for (index, result) in results.iter().enumerate() {
        let refused = matches!(result, Err(AppendError::Refused { .. }));
        assert_eq!(refused, [1, 2].contains(&index), "{index}: {result:?}");
        assert!(refused || result.is_ok(), "{index}: {result:?}");
    }
    let ids = [entries[3].identity.event_id.clone()];
    let contents = store.contents("acme", "billing", &ids).await.unwrap();
    assert_eq!(contents[0][0].content, entries[3].content);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_limit_refuses_one_entry_and_no_other() {
    let Some(keyspace) = Keyspace::new() else { return };
    let mut config = keyspace.config();
    config.content_bytes_max = usize::MAX;
    config.bytes_in_flight_max = 1 << 30;
    let store = keyspace.store_with(config).await;
    let mut entries: Vec<Entry> = (0..3).map(|number| entry("r", number)).collect();
    entries[1].content = "x".repeat(40 << 20);
    let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
    let results = store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    assert!(matches!(results[1], Err(AppendError::Refused { .. })), "{:?}", results[1]);
    assert_eq!((&results[0], &results[2]), (&Ok(()), &Ok(())));
    keyspace.drop_it().await;
}

/// The statement that makes a table as it is.
async fn definition(session: &Session, table: &str) -> String {
    let answer =
        session.query_unpaged(format!("DESCRIBE TABLE {table}"), ()).await.unwrap().into_rows_result().unwrap();
    let (_, _, _, statement) = answer.first_row::<(String, String, String, String)>().unwrap();
    statement
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_durable_only_when_every_row_of_it_is_stored() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let session = keyspace.session().await;
    let rows = ["contents", "rows_by_record", "rows_by_term", "journal"];
    let directories = ["record_buckets", "table_names", "term_buckets", "journal_buckets"];
    // Every statement is prepared before a table goes.
    assert_eq!(store.append(&[Arc::new(entry("r", 0))], &arrival("w", "2026-01-10T00:00:00Z")).await, [Ok(())]);
    for name in rows.into_iter().chain(directories) {
        // Of a table and a worker of its own, so that every directory row is new.
        let told = arrival(name, "2026-01-10T00:00:00Z");
        let entries: Vec<_> = (0..3)
            .map(|number| {
                let mut entry = entry(name, number);
                name.clone_into(&mut entry.record.table);
                Arc::new(entry)
            })
            .collect();
        let table = format!("{}.{name}", keyspace.name);
        let definition = definition(&session, &table).await;
        session.query_unpaged(format!("DROP TABLE {table}"), ()).await.unwrap();
        for result in store.append(&entries, &told).await {
            assert!(matches!(result, Err(AppendError::Unavailable { .. })), "without {name}: {result:?}");
        }
        if name == "contents" || directories.contains(&name) {
            // No index row is there before what it needs.
            let select = format!("SELECT table_name FROM {}.rows_by_record", keyspace.name);
            let found = session.query_unpaged(select, ()).await.unwrap().into_rows_result().unwrap();
            let found = found.rows::<(String,)>().unwrap().filter(|row| row.as_ref().unwrap().0 == name).count();
            assert_eq!(found, 0, "without {name}");
        }
        session.query_unpaged(definition, ()).await.unwrap();
        session.await_schema_agreement().await.unwrap();
        // The same worker remembers nothing that was not stored. On a busy machine it may need a new session.
        let started = std::time::Instant::now();
        while let Some(Err(error)) = store.append(&entries, &told).await.into_iter().find(Result::is_err) {
            assert!(started.elapsed() < Duration::from_secs(60), "with {name} again: {error}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for index in entries[0].indexes() {
            let found = store.rows(&index, &whole(Direction::Ascending, 100)).await.unwrap();
            assert_eq!(found.len(), 3, "after {name}: {index:?}");
        }
        let tables = store.tables("acme").await.unwrap();
        assert!(tables.iter().any(|table| table.table == name), "after {name}: {tables:?}");
    }
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_majority_takes_is_not_durable() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let told = arrival("w", "2026-01-10T00:00:00Z");
    assert_eq!(store.append(&[Arc::new(entry("r", 0))], &told).await, [Ok(())]);
    // More copies than the cluster has nodes: one of them would take a row, and no majority can.
    let session = keyspace.session().await;
    let with_copies = |copies| {
        let replication = format!("{{'class': 'NetworkTopologyStrategy', '{}': {copies}}}", common::datacenter());
        format!("ALTER KEYSPACE {} WITH replication = {replication}", keyspace.name)
    };
    session.query_unpaged(with_copies(99), ()).await.unwrap();
    session.await_schema_agreement().await.unwrap();
    // One request for each row, and rows that travel together.
    for (range, content_bytes) in [(1..2, 10), (2..9, 10), (9..12, 40_000)] {
        let large =
            |number| Entry { content: format!("{{\"x\":\"{}\"}}", "x".repeat(content_bytes)), ..entry("r", number) };
        let entries: Vec<_> = range.map(|number| Arc::new(large(number))).collect();
        for result in store.append(&entries, &told).await {
            assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
        }
    }
    let read = store.contents("acme", "billing", &["r-000000".to_owned()]).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    // No statement asked for less: nothing was stored.
    session.query_unpaged(with_copies(1), ()).await.unwrap();
    let contents = session.query_unpaged(format!("SELECT event_id FROM {}.contents", keyspace.name), ()).await.unwrap();
    assert_eq!(contents.into_rows_result().unwrap().rows_num(), 1);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_is_warned_of() {
    let Some(keyspace) = Keyspace::new() else { return };
    let store = keyspace.store().await;
    let warnings = store.warnings().await.unwrap();
    assert!(warnings.iter().any(|warning| warning.contains("one copy")), "{warnings:?}");
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_centre_that_is_not_there_is_named() {
    let Some(keyspace) = Keyspace::new() else { return };
    let mut config = keyspace.config();
    config.datacenter = Some("atlantis".to_owned());
    let error = CassandraStore::new(config).unwrap().ping().await.unwrap_err();
    let named = |reason: &str| reason.contains("atlantis") && reason.contains("datacenter1");
    assert!(matches!(&error, StoreError::Misconfigured { reason } if named(reason)), "{error:?}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_said_to_be_so() {
    // A port that nobody listens on: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = Config::new(vec![format!("127.0.0.1:{port}")], "afterimage");
    config.connect_timeout = Duration::from_secs(5);
    let store = CassandraStore::new(config).unwrap();
    let error = store.ping().await.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable { reason } if reason.contains(&port.to_string())), "{error:?}");
    let results = store.append(&[Arc::new(entry("r", 1))], &arrival("w", "2026-01-10T00:00:00Z")).await;
    assert!(matches!(results[0], Err(AppendError::Unavailable { .. })));
}
