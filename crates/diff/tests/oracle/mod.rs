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
