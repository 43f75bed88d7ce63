//! `afterimage worker`: from a queue to a store, until told to end.

use std::sync::Arc;
use std::time::Duration;

use afterimage_consumer::{
    Depth, End, Finish, Metrics, Pipeline, Queue, SqsQueue, SqsSettings, Tracing, Watched, Worker,
};
use afterimage_store::{Store, StoreError};
use afterimage_telemetry::{Metrics as Registry, TraceSettings, Traces};
use aws_sdk_sqs::config::Builder;

use super::{BUILD, Outcome};
use crate::aws::Aws;
use crate::config::{StoreConfig, WorkerConfig};
use crate::doctor::{Finding, Looker};
use crate::health::HealthPage;
use crate::signals::Stop;
use crate::stores;

/// Between two attempts to prepare the store.
const PREPARE_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait for a collector to take the last spans: a quarter of the grace period, and no more than this.
const LAST_SPANS_MAX: Duration = Duration::from_secs(2);

/// Builds a worker from its configuration and runs it to its end.
pub(super) async fn run(config: WorkerConfig, stop: Stop) -> anyhow::Result<Outcome> {
    let aws = Aws::of_queue(&config.queue_url).await;
    let advice = tokio::spawn(advise(Looker::new(&aws), config.queue_url.clone(), config.dlq_url.clone()));
    let store: Arc<dyn Store> = stores::open(&config.store, stores::Missing::Make)?;
    let is_finite = config.process.exit_when_idle.is_some();
    let end = work(config, aws.sqs(), Arc::clone(&store), stop).await;
    advice.abort();
    store.close().await;
    let end = end?;
    Ok(if is_finite && end.books.dead_lettered > 0 { Outcome::DeadLettered } else { Outcome::Done })
}

/// Says what of the queues endangers the promise, beside the work: a worker without permission to read their attributes
/// works all the same.
async fn advise(looker: Looker, queue_url: String, dlq_url: Option<String>) {
    let (findings, _) = looker.queues(&queue_url, dlq_url.as_deref()).await;
    findings.iter().for_each(Finding::log);
}

/// A worker on this queue and store, until it ends: by itself, drained after the first request to stop, or at the
/// second at once.
pub(super) async fn work(config: WorkerConfig, sqs: Builder, store: Arc<dyn Store>, stop: Stop) -> anyhow::Result<End> {
    if let StoreConfig::Sqlite { .. } = &config.store {
        prepare(&store).await?;
    }
    let registry = Registry::new(BUILD)?;
    let (queue, name) = (config.queue_url.clone(), config.limits.worker.clone());
    let mut limits = config.limits;
    let traces = config.traces.and_then(|settings| start_traces(settings, &name, &registry));
    // The last spans are sent when the work is done, and within the grace period.
    let flush = LAST_SPANS_MAX.min(limits.grace / 4);
    if traces.is_some() {
        limits.grace -= flush;
    }
    let settings = SqsSettings {
        queue_url: config.queue_url,
        dlq_url: config.dlq_url,
        wait: limits.wait,
        bytes_max: limits.bytes_max,
        connections_max: limits.pollers_max,
    };
    let mut sqs = SqsQueue::new(sqs, settings);
    if traces.is_some() {
        sqs = sqs.with_trace_headers();
    }
    let dead_letters = sqs.dead_letters();
    let sqs: Arc<dyn Queue> = Arc::new(sqs);
    let mut watched = vec![(Watched::Changes, Arc::clone(&sqs))];
    watched.extend(dead_letters.map(|queue| -> (_, Arc<dyn Queue>) { (Watched::DeadLetters, Arc::new(queue)) }));
    let depth = Depth::register(registry.registry())?;
    let interval = config.process.queue_depth_interval;
    let kind = store.kind();
    let mut worker = Worker::new(
        limits,
        config.append_timeout,
        sqs,
        store,
        Arc::new(Pipeline::new(config.events, config.rules)),
        Metrics::register(registry.registry())?,
    )?;
    if let Some(traces) = &traces {
        worker = worker.traced(Tracing::new(traces.tracer(), &queue, kind));
    }
    let page = HealthPage::start(config.listen, worker.health(), registry).await?;
    tracing::info!(worker = name, queue, listen = %page.address(), version = BUILD.version, "working");

    let end = tokio::select! {
        end = worker.run(stop.drain.clone()) => end,
        () = depth.watch(&watched, interval), if !interval.is_zero() => unreachable!("it watches for ever"),
        () = stop.now.cancelled() => anyhow::bail!("told twice to stop: what was held will be delivered again"),
    };
    if let Some(traces) = traces {
        tokio::select! {
            () = traces.finish(flush) => {}
            () = stop.now.cancelled() => {}
        }
    }
    let books = &end.books;
    tracing::info!(
        reason = match end.finish {
            Finish::Stopped => "stopped",
            Finish::Idle => "idle",
        },
        received = books.received,
        deleted = books.deleted,
        released = books.released,
        lease_lost = books.lease_lost,
        decoded = books.decoded,
        stored = books.stored,
        unchanged = books.unchanged,
        expired = books.expired,
        rejected = books.rejected,
        abandoned = books.abandoned,
        dead_lettered = books.dead_lettered,
        "ended"
    );
    Ok(end)
}

/// A worker that cannot tell what it does does it all the same.
fn start_traces(settings: TraceSettings, worker: &str, registry: &Registry) -> Option<Traces> {
    let collector = settings.collector().to_owned();
    match Traces::start(settings, BUILD, worker, registry.registry()) {
        Ok(traces) => {
            tracing::info!(collector, "traces are on");
            Some(traces)
        }
        Err(error) => {
            tracing::warn!(%error, "there are no traces");
            None
        }
    }
}

/// Makes the tables of a SQLite file: nobody else does it for its one worker. (Servers have roles, and a worker's may
/// only insert: there it is `afterimage migrate`.) A file that another process has locked is tried again, beside the
/// worker, which waits for it.
async fn prepare(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    match store.migrate().await {
        Ok(_) => Ok(()),
        Err(error @ StoreError::Unavailable { .. }) => {
            tracing::warn!(%error, "the store cannot be prepared yet");
            let store = Arc::clone(store);
            tokio::spawn(async move {
                while let Err(error) = store.migrate().await {
                    tracing::warn!(%error, "the store cannot be prepared yet");
                    tokio::time::sleep(PREPARE_PAUSE).await;
                }
            });
            Ok(())
        }
        Err(error) => Err(error),
    }
}
