//! What a line of a file holds.

use afterimage_consumer::{Attribute, AttributeValue, Handle, Message, Trace};
use afterimage_event::{Origin, Timestamp};
use serde::Deserialize;

/// A line that tells something.
#[derive(Debug)]
pub(crate) enum Line {
    /// An event, or several, as a message of the queue would bring it.
    Event(Message),
    /// A letter of `dlq export`: the message it was, with the identity it had.
    Letter(Message),
    /// An entry of `afterimage export`.
    Entry,
    /// The last line of an export.
    End,
}

/// The line cannot be taken, and why: a bounded code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// A letter that is not as `dlq export` writes them.
    #[error("bad_letter")]
    Letter,
}

/// What tells kinds of lines apart: names that no event bears beside each other.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Shape {
    end: Option<bool>,
    items: Option<serde::de::IgnoredAny>,
    body: Option<serde::de::IgnoredAny>,
    message_attributes: Option<serde::de::IgnoredAny>,
    origin: Option<serde::de::IgnoredAny>,
    record_id: Option<serde::de::IgnoredAny>,
    changed: Option<serde::de::IgnoredAny>,
    published_at: Option<serde::de::IgnoredAny>,
    stored_at: Option<serde::de::IgnoredAny>,
}

/// A letter, as far as it is the message it was.
#[derive(Deserialize)]
struct Letter {
    body: String,
    origin: LetterOrigin,
    message_attributes: Vec<LetterAttribute>,
}

#[derive(Deserialize)]
struct LetterOrigin {
    message_id: String,
    published_at: String,
    sequence_number: Option<String>,
    group_id: Option<String>,
}

#[derive(Deserialize)]
struct LetterAttribute {
    name: String,
    data_type: String,
    value: Option<String>,
}

/// Longest id of a message that SQS gives, and what is made of it here.
const DIGITS: usize = 32;

impl Line {
    /// Tells what a line is. `now` is when a message that bears no time of its own is taken to be sent.
    pub(crate) fn read(text: &str, now: Timestamp) -> Result<Self, LineError> {
        let shape: Shape = serde_json::from_str(text).unwrap_or_default();
        match shape {
            Shape { end: Some(true), items: Some(_), .. } => Ok(Self::End),
            Shape { body: Some(_), message_attributes: Some(_), origin: Some(_), .. } => {
                let letter: Letter = serde_json::from_str(text).map_err(|_| LineError::Letter)?;
                letter.message().map(Self::Letter)
            }
            Shape { record_id: Some(_), changed: Some(_), published_at: Some(_), stored_at: Some(_), .. } => {
                Ok(Self::Entry)
            }
            _ => {
                // The same line is the same message, however often and from whichever file it is told.
                let id = format!("file-{}", &blake3::hash(text.as_bytes()).to_hex()[..DIGITS]);
                Ok(Self::Event(message(&id, text.to_owned(), now)))
            }
        }
    }
}

impl Letter {
    fn message(self) -> Result<Message, LineError> {
        let sent_at = self.origin.published_at.parse().map_err(|_| LineError::Letter)?;
        let mut message = message(&self.origin.message_id, self.body, sent_at);
        message.sequence_number = self.origin.sequence_number;
        message.group_id = self.origin.group_id;
        let text = |attribute: LetterAttribute| {
            let value = AttributeValue::Text(attribute.value?);
            Some(Attribute { name: attribute.name, data_type: attribute.data_type, value })
        };
        // The origin stands in the message itself now.
        let sent = self.message_attributes.into_iter().filter(|attribute| attribute.name != Origin::ATTRIBUTE);
        message.attributes = sent.filter_map(text).collect();
        Ok(message)
    }
}

fn message(id: &str, body: String, sent_at: Timestamp) -> Message {
    Message {
        handle: Handle { message_id: id.into(), receipt: "".into() },
        body,
        attributes: Vec::new(),
        sent_at,
        receive_count: 1,
        group_id: None,
        sequence_number: None,
        deduplication_id: None,
        permit: None,
        trace: Trace::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Timestamp {
        "2026-01-09T10:00:05Z".parse().unwrap()
    }

    #[test]
    fn lines_are_told_apart_by_their_shape() {
        let read = |text: &str| Line::read(text, moment());
        let event = r#"{"tableName":"t","operation":"insert","recordId":"1","after":{}}"#;
        let (Ok(Line::Event(one)), Ok(Line::Event(again))) = (read(event), read(event)) else { panic!("no event") };
        assert_eq!(one.handle.message_id, again.handle.message_id);
        // What cannot be read is left to the decoder, which says where and why.
        assert!(matches!(read("nonsense"), Ok(Line::Event(_))));
        assert!(matches!(read(r#"{"end":true,"items":7}"#), Ok(Line::End)));
        let entry = r#"{"id":"e","record_id":["1"],"changed":[],"published_at":"…","stored_at":"…"}"#;
        assert!(matches!(read(entry), Ok(Line::Entry)));
        let letter = r#"{"message_id":"m2","body":"[]","origin":{"message_id":"m1","published_at":"2026-01-09T10:00:00Z",
            "sequence_number":null,"group_id":"g"},"message_attributes":[]}"#;
        let Ok(Line::Letter(letter)) = read(letter) else { panic!("no letter") };
        assert_eq!((&*letter.handle.message_id, letter.group_id.as_deref()), ("m1", Some("g")));
        assert_eq!(read(r#"{"body":1,"origin":{},"message_attributes":[]}"#).unwrap_err(), LineError::Letter);
    }
}
