//! A real Cassandra or ScyllaDB, as the environment names it.

#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

pub(crate) mod answers;
#[path = "../../../store/tests/servers/entries.rs"]
pub(crate) mod entries;
#[path = "../../../store/tests/servers/proxy.rs"]
pub(crate) mod proxy;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_store::Store;
use afterimage_store_cassandra::{CassandraStore, Config};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;

/// The nodes to test on, or `None` when whoever runs the tests asked to do without. Fails when nobody decided.
pub(crate) fn nodes() -> Option<Vec<String>> {
    if let Ok(nodes) = std::env::var("AFTERIMAGE_TEST_CASSANDRA_NODES") {
        return Some(nodes.split(',').map(|node| node.trim().to_owned()).collect());
    }
    if std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1") {
        // Not by a macro: the test harness would hide it.
        let line = "SKIPPED: this test needs Cassandra, and AFTERIMAGE_TEST_SKIP_SERVERS=1 says to do without\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    panic!(
        "this test needs Cassandra: run `make test`, or `tests/servers/servers.sh with -- cargo test`, or name your own \
         in AFTERIMAGE_TEST_CASSANDRA_NODES"
    );
}

/// A keyspace name that nobody else uses.
pub(crate) fn unique_keyspace() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("t{now:x}_{:x}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The one data centre of the test server.
pub(crate) fn datacenter() -> String {
    std::env::var("AFTERIMAGE_TEST_CASSANDRA_DATACENTER").unwrap_or_else(|_| "datacenter1".to_owned())
}

/// A keyspace of a test's own, dropped by [`Keyspace::drop_it`].
pub(crate) struct Keyspace {
    pub(crate) nodes: Vec<String>,
    pub(crate) name: String,
}

impl Keyspace {
    /// A name for a new one on the server under test.
    pub(crate) fn new() -> Option<Self> {
        Some(Self { nodes: nodes()?, name: unique_keyspace() })
    }

    /// Settings that make it on `migrate`, with one copy in the one data centre of the test server.
    pub(crate) fn config(&self) -> Config {
        let datacenter = datacenter();
        let mut config = Config::new(self.nodes.clone(), self.name.clone());
        config.replication = Some(format!("{datacenter}:1").parse().unwrap());
        // A test machine may be busy.
        config.request_timeout = std::time::Duration::from_secs(20);
        config.connect_timeout = std::time::Duration::from_secs(30);
        config
    }

    /// A store on it, migrated.
    pub(crate) async fn store(&self) -> Arc<CassandraStore> {
        self.store_with(self.config()).await
    }

    pub(crate) async fn store_with(&self, config: Config) -> Arc<CassandraStore> {
        let store = Arc::new(CassandraStore::new(config).unwrap());
        store.migrate().await.unwrap();
        store
    }

    /// A plain session, to look behind the store.
    pub(crate) async fn session(&self) -> Session {
        SessionBuilder::new().known_nodes(&self.nodes).build().await.unwrap()
    }

    pub(crate) async fn drop_it(self) {
        let session = self.session().await;
        session.query_unpaged(format!("DROP KEYSPACE IF EXISTS {}", self.name), ()).await.unwrap();
    }
}
