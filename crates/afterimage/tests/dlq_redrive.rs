//! Letters sent back, or stored from here: each event stands in the trail once, with the identity it had first.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::BTreeSet;

use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::{Value, json};
use support::dlq::{dlq, dlq_json, entries, work};
use support::sqs::Queues;
use support::{Running, afterimage, proxy};

/// Inserts of a table whose key nobody configured, so they die; without ids of their own.
fn keyless(no: u64) -> String {
    json!({ "tableName": "parts", "operation": "insert", "after": { "no": no } }).to_string()
}

/// The rule that would have let them live.
const RULE: &str = "[[rules]]\ntable = \"parts\"\nrecord_id = [\"/no\"]\n";

/// So many dead letters, and the message ids they had at first.
async fn dead_letters(folder: &std::path::Path, queues: &Queues, count: u64) -> BTreeSet<String> {
    queues.send((0..count).map(keyless)).await;
    work(folder, queues);
    let listed = dlq_json(folder, queues, &["ls", "--limit", "1000"], 0);
    let ids = listed["items"].as_array().unwrap().iter();
    let ids: BTreeSet<_> = ids.map(|item| item["origin"]["message_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len() as u64, count);
    ids
}

/// Every part stands in the trail once, and their ids are these.
fn assert_in_trail(folder: &std::path::Path, count: u64, ids: &BTreeSet<String>) {
    let found: Vec<Value> = (0..count).flat_map(|no| entries(folder, "parts", &no.to_string())).collect();
    assert_eq!(found.len() as u64, count, "each once");
    let found: BTreeSet<_> = found.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found, *ids, "the identity of the first time");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_rule_is_mended_letters_go_back_and_are_stored_as_what_they_were() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let ids = dead_letters(folder.path(), &queues, 12).await;
    let redrive = ["redrive", "--queue-url", &queues.changes, "--check"];
    // Not mended yet: they would only come back.
    let report = dlq_json(folder.path(), &queues, &redrive, 6);
    assert_eq!((&report["sent"], &report["not_understood"]), (&json!(0), &json!(12)));

    std::fs::write(folder.path().join("afterimage.toml"), RULE).unwrap();
    let plan = dlq_json(folder.path(), &queues, &[&redrive[..], &["--dry-run"]].concat(), 0);
    assert_eq!((&plan["sent"], &plan["dry_run"]), (&json!(12), &json!(true)));
    assert_eq!(queues.counts(&queues.changes).await, (0, 0), "a plan does nothing");
    let some = dlq_json(folder.path(), &queues, &[&redrive[..], &["--stop-after", "5"]].concat(), 0);
    assert_eq!(some["sent"], 5);
    assert_eq!(dlq_json(folder.path(), &queues, &redrive, 0)["sent"], 7);
    assert_eq!(queues.counts(&queues.dead).await, (0, 0));
    work(folder.path(), &queues);
    assert_in_trail(folder.path(), 12, &ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_keeps_its_first_identity_however_often_it_dies() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let ids = dead_letters(folder.path(), &queues, 3).await;
    for _ in 0..2 {
        assert_eq!(dlq_json(folder.path(), &queues, &["redrive", "--queue-url", &queues.changes], 0)["sent"], 3);
        work(folder.path(), &queues);
        assert_eq!(queues.counts(&queues.dead).await, (3, 0), "they died again");
    }
    std::fs::write(folder.path().join("afterimage.toml"), RULE).unwrap();
    let report = dlq_json(folder.path(), &queues, &["redrive", "--into-store"], 0);
    assert_eq!(report["stored"], 3);
    assert_eq!(queues.counts(&queues.dead).await, (0, 0));
    assert_in_trail(folder.path(), 3, &ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_sending_and_deleting_nothing_is_lost_and_nothing_doubled() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let ids = dead_letters(folder.path(), &queues, 10).await;
    std::fs::write(folder.path().join("afterimage.toml"), RULE).unwrap();
    let upstream = queues.endpoint.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let (address, reached_delete) = proxy::swallowing(upstream, "AmazonSQS.DeleteMessageBatch");
    let (dead, changes) = (queues.dead.replace(&format!("{upstream}"), &address.to_string()), queues.changes.clone());
    let mut command = afterimage(folder.path());
    command.args(["dlq", "redrive", "--dlq-url", &dead, "--queue-url", &changes, "--hold", "2s"]);
    let running = Running::start(command);
    reached_delete.recv_timeout(support::PATIENCE).unwrap();
    running.signal("KILL");
    drop(running);

    // Sent, and still there: the worker stores them, and the tool says so.
    work(folder.path(), &queues);
    support::wait_until("the end of the dead process's leases", || {
        let counts =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(queues.counts(&queues.dead)));
        (counts == (10, 0)).then_some(())
    });
    let listed = dlq_json(folder.path(), &queues, &["ls", "--by", "trail"], 0);
    let in_trail = listed["kinds"][0]["in_trail"].as_u64().unwrap();
    assert!((1..=10).contains(&in_trail), "{listed}");
    let redrive = ["redrive", "--queue-url", &queues.changes];
    let skipped = dlq_json(folder.path(), &queues, &[&redrive[..], &["--skip-stored", "--dry-run"]].concat(), 0);
    assert_eq!((skipped["skipped"].as_u64(), skipped["sent"].as_u64()), (Some(in_trail), Some(10 - in_trail)));
    // One way or the other: stored once.
    let one = dlq_json(folder.path(), &queues, &[&redrive[..], &["--stop-after", "1"]].concat(), 0);
    assert_eq!(one["sent"], 1);
    let rest = dlq_json(folder.path(), &queues, &[&redrive[..], &["--delete-stored"]].concat(), 0);
    assert_eq!(rest["sent"].as_u64().unwrap() + rest["removed"].as_u64().unwrap(), 9);
    assert!(rest["removed"].as_u64().unwrap() >= in_trail - 1);
    work(folder.path(), &queues);
    assert_eq!(queues.counts(&queues.dead).await, (0, 0));
    assert_in_trail(folder.path(), 10, &ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_throttles_is_asked_again() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let ids = dead_letters(folder.path(), &queues, 12).await;
    std::fs::write(folder.path().join("afterimage.toml"), RULE).unwrap();
    queues.endpoint.set_faults("throttle=1@SendMessageBatch#1..3,error-503=1@SendMessageBatch#4..5".parse().unwrap());
    assert_eq!(dlq_json(folder.path(), &queues, &["redrive", "--queue-url", &queues.changes], 0)["sent"], 12);
    assert_eq!(queues.counts(&queues.dead).await, (0, 0));
    work(folder.path(), &queues);
    assert_in_trail(folder.path(), 12, &ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_takes_nobodys_place_among_the_first() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    for no in 0..12 {
        let mut send = queues.client.send_message().queue_url(&queues.dead).message_body(keyless(no));
        for attribute in 0..if no % 2 == 0 { 10 } else { 0 } {
            let value = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
            send = send.message_attributes(format!("a{attribute}"), value);
        }
        send.send().await.unwrap();
    }
    work(folder.path(), &queues); // makes the store; finds nothing
    let redrive = ["redrive", "--queue-url", &queues.changes, "--stop-after", "6"];
    let report = dlq_json(folder.path(), &queues, &redrive, 6);
    assert_eq!((&report["sent"], &report["failed"]), (&json!(6), &json!(6)));
    assert_eq!(queues.counts(&queues.dead).await, (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_gives_back_what_it_holds() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    dead_letters(folder.path(), &queues, 60).await;
    let mut command = afterimage(folder.path());
    command.args(["dlq", "redrive", "--dlq-url", &queues.dead, "--queue-url", &queues.changes, "--redrive-rate", "1"]);
    let running = Running::start(command);
    support::wait_until("the first letters", || {
        let counts =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(queues.counts(&queues.changes)));
        (counts.0 > 0).then_some(())
    });
    running.signal("INT");
    let (code, text) = running.end();
    assert_eq!(code, 6, "{text}");
    let ((dead, held), (sent, _)) = (queues.counts(&queues.dead).await, queues.counts(&queues.changes).await);
    assert_eq!((held, dead + sent), (0, 60), "none is hidden, none is lost");
    assert!(text.contains("looked at"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_without_room_for_its_origin_stays_and_can_be_stored_from_here() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    work(folder.path(), &queues);
    let mut send = queues.client.send_message().queue_url(&queues.dead).message_body(keyless(0));
    for n in 0..10 {
        let value = MessageAttributeValue::builder().data_type("String").string_value("v");
        send = send.message_attributes(format!("a{n}"), value.build().unwrap());
    }
    let id = send.send().await.unwrap().message_id.unwrap();
    std::fs::write(folder.path().join("afterimage.toml"), RULE).unwrap();
    let report = dlq_json(folder.path(), &queues, &["redrive", "--queue-url", &queues.changes], 6);
    assert_eq!((&report["failed"], &report["stayed"][0]["message_id"]), (&json!(1), &json!(id)));
    let stored = dlq(folder.path(), &queues, &["redrive", "--into-store"]);
    assert_eq!(stored.code, 0, "{}", stored.stderr);
    assert!(stored.stdout.contains("stored and removed"), "{}", stored.stdout);
    assert_in_trail(folder.path(), 1, &BTreeSet::from([id]));
}
