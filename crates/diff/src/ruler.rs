//! Redacts the changes of one update.

use std::borrow::Cow;
use std::collections::HashSet;

use afterimage_json::{Pointer, Raw};

use crate::arrays::PolicyCursor;
use crate::ruled::{equal_texts, plain};
use crate::rules::{Cursor, Places, redacted, stand_in};
use crate::walk::Gone;
use crate::{ArrayPolicy, Change, ChangeKind, DigestKey, Redaction, RuledChange, TableRules, Values};

/// How many values are looked up in the images per entry, each costing a walk through them: those inside redacted ones for
/// their `hmac`, and sets of which something is redacted for their order. Beyond it neither is shown.
const LOOKUPS_MAX: usize = 64;

/// Applies redaction to the changes of one update.
pub(crate) struct Ruler<'a, 'r> {
    pub(crate) rules: &'r TableRules,
    pub(crate) cursor: Cursor<'r>,
    pub(crate) key: &'r DigestKey,
    pub(crate) before: Raw<'a>,
    pub(crate) after: Raw<'a>,
    redacts: bool,
    pub(crate) places: Places,
    /// Redacted places, in terms of the image after, that bear a change made of several inside them.
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

    /// The changes as they are kept. `gone`: where what went from elements that moved would be now.
    pub(crate) fn rule(&mut self, changes: Vec<Change<'a>>, gone: Vec<Gone>) -> Vec<RuledChange<'a>> {
        if !self.redacts {
            return changes.into_iter().map(plain).collect();
        }
        let mut gone = gone.into_iter().peekable();
        let place = |(index, change): (usize, Change<'a>)| {
            let after =
                gone.next_if(|gone| gone.change == index).map_or_else(|| change.path.clone(), |gone| gone.after);
            (change, after)
        };
        changes.into_iter().enumerate().map(place).filter_map(|(change, after)| self.rule_one(change, after)).collect()
    }

    /// Where the values shown in changes hold redacted ones.
    pub(crate) fn into_places(self) -> Places {
        self.places
    }

    /// `None` for what a change before it has told. `after` is the place in the image after, also of what went.
    fn rule_one(&mut self, change: Change<'a>, after: Pointer) -> Option<RuledChange<'a>> {
        let before = change.path_before().clone();
        if let Some((depth, redaction)) = self.redaction(&before, &after) {
            return self.hide(change, &before, &after, depth, redaction);
        }
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

    /// The value that stands at `path`, and the strictest redaction inside it.
    pub(crate) fn redact(&mut self, value: Raw<'a>, path: &Pointer) -> (Cow<'a, str>, Option<Redaction>) {
        redacted(value, path, &mut self.cursor, self.key, &mut self.places)
    }

    /// How many names down a place is redacted, before or after, and by what; the strictest if these are not the same.
    fn redaction(&mut self, before: &Pointer, after: &Pointer) -> Option<(usize, Redaction)> {
        let mut on_the_way = |path: &Pointer| {
            let (depth, effects) = self.cursor.first_on_the_way(path, |effects| effects.redact.is_some())?;
            Some((depth, effects.redact?))
        };
        let found = on_the_way(after);
        match if before == after { None } else { on_the_way(before) } {
            None => found,
            Some((depth, redaction)) => Some(
                found.map_or((depth, redaction), |(other_depth, other)| (depth.min(other_depth), redaction.min(other))),
            ),
        }
    }

    /// A change at or inside a redacted place, `depth` names down.
    fn hide(
        &mut self,
        change: Change<'a>,
        before: &Pointer,
        after: &Pointer,
        depth: usize,
        redaction: Redaction,
    ) -> Option<RuledChange<'a>> {
        let cut = |path: &Pointer| -> Pointer { path.segments().take(depth).collect() };
        let (old_path, path) = (cut(before), cut(after));
        // What came or went or was replaced is a change of its own; what happened inside is one change in all.
        let is_inside = path != *after || matches!(change.kind, ChangeKind::Order { .. });
        if is_inside && !self.merged.insert(path.clone()) {
            return None;
        }
        self.places.push(&path);
        self.places.push(&old_path);
        let (old, new) = match redaction {
            Redaction::Drop | Redaction::Mask => (None, None),
            Redaction::Hmac if !is_inside => (change.old(), change.new()),
            Redaction::Hmac => self.look_up(&old_path, &path),
        };
        let hmac = |value: Option<Raw<'a>>| value.map(|value| stand_in(value, redaction, self.key));
        let values = Values::Redacted { redaction, old: hmac(old), new: hmac(new) };
        let key = self.keys_above(&change, after, depth);
        // What is gone has a place before only; what it went from has both.
        let (path, old_path) = match change.kind {
            ChangeKind::Removed { .. } if !is_inside => (old_path, None),
            _ => (path.clone(), Some(old_path).filter(|old_path| *old_path != path)),
        };
        Some(RuledChange { path, old_path, key, values })
    }

    /// The whole values of a redacted place that something changed in.
    fn look_up(&mut self, old: &Pointer, new: &Pointer) -> (Option<Raw<'a>>, Option<Raw<'a>>) {
        if self.may_look_up() { (self.before.at(old), self.after.at(new)) } else { (None, None) }
    }

    /// Counts what is looked up in the images.
    pub(crate) fn may_look_up(&mut self) -> bool {
        self.lookups += 1;
        self.lookups <= LOOKUPS_MAX
    }

    /// The keys of elements that lie above a redacted place: the key of an element that is redacted itself is, too.
    fn keys_above(&self, change: &Change<'a>, after: &Pointer, depth: usize) -> Vec<Cow<'a, str>> {
        if change.key.is_empty() {
            return Vec::new();
        }
        let mut policies = PolicyCursor::new(self.rules.arrays());
        let mut elements = Vec::new();
        for (above, name) in after.segments().enumerate() {
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
