//! What holds for every pair of documents and every policy.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

#[path = "../../json/tests/generate/mod.rs"]
mod generate;
mod oracle;
#[path = "../../json/tests/tree/mod.rs"]
mod tree;

use afterimage_diff::{ArrayPolicy, Arrays, Change, ChangeKind, Image, changed_names, compare, patch};
use afterimage_json::{Kind, Raw};
use fastrand::Rng;
use generate::{Style, document, garble, mutate, spell};
use oracle::{differences, seen};
use proptest::prelude::*;
use tree::Tree;

fn arrays() -> impl Strategy<Value = Arrays> {
    let keyed = || ArrayPolicy::Keyed("/id".parse().unwrap());
    let policies = move |list: Vec<(&str, ArrayPolicy)>| {
        Arrays::new(list.into_iter().map(|(pattern, policy)| (pattern.parse().unwrap(), policy)).collect())
    };
    prop::sample::select(vec![
        Arrays::atomic(),
        policies(vec![("/**", ArrayPolicy::Index)]),
        policies(vec![("/**", keyed())]),
        policies(vec![("/**", keyed()), ("/**", ArrayPolicy::Index)]),
        policies(vec![("/items", keyed()), ("/a", ArrayPolicy::Index), ("/*/**", ArrayPolicy::Index)]),
        policies(vec![("/*", keyed()), ("/*/*/*/**", keyed())]),
        policies(vec![("", ArrayPolicy::Index), ("/**/i*", keyed()), ("/?", ArrayPolicy::Atomic)]),
        policies(vec![("/**", ArrayPolicy::Set)]),
        policies(vec![("/**", ArrayPolicy::Lcs)]),
        policies(vec![
            ("/a", ArrayPolicy::Set),
            ("/**/items", keyed()),
            ("/*", ArrayPolicy::Lcs),
            ("/**", ArrayPolicy::Set),
        ]),
        policies(vec![("/*/*/**", ArrayPolicy::Lcs), ("/**", ArrayPolicy::Index)]),
        policies(vec![("", ArrayPolicy::Lcs), ("/*", keyed()), ("/*/*/**", ArrayPolicy::Lcs)]),
    ])
}

/// Holds the fast differ against the oracle, and the patches against the law.
fn hold(before: &str, after: &str, arrays: &Arrays) -> Result<(), TestCaseError> {
    let trees = (Tree::parse(before), Tree::parse(after));
    let (changes, before_tree, after_tree) = match (compare(before, after, arrays), trees) {
        (Ok(changes), (Some(before), Some(after))) => (changes, before, after),
        (Err(error), (before, after)) => {
            let refused = if error.image == Image::Before { before } else { after };
            prop_assert_eq!(refused, None, "{}", error);
            return Ok(());
        }
        (Ok(_), _) => return Err(TestCaseError::fail("no JSON, yet compared")),
    };
    prop_assert_eq!(seen(&changes), differences(&before_tree, &after_tree, arrays));
    prop_assert_eq!(changes.is_empty(), before_tree == after_tree);

    let mut value = serde_json::from_str(before).unwrap();
    json_patch::patch(&mut value, &patch::forward(&changes)).unwrap();
    prop_assert_eq!(Tree::parse(&value.to_string()).unwrap(), after_tree);
    let mut value = serde_json::from_str(after).unwrap();
    json_patch::patch(&mut value, &patch::inverse(&changes)).unwrap();
    prop_assert_eq!(Tree::parse(&value.to_string()).unwrap(), before_tree);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_document_and_its_relative(tree in document(), mutations in 0_u8..6, arrays in arrays(), free: bool, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut other = tree.clone();
        (0..mutations).for_each(|_| mutate(&mut other, &mut rng));
        let style = if free { Style::Free } else { Style::Plain };
        let (before, after) = (spell(&tree, style, &mut rng), spell(&other, style, &mut rng));
        hold(&before, &after, &arrays)?;
        hold(&after, &before, &arrays)?;
    }

    #[test]
    fn two_documents_that_have_nothing_to_do_with_each_other(a in document(), b in document(), arrays in arrays(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        hold(&spell(&a, Style::Free, &mut rng), &spell(&b, Style::Free, &mut rng), &arrays)?;
    }

    #[test]
    fn another_spelling_is_no_change(tree in document(), arrays in arrays(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let (before, after) = (spell(&tree, Style::Plain, &mut rng), spell(&tree, Style::Free, &mut rng));
        prop_assert!(compare(&before, &after, &arrays).unwrap().is_empty());
        prop_assert!(compare(&after, &before, &arrays).unwrap().is_empty());
    }

    #[test]
    fn texts_that_are_mostly_no_json(tree in document(), arrays in arrays(), both: bool, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let before = spell(&tree, Style::Free, &mut rng);
        let after = garble(&before, &mut rng);
        hold(&before, &after, &arrays)?;
        hold(&after, &before, &arrays)?;
        // The same text twice: nothing differs, and what is wrong with it is found all the same.
        hold(&after, &after, &arrays)?;
        if both {
            hold(&garble(&before, &mut rng), &garble(&before, &mut rng), &arrays)?;
        }
    }

    #[test]
    fn reordered_rows(ids in Just((0..40).collect::<Vec<u32>>()).prop_shuffle(), gone in 0_usize..20, seed: u64) {
        let rows = |ids: &[u32], seed: u64| {
            let mut rng = Rng::with_seed(seed);
            let row = |id: &u32| format!("{{\"v\":{},\"id\":{id},\"rows\":[{{\"id\":\"x{}\"}},{{\"id\":\"y\"}}]}}", rng.u8(..2), rng.u8(..3));
            format!("{{\"items\":[{}]}}", ids.iter().map(row).collect::<Vec<_>>().join(","))
        };
        let arrays = Arrays::new(vec![("/**".parse().unwrap(), ArrayPolicy::Keyed("/id".parse().unwrap()))]);
        let (sorted, mut shuffled) = ((0..40 - gone as u32).collect::<Vec<_>>(), ids);
        shuffled.truncate(40 - gone / 2);
        hold(&rows(&sorted, 1), &rows(&shuffled, seed), &arrays)?;
    }

    #[test]
    fn lists_of_few_kinds_of_elements(
        old in prop::collection::vec(0_usize..7, 0..24), new in prop::collection::vec(0_usize..7, 0..24),
        nested: bool, policy in 0_usize..4, seed: u64,
    ) {
        // Of all kinds of values, so that elements come several times and seldom match the one in their place.
        let kinds = ["1", "\"1\"", "null", "[1,2]", "[]", r#"{"id":1,"a":[1,2]}"#, r#"{"id":2,"a":[2,1,1]}"#].map(|text| Tree::parse(text).unwrap());
        let rng = &mut Rng::with_seed(seed);
        let mut text = |list: &[usize]| {
            let list = Tree::Array(list.iter().map(|&kind| kinds[kind].clone()).collect());
            spell(&if nested { Tree::Array(vec![list, Tree::Null]) } else { list }, Style::Free, rng)
        };
        let policy = [ArrayPolicy::Set, ArrayPolicy::Lcs, ArrayPolicy::Index, ArrayPolicy::Keyed("/id".parse().unwrap())][policy].clone();
        let arrays = Arrays::new(vec![("/1".parse().unwrap(), ArrayPolicy::Set), ("/**".parse().unwrap(), policy)]);
        hold(&text(&old), &text(&new), &arrays)?;
    }

    #[test]
    fn lists_that_were_edited_a_little(
        list in prop::collection::vec(0_usize..30, 0..60), edits in prop::collection::vec((0_u8..4, 0_usize..60, 0_usize..60), 0..8),
        sequence: bool,
    ) {
        let mut edited = list.clone();
        for (edit, at, with) in edits {
            let length = edited.len();
            match edit {
                0 if at < length => drop(edited.remove(at)),
                1 if at < length && with < length => edited.swap(at, with),
                2 if at < length => edited[at] = with,
                _ => edited.insert(at.min(length), with),
            }
        }
        let text = |list: &[usize]| format!("[{}]", list.iter().map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>().join(","));
        let policy = if sequence { ArrayPolicy::Lcs } else { ArrayPolicy::Set };
        hold(&text(&list), &text(&edited), &Arrays::new(vec![("".parse().unwrap(), policy)]))?;
    }

    #[test]
    fn the_names_are_those_of_the_members_touched(tree in document(), mutations in 0_u8..6, arrays in arrays(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut other = tree.clone();
        (0..mutations).for_each(|_| mutate(&mut other, &mut rng));
        let (before, after) = (spell(&tree, Style::Plain, &mut rng), spell(&other, Style::Plain, &mut rng));
        let root = Raw::parse(&before).unwrap().kind();
        let mut names = changed_names(&compare(&before, &after, &arrays).unwrap(), root);
        names.sort_unstable();
        let mut expected = match (&tree, &other) {
            (Tree::Object(old), Tree::Object(new)) => {
                let all = old.iter().chain(new).map(|(name, _)| name.clone());
                all.filter(|name| tree.get(name) != other.get(name)).collect()
            }
            _ if tree == other => vec![],
            _ => vec![String::new()],
        };
        expected.sort_unstable();
        expected.dedup();
        prop_assert_eq!(names, expected);
        prop_assert_eq!(root == Kind::Object, matches!(tree, Tree::Object(_)));
    }
}

#[test]
fn a_keyed_array_tells_what_happened_to_its_elements() {
    let arrays = Arrays::new(vec![("/items".parse().unwrap(), ArrayPolicy::Keyed("/id".parse().unwrap()))]);
    let before = r#"{"items":[{"id":1,"q":1},{"id":2,"q":1},{"id":3,"q":1}]}"#;
    let after = r#"{"items":[{"id":3,"q":9},{"id":4,"q":1},{"id":1.0,"q":1}]}"#;
    let changes = compare(before, after, &arrays).unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            let keys: Vec<_> = change.key.iter().map(|key| key.as_str()).collect();
            format!("{} {:?} {:?}", change.path, change.old_path.as_ref().map(|path| path.as_str()), keys)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"/items/0/q Some("/items/2/q") ["3"]"#,
            r#"/items/1 None ["2"]"#,
            r#"/items None []"#,
            r#"/items/1 None ["4"]"#,
        ]
    );
}

#[test]
fn an_array_that_cannot_be_keyed_is_atomic() {
    let arrays = Arrays::new(vec![("".parse().unwrap(), ArrayPolicy::Keyed("/id".parse().unwrap()))]);
    let many =
        |count: usize| format!("[{}]", (0..count).map(|id| format!("{{\"id\":{id}}}")).collect::<Vec<_>>().join(","));
    let most = ArrayPolicy::KEYED_ELEMENTS_MAX;
    for (before, after, path) in [
        (r#"[{"id":1,"v":1}]"#, r#"[{"id":1,"v":2}]"#, "/0/v"),
        (r#"[{"id":1,"v":1},{"id":1.0}]"#, r#"[{"id":1,"v":2}]"#, ""),
        (r#"[{"id":1,"v":1}]"#, r#"[{"id":1,"v":2},{"v":3}]"#, ""),
        (r#"[{"id":null,"v":1}]"#, r#"[{"id":null,"v":2}]"#, ""),
        (r#"[{"id":[1],"v":1}]"#, r#"[{"id":[1],"v":2}]"#, ""),
        ("[1]", "[2]", ""),
        (&many(most - 1), &many(most), &format!("/{}", most - 1)),
        (&many(most), &many(most + 1), ""),
    ] {
        let changes = compare(before, after, &arrays).unwrap();
        assert_eq!(changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), [path]);
    }
}

/// Path, path before, and what is there: before, after.
fn told(before: &str, after: &str, policy: ArrayPolicy) -> Vec<String> {
    let arrays = Arrays::new(vec![("".parse().unwrap(), policy)]);
    let changes = compare(before, after, &arrays).unwrap();
    let text = |raw: Option<Raw<'_>>| raw.map_or("-".to_owned(), |raw| raw.as_str().to_owned());
    let one = |change: &Change<'_>| match &change.kind {
        ChangeKind::Order { old, new } => {
            let list = |raws: &[Raw<'_>]| raws.iter().map(|raw| raw.as_str()).collect::<Vec<_>>().join(" ");
            format!("{}: {} to {}", change.path, list(old), list(new))
        }
        _ => format!("{} {}: {} {}", change.path, change.path_before(), text(change.old()), text(change.new())),
    };
    changes.iter().map(one).collect()
}

#[test]
fn a_set_tells_what_came_and_went_and_an_order_only_of_what_stayed() {
    let told = |before, after| told(before, after, ArrayPolicy::Set);
    assert_eq!(told(r#"["a","b","c"]"#, r#"["b","c","d"]"#), [r#"/0 /0: "a" -"#, r#"/2 /2: - "d""#]);
    assert_eq!(told("[1,2,3]", "[3,1.0,2]"), [": 1 2 3 to 3 1.0 2"]);
    assert_eq!(told("[1,2,3]", "[3,4,1]"), ["/1 /1: 2 -", ": 1 3 to 3 1", "/1 /1: - 4"]);
    // Of equal ones the first stay.
    assert_eq!(told("[1,2,1,1]", "[2,1.0]"), ["/3 /3: 1 -", "/2 /2: 1 -", ": 1 2 to 2 1.0"]);
    assert_eq!(told("[1]", "[1,1e0]"), ["/1 /1: - 1e0"]);
    assert_eq!(told(r#"[{"a":1,"b":2}]"#, r#"[{"b":2.0,"a":1}]"#), [""; 0]);
    // Elements are whole: one that differs in anything is another one.
    assert_eq!(told(r#"[{"a":1}]"#, r#"[{"a":2}]"#), [r#"/0 /0: {"a":1} -"#, r#"/0 /0: - {"a":2}"#]);
}

#[test]
fn a_sequence_tells_the_least_that_came_or_went_and_looks_into_what_took_a_place() {
    let told = |before, after| told(before, after, ArrayPolicy::Lcs);
    assert_eq!(told(r#"["a","b","c"]"#, r#"["x","a","b","c"]"#), [r#"/0 /0: - "x""#]);
    assert_eq!(told(r#"["a","b","c"]"#, r#"["a","c"]"#), [r#"/1 /1: "b" -"#]);
    assert_eq!(told(r#"["a","b","c"]"#, r#"["a","x","c","d"]"#), [r#"/1 /1: "b" "x""#, r#"/3 /3: - "d""#]);
    assert_eq!(told("[1,2,3]", "[2,3,1]"), ["/0 /0: 1 -", "/2 /2: - 1"]);
    assert_eq!(
        told(r#"[0,{"s":"go","n":1},9]"#, r#"[7,0,{"s":"stop","n":1},9]"#),
        [r#"/2/s /1/s: "go" "stop""#, "/0 /0: - 7"]
    );
    assert_eq!(told(r#"["a",{"n":1}]"#, r#"["a",[1]]"#), [r#"/1 /1: {"n":1} [1]"#]);
}

#[test]
fn more_edits_than_anybody_reads_make_an_array_atomic() {
    let numbers = |range: &mut dyn Iterator<Item = usize>| {
        format!("[{}]", range.map(|n| n.to_string()).collect::<Vec<_>>().join(","))
    };
    let changes = |before: &str, after: &str, policy: ArrayPolicy| {
        hold(before, after, &Arrays::new(vec![("".parse().unwrap(), policy.clone())])).unwrap();
        told(before, after, policy).len()
    };
    let most = ArrayPolicy::EDITS_MAX;
    for policy in [ArrayPolicy::Set, ArrayPolicy::Lcs] {
        assert_eq!(changes("[]", &numbers(&mut (0..most)), policy.clone()), most);
        assert_eq!(changes(&numbers(&mut (0..=most)), "[]", policy), 1);
    }
    // A set in another order, and one whose order counts with what came.
    let turned = |count: usize| (numbers(&mut (0..count)), numbers(&mut (0..count).rev()));
    let (before, after) = turned(most);
    assert_eq!(changes(&before, &after, ArrayPolicy::Set), 1);
    assert!(told(&before, &after, ArrayPolicy::Set)[0].contains(" to "));
    let (before, after) = turned(most + 1);
    assert!(!told(&before, &after, ArrayPolicy::Set)[0].contains(" to "));
    // A block that went to the other end: all of it is left out, twice.
    let moved = |block: usize| numbers(&mut (block..2_000).chain(0..block));
    let block = ArrayPolicy::LCS_DISTANCE_MAX / 2;
    assert_eq!(changes(&numbers(&mut (0..2_000)), &moved(block), ArrayPolicy::Lcs), 2 * block);
    assert_eq!(changes(&numbers(&mut (0..2_000)), &moved(block + 1), ArrayPolicy::Lcs), 1);
    // What is only in one of them needs no search.
    let odd = numbers(&mut (0..3_000).map(|n| if n % 2 == 0 { n } else { n + 10_000 }));
    assert_eq!(changes(&numbers(&mut (0..3_000)), &odd, ArrayPolicy::Lcs), 1_500);
}
