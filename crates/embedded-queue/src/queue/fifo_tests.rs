//! The laws of FIFO queues.

use super::tests::{queue, receive, send, try_send};
use super::*;

const FIFO: &[(&str, &str)] = &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
const MINUTE: Millis = 60_000;

fn json(group: &str, body: &str) -> String {
    format!(r#"{{"MessageBody":"{body}","MessageGroupId":"{group}"}}"#)
}

/// Messages `a1`, `a2`, `b1` of groups `a` and `b`, and so on: the first letter is the group.
fn filled(names: &[&str]) -> Queue {
    let mut queue = queue(FIFO);
    for name in names {
        send(&mut queue, 0, &json(&name[..1], name));
    }
    queue
}

fn names(received: &[Received]) -> Vec<String> {
    received.iter().map(|received| received.message.body.get().trim_matches('"').to_owned()).collect()
}

#[test]
fn one_receive_takes_a_group_in_order_then_the_next_group() {
    let mut queue = filled(&["a1", "b1", "a2", "a3"]);
    assert_eq!(names(&receive(&mut queue, 0, 3, MINUTE)), ["a1", "a2", "a3"]);
    assert_eq!(names(&receive(&mut queue, 0, 10, MINUTE)), ["b1"]);
}

#[test]
fn a_group_waits_until_every_message_before_is_deleted() {
    let mut queue = filled(&["a1", "a2", "a3", "b1"]);
    let first = receive(&mut queue, 0, 2, MINUTE);
    send(&mut queue, 0, &json("a", "a4"));
    assert_eq!(names(&receive(&mut queue, 0, 10, MINUTE)), ["b1"]);
    queue.delete(0, first[0].handle).unwrap();
    assert!(receive(&mut queue, 0, 10, MINUTE).is_empty(), "a2 is still in flight");
    assert_eq!(queue.counts(0), Counts { visible: 2, in_flight: 2, delayed: 0 }, "waiting ones count as visible");
    queue.delete(0, first[1].handle).unwrap();
    assert_eq!(names(&receive(&mut queue, 0, 10, MINUTE)), ["a3", "a4"]);
}

#[test]
fn what_comes_back_stands_before_its_successors() {
    let mut queue = filled(&["a1", "a2", "a3"]);
    receive(&mut queue, 0, 2, MINUTE);
    assert_eq!(names(&receive(&mut queue, MINUTE, 10, MINUTE)), ["a1", "a2", "a3"]);
}

#[test]
fn one_in_flight_holds_those_behind_it_and_not_those_before_it() {
    for (held, free) in [(0, &[][..]), (1, &["a1"][..]), (2, &["a1", "a2"][..])] {
        let mut queue = filled(&["a1", "a2", "a3", "a4"]);
        let received = receive(&mut queue, 0, 3, MINUTE);
        queue.change_visibility(0, received[held].handle, 10 * MINUTE).unwrap();
        assert_eq!(names(&receive(&mut queue, MINUTE, 10, MINUTE)), free, "{held} is held");
    }
}

#[test]
fn a_message_given_back_is_received_behind_other_groups() {
    let mut queue = filled(&["a1", "a2", "b1"]);
    let received = receive(&mut queue, 0, 2, MINUTE);
    queue.change_visibility(0, received[0].handle, 0).unwrap();
    assert_eq!(names(&receive(&mut queue, 0, 10, MINUTE)), ["b1", "a1"], "and a2 is in flight");
}

#[test]
fn a_time_out_of_zero_keeps_the_order_of_groups_and_starves_none() {
    let mut queue = filled(&["a1", "b1", "b2", "c1", "a2"]);
    assert_eq!(names(&receive(&mut queue, 0, 3, 0)), ["a1", "a2", "b1"]);
    assert_eq!(names(&receive(&mut queue, 0, 10, 0)), ["c1", "a1", "a2", "b1", "b2"]);
}

#[test]
fn a_duplicate_of_the_last_five_minutes_answers_with_the_original_even_when_that_is_deleted() {
    let mut queue = filled(&[]);
    let original = send(&mut queue, 0, &json("a", "x"));
    let handle = receive(&mut queue, 0, 1, MINUTE)[0].handle;
    queue.delete(0, handle).unwrap();
    assert_eq!(send(&mut queue, 5 * MINUTE - 1, &json("b", "x")), original, "whatever its group");
    assert_eq!(queue.counts(0), Counts { visible: 0, in_flight: 0, delayed: 0 });
    let next = send(&mut queue, 5 * MINUTE, &json("a", "x"));
    assert!(next.id != original.id && next.sequence > original.sequence);
    assert_eq!(queue.counts(0).visible, 1);
    queue.purge();
    assert_ne!(send(&mut queue, 5 * MINUTE, &json("a", "x")), next, "a purge forgets ids too");
}

#[test]
fn an_explicit_deduplication_id_stands_above_the_body() {
    let mut queue = filled(&[]);
    let original = send(&mut queue, 0, &json("a", "x"));
    // SHA-256 of "x", by sha256sum.
    let sum = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let repeated = format!(r#"{{"MessageBody":"y","MessageGroupId":"a","MessageDeduplicationId":"{sum}"}}"#);
    assert_eq!(send(&mut queue, 0, &repeated), original);
    let other = r#"{"MessageBody":"x","MessageGroupId":"a","MessageDeduplicationId":"1"}"#;
    assert_ne!(send(&mut queue, 0, other), original);
}

#[test]
fn the_scope_of_deduplication_is_settled_at_creation() {
    let mut per_group = queue(&[FIFO, &[("DeduplicationScope", "messageGroup")]].concat());
    let mut settings = per_group.settings().clone();
    settings.set([("DeduplicationScope".to_owned(), "queue".to_owned())].into()).unwrap();
    per_group.set(settings);
    let original = send(&mut per_group, 0, &json("a", "x"));
    assert_ne!(send(&mut per_group, 0, &json("b", "x")), original);
    assert_eq!(send(&mut per_group, 0, &json("a", "x")), original);
}

#[test]
fn deduplication_ids_are_bounded_in_bytes_and_forgotten_in_time() {
    let mut queue = queue(FIFO);
    queue.memory = Memory::new(100_000);
    let mut sent = 0;
    while try_send(&mut queue, 0, &json("a", &sent.to_string())).is_ok() {
        sent += 1;
        for received in receive(&mut queue, 0, 10, MINUTE) {
            queue.delete(0, received.handle).unwrap();
        }
    }
    assert!((100..1_000).contains(&sent), "{sent}");
    assert!(matches!(try_send(&mut queue, 0, &json("a", "more")), Err(Error::RequestThrottled)));
    send(&mut queue, 5 * MINUTE, &json("a", "more"));
}

#[test]
fn sequence_numbers_rise_with_twenty_digits_even_in_the_next_queue_of_the_name() {
    let now = 1_800_000_000_000;
    let mut numbers = Vec::new();
    for start in [now, now + 1] {
        let mut queue = filled(&[]);
        numbers
            .extend((0..3).map(|n| send(&mut queue, start, &json("a", &n.to_string())).sequence.unwrap().to_string()));
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(numbers.iter().all(|number| number.len() == 20), "{numbers:?}");
}

#[test]
fn an_expired_handle_neither_deletes_nor_changes() {
    let mut queue = filled(&["a1"]);
    let old = receive(&mut queue, 0, 1, MINUTE)[0].handle;
    assert!(matches!(queue.delete(MINUTE, old), Err(Error::InvalidParameterValue(_))), "visible again");
    assert!(queue.change_visibility(MINUTE, old, 1).is_err());
    let new = receive(&mut queue, MINUTE, 1, MINUTE)[0].handle;
    assert!(matches!(queue.delete(MINUTE, old), Err(Error::InvalidParameterValue(_))), "received again");
    queue.delete(MINUTE, new).unwrap();
    queue.delete(MINUTE, new).unwrap();
    assert_eq!(queue.counts(MINUTE), Counts { visible: 0, in_flight: 0, delayed: 0 });
}

#[test]
fn a_receive_is_repeated_by_its_attempt_id_until_its_messages_change() {
    let mut queue = filled(&["a1", "a2", "b1"]);
    let mut attempt = |now, id| {
        let ask = Ask { count: 2, timeout: MINUTE, attempt: Some(id), ..Ask::default() };
        queue.receive(now, ask).unwrap().received.iter().map(|received| received.handle).collect::<Vec<_>>()
    };
    let first = attempt(0, "1");
    assert_eq!(first.len(), 2);
    assert_eq!(attempt(30_000, "1"), first);
    let other = attempt(30_000, "2");
    assert_eq!(other.len(), 1);
    // Until 90 s: the repetition began the time-out anew.
    assert_eq!(attempt(89_999, "1"), first);
    queue.change_visibility(89_999, other[0], 2 * MINUTE).unwrap();
    let ask = Ask { count: 2, timeout: MINUTE, attempt: Some("2"), ..Ask::default() };
    assert!(queue.receive(90_000, ask).unwrap().received.is_empty(), "changed meanwhile");
    queue.delete(90_000, first[0]).unwrap();
    let ask = Ask { attempt: Some("1"), ..ask };
    assert!(queue.receive(90_000, ask).unwrap().received.is_empty(), "a1 is deleted, a2 in flight");
    let again = queue.receive(3 * MINUTE, ask).unwrap().received;
    assert_eq!(names(&again)[..1], ["a2"]);
    assert_ne!(again[0].handle, first[1]);
}

#[test]
fn only_the_queue_delays_and_for_messages_it_delays_already() {
    let attributes = [FIFO, &[("DelaySeconds", "60")]].concat();
    let mut queue = queue(&attributes);
    let delayed = |delay_s: u8| format!(r#"{{"MessageBody":"x","MessageGroupId":"a","DelaySeconds":{delay_s}}}"#);
    assert!(matches!(try_send(&mut queue, 0, &delayed(1)), Err(Error::InvalidParameterValue(_))));
    send(&mut queue, 0, &delayed(0));
    assert_eq!(queue.counts(MINUTE - 1).delayed, 1, "zero is the queue's delay");
    let mut settings = queue.settings().clone();
    settings.set([("DelaySeconds".to_owned(), "120".to_owned())].into()).unwrap();
    queue.set(settings);
    assert_eq!(queue.counts(2 * MINUTE - 1).delayed, 1);
    assert_eq!(queue.counts(2 * MINUTE).visible, 1);
}

#[test]
fn what_dies_keeps_its_group_and_takes_its_own_id_for_deduplication() {
    let mut queue = filled(&["a1", "a2"]);
    let source: Arc<str> = "arn".into();
    let ask = Ask { count: 10, timeout: 1_000, redrive: Some((1, &source)), ..Ask::default() };
    let first = queue.receive(0, Ask { count: 1, ..ask }).unwrap().received;
    let taken = queue.receive(1_000, ask).unwrap();
    assert_eq!(names(&taken.received), ["a2"], "its successor is free at once");
    let [(message, record)] = &taken.dead[..] else { panic!("one dies") };
    assert_eq!(message.group_id.as_deref(), Some("a"));
    assert_eq!(record.deduplication_id.as_deref(), Some(&first[0].record.id.to_string()[..]));
    assert_eq!((record.id, record.sent_at, record.receives), (first[0].record.id, 1_000, 1), "enqueued anew");
    assert_eq!(record.dead_letter_source.as_deref(), Some("arn"));
    assert_eq!(queue.counts(1_000), Counts { visible: 0, in_flight: 1, delayed: 0 });
}

#[test]
fn a_message_that_grew_too_old_no_longer_holds_its_group() {
    let mut queue = queue(&[FIFO, &[("MessageRetentionPeriod", "60")]].concat());
    send(&mut queue, 0, &json("a", "a1"));
    send(&mut queue, 1, &json("a", "a2"));
    receive(&mut queue, 1, 1, 10 * MINUTE);
    assert_eq!(queue.next_due(), Some(MINUTE));
    assert_eq!(names(&receive(&mut queue, MINUTE, 10, MINUTE)), ["a2"]);
}

#[test]
fn beyond_the_limit_in_flight_a_receive_is_empty_and_no_error() {
    let mut queue = filled(&["a1", "b1", "c1"]);
    queue.in_flight = IN_FLIGHT_MAX - 2;
    assert_eq!(names(&receive(&mut queue, 0, 10, MINUTE)), ["a1", "b1"]);
    assert!(receive(&mut queue, 0, 10, MINUTE).is_empty());
}

#[test]
fn a_message_needs_a_group_and_something_to_tell_duplicates_by() {
    let mut bare = queue(&FIFO[..1]);
    let refused = |queue: &mut Queue, json: &str| try_send(queue, 0, json).unwrap_err().names().0;
    assert_eq!(refused(&mut bare, r#"{"MessageBody":"x","MessageDeduplicationId":"1"}"#), "MissingParameter");
    assert_eq!(refused(&mut bare, &json("a", "x")), "InvalidParameterValue");
    let token =
        |token: &str| format!(r#"{{"MessageBody":"x","MessageGroupId":"{token}","MessageDeduplicationId":"1"}}"#);
    for bad in ["", "a b", "ü", &"a".repeat(129)] {
        assert_eq!(refused(&mut bare, &token(bad)), "InvalidParameterValue", "{bad:?}");
    }
    send(&mut bare, 0, &token(&"~".repeat(128)));
}

/// When a message is handed out, every earlier one of its group that is not deleted is handed out before it in the same
/// answer; and in the end all were.
#[test]
fn every_history_keeps_the_order_of_groups() {
    for seed in 0..200_u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            // Knuth's LCG: this needs no more.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut queue = filled(&[]);
        let (mut now, mut sent, mut handles) = (0, 0, Vec::new());
        // By group and place in it.
        let mut undeleted = BTreeSet::new();
        while sent < 60 || !undeleted.is_empty() {
            match next(4) {
                0 if sent < 60 => {
                    let group = next(4).to_string();
                    let sequence = send(&mut queue, now, &json(&group, &sent.to_string())).sequence.unwrap();
                    undeleted.insert((group, sequence));
                    sent += 1;
                }
                1 if !handles.is_empty() => {
                    // One of the latest: older ones have expired.
                    let at = handles.len() - 1 - next(handles.len().min(10) as u64) as usize;
                    let (handle, place) = handles.swap_remove(at);
                    match next(3) {
                        0 => drop(queue.change_visibility(now, handle, 1_000 * next(3))),
                        _ if queue.delete(now, handle).is_ok() => drop(undeleted.remove(&place)),
                        _ => {}
                    }
                }
                2 => now += next(2_000),
                _ => {
                    let mut answered = BTreeSet::new();
                    for received in receive(&mut queue, now, 1 + next(10) as usize, 1_000 * next(3)) {
                        let group = received.message.group_id.as_deref().unwrap().to_owned();
                        let place = (group.clone(), received.sequence.unwrap());
                        let mut earlier = undeleted.range((group, Sequence::default())..place.clone());
                        assert!(earlier.all(|earlier| answered.contains(earlier)), "seed {seed}: {place:?}");
                        answered.insert(place.clone());
                        handles.push((received.handle, place));
                    }
                }
            }
        }
        assert_eq!(queue.counts(now), Counts { visible: 0, in_flight: 0, delayed: 0 }, "seed {seed}");
    }
}

/// So a receive steps over ready groups only, and only over as many as it takes from.
#[test]
fn blocked_and_empty_groups_are_not_looked_at() {
    let mut queue = filled(&["a1", "a2", "b1", "b2", "c1"]);
    let ready = |queue: &Queue| match &queue.order {
        Order::Fifo(groups) => groups.sizes(),
        Order::Standard(_) => panic!("a FIFO queue"),
    };
    assert_eq!(ready(&queue), (3, 3));
    let received = receive(&mut queue, 0, 3, MINUTE);
    assert_eq!(ready(&queue), (3, 1), "a is in flight, b partly");
    queue.delete(0, received[0].handle).unwrap();
    queue.delete(0, received[1].handle).unwrap();
    assert_eq!(ready(&queue), (2, 1), "a is gone");
}
