//! Documents, their relatives, and the many ways to spell them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use crate::tree::{Number, Tree};
use fastrand::Rng;
use proptest::prelude::*;

/// Few names, so that documents share some; awkward ones among them.
const KEYS: [&str; 12] =
    ["a", "b", "c", "id", "items", "status", "é😀", "x/y", "~1", "\"q\\", "", "a longer key, over 8"];
const STRINGS: [&str; 10] = [
    "",
    "a",
    "b",
    "pending",
    "shipped",
    "1",
    "line\nbreak\u{1}",
    "q\"uo\\te/",
    "žluťoučký 😀",
    "a string well over eight bytes",
];
const NUMBERS: [&str; 18] = [
    "0",
    "-0",
    "1",
    "2",
    "10",
    "-1",
    "1.5",
    "0.1",
    "1e2",
    "1E400",
    "1e-400",
    "-12.50e-3",
    "123456789012345678901234567890123456789012",
    "123456789012345678901234567890123456789013",
    "0.1000000000000000000000000000000000000001",
    "9007199254740993",
    "1e99999999999999999999999",
    "100000000000000000000000000000000000000000",
];

/// Any document, arrays of identified objects among them.
pub(crate) fn document() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        prop::sample::select(&NUMBERS[..]).prop_map(|text| Tree::Number(Number::parse(text))),
        prop::sample::select(&STRINGS[..]).prop_map(|text| Tree::String(text.to_owned())),
        any::<String>().prop_map(Tree::String),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        let object = prop::collection::vec((prop::sample::select(&KEYS[..]), inner.clone()), 0..8).prop_map(object);
        let rows = prop::collection::vec(object.clone(), 0..6).prop_map(|rows| {
            let with_id = |(id, row): (usize, Tree)| match row {
                Tree::Object(mut members) => {
                    members.retain(|(key, _)| key != "id");
                    members.push(("id".to_owned(), Tree::Number(Number::parse(&id.to_string()))));
                    Tree::Object(members)
                }
                other => other,
            };
            Tree::Array(rows.into_iter().enumerate().map(with_id).collect())
        });
        prop_oneof![
            3 => object,
            1 => prop::collection::vec(inner, 0..6).prop_map(Tree::Array),
            2 => rows,
        ]
    })
}

fn object(members: Vec<(&str, Tree)>) -> Tree {
    let mut object: Vec<(String, Tree)> = Vec::new();
    for (key, value) in members {
        if object.iter().all(|(name, _)| name != key) {
            object.push((key.to_owned(), value));
        }
    }
    Tree::Object(object)
}

/// Changes something somewhere in the tree (mostly).
pub(crate) fn mutate(tree: &mut Tree, rng: &mut Rng) {
    match tree {
        Tree::Object(members) if !members.is_empty() && rng.u8(..4) > 0 => {
            let at = rng.usize(..members.len());
            match rng.u8(..8) {
                0 => drop(members.remove(at)),
                1 => rng.shuffle(members),
                2 => {
                    let key = *rng.choice(&KEYS).unwrap();
                    if members.iter().all(|(name, _)| name != key) {
                        members.insert(at, (key.to_owned(), leaf(rng)));
                    }
                }
                _ => mutate(&mut members[at].1, rng),
            }
        }
        Tree::Array(elements) if !elements.is_empty() && rng.u8(..4) > 0 => {
            let at = rng.usize(..elements.len());
            match rng.u8(..8) {
                0 => drop(elements.remove(at)),
                1 => rng.shuffle(elements),
                2 => elements.insert(at, leaf(rng)),
                3 => {
                    let id = Tree::Number(Number::parse(&rng.u8(50..200).to_string()));
                    elements.insert(at, Tree::Object(vec![("id".to_owned(), id), ("a".to_owned(), leaf(rng))]));
                }
                _ => mutate(&mut elements[at], rng),
            }
        }
        Tree::Object(members) if rng.bool() => {
            members.retain(|(key, _)| key != "new here");
            members.push(("new here".to_owned(), leaf(rng)));
        }
        Tree::Array(elements) if rng.bool() => elements.push(leaf(rng)),
        other => *other = leaf(rng),
    }
}

fn leaf(rng: &mut Rng) -> Tree {
    match rng.u8(..7) {
        0 => Tree::Null,
        1 => Tree::Bool(rng.bool()),
        2 | 3 => Tree::Number(Number::parse(rng.choice(&NUMBERS).unwrap())),
        4 => Tree::Object(Vec::new()),
        5 => Tree::Array(vec![Tree::Null]),
        _ => Tree::String((*rng.choice(&STRINGS).unwrap()).to_owned()),
    }
}

/// How freely a text is spelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Style {
    /// One spelling, as most programs write.
    Plain,
    /// White space, key order, escapes and numbers as the dice fall.
    Free,
}

/// The tree as text.
pub(crate) fn spell(tree: &Tree, style: Style, rng: &mut Rng) -> String {
    let mut speller = Speller { style, rng, out: String::new() };
    speller.space();
    speller.value(tree);
    speller.space();
    speller.out
}

struct Speller<'r> {
    style: Style,
    rng: &'r mut Rng,
    out: String,
}

impl Speller<'_> {
    fn dice(&mut self, sides: u8) -> bool {
        self.style == Style::Free && self.rng.u8(..sides) == 0
    }

    fn space(&mut self) {
        while self.dice(6) {
            self.out.push(*self.rng.choice(&[' ', '\n', '\t', '\r']).unwrap());
        }
    }

    fn punctuation(&mut self, character: char) {
        self.space();
        self.out.push(character);
        self.space();
    }

    fn value(&mut self, tree: &Tree) {
        match tree {
            Tree::Null => self.out.push_str("null"),
            Tree::Bool(value) => self.out.push_str(&value.to_string()),
            Tree::Number(number) => self.number(number),
            Tree::String(text) => self.string(text),
            Tree::Array(elements) => {
                self.punctuation('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        self.punctuation(',');
                    }
                    self.value(element);
                }
                self.punctuation(']');
            }
            Tree::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if self.dice(3) {
                    self.rng.shuffle(&mut members);
                }
                self.punctuation('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        self.punctuation(',');
                    }
                    self.string(key);
                    self.punctuation(':');
                    self.value(value);
                }
                self.punctuation('}');
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => self.out.extend(['\\', character]),
                '\n' if self.dice(2) => self.out.push_str("\\n"),
                '/' if self.dice(2) => self.out.push_str("\\/"),
                _ if character < ' ' || self.dice(8) => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        let upper = self.dice(2);
                        self.out.push_str(&if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }

    fn number(&mut self, number: &Number) {
        let Number { negative, digits, exponent } = number;
        if *negative || digits.is_empty() && self.dice(4) {
            self.out.push('-');
        }
        if digits.is_empty() {
            let zero =
                if self.style == Style::Free { *self.rng.choice(&["0", "0.0", "0e7", "0E-99"]).unwrap() } else { "0" };
            self.out.push_str(zero);
            return;
        }
        // Zeros behind, then a point before some of the last digits.
        let mut digits = digits.clone();
        let mut exponent = *exponent;
        let plain = (0..45).contains(&exponent);
        let zeros = if plain && !self.dice(2) { exponent as usize } else { usize::from(self.dice(3)) };
        digits.push_str(&"0".repeat(zeros));
        exponent -= zeros as i128;
        if exponent < 0 && exponent > -45 || self.dice(3) {
            let places = if exponent < 0 && exponent > -45 { -exponent as usize } else { self.rng.usize(1..4) };
            if digits.len() <= places {
                digits.insert_str(0, &"0".repeat(places - digits.len() + 1));
            }
            digits.insert(digits.len() - places, '.');
            exponent += places as i128;
        }
        self.out.push_str(&digits);
        if exponent != 0 || self.dice(4) {
            let e = if self.dice(2) { 'E' } else { 'e' };
            self.out.push(e);
            if exponent >= 0 && self.dice(2) {
                self.out.push('+');
            }
            self.out.push_str(&exponent.to_string());
        }
    }
}

/// The text with a few characters changed: mostly no JSON any more.
pub(crate) fn garble(text: &str, rng: &mut Rng) -> String {
    const SPLINTERS: [&str; 34] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0061", "\\ud83d", "\\ude00", "\\u", "0", "1", "-", "+", ".", "e",
        "E", " ", "\t", "\u{b}", "\u{0}", "\u{7f}", "é", "😀", "true", "null", "nul", "NaN", "\"a\":1,", ",\"a\":1",
        "\\x", "1e400",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..rng.u8(1..4) {
        let at = rng.usize(..=characters.len());
        match rng.u8(..8) {
            0 => characters.truncate(at),
            1 | 2 if at < characters.len() => drop(characters.remove(at)),
            3 => {
                // A piece of the text again: duplicate keys come of it.
                let end = rng.usize(at..=characters.len());
                let piece: Vec<char> = characters[at..end].to_vec();
                let to = rng.usize(..=characters.len());
                characters.splice(to..to, piece);
            }
            4 => {
                let end = (at + 1).min(characters.len());
                characters.splice(at..end, rng.choice(&SPLINTERS).unwrap().chars());
            }
            _ => drop(characters.splice(at..at, rng.choice(&SPLINTERS).unwrap().chars())),
        }
    }
    characters.into_iter().collect()
}
