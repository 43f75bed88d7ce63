//! The differ again, slow and obvious: over trees, by the words of the contract. What the fast one is held against.

use crate::tree::Tree;
use afterimage_diff::{ArrayPolicy, Arrays, Change, ChangeKind};
use afterimage_json::{Pointer, Raw};

/// A change, its values as trees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    path: Pointer,
    old_path: Option<Pointer>,
    key: Vec<Tree>,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Added(Tree),
    Removed(Tree),
    Replaced(Tree, Tree),
    Order(Vec<Tree>, Vec<Tree>),
}

/// What the contract says differs between two documents.
pub(crate) fn differences(before: &Tree, after: &Tree, arrays: &Arrays) -> Vec<Difference> {
    let mut found = Vec::new();
    let root = Place { before: Pointer::root(), after: Pointer::root(), key: Vec::new() };
    compare(before, after, &root, arrays, &mut found);
    found
}

/// The changes that the fast differ found, in the terms of this one.
pub(crate) fn seen(changes: &[Change<'_>]) -> Vec<Difference> {
    let tree = |raw: &Raw<'_>| Tree::parse(raw.as_str()).unwrap();
    let trees = |raws: &[Raw<'_>]| raws.iter().map(tree).collect::<Vec<_>>();
    changes
        .iter()
        .map(|change| Difference {
            path: change.path.clone(),
            old_path: change.old_path.clone(),
            key: trees(&change.key),
            what: match &change.kind {
                ChangeKind::Added { new } => What::Added(tree(new)),
                ChangeKind::Removed { old } => What::Removed(tree(old)),
                ChangeKind::Replaced { old, new } => What::Replaced(tree(old), tree(new)),
                ChangeKind::Order { old, new } => What::Order(trees(old), trees(new)),
            },
        })
        .collect()
}

#[derive(Clone)]
struct Place {
    before: Pointer,
    after: Pointer,
    key: Vec<Tree>,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        Self { before: self.before.child(name), after: self.after.child(name), key: self.key.clone() }
    }

    fn element(&self, before: usize, after: usize) -> Self {
        Self {
            before: self.before.child(&before.to_string()),
            after: self.after.child(&after.to_string()),
            key: self.key.clone(),
        }
    }

    fn keyed(mut self, key: &Tree) -> Self {
        self.key.push(key.clone());
        self
    }

    fn report(self, what: What, found: &mut Vec<Difference>) {
        let gone = matches!(what, What::Removed(_));
        let path = if gone { self.before.clone() } else { self.after };
        let old_path = (self.before != path).then_some(self.before);
        found.push(Difference { path, old_path, key: self.key, what });
    }
}

fn compare(before: &Tree, after: &Tree, place: &Place, arrays: &Arrays, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Tree::Object(old), Tree::Object(new)) => {
            for (name, value) in old {
                match after.get(name) {
                    Some(now) => compare(value, now, &place.member(name), arrays, found),
                    None => place.member(name).report(What::Removed(value.clone()), found),
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| before.get(name).is_none()) {
                place.member(name).report(What::Added(value.clone()), found);
            }
        }
        (Tree::Array(old), Tree::Array(new)) => match arrays.policy(&place.after) {
            ArrayPolicy::Index => by_position(old, new, place, arrays, found),
            ArrayPolicy::Keyed(pointer) if keyable(old, pointer) && keyable(new, pointer) => {
                by_key(old, new, pointer, place, arrays, found);
            }
            ArrayPolicy::Set if as_set(old, new, place, found) => {}
            ArrayPolicy::Lcs if as_sequence(old, new, place, arrays, found) => {}
            _ => place.clone().report(What::Replaced(before.clone(), after.clone()), found),
        },
        _ => place.clone().report(What::Replaced(before.clone(), after.clone()), found),
    }
}

fn by_position(old: &[Tree], new: &[Tree], place: &Place, arrays: &Arrays, found: &mut Vec<Difference>) {
    for index in 0..old.len().min(new.len()) {
        compare(&old[index], &new[index], &place.element(index, index), arrays, found);
    }
    for index in (new.len()..old.len()).rev() {
        place.element(index, index).report(What::Removed(old[index].clone()), found);
    }
    for (index, element) in new.iter().enumerate().skip(old.len()) {
        place.element(index, index).report(What::Added(element.clone()), found);
    }
}

fn by_key(old: &[Tree], new: &[Tree], pointer: &Pointer, place: &Place, arrays: &Arrays, found: &mut Vec<Difference>) {
    let find = |elements: &[Tree], wanted: &Tree| elements.iter().position(|e| key(e, pointer) == Some(wanted));
    let key = |element| key(element, pointer).unwrap();
    let mut kept_old = Vec::new();
    let mut kept_new = Vec::new();
    for (to, element) in new.iter().enumerate() {
        if let Some(from) = find(old, key(element)) {
            compare(&old[from], element, &place.element(from, to).keyed(key(element)), arrays, found);
            kept_new.push(key(element).clone());
        }
    }
    for (from, element) in old.iter().enumerate().rev() {
        if find(new, key(element)).is_none() {
            place.element(from, from).keyed(key(element)).report(What::Removed(element.clone()), found);
        } else {
            kept_old.insert(0, key(element).clone());
        }
    }
    if kept_old != kept_new {
        place.clone().report(What::Order(kept_old, kept_new), found);
    }
    for (to, element) in new.iter().enumerate() {
        if find(old, key(element)).is_none() {
            place.element(to, to).keyed(key(element)).report(What::Added(element.clone()), found);
        }
    }
}

/// False if there is too much to tell.
fn as_set(old: &[Tree], new: &[Tree], place: &Place, found: &mut Vec<Difference>) -> bool {
    // How many elements up to this one are the same as it, and how many there are in all.
    let rank = |elements: &[Tree], at: usize| elements[..=at].iter().filter(|e| **e == elements[at]).count();
    let count = |elements: &[Tree], wanted: &Tree| elements.iter().filter(|e| *e == wanted).count();
    let gone: Vec<usize> = (0..old.len()).filter(|&at| rank(old, at) > count(new, &old[at])).collect();
    let come: Vec<usize> = (0..new.len()).filter(|&at| rank(new, at) > count(old, &new[at])).collect();
    let without = |elements: &[Tree], left_out: &[usize]| {
        let stay = elements.iter().enumerate().filter(|(at, _)| !left_out.contains(at));
        stay.map(|(_, element)| element.clone()).collect::<Vec<_>>()
    };
    let (kept_old, kept_new) = (without(old, &gone), without(new, &come));
    let reordered = kept_old != kept_new;
    if gone.len() + come.len() + if reordered { kept_old.len() } else { 0 } > ArrayPolicy::EDITS_MAX {
        return false;
    }
    for at in gone.into_iter().rev() {
        place.element(at, at).report(What::Removed(old[at].clone()), found);
    }
    if reordered {
        place.clone().report(What::Order(kept_old, kept_new), found);
    }
    for at in come {
        place.element(at, at).report(What::Added(new[at].clone()), found);
    }
    true
}

/// False if there is too much to tell.
fn as_sequence(old: &[Tree], new: &[Tree], place: &Place, arrays: &Arrays, found: &mut Vec<Difference>) -> bool {
    let shorter = old.len().min(new.len());
    let start = (0..shorter).take_while(|&at| old[at] == new[at]).count();
    let end = (0..shorter - start).take_while(|&at| old[old.len() - 1 - at] == new[new.len() - 1 - at]).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    let froms: Vec<usize> = (start..old_end).filter(|&at| new[start..new_end].contains(&old[at])).collect();
    let tos: Vec<usize> = (start..new_end).filter(|&at| old[start..old_end].contains(&new[at])).collect();

    // The textbook table: how long the longest common subsequence is from there on.
    let mut length = vec![vec![0; tos.len() + 1]; froms.len() + 1];
    for i in (0..froms.len()).rev() {
        for j in (0..tos.len()).rev() {
            length[i][j] = if old[froms[i]] == new[tos[j]] {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    if froms.len() + tos.len() - 2 * length[0][0] > ArrayPolicy::LCS_DISTANCE_MAX {
        return false;
    }
    let mut stay = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < froms.len() && j < tos.len() {
        if old[froms[i]] == new[tos[j]] {
            stay.push((froms[i], tos[j]));
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }

    let (mut altered, mut gone, mut come) = (Vec::new(), Vec::new(), Vec::new());
    let (mut from, mut to) = (start, start);
    for (next_from, next_to) in stay.into_iter().chain([(old_end, new_end)]) {
        while from < next_from || to < next_to {
            match (from < next_from, to < next_to) {
                (true, true) => altered.push((from, to)),
                (true, false) => gone.push(from),
                (false, _) => come.push(to),
            }
            (from, to) = ((from + 1).min(next_from), (to + 1).min(next_to));
        }
        (from, to) = (next_from + 1, next_to + 1);
    }
    if gone.len() + come.len() > ArrayPolicy::EDITS_MAX {
        return false;
    }
    for (from, to) in altered {
        compare(&old[from], &new[to], &place.element(from, to), arrays, found);
    }
    for at in gone.into_iter().rev() {
        place.element(at, at).report(What::Removed(old[at].clone()), found);
    }
    for at in come {
        place.element(at, at).report(What::Added(new[at].clone()), found);
    }
    true
}

fn keyable(elements: &[Tree], pointer: &Pointer) -> bool {
    elements.len() <= ArrayPolicy::KEYED_ELEMENTS_MAX
        && elements.iter().enumerate().all(|(index, element)| {
            key(element, pointer)
                .is_some_and(|own| elements[..index].iter().all(|other| key(other, pointer) != Some(own)))
        })
}

fn key<'t>(element: &'t Tree, pointer: &Pointer) -> Option<&'t Tree> {
    let Tree::Object(_) = element else { return None };
    let found = pointer.segments().try_fold(element, |tree, segment| match tree {
        Tree::Array(elements) => elements.iter().enumerate().find(|(i, _)| i.to_string() == *segment).map(|(_, e)| e),
        other => other.get(&segment),
    })?;
    matches!(found, Tree::String(_) | Tree::Number(_) | Tree::Bool(_)).then_some(found)
}
