//! Does the trail have it already?
//!
//! A letter may be in the trail: its message was stored, and its delete failed until the redrive policy moved it; or some
//! of its events were stored before it was given up for the others.

use std::collections::BTreeMap;

use afterimage_consumer::Processed;
use afterimage_store::{Entry, Lookup, StoreError, VERSIONS_MAX};
use serde::Serialize;

/// Event ids asked for in one question.
const IDS_MAX: usize = 100;

/// How much of a letter the trail has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InTrail {
    pub(crate) state: TrailState,
    /// Events that are in the trail, with the same data.
    pub(crate) stored: usize,
    /// Events whose id is in the trail with other data only.
    pub(crate) conflicts: usize,
    /// Events that should have an entry.
    pub(crate) events: usize,
}

/// In one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrailState {
    /// All of it.
    In,
    /// Some of it.
    Partly,
    /// None of it.
    Not,
    /// An event id of it stands for other data there.
    Conflict,
    /// It holds nothing that would have an entry.
    Nothing,
    /// It is not understood, so nobody knows which entries to look for.
    #[default]
    Unknown,
}

impl TrailState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Partly => "partly",
            Self::Not => "not",
            Self::Conflict => "conflict",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
        }
    }
}

impl InTrail {
    fn new(stored: usize, conflicts: usize, entries: usize, rejected: usize) -> Self {
        let events = entries + rejected;
        let state = match () {
            () if events == 0 => TrailState::Nothing,
            () if entries == 0 => TrailState::Unknown,
            () if conflicts > 0 => TrailState::Conflict,
            () if stored == events => TrailState::In,
            () if stored > 0 => TrailState::Partly,
            () => TrailState::Not,
        };
        Self { state, stored, conflicts, events }
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        match self.state {
            TrailState::Partly => format!("partly ({} of {})", self.stored, self.events),
            TrailState::Conflict => format!("conflict ({} of {})", self.conflicts, self.events),
            state => state.as_str().to_owned(),
        }
    }
}

/// Looks up each entry of a letter.
pub(crate) async fn in_trail(processed: &Processed, store: &dyn Lookup) -> Result<InTrail, StoreError> {
    let mut by_source: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for (_, entry) in &processed.entries {
        by_source.entry((&entry.record.tenant, &entry.record.source)).or_default().push(entry);
    }
    let (mut stored, mut conflicts) = (0, 0);
    for ((tenant, source), entries) in by_source {
        for entries in entries.chunks(IDS_MAX) {
            let ids: Vec<String> = entries.iter().map(|entry| entry.identity.event_id.clone()).collect();
            for (entry, versions) in entries.iter().zip(store.contents(tenant, source, &ids).await?) {
                let digest = entry.identity.input_digest;
                let is_stored = versions.iter().any(|version| version.identity.input_digest == digest)
                    // There may be more than were given.
                    || (versions.len() >= VERSIONS_MAX
                        && store
                            .version_from(tenant, source, &entry.identity.event_id, 0, digest)
                            .await?
                            .is_some_and(|version| version.identity.input_digest == digest));
                stored += usize::from(is_stored);
                conflicts += usize::from(!is_stored && !versions.is_empty());
            }
        }
    }
    Ok(InTrail::new(stored, conflicts, processed.entries.len(), processed.rejections.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_in_the_trail_when_every_event_of_it_is() {
        for (stored, conflicts, entries, rejected, told) in [
            (0, 0, 0, 0, "nothing"),
            (0, 0, 0, 1, "unknown"),
            (2, 0, 2, 0, "in"),
            (2, 0, 2, 1, "partly (2 of 3)"),
            (0, 0, 2, 0, "not"),
            (1, 1, 2, 0, "conflict (1 of 2)"),
        ] {
            assert_eq!(InTrail::new(stored, conflicts, entries, rejected).told(), told);
        }
    }
}
