//! The laws of standard queues.

use super::*;
use crate::message::Draft;

/// A queue with these attributes; FIFO when they say so.
pub(super) fn queue(attributes: &[(&str, &str)]) -> Queue {
    let attributes: std::collections::BTreeMap<_, _> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let fifo = attributes.contains_key("FifoQueue");
    Queue::new(1, Settings::new(fifo, attributes).unwrap(), Memory::new(1 << 30))
}

/// Sends what the JSON of a `SendMessage` says.
pub(super) fn send(queue: &mut Queue, now: Millis, json: &str) -> Sent {
    try_send(queue, now, json).unwrap()
}

pub(super) fn try_send(queue: &mut Queue, now: Millis, json: &str) -> Result<Sent, Error> {
    let mut draft: Draft<'_> = serde_json::from_str(json).unwrap();
    let parcel = draft.check(queue.settings().terms())?.accept(&queue.memory)?;
    queue.send(now, parcel)
}

/// Up to `count` messages, hidden for `timeout`.
pub(super) fn receive(queue: &mut Queue, now: Millis, count: usize, timeout: Millis) -> Vec<Received> {
    queue.receive(now, Ask { count, timeout, ..Ask::default() }).unwrap().received
}

const X: &str = r#"{"MessageBody":"x"}"#;

#[test]
fn a_message_is_received_again_when_its_time_out_ends_and_not_before() {
    let mut queue = queue(&[("DelaySeconds", "1")]);
    send(&mut queue, 0, X);
    assert!(receive(&mut queue, 999, 1, 1_000).is_empty());
    assert_eq!(queue.counts(999), Counts { visible: 0, in_flight: 0, delayed: 1 });
    assert_eq!(queue.next_due(), Some(1_000));
    let first = receive(&mut queue, 1_000, 1, 1_000).remove(0).handle;
    assert!(receive(&mut queue, 1_999, 1, 1_000).is_empty());
    assert_eq!(queue.counts(1_999), Counts { visible: 0, in_flight: 1, delayed: 0 });
    queue.change_visibility(1_999, first, 1_000).unwrap();
    assert!(receive(&mut queue, 2_998, 1, 1_000).is_empty());
    let second = receive(&mut queue, 2_999, 1, 1_000).remove(0).handle;
    queue.delete(3_000, first).unwrap();
    assert_eq!(queue.counts(3_000).in_flight, 1, "an old handle deletes nothing");
    queue.delete(9_999, second).unwrap();
    assert_eq!(queue.counts(9_999), Counts { visible: 0, in_flight: 0, delayed: 0 }, "the latest does, even late");
    assert_eq!(queue.next_due(), None);
}

#[test]
fn twelve_hours_after_its_receive_a_message_cannot_be_kept_longer() {
    let mut queue = queue(&[]);
    send(&mut queue, 0, X);
    let handle = receive(&mut queue, 0, 1, 43_200_000)[0].handle;
    assert!(queue.change_visibility(1, handle, 43_200_000).is_err());
    queue.change_visibility(1, handle, 43_199_999).unwrap();
    assert!(matches!(queue.change_visibility(43_200_000, handle, 1), Err(Error::MessageNotInflight)));
}

#[test]
fn no_more_than_the_limit_is_in_flight() {
    let mut queue = queue(&[]);
    for _ in 0..20 {
        send(&mut queue, 0, X);
    }
    queue.in_flight = IN_FLIGHT_MAX - 12;
    let early = receive(&mut queue, 0, 7, 20_000);
    assert_eq!(receive(&mut queue, 0, 10, 30_000).len(), 5);
    let ask = Ask { count: 10, timeout: 30_000, ..Ask::default() };
    assert!(matches!(queue.receive(0, ask), Err(Error::OverLimit)));
    assert_eq!(queue.in_flight, IN_FLIGHT_MAX);

    // A delete makes room for one more, an ended time-out for its messages.
    queue.delete(0, early[0].handle).unwrap();
    assert_eq!(receive(&mut queue, 0, 10, 30_000).len(), 1);
    assert_eq!(receive(&mut queue, 20_000, 10, 30_000).len(), 6);
    assert!(matches!(queue.receive(20_000, ask), Err(Error::OverLimit)));
}

#[test]
fn a_time_out_of_zero_hands_a_message_out_once_in_an_answer() {
    let mut queue = queue(&[]);
    for _ in 0..3 {
        send(&mut queue, 0, X);
    }
    let keys: Vec<_> = receive(&mut queue, 0, 10, 0).iter().map(|received| received.handle.key).collect();
    assert_eq!(keys, [1, 2, 3]);
    assert_eq!(queue.counts(0), Counts { visible: 3, in_flight: 0, delayed: 0 });
}

#[test]
fn a_message_retained_long_enough_is_gone_wherever_it_is() {
    let mut queue = queue(&[("MessageRetentionPeriod", "60")]);
    send(&mut queue, 0, X);
    send(&mut queue, 0, X);
    send(&mut queue, 0, r#"{"MessageBody":"x","DelaySeconds":900}"#);
    let handle = receive(&mut queue, 0, 1, 600_000)[0].handle;
    assert_eq!(queue.counts(59_999), Counts { visible: 1, in_flight: 1, delayed: 1 });
    assert_eq!(queue.counts(60_000), Counts { visible: 0, in_flight: 0, delayed: 0 });
    queue.delete(60_000, handle).unwrap();
    assert_eq!(queue.next_due(), None);
}
