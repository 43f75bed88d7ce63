use afterimage_diff::{Change, ChangeKind, Images, patch};
use afterimage_event::{Op, Timestamp};
use afterimage_json::{Pointer, Raw};
use serde_json::Value;
use serde_json::value::RawValue;

use super::state::unknown;
use super::{Flag, StateView, TrailError};
use crate::content::{Content, read_change};
use crate::{Digest, StoreError};

/// What a record looks like, told entry by entry, oldest first: each costs what it holds, however long the history.
#[derive(Default)]
pub(super) struct Replay {
    standing: Standing,
    gap: bool,
}

#[derive(Default)]
enum Standing {
    /// Nothing was told yet.
    #[default]
    Unseen,
    /// The image that this entry left behind.
    Whole(Box<Content>),
    /// An image and the changes since.
    Folded(Box<Fold>),
    /// It is gone; what it looked like before, as far as that can be told.
    Gone { at: Timestamp, last: Box<StateView> },
    /// Why nobody can tell.
    Lost(String),
}

impl Replay {
    /// One that cannot tell, until an entry brings an image.
    pub(super) fn lost(reason: String) -> Self {
        Self { standing: Standing::Lost(reason), gap: false }
    }

    /// Something happened to the record here that no entry of it tells.
    pub(super) fn gap(&mut self) {
        self.gap = true;
    }

    /// Takes the next entry that bears a state.
    pub(super) fn tell(&mut self, entry: Content) -> Result<(), TrailError> {
        self.standing = match self.next(entry) {
            Err(TrailError::StateUnknown { reason }) => Standing::Lost(reason),
            other => other?,
        };
        Ok(())
    }

    /// What it looks like now; after a delete what it looked like last, if that can be told.
    pub(super) fn view(&self) -> Result<StateView, TrailError> {
        let mut view = match &self.standing {
            Standing::Unseen => return Err(unknown("no entry up to then bears a state".to_owned())),
            Standing::Lost(reason) => return Err(unknown(reason.clone())),
            Standing::Gone { last, .. } => return Ok((**last).clone()),
            Standing::Whole(entry) => StateView { state: entry.after.clone(), ..StateView::marked(entry) },
            Standing::Folded(fold) => fold.view()?,
        };
        view.exists = Some(true);
        view.flags.extend(self.gap.then_some(Flag::Gap));
        Ok(view)
    }

    fn next(&mut self, entry: Content) -> Result<Standing, TrailError> {
        if entry.op == Op::Delete {
            let at = entry.occurred_at;
            let last = match self.taken_away(&entry) {
                // That it is gone is known, whatever it looked like.
                Err(TrailError::StateUnknown { .. }) => StateView::nothing(),
                other => other?,
            };
            self.gap = false;
            return Ok(Standing::Gone { at, last: Box::new(StateView { exists: Some(false), ..last }) });
        }
        if entry.after.is_some() {
            self.gap = false;
            return Ok(Standing::Whole(Box::new(entry)));
        }
        self.fold(&entry).map(|fold| Standing::Folded(Box::new(fold)))
    }

    /// The image that a delete took away.
    fn taken_away(&mut self, delete: &Content) -> Result<StateView, TrailError> {
        if delete.before.is_some() {
            return Ok(StateView { state: delete.before.clone(), ..StateView::marked(delete) });
        }
        let mut view = self.fold(delete)?.view()?;
        view.flags.extend(self.gap.then_some(Flag::Gap));
        Ok(view)
    }

    /// The image so far with the changes of an entry that keeps none itself.
    fn fold(&mut self, entry: &Content) -> Result<Fold, TrailError> {
        if let Some(reason) = why_not_folded(entry) {
            return Err(unknown(reason));
        }
        let mut fold = match std::mem::take(&mut self.standing) {
            Standing::Whole(base) => Fold::of(&base)?,
            Standing::Folded(fold) => *fold,
            Standing::Gone { at, .. } => {
                return Err(unknown(format!("the record was changed after its delete of {at}")));
            }
            Standing::Lost(reason) => return Err(unknown(reason)),
            Standing::Unseen => return Err(unknown("no older entry holds an image to start from".to_owned())),
        };
        self.gap |= fold.leaves_a_gap_to(entry);
        fold.apply(entry)?;
        Ok(fold)
    }
}

/// Does the state after this entry follow from the one before it, and only from it?
pub(super) fn is_folded(entry: &Content) -> bool {
    let image = if entry.op == Op::Delete { &entry.before } else { &entry.after };
    image.is_none() && why_not_folded(entry).is_none()
}

fn why_not_folded(entry: &Content) -> Option<String> {
    match entry.images {
        Images::Names => Some("the table keeps the names of what changed, not the values".to_owned()),
        Images::After => Some(format!("the {} of {} was sent without its image", entry.op, entry.occurred_at)),
        // A delete changes what is there to nothing: the state asked for is the one before it.
        Images::Changes if entry.op == Op::Delete || entry.changes.is_some() => None,
        Images::Changes => {
            Some(format!("the {} of {} was sent without one of its images", entry.op, entry.occurred_at))
        }
    }
}

/// An image that changes are carried out on.
struct Fold {
    state: Value,
    /// Where the values are that no entry told since somebody could not see them. They are not in the state: what stood
    /// there before may be out of date.
    unknown: Vec<Pointer>,
    approximate: Vec<String>,
    redacted: Vec<String>,
    /// Digest of the state, and what it leaves out because it was unknown.
    digest: Option<Digest>,
    digest_without: Vec<String>,
}

impl Fold {
    fn of(base: &Content) -> Result<Self, TrailError> {
        let Some(image) = &base.after else { return Err(unknown("no image to start from".to_owned())) };
        let mut fold = Self {
            state: patch::to_value(Raw::parse(image.get()).map_err(|error| damaged(base, &error))?),
            unknown: Vec::new(),
            approximate: base.approximate.clone(),
            redacted: base.redacted.clone(),
            digest: base.after_digest,
            digest_without: base.unknown.clone(),
        };
        fold.forget(&base.unknown);
        Ok(fold)
    }

    /// Digests leave out what was unknown, so they tell of a gap only where both sides knew the same.
    fn leaves_a_gap_to(&self, entry: &Content) -> bool {
        self.digest_without == entry.unknown
            && matches!((self.digest, entry.before_digest), (Some(left), Some(found)) if left != found)
    }

    fn apply(&mut self, entry: &Content) -> Result<(), TrailError> {
        extend(&mut self.approximate, &entry.approximate);
        extend(&mut self.redacted, &entry.redacted);
        if let Some(changes) = entry.changes.as_ref().filter(|_| entry.op != Op::Delete) {
            let changes = Raw::parse(changes.get()).map_err(|error| damaged(entry, &error))?;
            let changes: Vec<Change<'_>> = changes.elements().into_iter().flatten().filter_map(read_change).collect();
            self.carry_out(changes).map_err(|_| {
                unknown(format!("the changes of {} do not fit what was there; the trail has a gap", entry.occurred_at))
            })?;
        }
        self.forget(&entry.unknown);
        self.digest = entry.after_digest;
        self.digest_without.clone_from(&entry.unknown);
        Ok(())
    }

    fn carry_out(&mut self, mut changes: Vec<Change<'_>>) -> Result<(), json_patch::PatchError> {
        if !self.unknown.is_empty() {
            // Nobody knows what a change inside an unknown value leaves there.
            changes.retain(|change| {
                let path = change.path_before();
                let is_whole = !matches!(change.kind, ChangeKind::Order { .. });
                !self.unknown.iter().any(|unknown| path.is_within(unknown) && !(is_whole && path == unknown))
            });
            for change in &changes {
                // What is told now is known from here on. A place to put it, where the patch expects one:
                let path = change.path_before();
                if self.unknown.contains(path) && change.old().is_some() {
                    put_placeholder(&mut self.state, path);
                }
                self.unknown.retain(|unknown| !unknown.is_within(path));
            }
        }
        json_patch::patch(&mut self.state, &patch::forward(&changes))
    }

    /// Takes out values that are unknown from here on. Of an unknown element the whole array: nobody knows what the places
    /// of its neighbours are.
    fn forget(&mut self, pointers: &[String]) {
        for pointer in pointers.iter().filter_map(|text| text.parse::<Pointer>().ok()) {
            let pointer = outside_arrays(&self.state, &pointer);
            if self.unknown.iter().any(|unknown| pointer.is_within(unknown)) {
                continue;
            }
            remove(&mut self.state, &pointer);
            self.unknown.retain(|unknown| !unknown.is_within(&pointer));
            self.unknown.push(pointer);
        }
    }

    fn view(&self) -> Result<StateView, TrailError> {
        let state = RawValue::from_string(self.state.to_string())
            .map_err(|error| TrailError::Store(StoreError::Damaged { reason: format!("a folded state: {error}") }))?;
        Ok(StateView {
            state: Some(state),
            unknown: self.unknown.iter().map(ToString::to_string).collect(),
            approximate: self.approximate.clone(),
            redacted: self.redacted.clone(),
            ..StateView::nothing()
        })
    }
}

/// The pointer, or that of the first array on its way.
fn outside_arrays(state: &Value, pointer: &Pointer) -> Pointer {
    let mut here = Some(state);
    let mut way = Pointer::root();
    for segment in pointer.segments() {
        if here.is_some_and(Value::is_array) {
            break;
        }
        here = here.and_then(|value| value.get(&*segment));
        way.push(&segment);
    }
    way
}

fn remove(state: &mut Value, pointer: &Pointer) {
    let mut parent = pointer.clone();
    parent.pop();
    match (pointer.segments().last(), state.pointer_mut(parent.as_str())) {
        (Some(name), Some(Value::Object(members))) => {
            members.remove(&*name);
        }
        (None, _) => *state = Value::Null,
        _ => {}
    }
}

fn put_placeholder(state: &mut Value, pointer: &Pointer) {
    let mut parent = pointer.clone();
    parent.pop();
    if let (Some(name), Some(Value::Object(members))) = (pointer.segments().last(), state.pointer_mut(parent.as_str()))
    {
        members.entry(name.into_owned()).or_insert(Value::Null);
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
