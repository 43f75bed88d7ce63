//! What happens when the servers do not answer: every call ends, and work goes on when it answers again.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_store::{AppendError, Direction, Index, Lookup, RowRange, Store, StoreError};
use afterimage_store_mongodb::{Config, MongoStore};
use common::TestDatabase;
use common::entries::{arrival, entry, record};
use common::minority::Minority;
use common::proxy::Proxy;

/// A store that talks through a proxy to a database that is migrated, with short time-outs.
async fn behind_a_proxy() -> Option<(TestDatabase, Proxy, Arc<MongoStore>)> {
    behind(async |server| {
        let proxy = Proxy::start(server).await;
        let address = proxy.address();
        (proxy, address)
    })
    .await
}

/// The same behind a server that answers inserts otherwise than it did.
async fn behind_a_minority() -> Option<(TestDatabase, Minority, Arc<MongoStore>)> {
    behind(async |server| {
        let minority = Minority::start(server).await;
        let address = minority.address();
        (minority, address)
    })
    .await
}

/// The same behind whatever `start` makes of the server's address, and the address that that has.
async fn behind<P>(start: impl AsyncFnOnce(&str) -> (P, String)) -> Option<(TestDatabase, P, Arc<MongoStore>)> {
    let database = TestDatabase::new()?;
    database.store().await.close().await;
    // The first host of the connection string, and the rest of it without replica set: the proxy is the only server.
    let (hosts, options) =
        database.uri.strip_prefix("mongodb://")?.split_once('/').unwrap_or((&database.uri[10..], ""));
    let (user, hosts) = hosts.rsplit_once('@').map_or(("", hosts), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    let (proxy, address) = start(hosts.split(',').next()?).await;
    let options: Vec<&str> = options
        .trim_start_matches('?')
        .split('&')
        .filter(|option| !option.is_empty() && !option.starts_with("replicaSet"))
        .collect();
    let uri =
        format!("mongodb://{user}{at}{address}/?{}", [&["directConnection=true"], &options[..]].concat().join("&"));
    let mut config = Config::new(uri, database.name.clone());
    config.request_timeout = Duration::from_secs(2);
    Some((database, proxy, Arc::new(MongoStore::new(config).unwrap())))
}

async fn append(store: &MongoStore, number: usize) -> Result<(), AppendError> {
    let entries = [Arc::new(entry("r", number))];
    store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await.remove(0)
}

/// Appends until it works. Fails after a minute: on a busy machine a session may take its time.
async fn append_at_last(store: &MongoStore, number: usize) {
    let started = Instant::now();
    while let Err(error) = append(store, number).await {
        assert!(started.elapsed() < Duration::from_secs(60), "still failing: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn numbers(store: &MongoStore) -> Result<Vec<String>, StoreError> {
    let range = RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: 100 };
    let rows = store.rows(&Index::Record(record("r")), &range).await?;
    Ok(rows.into_iter().map(|row| row.identity.event_id).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_holds_up_no_call_for_ever() {
    let Some((_database, proxy, store)) = behind_a_proxy().await else { return };
    append_at_last(&store, 1).await;
    proxy.be_silent();
    // Whatever time it takes: an append that hung would never come back, and this test with it.
    assert!(matches!(append(&store, 2).await, Err(AppendError::Unavailable { .. })));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(numbers(&store).await, Err(StoreError::Unavailable { .. })));
    proxy.pass();
    append_at_last(&store, 3).await;
    store.ping().await.unwrap();
    let stored = numbers(&store).await.unwrap();
    assert!(stored.contains(&"r-000001".to_owned()) && stored.contains(&"r-000003".to_owned()), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_went_away_is_used_again_when_it_is_back() {
    let Some((_database, proxy, store)) = behind_a_proxy().await else { return };
    append_at_last(&store, 1).await;
    for number in 2..4 {
        proxy.refuse();
        assert!(matches!(append(&store, number).await, Err(AppendError::Unavailable { .. })));
        proxy.pass();
        append_at_last(&store, number).await;
    }
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002", "r-000003"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_later_than_the_worker_is_waited_for() {
    let Some((_database, proxy, store)) = behind_a_proxy().await else { return };
    proxy.refuse();
    assert!(matches!(append(&store, 1).await, Err(AppendError::Unavailable { .. })));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    proxy.pass();
    append_at_last(&store, 1).await;
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_was_lost_may_be_repeated() {
    let Some((database, proxy, store)) = behind_a_proxy().await else { return };
    append_at_last(&store, 1).await;
    proxy.swallow_answers();
    assert!(matches!(append(&store, 2).await, Err(AppendError::Unavailable { .. })));
    proxy.pass();
    append_at_last(&store, 2).await;
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002"]);
    let stored = database.behind().await.collection::<mongodb::bson::Document>("entries");
    assert_eq!(stored.count_documents(mongodb::bson::doc! {}).await.unwrap(), 2, "one document for each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_majority_has_is_not_durable() {
    let Some((_database, minority, store)) = behind_a_minority().await else { return };
    append_at_last(&store, 1).await;
    minority.begin();
    let entries: Vec<_> = (1..4).map(|number| Arc::new(entry("r", number))).collect();
    for result in store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await {
        assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
    }
    assert!(minority.said() > 0, "no insert was answered so");
    minority.end();
    append_at_last(&store, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_insert_that_is_refused_whole_only_the_entry_at_fault_is_refused() {
    let Some((_database, refusing, store)) = behind_a_minority().await else { return };
    append_at_last(&store, 1).await;
    refusing.refuse("r-000003");
    let entries: Vec<_> = (2..6).map(|number| Arc::new(entry("r", number))).collect();
    // On a busy machine some of it may have to be repeated.
    let started = Instant::now();
    let mut results = store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    while results.iter().any(|result| matches!(result, Err(AppendError::Unavailable { .. }))) {
        assert!(started.elapsed() < Duration::from_secs(60), "{results:?}");
        results = store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await;
    }
    assert!(matches!(&results[..], [Ok(()), Err(AppendError::Refused { .. }), Ok(()), Ok(())]), "{results:?}");
    assert!(refusing.said() >= 2, "the insert of all of them, and that of one");
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002", "r-000004", "r-000005"]);
}
