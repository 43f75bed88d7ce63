//! Defects to plant, so as to see whether the simulation notices.
//!
//! Each stands between a worker and the world and does what a careless consumer does.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use afterimage_consumer::{Counts, Handle, ItemError};
use afterimage_store::AppendError;

use crate::corpus::MessageNo;
use crate::store::unavailable;
use crate::wire::{Reply, Request, message_of};

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutant {
    /// Messages are deleted as they are received.
    DeleteBeforeStore,
    /// Items of a batch of deletes that failed are taken for deleted.
    FailedDeletesIgnored,
    /// A batch of deletes that was not answered is taken for done.
    LostDeletesIgnored,
    /// The handle of the first delivery is used for ever.
    StaleHandleKept,
    /// Leases are extended once.
    ExtendedOnce,
    /// Of a batch of extensions, the first half is forgotten.
    HalfExtended,
    /// A redelivery that comes while a delete is on its way is passed over, so the old delete is taken for one of the
    /// newer delivery.
    OldDeleteTakenForNewer,
    /// What is to be given back is forgotten.
    ReleaseLost,
    /// A store that does not answer is taken for one that refuses.
    OutageIsPoison,
    /// An append without an answer is taken for done.
    UnknownIsDurable,
    /// Of a group that was stored in part, all is taken for stored.
    PartialGroupIsDurable,
    /// Twice as many receives are sent as were decided on.
    ReceivesDoubled,
    /// Of a batch of deletes, only the first is sent.
    DeletesMerged,
    /// A dead letter that was not sent is taken for sent.
    FailedLettersIgnored,
    /// Messages that arrive after a stop are dropped.
    ReceivedAfterStopDropped,
    /// Handles of a batch answer are mixed up: the outcome of one message is taken for that of the next.
    OutcomesShifted,
    /// A FIFO queue is taken for one without an order.
    GroupsIgnored,
    /// Poison of a FIFO queue is taken for a message without a group.
    PoisonUngrouped,
    /// Of a batch of deletes, the last is sent first and alone.
    LastDeletedFirst,
    /// A dead letter without an answer is taken for sent.
    LostLettersIgnored,
    /// What is given back is extended once more.
    ReleasedExtended,
    /// A delivery that comes while giving back an older one is not answered is not extended.
    RenewedNotExtended,
    /// A queue is called empty whatever it counts.
    CountsIgnored,
    /// A store that is silent about some entries is taken for one that is silent about all.
    PartialGroupIsOutage,
}

/// A defect at work in one worker.
pub(crate) struct Planted {
    mutant: Option<Mutant>,
    first_handles: HashMap<MessageNo, Handle>,
    extended: HashSet<MessageNo>,
    deleting: HashSet<MessageNo>,
    releasing: HashSet<MessageNo>,
    unextended: HashSet<MessageNo>,
    is_stopping: bool,
}

impl Planted {
    pub(crate) fn new(mutant: Option<Mutant>) -> Self {
        Self {
            mutant,
            first_handles: HashMap::new(),
            extended: HashSet::new(),
            deleting: HashSet::new(),
            releasing: HashSet::new(),
            unextended: HashSet::new(),
            is_stopping: false,
        }
    }

    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// What is really sent in place of a request: nothing means that it is taken for done.
    pub(crate) fn send(&mut self, asked: &Rc<Request>) -> Vec<Rc<Request>> {
        let Some(mutant) = self.mutant else { return vec![Rc::clone(asked)] };
        let sent = match (mutant, &**asked) {
            (Mutant::StaleHandleKept, Request::Delete { handles }) => Request::Delete { handles: self.first(handles) },
            (Mutant::StaleHandleKept, Request::Extend { handles, visibility_s }) => {
                Request::Extend { handles: self.first(handles), visibility_s: *visibility_s }
            }
            (Mutant::ExtendedOnce, Request::Extend { handles, visibility_s }) => {
                let mut handles = handles.clone();
                handles.retain(|handle| self.extended.insert(message_of(handle)));
                if handles.is_empty() {
                    return Vec::new();
                }
                Request::Extend { handles, visibility_s: *visibility_s }
            }
            (Mutant::HalfExtended, Request::Extend { handles, visibility_s }) => {
                Request::Extend { handles: handles[handles.len() / 2..].to_vec(), visibility_s: *visibility_s }
            }
            (Mutant::DeletesMerged, Request::Delete { handles }) => Request::Delete { handles: handles[..1].to_vec() },
            (Mutant::OldDeleteTakenForNewer, Request::Delete { handles }) => {
                self.deleting.extend(handles.iter().map(message_of));
                return vec![Rc::clone(asked)];
            }
            (Mutant::ReleaseLost, Request::Release { .. }) => return Vec::new(),
            (Mutant::ReleasedExtended, Request::Release { handles }) => {
                let extended = Request::Extend { handles: handles.clone(), visibility_s: 30 };
                return vec![Rc::clone(asked), Rc::new(extended)];
            }
            (Mutant::RenewedNotExtended, Request::Release { handles }) => {
                self.releasing.extend(handles.iter().map(message_of));
                return vec![Rc::clone(asked)];
            }
            (Mutant::RenewedNotExtended, Request::Extend { handles, visibility_s }) => {
                let mut handles = handles.clone();
                handles.retain(|handle| !self.unextended.contains(&message_of(handle)));
                if handles.is_empty() {
                    return Vec::new();
                }
                Request::Extend { handles, visibility_s: *visibility_s }
            }
            (Mutant::LastDeletedFirst, Request::Delete { handles }) if handles.len() > 1 => {
                let (rest, last) = handles.split_at(handles.len() - 1);
                let delete = |handles: &[Handle]| Rc::new(Request::Delete { handles: handles.to_vec() });
                return vec![delete(last), delete(rest)];
            }
            (Mutant::ReceivesDoubled, Request::Receive { .. }) => return vec![Rc::clone(asked), Rc::clone(asked)],
            _ => return vec![Rc::clone(asked)],
        };
        vec![Rc::new(sent)]
    }

    /// What is made of an answer before the worker sees it, and what is deleted at once.
    pub(crate) fn hear(&mut self, asked: &Request, sent: &Request, reply: &mut Reply) -> Vec<Handle> {
        let Some(mutant) = self.mutant else { return Vec::new() };
        if let Reply::Items(Ok(items)) = reply
            && asked.handles().len() != sent.handles().len()
        {
            *items = spread(asked.handles(), sent.handles(), items);
        }
        if let (Request::Delete { handles }, Mutant::OldDeleteTakenForNewer) = (asked, mutant) {
            handles.iter().for_each(|handle| {
                self.deleting.remove(&message_of(handle));
            });
        }
        if let (Request::Release { handles }, Mutant::RenewedNotExtended) = (asked, mutant) {
            handles.iter().for_each(|handle| {
                self.releasing.remove(&message_of(handle));
            });
        }
        let silent = Err(unavailable());
        match (mutant, asked, reply) {
            (Mutant::DeleteBeforeStore, _, Reply::Received(Ok(messages))) => {
                return messages.iter().map(|message| message.handle.clone()).collect();
            }
            (Mutant::StaleHandleKept, _, Reply::Received(Ok(messages))) => {
                for message in messages {
                    let handle = &message.handle;
                    self.first_handles.entry(message_of(handle)).or_insert_with(|| handle.clone());
                }
            }
            (Mutant::RenewedNotExtended, _, Reply::Received(Ok(messages))) => {
                for number in messages.iter().map(|message| message_of(&message.handle)) {
                    if self.releasing.contains(&number) {
                        self.unextended.insert(number);
                    } else {
                        self.unextended.remove(&number);
                    }
                }
            }
            (Mutant::OldDeleteTakenForNewer, _, Reply::Received(Ok(messages))) => {
                messages.retain(|message| !self.deleting.contains(&message_of(&message.handle)));
            }
            (Mutant::ReceivedAfterStopDropped, _, Reply::Received(Ok(messages))) if self.is_stopping => {
                messages.clear();
            }
            (Mutant::FailedDeletesIgnored, Request::Delete { .. }, Reply::Items(Ok(items))) => items.fill(Ok(())),
            (Mutant::LostDeletesIgnored, Request::Delete { handles }, Reply::Items(items @ Err(_))) => {
                *items = Ok(vec![Ok(()); handles.len()]);
            }
            (Mutant::FailedLettersIgnored, Request::Letters { letters }, Reply::Items(items)) => {
                *items = Ok(vec![Ok(()); letters.len()]);
            }
            (Mutant::LostLettersIgnored, Request::Letters { letters }, Reply::Items(items @ Err(_))) => {
                *items = Ok(vec![Ok(()); letters.len()]);
            }
            (Mutant::OutcomesShifted, Request::Delete { .. }, Reply::Items(Ok(items))) if items.len() > 1 => {
                items.rotate_right(1);
            }
            (Mutant::CountsIgnored, _, Reply::Counted(counts)) => *counts = Ok(Counts::default()),
            (Mutant::PartialGroupIsOutage, _, Reply::Stored(results)) if results.contains(&silent) => {
                results.fill(silent);
            }
            (Mutant::OutageIsPoison, _, Reply::Stored(results)) => {
                for result in results.iter_mut().filter(|result| **result == silent) {
                    *result = Err(AppendError::Refused { reason: "simulated".to_owned() });
                }
            }
            (Mutant::UnknownIsDurable, _, Reply::Stored(results)) => {
                results.iter_mut().filter(|result| **result == silent).for_each(|result| *result = Ok(()));
            }
            (Mutant::PartialGroupIsDurable, _, Reply::Stored(results)) if results.iter().any(Result::is_ok) => {
                results.fill(Ok(()));
            }
            _ => {}
        }
        Vec::new()
    }

    fn first(&self, handles: &[Handle]) -> Vec<Handle> {
        let first = |handle: &Handle| self.first_handles.get(&message_of(handle)).unwrap_or(handle).clone();
        handles.iter().map(first).collect()
    }
}

/// The answer to what was asked, when less was sent: the rest is taken for done.
fn spread(asked: &[Handle], sent: &[Handle], items: &[Result<(), ItemError>]) -> Vec<Result<(), ItemError>> {
    let outcome = |handle| sent.iter().position(|sent| sent == handle).and_then(|at| items.get(at).cloned());
    asked.iter().map(|handle| outcome(handle).unwrap_or(Ok(()))).collect()
}
