//! The way of a call: to the queue or the store, what it does there, and back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::{Handle, ItemError, Message, QueueError, QueueErrorKind, Time};
use afterimage_store::{AppendError, Entry, StoreError};

use crate::corpus::{MessageNo, number_of};
use crate::fault::Fault;
use crate::law::{Law, Violation};
use crate::plan::QUEUE_TIMEOUT;
use crate::queue::Life;
use crate::report::count_at;
use crate::store::{Mood, unavailable};
use crate::tally::Count;
use crate::wire::{Kind, Reply, Request, message_of, nth_of};
use crate::worker::Ticket;
use crate::world::{Event, Waiter, World};

/// Calls that take longer may come too late to keep a lease.
const SLOW: Duration = Duration::from_millis(200);

impl World<'_> {
    /// Decides the way of a call.
    pub(crate) fn route(&mut self, life: Life, ticket: Ticket, request: Rc<Request>) {
        let (now, kind) = (self.now, request.kind());
        let mut there = Duration::from_micros(self.rng.u64(300..15_000));
        let mut back = Some(Duration::from_micros(self.rng.u64(300..15_000)));
        let limit = match &*request {
            Request::Process { .. } => {
                let began_at = now + there;
                self.agenda.push(began_at, Event::Answer { life, ticket, reply: Reply::Processed, began_at });
                return;
            }
            Request::Store { .. } | Request::Ping => self.plan.store_timeout,
            Request::Receive { wait } => QUEUE_TIMEOUT + *wait,
            _ => QUEUE_TIMEOUT,
        };
        let mut arrives = true;
        if !matches!(*request, Request::Store { .. } | Request::Ping) {
            if self.strikes(Fault::LateReplies, 12) {
                there += Duration::from_millis(self.rng.u64(0..8000));
                back = back.map(|back| back + Duration::from_millis(self.rng.u64(0..8000)));
            }
            arrives = !self.strikes(Fault::LostRequests, 40);
            if self.strikes(Fault::LostReplies, 40) {
                back = None;
            }
            let is_slow = there > SLOW || back.is_none_or(|back| back > SLOW) || !arrives;
            if !arrives || back.is_none() {
                self.report.tally[Count::LostCalls] += 1;
            }
            if is_slow
                && matches!(kind, Kind::Extend | Kind::Receive)
                && let Some(alive) = self.slots[life.worker].alive.as_mut()
            {
                alive.trouble_until = alive.trouble_until.max(now + limit);
            }
            if is_slow {
                let reply = given_up(&request);
                self.agenda.push(now + limit, Event::Answer { life, ticket, reply, began_at: now + limit });
            }
        }
        if arrives {
            self.agenda.push(now + there, Event::Arrive { life, ticket, request, sent_at: now, back });
        }
    }

    /// A call is there.
    pub(crate) fn arrive(
        &mut self,
        life: Life,
        ticket: Ticket,
        request: &Rc<Request>,
        sent_at: Time,
        back: Option<Duration>,
    ) -> Result<(), Violation> {
        // Whoever sent it may have died before it was sent in full.
        if !self.is_alive(life) && self.rng.bool() {
            return Ok(());
        }
        if let Request::Store { entries } = &**request {
            return self.arrive_at_store(life, ticket, entries, sent_at, back);
        }
        if let Request::Ping = **request {
            let result = match self.store.mood(self.now).0 {
                Mood::Down => Err(StoreError::Unavailable { reason: "refused".to_owned() }),
                Mood::Silent | Mood::Late => Err(StoreError::Unavailable { reason: "no answer".to_owned() }),
                Mood::Well | Mood::ReplyLost | Mood::Partial | Mood::Slow => Ok(()),
            };
            self.reply(life, ticket, Reply::Pinged(result), back);
            return Ok(());
        }
        if self.now < self.queue_down_until || self.strikes(Fault::QueueErrors, 15) {
            self.report.tally[Count::RefusedCalls] += 1;
            // What a failed call did is unknown.
            if self.now >= self.queue_down_until && self.rng.bool() && !matches!(**request, Request::Receive { .. }) {
                self.carry_out(life, request)?;
            }
            self.reply(life, ticket, refused(request), back);
            return Ok(());
        }
        if let Request::Receive { wait } = **request {
            return self.arrive_receive(life, ticket, wait, back);
        }
        let reply = self.carry_out(life, request)?;
        self.reply(life, ticket, reply, back);
        Ok(())
    }

    fn reply(&mut self, life: Life, ticket: Ticket, reply: Reply, back: Option<Duration>) {
        if let Some(back) = back {
            let began_at = self.now + back;
            self.agenda.push(began_at, Event::Answer { life, ticket, reply, began_at });
        }
    }

    fn arrive_at_store(
        &mut self,
        life: Life,
        ticket: Ticket,
        entries: &[Arc<Entry>],
        sent_at: Time,
        back: Option<Duration>,
    ) -> Result<(), Violation> {
        let now = self.now;
        let silent = || Reply::Stored(entries.iter().map(|_| Err(unavailable())).collect());
        let give_up_at = (sent_at + self.plan.store_timeout).max(now);
        let mood = self.store.mood(now).0;
        if mood != Mood::Well {
            self.story.tell(now, || format!("the store is {mood:?}"));
        }
        match (mood, self.plan.store_pace) {
            (Mood::Well, Some(pace)) => {
                let results = self.append(entries, false)?;
                let done = self.store.work(now, entries.len(), pace);
                self.answer_by(give_up_at, done, life, ticket, Reply::Stored(results), silent());
            }
            (Mood::Well | Mood::Partial, _) => {
                let results = self.append(entries, mood == Mood::Partial)?;
                self.reply(life, ticket, Reply::Stored(results), back);
            }
            (Mood::Down, _) => self.reply(life, ticket, silent(), back),
            (Mood::Silent | Mood::ReplyLost | Mood::Late, _) => {
                if mood == Mood::ReplyLost {
                    self.append(entries, false)?;
                } else if mood == Mood::Late {
                    let at = now + Duration::from_millis(self.rng.u64(0..60_000));
                    self.agenda.push(at, Event::LateAppend { entries: entries.to_vec() });
                }
                let reply = silent();
                self.agenda.push(give_up_at, Event::Answer { life, ticket, reply, began_at: give_up_at });
            }
            (Mood::Slow, _) => {
                let results = self.append(entries, false)?;
                let slow = now + Duration::from_millis(self.rng.u64(200..4000));
                self.answer_by(give_up_at, slow, life, ticket, Reply::Stored(results), silent());
            }
        }
        Ok(())
    }

    /// Answers at that time, or with silence when the caller has given up by then.
    fn answer_by(&mut self, give_up_at: Time, at: Time, life: Life, ticket: Ticket, reply: Reply, silence: Reply) {
        let (at, reply) = if at < give_up_at { (at, reply) } else { (give_up_at, silence) };
        self.agenda.push(at, Event::Answer { life, ticket, reply, began_at: at });
    }

    pub(crate) fn append(
        &mut self,
        entries: &[Arc<Entry>],
        is_partial: bool,
    ) -> Result<Vec<Result<(), AppendError>>, Violation> {
        if self.plan.is_fifo {
            self.check_order(entries)?;
        }
        let before = self.store.count;
        let results = self
            .store
            .append(self.corpus, entries, &mut self.rng, is_partial)
            .map_err(|what| Violation::of(Law::OneEntryForEachEvent, self.now, what))?;
        let stored = (self.store.count - before) as u32;
        count_at(&mut self.report.stored_by_second, self.now, stored);
        Ok(results)
    }

    /// Law: before anything of a FIFO group is stored, all that was sent before it in the group is durable or a dead
    /// letter, or is in the same request.
    fn check_order(&self, entries: &[Arc<Entry>]) -> Result<(), Violation> {
        let mut owners: Vec<MessageNo> =
            entries.iter().filter_map(|entry| self.corpus.known(entry)).map(|entry| self.corpus.owner(entry)).collect();
        owners.dedup();
        for number in &owners {
            for earlier in self.ahead_of(*number) {
                if !owners.contains(&earlier) && !self.is_settled(earlier) {
                    let what = format!("is stored before m{earlier}, which was sent before it in its group");
                    return Err(Violation::about(Law::GroupsKeepTheirOrder, self.now, *number, &what));
                }
            }
        }
        Ok(())
    }

    /// Does its group go on without it: is it durable, a dead letter, or left to the redrive policy?
    pub(crate) fn is_settled(&self, number: MessageNo) -> bool {
        self.left.contains(&number) || self.queue.is_moved(number) || self.check_deletable(number).is_ok()
    }

    /// Law: a dead letter of a FIFO group is not sent before all that was sent before it in the group is durable or a dead
    /// letter. Of two in one request the first may fail.
    pub(crate) fn check_letter_order(&self, letters: &[DeadLetter]) -> Result<(), Violation> {
        for number in letters.iter().map(|letter| number_of(letter.message_id())) {
            if let Some(earlier) = self.ahead_of(number).find(|earlier| !self.is_settled(*earlier)) {
                let what = format!("is sent to the dead letters before m{earlier} of its group is stored or is one");
                return Err(Violation::about(Law::GroupsKeepTheirOrder, self.now, number, &what));
            }
        }
        Ok(())
    }

    /// Laws of deletes as they are sent: see [`World::check_deletable`]; the worker has been told that poison is kept, and
    /// does not delete from a FIFO group while it holds an earlier message of it.
    pub(crate) fn check_deletes(&self, life: Life, handles: &[Handle]) -> Result<(), Violation> {
        let Some(alive) = self.slots[life.worker].alive.as_ref() else { return Ok(()) };
        for number in handles.iter().map(message_of) {
            self.check_deletable(number)?;
            if self.is_poison(number) && !alive.shadow.knows_letter(number) {
                let what = "cannot be stored, and is deleted before the dead letters have answered";
                return Err(Violation::about(Law::DurableBeforeDelete, self.now, number, what));
            }
            let goes_along = |earlier| handles.iter().any(|handle| message_of(handle) == earlier);
            let mut held = self.ahead_of(number).filter(|earlier| alive.shadow.holds(*earlier));
            if let Some(earlier) = held.find(|earlier| !goes_along(*earlier)) {
                let what = format!("is deleted before m{earlier} of its group, which the worker holds");
                return Err(Violation::about(Law::GroupsKeepTheirOrder, self.now, number, &what));
            }
        }
        Ok(())
    }

    /// What was sent before a message in its FIFO group.
    fn ahead_of(&self, number: MessageNo) -> impl Iterator<Item = MessageNo> {
        let group = self.corpus.group(number).and_then(|group| self.groups.get(&group));
        group.into_iter().flatten().copied().take_while(move |earlier| *earlier != number)
    }

    fn arrive_receive(
        &mut self,
        life: Life,
        ticket: Ticket,
        wait: Duration,
        back: Option<Duration>,
    ) -> Result<(), Violation> {
        self.queue.pass(self.now);
        if self.queue.is_saturated() {
            let error = queue_error(QueueErrorKind::OverLimit, "OverLimit");
            self.reply(life, ticket, Reply::Received(Err(error)), back);
            return Ok(());
        }
        if self.take(life, ticket, back)? {
            return Ok(());
        }
        if wait.is_zero() {
            self.reply(life, ticket, Reply::Received(Ok(Vec::new())), back);
            return Ok(());
        }
        self.waiters.push(Waiter { life, ticket, back });
        self.agenda.push(self.now + wait, Event::PollEnds { ticket });
        self.expect_lapse();
        Ok(())
    }

    /// Gives a receive what there is; false when there is nothing.
    fn take(&mut self, life: Life, ticket: Ticket, back: Option<Duration>) -> Result<bool, Violation> {
        let is_standard = !self.plan.is_fifo;
        let out_of_turn =
            (is_standard && self.strikes(Fault::Duplicates, 12), is_standard && self.strikes(Fault::Undelete, 12));
        let deliveries = self.queue.take(self.now, life, self.plan.limits.lease, out_of_turn, &mut self.rng);
        if deliveries.is_empty() {
            return Ok(false);
        }
        let mut messages: Vec<Message> = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let tally = &mut self.report.tally;
            tally[Count::Deliveries] += 1;
            tally[Count::Redeliveries] += u64::from(delivery.nth > 1);
            tally[Count::Duplicates] += u64::from(delivery.out_of_turn);
            if let Some((holder, granted_at)) = delivery.lapsed {
                self.check_lapse(holder, granted_at, delivery.number, delivery.nth)?;
            }
            messages.push(self.corpus.message(delivery.number, delivery.nth));
        }
        self.reply(life, ticket, Reply::Received(Ok(messages)), back);
        Ok(true)
    }

    /// Law: what a healthy worker holds does not come back while the queue works.
    fn check_lapse(&self, holder: Life, granted_at: Time, number: u32, nth: u32) -> Result<(), Violation> {
        let slot = &self.slots[holder.worker];
        let Some(alive) = slot.alive.as_ref().filter(|_| slot.life == holder.life) else { return Ok(()) };
        let was_hindered = alive.trouble_until >= granted_at || self.queue_trouble_until >= granted_at;
        // It may be one that is to be given back as soon as a call for that is free: its lease does that as well.
        let may_wait_to_leave = alive.releases_are_behind();
        if was_hindered || may_wait_to_leave || alive.stopping.is_some() || !alive.shadow.keeps(number, nth - 1) {
            return Ok(());
        }
        let what = format!("is held by w{}, nothing kept it from extending the lease, and it ended", holder.worker);
        Err(Violation::about(Law::LeasesAreKept, self.now, number, &what))
    }

    /// Gives waiting receives what has come.
    pub(crate) fn serve(&mut self) -> Result<(), Violation> {
        while let Some(waiter) = self.waiters.first() {
            let (life, ticket, back) = (waiter.life, waiter.ticket, waiter.back);
            let waits = self.is_alive(life)
                && self.slots[life.worker].alive.as_ref().is_some_and(|alive| alive.calls.contains_key(&ticket));
            // A queue may answer somebody who is gone.
            if (waits || self.rng.u8(0..4) == 0) && !self.take(life, ticket, back)? {
                break;
            }
            self.waiters.remove(0);
        }
        self.expect_lapse();
        Ok(())
    }

    pub(crate) fn end_poll(&mut self, ticket: Ticket) -> Result<(), Violation> {
        if let Some(at) = self.waiters.iter().position(|waiter| waiter.ticket == ticket) {
            let waiter = self.waiters.remove(at);
            self.reply(waiter.life, ticket, Reply::Received(Ok(Vec::new())), waiter.back);
        }
        Ok(())
    }

    /// Somebody waits: look again when the next lease runs out.
    fn expect_lapse(&mut self) {
        if !self.waiters.is_empty()
            && let Some(at) = self.queue.next_lapse()
            && self.lapse_at.is_none_or(|lapse_at| lapse_at > at)
        {
            self.lapse_at = Some(at);
            self.agenda.push(at.max(self.now), Event::Lapse);
        }
    }

    /// A batch call takes effect.
    fn carry_out(&mut self, life: Life, request: &Request) -> Result<Reply, Violation> {
        let now = self.now;
        let reply = match request {
            Request::Delete { handles } => {
                let mut items = Vec::with_capacity(handles.len());
                for handle in handles {
                    items.push(match self.fail_item() {
                        Some(error) => Err(error),
                        None => {
                            let number = message_of(handle);
                            let (result, is_gone) = self.queue.delete(number, nth_of(handle), &mut self.rng);
                            if is_gone {
                                self.check_deletable(number)?;
                            }
                            result
                        }
                    });
                }
                Reply::Items(Ok(items))
            }
            Request::Extend { handles, visibility_s } => self.change_visibility(handles, *visibility_s),
            Request::Release { handles } => self.change_visibility(handles, 0),
            Request::Letters { letters } if now < self.letters_down_until => {
                self.report.tally[Count::RefusedCalls] += 1;
                let _ = letters;
                refused(request)
            }
            Request::Letters { letters } => {
                let mut items = Vec::with_capacity(letters.len());
                for letter in letters {
                    let failed = self.fail_item();
                    if failed.is_none() {
                        self.check_letter(letter.message_id(), letter.body(), letter.code())?;
                    }
                    items.push(failed.map_or(Ok(()), Err));
                }
                return Ok(Reply::Items(Ok(items)));
            }
            Request::Count => Reply::Counted(Ok(self.queue.counts())),
            Request::Receive { .. } | Request::Process { .. } | Request::Store { .. } | Request::Ping => {
                unreachable!("{life:?}: no batch call")
            }
        };
        // Freed messages may be what others wait for.
        self.serve()?;
        Ok(self.shorten(reply))
    }

    fn change_visibility(&mut self, handles: &[Handle], visibility_s: u32) -> Reply {
        let mut items = Vec::with_capacity(handles.len());
        for handle in handles {
            items.push(match self.fail_item() {
                Some(error) => Err(error),
                None => self.queue.change_visibility(self.now, message_of(handle), nth_of(handle), visibility_s),
            });
        }
        Reply::Items(Ok(items))
    }

    /// An answer that leaves its last items out.
    fn shorten(&mut self, mut reply: Reply) -> Reply {
        if let Reply::Items(Ok(items)) = &mut reply
            && self.strikes(Fault::MissingItems, 8)
        {
            let left = self.rng.usize(0..=items.len());
            self.report.tally[Count::FailedItems] += (items.len() - left) as u64;
            items.truncate(left);
        }
        reply
    }

    fn fail_item(&mut self) -> Option<ItemError> {
        self.strikes(Fault::ItemErrors, 8).then(|| {
            self.report.tally[Count::FailedItems] += 1;
            ItemError { code: "InternalError".to_owned(), is_final: false }
        })
    }

    /// Law: only poison goes to the dead letters, whole, with the reason it has.
    fn check_letter(&mut self, id: &str, body: &str, code: &str) -> Result<(), Violation> {
        let number = number_of(id);
        let broken = |what| Err(Violation::about(Law::OnlyPoisonIsDeadLettered, self.now, number, what));
        if !self.is_poison(number) {
            return broken("is healthy, and is sent to the dead letters");
        }
        if body != self.corpus.body(number) {
            return broken("goes to the dead letters with another body");
        }
        let is_refused = code == "store_refused" && self.corpus.entries(number).any(|entry| self.store.refuses(entry));
        if !is_refused && !self.corpus.rejections(number).any(|rejection| rejection == code) {
            return broken("goes to the dead letters for a reason that it has not");
        }
        *self.letters.entry(number).or_default() += 1;
        Ok(())
    }
}

/// What a client makes of a call that is not answered in time.
fn given_up(request: &Request) -> Reply {
    failed(request, &queue_error(QueueErrorKind::Unavailable, "Timeout"))
}

fn refused(request: &Request) -> Reply {
    failed(request, &queue_error(QueueErrorKind::Unavailable, "ServiceUnavailable"))
}

fn failed(request: &Request, error: &QueueError) -> Reply {
    match request {
        Request::Receive { .. } => Reply::Received(Err(error.clone())),
        Request::Count => Reply::Counted(Err(error.clone())),
        _ => Reply::Items(Err(error.clone())),
    }
}

fn queue_error(kind: QueueErrorKind, code: &str) -> QueueError {
    QueueError { kind, code: code.to_owned(), reason: "simulated".to_owned() }
}
