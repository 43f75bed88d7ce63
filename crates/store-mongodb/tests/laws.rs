//! What holds for this store beyond what holds for all: what its documents look like, and what it does to a database.

#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

mod common;
#[path = "common/examples.rs"]
mod examples;

use std::collections::BTreeSet;
use std::sync::Arc;

use afterimage_event::{Op, Position};
use afterimage_store::content::Content;
use afterimage_store::{
    AppendError, Digest, Direction, Entry, Identity, Index, IndexRow, Lookup, RowRange, Store, StoreError, TableKey,
};
use afterimage_store_mongodb::MongoStore;
use common::TestDatabase;
use common::entries::{arrival, at, entry, record};
use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;
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
    entry.provenance = Content::read(&entry.content).unwrap().provenance();
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
    let texts =
        |key: &str| document.get_array(key).unwrap().iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(texts("what"), ["field:status"]);
    assert_eq!(texts("by"), ["actor:7", "actor:ada@example.com", "request:req-1", "transaction:tx-9"]);
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
    assert_eq!(indexes.len(), 9, "{indexes:?}");

    database.behind().await.collection::<Document>("schema_versions").insert_one(doc! { "_id": 99 }).await.unwrap();
    for outcome in [stores[0].ping().await, stores[0].migrate().await.map(drop)] {
        assert!(
            matches!(&outcome, Err(StoreError::Misconfigured { reason }) if reason.contains("version 99")),
            "{outcome:?}"
        );
    }
}

/// Every row of these entries, by every index that they stand in.
async fn rows(store: &MongoStore, entries: &[Arc<Entry>]) -> Vec<(Index, Vec<IndexRow>)> {
    let range = RowRange { from: None, to: None, past: None, direction: Direction::Ascending, limit: 100 };
    let indexes: BTreeSet<Index> = entries.iter().flat_map(|entry| entry.indexes()).collect();
    let mut found = Vec::new();
    for index in indexes {
        let rows = store.rows(&index, &range).await.unwrap();
        found.push((index, rows));
    }
    found
}

/// Puts documents back into the form of schema 1, as far as it was another: no `what` and `by`, but `request` and
/// `migration`, tables that nobody announced, indexes that are none any more.
async fn to_schema_1(database: &TestDatabase) {
    let database = database.behind().await;
    let entries = database.collection::<Document>("entries");
    for mut document in entries.find(doc! {}).await.unwrap().try_collect::<Vec<_>>().await.unwrap() {
        assert!(document.remove("what").is_some());
        for term in document.remove("by").iter().flat_map(|by| by.as_array().unwrap()) {
            if let Some((word @ ("request" | "migration"), term)) = term.as_str().unwrap().split_once(':') {
                document.insert(word, term);
            }
        }
        let id = document.get_str("_id").unwrap().to_owned();
        entries.replace_one(doc! { "_id": id }, document).await.unwrap();
    }
    for name in ["op", "request"] {
        let options = IndexOptions::builder().name(name.to_owned()).build();
        let model = IndexModel::builder().keys(doc! { name: 1, "order": -1 }).options(options).build();
        entries.create_index(model).await.unwrap();
    }
    database.collection::<Document>("tables").drop().await.unwrap();
    let versions = database.collection::<Document>("schema_versions");
    versions.delete_many(doc! {}).await.unwrap();
    versions.insert_one(doc! { "_id": 1 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_schema_1_are_brought_up_to_date() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let who = r#""transaction":"tx-9","actor":{"name":"Ada"},"context":{"request_id":"req-1","migration":7},|"#;
    let mut spaced = (*told("e4", 4, Op::Update, &["n"], &format!(r#"{who},"after":[1]"#))).clone();
    // Not spelled as this release spells content: it stands as text.
    spaced.content = spaced.content.replacen(",", ", ", 1);
    let entries = [
        told("e1", 1, Op::Insert, &["id"], r#"|,"after":{"id":"u1"}"#),
        told("e2", 2, Op::Update, &["status", "n"], &format!(r#"{who},"after":{{ "id" : "u1" }}"#)),
        Arc::new(entry("r", 3)),
        Arc::new(spaced),
    ];
    assert_eq!(append(&store, &entries, "a", "2026-01-09T11:00:00Z").await, vec![Ok(()); 4]);
    let documents = async || {
        let all = database.behind().await.collection::<Document>("entries");
        all.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect::<Vec<_>>().await.unwrap()
    };
    let (before, told_before) = (documents().await, rows(&store, &entries).await);
    assert!(told_before.iter().all(|(index, rows)| !rows.is_empty() || panic!("{index:?}")));
    to_schema_1(&database).await;
    assert_ne!(documents().await, before);

    let later = MongoStore::new(database.config()).unwrap();
    let error = later.ping().await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Misconfigured { reason } if reason.contains("afterimage migrate")),
        "{error:?}"
    );
    let steps = later.migrate().await.unwrap();
    assert!(steps.iter().any(|step| step.contains("brought 4 documents")), "{steps:?}");
    later.ping().await.unwrap();
    assert_eq!(documents().await, before, "as this release writes them");
    assert_eq!(rows(&later, &entries).await, told_before);
    let users = TableKey { tenant: "acme".to_owned(), source: "billing".to_owned(), table: "users".to_owned() };
    assert_eq!(later.tables("acme").await.unwrap(), [users]);
    let indexes = database.behind().await.collection::<Document>("entries").list_index_names().await.unwrap();
    assert!(indexes.len() == 9 && !indexes.contains(&"op".to_owned()), "{indexes:?}");
    assert_eq!(later.migrate().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_announced_once_and_before_its_entries() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    let sent = |requests| store.sent().requests == requests;
    assert_eq!(
        append(&store, &[Arc::new(entry("r", 1)), Arc::new(entry("s", 1))], "w", "2026-01-10T00:00:00Z").await.len(),
        2
    );
    assert!(sent(2), "the table, the entries: {:?}", store.sent());
    assert_eq!(append(&store, &[Arc::new(entry("r", 2))], "w", "2026-01-10T00:00:00Z").await, [Ok(())]);
    assert!(sent(3), "the entries: {:?}", store.sent());
    // Another process does not know that it was announced.
    let other = MongoStore::new(database.config()).unwrap();
    assert_eq!(append(&other, &[Arc::new(entry("r", 3))], "w", "2026-01-10T00:00:00Z").await, [Ok(())]);
    assert_eq!(other.tables("acme").await.unwrap().len(), 1);
    let tables = database.behind().await.collection::<Document>("tables");
    let announced: Vec<Document> = tables.find(doc! {}).await.unwrap().try_collect().await.unwrap();
    let users = doc! { "_id": "acme,billing,users", "tenant": "acme", "source": "billing", "table": "users" };
    assert_eq!(announced, [users]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_of_a_table_that_cannot_be_announced() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    // An index that takes one document for each tenant: the second table is refused, the first one's entries are not.
    let tables = database.behind().await.collection::<Document>("tables");
    let unique = IndexOptions::builder().unique(true).name("mine".to_owned()).build();
    tables.create_index(IndexModel::builder().keys(doc! { "tenant": 1 }).options(unique).build()).await.unwrap();
    let mut other = entry("r", 2);
    "orders".clone_into(&mut other.record.table);
    let entries = [Arc::new(entry("r", 1)), Arc::new(other), Arc::new(entry("r", 3))];
    let outcomes = append(&store, &entries, "w", "2026-01-10T00:00:00Z").await;
    assert!(matches!(&outcomes[..], [Ok(()), Err(AppendError::Unavailable { .. }), Ok(())]), "{outcomes:?}");
    let stored = database.behind().await.collection::<Document>("entries");
    assert_eq!(stored.count_documents(doc! {}).await.unwrap(), 2);
    tables.drop_index("mine").await.unwrap();
    assert_eq!(append(&store, &entries, "w", "2026-01-10T00:00:00Z").await, vec![Ok(()); 3]);
    let announced: Vec<String> = store.tables("acme").await.unwrap().into_iter().map(|table| table.table).collect();
    assert_eq!(announced, ["orders", "users"], "what failed is announced again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_is_laid_to_the_entry_that_it_refused() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store().await;
    // An index that takes one entry for each record.
    let stored = database.behind().await.collection::<Document>("entries");
    let unique = IndexOptions::builder().unique(true).name("mine".to_owned()).build();
    stored.create_index(IndexModel::builder().keys(doc! { "record": 1 }).options(unique).build()).await.unwrap();
    assert_eq!(append(&store, &[Arc::new(entry("r1", 0))], "w", "2026-01-10T00:00:00Z").await, [Ok(())]);
    let entries: Vec<_> = (0..4).map(|n| Arc::new(entry(&format!("r{n}"), n))).collect();
    let outcomes = append(&store, &entries, "w", "2026-01-10T00:00:00Z").await;
    assert!(matches!(&outcomes[..], [Ok(()), Err(AppendError::Unavailable { .. }), Ok(()), Ok(())]), "{outcomes:?}");
    for (n, found) in [1, 0, 1, 1].into_iter().enumerate() {
        let id = doc! { "id": &entries[n].identity.event_id };
        assert_eq!(stored.count_documents(id).await.unwrap(), found, "{n}");
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
                r#""transaction":"tx-9",{ada}"context":{{"requestId":"req-1","migration":"2026_01_add_status"}},|,"changes":[{{"path":"/status","old":"pending","new":"paid"}}]"#
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
            "What was inserted into one table in a minute" => &["e1"],
            "What one request did" | "What one transaction did" => &["e2", "e3"],
            "What one migration did" => &["e3"],
            "Was this event stored" => &["e2"],
            "Where an exact amount stands" => &["e1"],
            "What a worker stored since a point" => &["e1", "e2", "e3", "e4"],
            other => panic!("no expectation for the example: {other}"),
        };
        if example.sort.contains_key("stored.at") {
            assert_eq!(ids.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
        } else {
            assert_eq!(ids, expected, "{}", example.title);
        }
    }
    let rows = store.sources("acme", "users", &record("u1").record_id).await.unwrap();
    assert!(rows.is_empty(), "another record");
}
