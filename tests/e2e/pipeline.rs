//! publish → SNS → SQS → worker → trail, with and without raw message delivery.

use std::time::{Duration, SystemTime};

use afterimage_publish::{Actor, ChangeEvent, Context, Publisher, Sequence};
use afterimage_tests::{Afterimage, Aws, Fanout, Need, server};
use serde_json::{Value, json};

/// 2026-01-09T10:00:00Z.
const MORNING: Duration = Duration::from_secs(1_767_952_800);

/// What a service tells of a day: inserts, updates that change something and one that does not, a delete, numbers no
/// double holds, a key of two parts.
fn events() -> Vec<ChangeEvent> {
    let at = |second: u64| SystemTime::UNIX_EPOCH + MORNING + Duration::from_secs(second);
    let actor = Actor {
        kind: Some("user".into()),
        id: Some("7".into()),
        email: Some("ada@example.com".into()),
        ..Actor::default()
    };
    let context = Context { request_id: Some("req-1".into()), reason: Some("paid".into()), ..Context::default() };
    let images = [
        r#"{"id":"u1","name":"Zoë 🦀","balance":90071992547409931234.50,"address":{"city":"Köln"},"roles":["a"]}"#,
        r#"{"id":"u1","name":"Zoë 🦀","balance":90071992547409931234.51,"address":{"city":"Köln"},"roles":["a","b"]}"#,
        r#"{"roles":["a","b"],"address":{"city":"Bonn"},"balance":90071992547409931234.510,"name":"Zoë 🦀","id":"u1"}"#,
    ];
    vec![
        ChangeEvent::insert("users", "u1")
            .after_json(images[0])
            .by("ada@example.com")
            .occurred_at(at(0))
            .event_id("e0"),
        ChangeEvent::update("users", "u1")
            .before_json(images[0])
            .after_json(images[1])
            .occurred_at(at(1))
            .by(actor)
            .context(context)
            .transaction("tx-9")
            .event_id("e1"),
        ChangeEvent::update("users", "u1")
            .before_json(images[1])
            .after_json(images[1])
            .occurred_at(at(2))
            .event_id("e2"),
        ChangeEvent::update("users", "u1")
            .before_json(images[1])
            .after_json(images[2])
            .occurred_at(at(3))
            .event_id("e3"),
        ChangeEvent::delete("users", "u1").before_json(images[2]).occurred_at(at(4)).event_id("e4"),
        ChangeEvent::insert("members", ["org1", "u1"]).after(&json!({"n": 1})).occurred_at(at(5)).event_id("e5"),
    ]
}

/// Publishes, works, and returns the binary that has the trail.
async fn run(aws: &Aws, fanout: &Fanout, afterimage: Afterimage) -> Afterimage {
    let publisher =
        Publisher::to_topic(aws.sns.clone(), &fanout.topic_arn).source("accounts").sequence(Sequence::starting_at(1));
    publisher.publish_many(events()).await.unwrap();
    let told_again = events().swap_remove(0).seq(1);
    publisher.publish(told_again).await.unwrap();
    let dlq = aws.queue(false).await;
    let worker = afterimage.work(&aws.endpoint, &fanout.queue_url, &dlq).await;
    assert_eq!(worker.code, Some(0), "{worker:?}");
    assert!(!worker.stderr.contains("Köln"), "no payload in logs: {}", worker.stderr);
    assert!(aws.drain(&fanout.queue_url).await.is_empty(), "everything is deleted");
    assert!(aws.drain(&dlq).await.is_empty(), "nothing is dead-lettered");
    afterimage
}

/// An entry without what differs from run to run.
fn timeless(mut entry: Value) -> Value {
    for key in ["published_at", "stored_at"] {
        let time = entry.as_object_mut().unwrap().remove(key).unwrap();
        assert_eq!(time.as_str().unwrap().len(), "2026-01-09T10:00:05.120000Z".len(), "{key}");
    }
    entry
}

#[tokio::test]
async fn what_a_service_publishes_is_what_the_trail_says() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let mut answers = Vec::new();
    for is_raw in [true, false] {
        let afterimage = run(&aws, &aws.fanout(is_raw, false).await, Afterimage::find()).await;
        let history = afterimage.ask(&["history", "users", "u1"]).await;
        assert_eq!(history["next"], Value::Null);
        let entries: Vec<_> = history["items"].as_array().unwrap().iter().cloned().map(timeless).collect();
        answers.push(entries.clone());

        let column = |key: &str| entries.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
        assert_eq!(column("id"), ["e4", "e3", "e1", "e0"], "newest first, once each, the no-op not at all");
        assert_eq!(column("op"), ["delete", "update", "update", "insert"]);
        assert!(column("source").iter().all(|source| source == "accounts"));
        assert!(column("flags").iter().all(|flags| flags == &json!([])), "{entries:#?}");
        assert_eq!(column("position")[2], json!({"domain": "seq:accounts", "value": "2"}));

        let update = &entries[2];
        assert_eq!(update["occurred_at"], "2026-01-09T10:00:01.000000Z");
        assert_eq!((&update["actor"]["email"], &update["actor"]["id"]), (&json!("ada@example.com"), &json!("7")));
        assert_eq!((&update["context"]["reason"], &update["transaction"]), (&json!("paid"), &json!("tx-9")));
        assert_eq!(update["changed"], json!(["balance", "roles"]));
        let changes = update["changes"].as_array().unwrap();
        let balance = changes.iter().find(|change| change["path"] == "/balance").unwrap();
        assert_eq!(balance["old"].to_string(), "90071992547409931234.50");
        assert_eq!(balance["new"].to_string(), "90071992547409931234.51");
        assert_eq!(entries[1]["changes"], json!([{"path": "/address/city", "old": "Köln", "new": "Bonn"}]));
        assert_eq!(entries[1]["before_digest"], update["after_digest"], "the images chain");

        let state = async |at: &str| afterimage.ask(&["state", "users", "u1", "--at", at]).await;
        let morning = state("2026-01-09T10:00:02Z").await;
        assert_eq!((&morning["exists"], &morning["state"]["address"]["city"]), (&json!(true), &json!("Köln")));
        assert_eq!(morning["state"]["balance"].to_string(), "90071992547409931234.51");
        let evening = state("2026-01-09T20:00:00Z").await;
        assert_eq!((&evening["exists"], &evening["state"]["address"]["city"]), (&json!(false), &json!("Bonn")));

        let members = afterimage.ask(&["history", "members", "org1,u1"]).await;
        assert_eq!(members["items"][0]["record_id"], json!(["org1", "u1"]));
    }
    assert_eq!(answers[0], answers[1], "raw or in notifications: the same trail");
}

#[tokio::test]
async fn the_trail_in_mongodb_is_the_one_in_sqlite() {
    let (Some(endpoint), Some(uri)) = (server(Need::Moto), server(Need::Mongodb)) else { return };
    let aws = Aws::at(&endpoint);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let database = format!("e2e_{now:x}");
    let settings = ["--store", "mongodb", "--mongodb-uri", &uri, "--mongodb-database", &database];
    let in_mongodb = Afterimage::find().with_store(&settings);
    let migrated = in_mongodb.run(&endpoint, &["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let in_mongodb = run(&aws, &aws.fanout(false, false).await, in_mongodb).await;
    let in_sqlite = run(&aws, &aws.fanout(false, false).await, Afterimage::find()).await;
    for question in [&["history", "users", "u1"][..], &["history", "members", "org1,u1"]] {
        let [ours, theirs] = [&in_mongodb, &in_sqlite].map(|afterimage| async {
            let answer = afterimage.ask(question).await;
            answer["items"].as_array().unwrap().iter().cloned().map(timeless).collect::<Vec<_>>()
        });
        let (ours, theirs) = (ours.await, theirs.await);
        assert_eq!(ours, theirs, "{question:?}");
        assert!(!ours.is_empty());
    }
    let state = ["state", "users", "u1", "--at", "2026-01-09T10:00:02Z"];
    assert_eq!(in_mongodb.ask(&state).await, in_sqlite.ask(&state).await);
}

#[tokio::test]
async fn what_cannot_be_understood_is_dead_lettered_and_the_rest_stored() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let fanout = aws.fanout(false, false).await;
    let dlq = aws.queue(false).await;
    let nonsense = r#"{"tableName":"users","operation":"upsert","after":{"password":"hunter2"}}"#;
    aws.sns.publish().topic_arn(&fanout.topic_arn).message(nonsense).send().await.unwrap();
    Publisher::to_topic(aws.sns.clone(), &fanout.topic_arn).publish_many(events()).await.unwrap();

    let afterimage = Afterimage::find();
    let worker = afterimage.work(&aws.endpoint, &fanout.queue_url, &dlq).await;
    assert_eq!(worker.code, Some(3), "something was dead-lettered: {worker:?}");
    assert!(!worker.stderr.contains("hunter2"), "{}", worker.stderr);
    let history = afterimage.ask(&["history", "users", "u1"]).await;
    assert_eq!(history["items"].as_array().unwrap().len(), 4);

    let [letter] = &aws.drain(&dlq).await[..] else { panic!("one dead letter") };
    let body: Value = serde_json::from_str(letter.body().unwrap()).unwrap();
    assert_eq!(body["Message"], nonsense, "as it was received");
    let attributes = letter.message_attributes().unwrap();
    let texts: Vec<_> = attributes.values().filter_map(|value| value.string_value()).collect();
    assert!(texts.iter().any(|text| text.contains("/operation")), "the place is named: {texts:?}");
    assert!(!texts.iter().any(|text| text.contains("hunter2")), "{texts:?}");
}
