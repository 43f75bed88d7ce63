//! A store that does not answer.

use std::collections::VecDeque;
use std::time::Duration;

use afterimage_consumer::{Action, CallId, Input, Limits, Message, Note, QueueKind};

use super::{SECOND, in_an_outage, limits, messages};
use crate::fakes::message;
use crate::rig::{Group, Rig};

#[test]
fn nothing_is_received_before_the_store_has_answered_once() {
    let mut rig = Rig::unproven(limits());
    rig.store.set_down(true);
    let mut pings = 0;
    for _ in 0..600 {
        rig.pass(Duration::from_millis(100));
        pings += rig.actions.iter().filter(|action| matches!(action, Action::Ping { .. })).count();
        rig.answer_pings();
        assert!(rig.receives().is_empty());
    }
    assert!((10..=40).contains(&pings), "{pings} probes in a minute");
    assert!(rig.core.status().store.is_some_and(|status| status.is_err()));
    rig.store.set_down(false);
    rig.pass(SECOND * 5);
    rig.answer_pings();
    rig.pass(SECOND * 2);
    assert_eq!(rig.receives().len(), 1);
}

#[test]
fn in_an_outage_polling_stops_and_one_entry_at_a_time_probes() {
    let mut rig = in_an_outage(10);
    rig.receive_nothing();
    let (before, mut pings) = (rig.store.appends(), 0);
    for _ in 0..600 {
        rig.pass(Duration::from_millis(100));
        pings += rig.actions.iter().filter(|action| matches!(action, Action::Ping { .. })).count();
        rig.answer_pings();
        for entries in rig.actions.iter().filter_map(|action| match action {
            Action::Store { entries, .. } => Some(entries.len()),
            _ => None,
        }) {
            assert_eq!(entries, 1);
        }
        assert!(rig.answer_stores() <= 1);
        assert!(rig.receives().is_empty());
        rig.extend_all();
    }
    assert!((10..=40).contains(&(rig.store.appends() - before + pings)));
    assert!(rig.notes().iter().any(|note| matches!(note, Note::StoreDown { .. })));
    assert_eq!(rig.core.books().in_flight, 10, "no message is to blame");
}

#[test]
fn after_an_outage_the_work_goes_on_within_seconds() {
    let mut rig = in_an_outage(10);
    rig.receives();
    for _ in 0..300 {
        rig.pass(SECOND);
        rig.answer_pings();
        rig.answer_stores();
        rig.extend_all();
    }
    rig.store.set_down(false);
    let back = rig.now;
    while rig.core.books().deleted < 10 {
        rig.pass(Duration::from_millis(50));
        rig.answer_pings();
        rig.answer_stores();
        rig.delete_all();
        assert!(rig.now - back < SECOND * 8, "still waiting");
    }
    rig.pass(SECOND * 2);
    assert!(rig.core.pollers() >= 1);
    assert!(rig.notes().iter().any(|note| matches!(note, Note::StoreUp { .. })));
}

#[test]
fn a_fleet_does_not_come_back_all_at_once() {
    let resumed: std::collections::BTreeSet<Duration> = (0..20)
        .map(|seed| {
            let mut core = afterimage_consumer::Core::new(limits(), seed).unwrap();
            let mut actions = Vec::new();
            let mut now = Duration::ZERO;
            core.handle(now, Input::Tick, &mut actions);
            for failures in 0.. {
                let Some(call) = actions.iter().find_map(|action| match action {
                    Action::Ping { call } => Some(*call),
                    _ => None,
                }) else {
                    break;
                };
                actions.clear();
                let down = || Err(afterimage_store::StoreError::Unavailable { reason: "down".to_owned() });
                let result = if failures < 3 { down() } else { Ok(()) };
                core.handle(now, Input::Pinged { call, result }, &mut actions);
                while actions.iter().all(|action| matches!(action, Action::Note(_))) {
                    now = core.next_deadline().expect("something is planned");
                    core.handle(now, Input::Tick, &mut actions);
                }
            }
            now
        })
        .collect();
    assert!(resumed.len() > 15, "{resumed:?}");
}

/// The store answers again, and shows it with the probe.
fn come_back(rig: &mut Rig) {
    rig.store.set_down(false);
    rig.pass(SECOND);
    assert_eq!(rig.answer_stores(), 1);
    assert_eq!(rig.core.status().store, Some(Ok(())));
}

#[test]
fn polling_starts_a_while_after_the_entry_that_shows_the_end_of_an_outage() {
    let mut rig = in_an_outage(2);
    rig.receive_nothing();
    come_back(&mut rig);
    assert!(rig.receives().is_empty(), "others come back too");
    rig.pass(SECOND * 2);
    assert_eq!(rig.receives().len(), 1);
}

/// Four groups at once, of so many messages, and forty messages of which the first four groups are on their way.
fn four_on_their_way_of(messages_in_one: usize) -> (Rig, Vec<Group>) {
    let mut rig = Rig::new(Limits { group_entries_max: messages_in_one, groups_max: 4, ..limits() });
    let mut waiting = messages(40).into_iter();
    for _ in 0..4 {
        rig.receive_next(waiting.by_ref().take(10).collect());
        rig.pass(Duration::from_millis(5));
    }
    let groups = rig.take_groups();
    assert_eq!(groups.len(), 4);
    (rig, groups)
}

fn four_on_their_way() -> (Rig, Vec<Group>) {
    four_on_their_way_of(1)
}

/// How many groups are on their way, again and again, when each time the oldest of them is answered after so long.
fn groups_at_once(rig: &mut Rig, answer_takes: Duration) -> Vec<usize> {
    let mut sent = VecDeque::new();
    let mut at_once = Vec::new();
    for _ in 0..12 {
        rig.pass(Duration::from_millis(5));
        sent.extend(rig.take_groups());
        at_once.push(sent.len());
        rig.pass(answer_takes);
        rig.answer_groups(sent.pop_front().into_iter().collect());
    }
    at_once
}

#[test]
fn after_an_outage_one_group_goes_out_and_one_more_whenever_all_of_them_were_answered() {
    let (mut rig, groups) = four_on_their_way();
    rig.store.set_down(true);
    rig.answer_groups(groups);
    come_back(&mut rig);
    let at_once = groups_at_once(&mut rig, Duration::from_millis(5));
    assert_eq!(at_once, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4]);
}

#[test]
fn a_store_that_is_slow_has_fewer_groups_at_once_and_as_many_as_before_when_it_is_quick_again() {
    let slow = Limits::default().store_slow;
    let (mut rig, groups) = four_on_their_way();
    // They went out within these.
    rig.pass(slow - Duration::from_millis(20));
    rig.answer_groups(groups);
    rig.pass(Duration::from_millis(5));
    let groups = rig.take_groups();
    assert_eq!(groups.len(), 4, "in time, if only just");
    rig.pass(slow + Duration::from_millis(1));
    let (mut more, mut last) = (Vec::new(), Vec::new());
    for group in groups {
        rig.answer_groups(vec![group]);
        rig.pass(Duration::from_millis(5));
        last = rig.take_groups();
        more.push(last.len());
    }
    // Three may be out, and three are; then two, and so on; the last of them makes room for one.
    assert_eq!(more, [0, 0, 0, 1]);
    rig.answer_groups(last);
    assert_eq!(groups_at_once(&mut rig, slow)[2..], [1; 10], "one goes out, however slow");
    let quick = groups_at_once(&mut rig, Duration::from_millis(5));
    assert_eq!(quick[..8], [1, 2, 2, 3, 3, 3, 4, 4]);
}

#[test]
fn an_answer_that_an_outage_held_up_makes_no_store_slow_that_is_back() {
    let (mut rig, mut old) = four_on_their_way();
    rig.store.set_down(true);
    rig.answer_groups(vec![old.remove(0)]);
    rig.pass(Limits::default().store_slow);
    come_back(&mut rig);
    // One answer for the second group at once, two for the third; beside the three from before only one is out.
    for _ in 0..3 {
        rig.pass(Duration::from_millis(5));
        assert_eq!(rig.answer_stores(), 1);
    }
    rig.answer_groups(old);
    rig.pass(Duration::from_millis(5));
    assert_eq!(rig.take_groups().len(), 3);
}

/// Else a part of the store that is away would slow down all that has nothing to do with it.
#[test]
fn an_entry_without_an_answer_makes_no_store_slow() {
    let (mut rig, groups) = four_on_their_way_of(2);
    rig.store.leave_unanswered(&["e0", "e2", "e4", "e6"]);
    rig.pass(Limits::default().store_slow * 2);
    rig.answer_groups(groups);
    rig.pass(Duration::from_millis(5));
    assert_eq!(rig.take_groups().len(), 4);
}

#[test]
fn what_was_on_its_way_before_an_outage_neither_holds_up_what_follows_nor_begins_another() {
    let (mut rig, mut old) = four_on_their_way();
    rig.store.set_down(true);
    rig.answer_groups(vec![old.remove(0)]);
    come_back(&mut rig);
    rig.pass(Duration::from_millis(5));
    let fresh = rig.take_groups();
    assert_eq!(fresh.len(), 1, "three have no answer yet");

    let downs = |rig: &mut Rig| rig.notes().iter().filter(|note| matches!(note, Note::StoreDown { .. })).count();
    assert_eq!(downs(&mut rig), 1);
    rig.store.set_down(true);
    rig.answer_groups(old);
    assert_eq!((downs(&mut rig), rig.core.status().store), (0, Some(Ok(()))));
    rig.answer_groups(fresh);
    assert_eq!(downs(&mut rig), 1, "this one tells");
}

#[test]
fn leases_are_kept_through_an_outage() {
    let mut rig = in_an_outage(10);
    let mut extended = 0;
    for _ in 0..600 {
        rig.pass(SECOND);
        rig.answer_pings();
        rig.answer_stores();
        extended += rig.extend_all();
    }
    assert!(extended >= 10 * 18, "{extended} extensions in ten minutes");
    assert!(rig.releases().is_empty());
}

#[test]
fn entries_whose_fate_is_unknown_are_stored_again_and_once() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(3));
    rig.store.set_unknown(true);
    rig.store();
    assert!(rig.deletes().is_empty(), "stored or not: nobody knows");
    rig.store.set_unknown(false);
    for _ in 0..10 {
        rig.pass(SECOND);
        rig.answer_stores();
    }
    assert_eq!(rig.delete_all(), 3);
    assert_eq!(rig.store.rows().len(), 3);
}

/// Ten minutes of outage that end with a fleet giving back what it held for as long as may be.
fn give_back_and_receive_again(rig: &mut Rig, waiting: CallId, count: usize) {
    while rig.releases_held() < count {
        rig.pass(SECOND);
        rig.answer_pings();
        rig.answer_stores();
        rig.extend_all();
    }
    rig.receive(waiting, (0..count).map(|n| message(&format!("m{n}"), &format!("e{n}"), 2)).collect());
    for (call, ids) in rig.releases() {
        rig.answer(call, vec![Ok(()); ids.len()]);
    }
}

#[test]
fn what_is_given_back_and_comes_straight_here_again_is_in_a_group_once() {
    let mut rig = Rig::new(Limits { hold_max: SECOND * 600, ..limits() });
    rig.receive_next(messages(3));
    let waiting = rig.receives()[0];
    rig.store.set_down(true);
    rig.store();
    give_back_and_receive_again(&mut rig, waiting, 3);
    rig.store.set_down(false);
    let mut stored = Vec::new();
    for _ in 0..10 {
        rig.pass(SECOND);
        rig.answer_pings();
        stored.extend(rig.groups());
        rig.answer_stores();
    }
    stored.sort();
    assert_eq!(stored, ["e0", "e1", "e2"]);
    assert_eq!(rig.delete_all(), 3);
}

#[test]
fn the_outcome_of_one_message_is_never_taken_for_that_of_the_next() {
    let mut rig = Rig::new(Limits { hold_max: SECOND * 600, ..limits() });
    rig.receive_next(messages(1));
    let waiting = rig.receives()[0];
    rig.pass(SECOND);
    let first = rig.take_groups();
    // Ten minutes without an answer: it is given back, comes straight here again, and goes into a second group.
    give_back_and_receive_again(&mut rig, waiting, 1);
    rig.receive_next(vec![message("other", "e7", 1)]);
    rig.pass(SECOND);
    let second = rig.take_groups();
    assert_eq!(second[0].1.len(), 2);
    rig.answer_groups(first);
    rig.store.leave_unanswered(&["e7"]);
    rig.answer_groups(second);
    assert_eq!(rig.delete_all(), 1, "e7 is not durable");
    assert!(!rig.store.has("e7"));
}

#[test]
fn a_store_that_fails_for_some_entries_is_no_outage() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["e1"]);
    rig.receive_next(messages(3));
    rig.store();
    assert_eq!(rig.core.status().store, Some(Ok(())));
    assert!(rig.core.pollers() >= 1);
    rig.pass(SECOND * 60);
    assert!(rig.store.appends() < 100);
}

#[test]
fn a_call_that_nobody_answers_is_an_unknown_outcome() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 1)]);
    rig.pass(SECOND);
    let call = rig.take(|action| if let Action::Store { call, .. } = action { Some(*call) } else { None })[0];
    rig.tell(Input::Lost { call });
    assert_eq!(rig.core.books().pending, 1);
    rig.pass(SECOND * 5);
    rig.answer_pings();
    assert_eq!(rig.answer_stores(), 1);
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn one_message_that_is_never_answered_keeps_a_store_that_works_from_nobody() {
    for kind in [QueueKind::Standard, QueueKind::Fifo] {
        let mut rig = Rig::new(Limits { kind, ..limits() });
        rig.store.leave_unanswered(&["e0"]);
        let of = |n: usize| Message { group_id: Some(n.to_string()), ..message(&format!("m{n}"), &format!("e{n}"), 1) };
        // Nothing else is held: its write is the only sign of life, and there is none.
        rig.receive_next(vec![of(0)]);
        rig.store();
        assert!(rig.core.status().store.is_some_and(|status| status.is_err()), "it might be an outage");
        rig.receive_nothing();
        let mut next = 1;
        for _ in 0..120 {
            rig.pass(SECOND);
            rig.answer_pings();
            rig.answer_stores();
            rig.extend_all();
            rig.delete_all();
            for call in rig.receives() {
                rig.receive(call, vec![of(next)]);
                next += 1;
            }
        }
        assert!(rig.core.books().deleted > 80, "{kind:?}: {:?}", rig.core.books());
        assert_eq!(rig.core.status().store, Some(Ok(())), "{kind:?}");
        assert!(!rig.store.has("e0"));
    }
}

#[test]
fn a_store_that_answers_pings_and_stores_nothing_is_still_down_and_little_is_taken_in() {
    let mut rig = Rig::new(limits());
    let ids: Vec<String> = (0..2_000).map(|n| format!("e{n}")).collect();
    rig.store.leave_unanswered(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut next = 0;
    for _ in 0..600 {
        rig.pass(SECOND);
        rig.answer_pings();
        rig.answer_stores();
        rig.extend_all();
        for call in rig.receives() {
            rig.receive(call, (next..next + 10).map(|n| message(&format!("m{n}"), &format!("e{n}"), 1)).collect());
            next += 10;
        }
    }
    assert!(next <= 300, "{next} messages taken in ten minutes");
    assert_eq!(rig.core.books().in_flight, next as u64, "no message is to blame");
}

#[test]
fn groups_close_by_number_and_by_time() {
    let mut rig = Rig::new(Limits { group_entries_max: 4, groups_max: 2, ..limits() });
    rig.receive_next(messages(10));
    let sizes = |rig: &Rig| -> Vec<usize> {
        rig.actions
            .iter()
            .filter_map(|action| if let Action::Store { entries, .. } = action { Some(entries.len()) } else { None })
            .collect()
    };
    assert_eq!(sizes(&rig), [4, 4], "full groups close at once, as many as may be out");
    rig.pass(SECOND);
    assert_eq!(sizes(&rig), [4, 4]);
    rig.answer_stores();
    rig.pass(SECOND);
    assert_eq!(sizes(&rig), [2], "the rest by time");
}

#[test]
fn groups_close_by_bytes() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.pass(SECOND);
    let weight = rig.take_groups()[0].1[0].weight_bytes();
    let mut rig = Rig::new(Limits { group_bytes_max: 2 * weight, ..limits() });
    rig.receive_next(messages(10));
    let sizes: Vec<usize> = rig.take_groups().iter().map(|(_, entries)| entries.len()).collect();
    assert_eq!(sizes, [2, 2, 2, 2, 2]);
}

#[test]
fn a_ping_that_nobody_answers_is_one_that_failed() {
    let mut rig = Rig::unproven(limits());
    let pings = |rig: &mut Rig| rig.take(|action| if let Action::Ping { call } = action { Some(*call) } else { None });
    let call = pings(&mut rig)[0];
    rig.tell(Input::Lost { call });
    assert!(rig.core.status().store.is_some_and(|status| status.is_err()));
    rig.pass(SECOND * 5);
    assert_eq!(pings(&mut rig).len(), 1);
}

#[test]
fn what_is_on_its_way_back_is_not_stored_again() {
    let mut rig = Rig::new(Limits { lease: SECOND * 20, hold_max: SECOND * 40, ..limits() });
    rig.receive_next(messages(1));
    while rig.releases_held() == 0 {
        rig.pass(SECOND);
        rig.extend_all();
    }
    rig.store.set_down(true);
    assert_eq!(rig.answer_stores(), 1);
    rig.pass(SECOND * 10);
    assert!(rig.groups().is_empty(), "it is somebody else's by now");
}

#[test]
fn what_waits_to_be_tried_again_and_is_given_back_meanwhile_is_not_tried_again() {
    let mut rig = Rig::new(Limits { lease: SECOND * 20, hold_max: SECOND * 40, ..limits() });
    rig.store.leave_unanswered(&["e0"]);
    rig.receive_next(messages(2));
    while rig.releases_held() == 0 {
        rig.pass(SECOND / 10);
        rig.answer_stores();
        rig.extend_all();
    }
    rig.pass(SECOND * 10);
    assert!(rig.groups().is_empty(), "it is somebody else's by now");
}

#[test]
fn an_outage_is_noticed_though_one_that_failed_before_is_among_those_that_fail() {
    let mut rig = Rig::new(Limits { group_linger: SECOND * 2, ..limits() });
    rig.store.leave_unanswered(&["e0"]);
    rig.receive_next(messages(2));
    rig.pass(SECOND * 2);
    rig.answer_stores();
    rig.store.set_down(true);
    rig.pass(SECOND);
    rig.receive_next(vec![message("m2", "e2", 1)]);
    rig.pass(SECOND * 2);
    assert_eq!(rig.groups(), ["e0", "e2"]);
    assert_eq!(rig.core.status().store, Some(Ok(())));
    rig.answer_stores();
    assert!(rig.core.status().store.is_some_and(|status| status.is_err()));
}

#[test]
fn what_became_durable_is_not_stored_again_when_a_later_group_of_it_goes_unanswered() {
    let mut rig = Rig::new(Limits { hold_max: SECOND * 600, ..limits() });
    rig.receive_next(messages(1));
    let waiting = rig.receives()[0];
    rig.pass(SECOND);
    let first = rig.take_groups();
    give_back_and_receive_again(&mut rig, waiting, 1);
    rig.pass(SECOND);
    let second = rig.take_groups();
    rig.answer_groups(first);
    rig.store.set_down(true);
    rig.answer_groups(second);
    assert_eq!(rig.delete_all(), 1);
    assert_eq!(rig.core.books().in_flight, 0);
}

#[test]
fn what_became_durable_while_it_waits_for_a_group_is_in_none_and_makes_none_fuller() {
    let mut rig = Rig::new(Limits { hold_max: SECOND * 600, group_entries_max: 2, ..limits() });
    rig.receive_next(messages(1));
    let waiting = rig.receives()[0];
    rig.pass(SECOND);
    let first = rig.take_groups();
    give_back_and_receive_again(&mut rig, waiting, 1);
    rig.answer_groups(first);
    rig.pass(SECOND);
    assert!(rig.groups().is_empty());
    assert_eq!(rig.delete_all(), 1);
    rig.receive_next(vec![message("m1", "e1", 1)]);
    assert!(rig.groups().is_empty(), "it waits for company");
    rig.receive_next(vec![message("m2", "e2", 1)]);
    assert_eq!(rig.groups(), ["e1", "e2"]);
}

#[test]
fn one_that_failed_before_is_no_probe_while_another_waits() {
    let mut rig = Rig::new(Limits { group_entries_max: 2, groups_max: 1, ..limits() });
    rig.store.leave_unanswered(&["e0"]);
    rig.receive_next(messages(2));
    rig.answer_stores();
    rig.receive_next(vec![message("m2", "e2", 1), message("m3", "e3", 1)]);
    rig.pass(SECOND);
    // e0 is to be tried again, and is first of those that wait.
    rig.store.set_down(true);
    rig.answer_stores();
    rig.pass(SECOND);
    assert_eq!(rig.groups(), ["e2"]);
}
