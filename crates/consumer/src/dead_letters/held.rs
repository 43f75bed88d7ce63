//! The letters that are held, and until when.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::message::Handle;
use crate::queue::BATCH_MAX;

/// Every letter that was seen, and the leases on those that are still held.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By message id; without a lease once it is deleted.
    seen: HashMap<Arc<str>, Option<Lease>>,
    /// In the order in which leases end. An entry counts while it is the lease's own.
    ends: VecDeque<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Lease {
    receipt: Arc<str>,
    ends_at: Instant,
}

impl Held {
    /// Takes a lease over. Is the letter seen for the first time?
    pub(super) fn take(&mut self, handle: &Handle, ends_at: Instant) -> bool {
        let lease = Lease { receipt: Arc::clone(&handle.receipt), ends_at };
        self.ends.push_back((ends_at, Arc::clone(&handle.message_id)));
        // The newest handle is the one that works.
        self.seen.insert(Arc::clone(&handle.message_id), Some(lease)).is_none()
    }

    /// It is deleted: nothing is held of it any more.
    pub(super) fn forget(&mut self, message_id: &str) {
        if let Some(lease) = self.seen.get_mut(message_id) {
            *lease = None;
        }
    }

    /// Letters that are held.
    pub(super) fn held(&self) -> usize {
        self.seen.values().flatten().count()
    }

    /// Up to ten whose leases end before `before`, the nearest first.
    pub(super) fn ending(&mut self, before: Instant) -> Vec<Handle> {
        let mut handles = Vec::new();
        while handles.len() < BATCH_MAX
            && let Some((ends_at, message_id)) = self.ends.pop_front_if(|(ends_at, _)| *ends_at < before)
        {
            let lease = self.seen.get(&message_id).and_then(Option::as_ref);
            if let Some(lease) = lease.filter(|lease| lease.ends_at == ends_at) {
                handles.push(Handle { message_id, receipt: Arc::clone(&lease.receipt) });
            }
        }
        handles
    }

    /// A lease ends later, or is to be looked at again then.
    pub(super) fn extended(&mut self, handle: &Handle, ends_at: Instant) {
        let lease = self.seen.get_mut(&handle.message_id).and_then(Option::as_mut);
        if let Some(lease) = lease.filter(|lease| lease.receipt == handle.receipt) {
            lease.ends_at = ends_at;
            self.ends.push_back((ends_at, Arc::clone(&handle.message_id)));
        }
    }

    /// Everything that is still held; nothing is, afterwards.
    pub(super) fn give_up(&mut self) -> Vec<Handle> {
        self.ends.clear();
        let held = self.seen.drain().filter_map(|(message_id, lease)| {
            let receipt = lease?.receipt;
            Some(Handle { message_id, receipt })
        });
        held.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn handle(message_id: &str, receipt: &str) -> Handle {
        Handle { message_id: message_id.into(), receipt: receipt.into() }
    }

    #[test]
    fn leases_come_up_in_the_order_in_which_they_end_each_with_its_newest_handle() {
        let now = Instant::now();
        let at = |second| now + Duration::from_secs(second);
        let mut held = Held::default();
        assert!(held.take(&handle("a", "a1"), at(1)) && held.take(&handle("b", "b1"), at(2)));
        assert!(held.take(&handle("c", "c1"), at(3)) && !held.take(&handle("a", "a2"), at(4)));
        held.forget("b");
        assert_eq!(held.ending(at(4)), [handle("c", "c1")]);
        held.extended(&handle("c", "c1"), at(5));
        assert_eq!(held.ending(at(9)), [handle("a", "a2"), handle("c", "c1")]);
        assert_eq!(held.held(), 2);
    }

    #[test]
    fn what_is_deleted_is_not_given_back_and_stays_seen() {
        let now = Instant::now();
        let mut held = Held::default();
        held.take(&handle("a", "a1"), now);
        held.take(&handle("b", "b1"), now);
        held.forget("a");
        assert!(!held.take(&handle("a", "a2"), now), "a delete that did not hold");
        held.forget("a");
        assert_eq!(held.give_up(), [handle("b", "b1")]);
    }
}
