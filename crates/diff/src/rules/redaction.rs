//! What stands in place of a value that the trail must not show.

use std::fmt;
use std::str::FromStr;

/// The JSON string that stands for a masked value.
pub(crate) const MASK: &str = "\"***\"";

/// How a value is kept out of the trail. That it changed stays visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Redaction {
    /// The member is absent from images; a change of it bears no values. An element of an array keeps its place, masked.
    Drop,
    /// `"***"` in images; a change of it bears no values.
    Mask,
    /// `"hmac:<32 hexadecimal digits>"`, a keyed digest of the value, in images and changes: equal values stay recognisable
    /// as equal. Needs a secret digest key to hide values that can be guessed ([`crate::Rules::needs_secret_key`]).
    Hmac,
}

impl Redaction {
    /// The name in configuration and in the trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hmac => "hmac",
        }
    }
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no redaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of drop, mask, hmac")]
pub struct ParseRedactionError;

impl FromStr for Redaction {
    type Err = ParseRedactionError;

    fn from_str(text: &str) -> Result<Self, ParseRedactionError> {
        [Self::Drop, Self::Mask, Self::Hmac].into_iter().find(|one| one.as_str() == text).ok_or(ParseRedactionError)
    }
}
