//! A queue that behaves like SQS at its worst: leases that end, stale handles, duplicates, a redrive policy, FIFO groups.
//!
//! What it does is decided by chance where the vendor leaves it open. It remembers everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use afterimage_consumer::{Counts, ItemError, LEASE_TOTAL_MAX, Time};

use crate::corpus::MessageNo;

/// One life of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Life {
    pub(crate) worker: usize,
    pub(crate) life: u32,
}

/// A message as the queue sees it.
#[derive(Debug)]
struct Kept {
    place: Place,
    /// Deliveries so far; the newest is the one whose handle is sure to work.
    deliveries: u32,
    /// Who has it, or had it until its lease ended.
    holder: Option<Life>,
    leased_at: Time,
    /// When its lease was given, or extended last.
    granted_at: Time,
    visible_at: Time,
    /// The place of the message in `standard`.
    at: usize,
    group: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Visible,
    InFlight,
    Deleted,
    Moved,
}

/// One delivery.
pub(crate) struct Delivery {
    pub(crate) number: MessageNo,
    /// Which delivery of it: the receive count, and the handle.
    pub(crate) nth: u32,
    /// Whose lease ended without having been given back, and when that had been extended last.
    pub(crate) lapsed: Option<(Life, Time)>,
    /// The queue delivered it although somebody has it, or it was deleted.
    pub(crate) out_of_turn: bool,
}

/// Messages of a FIFO group that can be received, in order, and how many of it are in flight.
#[derive(Debug, Default)]
struct Group {
    visible: BTreeSet<MessageNo>,
    in_flight: usize,
}

/// The queue.
pub(crate) struct SimQueue {
    messages: HashMap<MessageNo, Kept>,
    standard: Vec<MessageNo>,
    groups: BTreeMap<u32, Group>,
    in_flight: BTreeSet<(Time, MessageNo)>,
    deleted: Vec<MessageNo>,
    /// Messages that are neither deleted nor moved.
    pub(crate) open: usize,
    /// What the redrive policy moved to the dead letters.
    pub(crate) moved: Vec<MessageNo>,
    receives_max: u32,
    in_flight_max: usize,
}

impl SimQueue {
    pub(crate) fn new(receives_max: u32, in_flight_max: usize) -> Self {
        Self {
            messages: HashMap::new(),
            standard: Vec::new(),
            groups: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            deleted: Vec::new(),
            open: 0,
            moved: Vec::new(),
            receives_max,
            in_flight_max,
        }
    }

    pub(crate) fn send(&mut self, now: Time, number: MessageNo, group: Option<u32>) {
        let kept = Kept {
            place: Place::Visible,
            deliveries: 0,
            holder: None,
            leased_at: now,
            granted_at: now,
            visible_at: now,
            at: 0,
            group,
        };
        self.messages.insert(number, kept);
        self.open += 1;
        self.show(number);
    }

    /// Puts a message where it can be received.
    fn show(&mut self, number: MessageNo) {
        let Some(kept) = self.messages.get_mut(&number) else { return };
        kept.place = Place::Visible;
        match kept.group {
            Some(group) => {
                self.groups.entry(group).or_default().visible.insert(number);
            }
            None => {
                kept.at = self.standard.len();
                self.standard.push(number);
            }
        }
    }

    /// Takes a message from where it can be received, or from flight.
    fn hide(&mut self, number: MessageNo) {
        let Some(kept) = self.messages.get(&number) else { return };
        match (kept.place, kept.group) {
            (Place::Visible, Some(group)) => {
                self.groups.entry(group).or_default().visible.remove(&number);
            }
            (Place::Visible, None) => {
                let at = kept.at;
                self.standard.swap_remove(at);
                if let Some(other) = self.standard.get(at).and_then(|other| self.messages.get_mut(other)) {
                    other.at = at;
                }
            }
            (Place::InFlight, group) => {
                self.in_flight.remove(&(kept.visible_at, number));
                if let Some(group) = group {
                    self.groups.entry(group).or_default().in_flight -= 1;
                }
            }
            (Place::Deleted | Place::Moved, _) => {}
        }
    }

    /// Ends the leases that have run out.
    pub(crate) fn pass(&mut self, now: Time) {
        while let Some(&(at, number)) = self.in_flight.first()
            && at <= now
        {
            self.hide(number);
            self.show(number);
        }
    }

    /// When the next lease runs out.
    pub(crate) fn next_lapse(&self) -> Option<Time> {
        self.in_flight.first().map(|(at, _)| *at)
    }

    pub(crate) fn is_saturated(&self) -> bool {
        self.in_flight.len() >= self.in_flight_max
    }

    /// Delivers up to ten messages; `out_of_turn` of them, by chance, that are in flight or deleted.
    pub(crate) fn take(
        &mut self,
        now: Time,
        life: Life,
        lease: Duration,
        out_of_turn: (bool, bool),
        rng: &mut fastrand::Rng,
    ) -> Vec<Delivery> {
        self.pass(now);
        let mut taken = Vec::new();
        let (duplicate, undelete) = out_of_turn;
        if duplicate && !self.in_flight.is_empty() {
            let nth = rng.usize(0..self.in_flight.len());
            if let Some((_, number)) = self.in_flight.iter().nth(nth).copied() {
                taken.push((number, true));
            }
        }
        if undelete && !self.deleted.is_empty() {
            let number = self.deleted.swap_remove(rng.usize(0..self.deleted.len()));
            self.open += 1;
            self.show(number);
            taken.push((number, true));
        }
        let mut deliveries = Vec::new();
        for (number, out_of_turn) in taken {
            deliveries.extend(self.lease(now, number, life, lease, out_of_turn));
        }
        // A receive that finds something need not find all of it.
        let most = if rng.u8(0..8) == 0 { rng.usize(1..11) } else { 10 };
        while deliveries.len() < most.min(self.in_flight_max.saturating_sub(self.in_flight.len()) + deliveries.len()) {
            let Some(number) = self.pick(rng) else { break };
            deliveries.extend(self.lease(now, number, life, lease, false));
        }
        rng.shuffle(&mut deliveries);
        if !self.groups.is_empty() {
            deliveries.sort_by_key(|delivery| delivery.number);
        }
        self.seal_groups(&deliveries);
        deliveries
    }

    /// Any message of a standard queue; on FIFO queues the first of a group nobody has a message of.
    fn pick(&mut self, rng: &mut fastrand::Rng) -> Option<MessageNo> {
        if !self.standard.is_empty() {
            return Some(self.standard[rng.usize(0..self.standard.len())]);
        }
        let free = |group: &&Group| group.in_flight == 0 && !group.visible.is_empty();
        let count = self.groups.values().filter(free).count();
        if count == 0 {
            return None;
        }
        let group = self.groups.values().filter(free).nth(rng.usize(0..count))?;
        group.visible.first().copied()
    }

    /// Counts the groups that a receive took messages of as busy: only now, so that one receive may take several.
    fn seal_groups(&mut self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            if let Some(group) = self.messages.get(&delivery.number).and_then(|kept| kept.group) {
                self.groups.entry(group).or_default().in_flight += 1;
            }
        }
    }

    fn lease(
        &mut self,
        now: Time,
        number: MessageNo,
        life: Life,
        lease: Duration,
        out_of_turn: bool,
    ) -> Option<Delivery> {
        self.hide(number);
        let kept = self.messages.get_mut(&number)?;
        if kept.deliveries >= self.receives_max {
            kept.place = Place::Moved;
            self.open -= 1;
            self.moved.push(number);
            return None;
        }
        let lapsed = if out_of_turn { None } else { kept.holder.map(|holder| (holder, kept.granted_at)) };
        kept.place = Place::InFlight;
        kept.deliveries += 1;
        kept.holder = Some(life);
        (kept.leased_at, kept.granted_at, kept.visible_at) = (now, now, now + lease);
        self.in_flight.insert((kept.visible_at, number));
        Some(Delivery { number, nth: kept.deliveries, lapsed, out_of_turn })
    }

    /// Deletes by a handle; true when the message is gone by this.
    ///
    /// "If the receipt handle is not provided from the most recent receive, the request succeeds, but the message might
    /// not be deleted" (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>).
    pub(crate) fn delete(
        &mut self,
        number: MessageNo,
        nth: u32,
        rng: &mut fastrand::Rng,
    ) -> (Result<(), ItemError>, bool) {
        let Some(kept) = self.messages.get(&number) else { return (Ok(()), false) };
        if matches!(kept.place, Place::Deleted | Place::Moved) {
            return (Ok(()), false);
        }
        // A FIFO queue takes no handle whose lease has ended.
        let is_stale = nth != kept.deliveries || (kept.group.is_some() && kept.place == Place::Visible);
        if is_stale {
            match rng.u8(0..3) {
                _ if kept.group.is_some() => return (Err(invalid_handle()), false),
                0 => return (Ok(()), false),
                1 => return (Err(invalid_handle()), false),
                _ => {}
            }
        }
        self.hide(number);
        if let Some(kept) = self.messages.get_mut(&number) {
            kept.place = Place::Deleted;
            self.open -= 1;
            self.deleted.push(number);
        }
        (Ok(()), true)
    }

    /// Ends a lease so many seconds from now.
    pub(crate) fn change_visibility(
        &mut self,
        now: Time,
        number: MessageNo,
        nth: u32,
        visibility_s: u32,
    ) -> Result<(), ItemError> {
        self.pass(now);
        let Some(kept) = self.messages.get_mut(&number) else { return Err(invalid_handle()) };
        if nth != kept.deliveries || matches!(kept.place, Place::Deleted | Place::Moved) {
            return Err(invalid_handle());
        }
        if kept.place == Place::Visible {
            return Err(ItemError { code: "MessageNotInflight".to_owned(), is_final: true });
        }
        let visible_at = now + Duration::from_secs(visibility_s.into());
        if visible_at > kept.leased_at + LEASE_TOTAL_MAX {
            return Err(ItemError { code: "InvalidParameterValue".to_owned(), is_final: true });
        }
        if visibility_s == 0 {
            kept.holder = None;
            self.hide(number);
            self.show(number);
            return Ok(());
        }
        self.in_flight.remove(&(kept.visible_at, number));
        (kept.granted_at, kept.visible_at) = (now, visible_at);
        self.in_flight.insert((visible_at, number));
        Ok(())
    }

    pub(crate) fn counts(&self) -> Counts {
        let in_flight = self.in_flight.len() as u64;
        Counts { visible: self.open as u64 - in_flight, in_flight, delayed: 0 }
    }

    /// Did the redrive policy take it?
    pub(crate) fn is_moved(&self, number: MessageNo) -> bool {
        self.messages.get(&number).is_some_and(|kept| kept.place == Place::Moved)
    }

    /// The first message that is still here.
    pub(crate) fn any_open(&self) -> Option<MessageNo> {
        let is_open = |kept: &Kept| matches!(kept.place, Place::Visible | Place::InFlight);
        self.messages.iter().filter(|(_, kept)| is_open(kept)).map(|(number, _)| *number).min()
    }
}

fn invalid_handle() -> ItemError {
    ItemError { code: "ReceiptHandleIsInvalid".to_owned(), is_final: true }
}
