//! The order of a FIFO queue: within a group by key, groups one after another.
//!
//! A message may be handed out when none before it in its group is in flight or delayed
//! (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html>).
//! So a receive may take several of a group in order, one that comes back stands before its successors, and one that is
//! still in flight holds those behind it but not those before it. Only groups that have something to hand out are looked
//! at, so a blocked one costs nothing however long it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// None is a group too, so that no message can be lost for want of one.
pub(super) type GroupId = Option<Arc<str>>;

/// Messages by group.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<GroupId, Group>,
    /// Groups whose first message may be handed out, in the order they became so: id by ticket.
    ready: BTreeMap<u64, GroupId>,
    last_ticket: u64,
}

/// Keys, which rise in the order of sending.
#[derive(Debug, Default)]
struct Group {
    visible: BTreeSet<u64>,
    /// In flight or delayed.
    hidden: BTreeSet<u64>,
    /// Its place among those ready.
    ticket: Option<u64>,
}

impl Group {
    /// The message to hand out next.
    fn head(&self) -> Option<u64> {
        let first = *self.visible.first()?;
        self.hidden.first().is_none_or(|hidden| first < *hidden).then_some(first)
    }
}

impl Groups {
    /// A message is visible: new, or back.
    pub(super) fn show(&mut self, id: &GroupId, key: u64) {
        let group = self.groups.entry(id.clone()).or_default();
        group.hidden.remove(&key);
        group.visible.insert(key);
        self.settle(id);
    }

    /// A message is in flight or delayed.
    pub(super) fn hide(&mut self, id: &GroupId, key: u64) {
        let group = self.groups.entry(id.clone()).or_default();
        group.visible.remove(&key);
        group.hidden.insert(key);
        self.settle(id);
    }

    /// A message is gone.
    pub(super) fn remove(&mut self, id: &GroupId, key: u64) {
        if let Some(group) = self.groups.get_mut(id) {
            group.visible.remove(&key);
            group.hidden.remove(&key);
            self.settle(id);
        }
    }

    pub(super) fn peek(&self) -> Option<u64> {
        let (_, id) = self.ready.first_key_value()?;
        self.groups.get(id)?.head()
    }

    /// Takes out the next message of the first group that is ready. Until that message is hidden, shown again or removed,
    /// its successors may be taken too.
    pub(super) fn pop(&mut self) -> Option<u64> {
        let (_, id) = self.ready.first_key_value()?;
        let group = self.groups.get_mut(id)?;
        let key = group.head()?;
        group.visible.remove(&key);
        if group.head().is_none()
            && let Some(ticket) = group.ticket.take()
        {
            self.ready.remove(&ticket);
        }
        Some(key)
    }

    /// Shows again what was taken out; its group goes behind the others, which would starve otherwise.
    pub(super) fn give_back(&mut self, id: &GroupId, key: u64) {
        if let Some(ticket) = self.groups.get_mut(id).and_then(|group| group.ticket.take()) {
            self.ready.remove(&ticket);
        }
        self.show(id, key);
    }

    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Groups held, and those of them that are ready.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.groups.len(), self.ready.len())
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
        self.ready.clear();
    }

    /// Gives a group its place among those ready, or takes it away; forgets an empty one.
    fn settle(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get_mut(id) else { return };
        match (group.head(), group.ticket) {
            (Some(_), None) => {
                self.last_ticket += 1;
                group.ticket = Some(self.last_ticket);
                self.ready.insert(self.last_ticket, id.clone());
            }
            (None, Some(ticket)) => {
                group.ticket = None;
                self.ready.remove(&ticket);
            }
            _ => {}
        }
        if group.visible.is_empty() && group.hidden.is_empty() {
            self.groups.remove(id);
        }
    }
}
