//! Copies a document without what the rules keep out of it.

use std::borrow::Cow;

use afterimage_json::{Kind, Pointer, Raw, push_quoted};

use super::matcher::{Cursor, Effects, Matcher, State};
use super::redaction::MASK;
use super::secrets::has_secret_key;
use super::{Places, Redaction};
use crate::DigestKey;

/// What becomes of a member or element.
enum Fate {
    /// Looked into.
    Stay,
    /// Left out.
    Go,
    /// Replaced by this text.
    Become(Cow<'static, str>),
}

/// What a copy is made for.
enum Purpose<'p> {
    /// Everything that is looked at from here on: without what is ignored.
    WithoutIgnored,
    /// Digests and the question whether a change is worth an entry: without what is quiet.
    WithoutQuiet,
    /// The trail: redacted.
    Redacted { key: &'p DigestKey, places: &'p mut Places, strictest: Option<Redaction> },
}

struct Rewriter<'c, 'm, 'p> {
    cursor: &'c mut Cursor<'m>,
    /// Where the walk stands; kept only while redacted places are to be listed.
    path: Pointer,
    purpose: Purpose<'p>,
}

/// The document without ignored members and elements; elements behind those move up.
pub(crate) fn without_ignored<'a>(document: Raw<'a>, matcher: &Matcher) -> Cow<'a, str> {
    let mut cursor = Cursor::new(matcher, false);
    let root = cursor.root();
    Rewriter { cursor: &mut cursor, path: Pointer::root(), purpose: Purpose::WithoutIgnored }.copy(document, &root)
}

/// The value that stands at a place with this state, without its quiet members and elements.
pub(crate) fn without_quiet<'a>(value: Raw<'a>, cursor: &mut Cursor<'_>, state: &State) -> Cow<'a, str> {
    Rewriter { cursor, path: Pointer::root(), purpose: Purpose::WithoutQuiet }.copy(value, state)
}

/// The value that stands at `path`, with everything below it redacted as the rules say, and the strictest redaction met.
/// Adds to `places` what was redacted.
pub(crate) fn redacted<'a>(
    value: Raw<'a>,
    path: &Pointer,
    cursor: &mut Cursor<'_>,
    key: &DigestKey,
    places: &mut Places,
) -> (Cow<'a, str>, Option<Redaction>) {
    let state = cursor.descend(path);
    let purpose = Purpose::Redacted { key, places, strictest: None };
    let mut rewriter = Rewriter { cursor, path: path.clone(), purpose };
    let text = rewriter.copy(value, &state);
    rewriter.cursor.rewind();
    match rewriter.purpose {
        Purpose::Redacted { strictest, .. } => (text, strictest),
        Purpose::WithoutIgnored | Purpose::WithoutQuiet => (text, None),
    }
}

/// The text that stands for a redacted value where something must stand: in arrays, and for all but `drop`.
pub(crate) fn stand_in(value: Raw<'_>, redaction: Redaction, key: &DigestKey) -> Cow<'static, str> {
    match redaction {
        Redaction::Drop | Redaction::Mask => Cow::Borrowed(MASK),
        Redaction::Hmac => Cow::Owned(key.hmac_text(value)),
    }
}

impl Rewriter<'_, '_, '_> {
    fn copy<'a>(&mut self, value: Raw<'a>, state: &State) -> Cow<'a, str> {
        if self.passes(value, state) {
            return Cow::Borrowed(value.as_str());
        }
        let mut out = String::with_capacity(value.as_str().len());
        if self.write(value, state, &mut out) { Cow::Owned(out) } else { Cow::Borrowed(value.as_str()) }
    }

    /// Is there surely nothing to be done below this value?
    fn passes(&self, value: Raw<'_>, state: &State) -> bool {
        match value.kind() {
            Kind::Object | Kind::Array if matches!(self.purpose, Purpose::Redacted { .. }) => {
                self.cursor.is_idle(state) || state.is_empty() && !has_secret_key(value.as_str())
            }
            Kind::Object | Kind::Array => state.is_empty(),
            _ => true,
        }
    }

    /// Writes the value, rewritten; says whether anything was done.
    fn write(&mut self, value: Raw<'_>, state: &State, out: &mut String) -> bool {
        if self.passes(value, state) {
            out.push_str(value.as_str());
            return false;
        }
        match value.members() {
            Some(members) => {
                out.push('{');
                let touched = self.write_members(members, state, out);
                out.push('}');
                touched
            }
            None => {
                out.push('[');
                let touched = self.write_elements(value, state, out);
                out.push(']');
                touched
            }
        }
    }

    fn write_members(&mut self, members: afterimage_json::Members<'_>, state: &State, out: &mut String) -> bool {
        let mut touched = false;
        let mut first = true;
        for (name, value) in members {
            touched |= self.at(&name, value, state, false, |rewriter, fate, state| {
                if matches!(fate, Fate::Go) {
                    return true;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                push_quoted(&name, out);
                out.push(':');
                rewriter.settle(value, fate, state, out)
            });
        }
        touched
    }

    fn write_elements(&mut self, array: Raw<'_>, state: &State, out: &mut String) -> bool {
        let mut touched = false;
        let mut first = true;
        for (index, value) in array.elements().into_iter().flatten().enumerate() {
            touched |= self.at(&index.to_string(), value, state, true, |rewriter, fate, state| {
                if matches!(fate, Fate::Go) {
                    return true;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                rewriter.settle(value, fate, state, out)
            });
        }
        touched
    }

    fn settle(&mut self, value: Raw<'_>, fate: Fate, state: &State, out: &mut String) -> bool {
        match fate {
            Fate::Become(text) => {
                out.push_str(&text);
                true
            }
            Fate::Stay | Fate::Go => self.write(value, state, out),
        }
    }

    /// Enters a member or element, decides on it, has it written, and leaves it.
    fn at(
        &mut self,
        name: &str,
        value: Raw<'_>,
        state: &State,
        in_array: bool,
        write: impl FnOnce(&mut Self, Fate, &State) -> bool,
    ) -> bool {
        let listing = matches!(self.purpose, Purpose::Redacted { .. });
        if listing {
            self.path.push(name);
        }
        let (below, effects) = self.cursor.enter(state, name);
        let fate = self.fate(effects, value, in_array);
        let touched = write(self, fate, &below);
        self.cursor.leave(below);
        if listing {
            self.path.pop();
        }
        touched
    }

    fn fate(&mut self, effects: Effects, value: Raw<'_>, in_array: bool) -> Fate {
        match &mut self.purpose {
            Purpose::WithoutIgnored if effects.ignore => Fate::Go,
            Purpose::WithoutQuiet if effects.quiet => Fate::Go,
            Purpose::Redacted { key, places, strictest } => match effects.redact {
                None => Fate::Stay,
                Some(redaction) => {
                    places.push(&self.path);
                    *strictest = Some(strictest.map_or(redaction, |other| other.min(redaction)));
                    match redaction {
                        Redaction::Drop if !in_array => Fate::Go,
                        _ => Fate::Become(stand_in(value, redaction, key)),
                    }
                }
            },
            _ => Fate::Stay,
        }
    }
}

/// Adds to `places` the quiet places of a document, but for what redaction hides.
pub(crate) fn list_quiet(
    value: Raw<'_>,
    path: &mut Pointer,
    cursor: &mut Cursor<'_>,
    state: &State,
    places: &mut Places,
) {
    if state.is_empty() {
        return;
    }
    let mut visit = |name: &str, value: Raw<'_>| {
        let (below, effects) = cursor.enter(state, name);
        path.push(name);
        match effects.redact {
            Some(Redaction::Drop) => {}
            _ if effects.quiet => places.push(path),
            Some(_) => {}
            None => list_quiet(value, path, cursor, &below, places),
        }
        path.pop();
        cursor.leave(below);
    };
    for (name, value) in value.members().into_iter().flatten() {
        visit(&name, value);
    }
    for (index, value) in value.elements().into_iter().flatten().enumerate() {
        visit(&index.to_string(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Effect;
    use super::*;

    fn matcher(rules: &[(&str, Effect)]) -> Matcher {
        let mut matcher = Matcher::default();
        for (pattern, effect) in rules {
            matcher.add(&pattern.parse().unwrap(), *effect);
        }
        matcher
    }

    fn redact(text: &str, matcher: &Matcher) -> (String, Vec<String>) {
        let mut cursor = Cursor::new(matcher, true);
        let (raw, key, mut places) = (Raw::parse(text).unwrap(), DigestKey::published(), Places::default());
        let (out, _) = redacted(raw, &Pointer::root(), &mut cursor, &key, &mut places);
        (out.into_owned(), places.into_pointers().iter().map(Pointer::to_string).collect())
    }

    #[test]
    fn ignored_members_and_elements_are_gone_at_every_depth() {
        let matcher = matcher(&[("/a/*/x", Effect::Ignore), ("/**/y", Effect::Ignore), ("/t/1", Effect::Ignore)]);
        let text = r#"{"a":[{"x":1,"z":2},{"y":3}],"y":{"q":1},"t":[1,2,3],"n" : 1}"#;
        let out = without_ignored(Raw::parse(text).unwrap(), &matcher);
        assert_eq!(out, r#"{"a":[{"z":2},{}],"t":[1,3],"n":1}"#);
    }

    #[test]
    fn what_no_rule_touches_is_not_copied() {
        let matcher = matcher(&[("/a", Effect::Ignore), ("/b/c", Effect::Redact(Redaction::Mask))]);
        let text = r#"{ "b" : {"d":1}, "x" : [1] }"#;
        assert!(matches!(without_ignored(Raw::parse(text).unwrap(), &matcher), Cow::Borrowed(_)));
        assert_eq!(redact(text, &matcher), (text.to_owned(), vec![]));
    }

    #[test]
    fn each_redaction_leaves_what_it_promises() {
        let matcher = matcher(&[
            ("/mail", Effect::Redact(Redaction::Mask)),
            ("/ssn", Effect::Redact(Redaction::Hmac)),
            ("/list/*", Effect::Redact(Redaction::Drop)),
            ("/kept/token", Effect::AllowSecret),
            ("/p_in", Effect::Redact(Redaction::Mask)),
            ("/p_*", Effect::Redact(Redaction::Drop)),
        ]);
        let text =
            r#"{"mail":{"a":1},"ssn":1,"list":[1],"kept":{"token":7,"api_key":8},"password":9,"p_in":1,"n":1.0}"#;
        let hmac = DigestKey::published().hmac_text(Raw::parse("1.0").unwrap());
        let (out, places) = redact(text, &matcher);
        assert_eq!(out, format!(r#"{{"mail":"***","ssn":{hmac},"list":["***"],"kept":{{"token":7}},"n":1.0}}"#));
        assert_eq!(places, ["/kept/api_key", "/list/0", "/mail", "/p_in", "/password", "/ssn"]);
    }
}
