//! FIFO queues: the order of a group, and who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::dead_letter::{DEDUPLICATION_ID, DeadLetter};
use afterimage_consumer::{
    Action, Arrival, Attribute, Input, Limits, Message, Note, Processor, QueueError, QueueErrorKind, QueueKind,
};
use afterimage_event::Timestamp;

use super::SECOND;
use crate::fakes::{Words, arrival, message};
use crate::rig::{Rig, item_error, unreachable_queue};

fn limits() -> Limits {
    Limits { kind: QueueKind::Fifo, ..super::limits() }
}

/// The message `{group}{place}`, with these words.
fn of(group: &str, place: usize, words: &str) -> Message {
    received(group, place, words, 1)
}

fn received(group: &str, place: usize, words: &str, receive_count: u32) -> Message {
    Message {
        group_id: Some(group.to_owned()),
        sequence_number: Some(format!("{:020}", 1_000 + place)),
        deduplication_id: Some(format!("d{place}")),
        ..message(&format!("{group}{place}"), words, receive_count)
    }
}

/// So many messages of a group, each with the event of its name.
fn group(name: &str, places: std::ops::Range<usize>) -> Vec<Message> {
    places.map(|place| of(name, place, &format!("{name}{place}"))).collect()
}

/// The event ids that are on their way to the store, call by call.
fn stores(rig: &Rig) -> Vec<Vec<String>> {
    let ids = |action: &Action| match action {
        Action::Store { entries, .. } => {
            Some(entries.iter().map(|entry| entry.identity.event_id.clone()).collect::<Vec<_>>())
        }
        _ => None,
    };
    rig.actions.iter().filter_map(ids).collect()
}

fn letters_out(rig: &mut Rig) -> Vec<(afterimage_consumer::CallId, Vec<DeadLetter>)> {
    rig.take(|action| match action {
        Action::DeadLetter { call, letters } => Some((*call, letters.clone())),
        _ => None,
    })
}

fn close_groups(rig: &mut Rig) {
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
fn a_dead_letter_lets_its_group_go_on_as_soon_as_it_is_acknowledged() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![of("a", 0, "a0"), of("a", 1, "!a1"), of("a", 2, "a2"), of("b", 0, "b0")]);
    close_groups(&mut rig);
    assert_eq!(stores(&rig), [["a0", "b0"]], "a2 is not stored before a1 is dealt with");
    assert!(letters_out(&mut rig).is_empty(), "nor a1 before a0 is");
    rig.answer_stores();
    assert_eq!(rig.send_letters().len(), 1);
    rig.store();
    assert!(rig.store.has("a2"));
    assert!(rig.releases().is_empty(), "nobody failed");
    assert_eq!(rig.delete_all(), 2, "a0 and b0");
    assert_eq!(rig.delete_all(), 2, "a1 and a2");
}

#[test]
fn dead_letters_of_a_group_go_one_by_one_and_in_order_and_those_of_many_groups_together() {
    let mut rig = Rig::new(limits());
    let mut arrivals = Vec::new();
    for name in ["a", "b", "c"] {
        arrivals.extend((0..3).map(|place| of(name, place, &format!("!{name}{place}"))));
    }
    rig.receive_next(arrivals);
    for place in 0..3 {
        let sent = letters_out(&mut rig);
        assert_eq!(sent.len(), 1);
        let ids: Vec<&str> = sent[0].1.iter().map(DeadLetter::message_id).collect();
        assert_eq!(ids, ["a", "b", "c"].map(|name| format!("{name}{place}")));
        rig.actions.push_back(Action::DeadLetter { call: sent[0].0, letters: sent[0].1.clone() });
        assert_eq!(rig.send_letters().len(), 3);
    }
}

#[test]
fn a_dead_letter_that_is_not_accepted_holds_its_group_alone() {
    let mut rig = Rig::new(limits());
    let mut arrivals = vec![of("a", 0, "!a0"), of("a", 1, "!a1"), of("a", 2, "a2")];
    arrivals.extend(group("b", 0..3));
    rig.receive_next(arrivals);
    let (call, _) = letters_out(&mut rig).remove(0);
    rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
    assert_eq!(rig.release_all(), ["a2", "a1"]);
    rig.store();
    assert_eq!(rig.delete_all(), 3, "those of b");
    rig.pass(SECOND);
    assert_eq!(rig.send_letters().len(), 1);
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn a_dead_letter_is_not_sent_on_a_lease_that_has_ended() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![of("a", 0, "!a0"), of("a", 1, "a1")]);
    let (call, _) = letters_out(&mut rig).remove(0);
    // The queue answers no extension; the lease runs out. By then somebody else may have sent it.
    let unreachable = || QueueError { kind: QueueErrorKind::Unavailable, ..unreachable_queue() };
    rig.pass(SECOND * 61);
    rig.tell(Input::DeadLettered { call, result: Err(unreachable()) });
    rig.pass(SECOND * 5);
    assert!(letters_out(&mut rig).is_empty());
    assert!(rig.notes().iter().any(|note| matches!(note, Note::LeaseLost { code, .. } if code == "LeaseExpired")));
}

#[test]
fn without_a_dead_letter_queue_poison_is_left_to_the_redrive_policy_and_its_group_goes_on() {
    let mut rig = Rig::new(Limits { has_dead_letter_queue: false, ..limits() });
    rig.receive_next(vec![of("a", 0, "!a0"), of("a", 1, "a1"), of("a", 2, "a2")]);
    rig.store();
    assert!(rig.releases().is_empty(), "received as often as the poison, they would follow it to the dead letters");
    assert_eq!(rig.delete_all(), 2);
    assert_eq!((rig.core.books().released, rig.core.books().in_flight), (1, 0));
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
fn when_one_lease_of_a_group_is_lost_nothing_behind_it_is_stored_or_deleted() {
    let mut rig = Rig::new(Limits { group_entries_max: 2, ..limits() });
    rig.receive_next(group("a", 0..4));
    rig.pass(SECOND * 31);
    let (call, ids, _) = rig.extensions().remove(0);
    let items = ids.iter().map(|id| if id == "a1" { item_error("ReceiptHandleIsInvalid", true) } else { Ok(()) });
    rig.answer(call, items.collect());
    assert_eq!(rig.release_all(), ["a3", "a2"]);
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1, ["a0"]);
    assert!(stores(&rig).is_empty());
    let books = *rig.core.books();
    assert_eq!((books.lease_lost, books.released), (1, 2));
}

#[test]
fn what_is_stored_behind_a_lost_lease_comes_again_and_is_not_deleted() {
    let mut rig = Rig::new(limits());
    rig.receive_next(group("a", 0..3));
    rig.pass(SECOND * 31);
    let (call, ids, _) = rig.extensions().remove(0);
    assert_eq!(ids.len(), 3);
    rig.answer(call, vec![item_error("ReceiptHandleIsInvalid", true), Ok(()), Ok(())]);
    // All three were on their way to the store, and get there.
    rig.answer_stores();
    assert!(rig.deletes_now().is_empty());
    assert_eq!(rig.release_all(), ["a2", "a1"]);
    assert_eq!(rig.core.books().in_flight, 0);
}

#[test]
fn a_delete_that_finds_its_lease_ended_takes_nothing_along_that_was_deleted_with_it() {
    let mut rig = Rig::new(limits());
    rig.receive_next(group("a", 0..3));
    rig.store();
    let (call, _) = rig.deletes_now().remove(0);
    rig.answer(call, vec![item_error("ReceiptHandleIsInvalid", true), Ok(()), Ok(())]);
    let books = *rig.core.books();
    assert_eq!((books.deleted, books.lease_lost, books.released), (2, 1, 0));
    assert!(rig.releases().is_empty());
}

#[test]
fn a_redelivery_renews_handles_and_keeps_the_order() {
    let mut rig = Rig::new(Limits { group_entries_max: 2, ..limits() });
    rig.receive_next(group("a", 0..4));
    // All leases ran out, and the queue handed the group out again: to this worker.
    rig.receive_next((0..4).map(|place| received("a", place, &format!("a{place}"), 2)).collect());
    assert_eq!(stores(&rig), [["a0", "a1"]]);
    rig.answer_stores();
    rig.answer_stores();
    let deletes = rig.deletes();
    assert!(deletes.iter().flat_map(|(_, deletes)| deletes).all(|delete| delete.handle().receipt.ends_with("/2")));
}

#[test]
fn a_message_that_comes_again_goes_before_those_that_are_still_held() {
    let mut rig = Rig::new(limits());
    rig.receive_next((1..4).map(|place| received("a", place, &format!("a{place}"), 2)).collect());
    rig.receive_next(vec![received("a", 0, "!a0", 2)]);
    close_groups(&mut rig);
    assert!(stores(&rig).is_empty());
    assert_eq!(rig.send_letters().len(), 1);
    rig.store();
    assert_eq!(rig.deletes_now()[0].1, ["a0"]);
}

#[test]
fn in_an_outage_the_leases_of_whole_groups_are_kept_and_the_order_with_them() {
    let mut rig = Rig::new(limits());
    rig.receive_next(group("a", 0..10));
    rig.store.set_down(true);
    rig.store();
    for _ in 0..600 {
        rig.pass(SECOND);
        let probes = stores(&rig);
        assert!(probes.iter().all(|probe| *probe == ["a0"]), "{probes:?}");
        rig.answer_stores();
        rig.extend_all();
    }
    assert!(rig.releases().is_empty(), "no message is to blame, and no receive count is burnt");
    rig.store.set_down(false);
    for _ in 0..20 {
        rig.pass(SECOND);
        rig.answer_stores();
        rig.delete_all();
    }
    assert_eq!(rig.core.books().deleted, 10);
    let order: Vec<String> = rig.store.moments().concat();
    assert_eq!(order, (0..10).map(|n| format!("a{n}")).collect::<Vec<_>>());
}

#[test]
fn giving_back_that_fails_is_tried_again_so_that_the_group_is_not_kept_for_a_whole_lease() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0"]);
    let mut arrivals = group("a", 0..3);
    arrivals.push(of("b", 0, "b0"));
    rig.receive_next(arrivals);
    rig.store();
    let (call, ids) = rig.releases().remove(0);
    assert_eq!(ids, ["a2", "a1"]);
    rig.answer(call, vec![Ok(()), item_error("InternalError", false)]);
    let (call, ids) = rig.releases().remove(0);
    assert_eq!(ids, ["a1"]);
    rig.fail(call);
    assert_eq!(rig.release_all(), ["a1"]);
    assert_eq!((rig.core.books().released, rig.core.books().lease_lost), (2, 0));
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
fn a_stop_gives_a_group_back_last_first() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(group("a", 0..10));
    rig.receive_next(group("b", 0..10));
    rig.tell(Input::Stop);
    for call in rig.receives() {
        rig.receive(call, Vec::new());
    }
    rig.pass(SECOND * 16);
    let released = rig.release_all();
    assert_eq!(released.len(), 20);
    for name in ["a", "b"] {
        let places: Vec<&String> = released.iter().filter(|id| id.starts_with(name)).collect();
        assert!(places.is_sorted_by(|one, next| one > next), "{places:?}");
    }
    assert_eq!(rig.core.books().released, 20);
}

#[test]
fn the_letter_of_a_fifo_queue_keeps_its_group_and_an_id_that_no_other_message_has() {
    let mut rig = Rig::new(limits());
    let mut twins = vec![of("a", 7, "!x"), of("b", 7, "!x")];
    // The same deduplication id in two groups: allowed where it is told apart by group.
    assert_eq!(twins[0].deduplication_id, twins[1].deduplication_id);
    twins[1].attributes.push(Attribute::text("traceparent", "00-1"));
    rig.receive_next(twins);
    let letters = rig.send_letters();
    assert_eq!(letters.iter().map(DeadLetter::group_id).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(letters.iter().map(DeadLetter::deduplication_id).collect::<Vec<_>>(), ["d7.a7", "d7.b7"]);
    for letter in &letters {
        let original = letter.attributes().iter().find(|attribute| attribute.name == DEDUPLICATION_ID);
        assert_eq!(original.and_then(Attribute::as_text), Some("d7"));
        let origin =
            letter.attributes().iter().find_map(|attribute| attribute.as_text().filter(|text| text.contains(";seq=")));
        assert!(origin.is_some_and(|origin| origin.contains("seq=00000000000000001007")), "{origin:?}");
    }
}

#[test]
fn an_id_that_leaves_no_room_is_cut_and_still_one_of_its_own() {
    let mut rig = Rig::new(limits());
    let long = |place| Message { deduplication_id: Some("x".repeat(128)), ..of("a", place, "!x") };
    rig.receive_next(vec![long(0)]);
    let first = rig.send_letters().remove(0).deduplication_id();
    rig.receive_next(vec![long(1)]);
    let second = rig.send_letters().remove(0).deduplication_id();
    assert_eq!((first.len(), second.len()), (128, 128));
    assert_ne!(first, second);
}
