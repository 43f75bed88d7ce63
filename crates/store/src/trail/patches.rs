use std::collections::BTreeSet;

use afterimage_diff::{ArrayPolicy, Arrays, Change, ChangeKind, compare, patch};
use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_json::{Kind, Pointer, Raw};
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation};
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::{read, shown};
use super::state::unknown;
use super::walk::expired;
use super::{Flag, Period, ROWS_EXAMINED_MAX, RecordQuery, StateView, Trail, TrailError};
use crate::{Direction, Index, IndexRow, RowRange, StoreError};

/// What turns the record of one time into that of another.
#[derive(Clone, Debug, Serialize)]
pub struct PatchView {
    /// The time the patch starts from.
    #[serde(serialize_with = "shown")]
    pub from: Timestamp,
    /// The time it leads to.
    #[serde(serialize_with = "shown")]
    pub to: Timestamp,
    /// What must be done with the record as a whole before the patch can be: `none`, `create` (it does not exist at
    /// `from`; the patch then adds the whole document at ""), `delete` (it does not exist at `to`; nothing is left to
    /// patch), `absent` (it exists at neither).
    pub record: RecordStep,
    /// RFC 6902, a JSON array. That of a revert has `test` operations in front, one for each value that goes: it fails
    /// on a record where one of them is another by now.
    pub patch: Box<RawValue>,
    /// Of a diff: pointers to values that changed, or may have, and that rules took out or made unreadable. The patch says
    /// nothing of them, but where it writes a whole that one lies in: there it is as a state shows it. A revert refuses instead.
    pub redacted: Vec<String>,
    /// The same of values that the capture could not see.
    pub unknown: Vec<String>,
    /// Pointers to values that may well differ and that the patch leaves as they are: what may be out of date (quiet
    /// fields), what is redacted or unknown and was not seen to change.
    pub left_out: Vec<String>,
    /// Pointers to values that may be out of date and that the patch writes all the same, because what they lie in is
    /// written as a whole.
    pub approximate: Vec<String>,
    /// What to know before applying it.
    pub flags: Vec<Flag>,
}

/// What happens to the record as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordStep {
    /// It is there at both times.
    None,
    /// It must be made.
    Create,
    /// It must be removed.
    Delete,
    /// It is there at neither.
    Absent,
}

/// Index rows read at once while looking for changes of redacted values.
const ROWS_AT_ONCE: usize = 1000;
/// Contents read at once meanwhile.
const CONTENTS_AT_ONCE: usize = 32;

impl Trail {
    /// What changed between two times: RFC 6902 from the state at `from` to the state at `to`.
    ///
    /// Arrays that differ are replaced as a whole. What rules ignore is in no state, so a patch knows nothing of it. Values that
    /// are redacted or unknown are named where they changed, or may have.
    ///
    /// # Errors
    /// [`TrailError::Question`] where `from` is after `to`; other [`TrailError`]s.
    pub async fn diff(&self, query: &RecordQuery, from: Timestamp, to: Timestamp) -> Result<PatchView, TrailError> {
        Period { from: Some(from), to: Some(to) }.check()?;
        self.patch_between(query, from, to, Guard::Nothing).await
    }

    /// What to do to undo everything since a time: RFC 6902 from the state now to the state at `to`.
    ///
    /// Each value that it replaces or removes is tested first, so that it fails where somebody was faster. RFC 6902 has no
    /// test for a member that is absent: what the patch adds, it adds over what may have come meanwhile.
    ///
    /// # Errors
    /// [`TrailError::PatchRefused`] where it would touch what is redacted or unknown; other [`TrailError`]s.
    pub async fn revert(&self, query: &RecordQuery, to: Timestamp) -> Result<PatchView, TrailError> {
        self.patch_between(query, self.now(), to, Guard::Tests).await
    }

    async fn patch_between(
        &self,
        query: &RecordQuery,
        from: Timestamp,
        to: Timestamp,
        guard: Guard,
    ) -> Result<PatchView, TrailError> {
        let record = self.resolve(query).await?;
        let query = RecordQuery { source: Some(record.source.clone()), ..query.clone() };
        let (before, after) = (self.state(&query, from).await?, self.state(&query, to).await?);
        let mut view = PatchView {
            from,
            to,
            record: RecordStep::None,
            patch: operations(Vec::new())?,
            redacted: Vec::new(),
            unknown: Vec::new(),
            left_out: Vec::new(),
            approximate: Vec::new(),
            flags: before.flags.clone(),
        };
        for &flag in &after.flags {
            if !view.flags.contains(&flag) {
                view.flags.push(flag);
            }
        }
        match (exists(&before, from)?, exists(&after, to)?) {
            (false, false) => view.record = RecordStep::Absent,
            (true, false) => {
                view.record = RecordStep::Delete;
                if guard == Guard::Tests {
                    view.patch = operations(tests_of_all(&before)?)?;
                }
            }
            (false, true) => {
                view.record = RecordStep::Create;
                view.conceal(hidden(&after), [&before, &after], guard)?;
                let value = patch::to_value(image(&after)?);
                view.patch = operations(vec![PatchOperation::Add(AddOperation { path: PointerBuf::new(), value })])?;
                view.approximate = after.approximate;
            }
            (true, true) => {
                let hidden: BTreeSet<Pointer> = hidden(&before).union(&hidden(&after)).cloned().collect();
                let touched = self.touched(&record, &view, &hidden, [&before, &after], guard).await?;
                between(&mut view, &before, &after, hidden, touched, guard)?;
            }
        }
        Ok(view)
    }

    /// Which of these places that no state shows were changed between two times, or may have been.
    async fn touched(
        &self,
        record: &RecordKey,
        between: &PatchView,
        hidden: &BTreeSet<Pointer>,
        states: [&StateView; 2],
        guard: Guard,
    ) -> Result<BTreeSet<Pointer>, TrailError> {
        // Keyed digests of values show whether these differ.
        let shows = |state: &StateView, place: &Pointer| {
            image(state).is_ok_and(|image| image.at(place).is_some_and(|value| value.as_str().starts_with("\"hmac:")))
        };
        let mut open = hidden.clone();
        open.retain(|place| !states.iter().all(|state| shows(state, place)));
        let mut touched = BTreeSet::new();
        let (earlier, later) = (between.from.min(between.to), between.from.max(between.to));
        let mut range = RowRange {
            from: Some(earlier.saturating_add_micros(1)),
            to: Some(later.saturating_add_micros(1)),
            past: None,
            direction: Direction::Ascending,
            limit: ROWS_AT_ONCE,
        };
        let mut examined = 0;
        while !open.is_empty() && earlier < later {
            let rows = self.store.rows(&Index::Record(record.clone()), &range).await?;
            examined += rows.len();
            if examined > ROWS_EXAMINED_MAX && guard == Guard::Nothing {
                touched.append(&mut open);
                break;
            }
            if examined > ROWS_EXAMINED_MAX {
                return Err(TrailError::PatchRefused {
                    reason: format!(
                        "more than {ROWS_EXAMINED_MAX} entries lie between, and any of them may have changed {}",
                        listed(open.iter())
                    ),
                });
            }
            range.past = rows.last().map(IndexRow::order_key);
            let is_end = rows.len() < range.limit;
            let now = self.now();
            let suspects: Vec<IndexRow> =
                rows.into_iter().filter(|row| !expired(row, now) && may_touch(row, &open)).collect();
            for rows in suspects.chunks(CONTENTS_AT_ONCE) {
                for shown in self.standing(rows.to_vec(), None).await?.shown {
                    let content = read(&shown.content)?;
                    let changes = content.changes.as_ref().and_then(|changes| Raw::parse(changes.get()).ok());
                    let paths: Option<Vec<Pointer>> = changes.and_then(Raw::elements).map(|changes| {
                        changes.filter_map(|change| change.get("path")?.string()?.parse().ok()).collect()
                    });
                    // Without its changes, or where the record was made anew, anything may be another.
                    let changes = |place: &Pointer| match &paths {
                        Some(paths) if content.op == Op::Update => paths.iter().any(|path| overlap(path, place)),
                        _ => true,
                    };
                    let (new, rest) = open.into_iter().partition(changes);
                    touched.extend::<BTreeSet<Pointer>>(new);
                    open = rest;
                }
            }
            if is_end {
                break;
            }
        }
        Ok(touched)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    Nothing,
    Tests,
}

/// Could what this row stands for have changed one of these places?
fn may_touch(row: &IndexRow, places: &BTreeSet<Pointer>) -> bool {
    match row.op {
        Op::Insert => true,
        Op::Update => places.iter().any(|place| match place.segments().next() {
            Some(name) => row.changed.iter().any(|changed| changed.is_empty() || *changed == name),
            None => true,
        }),
        _ => false,
    }
}

impl PatchView {
    /// Names the values that changed, or may have, and that no state shows; what is to be carried out refuses.
    fn conceal(&mut self, touched: BTreeSet<Pointer>, states: [&StateView; 2], guard: Guard) -> Result<(), TrailError> {
        if guard == Guard::Tests {
            return refuse_unless_none(touched.iter());
        }
        let (redacted, unknown): (BTreeSet<Pointer>, _) = {
            let redacted = pointers(states.iter().flat_map(|state| &state.redacted));
            touched.into_iter().partition(|place| redacted.contains(place))
        };
        self.redacted = redacted.iter().map(ToString::to_string).collect();
        self.unknown = unknown.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// The patch from one image to another, without what may not be written.
fn between(
    view: &mut PatchView,
    before: &StateView,
    after: &StateView,
    hidden: BTreeSet<Pointer>,
    mut touched: BTreeSet<Pointer>,
    guard: Guard,
) -> Result<(), TrailError> {
    let (old, new) = (image(before)?, image(after)?);
    let changes = compare(old.as_str(), new.as_str(), &Arrays::atomic())
        .map_err(|error| TrailError::Store(StoreError::Damaged { reason: error.to_string() }))?;
    touched.extend(hidden.iter().filter(|place| changes.iter().any(|change| overlap(&change.path, place))).cloned());
    let mut left_out: BTreeSet<Pointer> = hidden.difference(&touched).cloned().collect();
    view.conceal(touched.clone(), [before, after], guard)?;

    let approximate = pointers(before.approximate.iter().chain(&after.approximate));
    let written = |change: &Change<'_>, place: &Pointer| place != &change.path && place.is_within(&change.path);
    let mut kept: Vec<Change<'_>> = changes;
    kept.retain(|change| {
        let is_hidden = touched.iter().any(|place| change.path.is_within(place));
        let is_quiet = approximate.iter().any(|place| change.path.is_within(place));
        let holds_quiet = approximate.iter().any(|place| written(change, place));
        !(is_hidden || is_quiet || holds_quiet && same_without(change, &approximate))
    });
    let (written, quiet): (BTreeSet<Pointer>, _) =
        approximate.into_iter().partition(|place| kept.iter().any(|change| written(change, place)));
    view.approximate = written.iter().map(ToString::to_string).collect();
    left_out.extend(quiet);
    view.left_out = left_out.iter().map(ToString::to_string).collect();
    let mut all = Vec::new();
    if guard == Guard::Tests {
        all.extend(kept.iter().filter_map(|change| change.old().map(|old| test(&change.path, old))));
    }
    all.extend(patch::forward(&kept).0);
    view.patch = operations(all)?;
    Ok(())
}

/// Do the values of a change differ in nothing but what may be out of date anyway?
fn same_without(change: &Change<'_>, approximate: &BTreeSet<Pointer>) -> bool {
    let ChangeKind::Replaced { old, new } = change.kind else { return false };
    let by_index = Arrays::new("/**".parse().into_iter().map(|pattern| (pattern, ArrayPolicy::Index)).collect());
    let Ok(differences) = compare(old.as_str(), new.as_str(), &by_index) else { return false };
    let is_quiet = |path: &Pointer| {
        let path: Pointer = change.path.segments().chain(path.segments()).collect();
        approximate.iter().any(|place| path.is_within(place))
    };
    differences.iter().all(|difference| is_quiet(&difference.path))
}

/// A test for each value that is known, so that a record is removed only as it was seen. Objects are not tested as a
/// whole: they may hold what rules ignore.
fn tests_of_all(state: &StateView) -> Result<Vec<PatchOperation>, TrailError> {
    let mut skipped = hidden(state);
    skipped.extend(pointers(&state.approximate));
    let mut tests = Vec::new();
    let mut open = vec![(Pointer::root(), image(state)?)];
    while let Some((place, value)) = open.pop() {
        if skipped.contains(&place) {
            continue;
        }
        match value.kind() {
            Kind::Object => {
                let members = value.members().into_iter().flatten();
                open.extend(members.map(|(name, value)| (place.child(&name), value)));
            }
            Kind::Array if value.elements().is_some_and(|mut all| all.any(|one| is_nested(one))) => {}
            Kind::Array if skipped.iter().any(|skipped| skipped.is_within(&place)) => {}
            _ => tests.push(test(&place, value)),
        }
    }
    tests.reverse();
    Ok(tests)
}

fn is_nested(value: Raw<'_>) -> bool {
    matches!(value.kind(), Kind::Object | Kind::Array)
}

fn test(path: &Pointer, value: Raw<'_>) -> PatchOperation {
    let path = PointerBuf::from_tokens(path.segments().map(std::borrow::Cow::into_owned));
    PatchOperation::Test(TestOperation { path, value: patch::to_value(value) })
}

fn overlap(a: &Pointer, b: &Pointer) -> bool {
    a.is_within(b) || b.is_within(a)
}

fn hidden(state: &StateView) -> BTreeSet<Pointer> {
    pointers(state.redacted.iter().chain(&state.unknown))
}

fn pointers<'t>(texts: impl IntoIterator<Item = &'t String>) -> BTreeSet<Pointer> {
    texts.into_iter().filter_map(|text| text.parse().ok()).collect()
}

fn listed<'p>(places: impl Iterator<Item = &'p Pointer>) -> String {
    let texts: Vec<String> = places.map(|place| format!("`{place}`")).collect();
    texts.join(", ")
}

fn refuse_unless_none<'p>(places: impl Iterator<Item = &'p Pointer>) -> Result<(), TrailError> {
    let listed = listed(places);
    if listed.is_empty() {
        return Ok(());
    }
    Err(TrailError::PatchRefused { reason: format!("it would touch what is redacted or unknown: {listed}") })
}

fn exists(state: &StateView, at: Timestamp) -> Result<bool, TrailError> {
    state.exists.ok_or_else(|| {
        let why =
            if state.flags.contains(&Flag::Expired) { "its entries have expired" } else { "the trail begins later" };
        unknown(format!("whether the record existed at {at} is not known: {why}"))
    })
}

fn image(state: &StateView) -> Result<Raw<'_>, TrailError> {
    let damaged = |reason: String| TrailError::Store(StoreError::Damaged { reason });
    let image = state.state.as_ref().ok_or_else(|| unknown("the record existed without an image".to_owned()))?;
    Raw::parse(image.get()).map_err(|error| damaged(format!("a state: {error}")))
}

fn operations(all: Vec<PatchOperation>) -> Result<Box<RawValue>, TrailError> {
    serde_json::value::to_raw_value(&Patch(all))
        .map_err(|error| TrailError::Store(StoreError::Damaged { reason: format!("a patch: {error}") }))
}
