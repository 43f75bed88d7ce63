//! Handing messages out.

use std::sync::Arc;

use super::attempts::Attempts;
use super::{Ask, Held, IN_FLIGHT_MAX, Place, Queue, Received, Record, Taken};
use crate::clock::Millis;
use crate::error::Error;
use crate::handle::ReceiptHandle;
use crate::message::Message;

impl Queue {
    /// Hands out messages. With a redrive policy, what was received too often is moved.
    ///
    /// # Errors
    /// [`Error::OverLimit`] when as many messages of a standard queue are in flight as may be; a FIFO queue answers with
    /// none. [`Error::RequestThrottled`] when there is no room to remember the attempt.
    pub(crate) fn receive(&mut self, now: Millis, ask: Ask<'_>) -> Result<Taken, Error> {
        self.advance(now);
        let mut taken = Taken::default();
        let attempt = ask.attempt.filter(|_| self.is_fifo());
        if let Some(received) = attempt.and_then(|id| self.repeat(now, id, ask.timeout)) {
            taken.received = received;
            return Ok(taken);
        }
        if self.in_flight >= IN_FLIGHT_MAX && self.order.is_ready() && !self.is_fifo() {
            return Err(Error::OverLimit);
        }
        let weight = attempt.map(|_| Attempts::reserve(&self.memory)).transpose()?;
        while taken.received.len() < ask.count && self.in_flight + taken.received.len() < IN_FLIGHT_MAX {
            let Some(key) = self.order.pop() else { break };
            let Some(held) = self.messages.get_mut(&key) else { continue };
            if let Some((receives_max, source)) = ask.redrive
                && held.receives_here >= receives_max
            {
                taken.dead.extend(self.remove(key).map(|held| self.bury(now, held, source)));
                continue;
            }
            held.receives_here += 1;
            held.received_at = now;
            held.record.receives += 1;
            held.record.first_received_at.get_or_insert(now);
            taken.received.extend(self.received(key));
        }
        // Only now, so that no message stands twice in an answer and all of a group may stand in one.
        for received in &taken.received {
            let key = received.handle.key;
            if ask.timeout == 0 {
                self.give_back(key);
            } else {
                self.hide(key, Place::InFlight { until: now + ask.timeout });
            }
        }
        if let (Some(id), Some(weight), false) = (attempt, weight, taken.received.is_empty()) {
            let received = taken.received.iter().map(|received| (received.handle, now + ask.timeout)).collect();
            self.attempts.remember(now, id, received, weight);
        }
        Ok(taken)
    }

    /// What an earlier receive of this id took, hidden for `timeout` from now; none when any of it was deleted, changed or
    /// became visible since.
    fn repeat(&mut self, now: Millis, id: &str, timeout: Millis) -> Option<Vec<Received>> {
        let earlier = self.attempts.get(id)?;
        let is_unchanged = |(handle, hidden_until): &(ReceiptHandle, Millis)| {
            self.messages.get(&handle.key).is_some_and(|held| {
                held.receives_here == handle.receive && held.place == Place::InFlight { until: *hidden_until }
            })
        };
        if !earlier.iter().all(is_unchanged) {
            return None;
        }
        let received: Vec<_> = earlier.iter().filter_map(|(handle, _)| self.received(handle.key)).collect();
        for received in &received {
            self.unplace(received.handle.key);
            self.hide(received.handle.key, Place::InFlight { until: now + timeout });
        }
        self.attempts.extend(id, now + timeout);
        Some(received)
    }

    /// A message as its latest receive hands it out.
    fn received(&self, key: u64) -> Option<Received> {
        let held = self.messages.get(&key)?;
        Some(Received {
            message: Arc::clone(&held.message),
            handle: ReceiptHandle { queue: self.uid, key, receive: held.receives_here },
            record: held.record.clone(),
            sequence: self.is_fifo().then_some(held.sequence),
        })
    }

    /// What a dead-letter queue gets. On FIFO queues a message is enqueued anew there, and its deduplication id is its
    /// own id, so that two messages that shared one are both kept
    /// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>).
    fn bury(&self, now: Millis, held: Held, source: &Arc<str>) -> (Arc<Message>, Record) {
        let mut record = Record { dead_letter_source: Some(Arc::clone(source)), ..held.record };
        if self.is_fifo() {
            record.sent_at = now;
            record.deduplication_id = Some(record.id.to_string().into());
        }
        (held.message, record)
    }
}
