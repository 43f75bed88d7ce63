//! How arrays are compared.

use crate::Pattern;
use afterimage_json::Pointer;

/// How the elements of two arrays are told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ArrayPolicy {
    /// Not at all: an array that differs is one change.
    #[default]
    Atomic,
    /// By position; what one has more than the other came or went at the end.
    Index,
    /// By the scalar that this pointer leads to in each element. Arrays that do not allow that (an element without it or
    /// with the same as another, more than [`KEYED_ELEMENTS_MAX`](Self::KEYED_ELEMENTS_MAX) elements) are atomic.
    Keyed(Pointer),
}

impl ArrayPolicy {
    /// Most elements of a keyed array: its changes would no longer tell anybody anything.
    pub const KEYED_ELEMENTS_MAX: usize = 1_000;
}

/// Which arrays of a document are compared how. Arrays that no pattern matches are atomic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrays(Vec<(Pattern, ArrayPolicy)>);

impl Arrays {
    /// Every array is atomic.
    #[must_use]
    pub const fn atomic() -> Self {
        Self(Vec::new())
    }

    /// The policies in order. Where several patterns match, the first holds. Paths are those in the document after.
    #[must_use]
    pub fn new(policies: Vec<(Pattern, ArrayPolicy)>) -> Self {
        Self(policies)
    }

    /// The patterns and policies, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Pattern, &ArrayPolicy)> {
        self.0.iter().map(|(pattern, policy)| (pattern, policy))
    }

    /// Is every array atomic?
    #[must_use]
    pub fn is_atomic(&self) -> bool {
        self.0.is_empty()
    }

    /// The policy for the array at `pointer`.
    #[must_use]
    pub fn policy(&self, pointer: &Pointer) -> &ArrayPolicy {
        self.iter().find(|(pattern, _)| pattern.matches(pointer)).map_or(&ArrayPolicy::Atomic, |(_, policy)| policy)
    }
}
