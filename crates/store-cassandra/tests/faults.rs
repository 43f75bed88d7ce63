//! What happens when the cluster does not answer: every call ends, and work goes on when it answers again.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_store::{AppendError, Direction, Index, Lookup, RowRange, Store, StoreError};
use afterimage_store_cassandra::{CassandraStore, Config};
use common::Keyspace;
use common::answers::{Answer, Answers};
use common::entries::{arrival, entry, record};
use common::proxy::Proxy;

/// A store that talks through a proxy to a keyspace that is migrated, with short time-outs.
async fn behind_a_proxy() -> Option<(Keyspace, Proxy, Arc<CassandraStore>)> {
    behind_a_proxy_with(Duration::from_secs(2)).await
}

async fn behind_a_proxy_with(request_timeout: Duration) -> Option<(Keyspace, Proxy, Arc<CassandraStore>)> {
    behind_a_proxy_set(|config| config.request_timeout = request_timeout).await
}

async fn behind_a_proxy_set(set: impl FnOnce(&mut Config)) -> Option<(Keyspace, Proxy, Arc<CassandraStore>)> {
    let keyspace = Keyspace::new()?;
    keyspace.store().await.close().await;
    let proxy = Proxy::start(&keyspace.nodes[0]).await;
    let mut config = keyspace.config();
    config.nodes = vec![proxy.address()];
    config.connect_timeout = Duration::from_secs(5);
    set(&mut config);
    Some((keyspace, proxy, Arc::new(CassandraStore::new(config).unwrap())))
}

/// A store on a keyspace that is migrated, before whose node somebody may answer in its stead.
async fn behind_answers() -> Option<(Keyspace, Answers, CassandraStore)> {
    let keyspace = Keyspace::new()?;
    keyspace.store().await.close().await;
    let answers = Answers::start(&keyspace.nodes[0]).await;
    let mut config = keyspace.config();
    config.nodes = vec![answers.address()];
    Some((keyspace, answers, CassandraStore::new(config).unwrap()))
}

async fn append(store: &CassandraStore, number: usize) -> Result<(), AppendError> {
    let entries = [Arc::new(entry("r", number))];
    store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await.remove(0)
}

/// Appends until it works. Fails after a minute: on a busy machine a session may take its time.
async fn append_at_last(store: &CassandraStore, number: usize) {
    let started = Instant::now();
    while let Err(error) = append(store, number).await {
        assert!(started.elapsed() < Duration::from_secs(60), "still failing: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn numbers(store: &CassandraStore) -> Result<Vec<String>, StoreError> {
    let range = RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: 100 };
    let rows = store.rows(&Index::Record(record("r")), &range).await?;
    Ok(rows.into_iter().map(|row| row.identity.event_id).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_cluster_holds_up_no_call_for_ever() {
    let Some((keyspace, proxy, store)) = behind_a_proxy().await else { return };
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
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_sent_in_time_is_not_durable() {
    let behind = behind_a_proxy_set(|config| {
        config.request_timeout = Duration::from_secs(2);
        config.requests_in_flight_max = 1;
    });
    let Some((keyspace, proxy, store)) = behind.await else { return };
    append_at_last(&store, 1).await;
    proxy.be_silent();
    // Each is a request of its own, and waits for the one before: the append ends before the last of them has its turn.
    let entries: Vec<_> = (2..12)
        .map(|number| {
            let mut entry = entry("r", number);
            entry.content = "x".repeat(40_000);
            Arc::new(entry)
        })
        .collect();
    for result in store.append(&entries, &arrival("w", "2026-01-10T00:00:00Z")).await {
        assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
    }
    proxy.pass();
    append_at_last(&store, 12).await;
    keyspace.drop_it().await;
}

/// Told by which of the two ends the append: by default the driver would not notice before the request gives up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_cut_without_a_word_is_noticed_before_its_requests_give_up() {
    let Some((keyspace, proxy, store)) = behind_a_proxy_with(Duration::from_secs(50)).await else { return };
    append_at_last(&store, 1).await;
    proxy.swallow_answers();
    let Err(AppendError::Unavailable { reason }) = append(&store, 2).await else {
        panic!("an answer that was swallowed")
    };
    assert!(reason.to_lowercase().contains("keepalive"), "{reason}");
    proxy.pass();
    append_at_last(&store, 2).await;
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_went_away_is_used_again_when_it_is_back() {
    let Some((keyspace, proxy, store)) = behind_a_proxy().await else { return };
    append_at_last(&store, 1).await;
    for number in 2..4 {
        proxy.refuse();
        assert!(matches!(append(&store, number).await, Err(AppendError::Unavailable { .. })));
        proxy.pass();
        append_at_last(&store, number).await;
    }
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002", "r-000003"]);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_comes_later_than_the_worker_is_waited_for() {
    let Some((keyspace, proxy, store)) = behind_a_proxy().await else { return };
    proxy.refuse();
    assert!(matches!(append(&store, 1).await, Err(AppendError::Unavailable { .. })));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable { .. })));
    proxy.pass();
    append_at_last(&store, 1).await;
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001"]);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_answer_was_lost_may_be_repeated() {
    let Some((keyspace, proxy, store)) = behind_a_proxy().await else { return };
    append_at_last(&store, 1).await;
    proxy.swallow_answers();
    assert!(matches!(append(&store, 2).await, Err(AppendError::Unavailable { .. })));
    proxy.pass();
    append_at_last(&store, 2).await;
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002"]);
    keyspace.drop_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_announces_what_cannot_be_reached_is_told_of_with_the_address() {
    let Some(keyspace) = Keyspace::new() else { return };
    // The node announces 127.0.0.1, where nothing listens on this port. Not every machine has both.
    let address = if cfg!(target_os = "linux") { "127.0.0.2:0" } else { "[::1]:0" };
    let elsewhere = Answers::start_at(address, &keyspace.nodes[0]).await;
    let mut config = keyspace.config();
    config.nodes = vec![elsewhere.address()];
    let error = CassandraStore::new(config).unwrap().ping().await.unwrap_err();
    let port = elsewhere.address().rsplit_once(':').unwrap().1.to_owned();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
}

/// One by one they took nine answers of a cluster that was slow to give one: more than an append has time for, and nothing
/// of it was kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_storing_needs_is_prepared_at_once() {
    let Some((keyspace, answers, store)) = behind_answers().await else { return };
    answers.prepare_together(9);
    append_at_last(&store, 1).await;
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001"]);
    keyspace.drop_it().await;
}

/// Of rows that travel together, one is refused or not answered: that is laid to its entry, and to no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_servers_say_of_a_batch_is_laid_to_the_entry_at_fault() {
    let Some((keyspace, answers, store)) = behind_answers().await else { return };
    append_at_last(&store, 1).await;
    let told = arrival("w", "2026-01-10T00:00:00Z");

    answers.answer(Answer::TooLarge, "r-000003");
    let entries: Vec<_> = (2..6).map(|number| Arc::new(entry("r", number))).collect();
    let started = Instant::now();
    let mut results = store.append(&entries, &told).await;
    while results.iter().any(|result| matches!(result, Err(AppendError::Unavailable { .. }))) {
        assert!(started.elapsed() < Duration::from_secs(60), "{results:?}");
        results = store.append(&entries, &told).await;
    }
    assert!(matches!(&results[..], [Ok(()), Err(AppendError::Refused { .. }), Ok(()), Ok(())]), "{results:?}");

    answers.answer(Answer::WriteTimeout, "r-000007");
    let late = [Arc::new(entry("r", 7))];
    for result in store.append(&late, &told).await {
        assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
    }
    answers.pass();
    assert_eq!(numbers(&store).await.unwrap(), ["r-000001", "r-000002", "r-000004", "r-000005"]);

    // Directory rows name a table and no event; these contents travel alone.
    answers.answer_without(Answer::TooLarge, "other_table", "r-00000");
    let unlisted = [8, 9].map(|number| {
        let mut entry = entry("r", number);
        "other_table".clone_into(&mut entry.record.table);
        entry.content = format!("{{\"x\":\"{}\"}}", "x".repeat(4_000));
        Arc::new(entry)
    });
    for result in store.append(&unlisted, &told).await {
        assert!(result.is_err(), "nothing says where its rows are");
    }
    answers.pass();
    assert_eq!(store.append(&unlisted, &told).await, [Ok(()), Ok(())]);
    let tables = store.tables("acme").await.unwrap();
    assert!(tables.iter().any(|table| table.table == "other_table"), "{tables:?}");
    keyspace.drop_it().await;
}
