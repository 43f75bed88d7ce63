//! Are two values the same data?

use crate::string::{proven_text, same_text};
use crate::{Kind, Members, Raw, numbers_equal};
use std::borrow::Cow;

/// Are two values the same data? Numbers by exact value, strings after unescaping, arrays in order, objects without.
#[must_use]
pub fn equal(a: Raw<'_>, b: Raw<'_>) -> bool {
    if a.as_str() == b.as_str() {
        return true;
    }
    match (a.kind(), b.kind()) {
        (Kind::Number, Kind::Number) => numbers_equal(a.as_str(), b.as_str()),
        (Kind::String, Kind::String) => match (a.quoted_inner(), b.quoted_inner()) {
            (Some(a), Some(b)) => same_text(a, b),
            _ => false,
        },
        (Kind::Array, Kind::Array) => match (a.elements(), b.elements()) {
            (Some(a), Some(b)) => equal_elements(a, b),
            _ => false,
        },
        (Kind::Object, Kind::Object) => match (a.members(), b.members()) {
            (Some(a), Some(b)) => equal_members(a, b),
            _ => false,
        },
        // The literals differ in text, other pairs in kind.
        _ => false,
    }
}

fn equal_elements<'a, 'b>(mut a: impl Iterator<Item = Raw<'a>>, mut b: impl Iterator<Item = Raw<'b>>) -> bool {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if equal(a, b) => {}
            _ => return false,
        }
    }
}

fn equal_members<'a, 'b>(mut a: Members<'a>, mut b: Members<'b>) -> bool {
    loop {
        // Both are mostly written by the same code, so in the same order.
        let (a_rest, b_rest) = (a.clone(), b.clone());
        match (a.next_spelled(), b.next_spelled()) {
            (None, None) => return true,
            (Some((a_key, a_value)), Some((b_key, b_value))) if same_text(a_key, b_key) => {
                if !equal(a_value, b_value) {
                    return false;
                }
            }
            (Some(_), Some(_)) => {
                let (a, b) = (by_key(a_rest), by_key(b_rest));
                return a.len() == b.len()
                    && a.iter().zip(&b).all(|((a_key, a), (b_key, b))| a_key == b_key && equal(*a, *b));
            }
            _ => return false,
        }
    }
}

/// Members sorted by key.
pub(crate) fn by_key(mut members: Members<'_>) -> Vec<(Cow<'_, str>, Raw<'_>)> {
    let mut sorted = Vec::new();
    while let Some((key, value)) = members.next_spelled() {
        sorted.push((proven_text(key), value));
    }
    // Keys are unique, so stability does not matter; what is sorted already costs one pass.
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Raw::parse(a).unwrap(), Raw::parse(b).unwrap());
        assert_eq!(equal(a, b), equal(b, a));
        equal(a, b)
    }

    #[test]
    fn spelling_does_not_count() {
        assert!(same("[1.0, 1e0,-0]", "[1,1,0]"));
        assert!(same(r#"{"a":1,"b":[{"x":"y"}]}"#, r#"{ "b":[{"\u0078":"\u0079"}], "\u0061":1.0 }"#));
        assert!(same(r#""😀\/""#, r#""\ud83d\ude00/""#));
    }

    #[test]
    fn data_counts() {
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("[1]", "[1,1]"));
        assert!(!same("[1,1]", "[1]"));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
        assert!(!same(r#"{"a":1,"c":1}"#, r#"{"b":1,"a":1}"#));
        assert!(!same("null", "false"));
        assert!(!same("true", "false"));
        assert!(!same("1", "\"1\""));
        assert!(!same("[]", "{}"));
        assert!(!same(r#""a\n""#, r#""a\t""#));
    }
}
