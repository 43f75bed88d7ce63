//! Comparing two values that are proven JSON, member by member.

use crate::arrays::PolicyCursor;
use crate::edits::Edits;
use crate::keyed::Keyed;
use crate::{ArrayPolicy, Arrays, Change, ChangeKind};
use afterimage_json::{Kind, Pointer, Raw, equal, unescape};
use std::borrow::Cow;

/// Most bytes that say where changes are, for each byte of the two documents. A hostile document with long names above many
/// values would else make changes a thousand times its size.
const PLACES_PER_BYTE: usize = 2;
/// And so many for documents that are small.
const PLACES_SPARE_BYTES: usize = 64 * 1024;
/// Added for each change, for what stands around its place and values when it is written.
const FRAME_BYTES: usize = 32;

/// Where a comparison stands, and what it has found.
pub(crate) struct Walk<'a, 'r> {
    arrays: &'r Arrays,
    policies: PolicyCursor<'r>,
    path: Vec<Step<'a>>,
    key: Vec<Raw<'a>>,
    /// Values that lie so deep are not looked into: they differ as a whole or not at all.
    depth_max: usize,
    /// Depth of the deepest change.
    deepest: usize,
    /// Bytes for the places of changes: in all, and left.
    places_bytes: usize,
    left_bytes: usize,
    /// There was not enough of that: the changes are not all.
    is_over: bool,
    changes: Vec<Change<'a>>,
    gone: Vec<Gone>,
}

/// Where something that went from an element that moved would be in the document after. Changes do not say: what is gone has
/// a place before only.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Position of the change.
    pub(crate) change: usize,
    pub(crate) after: Pointer,
}

enum Step<'a> {
    /// A member, its name as it is spelled between the quotes.
    Member(&'a str),
    /// An element, by its position before and after.
    Element { old: usize, new: usize },
}

impl<'a, 'r> Walk<'a, 'r> {
    /// For documents of so many bytes together.
    pub(crate) fn new(arrays: &'r Arrays, documents_bytes: usize) -> Self {
        let places_bytes = documents_bytes.saturating_mul(PLACES_PER_BYTE).saturating_add(PLACES_SPARE_BYTES);
        Self::within(arrays, places_bytes, usize::MAX)
    }

    fn within(arrays: &'r Arrays, places_bytes: usize, depth_max: usize) -> Self {
        Self {
            arrays,
            policies: PolicyCursor::new(arrays),
            path: Vec::new(),
            key: Vec::new(),
            depth_max,
            deepest: 0,
            places_bytes,
            left_bytes: places_bytes,
            is_over: false,
            changes: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// What was found. If that takes too much to tell, the documents are compared again, less deeply, until it does not:
    /// all that differs in a value is then one change. Each round halves the depth, so there are few.
    pub(crate) fn finish(mut self, old: Raw<'a>, new: Raw<'a>) -> (Vec<Change<'a>>, Vec<Gone>) {
        while self.is_over {
            self = Self::within(self.arrays, self.places_bytes, self.deepest / 2);
            self.values(old, new);
        }
        (self.changes, self.gone)
    }

    /// Goes into a member, called by its spelled name.
    pub(crate) fn enter(&mut self, key: &'a str) {
        self.path.push(Step::Member(key));
    }

    /// Comes out of it.
    #[inline]
    pub(crate) fn leave(&mut self) {
        self.path.pop();
        self.policies.leave_to(self.path.len());
    }

    /// Compares the values at the current place.
    pub(crate) fn values(&mut self, old: Raw<'a>, new: Raw<'a>) {
        if self.is_over || old.as_str() == new.as_str() {
            return;
        }
        let depth = self.path.len();
        match (old.kind(), new.kind()) {
            // The members of a record are told apart in any case: each is named once, so that is bounded by itself.
            (Kind::Object, Kind::Object) if depth == 0 || depth < self.depth_max => {
                self.members(members(old), members(new));
            }
            (Kind::Array, Kind::Array) if depth < self.depth_max => self.elements(old, new),
            _ => self.atomic(old, new),
        }
    }

    /// Compares the members of two objects (or the rest of them), called by their spelled names.
    pub(crate) fn members(&mut self, old: Vec<(&'a str, Raw<'a>)>, new: Vec<(&'a str, Raw<'a>)>) {
        let names: Vec<Cow<'a, str>> = new.iter().map(|(key, _)| text(key)).collect();
        let mut sorted: Vec<usize> = (0..new.len()).collect();
        sorted.sort_unstable_by(|&a, &b| names[a].cmp(&names[b]));
        let mut stayed = vec![false; new.len()];
        for (key, old) in old {
            self.enter(key);
            let name = text(key);
            match sorted.binary_search_by(|&at| names[at].cmp(&name)) {
                Ok(found) => {
                    stayed[sorted[found]] = true;
                    self.values(old, new[sorted[found]].1);
                }
                Err(_) => self.push(ChangeKind::Removed { old }),
            }
            self.leave();
        }
        for ((key, new), _) in new.into_iter().zip(stayed).filter(|(_, stayed)| !stayed) {
            self.enter(key);
            self.push(ChangeKind::Added { new });
            self.leave();
        }
    }

    fn atomic(&mut self, old: Raw<'a>, new: Raw<'a>) {
        if !equal(old, new) {
            self.push(ChangeKind::Replaced { old, new });
        }
    }

    fn elements(&mut self, old: Raw<'a>, new: Raw<'a>) {
        match self.policy() {
            ArrayPolicy::Atomic => self.atomic(old, new),
            ArrayPolicy::Index => self.by_position(&elements(old), &elements(new)),
            ArrayPolicy::Keyed(pointer) => {
                match (Keyed::new(elements(old), pointer), Keyed::new(elements(new), pointer)) {
                    (Some(old), Some(new)) => self.by_key(&old, &new),
                    _ => self.atomic(old, new),
                }
            }
            ArrayPolicy::Set => self.by_value(old, new, Edits::of_set),
            ArrayPolicy::Lcs => self.by_value(old, new, Edits::of_sequence),
        }
    }

    /// The policy for arrays here.
    fn policy(&mut self) -> &'r ArrayPolicy {
        if self.policies.is_atomic() {
            return &ArrayPolicy::Atomic;
        }
        for step in self.path.iter().skip(self.policies.depth()) {
            match step {
                Step::Member(key) => self.policies.enter(&text(key)),
                Step::Element { new, .. } => self.policies.enter(&new.to_string()),
            }
        }
        self.policies.policy()
    }

    fn by_position(&mut self, old: &[Raw<'a>], new: &[Raw<'a>]) {
        for (index, (&old, &new)) in old.iter().zip(new).enumerate() {
            self.at(index, index, |walk| walk.values(old, new));
        }
        for (index, &old) in old.iter().enumerate().skip(new.len()).rev() {
            self.at(index, index, |walk| walk.push(ChangeKind::Removed { old }));
        }
        for (index, &new) in new.iter().enumerate().skip(old.len()) {
            self.at(index, index, |walk| walk.push(ChangeKind::Added { new }));
        }
    }

    fn by_value(&mut self, old: Raw<'a>, new: Raw<'a>, edits: impl FnOnce(&[Raw<'a>], &[Raw<'a>]) -> Option<Edits>) {
        let (before, after) = (elements(old), elements(new));
        let Some(edits) = edits(&before, &after) else { return self.atomic(old, new) };
        for (from, to) in edits.altered {
            self.at(from, to, |walk| walk.values(before[from], after[to]));
        }
        for from in edits.gone.into_iter().rev() {
            self.at(from, from, |walk| walk.push(ChangeKind::Removed { old: before[from] }));
        }
        if !edits.reordered.is_empty() {
            let new = edits.reordered.iter().map(|&(_, to)| after[to]).collect();
            let mut places = edits.reordered;
            places.sort_unstable();
            self.push(ChangeKind::Order { old: places.iter().map(|&(from, _)| before[from]).collect(), new });
        }
        for to in edits.come {
            self.at(to, to, |walk| walk.push(ChangeKind::Added { new: after[to] }));
        }
    }

    fn by_key(&mut self, old: &Keyed<'a>, new: &Keyed<'a>) {
        // Positions of those that stayed, in the order after.
        let stayed: Vec<(usize, usize)> =
            new.ids.iter().enumerate().filter_map(|(at, id)| Some((*old.positions.get(id)?, at))).collect();
        for &(from, to) in &stayed {
            self.key.push(new.keys[to]);
            self.at(from, to, |walk| walk.values(old.elements[from], new.elements[to]));
            self.key.pop();
        }
        for (from, &gone) in old.elements.iter().enumerate().rev() {
            if !new.positions.contains_key(&old.ids[from]) {
                self.key.push(old.keys[from]);
                self.at(from, from, |walk| walk.push(ChangeKind::Removed { old: gone }));
                self.key.pop();
            }
        }
        if !stayed.is_sorted() {
            let mut before = stayed.clone();
            before.sort_unstable();
            let keys = |places: &[(usize, usize)]| places.iter().map(|&(_, to)| new.keys[to]).collect();
            self.push(ChangeKind::Order { old: keys(&before), new: keys(&stayed) });
        }
        for (to, &come) in new.elements.iter().enumerate() {
            if !old.positions.contains_key(&new.ids[to]) {
                self.key.push(new.keys[to]);
                self.at(to, to, |walk| walk.push(ChangeKind::Added { new: come }));
                self.key.pop();
            }
        }
    }

    fn at(&mut self, old: usize, new: usize, visit: impl FnOnce(&mut Self)) {
        self.path.push(Step::Element { old, new });
        visit(self);
        self.leave();
    }

    fn push(&mut self, kind: ChangeKind<'a>) {
        if self.is_over {
            return;
        }
        let depth = self.path.len();
        self.deepest = self.deepest.max(depth);
        let (path, old_path) = self.place();
        // A change of a whole member, of which the walk must not be able to run out.
        let is_floor = depth == 0 || depth == 1 && self.depth_max <= 1 && matches!(self.path[0], Step::Member(_));
        if !is_floor {
            let bytes = FRAME_BYTES + self.place_bytes(&path, old_path.as_ref(), &kind);
            match self.left_bytes.checked_sub(bytes) {
                Some(left) => self.left_bytes = left,
                None => {
                    self.is_over = true;
                    self.changes = Vec::new();
                    return;
                }
            }
        }
        let (path, old_path) = match (&kind, old_path) {
            (ChangeKind::Removed { .. }, Some(old_path)) => {
                self.gone.push(Gone { change: self.changes.len(), after: path });
                (old_path, None)
            }
            (_, old_path) => (path, old_path),
        };
        self.changes.push(Change { path, old_path, key: self.key.clone(), kind });
    }

    /// What it takes to say where a change is.
    fn place_bytes(&self, path: &Pointer, old_path: Option<&Pointer>, kind: &ChangeKind<'_>) -> usize {
        let keys = |keys: &[Raw<'_>]| keys.iter().map(|key| key.as_str().len()).sum::<usize>();
        let order = match kind {
            ChangeKind::Order { old, new } => keys(old) + keys(new),
            ChangeKind::Added { .. } | ChangeKind::Removed { .. } | ChangeKind::Replaced { .. } => 0,
        };
        path.as_str().len() + old_path.map_or(0, |path| path.as_str().len()) + keys(&self.key) + order
    }

    /// The current place after, and before if that differs.
    fn place(&self) -> (Pointer, Option<Pointer>) {
        let path = self.pointer(|_, new| new);
        let moved = self.path.iter().any(|step| matches!(step, Step::Element { old, new } if old != new));
        let old_path = moved.then(|| self.pointer(|old, _| old));
        (path, old_path)
    }

    fn pointer(&self, side: impl Fn(usize, usize) -> usize) -> Pointer {
        let mut pointer = Pointer::root();
        for step in &self.path {
            match step {
                Step::Member(key) => pointer.push(&text(key)),
                Step::Element { old, new } => pointer.push_index(side(*old, *new)),
            }
        }
        pointer
    }
}

fn members(object: Raw<'_>) -> Vec<(&str, Raw<'_>)> {
    let Some(mut members) = object.members() else { return Vec::new() };
    std::iter::from_fn(|| members.next_spelled()).collect()
}

fn elements(array: Raw<'_>) -> Vec<Raw<'_>> {
    array.elements().into_iter().flatten().collect()
}

/// What a spelled key of proven JSON says.
fn text(key: &str) -> Cow<'_, str> {
    unescape(key).unwrap_or(Cow::Borrowed(key))
}
