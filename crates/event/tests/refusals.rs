//! Everything that is refused says what it was taken for, where, and what was expected; and never shows a value.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use afterimage_event::{
    Format, ID_BYTES_MAX, LAYERS_MAX, Layer, Limits, MEMBERS_MAX, NAME_BYTES_MAX, NESTING_MAX, Problem,
    RECORD_ID_PARTS_MAX, RecordKeys, Refusal, Settings, Spot, UNKNOWN_MAX,
};
use afterimage_json::Pointer;
use common::{message, read, refusal_of};
use serde_json::json;

/// A native event with one member replaced, or added.
fn native(member: &str, value: &str) -> String {
    let mut members = vec![
        ("tableName", r#""users""#),
        ("operation", r#""update""#),
        ("before", r#"{"id":1}"#),
        ("after", r#"{"id":1,"n":2}"#),
    ];
    members.retain(|(name, _)| *name != member);
    members.push((member, value));
    object(&members)
}

/// A Sequin message with one member of its metadata replaced, or added.
fn sequin(member: &str, value: &str) -> String {
    let mut metadata = vec![("table_name", r#""users""#), ("table_schema", r#""public""#)];
    metadata.retain(|(name, _)| *name != member);
    metadata.push((member, value));
    object(&[("record", r#"{"id":1}"#), ("action", r#""insert""#), ("metadata", &object(&metadata))])
}

fn sns(member: &str, value: &str) -> String {
    let mut members =
        vec![("Type", r#""Notification""#), ("TopicArn", r#""arn:aws:sns:eu-west-1:1:t""#), ("Message", r#""{}""#)];
    members.retain(|(name, _)| *name != member);
    members.push((member, value));
    object(&members)
}

fn object(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn quoted(len: usize) -> String {
    format!("\"{}\"", "x".repeat(len))
}

fn list(element: &str, count: usize) -> String {
    format!("[{}]", vec![element; count].join(","))
}

fn at(pointer: &str) -> Spot {
    Spot::Pointer(pointer.parse().unwrap())
}

/// Body, format, place, code.
fn table() -> Vec<(String, Option<Format>, Spot, &'static str)> {
    let native_at =
        |member: &str, value: &str, spot: &str, code| (native(member, value), Some(Format::Native), at(spot), code);
    let sequin_at =
        |member: &str, value: &str, spot: &str, code| (sequin(member, value), Some(Format::Sequin), at(spot), code);
    let sns_at = |member: &str, value: &str, spot: &str, code| (sns(member, value), Some(Format::Sns), at(spot), code);
    let unread = |body: &str, spot, code| (body.to_owned(), None, spot, code);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let crowded: Vec<_> = (0..=MEMBERS_MAX).map(|n| format!("\"m{n}\":1")).collect();
    vec![
        unread("", Spot::Byte(0), "not_json"),
        unread("user u1 changed", Spot::Byte(0), "not_json"),
        unread("{\"a\":1} {\"b\":2}", Spot::Byte(8), "not_json"),
        unread("{\"tableName\":\"users\",", Spot::Byte(21), "not_json"),
        unread("{\"a\":1,\"a\":2}", Spot::Byte(7), "duplicate_key"),
        unread("{\"after\":{\"b\":[{\"x\":1,\"\\u0078\":1}]}}", Spot::Byte(22), "duplicate_key"),
        unread(&deep, Spot::Byte(4 + NESTING_MAX), "too_deep"),
        unread(&format!("{{{}}}", crowded.join(",")), at(""), "too_many_members"),
        unread("7", at(""), "unknown_shape"),
        unread("true", at(""), "unknown_shape"),
        unread("{}", at(""), "unknown_shape"),
        unread("[[]]", at("/0"), "wrong_type"),
        unread("[\"{}\"]", at("/0"), "wrong_type"),
        native_at("v", "2", "/v", "bad_value"),
        native_at("v", "\"1\"", "/v", "wrong_type"),
        native_at("tableName", "null", "/tableName", "missing"),
        native_at("tableName", "5", "/tableName", "wrong_type"),
        native_at("tableName", "\"\"", "/tableName", "empty"),
        native_at("tableName", &quoted(NAME_BYTES_MAX + 1), "/tableName", "too_long"),
        native_at("table_name", "\"orders\"", "/table_name", "contradiction"),
        native_at("operation", "null", "/operation", "missing"),
        native_at("operation", "\"upsert\"", "/operation", "bad_value"),
        native_at("operation", "1", "/operation", "wrong_type"),
        native_at("source", "{}", "/source", "wrong_type"),
        native_at("source", "\"\"", "/source", "empty"),
        native_at("tenant", "7", "/tenant", "wrong_type"),
        native_at("tenant", &quoted(NAME_BYTES_MAX + 1), "/tenant", "too_long"),
        native_at("eventId", "7", "/eventId", "wrong_type"),
        native_at("event_id", "\"\"", "/event_id", "empty"),
        native_at("eventId", &quoted(ID_BYTES_MAX + 1), "/eventId", "too_long"),
        native_at("transaction", "[]", "/transaction", "wrong_type"),
        native_at("seq", "-1", "/seq", "bad_value"),
        native_at("seq", "1.0", "/seq", "bad_value"),
        native_at("seq", "1e3", "/seq", "bad_value"),
        native_at("seq", "\"\"", "/seq", "bad_value"),
        native_at("seq", "\"12a\"", "/seq", "bad_value"),
        native_at("seq", "true", "/seq", "wrong_type"),
        native_at("seq", &"9".repeat(65), "/seq", "too_long"),
        native_at("occurredAt", "1767952805120", "/occurredAt", "wrong_type"),
        native_at("occurred_at", "\"2026-01-09T10:00:05\"", "/occurred_at", "bad_value"),
        native_at("occurredAt", "\"\"", "/occurredAt", "bad_value"),
        native_at("context", "\"web\"", "/context", "wrong_type"),
        native_at("labels", "[]", "/labels", "wrong_type"),
        native_at("unknown", "\"/bio\"", "/unknown", "wrong_type"),
        native_at("unknown", "[\"/bio\",7]", "/unknown/1", "wrong_type"),
        native_at("unknown", "[\"bio\"]", "/unknown/0", "bad_value"),
        native_at("unknown", "[\"/a~2\"]", "/unknown/0", "bad_value"),
        native_at("unknown", &list("\"/a\"", UNKNOWN_MAX + 1), "/unknown", "too_long"),
        native_at("recordId", "true", "/recordId", "wrong_type"),
        native_at("recordId", "{}", "/recordId", "wrong_type"),
        native_at("recordId", "\"\"", "/recordId", "empty"),
        native_at("recordId", "[]", "/recordId", "empty"),
        native_at("recordId", "[\"\",\"\"]", "/recordId", "empty"),
        native_at("record_id", "[\"a\",null]", "/record_id/1", "wrong_type"),
        native_at("recordId", "[\"a\",[]]", "/recordId/1", "wrong_type"),
        native_at("recordId", &quoted(ID_BYTES_MAX + 1), "/recordId", "too_long"),
        native_at("recordId", &list("\"a\"", RECORD_ID_PARTS_MAX + 1), "/recordId", "too_long"),
        native_at("after", r#"{"id":{}}"#, "/after/id", "wrong_type"),
        native_at("after", r#"{"id":[1]}"#, "/after/id", "wrong_type"),
        native_at("after", &object(&[("id", &quoted(ID_BYTES_MAX + 1))]), "/after/id", "too_long"),
        (
            r#"{"tableName":"t","operation":"update","after":{"name":"x","_id":null},"before":[{"id":1}]}"#.to_owned(),
            Some(Format::Native),
            at(""),
            "missing_record_id",
        ),
        (r#"{"tableName":"t","operation":"access"}"#.to_owned(), Some(Format::Native), at(""), "missing_record_id"),
        (r#"{"tableName":"t","operation":"update"}"#.to_owned(), Some(Format::Native), at(""), "missing_image"),
        native_at("operation", "\"insert\"", "", "unused"),
        native_at("source", r#""afterimage""#, "", "reserved_source"),
        native_at("source", r#""\u0061fterimage""#, "", "reserved_source"),
        sequin_at("database_name", r#""afterimage""#, "", "reserved_source"),
        sequin_at("table_name", "null", "/metadata/table_name", "missing"),
        sequin_at("table_name", "[]", "/metadata/table_name", "wrong_type"),
        sequin_at("table_schema", &quoted(NAME_BYTES_MAX), "/metadata/table_name", "too_long"),
        sequin_at("idempotency_key", "7", "/metadata/idempotency_key", "wrong_type"),
        sequin_at("commit_timestamp", "7", "/metadata/commit_timestamp", "wrong_type"),
        sequin_at("commit_lsn", "\"0/16B3748\"", "/metadata/commit_lsn", "bad_value"),
        sequin_at("commit_lsn", &"9".repeat(60), "/metadata/commit_lsn", "too_long"),
        sequin_at("database_name", "1", "/metadata/database_name", "wrong_type"),
        sequin_at("database", &object(&[("name", &quoted(NAME_BYTES_MAX + 1))]), "/metadata/database/name", "too_long"),
        sns_at("Message", "{}", "/Message", "wrong_type"),
        sns_at("Message", "null", "/Message", "missing"),
        sns_at("MessageId", "5", "/MessageId", "wrong_type"),
        sns_at("Timestamp", "\"soon\"", "/Timestamp", "bad_value"),
        sns_at("SequenceNumber", "\"x\"", "/SequenceNumber", "bad_value"),
        sns_at("SequenceNumber", &"9".repeat(65), "/SequenceNumber", "too_long"),
        sns_at("TopicArn", "{}", "/TopicArn", "wrong_type"),
        sns_at("TopicArn", &quoted(ID_BYTES_MAX + 1), "/TopicArn", "too_long"),
        sns_at("Type", "\"Greeting\"", "/Type", "bad_value"),
        sns_at("Type", "\"SubscriptionConfirmation\"", "/Token", "missing"),
        (
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{}]"#.to_owned(),
            Some(Format::S3Pointer),
            at(""),
            "not_supported",
        ),
    ]
    .into_iter()
    .filter(|(.., code)| *code != "unused")
    .collect()
}

#[test]
fn every_refusal_tells_format_place_and_kind() {
    for (body, format, spot, code) in table() {
        let refusal = refusal_of(&body, &Settings::default());
        let index = (refusal.place.spot == at("/0")).then_some(0);
        let expected = (format, index, Layer::Body, spot, code);
        let found =
            (refusal.format, refusal.event_index, refusal.place.layer, refusal.place.spot.clone(), refusal.code());
        assert_eq!(found, expected, "{refusal}: {}", &body[..body.len().min(200)]);
        let text = refusal.to_string();
        assert!(text.contains("expected"), "{text}");
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn an_operation_without_its_image_is_refused_at_the_image() {
    for (operation, sent, place) in [
        ("insert", "before", "/after"),
        ("create", "before", "/after"),
        ("snapshot", "before", "/after"),
        ("delete", "after", "/before"),
    ] {
        let body = format!(r#"{{"tableName":"t","operation":"{operation}","{sent}":{{"id":1}}}}"#);
        let refusal = refusal_of(&body, &Settings::default());
        assert_eq!((refusal.code(), refusal.place.spot), ("missing_image", at(place)), "{operation}");
    }
}

#[test]
fn limits_of_a_message_are_refusals() {
    let limits = Limits { body_bytes: 100, events: 3 };
    let settings = Settings { limits, ..Settings::default() };
    let refusal = refusal_of(&" ".repeat(101), &settings);
    assert_eq!((refusal.problem, refusal.place.spot), (Problem::TooLarge { limit_bytes: 100 }, Spot::Byte(100)));
    let refusal = refusal_of(&list("{}", 4), &settings);
    assert_eq!((refusal.problem, refusal.place.spot), (Problem::TooManyEvents { limit: 3 }, at("")));
    read(&message(&list("{}", 3)), &settings, |events| assert_eq!(events.unwrap().len(), 3));
}

#[test]
fn one_envelope_too_many_is_refused_in_its_layer() {
    let mut body = native("v", "1");
    for depth in 0..=LAYERS_MAX {
        read(&message(&body), &Settings::default(), |outcome| match outcome {
            Ok(events) => assert!(depth <= LAYERS_MAX && events[0].is_ok(), "{depth} layers"),
            Err(refusal) => panic!("{depth} layers: {refusal}"),
        });
        body = if depth % 2 == 0 { json!(body).to_string() } else { sns("Message", &json!(body).to_string()) };
    }
    let refusal = refusal_of(&body, &Settings::default());
    assert_eq!(refusal.code(), "too_many_layers");
    assert_eq!(refusal.place.layer.depth(), LAYERS_MAX);
}

#[test]
fn places_are_relative_to_the_unpacked_text() {
    let inner = sns("Message", &json!(native("seq", "-1")).to_string());
    let refusal = refusal_of(&inner, &Settings::default());
    assert_eq!((refusal.place.layer, refusal.place.spot), (Layer::SnsMessage(1), at("/seq")));
    let refusal = refusal_of(&json!(inner).to_string(), &Settings::default());
    assert_eq!(refusal.place.layer, Layer::SnsMessage(2));
    assert!(refusal.to_string().starts_with("native: /seq of the SNS Message (layer 2): expected"), "{refusal}");
    let refusal = refusal_of(r#""{\"a\":nul}""#, &Settings::default());
    assert_eq!((refusal.place.layer, refusal.place.spot), (Layer::Text(1), Spot::Byte(8)));
}

#[test]
fn only_allowed_topics_are_believed() {
    let settings = |arn: &str| Settings { allow_topics: vec![arn.to_owned()], ..Settings::default() };
    let event = native("v", "1");
    let body = sns("Message", &json!(event).to_string());
    read(&message(&body), &settings("arn:aws:sns:eu-west-1:1:t"), |events| assert!(events.unwrap()[0].is_ok()));
    let refusal = refusal_of(&body, &settings("arn:aws:sns:eu-west-1:1:other"));
    assert_eq!((refusal.code(), refusal.place.spot), ("topic_not_allowed", at("/TopicArn")));
    // What did not come through SNS does not say from where it came.
    for body in [event.clone(), format!("[{event}]"), json!(event).to_string()] {
        assert_eq!(refusal_of(&body, &settings("arn:aws:sns:eu-west-1:1:t")).code(), "topic_not_allowed");
    }
}

#[test]
fn a_pinned_format_is_not_guessed() {
    let pinned = |format| Settings { format: Some(format), ..Settings::default() };
    let refusal = refusal_of(&sequin("commit_idx", "1"), &pinned(Format::Native));
    assert_eq!((refusal.format, refusal.code()), (Some(Format::Native), "missing"));
    let refusal = refusal_of(&native("v", "1"), &pinned(Format::Sequin));
    assert_eq!((refusal.format, refusal.place.spot), (Some(Format::Sequin), at("/record")));
    let refusal = refusal_of("nonsense", &pinned(Format::Sequin));
    assert_eq!(refusal.format, Some(Format::Sequin));
    // A native event that would be taken for something else.
    let body = native("specversion", "\"1.0\"").replacen('{', r#"{"id":"1","source":"s","type":"t","#, 1);
    assert_eq!(refusal_of(&body, &Settings::default()).format, Some(Format::CloudEvents));
    read(&message(&body), &pinned(Format::Native), |events| assert!(events.unwrap()[0].is_ok()));
}

#[test]
fn the_source_of_the_trail_itself_is_claimed_by_no_event_however_it_comes() {
    for (settings, body) in [
        (Settings::default(), native("source", "\"afterimage\"")),
        (Settings { source: "afterimage".to_owned(), ..Settings::default() }, native("v", "1")),
        (Settings { source: "afterimage".to_owned(), ..Settings::default() }, sequin("commit_idx", "1")),
        (Settings { format: Some(Format::Native), ..Settings::default() }, native("source", "\"afterimage\"")),
    ] {
        let packed = sns("Message", &json!(body).to_string());
        let among = format!("[{},{body}]", native("source", "\"billing\""));
        for text in [body.clone(), json!(body).to_string(), packed] {
            assert_eq!(refusal_of(&text, &settings).code(), "reserved_source", "{text}");
        }
        read(&message(&among), &settings, |events| {
            let events = events.unwrap();
            assert_eq!(events[1].as_ref().unwrap_err().code(), "reserved_source");
            assert!(events[0].is_ok());
        });
    }
    // Another name is another source, however alike.
    for source in ["Afterimage", "afterimage-doctor", "afterimage "] {
        let body = native("source", &json!(source).to_string());
        read(&message(&body), &Settings::default(), |events| assert!(events.unwrap()[0].is_ok(), "{source}"));
    }
}

struct Keys(Vec<Pointer>);

impl RecordKeys for Keys {
    fn pointers(&self, _source: &str, _table: &str) -> &[Pointer] {
        &self.0
    }
}

#[test]
fn a_configured_key_that_is_there_in_part_is_refused_and_named() {
    let keys = Keys(vec!["/org".parse().unwrap(), "/user/no".parse().unwrap()]);
    let settings = Settings { record_keys: Arc::new(keys), ..Settings::default() };
    let refusal = refusal_of(r#"{"tableName":"t","operation":"insert","after":{"org":"secret","id":1}}"#, &settings);
    assert_eq!(refusal.code(), "missing_record_id");
    assert!(refusal.to_string().contains("recordId, or /org and /user/no, which"), "{refusal}");
    assert!(!refusal.to_string().contains("secret"));
}

#[test]
fn every_code_is_listed_and_every_listed_code_is_given() {
    let mut seen: BTreeSet<&str> = table().into_iter().map(|(.., code)| code).collect();
    seen.extend(["too_large", "too_many_events", "too_many_layers", "topic_not_allowed", "nested_envelope"]);
    assert_eq!(seen, Problem::CODES.into_iter().collect());
}

#[test]
fn an_envelope_in_a_list_is_refused() {
    let body = format!("[{}]", sns("Message", "\"{}\""));
    let refusal = refusal_of(&body, &Settings::default());
    assert_eq!((refusal.format, refusal.code()), (Some(Format::Sns), "nested_envelope"));
}

#[test]
fn no_value_and_no_long_name_shows_in_a_refusal() {
    const VALUE: &str = "s3cr3t";
    let texts = [
        native("operation", "\"s3cr3t\""),
        native("occurredAt", "\"s3cr3t\""),
        native("seq", "\"s3cr3t\""),
        native("unknown", "[\"s3cr3t\"]"),
        native("recordId", "{\"a\":\"s3cr3t\"}"),
        native("context", "\"s3cr3t\""),
        native("before", "{\"a\":\"s3cr3t\",\"a\":1}"),
        sequin("commit_lsn", "\"s3cr3t\""),
        "s3cr3t".to_owned(),
    ];
    for body in texts {
        let refusal: Refusal = refusal_of(&body, &Settings::default());
        assert!(!refusal.to_string().contains(VALUE), "{refusal}");
        assert!(!format!("{refusal:?}").contains(VALUE), "{refusal:?}");
    }
    let name = "é".repeat(100);
    let keys = Keys(vec![Pointer::from_iter([&name])]);
    let settings = Settings { record_keys: Arc::new(keys), ..Settings::default() };
    let body = object(&[("tableName", "\"t\""), ("operation", "\"insert\""), ("after", &object(&[(&name, "{}")]))]);
    let refusal = refusal_of(&body, &settings);
    assert_eq!(refusal.code(), "wrong_type");
    assert!(refusal.to_string().contains(&format!("/after/{}… of the body", "é".repeat(32))), "{refusal}");
}
