//! Deployments that are not fit: what the doctor says of them, and what a worker says that is started all the same.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::path::Path;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use support::http::get;
use support::refusal::refusing_queue;
use support::sqs::Queues;
use support::{Running, afterimage, run, wait_until};

const EVENT: &str = r#"{"tableName":"orders","recordId":"1","operation":"insert","after":{"id":1}}"#;

/// The doctor's findings, and its exit code.
fn examined(folder: &Path, flags: &[&str]) -> (i32, Vec<Value>) {
    let ended = run(folder, &[&["doctor", "--json"], flags].concat());
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    assert_eq!(report["healthy"], ended.code == 0);
    (ended.code, report["findings"].as_array().unwrap().clone())
}

/// The finding of that level about a check that says this.
fn find<'a>(findings: &'a [Value], level: &str, check: &str, words: &str) -> &'a Value {
    let is = |finding: &&Value| {
        let found = finding["found"].as_str().unwrap();
        finding["level"] == level && finding["check"] == check && found.contains(words)
    };
    findings.iter().find(is).unwrap_or_else(|| panic!("no {level} about {check}: {words}\n{findings:#?}"))
}

async fn set(queues: &Queues, url: &str, attributes: &[(QueueAttributeName, String)]) {
    let mut call = queues.client.set_queue_attributes().queue_url(url);
    for (name, text) in attributes {
        call = call.attributes(name.clone(), text);
    }
    call.send().await.unwrap();
}

/// A queue that keeps messages for ten days, and its dead letters for fourteen.
async fn fit() -> Queues {
    let queues = Queues::start().await;
    set(&queues, &queues.dead, &[(QueueAttributeName::MessageRetentionPeriod, "1209600".to_owned())]).await;
    let redrive = json!({ "deadLetterTargetArn": arn(&queues, &queues.dead).await, "maxReceiveCount": 10 });
    let attributes = [
        (QueueAttributeName::MessageRetentionPeriod, "864000".to_owned()),
        (QueueAttributeName::RedrivePolicy, redrive.to_string()),
    ];
    set(&queues, &queues.changes, &attributes).await;
    queues
}

async fn arn(queues: &Queues, url: &str) -> String {
    let asked = queues.client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::QueueArn);
    asked.send().await.unwrap().attributes.unwrap().remove(&QueueAttributeName::QueueArn).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fit_deployment_passes_and_an_event_goes_through_it_end_to_end() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), fit().await);
    let mut worker = afterimage(folder.path());
    worker.args(["worker", "--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--listen", "127.0.0.1:0"]);
    let mut worker = Running::start(worker);
    worker.wait_for("the store's file", |line| line.contains("working").then_some(()));
    let flags = ["--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--probe"];
    let (code, findings) = examined(folder.path(), &flags);
    assert_eq!(code, 0, "{findings:#?}");
    for (check, words) in [
        ("queue", "standard"),
        ("queue retention", "10 days"),
        ("queue redrive", "after 10 receives"),
        ("dead letters", "none waiting"),
        ("dead letters retention", "14 days"),
        ("permissions", "may receive, delete"),
        ("clock", "agrees"),
        ("store", "sqlite answers"),
        ("end to end", "stored within"),
    ] {
        find(&findings, "ok", check, words);
    }
    worker.signal("TERM");
    assert_eq!(worker.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loses_changes_is_a_failure_that_says_what_to_change() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), fit().await);
    set(&queues, &queues.dead, &[(QueueAttributeName::MessageRetentionPeriod, "86400".to_owned())]).await;
    let (code, findings) = examined(folder.path(), &["--queue-url", &queues.changes, "--dlq-url", &queues.dead]);
    assert_eq!(code, 5);
    let finding = find(&findings, "failure", "dead letters retention", "letters expire unseen");
    assert!(finding["change"].as_str().unwrap().contains("1209600"), "{finding}");
    find(&findings, "warning", "store", "there is no file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_and_a_schema_that_is_not_are_told_apart() {
    let (folder, queues) = (tempfile::tempdir().unwrap(), fit().await);
    let missing = queues.endpoint.queue_url("chagnes");
    std::fs::write(folder.path().join("other.db"), "no database").unwrap();
    let (code, findings) = examined(folder.path(), &["--queue-url", &missing, "--sqlite-path", "other.db"]);
    assert_eq!(code, 5);
    find(&findings, "failure", "queue", "NonExistentQueue");
    find(&findings, "failure", "store", "not a database");
    // Nor are dead letters that are not there taken for a permission that is missing, or one that is granted.
    let (_, findings) = examined(folder.path(), &["--queue-url", &queues.changes, "--dlq-url", &missing]);
    find(&findings, "failure", "dead letters", "NonExistentQueue");
    let may = find(&findings, "ok", "permissions", "this identity may");
    assert_eq!(may["found"], "this identity may receive, delete, and change visibility");
}

#[test]
fn each_permission_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = refusing_queue(&[("DeleteMessageBatch", "AccessDenied")], EVENT);
    let (code, findings) = examined(folder.path(), &["--queue-url", &url]);
    assert_eq!(code, 5);
    find(&findings, "failure", "permissions", "sqs:DeleteMessage is refused");
    let refused = findings.iter().filter(|finding| finding["check"] == "permissions").count();
    assert_eq!(refused, 1, "the others are allowed: {findings:#?}");
    let url = refusing_queue(&[("*", "InvalidClientTokenId")], EVENT);
    find(&examined(folder.path(), &["--queue-url", &url]).1, "failure", "queue", "InvalidClientTokenId");
    let url = refusing_queue(&[("*", "ExpiredTokenException")], EVENT);
    let (_, findings) = examined(folder.path(), &["--queue-url", &url]);
    let expired = find(&findings, "failure", "queue", "ExpiredTokenException");
    assert!(expired["change"].as_str().unwrap().contains("credentials"), "not the network: {expired}");
}

#[test]
fn a_queue_that_cannot_be_read_hides_nothing_else() {
    let topic = "arn:aws:sns:eu-central-1:123456789012:changes";
    let examined = |refusals| {
        let folder = tempfile::tempdir().unwrap();
        let url = refusing_queue(refusals, EVENT);
        let (code, findings) = examined(folder.path(), &["--queue-url", &url, "--topic", topic, "--probe=1s"]);
        assert_eq!(code, 5);
        find(&findings, "failure", "topic", topic);
        find(&findings, "warning", "end to end", "not looked at: the queue cannot be read");
        findings
    };
    // Who may not look may receive all the same, or not.
    let findings = examined(&[("GetQueueAttributes", "AccessDenied"), ("DeleteMessageBatch", "AccessDenied")]);
    find(&findings, "failure", "queue", "AccessDenied");
    find(&findings, "failure", "permissions", "sqs:DeleteMessage is refused");
    let findings = examined(&[("*", "QueueDoesNotExist")]);
    find(&findings, "failure", "queue", "QueueDoesNotExist");
    find(&findings, "warning", "permissions", "not looked at: the queue cannot be read");
}

#[test]
fn to_have_no_credentials_is_not_to_be_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let url = refusing_queue(&[], EVENT);
    let mut doctor = afterimage(folder.path());
    doctor.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY").env("AWS_EC2_METADATA_DISABLED", "true");
    doctor.env("HOME", folder.path()).args(["doctor", "--queue-url", &url]);
    let output = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
    assert!(output.contains("no AWS credentials: give the process a role"), "{output}");
}

#[test]
fn a_worker_says_within_seconds_what_is_wrong_with_its_queue() {
    for (refusals, ready, logged) in [
        (&[("*", "InvalidClientTokenId")][..], "InvalidClientTokenId", "InvalidClientTokenId"),
        (&[("*", "QueueDoesNotExist")], "QueueDoesNotExist", "QueueDoesNotExist"),
        (&[("DeleteMessageBatch", "AccessDenied")], "AccessDenied", "keeps a message for 1 hour:"),
        (&[], "", "neither a redrive policy nor --dlq-url"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let url = refusing_queue(refusals, EVENT);
        let mut worker = afterimage(folder.path());
        worker.args(["worker", "--queue-url", &url, "--listen", "127.0.0.1:0", "--grace-period", "2s"]);
        let mut worker = Running::start(worker);
        let address = worker.wait_for("the address of the health page", |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["listen"].as_str().map(str::to_owned)
        });
        wait_until(&format!("`{ready}` at /readyz"), || {
            let (status, body) = get(&address, "/readyz");
            (body.contains(ready) && (status == 503) != refusals.is_empty()).then_some(())
        });
        worker.wait_for(logged, |line| line.contains(logged).then_some(()));
        assert_eq!(get(&address, "/healthz").0, 200, "nothing is to be gained by restarting it");
        worker.signal("TERM");
        let (_, text) = worker.end();
        assert!(!text.contains("panicked"), "{text}");
    }
}
