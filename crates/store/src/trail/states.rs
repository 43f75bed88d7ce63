use std::collections::VecDeque;

use afterimage_event::{Op, RecordKey, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::answer::{read, shown};
use super::cursor::{record_filters, resumed};
use super::history::PAGE_BYTES_MAX;
use super::state::{ROWS_FIRST, next_bearing_state, order};
use super::walk::{Shown, Walk};
use super::{Flag, Listing, Page, RecordQuery, StateView, Trail, TrailError};
use crate::{Direction, OrderKey, RowRange};

/// A state that a record had, and the entry that made it.
#[derive(Clone, Debug, Serialize)]
pub struct StateStep {
    /// Event id of the entry.
    pub id: String,
    /// What was done. A `truncate` is one of the record's table.
    #[serde(serialize_with = "shown")]
    pub op: Op,
    /// When.
    #[serde(serialize_with = "shown")]
    pub occurred_at: Timestamp,
    /// What the record looked like from then on; absent where the trail cannot tell, see `reason`.
    #[serde(flatten)]
    pub state: Option<StateView>,
    /// Why the state cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of several records at one time.
#[derive(Clone, Debug, Serialize)]
pub struct RecordState {
    /// The source.
    pub source: Option<String>,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// Its state; absent where there is none to tell, see `reason`.
    #[serde(flatten)]
    pub state: Option<StateView>,
    /// Why the state cannot be told: no such record, several sources, no image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Most records of one [`Trail::states_at`].
pub const RECORDS_AT_ONCE_MAX: usize = 100;
/// Most records looked up at a time: each may hold the contents of a fold.
pub(super) const LOOKUPS_AT_ONCE_MAX: usize = 8;

impl Trail {
    /// Every state that a record had, newest first unless asked otherwise: one step for each insert, update, delete and
    /// snapshot of it, and one for a truncate of its table that took it.
    ///
    /// The state of a step is that of [`Trail::state`] at its time, where no other entry is of the same moment. A page costs
    /// what its entries hold, whichever way round, and at most one run back to an older image.
    ///
    /// # Errors
    /// [`TrailError`]; [`TrailError::NoSuchRecord`] where nobody ever told of the record.
    pub async fn states(&self, query: &RecordQuery, listing: &Listing) -> Result<Page<StateStep>, TrailError> {
        listing.check()?;
        let filters = record_filters("states", query, listing);
        let cursor = listing.resume(filters)?;
        let record = self.resolve_paged(query, cursor.as_ref()).await?;
        let (started_at, is_first) = (cursor.as_ref().map(|cursor| cursor.started_at), cursor.is_none());
        let past = cursor.map(|cursor| cursor.past);

        let stretch = self.stretch(&record, listing, past, started_at).await?;
        let (mut steps, cut_at) = self.steps(&record, listing, &stretch, started_at).await?;
        if steps.is_empty() && is_first {
            self.known(&record).await?;
        }
        if listing.order == Direction::Descending {
            steps.make_contiguous().reverse();
        }
        let next = cut_at.or(stretch.cut_at).map(|past| resumed(&record, stretch.began, past).encode(filters));
        Ok(Page { items: steps.into_iter().map(|(_, step)| step).collect(), next })
    }

    /// Several records as they stood at one time, in the order asked for. One that cannot be told does not fail the others.
    ///
    /// # Errors
    /// [`TrailError`] when the store fails, a record may not be seen, or there are more than [`RECORDS_AT_ONCE_MAX`].
    pub async fn states_at(&self, records: &[RecordQuery], at: Timestamp) -> Result<Vec<RecordState>, TrailError> {
        if records.len() > RECORDS_AT_ONCE_MAX {
            return Err(TrailError::Limit { got: records.len(), max: RECORDS_AT_ONCE_MAX });
        }
        let lookups: Vec<_> = records.iter().map(|query| self.record_state(query, at)).collect();
        stream::iter(lookups).buffered(LOOKUPS_AT_ONCE_MAX).try_collect().await
    }

    async fn record_state(&self, query: &RecordQuery, at: Timestamp) -> Result<RecordState, TrailError> {
        let RecordQuery { source, table, record_id, .. } = query.clone();
        let mut found = RecordState { source, table, record_id, state: None, reason: None };
        let answer = match self.resolve(query).await {
            Ok(record) => {
                found.source = Some(record.source.clone());
                self.state(&RecordQuery { source: Some(record.source), ..query.clone() }, at).await
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(view) => found.state = Some(view),
            Err(
                error
                @ (TrailError::StateUnknown { .. } | TrailError::NoSuchRecord | TrailError::SeveralSources { .. }),
            ) => found.reason = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(found)
    }

    /// The entries of one page that bear states.
    async fn stretch(
        &self,
        record: &RecordKey,
        listing: &Listing,
        past: Option<OrderKey>,
        started_at: Option<Timestamp>,
    ) -> Result<Stretch, TrailError> {
        let Listing { from, to, order: direction, limit, .. } = *listing;
        let range = RowRange { from, to, past: past.clone(), direction, limit: limit + 1 };
        let mut walk = Walk::new(self, record, range).started_at(started_at);
        let mut entries = Vec::new();
        let mut cut_at = None;
        let (mut bytes, mut largest) = (0, 0);
        while let Some(shown) = next_bearing_state(&mut walk).await? {
            // An entry without an image has a state as large as its neighbours' all the same.
            largest = shown.content.content.len().max(largest);
            bytes += largest;
            if entries.len() == limit || (bytes > PAGE_BYTES_MAX && !entries.is_empty()) {
                cut_at = entries.last().map(order);
                break;
            }
            entries.push(shown);
        }
        let cut_at = cut_at.or_else(|| walk.cut_off_at().cloned());
        let (above, below) = match direction {
            Direction::Ascending => (past, cut_at.clone()),
            Direction::Descending => {
                entries.reverse();
                (cut_at.clone(), past)
            }
        };
        Ok(Stretch { entries, above, below, cut_at, began: walk.began() })
    }

    /// The steps of a stretch, oldest first, as many as a page may hold; and the last one's place if there are more.
    async fn steps(
        &self,
        record: &RecordKey,
        listing: &Listing,
        stretch: &Stretch,
        started_at: Option<Timestamp>,
    ) -> Result<(VecDeque<(OrderKey, StateStep)>, Option<OrderKey>), TrailError> {
        let mut steps = Steps::new(listing);
        let previous = self.entry_before(record, listing, stretch, started_at).await?;
        let mut chain: Vec<&Shown> = previous.iter().chain(&stretch.entries).collect();
        let mut ends = self.ends(record, listing, stretch, &chain).await?;
        // The entry before the page has no step here, but a truncate that took what it left may have.
        let mut skipped = usize::from(previous.is_some());
        if skipped == 1 && ends[0].is_none() {
            chain.remove(0);
            ends.remove(0);
            skipped = 0;
        }
        let Some(&first) = chain.first() else { return Ok(steps.finish()) };
        let range = RowRange {
            from: None,
            to: None,
            past: Some(order(first)),
            direction: Direction::Descending,
            limit: ROWS_FIRST,
        };
        let mut older = Walk::new(self, record, range).started_at(started_at);
        let mut replay = self.run_up(record, &mut older, first, &read(&first.content)?).await?;
        let flags = self.flags(&chain).await?;
        for (index, ((shown, end), flags)) in chain.into_iter().zip(ends).zip(flags).enumerate() {
            replay.tell(read(&shown.content)?)?;
            let view = replay.view().map(|view| StateView { as_of: Some(shown.row.occurred_at), ..view });
            if index >= skipped && !steps.push(shown, with_flags(view, flags.clone()))? {
                break;
            }
            if let Some(truncate) = end {
                let mut flags = flags;
                let mut view = replay.view().or_else(|error| match error {
                    TrailError::StateUnknown { .. } => Ok(StateView::nothing()),
                    other => Err(other),
                })?;
                view.truncated(&shown.row, &truncate.row, &mut flags);
                replay.gap();
                if !steps.push(&truncate, with_flags(Ok(view), flags))? {
                    break;
                }
            }
        }
        Ok(steps.finish())
    }

    /// The last entry that bears a state before the stretch.
    async fn entry_before(
        &self,
        record: &RecordKey,
        listing: &Listing,
        stretch: &Stretch,
        started_at: Option<Timestamp>,
    ) -> Result<Option<Shown>, TrailError> {
        let (to, past) = match (stretch.entries.first(), listing.order) {
            (Some(first), _) => (None, Some(order(first))),
            // The place where the last page ended may be that of the entry itself.
            (None, Direction::Ascending) if stretch.above.is_some() => (None, stretch.above.as_ref().map(just_after)),
            (None, Direction::Descending) if stretch.above.is_some() => (None, stretch.above.clone()),
            (None, _) if listing.from.is_some() => (listing.from, None),
            (None, _) => return Ok(None),
        };
        let range = RowRange { from: None, to, past, direction: Direction::Descending, limit: ROWS_FIRST };
        next_bearing_state(&mut Walk::new(self, record, range).started_at(started_at)).await
    }

    /// For each of these entries in their order: the truncate in the stretch that took what it left, if any.
    ///
    /// One look-up, and one more for each that is found: not one for each truncate of the table.
    async fn ends(
        &self,
        record: &RecordKey,
        listing: &Listing,
        stretch: &Stretch,
        chain: &[&Shown],
    ) -> Result<Vec<Option<Shown>>, TrailError> {
        let mut ends = Vec::with_capacity(chain.len());
        let mut next_truncate: Option<Shown> = None;
        let mut none_left = record.record_id.is_empty();
        for (index, entry) in chain.iter().enumerate() {
            let key = order(entry);
            if !none_left && next_truncate.as_ref().is_none_or(|truncate| order(truncate) < key) {
                let range = RowRange {
                    from: Some(entry.row.occurred_at),
                    to: listing.to,
                    past: Some(key),
                    direction: Direction::Ascending,
                    limit: ROWS_FIRST,
                };
                next_truncate = self.truncate(record, range).await?;
                none_left = next_truncate.is_none();
            }
            let takes = |truncate: &&Shown| {
                let at = order(truncate);
                entry.row.op != Op::Delete
                    && chain.get(index + 1).is_none_or(|next| at < order(next))
                    && stretch.above.as_ref().is_none_or(|above| at > *above)
                    && stretch.below.as_ref().is_none_or(|below| at < *below)
                    && listing.from.is_none_or(|from| truncate.row.occurred_at >= from)
            };
            ends.push(next_truncate.as_ref().filter(takes).cloned());
        }
        Ok(ends)
    }
}

/// The entries of one page, oldest first, and the places between which its steps lie.
struct Stretch {
    entries: Vec<Shown>,
    above: Option<OrderKey>,
    below: Option<OrderKey>,
    /// Where the walk goes on.
    cut_at: Option<OrderKey>,
    /// When it began.
    began: Timestamp,
}

/// Steps, pushed oldest first: the oldest of them when they are listed that way round, otherwise the newest.
struct Steps {
    kept: VecDeque<(OrderKey, StateStep)>,
    keeps_newest: bool,
    limit: usize,
    bytes: usize,
    is_cut: bool,
}

impl Steps {
    fn new(listing: &Listing) -> Self {
        let keeps_newest = listing.order == Direction::Descending;
        Self { kept: VecDeque::new(), keeps_newest, limit: listing.limit, bytes: 0, is_cut: false }
    }

    /// Takes one more; is there room for others?
    fn push(&mut self, entry: &Shown, state: Result<StateView, TrailError>) -> Result<bool, TrailError> {
        let (state, reason) = match state {
            Ok(view) => (Some(view), None),
            Err(TrailError::StateUnknown { reason }) => (None, Some(reason)),
            Err(error) => return Err(error),
        };
        let row = &entry.row;
        let step =
            StateStep { id: row.identity.event_id.clone(), op: row.op, occurred_at: row.occurred_at, state, reason };
        self.bytes += bytes(&step);
        self.kept.push_back((order(entry), step));
        while self.kept.len() > self.limit || (self.bytes > PAGE_BYTES_MAX && self.kept.len() > 1) {
            self.is_cut = true;
            let dropped = if self.keeps_newest { self.kept.pop_front() } else { self.kept.pop_back() };
            self.bytes -= dropped.map_or(0, |(_, step)| bytes(&step));
        }
        Ok(self.keeps_newest || !self.is_cut)
    }

    fn finish(self) -> (VecDeque<(OrderKey, StateStep)>, Option<OrderKey>) {
        let last = if self.keeps_newest { self.kept.front() } else { self.kept.back() };
        let cut_at = last.filter(|_| self.is_cut).map(|(key, _)| key.clone());
        (self.kept, cut_at)
    }
}

fn bytes(step: &StateStep) -> usize {
    step.state.as_ref().and_then(|view| view.state.as_ref()).map_or(0, |state| state.get().len())
}

fn with_flags(view: Result<StateView, TrailError>, mut flags: Vec<Flag>) -> Result<StateView, TrailError> {
    view.map(|mut view| {
        flags.append(&mut view.flags);
        StateView { flags, ..view }
    })
}

/// The place just behind this one: keys are ordered by time of publishing last.
fn just_after(key: &OrderKey) -> OrderKey {
    let mut after = key.clone();
    after.identity.published_at = after.identity.published_at.saturating_add_micros(1);
    after
}
