//! Documents made to hurt: what a comparison makes of them stays within a small multiple of their size, and holds.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use afterimage_diff::{
    ArrayPolicy, Arrays, Change, ChangeKind, DigestKey, Mutation, RuleBlock, Rules, Verdict, changed_names, compare,
    delta, patch,
};
use afterimage_json::{Pointer, Raw, equal};

/// About the size of the largest message.
const LARGE_BYTES: usize = 1 << 19;
/// Elements of a long array, and of one of which each stands below a long name: many times what policies take on, and so
/// many that work that grows with their square, or with names times elements, never ends. Not more: each test compares
/// such documents under five policies, both ways, in a debug build.
const LONG: usize = 20 * ArrayPolicy::EDITS_MAX;
const MANY: usize = 4 * ArrayPolicy::EDITS_MAX;

fn arrays(policy: ArrayPolicy) -> Arrays {
    Arrays::new(vec![("/**".parse().unwrap(), policy)])
}

fn policies() -> [Arrays; 5] {
    [
        Arrays::atomic(),
        arrays(ArrayPolicy::Index),
        arrays(ArrayPolicy::Keyed("/id".parse().unwrap())),
        arrays(ArrayPolicy::Set),
        arrays(ArrayPolicy::Lcs),
    ]
}

fn place_bytes(change: &Change<'_>) -> usize {
    let keys = |keys: &[Raw<'_>]| keys.iter().map(|key| key.as_str().len()).sum::<usize>();
    let order = match &change.kind {
        ChangeKind::Order { old, new } => keys(old) + keys(new),
        _ => 0,
    };
    let old_path = change.old_path.as_ref().map_or(0, |path| path.as_str().len());
    change.path.as_str().len() + old_path + keys(&change.key) + order
}

/// Checks the bound both ways; returns how many changes there are.
fn bounded(before: &str, after: &str, arrays: &Arrays) -> usize {
    let mut counts = [before, after].map(|_| 0);
    for (count, (before, after)) in counts.iter_mut().zip([(before, after), (after, before)]) {
        let changes = compare(before, after, arrays).unwrap();
        assert!(!changes.is_empty());
        let places = changes.iter().map(place_bytes).sum::<usize>();
        let values = changes.iter().flat_map(|change| [change.old(), change.new()]).flatten();
        let values = values.map(|value| value.as_str().len()).sum::<usize>();
        let documents = before.len() + after.len();
        assert!(places <= 2 * documents + 64 * 1024, "{places} bytes of places for {documents}");
        assert!(values <= documents, "{values} bytes of values for {documents}");
        *count = changes.len();
    }
    assert_eq!(counts[0], counts[1]);
    counts[0]
}

/// [`bounded`], and the patches lead from one to the other.
fn lawful(before: &str, after: &str, arrays: &Arrays) -> usize {
    let changes = compare(before, after, arrays).unwrap();
    for (from, to, patch) in [(before, after, patch::forward(&changes)), (after, before, patch::inverse(&changes))] {
        let mut value = patch::to_value(Raw::parse(from).unwrap());
        json_patch::patch(&mut value, &patch).unwrap();
        assert!(equal(Raw::parse(&value.to_string()).unwrap(), Raw::parse(to).unwrap()));
    }
    bounded(before, after, arrays)
}

/// `inner` under `levels` names of so many bytes.
fn under(levels: usize, name_bytes: usize, inner: &str) -> String {
    let name = "n".repeat(name_bytes);
    format!("{}{inner}{}", format!("{{\"{name}\":").repeat(levels), "}".repeat(levels))
}

fn members(count: usize, value: impl Fn(usize) -> String) -> String {
    format!("{{{}}}", (0..count).map(|n| format!("\"m{n}\":{}", value(n))).collect::<Vec<_>>().join(","))
}

fn elements(count: usize, element: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..count).map(element).collect::<Vec<_>>().join(","))
}

#[test]
fn long_names_above_many_changes_are_told_by_larger_values() {
    for (levels, name_bytes) in [(1, 100_000), (90, 1_000), (3, 30_000)] {
        let document = |digit: usize| under(levels, name_bytes, &members(MANY / 2, |_| digit.to_string()));
        assert_eq!(lawful(&document(1), &document(2), &Arrays::atomic()), 1, "{levels} names");
    }
    // What lies elsewhere in the document is told along with it, and what the document has at the top by itself.
    let document = |digit: usize| {
        format!(r#"{{"deep":{},"n":{digit}}}"#, under(2, 50_000, &members(5_000, |_| digit.to_string())))
    };
    assert_eq!(lawful(&document(1), &document(2), &Arrays::atomic()), 2);
}

#[test]
fn names_in_front_of_arrays_are_read_once_for_all_of_them() {
    for arrays in policies() {
        for element in
            [|n: usize, digit: usize| format!("[{digit},{n}]"), |n, digit| format!("{{\"id\":{n},\"v\":[{digit}]}}")]
        {
            let document = |digit: usize| under(1, LARGE_BYTES / 4, &elements(MANY, |n| element(n, digit)));
            assert_eq!(bounded(&document(1), &document(2), &arrays), 1);
            let document = |digit: usize| under(1, LARGE_BYTES / 4, &members(MANY, |n| element(n, digit)));
            assert_eq!(bounded(&document(1), &document(2), &arrays), 1);
        }
    }
}

#[test]
fn long_keys_of_nested_elements_count_too() {
    let keyed = arrays(ArrayPolicy::Keyed("/id".parse().unwrap()));
    let id = "k".repeat(20_000);
    let list = |digit: usize| elements(900, |n| format!("{{\"id\":{n},\"v\":{digit}}}"));
    let document = |digit: usize| format!("[{{\"id\":\"{id}\",\"list\":{}}}]", list(digit));
    assert_eq!(lawful(&document(1), &document(2), &keyed), 1);
}

#[test]
fn every_member_of_a_record_is_told_apart_however_many() {
    let document = |digit: usize| members(LARGE_BYTES / 10, |_| digit.to_string());
    assert_eq!(bounded(&document(1), &document(2), &Arrays::atomic()), LARGE_BYTES / 10);
    let (before, after) = (members(3_000, |_| "1".into()), members(3_000, |_| "[2]".into()));
    assert_eq!(lawful(&before, &after, &Arrays::atomic()), 3_000);
    // Names whose pointers are twice as long.
    let tildes = |digit: usize| members(40, |n| format!("{{\"{}{n}\":{digit}}}", "~".repeat(9_000)));
    assert!(lawful(&tildes(1), &tildes(2), &Arrays::atomic()) >= 40);
}

#[test]
fn another_order_of_very_many_members_is_no_change() {
    let names: Vec<usize> = (0..40_000).collect();
    let document = |order: &mut dyn Iterator<Item = &usize>| {
        format!("{{{}}}", order.map(|n| format!("\"name {n}\":{n}")).collect::<Vec<_>>().join(","))
    };
    let (before, after) = (document(&mut names.iter()), document(&mut names.iter().rev()));
    for arrays in policies() {
        assert!(compare(&before, &after, &arrays).unwrap().is_empty());
        assert!(compare(&under(60, 20, &before), &under(60, 20, &after), &arrays).unwrap().is_empty());
    }
}

#[test]
fn long_arrays_make_no_more_than_their_size_under_any_policy() {
    for arrays in policies() {
        for [one, other] in [["1", "2"], ["{\"id\":1}", "{\"id\":2}"], ["[[1]]", "[[2]]"]] {
            let (before, after) = (elements(LONG, |_| one.into()), elements(LONG, |_| other.into()));
            let count = bounded(&before, &after, &arrays);
            assert!(count == 1 || count == LONG, "{count}");
            assert_eq!(bounded("[]", &before, &arrays), 1);
        }
        let rows = |from: usize| elements(1_000, |n| format!("{{\"id\":{},\"v\":{from}}}", (n * 7 + from) % 1_000));
        bounded(&rows(0), &rows(3), &arrays);
    }
}

#[test]
fn arrays_in_arrays_as_deep_as_they_are_read() {
    let nest = |inner: &str| format!("{}{inner}{}", "[".repeat(120), "]".repeat(120));
    for arrays in policies() {
        let (before, after) = (nest(&elements(LONG, |_| "1".into())), nest(&elements(LONG, |n| (n % 2).to_string())));
        assert!(bounded(&before, &after, &arrays) <= LONG / 2);
    }
}

#[test]
fn lists_of_redacted_and_quiet_places_stay_short() {
    let block = RuleBlock::new("all", "*", "*").quiet("/**/q*").unwrap().redact("/**/h*", "mask").unwrap();
    let rules = Rules::new(vec![block], DigestKey::published()).unwrap();
    let inner =
        |digit: usize| members(5_000, |n| format!("{{\"token{n}\":{digit},\"q{n}\":{digit},\"h{n}\":{digit}}}"));
    for name_bytes in [1, 10_000, 100_000] {
        let (before, after) = (under(1, name_bytes, &inner(1)), under(1, name_bytes, &inner(2)));
        for (mutation, before) in [(Mutation::Update, Some(&*before)), (Mutation::Insert, None)] {
            let delta = delta(mutation, before, Some(&after), &[], &rules.table("s", "t"), rules.key()).unwrap();
            assert_eq!(delta.verdict, Verdict::Changed);
            let bytes = |list: &[Pointer]| list.iter().map(|place| place.as_str().len() + 3).sum::<usize>();
            assert!(bytes(&delta.redacted) <= 16 * 1024 && bytes(&delta.approximate) <= 16 * 1024);
            assert!(!delta.redacted.is_empty() && !delta.approximate.is_empty());
            assert_eq!(delta.changed, ["n".repeat(name_bytes)]);
            let paths = delta.changes.iter().map(|change| change.path.as_str().len()).sum::<usize>();
            assert!(paths <= 4 * after.len() + 64 * 1024);
        }
    }
}

#[test]
fn names_that_changed_are_told_once_each_when_values_are_larger() {
    let inner = |digit: usize| under(1, 100_000, &members(2_000, |_| digit.to_string()));
    let document = |digit: usize| format!(r#"{{"a":{},"same":1,"b":{}}}"#, inner(digit), inner(digit + 1));
    let (before, after) = (document(1), document(2));
    let changes = compare(&before, &after, &Arrays::atomic()).unwrap();
    assert_eq!(changed_names(&changes, Raw::parse(&after).unwrap().kind()), ["a", "b"]);
}
