//! How arrays are compared.

use crate::Pattern;
use crate::pattern::Progress;
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
    /// As a collection, by value: elements came or went, each with its position. Of equal ones as many stay as both arrays
    /// have, the first ones. If those that stayed are in another order, that is a change, too. Elements are not looked
    /// into. With more than [`EDITS_MAX`](Self::EDITS_MAX) edits the array is atomic.
    Set,
    /// As a sequence, by value: what both arrays have at their ends stays, and of the rest a longest common subsequence.
    /// Between elements that stay others take each other's places, and these are looked into; what one array has more
    /// there came or went. With more than [`EDITS_MAX`](Self::EDITS_MAX) edits, or a subsequence that leaves out more than
    /// [`LCS_DISTANCE_MAX`](Self::LCS_DISTANCE_MAX), the array is atomic.
    Lcs,
}

impl ArrayPolicy {
    /// Most elements of a set or sequence that came, went, or (all that stayed) stand in another order: as with keyed
    /// arrays, more tell nobody anything. Carrying out a change may move all that stands behind it, so this also bounds
    /// what undoing takes.
    pub const EDITS_MAX: usize = 1_000;
    /// Most elements that the search for a longest common subsequence leaves out, of both arrays together, not counting
    /// those that only one of them has. The search takes about twice so many steps for each element.
    pub const LCS_DISTANCE_MAX: usize = 256;
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

    /// May an element be the same one at another position?
    pub(crate) fn may_move_elements(&self) -> bool {
        self.iter().any(|(_, policy)| !matches!(policy, ArrayPolicy::Atomic | ArrayPolicy::Index))
    }

    /// The policy for the array at `pointer`.
    #[must_use]
    pub fn policy(&self, pointer: &Pointer) -> &ArrayPolicy {
        self.iter().find(|(pattern, _)| pattern.matches(pointer)).map_or(&ArrayPolicy::Atomic, |(_, policy)| policy)
    }
}

/// Walks down a document with the policies: each name on the way is looked at once, however many arrays lie below it.
#[derive(Debug)]
pub(crate) struct PolicyCursor<'r> {
    arrays: &'r Arrays,
    /// For the root and each name entered, one after the other, how far every pattern has come.
    reached: Vec<Progress>,
}

impl<'r> PolicyCursor<'r> {
    /// At the root.
    pub(crate) fn new(arrays: &'r Arrays) -> Self {
        Self { arrays, reached: arrays.iter().map(|(pattern, _)| pattern.start()).collect() }
    }

    /// Is every array atomic, wherever the cursor stands?
    pub(crate) fn is_atomic(&self) -> bool {
        self.arrays.is_atomic()
    }

    /// How many names it has entered; 0 if [`is_atomic`](Self::is_atomic).
    pub(crate) fn depth(&self) -> usize {
        self.reached.len().checked_div(self.arrays.0.len()).map_or(0, |levels| levels - 1)
    }

    /// Goes into the member or element `name`.
    pub(crate) fn enter(&mut self, name: &str) {
        let level = self.reached.len() - self.arrays.0.len();
        for (index, (pattern, _)) in self.arrays.0.iter().enumerate() {
            self.reached.push(pattern.step(self.reached[level + index], name));
        }
    }

    /// Goes back until it has entered at most `depth` names.
    pub(crate) fn leave_to(&mut self, depth: usize) {
        self.reached.truncate((depth + 1) * self.arrays.0.len());
    }

    /// The policy for an array where the cursor stands.
    pub(crate) fn policy(&self) -> &'r ArrayPolicy {
        let level = self.reached.len() - self.arrays.0.len();
        let matches = |(index, (pattern, _)): &(usize, &(Pattern, _))| pattern.is_match(self.reached[level + index]);
        self.arrays.0.iter().enumerate().find(matches).map_or(&ArrayPolicy::Atomic, |(_, (_, policy))| policy)
    }
}
