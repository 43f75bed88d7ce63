//! Why a message, or one event of it, was not understood.

use std::borrow::Cow;
use std::fmt;

use afterimage_json::{ErrorKind, Pointer};

use crate::Format;
use crate::limits::{LAYERS_MAX, MEMBERS_MAX, NESTING_MAX, OWN_SOURCE};

/// A message, or one event of it, that cannot be understood: what it was taken for, where, and what was expected.
///
/// Neither this nor its text ever holds a value from the message; names of members are cut after 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// What it was taken for; `None` when that could not be told.
    pub format: Option<Format>,
    /// Which event of a list, from 0; `None` when the message holds one event, or it is about the whole message.
    pub event_index: Option<usize>,
    /// Where.
    pub place: Place,
    /// What was wrong.
    pub problem: Problem,
}

impl Refusal {
    /// The kind of problem, for metrics and dead letters: one of [`Problem::CODES`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.problem.code()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            Some(format) => write!(f, "{format}")?,
            None => f.write_str("unrecognised")?,
        }
        if let Some(index) = self.event_index {
            write!(f, " event {index}")?;
        }
        write!(f, ": {}: {}", self.place, self.problem)
    }
}

/// A place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which text.
    pub layer: Layer,
    /// Where in that text.
    pub spot: Spot,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spot {
            Spot::Pointer(pointer) if pointer.is_root() => write!(f, "{}", self.layer),
            Spot::Pointer(pointer) => write!(f, "{} of the {}", Shortened(pointer), self.layer),
            Spot::Byte(offset) => write!(f, "byte {offset} of the {}", self.layer),
        }
    }
}

/// Where in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A member, by RFC 6901; `/3/before` when the text is a list of events.
    Pointer(Pointer),
    /// A byte offset, in text that is no JSON.
    Byte(usize),
}

/// The texts in a message: its body, and what was found packed inside. Places are relative to one of them, unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The body, as the queue gave it.
    Body,
    /// The `Message` of an SNS notification; the number counts the packings around it, from 1.
    SnsMessage(usize),
    /// A JSON string that holds JSON; the number counts the packings around it, from 1.
    Text(usize),
}

impl Layer {
    /// How many packings are around it.
    #[must_use]
    pub const fn depth(self) -> usize {
        match self {
            Self::Body => 0,
            Self::SnsMessage(depth) | Self::Text(depth) => depth,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => f.write_str("body"),
            Self::SnsMessage(depth) => write!(f, "SNS Message (layer {depth})"),
            Self::Text(depth) => write!(f, "JSON string (layer {depth})"),
        }
    }
}

/// A pointer for people: long names are cut, since a producer may use values as names.
struct Shortened<'a>(&'a Pointer);

impl Shortened<'_> {
    const NAME_BYTES: usize = 64;
}

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.0.as_str().split('/').skip(1) {
            match name.char_indices().map(|(at, _)| at).find(|&at| at >= Self::NAME_BYTES) {
                Some(end) => write!(f, "/{}…", &name[..end])?,
                None => write!(f, "/{name}")?,
            }
        }
        Ok(())
    }
}

/// What was wrong. Its text says what was expected instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text is no JSON.
    #[error("expected JSON: {}", Grammar(.0))]
    NotJson(ErrorKind),
    /// An object names a member twice.
    #[error("expected each key once in an object: which value holds is anybody's guess")]
    DuplicateKey,
    /// Nested too deep.
    #[error("expected at most {NESTING_MAX} levels of nesting")]
    TooDeep,
    /// The body is too long.
    #[error("expected at most {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Too many events in one message.
    #[error("expected at most {limit} events in one message")]
    TooManyEvents {
        /// The limit.
        limit: usize,
    },
    /// Too many top-level members.
    #[error("expected at most {MEMBERS_MAX} members")]
    TooManyMembers,
    /// Too many envelopes around it.
    #[error("expected an event within {LAYERS_MAX} envelopes")]
    TooManyLayers,
    /// An envelope as an element of a list.
    #[error("expected an event: an envelope cannot be an element of a list")]
    NestedEnvelope,
    /// JSON, but no format that is known.
    #[error(
        "expected an event: an object with tableName and operation, a Sequin change message, an SNS notification of \
         one, or a list of them"
    )]
    UnknownShape,
    /// A known format that is not read.
    #[error("{} is not supported yet: expected a native event or a Sequin change message", .0)]
    NotSupported(Format),
    /// Topics are restricted, and this did not come from one of them.
    #[error("expected an SNS notification of an allowed topic")]
    TopicNotAllowed,
    /// A member that must be there is not.
    #[error("expected {0}, which is missing")]
    Missing(&'static str),
    /// A member of the wrong type.
    #[error("expected {0}")]
    WrongType(&'static str),
    /// A member of the right type whose value cannot be used.
    #[error("expected {0}")]
    BadValue(&'static str),
    /// A name, an id or a list that is too long.
    #[error("expected at most {limit} {unit}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// Of what: bytes, parts, pointers.
        unit: &'static str,
    },
    /// A name or an id without text.
    #[error("expected text that is not empty")]
    Empty,
    /// One member in two spellings with different values.
    #[error("expected one spelling of this member, or the same value in both")]
    Contradiction,
    /// The operation needs an image that is not there.
    #[error("expected {0}")]
    MissingImage(&'static str),
    /// The source is the trail's own.
    #[error("expected another source: {OWN_SOURCE} is the trail's own, for entries that say who asked it what")]
    ReservedSource,
    /// Nothing names the record.
    #[error("expected a record id: {0}")]
    MissingRecordId(Cow<'static, str>),
}

impl Problem {
    /// Every value of [`code`](Self::code).
    pub const CODES: [&'static str; 20] = [
        "not_json",
        "duplicate_key",
        "too_deep",
        "too_large",
        "too_many_events",
        "too_many_members",
        "too_many_layers",
        "nested_envelope",
        "unknown_shape",
        "not_supported",
        "topic_not_allowed",
        "missing",
        "wrong_type",
        "bad_value",
        "too_long",
        "empty",
        "contradiction",
        "missing_image",
        "reserved_source",
        "missing_record_id",
    ];

    /// Its kind, for metrics and dead letters: one of [`CODES`](Self::CODES).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "not_json",
            Self::DuplicateKey => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyEvents { .. } => "too_many_events",
            Self::TooManyMembers => "too_many_members",
            Self::TooManyLayers => "too_many_layers",
            Self::NestedEnvelope => "nested_envelope",
            Self::UnknownShape => "unknown_shape",
            Self::NotSupported(_) => "not_supported",
            Self::TopicNotAllowed => "topic_not_allowed",
            Self::Missing(_) => "missing",
            Self::WrongType(_) => "wrong_type",
            Self::BadValue(_) => "bad_value",
            Self::TooLong { .. } => "too_long",
            Self::Empty => "empty",
            Self::Contradiction => "contradiction",
            Self::MissingImage(_) => "missing_image",
            Self::ReservedSource => "reserved_source",
            Self::MissingRecordId(_) => "missing_record_id",
        }
    }
}

impl From<afterimage_json::Error> for Problem {
    fn from(error: afterimage_json::Error) -> Self {
        match error.kind() {
            ErrorKind::DuplicateKey => Self::DuplicateKey,
            ErrorKind::TooDeep => Self::TooDeep,
            kind => Self::NotJson(kind),
        }
    }
}

/// What the grammar was broken by; the place is told beside it.
struct Grammar<'a>(&'a ErrorKind);

impl fmt::Display for Grammar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ErrorKind::UnexpectedEnd => f.write_str("the text ends inside a value"),
            ErrorKind::Expected(what) => write!(f, "{what} is due here"),
            ErrorKind::BadEscape => f.write_str("an escape is malformed"),
            ErrorKind::LoneSurrogate => f.write_str("half of a surrogate pair is no character"),
            ErrorKind::ControlCharacter => f.write_str("a control character must be escaped"),
            ErrorKind::BadNumber => f.write_str("a number is malformed"),
            ErrorKind::TrailingText => f.write_str("text follows the value"),
            _ => f.write_str("the grammar of RFC 8259 is broken"),
        }
    }
}

/// A problem on its way up: the names below the event, before it is known where the event stands.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: Pointer,
    pub(crate) problem: Problem,
}

impl Fault {
    pub(crate) fn new(at: impl IntoIterator<Item = impl AsRef<str>>, problem: Problem) -> Self {
        Self { at: at.into_iter().collect(), problem }
    }

    /// About the event as a whole.
    pub(crate) fn whole(problem: Problem) -> Self {
        Self { at: Pointer::root(), problem }
    }
}
