//! What holds for every text, with `serde_json` as the reference.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

mod generate;
mod tree;

use afterimage_json::{DEPTH_MAX, ErrorKind, Kind, Raw, canonical, equal, push_quoted, unescape};
use fastrand::Rng;
use generate::{Style, document, garble, mutate, spell};
use proptest::prelude::*;
use tree::Tree;

/// The tree that a proven text stands for, by way of its members, elements and scalars.
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

fn canonical_text(raw: Raw<'_>) -> String {
    let mut out = Vec::new();
    canonical(raw, &mut out);
    String::from_utf8(out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_written_is_read(tree in document(), seed: u64) {
        let text = spell(&tree, Style::Free, &mut Rng::with_seed(seed));
        let raw = Raw::parse(&text).unwrap();
        prop_assert_eq!(raw.as_str(), text.trim_matches([' ', '\t', '\r', '\n']));
        prop_assert_eq!(walked(raw), tree);
    }

    #[test]
    fn the_reference_accepts_and_refuses_the_same(tree in document(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let text = garble(&spell(&tree, Style::Free, &mut rng), &mut rng);
        match (Raw::parse(&text), Tree::parse(&text)) {
            (Ok(raw), Some(tree)) => prop_assert_eq!(walked(raw), tree),
            (Err(error), None) => prop_assert!(error.offset() <= text.len()),
            (ours, reference) => prop_assert!(false, "{:?} but the reference says {:?}: {}", ours, reference, text),
        }
    }

    #[test]
    fn equal_data_and_only_it_has_one_canonical_text(tree in document(), mutations in 0_u8..3, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut other = tree.clone();
        (0..mutations).for_each(|_| mutate(&mut other, &mut rng));
        let texts = [&tree, &other].map(|tree| spell(tree, Style::Free, &mut rng));
        let [a, b] = [&texts[0], &texts[1]].map(|text| Raw::parse(text).unwrap());
        prop_assert_eq!(equal(a, b), tree == other);
        prop_assert_eq!(equal(b, a), tree == other);
        let (canonical_a, canonical_b) = (canonical_text(a), canonical_text(b));
        prop_assert_eq!(canonical_a == canonical_b, tree == other);
        let again = Raw::parse(&canonical_a).unwrap();
        prop_assert!(equal(again, a));
        prop_assert_eq!(canonical_text(again), canonical_a);
    }

    #[test]
    fn quoted_text_comes_back(text: String) {
        let mut quoted = String::new();
        push_quoted(&text, &mut quoted);
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text.clone());
        prop_assert_eq!(unescape(&quoted[1..quoted.len() - 1]).unwrap(), text);
    }

    #[test]
    fn unescaping_refuses_what_the_reference_refuses(pieces in prop::collection::vec(
        prop::sample::select(vec!["\\", "u", "d83d", "de00", "\\ud83d", "\\udE00", "\\u0041", "\\n", "\\/", "\"", "é", "\n", "a longer one"]), 0..8))
    {
        let inner = pieces.concat();
        let ours = unescape(&inner).ok().map(|text| text.into_owned());
        prop_assert_eq!(ours, serde_json::from_str::<String>(&format!("\"{inner}\"")).ok());
    }

    #[test]
    fn a_key_named_twice_is_found_among_any_number(count in 1_usize..200, again: prop::sample::Index, at: prop::sample::Index) {
        let mut members: Vec<String> = (0..count).map(|i| format!("\"key {i}\":{{\"key {i}\":{i}}}")).collect();
        let joined = |members: &[String]| format!("{{{}}}", members.join(","));
        prop_assert!(Raw::parse(&joined(&members)).is_ok());
        let twin = again.index(count);
        members.insert(at.index(count + 1), format!("\"\\u006bey {twin}\":0"));
        prop_assert_eq!(Raw::parse(&joined(&members)).unwrap_err().kind(), ErrorKind::DuplicateKey);
    }
}

#[test]
fn nesting_is_read_as_deep_as_the_reference_reads_it() {
    for depth in [1, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(Raw::parse(&text).is_ok(), depth <= DEPTH_MAX, "{depth} × {open}");
            assert_eq!(Tree::parse(&text).is_some(), depth <= DEPTH_MAX, "{depth} × {open}");
        }
    }
}
