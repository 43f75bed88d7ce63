//! The operations, as the JSON protocol carries them
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_Operations.html>).

mod batch;
mod moves;
mod queues;
mod receive;
mod release;
mod send;
mod tags;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::error::Error;
use crate::faults::{Operation, RequestFaults};

/// One request, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) broker: &'a Arc<Broker>,
    /// Which operation, and what goes wrong in it.
    pub(crate) faults: RequestFaults<'a>,
    /// What queue URLs begin with: `http://host:port`.
    pub(crate) origin: &'a str,
    pub(crate) body: &'a [u8],
}

/// Answers a request with the JSON of its response.
pub(crate) async fn call(request: Request<'_>) -> Result<Vec<u8>, Error> {
    match request.faults.operation {
        Operation::SendMessage => send::one(&request),
        Operation::SendMessageBatch => send::batch(&request),
        Operation::ReceiveMessage => receive::receive(&request).await,
        Operation::DeleteMessage => release::delete(&request),
        Operation::DeleteMessageBatch => release::delete_batch(&request),
        Operation::ChangeMessageVisibility => release::change_visibility(&request),
        Operation::ChangeMessageVisibilityBatch => release::change_visibility_batch(&request),
        Operation::CreateQueue => queues::create(&request),
        Operation::DeleteQueue => queues::delete(&request),
        Operation::GetQueueUrl => queues::url(&request),
        Operation::ListQueues => queues::list(&request),
        Operation::GetQueueAttributes => queues::attributes(&request),
        Operation::SetQueueAttributes => queues::set_attributes(&request),
        Operation::PurgeQueue => queues::purge(&request),
        Operation::TagQueue => tags::tag(&request),
        Operation::UntagQueue => tags::untag(&request),
        Operation::ListQueueTags => tags::list(&request),
        Operation::ListDeadLetterSourceQueues => queues::sources(&request),
        Operation::StartMessageMoveTask => moves::start(&request),
        Operation::ListMessageMoveTasks => moves::list(&request),
        Operation::CancelMessageMoveTask => moves::cancel(&request),
        // There are no accounts here to permit anything to.
        operation @ (Operation::AddPermission | Operation::RemovePermission) => {
            Err(Error::UnsupportedOperation(operation.name().to_owned()))
        }
    }
}

impl<'a> Request<'a> {
    fn parse<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(self.body)?)
    }
}

fn answer(response: &impl Serialize) -> Result<Vec<u8>, Error> {
    Ok(serde_json::to_vec(response)?)
}

/// The response of an operation that answers nothing.
fn nothing() -> Result<Vec<u8>, Error> {
    Ok(b"{}".to_vec())
}

/// `value` as a number of `parameter`, when it lies within its range.
pub(crate) fn in_range(parameter: &'static str, value: i64, min: u64, max: u64) -> Result<u64, Error> {
    u64::try_from(value).ok().filter(|value| (min..=max).contains(value)).ok_or_else(|| {
        Error::InvalidParameterValue(format!(
            "value {value} for parameter {parameter} is invalid: it lies outside {min} to {max}"
        ))
    })
}
