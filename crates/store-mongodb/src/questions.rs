//! The filters and orders that are asked for, each served by an index of [`crate::schema`]: a test proves it.

use afterimage_event::{RecordKey, Timestamp};
use afterimage_json::push_quoted;
use afterimage_store::{Digest, Direction, Index, RowRange, TableKey};
use mongodb::bson::{Bson, Document, doc};

use crate::bson::JSON;
use crate::document::{BY, ID, KEYS, ORDER, RECORD, WHAT};
use crate::{names, terms};

/// What is asked of the entries.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) filter: Document,
    pub(crate) sort: Document,
    /// 0 for none.
    pub(crate) limit: i64,
    /// The members that are wanted; `None` for all.
    pub(crate) members: Option<Document>,
}

impl Question {
    /// The same, of these members only.
    fn only<'m>(self, members: impl IntoIterator<Item = &'m str>) -> Self {
        let mut wanted = doc! { ID: 0 };
        wanted.extend(members.into_iter().map(|member| (member.to_owned(), Bson::Int32(1))));
        Self { members: Some(wanted), ..self }
    }

    fn ranged(mut filter: Document, range: &RowRange) -> Self {
        let direction = match range.direction {
            Direction::Ascending => 1,
            Direction::Descending => -1,
        };
        if let Some(bounds) = bounds(range) {
            filter.insert(ORDER, bounds);
        }
        let sort = doc! { ORDER: direction };
        // What a row is made of, and what an error may name.
        Self { filter, sort, limit: limit(range.limit), members: None }.only(KEYS.into_iter().chain([BY, ID]))
    }
}

/// Rows of an index.
pub(crate) fn of_index(index: &Index, range: &RowRange) -> Question {
    let what = |table: &TableKey, term: String| {
        let mut filter = within(table);
        filter.insert(WHAT, text(&term));
        filter
    };
    let filter = match index {
        Index::Record(RecordKey { tenant, source, table, record_id }) => doc! {
            "tenant": text(tenant), "table": text(table), RECORD: names::record(record_id), "source": text(source),
        },
        Index::Table(table) => within(table),
        Index::Op(table, op) => what(table, terms::of_op(*op)),
        Index::Field(table, name) => what(table, terms::of_field(name)),
        Index::Facet { tenant, facet, term } => {
            doc! { "tenant": text(tenant), BY: text(&terms::of_facet(*facet, term)) }
        }
    };
    Question::ranged(filter, range)
}

fn within(table: &TableKey) -> Document {
    let TableKey { tenant, source, table } = table;
    doc! { "tenant": text(tenant), "table": text(table), "source": text(source) }
}

/// The tables of a tenant, asked of their own collection.
pub(crate) fn of_tables(tenant: &str) -> Question {
    Question {
        filter: doc! { ID: { "$gte": names::tables_from(tenant), "$lt": names::tables_to(tenant) } },
        sort: doc! { ID: 1 },
        limit: 0,
        members: None,
    }
}

/// The filter of the sources that have a record.
pub(crate) fn with_record(tenant: &str, table: &str, record_id: &[String]) -> Document {
    doc! { "tenant": text(tenant), "table": text(table), RECORD: names::record(record_id) }
}

/// The versions of events, those of one event side by side.
pub(crate) fn of_events(tenant: &str, source: &str, event_ids: &[&str], documents_max: usize) -> Question {
    let ids: Vec<Bson> = event_ids.iter().map(|id| text(id)).collect();
    Question {
        filter: doc! { "tenant": text(tenant), "source": text(source), "id": { "$in": ids } },
        sort: doc! { "id": 1, "revision": -1, "input_digest": 1, "published_at": 1 },
        limit: limit(documents_max),
        members: None,
    }
}

/// The same without contents: members that the index of events has, so that no document is read.
pub(crate) fn of_identities(tenant: &str, source: &str, event_ids: &[&str], documents_max: usize) -> Question {
    let identity = ["id", "revision", "input_digest", "published_at"];
    of_events(tenant, source, event_ids, documents_max).only(identity)
}

/// The first version of an event with this revision and this digest or a later one.
pub(crate) fn of_version(tenant: &str, source: &str, event_id: &str, revision: u32, from: Digest) -> Question {
    Question {
        filter: doc! {
            "tenant": text(tenant), "source": text(source), "id": text(event_id), "revision": i64::from(revision),
            "input_digest": { "$gte": from.to_string() },
        },
        sort: doc! { "input_digest": 1, "published_at": 1 },
        limit: 1,
        members: None,
    }
}

/// A text, as documents have it.
fn text(text: &str) -> Bson {
    if text.contains('\0') {
        let mut json = String::new();
        push_quoted(text, &mut json);
        return Bson::Document(doc! { JSON: json });
    }
    Bson::String(text.to_owned())
}

fn limit(limit: usize) -> i64 {
    // 0 would be none.
    i64::try_from(limit).unwrap_or(i64::MAX).max(1)
}

/// The part of `order` that a range wants; `None` for all of it. `order` begins with the time, which has a fixed length.
fn bounds(range: &RowRange) -> Option<Document> {
    let time = |time: Timestamp| {
        let mut out = String::new();
        names::push_time(time, &mut out);
        out
    };
    let past = range.past.as_ref().map(names::order);
    let (mut from, mut to) = (range.from.map(|from| ("$gte", time(from))), range.to.map(time));
    match (range.direction, past) {
        (Direction::Ascending, Some(past)) if from.as_ref().is_none_or(|(_, from)| *from <= past) => {
            from = Some(("$gt", past));
        }
        (Direction::Descending, Some(past)) if to.as_ref().is_none_or(|to| *to >= past) => to = Some(past),
        _ => {}
    }
    let mut bounds = Document::new();
    if let Some((operator, from)) = from {
        bounds.insert(operator, from);
    }
    if let Some(to) = to {
        bounds.insert("$lt", to);
    }
    (!bounds.is_empty()).then_some(bounds)
}
