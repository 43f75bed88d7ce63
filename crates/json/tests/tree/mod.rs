//! JSON as a tree, the slow and obvious way: the reference for everything that works on text.
//!
//! `serde_json` reads it, so what it accepts and refuses is the reference too. It is made to refuse duplicate keys.
//! Members called `$serde_json::…` are not understood here: that is how `serde_json` spells numbers to its visitors.

#![allow(dead_code, reason = "each test program uses a part of it")]

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value. Objects remember their order, but it does not count for `==`.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// `digits` × 10^`exponent`; digits without zeros at either end, `""` for zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) negative: bool,
    pub(crate) digits: String,
    pub(crate) exponent: i128,
}

impl Tree {
    /// `None` if it is not exactly one JSON value without duplicate keys.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Is the reference to be trusted with this text? Not with names that `serde_json` uses for numbers, nor with exponents that
/// are too long to reckon with here.
pub(crate) fn is_understood(text: &str) -> bool {
    let mut digits = 0;
    let longest = text.bytes().fold(0, |longest, byte| {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        longest.max(digits)
    });
    !text.contains('$') && !text.contains("\\u0024") && (longest < 30 || !text.contains(['e', 'E']))
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(_)) => {
                let Self::Object(b) = other else { return false };
                a.len() == b.len() && a.iter().all(|(key, value)| other.get(key) == Some(value))
            }
            _ => false,
        }
    }
}

impl Number {
    pub(crate) fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.replace('E', "e");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let Ok(mut exponent) = exponent.parse::<i128>() else {
            // No arithmetic: such a number is the same only as itself.
            let zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            let digits = if zero { String::new() } else { text.replace('+', "") };
            return Self { negative: negative && !zero, digits, exponent: 0 };
        };
        exponent -= fraction.len() as i128;
        let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
        while digits.ends_with('0') {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            Self { negative: false, digits, exponent: 0 }
        } else {
            Self { negative, digits, exponent }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::parse(&value.to_string())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(Number::parse(&value.to_string())))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object: Vec<(String, Tree)> = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            if key == "$serde_json::private::Number" {
                return Ok(Tree::Number(Number::parse(&members.next_value::<String>()?)));
            }
            let value = members.next_value()?;
            if object.iter().any(|(name, _)| *name == key) {
                return Err(A::Error::custom("duplicate key"));
            }
            object.push((key, value));
        }
        Ok(Tree::Object(object))
    }
}
