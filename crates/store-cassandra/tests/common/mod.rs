//! A real Cassandra or ScyllaDB, as the environment names it.

#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

pub(crate) mod proxy;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_event::{Op, RecordKey, Timestamp};
use afterimage_store::{Arrival, Digest, Entry, Identity, Store};
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
        let datacenter =
            std::env::var("AFTERIMAGE_TEST_CASSANDRA_DATACENTER").unwrap_or_else(|_| "datacenter1".to_owned());
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

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn arrival(worker: &str, text: &str) -> Arrival {
    Arrival { worker: worker.to_owned(), at: at(text) }
}

pub(crate) fn record(id: &str) -> RecordKey {
    RecordKey {
        tenant: "acme".to_owned(),
        source: "billing".to_owned(),
        table: "users".to_owned(),
        record_id: vec!["org".to_owned(), id.to_owned()],
    }
}

/// The n-th change of a record, each a second after the one before.
pub(crate) fn entry(record_id: &str, number: usize) -> Entry {
    let occurred_at = at("2026-01-09T10:00:00Z").saturating_add_micros(number as i64 * 1_000_000);
    Entry {
        record: record(record_id),
        identity: Identity {
            event_id: format!("{record_id}-{number:06}"),
            input_digest: Digest([number as u8; 16]),
            revision: 0,
            published_at: occurred_at.saturating_add_micros(500_000),
        },
        op: Op::Update,
        occurred_at,
        position: None,
        changed: vec!["status".to_owned()],
        before_digest: Some(Digest([1; 16])),
        after_digest: Some(Digest([2; 16])),
        provenance: afterimage_store::Provenance::default(),
        expires_at: None,
        content: format!(r#"{{"n":{number}}}"#),
    }
}
