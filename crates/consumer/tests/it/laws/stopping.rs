//! Stopping.

use std::sync::Arc;

use afterimage_consumer::{Action, Arrival, Counts, Finish, Input, Limits};

use super::{SECOND, in_an_outage, limits, messages};
use crate::fakes::message;
use crate::rig::{Rig, item_error};

#[test]
fn a_stop_ends_polling_finishes_what_is_held_and_then_ends() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.tell(Input::Stop);
    rig.receive_nothing();
    assert_eq!(rig.finish(), None);
    rig.answer_stores();
    assert_eq!(rig.delete_all(), 10);
    assert!(rig.receives().is_empty());
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn a_stop_gives_answers_on_their_way_a_moment_before_it_gives_up_the_waiting() {
    let mut rig = Rig::new(limits());
    rig.tell(Input::Stop);
    let cancels = |rig: &Rig| rig.actions.iter().filter(|action| matches!(action, Action::CancelReceives)).count();
    assert_eq!(cancels(&rig), 0, "cut off now, its messages would be held from everybody until their leases end");
    rig.pass(SECOND);
    assert_eq!(cancels(&rig), 1);
    rig.pass(SECOND);
    assert_eq!(cancels(&rig), 1);
    rig.receive_nothing();
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn a_stop_without_work_is_immediate() {
    let mut rig = Rig::new(limits());
    rig.tell(Input::Stop);
    rig.receive_nothing();
    assert_eq!(rig.finish(), Some(Finish::Stopped));
    assert_eq!(rig.core.next_deadline(), None);
}

#[test]
fn a_receive_that_is_answered_after_the_stop_is_given_back_and_not_dropped() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    rig.tell(Input::Stop);
    let unbegun = |message| Arrival { message: Arc::new(message), processed: None, room: None };
    let result = Ok(messages(10).into_iter().map(unbegun).collect());
    rig.tell(Input::Received { call, leased_at: rig.now, result });
    let releases = rig.releases();
    assert_eq!(releases.iter().map(|(_, ids)| ids.len()).sum::<usize>(), 10);
    rig.answer(releases[0].0, vec![Ok(()); 10]);
    let books = *rig.core.books();
    assert_eq!((books.received, books.released, books.decoded), (10, 10, 0));
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn what_cannot_be_finished_in_time_is_given_back_within_the_grace_period() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(messages(10));
    rig.tell(Input::Stop);
    rig.receive_nothing();
    // The store never answers.
    rig.pass(SECOND * 16);
    let releases = rig.releases();
    assert_eq!(releases[0].1.len(), 10);
    rig.answer(releases[0].0, vec![Ok(()); 10]);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
    assert_eq!((rig.core.books().released, rig.core.books().abandoned), (10, 10));
}

#[test]
fn a_stop_in_an_outage_gives_everything_back_at_once() {
    let mut rig = in_an_outage(10);
    rig.tell(Input::Stop);
    rig.receive_nothing();
    let releases = rig.releases();
    assert_eq!(releases[0].1.len(), 10);
    rig.answer(releases[0].0, vec![Ok(()); 10]);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn giving_back_that_nobody_answers_keeps_no_worker_from_ending() {
    let mut rig = in_an_outage(1);
    rig.tell(Input::Stop);
    rig.receive_nothing();
    let (call, _) = rig.releases().remove(0);
    rig.tell(Input::Lost { call });
    assert_eq!(rig.core.books().lease_lost, 1);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn what_arrives_while_everything_is_given_back_is_given_back_too() {
    let mut rig = in_an_outage(1);
    let waiting = rig.receives()[0];
    rig.tell(Input::Stop);
    assert_eq!(rig.release_all(), ["m0"]);
    rig.receive(waiting, vec![message("m1", "e1", 1)]);
    assert_eq!(rig.release_all(), ["m1"]);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn each_message_that_is_given_back_has_an_outcome_of_its_own() {
    let mut rig = in_an_outage(2);
    let waiting = rig.receives()[0];
    rig.tell(Input::Stop);
    let first = rig.releases();
    assert_eq!(first[0].1, ["m0", "m1"]);
    // The first is back, and is here again before the answer is.
    rig.receive(waiting, vec![message("m0", "e0", 2)]);
    rig.answer(first[0].0, vec![Ok(()), item_error("InternalError", false)]);
    let books = *rig.core.books();
    assert_eq!((books.released, books.in_flight), (0, 1), "m1 is not known to be given back: {books:?}");
}

#[test]
fn a_worker_ends_with_its_grace_period_whatever_does_not_answer() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(messages(10));
    rig.tell(Input::Stop);
    rig.pass(SECOND * 20);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
    let books = *rig.core.books();
    assert_eq!((books.in_flight, books.lease_lost, books.pending), (0, 10, 0));
}

#[test]
fn what_became_durable_while_it_was_to_be_given_back_is_deleted() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, calls_max: 1, ..limits() });
    rig.receive_next((0..20).map(|n| message(&format!("m{n}"), &format!("e{n}"), 1)).collect());
    rig.tell(Input::Stop);
    rig.receive_nothing();
    rig.pass(SECOND * 16);
    // One release is out, the rest waits for it; then the store answers after all.
    let out = rig.releases().remove(0).1;
    rig.answer_stores();
    let (_, deletes) = rig.deletes().remove(0);
    assert_eq!(deletes.len(), 10);
    assert!(deletes.iter().all(|delete| !out.iter().any(|id| **id == *delete.handle().message_id)));
}

#[test]
fn what_is_on_its_way_back_is_not_given_back_again_by_a_stop() {
    let mut rig = Rig::new(Limits { lease: SECOND * 20, hold_max: SECOND * 40, ..limits() });
    rig.receive_next(messages(1));
    while rig.releases_held() == 0 {
        rig.pass(SECOND);
        rig.extend_all();
    }
    rig.tell(Input::Stop);
    rig.pass(SECOND * 24);
    assert_eq!(rig.releases_held(), 1);
}

#[test]
fn a_second_stop_changes_nothing() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.tell(Input::Stop);
    rig.tell(Input::Stop);
    rig.receive_nothing();
    rig.answer_stores();
    assert_eq!(rig.delete_all(), 1);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn what_waits_to_be_begun_is_given_back_and_not_begun() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    let unbegun = |message| Arrival { message: Arc::new(message), processed: None, room: None };
    let result = Ok(messages(10).into_iter().map(unbegun).collect());
    rig.tell(Input::Received { call, leased_at: rig.now, result });
    assert!(rig.releases().is_empty());
    let begun = rig.actions.iter().filter(|action| matches!(action, Action::Process { .. })).count();
    assert_eq!(begun, 1, "one at a time");
    rig.tell(Input::Stop);
    assert_eq!(rig.releases()[0].1.len(), 9);
}

#[test]
fn a_second_stop_gives_no_more_time() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(messages(1));
    rig.tell(Input::Stop);
    rig.pass(SECOND * 12);
    rig.tell(Input::Stop);
    rig.pass(SECOND * 8);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}

#[test]
fn a_worker_that_has_ended_asks_for_nothing_more() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    let call = rig.receives()[0];
    rig.tell(Input::Stop);
    rig.pass(SECOND * 20);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
    rig.actions.clear();
    rig.receive(call, messages(1));
    assert!(rig.actions.is_empty(), "{:?}", rig.actions);
    assert_eq!(rig.core.books().received, 0);
}

#[test]
fn a_stop_while_it_ends_for_want_of_work_is_not_forgotten_when_something_comes_after_all() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.pass(SECOND * 20);
    rig.receive_next(Vec::new());
    let counts = rig.take(|action| if let Action::Count { call } = action { Some(*call) } else { None });
    let call = rig.receives()[0];
    rig.tell(Input::Counted { call: counts[0], result: Ok(Counts::default()) });
    rig.tell(Input::Stop);
    rig.receive(call, messages(1));
    rig.pass(SECOND);
    assert!(rig.receives().is_empty(), "it was told to stop");
    rig.answer_stores();
    assert_eq!(rig.delete_all(), 1);
    assert_eq!(rig.finish(), Some(Finish::Stopped));
}
