use std::collections::{BTreeMap, BTreeSet};

use afterimage_event::{RecordKey, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use super::answer::{read, shown};
use super::chain::{Link, Standing, judge};
use super::cursor::{Cursor, record_filters, resumed};
use super::flags::{bears_state, ties};
use super::merge::Merge;
use super::select::INDEXES_MAX;
use super::state::{ROWS_FIRST, next_bearing_state, range_up_to};
use super::states::LOOKUPS_AT_ONCE_MAX;
use super::walk::{Shown, Walk, expired};
use super::{Listing, Page, Period, ROWS_EXAMINED_MAX, RecordQuery, Trail, TrailError};
use crate::{Direction, Index, IndexRow, OrderKey, RowRange, TableKey};

/// A place where the image a change started from is not the one that the last change left: somebody wrote past the audit,
/// or an event is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapView {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The parts of the record's key.
    pub record_id: Vec<String>,
    /// The entry before the gap: its event id.
    pub after_id: Option<String>,
    /// When that one happened.
    #[serde(serialize_with = "super::answer::shown_option")]
    pub after_at: Option<Timestamp>,
    /// The entry behind the gap: its event id.
    pub before_id: String,
    /// When that one happened.
    #[serde(serialize_with = "shown")]
    pub before_at: Timestamp,
    /// False where something else may be the reason: entries that tie, rules that changed in between.
    pub certain: bool,
    /// What does not fit, in words.
    pub reason: String,
}

/// Index rows read at once.
const ROWS_AT_ONCE: usize = 256;
/// Contents read at once: they may be large, and little of them is kept.
const CONTENTS_AT_ONCE: usize = 32;
/// Most entries on either side that are taken into account because they tie.
const TIED_MAX: usize = 64;

impl Trail {
    /// The gaps of one record, newest first unless asked otherwise.
    ///
    /// An image that was not sent, or that was seen in part only, is no gap. Neither is a trail that begins with a change of
    /// a record that was there already. Of entries that tie, the order that leaves the fewest gaps is believed.
    ///
    /// # Errors
    /// [`TrailError`]; [`TrailError::NoSuchRecord`] where nobody ever told of the record.
    pub async fn gaps(&self, query: &RecordQuery, listing: &Listing) -> Result<Page<GapView>, TrailError> {
        let filters = record_filters("gaps", query, listing);
        let cursor = listing.resume(filters)?;
        let record = self.resolve_paged(query, cursor.as_ref()).await?;
        let is_first = cursor.is_none();
        let page = self.gaps_of(vec![Index::Record(record.clone())], &record, listing, cursor, filters).await?;
        if page.items.is_empty() && is_first {
            self.known(&record).await?;
        }
        Ok(page)
    }

    /// The gaps of all records of a table whose entry behind the gap lies in the period; without a time the last 24 hours.
    ///
    /// Looks at no more than [`ROWS_EXAMINED_MAX`] index rows, one or two of them for each record's past: a page may be
    /// short, or empty, and yet not the last one.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn table_gaps(&self, table: &TableKey, listing: &Listing) -> Result<Page<GapView>, TrailError> {
        self.may_see_some_of(table)?;
        let TableKey { tenant, source, table: name } = table.clone();
        let whole = RecordKey { tenant, source, table: name, record_id: Vec::new() };
        let query = RecordQuery {
            tenant: whole.tenant.clone(),
            source: Some(whole.source.clone()),
            table: whole.table.clone(),
            record_id: Vec::new(),
        };
        let filters = record_filters("table gaps", &query, listing);
        let cursor = listing.resume(filters)?;
        let asked_at = cursor.as_ref().map_or_else(|| self.now(), |cursor| cursor.asked_at);
        let Period { from, to } = listing.check()?.or_last_day(asked_at);
        let listing = Listing { from, to, ..listing.clone() };
        self.gaps_of(self.seen_of(table)?, &whole, &listing, cursor, filters).await
    }

    /// Where the entries of a table stand that may be seen, and no others: a cursor that held the place of another would
    /// tell that it is there, and when.
    fn seen_of(&self, table: &TableKey) -> Result<Vec<Index>, TrailError> {
        if self.grants().allow_table(table) {
            return Ok(vec![Index::Table(table.clone())]);
        }
        let records = self.grants().records_of(table);
        if records.len() > INDEXES_MAX {
            let reason =
                format!("{} records are more than {INDEXES_MAX}; ask for the gaps of one record", records.len());
            return Err(TrailError::Question { reason });
        }
        Ok(records.into_iter().map(Index::Record).collect())
    }

    async fn gaps_of(
        &self,
        indexes: Vec<Index>,
        within: &RecordKey,
        listing: &Listing,
        cursor: Option<Cursor>,
        filters: [u8; 8],
    ) -> Result<Page<GapView>, TrailError> {
        listing.check()?;
        let started_at = cursor.as_ref().map(|cursor| cursor.started_at);
        let asked_at = cursor.as_ref().map_or_else(|| self.now(), |cursor| cursor.asked_at);
        // Later, where a version is taken account of that came meanwhile: see `Walk::began`.
        let mut began = started_at.unwrap_or(asked_at);
        let range = RowRange {
            from: listing.from,
            to: listing.to,
            past: cursor.map(|cursor| cursor.past),
            direction: listing.order,
            limit: ROWS_AT_ONCE,
        };
        let mut merge = Merge::new(indexes, range, ROWS_EXAMINED_MAX);
        let (mut items, mut examined, mut next) = (Vec::new(), 0, None);
        loop {
            let mut rows = Vec::new();
            while rows.len() < ROWS_AT_ONCE
                && let Some(row) = merge.next(&*self.store).await?
            {
                rows.push(row);
            }
            examined += rows.len();
            let is_last = rows.len() < ROWS_AT_ONCE;
            let (links, latest) = self.links(rows, started_at).await?;
            if started_at.is_none() {
                began = latest.map_or(began, |latest| latest.max(began));
            }
            // One look-up for each record at least.
            examined += ROWS_FIRST * links.len();
            for (key, gap) in self.chunk_gaps(within, links, listing.order, started_at).await? {
                if items.len() == listing.limit {
                    break;
                }
                items.push(gap);
                next = Some(key);
            }
            if items.len() == listing.limit {
                break;
            }
            next = merge.cut_off_at().cloned();
            if is_last || next.is_none() || examined >= ROWS_EXAMINED_MAX {
                break;
            }
        }
        let cursor = |past| Cursor { asked_at, ..resumed(within, began, past) };
        Ok(Page { items, next: next.map(|past| cursor(past).encode(filters)) })
    }

    /// What these rows say of the continuity of their records, as far as readers see them.
    async fn links(
        &self,
        rows: Vec<IndexRow>,
        started_at: Option<Timestamp>,
    ) -> Result<(Vec<Link>, Option<Timestamp>), TrailError> {
        let now = self.now();
        let rows: Vec<IndexRow> = rows
            .into_iter()
            .filter(|row| bears_state(row.op) && !expired(row, now) && self.grants().allow(&row.record))
            .collect();
        let (mut links, mut latest) = (Vec::with_capacity(rows.len()), None);
        for rows in rows.chunks(CONTENTS_AT_ONCE) {
            let standing = self.standing(rows.to_vec(), started_at).await?;
            latest = latest.max(standing.latest);
            for shown in standing.shown {
                links.push(link(shown)?);
            }
        }
        Ok((links, latest))
    }

    /// The gaps in front of the entries of one chunk, in the order of the walk.
    async fn chunk_gaps(
        &self,
        within: &RecordKey,
        links: Vec<Link>,
        direction: Direction,
        started_at: Option<Timestamp>,
    ) -> Result<Vec<(OrderKey, GapView)>, TrailError> {
        let own: BTreeSet<OrderKey> = links.iter().map(|link| link.row.order_key()).collect();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return Ok(Vec::new()) };
        let edges = [first.occurred_at, last.occurred_at];
        let mut records: BTreeMap<RecordKey, Vec<Link>> = BTreeMap::new();
        for link in links {
            records.entry(link.row.record.clone()).or_default().push(link);
        }
        let lookups: Vec<_> =
            records.into_values().map(|links| self.with_neighbours(links, edges, started_at)).collect();
        let chains: Vec<Vec<Link>> = stream::iter(lookups).buffered(LOOKUPS_AT_ONCE_MAX).try_collect().await?;

        let mut moments: BTreeSet<Timestamp> = chains.iter().flatten().map(|link| link.row.occurred_at).collect();
        let mut truncates: BTreeMap<Timestamp, Option<IndexRow>> = BTreeMap::new();
        let mut known: Option<IndexRow> = None;
        let mut none_left = false;
        // From the newest on: one look-up, and one more for each truncate that lies among them.
        while let Some(at) = moments.pop_last() {
            if !none_left && known.as_ref().is_none_or(|truncate| truncate.occurred_at > at) {
                known = self.truncate(within, range_up_to(at)).await?.map(|shown| shown.row);
                none_left = known.is_none();
            }
            truncates.insert(at, known.clone());
        }

        let mut gaps = BTreeMap::new();
        for links in &chains {
            for gap in judge(links, |at| truncates.get(&at).and_then(Option::as_ref)) {
                let key = gap.behind.order_key();
                if own.contains(&key) {
                    gaps.insert(key, gap_view(&gap.behind.record, gap.behind, gap.stood, gap.certain, gap.reason));
                }
            }
        }
        Ok(match direction {
            Direction::Ascending => gaps.into_iter().collect(),
            Direction::Descending => gaps.into_iter().rev().collect(),
        })
    }

    /// The links of one record in ascending order, with what stands before the first of them and what ties with the last.
    async fn with_neighbours(
        &self,
        mut links: Vec<Link>,
        edges: [Timestamp; 2],
        started_at: Option<Timestamp>,
    ) -> Result<Vec<Link>, TrailError> {
        links.sort_by_key(|link| link.row.order_key());
        let (Some(first), Some(last)) = (links.first(), links.last()) else { return Ok(links) };
        // Behind the tied ones of the first, the group that ties before that, and what stood before it.
        let older = self.neighbours_of(&first.row, Direction::Descending, 2, started_at).await?;
        let is_open = edges.contains(&last.row.occurred_at)
            || links.len().checked_sub(2).is_some_and(|index| ties(&links[index].row, &last.row));
        let newer = if is_open {
            self.neighbours_of(&last.row, Direction::Ascending, 1, started_at).await?
        } else {
            Vec::new()
        };
        let mut all: Vec<Link> = older.into_iter().rev().collect();
        all.append(&mut links);
        all.extend(newer);
        Ok(all)
    }

    /// Neighbours of an entry, nearest first, up to and including the one behind so many places where neighbours do not tie.
    async fn neighbours_of(
        &self,
        row: &IndexRow,
        direction: Direction,
        mut breaks: usize,
        started_at: Option<Timestamp>,
    ) -> Result<Vec<Link>, TrailError> {
        let range = RowRange { from: None, to: None, past: Some(row.order_key()), direction, limit: ROWS_FIRST };
        let mut walk = Walk::new(self, &row.record, range).started_at(started_at);
        let mut found: Vec<Link> = Vec::new();
        while breaks > 0 && found.len() < TIED_MAX {
            let Some(shown) = next_bearing_state(&mut walk).await? else { break };
            let nearer = found.last().map_or(row, |link| &link.row);
            let tied = match direction {
                Direction::Ascending => ties(nearer, &shown.row),
                Direction::Descending => ties(&shown.row, nearer),
            };
            breaks -= usize::from(!tied);
            found.push(link(shown)?);
        }
        Ok(found)
    }
}

fn link(shown: Shown) -> Result<Link, TrailError> {
    let content = read(&shown.content)?;
    Ok(Link { row: shown.row, rules: content.rules, unknown: content.unknown })
}

fn gap_view(record: &RecordKey, behind: &IndexRow, stood: Standing<'_>, certain: bool, reason: String) -> GapView {
    let before = match stood {
        Standing::Entry(row) | Standing::Truncate(row) => row,
    };
    GapView {
        source: record.source.clone(),
        table: record.table.clone(),
        record_id: record.record_id.clone(),
        after_id: Some(before.identity.event_id.clone()),
        after_at: Some(before.occurred_at),
        before_id: behind.identity.event_id.clone(),
        before_at: behind.occurred_at,
        certain,
        reason,
    }
}
