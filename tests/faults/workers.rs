//! Workers that end, stand still, or have the wrong time.

use std::collections::HashSet;
use std::time::Duration;

use afterimage_failpoint::Point;
use afterimage_tests::{LEASE, Need, Plan, QueueKind, Rig, StoreKind, server};

use super::{cassandra, is_asked_for, mongodb, plan, sqlite};

/// Every few hundred milliseconds, as long as there is load.
async fn kill_at_random(plan: Plan) {
    let mut rig = Rig::start(plan).await;
    while rig.is_sending() {
        let pause = 0.2 + rig.rng.f64() * 0.5;
        rig.pause(pause).await;
        let worker = rig.any_worker();
        rig.fleet.kill(worker).await;
        if rig.rng.u32(0..8) == 0 {
            rig.recovered().await;
        }
    }
    let report = rig.finish().await;
    // Whether a killed worker held anything is a matter of luck in a short run; the comparison is not.
    assert!(report.kills >= 3, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_on_sqlite() {
    if !is_asked_for("killed_at_random_on_sqlite") {
        return;
    }
    kill_at_random(plan("killed_at_random_on_sqlite", "SIGKILL of a worker every 200 to 700 ms")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_on_cassandra_and_elasticmq() {
    let (Some(store), Some(endpoint)) = (cassandra(), server(Need::Sqs)) else { return };
    let plan = plan("killed_at_random_on_cassandra_and_elasticmq", "SIGKILL of a worker every 200 to 700 ms");
    kill_at_random(Plan { store, queue: QueueKind::ElasticMq(endpoint), ..plan }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_on_mongodb() {
    let Some(store) = mongodb() else { return };
    let plan = plan("killed_at_random_on_mongodb", "SIGKILL of a worker every 200 to 700 ms");
    kill_at_random(Plan { store, ..plan }).await;
}

/// Each place in turn: a worker ends there, its successor has the next place.
async fn ends_at_every_fail_point(name: &'static str, store: StoreKind) {
    let is_sqlite = matches!(store, StoreKind::Sqlite { .. });
    let not_here = if is_sqlite { Point::BetweenContentAndIndex } else { Point::BeforeCommit };
    let points: Vec<Point> = Point::ALL.into_iter().filter(|point| *point != not_here).collect();
    let arm = |point: Point, times: u32| Some(format!("{}={times}", point.name()));
    let plan = Plan { store, events: 2_000, ..plan(name, "a worker ends at each fail point, in turn") };
    let mut armed = points.clone();
    let mut rig = Rig::start_with(plan, |fleet| {
        armed.truncate(fleet.len());
        for (worker, point) in armed.iter().enumerate() {
            fleet.set(worker, "AFTERIMAGE_FAILPOINT", arm(*point, 2));
        }
    })
    .await;
    let mut turn = armed.len();
    let mut ended_at = HashSet::new();
    while rig.is_sending() {
        for (worker, armed) in armed.iter_mut().enumerate() {
            let next = points[turn % points.len()];
            // Letters are few, and a worker is told to stop once.
            let is_rare = matches!(next, Point::AfterDeadLetter | Point::DuringDrain);
            let times = if is_rare { 1 } else { rig.rng.u32(1..5) };
            rig.fleet.set(worker, "AFTERIMAGE_FAILPOINT", arm(next, times));
            if *armed == Point::DuringDrain && rig.fleet.holds(worker).await {
                rig.fleet.tell_to_stop(worker).await;
            }
            if rig.fleet.revive(worker).await {
                ended_at.insert(armed.name());
                *armed = next;
                turn += 1;
            }
        }
        rig.pause(0.02).await;
    }
    // Those that come last are to end as they are told.
    for worker in 0..rig.fleet.len() {
        rig.fleet.set(worker, "AFTERIMAGE_FAILPOINT", None);
        rig.fleet.kill(worker).await;
    }
    let report = rig.finish().await;
    assert_eq!(
        ended_at.len(),
        points.len(),
        "workers ended at {ended_at:?} only; build the binary together with these tests, for it to have its fail points"
    );
    assert!(report.kills >= points.len() as u64 && report.redeliveries > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_every_fail_point_on_sqlite() {
    ends_at_every_fail_point("ends_at_every_fail_point_on_sqlite", sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_every_fail_point_on_cassandra() {
    if !is_asked_for("ends_at_every_fail_point_on_cassandra") {
        return;
    }
    let Some(store) = cassandra() else { return };
    ends_at_every_fail_point("ends_at_every_fail_point_on_cassandra", store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_past_its_lease() {
    let plan = plan("stopped_past_its_lease", "SIGSTOP of a worker that holds messages, past its lease, then SIGCONT");
    let mut rig = Rig::start(Plan { per_s: 150, ..plan }).await;
    while rig.is_sending() {
        let Some(worker) = rig.freeze_one_that_holds().await else { break };
        rig.pause((LEASE + Duration::from_secs(2)).as_secs_f64()).await;
        rig.fleet.thaw(worker).await;
        rig.recovered().await;
    }
    let report = rig.finish().await;
    assert!(report.other_faults > 0 && report.redeliveries > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_one_after_the_other() {
    if !is_asked_for("restarted_one_after_the_other") {
        return;
    }
    let Some(store) = cassandra() else { return };
    let plan = plan("restarted_one_after_the_other", "SIGTERM of each worker in turn, all the time");
    let mut rig = Rig::start(Plan { store, ..plan }).await;
    let mut slowest = Duration::ZERO;
    while rig.is_sending() {
        for worker in 0..rig.fleet.len() {
            slowest = slowest.max(rig.fleet.restart(worker).await);
            rig.pause(0.3).await;
        }
    }
    let lost = rig.fleet.leases_lost();
    let report = rig.finish().await;
    println!("the slowest of {} ended after {slowest:?}", report.other_faults);
    assert!(report.other_faults >= 3, "{report:?}");
    assert_eq!((report.kills, lost), (0, 0), "whoever is told to stop finishes or gives back: {report:?}");
}

/// More comes than one worker can do; what eight did not finish, one does.
#[tokio::test(flavor = "multi_thread")]
async fn scaled_out_and_in() {
    if !is_asked_for("scaled_out_and_in") {
        return;
    }
    let plan = plan("scaled_out_and_in", "one worker, eight, one (SIGTERM), and so on, under load");
    let mut rig = Rig::start(Plan { workers: 1, events: 6_000, per_s: 800, ..plan }).await;
    while rig.is_sending() {
        rig.pause(1.0).await;
        rig.fleet.scale(8).await;
        rig.pause(3.0).await;
        rig.fleet.scale(1).await;
    }
    let lost = rig.fleet.leases_lost();
    let report = rig.finish().await;
    assert!(report.other_faults >= 7, "{report:?}");
    assert_eq!((report.kills, lost), (0, 0), "whoever is told to stop finishes or gives back: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_clocks_that_disagree() {
    let skews_s = [-86_400, 0, 86_400];
    let plan = plan("with_clocks_that_disagree", "workers' clocks a day behind and a day ahead, and SIGKILL");
    let mut rig = Rig::start_with(plan, |fleet| {
        for (worker, skew_s) in skews_s.into_iter().enumerate() {
            fleet.set(worker, "AFTERIMAGE_CLOCK_SKEW_S", Some(skew_s.to_string()));
        }
    })
    .await;
    while rig.is_sending() {
        rig.pause(1.5).await;
        let worker = rig.any_worker();
        rig.fleet.kill(worker).await;
    }
    let days = rig.days_stored().await;
    assert!(days >= 3, "entries were stored on {days} days by the workers' clocks: build the binary with these tests");
    let report = rig.finish().await;
    assert!(report.kills > 0, "{report:?}");
}
