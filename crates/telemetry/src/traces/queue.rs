//! The spans that wait to be sent: bounded, and never waited for.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::collector::Collector;
use super::settings::TraceSettings;
use crate::metrics::MetricsError;

/// What becomes of a span: the labels of `afterimage_trace_spans_total`.
const EXPORTED: &str = "exported";
/// There was no room for it, or no time at the end.
const DROPPED: &str = "dropped";
/// The collector did not take it.
const FAILED: &str = "failed";

/// The spans that wait, and the count of those that do no more.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Mutex<VecDeque<SpanData>>,
    /// So many are on their way.
    sending: AtomicUsize,
    /// There is a batch, or more.
    full: Notify,
    spans_max: usize,
    batch_spans: usize,
    delay: Duration,
    count: IntCounterVec,
}

/// What the SDK hands ended spans to.
#[derive(Debug)]
pub(super) struct Tap(pub(super) Arc<Queue>);

impl Queue {
    pub(super) fn new(settings: &TraceSettings, registry: &Registry) -> Result<Self, MetricsError> {
        let help = "Spans that ended, by what became of them; where traces are on";
        let count = IntCounterVec::new(Opts::new("afterimage_trace_spans_total", help), &["outcome"])?;
        registry.register(Box::new(count.clone()))?;
        for outcome in [EXPORTED, DROPPED, FAILED] {
            count.with_label_values(&[outcome]).inc_by(0);
        }
        Ok(Self {
            spans: Mutex::default(),
            sending: AtomicUsize::new(0),
            full: Notify::new(),
            spans_max: settings.queue_spans,
            batch_spans: settings.batch_spans,
            delay: settings.delay,
            count,
        })
    }

    fn spans(&self) -> MutexGuard<'_, VecDeque<SpanData>> {
        // Nothing that can panic is done while it is locked.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, span: SpanData) {
        let mut spans = self.spans();
        if spans.len() >= self.spans_max {
            drop(spans);
            self.counted(DROPPED, 1);
            return;
        }
        spans.push_back(span);
        if spans.len() == self.batch_spans {
            self.full.notify_one();
        }
    }

    fn batch(&self) -> Vec<SpanData> {
        let mut spans = self.spans();
        let length = spans.len().min(self.batch_spans);
        spans.drain(..length).collect()
    }

    fn counted(&self, outcome: &str, spans: usize) {
        self.count.with_label_values(&[outcome]).inc_by(spans as u64);
    }

    /// Drops what waits and what is on its way; how many that were. Whoever sends them has ended.
    pub(super) fn give_up(&self) -> usize {
        let left = std::mem::take(&mut *self.spans()).len() + self.sending.swap(0, Ordering::Relaxed);
        self.counted(DROPPED, left);
        left
    }

    /// Sends what comes, a batch when it is full or when its time is over, until told to stop and nothing is left.
    pub(super) async fn send_all(self: Arc<Self>, collector: Collector, stop: CancellationToken) {
        let mut takes = true;
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = self.full.notified() => false,
                () = tokio::time::sleep(self.delay) => false,
            };
            loop {
                let batch = self.batch();
                let spans = batch.len();
                if spans == 0 {
                    break;
                }
                self.sending.store(spans, Ordering::Relaxed);
                let result = collector.export(batch, &stop).await;
                self.sending.store(0, Ordering::Relaxed);
                match &result {
                    Ok(refused) => {
                        self.counted(EXPORTED, spans.saturating_sub(*refused));
                        self.counted(FAILED, spans.min(*refused));
                    }
                    Err(_) => self.counted(FAILED, spans),
                }
                match result {
                    Err(error) if takes => {
                        tracing::warn!(%error, "the collector of traces does not take spans: they are dropped");
                        takes = false;
                    }
                    Ok(_) if !takes => {
                        tracing::info!("the collector of traces takes spans again");
                        takes = true;
                    }
                    _ => {}
                }
                if spans < self.batch_spans && !stopping {
                    break;
                }
            }
            if stopping {
                return;
            }
        }
    }
}

impl SpanProcessor for Tap {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.0.add(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // Would have to wait; `Traces::finish` does, with a bound.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
