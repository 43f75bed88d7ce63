//! Lines of rules, then a line for the document before and one for that after: patterns match what they say, nothing hidden
//! shows, and changes that claim to lead from image to image do.

#![no_main]

#[path = "../../crates/diff/tests/shown/mod.rs"]
mod shown;
#[path = "../../crates/json/tests/tree/mod.rs"]
mod tree;

use afterimage_diff::{Delta, DigestKey, Mutation, Pattern, RuleBlock, RuleError, Rules, TableRules, Verdict, delta};
use afterimage_json::Pointer;
use libfuzzer_sys::fuzz_target;
use shown::{all_text, apply};
use tree::Tree;

fuzz_target!(|text: &str| {
    if !tree::is_understood(text) {
        return;
    }
    let lines: Vec<&str> = text.lines().collect();
    let [rules @ .., before, after] = lines.as_slice() else { return };
    let (Some(old), Some(new)) = (Tree::parse(before), Tree::parse(after)) else { return };
    let mut hidden: Vec<Pattern> = Vec::new();
    let mut block = RuleBlock::new("rules[0]", "*", "*");
    for line in rules {
        let Some((word, pattern)) = line.split_once(' ') else { return };
        let Ok(added) = add(block, word, pattern) else { return };
        block = added;
        if matches!(word, "ignore" | "drop" | "mask" | "hmac") {
            hidden.push(pattern.parse().unwrap());
        }
    }
    let Ok(rules) = Rules::new(vec![block], DigestKey::published()) else { return };
    let rules = rules.table("s", "t");

    let mut leaves = Leaves::default();
    for image in [&old, &new] {
        leaves.collect(image, &mut Vec::new(), &hidden, false);
    }
    let deltas = [
        told(Mutation::Update, Some(before), Some(after), &rules),
        told(Mutation::Insert, None, Some(before), &rules),
        told(Mutation::Insert, None, Some(after), &rules),
    ];
    // An object may be too large or too deep; a document may be no object.
    let [Some(update), Some(old), Some(new)] = deltas else { return };
    let shown = [&update, &old, &new].map(all_text).join("\n");
    for leaf in leaves.hidden.iter().filter(|leaf| is_telling(leaf) && !leaves.visible.contains(leaf.as_str())) {
        assert!(!shown.contains(leaf.as_str()), "{leaf} shows in {shown}");
    }
    if let (Verdict::Changed, true, Some(old), Some(new)) =
        (update.verdict, update.after_is_derivable, old.after, new.after)
    {
        assert_eq!(apply(&old, &update.changes, false), Tree::parse(&new).unwrap());
        assert_eq!(apply(&new, &update.changes, true), Tree::parse(&old).unwrap());
    }
});

fn add(block: RuleBlock, word: &str, pattern: &str) -> Result<RuleBlock, RuleError> {
    match word {
        "ignore" => block.ignore(pattern),
        "quiet" => block.quiet(pattern),
        "allow" => block.allow_secrets(pattern),
        "drop" | "mask" | "hmac" => block.redact(pattern, word),
        policy => block.array(pattern, policy),
    }
}

fn told<'a>(
    mutation: Mutation,
    before: Option<&'a str>,
    after: Option<&'a str>,
    rules: &TableRules,
) -> Option<Delta<'a>> {
    delta(mutation, before, after, &[], rules, &DigestKey::published()).ok()
}

/// The strings of two images.
#[derive(Default)]
struct Leaves {
    hidden: Vec<String>,
    /// All others, names of members among them, in one text.
    visible: String,
}

impl Leaves {
    fn collect(&mut self, tree: &Tree, place: &mut Vec<String>, patterns: &[Pattern], is_hidden: bool) {
        let mut is_hidden = is_hidden;
        let pointer = place.iter().fold(Pointer::default(), |pointer, name| pointer.child(name));
        for pattern in patterns {
            let matches = obviously_matches(&segments(pattern), place);
            assert_eq!(pattern.matches(&pointer), matches, "{pattern} and {pointer}");
            is_hidden |= matches;
        }
        match tree {
            Tree::String(text) if is_hidden => self.hidden.push(text.clone()),
            Tree::Array(elements) => {
                for (position, element) in elements.iter().enumerate() {
                    self.enter(&position.to_string(), element, place, patterns, is_hidden);
                }
            }
            Tree::Object(members) => {
                for (name, value) in members {
                    self.say(name);
                    self.enter(name, value, place, patterns, is_hidden);
                }
            }
            Tree::String(text) => self.say(text),
            leaf => self.say(&format!("{leaf:?}")),
        }
    }

    fn enter(&mut self, name: &str, tree: &Tree, place: &mut Vec<String>, patterns: &[Pattern], is_hidden: bool) {
        place.push(name.to_owned());
        self.collect(tree, place, patterns, is_hidden);
        place.pop();
    }

    fn say(&mut self, text: &str) {
        self.visible.push_str(text);
        self.visible.push('\n');
    }
}

fn segments(pattern: &Pattern) -> Vec<String> {
    let pointer: Pointer = pattern.to_string().parse().unwrap();
    pointer.segments().map(String::from).collect()
}

fn obviously_matches(pattern: &[String], place: &[String]) -> bool {
    spans(pattern, place, |segment| segment == "**", |segment, name| is_like(segment, name))
}

fn is_like(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    spans(&glob, &name, |sign| *sign == '*', |sign, letter| *sign == '?' || sign == letter)
}

/// Does a pattern, some of whose parts stand for any number of items and the others for one, stand for these items?
fn spans<P, I>(
    pattern: &[P],
    items: &[I],
    is_any_number: impl Fn(&P) -> bool,
    is_one: impl Fn(&P, &I) -> bool,
) -> bool {
    // Which beginnings of the items the parts so far stand for, by their lengths.
    let mut reached = vec![false; items.len() + 1];
    reached[0] = true;
    for part in pattern {
        reached = (0..=items.len())
            .map(|length| match length {
                _ if is_any_number(part) => reached[..=length].contains(&true),
                0 => false,
                _ => reached[length - 1] && is_one(part, &items[length - 1]),
            })
            .collect();
    }
    reached[items.len()]
}

/// Could it stand in a delta only because it was shown? Not what a stand-in or the spelling of a tree may hold.
fn is_telling(leaf: &str) -> bool {
    const WORDS: &str = "Null Bool Number String Array Object negative digits exponent false true hmac";
    leaf.len() >= 5
        && leaf.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !leaf.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !WORDS.contains(leaf)
}
