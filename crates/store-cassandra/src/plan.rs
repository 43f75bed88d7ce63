//! Which rows an append writes, and in which order.

use std::collections::HashMap;
use std::sync::Arc;

use afterimage_store::{Arrival, Entry};

use crate::RowsPerShard;
use crate::address::{hour, record_bucket};
use crate::errors::Failure;
use crate::rows::{Kind, Row};
use crate::shards::{BucketId, Namer, Shards};

/// Buckets remembered of each sort: some 10 MB for records.
const RECORD_BUCKETS_MAX: usize = 200_000;
const OTHER_BUCKETS_MAX: usize = 20_000;

/// Finds the shard for each row of a record, a table and the journal.
pub(crate) struct Places {
    namer: Namer,
    records: Shards,
    tables: Shards,
    arrivals: Shards,
}

#[derive(Clone, Copy)]
enum Sort {
    Record,
    Table,
    Arrival,
}

impl Sort {
    /// The directory rows that announce a shard.
    const fn directory(self) -> &'static [Kind] {
        match self {
            Self::Record => &[Kind::RecordBucket],
            Self::Table => &[Kind::TableDay, Kind::TableBucket],
            Self::Arrival => &[Kind::JournalBucket],
        }
    }
}

impl Places {
    pub(crate) fn new(rows: RowsPerShard) -> Self {
        Self {
            namer: Namer::new(),
            records: Shards::new(rows.records, RECORD_BUCKETS_MAX),
            tables: Shards::new(rows.tables, OTHER_BUCKETS_MAX),
            arrivals: Shards::new(rows.arrivals, OTHER_BUCKETS_MAX),
        }
    }

    fn shards(&self, sort: Sort) -> &Shards {
        match sort {
            Sort::Record => &self.records,
            Sort::Table => &self.tables,
            Sort::Arrival => &self.arrivals,
        }
    }

    fn buckets_of(&self, entry: &Entry, arrival: &Arrival) -> [(Sort, BucketId); 3] {
        let record = &entry.record;
        let names = (&record.tenant, &record.source, &record.table);
        let occurred_at = entry.occurred_at.as_micros();
        // The numbers keep apart what might look alike.
        [
            (Sort::Record, self.namer.name(&(0, names, &record.record_id, record_bucket(occurred_at)))),
            (Sort::Table, self.namer.name(&(1, names, hour(occurred_at)))),
            (Sort::Arrival, self.namer.name(&(2, &arrival.worker, hour(arrival.at.as_micros())))),
        ]
    }
}

/// A bucket and a shard of it.
type Home = (BucketId, i32);

/// A shard whose directory rows are not known to be there, and the entries that wait for them.
struct Announcement {
    sort: Sort,
    home: Home,
    entries: Vec<usize>,
}

/// The rows of one append.
pub(crate) struct Plan<'a> {
    arrival: &'a Arrival,
    /// Each entry that is stored: its place among the entries given, and the homes of its index rows.
    entries: Vec<(usize, &'a Entry, [Home; 3])>,
    announcements: Vec<Announcement>,
    /// Of each directory row: which announcement it is part of.
    directory: Vec<(usize, Row<'a>)>,
}

impl<'a> Plan<'a> {
    /// Finds a place for the index rows of each entry that is to be stored.
    pub(crate) fn new(
        places: &Places,
        entries: &'a [Arc<Entry>],
        arrival: &'a Arrival,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Self {
        let mut plan = Self {
            arrival,
            entries: Vec::with_capacity(entries.len()),
            announcements: Vec::new(),
            directory: Vec::new(),
        };
        let mut announced: HashMap<Home, usize> = HashMap::new();
        for (index, entry) in entries.iter().enumerate().filter(|(index, _)| is_wanted(*index)) {
            let homes = places.buckets_of(entry, arrival).map(|(sort, bucket)| {
                let place = places.shards(sort).place(bucket);
                let home = (bucket, place.shard);
                if !place.announced {
                    let number = *announced.entry(home).or_insert_with(|| plan.add(sort, home, entry));
                    plan.announcements[number].entries.push(index);
                }
                home
            });
            plan.entries.push((index, entry, homes));
        }
        plan
    }

    fn add(&mut self, sort: Sort, home: Home, entry: &'a Entry) -> usize {
        let number = self.announcements.len();
        let row = |kind: &Kind| Row { kind: *kind, entry, arrival: self.arrival, shard: home.1, partition: None };
        self.directory.extend(sort.directory().iter().map(|kind| (number, row(kind))));
        self.announcements.push(Announcement { sort, home, entries: Vec::new() });
        number
    }

    /// The rows that must be there before any index row: contents, then the directory.
    pub(crate) fn first_rows(&self) -> Vec<Row<'a>> {
        let content = |entry| Row { kind: Kind::Entry, entry, arrival: self.arrival, shard: 0, partition: None };
        let contents = self.entries.iter().map(|(_, entry, _)| content(*entry));
        contents.chain(self.directory.iter().map(|(_, row)| *row)).collect()
    }

    /// The entries that need this one of the first rows, by their place.
    pub(crate) fn dependents(&self, row: usize) -> &[usize] {
        match self.entries.get(row) {
            Some((index, ..)) => std::slice::from_ref(index),
            None => &self.announcements[self.directory[row - self.entries.len()].0].entries,
        }
    }

    /// Remembers what the directory holds now: everything but these failed ones of the first rows.
    pub(crate) fn remember(&self, places: &Places, failed: &[(usize, Failure)]) {
        let mut is_there = vec![true; self.announcements.len()];
        for row in failed.iter().filter_map(|(row, _)| row.checked_sub(self.entries.len())) {
            is_there[self.directory[row].0] = false;
        }
        for (announcement, _) in self.announcements.iter().zip(is_there).filter(|(_, is_there)| *is_there) {
            let (bucket, shard) = announcement.home;
            places.shards(announcement.sort).announced(bucket, shard);
        }
    }

    /// The index rows of the entries still wanted, and the entry of each row.
    pub(crate) fn index_rows(&self, is_wanted: impl Fn(usize) -> bool) -> (Vec<Row<'a>>, Vec<usize>) {
        let wanted = self.entries.iter().filter(|(index, ..)| is_wanted(*index));
        let rows = wanted.flat_map(|(index, entry, homes)| {
            [Kind::Record, Kind::Table, Kind::Journal].into_iter().zip(homes).map(move |(kind, home)| {
                let row = Row { kind, entry, arrival: self.arrival, shard: home.1, partition: Some(*home) };
                (row, *index)
            })
        });
        rows.unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entries::{arrival, entry};

    fn places() -> Places {
        Places::new(RowsPerShard { records: 2, tables: 100, arrivals: 100 })
    }

    fn kinds(rows: &[Row<'_>]) -> Vec<Kind> {
        rows.iter().map(|row| row.kind).collect()
    }

    #[test]
    fn a_shard_is_announced_once_before_its_rows_and_by_everyone_until_it_is_there() {
        let (places, arrival) = (places(), arrival());
        let entries: Vec<_> = (0..3).map(|number| Arc::new(entry("r", number))).collect();
        let plan = Plan::new(&places, &entries, &arrival, |_| true);
        let first = plan.first_rows();
        use Kind::{Entry, JournalBucket, RecordBucket, TableBucket, TableDay};
        let expected = [Entry, Entry, Entry, RecordBucket, TableDay, TableBucket, JournalBucket, RecordBucket];
        assert_eq!(kinds(&first), expected);
        assert_eq!((first[3].shard, first[7].shard), (0, 1), "two rows to a shard");
        assert_eq!(plan.dependents(1), [1]);
        assert_eq!(plan.dependents(3), [0, 1]);
        assert_eq!(plan.dependents(4), [0, 1, 2]);
        assert_eq!(plan.dependents(7), [2]);

        // The day of the table was not acknowledged: it is announced again, and the rest is not.
        plan.remember(&places, &[(4, Failure::Missing)]);
        let next = Plan::new(&places, &entries[..1], &arrival, |_| true);
        assert_eq!(kinds(&next.first_rows()), [Entry, TableDay, TableBucket]);
        next.remember(&places, &[]);
        let last = Plan::new(&places, &entries[..1], &arrival, |_| true);
        assert_eq!(kinds(&last.first_rows()), [Entry, RecordBucket], "the record's next shard");
    }

    #[test]
    fn only_entries_whose_content_is_there_are_indexed() {
        let (places, arrival) = (places(), arrival());
        let entries: Vec<_> = (0..3).map(|number| Arc::new(entry("r", number))).collect();
        let plan = Plan::new(&places, &entries, &arrival, |index| index != 0);
        assert_eq!(plan.first_rows()[0].entry, &*entries[1]);
        let (rows, owners) = plan.index_rows(|index| index == 2);
        assert_eq!(kinds(&rows), [Kind::Record, Kind::Table, Kind::Journal]);
        assert_eq!(owners, [2, 2, 2]);
        assert!(rows.iter().all(|row| row.entry == &*entries[2]));
    }
}
