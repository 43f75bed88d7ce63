//! Stores that do not answer, or late, or have no room.

use std::time::Duration;

use afterimage_tests::{Form, Mode, Plan, Rig, StoreKind, disk_of};

use super::{cassandra, is_asked_for, mongodb, plan};

/// A fault of the line to Cassandra, again and again.
async fn on_the_line(name: &'static str, fault: &'static str, mode: Mode, seconds: f64) {
    let Some(store) = cassandra() else { return };
    under_load(Plan { store, ..plan(name, fault) }, mode, seconds).await;
}

async fn under_load(plan: Plan, mode: Mode, seconds: f64) {
    let mut rig = Rig::start(plan).await;
    while rig.is_sending() {
        let pause = 0.5 + rig.rng.f64();
        rig.pause(pause).await;
        rig.store_line().set(mode);
        rig.pause(seconds).await;
        rig.store_line().set(Mode::Pass);
        rig.faults.others += 1;
        rig.recovered().await;
    }
    let hits = rig.store_line().hits();
    let report = rig.finish().await;
    assert!(hits > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_from_the_store() {
    if !is_asked_for("cut_off_from_the_store") {
        return;
    }
    on_the_line("cut_off_from_the_store", "the line to the store is cut for 3 s", Mode::Refuse, 3.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_answers_no_more_and_does_what_it_is_asked() {
    let name = "the_store_answers_no_more_and_does_what_it_is_asked";
    on_the_line(name, "writes go through, answers of the store are swallowed for 4 s", Mode::SwallowAnswers, 4.0).await;
}

/// Longer than it takes to suspect connections and sessions: attempts to make new ones get lost as well.
#[tokio::test(flavor = "multi_thread")]
async fn the_line_to_the_store_goes_silent() {
    if !is_asked_for("the_line_to_the_store_goes_silent") {
        return;
    }
    let Some(store) = cassandra() else { return };
    let fault = "the line to the store is cut without a word for 15 s";
    // Load enough for all workers when it is back.
    let plan = Plan { store, events: 10_000, per_s: 400, ..plan("the_line_to_the_store_goes_silent", fault) };
    under_load(plan, Mode::Silent, 15.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_answers_no_more_and_does_what_it_is_asked() {
    let name = "mongodb_answers_no_more_and_does_what_it_is_asked";
    if !is_asked_for(name) {
        return;
    }
    let Some(store) = mongodb() else { return };
    let fault = "writes go through, answers of the store are swallowed for 4 s";
    under_load(Plan { store, ..plan(name, fault) }, Mode::SwallowAnswers, 4.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_answers_after_the_time_out() {
    if !is_asked_for("the_store_answers_after_the_time_out") {
        return;
    }
    let late = Mode::Late(Duration::from_millis(1_500));
    let fault = "the store answers 1.5 s late, the time-out is 1 s, for 5 s";
    on_the_line("the_store_answers_after_the_time_out", fault, late, 5.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_slow() {
    if !is_asked_for("the_store_is_slow") {
        return;
    }
    let late = Mode::Late(Duration::from_millis(400));
    on_the_line("the_store_is_slow", "the store answers 400 ms late, for 4 s", late, 4.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let Some(disk) = disk_of(if Form::asked_for() == Form::Long { 2 << 30 } else { 64 << 20 }).await else {
        println!("SKIPPED: this machine lets us mount no small file system");
        return;
    };
    let store = StoreKind::Sqlite { folder: Some(disk.folder().to_owned()) };
    let mut rig = Rig::start(Plan { store, ..plan("the_disk_is_full", "no room on the disk for 3 s") }).await;
    while rig.is_sending() {
        rig.pause(1.0).await;
        disk.fill();
        rig.pause(3.0).await;
        assert!(disk.is_full(), "the disk has room");
        disk.free();
        rig.faults.others += 1;
        rig.recovered().await;
    }
    let outages = rig.fleet.said("the store does not answer");
    let report = rig.finish().await;
    assert!(outages > 0, "no worker noticed: {report:?}");
}
