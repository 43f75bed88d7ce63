//! The content of an entry: one JSON object, written whole and never changed.
//!
//! Format 1. Keys stand in the order below; those in brackets are left out where there is nothing to say. Everything
//! is a pure function of the message and the rules: the same telling gives the same bytes.
//!
//! | key | value |
//! |---|---|
//! | `v` | 1 |
//! | `rules` | digest of the rules that shaped it |
//! | `id`, `input_digest`, `revision`, `published_at` | the identity |
//! | `tenant`, `source`, `table`, `record_id` | the record |
//! | `op`, `occurred_at`, \[`position`\], \[`transaction`\] | what, when, where in the order |
//! | \[`actor`\], \[`context`\], \[`labels`\] | who, from where and why, names for ids |
//! | `images` | the images policy: `after`, `changes`, `names` |
//! | `changed`, \[`changes`\] | top-level names; the changes of an update |
//! | \[`before`\], \[`after`\] | the image before (deletes only), the image after |
//! | \[`unknown`\], \[`redacted`\], \[`approximate`\] | JSON Pointers |
//! | \[`before_digest`\], \[`after_digest`\], \[`expires_at`\] | |
//!
//! The changes of an insert and a delete are those of their one image: they are not stored twice but derived on
//! reading. `stored_at` and the flags of an entry depend on when and beside what it is read, so they are not here.

mod derive;
mod read;
mod write;

pub(crate) use derive::{Side, changes_of_image};
pub use read::{ActorParts, Content, ContentError, read_change};
pub(crate) use write::Writer;

/// The format that is written, and the highest one that is read.
pub const FORMAT_VERSION: u32 = 1;
