//! Queues that are away, throttle, or whose answers get lost.

use afterimage_tests::{Mode, Need, Plan, QueueKind, Rig, server};

use super::{is_asked_for, plan};

/// A fault of the line to the queue, again and again.
async fn on_the_line(plan: Plan, mode: Mode, seconds: f64) {
    let mut rig = Rig::start(plan).await;
    while rig.is_sending() {
        let pause = 0.5 + rig.rng.f64();
        rig.pause(pause).await;
        rig.queue_line().set(mode);
        rig.pause(seconds).await;
        rig.queue_line().set(Mode::Pass);
        rig.faults.others += 1;
        rig.recovered().await;
    }
    let hits = rig.queue_line().hits();
    let report = rig.finish().await;
    assert!(hits > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_from_the_queue() {
    on_the_line(plan("cut_off_from_the_queue", "the line to the queue is cut for 2 s"), Mode::Refuse, 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_throttles() {
    if !is_asked_for("the_queue_throttles") {
        return;
    }
    on_the_line(plan("the_queue_throttles", "every request is throttled for 2 s"), Mode::Throttle, 2.0).await;
}

/// Receives that lease messages to nobody, deletes of which nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn the_queue_answers_no_more_and_does_what_it_is_asked() {
    if !is_asked_for("the_queue_answers_no_more_and_does_what_it_is_asked") {
        return;
    }
    let Some(endpoint) = server(Need::Sqs) else { return };
    let fault = "receives and deletes go through, answers of the queue are swallowed for 2 s";
    let plan = plan("the_queue_answers_no_more_and_does_what_it_is_asked", fault);
    on_the_line(Plan { queue: QueueKind::ElasticMq(endpoint), ..plan }, Mode::SwallowAnswers, 2.0).await;
}
