//! The validating walk over text that nobody has looked at yet.
//!
//! Inside, functions take a position and return the next one, so that it stays in a register; the cursor of a [`Scanner`] is
//! written back once for each call from outside.

use crate::keys::{Filter, Keys};
use crate::marks::Marks;
use crate::swar::digits_end;
use crate::{DEPTH_MAX, Error, ErrorKind, Raw, string};

/// A cursor over JSON text that proves what it passes: RFC 8259 grammar, limited nesting, no duplicate keys, no half
/// surrogate pairs.
///
/// [`skip_value`](Self::skip_value) takes a value whole. A caller that wants to see the members of an object on the way
/// calls [`open_object`](Self::open_object), passes white space, then [`key`](Self::key), [`colon`](Self::colon), a value
/// and [`comma`](Self::comma) in turn, and [`close_object`](Self::close_object).
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    depth: usize,
    depth_max: usize,
    keys: Keys,
    marks: Marks,
}

/// An object that a [`Scanner`] stands in.
#[derive(Clone, Debug)]
pub struct Open {
    start: usize,
    first_key: usize,
    filter: Filter,
}

/// What follows a member or an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// A comma, so another one.
    More,
    /// The closing bracket, not yet passed.
    End,
}

impl<'a> Scanner<'a> {
    /// A cursor at the start of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self::within(text, DEPTH_MAX)
    }

    /// A cursor that refuses what is nested deeper than `depth_max` levels. It recurses that deep.
    #[must_use]
    pub fn within(text: &'a str, depth_max: usize) -> Self {
        Self { text, pos: 0, depth: 0, depth_max, keys: Keys::default(), marks: Marks::default() }
    }

    /// Byte offset of the cursor.
    #[must_use]
    #[inline]
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Moves the cursor on by `bytes`, over text that the caller knows to be fine because an identical stretch was scanned.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        self.pos += bytes;
    }

    /// The value that was passed since the cursor stood at `start`, which must be exactly one.
    #[must_use]
    pub fn passed(&self, start: usize) -> Raw<'a> {
        Raw::proven(&self.text[start..self.pos])
    }

    /// The byte under the cursor; `None` at the end.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.bytes().get(self.pos).copied()
    }

    /// The whole text.
    #[must_use]
    #[inline]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Passes white space.
    #[inline]
    pub fn skip_whitespace(&mut self) {
        self.pos = whitespace(self.bytes(), self.pos);
    }

    /// Passes one value, which must start under the cursor.
    ///
    /// # Errors
    /// The text there is no JSON value that is read here.
    #[inline]
    pub fn skip_value(&mut self) -> Result<Raw<'a>, Error> {
        let start = self.pos;
        self.pos = self.value(start)?;
        Ok(Raw::proven(&self.text[start..self.pos]))
    }

    /// Checks that only white space is left.
    ///
    /// # Errors
    /// Something else is.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.skip_whitespace();
        if self.pos == self.text.len() { Ok(()) } else { Err(Error::new(self.pos, ErrorKind::TrailingText)) }
    }

    /// Passes the `{` under the cursor.
    ///
    /// # Errors
    /// There is none, or it is nested too deep.
    #[inline]
    pub fn open_object(&mut self) -> Result<Open, Error> {
        if self.peek() != Some(b'{') {
            return Err(Error::expected(self.bytes(), self.pos, "`{`"));
        }
        let open = self.enter_object(self.pos)?;
        self.pos += 1;
        Ok(open)
    }

    /// Passes a quoted key and remembers it; returns what stands between its quotes, escapes as they are.
    ///
    /// # Errors
    /// There is no well-formed string.
    #[inline]
    pub fn key(&mut self, open: &mut Open) -> Result<&'a str, Error> {
        let start = self.pos;
        self.pos = self.key_at(start, open)?;
        Ok(&self.text[start + 1..self.pos - 1])
    }

    /// Passes members, commas included, as long as their values are scalars and the next member starts before `limit`.
    ///
    /// Returns how many, and the key of the member that it stopped in: one whose value, now under the cursor, is an array or
    /// object that starts before `limit`. Without a key the cursor stands before a member.
    ///
    /// # Errors
    /// There is no well-formed member.
    #[inline]
    pub fn skip_scalars(&mut self, open: &mut Open, limit: usize) -> Result<(usize, Option<&'a str>), Error> {
        let bytes = self.bytes();
        let mut count = 0;
        let mut start = self.pos;
        loop {
            let key_end = self.key_at(start, open)?;
            let mut pos = colon(bytes, key_end)?;
            if pos >= limit {
                break;
            }
            if let Some(b'{' | b'[') = bytes.get(pos) {
                self.pos = pos;
                return Ok((count, Some(&self.text[start + 1..key_end - 1])));
            }
            pos = self.value(pos)?;
            let (after, next) = separator(bytes, pos, b'}', "`,` or `}` after a member")?;
            if after == After::End || next >= limit {
                break;
            }
            count += 1;
            start = next;
        }
        self.unread_key(start);
        Ok((count, None))
    }

    /// Goes back to `position`, where the key passed last starts, and forgets that key.
    pub fn unread_key(&mut self, position: usize) {
        self.keys.pop();
        self.pos = position;
    }

    /// Passes a colon and the white space around it.
    ///
    /// # Errors
    /// There is none.
    #[inline]
    pub fn colon(&mut self) -> Result<(), Error> {
        self.pos = colon(self.bytes(), self.pos)?;
        Ok(())
    }

    /// Passes a comma and the white space around it, or stops before a closing `}`.
    ///
    /// # Errors
    /// There is neither.
    #[inline]
    pub fn comma(&mut self) -> Result<After, Error> {
        let (after, pos) = separator(self.bytes(), self.pos, b'}', "`,` or `}` after a member")?;
        self.pos = pos;
        Ok(after)
    }

    /// Passes the `}` under the cursor and checks that no key of the object came twice.
    ///
    /// # Errors
    /// There is no `}`, or a key did.
    #[inline]
    pub fn close_object(&mut self, open: &Open) -> Result<(), Error> {
        if self.peek() != Some(b'}') {
            return Err(Error::expected(self.bytes(), self.pos, "a key in double quotes or `}`"));
        }
        self.pos = self.leave_object(self.pos, open)?;
        Ok(())
    }

    /// Takes over the first `shared` keys of the object that `twin` calls `twin_open`, because this cursor was moved over the
    /// same keys with [`advance`](Self::advance); of its own keys in `open` only the last `own` are kept.
    pub fn share_keys(&mut self, open: &mut Open, own: usize, twin: &Self, twin_open: &Open, shared: usize) {
        open.filter = self.keys.share(open.first_key, own, &twin.keys, twin_open.first_key, shared);
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline(always)]
    fn value(&mut self, pos: usize) -> Result<usize, Error> {
        let bytes = self.bytes();
        match bytes.get(pos) {
            Some(b'"') => string::scan(bytes, pos + 1, &mut self.marks),
            Some(b'-' | b'0'..=b'9') => number(bytes, pos),
            Some(b'{') => self.object(pos),
            Some(b'[') => self.array(pos),
            Some(b't') => literal(bytes, pos, b"true"),
            Some(b'f') => literal(bytes, pos, b"false"),
            Some(b'n') => literal(bytes, pos, b"null"),
            _ => Err(Error::expected(bytes, pos, "a value")),
        }
    }

    fn object(&mut self, start: usize) -> Result<usize, Error> {
        let bytes = self.bytes();
        let mut open = self.enter_object(start)?;
        let mut pos = whitespace(bytes, start + 1);
        if bytes.get(pos) != Some(&b'}') {
            loop {
                pos = self.key_at(pos, &mut open)?;
                pos = self.value(colon(bytes, pos)?)?;
                let (after, next) = separator(bytes, pos, b'}', "`,` or `}` after a member")?;
                pos = next;
                if after == After::End {
                    break;
                }
            }
        }
        self.leave_object(pos, &open)
    }

    fn array(&mut self, start: usize) -> Result<usize, Error> {
        let bytes = self.bytes();
        self.enter(start)?;
        let mut pos = whitespace(bytes, start + 1);
        if bytes.get(pos) != Some(&b']') {
            loop {
                pos = self.value(pos)?;
                let (after, next) = separator(bytes, pos, b']', "`,` or `]` after an element")?;
                pos = next;
                if after == After::End {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(pos + 1)
    }

    #[inline]
    fn enter(&mut self, pos: usize) -> Result<(), Error> {
        if self.depth == self.depth_max {
            return Err(Error::new(pos, ErrorKind::TooDeep));
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn enter_object(&mut self, start: usize) -> Result<Open, Error> {
        self.enter(start)?;
        Ok(Open { start, first_key: self.keys.len(), filter: Filter::default() })
    }

    #[inline]
    fn leave_object(&mut self, pos: usize, open: &Open) -> Result<usize, Error> {
        self.depth -= 1;
        if self.keys.close(open.first_key, &open.filter) {
            self.check_keys(open.start, pos + 1)?;
        }
        Ok(pos + 1)
    }

    #[cold]
    #[inline(never)]
    fn check_keys(&self, start: usize, end: usize) -> Result<(), Error> {
        match Raw::proven(&self.text[start..end]).duplicate_key() {
            Some(offset) => Err(Error::new(start + offset, ErrorKind::DuplicateKey)),
            None => Ok(()),
        }
    }

    #[inline]
    fn key_at(&mut self, pos: usize, open: &mut Open) -> Result<usize, Error> {
        let bytes = self.bytes();
        if bytes.get(pos) != Some(&b'"') {
            return Err(Error::expected(bytes, pos, "a key in double quotes"));
        }
        let (hash, end) = string::scan_key(self.text, pos + 1, &mut self.marks)?;
        self.keys.push(hash, open.first_key, &mut open.filter);
        Ok(end)
    }
}

#[inline]
fn whitespace(bytes: &[u8], pos: usize) -> usize {
    // Most texts have none: one comparison then.
    match bytes.get(pos) {
        Some(byte) if *byte <= b' ' => whitespace_end(bytes, pos),
        _ => pos,
    }
}

#[inline(never)]
fn whitespace_end(bytes: &[u8], mut pos: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(pos) {
        pos += 1;
    }
    pos
}

#[inline]
fn colon(bytes: &[u8], pos: usize) -> Result<usize, Error> {
    let pos = whitespace(bytes, pos);
    if bytes.get(pos) == Some(&b':') {
        return Ok(whitespace(bytes, pos + 1));
    }
    Err(Error::expected(bytes, pos, "`:` after a key"))
}

#[inline]
fn separator(bytes: &[u8], pos: usize, close: u8, what: &'static str) -> Result<(After, usize), Error> {
    let pos = whitespace(bytes, pos);
    match bytes.get(pos) {
        Some(b',') => Ok((After::More, whitespace(bytes, pos + 1))),
        Some(byte) if *byte == close => Ok((After::End, pos)),
        _ => Err(Error::expected(bytes, pos, what)),
    }
}

#[inline(never)]
fn literal(bytes: &[u8], pos: usize, word: &'static [u8]) -> Result<usize, Error> {
    if bytes[pos..].starts_with(word) {
        return Ok(pos + word.len());
    }
    let same = bytes[pos..].iter().zip(word).take_while(|(a, b)| a == b).count();
    Err(Error::expected(bytes, pos + same, "true, false or null"))
}

/// RFC 8259 §6: no plus sign, no leading zeros, digits on both sides of the point.
#[inline]
fn number(bytes: &[u8], start: usize) -> Result<usize, Error> {
    let mut pos = start + usize::from(bytes.get(start) == Some(&b'-'));
    let first = pos;
    pos = digits(bytes, pos)?;
    if bytes.get(first) == Some(&b'0') && pos > first + 1 {
        return Err(Error::new(first + 1, ErrorKind::BadNumber));
    }
    if bytes.get(pos) == Some(&b'.') {
        pos = digits(bytes, pos + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(pos) {
        let signed = matches!(bytes.get(pos + 1), Some(b'+' | b'-'));
        pos = digits(bytes, pos + 1 + usize::from(signed))?;
    }
    Ok(pos)
}

/// At least one digit.
#[inline]
fn digits(bytes: &[u8], start: usize) -> Result<usize, Error> {
    let end = digits_end(bytes, start);
    if end > start {
        return Ok(end);
    }
    let kind = if start < bytes.len() { ErrorKind::BadNumber } else { ErrorKind::UnexpectedEnd };
    Err(Error::new(start, kind))
}
