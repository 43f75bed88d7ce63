//! What the way an event came gives it, where it says nothing itself.

use crate::change::{EventId, IdOrigin, TimeOrigin};
use crate::sns::Notification;
use crate::{Message, Position, Settings, Timestamp};

/// How an event came: in which message, in which notification, and how the queue is to be read.
#[derive(Debug)]
pub(crate) struct Delivery<'a> {
    pub(crate) settings: &'a Settings,
    message_id: &'a str,
    sent_at: Timestamp,
    sequence_number: Option<&'a str>,
    group_id: Option<&'a str>,
    /// The innermost notification: nearest to the producer, so the same however often it was passed on.
    notification: Option<Notification<'a>>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(
        message: &'a Message<'_>,
        settings: &'a Settings,
        notification: Option<Notification<'a>>,
    ) -> Self {
        // A dead letter that was sent back is what it was the first time.
        match &message.origin {
            Some(origin) => Self {
                settings,
                message_id: &origin.message_id,
                sent_at: origin.sent_at,
                sequence_number: origin.sequence_number.as_deref(),
                group_id: origin.group_id.as_deref(),
                notification,
            },
            None => Self {
                settings,
                message_id: message.message_id,
                sent_at: message.sent_at,
                sequence_number: message.sequence_number,
                group_id: message.group_id,
                notification,
            },
        }
    }

    /// When SNS, else SQS accepted it.
    pub(crate) fn published_at(&self) -> Timestamp {
        self.notification.as_ref().and_then(|notification| notification.sent_at).unwrap_or(self.sent_at)
    }

    /// The id of an event: its own, else that of the notification or message, with its number in a list.
    pub(crate) fn event_id(&self, own: Option<String>, index: Option<usize>) -> EventId {
        if let Some(value) = own {
            return EventId { value, origin: IdOrigin::Event };
        }
        let sns = self.notification.as_ref().and_then(|notification| notification.message_id.as_deref());
        let (id, origin) = match sns {
            Some(id) => (id, IdOrigin::Sns),
            None => (self.message_id, IdOrigin::Sqs),
        };
        let value = match index {
            Some(index) => format!("{id}#{index}"),
            None => id.to_owned(),
        };
        EventId { value, origin }
    }

    /// The time of an event: its own, else when SNS or SQS accepted it.
    pub(crate) fn occurred_at(&self, own: Option<Timestamp>, origin: TimeOrigin) -> (Timestamp, TimeOrigin) {
        match (own, &self.notification) {
            (Some(time), _) => (time, origin),
            (None, Some(Notification { sent_at: Some(time), .. })) => (*time, TimeOrigin::Sns),
            (None, _) => (self.sent_at, TimeOrigin::Sqs),
        }
    }

    /// The `SequenceNumber` of a FIFO topic, else of a FIFO queue. SNS and SQS promise that it grows within a message
    /// group, so the group is part of the domain where it is known.
    pub(crate) fn position(&self) -> Option<Position> {
        let group = self.group_id;
        if let Some(Notification { sequence_number: Some(digits), topic_arn, .. }) = &self.notification {
            let domain = group.map_or_else(|| format!("sns:{topic_arn}"), |group| format!("sns:{topic_arn}/{group}"));
            return Position::new(domain, digits);
        }
        Position::new(format!("sqs:{}", group.unwrap_or_default()), self.sequence_number?)
    }
}
