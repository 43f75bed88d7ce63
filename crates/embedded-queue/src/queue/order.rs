//! Which visible message is handed out next.

use super::groups::{GroupId, Groups};
use super::line::Line;

/// The two kinds of queue.
#[derive(Debug)]
pub(super) enum Order {
    Standard(Line),
    Fifo(Groups),
}

impl Order {
    /// A message is visible: new, or back. The ticket is wanted by [`Self::remove`].
    pub(super) fn show(&mut self, group: &GroupId, key: u64) -> u64 {
        match self {
            Self::Standard(line) => line.push(key),
            Self::Fifo(groups) => {
                groups.show(group, key);
                key
            }
        }
    }

    /// What was taken out is visible again.
    pub(super) fn give_back(&mut self, group: &GroupId, key: u64) -> u64 {
        match self {
            Self::Standard(line) => line.push(key),
            Self::Fifo(groups) => {
                groups.give_back(group, key);
                key
            }
        }
    }

    /// A message is in flight or delayed.
    pub(super) fn hide(&mut self, group: &GroupId, key: u64) {
        match self {
            // What is not visible has no place in a line.
            Self::Standard(_) => {}
            Self::Fifo(groups) => groups.hide(group, key),
        }
    }

    /// A message is gone, or moves; `ticket` is none for one that is not visible.
    pub(super) fn remove(&mut self, group: &GroupId, key: u64, ticket: Option<u64>) {
        match (self, ticket) {
            (Self::Standard(line), Some(ticket)) => line.remove(ticket),
            (Self::Standard(_), None) => {}
            (Self::Fifo(groups), _) => groups.remove(group, key),
        }
    }

    /// The next message.
    pub(super) fn peek(&self) -> Option<u64> {
        match self {
            Self::Standard(line) => line.peek(),
            Self::Fifo(groups) => groups.peek(),
        }
    }

    /// Takes the next message out.
    pub(super) fn pop(&mut self) -> Option<u64> {
        match self {
            Self::Standard(line) => line.pop(),
            Self::Fifo(groups) => groups.pop(),
        }
    }

    /// Is there something to hand out?
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Standard(line) => !line.is_empty(),
            Self::Fifo(groups) => groups.is_ready(),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Standard(line) => *line = Line::default(),
            Self::Fifo(groups) => groups.clear(),
        }
    }
}
