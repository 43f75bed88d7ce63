use afterimage_event::{Op, RecordKey, Timestamp};

use super::answer::read;
use super::flags::bears_state;
use super::fold::{Replay, is_folded};
use super::walk::{Shown, Walk};
use super::{Flag, RecordQuery, StateView, Trail, TrailError};
use crate::content::Content;
use crate::{Direction, IndexRow, OrderKey, RowRange};

/// Index rows read first: mostly the newest entry answers.
pub(super) const ROWS_FIRST: usize = 2;
/// Most entries folded into one state: an image comes every 64 entries or so, so the chance to need more is nil unless
/// images are missing.
const ENTRIES_MAX: usize = 1024;
/// Most bytes of entries held meanwhile.
const BYTES_MAX: usize = 64 << 20;

impl Trail {
    /// The record as it stood at a time, inclusive: an entry of that very moment counts.
    ///
    /// After a delete `exists` is false and `state` the last one it had; so after a truncate of its table, flagged
    /// `truncated`. Where the table keeps images of only some entries, the state is folded from the nearest older image.
    ///
    /// # Errors
    /// [`TrailError::NoSuchRecord`] when nobody ever told of it; [`TrailError::StateUnknown`] when the record existed but the trail does not hold what it looked like, and says
    /// why; other [`TrailError`]s.
    pub async fn state(&self, query: &RecordQuery, at: Timestamp) -> Result<StateView, TrailError> {
        let record = self.resolve(query).await?;
        let mut walk = Walk::new(self, &record, range_up_to(at));
        let last = next_bearing_state(&mut walk).await?;
        let truncate = self.truncate(&record, range_up_to(at)).await?;
        if walk.passed_expired() && last.is_none() {
            return Ok(StateView { exists: None, flags: vec![Flag::Expired], ..StateView::nothing() });
        }
        if last.is_none() && walk.cut_off_at().is_some() {
            return Err(unknown(format!("none of the last {} entries bears a state", super::ROWS_EXAMINED_MAX)));
        }
        // What was deleted was not there to be truncated.
        let truncated = truncate.filter(|truncate| {
            last.as_ref().is_none_or(|last| last.row.op != Op::Delete && order(last) < order(truncate))
        });
        let Some(last) = last else {
            self.known(&record).await?;
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
        let content = read(&last.content)?;
        let gone = content.op == Op::Delete || truncated.is_some();
        let mut replay = self.run_up(&record, &mut walk, &last, &content).await?;
        replay.tell(content)?;
        let mut view = match replay.view() {
            // That it is gone is known, whatever it looked like.
            Err(TrailError::StateUnknown { .. }) if gone => StateView::nothing(),
            other => other?,
        };
        view.as_of = Some(last.row.occurred_at);
        if let Some(truncate) = truncated {
            view.truncated(&last.row, &truncate.row, &mut flags);
        }
        flags.append(&mut view.flags);
        view.flags = flags;
        Ok(view)
    }

    /// What was there when this entry came, as far as it takes to tell the state after it: nothing where it holds its image
    /// itself. `older` walks on from the entry to the past.
    pub(super) async fn run_up(
        &self,
        record: &RecordKey,
        older: &mut Walk<'_>,
        entry: &Shown,
        content: &Content,
    ) -> Result<Replay, TrailError> {
        if !is_folded(content) {
            return Ok(Replay::default());
        }
        let mut newer: Vec<Content> = Vec::new();
        let mut bytes = 0;
        let start = loop {
            let Some(shown) = next_bearing_state(older).await? else {
                let why = if older.passed_expired() { "; older ones have expired" } else { "" };
                return Ok(Replay::lost(format!("no older entry holds an image to start from{why}")));
            };
            let content = read(&shown.content)?;
            let starts = !is_folded(&content);
            bytes += content.changes.as_ref().map_or(0, |changes| changes.get().len());
            newer.push(content);
            if starts {
                break order(&shown);
            }
            if newer.len() >= ENTRIES_MAX || bytes > BYTES_MAX {
                return Ok(Replay::lost(format!(
                    "more than {ENTRIES_MAX} entries or {BYTES_MAX} bytes of changes since an image"
                )));
            }
        };
        let mut replay = Replay::default();
        for content in newer.into_iter().rev() {
            replay.tell(content)?;
        }
        // A truncate in between took the record; that it was there afterwards nobody told.
        let range = RowRange { past: Some(order(entry)), ..range_up_to(entry.row.occurred_at) };
        if self.truncate(record, range).await?.is_some_and(|truncate| order(&truncate) > start) {
            replay.gap();
        }
        Ok(replay)
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

    /// The first truncate of the record's table in this range.
    pub(super) async fn truncate(&self, record: &RecordKey, range: RowRange) -> Result<Option<Shown>, TrailError> {
        let table = RecordKey { record_id: Vec::new(), ..record.clone() };
        let mut walk = Walk::new(self, &table, range);
        while let Some(shown) = walk.next().await? {
            if shown.row.op == Op::Truncate {
                return Ok(Some(shown));
            }
        }
        Ok(None)
    }
}

impl StateView {
    pub(super) fn nothing() -> Self {
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

    /// The state of a record that a truncate took after its last entry.
    pub(super) fn truncated(&mut self, last: &IndexRow, truncate: &IndexRow, flags: &mut Vec<Flag>) {
        self.exists = Some(false);
        self.as_of = Some(truncate.occurred_at);
        flags.push(Flag::Truncated);
        if truncate.occurred_at == last.occurred_at && !flags.contains(&Flag::Ambiguous) {
            flags.push(Flag::Ambiguous);
        }
    }
}

pub(super) fn unknown(reason: String) -> TrailError {
    TrailError::StateUnknown { reason }
}

/// Everything up to this moment, newest first.
pub(super) fn range_up_to(at: Timestamp) -> RowRange {
    let end = at.saturating_add_micros(1);
    // At the very last moment there is none after it.
    let to = (end > at).then_some(end);
    RowRange { from: None, to, past: None, direction: Direction::Descending, limit: ROWS_FIRST }
}

pub(super) async fn next_bearing_state(walk: &mut Walk<'_>) -> Result<Option<Shown>, TrailError> {
    while let Some(shown) = walk.next().await? {
        if bears_state(shown.row.op) {
            return Ok(Some(shown));
        }
    }
    Ok(None)
}

pub(super) fn order(shown: &Shown) -> OrderKey {
    shown.row.order_key()
}
