use afterimage_diff::Images;
use afterimage_event::{Op, RecordKey, Timestamp};
use serde_json::value::RawValue;

use super::answer::read;
use super::flags::bears_state;
use super::fold::Fold;
use super::walk::{Shown, Walk};
use super::{Flag, RecordQuery, StateView, Trail, TrailError};
use crate::content::Content;
use crate::{Direction, OrderKey, RowRange};

/// Index rows read first: mostly the newest entry answers.
const ROWS_FIRST: usize = 2;

impl Trail {
    /// The record as it stood at a time, inclusive: an entry of that very moment counts.
    ///
    /// After a delete `exists` is false and `state` the last one it had; so after a truncate of its table, flagged
    /// `truncated`. Where the table keeps images of only some entries, the state is folded from the nearest older image.
    ///
    /// # Errors
    /// [`TrailError::StateUnknown`] when the record existed but the trail does not hold what it looked like, and says
    /// why; other [`TrailError`]s.
    pub async fn state(&self, query: &RecordQuery, at: Timestamp) -> Result<StateView, TrailError> {
        let record = self.resolve(query).await?;
        let mut walk = Walk::new(self, &record, range_up_to(at));
        let last = next_bearing_state(&mut walk).await?;
        let truncate = self.last_truncate(&record, at).await?;
        if walk.passed_expired() && last.is_none() {
            return Ok(StateView { exists: None, flags: vec![Flag::Expired], ..StateView::nothing() });
        }
        if last.is_none() && walk.cut_off_at().is_some() {
            return Err(unknown(format!("none of the last {} entries bears a state", super::ROWS_EXAMINED_MAX)));
        }
        let truncated = truncate.filter(|truncate| last.as_ref().is_none_or(|last| order(last) < order(truncate)));
        let Some(last) = last else {
            return match truncated {
                Some(truncate) => Ok(StateView {
                    exists: Some(false),
                    as_of: Some(truncate.row.occurred_at),
                    flags: vec![Flag::Truncated],
                    ..StateView::nothing()
                }),
                None => self.before_first_entry(&record, at).await,
            };
        };

        let mut flags = self.flags(&[&last]).await?.pop().unwrap_or_default();
        let content = read(&last)?;
        let gone = content.op == Op::Delete || truncated.is_some();
        let mut view = match self.image(&mut walk, content).await {
            // That it is gone is known, whatever it looked like.
            Err(TrailError::StateUnknown { .. }) if gone => StateView::nothing(),
            other => other?,
        };
        view.exists = Some(!gone);
        view.as_of = Some(last.row.occurred_at);
        if let Some(truncate) = truncated {
            view.as_of = Some(truncate.row.occurred_at);
            flags.push(Flag::Truncated);
            if truncate.row.occurred_at == last.row.occurred_at && !flags.contains(&Flag::Ambiguous) {
                flags.push(Flag::Ambiguous);
            }
        }
        flags.append(&mut view.flags);
        view.flags = flags;
        Ok(view)
    }

    /// The image an entry leaves behind, or for a delete the one it took away.
    async fn image(&self, walk: &mut Walk<'_>, entry: Content) -> Result<StateView, TrailError> {
        let kept = if entry.op == Op::Delete { &entry.before } else { &entry.after };
        if let Some(image) = kept {
            return Ok(StateView { state: Some(image.clone()), ..StateView::marked(&entry) });
        }
        match entry.images {
            Images::Names => Err(unknown("the table keeps the names of what changed, not the values".to_owned())),
            Images::After => {
                Err(unknown(format!("the {} of {} was sent without its image", entry.op, entry.occurred_at)))
            }
            Images::Changes => {
                let mut fold = Fold::new(entry)?;
                while let Some(older) = next_bearing_state(walk).await? {
                    if let Some(view) = fold.step(read(&older)?)? {
                        return Ok(view);
                    }
                }
                Err(unknown("no older entry holds an image to start from".to_owned()))
            }
        }
    }

    /// Nothing up to that time: did the record not exist yet, or does the trail begin later?
    async fn before_first_entry(&self, record: &RecordKey, at: Timestamp) -> Result<StateView, TrailError> {
        let range =
            RowRange { from: Some(at), to: None, past: None, direction: Direction::Ascending, limit: ROWS_FIRST };
        let mut walk = Walk::new(self, record, range);
        let first = next_bearing_state(&mut walk).await?;
        Ok(match first {
            Some(first) if first.row.op != Op::Insert => {
                StateView { flags: vec![Flag::BeforeFirstEntry], ..StateView::nothing() }
            }
            _ => StateView { exists: Some(false), ..StateView::nothing() },
        })
    }

    async fn last_truncate(&self, record: &RecordKey, at: Timestamp) -> Result<Option<Shown>, TrailError> {
        let table = RecordKey { record_id: Vec::new(), ..record.clone() };
        let mut walk = Walk::new(self, &table, range_up_to(at));
        while let Some(shown) = walk.next().await? {
            if shown.row.op == Op::Truncate {
                return Ok(Some(shown));
            }
        }
        Ok(None)
    }
}

impl StateView {
    fn nothing() -> Self {
        Self {
            exists: None,
            state: None,
            as_of: None,
            unknown: Vec::new(),
            approximate: Vec::new(),
            redacted: Vec::new(),
            flags: Vec::new(),
        }
    }

    pub(super) fn marked(content: &Content) -> Self {
        let (unknown, approximate, redacted) =
            (content.unknown.clone(), content.approximate.clone(), content.redacted.clone());
        Self { unknown, approximate, redacted, ..Self::nothing() }
    }

    pub(super) fn with_state(self, state: Box<RawValue>) -> Self {
        Self { state: Some(state), ..self }
    }
}

pub(super) fn unknown(reason: String) -> TrailError {
    TrailError::StateUnknown { reason }
}

/// Everything up to this moment, newest first.
fn range_up_to(at: Timestamp) -> RowRange {
    let end = at.saturating_add_micros(1);
    // At the very last moment there is none after it.
    let to = (end > at).then_some(end);
    RowRange { from: None, to, past: None, direction: Direction::Descending, limit: ROWS_FIRST }
}

async fn next_bearing_state(walk: &mut Walk<'_>) -> Result<Option<Shown>, TrailError> {
    while let Some(shown) = walk.next().await? {
        if bears_state(shown.row.op) {
            return Ok(Some(shown));
        }
    }
    Ok(None)
}

fn order(shown: &Shown) -> OrderKey {
    shown.row.order_key()
}
