//! The names and labels of the metrics, and the page about them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use afterimage_telemetry::Build;
use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::*;

/// The page, at the repository root.
const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));

/// Everything that a worker shows, after each note was counted.
fn families() -> Vec<MetricFamily> {
    let all = afterimage_telemetry::Metrics::new(Build { version: "1", revision: "r" }).unwrap();
    let metrics = Metrics::register(all.registry()).unwrap();
    let message_id: std::sync::Arc<str> = "m".into();
    for code in ["ReceiptHandleIsInvalid", "AWS.SimpleQueueService.NonExistentQueue", "made up by a server"] {
        metrics.note(&Note::LeaseLost { message_id: message_id.clone(), code: code.to_owned() });
        metrics.note(&Note::Retried { operation: "delete", code: code.to_owned(), items: 1 });
    }
    metrics.note(&Note::DeadLettered { message_id: message_id.clone(), code: "not_listed" });
    metrics.note(&Note::LeftToRedrive { message_id, code: "too_deep", reason: String::new() });
    let depth = crate::Depth::register(all.registry()).unwrap();
    for queue in [crate::Watched::Changes, crate::Watched::DeadLetters] {
        depth.show(queue, Some(&crate::Counts { visible: 1, in_flight: 1, delayed: 1 }));
    }
    all.registry().gather().into_iter().filter(|family| !family.name().starts_with("process_")).collect()
}

fn labels(metric: &Metric) -> Vec<(&str, &str)> {
    metric.get_label().iter().map(|label| (label.name(), label.value())).collect()
}

#[test]
fn every_name_follows_the_conventions() {
    for family in families() {
        let name = family.name();
        assert!(name.starts_with("afterimage_"), "{name}");
        assert!(!family.help().is_empty(), "{name}");
        let fits = |units: &[&str]| units.iter().any(|unit| name.ends_with(unit));
        let is_well_named = match family.get_field_type() {
            MetricType::COUNTER => fits(&["_total"]),
            MetricType::HISTOGRAM => fits(&["_seconds", "_bytes", "_messages", "_names", "_receive_count"]),
            // Bytes and moments name their unit; the others count the thing that they are named after, or say 0 or 1.
            MetricType::GAUGE => {
                fits(&["_bytes", "_seconds", "_info", "_up", "_in_flight", "_pending", "_pollers", "_messages"])
            }
            other => panic!("{name}: {other:?}"),
        };
        assert!(is_well_named, "{name} names no unit");
    }
}

#[test]
fn labels_take_the_documented_values_only() {
    let documented = |label: &str| -> BTreeSet<String> {
        let line = PAGE.lines().find(|line| line.starts_with(&format!("- `{label}`"))).unwrap_or_else(|| {
            panic!("docs/metrics.md does not list the values of `{label}`");
        });
        let (_, values) = line.split_once(": ").unwrap();
        values.split(", ").map(|value| value.trim_matches('`').to_owned()).collect()
    };
    let listed = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(documented("reason"), listed(labels::reasons().collect()));
    assert_eq!(documented("operation"), listed(RETRIED.to_vec()));
    assert_eq!(documented("code"), listed(labels::CODES.into_iter().chain([OTHER]).collect()));
    assert_eq!(documented("outcome` of `afterimage_messages_total"), listed(MESSAGE_OUTCOMES.to_vec()));
    assert_eq!(documented("outcome` of `afterimage_events_total"), listed(EVENT_OUTCOMES.to_vec()));
    assert_eq!(documented("outcome` of `afterimage_receive_requests_total"), listed(RECEIVE_OUTCOMES.to_vec()));
    for family in families().iter().filter(|family| family.name() != "afterimage_build_info") {
        for (label, value) in family.get_metric().iter().flat_map(labels) {
            let label = if label == "outcome" { format!("outcome` of `{}", family.name()) } else { label.to_owned() };
            assert!(documented(&label).contains(value), "{}: {label}={value}", family.name());
        }
    }
}

#[test]
fn known_series_are_there_from_the_start() {
    let registry = Registry::new();
    Metrics::register(&registry).unwrap();
    let count = |name: &str| {
        registry.gather().iter().find(|family| family.name() == name).map_or(0, |family| family.get_metric().len())
    };
    assert_eq!(count("afterimage_messages_total"), MESSAGE_OUTCOMES.len());
    assert_eq!(count("afterimage_events_total"), EVENT_OUTCOMES.len());
    assert_eq!(count("afterimage_receive_requests_total"), RECEIVE_OUTCOMES.len());
    assert_eq!(count("afterimage_dead_letters_total"), labels::reasons().count());
    assert_eq!(count("afterimage_queue_retries_total"), RETRIED.len());
}

#[test]
fn the_page_lists_what_is_measured() {
    let mut table = String::new();
    for family in families() {
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        let names: Vec<_> =
            family.get_metric()[0].get_label().iter().map(|label| format!("`{}`", label.name())).collect();
        let help = family.help().trim_end_matches('.');
        writeln!(table, "| `{}` | {kind} | {} | {help} |", family.name(), names.join(", ")).unwrap();
    }
    let page: String =
        PAGE.lines().filter(|line| line.starts_with("| `afterimage_")).flat_map(|line| [line, "\n"]).collect();
    assert!(page == table, "docs/metrics.md should have this table:\n{table}");
}
