//! `StartMessageMoveTask`, `ListMessageMoveTasks`, `CancelMessageMoveTask`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Request, answer, in_range};
use crate::broker::Shared;
use crate::error::Error;
use crate::moves::{Moves, Status, TASKS_MAX, Task};

/// Most messages per second that a task may be asked to move
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>).
const RATE_MAX: u64 = 500;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Start {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    source_arn: String,
    max_results: Option<i64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TaskHandle {
    task_handle: String,
}

/// What a handle says, as SQS's own do.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct HandleParts {
    task_id: Uuid,
    source_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Cancelled {
    approximate_number_of_messages_moved: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    results: Vec<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    task_handle: Option<String>,
    status: &'static str,
    source_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u64>,
    approximate_number_of_messages_moved: u64,
    approximate_number_of_messages_to_move: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    started_timestamp: u64,
}

/// `StartMessageMoveTask`.
pub(crate) fn start(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let start: Start = request.parse()?;
    let source = named(request, "SourceArn", &start.source_arn)?;
    let destination = start.destination_arn.as_deref().map(|arn| named(request, "DestinationArn", arn)).transpose()?;
    let rate = start
        .max_number_of_messages_per_second
        .map(|rate| in_range("MaxNumberOfMessagesPerSecond", rate, 1, RATE_MAX))
        .transpose()?;
    let task_id = Moves::start(request.broker, Arc::clone(&source), destination.as_ref(), rate)?;
    answer(&TaskHandle { task_handle: handle(task_id, &source.arn)? })
}

/// `ListMessageMoveTasks`.
pub(crate) fn list(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let list: List = request.parse()?;
    let source = named(request, "SourceArn", &list.source_arn)?;
    let count = in_range("MaxResults", list.max_results.unwrap_or(1), 1, TASKS_MAX as u64)? as usize;
    let tasks = request.broker.moves.latest(&source.arn, count);
    answer(&Listed { results: tasks.iter().map(|task| show(task, &source.arn)).collect::<Result<_, _>>()? })
}

/// `CancelMessageMoveTask`.
pub(crate) fn cancel(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let TaskHandle { task_handle } = request.parse()?;
    let invalid = || Error::InvalidParameterValue("the value of TaskHandle is no handle of a task".into());
    let text = BASE64.decode(task_handle).map_err(|_| invalid())?;
    let parts: HandleParts = serde_json::from_slice(&text).map_err(|_| invalid())?;
    let source = named(request, "SourceArn", &parts.source_arn)?;
    let tasks = request.broker.moves.latest(&source.arn, TASKS_MAX);
    let task = tasks.iter().find(|task| task.id == parts.task_id);
    let task = task.ok_or_else(|| Error::ResourceNotFound("the task does not exist".into()))?;
    answer(&Cancelled { approximate_number_of_messages_moved: task.cancel()? })
}

fn named(request: &Request<'_>, parameter: &str, arn: &str) -> Result<Arc<Shared>, Error> {
    let missing = |_| Error::ResourceNotFound(format!("the queue that {parameter} names does not exist"));
    request.broker.queue_of(arn).map_err(missing)
}

fn handle(task_id: Uuid, source_arn: &str) -> Result<String, Error> {
    Ok(BASE64.encode(serde_json::to_vec(&HandleParts { task_id, source_arn: source_arn.to_owned() })?))
}

fn show<'a>(task: &'a Task, source_arn: &'a str) -> Result<Shown<'a>, Error> {
    let progress = task.progress();
    let (status, failure_reason) = match progress.status {
        Status::Running => ("RUNNING", None),
        Status::Completed => ("COMPLETED", None),
        Status::Cancelled => ("CANCELLED", None),
        Status::Failed(reason) => ("FAILED", Some(reason)),
    };
    let is_running = progress.status == Status::Running;
    Ok(Shown {
        task_handle: is_running.then(|| handle(task.id, source_arn)).transpose()?,
        status,
        source_arn,
        destination_arn: task.destination.as_deref(),
        max_number_of_messages_per_second: task.rate,
        approximate_number_of_messages_moved: progress.moved,
        approximate_number_of_messages_to_move: task.to_move,
        failure_reason,
        started_timestamp: task.started_at,
    })
}
