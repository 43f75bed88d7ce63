//! One queue: what is visible, delayed and in flight. No clock, no lock, no network; time is passed in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Millis;
use crate::error::Error;
use crate::handle::ReceiptHandle;
use crate::message::Message;
use crate::settings::{Settings, VISIBILITY_TIMEOUT_S_MAX};

/// Most messages of a standard queue that may be in flight
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>).
pub(crate) const IN_FLIGHT_MAX: usize = 120_000;

/// A standard queue's messages.
#[derive(Debug)]
pub(crate) struct Queue {
    uid: u64,
    pub(crate) settings: Settings,
    messages: HashMap<u64, Held>,
    /// Messages that may be received, in the order they became visible: key by ticket.
    visible: BTreeMap<u64, u64>,
    /// Delayed messages and those in flight, by the moment that makes them visible.
    hidden: BTreeSet<(Millis, u64)>,
    in_flight: usize,
    last_key: u64,
    last_ticket: u64,
}

#[derive(Debug)]
struct Held {
    message: Arc<Message>,
    place: Place,
    history: History,
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

/// What a message keeps when it moves to a dead-letter queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Receives across all queues.
    pub(crate) receives: u64,
    pub(crate) first_received_at: Option<Millis>,
    /// The ARN of the queue a redrive policy moved it from.
    pub(crate) dead_letter_source: Option<Arc<str>>,
}

/// A message handed out.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) message: Arc<Message>,
    pub(crate) handle: ReceiptHandle,
    pub(crate) history: History,
}

/// What one receive takes from the queue.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) received: Vec<Received>,
    /// Messages that were received too often: now the dead-letter queue's.
    pub(crate) dead: Vec<(Arc<Message>, History)>,
}

/// The three counts of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: usize,
    pub(crate) in_flight: usize,
    pub(crate) delayed: usize,
}

impl Queue {
    /// An empty queue; `uid` is never the same for two queues of one process.
    pub(crate) fn new(uid: u64, settings: Settings) -> Self {
        Self {
            uid,
            settings,
            messages: HashMap::new(),
            visible: BTreeMap::new(),
            hidden: BTreeSet::new(),
            in_flight: 0,
            last_key: 0,
            last_ticket: 0,
        }
    }

    /// Takes a message in; visible at once without a delay.
    pub(crate) fn add(&mut self, now: Millis, message: Arc<Message>, history: History, delay: Millis) {
        self.last_key += 1;
        let key = self.last_key;
        let place = if delay == 0 { self.show(key) } else { self.hide(key, now + delay, false) };
        self.messages.insert(key, Held { message, place, history, receives_here: 0, received_at: 0 });
    }

    /// Hands out up to `count` messages for `timeout`. With a redrive policy, what was received too often is moved.
    ///
    /// # Errors
    /// [`Error::OverLimit`] when as many messages are in flight as may be.
    pub(crate) fn receive(
        &mut self,
        now: Millis,
        count: usize,
        timeout: Millis,
        redrive: Option<(u64, &Arc<str>)>,
    ) -> Result<Taken, Error> {
        self.advance(now);
        let mut taken = Taken::default();
        if self.in_flight >= IN_FLIGHT_MAX && !self.visible.is_empty() {
            return Err(Error::OverLimit);
        }
        // A time-out of zero makes a message visible again at once, behind these: never handed out twice in one answer.
        for _ in 0..self.visible.len() {
            if taken.received.len() == count || self.in_flight == IN_FLIGHT_MAX {
                break;
            }
            let Some((_, key)) = self.visible.pop_first() else { break };
            let Some(held) = self.messages.get_mut(&key) else { continue };
            if let Some((receives_max, source)) = redrive
                && held.receives_here >= receives_max
            {
                if let Some(held) = self.messages.remove(&key) {
                    let history = History { dead_letter_source: Some(Arc::clone(source)), ..held.history };
                    taken.dead.push((held.message, history));
                }
                continue;
            }
            held.receives_here += 1;
            held.received_at = now;
            held.history.receives += 1;
            held.history.first_received_at.get_or_insert(now);
            let handle = ReceiptHandle { queue: self.uid, key, receive: held.receives_here };
            taken.received.push(Received { message: Arc::clone(&held.message), handle, history: held.history.clone() });
            let place = if timeout == 0 { self.show(key) } else { self.hide(key, now + timeout, true) };
            self.place(key, place);
        }
        Ok(taken)
    }

    /// Deletes what `handle` received. Deleted already, or received again since: nothing happens, as SQS documents.
    ///
    /// # Errors
    /// [`Error::ReceiptHandleIsInvalid`] for another queue's handle.
    pub(crate) fn delete(&mut self, now: Millis, handle: ReceiptHandle) -> Result<(), Error> {
        self.advance(now);
        self.check(handle)?;
        if self.messages.get(&handle.key).is_some_and(|held| held.receives_here == handle.receive) {
            self.unplace(handle.key);
            self.messages.remove(&handle.key);
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
        let place = if timeout == 0 { self.show(handle.key) } else { self.hide(handle.key, now + timeout, true) };
        self.place(handle.key, place);
        Ok(())
    }

    /// Forgets every message.
    pub(crate) fn purge(&mut self) {
        self.messages.clear();
        self.visible.clear();
        self.hidden.clear();
        self.in_flight = 0;
    }

    pub(crate) fn counts(&mut self, now: Millis) -> Counts {
        self.advance(now);
        Counts { visible: self.visible.len(), in_flight: self.in_flight, delayed: self.hidden.len() - self.in_flight }
    }

    pub(crate) fn has_visible(&self) -> bool {
        !self.visible.is_empty()
    }

    /// When the next hidden message becomes visible.
    pub(crate) fn next_due(&self) -> Option<Millis> {
        self.hidden.first().map(|(due, _)| *due)
    }

    /// Shows every hidden message whose time has come.
    fn advance(&mut self, now: Millis) {
        while let Some((due, key)) = self.hidden.first().copied()
            && due <= now
        {
            self.unplace(key);
            let place = self.show(key);
            self.place(key, place);
        }
    }

    fn check(&self, handle: ReceiptHandle) -> Result<(), Error> {
        let is_ours = handle.queue == self.uid && (1..=self.last_key).contains(&handle.key);
        if is_ours { Ok(()) } else { Err(Error::ReceiptHandleIsInvalid) }
    }

    fn show(&mut self, key: u64) -> Place {
        self.last_ticket += 1;
        self.visible.insert(self.last_ticket, key);
        Place::Visible { ticket: self.last_ticket }
    }

    fn hide(&mut self, key: u64, until: Millis, received: bool) -> Place {
        self.hidden.insert((until, key));
        self.in_flight += usize::from(received);
        if received { Place::InFlight { until } } else { Place::Delayed { until } }
    }

    fn place(&mut self, key: u64, place: Place) {
        if let Some(held) = self.messages.get_mut(&key) {
            held.place = place;
        }
    }

    /// Takes a message out of the place it is in.
    fn unplace(&mut self, key: u64) {
        match self.messages.get(&key).map(|held| held.place) {
            Some(Place::Visible { ticket }) => {
                self.visible.remove(&ticket);
            }
            Some(Place::Delayed { until }) => {
                self.hidden.remove(&(until, key));
            }
            Some(Place::InFlight { until }) => {
                self.hidden.remove(&(until, key));
                self.in_flight -= 1;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Draft, Memory};

    fn message() -> Arc<Message> {
        let mut draft: Draft<'_> = serde_json::from_str(r#"{"MessageBody":"x"}"#).unwrap();
        Arc::new(draft.check(1024).unwrap().accept(0, &Memory::new(10_000)).unwrap())
    }

    #[test]
    fn a_message_is_received_again_when_its_time_out_ends_and_not_before() {
        let mut queue = Queue::new(1, Settings::default());
        queue.add(0, message(), History::default(), 500);
        assert!(queue.receive(499, 1, 1_000, None).unwrap().received.is_empty());
        assert_eq!(queue.counts(499), Counts { visible: 0, in_flight: 0, delayed: 1 });
        assert_eq!(queue.next_due(), Some(500));
        let first = queue.receive(500, 1, 1_000, None).unwrap().received.remove(0).handle;
        assert!(queue.receive(1_499, 1, 1_000, None).unwrap().received.is_empty());
        assert_eq!(queue.counts(1_499), Counts { visible: 0, in_flight: 1, delayed: 0 });
        queue.change_visibility(1_499, first, 1_000).unwrap();
        assert!(queue.receive(2_498, 1, 1_000, None).unwrap().received.is_empty());
        let second = queue.receive(2_499, 1, 1_000, None).unwrap().received.remove(0).handle;
        queue.delete(2_500, first).unwrap();
        assert_eq!(queue.counts(2_500).in_flight, 1, "an old handle deletes nothing");
        queue.delete(9_999, second).unwrap();
        assert_eq!(queue.counts(9_999), Counts { visible: 0, in_flight: 0, delayed: 0 }, "the latest does, even late");
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn twelve_hours_after_its_receive_a_message_cannot_be_kept_longer() {
        let mut queue = Queue::new(1, Settings::default());
        queue.add(0, message(), History::default(), 0);
        let handle = queue.receive(0, 1, 43_200_000, None).unwrap().received[0].handle;
        assert!(queue.change_visibility(1, handle, 43_200_000).is_err());
        queue.change_visibility(1, handle, 43_199_999).unwrap();
        assert!(matches!(queue.change_visibility(43_200_000, handle, 1), Err(Error::MessageNotInflight)));
    }

    #[test]
    fn no_more_than_the_limit_is_in_flight() {
        let message = message();
        let mut queue = Queue::new(1, Settings::default());
        for _ in 0..IN_FLIGHT_MAX + 3 {
            queue.add(0, Arc::clone(&message), History::default(), 0);
        }
        let mut received: Vec<_> =
            (0..IN_FLIGHT_MAX / 10 - 1).flat_map(|_| queue.receive(0, 10, 30_000, None).unwrap().received).collect();
        let last = queue.receive(0, 7, 20_000, None).unwrap().received;
        received.extend(queue.receive(0, 10, 30_000, None).unwrap().received);
        assert_eq!(received.len() + last.len(), IN_FLIGHT_MAX);
        assert!(matches!(queue.receive(0, 1, 30_000, None), Err(Error::OverLimit)));
        assert_eq!(queue.counts(0), Counts { visible: 3, in_flight: IN_FLIGHT_MAX, delayed: 0 });

        // A delete makes room for one more, an ended time-out for its messages.
        queue.delete(0, received[0].handle).unwrap();
        assert_eq!(queue.receive(0, 10, 30_000, None).unwrap().received.len(), 1);
        assert_eq!(queue.receive(20_000, 10, 30_000, None).unwrap().received.len(), 7);
        assert!(matches!(queue.receive(20_000, 10, 30_000, None), Err(Error::OverLimit)));
    }

    #[test]
    fn a_time_out_of_zero_hands_a_message_out_once_in_an_answer() {
        let message = message();
        let mut queue = Queue::new(1, Settings::default());
        for _ in 0..3 {
            queue.add(0, Arc::clone(&message), History::default(), 0);
        }
        let keys: Vec<_> =
            queue.receive(0, 10, 0, None).unwrap().received.iter().map(|received| received.handle.key).collect();
        assert_eq!(keys, [1, 2, 3]);
        assert_eq!(queue.counts(0), Counts { visible: 3, in_flight: 0, delayed: 0 });
    }
}
