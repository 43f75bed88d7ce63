//! The deduplication ids of a FIFO queue.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::Sequence;
use super::groups::GroupId;
use crate::clock::Millis;
use crate::error::Error;
use crate::memory::{Memory, Weight};

/// For how long an id is remembered, also when its message was deleted meanwhile
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>).
const INTERVAL: Millis = 5 * 60 * 1000;
/// What an id costs beside its own text and its group's, roughly.
const OVERHEAD_BYTES: usize = 192;

/// The message that an id was first sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) id: Uuid,
    pub(super) sequence: Sequence,
}

/// An id within its scope.
pub(super) type Key = (GroupId, Arc<str>);

/// Ids sent within the last five minutes.
#[derive(Debug)]
pub(super) struct Dedup {
    /// The same id in another group is another id.
    per_group: bool,
    seen: HashMap<Key, Original>,
    /// In the order of sending, which is the order of forgetting.
    expiries: VecDeque<(Millis, Key, Weight)>,
}

impl Dedup {
    pub(super) fn new(per_group: bool) -> Self {
        Self { per_group, seen: HashMap::new(), expiries: VecDeque::new() }
    }

    pub(super) fn key(&self, group: &GroupId, id: Arc<str>) -> Key {
        (if self.per_group { group.clone() } else { None }, id)
    }

    /// The message that this id was sent with lately.
    pub(super) fn original(&self, key: &Key) -> Option<Original> {
        self.seen.get(key).copied()
    }

    /// # Errors
    /// [`Error::RequestThrottled`] when there is no room to remember the id.
    pub(super) fn remember(
        &mut self,
        now: Millis,
        key: Key,
        original: Original,
        memory: &Arc<Memory>,
    ) -> Result<(), Error> {
        let weight = memory.take(OVERHEAD_BYTES + key.1.len() + key.0.as_ref().map_or(0, |group| group.len()))?;
        self.expiries.push_back((now + INTERVAL, key.clone(), weight));
        self.seen.insert(key, original);
        Ok(())
    }

    pub(super) fn advance(&mut self, now: Millis) {
        while let Some((_, key, _)) = self.expiries.pop_front_if(|(expiry, ..)| *expiry <= now) {
            self.seen.remove(&key);
        }
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.expiries.clear();
    }
}
