//! Changes as the trail keeps them.

use std::borrow::Cow;
use std::collections::HashSet;

use afterimage_json::{Pointer, Raw, canonical, equal};

use crate::arrays::PolicyCursor;
use crate::rules::{Cursor, Effects, Places, has_secret_key, redacted, stand_in, without_quiet};
use crate::{ArrayPolicy, Change, ChangeKind, DigestKey, Redaction, TableRules};

/// How many values are looked up in the images per entry, each costing a walk through them: those inside redacted ones for
/// their `hmac`, and sets of which something is redacted for their order. Beyond it neither is shown.
const LOOKUPS_MAX: usize = 64;

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
    if on_the_way(change, cursor, |effects| effects.quiet).is_some() {
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

/// The first place on the way to a change, before or after, of which `stop` says so.
fn on_the_way(
    change: &Change<'_>,
    cursor: &mut Cursor<'_>,
    stop: impl Fn(&Effects) -> bool,
) -> Option<(usize, Effects)> {
    let after = cursor.first_on_the_way(&change.path, &stop);
    let before = change.old_path.as_ref().and_then(|path| cursor.first_on_the_way(path, &stop));
    match (before, after) {
        (Some(before), Some(after)) => Some(if before.0 < after.0 { before } else { after }),
        (before, after) => before.or(after),
    }
}

/// Applies redaction to the changes of one update.
pub(crate) struct Ruler<'a, 'r> {
    rules: &'r TableRules,
    cursor: Cursor<'r>,
    key: &'r DigestKey,
    before: Raw<'a>,
    after: Raw<'a>,
    redacts: bool,
    places: Places,
    /// Redacted places that bear a change made of several inside them.
    merged: HashSet<Pointer>,
    lookups: usize,
}

impl<'a, 'r> Ruler<'a, 'r> {
    /// `has_secrets`: does one of the images have a name of a secret?
    pub(crate) fn new(
        rules: &'r TableRules,
        key: &'r DigestKey,
        has_secrets: bool,
        before: Raw<'a>,
        after: Raw<'a>,
    ) -> Self {
        Self {
            rules,
            cursor: Cursor::new(&rules.matcher, has_secrets),
            key,
            before,
            after,
            redacts: has_secrets || rules.matcher.redacts,
            places: Places::default(),
            merged: HashSet::new(),
            lookups: 0,
        }
    }

    /// The changes as they are kept.
    pub(crate) fn rule(&mut self, changes: Vec<Change<'a>>) -> Vec<RuledChange<'a>> {
        if !self.redacts {
            return changes.into_iter().map(plain).collect();
        }
        changes.into_iter().filter_map(|change| self.rule_one(change)).collect()
    }

    /// Where the values shown in changes hold redacted ones.
    pub(crate) fn into_places(self) -> Places {
        self.places
    }

    /// `None` for what a change before it has told.
    fn rule_one(&mut self, change: Change<'a>) -> Option<RuledChange<'a>> {
        if let Some((depth, effects)) = on_the_way(&change, &mut self.cursor, |effects| effects.redact.is_some()) {
            return self.hide(change, depth, effects.redact?);
        }
        let (before, after) = (change.path_before().clone(), change.path.clone());
        let kind = change.kind.clone();
        let mut ruled = plain(change);
        match kind {
            ChangeKind::Added { new } => ruled.values = Values::Added { new: self.redact(new, &after).0 },
            ChangeKind::Removed { old } => ruled.values = Values::Removed { old: self.redact(old, &before).0 },
            ChangeKind::Replaced { old, new } => {
                let ((old, met_old), (new, met_new)) = (self.redact(old, &before), self.redact(new, &after));
                ruled.values = match met_old.into_iter().chain(met_new).min() {
                    // What differs is hidden: all there is to say is that it does.
                    Some(redaction) if equal_texts(&old, &new) => Values::Redacted { redaction, old: None, new: None },
                    _ => Values::Replaced { old, new },
                };
            }
            // The elements of a set are shown as such. Keys are never hidden: see `RuleBlock`.
            ChangeKind::Order { old, new } if *self.rules.arrays().policy(&after) == ArrayPolicy::Set => {
                ruled.values = self.redact_order(&old, &new, &before, &after);
            }
            ChangeKind::Order { .. } => {}
        }
        Some(ruled)
    }

    /// The order of a set whose elements are at `before` and `after`.
    fn redact_order(&mut self, old: &[Raw<'a>], new: &[Raw<'a>], before: &Pointer, after: &Pointer) -> Values<'a> {
        let mut is_untouched = |elements: &[Raw<'a>], path: &Pointer| {
            let state = self.cursor.descend(path);
            self.cursor.rewind();
            state.is_empty() && !elements.iter().any(|element| has_secret_key(element.as_str()))
        };
        if is_untouched(old, before) && is_untouched(new, after) {
            let texts = |elements: &[Raw<'a>]| elements.iter().map(|element| Cow::Borrowed(element.as_str())).collect();
            return Values::Order { old: texts(old), new: texts(new) };
        }
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
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

    /// The value that stands at `path`, and the strictest redaction inside it.
    fn redact(&mut self, value: Raw<'a>, path: &Pointer) -> (Cow<'a, str>, Option<Redaction>) {
        redacted(value, path, &mut self.cursor, self.key, &mut self.places)
    }

    /// A change at or inside a redacted place, `depth` names down.
    fn hide(&mut self, change: Change<'a>, depth: usize, redaction: Redaction) -> Option<RuledChange<'a>> {
        let cut = |path: &Pointer| -> Pointer { path.segments().take(depth).collect() };
        let path = cut(&change.path);
        let old_path = change.old_path.as_ref().map(cut).filter(|old_path| *old_path != path);
        // What came or went or was replaced is a change of its own; what happened inside is one change in all.
        let is_inside = path != change.path || matches!(change.kind, ChangeKind::Order { .. });
        if is_inside && !self.merged.insert(path.clone()) {
            return None;
        }
        self.places.push(&path);
        if let Some(old_path) = &old_path {
            self.places.push(old_path);
        }
        let (old, new) = match redaction {
            Redaction::Drop | Redaction::Mask => (None, None),
            Redaction::Hmac if !is_inside => (change.old(), change.new()),
            Redaction::Hmac => self.look_up(&change, old_path.as_ref().unwrap_or(&path), &path),
        };
        let hmac = |value: Option<Raw<'a>>| value.map(|value| stand_in(value, redaction, self.key));
        let values = Values::Redacted { redaction, old: hmac(old), new: hmac(new) };
        let key = self.keys_above(&change, depth);
        Some(RuledChange { path, old_path, key, values })
    }

    /// The whole values of a redacted place that something changed in.
    fn look_up(&mut self, change: &Change<'a>, old: &Pointer, new: &Pointer) -> (Option<Raw<'a>>, Option<Raw<'a>>) {
        self.lookups += 1;
        // What went from an element that may have moved has a path before only: where the element is now is not known here.
        let may_have_moved = !change.key.is_empty() || self.rules.arrays().has_sequences() && has_index(&change.path);
        let is_place_known = !may_have_moved || !matches!(change.kind, ChangeKind::Removed { .. });
        if is_place_known && self.lookups <= LOOKUPS_MAX {
            (self.before.at(old), self.after.at(new))
        } else {
            (None, None)
        }
    }

    /// The keys of elements that lie above a redacted place: the key of an element that is redacted itself is, too.
    fn keys_above(&self, change: &Change<'a>, depth: usize) -> Vec<Cow<'a, str>> {
        if change.key.is_empty() {
            return Vec::new();
        }
        let mut policies = PolicyCursor::new(self.rules.arrays());
        let mut elements = Vec::new();
        for (above, name) in change.path.segments().enumerate() {
            if matches!(policies.policy(), ArrayPolicy::Keyed(_)) {
                elements.push(above + 1);
            }
            policies.enter(&name);
        }
        // An object may stand where a keyed array is allowed. Then it is not clear whose keys these are, so none is shown.
        if elements.len() != change.key.len() {
            return Vec::new();
        }
        let above = elements.iter().zip(&change.key).filter(|(element, _)| **element < depth);
        above.map(|(_, key)| Cow::Borrowed(key.as_str())).collect()
    }
}

fn plain(change: Change<'_>) -> RuledChange<'_> {
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

/// Does it lead through something that may be an element of an array?
fn has_index(path: &Pointer) -> bool {
    path.segments().any(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
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

/// The same data? Both are JSON; should one not be, it is not the same as anything.
fn equal_texts(a: &str, b: &str) -> bool {
    a == b || matches!((Raw::parse(a), Raw::parse(b)), (Ok(a), Ok(b)) if equal(a, b))
}
