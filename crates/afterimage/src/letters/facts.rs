//! What is kept of a letter once its body is let go of.

use std::collections::BTreeSet;

use afterimage_consumer::dead_letter::{DETAIL, PLACE, REASON, WORKER};
use afterimage_consumer::dead_letters::{Letter, Via};
use afterimage_event::Timestamp;
use serde::{Serialize, Serializer};

use super::{InTrail, Reading, UNSAID};
use crate::config::By;

/// One letter in short. No value of its body is in it.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) message_id: String,
    /// When it was sent to this queue; of a letter that a redrive policy moved, SQS tells when it was sent first.
    #[serde(serialize_with = "shown")]
    pub(crate) sent_at: Timestamp,
    pub(crate) receive_count: u32,
    pub(crate) via: &'static str,
    /// The name of the queue whose redrive policy moved it.
    pub(crate) source_queue: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) place: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) worker: Option<String>,
    /// Indices of the events that failed, when it holds several.
    pub(crate) failed_events: Vec<usize>,
    /// There were more than are named.
    pub(crate) and_more_failed: bool,
    pub(crate) origin: OriginFacts,
    pub(crate) body_bytes: usize,
    /// Names of the attributes its sender gave it.
    pub(crate) attributes: Vec<String>,
    pub(crate) formats: BTreeSet<String>,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) tables: BTreeSet<String>,
    /// How it is read now: `understood`, or the code of what is wrong.
    pub(crate) now: &'static str,
    /// Absent when nobody said where the trail is.
    pub(crate) in_trail: Option<InTrail>,
}

/// What it was the first time.
#[derive(Debug, Serialize)]
pub(crate) struct OriginFacts {
    pub(crate) message_id: String,
    #[serde(serialize_with = "shown")]
    pub(crate) published_at: Timestamp,
    pub(crate) sequence_number: Option<String>,
    pub(crate) group_id: Option<String>,
}

fn shown<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

impl Facts {
    pub(crate) fn new(letter: &Letter, reading: &Reading, in_trail: Option<InTrail>) -> Self {
        let text = |name| letter.attribute(name).map(str::to_owned);
        let (origin, failed) = (letter.origin(), letter.failed());
        Self {
            message_id: letter.message.handle.message_id.to_string(),
            sent_at: letter.message.sent_at,
            receive_count: letter.message.receive_count,
            via: letter.via().as_str(),
            source_queue: letter.source_arn.as_deref().map(|arn| arn.rsplit(':').next().unwrap_or(arn).to_owned()),
            reason: text(REASON),
            place: text(PLACE),
            detail: text(DETAIL),
            worker: text(WORKER),
            failed_events: failed.indices,
            and_more_failed: failed.and_more,
            origin: OriginFacts {
                message_id: origin.message_id,
                published_at: origin.sent_at,
                sequence_number: origin.sequence_number,
                group_id: origin.group_id,
            },
            body_bytes: letter.message.body.len(),
            attributes: letter.sender_attributes().map(|attribute| attribute.name.clone()).collect(),
            formats: reading.formats.clone(),
            sources: reading.sources.clone(),
            tables: reading.tables.clone(),
            now: reading.verdict(),
            in_trail,
        }
    }

    /// Is it called so: by its own id, or by the one it had first?
    pub(crate) fn is_called(&self, message_id: &str) -> bool {
        self.message_id == message_id || self.origin.message_id == message_id
    }

    /// Its reason's code; what moved it, where there is none.
    pub(crate) fn reason(&self) -> &str {
        match &self.reason {
            Some(reason) => reason,
            None if self.via == Via::RedrivePolicy.as_str() => "received too often",
            None => UNSAID,
        }
    }

    /// Its value of a key, for counting.
    pub(crate) fn key(&self, by: By) -> String {
        match by {
            By::Via => self.via.to_owned(),
            By::Reason => self.reason().to_owned(),
            By::Format => joined(&self.formats),
            By::Source => joined(&self.sources),
            By::Table => joined(&self.tables),
            By::Worker => self.worker.clone().unwrap_or_else(|| UNSAID.to_owned()),
            By::Day => self.sent_at.to_string().chars().take(10).collect(),
            By::Now => self.now.to_owned(),
            By::Trail => self.in_trail.as_ref().map_or(UNSAID, |trail| trail.state.as_str()).to_owned(),
        }
    }
}

fn joined(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return UNSAID.to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
impl Facts {
    /// A letter that a worker gave up, and of which the trail has a part.
    pub(crate) fn example() -> Self {
        use super::TrailState;
        Self {
            message_id: "m-2".into(),
            sent_at: "2026-01-09T10:00:05Z".parse().unwrap(),
            receive_count: 1,
            via: "worker",
            source_queue: None,
            reason: Some("bad_value".into()),
            place: None,
            detail: None,
            worker: Some("w-7".into()),
            failed_events: vec![0, 12],
            and_more_failed: false,
            origin: OriginFacts {
                message_id: "m-1".into(),
                published_at: "2026-01-08T10:00:05Z".parse().unwrap(),
                sequence_number: None,
                group_id: None,
            },
            body_bytes: 10,
            attributes: Vec::new(),
            formats: BTreeSet::from(["native".into()]),
            sources: BTreeSet::from(["shop".into()]),
            tables: BTreeSet::from(["orders".into(), "users".into()]),
            now: "bad_value",
            in_trail: Some(InTrail { state: TrailState::Partly, stored: 2, conflicts: 0, events: 3 }),
        }
    }
}
