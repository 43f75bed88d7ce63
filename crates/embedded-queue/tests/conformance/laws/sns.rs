//! What arrives from SNS topics
//! (<https://docs.aws.amazon.com/sns/latest/dg/sns-sqs-as-subscriber.html>).

use afterimage_embedded_queue::SnsNotification;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::{Message, QueueAttributeName as Name};
use serde_json::{Value, json};

use crate::queue::body;
use crate::server::{Server, Sqs};

/// What is published: quotes, a line break and characters beyond ASCII, to see them escaped.
const PUBLISHED: &str = "{\"a\": \"ü\"}\n";

/// Lets topics send here: at AWS nothing arrives without it
/// (<https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html>).
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}"#;

/// What a subscriber receives when a message with an attribute is published to a topic, and the topic's ARN.
async fn delivery(sqs: &Sqs, raw: bool) -> (Message, String) {
    let queue = sqs.queue(&[(Name::Policy, POLICY)]).await;
    let sns = aws_sdk_sns::Client::new(&sqs.config);
    let topic = sns.create_topic().name(sqs.unique()).send().await.unwrap().topic_arn.unwrap();
    let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue.arn().await);
    subscribe.attributes("RawMessageDelivery", raw.to_string()).send().await.unwrap();
    let attribute = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let publish = sns.publish().topic_arn(&topic).message(PUBLISHED).subject("s").message_attributes("k", attribute);
    publish.send().await.unwrap();
    let message = queue.take_one().await;
    sns.delete_topic().topic_arn(&topic).send().await.unwrap();
    (message, topic)
}

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html>: attributes become those of the
/// message.
pub(crate) async fn raw_delivery_brings_the_message_itself(sqs: Sqs) {
    let (message, _) = delivery(&sqs, true).await;
    assert_eq!(body(&message), PUBLISHED);
    let attributes = message.message_attributes().expect("attributes are passed on");
    assert_eq!(attributes["k"].string_value(), Some("v"));
}

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>. The embedded queue has no topics, but makes the
/// same envelope for whoever sends in their place.
pub(crate) async fn wrapped_delivery_brings_a_notification(sqs: Sqs) {
    let (message, topic) = if sqs.server == Server::Embedded {
        let queue = sqs.queue(&[]).await;
        let topic = "arn:aws:sns:us-east-1:000000000000:changes";
        let notification = SnsNotification { topic_arn: topic, message: PUBLISHED, ..SnsNotification::default() };
        queue.send(&notification.envelope()).await;
        (queue.take_one().await, topic.to_owned())
    } else {
        delivery(&sqs, false).await
    };
    assert!(message.message_attributes().is_none_or(|attributes| attributes.is_empty()));
    let envelope: Value = serde_json::from_str(body(&message)).expect("an envelope is JSON");
    for (name, value) in [("Type", "Notification"), ("TopicArn", &topic), ("Message", PUBLISHED)] {
        assert_eq!(envelope[name], json!(value), "{envelope}");
    }
    for name in ["MessageId", "Timestamp", "SignatureVersion", "Signature", "UnsubscribeURL"] {
        assert!(envelope[name].as_str().is_some_and(|text| !text.is_empty()), "{name} is missing: {envelope}");
    }
    if sqs.server != Server::Embedded {
        assert_eq!(envelope["Subject"], "s");
        assert_eq!(envelope["MessageAttributes"], json!({"k": {"Type": "String", "Value": "v"}}));
    }
}
