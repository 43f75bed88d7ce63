//! `afterimage serve`: the questions over HTTP, until told to end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use afterimage_access::oidc::Issuer;
use afterimage_access::{Access, AccessLog, LiveFile};
use afterimage_api::{Guard, Server, Service, Verdict, Vitals, Who, router};
use afterimage_store::{Lookup, Store, Trail};
use afterimage_telemetry::Metrics;
use anyhow::Context;
use tokio::time::{sleep, timeout};

use super::{BUILD, Outcome};
use crate::config::{ServeConfig, WhoConfig};
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
    let access = afterimage_access::Metrics::register(metrics.registry())?;
    let who = who(config.who, access.clone()).await?;
    let log = AccessLog::new(as_writer(&store), Arc::new(config.rules), config.writer, access);
    let asked = log.clone();
    let router = router(Service {
        trail: Trail::new(Arc::clone(&store)),
        gate: Arc::new(Guard::new(who, log)),
        limits: config.limits,
        // A server that answers this is alive; a store that does not answer is no reason to restart it.
        vitals: Vitals::new(
            || Ok(()),
            move || {
                let takes_entries =
                    || "store: takes no entries, and no question is answered that is not recorded".to_owned();
                seen.verdict().and_then(|()| asked.takes_entries().then_some(()).ok_or_else(takes_entries))
            },
        ),
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

/// Who is let in. An access file that cannot be used ends the server before it begins; an issuer that is away does not.
async fn who(config: WhoConfig, metrics: afterimage_access::Metrics) -> anyhow::Result<Who> {
    let (file, issuer) = match config {
        WhoConfig::Anybody(anonymous) => return Ok(Who::Anybody(anonymous)),
        WhoConfig::Known { file, issuer } => (file, issuer),
    };
    let file = match file {
        Some(path) => Some(LiveFile::open(path).await.context("--access-file")?),
        None => None,
    };
    let issuer = issuer.map(|config| Issuer::new(*config)).transpose()?;
    if let Some(issuer) = &issuer
        && let Err(error) = issuer.warm_up().await
    {
        tracing::warn!(%error, "the issuer's keys cannot be fetched; nobody of it is let in until they can");
    }
    Ok(Who::Known(Box::new(Access::new(file, issuer, metrics))))
}

/// The half that writes: access entries are recorded with no more than that.
fn as_writer(store: &Arc<dyn Lookup>) -> Arc<dyn Store> {
    Arc::clone(store) as Arc<dyn Store>
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
