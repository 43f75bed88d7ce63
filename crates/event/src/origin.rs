//! Where a dead letter came from, so that sending it back does not make a new event of it.

use std::fmt;
use std::str::FromStr;

use crate::{Message, Position, Timestamp};

/// What SQS forgets when a message is sent again and event ids, times and positions may rest on (design §2).
///
/// Its text travels in one message attribute, [`ATTRIBUTE`](Self::ATTRIBUTE):
/// `v1;id=19dd0b57-b21e-4ac1-bd88-01bbb068cb78;published=2026-01-09T10:00:05.120000Z;seq=18849496460467696128;group=u1`.
/// Values are percent-encoded where they hold anything but letters, digits and `-._~:/+`; `seq` and `group` are there
/// only for messages of FIFO queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The SQS message id of the first time.
    pub message_id: String,
    /// When SQS accepted the message the first time.
    pub sent_at: Timestamp,
    /// The `SequenceNumber` of a FIFO queue, decimal digits.
    pub sequence_number: Option<String>,
    /// The `MessageGroupId`.
    pub group_id: Option<String>,
}

/// The attribute holds no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// It does not start with a version that is known.
    #[error("an origin starts with `v1;`: was it written by a newer version?")]
    Version,
    /// It is longer than any origin.
    #[error("an origin has at most {} bytes", Origin::BYTES_MAX)]
    TooLong,
    /// A part is missing or malformed.
    #[error("part `{0}` of the origin is missing or malformed")]
    Part(&'static str),
}

impl Origin {
    /// The message attribute (`String`) that carries it.
    pub const ATTRIBUTE: &'static str = "afterimage.origin";

    /// Longest text that is read: ids and groups of 128 characters (the SQS maximum), all of them encoded, fit.
    pub const BYTES_MAX: usize = 4_096;

    /// The origin of a message: the one it carries, or itself.
    #[must_use]
    pub fn of(message: &Message<'_>) -> Self {
        message.origin.clone().unwrap_or_else(|| Self {
            message_id: message.message_id.to_owned(),
            sent_at: message.sent_at,
            // One that is no position is none in events either, and would not be read back.
            sequence_number: message.sequence_number.filter(|digits| is_position(digits)).map(str::to_owned),
            group_id: message.group_id.map(str::to_owned),
        })
    }

    /// The value of the attribute.
    #[must_use]
    pub fn to_attribute(&self) -> String {
        self.to_string()
    }

    /// Reads the value of the attribute. Parts it does not know are passed over.
    ///
    /// # Errors
    /// [`OriginError`]; such a message is best treated as one without origin.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if text.len() > Self::BYTES_MAX {
            return Err(OriginError::TooLong);
        }
        let parts = text.strip_prefix("v1;").ok_or(OriginError::Version)?;
        let find = |name: &'static str| {
            let value = parts.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| decode(value).ok_or(OriginError::Part(name))).transpose()
        };
        let message_id = find("id")?.filter(|id| !id.is_empty()).ok_or(OriginError::Part("id"))?;
        let published = find("published")?.ok_or(OriginError::Part("published"))?;
        let sequence_number = find("seq")?;
        if sequence_number.as_deref().is_some_and(|digits| !is_position(digits)) {
            return Err(OriginError::Part("seq"));
        }
        Ok(Self {
            message_id,
            sent_at: published.parse().map_err(|_| OriginError::Part("published"))?,
            sequence_number,
            group_id: find("group")?,
        })
    }
}

fn is_position(digits: &str) -> bool {
    Position::new("", digits).is_some()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1;id={};published={}", Encoded(&self.message_id), self.sent_at)?;
        if let Some(digits) = &self.sequence_number {
            write!(f, ";seq={}", Encoded(digits))?;
        }
        if let Some(group) = &self.group_id {
            write!(f, ";group={}", Encoded(group))?;
        }
        Ok(())
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::parse(text)
    }
}

/// Text with everything percent-encoded that might end a part, or that SQS does not allow in an attribute.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b'+' => {
                write!(f, "{}", char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'%' { 16 * hex(bytes.next()?)? + hex(bytes.next()?)? } else { byte });
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    // A hexadecimal digit is below 16.
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(message_id: &str, sequence_number: Option<&str>, group_id: Option<&str>) -> Origin {
        Origin {
            message_id: message_id.to_owned(),
            sent_at: "2026-01-09T10:00:05.120Z".parse().unwrap(),
            sequence_number: sequence_number.map(str::to_owned),
            group_id: group_id.map(str::to_owned),
        }
    }

    #[test]
    fn the_text_is_stable() {
        let text = "v1;id=19dd0b57;published=2026-01-09T10:00:05.120000Z;seq=18849496460467696128;group=u%3B1";
        let origin = origin("19dd0b57", Some("18849496460467696128"), Some("u;1"));
        assert_eq!(origin.to_attribute(), text);
        assert_eq!(Origin::parse(text), Ok(origin));
    }

    #[test]
    fn the_origin_of_a_message_is_read_back_whatever_its_queue_numbers_with() {
        let number = "9".repeat(65);
        for (given, kept) in [("7", Some("7")), (number.as_str(), None), ("0x7", None), ("", None)] {
            let message = Message {
                body: "",
                message_id: "m-1",
                sent_at: "2026-01-09T10:00:05.120Z".parse().unwrap(),
                sequence_number: Some(given),
                group_id: Some("g"),
                origin: None,
            };
            let origin = Origin::of(&message);
            assert_eq!(origin.sequence_number.as_deref(), kept);
            assert_eq!(Origin::parse(&origin.to_attribute()), Ok(origin));
        }
    }

    #[test]
    fn odd_ids_come_back() {
        for id in ["a;b=c", "%41", "é😀", " \n\u{1}", "seq=9;v1;", "\"{}\""] {
            for group in [None, Some(""), Some(id)] {
                let origin = origin(id, None, group);
                assert_eq!(Origin::parse(&origin.to_attribute()), Ok(origin));
            }
        }
    }

    #[test]
    fn what_is_no_origin_says_why() {
        let long = format!("v1;id={}", "a".repeat(Origin::BYTES_MAX));
        for (text, error) in [
            ("", OriginError::Version),
            ("v2;id=a;published=2026-01-09T10:00:05Z", OriginError::Version),
            (long.as_str(), OriginError::TooLong),
            ("v1;published=2026-01-09T10:00:05Z", OriginError::Part("id")),
            ("v1;id=;published=2026-01-09T10:00:05Z", OriginError::Part("id")),
            ("v1;id=%4;published=2026-01-09T10:00:05Z", OriginError::Part("id")),
            ("v1;id=%FF;published=2026-01-09T10:00:05Z", OriginError::Part("id")),
            ("v1;id=a", OriginError::Part("published")),
            ("v1;id=a;published=now", OriginError::Part("published")),
            ("v1;id=a;published=2026-01-09T10:00:05Z;seq=x", OriginError::Part("seq")),
        ] {
            assert_eq!(Origin::parse(text), Err(error), "{text}");
        }
        assert!(Origin::parse("v1;id=a;published=2026-01-09T10:00:05Z;later=1").is_ok());
    }
}
