use afterimage_event::{Op, Timestamp};

use super::TrailError;

/// Which entries: every part that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The tenant.
    pub tenant: String,
    /// Of this source. Entries of the source [`OWN_SOURCE`] are found only when it is named here.
    pub source: Option<String>,
    /// Of this table.
    pub table: Option<String>,
    /// With one of these operations; empty: with any.
    pub ops: Vec<Op>,
    /// That changed this top-level name.
    pub field: Option<String>,
    /// By this actor: id, address, or the name of one who has neither.
    pub actor: Option<String>,
    /// Made in this request.
    pub request: Option<String>,
    /// Part of this transaction.
    pub transaction: Option<String>,
    /// Made by this migration.
    pub migration: Option<String>,
}

pub use afterimage_event::OWN_SOURCE;

/// Where neither is given: the last 24 hours. Where only `to` is given: the 24 hours before it.
pub const PERIOD_DEFAULT_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// From a time (inclusive) to a time (exclusive).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Earliest time, inclusive.
    pub from: Option<Timestamp>,
    /// Latest time, exclusive.
    pub to: Option<Timestamp>,
}

impl Period {
    /// Fails when it ends before it begins.
    pub(super) fn check(self) -> Result<Self, TrailError> {
        match self {
            Self { from: Some(from), to: Some(to) } if from > to => {
                let reason = format!("the period ends at {to}, before it begins at {from}; swap the two");
                Err(TrailError::Question { reason })
            }
            period => Ok(period),
        }
    }

    /// With a beginning: see [`PERIOD_DEFAULT_MICROS`]. Without an end it stays open, so that an entry of a producer whose
    /// clock is ahead is not missing from what just happened.
    pub(super) fn or_last_day(self, now: Timestamp) -> Self {
        let from = self.from.unwrap_or_else(|| self.to.unwrap_or(now).saturating_add_micros(-PERIOD_DEFAULT_MICROS));
        Self { from: Some(from), ..self }
    }

    /// Does the moment lie in it?
    pub(super) fn holds(self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.to.is_none_or(|to| moment < to)
    }
}

/// By what entries are counted and told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The source.
    Source,
    /// The table.
    Table,
    /// The operation.
    Op,
    /// Who did it: the first of [`crate::Provenance::actors`].
    Actor,
    /// Each top-level name that changed: an entry counts once for each.
    Field,
    /// The hour it happened in, UTC: the moment it begins, as every time is shown.
    Hour,
    /// The day it happened on, UTC: the moment it begins.
    Day,
    /// The request.
    Request,
    /// The transaction.
    Transaction,
    /// The migration.
    Migration,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 10] = [
        Self::Source,
        Self::Table,
        Self::Op,
        Self::Actor,
        Self::Field,
        Self::Hour,
        Self::Day,
        Self::Request,
        Self::Transaction,
        Self::Migration,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Table => "table",
            Self::Op => "op",
            Self::Actor => "actor",
            Self::Field => "field",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Request => "request",
            Self::Transaction => "transaction",
            Self::Migration => "migration",
        }
    }
}

impl std::str::FromStr for Dimension {
    type Err = ParseDimensionError;

    fn from_str(text: &str) -> Result<Self, ParseDimensionError> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == text).ok_or(ParseDimensionError)
    }
}

/// What entries are told apart by, as a question may ask for it: something, and nothing twice.
pub(super) fn check_dimensions(by: &[Dimension]) -> Result<(), TrailError> {
    let names = || Dimension::ALL.map(Dimension::as_str).join(", ");
    let reason = match by.iter().enumerate().find(|(place, dimension)| by[..*place].contains(dimension)) {
        _ if by.is_empty() => format!("by what to tell entries apart is missing; name some of {}", names()),
        Some((_, dimension)) => format!("`{}` is named twice; name each dimension once", dimension.as_str()),
        None => return Ok(()),
    };
    Err(TrailError::Question { reason })
}

/// The text names no dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of source, table, op, actor, field, hour, day, request, transaction, migration")]
pub struct ParseDimensionError;
