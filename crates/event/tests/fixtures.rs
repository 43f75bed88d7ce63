//! Every body in `fixtures/` comes out as the file beside it says: `x.json` is the body, `x.expected.json` the outcome.
//!
//! The examples are our own, after the shapes that the vendors document. `AFTERIMAGE_BLESS=1` writes the outcomes anew;
//! read the difference before you keep it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use afterimage_event::{Format, Settings};
use serde_json::Value;

fn fixtures() -> Vec<(String, PathBuf)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            (!name.ends_with(".expected")).then_some((name, path))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_fixture_comes_out_as_the_file_beside_it_says() {
    let bless = std::env::var_os("AFTERIMAGE_BLESS").is_some();
    for (name, path) in fixtures() {
        let body = fs::read_to_string(&path).unwrap();
        let outcome = common::outcome(&common::message(&body), &Settings::default());
        let beside = path.with_extension("expected.json");
        if bless {
            fs::write(&beside, format!("{outcome:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_str(&fs::read_to_string(&beside).expect(&name)).unwrap();
        assert_eq!(outcome, expected, "{name}");
    }
}

#[test]
fn every_format_that_is_not_read_has_a_fixture_that_is_refused_by_name() {
    let mut refused = BTreeSet::new();
    for (name, path) in fixtures() {
        let body = fs::read_to_string(&path).unwrap();
        let outcome = common::outcome(&common::message(&body), &Settings::default());
        let refusal = [&outcome["refused"], &outcome["events"][0]["refused"]].into_iter().find(|r| r.is_object());
        let Some(refusal) = refusal.filter(|refusal| refusal["code"] == "not_supported") else { continue };
        let text = refusal["text"].as_str().unwrap().to_owned();
        let format = Format::ALL.into_iter().find(|format| text.starts_with(&format!("{format}:"))).expect(&text);
        assert!(text.contains(&format!("{format} is not supported yet")), "{text}");
        assert!(name.starts_with(format.as_str()), "{name} was taken for {format}");
        refused.insert(format.as_str());
    }
    let unread: BTreeSet<_> = Format::ALL
        .into_iter()
        .filter(|format| !format.is_read() && *format != Format::Sns)
        .map(Format::as_str)
        .collect();
    assert_eq!(refused, unread);
}
