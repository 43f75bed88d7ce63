//! What a message is turned into: the pure part between receiving and storing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use afterimage_event::Timestamp;
use afterimage_store::Entry;

use crate::message::Message;

/// Turns messages into entries. Pure: the same message gives the same entries, whoever processes it and when; `now`
/// decides only what has expired.
pub trait Processor: Send + Sync + 'static {
    /// Decodes, compares, builds.
    fn process(&self, message: &Message, now: Timestamp) -> Processed;
}

/// What a message came to.
#[derive(Clone, Debug, Default)]
pub struct Processed {
    /// The entries to store, each with the index of its event in the message.
    pub entries: Vec<(usize, Arc<Entry>)>,
    /// Updates that changed nothing.
    pub unchanged: usize,
    /// Events whose retention was over when they arrived.
    pub expired: usize,
    /// What cannot be understood, and why. One is enough for the message to go to the dead letters, after its entries
    /// are stored.
    pub rejections: Vec<Rejection>,
    /// The kind of a message that is no event (a subscription confirmation).
    pub control: Option<&'static str>,
}

impl Processed {
    /// Bytes of the entries, as they are in memory.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        self.entries.iter().map(|(_, entry)| entry.weight_bytes()).sum()
    }

    /// Bytes of the message and its entries; an entry is in memory twice while a driver sends it.
    #[must_use]
    pub fn weight_bytes(&self, message: &Message) -> usize {
        message.body.len() + 2 * self.entry_bytes()
    }

    /// Every event the message held, whatever became of it.
    #[must_use]
    pub fn events(&self) -> usize {
        self.entries.len() + self.unchanged + self.expired + self.rejections.len()
    }
}

/// Why a message, or one event of it, can never be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Which event of the message; absent when the whole message is meant.
    pub event_index: Option<usize>,
    /// A bounded label.
    pub code: &'static str,
    /// What was expected, and found, without values.
    pub reason: String,
    /// A JSON Pointer or a byte offset; empty when there is no one place.
    pub place: String,
}

/// Processes a message, and believes the clock as far as [`Message::at_most`] does; a processor that panics rejects the message
/// instead of taking the worker down with it.
pub(crate) fn process_safely(processor: &dyn Processor, message: &Message, clock: Timestamp) -> Processed {
    let now = message.at_most(clock);
    catch_unwind(AssertUnwindSafe(|| processor.process(message, now))).unwrap_or_else(|_| Processed {
        rejections: vec![Rejection {
            event_index: None,
            code: "internal_error",
            reason: "processing this message failed unexpectedly: please report it".to_owned(),
            place: String::new(),
        }],
        ..Processed::default()
    })
}
