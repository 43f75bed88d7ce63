//! JSON text, kept as text.
//!
//! The trail must keep every digit and every key as it was sent, and must not pay for a tree of values that did not
//! change. So nothing here builds a tree: a [`Raw`] is a slice of the message that is *proven* to be one JSON value,
//! and everything else walks that slice.
//!
//! * [`Raw`]: validated text; its members, elements, strings and numbers.
//! * [`Scanner`]: the validating walk that `Raw` and the differ are built on.
//! * [`equal()`]: are two values the same data? (RFC 8259 leaves it open; design §3 fixes it.)
//! * [`canonical()`]: one spelling for each value, for digests.
//! * [`Pointer`]: RFC 6901.
//! * [`Object`]: an object being written.
//!
//! No I/O, no allocation on the way through well-formed text except where a doc comment says so.

mod canonical;
mod equal;
mod error;
mod keys;
mod marks;
mod number;
mod object;
mod pointer;
mod raw;
mod scan;
mod string;
mod swar;

pub use canonical::{Canonicalizer, canonical};
pub use equal::equal;
pub use error::{Error, ErrorKind};
pub use number::numbers_equal;
pub use object::Object;
pub use pointer::{Pointer, PointerError};
pub use raw::{Elements, Kind, Members, Raw};
pub use scan::{After, Open, Scanner};
pub use string::{push_quoted, same_text, unescape};

/// Deepest nesting of arrays and objects that is read by default; deeper text is refused with [`ErrorKind::TooDeep`].
/// As deep as `serde_json` reads.
pub const DEPTH_MAX: usize = 127;
