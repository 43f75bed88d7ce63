use afterimage_event::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::answer::shown_option;
use super::filter::unbuilt;
use super::{Dimension, Filter, Period, Trail, TrailError};

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

/// One combination. Serialises flat: `{"table":"users","op":"update","count":3,"first":"…","last":"…"}`.
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
        serialize_flat(&self.keys, self.count, self.first, self.last, out)
    }
}

pub(super) fn serialize_flat<S: Serializer>(
    keys: &[(Dimension, Option<String>)],
    count: u64,
    first: Timestamp,
    last: Timestamp,
    out: S,
) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(keys.len() + 3))?;
    for (dimension, value) in keys {
        map.serialize_entry(dimension.as_str(), value)?;
    }
    map.serialize_entry("count", &count)?;
    map.serialize_entry("first", &first.to_string())?;
    map.serialize_entry("last", &last.to_string())?;
    map.end()
}

/// Maximal runs of entries that came too fast: see [`Trail::bursts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bursts {
    /// The largest first; equal ones in the order of their keys and times.
    pub items: Vec<Burst>,
    /// From when, inclusive.
    #[serde(serialize_with = "shown_option")]
    pub from: Option<Timestamp>,
    /// To when, exclusive.
    #[serde(serialize_with = "shown_option")]
    pub to: Option<Timestamp>,
}

/// One run. Serialises flat, as [`Count`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Whose: the dimensions asked for.
    pub keys: Vec<(Dimension, Option<String>)>,
    /// How many entries.
    pub count: u64,
    /// The first one.
    pub first: Timestamp,
    /// The last one.
    pub last: Timestamp,
}

impl Serialize for Burst {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        serialize_flat(&self.keys, self.count, self.first, self.last, out)
    }
}

/// What makes a burst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BurstRule {
    /// Length of the sliding window, in microseconds; above zero.
    pub window_micros: i64,
    /// A window with more entries than this is too many.
    pub threshold: u64,
    /// Whose entries are counted together.
    pub by: Vec<Dimension>,
}

impl Trail {
    /// How many entries fit, by dimensions. Costs what the period holds.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn counts(&self, _filter: &Filter, _period: Period, _by: &[Dimension]) -> Result<Counts, TrailError> {
        unbuilt()
    }

    /// Bulk operations: maximal runs in which every sliding window holds more entries than the threshold.
    ///
    /// # Errors
    /// [`TrailError`].
    pub async fn bursts(&self, _filter: &Filter, _period: Period, _rule: &BurstRule) -> Result<Bursts, TrailError> {
        unbuilt()
    }
}
