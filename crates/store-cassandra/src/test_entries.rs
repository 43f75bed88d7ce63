//! Entries for tests.

use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::{Arrival, Digest, Entry, Identity};

pub(crate) fn arrival() -> Arrival {
    Arrival { worker: "w1".to_owned(), at: "2026-01-09T10:00:05Z".parse::<Timestamp>().unwrap() }
}

pub(crate) fn entry(record: &str, number: usize) -> Entry {
    let at = "2026-01-09T10:00:00Z".parse::<Timestamp>().unwrap().saturating_add_micros(number as i64);
    Entry {
        record: RecordKey {
            tenant: "acme".to_owned(),
            source: "billing".to_owned(),
            table: "users".to_owned(),
            record_id: vec![record.to_owned()],
        },
        identity: Identity {
            event_id: format!("e{number}"),
            input_digest: Digest([7; 16]),
            revision: 0,
            published_at: at,
        },
        op: Op::Update,
        occurred_at: at,
        position: None,
        changed: vec!["status".to_owned()],
        before_digest: Some(Digest([1; 16])),
        after_digest: Some(Digest([2; 16])),
        provenance: afterimage_store::Provenance::default(),
        expires_at: None,
        content: "{}".to_owned(),
    }
}
