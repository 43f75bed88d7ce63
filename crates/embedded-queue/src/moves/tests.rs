//! Tasks on a runtime, with time that is pushed.

use std::time::Duration;

use super::*;
use crate::queue::Counts;

const DEAD: &str = "dead";

/// Two queues that die into one, which holds `from_a` and `from_b` messages of theirs, in turns.
fn broker(from_a: u64, from_b: u64) -> Arc<Broker> {
    let broker = Arc::new(Broker::new(1 << 20));
    broker.create(DEAD, BTreeMap::new(), BTreeMap::new()).unwrap();
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}"#;
    for name in ["a", "b"] {
        let attributes = [("RedrivePolicy".to_owned(), policy.to_owned())].into();
        broker.create(name, attributes, BTreeMap::new()).unwrap();
    }
    for n in 0..from_a.max(from_b) {
        for (name, count) in [("a", from_a), ("b", from_b)] {
            if n < count {
                bury(&broker, Some(name));
            }
        }
    }
    broker
}

/// One message in the dead-letter queue, out of the queue of that name.
fn bury(broker: &Broker, name: Option<&str>) {
    let now = broker.clock.now();
    let (dead, scratch) = (broker.queue(DEAD).unwrap(), broker.queue("a").unwrap());
    let mut draft: crate::message::Draft<'_> = serde_json::from_str(r#"{"MessageBody":"x"}"#).unwrap();
    let mut scratch = scratch.state();
    let parcel = draft.check(scratch.settings().terms()).unwrap().accept(&broker.memory).unwrap();
    scratch.send(now, parcel).unwrap();
    let (message, mut record) = scratch.take().unwrap();
    record.dead_letter_source = name.map(|name| Arc::clone(&broker.queue(name).unwrap().arn));
    record.receives = 7;
    dead.state().add(now, message, record, 0);
}

fn visible(broker: &Broker, name: &str) -> usize {
    let Counts { visible, .. } = broker.queue(name).unwrap().state().counts(broker.clock.now());
    visible
}

fn start(broker: &Arc<Broker>, destination: Option<&str>, rate: Option<u64>) -> Result<Arc<Task>, Error> {
    let destination = destination.map(|name| broker.queue(name).unwrap());
    let source = broker.queue(DEAD).unwrap();
    let id = Moves::start(broker, Arc::clone(&source), destination.as_ref(), rate)?;
    Ok(broker.moves.latest(&source.arn, TASKS_MAX).into_iter().find(|task| task.id == id).unwrap())
}

/// Lets the task work until it has moved that many, or has ended.
async fn until(task: &Task, moved: u64) -> Progress {
    while task.progress().moved < moved && task.progress().status == Status::Running {
        tokio::task::yield_now().await;
    }
    task.progress()
}

#[tokio::test]
async fn each_message_goes_back_to_the_queue_it_died_in_as_a_new_one() {
    let broker = broker(130, 120);
    let old = broker.queue(DEAD).unwrap().state().peek(broker.clock.now()).unwrap().id;
    let task = start(&broker, None, None).unwrap();
    assert_eq!(until(&task, 250).await, Progress { moved: 250, status: Status::Completed });
    assert_eq!([DEAD, "a", "b"].map(|name| visible(&broker, name)), [0, 130, 120]);
    let a = broker.queue("a").unwrap();
    let mut state = a.state();
    let first = state.peek(broker.clock.now()).unwrap();
    assert!(first.id != old && first.receives == 0 && first.dead_letter_source.is_none());
}

#[tokio::test]
async fn a_destination_takes_everything() {
    let broker = broker(2, 2);
    broker.create("other", BTreeMap::new(), BTreeMap::new()).unwrap();
    let task = start(&broker, Some("other"), None).unwrap();
    assert_eq!(until(&task, 4).await, Progress { moved: 4, status: Status::Completed });
    assert_eq!(visible(&broker, "other"), 4);
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_and_a_cancel_stops() {
    let broker = broker(10, 0);
    let task = start(&broker, None, Some(1)).unwrap();
    assert!(matches!(start(&broker, None, None), Err(Error::InvalidParameterValue(_))), "one at a time");
    assert_eq!(until(&task, 1).await.moved, 1);
    broker.clock.advance(Duration::from_secs(3));
    assert_eq!(until(&task, 4).await.moved, 4);
    assert_eq!(task.cancel().unwrap(), 4);
    assert!(task.cancel().is_err(), "it runs no more");
    broker.clock.advance(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(task.progress(), Progress { moved: 4, status: Status::Cancelled });
    assert_eq!([DEAD, "a"].map(|name| visible(&broker, name)), [6, 4]);
    let task = start(&broker, None, None).unwrap();
    assert_eq!(until(&task, 6).await, Progress { moved: 6, status: Status::Completed });
}

#[tokio::test]
async fn a_task_says_why_it_cannot_go_on() {
    let unknown = broker(1, 0);
    bury(&unknown, None);
    let task = start(&unknown, None, None).unwrap();
    assert_eq!(until(&task, 2).await, Progress { moved: 1, status: Status::Failed(NO_SOURCE) });
    assert_eq!(visible(&unknown, DEAD), 1, "what cannot be moved stays");

    let deleted = broker(1, 1);
    deleted.remove("a").unwrap();
    let task = start(&deleted, None, None).unwrap();
    assert_eq!(until(&task, 2).await, Progress { moved: 0, status: Status::Failed(NO_QUEUE) });
}

#[tokio::test]
async fn only_a_dead_letter_queue_can_be_a_source_and_kinds_stay_apart() {
    let broker = broker(1, 0);
    let a = broker.queue("a").unwrap();
    assert!(matches!(Moves::start(&broker, a, None, None), Err(Error::InvalidParameterValue(_))));
    let attributes = [("FifoQueue".to_owned(), "true".to_owned())].into();
    broker.create("a.fifo", attributes, BTreeMap::new()).unwrap();
    assert!(matches!(start(&broker, Some("a.fifo"), None), Err(Error::InvalidParameterValue(_))));
}
