//! What a message carries
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName as System, QueueAttributeName as Name};

use crate::queue::{Queue, body, refusal};
use crate::server::Sqs;

const MEBIBYTE: usize = 1_048_576;
const MD5_OF_BODY: &str = "edc192c9d5e13dc04907a0610d792a55";
const MD5_OF_ATTRIBUTES: &str = "9dc84a923e39e28cb85528b38670e540";

async fn refused_send(queue: &Queue, body: &str) -> String {
    refusal(queue.client.send_message().queue_url(&queue.url).message_body(body).send().await)
}

/// A queue that shows its messages again and again, with one that has two attributes.
async fn with_attributes(sqs: &Sqs) -> Queue {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "0")]).await;
    let text = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
    let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2, 255]));
    let request = queue.client.send_message().queue_url(&queue.url).message_body("hello \"wörld\"");
    let request = request.message_attributes("b.text", text).message_attributes("a_bytes", binary.build().unwrap());
    let sent = request.send().await.unwrap();
    // Both by Python's hashlib, the second over the documented layout of names, types and values:
    // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    assert_eq!(sent.md5_of_message_body(), Some(MD5_OF_BODY));
    assert_eq!(sent.md5_of_message_attributes(), Some(MD5_OF_ATTRIBUTES));
    queue
}

pub(crate) async fn a_body_comes_back_as_it_was_sent(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    for sent in ["plain", "{\"a\": \"\\u0041 \\\\ \\\"\"}\n\t\r", "ü € 😀 \u{FFFD}", " ", "<a>&amp;</a>"] {
        queue.send(sent).await;
        let message = queue.take_one().await;
        assert_eq!(body(&message), sent);
        queue.delete(&message).await;
    }
}

pub(crate) async fn md5s_are_those_that_sdks_check(sqs: Sqs) {
    let queue = with_attributes(&sqs).await;
    let message = queue.take_one().await;
    assert_eq!(message.md5_of_body(), Some(MD5_OF_BODY));
    assert_eq!(message.md5_of_message_attributes(), Some(MD5_OF_ATTRIBUTES));
}

/// `MessageAttributeNames`: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>.
pub(crate) async fn attributes_come_by_name(sqs: Sqs) {
    let queue = with_attributes(&sqs).await;
    let both: &[&str] = &["a_bytes", "b.text"];
    let cases: [(Option<&str>, &[&str]); 6] = [
        (Some("All"), both),
        (Some(".*"), both),
        (Some("b.*"), &["b.text"]),
        (Some("a_bytes"), &["a_bytes"]),
        (Some("c"), &[]),
        (None, &[]),
    ];
    for (asked, expected) in cases {
        let request = queue.client.receive_message().queue_url(&queue.url).wait_time_seconds(20);
        let received =
            request.set_message_attribute_names(asked.map(|name| vec![name.to_owned()])).send().await.unwrap();
        let message = received.messages().first().expect("the message is visible");
        let mut names: Vec<&str> =
            message.message_attributes().into_iter().flatten().map(|(name, _)| &name[..]).collect();
        names.sort_unstable();
        assert_eq!(names, expected, "asked for {asked:?}");
        // Over the attributes returned, not those sent.
        assert_eq!(
            message.md5_of_message_attributes() == Some(MD5_OF_ATTRIBUTES),
            expected == both,
            "asked for {asked:?}"
        );
        if let Some(bytes) = message.message_attributes().and_then(|attributes| attributes.get("a_bytes")) {
            assert_eq!(bytes.binary_value().map(Blob::as_ref), Some(&[1, 2, 255][..]));
        }
    }
}

/// `MessageSystemAttributeNames`, same page.
pub(crate) async fn system_attributes_come_by_name(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::VisibilityTimeout, "0")]).await;
    queue.send("x").await;
    for asked in [None, Some(System::SentTimestamp)] {
        let request = queue.client.receive_message().queue_url(&queue.url).wait_time_seconds(20);
        let request = request.set_message_system_attribute_names(asked.clone().map(|name| vec![name]));
        let received = request.send().await.unwrap();
        let message = received.messages().first().expect("the message is visible");
        let names: Vec<_> = message.attributes().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, asked.into_iter().collect::<Vec<_>>());
    }
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>; characters that take
/// six bytes each on the wire count as one.
pub(crate) async fn a_mebibyte_is_accepted(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    let sent = "\"".repeat(MEBIBYTE);
    queue.send(&sent).await;
    assert!(body(&queue.take_one().await) == sent, "another body came");
}

/// Same page.
pub(crate) async fn more_than_a_mebibyte_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_send(&queue, &"x".repeat(MEBIBYTE + 1)).await, "InvalidParameterValue");
}

pub(crate) async fn characters_outside_the_allowed_set_are_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    for refused in ["\u{1}", "a\u{FFFE}", "\u{FFFF}"] {
        assert_eq!(refused_send(&queue, refused).await, "InvalidMessageContents", "{refused:?}");
    }
}

/// The shortest body has one character (`MessageBody`).
pub(crate) async fn an_empty_body_is_refused(sqs: Sqs) {
    let queue = sqs.queue(&[]).await;
    assert_eq!(refused_send(&queue, "").await, "MissingParameter");
}

/// `MaximumMessageSize`:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>.
pub(crate) async fn the_largest_size_of_the_queue_is_kept(sqs: Sqs) {
    let queue = sqs.queue(&[(Name::MaximumMessageSize, "1024")]).await;
    queue.send(&"x".repeat(1024)).await;
    assert_eq!(refused_send(&queue, &"x".repeat(1025)).await, "InvalidParameterValue");
}
