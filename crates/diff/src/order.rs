//! The order of a set, redacted: its elements are shown, each as the images show it where it stands.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw, canonical};

use crate::ruler::Ruler;
use crate::rules::{Effects, has_secret_key, stand_in};
use crate::{Redaction, Values};

impl<'a> Ruler<'a, '_> {
    /// The order of a set whose elements are at `before` and `after`.
    pub(crate) fn redact_order(
        &mut self,
        old: &[Raw<'a>],
        new: &[Raw<'a>],
        before: &Pointer,
        after: &Pointer,
    ) -> Values<'a> {
        let mut is_untouched = |elements: &[Raw<'a>], path: &Pointer| {
            let state = self.cursor.descend(path);
            self.cursor.rewind();
            state.is_empty() && !elements.iter().any(|element| has_secret_key(element.as_str()))
        };
        if is_untouched(old, before) && is_untouched(new, after) {
            let texts = |elements: &[Raw<'a>]| elements.iter().map(|element| Cow::Borrowed(element.as_str())).collect();
            return Values::Order { old: texts(old), new: texts(new) };
        }
        if !self.may_look_up() {
            return Values::Redacted { redaction: Redaction::Drop, old: None, new: None };
        }
        let (old, met_old) = self.redact_elements(old, self.before.at(before), before);
        let (new, met_new) = self.redact_elements(new, self.after.at(after), after);
        match met_old.into_iter().chain(met_new).min() {
            Some(redaction) if !is_visible_order(&old, &new) => Values::Redacted { redaction, old: None, new: None },
            _ => Values::Order { old, new },
        }
    }

    /// Some elements of an array, in its order, as they may be shown; and the strictest redaction inside them.
    fn redact_elements(
        &mut self,
        some: &[Raw<'a>],
        array: Option<Raw<'a>>,
        path: &Pointer,
    ) -> (Vec<Cow<'a, str>>, Option<Redaction>) {
        let mut some = some.iter().peekable();
        let (mut shown, mut strictest) = (Vec::with_capacity(some.len()), None);
        for (index, element) in array.and_then(Raw::elements).into_iter().flatten().enumerate() {
            // They are slices of the same text.
            if some.next_if(|next| std::ptr::eq(next.as_str(), element.as_str())).is_none() {
                continue;
            }
            let place = path.child(&index.to_string());
            let (text, met) = match self.cursor.first_on_the_way(&place, |effects| effects.redact.is_some()) {
                Some((_, Effects { redact: Some(redaction), .. })) => {
                    self.places.push(&place);
                    (stand_in(element, redaction, self.key), Some(redaction))
                }
                _ => self.redact(element, &place),
            };
            shown.push(text);
            strictest = strictest.into_iter().chain(met).min();
        }
        (shown, strictest)
    }
}

/// Are these the same elements in two orders that can be told apart? Not if what differs is hidden, or if an element is
/// hidden in one place and not in the other.
fn is_visible_order(old: &[Cow<'_, str>], new: &[Cow<'_, str>]) -> bool {
    let ids = |texts: &[Cow<'_, str>]| -> Vec<Vec<u8>> {
        let id = |text: &Cow<'_, str>| {
            let mut id = Vec::new();
            // What is left of proven text is JSON.
            if let Ok(value) = Raw::parse(text) {
                canonical(value, &mut id);
            }
            id
        };
        texts.iter().map(id).collect()
    };
    let (mut old, mut new) = (ids(old), ids(new));
    if old == new {
        return false;
    }
    old.sort_unstable();
    new.sort_unstable();
    old == new
}
