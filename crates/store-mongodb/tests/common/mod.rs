//! A MongoDB server, as the environment names it.

#![allow(dead_code, reason = "every test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "what helps a test may fail as a test does")]

#[path = "../../../store/tests/servers/entries.rs"]
pub(crate) mod entries;
pub(crate) mod minority;
#[path = "../../../store/tests/servers/proxy.rs"]
pub(crate) mod proxy;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use afterimage_store::Store;
use afterimage_store_mongodb::{Config, MongoStore};
use mongodb::Client;

/// The server to test on, or `None` when whoever runs the tests asked to do without. Fails when nobody decided.
pub(crate) fn uri() -> Option<String> {
    if let Ok(uri) = std::env::var("AFTERIMAGE_TEST_MONGODB_URI") {
        return Some(uri);
    }
    if std::env::var("AFTERIMAGE_TEST_SKIP_SERVERS").is_ok_and(|skip| skip == "1") {
        // Not by a macro: the test harness would hide it.
        let line = "SKIPPED: this test needs MongoDB, and AFTERIMAGE_TEST_SKIP_SERVERS=1 says to do without\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    }
    panic!(
        "this test needs MongoDB: run `make test`, or `tests/servers/servers.sh with -- cargo test`, or name your own in \
         AFTERIMAGE_TEST_MONGODB_URI"
    );
}

/// A database of a test's own, dropped with it.
pub(crate) struct TestDatabase {
    pub(crate) uri: String,
    pub(crate) name: String,
}

impl TestDatabase {
    /// A name for a new one on the server under test.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self { uri: uri()?, name: format!("t{now:x}_{:x}_{number}", std::process::id()) })
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(self.uri.clone(), self.name.clone());
        // A test machine may be busy.
        config.request_timeout = Duration::from_secs(20);
        config
    }

    /// A store on it, migrated.
    pub(crate) async fn store(&self) -> Arc<MongoStore> {
        let store = Arc::new(MongoStore::new(self.config()).unwrap());
        store.migrate().await.unwrap();
        store
    }

    /// The database itself, to look behind the store.
    pub(crate) async fn behind(&self) -> mongodb::Database {
        Client::with_uri_str(&self.uri).await.unwrap().database(&self.name)
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own: the runtime of a test that failed is no place to wait in.
    fn drop(&mut self) {
        let (uri, name) = (self.uri.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { Client::with_uri_str(&uri).await?.database(&name).drop().await })?;
            Ok::<_, mongodb::error::Error>(())
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            let _written = writeln!(std::io::stderr(), "database {} could not be dropped", self.name);
        }
    }
}
