//! Poison by the thousand, among good messages: every kind, lists of good and bad events, bodies that leave no room for a
//! reason. What is good is stored once, what is not lies among the dead letters once, whole, with the reason; nothing
//! else is anywhere (design §5.3).

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::{BTreeMap, HashMap};

use afterimage_store::Store as _;
use afterimage_store_sqlite::{Options, SqliteStore};
use aws_sdk_sqs::types::Message;
use serde_json::json;
use support::sqs::Queues;
use support::{Running, afterimage};

/// Longest body that SQS takes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What a message is made of, and what must become of it.
struct Case {
    body: String,
    /// Ids of the events that are to be stored.
    stored: Vec<String>,
    /// The code it is dead-lettered with, and the indices of the events at fault.
    dead: Option<(&'static str, &'static str)>,
}

fn event(id: &str) -> String {
    json!({ "eventId": id, "tableName": "orders", "recordId": id, "operation": "insert", "after": { "n": 1 } })
        .to_string()
}

fn good(n: usize) -> Case {
    let id = format!("good-{n}");
    Case { body: event(&id), stored: vec![id], dead: None }
}

/// The n-th poisoned message: kinds in turn, every body another.
fn poison(n: usize) -> Case {
    let table = format!(r#""eventId":"poison-{n}","tableName":"orders","recordId":"{n}""#);
    let bad = format!(r#"{{{table},"operation":"upsert","after":{{}}}}"#);
    let whole = |body: String, code| Case { body, stored: Vec::new(), dead: Some((code, "")) };
    match n % 16 {
        0 => whole(format!("not json {n}"), "not_json"),
        1 => whole(format!(r#"{{{table},"operation":"insert","after":{{"#), "not_json"),
        2 => Case { body: format!(r#"["just","texts",{n}]"#), stored: Vec::new(), dead: Some(("wrong_type", "0,1,2")) },
        3 => whole(format!(r#"{{"eventId":"p{n}","recordId":"{n}","operation":"insert","after":{{}}}}"#), "missing"),
        4 => whole(bad, "bad_value"),
        5 => whole(
            format!(r#"{{{table},"operation":"insert","after":{}{n}{}}}"#, "[".repeat(200), "]".repeat(200)),
            "too_deep",
        ),
        6 => whole(format!(r#"{{{table},"operation":"insert","after":{{"a":1,"a":2}}}}"#), "duplicate_key"),
        7 => whole(format!(r#"{{{table},"operation":"insert","after":{{"a":"\ud800 {n}"}}}}"#), "not_json"),
        8 => whole(
            format!(
                r#"{{"eventId":"{}{n}","tableName":"t","recordId":"1","operation":"insert","after":{{}}}}"#,
                "x".repeat(2_000)
            ),
            "too_long",
        ),
        9 => whole(format!(r#"{{{table},"operation":"insert","after":{{"n":01}}}}"#), "not_json"),
        10 => whole(
            format!(r#"{{"eventId":"p{n}","tableName":"orders","operation":"insert","after":{{"name":"no id"}}}}"#),
            "missing_record_id",
        ),
        11 => whole(format!(r#"{{{table},"operation":"update"}}"#), "missing_image"),
        12 => {
            // Five strings in each other.
            let packed = (0..5).fold(bad, |text, _| serde_json::to_string(&text).unwrap());
            whole(packed, "too_many_layers")
        }
        13 => {
            let (first, last) = (format!("mixed-{n}-0"), format!("mixed-{n}-3"));
            let body = format!("[{},{bad},17,{}]", event(&first), event(&last));
            Case { body, stored: vec![first, last], dead: Some(("bad_value", "1,2")) }
        }
        14 => whole(
            json!({ "Type": "Notification", "MessageId": format!("sns-{n}"), "TopicArn": "arn:aws:sns:eu-west-1:1:t",
                "Timestamp": "2026-01-09T10:00:05.120Z", "Message": bad })
            .to_string(),
            "bad_value",
        ),
        _ => Case {
            body: format!("[{bad}, {}]", bad.replace("upsert", "frobnicate")),
            stored: Vec::new(),
            dead: Some(("bad_value", "0,1")),
        },
    }
}

/// Poison that fills a message to the last byte: there is no room for any attribute.
fn oversized(n: usize) -> Case {
    let head = format!("not json {n} ");
    let body = format!("{head}{}", "x".repeat(BODY_BYTES_MAX - head.len()));
    Case { body, stored: Vec::new(), dead: Some(("", "")) }
}

fn cases(poisoned: usize) -> Vec<Case> {
    let mut cases: Vec<_> = (0..poisoned).flat_map(|n| [poison(n), good(n)]).collect();
    for n in 0..6 {
        cases.insert(n * cases.len() / 7, oversized(n));
    }
    cases
}

fn text<'a>(letter: &'a Message, name: &str) -> &'a str {
    let attribute = letter.message_attributes().and_then(|attributes| attributes.get(name));
    attribute.and_then(|attribute| attribute.string_value()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_every_kind_among_good_messages_on_a_standard_queue() {
    runs_its_course(&Queues::start().await, &cases(1_600)).await;
}

async fn runs_its_course(queues: &Queues, cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    queues.send(cases.iter().map(|case| case.body.clone())).await;
    let mut worker = afterimage(folder.path());
    worker.args(["worker", "--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--listen", "127.0.0.1:0"]);
    worker.args(["--exit-when-idle", "1s", "--log-level", "error"]);
    let (code, log) = Running::start(worker).end();
    assert_eq!(code, 3, "{log}");
    assert_eq!(queues.counts(&queues.changes).await, (0, 0), "nothing is left, nothing is held");

    // What is stored is exactly what is good.
    let store = SqliteStore::open(folder.path().join("afterimage.db"), &Options::default()).unwrap();
    let ids: Vec<String> = cases.iter().flat_map(|case| case.stored.iter().cloned()).collect();
    for chunk in ids.chunks(500) {
        let found = store.contents("default", "default", chunk).await.unwrap();
        let lost: Vec<_> = chunk.iter().zip(&found).filter(|(_, versions)| versions.len() != 1).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    let poisoned: Vec<String> = (0..cases.len()).map(|n| format!("poison-{n}")).collect();
    for chunk in poisoned.chunks(500) {
        assert!(store.contents("default", "default", chunk).await.unwrap().iter().all(Vec::is_empty));
    }
    store.close().await;

    // What is dead is exactly what is not good: whole, once, with its reason.
    let letters = queues.dead_letters().await;
    let mut by_body: HashMap<&str, Vec<&Message>> = HashMap::new();
    for letter in &letters {
        by_body.entry(letter.body().unwrap()).or_default().push(letter);
    }
    let dead: Vec<_> = cases.iter().filter_map(|case| Some((case, case.dead?))).collect();
    let mut wrong = BTreeMap::new();
    for (case, expected) in &dead {
        let found = by_body.get(case.body.as_str()).map(Vec::as_slice).unwrap_or_default();
        let reasons: Vec<_> = found
            .iter()
            .map(|letter| (text(letter, "afterimage.reason"), text(letter, "afterimage.failed_events")))
            .collect();
        if reasons != [*expected] {
            // One example of each kind of mistake.
            wrong.insert(format!("{reasons:?}, not {expected:?}"), case.body.chars().take(80).collect::<String>());
        }
        let has_room = case.body.len() < BODY_BYTES_MAX;
        assert!(found.iter().all(|letter| text(letter, "afterimage.origin").is_empty() != has_room));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(letters.len(), dead.len());
}
