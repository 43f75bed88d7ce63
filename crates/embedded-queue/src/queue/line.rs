//! The order of a standard queue.

use std::collections::BTreeMap;

/// Visible messages in the order they became visible: key by ticket.
#[derive(Debug, Default)]
pub(super) struct Line {
    visible: BTreeMap<u64, u64>,
    last_ticket: u64,
}

impl Line {
    /// Puts a message at the end; the ticket finds it again.
    pub(super) fn push(&mut self, key: u64) -> u64 {
        self.last_ticket += 1;
        self.visible.insert(self.last_ticket, key);
        self.last_ticket
    }

    pub(super) fn peek(&self) -> Option<u64> {
        self.visible.first_key_value().map(|(_, key)| *key)
    }

    /// Takes the first message out.
    pub(super) fn pop(&mut self) -> Option<u64> {
        self.visible.pop_first().map(|(_, key)| key)
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        self.visible.remove(&ticket);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }
}
