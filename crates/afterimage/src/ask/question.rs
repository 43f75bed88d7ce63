//! What is asked: of a store or of the query API, both the same.

use std::str::FromStr;

use afterimage_event::{RecordId, Timestamp};
use afterimage_store::{BurstRule, Columns, Dimension, ExportFormat, Filter, Listing, Period, RecordQuery};

/// A question of design §7.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    History(RecordQuery, Listing),
    State(RecordQuery, Timestamp),
    States(RecordQuery, Listing),
    /// From the state at one time to that at another.
    Diff(RecordQuery, Timestamp, Timestamp),
    /// From now back to then.
    Revert(RecordQuery, Timestamp),
    Gaps(RecordQuery, Listing),
    /// Of all records of the table; the query bears no id.
    TableGaps(RecordQuery, Listing),
    Changes(Filter, Listing),
    Feed(Filter, Listing),
    Counts(Filter, Period, Vec<Dimension>),
    Bursts(Filter, Period, BurstRule),
    /// Several records of one tenant.
    StatesAt(Vec<RecordQuery>, Timestamp),
}

impl Question {
    /// Which part of a list it asks for, where it asks for a list.
    pub(crate) fn listing(&self) -> Option<&Listing> {
        match self {
            Self::History(_, listing)
            | Self::States(_, listing)
            | Self::Gaps(_, listing)
            | Self::TableGaps(_, listing)
            | Self::Changes(_, listing)
            | Self::Feed(_, listing) => Some(listing),
            _ => None,
        }
    }

    /// The columns of its answer as CSV; `None` where the answer is no list.
    pub(crate) fn columns(&self) -> Option<Columns> {
        match self {
            Self::History(..) | Self::Changes(..) => Some(Columns::entries()),
            Self::States(..) => Some(Columns::states()),
            Self::Gaps(..) | Self::TableGaps(..) => Some(Columns::gaps()),
            Self::Feed(..) => Some(Columns::feed()),
            Self::Counts(_, _, by) => Some(Columns::groups(by)),
            Self::Bursts(_, _, rule) => Some(Columns::groups(&rule.by)),
            Self::StatesAt(..) => Some(Columns::record_states()),
            Self::State(..) | Self::Diff(..) | Self::Revert(..) => None,
        }
    }

    /// The same question, for the page behind a cursor.
    pub(crate) fn turn_to(&mut self, next: String) {
        match self {
            Self::History(_, listing)
            | Self::States(_, listing)
            | Self::Gaps(_, listing)
            | Self::TableGaps(_, listing)
            | Self::Changes(_, listing)
            | Self::Feed(_, listing) => listing.cursor = Some(next),
            _ => {}
        }
    }
}

/// All of a list, as one stream.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    /// For the first page, where it has pages.
    pub(crate) question: Question,
    pub(crate) format: ExportFormat,
}

/// A record as one text: `SOURCE/TABLE/ID` or `TABLE/ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordName {
    pub(crate) source: Option<String>,
    pub(crate) table: String,
    pub(crate) id: RecordId,
}

/// The text names no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected SOURCE/TABLE/ID or TABLE/ID, a slash within a part written %2F and a percent sign %25")]
pub(crate) struct RecordNameError;

impl FromStr for RecordName {
    type Err = RecordNameError;

    fn from_str(text: &str) -> Result<Self, RecordNameError> {
        let decoded = |part: &str| {
            let text = percent_encoding::percent_decode_str(part).decode_utf8().map_err(|_| RecordNameError)?;
            if text.is_empty() { Err(RecordNameError) } else { Ok(text.into_owned()) }
        };
        let parts: Vec<&str> = text.split('/').collect();
        let (source, table, id) = match parts[..] {
            [source, table, id] => (Some(decoded(source)?), table, id),
            [table, id] => (None, table, id),
            _ => return Err(RecordNameError),
        };
        Ok(Self { source, table: decoded(table)?, id: id.parse().map_err(|_| RecordNameError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_with_or_without_its_source() {
        let parts = |text: &str| text.parse().map(|RecordName { source, table, id }| (source, table, id.0));
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(parts("users/u1"), Ok((None, "users".into(), texts(&["u1"]))));
        assert_eq!(parts("shop/links/o1,u1"), Ok((Some("shop".into()), "links".into(), texts(&["o1", "u1"]))));
        assert_eq!(parts("a%2Fb/t/x%2Cy"), Ok((Some("a/b".into()), "t".into(), texts(&["x,y"]))));
        for text in ["", "users", "a/b/c/d", "/users/u1", "users/%zz"] {
            assert_eq!(parts(text), Err(RecordNameError), "{text}");
        }
    }
}
