//! What is too long, too many or too deep to be an event.

/// Longest event id, transaction id, actor part or part of a record id, in bytes.
pub const ID_BYTES_MAX: usize = 1_024;

/// Longest tenant, source or table, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// The source of entries that the trail writes of itself (who asked it what). No event may name it: what stands there
/// would otherwise be anybody's word.
pub const OWN_SOURCE: &str = "afterimage";

/// Most parts of a record id. `PostgreSQL`, `MySQL` and SQL Server allow 32 columns in a key or less.
pub const RECORD_ID_PARTS_MAX: usize = 32;

/// Most pointers in `unknown`.
pub const UNKNOWN_MAX: usize = 1_000;

/// Most top-level members of an event or an envelope; images may have any number.
pub const MEMBERS_MAX: usize = 1_000;

/// Deepest nesting of a message, of each text in it by itself. `serde_json` reads [`afterimage_json::DEPTH_MAX`] levels, and
/// what is kept of an event lies deeper than it came: a value of its images up to five levels deeper in an answer
/// (`items`, entry, `changes`, change, `old`) than in the image, an unknown member of it three (`context`, `extra`). What
/// is taken in must be readable ever after, so there is room for both and for more.
pub const NESTING_MAX: usize = 100;

/// Most envelopes and strings around an event: a body in a notification is one.
pub const LAYERS_MAX: usize = 4;

/// Bounds of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body, in bytes.
    pub body_bytes: usize,
    /// Most events in one message.
    pub events: usize,
}

impl Default for Limits {
    /// 4 MiB, four times what SQS takes (1 MiB,
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>), and 10,000
    /// events: such a message would have 100 bytes for each.
    fn default() -> Self {
        Self { body_bytes: 4 * 1024 * 1024, events: 10_000 }
    }
}
