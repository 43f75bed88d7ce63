//! JSON text to BSON.
//!
//! | JSON | BSON |
//! |---|---|
//! | object, array, string, `true`, `false`, `null` | the same; keys as [`escape_key`] has them |
//! | a whole number that fits 64 bits, as `12` | int64 |
//! | any other number, as `19.90`, `1e3`, `-0`, 30 digits | `{"%number": "19.90"}`: every digit as it was spelled |
//! | a string with a NUL in it, and what lies too deep | `{"%json": "…"}`: its JSON text |
//!
//! [`crate::decode`] makes the text again. It comes out as it was, byte for byte, when it was spelled as most programs
//! spell JSON: no white space, and no escape that is not needed. The writer says whether that is so.

use std::borrow::Cow;

use afterimage_json::{push_quoted, unescape};

use crate::bson::{Index, JSON, Writer};
use crate::names::escape_key;

/// Name of the member that holds a number that is no int64.
pub(crate) const NUMBER: &str = "%number";

/// Levels of a value that are written as documents. Servers take 100 (<https://www.mongodb.com/docs/manual/reference/limits/>),
/// of which the document of the entry, the list of changes, a change and a tag need four.
const LEVELS_MAX: usize = 90;

/// The text is not the JSON it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// Was a value spelled as [`crate::decode`] spells it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Plain,
    Own,
}

/// A walk over JSON text. It checks as much as it needs to say what comes out when the document is read; numbers and
/// what lies too deep are kept as they are.
pub(crate) struct Encoder<'a> {
    text: &'a str,
    pos: usize,
    spelling: Spelling,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, pos: 0, spelling: Spelling::Plain }
    }

    /// Takes the text `{`, of an object without white space.
    pub(crate) fn begin_object(&mut self) -> Result<(), NotJson> {
        if self.take(b'{') { Ok(()) } else { Err(NotJson) }
    }

    /// The next key at the top, or `None` at the end of the text. Strict: what is spelled otherwise is refused.
    pub(crate) fn next_key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>, NotJson> {
        if self.take(b'}') {
            return if self.pos == self.text.len() { Ok(None) } else { Err(NotJson) };
        }
        if !is_first && !self.take(b',') {
            return Err(NotJson);
        }
        let (key, spelling) = self.string()?;
        if spelling == Spelling::Plain && self.take(b':') { Ok(Some(key)) } else { Err(NotJson) }
    }

    /// Writes the value that comes next; returns how it is spelled, and its text.
    pub(crate) fn value(&mut self, key: &str, out: &mut Writer) -> Result<(Spelling, &'a str), NotJson> {
        self.spelling = Spelling::Plain;
        let start = self.pos;
        self.any(key, out, LEVELS_MAX)?;
        Ok((self.spelling, &self.text[start..self.pos]))
    }

    fn any(&mut self, key: &str, out: &mut Writer, levels: usize) -> Result<(), NotJson> {
        match self.peek() {
            Some(b'{' | b'[') if levels == 0 => {
                let start = self.pos;
                self.skip_nested()?;
                out.tagged(key, JSON, &self.text[start..self.pos]);
                Ok(())
            }
            Some(b'{') => self.object(key, out, levels - 1),
            Some(b'[') => self.array(key, out, levels - 1),
            Some(b'"') => {
                let start = self.pos;
                let (text, spelling) = self.string()?;
                // JSON has a NUL only as an escape. Such a text stands as it was spelled.
                if matches!(text, Cow::Owned(_)) && text.as_bytes().contains(&0) {
                    out.tagged(key, JSON, &self.text[start..self.pos]);
                } else {
                    out.text(key, &text);
                    self.note(spelling);
                }
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number(key, out);
                Ok(())
            }
            Some(b't') => self.literal("true").map(|()| out.bool(key, true)),
            Some(b'f') => self.literal("false").map(|()| out.bool(key, false)),
            Some(b'n') => self.literal("null").map(|()| out.null(key)),
            _ => Err(NotJson),
        }
    }

    fn object(&mut self, key: &str, out: &mut Writer, levels: usize) -> Result<(), NotJson> {
        let open = out.document(key);
        self.pos += 1;
        self.space();
        let mut is_first = true;
        while !self.take(b'}') {
            self.comma(is_first)?;
            is_first = false;
            let (key, spelling) = self.string()?;
            self.note(spelling);
            self.space();
            if !self.take(b':') {
                return Err(NotJson);
            }
            self.space();
            self.any(&escape_key(&key), out, levels)?;
            self.space();
        }
        out.close(open);
        Ok(())
    }

    fn array(&mut self, key: &str, out: &mut Writer, levels: usize) -> Result<(), NotJson> {
        let open = out.array(key);
        self.pos += 1;
        self.space();
        let mut length = 0;
        while !self.take(b']') {
            self.comma(length == 0)?;
            self.any(Index::new(length).as_str(), out, levels)?;
            length += 1;
            self.space();
        }
        out.close(open);
        Ok(())
    }

    fn comma(&mut self, is_first: bool) -> Result<(), NotJson> {
        if !is_first {
            if !self.take(b',') {
                return Err(NotJson);
            }
            self.space();
        }
        Ok(())
    }

    /// The text of a string, owned where it has escapes, and how it is spelled.
    fn string(&mut self) -> Result<(Cow<'a, str>, Spelling), NotJson> {
        if !self.take(b'"') {
            return Err(NotJson);
        }
        let (start, mut has_escapes) = (self.pos, false);
        let bytes = self.text.as_bytes();
        let end = loop {
            match bytes.get(self.pos) {
                Some(b'"') => break self.pos,
                Some(b'\\') => {
                    has_escapes = true;
                    self.pos += 2;
                }
                Some(0..0x20) | None => return Err(NotJson),
                Some(_) => self.pos += 1,
            }
        };
        self.pos = end + 1;
        let inner = self.text.get(start..end).ok_or(NotJson)?;
        if !has_escapes {
            return Ok((Cow::Borrowed(inner), Spelling::Plain));
        }
        let text = unescape(inner).map_err(|_| NotJson)?;
        let mut again = String::new();
        push_quoted(&text, &mut again);
        let is_plain = again == self.text[start - 1..=end];
        Ok((text, if is_plain { Spelling::Plain } else { Spelling::Own }))
    }

    fn number(&mut self, key: &str, out: &mut Writer) {
        let start = self.pos;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.pos += 1;
        }
        let literal = &self.text[start..self.pos];
        match int64(literal) {
            Some(number) => out.int64(key, number),
            None => out.tagged(key, NUMBER, literal),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<(), NotJson> {
        let is_there = self.text[self.pos..].starts_with(literal);
        self.pos += literal.len();
        if is_there { Ok(()) } else { Err(NotJson) }
    }

    /// Passes over an object or array: to the bracket that closes it.
    fn skip_nested(&mut self) -> Result<(), NotJson> {
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(NotJson)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.pos += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn note(&mut self, spelling: Spelling) {
        if spelling == Spelling::Own {
            self.spelling = spelling;
        }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.pos += 1;
            self.spelling = Spelling::Own;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.pos += usize::from(is_next);
        is_next
    }
}

/// The number, when it is spelled as an int64 is shown.
fn int64(literal: &str) -> Option<i64> {
    let digits = literal.strip_prefix('-').unwrap_or(literal).as_bytes();
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits.first() != Some(&b'0') || literal == "0");
    if is_plain { literal.parse().ok() } else { None }
}
