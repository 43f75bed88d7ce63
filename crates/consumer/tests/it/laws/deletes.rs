//! Deletes.

use afterimage_consumer::Note;

use super::{SECOND, limits, messages};
use crate::fakes::message;
use crate::rig::{Rig, item_error};

fn ids(deletes: &[afterimage_consumer::Delete]) -> Vec<&str> {
    deletes.iter().map(|delete| &*delete.handle().message_id).collect()
}

#[test]
fn a_delete_that_failed_inside_a_good_answer_is_sent_again_alone() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.store();
    let (call, deletes) = rig.deletes().remove(0);
    let items = (0..10).map(|n| if n == 3 { item_error("InternalError", false) } else { Ok(()) }).collect();
    let failed = ids(&deletes)[3].to_owned();
    rig.answer(call, items);
    assert_eq!((rig.core.books().deleted, rig.core.books().in_flight), (9, 1));
    rig.pass(SECOND);
    let again = rig.deletes();
    assert_eq!(again.iter().map(|(_, deletes)| ids(deletes)).collect::<Vec<_>>(), [[failed]]);
    rig.answer(again[0].0, vec![Ok(())]);
    assert_eq!((rig.core.books().deleted, rig.core.books().in_flight), (10, 0));
}

#[test]
fn what_is_tried_again_is_told_once_for_each_call() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.store();
    rig.notes();
    let (call, _) = rig.deletes().remove(0);
    let failing = |n| if n < 3 { item_error("InternalError", false) } else { Ok(()) };
    rig.answer(call, (0..10).map(failing).collect());
    let retried = Note::Retried { operation: "delete", code: "InternalError".to_owned(), items: 3 };
    assert_eq!(rig.notes(), [retried]);
    assert_eq!(rig.core.books().delete_calls, 1);
}

#[test]
fn a_delete_waits_no_longer_for_those_that_come_after_it() {
    let mut rig = Rig::new(limits());
    for n in 0..4 {
        rig.receive_next(vec![message(&format!("m{n}"), &format!("e{n}"), 1)]);
        rig.pass(SECOND / 20);
        rig.answer_stores();
    }
    assert!(!rig.deletes_now().is_empty(), "the first was durable 150 ms ago");
}

#[test]
fn an_item_that_the_answer_leaves_out_is_not_deleted() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(2));
    rig.store();
    let (call, _) = rig.deletes().remove(0);
    rig.answer(call, vec![Ok(())]);
    assert_eq!((rig.core.books().deleted, rig.core.books().in_flight), (1, 1));
}

#[test]
fn a_retried_delete_carries_the_newest_handle() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 1)]);
    rig.store();
    let (call, _) = rig.deletes().remove(0);
    rig.receive_next(vec![message("m", "e", 2)]);
    rig.answer(call, vec![item_error("InternalError", false)]);
    rig.pass(SECOND);
    let again = rig.deletes();
    assert_eq!(&*again[0].1[0].handle().receipt, "m/2");
}

#[test]
fn a_delete_by_an_old_handle_counts_for_nothing_once_there_is_a_newer() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 1)]);
    rig.store();
    let (call, _) = rig.deletes().remove(0);
    rig.receive_next(vec![message("m", "e", 2)]);
    // "The request will succeed, but the message might not be deleted."
    rig.answer(call, vec![Ok(())]);
    assert_eq!(rig.core.books().deleted, 0);
    let again = rig.deletes();
    assert_eq!(&*again[0].1[0].handle().receipt, "m/2");
}

#[test]
fn no_message_is_twice_in_a_batch() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 1), message("m", "e", 2), message("n", "f", 1)]);
    rig.receive_next(vec![message("m", "e", 3)]);
    rig.store();
    let deletes = rig.deletes();
    assert_eq!(deletes.len(), 1);
    assert_eq!(ids(&deletes[0].1), ["m", "n"]);
    assert_eq!(&*deletes[0].1[0].handle().receipt, "m/3");
}

#[test]
fn a_batch_without_an_answer_is_sent_again_whole() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.store();
    let (call, _) = rig.deletes().remove(0);
    rig.fail(call);
    rig.pass(SECOND);
    // Deleting what is deleted already succeeds, so all ten may go again.
    assert_eq!(rig.delete_all(), 10);
    assert_eq!(rig.core.books().deleted, 10);
}

#[test]
fn an_ended_lease_is_counted_and_not_retried() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.store();
    let (call, _) = rig.deletes().remove(0);
    rig.answer(call, vec![item_error("ReceiptHandleIsInvalid", true)]);
    assert_eq!((rig.core.books().lease_lost, rig.core.books().in_flight), (1, 0));
    rig.pass(SECOND * 60);
    assert!(rig.deletes().is_empty());
}

#[test]
fn deletes_of_several_receives_go_in_tens() {
    let mut rig = Rig::new(limits());
    for n in 0..10 {
        let three = (0..3).map(|k| message(&format!("m{n}-{k}"), &format!("e{n}-{k}"), 1)).collect();
        rig.receive_next(three);
    }
    rig.store();
    let sizes: Vec<usize> = rig.deletes().iter().map(|(_, deletes)| deletes.len()).collect();
    assert_eq!(sizes, [10, 10, 10]);
}

#[test]
fn a_single_delete_waits_a_fifth_of_a_second_at_most() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(1));
    rig.store();
    assert_eq!(rig.deletes().len(), 1);
}

#[test]
fn ten_deletes_wait_for_no_more() {
    let mut rig = Rig::new(limits());
    rig.receive_next(messages(10));
    rig.store();
    assert_eq!(rig.deletes_now()[0].1.len(), 10);
}

#[test]
fn a_message_delivered_again_after_its_delete_leaves_one_entry() {
    let mut rig = Rig::new(limits());
    for delivery in 1..=2 {
        rig.receive_next(vec![message("m", "e", delivery)]);
        rig.store();
        assert_eq!(rig.delete_all(), 1);
    }
    assert_eq!(rig.store.rows().len(), 1);
    assert_eq!((rig.core.books().deleted, rig.core.books().stored), (2, 2));
}

#[test]
fn a_message_delivered_again_while_it_is_held_is_not_processed_twice() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 1)]);
    // A header that was added on the way makes it no other message.
    let mut again = message("m", "e", 2);
    again.attributes.push(afterimage_consumer::Attribute::text("traceparent", "00-1"));
    rig.receive_next(vec![again]);
    rig.store();
    assert_eq!(rig.store.appends(), 1);
    let books = *rig.core.books();
    assert_eq!((books.received, books.decoded, books.redelivered, books.lease_lost), (2, 1, 1, 1));
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn of_two_deliveries_that_arrive_in_the_wrong_order_the_newer_counts() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "e", 2)]);
    rig.receive_next(vec![message("m", "e", 1)]);
    rig.store();
    assert_eq!(&*rig.deletes()[0].1[0].handle().receipt, "m/2");
}

#[test]
fn a_message_of_several_events_is_deleted_when_the_last_of_them_is_durable() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["e2"]);
    rig.receive_next(vec![message("m", "e1 e2 e3", 1)]);
    rig.store();
    assert!(rig.deletes().is_empty());
    assert_eq!((rig.core.books().stored, rig.core.books().pending), (2, 1));
    rig.store.leave_unanswered(&[]);
    rig.pass(SECOND);
    rig.answer_stores();
    assert_eq!(rig.delete_all(), 1);
}

#[test]
fn a_message_with_nothing_to_store_is_deleted_without_the_store() {
    let mut rig = Rig::new(limits());
    rig.receive_next(vec![message("m", "=e1 ~e2", 1), message("empty", "", 1)]);
    assert_eq!(rig.delete_all(), 2);
    assert_eq!((rig.core.books().unchanged, rig.core.books().expired, rig.store.appends()), (1, 1, 0));
}

#[test]
fn one_message_that_cannot_be_stored_yet_holds_up_none_of_its_nine_neighbours() {
    let mut rig = Rig::new(limits());
    rig.store.leave_unanswered(&["e4"]);
    rig.receive_next(messages(10));
    rig.store();
    assert_eq!(rig.delete_all(), 9);
}
