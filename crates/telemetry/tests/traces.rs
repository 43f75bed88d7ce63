//! Spans on their way to a collector that takes them, refuses them, swallows them or is not there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod collector;

use std::time::Duration;

use afterimage_telemetry::{Build, TraceSettings, Traces};
use collector::{Collector, Manner, closed, text};
use opentelemetry::trace::{SpanKind, Tracer as _};
use prometheus::Registry;

/// Longer than any test may take: who waits for this has hung.
const NEVER_MS: &str = "600000";
const PATIENCE: Duration = Duration::from_secs(60);

struct Sent {
    traces: Traces,
    registry: Registry,
}

fn start(endpoint: &str, env: &[(&'static str, &str)]) -> Sent {
    let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let settings = TraceSettings::read(Some(("--otlp-endpoint", endpoint)), find).unwrap().unwrap();
    let registry = Registry::new();
    let build = Build { version: "1.2.3", revision: "abc" };
    Sent { traces: Traces::start(settings, build, "w1", &registry).unwrap(), registry }
}

impl Sent {
    fn make(&self, names: impl IntoIterator<Item = String>) {
        let tracer = self.traces.tracer();
        for name in names {
            drop(tracer.span_builder(name).with_kind(SpanKind::Consumer).start(&tracer));
        }
    }

    /// `exported`, `dropped`, `failed`.
    fn counts(&self) -> [u64; 3] {
        count(&self.registry)
    }
}

fn count(registry: &Registry) -> [u64; 3] {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "afterimage_trace_spans_total").unwrap();
    ["exported", "dropped", "failed"].map(|outcome| {
        let metric = family.get_metric().iter().find(|metric| metric.get_label()[0].value() == outcome).unwrap();
        metric.get_counter().get_value() as u64
    })
}

#[tokio::test]
async fn spans_reach_the_collector_in_batches_with_who_made_them() {
    let collector = Collector::start(Manner::Takes);
    let env = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_BSP_SCHEDULE_DELAY", NEVER_MS),
    ];
    let sent = start(&format!("{}/some/base/", collector.url), &env);
    sent.make((0..25).map(|n| format!("span {n}")));
    let registry = sent.registry.clone();
    sent.traces.finish(PATIENCE).await;
    assert_eq!(count(&registry), [25, 0, 0]);
    let mut names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    names.sort_by_key(|name| name.split(' ').nth(1).map(|n| n.parse::<u32>().unwrap()));
    assert_eq!(names, (0..25).map(|n| format!("span {n}")).collect::<Vec<_>>());
    let requests = collector.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(request.head.starts_with("post /some/base/v1/traces http/1.1"), "{}", request.head);
        assert!(request.head.contains("content-type: application/x-protobuf"), "{}", request.head);
        assert!(request.head.contains("x-tenant: a b"), "{}", request.head);
        let resource = request.body.resource_spans[0].resource.clone().unwrap().attributes;
        let of = |name| text(&resource, name).unwrap();
        let service = (of("service.name"), of("service.version"), of("service.instance.id"));
        assert_eq!(service, ("afterimage".to_owned(), "1.2.3".to_owned(), "w1".to_owned()));
    }
}

#[tokio::test]
async fn where_the_collector_swallows_spans_the_queue_stays_bounded_and_the_end_is_not_held_up() {
    let collector = Collector::start(Manner::Swallows);
    let env = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", NEVER_MS),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
    ];
    let sent = start(&collector.url, &env);
    sent.make((0..4).map(|n| format!("taken {n}")));
    while collector.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sent.make((0..100).map(|n| format!("more {n}")));
    assert_eq!(sent.counts(), [0, 92, 0], "four are on their way and eight wait");
    let registry = sent.registry.clone();
    let end = sent.traces.finish(Duration::from_millis(100));
    tokio::time::timeout(PATIENCE, end).await.expect("it ends though nobody answers");
    assert_eq!(count(&registry), [0, 104, 0]);
}

#[tokio::test]
async fn a_collector_that_refuses_or_is_not_there_costs_spans_and_nothing_else() {
    let refusing = Collector::start(Manner::Refuses);
    for endpoint in [refusing.url.clone(), closed()] {
        let sent = start(&endpoint, &[("OTEL_BSP_SCHEDULE_DELAY", "1")]);
        sent.make(["one".to_owned()]);
        let registry = sent.registry.clone();
        tokio::time::timeout(PATIENCE, sent.traces.finish(PATIENCE)).await.expect("it gives up");
        assert_eq!(count(&registry), [0, 0, 1], "{endpoint}");
    }
}

#[tokio::test]
async fn what_is_about_a_batch_is_recorded_whatever_chance_says() {
    let collector = Collector::start(Manner::Takes);
    let sent = start(&collector.url, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    let tracer = sent.traces.tracer();
    drop(tracer.span_builder("a message").with_kind(SpanKind::Consumer).start(&tracer));
    drop(tracer.span_builder("a batch").with_kind(SpanKind::Client).start(&tracer));
    sent.traces.finish(PATIENCE).await;
    assert_eq!(collector.spans().into_iter().map(|span| span.name).collect::<Vec<_>>(), ["a batch"]);
}
