//! `afterimage serve`: the questions over HTTP, until told to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afterimage_api::{Server, Service, Verdict, Vitals, router};
use afterimage_store::{Lookup, Trail};
use afterimage_telemetry::Metrics;
use anyhow::Context;
use tokio::time::{sleep, timeout};

use super::{BUILD, Outcome};
use crate::config::ServeConfig;
use crate::signals::Stop;
use crate::stores;

/// Between two looks at the store.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A look that takes longer counts as no answer.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Builds a server from its configuration and runs it to its end.
pub(super) async fn run(config: ServeConfig, stop: Stop) -> anyhow::Result<Outcome> {
    let store = stores::open(&config.store, stores::Missing::Refuse)?;
    let metrics = Metrics::new(BUILD)?;
    let watch = Arc::new(StoreWatch::default());
    let seen = Arc::clone(&watch);
    let router = router(Service {
        trail: Trail::new(Arc::clone(&store)),
        gate: Arc::new(config.gate),
        limits: config.limits,
        // A server that answers this is alive; a store that does not answer is no reason to restart it.
        vitals: Vitals::new(|| Ok(()), move || seen.verdict()),
        metrics,
    })?;
    let server = Server::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}; --listen names another address", config.listen))?;
    let looking = tokio::spawn(watch.look(Arc::clone(&store)));
    tracing::info!(listen = %server.address(), store = store.kind(), version = BUILD.version, "answering");

    let all_finished = tokio::select! {
        all_finished = server.run(router, stop.drain.clone(), config.grace) => all_finished,
        () = stop.now.cancelled() => false,
    };
    looking.abort();
    store.close().await;
    if all_finished {
        tracing::info!("ended");
    } else {
        tracing::warn!("ended with answers cut off: the grace period was over, or told twice to stop");
    }
    Ok(Outcome::Done)
}

/// What the store said last.
struct StoreWatch(Mutex<Verdict>);

impl Default for StoreWatch {
    fn default() -> Self {
        Self(Mutex::new(Err("store: has not answered yet".to_owned())))
    }
}

impl StoreWatch {
    fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the store again and again. Why it does not answer is for the log: the page may be public.
    async fn look(self: Arc<Self>, store: Arc<dyn Lookup>) {
        loop {
            let reason = match timeout(LOOK_MAX, store.ping()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {} s", LOOK_MAX.as_secs())),
            };
            let verdict = reason.as_ref().map_or(Ok(()), |_| Err("store: does not answer".to_owned()));
            let before =
                std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), verdict.clone());
            match reason {
                Some(reason) if before != verdict => tracing::warn!(reason, "the store does not answer"),
                None if before.is_err() => tracing::info!("the store answers"),
                _ => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
