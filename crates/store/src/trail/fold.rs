use afterimage_diff::{Change, ChangeKind, patch};
use afterimage_event::Op;
use afterimage_json::{Pointer, Raw};
use serde_json::value::RawValue;

use super::state::unknown;
use super::{Flag, StateView, TrailError};
use crate::StoreError;
use crate::content::Content;

/// Most entries folded into one state: an image comes every 64 entries or so, so the chance to need more is nil unless
/// images are missing.
const ENTRIES_MAX: usize = 1024;
/// Most bytes of entries held meanwhile.
const BYTES_MAX: usize = 64 << 20;

/// A state made of an older image and the changes since, collected newest first.
pub(super) struct Fold {
    newer: Vec<Content>,
    bytes: usize,
    gap: bool,
}

impl Fold {
    pub(super) fn new(newest: Content) -> Result<Self, TrailError> {
        let mut fold = Self { newer: Vec::new(), bytes: 0, gap: false };
        fold.push(newest)?;
        Ok(fold)
    }

    /// Takes the next older entry; gives the state once there is an image to start from.
    pub(super) fn step(&mut self, older: Content) -> Result<Option<StateView>, TrailError> {
        // Digests leave out what was unknown, so they tell of a gap only where both sides knew the same.
        let newer_before =
            self.newer.last().filter(|newer| newer.unknown == older.unknown).and_then(|newer| newer.before_digest);
        self.gap |= matches!((older.after_digest, newer_before), (Some(left), Some(found)) if left != found);
        if older.op == Op::Delete {
            return Err(unknown(format!("the record was changed after its delete of {}", older.occurred_at)));
        }
        match older.after.is_some() {
            true => self.finish(older).map(Some),
            false => self.push(older).map(|()| None),
        }
    }

    fn push(&mut self, entry: Content) -> Result<(), TrailError> {
        // A delete changes what is there to nothing: the state asked for is the one before it.
        if entry.op != Op::Delete && entry.changes.is_none() {
            return Err(unknown(format!(
                "the {} of {} was sent without one of its images",
                entry.op, entry.occurred_at
            )));
        }
        self.bytes += entry.changes.as_ref().map_or(0, |changes| changes.get().len());
        if self.newer.len() >= ENTRIES_MAX || self.bytes > BYTES_MAX {
            return Err(unknown(format!(
                "more than {ENTRIES_MAX} entries or {BYTES_MAX} bytes of changes since an image"
            )));
        }
        self.newer.push(entry);
        Ok(())
    }

    fn finish(&mut self, base: Content) -> Result<StateView, TrailError> {
        let mut view = StateView::marked(&base);
        let mut state = match &base.after {
            Some(image) => patch::to_value(Raw::parse(image.get()).map_err(|error| damaged(&base, &error))?),
            None => return Err(unknown("no image to start from".to_owned())),
        };
        for entry in self.newer.iter().rev() {
            extend(&mut view.unknown, &entry.unknown);
            extend(&mut view.approximate, &entry.approximate);
            extend(&mut view.redacted, &entry.redacted);
            let Some(changes) = entry.changes.as_ref().filter(|_| entry.op != Op::Delete) else { continue };
            let changes = Raw::parse(changes.get()).map_err(|error| damaged(entry, &error))?;
            let changes: Vec<Change<'_>> = changes.elements().into_iter().flatten().filter_map(read_change).collect();
            json_patch::patch(&mut state, &patch::forward(&changes)).map_err(|_| {
                unknown(format!("the changes of {} do not fit what was there; the trail has a gap", entry.occurred_at))
            })?;
        }
        if self.gap {
            view.flags.push(Flag::Gap);
        }
        let text = state.to_string();
        let state = RawValue::from_string(text).map_err(|error| damaged(&base, &error))?;
        Ok(view.with_state(state))
    }
}

fn extend(pointers: &mut Vec<String>, more: &[String]) {
    for pointer in more {
        if !pointers.contains(pointer) {
            pointers.push(pointer.clone());
        }
    }
}

fn damaged(entry: &Content, error: &impl std::fmt::Display) -> TrailError {
    TrailError::Store(StoreError::Damaged { reason: format!("event `{}`: {error}", entry.id) })
}

/// A change, read back. `None` for one whose values were redacted: images do not hold them either.
fn read_change<'a>(change: Raw<'a>) -> Option<Change<'a>> {
    let pointer = |key| change.get(key).and_then(Raw::string).and_then(|text| text.parse::<Pointer>().ok());
    let values = |list: Raw<'a>| list.elements().map(|elements| elements.collect::<Vec<_>>());
    let kind = match (change.get("old"), change.get("new"), change.get("order")) {
        (None, Some(new), _) => ChangeKind::Added { new },
        (Some(old), None, _) => ChangeKind::Removed { old },
        (Some(old), Some(new), _) => ChangeKind::Replaced { old, new },
        (None, None, Some(order)) => {
            ChangeKind::Order { old: values(order.get("old")?)?, new: values(order.get("new")?)? }
        }
        (None, None, None) => return None,
    };
    Some(Change { path: pointer("path")?, old_path: pointer("old_path"), key: Vec::new(), kind })
}
