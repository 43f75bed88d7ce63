//! Where a message is: visible, delayed or in flight, and from one to the other.

use super::{Held, Place, Queue};

impl Queue {
    pub(super) fn show(&mut self, key: u64) {
        if let Some(held) = self.messages.get_mut(&key) {
            held.place = Place::Visible { ticket: self.order.show(&held.message.group_id, key) };
        }
    }

    pub(super) fn give_back(&mut self, key: u64) {
        if let Some(held) = self.messages.get_mut(&key) {
            held.place = Place::Visible { ticket: self.order.give_back(&held.message.group_id, key) };
        }
    }

    pub(super) fn hide(&mut self, key: u64, place: Place) {
        let Some(held) = self.messages.get_mut(&key) else { return };
        held.place = place;
        self.order.hide(&held.message.group_id, key);
        match place {
            Place::Visible { .. } => {}
            Place::Delayed { until } => {
                self.hidden.insert((until, key));
            }
            Place::InFlight { until } => {
                self.hidden.insert((until, key));
                self.in_flight += 1;
            }
        }
    }

    /// Takes a message out of the place it is in.
    pub(super) fn unplace(&mut self, key: u64) {
        let Some(held) = self.messages.get(&key) else { return };
        let mut ticket = None;
        match held.place {
            Place::Visible { ticket: place } => ticket = Some(place),
            Place::Delayed { until } => {
                self.hidden.remove(&(until, key));
            }
            Place::InFlight { until } => {
                self.hidden.remove(&(until, key));
                self.in_flight -= 1;
            }
        }
        self.order.remove(&held.message.group_id, key, ticket);
    }

    /// Takes a message out of the queue.
    pub(super) fn remove(&mut self, key: u64) -> Option<Held> {
        self.unplace(key);
        let held = self.messages.remove(&key)?;
        self.ages.remove(&(held.record.sent_at, key));
        Some(held)
    }
}
