//! A database of a test's own, to be killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use scylla::client::session_builder::SessionBuilder;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::guard::{Guard, Owed};
use super::store::StoreKind;

/// Cassandra of a test's own, to be killed: it acknowledges nothing before its commit log is on the disk.
#[derive(Debug)]
pub struct Cassandra {
    guard: Arc<Guard>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    folder: PathBuf,
    env: Vec<(&'static str, String)>,
    _owed: Owed,
}

impl Cassandra {
    /// One node on 127.0.0.1, or several on 127.0.0.1, .2, .3, the first of them the seed.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start(count: usize) -> Self {
        let guard = Guard::new();
        run(&[], &["install"]).await;
        let mut cluster = Self { guard, nodes: Vec::new() };
        let storage_port = free_port().to_string();
        for number in 1..=count {
            let folder = cluster.guard.folder().join(format!("cassandra-{number}"));
            let mut env = vec![
                ("CASSANDRA_HOST", format!("127.0.0.{number}")),
                ("CASSANDRA_SEEDS", "127.0.0.1".to_owned()),
                ("CASSANDRA_SYNC", "batch".to_owned()),
                ("CASSANDRA_HEAP", "700m".to_owned()),
                ("CASSANDRA_STORAGE_PORT", storage_port.clone()),
            ];
            if count > 1 {
                // Drivers expect one port of CQL throughout a cluster.
                let port = cluster.nodes.first().map_or_else(|| free_port().to_string(), |seed| port_of(&seed.folder));
                env.push(("CASSANDRA_PORT", port));
            }
            let owed = cluster.guard.owe(&format!("{} kill {}", script().display(), folder.display()));
            cluster.nodes.push(Node { folder, env, _owed: owed });
            cluster.revive(number - 1).await;
        }
        cluster.formed().await;
        cluster
    }

    /// As a store.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        let nodes: Vec<String> = self.nodes.iter().map(|node| address_of(&node.folder)).collect();
        let copies = nodes.len() as u32;
        StoreKind::Cassandra { nodes, copies }
    }

    /// SIGKILL. Returns when the node listens no more: on a busy machine that takes longer than the signal.
    ///
    /// # Panics
    /// When it cannot be sent, or the node goes on.
    pub async fn kill(&self, node: usize) {
        let node = &self.nodes[node];
        run(&node.env, &["kill", &node.folder.display().to_string()]).await;
        let address = address_of(&node.folder);
        for attempt in 0.. {
            if TcpStream::connect(&address).await.is_err() {
                return;
            }
            assert!(attempt < 120, "{address} listens on after SIGKILL");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Starts a node, or starts it again, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn revive(&self, node: usize) {
        let node = &self.nodes[node];
        run(&node.env, &["start", &node.folder.display().to_string()]).await;
    }

    /// Waits until every node lists all the others: before, no table can be made.
    async fn formed(&self) {
        let others = self.nodes.len() - 1;
        for node in &self.nodes {
            let address = address_of(&node.folder);
            for attempt in 0.. {
                assert!(attempt < 120, "the cluster does not form");
                let session = SessionBuilder::new().known_node(&address).build().await.unwrap();
                let rows = session.query_unpaged("SELECT peer FROM system.peers_v2", ()).await.unwrap();
                if rows.into_rows_result().unwrap().rows_num() == others {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/cassandra.sh")
}

async fn run(env: &[(&'static str, String)], args: &[&str]) {
    let mut command = Command::new(script());
    command.args(args).envs(env.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    assert!(command.status().await.unwrap().success(), "cassandra.sh {args:?}");
}

fn address_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("address")).unwrap().trim().to_owned()
}

fn port_of(folder: &Path) -> String {
    address_of(folder).rsplit(':').next().unwrap().to_owned()
}

fn free_port() -> u16 {
    // Below the range that outgoing connections take theirs from.
    loop {
        let port = fastrand::u16(15_000..30_000);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
