//! Everything at once.

use std::time::Duration;

use afterimage_tests::{LEASE, Mode, Need, Plan, QueueKind, Rig, server};

use super::{cassandra, plan};

/// A random fault, then the next: most begin before the one before is recovered from.
#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once() {
    let (Some(store), Some(endpoint)) = (cassandra(), server(Need::Sqs)) else { return };
    let plan = plan("everything_at_once", "all of the above but dead servers and disks, at random");
    let mut rig =
        Rig::start(Plan { store, queue: QueueKind::ElasticMq(endpoint), workers: 4, events: 2_000, ..plan }).await;
    rig.fleet.kill(0).await;
    let mut frozen = None;
    while rig.is_sending() {
        let worker = rig.any_worker();
        let is_frozen = frozen.is_some_and(|(frozen, _)| frozen == worker);
        match rig.rng.u32(0..8) {
            0 | 1 => {
                // SIGKILL ends a process that stands still too.
                rig.fleet.kill(worker).await;
                frozen = frozen.filter(|_| !is_frozen);
            }
            2 if !is_frozen => {
                rig.fleet.restart(worker).await;
            }
            3 if frozen.is_none() => {
                rig.fleet.freeze(worker).await;
                frozen = Some((worker, tokio::time::Instant::now()));
            }
            fault => {
                let late = Mode::Late(Duration::from_millis(rig.rng.u64(1..2_000)));
                let modes = [Mode::Refuse, Mode::SwallowAnswers, Mode::Silent, late, Mode::Narrow(50_000)];
                let mode = modes[rig.rng.usize(0..modes.len())];
                let seconds = 0.5 + 2.0 * rig.rng.f64();
                let line = if fault % 2 == 0 { rig.store_line() } else { rig.queue_line() };
                line.set(mode);
                rig.pause(seconds).await;
                rig.store_line().set(Mode::Pass);
                rig.queue_line().set(Mode::Pass);
                rig.faults.others += 1;
            }
        }
        if let Some((worker, since)) = frozen.filter(|(_, since)| since.elapsed() > LEASE + Duration::from_secs(2)) {
            println!("worker {worker} stood still for {:?}", since.elapsed());
            rig.fleet.thaw(worker).await;
            frozen = None;
        }
        let pause = rig.rng.f64();
        rig.pause(pause).await;
    }
    if let Some((worker, _)) = frozen {
        rig.fleet.thaw(worker).await;
    }
    rig.recovered().await;
    let report = rig.finish().await;
    assert!(report.kills > 0 && report.other_faults > 0, "{report:?}");
}
