//! Leases.

use std::time::Duration;

use afterimage_consumer::{Action, Input, Limits, Note};

use super::{SECOND, limits, messages};
use crate::fakes::message;
use crate::rig::{Rig, item_error};

/// Messages that are stored never: the store is silent on them.
fn stuck(rig: &mut Rig, count: usize) {
    let ids: Vec<String> = (0..count).map(|n| format!("e{n}")).collect();
    rig.store.leave_unanswered(&ids.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn work_that_outlasts_its_lease_keeps_it() {
    let mut rig = Rig::new(limits());
    stuck(&mut rig, 1);
    rig.receive_next(messages(1));
    for _ in 0..10 {
        rig.pass(SECOND * 30);
        rig.answer_pings();
        rig.answer_stores();
        assert_eq!(rig.extend_all(), 1, "past half of its life a lease is extended");
    }
    rig.store.leave_unanswered(&[]);
    rig.pass(SECOND * 6);
    rig.answer_pings();
    rig.answer_stores();
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn young_leases_are_left_alone() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.pass(SECOND * 29);
    assert!(rig.extensions().is_empty());
}

#[test]
fn extensions_go_in_the_order_in_which_leases_end_and_in_tens() {
    let mut rig = Rig::new(limits());
    for n in 0..3 {
        let batch = (0..10).map(|k| message(&format!("{n}-{k}"), &format!("e{n}-{k}"), 1)).collect();
        rig.receive_next(batch);
        rig.pass(Duration::from_millis(500));
    }
    rig.pass(SECOND * 60);
    let calls = rig.extensions();
    assert_eq!(calls.iter().map(|(_, ids, _)| ids.len()).collect::<Vec<_>>(), [10, 10, 10]);
    for (n, (_, ids, _)) in calls.iter().enumerate() {
        assert!(ids.iter().all(|id| id.starts_with(&format!("{n}-"))), "{ids:?}");
    }
}

#[test]
fn when_extensions_cannot_keep_up_polling_stops_until_they_do() {
    // Every call that may be out at once is out, and does not come back.
    let mut rig = Rig::new(Limits { calls_max: 1, ..limits() });
    for n in 0..2 {
        rig.receive_next((0..10).map(|k| message(&format!("{n}-{k}"), &format!("e{n}-{k}"), 1)).collect());
    }
    rig.pass(SECOND * 31);
    let out = rig.extensions();
    assert_eq!(out.len(), 1);
    rig.receive_nothing();
    rig.pass(SECOND * 5);
    assert!(rig.receives().is_empty(), "polls while leases run out");
    rig.answer(out[0].0, vec![Ok(()); 10]);
    rig.extend_all();
    rig.pass(SECOND * 5);
    assert!(!rig.receives().is_empty(), "polls again");
}

#[test]
fn leases_are_extended_while_draining() {
    let mut rig = Rig::new(Limits { grace: SECOND * 120, ..limits() });
    rig.receive_next(messages(3));
    rig.pass(SECOND);
    rig.tell(Input::Stop);
    rig.pass(SECOND * 30);
    assert_eq!(rig.extend_all(), 3);
}

#[test]
fn what_is_done_is_extended_no_more() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.store();
    assert_eq!(rig.delete_all(), 10);
    rig.pass(SECOND * 600);
    assert!(rig.extensions().is_empty());
}

#[test]
fn a_lease_the_queue_has_ended_is_counted_and_the_work_given_up() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.pass(SECOND * 31);
    let (call, _, _) = rig.extensions().remove(0);
    rig.answer(call, vec![item_error("ReceiptHandleIsInvalid", true)]);
    let books = *rig.core.books();
    assert_eq!((books.lease_lost, books.abandoned, books.in_flight, books.pending), (1, 1, 0, 0));
    // The store's answer comes to nobody.
    rig.answer_stores();
    assert!(rig.deletes().is_empty());
}

#[test]
fn an_extension_that_failed_inside_a_good_answer_is_tried_again() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(2));
    rig.pass(SECOND * 31);
    let (call, ids, _) = rig.extensions().remove(0);
    rig.answer(call, vec![Ok(()), item_error("InternalError", false)]);
    rig.pass(SECOND * 6);
    assert_eq!(rig.extensions()[0].1, [ids[1].clone()]);
}

#[test]
fn no_lease_is_asked_for_beyond_the_longest_hold_and_then_the_message_is_given_back_once() {
    let mut rig = Rig::new(limits());
    stuck(&mut rig, 1);
    rig.receive_next(messages(1));
    let hold_max = Limits::default().hold_max;
    let mut until = Duration::ZERO;
    while rig.now < hold_max - SECOND * 10 {
        rig.pass(SECOND * 5);
        rig.answer_stores();
        for (call, ids, visibility_s) in rig.extensions() {
            until = rig.now + SECOND * visibility_s;
            assert!(until <= hold_max + SECOND, "leased until {until:?}");
            rig.answer(call, vec![Ok(()); ids.len()]);
        }
    }
    assert!(until > hold_max - SECOND * 120, "kept until the end: {until:?}");
    let mut releases = Vec::new();
    for _ in 0..60 {
        rig.pass(SECOND);
        rig.answer_stores();
        rig.extend_all();
        releases.extend(rig.releases());
    }
    assert_eq!(releases.len(), 1);
    rig.answer(releases[0].0, vec![Ok(())]);
    assert_eq!((rig.core.books().released, rig.core.books().in_flight), (1, 0));
    assert!(rig.notes().iter().any(|note| matches!(note, Note::HeldTooLong { .. })));
}

#[test]
fn what_is_delivered_here_again_while_it_is_given_back_keeps_its_new_lease() {
    let mut rig = Rig::new(Limits { lease: SECOND * 20, hold_max: SECOND * 40, ..limits() });
    rig.receive_next(messages(1));
    let waiting = rig.receives()[0];
    rig.pass(SECOND);
    // The store never answers: it is given back, and is here again while the answer to that takes its time.
    while rig.releases_held() == 0 {
        rig.pass(SECOND);
        rig.extend_all();
    }
    rig.receive(waiting, vec![message("m0", "e0", 2)]);
    rig.pass(SECOND * 15);
    assert_eq!(rig.extend_all(), 1, "half of the lease is over, and nobody knows when giving back will be answered");
    let release = rig.releases()[0].0;
    rig.fail(release);
    rig.pass(SECOND * 12);
    assert_eq!(rig.extend_all(), 1);
}

#[test]
fn what_is_given_back_is_extended_no_more() {
    let mut rig = Rig::new(Limits { lease: SECOND * 20, hold_max: SECOND * 40, ..limits() });
    rig.receive_next(messages(1));
    rig.pass(SECOND);
    while rig.releases_held() == 0 {
        rig.pass(SECOND);
        rig.extend_all();
    }
    rig.pass(SECOND * 60);
    assert_eq!(rig.extend_all(), 0);
}

#[test]
fn a_short_lease_is_asked_for_several_times_before_it_ends() {
    let mut rig = Rig::new(Limits { lease: SECOND * 10, ..limits() });
    rig.receive_next(messages(1));
    let mut tries = 0;
    for _ in 0..99 {
        rig.pass(SECOND / 10);
        for (call, _, _) in rig.extensions() {
            tries += 1;
            rig.fail(call);
        }
    }
    assert!(tries >= 4, "{tries} in the half of it that was left");
}

#[test]
fn what_waits_to_be_given_back_is_extended_no_more_unless_it_is_kept_after_all() {
    let mut rig = Rig::new(Limits { calls_max: 1, grace: SECOND * 32, ..limits() });
    rig.receive_next((0..20).map(|n| message(&format!("m{n}"), &format!("e{n}"), 1)).collect());
    rig.pass(SECOND * 2);
    rig.tell(Input::Stop);
    rig.pass(SECOND * 28);
    // The rest waits for one call that gives back: an extension might arrive after it, and hide the message from all.
    assert_eq!(rig.releases_held(), 10);
    rig.pass(SECOND * 3);
    assert!(rig.extensions().is_empty());
    // They are durable after all, and kept until they are deleted.
    rig.answer_stores();
    assert_eq!(rig.deletes_now()[0].1.len(), 10);
    assert_eq!(rig.extend_all(), 10);
}

#[test]
fn calls_that_nobody_answers_are_made_again() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    rig.tell(Input::Lost { call });
    rig.pass(SECOND * 5);
    rig.receive_next(vec![message("bad", "!x", 1), message("stuck", "e", 1), message("done", "=", 1)]);
    let lost = [
        rig.take(|action| if let Action::DeadLetter { call, .. } = action { Some(*call) } else { None })[0],
        rig.deletes()[0].0,
    ];
    for call in lost {
        rig.tell(Input::Lost { call });
    }
    rig.pass(SECOND * 31);
    let (call, ids, _) = rig.extensions().remove(0);
    assert_eq!(ids.len(), 3);
    rig.tell(Input::Lost { call });
    assert_eq!(rig.send_letters().len(), 1);
    assert_eq!(rig.delete_all(), 2);
    rig.pass(SECOND * 6);
    assert_eq!(rig.extensions()[0].1, ["stuck"]);
}

#[test]
fn what_becomes_durable_while_its_lease_is_being_extended_is_not_extended_again() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.pass(SECOND * 31);
    assert_eq!(rig.extensions().len(), 1);
    rig.answer_stores();
    assert!(rig.extensions().is_empty());
    assert_eq!(rig.delete_all(), 1);
}
