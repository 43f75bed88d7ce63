//! The two places events are sent to, and what their answers mean.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::PublishBatchRequestEntry;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;

use crate::batch::Parcel;
use crate::error::Reason;
use crate::trace::TraceContext;

/// Bytes of a message or batch that an SNS topic takes unless its `MaximumMessageSize` is raised
/// (<https://docs.aws.amazon.com/sns/latest/dg/large-message-payloads.html>).
pub(crate) const TOPIC_BYTES_MAX: usize = 262_144;
/// Bytes of a message or batch that an SQS queue takes
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>).
pub(crate) const QUEUE_BYTES_MAX: usize = 1_048_576;

/// A topic or a queue.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Topic { client: aws_sdk_sns::Client, arn: String },
    Queue { client: aws_sdk_sqs::Client, url: String },
}

/// What became of one entry of a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    Accepted,
    /// By its own fault: the same again cannot help.
    Refused(Reason),
    /// By no fault of its own, or unknown: worth another try.
    Failed(Reason),
}

/// The request failed as a whole.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// It was refused: nothing of it is accepted.
    Refused { code: String, message: String },
    /// There was no answer: it may be accepted or not.
    Unknown(Arc<dyn Error + Send + Sync>),
}

impl RequestError {
    /// What it means for each entry.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Refused { code, message } => Reason::Refused { code: code.clone(), message: message.clone() },
            Self::Unknown(source) => Reason::Unknown(Some(Arc::clone(source))),
        }
    }
}

impl Target {
    pub(crate) fn is_fifo(&self) -> bool {
        let (Self::Topic { arn: name, .. } | Self::Queue { url: name, .. }) = self;
        name.ends_with(".fifo")
    }

    pub(crate) const fn bytes_max(&self) -> usize {
        match self {
            Self::Topic { .. } => TOPIC_BYTES_MAX,
            Self::Queue { .. } => QUEUE_BYTES_MAX,
        }
    }

    /// Sends a batch; one outcome per parcel, in their order.
    pub(crate) async fn send(&self, batch: &[Parcel]) -> Result<Vec<Outcome>, RequestError> {
        // Without an answer for it an entry is unknown, whatever the others got.
        let mut outcomes: Vec<_> = batch.iter().map(|_| Outcome::Failed(Reason::Unknown(None))).collect();
        let mut set = |id: Option<&str>, outcome| {
            if let Some(place) = id.and_then(|id| id.parse().ok()).and_then(|id: usize| outcomes.get_mut(id)) {
                *place = outcome;
            }
        };
        match self {
            Self::Topic { client, arn } => {
                let entries = batch.iter().enumerate().map(topic_entry).collect::<Result<Vec<_>, _>>()?;
                let request = client.publish_batch().topic_arn(arn).set_publish_batch_request_entries(Some(entries));
                let answer = request.send().await.map_err(request_error)?;
                for entry in answer.successful() {
                    set(entry.id(), Outcome::Accepted);
                }
                for entry in answer.failed() {
                    set(Some(entry.id()), refused(entry.code(), entry.message(), entry.sender_fault()));
                }
            }
            Self::Queue { client, url } => {
                let entries = batch.iter().enumerate().map(queue_entry).collect::<Result<Vec<_>, _>>()?;
                let request = client.send_message_batch().queue_url(url).set_entries(Some(entries));
                let answer = request.send().await.map_err(request_error)?;
                for entry in answer.successful() {
                    set(Some(entry.id()), Outcome::Accepted);
                }
                for entry in answer.failed() {
                    set(Some(entry.id()), refused(entry.code(), entry.message(), entry.sender_fault()));
                }
            }
        }
        Ok(outcomes)
    }
}

// Ids are positions: an id of the event's own could be too long, or stand twice in a batch.

fn topic_entry((position, parcel): (usize, &Parcel)) -> Result<PublishBatchRequestEntry, RequestError> {
    let mut entry = PublishBatchRequestEntry::builder().id(position.to_string()).message(&parcel.body);
    if let Some(fifo) = &parcel.fifo {
        entry = entry.message_group_id(&fifo.group_id).message_deduplication_id(&fifo.deduplication_id);
    }
    for (name, text) in parcel.trace.iter().flat_map(TraceContext::attributes) {
        let value = aws_sdk_sns::types::MessageAttributeValue::builder().data_type("String").string_value(text);
        entry = entry.message_attributes(name, value.build().map_err(unbuilt)?);
    }
    entry.build().map_err(unbuilt)
}

fn queue_entry((position, parcel): (usize, &Parcel)) -> Result<SendMessageBatchRequestEntry, RequestError> {
    let mut entry = SendMessageBatchRequestEntry::builder().id(position.to_string()).message_body(&parcel.body);
    if let Some(fifo) = &parcel.fifo {
        entry = entry.message_group_id(&fifo.group_id).message_deduplication_id(&fifo.deduplication_id);
    }
    for (name, text) in parcel.trace.iter().flat_map(TraceContext::attributes) {
        let value = aws_sdk_sqs::types::MessageAttributeValue::builder().data_type("String").string_value(text);
        entry = entry.message_attributes(name, value.build().map_err(unbuilt)?);
    }
    entry.build().map_err(unbuilt)
}

fn unbuilt(error: impl Error + Send + Sync + 'static) -> RequestError {
    RequestError::Unknown(Arc::new(error))
}

fn refused(code: &str, message: Option<&str>, sender_fault: bool) -> Outcome {
    let reason = Reason::Refused { code: code.to_owned(), message: message.unwrap_or_default().to_owned() };
    if sender_fault { Outcome::Refused(reason) } else { Outcome::Failed(reason) }
}

/// A service error below 500 is a refusal; anything else leaves open what happened.
fn request_error<E>(error: SdkError<E, HttpResponse>) -> RequestError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    if let SdkError::ServiceError(service) = &error
        && service.raw().status().is_client_error()
    {
        let code = service.err().code().unwrap_or("unnamed error").to_owned();
        return RequestError::Refused { code, message: service.err().message().unwrap_or_default().to_owned() };
    }
    RequestError::Unknown(Arc::new(error))
}
