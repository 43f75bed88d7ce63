//! Wire formats in, one canonical change event out; no I/O.
//!
//! [`decode()`] takes a [`Message`] out of its envelopes (SNS notifications, strings that hold JSON, lists), tells each
//! event's format by its shape and reads it as a [`ChangeEvent`]. What cannot be understood becomes a [`Refusal`], which
//! says what it was taken for, where it went wrong and what was expected, and never shows a value.
//!
//! Read are the native event, v0 and v1, and Sequin change messages. Other formats are recognised and refused by name.
//!
//! The source [`OWN_SOURCE`] is the trail's own: an event that claims it, in whatever format, is refused.
//!
//! Nothing that was sent is lost: what no field of the event takes is kept in its context, under `extra`.
//!
//! ```
//! use afterimage_event::{Contents, Layers, Message, Op, Settings, decode};
//!
//! let message = Message {
//!     body: r#"{"tableName":"users","operation":"delete","before":{"id":7}}"#,
//!     message_id: "19dd0b57-b21e-4ac1-bd88-01bbb068cb78",
//!     sent_at: "2026-01-09T10:00:05.120Z".parse()?,
//!     sequence_number: None,
//!     group_id: None,
//!     origin: None,
//! };
//! let (settings, mut layers) = (Settings::default(), Layers::default());
//! let Contents::Events(mut events) = decode(&message, &settings, &mut layers)? else { panic!("no event") };
//! let event = events.next().expect("one event")?;
//! assert_eq!(event.op, Op::Delete);
//! assert_eq!(event.record.record_id, ["7"]);
//! assert_eq!(event.id.value, message.message_id);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actor;
mod change;
mod context;
mod decode;
mod delivery;
mod detect;
mod events;
mod fields;
mod format;
mod limits;
mod list;
mod message;
mod native;
mod origin;
mod record_id;
mod record_text;
mod refusal;
mod sequin;
mod sns;
mod time;

pub use change::{
    Actor, Aside, AsideKind, ChangeEvent, EventId, IdOrigin, Op, ParseOpError, Position, RecordKey, TimeOrigin,
};
pub use decode::{Contents, Layers, decode};
pub use events::Events;
pub use format::{Format, ParseFormatError};
pub use limits::{
    ID_BYTES_MAX, LAYERS_MAX, Limits, MEMBERS_MAX, NAME_BYTES_MAX, NESTING_MAX, OWN_SOURCE, RECORD_ID_PARTS_MAX,
    UNKNOWN_MAX,
};
pub use message::{DEFAULT_NAME, Message, NoRecordKeys, RecordKeys, Settings};
pub use origin::{Origin, OriginError};
pub use record_text::{RecordId, RecordIdError};
pub use refusal::{Layer, Place, Problem, Refusal, Spot};
pub use sns::{Control, ControlKind};
pub use time::{Timestamp, TimestampError};
