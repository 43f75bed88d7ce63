//! Ids, times, positions, record keys and actors: where each comes from, in which order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;

use afterimage_event::{
    Actor, Contents, ControlKind, IdOrigin, Layer, Layers, Message, Op, Origin, RecordKeys, Settings, Spot, TimeOrigin,
    decode,
};
use afterimage_json::Pointer;
use common::{MESSAGE_ID, SENT_AT, message, read, read_one, read_one_of, time};
use serde_json::json;

const UPDATE: &str = r#"{"tableName":"users","operation":"update","before":{"id":1},"after":{"id":1,"n":2}}"#;
const TOPIC: &str = "arn:aws:sns:eu-west-1:1:changes.fifo";

fn notification(message: &str, more: &str) -> String {
    let message = json!(message);
    format!(r#"{{"Type":"Notification","MessageId":"sns-1","TopicArn":"{TOPIC}","Message":{message}{more}}}"#)
}

fn with(members: &str) -> String {
    UPDATE.replacen('{', &format!("{{{members},"), 1)
}

#[test]
fn an_id_is_the_events_own_else_that_of_sns_else_that_of_sqs() {
    read_one(&notification(&with(r#""eventId":"e-1""#), ""), |event| {
        assert_eq!((event.id.value.as_str(), event.id.origin), ("e-1", IdOrigin::Event));
    });
    read_one(&notification(UPDATE, ""), |event| {
        assert_eq!((event.id.value.as_str(), event.id.origin), ("sns-1", IdOrigin::Sns));
    });
    read_one(UPDATE, |event| {
        assert_eq!((event.id.value.as_str(), event.id.origin), (MESSAGE_ID, IdOrigin::Sqs));
    });
}

#[test]
fn events_of_a_list_that_have_no_id_are_numbered_by_their_place() {
    let list = format!("[{},{UPDATE},7,{UPDATE}]", with(r#""eventId":"own""#));
    for (body, id) in [(list.clone(), MESSAGE_ID), (notification(&list, ""), "sns-1")] {
        read(&message(&body), &Settings::default(), |events| {
            let ids: Vec<_> = events.unwrap().into_iter().map(|event| event.ok().map(|event| event.id.value)).collect();
            let numbered = |index| Some(format!("{id}#{index}"));
            assert_eq!(ids, [Some("own".to_owned()), numbered(1), None, numbered(3)]);
        });
    }
}

#[test]
fn an_event_of_a_list_that_is_refused_for_its_text_keeps_no_other_from_being_read() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for (flaw, code) in [(r#"{"a":1,"a":2}"#, "duplicate_key"), (r#"{"a":"\ud800"}"#, "not_json"), (&deep, "too_deep")]
    {
        let list = format!(" [{UPDATE}, {flaw} ,{UPDATE}]");
        for (body, layer) in [(list.clone(), Layer::Body), (notification(&list, ""), Layer::SnsMessage(1))] {
            read(&message(&body), &Settings::default(), |events| {
                let events = events.unwrap();
                let refused = events[1].as_ref().unwrap_err();
                assert_eq!((refused.event_index, refused.code(), refused.place.layer), (Some(1), code, layer));
                let Spot::Byte(offset) = refused.place.spot else { panic!("{refused}") };
                let start = list.find(flaw).unwrap();
                assert!((start..start + flaw.len()).contains(&offset), "{refused}");
                assert!(events[0].is_ok() && events[2].as_ref().unwrap().id.value.ends_with("#2"));
            });
        }
    }
}

#[test]
fn a_time_is_the_events_own_else_that_of_sns_else_that_of_sqs() {
    let own = with(r#""occurredAt":"2026-01-09T12:00:05+02:00""#);
    let sns = r#","Timestamp":"2026-01-09T10:00:06.871Z""#;
    for (body, occurred_at, origin, published_at) in [
        (notification(&own, sns), "2026-01-09T10:00:05Z", TimeOrigin::Event, "2026-01-09T10:00:06.871Z"),
        (notification(UPDATE, sns), "2026-01-09T10:00:06.871Z", TimeOrigin::Sns, "2026-01-09T10:00:06.871Z"),
        (notification(UPDATE, ""), SENT_AT, TimeOrigin::Sqs, SENT_AT),
        (own, "2026-01-09T10:00:05Z", TimeOrigin::Event, SENT_AT),
        (UPDATE.to_owned(), SENT_AT, TimeOrigin::Sqs, SENT_AT),
    ] {
        read_one(&body, |event| {
            assert_eq!((event.occurred_at, event.time_origin), (time(occurred_at), origin));
            assert_eq!(event.published_at, time(published_at));
        });
    }
}

#[test]
fn a_position_is_the_events_own_else_that_of_the_topic_else_that_of_the_queue() {
    let sns = r#","SequenceNumber":"10000000000000003000""#;
    let own = with(r#""seq":7,"source":"billing""#);
    let topic = format!("sns:{TOPIC}");
    let grouped = format!("{topic}/g1");
    for (body, group_id, domain, value, own) in [
        (notification(&own, sns), Some("g1"), "seq:billing", "7", true),
        (notification(UPDATE, sns), Some("g1"), &grouped, "10000000000000003000", false),
        (notification(UPDATE, sns), None, &topic, "10000000000000003000", false),
        (notification(UPDATE, ""), Some("g1"), "sqs:g1", "18849496460467696128", false),
        (UPDATE.to_owned(), Some("g1"), "sqs:g1", "18849496460467696128", false),
    ] {
        let message = Message { sequence_number: Some("18849496460467696128"), group_id, ..message(&body) };
        read_one_of(&message, &Settings::default(), |event| {
            let position = event.position.unwrap();
            assert_eq!((position.domain.as_str(), position.value(), event.position_is_own), (domain, value, own));
        });
    }
    read_one(UPDATE, |event| assert_eq!((event.position, event.position_is_own), (None, false)));
}

#[test]
fn a_dead_letter_that_was_sent_back_is_the_event_it_was() {
    for body in [UPDATE.to_owned(), notification(UPDATE, ""), format!("[{UPDATE},{UPDATE}]")] {
        let first = Message { sequence_number: Some("42"), group_id: Some("g1"), ..message(&body) };
        let attribute = Origin::of(&first).to_attribute();
        let again = Message {
            message_id: "another",
            sent_at: time("2026-02-01T00:00:00Z"),
            sequence_number: Some("1"),
            group_id: Some("g2"),
            origin: Some(Origin::parse(&attribute).unwrap()),
            ..message(&body)
        };
        // Dead a second time, it still says where it was first.
        assert_eq!(Origin::of(&again).to_attribute(), attribute);
        let settings = Settings::default();
        assert_eq!(common::outcome(&again, &settings), common::outcome(&first, &settings));
    }
}

struct Keys(Vec<Pointer>);

impl RecordKeys for Keys {
    fn pointers(&self, source: &str, table: &str) -> &[Pointer] {
        if (source, table) == ("default", "users") { &self.0 } else { &[] }
    }
}

#[test]
fn a_record_id_is_sent_else_at_the_configured_key_else_id_else_underscore_id() {
    let keys = Keys(vec!["/org".parse().unwrap(), "/no/0".parse().unwrap()]);
    let settings = Settings { record_keys: Arc::new(keys), ..Settings::default() };
    for (members, expected) in [
        (r#""recordId":["a",1.50],"after":{"org":"o","no":[7]}"#, &["a", "1.50"][..]),
        (r#""recordId":12345678901234567890123,"after":{}"#, &["12345678901234567890123"]),
        (r#""after":{"org":"o","no":[7],"id":9}"#, &["o", "7"]),
        // The image before has all of the key, the one after only a part.
        (r#""after":{"org":"o"},"before":{"org":"p","no":["q"]}"#, &["p", "q"]),
        (r#""after":{"_id":5},"before":{"id":4}"#, &["4"]),
        (r#""after":{"id":3,"_id":5},"before":{"id":4}"#, &["3"]),
        (r#""after":{"id":null,"_id":5}"#, &["5"]),
        (r#""after":{"id":"","_id":5}"#, &["5"]),
        (r#""after":{"_id":{"$oid":"65a0f1e2c3b4a5d6e7f80912"}}"#, &["65a0f1e2c3b4a5d6e7f80912"]),
        (r#""recordId":["a",""],"after":{}"#, &["a", ""]),
    ] {
        let body = format!(r#"{{"tableName":"users","operation":"update",{members}}}"#);
        read_one_of(&message(&body), &settings, |event| assert_eq!(event.record.record_id, expected, "{members}"));
    }
    let body = r#"{"tableName":"users","source":"crm","operation":"update","after":{"org":"o","no":[7],"id":9}}"#;
    read_one_of(&message(body), &settings, |event| {
        assert_eq!(event.record.record_id, ["9"], "the key of another source");
    });
}

#[test]
fn what_concerns_a_whole_table_has_no_record_id_and_no_image() {
    for operation in ["truncate", "ddl"] {
        let body = format!(
            r#"{{"tableName":"t","operation":"{operation}","recordId":"r","before":{{"id":1}},"after":{{"id":2}}}}"#
        );
        read_one(&body, |event| {
            assert_eq!(event.record.record_id, [""; 0]);
            assert_eq!((event.before, event.after), (None, None));
            let extra = r#"{"extra":{"before":{"id":1},"after":{"id":2},"recordId":"r"}}"#;
            assert_eq!(event.context.as_deref(), Some(extra));
        });
    }
}

#[test]
fn an_image_that_contradicts_the_operation_is_kept_beside_it() {
    for (operation, op, kept) in
        [("insert", Op::Insert, "before"), ("snapshot", Op::Snapshot, "before"), ("delete", Op::Delete, "after")]
    {
        let body = format!(r#"{{"tableName":"t","operation":"{operation}","before":{{"id":1}},"after":{{"id":1}}}}"#);
        read_one(&body, |event| {
            assert_eq!(event.op, op);
            assert_eq!((event.before.is_none(), event.after.is_none()), (kept == "before", kept == "after"));
            assert_eq!(event.context.unwrap(), format!(r#"{{"extra":{{"{kept}":{{"id":1}}}}}}"#));
        });
    }
}

#[test]
fn configured_source_and_tenant_serve_events_that_name_none() {
    let settings = Settings { source: "crm".to_owned(), tenant: "acme".to_owned(), ..Settings::default() };
    read_one_of(&message(UPDATE), &settings, |event| {
        assert_eq!((event.record.source.as_str(), event.record.tenant.as_str()), ("crm", "acme"));
    });
    let own = with(r#""source":"billing","tenant":"umbrella""#);
    read_one_of(&message(&own), &settings, |event| {
        assert_eq!((event.record.source.as_str(), event.record.tenant.as_str()), ("billing", "umbrella"));
    });
}

fn actor(kind: &str, id: &str, name: &str, email: &str, on_behalf_of: &str) -> Actor {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Actor { kind: part(kind), id: part(id), name: part(name), email: part(email), on_behalf_of: part(on_behalf_of) }
}

#[test]
fn actors_of_any_shape_are_read_and_the_rest_is_kept() {
    for (by, expected, kept) in [
        (r#""ana@example.com""#, actor("", "", "", "ana@example.com", ""), None),
        (r#""u42""#, actor("", "u42", "", "", ""), None),
        ("42", actor("", "42", "", "", ""), None),
        (r#"{"type":"user","id":7,"name":"Ana","email":"a@x.io"}"#, actor("user", "7", "Ana", "a@x.io", ""), None),
        (r#"{"sub":"auth0|1","preferred_username":"ana"}"#, actor("", "auth0|1", "ana", "", ""), None),
        (r#"{"id":null,"userId":"u1","name":null}"#, actor("", "u1", "", "", ""), None),
        (r#"{"id":"a","userId":"b"}"#, actor("", "a", "", "", ""), Some(r#"{"userId":"b"}"#)),
        (r#"{"id":"a","onBehalfOf":"b"}"#, actor("", "a", "", "", "b"), None),
        (r#"{"id":"a","on_behalf_of":{"id":"b"}}"#, actor("", "a", "", "", "b"), None),
        (
            r#"{"id":"a","onBehalfOf":{"name":"Bob","team":3}}"#,
            actor("", "a", "", "", "Bob"),
            Some(r#"{"onBehalfOf":{"name":"Bob","team":3}}"#),
        ),
        (r#"{"id":"a","impersonator":"b"}"#, actor("", "a", "", "", ""), Some(r#"{"impersonator":"b"}"#)),
        (r#"{"id":{"x":1},"uid":"u"}"#, actor("", "u", "", "", ""), Some(r#"{"id":{"x":1}}"#)),
        (r#"{"role":"admin"}"#, Actor::default(), Some(r#"{"role":"admin"}"#)),
        (r#"["a","b"]"#, Actor::default(), Some(r#"["a","b"]"#)),
        ("true", Actor::default(), Some("true")),
        (r#""""#, Actor::default(), Some(r#""""#)),
        ("{}", Actor::default(), None),
    ] {
        read_one(&with(&format!("\"by\":{by}")), |event| {
            assert_eq!(event.actor.unwrap_or_default(), expected, "{by}");
            let kept = kept.map(|kept| format!(r#"{{"extra":{{"by":{kept}}}}}"#));
            assert_eq!(event.context.as_deref(), kept.as_deref(), "{by}");
        });
    }
    let long = format!("\"by\":\"{}\"", "x".repeat(2_000));
    read_one(&with(&long), |event| {
        assert_eq!(event.actor, None);
        assert!(event.context.unwrap().contains(&"x".repeat(2_000)));
    });
}

#[test]
fn annotations_of_sequin_name_the_actor_and_the_rest_is_context() {
    for (annotations, expected, context) in [
        ("null", Actor::default(), None),
        ("{}", Actor::default(), None),
        (r#"{"request_id":"r"}"#, Actor::default(), Some(r#"{"request_id":"r"}"#)),
        (r#"{"username":"ana","id":5}"#, actor("", "", "ana", "", ""), Some(r#"{"id":5}"#)),
        (r#"{"user_id":7,"actor_type":"service"}"#, actor("service", "7", "", "", ""), None),
        (r#"{"by":{"id":"a"},"x":1}"#, actor("", "a", "", "", ""), Some(r#"{"x":1}"#)),
        (r#"{"actor":{"id":"a","ip":"::1"}}"#, actor("", "a", "", "", ""), Some(r#"{"actor":{"id":"a","ip":"::1"}}"#)),
        (r#""nightly""#, Actor::default(), Some(r#"{"extra":{"transaction_annotations":"nightly"}}"#)),
    ] {
        let body = format!(
            r#"{{"record":{{"id":1}},"action":"insert",
                "metadata":{{"table_name":"t","transaction_annotations":{annotations}}}}}"#
        );
        read_one(&body, |event| {
            assert_eq!(event.actor.unwrap_or_default(), expected, "{annotations}");
            assert_eq!(event.context.as_deref(), context, "{annotations}");
        });
    }
}

fn sequin_update(record: &str, changes: &str) -> String {
    format!(r#"{{"record":{record},"changes":{changes},"action":"update","metadata":{{"table_name":"t"}}}}"#)
}

#[test]
fn the_row_before_is_the_row_with_the_old_values_laid_over() {
    for (record, changes, before) in [
        (r#"{"id":1,"a":2,"b":3}"#, r#"{"b":null}"#, Some(r#"{"id":1,"a":2,"b":null}"#)),
        (r#"{"id":1,"a":null}"#, r#"{"a":{"x":[1]}}"#, Some(r#"{"id":1,"a":{"x":[1]}}"#)),
        (r#"{"b":1,"id":1,"a":2}"#, r#"{"a":0,"b":0}"#, Some(r#"{"b":0,"id":1,"a":0}"#)),
        (r#"{"id":1}"#, r#"{"z":1,"y":2}"#, Some(r#"{"id":1,"z":1,"y":2}"#)),
        (r#"{"id":1,"a\"b":2}"#, r#"{"\u0061\"b":1.00}"#, Some(r#"{"id":1,"a\"b":1.00}"#)),
        // Old values are not known: nothing is made up.
        (r#"{"id":1}"#, "{}", None),
        (r#"{"id":1}"#, "null", None),
    ] {
        read_one(&sequin_update(record, changes), |event| {
            assert_eq!(event.after.as_deref(), Some(record));
            assert_eq!(event.before.as_deref(), before, "{changes} over {record}");
        });
    }
}

#[test]
fn positions_in_the_log_sort_by_commit_and_then_by_index() {
    let position = |lsn: &str, idx: &str| {
        let body = format!(
            r#"{{"record":{{"id":1}},"action":"insert",
                "metadata":{{"table_name":"t","database_name":"shop","commit_lsn":{lsn},"commit_idx":{idx}}}}}"#
        );
        read_one(&body, |event| event.position.unwrap())
    };
    let ordered = [
        ("7", "0"),
        ("7", "9"),
        ("7", "10"),
        ("8", "null"),
        ("8", "1"),
        ("10", "0"),
        ("18446744073709551615", "\"9999999999\""),
    ];
    let keys: Vec<_> = ordered.iter().map(|(lsn, idx)| position(lsn, idx).sort_key()).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
    assert_eq!(position("7", "9").domain, "lsn:shop");
    assert_eq!(position("7", "9").value(), "70000000009");
}

#[test]
fn confirmations_are_no_events_and_an_event_with_a_type_is_one() {
    let body = format!(r#"{{"Type":"UnsubscribeConfirmation","TopicArn":"{TOPIC}","Token":"t","Message":"bye"}}"#);
    let (message, settings, mut layers) = (message(&body), Settings::default(), Layers::default());
    let Contents::Control(control) = decode(&message, &settings, &mut layers).unwrap() else { panic!("no control") };
    assert_eq!((control.kind, &*control.topic_arn), (ControlKind::Unsubscribe, TOPIC));
    read_one(&with(r#""Type":"SubscriptionConfirmation""#), |event| {
        assert_eq!(event.context.unwrap(), r#"{"extra":{"Type":"SubscriptionConfirmation"}}"#);
    });
}

#[test]
fn a_message_leaves_nothing_behind_for_the_next() {
    let settings = Settings::default();
    let mut layers = Layers::default();
    for n in 0..3 {
        let inner = with(&format!(r#""eventId":"e{n}""#));
        let body = notification(&json!(inner).to_string(), "");
        let message = message(&body);
        let Contents::Events(mut events) = decode(&message, &settings, &mut layers).unwrap() else {
            panic!("no event")
        };
        assert_eq!(events.len(), 1);
        assert_eq!(events.next().unwrap().unwrap().id.value, format!("e{n}"));
        assert!(events.next().is_none());
    }
}
