//! Polling.

use std::time::Duration;

use afterimage_consumer::{Action, Counts, Finish, Input, Limits, Note, QueueError, QueueErrorKind};

use super::{SECOND, limits};
use crate::fakes::message;
use crate::rig::{Rig, unreachable_queue};

fn ten(n: usize) -> Vec<afterimage_consumer::Message> {
    (0..10).map(|k| message(&format!("{n}-{k}"), &format!("e{n}-{k}"), 1)).collect()
}

/// Full receives, stored and deleted at once, until there are so many pollers; the number of rounds.
fn grow(rig: &mut Rig, pollers: usize) -> usize {
    let mut n = 0;
    for round in 0..1000 {
        if rig.core.pollers() >= pollers {
            return round;
        }
        for call in rig.receives() {
            rig.receive(call, ten(n));
            n += 1;
        }
        rig.store();
        rig.delete_all();
    }
    panic!("stays at {} pollers", rig.core.pollers());
}

#[test]
fn full_receives_add_pollers_up_to_the_limit() {
    let mut rig = Rig::new(limits());
    assert_eq!(rig.core.pollers(), 1);
    assert!(grow(&mut rig, 64) <= 10, "one loop that waits for itself is slow");
    for n in 0..64 {
        rig.receive_next(ten(100_000 + n));
        rig.store();
        rig.delete_all();
        assert!(rig.core.pollers() <= 64);
    }
}

#[test]
fn one_empty_receive_is_no_empty_queue() {
    let mut rig = Rig::new(limits());
    grow(&mut rig, 8);
    rig.pass(SECOND * 20);
    rig.receive_next(Vec::new());
    rig.pass(SECOND * 2);
    assert_eq!(rig.core.pollers(), 8);
}

#[test]
fn an_empty_queue_costs_three_receives_a_minute() {
    let mut rig = Rig::new(limits());
    grow(&mut rig, 64);
    rig.pass(SECOND * 20);
    rig.receive_nothing();
    for _ in 0..2 {
        rig.pass(SECOND * 20);
        rig.receive_nothing();
    }
    let mut receives = 0;
    for _ in 0..60 {
        rig.pass(SECOND * 20);
        let calls = rig.receives();
        receives += calls.len();
        for call in calls {
            rig.receive(call, Vec::new());
        }
    }
    assert!(receives <= 61, "{receives} receives in 20 minutes");
}

#[test]
fn a_queue_that_does_not_wait_is_not_asked_thousands_of_times_a_second() {
    let mut rig = Rig::new(limits());
    let mut receives = 0;
    for _ in 0..6000 {
        rig.pass(Duration::from_millis(10));
        for call in rig.receives() {
            receives += 1;
            rig.receive(call, Vec::new());
        }
    }
    assert!(receives <= 130, "{receives} receives in a minute");
}

#[test]
fn receives_that_bring_little_take_pollers_away() {
    let mut rig = Rig::new(limits());
    grow(&mut rig, 16);
    for n in 0..200 {
        rig.receive_next(vec![message(&format!("s{n}"), &format!("s{n}"), 1)]);
        rig.store();
        rig.delete_all();
    }
    assert_eq!(rig.core.pollers(), 1, "for one message each");
}

#[test]
fn over_limit_is_saturation_and_no_failure() {
    let mut rig = Rig::new(limits());
    grow(&mut rig, 8);
    rig.notes();
    let error = QueueError { kind: QueueErrorKind::OverLimit, code: "OverLimit".to_owned(), reason: String::new() };
    let call = rig.receives()[0];
    rig.tell(Input::Received { call, leased_at: rig.now, result: Err(error) });
    assert_eq!(rig.core.status().queue, Some(Ok(())));
    assert!(rig.notes().is_empty());
    rig.pass(Duration::from_millis(100));
    assert!(rig.receives().is_empty(), "asks for no more at once");
}

#[test]
fn a_queue_that_is_saturated_answers() {
    let mut rig = Rig::new(limits());
    let over_limit = QueueError { kind: QueueErrorKind::OverLimit, ..unreachable_queue() };
    for (error, is_well) in [(unreachable_queue(), false), (over_limit, true)] {
        let call = rig.receives()[0];
        rig.tell(Input::Received { call, leased_at: rig.now, result: Err(error) });
        assert_eq!(rig.core.status().queue.is_some_and(|status| status.is_ok()), is_well);
        rig.pass(SECOND * 10);
    }
}

#[test]
fn a_queue_that_fails_is_asked_by_one_poller_with_growing_pauses() {
    let mut rig = Rig::new(limits());
    let mut receives = 0;
    for _ in 0..6000 {
        rig.pass(Duration::from_millis(10));
        for call in rig.receives() {
            receives += 1;
            rig.tell(Input::Received { call, leased_at: rig.now, result: Err(unreachable_queue()) });
        }
    }
    assert!((10..=30).contains(&receives), "{receives} receives in a minute");
    assert!(rig.core.status().queue.is_some_and(|status| status.is_err()));
    assert!(rig.notes().iter().any(|note| matches!(note, Note::ReceiveFailed { .. })));
}

#[test]
fn a_queue_that_answers_again_is_well_again() {
    let mut rig = Rig::new(limits());
    let call = rig.receives()[0];
    rig.tell(Input::Received { call, leased_at: rig.now, result: Err(unreachable_queue()) });
    assert!(rig.core.status().queue.is_some_and(|status| status.is_err()));
    rig.pass(SECOND * 5);
    rig.receive_next(Vec::new());
    assert_eq!(rig.core.status().queue, Some(Ok(())));
}

#[test]
fn held_messages_are_bounded_in_number() {
    let mut rig = Rig::new(Limits { messages_max: 95, ..limits() });
    for n in 0..100 {
        for call in rig.receives() {
            rig.receive(call, ten(n));
        }
    }
    // Nothing is stored: nothing leaves.
    assert_eq!(rig.core.books().in_flight, 90);
    assert!(rig.receives().is_empty());
}

#[test]
fn held_messages_are_bounded_in_bytes() {
    let bytes_max = 32 << 20;
    let mut rig = Rig::new(Limits { bytes_max, ..limits() });
    let padding = "x".repeat(1 << 20);
    let mut n = 0;
    for _ in 0..100 {
        for call in rig.receives() {
            let large = (0..5).map(|k| message(&format!("{n}-{k}"), &format!("e{n}-{k}\t{padding}"), 1)).collect();
            rig.receive(call, large);
            n += 1;
        }
    }
    assert!(rig.core.held_bytes() <= bytes_max, "{} bytes", rig.core.held_bytes());
    assert!(rig.core.held_bytes() >= 5 << 20, "{} bytes", rig.core.held_bytes());
    assert!(rig.core.books().in_flight > 0);
}

#[test]
fn an_empty_worker_takes_a_receive_however_large_the_last_was() {
    let mut rig = Rig::new(Limits { bytes_max: 16 << 20, ..limits() });
    let padding = "x".repeat(1 << 20);
    rig.receive_next((0..10).map(|k| message(&format!("{k}"), &format!("e{k}\t{padding}"), 1)).collect());
    assert!(rig.receives().is_empty(), "no room for more");
    rig.store();
    assert_eq!(rig.delete_all(), 10);
    assert_eq!(rig.receives().len(), 1);
}

fn count(rig: &mut Rig, counts: Counts) -> usize {
    let calls = rig.take(|action| if let Action::Count { call } = action { Some(*call) } else { None });
    for call in &calls {
        rig.tell(Input::Counted { call: *call, result: Ok(counts) });
    }
    calls.len()
}

#[test]
fn it_ends_when_idle_only_after_silence_with_nothing_held_and_a_queue_that_counts_zero() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.receive_next(ten(0));
    rig.pass(SECOND * 20);
    rig.receive_next(Vec::new());
    rig.pass(SECOND * 10);
    assert_eq!(count(&mut rig, Counts::default()), 0, "ten messages are held");
    rig.answer_stores();
    rig.delete_all();
    rig.pass(SECOND * 5);
    assert_eq!(count(&mut rig, Counts { visible: 0, in_flight: 1, delayed: 0 }), 1, "somebody else holds a message");
    rig.pass(SECOND * 2);
    assert_eq!(count(&mut rig, Counts::default()), 1);
    rig.receive_nothing();
    assert_eq!(rig.finish(), Some(Finish::Idle));
}

#[test]
fn a_failed_receive_neither_ends_a_worker_nor_starts_its_silence_again() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.pass(SECOND);
    rig.receive_next(Vec::new());
    let fail = |rig: &mut Rig| {
        rig.pass(SECOND);
        for call in rig.receives() {
            rig.tell(Input::Received { call, leased_at: rig.now, result: Err(unreachable_queue()) });
        }
    };
    fail(&mut rig);
    rig.pass(SECOND);
    rig.receive_next(Vec::new());
    fail(&mut rig);
    rig.pass(SECOND * 10);
    assert_eq!(count(&mut rig, Counts::default()), 0, "the last receive told nothing");
    // What had come meanwhile would be here.
    rig.receive_next(Vec::new());
    assert_eq!(count(&mut rig, Counts::default()), 1);
    rig.receive_nothing();
    assert_eq!(rig.finish(), Some(Finish::Idle));
}

#[test]
fn what_comes_with_the_last_receive_is_not_lost_to_idleness() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.pass(SECOND * 5);
    rig.receive_next(Vec::new());
    rig.pass(SECOND * 5);
    assert_eq!(count(&mut rig, Counts::default()), 1);
    rig.receive_next(ten(0));
    rig.store();
    assert_eq!(rig.delete_all(), 10);
    assert_eq!(rig.finish(), None, "a queue that had something is not empty yet");
    for _ in 0..2 {
        rig.pass(SECOND * 5);
        rig.receive_nothing();
    }
    rig.pass(SECOND);
    assert_eq!(count(&mut rig, Counts::default()), 1);
    rig.receive_nothing();
    assert_eq!(rig.finish(), Some(Finish::Idle));
}

#[test]
fn while_somebody_else_holds_a_message_it_counts_once_a_second() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.pass(SECOND * 20);
    rig.receive_next(Vec::new());
    let mut counts = 0;
    for _ in 0..100 {
        rig.pass(SECOND / 10);
        counts += count(&mut rig, Counts { visible: 0, in_flight: 1, delayed: 0 });
    }
    assert!((9..=11).contains(&counts), "{counts} in ten seconds");
}

#[test]
fn two_receives_that_bring_little_take_one_poller_away() {
    let mut rig = Rig::new(limits());
    grow(&mut rig, 16);
    let before = rig.core.pollers();
    for n in 0..8 {
        rig.receive_next(vec![message(&format!("s{n}"), &format!("s{n}"), 1)]);
        rig.store();
        rig.delete_all();
    }
    assert_eq!(rig.core.pollers(), before - 4);
}

#[test]
fn a_receive_waits_a_second_at_least_however_soon_the_worker_is_to_end() {
    // One that does not wait asks a part of the queue only, and may find nothing where there is something.
    for (window, wait) in [(SECOND / 2, SECOND), (SECOND * 5, SECOND * 5), (SECOND * 60, SECOND * 20)] {
        let mut rig = Rig::new(Limits { exit_when_idle: Some(window), ..limits() });
        let waits = rig.take(|action| if let Action::Receive { wait, .. } = action { Some(*wait) } else { None });
        assert_eq!(waits, [wait]);
    }
}

#[test]
fn receives_that_bring_little_take_no_poller_away_when_others_come_between_them() {
    for brings_much in [true, false] {
        let mut rig = Rig::new(limits());
        grow(&mut rig, 16);
        let before = rig.core.pollers();
        for n in 0..8 {
            rig.receive_next(vec![message(&format!("s{n}"), &format!("s{n}"), 1)]);
            rig.pass(SECOND * 2);
            rig.receive_next(if brings_much { ten(1_000_000 + n) } else { Vec::new() });
            rig.answer_stores();
            rig.delete_all();
        }
        assert_eq!(rig.core.pollers(), if brings_much { before + 8 } else { before });
    }
}

#[test]
fn a_count_that_nobody_answers_is_asked_for_again() {
    let mut rig = Rig::new(Limits { exit_when_idle: Some(SECOND * 5), ..limits() });
    rig.pass(SECOND * 20);
    rig.receive_next(Vec::new());
    let call = rig.take(|action| if let Action::Count { call } = action { Some(*call) } else { None })[0];
    rig.tell(Input::Lost { call });
    rig.pass(SECOND * 2);
    assert_eq!(count(&mut rig, Counts::default()), 1);
}
