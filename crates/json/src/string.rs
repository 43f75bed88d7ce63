//! Strings: finding their end, their escapes, their text.

use crate::keys::{hash_block, hash_bytes};
use crate::marks::Marks;
use crate::swar::{block, find_special};
use crate::{Error, ErrorKind};
use std::borrow::Cow;
use std::ops::Range;

/// What a backslash and this byte stand for; 0 for what is no escape of two bytes.
const SHORT_ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table[b'/' as usize] = b'/';
    table[b'b' as usize] = 0x08;
    table[b'f' as usize] = 0x0C;
    table[b'n' as usize] = b'\n';
    table[b'r' as usize] = b'\r';
    table[b't' as usize] = b'\t';
    table
};

/// The byte that the two at `pos` stand for, the first of which is a backslash; 0 if they are not all of an escape.
#[inline]
fn short_escape(bytes: &[u8], pos: usize) -> u8 {
    bytes.get(pos + 1).map_or(0, |byte| SHORT_ESCAPES[usize::from(*byte)])
}

/// Checks the text of a string from `pos`, just after its opening quote. Returns where the text goes on after its closing
/// quote.
#[inline]
pub(crate) fn scan(bytes: &[u8], pos: usize, marks: &mut Marks) -> Result<usize, Error> {
    let end = marks.find(bytes, pos);
    if bytes.get(end) == Some(&b'"') {
        return Ok(end + 1);
    }
    scan_escaped(bytes, end, marks)
}

/// [`scan`] that hashes the text after unescaping. Returns the hash first.
#[inline]
pub(crate) fn scan_key(text: &str, start: usize, marks: &mut Marks) -> Result<(u32, usize), Error> {
    let bytes = text.as_bytes();
    let end = marks.find(bytes, start);
    let length = end - start;
    if bytes.get(end) == Some(&b'"')
        && length < 16
        && let Some(block) = block(bytes, start)
    {
        // Sixteen bytes are read wherever the key ends, and what follows is masked.
        let key = u128::from_le_bytes(block) & ((1 << (8 * length)) - 1);
        return Ok((hash_block(0, key, length), end + 1));
    }
    scan_odd_key(text, start, marks)
}

/// A key that is long, has escapes or stands at the end of the text.
#[inline(never)]
fn scan_odd_key(text: &str, start: usize, marks: &mut Marks) -> Result<(u32, usize), Error> {
    let end = scan_escaped(text.as_bytes(), start, marks)?;
    Ok((hash_bytes(proven_text(&text[start..end - 1]).as_bytes()), end))
}

#[inline(never)]
fn scan_escaped(bytes: &[u8], pos: usize, marks: &mut Marks) -> Result<usize, Error> {
    let end = marks.each(bytes, pos, |at| match bytes.get(at) {
        None => Err(Error::new(at, ErrorKind::UnexpectedEnd)),
        Some(b'"') => Ok(None),
        Some(b'\\') if short_escape(bytes, at) != 0 => Ok(Some(at + 2)),
        Some(b'\\') => long_escape(bytes, at).map(|(_, next)| Some(next)),
        Some(_) => Err(Error::new(at, ErrorKind::ControlCharacter)),
    })?;
    Ok(end + 1)
}

/// Reads the escape whose backslash stands at `pos`, if it is none of two bytes: its character, and where the text goes on.
fn long_escape(bytes: &[u8], pos: usize) -> Result<(char, usize), Error> {
    match bytes.get(pos + 1) {
        None => Err(Error::new(pos + 1, ErrorKind::UnexpectedEnd)),
        Some(b'u') => unicode_escape(bytes, pos),
        Some(_) => Err(Error::new(pos, ErrorKind::BadEscape)),
    }
}

fn unicode_escape(bytes: &[u8], pos: usize) -> Result<(char, usize), Error> {
    let lone = || Error::new(pos, ErrorKind::LoneSurrogate);
    let first = u32::from(hex4(bytes, pos)?);
    if let Some(character) = char::from_u32(first) {
        return Ok((character, pos + 6));
    }
    // A high half must be followed by a low half (RFC 8259 §7).
    let next = pos + 6;
    if first >= 0xDC00 || bytes.get(next) != Some(&b'\\') || bytes.get(next + 1) != Some(&b'u') {
        return Err(lone());
    }
    let second = u32::from(hex4(bytes, next)?);
    if !(0xDC00..=0xDFFF).contains(&second) {
        return Err(lone());
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code).map(|character| (character, next + 6)).ok_or_else(lone)
}

/// The four hexadecimal digits after the `\u` at `pos`.
fn hex4(bytes: &[u8], pos: usize) -> Result<u16, Error> {
    let mut value = 0;
    for at in pos + 2..pos + 6 {
        let digit = match bytes.get(at) {
            None => return Err(Error::new(at, ErrorKind::UnexpectedEnd)),
            Some(byte @ b'0'..=b'9') => byte - b'0',
            Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
            Some(byte @ b'A'..=b'F') => byte - b'A' + 10,
            Some(_) => return Err(Error::new(pos, ErrorKind::BadEscape)),
        };
        value = value << 4 | u16::from(digit);
    }
    Ok(value)
}

/// The text that the inside of a quoted JSON string stands for. Allocates only if there is an escape.
///
/// # Errors
/// An escape that RFC 8259 does not know, half of a surrogate pair, a control character or a quote; offsets count from
/// the start of `quoted_inner`.
pub fn unescape(quoted_inner: &str) -> Result<Cow<'_, str>, Error> {
    let bytes = quoted_inner.as_bytes();
    let first = find_special(bytes, 0);
    if first == bytes.len() {
        return Ok(Cow::Borrowed(quoted_inner));
    }
    // Bytes, checked once at the end, and room for a whole chunk behind the last one.
    let mut out = vec![0; bytes.len() + CHUNK_BYTES];
    let (mut length, mut copied) = (0, 0);
    Marks::default().each(bytes, first, |at| {
        copy(bytes, copied..at, &mut out, length);
        length += at - copied;
        match bytes.get(at) {
            None => return Ok(None),
            Some(b'\\') => {}
            Some(b'"') => return Err(Error::new(at, ErrorKind::Expected("`\\` before a quote inside a string"))),
            Some(_) => return Err(Error::new(at, ErrorKind::ControlCharacter)),
        }
        copied = match short_escape(bytes, at) {
            0 => {
                let (character, next) = long_escape(bytes, at)?;
                length += character.encode_utf8(&mut out[length..]).len();
                next
            }
            byte => {
                out[length] = byte;
                length += 1;
                at + 2
            }
        };
        Ok(Some(copied))
    })?;
    out.truncate(length);
    // Whole characters come out of text, so this cannot fail.
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Error::new(0, ErrorKind::BadEscape))
}

/// What is copied at once: mostly all that stands between two escapes.
const CHUNK_BYTES: usize = 32;

/// Copies a stretch of `bytes` to `out` from `to` on; what follows it there is overwritten later.
#[inline]
fn copy(bytes: &[u8], stretch: Range<usize>, out: &mut [u8], to: usize) {
    let length = stretch.len();
    if length <= CHUNK_BYTES
        && let Some(chunk) = bytes[stretch.start..].first_chunk::<CHUNK_BYTES>()
        && let Some(room) = out[to..].first_chunk_mut::<CHUNK_BYTES>()
    {
        *room = *chunk;
        return;
    }
    out[to..to + length].copy_from_slice(&bytes[stretch]);
}

/// Appends `text` to `out` as a JSON string, quotes included. Only what must be escaped is.
pub fn push_quoted(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push('"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    loop {
        let pos = find_special(bytes, copied);
        out.push_str(&text[copied..pos]);
        let Some(&byte) = bytes.get(pos) else { break };
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        copied = pos + 1;
    }
    out.push('"');
}

/// Do two strings of proven JSON stand for the same text? Takes what stands between their quotes.
#[must_use]
pub fn same_text(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let escaped = |text: &str| text.as_bytes().contains(&b'\\');
    match (escaped(a), escaped(b)) {
        (false, false) => false,
        (true, true) => proven_text(a) == proven_text(b),
        (true, false) => proven_text(a) == b,
        (false, true) => a == proven_text(b),
    }
}

/// [`unescape`] for text that a scanner has accepted.
pub(crate) fn proven_text(inner: &str) -> Cow<'_, str> {
    // Accepted text cannot fail here; if it could, its own spelling would be the least surprising answer.
    unescape(inner).unwrap_or(Cow::Borrowed(inner))
}
