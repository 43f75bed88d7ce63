//! Amazon SQS, through its SDK.

mod connector;
mod error;
mod letters;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afterimage_event::Timestamp;
use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Builder, StalledStreamProtectionConfig};
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Permit};
use crate::dead_letter::DeadLetter;
use crate::message::{Attribute, AttributeValue, Handle, Message};
use crate::proof::Delete;
use crate::queue::{Ask, Counts, ItemError, Queue, QueueError, QueueErrorKind, QueueKind, Receipt};
use crate::trace::Trace;
use connector::Receiving;
pub use error::explain;

/// To reach a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the answer to a call that does not wait, each attempt.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// For the answer to a receive, beyond the time that the queue was asked to wait: the client must not give up first. No
/// longer, since a connection that was cut without a word brings nothing, and is not found out, until this is over.
const RECEIVE_MARGIN: Duration = Duration::from_secs(5);
/// For a whole receive, beyond the wait: a body waits for room in memory and then crosses the network.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What a worker asks for with each message: where traces are on, the header of AWS X-Ray; how often it was received, when it
/// was sent, its group; and what only FIFO queues know.
static SYSTEM_ATTRIBUTES: [MessageSystemAttributeName; 6] = [
    MessageSystemAttributeName::AwsTraceHeader,
    MessageSystemAttributeName::ApproximateReceiveCount,
    MessageSystemAttributeName::SentTimestamp,
    MessageSystemAttributeName::MessageGroupId,
    MessageSystemAttributeName::SequenceNumber,
    MessageSystemAttributeName::MessageDeduplicationId,
];

/// So many of them are for traces alone.
const TRACE_ATTRIBUTES: usize = 1;
/// So many standard queues have.
const STANDARD_ATTRIBUTES: usize = 4;

/// Which queues, and how much may come from them at once.
#[derive(Clone, Debug)]
pub struct SqsSettings {
    /// The queue.
    pub queue_url: String,
    /// The queue for dead letters.
    pub dlq_url: Option<String>,
    /// Longest wait of a receive: [`crate::Limits::wait`].
    pub wait: Duration,
    /// Memory for messages, raw and parsed: [`crate::Limits::bytes_max`].
    pub bytes_max: usize,
    /// Connections to keep open: at least [`crate::Limits::pollers_max`].
    pub connections_max: usize,
}

/// Amazon SQS, or what speaks like it.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    settings: Arc<SqsSettings>,
    kind: QueueKind,
    /// Are messages asked for where they were made?
    traces: bool,
    budget: Budget,
    receiving: Client,
    deleting: Client,
    extending: Client,
    sending: Client,
}

impl SqsQueue {
    /// A queue reached with this configuration (region, endpoint, credentials: `Builder::from(&sdk_config)`).
    /// HTTP client, retries and time-outs are set here: they belong to the promise.
    #[must_use]
    pub fn new(config: Builder, settings: SqsSettings) -> Self {
        let budget = Budget::new(settings.bytes_max);
        let config = config
            // Pinned: a newer SDK must not change time-outs or retries behind our back.
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(connector::http_client(budget.clone(), settings.connections_max + 16))
            // A long poll is silent for 20 s by design, and a body may wait for room.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let client = |retries: RetryConfig, timeouts: TimeoutConfig| {
            let mut config = config.clone();
            config.set_retry_config(Some(retries)).set_timeout_config(Some(timeouts));
            Client::from_conf(config.build())
        };
        let short =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ANSWER_TIMEOUT).build();
        let long = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(settings.wait + RECEIVE_MARGIN)
            .operation_attempt_timeout(settings.wait + BODY_TIMEOUT)
            .build();
        let kind = QueueKind::of_url(&settings.queue_url);
        let receiving = match kind {
            // Asked again by the core anyway, which knows how many pollers an ailing queue should see.
            QueueKind::Standard => RetryConfig::disabled(),
            // An answer that is lost on its way keeps its groups from everybody until its leases end, unless it is asked for
            // again as the same attempt.
            QueueKind::Fifo => RetryConfig::standard().with_max_attempts(2),
        };
        Self {
            kind,
            traces: false,
            receiving: client(receiving, long),
            // Deleting twice does no harm; one quick retry spares a round through the core.
            deleting: client(RetryConfig::standard().with_max_attempts(2), short.clone()),
            // A lease that is not extended is work done twice: keep trying, for as long as there is lease left.
            extending: client(RetryConfig::standard().with_max_attempts(4), short.clone()),
            // Sending twice leaves two dead letters: the core tries again, after a pause.
            sending: client(RetryConfig::disabled(), short),
            settings: Arc::new(settings),
            budget,
        }
    }

    /// With what AWS knows of the trace of each message, in the same answer.
    #[must_use]
    pub fn with_trace_headers(self) -> Self {
        Self { traces: true, ..self }
    }

    /// Its dead-letter queue, through the same clients; `None` where it has none.
    #[must_use]
    pub fn dead_letters(&self) -> Option<Self> {
        let queue_url = self.settings.dlq_url.clone()?;
        let kind = QueueKind::of_url(&queue_url);
        let settings = Arc::new(SqsSettings { queue_url, dlq_url: None, ..(*self.settings).clone() });
        Some(Self { kind, settings, ..self.clone() })
    }

    fn system_attributes(&self) -> &'static [MessageSystemAttributeName] {
        let from = if self.traces { 0 } else { TRACE_ATTRIBUTES };
        match self.kind {
            QueueKind::Standard => &SYSTEM_ATTRIBUTES[from..STANDARD_ATTRIBUTES],
            QueueKind::Fifo => &SYSTEM_ATTRIBUTES[from..],
        }
    }

    /// Names a receive, so that asking again brings the same messages
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-receiverequestattemptid-request-parameter.html>).
    fn receive_attempt_id(&self) -> Option<String> {
        match self.kind {
            QueueKind::Standard => None,
            QueueKind::Fifo => Some(format!("{:032x}", fastrand::u128(..))),
        }
    }

    /// Bytes of the memory budget that are free now.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.budget.free_bytes()
    }

    /// A receive, as [`Queue::receive`] has it, with these system attributes.
    async fn received(
        &self,
        ask: Ask,
        system_attributes: &[MessageSystemAttributeName],
        cancel: &CancellationToken,
    ) -> Result<Received, QueueError> {
        let receiving = Arc::new(Receiving::default());
        let request = self
            .receiving
            .receive_message()
            .queue_url(&self.settings.queue_url)
            .max_number_of_messages(ask.messages_max as i32)
            .wait_time_seconds(ask.wait.as_secs() as i32)
            .visibility_timeout(ask.lease.as_secs() as i32)
            .set_receive_request_attempt_id(self.receive_attempt_id())
            .set_message_system_attribute_names(Some(system_attributes.to_vec()))
            // A dead letter keeps its sender's attributes, and which those are nobody knows before. They cost nothing
            // where there are none.
            .message_attribute_names("All");
        let call = receiving.scope(request.send());
        tokio::pin!(call);
        let output = tokio::select! {
            biased;
            output = &mut call => output,
            () = cancel.cancelled() => {
                if !receiving.has_begun() {
                    return Ok(Received { answered_at: Instant::now(), permit: None, messages: Vec::new() });
                }
                call.await
            }
        };
        let output = output.map_err(|error| explain(&error))?;
        let (answered_at, permit) = receiving.take().unwrap_or_else(|| (Instant::now(), None));
        Ok(Received { answered_at, permit, messages: output.messages.unwrap_or_default() })
    }
}

/// What a receive brought, not yet read.
struct Received {
    answered_at: Instant,
    /// The room in memory that was made for all of it.
    permit: Option<Permit>,
    messages: Vec<SqsMessage>,
}

#[async_trait]
impl Queue for SqsQueue {
    fn kind(&self) -> QueueKind {
        self.kind
    }

    async fn receive(&self, ask: Ask, cancel: &CancellationToken) -> Result<Receipt, QueueError> {
        let received = self.received(ask, self.system_attributes(), cancel).await?;
        let Received { answered_at, mut permit, messages } = received;
        let messages = messages
            .into_iter()
            .filter_map(|message| {
                let mut message = parsed(message)?;
                message.permit = permit.as_mut().map(|permit| permit.split(message.weight_bytes()));
                Some(message)
            })
            .collect();
        Ok(Receipt { answered_at, messages })
    }

    async fn delete(&self, deletes: &[Delete]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let entries = deletes
            .iter()
            .enumerate()
            .map(|(position, delete)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(&*delete.handle().receipt)
                    .build()
            })
            .collect::<Result<_, _>>()
            .map_err(|error| bad_request(&error))?;
        let request = self.deleting.delete_message_batch().queue_url(&self.settings.queue_url);
        let output = request.set_entries(Some(entries)).send().await.map_err(|error| explain(&error))?;
        Ok(by_position(deletes.len(), output.successful.iter().map(|entry| entry.id()), &output.failed))
    }

    async fn change_visibility(
        &self,
        handles: &[Handle],
        visibility_s: u32,
    ) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let entries = handles
            .iter()
            .enumerate()
            .map(|(position, handle)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(&*handle.receipt)
                    .visibility_timeout(visibility_s as i32)
                    .build()
            })
            .collect::<Result<_, _>>()
            .map_err(|error| bad_request(&error))?;
        let request = self.extending.change_message_visibility_batch().queue_url(&self.settings.queue_url);
        let output = request.set_entries(Some(entries)).send().await.map_err(|error| explain(&error))?;
        Ok(by_position(handles.len(), output.successful.iter().map(|entry| entry.id()), &output.failed))
    }

    async fn send_dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Result<(), ItemError>>, QueueError> {
        let Some(dlq_url) = &self.settings.dlq_url else {
            return Err(QueueError {
                kind: QueueErrorKind::Misconfigured,
                code: "NoDeadLetterQueue".to_owned(),
                reason: "there is no queue for dead letters".to_owned(),
            });
        };
        let is_fifo = QueueKind::of_url(dlq_url) == QueueKind::Fifo;
        let entries = letters
            .iter()
            .enumerate()
            .map(|(position, letter)| {
                SendMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .message_body(letter.body())
                    .set_message_attributes(Some(sent_attributes(letter.attributes())?))
                    .set_message_group_id(is_fifo.then(|| letter.group_id().to_owned()))
                    .set_message_deduplication_id(is_fifo.then(|| letter.deduplication_id()))
                    .build()
            })
            .collect::<Result<_, _>>()
            .map_err(|error| bad_request(&error))?;
        let request = self.sending.send_message_batch().queue_url(dlq_url);
        let output = request.set_entries(Some(entries)).send().await.map_err(|error| explain(&error))?;
        Ok(by_position(letters.len(), output.successful.iter().map(|entry| entry.id()), &output.failed))
    }

    async fn counts(&self) -> Result<Counts, QueueError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = self.deleting.get_queue_attributes().queue_url(&self.settings.queue_url);
        let output = request.set_attribute_names(Some(names.to_vec())).send().await.map_err(|error| explain(&error))?;
        let counts = output.attributes.unwrap_or_default();
        // A count that is missing must not read as "empty".
        let count = |name| counts.get(&name).and_then(|count| count.parse().ok()).unwrap_or(u64::MAX);
        let [visible, in_flight, delayed] = names.map(count);
        Ok(Counts { visible, in_flight, delayed })
    }
}

/// A message without id or handle could be neither held nor deleted: it is passed over, and comes again.
fn parsed(message: SqsMessage) -> Option<Message> {
    let mut system = message.attributes.unwrap_or_default();
    let sent_at = system
        .get(&MessageSystemAttributeName::SentTimestamp)
        .and_then(|millis| millis.parse().ok())
        .and_then(|millis| Timestamp::from_millis(millis).ok());
    let receive_count = system.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    Some(Message {
        handle: Handle { message_id: message.message_id?.into(), receipt: message.receipt_handle?.into() },
        body: message.body.unwrap_or_default(),
        attributes: received_attributes(message.message_attributes.unwrap_or_default()),
        sent_at: sent_at.or_else(|| Timestamp::from_micros(0).ok())?,
        receive_count: receive_count.and_then(|count| count.parse().ok()).unwrap_or(1),
        group_id: system.remove(&MessageSystemAttributeName::MessageGroupId),
        sequence_number: system.remove(&MessageSystemAttributeName::SequenceNumber),
        deduplication_id: system.remove(&MessageSystemAttributeName::MessageDeduplicationId),
        permit: None,
        trace: Trace::with_header(system.remove(&MessageSystemAttributeName::AwsTraceHeader)),
    })
}

/// In the order of their names: the map they come in has none.
fn received_attributes(attributes: HashMap<String, MessageAttributeValue>) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = attributes
        .into_iter()
        .map(|(name, attribute)| {
            let value = match (attribute.string_value, attribute.binary_value) {
                (Some(text), _) => AttributeValue::Text(text),
                (None, bytes) => AttributeValue::Bytes(bytes.map(Blob::into_inner).unwrap_or_default()),
            };
            Attribute { name, data_type: attribute.data_type, value }
        })
        .collect();
    attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    attributes
}

fn sent_attributes(
    attributes: &[Attribute],
) -> Result<HashMap<String, MessageAttributeValue>, aws_sdk_sqs::error::BuildError> {
    attributes
        .iter()
        .map(|attribute| {
            let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
            let value = match &attribute.value {
                AttributeValue::Text(text) => value.string_value(text),
                AttributeValue::Bytes(bytes) => value.binary_value(Blob::new(bytes.clone())),
            };
            Ok((attribute.name.clone(), value.build()?))
        })
        .collect()
}

/// The outcome of each item, by the position that was its id. What the answer does not mention failed.
fn by_position<'a>(
    items: usize,
    successful: impl Iterator<Item = &'a str>,
    failed: &[BatchResultErrorEntry],
) -> Vec<Result<(), ItemError>> {
    let unanswered = || Err(ItemError { code: "Unanswered".to_owned(), is_final: false });
    let mut results: Vec<_> = std::iter::repeat_with(unanswered).take(items).collect();
    let position = |id: &str| id.parse::<usize>().ok();
    for at in successful.filter_map(position) {
        if let Some(result) = results.get_mut(at) {
            *result = Ok(());
        }
    }
    for entry in failed {
        if let Some(result) = position(entry.id()).and_then(|at| results.get_mut(at)) {
            *result = Err(error::item_error(entry));
        }
    }
    results
}

fn bad_request(error: &aws_sdk_sqs::error::BuildError) -> QueueError {
    QueueError { kind: QueueErrorKind::Misconfigured, code: "BadRequest".to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_the_answer_does_not_mention_has_failed() {
        let failed =
            BatchResultErrorEntry::builder().id("2").code("InternalError").sender_fault(false).build().unwrap();
        let results = by_position(4, ["0", "1", "17"].into_iter(), &[failed]);
        assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, false]);
    }

    #[test]
    fn a_message_without_a_handle_is_passed_over() {
        assert!(parsed(SqsMessage::builder().message_id("m").body("{}").build()).is_none());
    }
}
