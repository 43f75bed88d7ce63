//! Event files, fed to the store again and again.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::dlq::entries;
use support::{Ended, run};

fn event(id: &str, name: &str) -> Value {
    json!({ "eventId": id, "tableName": "users", "recordId": "u1", "operation": "insert",
        "occurredAt": "2026-01-09T10:00:00Z", "after": { "id": "u1", "name": name } })
}

fn write(folder: &Path, lines: &[String]) {
    std::fs::write(folder.join("events.ndjson"), lines.join("\n")).unwrap();
}

fn replay(folder: &Path, flags: &[&str], code: i32) -> Value {
    let ended: Ended = run(folder, &[&["replay", "events.ndjson", "--json"], flags].concat());
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn told_again_an_event_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let nameless = json!({ "tableName": "users", "recordId": "u1", "operation": "delete",
        "occurredAt": "2026-01-10T10:00:00Z", "before": { "id": "u1", "name": "Ada" } });
    write(
        folder.path(),
        &[event("e1", "Ada").to_string(), nameless.to_string(), json!([event("e2", "Bo")]).to_string()],
    );
    assert_eq!(replay(folder.path(), &[], 0)["stored"], 3);
    let first = entries(folder.path(), "users", "u1");
    assert_eq!(first.len(), 3);
    let again = replay(folder.path(), &[], 0);
    assert_eq!((&again["stored"], &again["there_already"]), (&json!(0), &json!(3)));
    let corrected = replay(folder.path(), &["--correct"], 0);
    assert_eq!((&corrected["corrected"], &corrected["there_already"]), (&json!(0), &json!(3)));
    assert_eq!(entries(folder.path(), "users", "u1"), first);
}

#[test]
fn a_correction_takes_the_place_of_what_was_there_and_without_it_nothing_does() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[event("e1", "Ada").to_string()]);
    replay(folder.path(), &[], 0);
    write(folder.path(), &[event("e1", "Bea").to_string()]);
    let plan = replay(folder.path(), &["--correct", "--dry-run"], 0);
    assert_eq!((&plan["corrected"], &plan["dry_run"]), (&json!(1), &json!(true)));
    assert_eq!(entries(folder.path(), "users", "u1")[0]["after"]["name"], "Ada", "a plan does nothing");

    assert_eq!(replay(folder.path(), &["--correct"], 0)["corrected"], 1);
    let shown = entries(folder.path(), "users", "u1");
    assert_eq!(shown.len(), 1);
    assert_eq!(
        (&shown[0]["after"]["name"], &shown[0]["revision"], &shown[0]["flags"]),
        (&json!("Bea"), &json!(1), &json!([]))
    );
    assert_eq!(replay(folder.path(), &["--correct"], 0)["there_already"], 1);

    // Of one file, the later telling corrects the earlier one.
    write(folder.path(), &[event("e1", "Cleo").to_string(), event("e1", "Dora").to_string()]);
    assert_eq!(replay(folder.path(), &["--correct"], 0)["corrected"], 2);
    let shown = entries(folder.path(), "users", "u1");
    assert_eq!((&shown[0]["after"]["name"], &shown[0]["revision"]), (&json!("Dora"), &json!(3)));

    write(folder.path(), &[event("e2", "Eve").to_string(), event("e2", "Fay").to_string()]);
    let report = replay(folder.path(), &[], 0);
    assert_eq!((&report["stored"], &report["conflicts"]), (&json!(1), &json!(1)));
    let flagged = entries(folder.path(), "users", "u1")
        .iter()
        .filter(|entry| entry["flags"].as_array().unwrap().contains(&json!("conflict")))
        .count();
    assert_eq!(flagged, 2);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_stops_nothing_unless_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let mut undated = event("e3", "Bo");
    undated.as_object_mut().unwrap().remove("occurredAt");
    write(
        folder.path(),
        &[
            "not JSON, and s3cret".to_owned(),
            String::new(),
            event("e1", "Ada").to_string(),
            undated.to_string(),
            json!({ "tableName": "users", "operation": "explode" }).to_string(),
            event("e2", "Ada").to_string(),
            json!({ "end": true, "items": 2 }).to_string(),
        ],
    );
    let strict = run(folder.path(), &["replay", "events.ndjson", "--strict"]);
    assert_eq!(strict.code, 6);
    assert!(strict.stderr.contains("line 1 was refused"), "{}", strict.stderr);
    let report = replay(folder.path(), &[], 6);
    assert_eq!((&report["stored"], &report["refused"]), (&json!(2), &json!(3)));
    let refusals = report["refusals"].as_array().unwrap();
    let told: Vec<_> =
        refusals.iter().map(|refused| (refused["line"].as_u64().unwrap(), refused["code"].as_str().unwrap())).collect();
    assert_eq!(told, [(1, "not_json"), (4, "no_time"), (5, "bad_value")]);
    assert!(!report.to_string().contains("s3cret"));
}

#[test]
fn a_letter_keeps_the_identity_and_the_time_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let body =
        json!({ "tableName": "parts", "operation": "insert", "recordId": "7", "after": { "no": 7 } }).to_string();
    let letter = json!({ "message_id": "m2", "sent_at": "2026-01-10T00:00:00Z", "body": body, "message_attributes": [],
        "origin": { "message_id": "m1", "published_at": "2026-01-09T10:00:05.120Z", "sequence_number": null, "group_id": null } });
    write(folder.path(), &[letter.to_string(), json!({ "end": true, "items": 1 }).to_string()]);
    assert_eq!(replay(folder.path(), &[], 0)["stored"], 1);
    let shown = entries(folder.path(), "parts", "7");
    assert_eq!((&shown[0]["id"], &shown[0]["occurred_at"]), (&json!("m1"), &json!("2026-01-09T10:00:05.120000Z")));
    assert_eq!(replay(folder.path(), &[], 0)["there_already"], 1);
}
