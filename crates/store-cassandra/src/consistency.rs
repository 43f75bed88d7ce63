//! How many replicas must have answered.

use std::fmt;
use std::str::FromStr;

use scylla::statement::Consistency as Level;

/// How many replicas acknowledge a write, and how many are asked by a read: only pairs under which a read sees every
/// write that was acknowledged before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// A majority of the replicas in the local data centre, for writes and reads. Readers in another data centre see
    /// an entry when replication has brought it there.
    #[default]
    LocalQuorum,
    /// A majority of all replicas of all data centres, for writes and reads.
    Quorum,
    /// Writes: a majority in every data centre. Reads: a majority in the local one.
    EachQuorum,
    /// Writes: every replica; one that is down stops ingest. Reads: a majority in the local data centre.
    All,
}

impl Consistency {
    pub(crate) const fn write(self) -> Level {
        match self {
            Self::LocalQuorum => Level::LocalQuorum,
            Self::Quorum => Level::Quorum,
            Self::EachQuorum => Level::EachQuorum,
            Self::All => Level::All,
        }
    }

    pub(crate) const fn read(self) -> Level {
        match self {
            Self::Quorum => Level::Quorum,
            Self::LocalQuorum | Self::EachQuorum | Self::All => Level::LocalQuorum,
        }
    }

    /// Do its promises concern one data centre only, so that it must be known which?
    pub(crate) const fn is_local(self) -> bool {
        matches!(self, Self::LocalQuorum)
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LocalQuorum => "LOCAL_QUORUM",
            Self::Quorum => "QUORUM",
            Self::EachQuorum => "EACH_QUORUM",
            Self::All => "ALL",
        })
    }
}

/// The text names no consistency that the trail can promise anything under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseConsistencyError {
    /// A level of Cassandra's, too weak.
    #[error(
        "{0} is too weak: a read may miss an entry whose message was deleted already; \
         use LOCAL_QUORUM, QUORUM, EACH_QUORUM or ALL"
    )]
    TooWeak(&'static str),
    /// No level at all.
    #[error("unknown consistency: use LOCAL_QUORUM, QUORUM, EACH_QUORUM or ALL")]
    Unknown,
}

impl FromStr for Consistency {
    type Err = ParseConsistencyError;

    fn from_str(text: &str) -> Result<Self, ParseConsistencyError> {
        const WEAK: [&str; 7] = ["ANY", "ONE", "TWO", "THREE", "LOCAL_ONE", "SERIAL", "LOCAL_SERIAL"];
        let level = text.to_ascii_uppercase().replace('-', "_");
        if let Some(weak) = WEAK.into_iter().find(|weak| *weak == level) {
            return Err(ParseConsistencyError::TooWeak(weak));
        }
        [Self::LocalQuorum, Self::Quorum, Self::EachQuorum, Self::All]
            .into_iter()
            .find(|known| known.to_string() == level)
            .ok_or(ParseConsistencyError::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_under_which_a_read_may_miss_a_write_are_refused() {
        for weak in ["ONE", "any", "local_one", "TWO", "THREE", "serial"] {
            assert!(matches!(weak.parse::<Consistency>(), Err(ParseConsistencyError::TooWeak(_))), "{weak}");
        }
        assert_eq!("LOCAL_QUORUMS".parse::<Consistency>(), Err(ParseConsistencyError::Unknown));
    }

    #[test]
    fn levels_are_read_in_any_spelling() {
        assert_eq!("local-quorum".parse(), Ok(Consistency::LocalQuorum));
        assert_eq!("QUORUM".parse(), Ok(Consistency::Quorum));
        assert_eq!("Each_Quorum".parse(), Ok(Consistency::EachQuorum));
        assert_eq!("all".parse(), Ok(Consistency::All));
    }

    #[test]
    fn a_write_and_a_read_always_share_a_replica() {
        for pair in [Consistency::LocalQuorum, Consistency::Quorum, Consistency::EachQuorum, Consistency::All] {
            let read_is_local = pair.read() == Level::LocalQuorum;
            let write_covers = match pair.write() {
                Level::Quorum => !read_is_local, // a majority of all may lie in other data centres
                Level::LocalQuorum | Level::EachQuorum | Level::All => read_is_local,
                _ => false,
            };
            assert!(write_covers, "{pair}");
        }
    }
}
