//! Spans, on their way to a collector that takes OTLP over HTTP.
//!
//! What a worker does never waits for this. A span that ended goes into a queue of bounded length, or is dropped and
//! counted; one task sends what is in the queue. Nothing else of the process knows whether a collector is there.

mod collector;
mod context;
mod queue;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry::{Context, KeyValue, TraceId};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Build, MetricsError};
use collector::Collector;
pub use context::{parse_traceparent, parse_xray};
use queue::{Queue, Tap};
pub use settings::{TraceSettings, TraceSettingsError};

/// Makes spans.
pub type Tracer = opentelemetry_sdk::trace::SdkTracer;
/// A span that a [`Tracer`] made.
pub type Span = opentelemetry_sdk::trace::Span;

/// The scope of every span: who made it.
const SCOPE: &str = "afterimage";
/// The name of the service where nobody gives one.
const SERVICE: &str = "afterimage";

/// The way of this process's spans to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    queue: Arc<Queue>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Spans cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The collector is reached by HTTPS, and nothing says whom to trust.
    #[error("the authorities of this machine cannot be read; SSL_CERT_FILE can name them")]
    Authorities(#[from] std::io::Error),
    /// The registry has such metrics already.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

impl Traces {
    /// Begins to send spans, from inside a Tokio runtime. `instance` tells this process from others of the service.
    ///
    /// # Errors
    /// [`TracesError`]; a collector that is not there is none.
    pub fn start(
        settings: TraceSettings,
        build: Build,
        instance: &str,
        registry: &Registry,
    ) -> Result<Self, TracesError> {
        let mut resource = Resource::builder().with_attributes([
            KeyValue::new("service.version", build.version),
            KeyValue::new("service.instance.id", instance.to_owned()),
        ]);
        if !settings.names_service {
            resource = resource.with_service_name(SERVICE);
        }
        let resource = resource.build();
        let queue = Arc::new(Queue::new(&settings, registry)?);
        let collector = Collector::new(&settings, &resource)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(BatchesFollow(settings.sampler))
            .with_span_processor(Tap(Arc::clone(&queue)))
            .build();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&queue).send_all(collector, stop.clone()));
        Ok(Self { provider, queue, stop, task })
    }

    /// What spans are made with.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.provider.tracer(SCOPE)
    }

    /// Sends what is still in the queue, and takes at most `patience` for it; what is left then is lost.
    pub async fn finish(mut self, patience: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
            (&mut self.task).await.ok();
            let spans = self.queue.give_up();
            tracing::warn!(spans, "the collector of traces did not take the last spans in time");
        }
    }
}

/// A span about a batch (a receive, an append, a delete: kind client) is made only where a message in it is recorded, and
/// is recorded then: chance decides once for each message, not again for what it goes through.
#[derive(Clone, Debug)]
struct BatchesFollow(Sampler);

impl ShouldSample for BatchesFollow {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let mut result = self.0.should_sample(parent, trace_id, name, kind, attributes, links);
        if *kind == SpanKind::Client {
            result.decision = SamplingDecision::RecordAndSample;
        }
        result
    }
}
