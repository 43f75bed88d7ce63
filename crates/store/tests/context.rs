//! What stands in a context beside the change: values of the record obey the rules of the table, and what the carrier says
//! is no part of the event.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{Contents, Layers, Message, Settings, Timestamp, decode};
use afterimage_store::{Entry, Kept, keep};

fn entry(body: &str, rules: &Rules) -> Entry {
    let sent_at: Timestamp = "2026-01-09T10:00:00Z".parse().unwrap();
    let message = Message { body, message_id: "m-1", sent_at, sequence_number: None, group_id: None, origin: None };
    let (settings, mut layers) = (Settings::default(), Layers::default());
    let Contents::Events(mut events) = decode(&message, &settings, &mut layers).unwrap() else { panic!("no event") };
    match keep(&events.next().unwrap().unwrap(), rules, sent_at, 0).unwrap() {
        Kept::Entry(entry) => *entry,
        other => panic!("{other:?}"),
    }
}

fn rules(block: impl FnOnce(RuleBlock) -> RuleBlock) -> Rules {
    Rules::new(vec![block(RuleBlock::new("test", "*", "*"))], DigestKey::published()).unwrap()
}

/// A row with a marker behind every kind of rule, and one value that may be seen.
const ROW: &str = r#"{"id":1,"seen":"VISIBLE","ign":"MARKER-1","deep":{"mask":"MARKER-2","ok":"VISIBLE"},
    "drop":{"x":["MARKER-3"]},"hmac":"MARKER-4","list":[{"ign":"MARKER-5"}],"password":"MARKER-6"}"#;

fn strict() -> Rules {
    rules(|block| {
        block
            .ignore("/**/ign")
            .unwrap()
            .redact("/deep/mask", "mask")
            .unwrap()
            .redact("/drop", "drop")
            .unwrap()
            .redact("/hmac", "hmac")
            .unwrap()
    })
}

fn contradictions() -> Vec<String> {
    let native = |operation: &str, after: &str| {
        format!(r#"{{"tableName":"t","recordId":"1","operation":"{operation}","before":{ROW},"after":{after}}}"#)
    };
    // The same names in the producer's own `extra` move the images to other names.
    let taken = format!(
        r#"{{"tableName":"t","operation":"insert","before":{ROW},"after":{ROW},"context":{{"extra":{{"before":1}}}}}}"#
    );
    let sequin = |action: &str| {
        format!(r#"{{"record":{ROW},"changes":{ROW},"action":"{action}","metadata":{{"table_name":"t"}}}}"#)
    };
    ["insert", "snapshot", "delete", "truncate", "ddl"]
        .map(|operation| native(operation, ROW))
        .into_iter()
        .chain([taken, sequin("insert"), sequin("delete"), sequin("read")])
        .collect()
}

#[test]
fn no_rule_is_passed_by_an_image_that_contradicts_its_operation() {
    for body in contradictions() {
        let shown = entry(&body, &Rules::default()).content;
        assert!(shown.contains("MARKER-1"), "the test sees what is kept: {shown}");

        let kept = entry(&body, &strict()).content;
        assert!(!kept.contains("MARKER"), "{kept}");
        assert!(
            kept.contains(r#""extra":{"#) && kept.contains("VISIBLE") && kept.contains(r#""mask":"***""#),
            "{kept}"
        );

        let names = entry(&body, &rules(|block| block.images("names").unwrap())).content;
        assert!(!names.contains("MARKER") && !names.contains("VISIBLE"), "{names}");
    }
}

#[test]
fn a_change_is_one_event_through_every_sink() {
    let through = |metadata: &str, row: &str| {
        let body = format!(
            r#"{{"record":{row},"action":"insert","changes":{{"n":0}},"metadata":{{"table_name":"t",
                "idempotency_key":"k1","transaction_annotations":{{"ip":"::1"}}{metadata}}}}}"#
        );
        entry(&body, &Rules::default())
    };
    let first =
        through(r#","consumer":{"id":"a","name":"audit"},"database":{"id":"x","hostname":"db1"}"#, r#"{"id":1}"#);
    assert!(first.content.contains(r#""name":"audit""#), "it is kept: {}", first.content);
    for metadata in ["", r#","consumer":{"id":"b"},"enrichment":{"plan":"pro"}"#] {
        let other = through(metadata, r#"{"id":1}"#);
        assert_eq!(other.identity.event_id, first.identity.event_id);
        assert_eq!(other.identity.input_digest, first.identity.input_digest, "{metadata}");
    }
    // What describes the change still counts: its row, its annotations, old values that contradict it.
    assert_ne!(through("", r#"{"id":2}"#).identity.input_digest, first.identity.input_digest);
    let native = |extra: &str| {
        let body = format!(r#"{{"eventId":"e","tableName":"t","operation":"insert","after":{{"id":1}}{extra}}}"#);
        entry(&body, &Rules::default()).identity.input_digest
    };
    let digests =
        [r#""#, r#","before":{}"#, r#","before":{"id":2}"#, r#","context":{"extra":{"metadata":1}}"#].map(native);
    for (index, digest) in digests.iter().enumerate() {
        assert!(!digests[..index].contains(digest), "{index}");
    }
}
