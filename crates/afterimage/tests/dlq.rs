//! Dead letters as the person meets them who is called at night: which kinds, one of them, a copy.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use support::dlq::{dlq, dlq_json, entries, work};
use support::run;
use support::sqs::Queues;

/// A value that must not be shown unless it is asked for.
const SECRET: &str = "hunter2-swordfish";

async fn send_each(queues: &Queues, poison: &[(&str, String)]) {
    for (_, body) in poison {
        queues.send([body.clone()]).await; // together they are larger than a batch may be
    }
}

fn insert(id: u64) -> Value {
    json!({ "tableName": "orders", "operation": "insert", "recordId": id.to_string(), "after": { "id": id } })
}

/// One message for each way of being poison, and the code that says so.
fn poison() -> Vec<(&'static str, String)> {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    vec![
        ("not_json", format!(r#"{{"tableName":"users","password":"{SECRET}","#)),
        ("not_json", format!(r#"{{"tableName":"users","operation":"insert","after":{{"n":"\ud800 {SECRET}"}}}}"#)),
        ("not_json", "\u{FFFD}\u{FFFD}".to_owned()),
        ("unknown_shape", format!(r#"{{"hello":"{SECRET}"}}"#)),
        ("too_deep", format!(r#"{{"tableName":"t","operation":"insert","after":{deep}}}"#)),
        ("too_many_events", format!("[{}1]", "1,".repeat(10_000))),
        ("duplicate_key", r#"{"tableName":"t","tableName":"u","operation":"insert"}"#.to_owned()),
        ("missing", format!(r#"{{"operation":"insert","after":{{"id":"{SECRET}"}}}}"#)),
        ("missing_record_id", format!(r#"{{"tableName":"users","operation":"insert","after":{{"name":"{SECRET}"}}}}"#)),
        ("bad_value", format!(r#"{{"tableName":"users","operation":"{SECRET}","after":{{"id":1}}}}"#)),
        ("not_supported", r#"{"database":"d","table":"t","type":"insert","ts":1,"data":{}}"#.to_owned()),
        ("not_json", format!("{{{}", "x".repeat((1 << 20) - 1))), // no room for an attribute
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_counted_and_every_letter_is_given_back() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let poison = poison();
    send_each(&queues, &poison).await;
    let mixed = json!([insert(1), { "tableName": "orders", "operation": "insert" }, insert(2)]);
    queues.send([mixed.to_string(), insert(3).to_string()]).await;
    work(folder.path(), &queues);
    let letters = poison.len() + 1;

    for _ in 0..2 {
        let listed = dlq_json(folder.path(), &queues, &["ls"], 0);
        assert_eq!((&listed["looked_at"], &listed["matched"]), (&json!(letters), &json!(letters)));
        assert_eq!(listed["is_complete"], true);
        assert!(!listed.to_string().contains(SECRET), "a value is shown");
        assert_eq!(queues.counts(&queues.dead).await, (letters as u64, 0), "every letter can be received again");
    }
    let listed = dlq_json(folder.path(), &queues, &["ls"], 0);
    let items = listed["items"].as_array().unwrap();
    for (code, _) in &poison {
        let of_code = |item: &&Value| item["now"] == *code;
        let expected = poison.iter().filter(|(other, _)| other == code).count();
        assert_eq!(items.iter().filter(of_code).count(), expected, "{code}");
        assert!(items.iter().filter(of_code).all(|item| item["reason"] == *code || item["body_bytes"] == 1 << 20));
    }
    let by_reason = dlq_json(folder.path(), &queues, &["ls", "--by", "reason,now", "--filter", "reason=bad_value"], 0);
    assert_eq!(by_reason["matched"], 1);
    assert_eq!(by_reason["kinds"][0]["keys"], json!({ "reason": "bad_value", "now": "bad_value" }));

    // Of the mixed one two events are stored, and it says which one failed.
    let partly = dlq_json(folder.path(), &queues, &["ls", "--filter", "trail=partly"], 0);
    let [letter] = &partly["items"].as_array().unwrap()[..] else { panic!("{partly}") };
    assert_eq!(letter["in_trail"], json!({ "state": "partly", "stored": 2, "conflicts": 0, "events": 3 }));
    assert_eq!(letter["failed_events"], json!([1]));
    assert_eq!(dlq_json(folder.path(), &queues, &["ls", "--filter", "event=1"], 0)["matched"], 1);

    let table = dlq(folder.path(), &queues, &["ls"]);
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.starts_with("LETTERS  REASON"), "{}", table.stdout);
    assert!(!table.stdout.contains(SECRET) && table.stdout.contains("partly (2 of 3)"), "{}", table.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_letter_shows_where_it_broke_and_no_value_unless_asked() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send(poison().into_iter().filter(|(code, _)| *code == "bad_value").map(|(_, body)| body)).await;
    work(folder.path(), &queues);
    let listed = dlq_json(folder.path(), &queues, &["ls"], 0);
    let letter = &listed["items"][0];
    let (id, first_id) = (letter["message_id"].as_str().unwrap(), letter["origin"]["message_id"].as_str().unwrap());
    assert_ne!(id, first_id);
    for id in [id, first_id] {
        let shown = dlq(folder.path(), &queues, &["show", id]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        assert!(shown.stdout.contains("> \"operation\": string, 17 characters"), "{}", shown.stdout);
        assert!(shown.stdout.contains("given up by   w1") && !shown.stdout.contains(SECRET), "{}", shown.stdout);
    }
    assert!(dlq(folder.path(), &queues, &["show", id, "--raw"]).stdout.contains(SECRET));
    // Read as another format it fails elsewhere.
    let as_if = dlq_json(folder.path(), &queues, &["show", id, "--format", "sequin"], 0);
    assert_eq!((&as_if["events"][0]["format"], &as_if["now"]), (&json!("sequin"), &json!("missing")));
    assert_eq!(dlq(folder.path(), &queues, &["show", "nobody"]).code, 4);
    assert_eq!(queues.counts(&queues.dead).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_letters_whole_and_says_where_it_ends() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let poison = poison();
    send_each(&queues, &poison).await;
    work(folder.path(), &queues);
    let ended = dlq(folder.path(), &queues, &["export"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, letters) = lines.split_last().unwrap();
    assert_eq!(*end, json!({ "end": true, "items": poison.len() }));
    let mut bodies: Vec<_> = letters.iter().map(|letter| letter["body"].as_str().unwrap()).collect();
    let mut expected: Vec<_> = poison.iter().map(|(_, body)| body.as_str()).collect();
    bodies.sort_unstable();
    expected.sort_unstable();
    assert!(bodies == expected, "bodies come out as they went in");
    let few = dlq(folder.path(), &queues, &["export", "--stop-after", "2"]);
    assert_eq!((few.code, few.stdout.lines().count()), (0, 3));
    assert_eq!(queues.counts(&queues.dead).await, (poison.len() as u64, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_out_in_silence() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    queues.send((0..25).map(|n| format!("poison {n}"))).await;
    work(folder.path(), &queues);
    let capped = dlq(folder.path(), &queues, &["ls", "--look-max", "12"]);
    assert_eq!(capped.code, 6, "{}", capped.stderr);
    assert!(capped.stderr.contains("looked at 12 of about 25 letters"), "{}", capped.stderr);
    let narrowed = dlq(folder.path(), &queues, &["ls", "--filter", "reason=no_such"]).stdout;
    assert!(narrowed.contains("none of the 25 letters that were looked at is meant"), "{narrowed}");
    // Somebody else holds one.
    let held = queues.client.receive_message().queue_url(&queues.dead).send().await.unwrap();
    assert_eq!(held.messages().len(), 1);
    let listed = dlq_json(folder.path(), &queues, &["ls"], 6);
    assert_eq!((&listed["looked_at"], &listed["about"]), (&json!(24), &json!(25)));

    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:changes", "maxReceiveCount": 50 });
    let set = queues.client.set_queue_attributes().queue_url(&queues.dead);
    set.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    let warned = dlq(folder.path(), &queues, &["ls"]).stderr;
    assert!(warned.contains("after 50 of them a letter moves on"), "{warned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_sqs_moved_itself_are_told_as_such_and_keep_their_id() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 1 });
    let set = queues.client.set_queue_attributes().queue_url(&queues.changes);
    set.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await.unwrap();
    let mut told = insert(7);
    told.as_object_mut().unwrap().remove("eventId");
    let sent = queues.client.send_message().queue_url(&queues.changes).message_body(told.to_string()).send().await;
    let id = sent.unwrap().message_id.unwrap();
    for _ in 0..2 {
        let receive = queues.client.receive_message().queue_url(&queues.changes).visibility_timeout(0);
        receive.send().await.unwrap();
    }
    work(folder.path(), &queues); // makes the store; finds nothing
    let listed = dlq_json(folder.path(), &queues, &["ls"], 0);
    let letter = &listed["items"][0];
    assert_eq!((&letter["via"], &letter["source_queue"]), (&json!("redrive_policy"), &json!("changes")));
    assert_eq!((&letter["now"], &letter["in_trail"]["state"]), (&json!("understood"), &json!("not")));

    let report = dlq_json(folder.path(), &queues, &["redrive", "--queue-url", &queues.changes], 0);
    assert_eq!(report["sent"], 1);
    work(folder.path(), &queues);
    let [entry] = &entries(folder.path(), "orders", "7")[..] else { panic!("one entry") };
    assert_eq!(entry["id"], json!(id), "its event id is the message id of the first time");
}

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let dead = "http://127.0.0.1:1/1/dead";
    for (args, says) in [
        (&["dlq", "ls"][..], "--dlq-url: must be given"),
        (&["dlq", "redrive", "--dlq-url", dead], "--queue-url: must be given"),
        (&["dlq", "redrive", "--dlq-url", dead, "--queue-url", dead], "the queue of dead letters itself"),
        (&["dlq", "redrive", "--dlq-url", dead, "--into-store"], "--into-store: needs the trail"),
        (&["dlq", "ls", "--dlq-url", dead, "--filter", "trail=in"], "needs the trail"),
        (&["dlq", "ls", "--dlq-url", dead, "--filter", "colour=red"], "--filter: expected one of the keys id"),
        (&["dlq", "ls", "--dlq-url", dead, "--hold", "1s"], "--hold: expected 2s to 11h"),
    ] {
        let ended = run(folder.path(), args);
        assert_eq!(ended.code, 64, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(says) && ended.stderr.lines().count() == 1, "{args:?}: {}", ended.stderr);
    }
    let gone = run(folder.path(), &["dlq", "ls", "--dlq-url", dead]);
    assert_eq!(gone.code, 1, "{}", gone.stderr);
}
