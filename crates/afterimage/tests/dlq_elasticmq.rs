//! Dead letters of FIFO queues, on another server than our own.

#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use serde_json::{Value, json};
use support::run;

/// The server, or nothing when skipping was asked for. Not having one is a failure: silence would look like success.
fn client() -> Option<Client> {
    let Ok(endpoint) = std::env::var("AFTERIMAGE_TEST_SQS_ENDPOINT") else {
        assert!(
            std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1"),
            "AFTERIMAGE_TEST_SQS_ENDPOINT is not set: start ElasticMQ with tests/servers/elasticmq.sh and set it to its \
             URL, or set AFTERIMAGE_TEST_SKIP_SERVERS=1"
        );
        println!("SKIPPED: AFTERIMAGE_TEST_SKIP_SERVERS=1 and no AFTERIMAGE_TEST_SQS_ENDPOINT");
        return None;
    };
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint);
    Some(Client::from_conf(config.build()))
}

async fn fifo(client: &Client, name: &str) -> String {
    let unique =
        format!("{name}-{}-{:?}.fifo", std::process::id(), std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let create = client.create_queue().queue_name(unique).attributes(QueueAttributeName::FifoQueue, "true");
    create.send().await.unwrap().queue_url.unwrap()
}

fn dlq(folder: &Path, args: &[&str], code: i32) -> Value {
    let ended = run(folder, &[&["dlq"], args, &["--json"]].concat());
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_fifo_queue_go_back_to_their_groups_in_order_and_none_is_swallowed() {
    let Some(client) = client() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (changes, dead) = (fifo(&client, "changes").await, fifo(&client, "dead").await);
    let text =
        |value: String| MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
    // Sent to their queue a moment ago: whoever sends them there with the same deduplication ids sends nothing.
    for url in [&changes, &dead] {
        for n in 0..25 {
            let group = format!("u{}", n % 2);
            let origin = format!("v1;id=m-{n};published=2026-01-09T10:00:05.120000Z;seq={n};group={group}");
            let send = client.send_message().queue_url(url).message_body(format!("poison {n}"));
            let send = send.message_group_id(&group).message_deduplication_id(format!("first-{n}"));
            let send = send.message_attributes("afterimage.origin", text(origin));
            send.message_attributes("afterimage.reason", text("not_json".to_owned())).send().await.unwrap();
        }
    }
    assert_eq!(drain(&client, &changes).await.len(), 25);

    // What stands behind a held letter of its group is not seen, and that is said.
    let ended = run(folder.path(), &["dlq", "ls", "--json", "--dlq-url", &dead]);
    let listed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(listed["about"], 25, "{listed}");
    let is_complete = listed["looked_at"] == 25;
    assert_eq!((listed["is_complete"] == true, ended.code), (is_complete, if is_complete { 0 } else { 6 }), "{listed}");
    assert_eq!(ended.stderr.contains("FIFO group"), !is_complete, "{}", ended.stderr);

    // What is sent leaves its group, so the next ones come up.
    let report = dlq(folder.path(), &["redrive", "--dlq-url", &dead, "--queue-url", &changes], 0);
    assert_eq!(report["sent"], 25, "{report}");
    let groups = drain(&client, &changes).await.into_iter().fold(BTreeMap::new(), |mut groups, (group, id)| {
        groups.entry(group).or_insert_with(Vec::new).push(id);
        groups
    });
    for (group, parity) in [("u0", 0), ("u1", 1)] {
        let expected: Vec<_> = (0..25).filter(|n| n % 2 == parity).map(|n| format!("m-{n}")).collect();
        assert_eq!(groups[group], expected);
    }
    assert_eq!(dlq(folder.path(), &["ls", "--dlq-url", &dead], 0)["matched"], json!(0));
}

/// Everything a queue holds, in order: the group and the first message id of each.
async fn drain(client: &Client, url: &str) -> Vec<(String, String)> {
    let mut drained = Vec::new();
    loop {
        let receive = client.receive_message().queue_url(url).max_number_of_messages(10).message_attribute_names("All");
        let receive = receive.message_system_attribute_names(MessageSystemAttributeName::MessageGroupId);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return drained;
        }
        for message in messages {
            let group = message.attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId].clone();
            let origin = message.message_attributes().unwrap()["afterimage.origin"].string_value().unwrap().to_owned();
            let id = origin.split(';').find_map(|part| part.strip_prefix("id=")).unwrap().to_owned();
            drained.push((group, id));
            let delete = client.delete_message().queue_url(url).receipt_handle(message.receipt_handle().unwrap());
            delete.send().await.unwrap();
        }
    }
}
