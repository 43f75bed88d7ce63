//! Traces as an operator switches them on, and what a collector that is missing or stuck does to a worker: nothing.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "../../telemetry/tests/collector/mod.rs"]
mod collector;
mod support;

use std::path::Path;
use std::process::Command;

use aws_sdk_sqs::types::MessageAttributeValue;
use collector::{Collector, Manner, closed, hex, text};
use serde_json::{Value, json};
use support::http::get;
use support::sqs::Queues;
use support::{Running, afterimage, run, wait_until};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Longer than any test may take: who waits for this has hung.
const NEVER_MS: &str = "600000";

fn order(id: u64) -> String {
    json!({
        "eventId": format!("e{id}"), "tableName": "orders", "recordId": id.to_string(), "operation": "insert",
        "after": { "id": id }, "occurredAt": "2026-01-09T10:00:05Z",
    })
    .to_string()
}

fn worker(folder: &Path, queues: &Queues, flags: &[&str]) -> Command {
    let mut command = afterimage(folder);
    command.args(["worker", "--queue-url", &queues.changes, "--dlq-url", &queues.dead, "--listen", "127.0.0.1:0"]);
    command.args(flags);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_or_a_variable_switches_traces_on_and_without_either_there_are_none() {
    let collector = Collector::start(Manner::Takes);
    let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
    let idle = ["--exit-when-idle", "1s"];

    queues.send([order(1)]).await;
    let (code, text_off) = Running::start(worker(folder.path(), &queues, &idle)).end();
    assert_eq!((code, collector.requests().len()), (0, 0), "{text_off}");
    assert!(!text_off.contains("traces"), "{text_off}");

    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let sent =
        [("by flag", vec!["--otlp-endpoint", &collector.url[..]], None), ("by variable", vec![], Some(&collector.url))];
    for (n, (how, flags, variable)) in sent.into_iter().enumerate() {
        let value = MessageAttributeValue::builder().data_type("String").string_value(&parent).build().unwrap();
        let send = queues.client.send_message().queue_url(&queues.changes).message_body(order(n as u64 + 2));
        send.message_attributes("traceparent", value).send().await.unwrap();
        let mut command = worker(folder.path(), &queues, &[&idle[..], &flags].concat());
        command.args(["--worker-name", &how.replace(' ', "-")]);
        if let Some(url) = variable {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url);
        }
        let (code, printed) = Running::start(command).end();
        assert_eq!(code, 0, "{printed}");
        let requests = collector.requests();
        let resources = requests.iter().flat_map(|request| &request.body.resource_spans);
        let spans = resources
            .filter(|resource| {
                let attributes = &resource.resource.as_ref().unwrap().attributes;
                text(attributes, "service.instance.id") == Some(how.replace(' ', "-"))
            })
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans);
        let traced: Vec<_> = spans.filter(|span| hex(&span.trace_id) == TRACE).collect();
        let [process] = traced[..] else { panic!("{how}: {traced:#?}\n{printed}") };
        assert_eq!(process.name, "process changes", "{how}");
        assert_eq!(text(&process.attributes, "afterimage.outcome").as_deref(), Some("stored"), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_swallows_or_is_not_there_holds_up_neither_the_work_nor_the_end() {
    let swallowing = Collector::start(Manner::Swallows);
    for endpoint in [closed(), swallowing.url.clone()] {
        let (folder, queues) = (tempfile::tempdir().unwrap(), Queues::start().await);
        queues.send((1..=200).map(order)).await;
        let mut command = worker(folder.path(), &queues, &["--otlp-endpoint", &endpoint, "--grace-period", "20s"]);
        command.env("OTEL_EXPORTER_OTLP_TIMEOUT", NEVER_MS).env("OTEL_BSP_SCHEDULE_DELAY", "10");
        let mut running = Running::start(command);
        let address = running.wait_for("the address of the health page", |line| {
            serde_json::from_str::<Value>(line).ok()?["listen"].as_str().map(str::to_owned)
        });
        wait_until("everything stored", || {
            let page = get(&address, "/metrics").1;
            page.contains("afterimage_messages_total{outcome=\"deleted\"} 200").then_some(())
        });
        assert_eq!(get(&address, "/readyz").0, 200);
        assert!(get(&address, "/metrics").1.contains("afterimage_trace_spans_total{outcome=\"exported\"} 0"));
        running.signal("TERM");
        let (code, printed) = running.end();
        assert_eq!(code, 0, "{printed}");
        assert!(printed.contains("the collector of traces"), "{printed}");
    }
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_before_anything_is_opened_and_a_platforms_variable_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let queue = ["worker", "--queue-url", "http://127.0.0.1:1/1/changes"];
    let refused = run(folder.path(), &[&queue[..], &["--otlp-endpoint", "collector:4318"]].concat());
    assert_eq!(refused.code, 64);
    let expected = "--otlp-endpoint: expected the URL of a collector, such as http://127.0.0.1:4318";
    assert_eq!(refused.stderr.trim(), format!("error: {expected}"));

    let mut command = afterimage(folder.path());
    command.args(queue).args(["--otlp-endpoint", "http://c:4318"]).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(printed.contains("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken here"), "{printed}");

    // What the variables of a whole platform say must not keep the trail from being written.
    let mut command = afterimage(folder.path());
    command.args(queue).args(["--exit-when-idle", "1s", "--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317").env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let mut running = Running::start(command);
    running.wait_for("the warning", |line| line.contains("there are no traces").then_some(()));
    running.wait_for("the worker at work", |line| line.contains("\"working\"").then_some(()));
}
