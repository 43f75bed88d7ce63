//! What cannot be stored.

use std::sync::Arc;

use afterimage_consumer::dead_letter::{
    self, ATTRIBUTES_MAX, DETAIL, DeadLetter, DeadLettered, FAILED_EVENTS, ORIGIN, PLACE, REASON, WORKER,
};
use afterimage_consumer::{
    Action, Arrival, Attribute, CallId, Input, ItemError, Limits, MESSAGE_BYTES_MAX, Message, Note, Processed,
    Rejection,
};

use super::{SECOND, limits, messages};
use crate::fakes::{Faults, SimQueue, message, now_or_never};
use crate::rig::{Rig, unreachable_queue};

fn value<'a>(letter: &'a DeadLetter, name: &str) -> Option<&'a str> {
    letter.attributes().iter().find(|attribute| attribute.name == name).and_then(Attribute::as_text)
}

/// The letter of a message that is refused as a whole.
fn letter_of(message: Message, reason: &str) -> DeadLetter {
    let mut rig = Rig::new(Limits { worker: "w7".to_owned(), ..limits() });
    let call = rig.receives()[0];
    let rejection =
        Rejection { event_index: None, code: "not_json", reason: reason.to_owned(), place: "byte 17".to_owned() };
    let processed = Processed { rejections: vec![rejection], ..Processed::default() };
    let arrival = Arrival { message: Arc::new(message), processed: Some(processed), room: None };
    rig.tell(Input::Received { call, leased_at: rig.now, result: Ok(vec![arrival]) });
    rig.send_letters().remove(0)
}

#[test]
fn poison_is_sent_to_the_dead_letters_first_and_then_deleted() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("bad", "!e1", 1), message("good", "e2", 1)]);
    rig.store();
    assert_eq!(rig.delete_all(), 1, "the good one does not wait for the bad one");
    let letters = rig.send_letters();
    assert_eq!(letters.iter().map(DeadLetter::body).collect::<Vec<_>>(), ["!e1"]);
    assert_eq!(rig.delete_all(), 1);
    assert_eq!((rig.core.books().dead_lettered, rig.core.books().rejected, rig.core.books().deleted), (1, 1, 2));
}

#[test]
fn poison_is_not_deleted_while_the_dead_letters_do_not_answer() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("bad", "!e1", 1)]);
    for _ in 0..20 {
        rig.pass(SECOND);
        for call in rig.take(|action| if let Action::DeadLetter { call, .. } = action { Some(*call) } else { None }) {
            rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
        }
        rig.extend_all();
    }
    assert!(rig.deletes().is_empty());
    rig.pass(SECOND * 5);
    assert_eq!(rig.send_letters().len(), 1);
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn the_good_events_of_a_bad_message_are_stored_before_it_is_dead_lettered_with_the_failed_ones_named() {
    let mut rig = Rig::new(limits());
    rig.store.refuse("e3");
    rig.receive_next(vec![message("m", "e0 !e1 e2 e3 =e4", 1)]);
    assert!(rig.send_letters().is_empty(), "first stored");
    rig.store();
    let letters = rig.send_letters();
    assert!(rig.store.has("e0") && rig.store.has("e2"));
    assert_eq!(value(&letters[0], FAILED_EVENTS), Some("1,3"));
    let books = *rig.core.books();
    assert_eq!((books.decoded, books.stored, books.rejected, books.unchanged), (5, 2, 2, 1));
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn an_entry_that_the_store_will_never_take_is_a_dead_letter_and_no_outage() {
    let mut rig = Rig::new(limits());
    rig.store.refuse("e0");
    rig.receive_next(messages(1));
    rig.store();
    assert_eq!(rig.core.status().store, Some(Ok(())));
    assert_eq!(value(&rig.send_letters()[0], REASON), Some("store_refused"));
}

#[test]
fn without_a_dead_letter_queue_poison_is_left_to_the_redrive_policy_and_counted_once() {
    let mut rig = Rig::new(Limits { has_dead_letter_queue: false, ..limits() });
    let mut arrivals = messages(9);
    arrivals.push(message("bad", "!x", 1));
    rig.receive_next(arrivals);
    assert_eq!((rig.core.books().released, rig.core.books().in_flight), (1, 9));
    assert!(rig.notes().iter().any(|note| matches!(note, Note::LeftToRedrive { code: "unknown_shape", .. })));
    rig.store();
    assert_eq!(rig.delete_all(), 9);
    // Neither deleted nor given back at once: it would only come straight back.
    assert!(rig.releases().is_empty() && rig.send_letters().is_empty());
    rig.pass(SECOND * 300);
    assert_eq!((rig.core.books().released, rig.core.books().lease_lost), (1, 0));
}

#[test]
fn much_poison_does_not_keep_good_messages_out_when_the_dead_letters_are_down() {
    let mut rig = Rig::new(Limits { messages_max: 100, ..limits() });
    let mut n = 0;
    for _ in 0..400 {
        for call in rig.receives() {
            let mut batch: Vec<Message> =
                (0..9).map(|k| message(&format!("bad{n}-{k}"), &format!("!e{n}-{k}"), 1)).collect();
            batch.push(message(&format!("good{n}"), &format!("g{n}"), 1));
            rig.receive(call, batch);
            n += 1;
        }
        for call in rig.take(|action| if let Action::DeadLetter { call, .. } = action { Some(*call) } else { None }) {
            rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
        }
        rig.store();
        rig.delete_all();
        rig.extend_all();
    }
    assert!(rig.core.books().stored > 200, "{:?}", rig.core.books());
    // When the dead letters are back, that is noticed.
    rig.pass(SECOND * 5);
    assert!(!rig.send_letters().is_empty());
    let before = rig.core.books().dead_lettered;
    rig.receive_next(vec![message("bad-again", "!again", 1)]);
    assert!(rig.send_letters().iter().any(|letter| letter.body() == "!again"));
    assert!(rig.core.books().dead_lettered > before);
}

#[test]
fn a_letter_keeps_body_and_attributes_and_adds_reason_place_origin_and_worker() {
    let mut poison = message("m-1", "{broken", 3);
    poison.attributes.push(Attribute::text("traceparent", "00-1"));
    let letter = letter_of(poison, "expected `:` after a key");
    assert_eq!(letter.body(), "{broken");
    assert_eq!(value(&letter, "traceparent"), Some("00-1"));
    assert_eq!(value(&letter, REASON), Some("not_json"));
    assert_eq!(value(&letter, PLACE), Some("byte 17"));
    assert_eq!(value(&letter, DETAIL), Some("expected `:` after a key"));
    assert_eq!(value(&letter, WORKER), Some("w7"));
    assert!(value(&letter, ORIGIN).is_some_and(|origin| origin.contains("m-1")));
}

#[test]
fn a_letter_that_failed_again_keeps_its_first_origin_and_its_newest_reason() {
    let first = letter_of(message("m-1", "x", 1), "first");
    let mut again = message("m-2", "x", 1);
    again.attributes = first.attributes().to_vec();
    let second = letter_of(again, "second");
    assert_eq!(value(&second, ORIGIN), value(&first, ORIGIN));
    assert_eq!(value(&second, DETAIL), Some("second"));
    assert_eq!(second.attributes().len(), first.attributes().len());
}

#[test]
fn a_letter_never_bursts_the_number_of_attributes() {
    let mut poison = message("m", "x", 1);
    poison.attributes = (0..10).map(|n| Attribute::text(format!("a{n}"), "v")).collect();
    let letter = letter_of(poison, "text");
    assert_eq!(letter.attributes().len(), ATTRIBUTES_MAX);
    assert!(value(&letter, ORIGIN).is_some() && value(&letter, REASON).is_some());
}

#[test]
fn a_letter_never_bursts_the_size_and_is_shortened_to_a_code() {
    for spare in [0, 3, 40, 200, 400, 2000] {
        let body = "x".repeat(MESSAGE_BYTES_MAX - spare);
        let letter = letter_of(message("m", &body, 1), &"why ".repeat(1000));
        assert!(letter.len_bytes() <= MESSAGE_BYTES_MAX, "{spare} bytes to spare");
        assert_eq!(letter.body().len(), body.len());
        if spare >= 200 {
            assert_eq!(value(&letter, REASON), Some("not_json"), "{spare} bytes to spare");
        }
    }
}

#[test]
fn letters_go_in_batches_that_keep_within_the_size_of_a_request() {
    let mut rig = Rig::new(limits());
    let large = format!("!x\t{}", "y".repeat(600 << 10));
    rig.receive_next((0..4).map(|n| message(&format!("m{n}"), &large, 1)).collect());
    let batches = rig.take(|action| match action {
        Action::DeadLetter { letters, .. } => Some(letters.iter().map(DeadLetter::len_bytes).sum::<usize>()),
        _ => None,
    });
    assert_eq!(batches.len(), 4);
    assert!(batches.iter().all(|bytes| *bytes <= MESSAGE_BYTES_MAX));
}

/// The calls for dead letters that are not answered.
fn letters_out(rig: &mut Rig) -> Vec<(CallId, Vec<DeadLetter>)> {
    rig.take(|action| match action {
        Action::DeadLetter { call, letters } => Some((*call, letters.clone())),
        _ => None,
    })
}

fn poison(name: &str, count: usize) -> Vec<Message> {
    (0..count).map(|n| message(&format!("{name}{n}"), "!x", 1)).collect()
}

/// What a dead-letter queue answers that takes the first of these letters, and of the others none: not now, or never.
fn first_taken(queue: &SimQueue, letters: &[DeadLetter], is_final: bool) -> Vec<Result<DeadLettered, ItemError>> {
    let mut items = now_or_never(dead_letter::send(queue, letters)).unwrap();
    items[1..].fill_with(|| Err(ItemError { code: "InternalError".to_owned(), is_final }));
    items
}

#[test]
fn letters_that_are_tried_again_are_told_once_for_each_call() {
    let mut rig = Rig::new(limits());
    rig.receive_next(poison("m", 3));
    rig.notes();
    let (call, _) = letters_out(&mut rig).remove(0);
    rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
    let retried = Note::Retried { operation: "dead_letter", code: "Unreachable".to_owned(), items: 3 };
    assert_eq!(rig.notes(), [retried]);
}

#[test]
fn dead_letters_of_which_some_are_taken_work_and_none_is_left_to_the_redrive_policy() {
    let mut rig = Rig::new(Limits { messages_max: 20, ..limits() });
    rig.receive_next(poison("m", 10));
    let queue = SimQueue::new(0, Faults::default());
    for _ in 0..100 {
        for (call, letters) in letters_out(&mut rig) {
            rig.tell(Input::DeadLettered { call, result: Ok(first_taken(&queue, &letters, false)) });
        }
        rig.delete_all();
        rig.extend_all();
        rig.pass(SECOND);
    }
    let books = *rig.core.books();
    assert_eq!((books.dead_lettered, books.deleted, books.released), (10, 10, 0));
}

#[test]
fn what_is_on_its_way_back_is_not_deleted_when_its_letter_turns_out_to_be_kept() {
    let mut rig = Rig::new(Limits { grace: SECOND * 20, ..limits() });
    rig.receive_next(vec![message("m", "!x", 1)]);
    rig.tell(Input::Stop);
    rig.pass(SECOND * 16);
    assert_eq!(rig.releases_held(), 1);
    assert_eq!(rig.send_letters().len(), 1);
    assert!(rig.deletes().is_empty(), "it is somebody else's by now");
    assert_eq!(rig.release_all(), ["m"]);
    assert_eq!((rig.core.books().dead_lettered, rig.core.books().released), (1, 1));
}

#[test]
fn a_letter_that_the_dead_letters_refuse_for_good_is_left_to_the_redrive_policy() {
    let mut rig = Rig::new(limits());
    rig.receive_next(poison("m", 2));
    let (call, letters) = letters_out(&mut rig).remove(0);
    let queue = SimQueue::new(0, Faults::default());
    rig.tell(Input::DeadLettered { call, result: Ok(first_taken(&queue, &letters, true)) });
    let notes = rig.notes();
    assert!(matches!(&notes[0], Note::DeadLettered { message_id, code: "unknown_shape" } if &**message_id == "m0"));
    assert!(matches!(&notes[1], Note::LeftToRedrive { message_id, .. } if &**message_id == "m1"), "{notes:?}");
    assert_eq!(rig.delete_all(), 1);
    assert_eq!((rig.core.books().released, rig.core.books().in_flight), (1, 0));
}

#[test]
fn dead_letters_that_work_again_are_not_given_up_for_what_failed_before() {
    let mut rig = Rig::new(Limits { messages_max: 40, ..limits() });
    rig.receive_next(poison("before", 10));
    let fail = |rig: &mut Rig| {
        for (call, _) in letters_out(rig) {
            rig.tell(Input::DeadLettered { call, result: Err(unreachable_queue()) });
        }
    };
    fail(&mut rig);
    rig.pass(SECOND);
    let (call, letters) = letters_out(&mut rig).remove(0);
    let queue = SimQueue::new(0, Faults::default());
    rig.tell(Input::DeadLettered { call, result: Ok(first_taken(&queue, &letters, false)) });
    rig.receive_next(poison("after", 5));
    fail(&mut rig);
    assert_eq!(rig.core.books().released, 0, "ten of forty were too many, and these are fewer");
}
