//! A queue of a law's own, and the words in which laws are told.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::operation::send_message::SendMessageOutput;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use tokio::time::{Instant, sleep};

use crate::server::{Server, Sqs};

/// After so long something that must come will not come. No law is about how soon it does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Sqs {
    /// A name that nobody else uses.
    pub(crate) fn unique(&self) -> String {
        format!("afterimage-conformance-{:016x}", fastrand::u64(..))
    }

    /// A standard queue with these attributes.
    pub(crate) async fn queue(&self, attributes: &[(QueueAttributeName, &str)]) -> Queue {
        self.named(&self.unique(), attributes).await
    }

    /// A FIFO queue with these attributes beside.
    pub(crate) async fn fifo(&self, attributes: &[(QueueAttributeName, &str)]) -> Queue {
        let attributes = [&[(QueueAttributeName::FifoQueue, "true")], attributes].concat();
        self.named(&format!("{}.fifo", self.unique()), &attributes).await
    }

    /// The queue of that name.
    pub(crate) async fn named(&self, name: &str, attributes: &[(QueueAttributeName, &str)]) -> Queue {
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        let request = self.client.create_queue().queue_name(name).set_attributes(Some(attributes));
        let url = request.send().await.expect("a queue is made").queue_url.expect("a queue has a URL");
        self.made.lock().unwrap().push(url.clone());
        // Takes a moment at AWS (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html).
        if self.server == Server::Aws {
            sleep(Duration::from_secs(1)).await;
        }
        Queue { client: self.client.clone(), url, name: name.to_owned() }
    }
}

impl Queue {
    pub(crate) async fn send(&self, body: &str) -> SendMessageOutput {
        self.client.send_message().queue_url(&self.url).message_body(body).send().await.expect("a message is sent")
    }

    /// Sends to a group, with the body as deduplication id.
    pub(crate) async fn send_to(&self, group: &str, body: &str) -> SendMessageOutput {
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        request.message_group_id(group).message_deduplication_id(body).send().await.expect("a message is sent")
    }

    /// Up to `count` messages with all they have, after waiting up to `wait_s`.
    pub(crate) async fn receive(&self, count: i32, wait_s: i32) -> Vec<Message> {
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(count);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let request = request.message_attribute_names("All").wait_time_seconds(wait_s);
        request.send().await.expect("a receive is answered").messages.unwrap_or_default()
    }

    /// The next `count` messages, however many receives they take.
    pub(crate) async fn take(&self, count: usize) -> Vec<Message> {
        let deadline = Instant::now() + PATIENCE;
        let mut taken = Vec::new();
        while taken.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} messages came", taken.len());
            taken.extend(self.receive((count - taken.len()).min(10) as i32, 2).await);
        }
        taken
    }

    /// The next `count` messages, each deleted before the next is asked for: a group in flight is blocked.
    pub(crate) async fn drain(&self, count: usize) -> Vec<Message> {
        let mut drained = Vec::new();
        for _ in 0..count {
            let message = self.take_one().await;
            self.delete(&message).await;
            drained.push(message);
        }
        drained
    }

    pub(crate) async fn take_one(&self) -> Message {
        self.take(1).await.remove(0)
    }

    /// Nothing can be received for a second.
    pub(crate) async fn is_silent(&self) -> bool {
        self.receive(10, 1).await.is_empty()
    }

    pub(crate) async fn delete(&self, message: &Message) {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(handle(message));
        request.send().await.expect("a delete succeeds");
    }

    pub(crate) async fn give_back(&self, message: &Message) {
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(handle(message));
        request.visibility_timeout(0).send().await.expect("a message is given back");
    }

    pub(crate) async fn attribute(&self, name: QueueAttributeName) -> String {
        let request = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        request.send().await.expect("attributes are shown").attributes.expect("there are some")[&name].clone()
    }

    pub(crate) async fn arn(&self) -> String {
        self.attribute(QueueAttributeName::QueueArn).await
    }

    /// A redrive policy that points here.
    pub(crate) async fn as_dead_letter_queue(&self, receives_max: u32) -> String {
        let arn = self.arn().await;
        serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": receives_max}).to_string()
    }

    /// Waits until the counts of visible, in flight and delayed messages are these: they are approximate.
    pub(crate) async fn until_counts(&self, expected: [usize; 3]) {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = self.client.get_queue_attributes().queue_url(&self.url);
            let shown = request.set_attribute_names(Some(names.to_vec())).send().await.expect("attributes are shown");
            let shown = shown.attributes.expect("there are some");
            let counts = names.clone().map(|name| shown[&name].parse::<usize>().expect("a count is a number"));
            if counts == expected {
                return;
            }
            assert!(Instant::now() < deadline, "counts are {counts:?}, not {expected:?}");
            sleep(Duration::from_millis(250)).await;
        }
    }
}

pub(crate) fn handle(message: &Message) -> &str {
    message.receipt_handle().expect("a received message has a handle")
}

pub(crate) fn body(message: &Message) -> &str {
    message.body().expect("a message has a body")
}

pub(crate) fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(body).collect()
}

/// A system attribute.
pub(crate) fn system(message: &Message, name: MessageSystemAttributeName) -> &str {
    message.attributes().and_then(|attributes| attributes.get(&name)).unwrap_or_else(|| panic!("no {name:?}"))
}

/// The code with which a request was refused, without the prefix and suffix that older protocols add.
pub(crate) fn refusal<T, E>(result: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    match result {
        Ok(_) => panic!("the request was accepted"),
        Err(SdkError::ServiceError(error)) => {
            let code = error.err().code().expect("an error has a code");
            let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
            let code = code.rsplit_once('.').map_or(code, |(_, code)| code);
            code.split_once(';').map_or(code, |(code, _)| code).to_owned()
        }
        Err(error) => panic!("no error of the service: {error:?}"),
    }
}
