//! One dead letter, as its queue hands it out.

use afterimage_event::Origin;

use crate::dead_letter::{ATTRIBUTES_MAX, FAILED_EVENTS, PREFIX, REASON};
use crate::message::{Attribute, Message};
use crate::queue::MESSAGE_BYTES_MAX;

/// A dead letter that this process holds.
#[derive(Debug)]
pub struct Letter {
    /// The message.
    pub message: Message,
    /// The queue whose redrive policy moved it here, when SQS says so (`DeadLetterQueueSourceArn`).
    pub source_arn: Option<String>,
}

/// How a letter came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Via {
    /// A worker gave it up, and says why.
    Worker,
    /// The redrive policy of the queue moved it: it was received too often without being deleted.
    RedrivePolicy,
    /// Nothing says: somebody else sent it.
    Unknown,
}

impl Via {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::RedrivePolicy => "redrive_policy",
            Self::Unknown => "unknown",
        }
    }
}

/// Which events of a message failed, as its attribute says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failed {
    /// Their indices, ascending.
    pub indices: Vec<usize>,
    /// There was no room to name them all.
    pub and_more: bool,
}

/// The letter cannot be sent again whole: there is no room for its origin beside the sender's attributes. (It can still be
/// stored from here.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// A message has at most ten attributes.
    #[error("its sender used all {ATTRIBUTES_MAX} attributes, and its origin needs one")]
    Attributes,
    /// A message has at most 1 MiB.
    #[error("with its origin it would be larger than {MESSAGE_BYTES_MAX} bytes")]
    Bytes,
}

impl Letter {
    /// The text of one of its attributes.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.message.attributes.iter().find(|attribute| attribute.name == name).and_then(Attribute::as_text)
    }

    /// How it came to be a dead letter.
    #[must_use]
    pub fn via(&self) -> Via {
        match (self.attribute(REASON), &self.source_arn) {
            (Some(_), _) => Via::Worker,
            (None, Some(_)) => Via::RedrivePolicy,
            (None, None) => Via::Unknown,
        }
    }

    /// What it was the first time.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::of(&self.message.told())
    }

    /// The events that failed, when it held several.
    #[must_use]
    pub fn failed(&self) -> Failed {
        let text = self.attribute(FAILED_EVENTS).unwrap_or_default();
        let indices = text.split(',').filter_map(|index| index.parse().ok()).collect();
        Failed { indices, and_more: text.ends_with('…') }
    }

    /// The attributes its sender gave it: without ours.
    pub fn sender_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.message.attributes.iter().filter(|attribute| !attribute.name.starts_with(PREFIX))
    }

    /// The attributes it goes back with: its origin, so that event ids and times stay what they were, and the sender's.
    ///
    /// # Errors
    /// [`NoRoom`]; without its origin it would become another event.
    pub fn resent_attributes(&self) -> Result<Vec<Attribute>, NoRoom> {
        let mut attributes = vec![Attribute::text(Origin::ATTRIBUTE, self.origin().to_attribute())];
        attributes.extend(self.sender_attributes().cloned());
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(NoRoom::Attributes);
        }
        if self.message.body.len() + attributes.iter().map(Attribute::len_bytes).sum::<usize>() > MESSAGE_BYTES_MAX {
            return Err(NoRoom::Bytes);
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Handle;
    use crate::trace::Trace;

    fn letter(attributes: Vec<Attribute>, body_bytes: usize) -> Letter {
        let message = Message {
            handle: Handle { message_id: "m-2".into(), receipt: "r".into() },
            body: "x".repeat(body_bytes),
            attributes,
            sent_at: "2026-01-09T10:00:05Z".parse().unwrap(),
            receive_count: 1,
            group_id: None,
            deduplication_id: None,
            sequence_number: None,
            permit: None,
            trace: Trace::default(),
        };
        Letter { message, source_arn: None }
    }

    #[test]
    fn it_goes_back_with_its_first_origin_and_its_senders_attributes_only() {
        let origin = "v1;id=m-1;published=2026-01-01T00:00:00.000000Z";
        let letter = letter(
            vec![
                Attribute::text("afterimage.detail", "d"),
                Attribute::text(Origin::ATTRIBUTE, origin),
                Attribute::text(REASON, "not_json"),
                Attribute::text("traceparent", "t"),
            ],
            1,
        );
        assert_eq!(letter.via(), Via::Worker);
        let expected = [Attribute::text(Origin::ATTRIBUTE, origin), Attribute::text("traceparent", "t")];
        assert_eq!(letter.resent_attributes().unwrap(), expected);
    }

    #[test]
    fn one_without_origin_is_its_own() {
        let origin = Origin::parse(letter(Vec::new(), 1).resent_attributes().unwrap()[0].as_text().unwrap()).unwrap();
        assert_eq!(origin.message_id, "m-2");
    }

    #[test]
    fn where_the_origin_has_no_room_it_is_not_sent() {
        let ten = (0..10).map(|n| Attribute::text(format!("a{n}"), "v")).collect();
        assert_eq!(letter(ten, 1).resent_attributes(), Err(NoRoom::Attributes));
        assert_eq!(letter(Vec::new(), MESSAGE_BYTES_MAX).resent_attributes(), Err(NoRoom::Bytes));
    }

    #[test]
    fn failed_events_are_read_as_they_are_written() {
        let failed = |text: &str| letter(vec![Attribute::text(FAILED_EVENTS, text)], 1).failed();
        assert_eq!(failed("0,7,14"), Failed { indices: vec![0, 7, 14], and_more: false });
        assert_eq!(failed("3,…"), Failed { indices: vec![3], and_more: true });
        assert_eq!(letter(Vec::new(), 1).failed(), Failed::default());
    }
}
