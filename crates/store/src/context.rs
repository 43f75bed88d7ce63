//! The context of an event: what of it the trail keeps, and what of it is the event's own data.

use std::borrow::Cow;

use afterimage_diff::{DigestKey, TableRules, redact_object};
use afterimage_event::{AsideKind, ChangeEvent};
use afterimage_json::{Object, Raw};

/// The member of a context in which asides stand.
const EXTRA: &str = "extra";

/// The context as the trail keeps it: without secrets, and what it holds of the record as the table's rules allow.
pub(crate) fn kept<'e>(event: &'e ChangeEvent<'_>, rules: &TableRules, key: &DigestKey) -> Option<Cow<'e, str>> {
    let context = event.context.as_deref()?;
    let ruled = rewritten(event, context, |kind, value| match kind {
        AsideKind::Image => rules.beside(value, key),
        AsideKind::Carrier => Some(Cow::Borrowed(value.as_str())),
    });
    Some(match ruled {
        Cow::Borrowed(context) => redact_object(context),
        Cow::Owned(context) => Cow::Owned(redact_object(&context).into_owned()),
    })
}

/// The context as data of the event: without what its carrier says. `None` when nothing is left.
pub(crate) fn told<'e>(event: &'e ChangeEvent<'_>) -> Option<Cow<'e, str>> {
    let context = event.context.as_deref()?;
    let told = rewritten(event, context, |kind, value| match kind {
        AsideKind::Image => Some(Cow::Borrowed(value.as_str())),
        AsideKind::Carrier => None,
    });
    Some(told).filter(|told| matches!(told, Cow::Borrowed(_)) || told.as_ref() != "{}")
}

/// The context with each aside as `shown` has it. An `extra` that holds nothing any more is left out.
fn rewritten<'e, 'a>(
    event: &ChangeEvent<'_>,
    context: &'e str,
    shown: impl Fn(AsideKind, Raw<'e>) -> Option<Cow<'a, str>>,
) -> Cow<'e, str> {
    if event.asides.is_empty() {
        return Cow::Borrowed(context);
    }
    // Proven when the event was read. Should that not hold, nothing unseen passes.
    let Ok(members) = Raw::parse(context).map(|context| context.members().into_iter().flatten()) else {
        return Cow::Owned("{}".to_owned());
    };
    Cow::Owned(object(members.filter_map(|(name, value)| {
        let Some(inner) = value.members().filter(|_| name == EXTRA) else {
            return Some((name, Cow::Borrowed(value.as_str())));
        };
        let extra = object(inner.filter_map(|(name, value)| {
            let text = match event.asides.iter().find(|aside| aside.name == name) {
                Some(aside) => shown(aside.kind, value)?.into_owned().into(),
                None => Cow::Borrowed(value.as_str()),
            };
            Some((name, text))
        }));
        (extra != "{}").then_some((name, Cow::Owned(extra)))
    })))
}

fn object<'a>(members: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> String {
    let mut out = Object::default();
    members.for_each(|(name, json)| out.member(&name, &json));
    out.finish()
}
