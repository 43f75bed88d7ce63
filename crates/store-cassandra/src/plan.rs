//! Which rows an append writes, and in which order.

use std::collections::HashMap;
use std::sync::Arc;

use afterimage_store::{Arrival, Entry};

use crate::RowsPerShard;
use crate::address::{hour, quarter};
use crate::errors::Failure;
use crate::rows::{Kind, Row, WIDE};
use crate::shards::{BucketId, Namer, Place, Shards};
use crate::term::TermKey;

/// Buckets remembered of each sort: some 10 MB for 200,000.
const MANY_BUCKETS_MAX: usize = 200_000;
const FEW_BUCKETS_MAX: usize = 20_000;

/// Finds the shard for each row of a record, an index and the journal.
pub(crate) struct Places {
    namer: Namer,
    records: Shards,
    levels: Shards,
    /// The same for short-lived kinds: a flood of requests must not make a worker forget its busy tables.
    brief_levels: Shards,
    hours: Shards,
    arrivals: Shards,
    names: Shards,
}

/// What a home is counted and remembered as.
#[derive(Clone, Copy)]
enum Sort {
    Record,
    Level,
    BriefLevel,
    Hour,
    Arrival,
    /// Table names, and quarters of all terms of a kind: nothing is written there but the directory row.
    Name,
}

impl Places {
    pub(crate) fn new(rows: RowsPerShard) -> Self {
        Self {
            namer: Namer::new(),
            records: Shards::new(rows.records, MANY_BUCKETS_MAX),
            levels: Shards::first_and_rest(rows.quarters, MANY_BUCKETS_MAX),
            brief_levels: Shards::first_and_rest(rows.quarters, FEW_BUCKETS_MAX),
            hours: Shards::new(rows.hours, FEW_BUCKETS_MAX),
            arrivals: Shards::new(rows.arrivals, FEW_BUCKETS_MAX),
            names: Shards::single(FEW_BUCKETS_MAX),
        }
    }

    fn shards(&self, sort: Sort) -> &Shards {
        match sort {
            Sort::Record => &self.records,
            Sort::Level => &self.levels,
            Sort::BriefLevel => &self.brief_levels,
            Sort::Hour => &self.hours,
            Sort::Arrival => &self.arrivals,
            Sort::Name => &self.names,
        }
    }
}

/// An entry, and the indexes it stands in besides that of its record.
pub(crate) struct Indexed<'a> {
    entry: &'a Entry,
    keys: Vec<TermKey>,
}

impl<'a> Indexed<'a> {
    pub(crate) fn new(entry: &'a Arc<Entry>) -> Self {
        Self { entry, keys: entry.indexes().into_iter().filter_map(|index| TermKey::new(index).ok()).collect() }
    }
}

/// A bucket and a shard of it.
type Home = (BucketId, i32);

/// A directory row that is not known to be there, and the entries that wait for it.
struct Announcement<'a> {
    sort: Sort,
    home: Home,
    row: Row<'a>,
    entries: Vec<usize>,
}

/// The rows of one append.
pub(crate) struct Plan<'a> {
    places: &'a Places,
    arrival: &'a Arrival,
    /// Each entry that is stored: its place among the entries given, and its index rows.
    entries: Vec<(usize, &'a Entry, Vec<Row<'a>>)>,
    announcements: Vec<Announcement<'a>>,
    announced: HashMap<Home, usize>,
}

impl<'a> Plan<'a> {
    /// Finds a place for the index rows of each entry that is to be stored.
    pub(crate) fn new(
        places: &'a Places,
        entries: &'a [Indexed<'a>],
        arrival: &'a Arrival,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Self {
        let mut plan = Self {
            places,
            arrival,
            entries: Vec::with_capacity(entries.len()),
            announcements: Vec::new(),
            announced: HashMap::new(),
        };
        for (index, indexed) in entries.iter().enumerate().filter(|(index, _)| is_wanted(*index)) {
            let rows = plan.index_rows_of(index, indexed);
            plan.entries.push((index, indexed.entry, rows));
        }
        plan
    }

    /// The index rows of one entry, which waits for what announces them.
    fn index_rows_of(&mut self, index: usize, indexed: &'a Indexed<'a>) -> Vec<Row<'a>> {
        let Indexed { entry, keys } = indexed;
        let record = &entry.record;
        let (namer, occurred_at) = (&self.places.namer, entry.occurred_at.as_micros());
        let (quarter, hour_occurred) = (quarter(occurred_at), hour(occurred_at));
        // The numbers keep apart what might look alike.
        let of_record = namer.name(&(0, record, quarter));
        let of_arrival = namer.name(&(1, &self.arrival.worker, hour(self.arrival.at.as_micros())));
        let of_table = namer.name(&(2, &record.tenant, &record.source, &record.table));

        let mut rows = Vec::with_capacity(keys.len() + 2);
        self.home(index, entry, Sort::Name, of_table, Kind::TableName);
        let home = self.home(index, entry, Sort::Record, of_record, Kind::RecordBucket);
        rows.push(self.row(Kind::Record, entry, home));
        for key in keys {
            let is_brief = key.kind.is_short_lived();
            let sort = if is_brief { Sort::BriefLevel } else { Sort::Level };
            let bucket = namer.name(&(3, key, quarter));
            let place = self.places.shards(sort).place(bucket);
            let (kind, home) = if place.shard == WIDE {
                if is_brief {
                    let of_all = namer.name(&(4, &key.tenant, key.kind, quarter));
                    self.home(index, entry, Sort::Name, of_all, Kind::AnyTermBucket(key));
                } else {
                    self.wait(index, entry, sort, bucket, place, Kind::TermBucket(key));
                }
                (Kind::Wide(key), (bucket, WIDE))
            } else {
                self.wait(index, entry, sort, bucket, place, Kind::TermBucket(key));
                let of_hour = namer.name(&(5, key, hour_occurred));
                (Kind::Narrow(key), self.home(index, entry, Sort::Hour, of_hour, Kind::TermHour(key)))
            };
            rows.push(self.row(kind, entry, home));
        }
        let home = self.home(index, entry, Sort::Arrival, of_arrival, Kind::JournalBucket);
        rows.push(self.row(Kind::Journal, entry, home));
        rows
    }

    fn row(&self, kind: Kind<'a>, entry: &'a Entry, home: Home) -> Row<'a> {
        Row { kind, entry, arrival: self.arrival, shard: home.1, partition: Some(home) }
    }

    /// A place for one more row, for which the entry waits until it is announced.
    fn home(&mut self, index: usize, entry: &'a Entry, sort: Sort, bucket: BucketId, directory: Kind<'a>) -> Home {
        let place = self.places.shards(sort).place(bucket);
        self.wait(index, entry, sort, bucket, place, directory)
    }

    fn wait(
        &mut self,
        index: usize,
        entry: &'a Entry,
        sort: Sort,
        bucket: BucketId,
        place: Place,
        directory: Kind<'a>,
    ) -> Home {
        let home = (bucket, place.shard);
        if !place.announced {
            let row = Row { kind: directory, entry, arrival: self.arrival, shard: place.shard, partition: None };
            let number = *self.announced.entry(home).or_insert_with(|| {
                self.announcements.push(Announcement { sort, home, row, entries: Vec::new() });
                self.announcements.len() - 1
            });
            let waiting = &mut self.announcements[number].entries;
            // An entry may need it for several rows.
            if waiting.last() != Some(&index) {
                waiting.push(index);
            }
        }
        home
    }

    /// The rows that must be there before any index row: contents, then the directory.
    pub(crate) fn first_rows(&self) -> Vec<Row<'a>> {
        let content = |entry| Row { kind: Kind::Entry, entry, arrival: self.arrival, shard: 0, partition: None };
        let contents = self.entries.iter().map(|(_, entry, _)| content(*entry));
        contents.chain(self.announcements.iter().map(|announcement| announcement.row)).collect()
    }

    /// The entries that need this one of the first rows, by their place.
    pub(crate) fn dependents(&self, row: usize) -> &[usize] {
        match self.entries.get(row) {
            Some((index, ..)) => std::slice::from_ref(index),
            None => &self.announcements[row - self.entries.len()].entries,
        }
    }

    /// Remembers what the directory holds now: everything but these failed ones of the first rows.
    pub(crate) fn remember(&self, failed: &[(usize, Failure)]) {
        let mut is_there = vec![true; self.announcements.len()];
        for row in failed.iter().filter_map(|(row, _)| row.checked_sub(self.entries.len())) {
            is_there[row] = false;
        }
        for (announcement, _) in self.announcements.iter().zip(is_there).filter(|(_, is_there)| *is_there) {
            let (bucket, shard) = announcement.home;
            self.places.shards(announcement.sort).announced(bucket, shard);
        }
    }

    /// The index rows of the entries still wanted, and the entry of each row.
    pub(crate) fn index_rows(&self, is_wanted: impl Fn(usize) -> bool) -> (Vec<Row<'a>>, Vec<usize>) {
        let wanted = self.entries.iter().filter(|(index, ..)| is_wanted(*index));
        wanted.flat_map(|(index, _, rows)| rows.iter().map(|row| (*row, *index))).unzip()
    }
}

#[cfg(test)]
mod tests {
    use afterimage_store::Provenance;

    use super::*;
    use crate::test_entries::{arrival, entry};

    fn places() -> Places {
        Places::new(RowsPerShard { records: 2, quarters: 4, hours: 100, arrivals: 100 })
    }

    fn entries(count: usize) -> Vec<Arc<Entry>> {
        (0..count).map(|number| Arc::new(entry("r", number))).collect()
    }

    fn indexed(entries: &[Arc<Entry>]) -> Vec<Indexed<'_>> {
        entries.iter().map(Indexed::new).collect()
    }

    /// The table of each row, and for indexes the kind and the shard.
    fn names(rows: &[Row<'_>]) -> Vec<String> {
        let name = |row: &Row<'_>| match row.kind {
            Kind::TermBucket(key) => format!("bucket of {} {}", key.kind.as_str(), row.shard),
            Kind::AnyTermBucket(key) => format!("bucket of any {}", key.kind.as_str()),
            Kind::TermHour(key) => format!("hour of {} {}", key.kind.as_str(), row.shard),
            Kind::Wide(key) => format!("wide {}", key.kind.as_str()),
            Kind::Narrow(key) => format!("narrow {}", key.kind.as_str()),
            other => format!("{other:?}"),
        };
        rows.iter().map(name).collect()
    }

    #[test]
    fn a_shard_is_announced_once_before_its_rows_and_by_everyone_until_it_is_there() {
        let (places, arrival, entries) = (places(), arrival(), entries(3));
        let entries = indexed(&entries);
        let plan = Plan::new(&places, &entries, &arrival, |_| true);
        let first = plan.first_rows();
        let expected = [
            "Entry",
            "Entry",
            "Entry",
            "TableName",
            "RecordBucket",
            "bucket of table 0",
            "bucket of field 0",
            "JournalBucket",
            "RecordBucket",
        ];
        assert_eq!(names(&first), expected);
        assert_eq!((first[4].shard, first[8].shard), (0, 1), "two rows to a shard");
        assert_eq!(plan.dependents(1), [1]);
        assert_eq!(plan.dependents(4), [0, 1]);
        assert_eq!(plan.dependents(6), [0, 1, 2]);
        assert_eq!(plan.dependents(8), [2]);

        // The table's quarter was not acknowledged: it is announced again, and the rest is not.
        plan.remember(&[(5, Failure::Missing)]);
        let next = Plan::new(&places, &entries[..1], &arrival, |_| true);
        assert_eq!(names(&next.first_rows()), ["Entry", "bucket of table 0"]);
        next.remember(&[]);
        // Four rows were wide: what follows is narrow, and the record has its next shard.
        let last = Plan::new(&places, &entries[..1], &arrival, |_| true);
        let expected =
            ["Entry", "RecordBucket", "bucket of table 1", "hour of table 0", "bucket of field 1", "hour of field 0"];
        assert_eq!(names(&last.first_rows()), expected);
        assert_eq!(names(&last.index_rows(|_| true).0), ["Record", "narrow table", "narrow field", "Journal"]);
    }

    #[test]
    fn the_quarters_of_requests_and_transactions_are_announced_once_for_all_of_them() {
        let (places, arrival) = (places(), arrival());
        let of_request = |number: usize, request: &str| {
            let provenance = Provenance { request: Some(request.to_owned()), ..Provenance::default() };
            Arc::new(Entry { provenance, ..entry("r", number) })
        };
        let entries: Vec<_> = (0..3).map(|number| of_request(number, &format!("r-{number}"))).collect();
        let entries = indexed(&entries);
        let plan = Plan::new(&places, &entries, &arrival, |_| true);
        let announced = names(&plan.first_rows());
        assert_eq!(announced.iter().filter(|name| name.contains("request")).count(), 1, "{announced:?}");
        plan.remember(&[]);

        // One request of many entries is announced by itself, once its first partition is full.
        let busy: Vec<_> = (0..5).map(|number| of_request(number, "busy")).collect();
        let busy = indexed(&busy);
        let plan = Plan::new(&places, &busy, &arrival, |_| true);
        let announced = names(&plan.first_rows());
        assert!(announced.contains(&"bucket of request 1".to_owned()), "{announced:?}");
        assert!(announced.contains(&"hour of request 0".to_owned()), "{announced:?}");
        assert!(!announced.contains(&"bucket of any request".to_owned()), "{announced:?}");
    }

    #[test]
    fn only_entries_whose_content_is_there_are_indexed() {
        let (places, arrival, entries) = (places(), arrival(), entries(3));
        let entries = indexed(&entries);
        let plan = Plan::new(&places, &entries, &arrival, |index| index != 0);
        assert_eq!(plan.first_rows()[0].entry, entries[1].entry);
        let (rows, owners) = plan.index_rows(|index| index == 2);
        assert_eq!(names(&rows), ["Record", "wide table", "wide field", "Journal"]);
        assert_eq!(owners, [2; 4]);
        assert!(rows.iter().all(|row| row.entry == entries[2].entry));
    }
}
