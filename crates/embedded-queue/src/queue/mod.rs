//! One queue: what is visible, delayed and in flight. No clock, no lock, no network; time is passed in.

mod attempts;
mod dedup;
#[cfg(test)]
mod fifo_tests;
mod groups;
mod line;
mod order;
mod places;
mod receive;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Millis;
use crate::error::Error;
use crate::handle::ReceiptHandle;
use crate::memory::Memory;
use crate::message::{Message, Parcel};
use crate::settings::{Settings, VISIBILITY_TIMEOUT_S_MAX};
use attempts::Attempts;
use dedup::{Dedup, Original};
use groups::Groups;
use line::Line;
use order::Order;

pub(crate) use record::{Ask, Counts, Received, Record, Sent, Sequence, Taken};

/// Most messages of a queue that may be in flight
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>, `quotas-fifo.html`).
pub(crate) const IN_FLIGHT_MAX: usize = 120_000;

/// A queue's messages.
#[derive(Debug)]
pub(crate) struct Queue {
    uid: u64,
    settings: Settings,
    messages: HashMap<u64, Held>,
    order: Order,
    /// Delayed messages and those in flight, by the moment that makes them visible.
    hidden: BTreeSet<(Millis, u64)>,
    in_flight: usize,
    /// Every message by the moment it was sent: the oldest leave when they were retained long enough.
    ages: BTreeSet<(Millis, u64)>,
    /// Of a FIFO queue. What counts as a duplicate is settled when a queue is created: at SQS later changes of
    /// `DeduplicationScope` show no effect.
    dedup: Option<Dedup>,
    attempts: Attempts,
    last_key: u64,
    last_sequence: Sequence,
    memory: Arc<Memory>,
}

#[derive(Debug)]
struct Held {
    message: Arc<Message>,
    place: Place,
    record: Record,
    /// Its place in the order of a FIFO queue, as consumers see it.
    sequence: Sequence,
    /// Receives from this queue; the number of the latest handle.
    receives_here: u64,
    received_at: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Visible { ticket: u64 },
    Delayed { until: Millis },
    InFlight { until: Millis },
}

impl Queue {
    /// An empty queue; `uid` is never the same for two queues of one process.
    pub(crate) fn new(uid: u64, settings: Settings, memory: Arc<Memory>) -> Self {
        let order = if settings.fifo() { Order::Fifo(Groups::default()) } else { Order::Standard(Line::default()) };
        Self {
            uid,
            messages: HashMap::new(),
            order,
            hidden: BTreeSet::new(),
            in_flight: 0,
            ages: BTreeSet::new(),
            dedup: settings.fifo().then(|| Dedup::new(settings.deduplicates_per_group())),
            attempts: Attempts::default(),
            last_key: 0,
            last_sequence: Sequence::default(),
            memory,
            settings,
        }
    }

    /// Takes a message in, unless it repeats one of the last five minutes; visible at once without a delay.
    ///
    /// # Errors
    /// [`Error::RequestThrottled`] when there is no room to remember its deduplication id.
    pub(crate) fn send(&mut self, now: Millis, parcel: Parcel) -> Result<Sent, Error> {
        self.advance(now);
        let Parcel { id, message, deduplication_id, delay } = parcel;
        let sequence = self.last_sequence.next(now);
        if let (Some(dedup), Some(deduplication_id)) = (&mut self.dedup, &deduplication_id) {
            let key = dedup.key(&message.group_id, Arc::clone(deduplication_id));
            if let Some(Original { id, sequence }) = dedup.original(&key) {
                return Ok(Sent { id, sequence: Some(sequence) });
            }
            dedup.remember(now, key, Original { id, sequence }, &self.memory)?;
        }
        let record = Record {
            id,
            deduplication_id,
            sent_at: now,
            receives: 0,
            first_received_at: None,
            dead_letter_source: None,
        };
        self.add(now, Arc::new(message), record, delay);
        Ok(Sent { id, sequence: self.is_fifo().then_some(sequence) })
    }

    /// Takes in what a redrive policy or a move task brings: never a duplicate.
    pub(crate) fn add(&mut self, now: Millis, message: Arc<Message>, record: Record, delay: Millis) {
        self.last_key += 1;
        let key = self.last_key;
        self.last_sequence = self.last_sequence.next(now);
        self.ages.insert((record.sent_at, key));
        let place = Place::Delayed { until: now };
        let held = Held { message, place, record, sequence: self.last_sequence, receives_here: 0, received_at: 0 };
        self.messages.insert(key, held);
        if delay == 0 { self.show(key) } else { self.hide(key, Place::Delayed { until: now + delay }) }
    }

    /// Deletes what `handle` received. Deleted already: nothing happens. Received again since, or its time-out ended: on
    /// a standard queue an old handle deletes nothing and the latest does; on a FIFO queue the handle has expired.
    ///
    /// # Errors
    /// [`Error::ReceiptHandleIsInvalid`] for another queue's handle, [`Error::InvalidParameterValue`] for an expired one.
    pub(crate) fn delete(&mut self, now: Millis, handle: ReceiptHandle) -> Result<(), Error> {
        self.advance(now);
        self.check(handle)?;
        let Some(held) = self.messages.get(&handle.key) else { return Ok(()) };
        let is_latest = held.receives_here == handle.receive;
        let is_hidden = matches!(held.place, Place::InFlight { .. });
        if self.is_fifo() && !(is_latest && is_hidden) {
            return Err(Error::InvalidParameterValue("the receipt handle has expired".into()));
        }
        if is_latest {
            self.remove(handle.key);
        }
        Ok(())
    }

    /// Makes what `handle` received visible after `timeout` from now.
    ///
    /// # Errors
    /// For a handle that is not the latest of a message in flight, and beyond twelve hours since the receive.
    pub(crate) fn change_visibility(
        &mut self,
        now: Millis,
        handle: ReceiptHandle,
        timeout: Millis,
    ) -> Result<(), Error> {
        self.advance(now);
        self.check(handle)?;
        let latest = self.messages.get(&handle.key).filter(|held| held.receives_here == handle.receive);
        let Some(held) = latest else {
            return Err(Error::InvalidParameterValue(
                "the receipt handle has expired: the message was deleted or received again".into(),
            ));
        };
        if !matches!(held.place, Place::InFlight { .. }) {
            return Err(Error::MessageNotInflight);
        }
        if now + timeout > held.received_at + VISIBILITY_TIMEOUT_S_MAX * 1000 {
            return Err(Error::InvalidParameterValue(format!(
                "the visibility timeout would end more than {VISIBILITY_TIMEOUT_S_MAX} s after the receive"
            )));
        }
        self.unplace(handle.key);
        if timeout == 0 {
            self.show(handle.key);
        } else {
            self.hide(handle.key, Place::InFlight { until: now + timeout });
        }
        Ok(())
    }

    /// The message that the next receive would begin with.
    pub(crate) fn peek(&mut self, now: Millis) -> Option<&Record> {
        self.advance(now);
        self.messages.get(&self.order.peek()?).map(|held| &held.record)
    }

    /// Takes that message out of the queue.
    pub(crate) fn take(&mut self) -> Option<(Arc<Message>, Record)> {
        let key = self.order.peek()?;
        self.remove(key).map(|held| (held.message, held.record))
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes other settings over. A FIFO queue's delay holds for the messages it delays already, a standard queue's does
    /// not (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>).
    pub(crate) fn set(&mut self, settings: Settings) {
        self.settings = settings;
        if !self.is_fifo() {
            return;
        }
        let delayed: Vec<u64> = self.hidden.iter().map(|(_, key)| *key).collect();
        for key in delayed {
            if let Some(Held { place: Place::Delayed { .. }, record, .. }) = self.messages.get(&key) {
                let until = record.sent_at + self.settings.delay();
                self.unplace(key);
                self.hide(key, Place::Delayed { until });
            }
        }
    }

    /// Forgets every message, and every deduplication id.
    pub(crate) fn purge(&mut self) {
        self.messages.clear();
        self.order.clear();
        self.hidden.clear();
        self.in_flight = 0;
        self.ages.clear();
        if let Some(dedup) = &mut self.dedup {
            dedup.clear();
        }
        self.attempts.clear();
    }

    pub(crate) fn counts(&mut self, now: Millis) -> Counts {
        self.advance(now);
        let (hidden, in_flight) = (self.hidden.len(), self.in_flight);
        Counts { visible: self.messages.len() - hidden, in_flight, delayed: hidden - in_flight }
    }

    /// Is there something to hand out?
    pub(crate) fn is_ready(&self) -> bool {
        self.order.is_ready()
    }

    /// When there may next be something more to hand out without a send: a time-out ends, or a message that holds its
    /// group was retained long enough.
    pub(crate) fn next_due(&self) -> Option<Millis> {
        let hidden = self.hidden.first().map(|(due, _)| *due);
        let oldest = self.ages.first().map(|(sent_at, _)| sent_at + self.settings.retention());
        hidden.into_iter().chain(oldest).min()
    }

    /// Drops what is too old, shows every hidden message whose time has come.
    fn advance(&mut self, now: Millis) {
        let retention = self.settings.retention();
        while let Some((sent_at, key)) = self.ages.first().copied()
            && sent_at + retention <= now
        {
            self.remove(key);
        }
        while let Some((due, key)) = self.hidden.first().copied()
            && due <= now
        {
            self.unplace(key);
            self.show(key);
        }
        if let Some(dedup) = &mut self.dedup {
            dedup.advance(now);
            self.attempts.advance(now);
        }
    }

    const fn is_fifo(&self) -> bool {
        self.dedup.is_some()
    }

    fn check(&self, handle: ReceiptHandle) -> Result<(), Error> {
        let is_ours = handle.queue == self.uid && (1..=self.last_key).contains(&handle.key);
        if is_ours { Ok(()) } else { Err(Error::ReceiptHandleIsInvalid) }
    }
}
