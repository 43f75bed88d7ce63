//! What a worker must hold, judged by what went to it and came from it: its books have to say the same.

use std::collections::{HashMap, HashSet};

use afterimage_consumer::{BATCH_MAX, Books, Handle, Message, Note, Time};

use crate::corpus::{MessageNo, number_of};
use crate::law::{Law, Violation};
use crate::wire::{Reply, Request, message_of, nth_of};

/// A message that the worker was given and has not got rid of.
#[derive(Debug)]
struct Owned {
    /// The newest delivery of it that the worker knows.
    nth: u32,
    /// Which delivery of it is being given back, if one is.
    leaving: Option<Leaving>,
}

/// A delivery that is being given back.
#[derive(Debug)]
struct Leaving {
    nth: u32,
    /// The request has left the worker: a delivery that comes now is another one, and is held.
    is_sent: bool,
}

impl Owned {
    /// Is this delivery of it being given back?
    fn is_leaving(&self, nth: u32) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.nth == nth)
    }

    /// Has its newest delivery been sent back?
    fn is_sent_back(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.is_sent && leaving.nth == self.nth)
    }
}

/// The books as they must be.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    owned: HashMap<MessageNo, Owned>,
    /// What of the worker's books can be told from outside.
    ours: Books,
    /// Messages of which the queue has said in this turn that they are not ours.
    disowned: HashSet<MessageNo>,
    /// Messages of which the dead letters have said that they are kept.
    kept: HashSet<MessageNo>,
    /// The queue has counted nothing, and nothing has come since.
    pub(crate) counted_none: bool,
}

impl Shadow {
    pub(crate) fn len(&self) -> usize {
        self.owned.len()
    }

    /// Does the worker hold this delivery, and means to keep it?
    pub(crate) fn keeps(&self, number: MessageNo, nth: u32) -> bool {
        self.owned.get(&number).is_some_and(|owned| owned.nth == nth && !owned.is_leaving(nth))
    }

    /// Is this message in the worker's hands?
    pub(crate) fn holds(&self, number: MessageNo) -> bool {
        self.owned.contains_key(&number)
    }

    /// Has the worker been told that the dead letters keep this one?
    pub(crate) fn knows_letter(&self, number: MessageNo) -> bool {
        self.kept.contains(&number)
    }

    /// A request leaves the worker.
    pub(crate) fn asked(&mut self, at: Time, request: &Request) -> Result<(), Violation> {
        let handles = request.handles();
        let items = match request {
            Request::Letters { letters } => Some(letters.len()),
            // A group of entries may be larger.
            Request::Store { entries } => Some(entries.len().min(BATCH_MAX)),
            Request::Delete { .. } | Request::Extend { .. } | Request::Release { .. } => Some(handles.len()),
            _ => None,
        };
        if items.is_some_and(|items| items == 0 || items > BATCH_MAX) {
            return Err(Violation::of(Law::Bounds, at, format!("a batch of {items:?}: {}", request.tell())));
        }
        if let Request::Letters { letters } = request {
            let mut numbers = letters.iter().map(|letter| number_of(letter.message_id()));
            if let Some(number) = numbers.find(|number| self.owned.get(number).is_some_and(Owned::is_sent_back)) {
                let what = "is given back, and sent to the dead letters";
                return Err(Violation::about(Law::LeasesAreKept, at, number, what));
            }
        }
        for (place, handle) in handles.iter().enumerate() {
            let number = message_of(handle);
            let broken = |what| Err(Violation::about(Law::NewestHandle, at, number, what));
            if handles[..place].iter().any(|other| other.message_id == handle.message_id) {
                return broken("is twice in a batch");
            }
            let Some(owned) = self.owned.get_mut(&number) else { return broken("is not held, and asked about") };
            if nth_of(handle) != owned.nth {
                return broken("is asked about with the handle of an old delivery");
            }
            match request {
                // Whoever has it now would lose it again.
                Request::Release { .. } if owned.is_sent_back() => return broken("is given back twice"),
                // Others would not see it for as long again.
                Request::Extend { .. } if owned.is_sent_back() => {
                    let what = "is given back, and its lease is extended";
                    return Err(Violation::about(Law::LeasesAreKept, at, number, what));
                }
                // Whoever has it now does that.
                Request::Delete { .. } if owned.is_sent_back() => {
                    return Err(Violation::about(Law::LeasesAreKept, at, number, "is given back, and deleted"));
                }
                Request::Release { .. } => owned.leaving = Some(Leaving { nth: owned.nth, is_sent: true }),
                Request::Delete { .. } => owned.leaving = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// The worker makes a call.
    pub(crate) fn called(&mut self, request: &Request) {
        match request {
            Request::Store { .. } => self.ours.groups += 1,
            Request::Delete { .. } => self.ours.delete_calls += 1,
            _ => {}
        }
    }

    /// What the worker is told, be it true or not, counts in its books.
    pub(crate) fn told(&mut self, asked: &Request, reply: &Reply) {
        let ours = &mut self.ours;
        match (asked, reply) {
            (_, Reply::Received(Ok(messages))) if messages.is_empty() => ours.receives_empty += 1,
            (_, Reply::Received(Ok(_))) => ours.receives_full += 1,
            (_, Reply::Received(Err(_))) => ours.receives_failed += 1,
            (Request::Extend { handles, .. }, Reply::Items(Ok(items))) => {
                let is_newest = |handle: &&Handle| {
                    self.owned.get(&message_of(handle)).is_some_and(|owned| owned.nth == nth_of(handle))
                };
                let extended = handles.iter().zip(items).filter(|(handle, item)| item.is_ok() && is_newest(handle));
                ours.extended += extended.count() as u64;
            }
            _ => {}
        }
    }

    /// An answer reaches the worker.
    pub(crate) fn answered(&mut self, asked: &Request, reply: &Reply) {
        self.disowned.clear();
        match reply {
            Reply::Received(Ok(messages)) => {
                self.counted_none &= messages.is_empty();
                messages.iter().for_each(|message| self.received(message));
            }
            Reply::Counted(counts) => self.counted_none = counts.as_ref().is_ok_and(|counts| counts.is_empty()),
            Reply::Items(result) => {
                if let (Request::Letters { letters }, Ok(items)) = (asked, result) {
                    let kept = letters.iter().zip(items).filter(|(_, item)| item.is_ok());
                    self.kept.extend(kept.map(|(letter, _)| number_of(letter.message_id())));
                }
                for (place, handle) in asked.handles().iter().enumerate() {
                    let number = message_of(handle);
                    let item = result.as_ref().ok().and_then(|items| items.get(place));
                    let Some(owned) = self.owned.get_mut(&number) else { continue };
                    let is_newest = owned.nth == nth_of(handle);
                    match (asked, item) {
                        // Given back, and delivered here again at once: which may be on its way back by now, too.
                        (Request::Release { .. }, _) if !is_newest => {
                            owned.leaving.take_if(|leaving| leaving.nth != owned.nth);
                        }
                        (Request::Release { .. }, Some(Ok(()))) => {
                            self.owned.remove(&number);
                        }
                        (Request::Delete { .. }, Some(Ok(()))) if is_newest && owned.leaving.is_none() => {
                            self.owned.remove(&number);
                            self.ours.deleted += 1;
                        }
                        (Request::Release { .. }, _) => {
                            // It may be tried again.
                            owned.leaving = Some(Leaving { nth: owned.nth, is_sent: false });
                            self.disowned.insert(number);
                        }
                        (_, Some(Err(error))) if error.is_final => {
                            self.disowned.insert(number);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn received(&mut self, message: &Message) {
        self.ours.received += 1;
        let nth = nth_of(&message.handle);
        let number = message_of(&message.handle);
        match self.owned.get_mut(&number) {
            Some(owned) => {
                self.ours.redelivered += 1;
                owned.nth = owned.nth.max(nth);
                if let Some(leaving) = owned.leaving.as_mut().filter(|leaving| !leaving.is_sent) {
                    leaving.nth = owned.nth;
                }
                self.disowned.insert(number);
            }
            None => {
                self.owned.insert(number, Owned { nth, leaving: None });
            }
        }
    }

    /// The worker says what it did.
    pub(crate) fn noted(&mut self, at: Time, note: &Note) -> Result<(), Violation> {
        match note {
            Note::LeaseLost { message_id, code } => {
                let number = number_of(message_id);
                // On FIFO queues a worker goes by its own clock as well: a letter must not be sent without a lease.
                if !self.disowned.contains(&number) && code != "LeaseExpired" {
                    let what = format!("is given up ({code}), and the queue has said nothing of the kind");
                    return Err(Violation::about(Law::BooksAreTrue, at, number, &what));
                }
                self.ours.lease_lost += 1;
                if code != "Redelivered" {
                    self.owned.remove(&number);
                }
            }
            Note::LeftToRedrive { message_id, .. } => {
                self.owned.remove(&number_of(message_id));
            }
            Note::HeldTooLong { message_id } => {
                if let Some(owned) = self.owned.get_mut(&number_of(message_id)) {
                    owned.leaving = Some(Leaving { nth: owned.nth, is_sent: false });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Do the worker's books say the same?
    pub(crate) fn agrees(&self, at: Time, books: &Books) -> Result<(), Violation> {
        if !books.balance() {
            return Err(Violation::of(Law::BooksBalance, at, format!("{books:?}")));
        }
        let ours = &self.ours;
        let pairs = [
            ("received", books.received, ours.received),
            ("redelivered", books.redelivered, ours.redelivered),
            ("deleted", books.deleted, ours.deleted),
            ("lost", books.lease_lost, ours.lease_lost),
            ("held", books.in_flight, self.owned.len() as u64),
            ("extended", books.extended, ours.extended),
            ("full receives", books.receives_full, ours.receives_full),
            ("empty receives", books.receives_empty, ours.receives_empty),
            ("failed receives", books.receives_failed, ours.receives_failed),
            ("calls to delete", books.delete_calls, ours.delete_calls),
            ("groups", books.groups, ours.groups),
        ];
        match pairs.into_iter().find(|(_, theirs, ours)| theirs != ours) {
            None => Ok(()),
            Some((what, theirs, ours)) => {
                let mut held: Vec<MessageNo> = self.owned.keys().copied().collect();
                held.sort_unstable();
                let what = format!("{what}: the books say {theirs}, and it is {ours}; held are {held:?}");
                Err(Violation::of(Law::BooksAreTrue, at, what))
            }
        }
    }
}
