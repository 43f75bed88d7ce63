//! JSON Pointer, RFC 6901.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A place in a JSON document: `/items/0/price`. The empty pointer is the whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(String);

/// The text is no JSON Pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It neither is empty nor starts with a slash.
    #[error("a JSON pointer is empty or starts with `/`, as in `/items/0`")]
    NoSlash,
    /// A tilde that escapes nothing.
    #[error("`~` in a JSON pointer is written `~0`, and `/` inside a name `~1`")]
    BadTilde,
}

impl Pointer {
    /// The whole document.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Does it lead to the whole document?
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The pointer as RFC 6901 spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Goes on to the member called `key`.
    pub fn push(&mut self, key: &str) {
        self.0.reserve(key.len() + 1);
        self.0.push('/');
        let mut rest = key;
        while let Some(at) = rest.find(['~', '/']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(if rest.as_bytes()[at] == b'~' { "~0" } else { "~1" });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
    }

    /// Goes on to the element at `index`.
    pub fn push_index(&mut self, index: usize) {
        self.0.push('/');
        self.0.push_str(&index.to_string());
    }

    /// Goes back one step; does nothing at the root.
    pub fn pop(&mut self) {
        self.0.truncate(self.0.rfind('/').unwrap_or(0));
    }

    /// The pointer to the member called `key` of what this one leads to.
    #[must_use]
    pub fn child(&self, key: &str) -> Self {
        let mut child = self.clone();
        child.push(key);
        child
    }

    /// The names and indices on the way, unescaped.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'_, str>> + Clone {
        // The text before the first slash is no segment.
        self.0.split('/').skip(1).map(unescape)
    }

    /// Is `self` at `ancestor` or below it?
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0.strip_prefix(&ancestor.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') {
        // This order: `~01` is the name `~1` (RFC 6901 §4).
        Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(segment)
    }
}

/// An array index (RFC 6901 §4): digits without leading zeros.
pub(crate) fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    if plain { segment.parse().ok() } else { None }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash);
        }
        if text.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return Err(PointerError::BadTilde);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<K: AsRef<str>> FromIterator<K> for Pointer {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut pointer = Self::root();
        keys.into_iter().for_each(|key| pointer.push(key.as_ref()));
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_spelling() {
        for names in [vec![], vec![""], vec!["a/b", "~1", "~0/~", "é\"", ""], vec!["0", "x"]] {
            let pointer: Pointer = names.iter().collect();
            assert_eq!(pointer.segments().collect::<Vec<_>>(), names);
            assert_eq!(pointer.to_string().parse(), Ok(pointer));
        }
    }

    #[test]
    fn malformed_pointers_are_refused() {
        assert_eq!("a".parse::<Pointer>(), Err(PointerError::NoSlash));
        assert_eq!("/a~".parse::<Pointer>(), Err(PointerError::BadTilde));
        assert_eq!("/a~2".parse::<Pointer>(), Err(PointerError::BadTilde));
    }

    #[test]
    fn within_means_whole_segments() {
        let pointer = |text: &str| text.parse::<Pointer>().unwrap();
        assert!(pointer("/a/b").is_within(&pointer("/a")));
        assert!(pointer("/a").is_within(&pointer("/a")));
        assert!(pointer("/a").is_within(&Pointer::root()));
        assert!(!pointer("/ab").is_within(&pointer("/a")));
    }

    #[test]
    fn going_back_undoes_a_step() {
        let mut pointer: Pointer = "/a".parse().unwrap();
        pointer.push("b/c");
        pointer.push_index(12);
        assert_eq!(pointer.as_str(), "/a/b~1c/12");
        pointer.pop();
        pointer.pop();
        assert_eq!(pointer.as_str(), "/a");
        pointer.pop();
        pointer.pop();
        assert!(pointer.is_root());
    }

    #[test]
    fn an_index_has_one_spelling() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        for other in ["", "-", "00", "01", "+1", "-1", "1.0", "99999999999999999999999"] {
            assert_eq!(index(other), None, "{other}");
        }
    }
}
