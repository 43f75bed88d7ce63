//! Exported entries, fed again: into the trail they are from, and into an empty one.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::run;
use tempfile::TempDir;

fn ask(folder: &Path, arguments: &str) -> String {
    let ended = run(folder, &arguments.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.code, 0, "{arguments}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

fn replay(folder: &Path, file: &Path, flags: &[&str]) -> Value {
    let ended = run(folder, &[&["replay", file.to_str().unwrap(), "--json"], flags].concat());
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr));
    assert_eq!(ended.code, if report["refused"] == 0 { 0 } else { 6 }, "{}{}", ended.stdout, ended.stderr);
    report
}

/// A trail of these events, by these rules, and its export.
fn exported(events: &[Value], rules: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("afterimage.toml"), rules).unwrap();
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    std::fs::write(folder.path().join("events.ndjson"), lines.join("\n")).unwrap();
    let report = replay(folder.path(), &folder.path().join("events.ndjson"), &[]);
    assert_eq!(report["refused"], 0, "{report}");
    ask(folder.path(), "export --since 2020-01-01 --output all.ndjson");
    folder
}

/// An empty trail with the same rules.
fn empty(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("afterimage.toml"), rules).unwrap();
    folder
}

/// All entries; when each was stored is no part of it.
fn entries(folder: &Path) -> Vec<Value> {
    let lines = ask(folder, "export --since 2020-01-01");
    let read = lines.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        entry.as_object_mut().unwrap().remove("stored_at");
        entry
    });
    read.collect()
}

fn told(report: &Value) -> (u64, u64, u64, u64) {
    let count = |name: &str| report[name].as_u64().unwrap();
    (count("stored"), count("there_already"), count("conflicts"), count("refused"))
}

/// Of everything an event may be.
fn odd_events() -> Vec<Value> {
    let event = |id: &str, op: &str, rest: Value| {
        let mut event = json!({ "eventId": id, "source": "shop", "tableName": "t", "recordId": "1", "operation": op,
            "occurredAt": "2026-01-09T10:00:00.000001Z" });
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    vec![
        event(
            "insert",
            "insert",
            json!({ "after": { "a": number("12345678901234567890.10"), "a/b~": "\u{e9}\n", "": [] },
            "seq": "000123456789012345678901", "transaction": "tx", "labels": { "1": "one" }, "surplus": { "x": 1 },
            "by": { "type": "agent", "id": "42", "name": "Sam", "email": "s@example.com", "onBehalfOf": "u9", "shoe": 7 },
            "context": { "ip": "::1", "requestId": "r", "extra": { "surplus": 2 } } }),
        ),
        event(
            "update",
            "update",
            json!({ "before": { "a": number("1.0"), "same": number("1e0"), "gone": null, "deep": { "x": [1, 2, 3] } },
            "after": { "a": number("1.10"), "same": 1, "new": { "y": [] }, "deep": { "x": [1, 3] } } }),
        ),
        event("after only", "update", json!({ "after": { "a": 1 } })),
        event(
            "unknown",
            "update",
            json!({ "before": { "a": 1, "b": 2 }, "after": { "a": 2, "b": 2 }, "unknown": ["/b", "/c/d"] }),
        ),
        event("delete", "delete", json!({ "before": { "z": 1, "a": { "deep": [null] } }, "after": { "soft": true } })),
        event("delete nothing", "delete", json!({ "before": {} })),
        event("delete text", "delete", json!({ "before": "text" })),
        event("insert list", "insert", json!({ "after": [1, { "a": 2 }], "before": { "odd": 1 } })),
        event("text to list", "update", json!({ "before": "text", "after": [1] })),
        event("snapshot", "read", json!({ "after": { "a": 1 } })),
        event("access", "access", json!({ "by": "u1" })),
        event("truncate", "truncate", json!({ "recordId": null, "by": "admin@example.com" })),
        event("ddl", "ddl", json!({ "recordId": null, "context": { "statement": "alter table" } })),
        event(
            "parts",
            "update",
            json!({ "recordId": ["o,1", "50%", ""], "before": { "l": [{ "id": 1, "n": 1 }, { "id": 2 }] },
            "after": { "l": [{ "id": 2 }, { "id": 3 }, { "id": 1, "n": 2 }] } }),
        ),
        event(
            "set",
            "update",
            json!({ "tableName": "sets", "before": { "l": [3, 1, 2, 1] }, "after": { "l": [2, 1, 3, 4] } }),
        ),
    ]
}

const RULES: &str = r#"
[[rules]]
source = "shop"
table = "*"
quiet = ["/seen"]
arrays = { "/l" = "keyed(/id)" }

[[rules]]
source = "shop"
table = "sets"
arrays = { "/l" = "set" }
"#;

#[test]
fn an_export_of_the_examples_makes_a_trail_that_answers_alike() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli-example.ndjson");
    let first = tempfile::tempdir().unwrap();
    let stored = replay(first.path(), &example, &[])["stored"].as_u64().unwrap();
    ask(first.path(), "export --since 2020-01-01 --output all.ndjson");
    let all = first.path().join("all.ndjson");
    assert_eq!(told(&replay(first.path(), &all, &[])), (0, stored, 0, 0));
    assert_eq!(told(&replay(first.path(), &all, &["--correct"])), (0, stored, 0, 0));

    let second = tempfile::tempdir().unwrap();
    assert_eq!(told(&replay(second.path(), &all, &[])), (stored, 0, 0, 0));
    assert_eq!(entries(second.path()), entries(first.path()));
    for question in [
        "state users 123 --at 2026-01-06 --json",
        "states orders 7 --json",
        "gaps orders --since 2020-01-01 --json",
        "diff users 123 --from 2026-01-06 --to 2026-01-08 --json",
        "feed --since 2020-01-01 --all --json",
        "counts actor,field,hour --since 2020-01-01 --json",
    ] {
        assert_eq!(ask(second.path(), question), ask(first.path(), question), "{question}");
    }
    // And the events themselves are nothing new to it.
    assert_eq!(told(&replay(second.path(), &example, &[])), (0, stored, 0, 0));
}

#[test]
fn entries_of_every_kind_are_the_events_they_were() {
    let events = odd_events();
    let first = exported(&events, RULES);
    let all = first.path().join("all.ndjson");
    let count = events.len() as u64;
    assert_eq!(told(&replay(first.path(), &all, &[])), (0, count, 0, 0));
    let second = empty(RULES);
    let report = replay(second.path(), &all, &[]);
    assert_eq!(told(&report), (count, 0, 0, 0), "{report}");
    assert_eq!(entries(second.path()), entries(first.path()));
    let again = replay(second.path(), &first.path().join("events.ndjson"), &[]);
    // What an event had beside, and no entry shows, makes its data other data.
    let unseen = 1;
    assert_eq!(told(&again), (0, count - unseen, unseen, 0), "{again}");
}

#[test]
fn what_rules_took_out_is_refused_by_name_and_known_where_it_is_from() {
    let event = |id: &str, op: &str, before: Value, after: Value| {
        json!({ "eventId": id, "tableName": "users", "recordId": "u1", "operation": op, "before": before, "after": after,
            "occurredAt": "2026-01-09T10:00:00Z" })
    };
    let events = [
        event("e1", "insert", Value::Null, json!({ "name": "Ada", "password": "s3cret" })),
        event(
            "e2",
            "update",
            json!({ "name": "Ada", "password": "s3cret" }),
            json!({ "name": "Bea", "password": "s3cret" }),
        ),
        event(
            "e3",
            "update",
            json!({ "name": "Bea", "password": "s3cret" }),
            json!({ "name": "Bea", "password": "n3w" }),
        ),
        event("e4", "delete", json!({ "deep": { "token": "s3cret" }, "name": "Bea" }), Value::Null),
    ];
    let first = exported(&events, "");
    let all = first.path().join("all.ndjson");
    assert_eq!(told(&replay(first.path(), &all, &[])), (0, 4, 0, 0));
    let second = empty("");
    let report = replay(second.path(), &all, &[]);
    assert_eq!(told(&report), (0, 0, 0, 4));
    let codes: Vec<&str> =
        report["refusals"].as_array().unwrap().iter().map(|refused| refused["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["entry_unproven", "entry_redacted", "entry_unproven", "entry_redacted"], "{report}");
    assert!(report.to_string().contains("rules took out the value at /password"), "{report}");
    assert!(!report.to_string().contains("Bea"), "{report}");
}

#[test]
fn where_only_names_were_kept_nothing_is_made_up() {
    let update = json!({ "eventId": "e1", "tableName": "t", "recordId": "1", "operation": "update", "before": { "a": 1 },
        "after": { "a": 2 }, "occurredAt": "2026-01-09T10:00:00Z" });
    let delete = json!({ "eventId": "e2", "tableName": "t", "recordId": "1", "operation": "delete", "before": { "a": 1 },
        "occurredAt": "2026-01-09T11:00:00Z" });
    let rules = "[[rules]]\nsource = \"*\"\ntable = \"*\"\nimages = \"names\"\n";
    let first = exported(&[update, delete], rules);
    let all = first.path().join("all.ndjson");
    assert_eq!(told(&replay(first.path(), &all, &[])), (0, 2, 0, 0));
    let report = replay(empty(rules).path(), &all, &[]);
    assert_eq!(told(&report), (0, 0, 0, 2));
    assert_eq!(report["refusals"][0]["code"], "entry_without_image", "{report}");
}

#[test]
fn where_changes_were_kept_an_export_from_the_first_change_leads_to_every_image() {
    let name = |n: usize| json!({ "id": "1", "name": format!("name {n}"), "same": [1, { "x": null }], "seen": n });
    let event = |n: usize, op: &str| {
        json!({ "eventId": format!("e{n}"), "tableName": "t", "recordId": "1", "operation": op, "after": name(n),
            "before": if op == "insert" { Value::Null } else { name(n.saturating_sub(1)) },
            "occurredAt": format!("2026-01-09T10:{n:02}:00Z") })
    };
    let mut events = vec![event(0, "insert")];
    events.extend((1..20).map(|n| event(n, "update")));
    let rules = "[[rules]]\nsource = \"*\"\ntable = \"*\"\nimages = \"changes\"\n";
    let first = exported(&events, rules);
    ask(first.path(), "export --since 2020-01-01 --asc --output asc.ndjson");
    let asc = first.path().join("asc.ndjson");
    assert!(std::fs::read_to_string(&asc).unwrap().lines().filter(|line| line.contains("\"after\":")).count() < 10);
    let second = empty(rules);
    assert_eq!(told(&replay(second.path(), &asc, &[])), (20, 0, 0, 0));
    assert_eq!(entries(second.path()), entries(first.path()));
    assert_eq!(ask(second.path(), "states t 1 --json"), ask(first.path(), "states t 1 --json"));
    assert_eq!(told(&replay(second.path(), &first.path().join("events.ndjson"), &[])), (0, 20, 0, 0));
}

#[test]
fn a_line_that_was_changed_on_the_way_is_not_believed() {
    let update = json!({ "eventId": "e1", "tableName": "t", "recordId": "1", "operation": "update", "before": { "a": 1, "b": 1 },
        "after": { "a": 2, "b": 1 }, "occurredAt": "2026-01-09T10:00:00Z", "by": "ada" });
    let first = exported(&[update], "");
    let line = std::fs::read_to_string(first.path().join("all.ndjson")).unwrap();
    let line = line.lines().next().unwrap();
    let file = first.path().join("forged.ndjson");
    for (from, to) in [
        (r#""after":{"a":2,"b":1}"#, r#""after":{"a":2,"b":7}"#),
        (r#""old":1,"new":2"#, r#""old":7,"new":2"#),
        (r#""changed":["a"]"#, r#""changed":["a","b"]"#),
    ] {
        assert!(line.contains(from), "{line}");
        std::fs::write(&file, line.replace(from, to)).unwrap();
        let report = replay(empty("").path(), &file, &[]);
        assert_eq!(told(&report), (0, 0, 0, 1), "{to}: {report}");
        assert_eq!(report["refusals"][0]["code"], "entry_unproven", "{to}");
    }
    // However it was changed: too deep, a name twice, a list where an object is, a change that fits nothing.
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (from, to) in [
        (r#""after":{"a":2,"b":1}"#, format!(r#""after":{deep}"#)),
        (r#""old":1,"new":2"#, format!(r#""old":{},"new":2"#, &deep[80..321])),
        (r#""after":{"a":2,"b":1}"#, r#""after":{"a":2,"b":1,"a":2}"#.to_owned()),
        (r#""after":{"a":2,"b":1}"#, r#""after":[2,1]"#.to_owned()),
        (r#""path":"/a""#, r#""path":"/a/b/0""#.to_owned()),
        (r#""path":"/a""#, r#""path":"a""#.to_owned()),
        (r#""changes":["#, r#""changes":[7,"#.to_owned()),
        (r#""context":{}"#, r#""context":[]"#.to_owned()),
        (r#""op":"update""#, r#""op":"UPDATE""#.to_owned()),
        (r#""op":"update""#, r#""op":"delete""#.to_owned()),
        (r#""record_id":["1"]"#, r#""record_id":[]"#.to_owned()),
    ] {
        assert!(line.contains(from), "{from}: {line}");
        std::fs::write(&file, line.replace(from, &to)).unwrap();
        assert_eq!(told(&replay(empty("").path(), &file, &[])), (0, 0, 0, 1), "{from} → {to}");
    }
    // Another key makes other digests: nothing can be proven with it.
    let other = empty("digest-key-file = \"key\"\n");
    std::fs::write(other.path().join("key"), "a key that is another one").unwrap();
    assert_eq!(told(&replay(other.path(), &first.path().join("all.ndjson"), &[])), (0, 0, 0, 1));
    // No digest tells who it was. The trail it is from has another telling of it, and says so.
    std::fs::write(&file, line.replace("\"id\":\"ada\"", "\"id\":\"eve\"")).unwrap();
    assert_eq!(told(&replay(first.path(), &file, &[])), (0, 0, 1, 0));
    // What readers of the trail asked is no event, whoever says so; nor is what only looks like an entry.
    for (forged, code) in [
        (line.replace(r#""source":"default""#, r#""source":"afterimage""#), "entry_reserved"),
        (line.replace(r#""tenant":"default""#, r#""tenant":7"#), "entry_malformed"),
    ] {
        std::fs::write(&file, forged).unwrap();
        assert_eq!(replay(empty("").path(), &file, &[])["refusals"][0]["code"], code);
    }
}

#[test]
fn a_correction_keeps_its_revision_and_corrects_once() {
    let event = |name: &str| {
        json!({ "eventId": "e1", "tableName": "t", "recordId": "1", "operation": "insert", "after": { "name": name },
            "occurredAt": "2026-01-09T10:00:00Z" })
    };
    let first = exported(&[event("Ada")], "");
    let events = first.path().join("events.ndjson");
    std::fs::write(&events, event("Bea").to_string()).unwrap();
    assert_eq!(replay(first.path(), &events, &["--correct"])["corrected"], 1);
    ask(first.path(), "export --since 2020-01-01 --output corrected.ndjson");
    let corrected = first.path().join("corrected.ndjson");

    let second = empty("");
    assert_eq!(told(&replay(second.path(), &corrected, &[])), (1, 0, 0, 0));
    assert_eq!(entries(second.path()), entries(first.path()));
    assert_eq!(entries(second.path())[0]["revision"], 1);

    // Where the first telling stands, the corrected one takes its place, once.
    let third = empty("");
    assert_eq!(told(&replay(third.path(), &first.path().join("all.ndjson"), &[])), (1, 0, 0, 0));
    assert_eq!(replay(third.path(), &corrected, &["--correct"])["corrected"], 1);
    assert_eq!(told(&replay(third.path(), &corrected, &["--correct"])), (0, 1, 0, 0));
    assert_eq!(entries(third.path()), entries(first.path()));
}
