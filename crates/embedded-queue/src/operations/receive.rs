//! `ReceiveMessage`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Request, answer, in_range, nothing};
use crate::attributes::{Attribute, AttributeValue, Md5Hex, attributes_md5};
use crate::broker::ACCOUNT;
use crate::error::Error;
use crate::message::check_token;
use crate::queue::{Ask, Received};
use crate::settings::VISIBILITY_TIMEOUT_S_MAX;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage<'a> {
    #[serde(borrow)]
    queue_url: Cow<'a, str>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    /// The older name of the list above.
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Messages<'a> {
    messages: Vec<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    message_id: Uuid,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    body_md5: Md5Hex,
    body: &'a RawValue,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<Md5Hex>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: BTreeMap<&'a str, &'a AttributeValue>,
}

/// `ReceiveMessage`.
pub(crate) async fn receive(request: &Request<'_>) -> Result<Vec<u8>, Error> {
    let wanted: ReceiveMessage<'_> = request.parse()?;
    let queue = request.broker.queue(&wanted.queue_url)?;
    let count = in_range("MaxNumberOfMessages", wanted.max_number_of_messages.unwrap_or(1), 1, 10)? as usize;
    let attempt = wanted.receive_request_attempt_id.as_deref();
    check_token("ReceiveRequestAttemptId", attempt)?;
    let (timeout, wait_s) = {
        let state = queue.state();
        (state.settings().visibility_timeout(), state.settings().wait_s())
    };
    let timeout = match wanted.visibility_timeout {
        Some(timeout_s) => in_range("VisibilityTimeout", timeout_s, 0, VISIBILITY_TIMEOUT_S_MAX)? * 1000,
        None => timeout,
    };
    let wait_s = match wanted.wait_time_seconds {
        Some(wait_s) => in_range("WaitTimeSeconds", wait_s, 0, 20)?,
        None => wait_s,
    };
    let ask = Ask { count, timeout, attempt, redrive: None };
    let received = request.broker.receive(&queue, ask, wait_s, request.faults).await?;
    if received.is_empty() {
        return nothing();
    }
    answer(&Messages { messages: received.iter().map(|message| show(message, &wanted)).collect() })
}

fn show<'a>(received: &'a Received, wanted: &ReceiveMessage<'_>) -> Shown<'a> {
    let message = &*received.message;
    let asked: Vec<&Attribute> = message
        .attributes
        .iter()
        .filter(|attribute| wanted.message_attribute_names.iter().any(|pattern| matches(pattern, &attribute.name)))
        .collect();
    // SQS computes the MD5 over the attributes it returns, not over those that were sent.
    let md5 = if asked.len() == message.attributes.len() {
        message.attributes_md5
    } else {
        attributes_md5(asked.iter().copied())
    };
    Shown {
        message_id: received.record.id,
        receipt_handle: received.handle.to_string(),
        body_md5: message.body_md5,
        body: &message.body,
        attributes: system_attributes(received, wanted),
        attributes_md5: md5,
        message_attributes: asked.into_iter().map(|attribute| (attribute.name.as_str(), &attribute.value)).collect(),
    }
}

/// Is an attribute asked for by `All`, `.*`, `prefix.*` or its name?
fn matches(pattern: &str, name: &str) -> bool {
    pattern == "All" || pattern == name || pattern.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

fn system_attributes(received: &Received, wanted: &ReceiveMessage<'_>) -> BTreeMap<&'static str, String> {
    let names = || wanted.message_system_attribute_names.iter().chain(&wanted.attribute_names);
    let mut shown = BTreeMap::new();
    let mut show = |name: &'static str, value: Option<String>| {
        if let Some(value) = value
            && names().any(|asked| asked == "All" || asked == name)
        {
            shown.insert(name, value);
        }
    };
    let (message, record) = (&received.message, &received.record);
    show("SenderId", Some(ACCOUNT.to_owned()));
    show("SentTimestamp", Some(record.sent_at.to_string()));
    show("ApproximateReceiveCount", Some(record.receives.to_string()));
    show("ApproximateFirstReceiveTimestamp", record.first_received_at.map(|at| at.to_string()));
    show("DeadLetterQueueSourceArn", record.dead_letter_source.as_deref().map(str::to_owned));
    show("AWSTraceHeader", message.trace_header.clone());
    show("MessageGroupId", message.group_id.as_deref().map(str::to_owned));
    show("MessageDeduplicationId", record.deduplication_id.as_deref().map(str::to_owned));
    show("SequenceNumber", received.sequence.map(|sequence| sequence.to_string()));
    shown
}
