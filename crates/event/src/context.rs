//! The context of an event, with everything beside it that no field takes.

use std::borrow::Cow;
use std::collections::HashSet;

use afterimage_json::{DEPTH_MAX, Object, Raw};

use crate::change::{Aside, AsideKind};
use crate::refusal::{Fault, Problem};

/// Name of the member that holds what no field takes.
const EXTRA: &str = "extra";

/// A context on its way: as sent, or put together, and what goes to `extra`.
#[derive(Debug, Default)]
pub(crate) struct Context<'a> {
    /// The context as sent: an object.
    sent: Option<Raw<'a>>,
    /// Members of a context that is put together.
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
    /// What goes to `extra`.
    extra: Vec<Extra<'a>>,
}

/// What goes to `extra`.
#[derive(Debug)]
struct Extra<'a> {
    name: Cow<'a, str>,
    json: Cow<'a, str>,
    kind: Option<AsideKind>,
}

impl<'a> Context<'a> {
    /// A context as sent, which is an object.
    pub(crate) fn sent(sent: Option<Raw<'a>>) -> Self {
        Self { sent, ..Self::default() }
    }

    /// A context of these members.
    pub(crate) fn of(members: Vec<(Cow<'a, str>, Raw<'a>)>) -> Self {
        Self { members, ..Self::default() }
    }

    /// Keeps what no field takes, as JSON.
    pub(crate) fn keep(&mut self, name: impl Into<Cow<'a, str>>, json: impl Into<Cow<'a, str>>) {
        self.extra.push(Extra { name: name.into(), json: json.into(), kind: None });
    }

    /// Keeps what more applies to than to other context, as JSON.
    pub(crate) fn keep_aside(&mut self, kind: AsideKind, name: &'static str, json: impl Into<Cow<'a, str>>) {
        self.extra.push(Extra { name: Cow::Borrowed(name), json: json.into(), kind: Some(kind) });
    }

    /// The context as a JSON object, with the asides in it; `None` when there is nothing in it.
    ///
    /// An `extra` that was sent is added to. Where it has the name already, or is no object, a number is put behind the
    /// name of what is kept, so that neither hides the other.
    ///
    /// What goes to `extra` lies deeper than it did. If that takes it beyond what is read as JSON inside of another
    /// value, it is refused here, where the producer hears of it, and not when the entry is read.
    pub(crate) fn into_json(mut self) -> Result<(Option<Cow<'a, str>>, Vec<Aside>), Fault> {
        if self.extra.is_empty() && self.members.is_empty() {
            return Ok((self.sent.map(|sent| Cow::Borrowed(sent.as_str())), Vec::new()));
        }
        let mut asides = Vec::new();
        let mut out = Object::default();
        let mut sent_extra = None;
        for (name, value) in
            self.sent.and_then(Raw::members).into_iter().flatten().chain(std::mem::take(&mut self.members))
        {
            if name == EXTRA && !self.extra.is_empty() {
                sent_extra = Some(value);
            } else {
                out.member(&name, value.as_str());
            }
        }
        if !self.extra.is_empty() {
            out.member(EXTRA, &self.extra_json(sent_extra, &mut asides));
        }
        let json = out.finish();
        if nesting(&json) >= DEPTH_MAX {
            return Err(Fault::whole(Problem::TooDeep));
        }
        Ok((Some(Cow::Owned(json)), asides))
    }

    fn extra_json(self, sent: Option<Raw<'a>>, asides: &mut Vec<Aside>) -> String {
        let mut out = Object::default();
        let mut names = HashSet::new();
        if let Some(sent) = sent {
            match sent.members() {
                Some(members) => members.for_each(|(name, value)| {
                    out.member(&name, value.as_str());
                    names.insert(name.into_owned());
                }),
                None => {
                    out.member(EXTRA, sent.as_str());
                    names.insert(EXTRA.to_owned());
                }
            }
        }
        for Extra { name, json, kind } in self.extra {
            let free = (2..).map(|n: usize| format!("{name}_{n}"));
            let mut candidates = std::iter::once(name.clone().into_owned()).chain(free);
            let Some(name) = candidates.find(|name| !names.contains(name)) else { continue };
            out.member(&name, &json);
            asides.extend(kind.map(|kind| Aside { name: name.clone(), kind }));
            names.insert(name);
        }
        out.finish()
    }
}

/// Levels of arrays and objects in JSON that is known to be well-formed.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth -= 1,
            b'"' => {
                while let Some(byte) = bytes.next().filter(|&byte| byte != b'"') {
                    if byte == b'\\' {
                        bytes.next();
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_counts_brackets_outside_of_strings() {
        for (json, depth) in [("1", 0), ("{}", 1), (r#"{"[":"\"[{","a":[[],{}]}"#, 3), (r#"["\\",[1]]"#, 2)] {
            assert_eq!(nesting(json), depth, "{json}");
        }
    }

    #[test]
    fn names_in_extra_do_not_hide_each_other() {
        let sent = Raw::parse(r#"{"ip":"::1","extra":{"a":1,"a_2":2}}"#).unwrap();
        let mut context = Context::sent(Some(sent));
        context.keep("a", "3");
        context.keep("b", "4");
        context.keep("b", "5");
        context.keep_aside(AsideKind::Image, "a", "6");
        let (json, asides) = context.into_json().unwrap();
        assert_eq!(json.unwrap(), r#"{"ip":"::1","extra":{"a":1,"a_2":2,"a_3":3,"b":4,"b_2":5,"a_4":6}}"#);
        assert_eq!(asides, [Aside { name: "a_4".to_owned(), kind: AsideKind::Image }]);

        let mut context = Context::sent(Some(Raw::parse(r#"{"extra":null}"#).unwrap()));
        context.keep("extra", "1");
        assert_eq!(context.into_json().unwrap().0.unwrap(), r#"{"extra":{"extra":null,"extra_2":1}}"#);
    }

    #[test]
    fn a_context_that_takes_nothing_up_is_borrowed() {
        let sent = Raw::parse(r#"{ "extra" : 1 }"#).unwrap();
        assert!(matches!(Context::sent(Some(sent)).into_json(), Ok((Some(Cow::Borrowed(r#"{ "extra" : 1 }"#)), _))));
        assert!(matches!(Context::sent(None).into_json(), Ok((None, _))));
    }

    #[test]
    fn what_would_lie_too_deep_in_extra_is_refused() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        for (levels, kept) in [(DEPTH_MAX - 3, true), (DEPTH_MAX - 2, false)] {
            let mut context = Context::default();
            context.keep("deep", nested(levels));
            assert_eq!(context.into_json().is_ok(), kept, "{levels} levels");
        }
    }
}
