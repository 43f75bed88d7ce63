//! What is sent again and what is not, on standard and on FIFO targets.

use std::collections::HashSet;

use afterimage_publish::{ChangeEvent, Publisher, Reason};
use serde_json::{Value, json};

use crate::server::{accepted, start};

const URL: &str = "http://localhost/000000000000/changes";
const FIFO_URL: &str = "http://localhost/000000000000/changes.fifo";

fn event(record: &str, id: &str) -> ChangeEvent {
    ChangeEvent::insert("users", record).after(&1).event_id(id)
}

/// The deduplication ids of each request.
fn ids(requests: &[Value]) -> Vec<Vec<String>> {
    let id = |entry: &Value| entry["MessageDeduplicationId"].as_str().unwrap().to_owned();
    requests.iter().map(|entries| entries.as_array().unwrap().iter().map(id).collect()).collect()
}

#[tokio::test]
async fn a_record_is_a_group_and_its_events_never_overtake_each_other() {
    let mut refused = HashSet::new();
    let (server, sqs) = start(move |entries| {
        // Every event of ann is refused once, by no fault of its own.
        let entries = entries.as_array().unwrap();
        let (again, fine): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| {
            entry["MessageGroupId"] == "users/ann" && refused.insert(entry["MessageDeduplicationId"].to_string())
        });
        let fail = |entry: &Value| json!({"Id": entry["Id"], "SenderFault": false, "Code": "InternalError"});
        let failed: Value = again.into_iter().map(fail).collect();
        (200, json!({"Successful": accepted(fine), "Failed": failed}))
    })
    .await;
    let events = [event("ann", "a1"), event("bob", "b1"), event("ann", "a2"), event("bob", "b2"), event("cy", "c1")];
    Publisher::to_queue(sqs, FIFO_URL).publish_many(events).await.unwrap();
    let requests = ids(&server.requests.lock().unwrap());
    assert_eq!(requests, [vec!["a1", "b1", "c1"], vec!["a1", "b2"], vec!["a2"], vec!["a2"]]);
}

#[tokio::test]
async fn what_follows_a_failed_event_of_its_record_is_held_back() {
    let (server, sqs) = start(|entries| {
        let fine = entries.as_array().unwrap().iter().filter(|entry| entry["MessageGroupId"] != "users/ann");
        // No word about ann's: neither successful nor failed.
        (200, json!({"Successful": accepted(fine), "Failed": []}))
    })
    .await;
    let events = [event("ann", "a1"), event("bob", "b1"), event("ann", "a2"), event("bob", "b2")];
    let failures = Publisher::to_queue(sqs, FIFO_URL).publish_many(events).await.unwrap_err().failures;
    assert_eq!(
        failures.iter().map(|failure| (failure.index, failure.event.id())).collect::<Vec<_>>(),
        [(0, "a1"), (2, "a2")]
    );
    assert!(matches!(failures[0].reason, Reason::Unknown(None)), "{failures:?}");
    assert!(matches!(failures[1].reason, Reason::NotSent), "{failures:?}");
    let sent = ids(&server.requests.lock().unwrap());
    assert_eq!(sent.iter().flatten().filter(|id| *id == "a1").count(), 4, "tried again before giving up: {sent:?}");
    assert!(!sent.iter().flatten().any(|id| id == "a2"), "{sent:?}");
}

#[tokio::test]
async fn only_entries_that_failed_are_sent_again() {
    let mut refused = HashSet::new();
    let (server, sqs) = start(move |entries| {
        let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
        let is_odd = |entry: &Value| body(entry).contains("odd");
        let (again, fine): (Vec<_>, Vec<_>) =
            entries.as_array().unwrap().iter().partition(|entry| is_odd(entry) && refused.insert(body(entry)));
        let fail = |entry: &Value| json!({"Id": entry["Id"], "SenderFault": false, "Code": "RequestThrottled"});
        let failed: Value = again.into_iter().map(fail).collect();
        (200, json!({"Successful": accepted(fine), "Failed": failed}))
    })
    .await;
    let events = ["even0", "odd1", "even2", "odd3"].map(|id| event("ann", id));
    Publisher::to_queue(sqs, URL).publish_many(events).await.unwrap();
    let requests = server.requests.lock().unwrap().clone();
    let sent: Vec<usize> = requests.iter().map(|entries| entries.as_array().unwrap().len()).collect();
    assert_eq!(sent, [4, 2]);
    assert!(requests[1].as_array().unwrap().iter().all(|entry| entry["MessageBody"].to_string().contains("odd")));
}

#[tokio::test]
async fn what_is_refused_by_its_own_fault_is_named_and_not_sent_again() {
    let (server, sqs) = start(|entries| {
        let is_odd = |entry: &&Value| entry["MessageBody"].to_string().contains("odd");
        let (odd, fine): (Vec<_>, Vec<_>) = entries.as_array().unwrap().iter().partition(is_odd);
        let fail = |entry: &Value| json!({"Id": entry["Id"], "SenderFault": true, "Code": "InvalidMessageContents"});
        let failed: Value = odd.into_iter().map(fail).collect();
        (200, json!({"Successful": accepted(fine), "Failed": failed}))
    })
    .await;
    let events = ["even0", "odd1", "even2"].map(|id| event("ann", id));
    let failures = Publisher::to_queue(sqs, URL).publish_many(events).await.unwrap_err().failures;
    assert_eq!(failures.iter().map(|failure| (failure.index, failure.event.id())).collect::<Vec<_>>(), [(1, "odd1")]);
    assert!(
        matches!(&failures[0].reason, Reason::Refused { code, .. } if code == "InvalidMessageContents"),
        "{failures:?}"
    );
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_without_an_answer_leaves_its_events_unknown() {
    let (_server, sqs) = start(|_| (500, json!({}))).await;
    let events = (0..11).map(|n| event("ann", &n.to_string()));
    let failures = Publisher::to_queue(sqs, URL).publish_many(events).await.unwrap_err().failures;
    assert!(failures[..10].iter().all(|failure| matches!(failure.reason, Reason::Unknown(Some(_)))), "{failures:?}");
    assert!(matches!(failures[10].reason, Reason::NotSent), "{failures:?}");
}
