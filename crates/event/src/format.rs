//! The formats that are told apart, whether or not they are read yet.

use std::fmt;
use std::str::FromStr;

/// What a message was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The native event, v0 or v1.
    Native,
    /// Sequin change messages: <https://sequinstream.com/docs/reference/messages>.
    Sequin,
    /// An SNS notification or confirmation: the envelope, not an event.
    Sns,
    /// A pointer that the Extended Client Libraries of SQS and SNS send in place of a large message.
    S3Pointer,
    /// An `EventBridge` envelope.
    EventBridge,
    /// `CloudEvents` 1.0, structured JSON.
    CloudEvents,
    /// Debezium, with or without schema.
    Debezium,
    /// AWS Database Migration Service.
    Dms,
    /// A `DynamoDB` Streams record, or its Kinesis form.
    DynamoDb,
    /// A `MongoDB` change stream event.
    MongoDb,
    /// Maxwell.
    Maxwell,
    /// wal2json, format version 2: one tuple to an object.
    Wal2JsonV2,
    /// wal2json, format version 1: one transaction to an object.
    Wal2JsonV1,
}

impl Format {
    /// Every format; the foreign ones in the order in which they are looked for.
    pub const ALL: [Self; 13] = [
        Self::Native,
        Self::S3Pointer,
        Self::Sns,
        Self::EventBridge,
        Self::CloudEvents,
        Self::Debezium,
        Self::Sequin,
        Self::Dms,
        Self::DynamoDb,
        Self::MongoDb,
        Self::Maxwell,
        Self::Wal2JsonV2,
        Self::Wal2JsonV1,
    ];

    /// Its name in settings, metrics and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Sequin => "sequin",
            Self::Sns => "sns",
            Self::S3Pointer => "s3_pointer",
            Self::EventBridge => "eventbridge",
            Self::CloudEvents => "cloudevents",
            Self::Debezium => "debezium",
            Self::Dms => "dms",
            Self::DynamoDb => "dynamodb",
            Self::MongoDb => "mongodb",
            Self::Maxwell => "maxwell",
            Self::Wal2JsonV2 => "wal2json_v2",
            Self::Wal2JsonV1 => "wal2json_v1",
        }
    }

    /// Can events of this format be read? Only such a format makes sense as a pin.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Native | Self::Sequin)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no format that can be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a format that is read: native or sequin")]
pub struct ParseFormatError;

impl FromStr for Format {
    type Err = ParseFormatError;

    /// Reads the name of a format that can be pinned.
    fn from_str(text: &str) -> Result<Self, ParseFormatError> {
        Self::ALL.into_iter().find(|format| format.is_read() && format.as_str() == text).ok_or(ParseFormatError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_formats_that_are_read_can_be_pinned() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse().ok(), format.is_read().then_some(format), "{format}");
        }
    }
}
