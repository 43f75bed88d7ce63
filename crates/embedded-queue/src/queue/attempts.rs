//! Receives that may be repeated by their `ReceiveRequestAttemptId`, on FIFO queues.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::Millis;
use crate::error::Error;
use crate::handle::ReceiptHandle;
use crate::memory::{Memory, Weight};

/// For how long a receive may be repeated
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>).
const INTERVAL: Millis = 5 * 60 * 1000;
/// What a receive costs to remember at most, roughly: its id twice and ten handles.
const BYTES: usize = 1024;

/// Receives of the last five minutes by their ids.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    by_id: HashMap<Arc<str>, Attempt>,
    expiries: VecDeque<(Millis, Arc<str>, Weight)>,
}

#[derive(Debug)]
struct Attempt {
    expiry: Millis,
    /// Each message, and until when it was hidden.
    received: Vec<(ReceiptHandle, Millis)>,
}

impl Attempts {
    /// # Errors
    /// [`Error::RequestThrottled`] when there is no room to remember one more.
    pub(super) fn reserve(memory: &Arc<Memory>) -> Result<Weight, Error> {
        memory.take(BYTES)
    }

    pub(super) fn remember(&mut self, now: Millis, id: &str, received: Vec<(ReceiptHandle, Millis)>, weight: Weight) {
        let id: Arc<str> = id.into();
        let expiry = now + INTERVAL;
        self.expiries.push_back((expiry, Arc::clone(&id), weight));
        self.by_id.insert(id, Attempt { expiry, received });
    }

    /// What the receive of that id took.
    pub(super) fn get(&self, id: &str) -> Option<&[(ReceiptHandle, Millis)]> {
        self.by_id.get(id).map(|attempt| &attempt.received[..])
    }

    /// It was repeated: its messages are hidden for longer; it is remembered no longer than before.
    pub(super) fn extend(&mut self, id: &str, until: Millis) {
        for (_, hidden_until) in self.by_id.get_mut(id).into_iter().flat_map(|attempt| &mut attempt.received) {
            *hidden_until = until;
        }
    }

    pub(super) fn advance(&mut self, now: Millis) {
        while let Some((_, id, _)) = self.expiries.pop_front_if(|(expiry, ..)| *expiry <= now) {
            // The id may have been used again since.
            if self.by_id.get(&id).is_some_and(|attempt| attempt.expiry <= now) {
                self.by_id.remove(&id);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.expiries.clear();
    }
}
