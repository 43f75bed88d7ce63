use std::collections::{BTreeSet, HashMap};

use afterimage_event::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::answer::shown_option;
use super::filter::check_dimensions;
use super::merge::{Merge, ROWS_AT_ONCE_MAX};
use super::standing::{Sieve, expired};
use super::{Dimension, Filter, Period, Trail, TrailError};
use crate::{Direction, Facet, IndexRow, RowRange, term};

/// Most groups of one answer: a screen cannot show them, and memory must hold them.
pub(super) const GROUPS_MAX: usize = 100_000;
/// Most bytes of what tells them apart.
const KEYS_BYTES_MAX: usize = 64 << 20;
/// Rows judged at once.
const ROWS_JUDGED_AT_ONCE: usize = 512;

const HOUR_MICROS: i64 = 3_600 * 1_000_000;

/// How many entries, by dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// One for each combination that occurs, the most frequent first; equal ones in the order of their keys.
    pub items: Vec<Count>,
    /// All entries in the period that fit, each once.
    pub total: u64,
    /// From when, inclusive.
    #[serde(serialize_with = "shown_option")]
    pub from: Option<Timestamp>,
    /// To when, exclusive.
    #[serde(serialize_with = "shown_option")]
    pub to: Option<Timestamp>,
}

/// One combination, or one run of it in [`super::Bursts`]. Serialises flat: `{"table":"users","op":"update","count":3,"first":"…","last":"…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What tells it from the others, in the order asked for; `None` where an entry says nothing of it.
    pub keys: Vec<(Dimension, Option<String>)>,
    /// How many entries.
    pub count: u64,
    /// The earliest one.
    pub first: Timestamp,
    /// The latest one.
    pub last: Timestamp,
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.keys.len() + 3))?;
        for (dimension, value) in &self.keys {
            map.serialize_entry(dimension.as_str(), value)?;
        }
        map.serialize_entry("count", &self.count)?;
        map.serialize_entry("first", &self.first.to_string())?;
        map.serialize_entry("last", &self.last.to_string())?;
        map.end()
    }
}

/// What tells the group of an entry from others: one value for each dimension.
pub(super) type Key = Vec<Option<String>>;

/// The groups an entry belongs to: one, or one for each name it changed.
pub(super) fn keys(row: &IndexRow, by: &[Dimension]) -> Vec<Key> {
    let value = |dimension: Dimension| match dimension {
        Dimension::Source => Some(term(&row.record.source)),
        Dimension::Table => Some(term(&row.record.table)),
        Dimension::Op => Some(row.op.as_str().to_owned()),
        Dimension::Actor => of_facet(row, Facet::Actor),
        Dimension::Hour => Some(beginning(row.occurred_at, HOUR_MICROS)),
        Dimension::Day => Some(beginning(row.occurred_at, 24 * HOUR_MICROS)),
        Dimension::Request => of_facet(row, Facet::Request),
        Dimension::Transaction => of_facet(row, Facet::Transaction),
        Dimension::Migration => of_facet(row, Facet::Migration),
        Dimension::Field => None,
    };
    let key: Key = by.iter().map(|&dimension| value(dimension)).collect();
    let Some(field) = by.iter().position(|&dimension| dimension == Dimension::Field) else { return vec![key] };
    let names: BTreeSet<String> = row.changed.iter().map(|name| term(name)).collect();
    if names.is_empty() {
        return vec![key];
    }
    let with_name = |name| {
        let mut key = key.clone();
        key[field] = Some(name);
        key
    };
    names.into_iter().map(with_name).collect()
}

fn of_facet(row: &IndexRow, facet: Facet) -> Option<String> {
    row.provenance.terms(facet).next().map(str::to_owned)
}

/// When the hour or day of this length began in which the moment lies.
fn beginning(moment: Timestamp, length_micros: i64) -> String {
    moment.saturating_add_micros(-moment.as_micros().rem_euclid(length_micros)).to_string()
}

pub(super) fn named(by: &[Dimension], key: Key) -> Vec<(Dimension, Option<String>)> {
    by.iter().copied().zip(key).collect()
}

pub(super) fn too_many_groups() -> TrailError {
    let reason = format!("more than {GROUPS_MAX} groups; ask for a shorter period, a filter or fewer dimensions");
    TrailError::Question { reason }
}

struct Tally {
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Trail {
    /// How many entries fit and may be seen, by dimensions. Without a time: the last 24 hours.
    ///
    /// Exact: each entry that a list would show counts once. (What is told again or corrected while this runs may be
    /// counted as it was before or after.) Costs what the period holds; reads no contents but those of entries that were
    /// told several times and are not settled by what stands beside them.
    ///
    /// # Errors
    /// [`TrailError::Question`] also for more than 100,000 groups.
    pub async fn counts(&self, filter: &Filter, period: Period, by: &[Dimension]) -> Result<Counts, TrailError> {
        check_dimensions(by)?;
        let period = period.check()?.or_last_day(self.now());
        let mut groups: HashMap<Key, Tally> = HashMap::new();
        let mut total = 0;
        let mut keys_bytes = 0;
        let count = |row: &IndexRow| {
            total += 1;
            for key in keys(row, by) {
                let at = row.occurred_at;
                if let Some(tally) = groups.get_mut(&key) {
                    tally.count += 1;
                    tally.last = at;
                    continue;
                }
                keys_bytes += key.iter().flatten().map(String::len).sum::<usize>();
                if groups.len() == GROUPS_MAX || keys_bytes > KEYS_BYTES_MAX {
                    return Err(too_many_groups());
                }
                groups.insert(key, Tally { count: 1, first: at, last: at });
            }
            Ok(())
        };
        self.each(filter, period, count).await?;
        let item = |(key, Tally { count, first, last })| Count { keys: named(by, key), count, first, last };
        let mut items: Vec<Count> = groups.into_iter().map(item).collect();
        items.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.keys.cmp(&b.keys)));
        Ok(Counts { items, total, from: period.from, to: period.to })
    }

    /// Visits the row of every entry that fits, may be seen and is shown, in ascending order.
    pub(super) async fn each(
        &self,
        filter: &Filter,
        period: Period,
        mut visit: impl FnMut(&IndexRow) -> Result<(), TrailError>,
    ) -> Result<(), TrailError> {
        let now = self.now();
        let selection = self.select(filter).await?;
        let Period { from, to } = period;
        let range = RowRange { from, to, past: None, direction: Direction::Ascending, limit: ROWS_AT_ONCE_MAX };
        let mut merge = Merge::new(selection.indexes(), range, usize::MAX);
        let mut sieve = Sieve::default();
        loop {
            let mut rows = Vec::new();
            while rows.len() < ROWS_JUDGED_AT_ONCE
                && let Some(row) = merge.next(&*self.store).await?
            {
                if selection.fits(&row) && !expired(&row, now) {
                    rows.push(row);
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
            sieve.sift(self, rows).await?.iter().try_for_each(&mut visit)?;
        }
    }
}
