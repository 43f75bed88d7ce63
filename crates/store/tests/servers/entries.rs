//! Entries to store, whose content is of no known format: it stands as it is.

use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::{Arrival, Digest, Entry, Identity};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn arrival(worker: &str, text: &str) -> Arrival {
    Arrival { worker: worker.to_owned(), at: at(text) }
}

pub(crate) fn record(id: &str) -> RecordKey {
    RecordKey {
        tenant: "acme".to_owned(),
        source: "billing".to_owned(),
        table: "users".to_owned(),
        record_id: vec!["org".to_owned(), id.to_owned()],
    }
}

/// The n-th change of a record, each a second after the one before.
pub(crate) fn entry(record_id: &str, number: usize) -> Entry {
    let occurred_at = at("2026-01-09T10:00:00Z").saturating_add_micros(number as i64 * 1_000_000);
    Entry {
        record: record(record_id),
        identity: Identity {
            event_id: format!("{record_id}-{number:06}"),
            input_digest: Digest([number as u8; 16]),
            revision: 0,
            published_at: occurred_at.saturating_add_micros(500_000),
        },
        op: Op::Update,
        occurred_at,
        position: None,
        changed: vec!["status".to_owned()],
        before_digest: Some(Digest([1; 16])),
        after_digest: Some(Digest([2; 16])),
        provenance: afterimage_store::Provenance::default(),
        expires_at: None,
        content: format!(r#"{{"n":{number}}}"#),
    }
}
