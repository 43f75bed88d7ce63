//! The context a message was made in.

use afterimage_json::Raw;
use afterimage_telemetry::{parse_traceparent, parse_xray};
use opentelemetry::trace::SpanContext;

use crate::message::{Attribute, Message};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// What its sender attached; else what it attached for SNS, which an envelope keeps; else what AWS did. What is malformed is
/// passed over: a message is never worth less for it.
pub(super) fn context(message: &Message) -> Option<SpanContext> {
    let attached =
        |name| message.attributes.iter().find(|attribute| attribute.name == name).and_then(Attribute::as_text);
    attached(PARENT)
        .and_then(|parent| parse_traceparent(parent, attached(STATE)))
        .or_else(|| enveloped(&message.body))
        .or_else(|| parse_xray(message.trace.header.as_deref()?))
}

/// The attributes in the envelope of SNS
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>).
fn enveloped(body: &str) -> Option<SpanContext> {
    // Most bodies are no envelope, or one without a trace: they are not parsed twice.
    if !body.contains("\"MessageAttributes\"") || !body.contains(PARENT) {
        return None;
    }
    let envelope = Raw::parse(body).ok()?;
    if envelope.get("Type")?.string()? != "Notification" {
        return None;
    }
    let attributes = envelope.get("MessageAttributes")?;
    let value = |name| attributes.get(name)?.get("Value")?.string();
    parse_traceparent(&value(PARENT)?, value(STATE).as_deref())
}
