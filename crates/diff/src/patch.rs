//! RFC 6902 patches from changes.

use crate::{Change, ChangeKind};
use afterimage_json::{Kind, Pointer, Raw, canonical};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, MoveOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

/// The patch that turns the document before into the document after.
///
/// Takes all changes of one comparison, in their order: they follow from each other.
#[must_use]
pub fn forward(changes: &[Change<'_>]) -> Patch {
    Patch(changes.iter().flat_map(steps).map(Step::operation).collect())
}

/// The patch that turns the document after back into the document before.
///
/// Takes all changes of one comparison, in their order: they are undone last first.
#[must_use]
pub fn inverse(changes: &[Change<'_>]) -> Patch {
    let steps: Vec<_> = changes.iter().flat_map(steps).collect();
    Patch(steps.into_iter().rev().map(Step::undone).map(Step::operation).collect())
}

/// The value as a tree. Numbers keep every digit; depth is as bounded as that of the value.
#[must_use]
pub fn to_value(raw: Raw<'_>) -> Value {
    // Not through the parser of serde_json: with `arbitrary_precision` it takes objects with a certain key for numbers.
    match raw.kind() {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(raw.bool() == Some(true)),
        Kind::Number => raw.as_str().parse().map_or(Value::Null, Value::Number),
        Kind::String => Value::String(raw.string().unwrap_or_default().into_owned()),
        Kind::Array => Value::Array(raw.elements().into_iter().flatten().map(to_value).collect()),
        Kind::Object => {
            let members = raw.members().into_iter().flatten();
            Value::Object(members.map(|(key, value)| (key.into_owned(), to_value(value))).collect())
        }
    }
}

/// One operation, with what it takes to undo it.
enum Step<'a> {
    Add { path: Pointer, value: Raw<'a> },
    Remove { path: Pointer, value: Raw<'a> },
    Replace { path: Pointer, old: Raw<'a>, new: Raw<'a> },
    Move { array: Pointer, from: usize, to: usize },
}

impl Step<'_> {
    fn undone(self) -> Self {
        match self {
            Self::Add { path, value } => Self::Remove { path, value },
            Self::Remove { path, value } => Self::Add { path, value },
            Self::Replace { path, old, new } => Self::Replace { path, old: new, new: old },
            Self::Move { array, from, to } => Self::Move { array, from: to, to: from },
        }
    }

    fn operation(self) -> PatchOperation {
        match self {
            Self::Add { path, value } => PatchOperation::Add(AddOperation { path: buf(&path), value: to_value(value) }),
            Self::Remove { path, .. } => PatchOperation::Remove(RemoveOperation { path: buf(&path) }),
            Self::Replace { path, new, .. } => {
                PatchOperation::Replace(ReplaceOperation { path: buf(&path), value: to_value(new) })
            }
            Self::Move { array, from, to } => {
                let element = |index| {
                    let mut path = buf(&array);
                    path.push_back(index);
                    path
                };
                PatchOperation::Move(MoveOperation { from: element(from), path: element(to) })
            }
        }
    }
}

/// Steps in the terms of the document before: what a step needs has been done by the steps ahead of it.
fn steps<'a>(change: &Change<'a>) -> Vec<Step<'a>> {
    let path = change.path_before().clone();
    match &change.kind {
        ChangeKind::Added { new } => vec![Step::Add { path, value: *new }],
        ChangeKind::Removed { old } => vec![Step::Remove { path, value: *old }],
        ChangeKind::Replaced { old, new } => vec![Step::Replace { path, old: *old, new: *new }],
        ChangeKind::Order { old, new } => {
            moves(old, new).into_iter().map(|(from, to)| Step::Move { array: path.clone(), from, to }).collect()
        }
    }
}

/// Which element to take out and where to put it, one after the other, to come from the old order to the new. Elements of
/// a longest run that is in order already stay where they are.
fn moves(old: &[Raw<'_>], new: &[Raw<'_>]) -> Vec<(usize, usize)> {
    let id = |key: &Raw<'_>| {
        let mut id = Vec::new();
        canonical(*key, &mut id);
        id
    };
    // The elements of a set may be there several times; the first of equal ones stays the first.
    let mut positions: HashMap<_, VecDeque<usize>> = HashMap::new();
    for (position, key) in old.iter().enumerate() {
        positions.entry(id(key)).or_default().push_back(position);
    }
    let target: Vec<usize> = new.iter().filter_map(|key| positions.get_mut(&id(key))?.pop_front()).collect();
    let stays = longest_increasing(&target);
    let mut current: Vec<usize> = (0..old.len()).collect();
    let find = |current: &[usize], element| current.iter().position(|&other| other == element);
    let mut moves = Vec::new();
    let mut previous = None;
    for element in target {
        if stays.binary_search(&element).is_err()
            && let Some(from) = find(&current, element)
        {
            current.remove(from);
            let to = previous.and_then(|previous| find(&current, previous)).map_or(0, |at| at + 1);
            current.insert(to, element);
            if from != to {
                moves.push((from, to));
            }
        }
        previous = Some(element);
    }
    moves
}

/// A longest increasing run of different numbers, ascending.
fn longest_increasing(numbers: &[usize]) -> Vec<usize> {
    // For each length the index of the smallest last number of a run, and for each number the index of the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|&end| numbers[end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    let mut run: Vec<_> =
        std::iter::successors(ends.last().copied(), |&index| before[index]).map(|index| numbers[index]).collect();
    run.reverse();
    run
}

fn buf(path: &Pointer) -> PointerBuf {
    PointerBuf::from_tokens(path.segments().map(Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_restored_with_the_fewest_moves() {
        let keys = |text: &'static str| Raw::parse(text).unwrap().elements().unwrap().collect::<Vec<_>>();
        for (old, new, count) in [
            ("[1,2,3,4]", "[2,3,4,1]", 1),
            ("[1,2,3,4]", "[4,1,2,3]", 1),
            ("[1,2,3,4]", "[4,3,2,1]", 3),
            ("[1,2,3,4]", "[1,2,3,4]", 0),
            ("[1,2,3,4,5,6]", "[3,1,2,6,4,5]", 2),
            ("[1,1.0,2,1]", "[2,1,1.0,1]", 1),
        ] {
            let mut order: Vec<_> = keys(old).iter().map(|key| key.as_str()).collect();
            let moves = moves(&keys(old), &keys(new));
            assert_eq!(moves.len(), count, "{old} {new}");
            for (from, to) in moves {
                let key = order.remove(from);
                order.insert(to, key);
            }
            assert_eq!(order, keys(new).iter().map(|key| key.as_str()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_tree_keeps_digits_and_odd_keys() {
        let text = r#"{"$serde_json::private::Number":"1","n":[123456789012345678901234567890.10,1e400,-0]}"#;
        assert_eq!(to_value(Raw::parse(text).unwrap()).to_string(), text.replace("1e400", "1e+400"));
    }
}
