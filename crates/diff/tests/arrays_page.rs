//! The examples in docs/arrays.md are what the differ says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use afterimage_diff::{DigestKey, Mutation, RuleBlock, RuledChange, Rules, Values, delta};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/arrays.md"));

const BEFORE: &str = r#"{"items":[{"id":"a","n":1},{"id":"b","n":2},{"id":"c","n":3}]}"#;
const AFTER: &str = r#"{"items":[{"id":"x","n":0},{"id":"b","n":7},{"id":"a","n":1},{"id":"c","n":3}]}"#;

/// A change as entries have it, without what the page does not need.
fn line(change: &RuledChange<'_>) -> String {
    let mut line = format!("{{\"path\":\"{}\"", change.path);
    if let Some(old_path) = &change.old_path {
        write!(line, ",\"old_path\":\"{old_path}\"").unwrap();
    }
    if !change.key.is_empty() {
        write!(line, ",\"key\":[{}]", change.key.join(",")).unwrap();
    }
    if let Values::Order { old, new } = &change.values {
        write!(line, ",\"order\":{{\"old\":[{}],\"new\":[{}]}}", old.join(","), new.join(",")).unwrap();
    }
    for (name, value) in [("old", change.old()), ("new", change.new())] {
        if let Some(value) = value {
            write!(line, ",\"{name}\":{value}").unwrap();
        }
    }
    line + "}\n"
}

#[test]
fn the_page_shows_what_each_policy_says() {
    let mut expected = format!("From\n\n```json\n{BEFORE}\n```\n\nto\n\n```json\n{AFTER}\n```\n");
    for policy in ["atomic", "index", "keyed(/id)", "set", "lcs"] {
        let block = RuleBlock::new("page", "*", "*").array("/items", policy).unwrap();
        let rules = Rules::new(vec![block], DigestKey::published()).unwrap();
        let table = rules.table("s", "t");
        let delta = delta(Mutation::Update, Some(BEFORE), Some(AFTER), &[], &table, rules.key()).unwrap();
        let lines: String = delta.changes.iter().map(line).collect();
        write!(expected, "\n`{policy}`:\n\n```json\n{lines}```\n").unwrap();
    }
    assert!(PAGE.contains(&expected), "docs/arrays.md should have this:\n{expected}");
}

#[test]
fn the_page_names_the_bounds() {
    use afterimage_diff::ArrayPolicy;
    for bound in [ArrayPolicy::KEYED_ELEMENTS_MAX, ArrayPolicy::EDITS_MAX, ArrayPolicy::LCS_DISTANCE_MAX] {
        assert!(
            PAGE.contains(&format!("{bound} elements")),
            "docs/arrays.md should name the bound of {bound} elements"
        );
    }
}
