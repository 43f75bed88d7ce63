//! A processor whose messages are words: `e1` is an event with an entry, `!e2` cannot be understood, `=e3` changed nothing,
//! `~e4` has expired.

use std::sync::Arc;

use afterimage_consumer::{Arrival, Handle, Message, Processed, Processor, Rejection, Trace};
use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::{Digest, Entry, Identity};

/// The processor.
pub(crate) struct Words;

impl Processor for Words {
    fn process(&self, message: &Message, _now: Timestamp) -> Processed {
        let mut processed = Processed::default();
        for (index, word) in words(&message.body).enumerate() {
            match word.as_bytes()[0] {
                b'!' => processed.rejections.push(Rejection {
                    event_index: Some(index),
                    code: "unknown_shape",
                    reason: "expected a word without a mark".to_owned(),
                    place: format!("/{index}"),
                }),
                b'=' => processed.unchanged += 1,
                b'~' => processed.expired += 1,
                b'P' => panic!("a processor with a defect"),
                _ => processed.entries.push((index, Arc::new(entry_of(word)))),
            }
        }
        processed
    }
}

/// The words of a body. Its padding, behind a tab, is none.
fn words(body: &str) -> impl Iterator<Item = &str> {
    body.split('\t').next().unwrap_or_default().split_whitespace()
}

/// The entry of an event.
fn entry_of(word: &str) -> Entry {
    let moment = Timestamp::from_micros(1_000_000).unwrap();
    Entry {
        record: RecordKey {
            tenant: "default".to_owned(),
            source: "sim".to_owned(),
            table: "words".to_owned(),
            record_id: vec![word.to_owned()],
        },
        identity: Identity {
            event_id: word.to_owned(),
            input_digest: Digest([7; 16]),
            revision: 0,
            published_at: moment,
        },
        op: Op::Insert,
        occurred_at: moment,
        position: None,
        changed: Vec::new(),
        before_digest: None,
        after_digest: None,
        provenance: afterimage_store::Provenance::default(),
        expires_at: None,
        content: format!("{{\"word\":\"{word}\"}}"),
    }
}

/// A message with this body, in its n-th delivery.
pub(crate) fn message(id: &str, body: &str, receive_count: u32) -> Message {
    Message {
        handle: Handle { message_id: id.into(), receipt: format!("{id}/{receive_count}").into() },
        body: body.to_owned(),
        attributes: Vec::new(),
        sent_at: Timestamp::from_micros(1_000_000).unwrap(),
        receive_count,
        group_id: None,
        sequence_number: None,
        deduplication_id: None,
        permit: None,
        trace: Trace::default(),
    }
}

/// A message that has been processed.
pub(crate) fn arrival(message: Message) -> Arrival {
    let processed = Words.process(&message, Timestamp::from_micros(0).unwrap());
    Arrival { message: Arc::new(message), processed: Some(processed), room: None }
}
