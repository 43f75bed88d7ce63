//! FIFO queues: dead letters, leases, outages and stops.

use afterimage_consumer::dead_letter::{DEDUPLICATION_ID, DeadLetter};
use afterimage_consumer::{Action, Arrival, Attribute, Input, Limits, Message, Note, QueueError, QueueErrorKind};

use super::SECOND;
use super::fifo::{close_groups, group, letters_out, limits, of, received, stores};
use crate::fakes::arrival;
use crate::rig::{Rig, item_error, unreachable_queue};

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
fn a_dead_letter_is_sent_on_the_lease_of_its_newest_delivery() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![of("a", 0, "!a0")]);
    let (call, _) = letters_out(&mut rig).remove(0);
    rig.pass(SECOND * 59);
    rig.receive_next(vec![received("a", 0, "!a0", 2)]);
    rig.pass(SECOND * 3);
    // The lease of the first delivery is over, that of the second is not.
    rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
    rig.pass(SECOND * 5);
    assert_eq!(letters_out(&mut rig).len(), 1);
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

/// Of the extension that is asked for next, the queue says that it has ended the lease of this message.
fn end_lease(rig: &mut Rig, lost: &str) {
    let (call, ids, _) = rig.extensions().remove(0);
    let items = ids.iter().map(|id| if id == lost { item_error("ReceiptHandleIsInvalid", true) } else { Ok(()) });
    rig.answer(call, items.collect());
}

#[test]
fn what_is_given_back_while_it_is_processed_is_not_begun() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    let mut arrivals: Vec<Arrival> = group("a", 0..2).into_iter().map(arrival).collect();
    let processed = arrivals[1].processed.take().unwrap();
    rig.tell(Input::Received { call, leased_at: rig.now, result: Ok(arrivals) });
    let call = rig.take(|action| if let Action::Process { call, .. } = action { Some(*call) } else { None })[0];
    rig.pass(SECOND * 31);
    end_lease(&mut rig, "a0");
    rig.tell(Input::Processed { call, processed, room: None });
    assert_eq!(rig.release_all(), ["a1"]);
    close_groups(&mut rig);
    assert_eq!(stores(&rig), [["a0"]], "the next delivery is for those who get it");
    assert_eq!(rig.core.books().decoded, 1);
}

#[test]
fn what_waits_to_be_given_back_is_not_kept_for_being_durable_when_one_ahead_of_it_comes_again() {
    let mut rig = Rig::new(Limits { calls_max: 1, ..limits() });
    rig.receive_next(group("a", 0..2));
    rig.pass(SECOND * 10);
    rig.receive_next(group("b", 0..2));
    rig.pass(SECOND * 21);
    end_lease(&mut rig, "a0");
    rig.pass(SECOND * 10);
    // One call gives back a1 and takes its time; b1 waits for that.
    end_lease(&mut rig, "b0");
    rig.answer_stores();
    assert!(rig.deletes_now().is_empty());
    assert_eq!(rig.release_all(), ["a1"]);
    assert_eq!(rig.release_all(), ["b1"]);
}

#[test]
fn what_came_again_while_giving_it_back_had_no_answer_is_given_back_with_one_ahead_of_it() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["a0", "a1"]);
    rig.receive_next(vec![of("a", 0, "a0"), of("a", 1, "a1"), of("b", 0, "b0")]);
    rig.store();
    let (unanswered, ids) = rig.releases().remove(0);
    assert_eq!(ids, ["a1"]);
    rig.receive_next(vec![received("a", 1, "a1", 2)]);
    rig.pass(SECOND * 31);
    end_lease(&mut rig, "a0");
    let (again, ids) = rig.releases().remove(0);
    assert_eq!(ids, ["a1"], "a0 comes again, and goes first");
    rig.fail(unanswered);
    rig.pass(SECOND * 5);
    assert!(stores(&rig).concat().iter().all(|id| id != "a1"));
    assert!(rig.releases().is_empty());
    rig.answer(again, vec![Ok(())]);
    assert_eq!(rig.core.books().released, 1);
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
        rig.answer_pings();
        rig.extend_all();
    }
    assert!(rig.releases().is_empty(), "no message is to blame, and no receive count is burnt");
    rig.store.set_down(false);
    for _ in 0..20 {
        rig.pass(SECOND);
        rig.answer_pings();
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
fn giving_back_that_fails_for_ever_is_given_up() {
    let mut rig = Rig::new(limits());
    rig.receive_next(group("a", 0..1));
    rig.store.set_down(true);
    rig.store();
    rig.tell(Input::Stop);
    let mut tries = 0;
    for _ in 0..20 {
        for (call, _) in rig.releases() {
            tries += 1;
            rig.fail(call);
        }
    }
    assert_eq!((tries, rig.core.books().lease_lost), (4, 1));
}

#[test]
fn a_stop_gives_a_group_back_last_first() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(group("a", 0..10));
    rig.receive_next(group("b", 0..10));
    rig.tell(Input::Stop);
    rig.receive_nothing();
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

#[test]
fn in_an_outage_the_first_of_a_group_that_failed_alone_is_no_probe_nor_is_what_is_behind_it() {
    let mut rig = Rig::new(Limits { group_entries_max: 1, groups_max: 1, ..limits() });
    rig.receive_next(group("a", 0..2));
    assert_eq!(stores(&rig), [["a0"]]);
    rig.store.set_down(true);
    rig.answer_stores();
    for _ in 0..20 {
        rig.pass(SECOND);
        assert!(stores(&rig).is_empty(), "it may fail for reasons of its own, and a1 must not overtake it");
        rig.answer_pings();
    }
    rig.store.set_down(false);
    rig.pass(SECOND * 6);
    rig.answer_pings();
    assert_eq!(stores(&rig), [["a0"]]);
}

#[test]
fn in_an_outage_the_first_of_another_group_is_the_probe_wherever_it_stands() {
    let mut rig = Rig::new(Limits { group_entries_max: 1, groups_max: 1, ..limits() });
    let mut arrivals = group("a", 0..2);
    arrivals.push(of("b", 0, "b0"));
    rig.receive_next(arrivals);
    rig.store.set_down(true);
    rig.answer_stores();
    rig.pass(SECOND);
    assert_eq!(stores(&rig), [["b0"]]);
}

#[test]
fn poison_that_is_left_because_the_dead_letters_are_down_costs_its_group_no_delivery() {
    let mut rig = Rig::new(Limits { messages_max: 40, ..limits() });
    rig.receive_next((0..10).map(|n| of(&format!("g{n}-"), 0, "!x")).collect());
    rig.receive_next(vec![of("h", 0, "!x"), of("a", 0, "!a0"), of("a", 1, "a1")]);
    for (call, _) in letters_out(&mut rig) {
        rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
    }
    assert_eq!(rig.core.books().released, 1, "a0, which is one too many");
    assert!(rig.releases().is_empty());
    rig.store();
    assert_eq!(rig.delete_all(), 1, "a1");
}

#[test]
fn what_became_durable_while_it_waits_for_its_turn_is_in_no_further_group() {
    let mut rig = Rig::new(Limits { hold_max: SECOND * 600, ..limits() });
    rig.receive_next(group("a", 0..3));
    let waiting = rig.receives()[0];
    close_groups(&mut rig);
    let first = rig.take_groups();
    // No answer for ten minutes: they are given back, and come straight here again.
    while rig.releases_held() < 3 {
        rig.pass(SECOND);
        rig.extend_all();
    }
    rig.receive(waiting, (0..3).map(|place| received("a", place, &format!("a{place}"), 2)).collect());
    rig.release_all();
    close_groups(&mut rig);
    assert_eq!(stores(&rig), [["a0"]]);
    rig.answer_groups(first);
    rig.answer_stores();
    assert!(rig.take_groups().is_empty(), "nothing is owed");
    assert_eq!(rig.delete_all(), 3);
}
