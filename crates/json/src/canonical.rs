//! One spelling for each value, for digests.

use std::cmp::Ordering;

use crate::raw::string_end;
use crate::string::proven_text;
use crate::swar::find_special;
use crate::{Raw, number, push_quoted};

/// Appends the canonical text of a value: [`equal`](crate::equal()) values, and only those, have the same bytes.
///
/// No white space, keys sorted by their bytes, strings with the fewest escapes, numbers in one spelling each that keeps
/// every digit. It is JSON, but not RFC 8785, which would round numbers.
pub fn canonical(raw: Raw<'_>, out: &mut Vec<u8>) {
    Canonicalizer::new(raw, |_| ()).value(out);
}

/// Writes the canonical text of proven JSON in one pass, value by value.
///
/// Text that is canonical as it stands is copied in long stretches; only what is not is written by itself. A caller that
/// wants each member of an object by itself calls [`seek_member`](Self::seek_member), [`name`](Self::name) and
/// [`value`](Self::value) in turn and sorts the members, as [`canonical`] does, by what stands between the quotes of
/// their canonical names.
#[derive(Debug)]
pub struct Canonicalizer<'a, F> {
    text: &'a str,
    pos: usize,
    /// Up to here the text is in the output; from here to the cursor it is canonical and still to be copied.
    copied: usize,
    on_key: F,
    /// The members of the objects that are open, in the order of the text.
    members: Vec<Member<'a>>,
    scratch: Vec<u8>,
}

/// Where a member stands in the output, once all is copied.
#[derive(Clone, Copy, Debug)]
struct Member<'a> {
    /// The first bytes of its name: they mostly decide an order.
    prefix: u64,
    /// Its name, if that has no escapes.
    plain: Option<&'a str>,
    start: usize,
    name_end: usize,
    end: usize,
}

impl Member<'_> {
    fn name<'o>(&'o self, out: &'o [u8]) -> &'o [u8] {
        // A name with escapes is never left to be copied later.
        self.plain.map_or_else(|| &out[self.start + 1..self.name_end], str::as_bytes)
    }

    fn order(&self, other: &Self, out: &[u8]) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.name(out).cmp(other.name(out)))
    }
}

impl<'a, F: FnMut(&str)> Canonicalizer<'a, F> {
    /// At the start of a value; `on_key` is told every key on the way, unescaped.
    pub fn new(raw: Raw<'a>, on_key: F) -> Self {
        Self { text: raw.as_str(), pos: 0, copied: 0, on_key, members: Vec::new(), scratch: Vec::new() }
    }

    /// Byte offset in the text.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Moves on by `bytes`, over members that need not be written.
    pub fn advance(&mut self, bytes: usize) {
        self.pos += bytes;
        self.copied = self.pos;
    }

    /// Passes what stands before a member of the object that the cursor is at or in; says whether there is a member.
    #[inline]
    pub fn seek_member(&mut self) -> bool {
        while let Some(b',' | b'{' | b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
        self.copied = self.pos;
        self.peek() == Some(b'"')
    }

    /// Writes the name of the member under the cursor, quoted, and passes the colon; returns its spelling.
    #[inline]
    pub fn name(&mut self, out: &mut Vec<u8>) -> &'a str {
        let (spelled, _) = self.key(out);
        self.flush(out);
        while let Some(b':' | b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.pos += 1;
        }
        self.copied = self.pos;
        spelled
    }

    /// Writes the value under the cursor and passes it.
    #[inline]
    pub fn value(&mut self, out: &mut Vec<u8>) {
        self.pass_value(out);
        self.flush(out);
    }

    fn pass_value(&mut self, out: &mut Vec<u8>) {
        match self.peek() {
            Some(b'"') => {
                if !self.pass_canonical_string() {
                    self.write_escaped_string(out, false);
                }
            }
            Some(b'{') => self.object(out),
            Some(b'[') => self.array(out),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => self.pass_scalar(),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>) {
        let (first, begin) = (self.members.len(), self.output_position(out));
        let mut sorted = true;
        self.pos += 1;
        self.skip_space(out);
        while self.peek() == Some(b'"') {
            let start = self.output_position(out);
            let (spelled, is_plain) = self.key(out);
            let name_end = self.output_position(out) - 1;
            let name = if is_plain { spelled.as_bytes() } else { &out[start + 1..name_end] };
            let plain = is_plain.then_some(spelled);
            let member = Member { prefix: prefix(name), plain, start, name_end, end: 0 };
            sorted &= self.members[first..].last().is_none_or(|last| last.order(&member, out) == Ordering::Less);
            let at = self.members.len();
            self.members.push(member);
            self.skip_space(out);
            self.pos += 1; // the colon
            self.skip_space(out);
            self.pass_value(out);
            self.members[at].end = self.output_position(out);
            self.skip_space(out);
            if self.peek() == Some(b',') {
                self.pos += 1;
                self.skip_space(out);
            }
        }
        if !sorted {
            self.flush(out);
            self.sort(first, begin + 1, out);
        }
        self.pos += 1;
        self.members.truncate(first);
    }

    /// Puts the members from `first` on, which stand from `begin` on to the end of the output, in the order of their names.
    fn sort(&mut self, first: usize, begin: usize, out: &mut [u8]) {
        self.members[first..].sort_unstable_by(|a, b| a.order(b, out));
        self.scratch.clear();
        for member in &self.members[first..] {
            self.scratch.extend_from_slice(&out[member.start..member.end]);
            self.scratch.push(b',');
        }
        self.scratch.pop();
        out[begin..].copy_from_slice(&self.scratch);
    }

    fn array(&mut self, out: &mut Vec<u8>) {
        self.pos += 1;
        self.skip_space(out);
        while !matches!(self.peek(), Some(b']') | None) {
            self.pass_value(out);
            self.skip_space(out);
            if self.peek() == Some(b',') {
                self.pos += 1;
                self.skip_space(out);
            }
        }
        self.pos += 1;
    }

    #[inline]
    fn number(&mut self, out: &mut Vec<u8>) {
        let start = self.pos;
        self.pass_scalar();
        let token = &self.text[start..self.pos];
        if !number::is_canonical(token) {
            let end = std::mem::replace(&mut self.pos, start);
            self.flush(out);
            number::push_canonical(token, out);
            (self.pos, self.copied) = (end, end);
        }
    }

    /// Passes a number or a literal: it ends where the next thing starts.
    #[inline]
    fn pass_scalar(&mut self) {
        while !matches!(self.peek(), Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') | None) {
            self.pos += 1;
        }
    }

    /// Passes a key; returns its spelling and whether that is without escapes.
    #[inline]
    fn key(&mut self, out: &mut Vec<u8>) -> (&'a str, bool) {
        let start = self.pos + 1;
        if self.pass_plain_string() {
            let key = &self.text[start..self.pos - 1];
            (self.on_key)(key);
            return (key, true);
        }
        (self.write_escaped_string(out, true), false)
    }

    /// Passes a string if it has no escapes: its text is canonical.
    #[inline]
    fn pass_plain_string(&mut self) -> bool {
        let end = find_special(self.text.as_bytes(), self.pos + 1);
        let is_plain = self.text.as_bytes().get(end) == Some(&b'"');
        if is_plain {
            self.pos = end + 1;
        }
        is_plain
    }

    /// Passes a string whose escapes, if it has any, are those that [`push_quoted`] writes.
    #[inline]
    fn pass_canonical_string(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let mut end = find_special(bytes, self.pos + 1);
        while let (Some(b'\\'), Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't')) =
            (bytes.get(end), bytes.get(end + 1))
        {
            end = find_special(bytes, end + 2);
        }
        let is_canonical = bytes.get(end) == Some(&b'"');
        if is_canonical {
            self.pos = end + 1;
        }
        is_canonical
    }

    #[inline(never)]
    fn write_escaped_string(&mut self, out: &mut Vec<u8>, is_key: bool) -> &'a str {
        self.flush(out);
        let start = self.pos + 1;
        self.pos = string_end(self.text.as_bytes(), start);
        self.copied = self.pos;
        let inner = &self.text[start..self.pos - 1];
        let text = proven_text(inner);
        if is_key {
            (self.on_key)(&text);
        }
        let mut quoted = String::new();
        push_quoted(&text, &mut quoted);
        out.extend_from_slice(quoted.as_bytes());
        inner
    }

    /// Leaves out white space.
    #[inline]
    fn skip_space(&mut self, out: &mut Vec<u8>) {
        if let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.flush(out);
            while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
                self.pos += 1;
            }
            self.copied = self.pos;
        }
    }

    /// Where the cursor will be in the output when all is copied.
    #[inline]
    fn output_position(&self, out: &[u8]) -> usize {
        out.len() + self.pos - self.copied
    }

    #[inline]
    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text.as_bytes()[self.copied..self.pos]);
        self.copied = self.pos;
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }
}

/// The first eight bytes of a name, as a number that sorts like them. No canonical name holds a zero byte.
#[inline]
fn prefix(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => {
            let mut bytes = [0; 8];
            bytes[..name.len()].copy_from_slice(name);
            u64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_gone_and_data_stays() {
        let mut out = Vec::new();
        let text = "{ \"b\" : [ 1.50 , -0, 1e2 ] , \"\\u0061\\/\" : \"\\u0041\\n\\u001f😀\\\"\", \"\":{ } }";
        canonical(Raw::parse(text).unwrap(), &mut out);
        let expected = "{\"\":{},\"a/\":\"A\\n\\u001f😀\\\"\",\"b\":[1.5,0,100]}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);

        // Each escape by itself and behind others, which are left as they are.
        for before in ["", r#"x\\ \"\n\b\f\r\t"#] {
            for (spelled, expected) in [(r"\u000a", r"\n"), (r"\u0022", r#"\""#), (r"\/", "/"), (r"\u001F", r"\u001f")]
            {
                let mut out = Vec::new();
                canonical(Raw::parse(&format!("\"{before}{spelled}\"")).unwrap(), &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), format!("\"{before}{expected}\""));
            }
        }
    }
}
