//! Topics and queues, made for one test each.

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use uuid::Uuid;

/// Clients of a server that speaks for AWS.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Its endpoint.
    pub endpoint: String,
    /// SNS.
    pub sns: aws_sdk_sns::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
}

/// A topic and a queue that is subscribed to it.
#[derive(Clone, Debug)]
pub struct Fanout {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The queue's URL.
    pub queue_url: String,
}

impl Aws {
    /// Clients for this endpoint.
    #[must_use]
    pub fn at(endpoint: &str) -> Self {
        let credentials = || Credentials::new("test", "test", None, None, "test");
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint);
        let sns = aws_sdk_sns::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(credentials())
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint);
        Self {
            endpoint: endpoint.to_owned(),
            sns: aws_sdk_sns::Client::from_conf(sns.build()),
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
        }
    }

    /// A queue that nobody else has; its URL.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn queue(&self, is_fifo: bool) -> String {
        let mut request = self.sqs.create_queue().queue_name(unique(is_fifo));
        if is_fifo {
            request = request.attributes(QueueAttributeName::FifoQueue, "true");
        }
        request.send().await.unwrap().queue_url.unwrap()
    }

    /// A topic with a queue behind it, both FIFO or neither, with raw message delivery or in notifications.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn fanout(&self, is_raw: bool, is_fifo: bool) -> Fanout {
        let mut request = self.sns.create_topic().name(unique(is_fifo));
        if is_fifo {
            request = request.attributes("FifoTopic", "true");
        }
        let topic_arn = request.send().await.unwrap().topic_arn.unwrap();
        let queue_url = self.queue(is_fifo).await;
        let request = self.sqs.get_queue_attributes().queue_url(&queue_url);
        let attributes =
            request.attribute_names(QueueAttributeName::QueueArn).send().await.unwrap().attributes.unwrap();
        let request = self.sns.subscribe().topic_arn(&topic_arn).protocol("sqs");
        let request = request.endpoint(&attributes[&QueueAttributeName::QueueArn]);
        request.attributes("RawMessageDelivery", is_raw.to_string()).send().await.unwrap();
        Fanout { topic_arn, queue_url }
    }

    /// Receives and deletes what is in a queue, until it is empty.
    ///
    /// # Panics
    /// When the queue cannot be reached.
    pub async fn drain(&self, queue_url: &str) -> Vec<Message> {
        let mut drained = Vec::new();
        loop {
            let receive = self.sqs.receive_message().queue_url(queue_url).max_number_of_messages(10);
            let receive = receive.message_attribute_names("All");
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
            let Some(messages) = receive.send().await.unwrap().messages.filter(|messages| !messages.is_empty()) else {
                return drained;
            };
            for message in &messages {
                let delete = self.sqs.delete_message().queue_url(queue_url);
                delete.set_receipt_handle(message.receipt_handle.clone()).send().await.unwrap();
            }
            drained.extend(messages);
        }
    }
}

/// A name that nobody else has.
fn unique(is_fifo: bool) -> String {
    format!("afterimage-{}{}", Uuid::new_v4(), if is_fifo { ".fifo" } else { "" })
}
