//! What holds for the deltas of all pairs of documents: nothing hidden shows, digests tell data, changes carry images on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../json/tests/generate/mod.rs"]
mod generate;
mod shown;
#[path = "../../json/tests/tree/mod.rs"]
mod tree;

use std::sync::Arc;

use afterimage_diff::{
    Delta, DigestKey, Mutation, Pattern, RuleBlock, Rules, TableRules, Values, Verdict, delta, redact_object,
};
use afterimage_json::Pointer;
use fastrand::Rng;
use generate::{Style, document, mutate, spell};
use proptest::prelude::*;
use shown::{all_text, apply};
use tree::Tree;

/// What no text of a delta may hold, in names or values.
const MARK: &str = "MARKED";
const SECRET_NAMES: [&str; 10] = [
    "password",
    "Pass_Word",
    "user-password",
    "PASSWORD_HASH",
    "apiKey",
    "X-Api-Key",
    "refresh_token",
    "Set-Cookie",
    "cardNumber",
    "client secret",
];

fn rules(block: RuleBlock) -> Arc<TableRules> {
    Rules::new(vec![block], DigestKey::published()).unwrap().table("s", "t")
}

fn block() -> RuleBlock {
    RuleBlock::new("rules[0]", "*", "*")
}

fn update<'a>(before: &'a str, after: &'a str, rules: &TableRules) -> Delta<'a> {
    delta(Mutation::Update, Some(before), Some(after), &[], rules, &DigestKey::published()).unwrap()
}

fn kept<'a>(image: &'a str, unknown: &[Pointer], rules: &TableRules) -> Delta<'a> {
    delta(Mutation::Insert, None, Some(image), unknown, rules, &DigestKey::published()).unwrap()
}

/// A value in which everything is marked, names too.
fn marked(rng: &mut Rng) -> Tree {
    let leaf = |rng: &mut Rng| Tree::String(format!("{MARK} {}", rng.u32(..)));
    match rng.u8(..4) {
        0 => Tree::Object(vec![(format!("{MARK} {}", rng.u8(..4)), leaf(rng)), ("n".to_owned(), leaf(rng))]),
        1 => Tree::Array(vec![leaf(rng), Tree::Object(vec![("id".to_owned(), leaf(rng))])]),
        _ => leaf(rng),
    }
}

/// Puts marked members with one of these names into objects here and there, at any depth.
fn plant(tree: &mut Tree, names: &[&str], rng: &mut Rng) {
    match tree {
        Tree::Object(members) => {
            members.iter_mut().for_each(|(_, value)| plant(value, names, rng));
            if rng.u8(..3) > 0 {
                let name = (*rng.choice(names).unwrap()).to_owned();
                members.retain(|(other, _)| *other != name);
                members.insert(rng.usize(..=members.len()), (name, marked(rng)));
            }
        }
        Tree::Array(elements) => elements.iter_mut().for_each(|element| plant(element, names, rng)),
        _ => {}
    }
}

/// Rules over the names that documents are made of, with nothing redacted.
fn visible_rules() -> impl Strategy<Value = Arc<TableRules>> {
    let rules = [
        block(),
        block().ignore("/a").unwrap().ignore("/**/b").unwrap().quiet("/**/c").unwrap(),
        block().ignore("/items/*").unwrap().quiet("/*/*/status").unwrap().array("/**", "index").unwrap(),
        block().ignore("/**/status").unwrap().array("/**", "keyed(/id)").unwrap(),
        block().ignore("/a/b").unwrap().quiet("/**/a*").unwrap().array("/items", "keyed(/id)").unwrap(),
        block().ignore("/**/b").unwrap().quiet("/**/id").unwrap().array("/**", "set").unwrap(),
        block().ignore("/items/1").unwrap().quiet("/**/c").unwrap().array("/**", "lcs").unwrap(),
        block().quiet("/**/0").unwrap().array("/**/items", "set").unwrap().array("/**", "lcs").unwrap(),
    ];
    prop::sample::select(rules.map(self::rules).to_vec())
}

fn policy() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["atomic", "index", "keyed(/id)", "set", "lcs"])
}

fn relatives(tree: &Tree, mutations: u8, rng: &mut Rng) -> Tree {
    let mut other = tree.clone();
    (0..mutations).for_each(|_| mutate(&mut other, rng));
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_secret_shows_by_default(tree in document(), mutations in 0_u8..5, policy in policy(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let (mut before, mut after) = (tree.clone(), relatives(&tree, mutations, &mut rng));
        plant(&mut before, &SECRET_NAMES, &mut rng);
        plant(&mut after, &SECRET_NAMES, &mut rng);
        let (before, after) = (spell(&before, Style::Free, &mut rng), spell(&after, Style::Free, &mut rng));
        let rules = rules(block().array("/**", policy).unwrap());
        let key = DigestKey::published();
        for mutation in [Mutation::Insert, Mutation::Update, Mutation::Delete, Mutation::None] {
            for (before, after) in [(Some(&before), Some(&after)), (Some(&before), None), (None, Some(&after))] {
                let (before, after) = (before.map(String::as_str), after.map(String::as_str));
                let delta = delta(mutation, before, after, &[], &rules, &key).unwrap();
                prop_assert!(!all_text(&delta).contains(MARK), "{delta:?}");
            }
        }
        // Context and labels: the same names, any depth.
        let object = redact_object(&after);
        prop_assert!(!format!("{:?}", Tree::parse(&object).unwrap()).contains(MARK), "{object}");
    }

    #[test]
    fn no_redacted_value_shows_but_as_its_stand_in(
        tree in document(), mutations in 0_u8..5, how in 0_usize..3, policy in policy(), seed: u64,
    ) {
        let mut rng = Rng::with_seed(seed);
        let (mut before, mut after) = (tree.clone(), relatives(&tree, mutations, &mut rng));
        plant(&mut before, &["hidden"], &mut rng);
        plant(&mut after, &["hidden"], &mut rng);
        let (before, after) = (spell(&before, Style::Free, &mut rng), spell(&after, Style::Free, &mut rng));
        let how = ["drop", "mask", "hmac"][how];
        let block = block().array("/**", policy).unwrap();
        let redacting = rules(block.clone().redact("/**/hidden", how).unwrap());
        let delta = update(&before, &after, &redacting);
        prop_assert!(!all_text(&delta).contains(MARK), "{delta:?}");
        // Redaction hides; it does not make a record another one, nor a change none.
        let bare = update(&before, &after, &rules(block));
        prop_assert_eq!((delta.before_digest, delta.after_digest), (bare.before_digest, bare.after_digest));
        prop_assert_eq!((delta.verdict, delta.changed), (bare.verdict, bare.changed));
    }

    #[test]
    fn what_is_ignored_is_nowhere(tree in document(), mutations in 0_u8..5, policy in policy(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let other = relatives(&tree, mutations, &mut rng);
        let (mut before, mut after) = (tree.clone(), other.clone());
        plant(&mut before, &["ignored"], &mut rng);
        plant(&mut after, &["ignored"], &mut rng);
        let plain = (spell(&tree, Style::Free, &mut rng), spell(&other, Style::Free, &mut rng));
        let planted = (spell(&before, Style::Free, &mut rng), spell(&after, Style::Free, &mut rng));
        let block = block().array("/**", policy).unwrap();
        let ignoring = rules(block.ignore("/**/ignored").unwrap());
        let (without, with) = (update(&plain.0, &plain.1, &ignoring), update(&planted.0, &planted.1, &ignoring));
        prop_assert!(!all_text(&with).contains(MARK) && !all_text(&with).contains("ignored"), "{with:?}");
        prop_assert_eq!((with.before_digest, with.after_digest), (without.before_digest, without.after_digest));
        prop_assert_eq!((with.verdict, with.changes.len()), (without.verdict, without.changes.len()));
    }

    #[test]
    fn quiet_or_ignored_alone_makes_no_entry_and_no_other_digest(tree in document(), policy in policy(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let (mut before, mut after) = (tree.clone(), tree.clone());
        plant(&mut before, &["ignored", "quiet"], &mut Rng::with_seed(seed));
        plant(&mut after, &["ignored", "quiet"], &mut Rng::with_seed(seed ^ 1));
        let (before, after) = (spell(&before, Style::Free, &mut rng), spell(&after, Style::Free, &mut rng));
        let rules = rules(block().ignore("/**/ignored").unwrap().quiet("/**/quiet").unwrap().array("/**", policy).unwrap());
        prop_assert_eq!(update(&before, &after, &rules).verdict, Verdict::Unchanged);
        prop_assert_eq!(kept(&before, &[], &rules).after_digest, kept(&after, &[], &rules).after_digest);
        prop_assert_eq!(kept(&before, &[], &rules).after_digest, kept(&spell(&tree, Style::Plain, &mut rng), &[], &rules).after_digest);
    }

    #[test]
    fn equal_data_and_only_it_has_one_digest(tree in document(), mutations in 0_u8..3, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let other = relatives(&tree, mutations, &mut rng);
        let texts = [spell(&tree, Style::Plain, &mut rng), spell(&tree, Style::Free, &mut rng), spell(&other, Style::Free, &mut rng)];
        let rules = TableRules::default();
        let digest = |text: &str, key: &DigestKey| {
            delta(Mutation::Insert, None, Some(text), &[], &rules, key).unwrap().after_digest.unwrap()
        };
        let key = DigestKey::published();
        prop_assert_eq!(digest(&texts[0], &key), digest(&texts[1], &key));
        prop_assert_eq!(digest(&texts[0], &key) == digest(&texts[2], &key), tree == other);
        prop_assert_ne!(digest(&texts[0], &key), digest(&texts[0], &DigestKey::new(b"another key, 16+").unwrap()));
        // A pair shares the work, not the outcome.
        let pair = update(&texts[1], &texts[2], &rules);
        if pair.verdict == Verdict::Changed {
            prop_assert_eq!(pair.before_digest, Some(digest(&texts[0], &key)));
            prop_assert_eq!(pair.after_digest, Some(digest(&texts[2], &key)));
        }
    }

    #[test]
    fn the_law_holds_on_what_is_visible(tree in document(), mutations in 0_u8..6, rules in visible_rules(), seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let (before, after) = (spell(&tree, Style::Free, &mut rng), spell(&relatives(&tree, mutations, &mut rng), Style::Free, &mut rng));
        let delta = update(&before, &after, &rules);
        let (old, new) = (kept(&before, &[], &rules), kept(&after, &[], &rules));
        if delta.verdict == Verdict::Changed {
            prop_assert!(delta.after_is_derivable);
            prop_assert_eq!(&delta.after, &new.after);
            let (old, new) = (old.after.unwrap(), new.after.unwrap());
            prop_assert_eq!(apply(&old, &delta.changes, false), Tree::parse(&new).unwrap());
            prop_assert_eq!(apply(&new, &delta.changes, true), Tree::parse(&old).unwrap());
        } else {
            // Nothing that digests see is lost with the entry.
            prop_assert_eq!(old.after_digest, new.after_digest);
        }
    }

    /// Redacted or not, what changes tell is what images show.
    #[test]
    fn where_values_are_redacted_changes_lead_from_image_to_image_unless_they_say_otherwise(
        tree in document(), mutations in 0_u8..6, how in 0_usize..3, policy in policy(), seed: u64,
    ) {
        let mut rng = Rng::with_seed(seed);
        let (mut before, mut after) = (tree.clone(), relatives(&tree, mutations, &mut rng));
        plant(&mut before, &["hidden", "password"], &mut rng);
        plant(&mut after, &["hidden", "password"], &mut rng);
        let (before, after) = (spell(&before, Style::Free, &mut rng), spell(&after, Style::Free, &mut rng));
        let block = block().array("/**", policy).unwrap().redact("/**/hidden", ["drop", "mask", "hmac"][how]).unwrap();
        let rules = rules(block);
        let delta = update(&before, &after, &rules);
        let (old, new) = (kept(&before, &[], &rules).after.unwrap(), kept(&after, &[], &rules).after.unwrap());
        if delta.verdict == Verdict::Changed && delta.after_is_derivable {
            prop_assert_eq!(apply(&old, &delta.changes, false), Tree::parse(&new).unwrap());
            prop_assert_eq!(apply(&new, &delta.changes, true), Tree::parse(&old).unwrap());
        }
    }

    /// A rule may name positions, and elements move past them.
    #[test]
    fn what_is_hidden_by_position_is_hidden_in_changes_and_in_images_made_of_them(
        tree in document(), mutations in 0_u8..6, how in 0_usize..3, policy in policy(),
        pattern in prop::sample::select(vec!["/**/0", "/**/1", "/items/1/*", "/**/?/a", "/*/0/**/1"]), seed: u64,
    ) {
        let mut rng = Rng::with_seed(seed);
        let (before, after) = (spell(&tree, Style::Free, &mut rng), spell(&relatives(&tree, mutations, &mut rng), Style::Free, &mut rng));
        let how = ["drop", "mask", "hmac"][how];
        // Where elements are told apart by something hidden, rules cannot be.
        let Ok(rules) = Rules::new(vec![block().array("/**", policy).unwrap().redact(pattern, how).unwrap()], DigestKey::published()) else {
            return Ok(());
        };
        let rules = rules.table("s", "t");
        let delta = update(&before, &after, &rules);
        let pattern: Pattern = pattern.parse().unwrap();
        for change in delta.changes.iter().filter(|change| !matches!(change.values, Values::Redacted { .. })) {
            let places = [Some(&change.path), change.old_path.as_ref()];
            prop_assert!(!places.into_iter().flatten().any(|place| pattern.covers(place)), "{change:?}");
        }
        let (old, new) = (kept(&before, &[], &rules).after.unwrap(), kept(&after, &[], &rules).after.unwrap());
        if delta.verdict == Verdict::Changed && delta.after_is_derivable {
            prop_assert_eq!(apply(&old, &delta.changes, false), Tree::parse(&new).unwrap());
            prop_assert_eq!(apply(&new, &delta.changes, true), Tree::parse(&old).unwrap());
        }
    }

    #[test]
    fn an_unknown_value_is_in_nothing_but_the_list(tree in document(), mutations in 0_u8..5, seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let other = relatives(&tree, mutations, &mut rng);
        let with = |tree: &Tree, rng: &mut Rng| {
            let mut members = vec![("known".to_owned(), tree.clone()), ("blob".to_owned(), marked(rng))];
            members.push(("deep".to_owned(), Tree::Object(vec![("*".to_owned(), marked(rng)), ("x".to_owned(), Tree::Null)])));
            spell(&Tree::Object(members), Style::Free, rng)
        };
        let (before, after) = (with(&tree, &mut rng), with(&other, &mut rng));
        let unknown: Vec<Pointer> = ["/blob", "/deep/*"].iter().map(|text| text.parse().unwrap()).collect();
        let rules = TableRules::default();
        let delta = delta(Mutation::Update, Some(&before), Some(&after), &unknown, &rules, &DigestKey::published()).unwrap();
        prop_assert_eq!(delta.verdict == Verdict::Unchanged, tree == other);
        prop_assert!(!all_text(&delta).contains(MARK), "{delta:?}");
        if tree != other {
            prop_assert_eq!(&delta.unknown, &unknown);
            prop_assert_eq!(delta.changed, ["known"]);
            let digest = |text: &str| kept(text, &unknown, &rules).after_digest;
            let again = with(&tree, &mut rng);
            prop_assert_eq!(delta.before_digest, digest(&again));
        }
    }
}
