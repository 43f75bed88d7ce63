//! Changes as the trail keeps them.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw, equal};

use crate::rules::{Cursor, without_quiet};
use crate::{Change, ChangeKind, Redaction};

/// A change after the rules. Values are JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuledChange<'a> {
    /// Where it is in the image after; for what is gone, where it was in the image before. Never inside something redacted.
    pub path: Pointer,
    /// Where the same place was before, when that differs.
    pub old_path: Option<Pointer>,
    /// Keys of the elements of keyed arrays on the way, outermost first.
    pub key: Vec<Cow<'a, str>>,
    /// What happened there.
    pub values: Values<'a>,
}

/// What happened at a place, with the values that may be shown. Values that hold redacted ones are shown as images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values<'a> {
    /// It came.
    Added {
        /// The value now.
        new: Cow<'a, str>,
    },
    /// It went.
    Removed {
        /// The value until now.
        old: Cow<'a, str>,
    },
    /// It has another value.
    Replaced {
        /// The value until now.
        old: Cow<'a, str>,
        /// The value now.
        new: Cow<'a, str>,
    },
    /// The elements of a keyed array or a set that stayed are in another order.
    Order {
        /// Their keys, or in a set the elements themselves, in the order until now.
        old: Vec<Cow<'a, str>>,
        /// The same in the order now. Of equal ones the first is the first, and so on.
        new: Vec<Cow<'a, str>>,
    },
    /// Something is different that the rules do not let be seen.
    Redacted {
        /// By which redaction; the strictest, if what differs falls under several.
        redaction: Redaction,
        /// With [`Redaction::Hmac`]: what stands for the value until now, if there was one.
        old: Option<Cow<'a, str>>,
        /// With [`Redaction::Hmac`]: what stands for the value now, if there is one.
        new: Option<Cow<'a, str>>,
    },
}

impl<'a> RuledChange<'a> {
    /// The value, or what stands for it, before.
    #[must_use]
    pub fn old(&self) -> Option<&str> {
        match &self.values {
            Values::Removed { old } | Values::Replaced { old, .. } => Some(old),
            Values::Redacted { old, .. } => old.as_deref(),
            Values::Added { .. } | Values::Order { .. } => None,
        }
    }

    /// The value, or what stands for it, after.
    #[must_use]
    #[allow(clippy::new_ret_no_self, reason = "old and new are the words of the contract; nothing is made here")]
    pub fn new(&self) -> Option<&str> {
        match &self.values {
            Values::Added { new } | Values::Replaced { new, .. } => Some(new),
            Values::Redacted { new, .. } => new.as_deref(),
            Values::Removed { .. } | Values::Order { .. } => None,
        }
    }

    pub(crate) fn into_owned(self) -> RuledChange<'static> {
        let one = |text: Cow<'a, str>| -> Cow<'static, str> { Cow::Owned(text.into_owned()) };
        let all = |texts: Vec<Cow<'a, str>>| texts.into_iter().map(one).collect();
        let values = match self.values {
            Values::Added { new } => Values::Added { new: one(new) },
            Values::Removed { old } => Values::Removed { old: one(old) },
            Values::Replaced { old, new } => Values::Replaced { old: one(old), new: one(new) },
            Values::Order { old, new } => Values::Order { old: all(old), new: all(new) },
            Values::Redacted { redaction, old, new } => {
                Values::Redacted { redaction, old: old.map(one), new: new.map(one) }
            }
        };
        RuledChange { path: self.path, old_path: self.old_path, key: all(self.key), values }
    }
}

/// Is this change, by itself, worth an entry? Not if only quiet values differ.
pub(crate) fn is_loud(change: &Change<'_>, cursor: &mut Cursor<'_>) -> bool {
    if !cursor.has_rules() {
        return true;
    }
    let mut is_quiet = |path: &Pointer| cursor.first_on_the_way(path, |effects| effects.quiet).is_some();
    if is_quiet(&change.path) || change.old_path.as_ref().is_some_and(is_quiet) {
        return false;
    }
    let ChangeKind::Replaced { old, new } = change.kind else { return true };
    let (old, new) = (loud_part(old, change.path_before(), cursor), loud_part(new, &change.path, cursor));
    match (&old, &new) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => true,
        _ => !equal_texts(&old, &new),
    }
}

fn loud_part<'v>(value: Raw<'v>, path: &Pointer, cursor: &mut Cursor<'_>) -> Cow<'v, str> {
    let state = cursor.descend(path);
    let text = without_quiet(value, cursor, &state);
    cursor.rewind();
    text
}

/// A change that no rule touches.
pub(crate) fn plain(change: Change<'_>) -> RuledChange<'_> {
    fn text(value: Raw<'_>) -> Cow<'_, str> {
        Cow::Borrowed(value.as_str())
    }
    fn texts(values: Vec<Raw<'_>>) -> Vec<Cow<'_, str>> {
        values.into_iter().map(text).collect()
    }
    let values = match change.kind {
        ChangeKind::Added { new } => Values::Added { new: text(new) },
        ChangeKind::Removed { old } => Values::Removed { old: text(old) },
        ChangeKind::Replaced { old, new } => Values::Replaced { old: text(old), new: text(new) },
        ChangeKind::Order { old, new } => Values::Order { old: texts(old), new: texts(new) },
    };
    RuledChange { path: change.path, old_path: change.old_path, key: texts(change.key), values }
}

/// The same data? Both are JSON; should one not be, it is not the same as anything.
pub(crate) fn equal_texts(a: &str, b: &str) -> bool {
    a == b || matches!((Raw::parse(a), Raw::parse(b)), (Ok(a), Ok(b)) if equal(a, b))
}
