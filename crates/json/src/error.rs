//! Why text is no JSON that is read here.

use std::fmt;

/// Where and why text was refused. It never holds a piece of the text.
///
/// Boxed: results of the scanner then fit into registers, which shows in its speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    offset: usize,
    kind: ErrorKind,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text ended inside a value.
    UnexpectedEnd,
    /// Something else stood where this was due.
    Expected(&'static str),
    /// A backslash followed by none of `"\/bfnrtu`, or `\u` by less than four hexadecimal digits.
    BadEscape,
    /// Half of a UTF-16 surrogate pair, which is no character.
    LoneSurrogate,
    /// A character below U+0020 inside a string, which must be escaped.
    ControlCharacter,
    /// A number spelled as RFC 8259 does not allow.
    BadNumber,
    /// Nesting beyond the limit, [`DEPTH_MAX`](crate::DEPTH_MAX) unless the reader sets another.
    TooDeep,
    /// An object names a member twice, so which value holds is anybody's guess.
    DuplicateKey,
    /// More text after the value.
    TrailingText,
}

impl Error {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(offset: usize, kind: ErrorKind) -> Self {
        Self(Box::new(Inner { offset, kind }))
    }

    /// Something else than `what` stands at `offset`, or nothing at all.
    #[cold]
    #[inline(never)]
    pub(crate) fn expected(bytes: &[u8], offset: usize, what: &'static str) -> Self {
        Self::new(offset, if offset < bytes.len() { ErrorKind::Expected(what) } else { ErrorKind::UnexpectedEnd })
    }

    /// Byte offset in the text that was read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            ErrorKind::UnexpectedEnd => f.write_str("text ends inside a value")?,
            ErrorKind::Expected(what) => write!(f, "expected {what}")?,
            ErrorKind::BadEscape => f.write_str("invalid escape")?,
            ErrorKind::LoneSurrogate => f.write_str("half of a surrogate pair")?,
            ErrorKind::ControlCharacter => f.write_str("unescaped control character")?,
            ErrorKind::BadNumber => f.write_str("invalid number")?,
            ErrorKind::TooDeep => f.write_str("nested too deep")?,
            ErrorKind::DuplicateKey => f.write_str("duplicate key")?,
            ErrorKind::TrailingText => f.write_str("text after the value")?,
        }
        write!(f, " at byte {}", self.0.offset)
    }
}

impl std::error::Error for Error {}
