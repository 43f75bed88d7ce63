//! The one session in use: opened when first needed, and anew when it has gone stale.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use afterimage_store::StoreError;

use crate::Config;
use crate::errors::Failure;
use crate::session::Live;
use crate::statements::{Inserts, Selects};

/// After failing for so long the session itself is suspected. The driver reconnects by itself when it knows where to;
/// it does not when all nodes it knew have come back under other addresses, and pauses for up to 10 s between attempts.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);
/// From one attempt to open a session to the next, while the old one fails: shorter than the core's pauses between probes,
/// so that every probe but the first few comes with an attempt.
const REOPEN_PAUSE: Duration = Duration::from_secs(2);
/// First limit of an attempt to open a session beside one that there is. An attempt that was begun while the cluster was
/// away may hear nothing when it is back, and holds up the probe that made it. The limit grows to `connect_timeout` with a
/// quarter of the time that calls have failed: a cluster that is slow to answer must get its session at last.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// Holds the session.
pub(crate) struct Connection {
    config: Config,
    current: Mutex<Option<Arc<Live>>>,
    /// Only one call opens a session; it holds the time of the last attempt.
    opening: tokio::sync::Mutex<Option<Instant>>,
    started: Instant,
    /// Milliseconds since `started`, plus one, at which calls began to fail; 0 while they succeed.
    failing_since_ms: AtomicU64,
    /// The warnings that the log has already: every new session finds the same.
    warned: Mutex<HashSet<String>>,
}

impl Connection {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            current: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            started: Instant::now(),
            failing_since_ms: AtomicU64::new(0),
            warned: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The session. Waits for `connect_timeout` at most, whoever opens it.
    pub(crate) async fn live(&self) -> Result<Arc<Live>, StoreError> {
        let current = self.current();
        match current {
            Some(live) if !self.is_suspect() => Ok(live),
            Some(live) => Ok(self.reopen(&live).await.unwrap_or(live)),
            None => self.open().await,
        }
    }

    /// Opens the first session. Everybody waits for the one who opens it.
    async fn open(&self) -> Result<Arc<Live>, StoreError> {
        let limit = self.config.connect_timeout;
        let Ok(mut last_attempt) = tokio::time::timeout(limit, self.opening.lock()).await else {
            let nodes = self.config.nodes.join(", ");
            return Err(StoreError::Unavailable { reason: format!("still connecting to {nodes}") });
        };
        if let Some(live) = self.current() {
            return Ok(live);
        }
        *last_attempt = Some(Instant::now());
        let live = Arc::new(Live::open(&self.config, limit).await?);
        self.put(Some(Arc::clone(&live)));
        Ok(live)
    }

    /// Tries to replace a session that fails; `None` when somebody else is at it, or was lately, or it does not work.
    async fn reopen(&self, stale: &Arc<Live>) -> Option<Arc<Live>> {
        let mut last_attempt = self.opening.try_lock().ok()?;
        if let Some(current) = self.current().filter(|current| !Arc::ptr_eq(current, stale)) {
            return Some(current);
        }
        if last_attempt.is_some_and(|at| at.elapsed() < REOPEN_PAUSE) {
            return None;
        }
        *last_attempt = Some(Instant::now());
        let limit = (self.failing_for() / 4).max(REOPEN_TIMEOUT).min(self.config.connect_timeout);
        let live = Arc::new(Live::open(&self.config, limit).await.ok()?);
        tracing::info!("opened a new session with the cluster: the old one had gone stale");
        self.put(Some(Arc::clone(&live)));
        self.succeeded();
        Some(live)
    }

    pub(crate) fn close(&self) {
        self.put(None);
    }

    fn current(&self) -> Option<Arc<Live>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, live: Option<Arc<Live>>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = live;
    }

    fn is_suspect(&self) -> bool {
        self.failing_for() >= SUSPECT_AFTER
    }

    /// Zero while calls succeed.
    fn failing_for(&self) -> Duration {
        match self.failing_since_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now_ms() - since),
        }
    }

    /// A request was answered.
    pub(crate) fn succeeded(&self) {
        if self.failing_since_ms.load(Ordering::Relaxed) != 0 {
            self.failing_since_ms.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed. Only failures to talk at all count against the session.
    pub(crate) fn failed(&self, failure: &Failure) {
        let is_first = self.failing_since_ms.load(Ordering::Relaxed) == 0;
        if is_first && matches!(failure, Failure::Connection(_)) {
            self.failing_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// The session's statements for storing, when the schema is as this release wants it.
    pub(crate) async fn inserts<'live>(&self, live: &'live Live) -> Result<&'live Inserts, StoreError> {
        let outcome = live.inserts(&self.config, |warning| self.warn(warning)).await;
        self.noticed(outcome.as_ref().err());
        outcome
    }

    /// Those for questions.
    pub(crate) async fn selects<'live>(&self, live: &'live Live) -> Result<&'live Selects, StoreError> {
        let outcome = live.selects(&self.config, |warning| self.warn(warning)).await;
        self.noticed(outcome.as_ref().err());
        outcome
    }

    fn warn(&self, warning: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(&warning) {
            tracing::warn!("{warning}");
            warned.insert(warning);
        }
    }

    /// Keeps what a failure says of the session.
    pub(crate) fn noticed(&self, error: Option<&StoreError>) {
        if let Some(StoreError::Unavailable { reason }) = error {
            self.failed(&Failure::Connection(reason.clone()));
        }
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }
}
