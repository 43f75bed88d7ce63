//! What holds for this store beyond what holds for all: what its documents look like, and what it does to a database.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;
#[path = "common/examples.rs"]
mod examples;

use std::sync::Arc;

use afterimage_event::{Op, Position};
use afterimage_store::{AppendError, Digest, Entry, Identity, Lookup, Store, StoreError};
use afterimage_store_mongodb::MongoStore;
use common::{TestDatabase, arrival, at, entry, record};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use serde_json::json;

/// An entry with content of format 1, as the pipeline makes it: `more` are the members from `position` on.
fn told(id: &str, second: i64, op: Op, changed: &[&str], more: &str) -> Arc<Entry> {
    let mut entry = entry("u1", 0);
    entry.record.record_id = vec!["org1".to_owned(), "u1".to_owned()];
    entry.op = op;
    entry.occurred_at = at("2026-01-09T10:00:00Z").saturating_add_micros(second * 1_000_000);
    entry.identity = Identity {
        event_id: id.to_owned(),
        input_digest: Digest([2; 16]),
        revision: 0,
        published_at: entry.occurred_at,
    };
    entry.changed = changed.iter().map(|&name| name.to_owned()).collect();
    (entry.before_digest, entry.after_digest) = (None, None);
    if more.contains(r#""position""#) {
        entry.position = Position::new("seq:billing", "881");
    }
    let (digest, time) = (entry.identity.input_digest, entry.occurred_at);
    entry.content = format!(
        concat!(
            r#"{{"v":1,"rules":"00","id":"{}","input_digest":"{}","revision":0,"published_at":"{}","tenant":"acme","#,
            r#""source":"billing","table":"users","record_id":["org1","u1"],"op":"{}","occurred_at":"{}",{}"#,
            r#""images":"after","changed":{}{}}}"#
        ),
        id,
        digest,
        time,
        op,
        time,
        more.split_once('|').unwrap().0,
        json!(changed),
        more.split_once('|').unwrap().1,
    );
    Arc::new(entry)
}

async fn stored(database: &TestDatabase, id: &str) -> Vec<Document> {
    let entries = database.behind().await.collection::<Document>("entries");
    entries.find(doc! { "id": id }).await.unwrap().try_collect().await.unwrap()
}

async fn append(store: &MongoStore, entries: &[Arc<Entry>], worker: &str, time: &str) -> Vec<Result<(), AppendError>> {
    store.append(entries, &arrival(worker, time)).await
}

async fn content(store: &MongoStore, id: &str) -> String {
    store.contents("acme", "billing", &[id.to_owned()]).await.unwrap().remove(0).remove(0).content
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_what_the_page_says() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let plain = told(
        "e2",
        5,
        Op::Update,
        &["status"],
        concat!(
            r#""position":{"domain":"seq:billing","value":"881"},"transaction":"tx-9","#,
            r#""actor":{"id":"7","email":"ada@example.com"},"context":{"request_id":"req-1","ip":"::1"},"#,
            r#"|,"changes":[{"path":"/status","old":"pending","new":"paid"}],"#,
            r#""after":{"status":"paid","visits":3,"balance":19.90,"a.b":{"$x":null},"":"a\u0000b"}"#,
        ),
    );
    let spelled = told("e3", 6, Op::Update, &["n"], r#"|,"after":{ "n" : 1.0, "city":"K\u00f6ln" }"#);
    let foreign = Arc::new(entry("r", 9));
    let told = [Arc::clone(&plain), Arc::clone(&spelled), Arc::clone(&foreign)];
    assert_eq!(append(&store, &told, "worker-1", "2026-01-09T11:00:00Z").await, vec![Ok(()); 3]);

    let document = stored(&database, "e2").await.remove(0);
    assert_eq!(document.get_str("op").unwrap(), "update");
    assert_eq!(document.get_str("record").unwrap(), "org1,u1");
    assert!(document.get_str("order").unwrap().starts_with("2026-01-09T10:00:05.000000Z 03881 e2 "));
    assert_eq!(document.get_str("request").unwrap(), "req-1");
    assert!(document.get_str("_id").unwrap().starts_with("2026-01-09T10:00:05.000000Z-"));
    let after = doc! {
        "status": "paid", "visits": 3_i64, "balance": { "%number": "19.90" }, "a%2Eb": { "%24x": null },
        "%": { "%json": r#""a\u0000b""# },
    };
    assert_eq!(*document.get_document("after").unwrap(), after);
    let by = doc! { "at": "2026-01-09T11:00:00.000000Z", "worker": "worker-1" };
    assert_eq!(*document.get_document("stored").unwrap(), by);
    assert!(!document.contains_key("as_sent") && !document.contains_key("content"), "{document}");

    let document = stored(&database, "e3").await.remove(0);
    assert_eq!(*document.get_document("after").unwrap(), doc! { "n": { "%number": "1.0" }, "city": "Köln" });
    let as_sent = doc! { "after": r#"{ "n" : 1.0, "city":"K\u00f6ln" }"# };
    assert_eq!(*document.get_document("as_sent").unwrap(), as_sent);

    let document = stored(&database, &foreign.identity.event_id).await.remove(0);
    assert_eq!(document.get_str("content").unwrap(), foreign.content);
    for entry in [plain, spelled, foreign] {
        assert_eq!(content(&store, &entry.identity.event_id).await, entry.content);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_telling_stays() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let first = told("e1", 1, Op::Insert, &["id"], r#"|,"after":{"id":"u1"}"#);
    let other_rules =
        Arc::new(Entry { content: first.content.replace(r#""rules":"00""#, r#""rules":"01""#), ..(*first).clone() });
    let neighbour = told("e2", 2, Op::Insert, &["id"], r#"|,"after":{"id":"u1"}"#);
    assert_eq!(append(&store, &[Arc::clone(&first)], "a", "2026-01-09T11:00:00Z").await, [Ok(())]);
    let again = [other_rules, Arc::clone(&first), neighbour, Arc::clone(&first)];
    assert_eq!(append(&store, &again, "b", "2026-01-09T12:00:00Z").await, vec![Ok(()); 4]);
    let document = stored(&database, "e1").await;
    assert_eq!(document.len(), 1);
    assert_eq!(document[0].get_document("stored").unwrap().get_str("worker").unwrap(), "a");
    assert_eq!(content(&store, "e1").await, first.content);
    assert_eq!(stored(&database, "e2").await.len(), 1, "beside duplicates the others are stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_entry_that_never_fits_is_refused() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let mut large = entry("r", 2);
    large.content = format!("[\"{}\"]", "x".repeat(17 << 20));
    // As documents these numbers would take eight times their text: it stands as text.
    let mut wide = entry("r", 3);
    wide.content =
        told("e", 1, Op::Insert, &["n"], &format!(r#"|,"after":[{}1]"#, "1,".repeat(1 << 20))).content.clone();
    let wide = Arc::new(wide);
    let entries = [Arc::new(entry("r", 1)), Arc::new(large), Arc::clone(&wide), Arc::new(entry("r", 4))];
    let outcomes = append(&store, &entries, "w", "2026-01-10T00:00:00Z").await;
    assert_eq!((&outcomes[0], &outcomes[2], &outcomes[3]), (&Ok(()), &Ok(()), &Ok(())));
    assert!(
        matches!(&outcomes[1], Err(AppendError::Refused { reason }) if reason.contains("16777216")),
        "{outcomes:?}"
    );
    assert_eq!(content(&store, &wide.identity.event_id).await, wide.content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_may_migrate_at_the_same_time_and_a_newer_schema_is_left_alone() {
    let Some(database) = TestDatabase::new() else { return };
    let unmigrated = MongoStore::new(database.config()).unwrap();
    let error = unmigrated.ping().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured { reason } if reason.contains("afterimage migrate")),
        "{error:?}"
    );
    let nothing = append(&unmigrated, &[Arc::new(entry("r", 1))], "w", "2026-01-10T00:00:00Z").await;
    assert!(matches!(&nothing[0], Err(AppendError::Unavailable { .. })));

    let stores: Vec<_> = (0..6).map(|_| Arc::new(MongoStore::new(database.config()).unwrap())).collect();
    let tasks = stores.iter().map(Arc::clone).map(|store| tokio::spawn(async move { store.migrate().await }));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(stores[0].migrate().await.unwrap(), Vec::<String>::new(), "nothing is left to do");
    unmigrated.ping().await.unwrap();
    let indexes = database.behind().await.collection::<Document>("entries").list_index_names().await.unwrap();
    assert_eq!(indexes.len(), 15, "{indexes:?}");

    database.behind().await.collection::<Document>("schema_versions").insert_one(doc! { "_id": 99 }).await.unwrap();
    for outcome in [stores[0].ping().await, stores[0].migrate().await.map(drop)] {
        assert!(
            matches!(&outcome, Err(StoreError::Misconfigured { reason }) if reason.contains("version 99")),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_page_finds_what_it_says() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let ada = r#""actor":{"email":"ada@example.com"},"#;
    let entries = [
        told(
            "e1",
            0,
            Op::Insert,
            &["id", "email"],
            &format!(r#"{ada}|,"after":{{"id":"u1","balance":90071992547409931234.50}}"#),
        ),
        told(
            "e2",
            1,
            Op::Update,
            &["email"],
            r#""transaction":"tx-9","context":{"requestId":"req-1"},|,"after":{"id":"u1"}"#,
        ),
        told(
            "e3",
            2,
            Op::Update,
            &["status"],
            &format!(
                r#""transaction":"tx-9",{ada}"context":{{"requestId":"req-1"}},|,"changes":[{{"path":"/status","old":"pending","new":"paid"}}]"#
            ),
        ),
        told("e4", 3, Op::Delete, &["id"], r#"|,"before":{"id":"u1"}"#),
    ];
    assert_eq!(append(&store, &entries, "worker-1", "2026-01-09T11:00:00Z").await, vec![Ok(()); 4]);
    let collection = database.behind().await.collection::<Document>("entries");
    for example in examples::examples("2026-01-09T00:00:00Z") {
        let found: Vec<Document> = match example.method {
            "find" => {
                let filter = example.argument.as_document().unwrap().clone();
                collection.find(filter).sort(example.sort.clone()).await.unwrap().try_collect().await.unwrap()
            }
            "aggregate" => {
                let stages =
                    example.argument.as_array().unwrap().iter().map(|stage| stage.as_document().unwrap().clone());
                let groups: Vec<Document> = collection.aggregate(stages).await.unwrap().try_collect().await.unwrap();
                assert_eq!(groups[0], doc! { "_id": { "table": "users", "op": "update" }, "n": 2 });
                assert_eq!(groups.len(), 3);
                continue;
            }
            other => panic!("{other}"),
        };
        let ids: Vec<&str> = found.iter().map(|document| document.get_str("id").unwrap()).collect();
        let expected: &[&str] = match example.title.split([':', ',']).next().unwrap() {
            "History of a record" => &["e4", "e3", "e2", "e1"],
            "The record as it stood at ten o'clock" => &["e1"],
            "Who changed the field `email` of any user" => &["e2"],
            "Which users went from pending to paid" => &["e3"],
            "Deletes of the last 24 hours" => &["e4"],
            "What somebody did" => &["e3", "e1"],
            "What one request did" | "What one transaction did" => &["e2", "e3"],
            "Was this event stored" => &["e2"],
            "Where an exact amount stands" => &["e1"],
            "What a worker stored since a point" => &["e1", "e2", "e3", "e4"],
            other => panic!("no expectation for the example: {other}"),
        };
        if example.sort.contains_key("stored.at") {
            assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>(), expected.iter().collect());
        } else {
            assert_eq!(ids, expected, "{}", example.title);
        }
    }
    let rows = store.sources("acme", "users", &record("u1").record_id).await.unwrap();
    assert!(rows.is_empty(), "another record");
}
