use afterimage_json::Pointer;

use super::Dimension;

/// The columns of an export as CSV: their names, and where their values stand in the JSON of an item (RFC 6901). Lists and
/// objects are JSON in their cells. Each kind of list has its own, the same in every export.
#[derive(Clone, Debug)]
pub struct Columns(Vec<(String, Pointer)>);

const ENTRIES: [(&str, &str); 28] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("source", "/source"),
    ("table", "/table"),
    ("record_id", "/record_id"),
    ("op", "/op"),
    ("occurred_at", "/occurred_at"),
    ("position_domain", "/position/domain"),
    ("position", "/position/value"),
    ("transaction", "/transaction"),
    ("actor_type", "/actor/type"),
    ("actor_id", "/actor/id"),
    ("actor_name", "/actor/name"),
    ("actor_email", "/actor/email"),
    ("actor_on_behalf_of", "/actor/on_behalf_of"),
    ("context", "/context"),
    ("labels", "/labels"),
    ("changed", "/changed"),
    ("changes", "/changes"),
    ("after", "/after"),
    ("unknown", "/unknown"),
    ("before_digest", "/before_digest"),
    ("after_digest", "/after_digest"),
    ("published_at", "/published_at"),
    ("stored_at", "/stored_at"),
    ("expires_at", "/expires_at"),
    ("revision", "/revision"),
    ("flags", "/flags"),
];

const FEED: [&str; 11] =
    ["id", "occurred_at", "text", "actor", "verb", "object", "op", "source", "table", "record_id", "changes"];

const STATES: [&str; 11] =
    ["id", "op", "occurred_at", "exists", "state", "as_of", "unknown", "approximate", "redacted", "flags", "reason"];

const RECORD_STATES: [&str; 11] = [
    "source",
    "table",
    "record_id",
    "exists",
    "state",
    "as_of",
    "unknown",
    "approximate",
    "redacted",
    "flags",
    "reason",
];

const GAPS: [&str; 9] =
    ["source", "table", "record_id", "after_id", "after_at", "before_id", "before_at", "certain", "reason"];

impl Columns {
    /// Of entries: [`super::EntryView`], its position and actor in parts.
    #[must_use]
    pub fn entries() -> Self {
        Self::at(ENTRIES)
    }

    /// Of a feed: [`super::FeedItem`].
    #[must_use]
    pub fn feed() -> Self {
        Self::named(FEED)
    }

    /// Of the states of one record: [`super::StateStep`].
    #[must_use]
    pub fn states() -> Self {
        Self::named(STATES)
    }

    /// Of several records at one time: [`super::RecordState`].
    #[must_use]
    pub fn record_states() -> Self {
        Self::named(RECORD_STATES)
    }

    /// Of gaps: [`super::GapView`].
    #[must_use]
    pub fn gaps() -> Self {
        Self::named(GAPS)
    }

    /// Of counts and bursts: the dimensions in the order asked for, then `count`, `first` and `last`.
    #[must_use]
    pub fn groups(by: &[Dimension]) -> Self {
        Self::named(by.iter().map(|dimension| dimension.as_str()).chain(["count", "first", "last"]))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        self.0.iter().map(|(_, pointer)| pointer)
    }

    /// Members of the item itself.
    fn named<'c>(names: impl IntoIterator<Item = &'c str>) -> Self {
        let pointer = |name: &str| Pointer::root().child(name);
        Self(names.into_iter().map(|name| (name.to_owned(), pointer(name))).collect())
    }

    /// A pointer that is none leaves its column empty: the tests hold them against items.
    pub(super) fn at<'c>(columns: impl IntoIterator<Item = (&'c str, &'c str)>) -> Self {
        let column =
            |(name, pointer): (&str, &str)| (name.to_owned(), pointer.parse().unwrap_or_else(|_| Pointer::root()));
        Self(columns.into_iter().map(column).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use afterimage_event::{Op, Timestamp};
    use serde::Serialize;

    use super::super::{Count, EntryView, FeedItem, GapView, RecordState, StateStep, StateView};
    use super::*;
    use crate::conformance::{Telling, moment};

    /// All that an item can say has its column, and each column is one that an item can fill.
    fn assert_complete(columns: &Columns, item: impl Serialize) {
        let item = serde_json::to_value(item).unwrap();
        let members: BTreeSet<&str> = item.as_object().unwrap().keys().map(String::as_str).collect();
        let pointers: Vec<String> = columns.pointers().map(ToString::to_string).collect();
        let named: BTreeSet<&str> = pointers.iter().filter_map(|pointer| pointer.split('/').nth(1)).collect();
        assert_eq!(named, members);
    }

    fn entry() -> EntryView {
        let entry = Telling::new("t", "e", Op::Insert, 0).images("", "{}").entry();
        let shown = super::super::walk::Shown {
            row: crate::IndexRow::from(&*entry),
            content: crate::ContentRow {
                identity: entry.identity.clone(),
                stored_at: entry.occurred_at,
                content: entry.content.clone(),
            },
            conflict: false,
        };
        EntryView::new(&shown, Vec::new()).unwrap()
    }

    fn at() -> Timestamp {
        moment(1)
    }

    #[test]
    fn every_member_of_every_item_has_a_column() {
        assert_complete(&Columns::entries(), entry());
        assert_complete(&Columns::feed(), FeedItem::of(&entry()));
        let (state, reason) = (Some(StateView::nothing()), Some(String::new()));
        let step = StateStep { id: "e".into(), op: Op::Insert, occurred_at: at(), state, reason };
        assert_complete(&Columns::states(), &step);
        let StateStep { state, reason, .. } = step;
        let record = RecordState { source: None, table: "t".into(), record_id: Vec::new(), state, reason };
        assert_complete(&Columns::record_states(), record);
        let gap = GapView {
            source: "s".into(),
            table: "t".into(),
            record_id: Vec::new(),
            after_id: None,
            after_at: None,
            before_id: "e".into(),
            before_at: at(),
            certain: true,
            reason: String::new(),
        };
        assert_complete(&Columns::gaps(), gap);
        let by = [Dimension::Table, Dimension::Field];
        let keys = by.iter().map(|&dimension| (dimension, None)).collect();
        assert_complete(&Columns::groups(&by), Count { keys, count: 1, first: at(), last: at() });
    }
}
