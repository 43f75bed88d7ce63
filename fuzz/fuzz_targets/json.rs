//! Text in: accepted and refused as the reference does, read as the same data, and canonical text holds what it promises.

#![no_main]

#[path = "../../crates/json/tests/tree/mod.rs"]
mod tree;

use afterimage_json::{Kind, Raw, canonical, equal};
use libfuzzer_sys::fuzz_target;
use tree::Tree;

fuzz_target!(|text: &str| {
    if !tree::is_understood(text) {
        return;
    }
    let reference = Tree::parse(text);
    let Ok(raw) = Raw::parse(text) else {
        assert!(reference.is_none(), "refused, but the reference accepts it");
        return;
    };
    assert_eq!(walked(raw), reference.expect("accepted, but the reference refuses it"));
    let mut once = Vec::new();
    canonical(raw, &mut once);
    let canonical_text = String::from_utf8(once).unwrap();
    let again = Raw::parse(&canonical_text).unwrap();
    assert!(equal(raw, again) && equal(again, raw));
    let mut twice = Vec::new();
    canonical(again, &mut twice);
    assert_eq!(canonical_text.as_bytes(), twice);
});

fn walked(raw: Raw<'_>) -> Tree {
    match raw.kind() {
        Kind::Null => Tree::Null,
        Kind::Bool => Tree::Bool(raw.bool().unwrap()),
        Kind::Number => Tree::Number(tree::Number::parse(raw.number().unwrap())),
        Kind::String => Tree::String(raw.string().unwrap().into_owned()),
        Kind::Array => Tree::Array(raw.elements().unwrap().map(walked).collect()),
        Kind::Object => {
            Tree::Object(raw.members().unwrap().map(|(key, value)| (key.into_owned(), walked(value))).collect())
        }
    }
}
