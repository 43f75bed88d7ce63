//! SNS envelopes: notifications that hold an event, and confirmations that hold none.
//!
//! Shapes: <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>. FIFO topics send
//! `SequenceNumber` and no signature, so signature fields are never required; they are not checked either, since a
//! queue has access control of its own.

use std::borrow::Cow;

use crate::fields::Fields;
use crate::limits::ID_BYTES_MAX;
use crate::refusal::{Fault, Problem};
use crate::{Position, Timestamp};

/// An opened envelope.
#[derive(Debug)]
pub(crate) enum Envelope<'a> {
    /// What it says, and the message in it.
    Notification(Notification<'a>, Cow<'a, str>),
    Control(Control<'a>),
}

/// What a notification says beside its message.
#[derive(Debug)]
pub(crate) struct Notification<'a> {
    pub(crate) topic_arn: Cow<'a, str>,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_at: Option<Timestamp>,
    /// Decimal digits.
    pub(crate) sequence_number: Option<String>,
}

/// A message of SNS about a subscription. It holds no event; its links are not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// What it asks.
    pub kind: ControlKind,
    /// The topic.
    pub topic_arn: Cow<'a, str>,
}

/// What a message about a subscription asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlKind {
    /// `SubscriptionConfirmation`.
    Subscribe,
    /// `UnsubscribeConfirmation`.
    Unsubscribe,
}

impl ControlKind {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// Opens an SNS envelope; `None` when the object is none.
///
/// A confirmation must have its token: an event is not dropped because somebody named a member `Type`.
pub(crate) fn open<'a>(fields: &mut Fields<'a>) -> Result<Option<Envelope<'a>>, Fault> {
    let Some(kind) = fields.peek("Type").and_then(|kind| kind.string()) else { return Ok(None) };
    if fields.peek("TopicArn").is_none() {
        return Ok(None);
    }
    let control = match &*kind {
        "Notification" => None,
        "SubscriptionConfirmation" => Some(ControlKind::Subscribe),
        "UnsubscribeConfirmation" => Some(ControlKind::Unsubscribe),
        _ => return Ok(None),
    };
    let arn = fields.require(&["TopicArn"], "the ARN of a topic")?;
    let topic_arn = arn.text("the ARN of a topic, a string")?;
    if topic_arn.len() > ID_BYTES_MAX {
        return Err(arn.fault(Problem::TooLong { limit: ID_BYTES_MAX, unit: "bytes" }));
    }
    if let Some(kind) = control {
        fields.require(&["Token"], "the token of a confirmation")?;
        return Ok(Some(Envelope::Control(Control { kind, topic_arn })));
    }
    let message = fields.require(&["Message"], "the message, a string")?.text("the message, a string")?;
    let message_id = fields.take(&["MessageId"])?.map(|field| field.id()).transpose()?;
    let sent_at = fields.take(&["Timestamp"])?.map(|field| field.time()).transpose()?;
    let sequence_number = match fields.take(&["SequenceNumber"])? {
        None => None,
        Some(field) => {
            let digits = field.digits()?;
            if digits.len() > Position::DIGITS_MAX {
                return Err(field.fault(Problem::TooLong { limit: Position::DIGITS_MAX, unit: "digits" }));
            }
            Some(digits.into_owned())
        }
    };
    let notification = Notification { topic_arn, message_id, sent_at, sequence_number };
    Ok(Some(Envelope::Notification(notification, message)))
}
