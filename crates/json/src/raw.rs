//! Text proven to be one JSON value.

use crate::string::proven_text;
use crate::swar::find_special;
use crate::{Error, Pointer, Scanner};
use std::borrow::Cow;
use std::collections::HashSet;

/// A slice of text that is exactly one JSON value, without white space around it: RFC 8259 grammar, limited
/// nesting, no duplicate keys, no half surrogate pairs.
///
/// There is no `==`: the same data has many spellings. Compare [`as_str`](Self::as_str) or call [`equal`](crate::equal()).
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a str);

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number, of any length.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Raw<'a> {
    /// `null`.
    pub const NULL: Raw<'static> = Raw("null");

    /// Checks all of `text`; white space around the value is left out.
    ///
    /// # Errors
    /// The text is not one JSON value, or has duplicate keys, half a surrogate pair or too many levels.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        Self::parse_within(text, crate::DEPTH_MAX)
    }

    /// [`parse`](Self::parse) with another limit on nesting: a lower one leaves room for wrapping the value later.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_within(text: &'a str, depth_max: usize) -> Result<Self, Error> {
        let mut scanner = Scanner::within(text, depth_max);
        scanner.skip_whitespace();
        let value = scanner.skip_value()?;
        scanner.finish()?;
        Ok(value)
    }

    /// A slice that a scanner has just passed.
    #[inline]
    pub(crate) fn proven(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The members of an object, in order.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        (self.kind() == Kind::Object).then_some(Members(Walk { text: self.0, pos: 1 }))
    }

    /// The elements of an array, in order.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        (self.kind() == Kind::Array).then_some(Elements(Walk { text: self.0, pos: 1 }))
    }

    /// A member of an object by its name after unescaping.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.members()?.find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// An element of an array by its position from 0.
    #[must_use]
    pub fn element(self, index: usize) -> Option<Self> {
        self.elements()?.nth(index)
    }

    /// The value a pointer leads to (RFC 6901 §4). `-` leads nowhere, nor does an index with leading zeros.
    #[must_use]
    pub fn at(self, pointer: &Pointer) -> Option<Self> {
        pointer.segments().try_fold(self, |value, segment| match value.kind() {
            Kind::Object => value.get(&segment),
            Kind::Array => value.element(crate::pointer::index(&segment)?),
            _ => None,
        })
    }

    /// The text of a string, unescaped. Allocates only if there is an escape.
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        self.quoted_inner().map(proven_text)
    }

    /// What stands between the quotes of a string, escapes as they are.
    #[must_use]
    pub fn quoted_inner(self) -> Option<&'a str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }

    /// The literal text of a number.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        (self.kind() == Kind::Number).then_some(self.0)
    }

    /// A boolean.
    #[must_use]
    pub fn bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Is it `null`?
    #[must_use]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// Where an object names a member for the second time. For a scanner that suspects it: the answer is exact.
    pub(crate) fn duplicate_key(self) -> Option<usize> {
        let mut walk = Walk { text: self.0, pos: 1 };
        let mut seen = HashSet::new();
        loop {
            let (at, key, _) = walk.member()?;
            if !seen.insert(proven_text(key)) {
                return Some(at);
            }
        }
    }
}

/// The members of an object: unescaped name and value, in order.
#[derive(Clone, Debug)]
pub struct Members<'a>(Walk<'a>);

impl<'a> Members<'a> {
    /// The next member, its name as it is spelled between the quotes.
    #[inline]
    pub fn next_spelled(&mut self) -> Option<(&'a str, Raw<'a>)> {
        self.0.member().map(|(_, key, value)| (key, value))
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_spelled().map(|(key, value)| (proven_text(key), value))
    }
}

/// The elements of an array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a>(Walk<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.0.element()
    }
}

/// A cursor inside an object or array that is proven: it finds ends and checks nothing.
#[derive(Clone, Debug)]
struct Walk<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Walk<'a> {
    fn element(&mut self) -> Option<Raw<'a>> {
        self.start()?;
        Some(self.value())
    }

    /// Offset of the key, its spelling between the quotes, and the value.
    fn member(&mut self) -> Option<(usize, &'a str, Raw<'a>)> {
        let at = self.start()?;
        let end = string_end(self.text.as_bytes(), at + 1);
        let key = &self.text[at + 1..end - 1];
        self.pos = end;
        self.skip(|byte| is_whitespace(byte) || byte == b':');
        Some((at, key, self.value()))
    }

    /// Moves to the next member or element; `None` at the closing bracket.
    fn start(&mut self) -> Option<usize> {
        self.skip(|byte| is_whitespace(byte) || byte == b',');
        // The last byte of the text is the closing bracket.
        (self.pos + 1 < self.text.len()).then_some(self.pos)
    }

    fn value(&mut self) -> Raw<'a> {
        let start = self.pos;
        self.pos = value_end(self.text.as_bytes(), start);
        Raw(&self.text[start..self.pos])
    }

    fn skip(&mut self, passes: impl Fn(u8) -> bool) {
        while self.text.as_bytes().get(self.pos).is_some_and(|&byte| passes(byte)) {
            self.pos += 1;
        }
    }
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// Just after the closing quote of the proven string whose text starts at `pos`.
pub(crate) fn string_end(bytes: &[u8], mut pos: usize) -> usize {
    loop {
        pos = find_special(bytes, pos);
        match bytes.get(pos) {
            Some(b'\\') => pos += 2,
            Some(_) => return pos + 1,
            None => return bytes.len(),
        }
    }
}

/// Just after the proven value that starts at `pos`.
fn value_end(bytes: &[u8], mut pos: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match bytes.get(pos) {
            None => return bytes.len(),
            Some(b'"') => pos = string_end(bytes, pos + 1),
            Some(b'{' | b'[') => {
                depth += 1;
                pos += 1;
                continue;
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                pos += 1;
            }
            Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t') => {
                pos += 1;
                continue;
            }
            // A number or a literal.
            Some(_) => {
                while bytes.get(pos).is_some_and(|byte| !matches!(byte, b',' | b'}' | b']') && !is_whitespace(*byte)) {
                    pos += 1;
                }
            }
        }
        if depth == 0 {
            return pos;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_value_is_walked_without_a_tree() {
        let raw = Raw::parse(" { \"a\\u0062\" : [1, -2.5e3 ,\"x\\\"]\",{}, []] , \"é\":null,\"t\":true } ").unwrap();
        assert_eq!(raw.kind(), Kind::Object);
        let members: Vec<_> = raw.members().unwrap().map(|(key, value)| (key.into_owned(), value.as_str())).collect();
        assert_eq!(
            members,
            [("ab".to_owned(), "[1, -2.5e3 ,\"x\\\"]\",{}, []]"), ("é".to_owned(), "null"), ("t".to_owned(), "true"),]
        );
        let elements: Vec<_> = raw.get("ab").unwrap().elements().unwrap().map(Raw::as_str).collect();
        assert_eq!(elements, ["1", "-2.5e3", "\"x\\\"]\"", "{}", "[]"]);
        assert_eq!(raw.at(&"/ab/2".parse().unwrap()).unwrap().string().unwrap(), "x\"]");
        for nowhere in ["/ab/02", "/ab/-", "/ab/5", "/nope", "/t/x"] {
            assert!(raw.at(&nowhere.parse().unwrap()).is_none(), "{nowhere}");
        }
        assert_eq!(raw.get("t").unwrap().bool(), Some(true));
        assert!(raw.get("é").unwrap().is_null());
    }

    #[test]
    fn what_is_refused_says_where_and_why() {
        use ErrorKind::*;
        let deep = "[".repeat(crate::DEPTH_MAX + 1);
        for (text, offset, kind) in [
            ("", 0, UnexpectedEnd),
            ("  ", 2, UnexpectedEnd),
            ("{\"a\" 1}", 5, Expected("`:` after a key")),
            ("{\"a\":1,}", 7, Expected("a key in double quotes")),
            ("[1,]", 3, Expected("a value")),
            ("[1 2]", 3, Expected("`,` or `]` after an element")),
            ("\"\\x\"", 1, BadEscape),
            ("\"\\u12g4\"", 1, BadEscape),
            ("\"\\ud800\"", 1, LoneSurrogate),
            ("\"\\udc00\"", 1, LoneSurrogate),
            ("\"\\ud800\\u0041\"", 1, LoneSurrogate),
            ("\"a\nb\"", 2, ControlCharacter),
            ("01", 1, BadNumber),
            ("-", 1, UnexpectedEnd),
            ("1.x", 2, BadNumber),
            ("nul", 3, UnexpectedEnd),
            ("tru3", 3, Expected("true, false or null")),
            ("{\"a\":1,\"\\u0061\":2}", 7, DuplicateKey),
            ("{} x", 3, TrailingText),
            (deep.as_str(), crate::DEPTH_MAX, TooDeep),
        ] {
            let error = Raw::parse(text).unwrap_err();
            assert_eq!((error.offset(), error.kind()), (offset, kind), "{text}");
        }
        let error = Raw::parse("{\"a\" 1}").unwrap_err();
        assert_eq!(error.to_string(), "expected `:` after a key at byte 5");
    }

    #[test]
    fn nesting_up_to_the_limit_is_read() {
        let text = format!("{}{}", "[".repeat(crate::DEPTH_MAX), "]".repeat(crate::DEPTH_MAX));
        assert!(Raw::parse(&text).is_ok());
    }
}
