//! Traces from publishing to stored: a publisher, a queue, a worker and its store, and a collector on loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails and says where")]

#[path = "../../telemetry/tests/collector/mod.rs"]
mod collector;
mod pair;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use afterimage_consumer::{Books, Limits, Metrics, Pipeline, QueueKind, SqsQueue, SqsSettings, Tracing, Worker};
use afterimage_diff::Rules;
use afterimage_event::Settings;
use afterimage_publish::{ChangeEvent, Publisher};
use afterimage_store::{AppendError, Arrival, Entry, MemoryStore, Store, StoreError};
use afterimage_telemetry::{Build, TraceSettings, Traces};
use async_trait::async_trait;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use collector::{Collector, Manner, closed, hex, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use pair::Pair;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
/// The span of every sender here; each has a trace of its own.
const SPAN: &str = "b7ad6b7169203331";
/// In bodies, and to be found in no span.
const SECRETS: [&str; 4] = ["s3cret-value", "record-77", "ada@example.com", "group-of-record-77"];

fn trace(n: u8) -> String {
    format!("{n:02x}").repeat(16)
}

fn parent(n: u8) -> String {
    format!("00-{}-{SPAN}-01", trace(n))
}

fn body(id: &str) -> String {
    format!(
        r#"{{"eventId":"{id}","tableName":"users","recordId":"record-77","operation":"update","occurredAt":"2026-01-09T10:00:05Z","by":"ada@example.com","before":{{"s":"s3cret-value"}},"after":{{"s":"{id}"}}}}"#
    )
}

/// A message as it is sent.
#[derive(Default)]
struct Sent {
    body: String,
    attributes: Vec<(&'static str, String)>,
    xray: Option<String>,
}

struct Bench(Pair);

/// What came of a run.
struct Told {
    spans: Vec<Span>,
    books: Books,
}

impl Bench {
    async fn new(kind: QueueKind) -> Self {
        Self(Pair::start(kind, ["changes", "dead"]).await)
    }

    /// Sends a batch; the id of each message.
    async fn send(&self, messages: Vec<Sent>) -> Vec<String> {
        let count = messages.len();
        let entries = messages.into_iter().enumerate().map(|(n, message)| {
            let mut entry = SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(message.body);
            for (name, value) in message.attributes {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap();
                entry = entry.message_attributes(name, value);
            }
            if let Some(header) = message.xray {
                let value = MessageSystemAttributeValue::builder().data_type("String").string_value(header);
                let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
                entry = entry.message_system_attributes(name, value.build().unwrap());
            }
            if self.0.kind == QueueKind::Fifo {
                entry = entry.message_group_id("group-of-record-77").message_deduplication_id(n.to_string());
            }
            entry.build().unwrap()
        });
        let request =
            self.0.client.send_message_batch().queue_url(&self.0.queue_url).set_entries(Some(entries.collect()));
        let sent = request.send().await.unwrap();
        assert!(sent.failed.is_empty(), "{sent:?}");
        let ids: BTreeMap<usize, String> =
            sent.successful.into_iter().map(|entry| (entry.id.parse().unwrap(), entry.message_id)).collect();
        assert_eq!(ids.len(), count);
        ids.into_values().collect()
    }

    /// A worker until it finds nothing more to do.
    async fn work(&self, endpoint: &str, env: &[(&str, &str)], store: Arc<dyn Store>) -> (Books, Registry) {
        let limits = Limits {
            wait: Duration::from_secs(1),
            bytes_max: 32 << 20,
            has_dead_letter_queue: true,
            exit_when_idle: Some(Duration::from_millis(100)),
            ..Limits::default()
        };
        let find = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let settings = TraceSettings::read(Some(("--otlp-endpoint", endpoint)), find).unwrap().unwrap();
        let registry = Registry::new();
        let traces = Traces::start(settings, Build { version: "1", revision: "1" }, "w", &registry).unwrap();
        let settings = SqsSettings {
            queue_url: self.0.queue_url.clone(),
            dlq_url: Some(self.0.dlq_url.clone()),
            wait: limits.wait,
            bytes_max: limits.bytes_max,
            connections_max: limits.pollers_max,
        };
        let queue = SqsQueue::new(self.0.config.clone(), settings).with_trace_headers();
        let metrics = Metrics::register(&registry).unwrap();
        let pipeline = Arc::new(Pipeline::new(Settings::default(), Rules::default()));
        let kind = store.kind();
        let worker = Worker::new(limits, Duration::from_secs(5), Arc::new(queue), store, pipeline, metrics).unwrap();
        let worker = worker.traced(Tracing::new(traces.tracer(), &self.0.queue_url, kind));
        let end = tokio::time::timeout(PATIENCE, worker.run(CancellationToken::new())).await.expect("it ends");
        tokio::time::timeout(PATIENCE, traces.finish(Duration::from_millis(500))).await.expect("it ends");
        (end.books, registry)
    }

    async fn told(&self, store: Arc<dyn Store>) -> Told {
        let collector = Collector::start(Manner::Takes);
        let (books, _) = self.work(&collector.url, &[], store).await;
        let spans = collector.spans();
        for secret in SECRETS {
            assert!(!format!("{spans:?}").contains(secret), "{secret} is in {spans:#?}");
        }
        Told { spans, books }
    }
}

impl Told {
    fn named(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The span of a message.
    fn process(&self, message_id: &str) -> &Span {
        let of = |span: &&Span| text(&span.attributes, "messaging.message.id").as_deref() == Some(message_id);
        let spans: Vec<_> = self.spans.iter().filter(of).collect();
        let [span] = spans[..] else { panic!("{message_id}: {spans:#?}") };
        span
    }
}

fn links(span: &Span) -> Vec<(String, String)> {
    span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
}

fn place(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.span_id))
}

fn outcome(span: &Span) -> String {
    text(&span.attributes, "afterimage.outcome").unwrap()
}

#[tokio::test]
async fn a_change_is_in_one_trace_from_its_publisher_to_its_being_stored() {
    let (bench, store) = (Bench::new(QueueKind::Standard).await, Arc::new(MemoryStore::default()));
    let publisher = Publisher::to_queue(bench.0.client.clone(), &bench.0.queue_url);
    let event =
        |n: u8| ChangeEvent::update("users", "record-77").before(&"s3cret-value").after(&n).by("ada@example.com");
    let events = [event(1).trace(&parent(1), "vendor=x"), event(2).trace(&parent(2), "")];
    publisher.publish_many(events).await.unwrap();
    let told = bench.told(store).await;
    assert_eq!((told.books.stored, told.books.deleted), (2, 2));

    let processed = told.named("process changes");
    assert_eq!(processed.len(), 2);
    for span in &processed {
        assert_eq!(hex(&span.parent_span_id), SPAN);
        assert_eq!(span.kind(), SpanKind::Consumer);
        assert_eq!(outcome(span), "stored");
        let of = |name| text(&span.attributes, name).unwrap();
        assert_eq!((of("messaging.system"), of("messaging.destination.name")), ("aws_sqs".into(), "changes".into()));
        assert_eq!(of("messaging.operation.type"), "process");
        assert_eq!(span.events.iter().map(|event| &event.name[..]).collect::<Vec<_>>(), ["decoded", "stored"]);
    }
    let mut traces: Vec<_> = processed.iter().map(|span| (hex(&span.trace_id), span.trace_state.clone())).collect();
    traces.sort();
    assert_eq!(traces, [(trace(1), "vendor=x".to_owned()), (trace(2), String::new())]);

    // What is about both belongs to neither and links to each: to where it was made, or to what was made of it.
    let places: Vec<_> = processed.iter().map(|span| place(span)).collect();
    let made: Vec<_> = processed.iter().map(|span| (hex(&span.trace_id), SPAN.to_owned())).collect();
    for (name, linked, operation) in [
        ("receive changes", &made, "receive"),
        ("append memory", &places, "append"),
        ("delete changes", &places, "delete"),
    ] {
        let spans = told.named(name);
        assert!(!spans.is_empty(), "{name}");
        let mut found: Vec<_> = spans.iter().flat_map(|span| links(span)).collect();
        let mut linked = linked.clone();
        found.sort();
        linked.sort();
        assert_eq!(found, linked, "{name}");
        for span in spans {
            assert_eq!((span.kind(), span.parent_span_id.len()), (SpanKind::Client, 0), "{name}");
            assert!(!traces.iter().any(|(trace, _)| *trace == hex(&span.trace_id)), "{name}");
            let told =
                text(&span.attributes, "messaging.operation.name").or(text(&span.attributes, "db.operation.name"));
            assert_eq!(told.as_deref(), Some(operation));
        }
    }
    let counted = told
        .named("receive changes")
        .into_iter()
        .map(|span| text(&span.attributes, "messaging.batch.message_count").unwrap().parse::<usize>().unwrap());
    assert_eq!(counted.sum::<usize>(), 2);
    // And back: from the message to what it went through.
    for span in processed {
        let linked = links(span);
        for name in ["receive changes", "append memory"] {
            assert!(told.named(name).iter().any(|other| linked.contains(&place(other))), "{name}: {linked:?}");
        }
    }
}

/// An envelope of SNS around a body.
fn envelope(body: &str, attributes: &str) -> String {
    let body = quoted(body);
    format!(
        r#"{{"Type":"Notification","MessageId":"11111111-2222-3333-4444-555555555555","TopicArn":"arn:aws:sns:eu-west-1:123456789012:changes","Message":{body},"Timestamp":"2026-01-09T10:00:06.120Z","SignatureVersion":"1","Signature":"s","SigningCertURL":"https://example.com/c.pem","UnsubscribeURL":"https://example.com/u","MessageAttributes":{{{attributes}}}}}"#
    )
}

/// A text without control characters, as JSON.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// One batch, in which each message tells of its trace in its own way; the trace it should be found in.
fn mixed() -> Vec<(Sent, Option<String>)> {
    let attribute = |name, value: String| vec![(name, value)];
    let xray = |n: u8| Some(format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &trace(n)[..8], &trace(n)[8..]));
    let in_envelope = |parent: &str| format!(r#""traceparent":{{"Type":"String","Value":"{parent}"}}"#);
    let mut cases = vec![
        // Raw.
        (Sent { attributes: attribute("traceparent", parent(1)), ..Sent::default() }, Some(trace(1))),
        // In the envelope of SNS.
        (Sent { body: envelope(&body("e2"), &in_envelope(&parent(2))), ..Sent::default() }, Some(trace(2))),
        // By X-Ray.
        (Sent { xray: xray(3), ..Sent::default() }, Some(trace(3))),
        // What the sender attached comes before what AWS did.
        (Sent { attributes: attribute("traceparent", parent(4)), xray: xray(5), ..Sent::default() }, Some(trace(4))),
        // What is malformed is passed over, for what is not or for a trace of its own.
        (
            Sent { attributes: attribute("traceparent", "00-zz".into()), xray: xray(6), ..Sent::default() },
            Some(trace(6)),
        ),
        (
            Sent {
                attributes: attribute("traceparent", "00-zz".into()),
                xray: Some("Root=?".into()),
                ..Sent::default()
            },
            None,
        ),
        (Sent { body: envelope(&body("e7"), &in_envelope("nonsense")), ..Sent::default() }, None),
        (Sent { body: envelope(&body("e8"), r#""traceparent":"text""#), ..Sent::default() }, None),
        (Sent { attributes: attribute("tracestate", "a=1".into()), ..Sent::default() }, None),
        // Nothing.
        (Sent::default(), None),
    ];
    for (n, (sent, _)) in cases.iter_mut().enumerate() {
        if sent.body.is_empty() {
            sent.body = body(&format!("e{}", n + 1));
        }
    }
    cases
}

async fn every_way_is_understood(kind: QueueKind) {
    let (bench, store) = (Bench::new(kind).await, Arc::new(MemoryStore::default()));
    let (messages, expected): (Vec<_>, Vec<_>) = mixed().into_iter().unzip();
    let ids = bench.send(messages).await;
    let told = bench.told(store).await;
    assert_eq!((told.books.stored, told.books.deleted), (10, 10), "nothing is lost for its trace");
    for (n, (id, expected)) in ids.iter().zip(&expected).enumerate() {
        let span = told.process(id);
        match expected {
            Some(trace) => {
                assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (trace.clone(), SPAN.into()), "{n}");
                assert!(links(span).contains(&(trace.clone(), SPAN.into())), "{n}");
            }
            None => assert!(span.parent_span_id.is_empty(), "{n}: it begins a trace of its own"),
        }
        assert_eq!(outcome(span), "stored", "{n}");
    }
    let received: Vec<_> = told.spans.iter().filter(|span| span.name.starts_with("receive")).collect();
    assert_eq!(received.iter().flat_map(|span| &span.links).count(), 10, "{received:#?}");
}

#[tokio::test]
async fn attributes_envelopes_and_xray_are_understood_side_by_side_and_malformed_ones_cost_nothing() {
    every_way_is_understood(QueueKind::Standard).await;
}

#[tokio::test]
async fn on_a_fifo_queue_too_and_the_group_is_told_nobody() {
    every_way_is_understood(QueueKind::Fifo).await;
}

#[tokio::test]
async fn what_the_sender_does_not_record_nobody_does_and_one_that_is_recorded_has_its_batches() {
    let (bench, store) = (Bench::new(QueueKind::Standard).await, Arc::new(MemoryStore::default()));
    let unsampled = |n: u8| Sent {
        body: body(&format!("e{n}")),
        attributes: vec![("traceparent", format!("00-{}-{SPAN}-00", trace(n)))],
        ..Sent::default()
    };
    bench.send((1..=4).map(unsampled).collect()).await;
    let told = bench.told(Arc::<MemoryStore>::clone(&store)).await;
    assert_eq!((told.books.stored, told.spans.len()), (4, 0), "{:#?}", told.spans);

    let mut messages: Vec<_> = (5..=8).map(unsampled).collect();
    messages.push(Sent { body: body("e9"), attributes: vec![("traceparent", parent(9))], ..Sent::default() });
    let ids = bench.send(messages).await;
    let told = bench.told(store).await;
    assert_eq!(told.books.stored, 5);
    let recorded = place(told.process(&ids[4]));
    for name in ["append memory", "delete changes"] {
        let spans = told.named(name);
        assert_eq!(
            spans.iter().flat_map(|span| links(span)).collect::<Vec<_>>(),
            std::slice::from_ref(&recorded),
            "{name}"
        );
    }
    assert_eq!(told.named("process changes").len(), 1);
}

/// A store that does not answer the first append.
#[derive(Default)]
struct Fails {
    has_failed: AtomicBool,
    inner: MemoryStore,
}

#[async_trait]
impl Store for Fails {
    fn kind(&self) -> &'static str {
        "fails"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.inner.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            let reason = "s3cret-value".to_owned();
            return entries.iter().map(|_| Err(AppendError::Unavailable { reason: reason.clone() })).collect();
        }
        self.inner.append(entries, arrival).await
    }

    async fn close(&self) {}
}

#[tokio::test]
async fn errors_are_told_by_their_codes_and_the_message_ends_as_it_ended() {
    let bench = Bench::new(QueueKind::Standard).await;
    let unchanged = body("e3").replace(r#""s":"e3""#, r#""s":"s3cret-value""#);
    let bodies = [body("e1"), r#"{"tableName":"users","operation":"s3cret-value"}"#.to_owned(), unchanged];
    let ids = bench.send(bodies.map(|body| Sent { body, ..Sent::default() }).into()).await;
    let told = bench.told(Arc::new(Fails::default())).await;
    assert_eq!((told.books.stored, told.books.rejected, told.books.unchanged), (1, 1, 1));

    let stored = told.process(&ids[0]);
    assert_eq!((outcome(stored), stored.status.clone().unwrap_or_default().code), ("stored".into(), 0));
    let rejected = told.process(&ids[1]);
    assert_eq!(outcome(rejected), "rejected");
    let code = text(&rejected.attributes, "error.type").unwrap();
    assert_eq!((code.as_str(), rejected.status.clone().unwrap().code), ("bad_value", 2));
    assert_eq!(outcome(told.process(&ids[2])), "unchanged");

    let appends = told.named("append fails");
    let states: Vec<_> = appends
        .iter()
        .map(|span| (text(&span.attributes, "error.type"), span.status.clone().unwrap_or_default().code))
        .collect();
    assert_eq!(states, [(Some("store_unavailable".to_owned()), 2), (None, 0)]);
    assert!(appends.iter().all(|append| links(stored).contains(&place(append))), "both attempts are found from it");
}

#[tokio::test]
async fn a_collector_that_is_not_there_or_swallows_costs_no_message() {
    let swallowing = Collector::start(Manner::Swallows);
    for endpoint in [closed(), swallowing.url.clone()] {
        let (bench, store) = (Bench::new(QueueKind::Standard).await, Arc::new(MemoryStore::default()));
        for batch in 0..30 {
            let message = |n| Sent { body: body(&format!("e{batch}-{n}")), ..Sent::default() };
            bench.send((0..10).map(message).collect()).await;
        }
        let env = [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "50"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ];
        let (books, registry) = bench.work(&endpoint, &env, store).await;
        assert_eq!((books.stored, books.deleted, books.released, books.lease_lost), (300, 300, 0, 0), "{endpoint}");
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == "afterimage_trace_spans_total").unwrap();
        let lost: f64 = family
            .get_metric()
            .iter()
            .filter(|metric| metric.get_label()[0].value() != "exported")
            .map(|metric| metric.get_counter().get_value())
            .sum();
        assert!(lost > 300.0, "{endpoint}: {lost} spans are counted as lost");
    }
}
