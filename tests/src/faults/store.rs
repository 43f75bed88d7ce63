//! The stores that workers write to, by name: what they are told, and how the tests read what they hold.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use afterimage_store::Lookup;
use afterimage_store_cassandra::{CassandraStore, Config};
use afterimage_store_mongodb::MongoStore;
use afterimage_store_sqlite::{Options, SqliteStore};
use rusqlite::Connection;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;

use super::guard::Guard;
use super::order::Journal;
use super::proxy::Proxy;

/// How long a worker waits for one answer of Cassandra: three of these and some must fit into the shortest lease.
const REQUEST_TIMEOUT: &str = "1s";
/// Longest wait of the comparison for an answer: a machine under test is busy, and no verdict hangs on it.
const ANSWER_PATIENCE: Duration = Duration::from_mins(2);
/// Longest wait for a lock that busy workers hold one after the other.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Which store.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// One file that all workers share.
    Sqlite {
        /// Where; in a folder of its own if nothing is said.
        folder: Option<PathBuf>,
    },
    /// Cassandra or ScyllaDB.
    Cassandra {
        /// Its nodes, `host:port`.
        nodes: Vec<String>,
        /// Copies of each row.
        copies: u32,
    },
    /// MongoDB, or what speaks its protocol.
    Mongodb {
        /// Its connection string.
        uri: String,
    },
}

/// A store, ready to be written to, and the proxy before it where it is reached over the network and has one node.
#[derive(Debug)]
pub(super) struct Backing {
    kind: StoreKind,
    /// Of the file or the keyspace.
    place: String,
    pub(super) proxy: Option<Proxy>,
}

impl Backing {
    pub(super) async fn prepare(kind: StoreKind, guard: &Guard) -> Self {
        let (place, proxy) = match &kind {
            StoreKind::Sqlite { folder } => {
                let folder = folder.as_deref().unwrap_or(guard.folder());
                (folder.join("trail.db").display().to_string(), None)
            }
            StoreKind::Cassandra { nodes, .. } => {
                let proxy = match &nodes[..] {
                    [node] => Some(Proxy::start(node).await),
                    // A driver finds the other nodes by itself: around any proxy.
                    _ => None,
                };
                (unique(), proxy)
            }
            StoreKind::Mongodb { uri } => {
                let proxy = match one_node(uri) {
                    Some(node) => Some(Proxy::start(node).await),
                    None => None,
                };
                (unique(), proxy)
            }
        };
        let backing = Self { kind, place, proxy };
        let store = backing.open();
        store.migrate().await.unwrap();
        store.close().await;
        backing
    }

    /// A bounded name.
    pub(super) fn name(&self) -> &'static str {
        match &self.kind {
            StoreKind::Sqlite { .. } => "sqlite",
            StoreKind::Cassandra { copies: 1, .. } => "cassandra",
            StoreKind::Cassandra { .. } => "cassandra × 3",
            StoreKind::Mongodb { .. } => "mongodb",
        }
    }

    /// What a worker is told.
    pub(super) fn args(&self) -> Vec<String> {
        let args = match &self.kind {
            StoreKind::Sqlite { .. } => vec!["--store", "sqlite", "--sqlite-path", &self.place],
            StoreKind::Cassandra { .. } => vec![
                "--store",
                "cassandra",
                "--cassandra-keyspace",
                &self.place,
                "--cassandra-request-timeout",
                REQUEST_TIMEOUT,
            ],
            StoreKind::Mongodb { .. } => vec![
                "--store",
                "mongodb",
                "--mongodb-database",
                &self.place,
                "--mongodb-request-timeout",
                REQUEST_TIMEOUT,
            ],
        };
        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        if let StoreKind::Cassandra { nodes, .. } = &self.kind {
            let nodes = self.proxy.as_ref().map_or_else(|| nodes.join(","), Proxy::address);
            args.extend(["--cassandra-nodes".to_owned(), nodes]);
        }
        if let StoreKind::Mongodb { uri } = &self.kind {
            let through = |proxy: &Proxy| format!("mongodb://{}/?directConnection=true", proxy.address());
            args.extend(["--mongodb-uri".to_owned(), self.proxy.as_ref().map_or_else(|| uri.clone(), through)]);
        }
        args
    }

    /// The store itself, around the proxy.
    pub(super) fn open(&self) -> Arc<dyn Lookup> {
        match &self.kind {
            StoreKind::Sqlite { .. } => Arc::new(SqliteStore::open(&self.place, &Options::default()).unwrap()),
            StoreKind::Cassandra { nodes, copies } => {
                let mut config = Config::new(nodes.clone(), self.place.clone());
                let datacenter = std::env::var("AFTERIMAGE_TEST_CASSANDRA_DATACENTER");
                let datacenter = datacenter.as_deref().unwrap_or("datacenter1");
                config.replication = Some(format!("{datacenter}:{copies}").parse().unwrap());
                config.request_timeout = ANSWER_PATIENCE;
                config.connect_timeout = ANSWER_PATIENCE;
                Arc::new(CassandraStore::new(config).unwrap())
            }
            StoreKind::Mongodb { uri } => {
                let mut config = afterimage_store_mongodb::Config::new(uri.clone(), self.place.clone());
                config.request_timeout = ANSWER_PATIENCE;
                Arc::new(MongoStore::new(config).unwrap())
            }
        }
    }

    /// Where each event stands in the order in which entries were stored, if the store has one order for all of them.
    pub(super) fn journal(&self) -> Option<Journal> {
        matches!(self.kind, StoreKind::Sqlite { .. }).then(|| Journal::read(&self.place))
    }

    /// A transaction that keeps others from writing until it is dropped.
    pub(super) fn lock(&self) -> Connection {
        assert!(matches!(self.kind, StoreKind::Sqlite { .. }), "only SQLite has a lock");
        let connection = Connection::open(&self.place).unwrap();
        connection.busy_timeout(LOCK_PATIENCE).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        connection
    }

    /// A cluster of several nodes is a test's own and goes as a whole.
    pub(super) async fn remove(&self) {
        if let StoreKind::Cassandra { nodes, copies: 1 } = &self.kind {
            let session = SessionBuilder::new().known_nodes(nodes).build().await.unwrap();
            session.query_unpaged(format!("DROP KEYSPACE {}", self.place), ()).await.unwrap();
        }
        if let StoreKind::Mongodb { uri } = &self.kind {
            let client = mongodb::Client::with_uri_str(uri).await.unwrap();
            client.database(&self.place).drop().await.unwrap();
        }
    }
}

/// A name that no other run has.
fn unique() -> String {
    format!("faults_{}", Uuid::new_v4().simple())
}

/// The `host:port` of a connection string that names one node and no credentials.
fn one_node(uri: &str) -> Option<&str> {
    let hosts = uri.strip_prefix("mongodb://")?.split(['/', '?']).next()?;
    (!hosts.contains([',', '@'])).then_some(hosts)
}
