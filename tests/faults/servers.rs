//! Database servers that are killed under load and come back. They acknowledge nothing before it is on the disk
//! (`commitlog_sync: batch`): with a periodic sync and one copy, a database forgets what it acknowledged last.

use afterimage_tests::{Cassandra, Need, Plan, Rig, server};

use super::{is_asked_for, plan};

/// Each node at least once, and then for as long as there is load.
async fn kill_and_revive(plan: Plan, cluster: &Cassandra, nodes: usize) {
    let mut rig = Rig::start(plan).await;
    let mut killed = 0;
    while rig.is_sending() || killed < nodes {
        rig.pause(2.0).await;
        cluster.kill(killed % nodes).await;
        rig.faults.kills += 1;
        if nodes > 1 {
            // A quorum is left: work goes on without the node.
            rig.recovered().await;
        } else {
            rig.pause(1.0).await;
        }
        cluster.revive(killed % nodes).await;
        rig.recovered().await;
        killed += 1;
    }
    let report = rig.finish().await;
    assert!(report.kills >= nodes as u64, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_database_server_is_killed() {
    if server(Need::Cassandra).is_none() {
        return;
    }
    let cluster = Cassandra::start(1).await;
    let plan =
        plan("the_only_database_server_is_killed", "SIGKILL of the one Cassandra node (batch sync), and restart");
    kill_and_revive(Plan { store: cluster.kind(), ..plan }, &cluster, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_database_servers_is_killed() {
    if !is_asked_for("one_of_three_database_servers_is_killed") || server(Need::Cassandra).is_none() {
        return;
    }
    let cluster = Cassandra::start(3).await;
    let fault = "SIGKILL of one Cassandra node of three after the other (LOCAL_QUORUM), and restart";
    let plan = plan("one_of_three_database_servers_is_killed", fault);
    // A node takes its time to come back: the short load is to last for as long.
    kill_and_revive(Plan { store: cluster.kind(), per_s: 12, ..plan }, &cluster, 3).await;
}
