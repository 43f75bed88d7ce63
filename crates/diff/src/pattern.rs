//! Patterns that places in a document match.

use afterimage_json::{Pointer, PointerError};
use std::fmt;
use std::str::FromStr;
use wildmatch::WildMatch;

/// A JSON Pointer with wildcards: `/items/*/price`, `/**/password`, `/address_*`.
///
/// A segment `*` stands for any one segment, `**` for any number of segments, none included. Within a segment `*` stands
/// for any text and `?` for any one character. `~0` and `~1` are read as in RFC 6901.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    Name(String),
    Glob(WildMatch),
    Any,
    AnyNumber,
}

/// The text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not spelled as a pointer.
    #[error(transparent)]
    Pointer(#[from] PointerError),
    /// It has too many segments.
    #[error("a pattern has at most {} segments", Pattern::SEGMENTS_MAX)]
    TooLong,
}

/// How far a pattern has come on the way down into a document: which of its segments are next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress(u64);

impl Progress {
    /// Can nothing at this place or below it match any more?
    #[must_use]
    pub fn is_dead(self) -> bool {
        self.0 == 0
    }
}

impl Pattern {
    /// Most segments of one pattern: one bit of a word for each, and one for the end.
    pub const SEGMENTS_MAX: usize = 63;

    /// Does it match this very place?
    #[must_use]
    pub fn matches(&self, pointer: &Pointer) -> bool {
        let end = pointer.segments().fold(self.start(), |progress, segment| self.step(progress, &segment));
        self.is_match(end)
    }

    /// Does it match this place, or one that this place lies in?
    #[must_use]
    pub fn covers(&self, pointer: &Pointer) -> bool {
        let mut progress = self.start();
        self.is_match(progress)
            || pointer.segments().any(|segment| {
                progress = self.step(progress, &segment);
                self.is_match(progress)
            })
    }

    /// Where a walk from the root starts.
    #[must_use]
    pub fn start(&self) -> Progress {
        Progress(self.skip_empty(1))
    }

    /// Goes down into the member or element `segment`.
    #[must_use]
    pub fn step(&self, progress: Progress, segment: &str) -> Progress {
        let mut next = 0;
        for (index, pattern) in self.segments.iter().enumerate() {
            if progress.0 >> index & 1 == 0 {
                continue;
            }
            match pattern {
                Segment::AnyNumber => next |= 1 << index,
                Segment::Any => next |= 2 << index,
                Segment::Name(name) if name == segment => next |= 2 << index,
                Segment::Glob(glob) if glob.matches(segment) => next |= 2 << index,
                Segment::Name(_) | Segment::Glob(_) => {}
            }
        }
        Progress(self.skip_empty(next))
    }

    /// Does the pattern match the place that a walk has come to?
    #[must_use]
    pub fn is_match(&self, progress: Progress) -> bool {
        progress.0 >> self.segments.len() & 1 == 1
    }

    /// `**` may stand for no segment.
    fn skip_empty(&self, mut progress: u64) -> u64 {
        for (index, segment) in self.segments.iter().enumerate() {
            if progress >> index & 1 == 1 && matches!(segment, Segment::AnyNumber) {
                progress |= 2 << index;
            }
        }
        progress
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let pointer: Pointer = text.parse()?;
        let segments: Vec<_> = pointer
            .segments()
            .map(|segment| match &*segment {
                "*" => Segment::Any,
                "**" => Segment::AnyNumber,
                glob if glob.contains(['*', '?']) => Segment::Glob(WildMatch::new(glob)),
                name => Segment::Name(name.to_owned()),
            })
            .collect();
        if segments.len() > Self::SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        Ok(Self { text: text.to_owned(), segments })
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched<'a>(pattern: &str, places: &[&'a str]) -> Vec<&'a str> {
        let pattern: Pattern = pattern.parse().unwrap();
        places.iter().copied().filter(|place| pattern.matches(&place.parse().unwrap())).collect()
    }

    #[test]
    fn wildcards_stand_for_what_they_say() {
        let places = ["", "/a", "/a/b", "/a/b/c", "/ab", "/a/x/b", "/*"];
        assert_eq!(matched("", &places), [""]);
        assert_eq!(matched("/a", &places), ["/a"]);
        assert_eq!(matched("/*", &places), ["/a", "/ab", "/*"]);
        assert_eq!(matched("/a*", &places), ["/a", "/ab"]);
        assert_eq!(matched("/a?", &places), ["/ab"]);
        assert_eq!(matched("/*/b", &places), ["/a/b"]);
        assert_eq!(matched("/**", &places), places);
        assert_eq!(matched("/**/b", &places), ["/a/b", "/a/x/b"]);
        assert_eq!(matched("/a/**/b", &places), ["/a/b", "/a/x/b"]);
        assert_eq!(matched("/a/**", &places), ["/a", "/a/b", "/a/b/c", "/a/x/b"]);
        assert_eq!(matched("/**/**/c", &places), ["/a/b/c"]);
    }

    #[test]
    fn escapes_are_those_of_pointers() {
        assert_eq!(matched("/a~1b", &["/a~1b", "/a/b"]), ["/a~1b"]);
        assert_eq!("a".parse::<Pattern>(), Err(PatternError::Pointer(PointerError::NoSlash)));
        assert_eq!("/~".parse::<Pattern>(), Err(PatternError::Pointer(PointerError::BadTilde)));
    }

    #[test]
    fn the_longest_pattern_still_counts_its_last_segment() {
        let text = "/a".repeat(Pattern::SEGMENTS_MAX);
        assert_eq!(matched(&text, &[&text[2..], &text]), [&text]);
        assert_eq!("/a".repeat(Pattern::SEGMENTS_MAX + 1).parse::<Pattern>(), Err(PatternError::TooLong));
    }

    #[test]
    fn a_pattern_covers_what_lies_in_its_matches() {
        let pattern: Pattern = "/a/*".parse().unwrap();
        let covers = |place: &str| pattern.covers(&place.parse().unwrap());
        assert!(covers("/a/b") && covers("/a/b/c"));
        assert!(!covers("") && !covers("/a") && !covers("/b/a"));
    }

    #[test]
    fn a_walk_knows_when_nothing_can_match_below() {
        let pattern: Pattern = "/a/b".parse().unwrap();
        let inside = pattern.step(pattern.start(), "a");
        assert!(!inside.is_dead() && !pattern.is_match(inside));
        assert!(pattern.is_match(pattern.step(inside, "b")));
        assert!(pattern.step(inside, "c").is_dead());
    }
}
