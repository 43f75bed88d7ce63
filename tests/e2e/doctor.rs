//! The doctor, on a topic with its queue, and on a cluster of one node.

use afterimage_tests::{Afterimage, Aws, Fanout, Need, server};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the doctor says of one check.
fn about<'a>(report: &'a Value, check: &str) -> Vec<(&'a str, &'a str)> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
    findings.map(|finding| (finding["level"].as_str().unwrap(), finding["found"].as_str().unwrap())).collect()
}

async fn examine(aws: &Aws, fanout: &Fanout, flags: &[&str]) -> Value {
    let args = ["doctor", "--json", "--queue-url", &fanout.queue_url, "--topic", &fanout.topic_arn];
    let finished = Afterimage::find().run(&aws.endpoint, &[&args[..], flags].concat()).await;
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"))
}

async fn let_in(aws: &Aws, fanout: &Fanout, topic_arn: &str) {
    let policy = json!({ "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage", "Resource": "*",
        "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
    }]});
    let set = aws.sqs.set_queue_attributes().queue_url(&fanout.queue_url);
    set.attributes(QueueAttributeName::Policy, policy.to_string()).send().await.unwrap();
}

#[tokio::test]
async fn a_topic_that_delivers_and_one_that_does_not_are_told_apart() {
    let Some(endpoint) = server(Need::Moto) else { return };
    let aws = Aws::at(&endpoint);
    let (fanout, other) = (aws.fanout(true, false).await, aws.fanout(true, false).await);
    let_in(&aws, &fanout, &fanout.topic_arn).await;
    let report = examine(&aws, &fanout, &[]).await;
    let arn = &fanout.topic_arn;
    assert_eq!(about(&report, "topic")[0], ("ok", format!("{arn} delivers to the queue, raw").as_str()));
    assert_eq!(about(&report, "queue policy"), [("ok", format!("lets {arn} send").as_str())]);

    let_in(&aws, &fanout, &other.topic_arn).await;
    assert_eq!(about(&examine(&aws, &fanout, &[]).await, "queue policy")[0].0, "failure");
    let crossed = Fanout { topic_arn: other.topic_arn, ..fanout.clone() };
    let report = examine(&aws, &crossed, &[]).await;
    assert!(about(&report, "topic")[0].1.contains("does not deliver"), "{report:#}");
    let narrowed = examine(&aws, &fanout, &["--allow-topic", arn]).await;
    assert!(about(&narrowed, "topic").iter().any(|(level, found)| *level == "failure" && found.contains("raw")));
}

#[tokio::test]
async fn a_keyspace_with_one_copy_is_warned_of_and_a_missing_one_is_a_failure() {
    let (Some(endpoint), Some(nodes)) = (server(Need::Moto), server(Need::Cassandra)) else { return };
    let aws = Aws::at(&endpoint);
    let fanout = aws.fanout(true, false).await;
    let keyspace = format!("doctor_{}", Uuid::new_v4().simple());
    let store = ["--store", "cassandra", "--cassandra-nodes", &nodes, "--cassandra-keyspace", &keyspace];
    let missing = examine(&aws, &fanout, &store).await;
    assert!(about(&missing, "store")[0].1.contains("does not exist"), "{missing:#}");

    let datacenter = missing_datacenter(about(&missing, "store")[0].1);
    let replication = format!("{datacenter}:1");
    let migrate = [&["migrate"][..], &store, &["--cassandra-replication", &replication]].concat();
    let migrated = Afterimage::find().run(&aws.endpoint, &migrate).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");
    let report = examine(&aws, &fanout, &store).await;
    let [(ok, _), (warning, found)] = about(&report, "store")[..] else { panic!("{report:#}") };
    assert_eq!((ok, warning), ("ok", "warning"));
    assert!(found.contains("keeps one copy"), "{found}");
}

/// The data centre that the refusal of a missing keyspace suggests.
fn missing_datacenter(found: &str) -> &str {
    let (_, after) = found.split_once("--cassandra-replication ").unwrap();
    after.split(':').next().unwrap()
}
