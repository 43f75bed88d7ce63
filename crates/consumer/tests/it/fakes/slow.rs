//! A store that takes everything, after a while, and keeps nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use afterimage_store::{AppendError, Arrival, Entry, Store, StoreError};
use async_trait::async_trait;

/// The store.
pub(crate) struct Slow {
    takes: Duration,
    out: AtomicUsize,
    /// How many appends were on their way when each began, itself included.
    pub(crate) at_once: Mutex<Vec<usize>>,
}

impl Slow {
    /// With the time that an append takes; [`Duration::MAX`] never answers.
    pub(crate) fn new(takes: Duration) -> Self {
        Self { takes, out: AtomicUsize::new(0), at_once: Mutex::default() }
    }
}

#[async_trait]
impl Store for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append(&self, entries: &[Arc<Entry>], _: &Arrival) -> Vec<Result<(), AppendError>> {
        let out = self.out.fetch_add(1, Ordering::Relaxed) + 1;
        self.at_once.lock().unwrap().push(out);
        tokio::time::sleep(self.takes).await;
        self.out.fetch_sub(1, Ordering::Relaxed);
        entries.iter().map(|_| Ok(())).collect()
    }

    async fn close(&self) {}
}
