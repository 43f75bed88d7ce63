//! FIFO queues: whatever ends or stands still, each group is stored in its order.

use std::time::Duration;

use afterimage_tests::{LEASE, Need, Plan, QueueKind, Rig, StoreKind, server};

use super::{cassandra, is_asked_for, plan};

/// Groups that 3,000 messages are in.
const GROUPS: u64 = 300;
/// Longer than a worker waits for SQLite's lock.
const LOCKED_S: f64 = 7.0;
/// Beyond the lease of what a worker holds that stands still.
const STILL: Duration = LEASE.saturating_add(Duration::from_secs(2));

/// A plan with load for each kind of fault in turn.
fn fifo(name: &'static str, fault: &'static str) -> Plan {
    Plan { events: 3_000, per_s: 150, groups: Some(GROUPS), ..plan(name, fault) }
}

/// A worker that stands still while others are killed; then kills; then a store that is away; and so on.
async fn in_turn(plan: Plan) {
    let is_sqlite = matches!(plan.store, StoreKind::Sqlite { .. });
    let mut rig = Rig::start(plan).await;
    let mut rounds = 0;
    while rig.is_sending() || rounds < 3 {
        match rounds % 3 {
            0 => {
                let still = rig.freeze_one_that_holds().await;
                kill_some(&mut rig, 4, still).await;
                if let Some(worker) = still {
                    rig.pause(STILL.as_secs_f64() - 4.0).await;
                    rig.fleet.thaw(worker).await;
                }
                rig.recovered().await;
            }
            1 => kill_some(&mut rig, 4, None).await,
            _ => {
                if is_sqlite {
                    rig.lock_store(LOCKED_S).await;
                } else {
                    rig.cut_store(LOCKED_S).await;
                }
                rig.recovered().await;
            }
        }
        rounds += 1;
    }
    let report = rig.finish().await;
    assert!(report.kills >= 8 && report.other_faults >= 2 && report.redeliveries > 0, "{report:?}");
}

/// So many, each about a second after the one before, and not the one that is spared.
async fn kill_some(rig: &mut Rig, kills: usize, spared: Option<usize>) {
    for _ in 0..kills {
        let pause = 0.5 + rig.rng.f64();
        rig.pause(pause).await;
        let mut worker = rig.any_worker();
        while spared == Some(worker) {
            worker = rig.any_worker();
        }
        rig.fleet.kill(worker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifo_groups_keep_their_order() {
    let fault = "300 groups: SIGKILLs, a worker that stands still past its lease, SQLite locked for 7 s, in turn";
    in_turn(fifo("fifo_groups_keep_their_order", fault)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifo_groups_keep_their_order_on_elasticmq() {
    let name = "fifo_groups_keep_their_order_on_elasticmq";
    if !is_asked_for(name) {
        return;
    }
    let Some(endpoint) = server(Need::Sqs) else { return };
    let fault = "300 groups: SIGKILLs, a worker that stands still past its lease, SQLite locked for 7 s, in turn";
    in_turn(Plan { queue: QueueKind::ElasticMq(endpoint), ..fifo(name, fault) }).await;
}

/// Cassandra has no order of all its entries to look at: here the dead letters tell of the order.
#[tokio::test(flavor = "multi_thread")]
async fn fifo_on_cassandra() {
    if !is_asked_for("fifo_on_cassandra") {
        return;
    }
    let Some(store) = cassandra() else { return };
    let fault = "300 groups: SIGKILLs, a worker that stands still past its lease, Cassandra cut off for 7 s, in turn";
    in_turn(Plan { store, ..fifo("fifo_on_cassandra", fault) }).await;
}

/// What one group comes to is told, and no verdict: whoever holds it when it is killed keeps it from all until its lease ends.
#[tokio::test(flavor = "multi_thread")]
async fn one_hot_fifo_group() {
    if !is_asked_for("one_hot_fifo_group") {
        return;
    }
    let plan = plan("one_hot_fifo_group", "one group for everything: SIGKILL of the worker that holds it");
    let mut rig = Rig::start(Plan { groups: Some(1), per_s: 60, ..plan }).await;
    while rig.is_sending() {
        rig.pause(1.0).await;
        for worker in 0..rig.fleet.len() {
            if rig.fleet.holds(worker).await {
                rig.fleet.kill(worker).await;
            }
        }
    }
    let report = rig.finish().await;
    println!("{:.0} events a second, waits for leases included", report.events as f64 / report.seconds);
    assert!(report.kills > 0, "{report:?}");
}
