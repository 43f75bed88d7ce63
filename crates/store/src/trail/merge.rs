use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::{Direction, Index, IndexRow, Lookup, OrderKey, RowRange, StoreError};

/// Most index rows of one index read at once.
pub(super) const ROWS_AT_ONCE_MAX: usize = 1024;
/// Most index rows held of all indexes together, unless there are so many indexes that this leaves each less than
/// [`ROWS_AT_ONCE_MIN`].
const ROWS_HELD_MAX: usize = 16 * ROWS_AT_ONCE_MAX;
/// What an index is read by at least once it has turned out to hold much.
const ROWS_AT_ONCE_MIN: usize = 8;
/// Indexes read at the same time.
const READS_AT_ONCE: usize = 16;

/// The rows of several indexes in one order. Each index is read a little at first and twice as much each time it runs dry:
/// a page of ten from 200 tables must not read a hundred rows of each.
pub(super) struct Merge {
    streams: Vec<Stream>,
    /// The next row of each stream that has one in hand.
    heads: BinaryHeap<Head>,
    /// Streams that have none in hand, but may have more.
    dry: Vec<usize>,
    range: RowRange,
    at_once_max: usize,
    examined: usize,
    examined_max: usize,
}

struct Stream {
    index: Index,
    rows: VecDeque<IndexRow>,
    past: Option<OrderKey>,
    limit: usize,
    ended: bool,
}

struct Head {
    key: OrderKey,
    stream: usize,
    direction: Direction,
}

impl Merge {
    /// Merges these indexes, no entry standing in two of them. The limit of the range is how many rows are expected to
    /// do; `examined_max` how many may be read in all.
    pub(super) fn new(indexes: Vec<Index>, range: RowRange, examined_max: usize) -> Self {
        let count = indexes.len().max(1);
        let at_once_max = (ROWS_HELD_MAX / count).clamp(ROWS_AT_ONCE_MIN, ROWS_AT_ONCE_MAX);
        let limit = range.limit.div_ceil(count);
        let stream = |index| Stream { index, rows: VecDeque::new(), past: range.past.clone(), limit, ended: false };
        let streams: Vec<Stream> = indexes.into_iter().map(stream).collect();
        let dry = (0..streams.len()).collect();
        Self { streams, heads: BinaryHeap::new(), dry, range, at_once_max, examined: 0, examined_max }
    }

    /// The next row; `None` at the end, or where reading on would exceed what may be examined.
    pub(super) async fn next(&mut self, store: &dyn Lookup) -> Result<Option<IndexRow>, StoreError> {
        if !self.dry.is_empty() && !self.fill(store).await? {
            return Ok(None);
        }
        let Some(head) = self.heads.pop() else { return Ok(None) };
        let row = self.streams[head.stream].rows.pop_front();
        self.range.past = Some(head.key);
        self.show(head.stream);
        Ok(row)
    }

    /// Where it stands, when that is not the end.
    pub(super) fn cut_off_at(&self) -> Option<&OrderKey> {
        if self.dry.is_empty() && self.heads.is_empty() { None } else { self.range.past.as_ref() }
    }

    /// Lets it read so many rows more.
    pub(super) fn examine_more(&mut self, rows: usize) {
        self.examined_max += rows;
    }

    /// Reads on where nothing is in hand. False where no more may be examined.
    async fn fill(&mut self, store: &dyn Lookup) -> Result<bool, StoreError> {
        let share = (self.examined_max - self.examined) / self.dry.len();
        if share == 0 {
            return Ok(false);
        }
        let dry = std::mem::take(&mut self.dry);
        let range = |stream: &Stream| RowRange {
            past: stream.past.clone(),
            limit: stream.limit.min(share),
            ..self.range.clone()
        };
        let ranges: Vec<RowRange> = dry.iter().map(|&place| range(&self.streams[place])).collect();
        let streams = &self.streams;
        let reads: Vec<_> =
            dry.iter().zip(&ranges).map(|(&place, range)| store.rows(&streams[place].index, range)).collect();
        let found: Vec<Vec<IndexRow>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        for ((place, range), rows) in dry.into_iter().zip(ranges).zip(found) {
            self.examined += rows.len();
            let stream = &mut self.streams[place];
            stream.ended = rows.len() < range.limit;
            stream.limit = (stream.limit * 2).min(self.at_once_max);
            stream.past = rows.last().map(IndexRow::order_key).or(range.past);
            stream.rows = rows.into();
            self.show(place);
        }
        Ok(true)
    }

    fn show(&mut self, place: usize) {
        let stream = &self.streams[place];
        match stream.rows.front() {
            Some(row) => {
                self.heads.push(Head { key: row.order_key(), stream: place, direction: self.range.direction });
            }
            None if stream.ended => {}
            None => self.dry.push(place),
        }
    }
}

impl Ord for Head {
    /// The greatest is the next one.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.key.cmp(&other.key).then(self.stream.cmp(&other.stream));
        match self.direction {
            Direction::Descending => order,
            Direction::Ascending => order.reverse(),
        }
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
