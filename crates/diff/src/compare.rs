//! Two texts in, their differences out.
//!
//! Before and after of a record are mostly the same bytes, so they are walked in lockstep: one validating scanner reads
//! the text before, and as long as it stays within a stretch that the text after has, too, what it finds holds for both and
//! the second text is only moved along. Where the stretch ends, that one token, member or value is read from both. Then
//! the next common stretch is sought. What is equal is thus validated once and compared at the speed of `memcmp`; no tree
//! is built.

use crate::walk::{Gone, Walk};
use crate::{Arrays, Change};
use afterimage_json::{After, Error, Open, Raw, Scanner, same_text};

/// Which of the two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The one before.
    Before,
    /// The one after.
    After,
}

impl Image {
    /// `before` or `after`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// One of the documents is no JSON, or is ambiguous (duplicate keys).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} image: {error}", image.as_str())]
pub struct CompareError {
    /// Which.
    pub image: Image,
    /// Why, and where in it.
    pub error: Error,
}

/// What differs between two JSON documents, under data equality: numbers by exact value, strings after unescaping,
/// objects without order.
///
/// Carried out in their order the changes turn `before` into `after`; see [`patch`](crate::patch). Where the places of all
/// the smallest differences would take more room than a small multiple of the documents, what differs is told by larger
/// values, at the coarsest by whole members.
///
/// # Errors
/// One of the texts is not one JSON document, both being checked in full; where both are not, either may be named.
pub fn compare<'a>(before: &'a str, after: &'a str, arrays: &Arrays) -> Result<Vec<Change<'a>>, CompareError> {
    Ok(compare_proven(before, after, arrays)?.changes)
}

/// What differs between two documents, and the documents, which are proven now.
pub(crate) struct Compared<'a> {
    pub(crate) before: Raw<'a>,
    pub(crate) after: Raw<'a>,
    pub(crate) changes: Vec<Change<'a>>,
    pub(crate) gone: Vec<Gone>,
}

/// [`compare`], for who goes on with the documents.
pub(crate) fn compare_proven<'a>(
    before: &'a str,
    after: &'a str,
    arrays: &Arrays,
) -> Result<Compared<'a>, CompareError> {
    let mut pair = Pair::new(before, after, arrays);
    pair.both(|scanner| {
        scanner.skip_whitespace();
        Ok(())
    })?;
    let (old, new) = (pair.before.position(), pair.after.position());
    pair.value()?;
    let (before, after) = (pair.before.passed(old), pair.after.passed(new));
    pair.both(Scanner::finish)?;
    let (changes, gone) = pair.walk.finish(before, after);
    Ok(Compared { before, after, changes, gone })
}

/// Two scanners at the same place of the data.
struct Pair<'a, 'r> {
    before: Scanner<'a>,
    after: Scanner<'a>,
    /// Up to this offset before, the text from the cursor on is the same as the one from the other cursor on.
    same_until: usize,
    walk: Walk<'a, 'r>,
}

/// What a step found.
enum Found<T> {
    /// The same text in both, hence the same thing.
    Same(T),
    /// Not the same text.
    Each(T, T),
}

impl<'a, 'r> Pair<'a, 'r> {
    fn new(before: &'a str, after: &'a str, arrays: &'r Arrays) -> Self {
        let texts_bytes = before.len() + after.len();
        let (before, after) = (Scanner::new(before), Scanner::new(after));
        let mut pair = Self { before, after, same_until: 0, walk: Walk::new(arrays, texts_bytes) };
        pair.find_same();
        pair
    }

    /// Takes a step in both texts; in the second one only if it may differ.
    ///
    /// A step looks at what it passes and at most one byte more. So if it ends before the common stretch does, the other
    /// text cannot but give the same.
    #[inline]
    fn both<T>(&mut self, step: impl Fn(&mut Scanner<'a>) -> Result<T, Error>) -> Result<Found<T>, CompareError> {
        let start = self.before.position();
        let old = step(&mut self.before).map_err(in_before)?;
        if self.before.position() < self.same_until {
            self.after.advance(self.before.position() - start);
            return Ok(Found::Same(old));
        }
        let new = step(&mut self.after).map_err(in_after)?;
        self.find_same();
        Ok(Found::Each(old, new))
    }

    fn find_same(&mut self) {
        let (before, after) = (self.before.position(), self.after.position());
        self.same_until =
            before + common_prefix(&self.before.text().as_bytes()[before..], &self.after.text().as_bytes()[after..]);
    }

    /// Compares the values under the cursors.
    #[inline]
    fn value(&mut self) -> Result<(), CompareError> {
        let start = self.before.position();
        if start < self.same_until && self.before.peek() == Some(b'{') {
            return self.object();
        }
        let old = self.before.skip_value().map_err(in_before)?;
        if self.before.position() < self.same_until {
            self.after.advance(self.before.position() - start);
            return Ok(());
        }
        let new = self.after.skip_value().map_err(in_after)?;
        self.find_same();
        self.walk.values(old, new);
        Ok(())
    }

    fn object(&mut self) -> Result<(), CompareError> {
        let mut old_open = self.before.open_object().map_err(in_before)?;
        let mut new_open = self.after.open_object().map_err(in_after)?;
        self.both(|scanner| {
            scanner.skip_whitespace();
            Ok(())
        })?;
        let mut more = (self.before.peek() != Some(b'}'), self.after.peek() != Some(b'}'));
        let mut shared = 0;
        while more == (true, true) {
            let key = match self.same_members(&mut old_open, &mut shared)? {
                Some(key) => key,
                None => {
                    let (key, new) = self.keys(&mut old_open, &mut new_open)?;
                    if !same_text(key, new) {
                        let (old, new) = (Rest::new(old_open, Some(key)), Rest::new(new_open, Some(new)));
                        return self.rest(old, new, shared);
                    }
                    self.both(Scanner::colon)?;
                    key
                }
            };
            shared += 1;
            self.walk.enter(key);
            self.value()?;
            self.walk.leave();
            more = match self.both(Scanner::comma)? {
                Found::Same(after) => (after == After::More, after == After::More),
                Found::Each(old, new) => (old == After::More, new == After::More),
            };
        }
        if more != (false, false) {
            let rest = |open, more| Rest { open, key: None, more };
            return self.rest(rest(old_open, more.0), rest(new_open, more.1), shared);
        }
        self.before.close_object(&old_open).map_err(in_before)?;
        self.after.close_object(&new_open).map_err(in_after)
    }

    /// Passes members that are the same in both texts. Returns the key of one that it came into, if any: its value is an array
    /// or object under both cursors.
    fn same_members(&mut self, open: &mut Open, shared: &mut usize) -> Result<Option<&'a str>, CompareError> {
        let start = self.before.position();
        if start >= self.same_until {
            return Ok(None);
        }
        let (count, key) = self.before.skip_scalars(open, self.same_until).map_err(in_before)?;
        self.after.advance(self.before.position() - start);
        *shared += count;
        Ok(key)
    }

    /// Reads the keys under the cursors.
    fn keys(&mut self, old_open: &mut Open, new_open: &mut Open) -> Result<(&'a str, &'a str), CompareError> {
        let start = self.before.position();
        let old = self.before.key(old_open).map_err(in_before)?;
        if self.before.position() < self.same_until {
            self.after.advance(self.before.position() - start);
            return Ok((old, old));
        }
        let new = self.after.key(new_open).map_err(in_after)?;
        self.find_same();
        Ok((old, new))
    }

    /// Goes on with objects whose members no longer come in the same order, after `shared` that did.
    #[cold]
    fn rest(&mut self, old: Rest<'a>, mut new: Rest<'a>, shared: usize) -> Result<(), CompareError> {
        let own = usize::from(new.key.is_some());
        self.after.share_keys(&mut new.open, own, &self.before, &old.open, shared);
        let old = old.members(&mut self.before).map_err(in_before)?;
        let new = new.members(&mut self.after).map_err(in_after)?;
        self.find_same();
        self.walk.members(old, new);
        Ok(())
    }
}

/// The members of an object from a scanner's cursor on.
struct Rest<'a> {
    open: Open,
    /// A key that the scanner has passed already.
    key: Option<&'a str>,
    more: bool,
}

impl<'a> Rest<'a> {
    fn new(open: Open, key: Option<&'a str>) -> Self {
        Self { open, key, more: true }
    }

    fn members(mut self, scanner: &mut Scanner<'a>) -> Result<Vec<(&'a str, Raw<'a>)>, Error> {
        let mut members = Vec::new();
        while self.more {
            let key = match self.key.take() {
                Some(key) => key,
                None => scanner.key(&mut self.open)?,
            };
            scanner.colon()?;
            members.push((key, scanner.skip_value()?));
            self.more = scanner.comma()? == After::More;
        }
        scanner.close_object(&self.open)?;
        Ok(members)
    }
}

fn in_before(error: Error) -> CompareError {
    CompareError { image: Image::Before, error }
}

fn in_after(error: Error) -> CompareError {
    CompareError { image: Image::After, error }
}

/// Goes on from `same` as long as chunks are equal.
fn equal_chunks<const SIZE: usize>(a: &[u8], b: &[u8], mut same: usize) -> usize {
    while let (Some(x), Some(y)) = (a[same..].first_chunk::<SIZE>(), b[same..].first_chunk::<SIZE>())
        && x == y
    {
        same += SIZE;
    }
    same
}

/// How many bytes two texts have in common at their start.
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut same = equal_chunks::<1024>(a, b, 0);
    same = equal_chunks::<128>(a, b, same);
    while let (Some(x), Some(y)) = (a[same..].first_chunk::<8>(), b[same..].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return same + (differ.trailing_zeros() / 8) as usize;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(before: &str, after: &str) -> Vec<String> {
        compare(before, after, &Arrays::atomic())
            .unwrap()
            .iter()
            .map(|change| {
                let text = |value: Option<Raw<'_>>| value.map_or("-", Raw::as_str).to_owned();
                format!("{} {} {}", change.path, text(change.old()), text(change.new()))
            })
            .collect()
    }

    #[test]
    fn the_smallest_things_that_differ_are_found() {
        assert_eq!(found(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#), ["/b 2 3"]);
        assert_eq!(found(r#"{"a":{"b":{"c":12}}}"#, r#"{"a":{"b":{"c":123}}}"#), ["/a/b/c 12 123"]);
        assert_eq!(found(r#"{"a":1}"#, r#"{"a":1,"b":[2]}"#), ["/b - [2]"]);
        assert_eq!(found(r#"{"a":1,"b":{}}"#, r#"{"a":1}"#), ["/b {} -"]);
        assert_eq!(found(r#"{"a":1,"x":0,"c":3}"#, r#"{"a":1,"b":2,"c":3}"#), ["/x 0 -", "/b - 2"]);
        assert_eq!(found(r#"{"a":{"x":1}}"#, r#"{"a":[1]}"#), [r#"/a {"x":1} [1]"#]);
        assert_eq!(found("[1,2]", "[1,3]"), [" [1,2] [1,3]"]);
        assert_eq!(found("1", "12"), [" 1 12"]);
        assert_eq!(found(r#"{"a/b":1}"#, r#"{"a/b":null}"#), ["/a~1b 1 null"]);
    }

    #[test]
    fn the_same_data_in_another_spelling_is_no_change() {
        let before = r#"{"a":1.0,"b":{"x":"\u0041","y":[1e2]},"c":"\/"}"#;
        let after = " {\"c\" : \"/\",\n\"\\u0062\":{ \"y\":[ 100 ],\"x\":\"A\"},\"a\":1 } ";
        assert_eq!(found(before, after), [""; 0]);
    }

    #[test]
    fn what_is_equal_is_validated_too() {
        for bad in [r#"{"a":01}"#, r#"{"a":1,"a":1}"#, r#"{"a":"\ud800"}"#, r#"{"a":1"#, "{} {}", ""] {
            let error = compare(bad, bad, &Arrays::atomic()).unwrap_err();
            assert_eq!(error.error, Raw::parse(bad).unwrap_err(), "{bad}");
        }
        let error = compare(r#"{"a":1,"b":1}"#, r#"{"a":1,"b":1,"\u0061":2}"#, &Arrays::atomic()).unwrap_err();
        assert_eq!(error.image, Image::After);
        assert_eq!(error.to_string(), "after image: duplicate key at byte 13");
    }

    #[test]
    fn the_common_prefix_ends_where_the_first_byte_differs() {
        let text: Vec<u8> = (0..200).collect();
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 0x80;
            assert_eq!(common_prefix(&text, &other), at);
            assert_eq!(common_prefix(&text, &text[..at]), at);
        }
    }
}
