//! FIFO queues: the order of a group, and who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letter::DeadLetter;
use afterimage_consumer::{Action, Arrival, Input, Limits, Message, Processor, QueueKind};
use afterimage_event::Timestamp;

use super::SECOND;
use crate::fakes::{Words, arrival, message};
use crate::rig::{Rig, item_error};

pub(super) fn limits() -> Limits {
    Limits { kind: QueueKind::Fifo, ..super::limits() }
}

/// The message `{group}{place}`, with these words.
pub(super) fn of(group: &str, place: usize, words: &str) -> Message {
    received(group, place, words, 1)
}

pub(super) fn received(group: &str, place: usize, words: &str, receive_count: u32) -> Message {
    Message {
        group_id: Some(group.to_owned()),
        sequence_number: Some(format!("{:020}", 1_000 + place)),
        deduplication_id: Some(format!("d{place}")),
        ..message(&format!("{group}{place}"), words, receive_count)
    }
}

/// So many messages of a group, each with the event of its name.
pub(super) fn group(name: &str, places: std::ops::Range<usize>) -> Vec<Message> {
    places.map(|place| of(name, place, &format!("{name}{place}"))).collect()
}

/// The event ids that are on their way to the store, call by call.
pub(super) fn stores(rig: &Rig) -> Vec<Vec<String>> {
    let ids = |action: &Action| match action {
        Action::Store { entries, .. } => {
            Some(entries.iter().map(|entry| entry.identity.event_id.clone()).collect::<Vec<_>>())
        }
        _ => None,
    };
    rig.actions.iter().filter_map(ids).collect()
}

pub(super) fn letters_out(rig: &mut Rig) -> Vec<(afterimage_consumer::CallId, Vec<DeadLetter>)> {
    rig.take(|action| match action {
        Action::DeadLetter { call, letters } => Some((*call, letters.clone())),
        _ => None,
    })
}

pub(super) fn close_groups(rig: &mut Rig) {
    rig.pass(Duration::from_millis(5));
}

#[test]
fn a_receive_of_one_group_is_stored_in_one_write_and_deleted_in_one_request() {
    let mut rig = Rig::new(limits());
    rig.receive_next(group("a", 0..10));
    close_groups(&mut rig);
    assert_eq!(stores(&rig), [(0..10).map(|n| format!("a{n}")).collect::<Vec<_>>()]);
    rig.answer_stores();
    // Without waiting for company: the group goes on when they are deleted.
    let deletes = rig.deletes_now();
    assert_eq!(deletes.len(), 1);
    assert_eq!(deletes[0].1, (0..10).map(|n| format!("a{n}")).collect::<Vec<_>>());
}

#[test]
fn groups_share_writes_and_deletes() {
    let mut rig = Rig::new(limits());
    rig.receive_next((0..10).map(|n| of(&format!("g{n}-"), 0, &format!("e{n}"))).collect());
    close_groups(&mut rig);
    assert_eq!(stores(&rig).iter().map(Vec::len).collect::<Vec<_>>(), [10]);
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1.len(), 10);
}

#[test]
fn a_message_is_not_stored_while_an_earlier_one_is_on_its_way_in_another_write() {
    let mut rig = Rig::new(Limits { group_entries_max: 4, ..limits() });
    rig.receive_next(group("a", 0..10));
    assert_eq!(stores(&rig), [["a0", "a1", "a2", "a3"]], "though eight writes may be out");
    rig.answer_stores();
    assert_eq!(stores(&rig), [["a4", "a5", "a6", "a7"]]);
    rig.answer_stores();
    close_groups(&mut rig);
    assert_eq!(stores(&rig), [["a8", "a9"]]);
}

#[test]
fn on_a_standard_queue_groups_promise_no_order_and_nobody_waits() {
    let mut rig = Rig::new(Limits { group_entries_max: 4, ..super::limits() });
    rig.receive_next(group("a", 0..8));
    assert_eq!(stores(&rig).len(), 2);
}

#[test]
fn a_message_that_cannot_be_stored_for_now_is_tried_again_and_the_rest_of_its_group_given_back_at_once() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a2"]);
    rig.receive_next(group("a", 0..10));
    rig.store();
    // Those before it are done; those behind it go back in one request, the earliest last.
    let (call, ids) = rig.deletes_now().remove(0);
    assert_eq!(ids, ["a0", "a1"]);
    rig.answer(call, vec![Ok(()); 2]);
    assert_eq!(rig.release_all(), ["a9", "a8", "a7", "a6", "a5", "a4", "a3"]);
    let books = *rig.core.books();
    assert_eq!((books.released, books.in_flight), (7, 1));
    rig.store.leave_unanswered(&[]);
    rig.pass(SECOND);
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1, ["a2"], "tried again after its own pause, and its group is free");
}

#[test]
fn the_pause_of_a_failing_message_is_that_of_its_group_and_of_no_other() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0"]);
    let mut arrivals = group("a", 0..5);
    arrivals.extend(group("b", 0..5));
    rig.receive_next(arrivals);
    rig.store();
    assert_eq!(rig.delete_all(), 5);
    assert_eq!(rig.release_all(), ["a4", "a3", "a2", "a1"]);
    for n in 1..50 {
        rig.receive_next(group("b", n * 10..n * 10 + 10));
        rig.store();
        assert_eq!(rig.delete_all(), 10);
    }
    assert_eq!(rig.core.books().in_flight, 1, "a0");
}

#[test]
fn a_message_is_given_back_for_the_sake_of_another_once_and_then_waits_in_hand() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0"]);
    rig.receive_next((0..4).map(|place| received("a", place, &format!("a{place}"), 2)).collect());
    rig.store();
    assert!(rig.releases().is_empty(), "each receive brings it nearer to the dead letters, for no fault of its own");
    assert!(rig.deletes_now().is_empty(), "durable, but one ahead of them is not");
    rig.store.leave_unanswered(&[]);
    rig.pass(SECOND);
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1, ["a0", "a1", "a2", "a3"]);
}

#[test]
fn what_waits_behind_one_that_was_given_back_is_given_back_too() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0"]);
    let counts = [2, 2, 1, 2];
    rig.receive_next((0..4).map(|place| received("a", place, &format!("a{place}"), counts[place])).collect());
    rig.store();
    assert_eq!(rig.release_all(), ["a3", "a2"]);
    assert!(rig.deletes_now().is_empty());
}

#[test]
fn a_large_message_does_not_wait_in_hand_for_a_group_that_does_not_get_on() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0", "a1"]);
    let large = format!("a1\t{}", "x".repeat(100 << 10));
    rig.receive_next(vec![received("a", 0, "a0", 5), received("a", 1, &large, 5), of("b", 0, "b0")]);
    rig.store();
    assert_eq!(rig.release_all(), ["a1"], "others may miss the memory");
}

#[test]
fn a_message_whose_processing_is_lost_holds_its_group_and_the_rest_is_given_back() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    let mut arrivals: Vec<Arrival> = group("a", 0..3).into_iter().map(arrival).collect();
    arrivals[0].processed = None;
    rig.tell(Input::Received { call, leased_at: rig.now, result: Ok(arrivals) });
    close_groups(&mut rig);
    assert!(stores(&rig).is_empty(), "nothing overtakes what is not begun");
    let call = rig.take(|action| if let Action::Process { call, .. } = action { Some(*call) } else { None })[0];
    rig.tell(Input::Lost { call });
    assert_eq!(rig.release_all(), ["a2", "a1"]);
    rig.pass(SECOND);
    let (call, message) = rig.take(|action| match action {
        Action::Process { call, message } => Some((*call, Arc::clone(message))),
        _ => None,
    })[0]
        .clone();
    let processed = Words.process(&message, Timestamp::from_micros(0).unwrap());
    rig.tell(Input::Processed { call, processed, room: None });
    rig.store();
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn nobody_holds_room_in_memory_that_one_ahead_of_it_in_its_group_waits_for() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    let mut arrivals: Vec<Arrival> = group("a", 0..3).into_iter().map(arrival).collect();
    arrivals[0].processed = None;
    rig.tell(Input::Received { call, leased_at: rig.now, result: Ok(arrivals) });
    // Of what the others came to nothing is kept: they are begun again, one by one and in order.
    assert_eq!(rig.core.books().decoded, 0);
    for place in 0..3 {
        let calls = rig.take(|action| match action {
            Action::Process { call, message } => Some((*call, Arc::clone(message))),
            _ => None,
        });
        assert_eq!(calls.len(), 1);
        assert_eq!(&*calls[0].1.handle.message_id, format!("a{place}"));
        let processed = Words.process(&calls[0].1, Timestamp::from_micros(0).unwrap());
        rig.tell(Input::Processed { call: calls[0].0, processed, room: None });
    }
    rig.store();
    assert_eq!(rig.delete_all(), 3);
}

#[test]
fn a_delete_never_overtakes_that_of_an_earlier_message() {
    let mut rig = Rig::new(Limits { group_entries_max: 4, ..limits() });
    rig.receive_next(group("a", 0..8));
    rig.answer_stores();
    let (call, ids) = rig.deletes_now().remove(0);
    assert_eq!(ids, ["a0", "a1", "a2", "a3"]);
    rig.answer_stores();
    assert!(rig.deletes_now().is_empty(), "a0 to a3 are on their way");
    // One of them fails inside a good answer.
    rig.answer(call, vec![Ok(()), item_error("InternalError", false), Ok(()), Ok(())]);
    assert!(rig.deletes_now().is_empty() && rig.releases().is_empty(), "durable already: nobody is given back");
    rig.pass(SECOND);
    assert_eq!(rig.deletes_now().remove(0).1, ["a1", "a4", "a5", "a6", "a7"], "and not one request for each");
}

#[test]
fn a_failing_message_that_is_tried_again_alone_is_no_outage() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0"]);
    rig.receive_next(vec![of("a", 0, "a0"), of("b", 0, "b0")]);
    rig.store();
    rig.delete_all();
    for _ in 0..60 {
        rig.pass(SECOND);
        rig.answer_stores();
        rig.extend_all();
        assert_eq!(rig.core.status().store, Some(Ok(())));
    }
    rig.receive_next(vec![of("b", 1, "b1")]);
    rig.store();
    assert_eq!(rig.delete_all(), 1, "others go on");
}

#[test]
fn a_server_that_numbers_no_messages_hands_them_out_in_order() {
    let mut rig = Rig::new(limits());
    rig.receive_next(
        group("a", 0..5).into_iter().map(|message| Message { sequence_number: None, ..message }).collect(),
    );
    close_groups(&mut rig);
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1, ["a0", "a1", "a2", "a3", "a4"]);
}
