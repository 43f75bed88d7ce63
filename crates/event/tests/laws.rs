//! What holds for every event: spelling, key order and envelopes do not matter, nothing is lost, nothing panics.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use afterimage_event::{Contents, Layers, Settings, decode};
use common::{event_json, message};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A native event, its members in camelCase.
fn native() -> impl Strategy<Value = Map<String, Value>> {
    let image = || {
        prop_oneof![
            prop::collection::btree_map("[a-z$./~\"é ]{0,4}", value(), 0..5).prop_map(|members| json!(members)),
            value(),
        ]
    };
    let member = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let required = (
        "[a-z_]{1,8}",
        prop::sample::select(vec![
            "insert", "CREATE", "update", "delete", "snapshot", "read", "access", "truncate", "ddl",
        ]),
        image().prop_filter("an image", |image| !image.is_null()),
        image().prop_filter("an image", |image| !image.is_null()),
        prop_oneof![Just(json!("r1")), Just(json!(17)), Just(json!(["a", 2, "é,/"]))],
    );
    let optional = vec![
        member("v", Just(json!(1)).boxed()),
        member("eventId", "[A-Za-z0-9-]{1,20}".prop_map(|id| json!(id)).boxed()),
        member(
            "seq",
            prop_oneof![any::<u64>().prop_map(|n| json!(n)), any::<u32>().prop_map(|n| json!(n.to_string()))].boxed(),
        ),
        member("source", "[a-z-]{1,8}".prop_map(|name| json!(name)).boxed()),
        member("tenant", "[a-z-]{1,8}".prop_map(|name| json!(name)).boxed()),
        member("transaction", "[a-z0-9-]{1,8}".prop_map(|name| json!(name)).boxed()),
        member("occurredAt", Just(json!("2026-01-09T10:00:05.123Z")).boxed()),
        member("unknown", Just(json!(["/bio", "/a~1b"])).boxed()),
        member(
            "labels",
            prop::collection::btree_map("[a-z]{1,4}", value(), 0..3).prop_map(|members| json!(members)).boxed(),
        ),
        member("by", by().boxed()),
        member(
            "context",
            prop::collection::btree_map("[a-z]{1,4}|extra", value(), 0..4).prop_map(|members| json!(members)).boxed(),
        ),
    ];
    let unknown = prop::collection::btree_map("[a-z]{3,6}|extra|action|Type", value(), 0..4);
    (required, optional, unknown).prop_map(|((table, operation, before, after, record_id), optional, unknown)| {
        let mut members: Map<String, Value> = unknown.into_iter().collect();
        members.extend(optional.into_iter().flatten());
        members.insert("tableName".to_owned(), json!(table));
        members.insert("operation".to_owned(), json!(operation));
        members.insert("before".to_owned(), before);
        members.insert("after".to_owned(), after);
        members.insert("recordId".to_owned(), record_id);
        members
    })
}

fn by() -> impl Strategy<Value = Value> {
    let names = "type|kind|id|userId|sub|name|username|email|onBehalfOf|on_behalf_of|impersonator|role";
    prop_oneof![value(), prop::collection::btree_map(names, value(), 0..6).prop_map(|members| json!(members))]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        "-?[1-9][0-9]{18,30}(\\.[0-9]{1,9})?".prop_map(|text| serde_json::from_str(&text).unwrap()),
        "[a-z@\\\\\"/\n\u{1}é😀]{0,8}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|elements| json!(elements)),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// The only event of a body.
fn event_of(body: &str) -> Value {
    let outcome = common::outcome(&message(body), &Settings::default());
    let event = outcome["events"][0].clone();
    assert_eq!(outcome["events"].as_array().map(Vec::len), Some(1), "{body}");
    assert!(event.get("refused").is_none(), "{event}: {body}");
    event
}

fn text_of(members: &Map<String, Value>) -> String {
    json!(members).to_string()
}

fn snake_case(name: &str) -> String {
    match name {
        "tableName" => "table_name".to_owned(),
        "eventId" => "event_id".to_owned(),
        "recordId" => "record_id".to_owned(),
        "occurredAt" => "occurred_at".to_owned(),
        other => other.to_owned(),
    }
}

/// The event without what its delivery gives it.
fn essence(mut event: Value, own: &Map<String, Value>) -> Value {
    let members = event.as_object_mut().unwrap();
    members.remove("published_at");
    for (name, given) in [("eventId", ["id", "id_origin"]), ("occurredAt", ["occurred_at", "time_origin"])] {
        if !own.contains_key(name) {
            given.iter().for_each(|given| drop(members.remove(*given)));
        }
    }
    event
}

/// Every string, number, literal and empty container in a value.
fn leaves(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(elements) if !elements.is_empty() => elements.iter().for_each(|element| leaves(element, out)),
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                out.push(format!("name {name}"));
                leaves(value, out);
            }
        }
        leaf => out.push(leaf.to_string()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn key_order_and_spelling_do_not_matter(members in native(), seed in any::<u64>()) {
        let expected = event_of(&text_of(&members));
        let mut shuffled: Vec<_> = members.iter().collect();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let spelled: Vec<_> = shuffled
            .into_iter()
            .map(|(name, value)| format!(" {} :\n{value}", json!(snake_case(name))))
            .collect();
        let body = format!("{{{}}}", spelled.join(",\t"));
        // A member that is kept in `extra` keeps the name it was sent with.
        let renamed = expected.to_string().replace("\"recordId\"", "\"record_id\"");
        prop_assert_eq!(event_of(&body), serde_json::from_str::<Value>(&renamed).unwrap());
    }

    #[test]
    fn an_event_is_the_same_in_every_envelope(members in native()) {
        let body = text_of(&members);
        let expected = essence(event_of(&body), &members);
        let packed = json!(body).to_string();
        let notification = format!(
            r#"{{"Type":"Notification","MessageId":"m","TopicArn":"arn","Timestamp":"2026-01-09T10:00:06Z","Message":{packed}}}"#
        );
        for envelope in [packed, format!("[{body}]"), json!(notification).to_string(), notification] {
            prop_assert_eq!(essence(event_of(&envelope), &members), expected.clone(), "{}", envelope);
        }
    }

    #[test]
    fn nothing_is_lost(mut members in native()) {
        let event = event_of(&text_of(&members));
        // These are turned into something else, or say nothing.
        for (name, shown) in [("operation", None), ("v", None), ("occurredAt", Some("2026-01-09T10:00:05.123000Z"))] {
            if members.remove(name).is_some() && let Some(shown) = shown {
                prop_assert_eq!(&event["occurred_at"], shown);
            }
        }
        let taken = ["tableName", "eventId", "seq", "source", "tenant", "transaction", "recordId"];
        let mut found = Vec::new();
        leaves(&event, &mut found);
        for (name, value) in members {
            let mut sent = Vec::new();
            leaves(&value, &mut sent);
            for leaf in sent {
                // Parts of the actor have names of their own; ids are text, whatever they were.
                let actors = name == "by" && (leaf.starts_with("name ") || leaf == "null" || leaf == "{}");
                let as_text = json!(leaf).to_string();
                let kept = found.contains(&leaf) || ((taken.contains(&&*name) || name == "by") && found.contains(&as_text));
                let absent = leaf == "null" || (leaf == "{}" && ["labels", "context"].contains(&&*name));
                prop_assert!(kept || actors || absent, "{leaf} of {name} is not in {event}");
            }
        }
    }

    #[test]
    fn no_text_panics(body in "\\PC{0,200}") {
        common::outcome(&message(&body), &Settings::default());
    }

    #[test]
    fn no_damage_panics(which in any::<prop::sample::Index>(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6)) {
        let fixtures = fixtures();
        let mut bytes = which.get(&fixtures).clone().into_bytes();
        for (at, byte, kind) in cuts {
            if bytes.is_empty() { break }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, b"{}[]\",:\\0n"[usize::from(byte) % 10]),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        let body = String::from_utf8_lossy(&bytes);
        common::outcome(&message(&body), &Settings::default());
    }
}

fn fixtures() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| !path.to_string_lossy().ends_with(".expected.json")).collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_prefix_of_a_fixture_is_refused_or_read() {
    for body in fixtures() {
        for end in (0..body.len()).filter(|end| body.is_char_boundary(*end)) {
            common::outcome(&message(&body[..end]), &Settings::default());
        }
    }
}

#[test]
fn every_member_of_a_sequin_message_is_found_again() {
    for body in fixtures() {
        let sent: Value = serde_json::from_str(&body).unwrap();
        if sent.get("action").is_none() || sent["metadata"].get("consumer").is_none() {
            continue;
        }
        let message = message(&body);
        let (settings, mut layers) = (Settings::default(), Layers::default());
        let Contents::Events(mut events) = decode(&message, &settings, &mut layers).unwrap() else { panic!("{body}") };
        let Some(Ok(event)) = events.next() else { continue };
        let mut found = Vec::new();
        leaves(&event_json(&event), &mut found);
        let mut sought = Vec::new();
        leaves(&sent, &mut sought);
        let metadata = sent["metadata"].as_object().unwrap();
        // In the table, the position and the operation, under other spellings.
        let mut derived: Vec<_> =
            ["table_schema", "table_name", "commit_lsn", "commit_idx"].map(|name| &metadata[name]).to_vec();
        derived.extend([&sent["action"], &sent["changes"]]);
        for leaf in sought.iter().filter(|leaf| !leaf.starts_with("name ") && *leaf != "null") {
            let derived = derived.iter().any(|value| value.to_string().as_str() == leaf);
            assert!(found.contains(leaf) || derived, "{leaf} is not in {found:?}");
        }
    }
}
