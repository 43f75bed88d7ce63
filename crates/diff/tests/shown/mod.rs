//! What a delta shows, and where its changes lead.

use afterimage_diff::{Change, ChangeKind, Delta, RuledChange, Values, patch};
use afterimage_json::{Pointer, Raw};

use crate::tree::Tree;

/// Everything a delta says, with nothing hidden behind escapes.
pub(crate) fn all_text(delta: &Delta<'_>) -> String {
    let json = |text: &str| format!("{:?}", Tree::parse(text).expect("what a delta shows is JSON"));
    let mut all: Vec<String> = delta.changed.clone();
    all.extend([&delta.before, &delta.after].into_iter().flatten().map(|text| json(text)));
    for change in &delta.changes {
        all.extend(change.old().into_iter().chain(change.new()).map(json));
        all.extend(change.key.iter().map(|text| json(text)));
        if let Values::Order { old, new } = &change.values {
            all.extend(old.iter().chain(new).map(|text| json(text)));
        }
        all.extend([Some(&change.path), change.old_path.as_ref()].into_iter().flatten().map(Pointer::to_string));
    }
    let places = delta.unknown.iter().chain(&delta.redacted).chain(&delta.approximate);
    all.extend(places.map(Pointer::to_string));
    all.join("\n")
}

/// Carries changes out, in the way of RFC 6902.
pub(crate) fn apply(image: &str, changes: &[RuledChange<'_>], undo: bool) -> Tree {
    let raw = |text| Raw::parse(text).unwrap();
    let changes: Vec<Change<'_>> = changes
        .iter()
        .map(|change| Change {
            path: change.path.clone(),
            old_path: change.old_path.clone(),
            key: change.key.iter().map(|key| raw(key)).collect(),
            kind: match &change.values {
                Values::Added { new } => ChangeKind::Added { new: raw(new) },
                Values::Removed { old } => ChangeKind::Removed { old: raw(old) },
                Values::Replaced { old, new } => ChangeKind::Replaced { old: raw(old), new: raw(new) },
                Values::Order { old, new } => ChangeKind::Order {
                    old: old.iter().map(|key| raw(key)).collect(),
                    new: new.iter().map(|key| raw(key)).collect(),
                },
                Values::Redacted { .. } => panic!("nothing is redacted here"),
            },
        })
        .collect();
    let mut value = serde_json::from_str(image).unwrap();
    let patch = if undo { patch::inverse(&changes) } else { patch::forward(&changes) };
    json_patch::patch(&mut value, &patch).unwrap();
    Tree::parse(&value.to_string()).unwrap()
}
