//! The collections and their indexes, and which question needs which.

use mongodb::bson::{Document, doc};

/// Version of the documents and of the indexes below. A database with a higher one was migrated by a later release.
pub(crate) const VERSION: i32 = 2;

/// The entries.
pub(crate) const ENTRIES: &str = "entries";

/// One document for each table of each source ([`crate::announce`]).
pub(crate) const TABLES: &str = "tables";

/// One document for each version the schema has had: `{_id: 1}`. Written after its indexes are built.
pub(crate) const VERSIONS: &str = "schema_versions";

/// An index on [`ENTRIES`].
pub(crate) struct Index {
    pub(crate) name: &'static str,
    /// Fields and directions. First those a question fixes, then the one it is sorted and ranged by.
    pub(crate) fields: &'static [(&'static str, i32)],
    /// Only entries that have this field, or of this kind, are in it: the others do not pay for it.
    pub(crate) only: Only,
}

/// What an index leaves out.
pub(crate) enum Only {
    All,
    /// Entries with this field.
    With(&'static str),
    /// Deletes.
    Deletes,
}

/// The indexes. `order` begins with `occurred_at`: what is sorted by it is ranged by time too.
pub(crate) const INDEXES: [Index; 8] = [
    // The versions of events, in the order in which they are preferred (`afterimage_store::version_order`).
    Index {
        name: "event",
        fields: &[("tenant", 1), ("source", 1), ("id", 1), ("revision", -1), ("input_digest", 1), ("published_at", 1)],
        only: Only::All,
    },
    // History and state of a record. `source` stands behind what names the record, so that the same index tells which
    // sources have it.
    Index {
        name: "record",
        fields: &[("tenant", 1), ("table", 1), ("record", 1), ("source", 1), ("order", 1)],
        only: Only::All,
    },
    // Changes, gaps and bursts of a table.
    Index { name: "table", fields: &[("tenant", 1), ("table", 1), ("source", 1), ("order", 1)], only: Only::All },
    // Changes of a field, and inserts, deletes, … of a table: each entry has one or the other, never both.
    Index {
        name: "what",
        fields: &[("tenant", 1), ("table", 1), ("source", 1), ("what", 1), ("order", 1)],
        only: Only::All,
    },
    // Changes by an actor, a request, a transaction, a migration. One index on a list, not one for each: an entry has as
    // many index entries as it has terms either way, and a server has five indexes less to keep.
    Index { name: "by", fields: &[("tenant", 1), ("by", 1), ("order", 1)], only: Only::With("by") },
    // For people who look at a tenant as a whole: what happened at a time, and what was deleted, which is little.
    Index { name: "time", fields: &[("tenant", 1), ("order", 1)], only: Only::All },
    Index { name: "delete", fields: &[("tenant", 1), ("op", 1), ("order", 1)], only: Only::Deletes },
    // The arrival journal: what a worker stored since a point. Read from the index alone.
    Index { name: "arrival", fields: &[("stored.worker", 1), ("stored.at", 1), ("_id", 1)], only: Only::All },
];

/// Indexes of schema 1 that no question needs any more.
pub(crate) const RETIRED: [&str; 9] =
    ["source", "op", "actor_id", "actor_email", "actor_name", "field", "request", "migration", "transaction"];

impl Index {
    /// The `key` of `createIndexes`.
    pub(crate) fn keys(&self) -> Document {
        self.fields.iter().map(|(field, direction)| ((*field).to_owned(), (*direction).into())).collect()
    }

    /// The filter of a partial index.
    pub(crate) fn filter(&self) -> Option<Document> {
        match self.only {
            Only::All => None,
            Only::With(field) => Some(doc! { field: { "$exists": true } }),
            Only::Deletes => Some(doc! { "op": "delete" }),
        }
    }
}

#[cfg(test)]
#[path = "../tests/common/examples.rs"]
mod examples;

#[cfg(test)]
mod tests {
    use afterimage_event::{Op, RecordKey, Timestamp};
    use afterimage_store::{Digest, Direction, Facet, Identity, Index as Order, OrderKey, RowRange, TableKey};
    use mongodb::bson::Bson;

    use super::*;
    use crate::questions;

    /// How a question uses a field.
    #[derive(Clone, Copy, PartialEq)]
    enum Use {
        /// One value.
        Equal,
        /// Several values, or a range of them.
        Range,
        /// Not by an index.
        Filter,
    }

    fn use_of(value: &Bson) -> Use {
        match value.as_document().and_then(|value| value.keys().next()).map(String::as_str) {
            Some("$in" | "$gt" | "$gte" | "$lt" | "$lte") => Use::Range,
            Some(operator) if operator.starts_with('$') => Use::Filter,
            _ => Use::Equal,
        }
    }

    /// Does the index find what is asked for, and only that, in the order it is asked for?
    ///
    /// First the fields with one value, in any order, then the order, within which at most its first field is ranged:
    /// <https://www.mongodb.com/docs/manual/tutorial/equality-sort-range-rule/>. Values deep in a document are looked at
    /// one by one.
    fn serves(index: &Index, filter: &Document, sort: &Document) -> bool {
        let uses: Vec<(&str, Use)> = filter
            .iter()
            .map(|(field, value)| (field.as_str(), use_of(value)))
            .filter(|(field, _)| !field.starts_with("after."))
            .collect();
        let has_only = match index.only {
            Only::All => true,
            Only::With(field) => uses.iter().any(|(used, how)| *used == field && *how != Use::Filter),
            Only::Deletes => filter.get_str("op").is_ok_and(|op| op == "delete"),
        };
        let used = |kind: Use| uses.iter().filter(move |(_, how)| *how == kind).map(|(field, _)| *field);
        let (equal, ranged): (Vec<&str>, Vec<&str>) = (used(Use::Equal).collect(), used(Use::Range).collect());
        let (prefix, rest) = index.fields.split_at(equal.len().min(index.fields.len()));
        let prefix_fits = equal.iter().all(|field| prefix.iter().any(|(name, _)| name == field));
        // Backwards as a whole is as good.
        let sorted = |turn: i32| {
            sort.len() <= rest.len()
                && sort.iter().zip(rest).all(|((field, direction), (name, given))| {
                    field == name && direction.as_i32() == Some(given * turn)
                })
        };
        let range_fits = match ranged[..] {
            [] => true,
            [field] => rest.first().is_some_and(|(name, _)| *name == field),
            _ => false,
        };
        has_only && prefix_fits && prefix.len() == equal.len() && range_fits && (sorted(1) || sorted(-1))
    }

    fn all_indexes() -> Vec<&'static Index> {
        INDEXES.iter().collect()
    }

    /// Every filter and order that this release sends, and those that people are told to send.
    fn asked() -> Vec<(String, Document, Document)> {
        let record = RecordKey {
            tenant: "t".to_owned(),
            source: "s".to_owned(),
            table: "users".to_owned(),
            record_id: vec!["u1".to_owned()],
        };
        let table = TableKey { tenant: "t".to_owned(), source: "s".to_owned(), table: "users".to_owned() };
        let time = Timestamp::from_micros(1).unwrap();
        let identity =
            Identity { event_id: "e".to_owned(), input_digest: Digest([0; 16]), revision: 0, published_at: time };
        let past = OrderKey { occurred_at: time, position: Vec::new(), identity };
        let mut asked = Vec::new();
        for direction in [Direction::Ascending, Direction::Descending] {
            for (from, to, past) in
                [(None, None, None), (Some(time), Some(time), None), (Some(time), None, Some(past.clone()))]
            {
                let range = RowRange { from, to, past, direction, limit: 10 };
                let tenant = "t".to_owned();
                let facet = |facet| Order::Facet { tenant: tenant.clone(), facet, term: "x".to_owned() };
                let mut orders = vec![
                    ("rows of a record", Order::Record(record.clone())),
                    ("rows of a table", Order::Table(table.clone())),
                    ("rows of an operation", Order::Op(table.clone(), Op::Delete)),
                    ("rows of a field", Order::Field(table.clone(), "email".to_owned())),
                ];
                orders.extend(Facet::ALL.map(|part| (part.as_str(), facet(part))));
                asked.extend(orders.into_iter().map(|(name, order)| (name, questions::of_index(&order, &range))));
            }
        }
        asked.push(("one event", questions::of_events("t", "s", &["e"], 1)));
        asked.push(("several events", questions::of_events("t", "s", &["e", "f"], 1)));
        asked.push(("identities of events", questions::of_identities("t", "s", &["e", "f"], 1)));
        asked.push(("a version", questions::of_version("t", "s", "e", 0, Digest([0; 16]))));
        let mut asked: Vec<_> =
            asked.into_iter().map(|(name, question)| (name.to_owned(), question.filter, question.sort)).collect();
        asked.push(("sources of a record".to_owned(), questions::with_record("t", "users", &[]), doc! { "source": 1 }));
        let arrived = doc! { "stored.worker": "w", "stored.at": { "$gte": "2026" } };
        asked.push(("arrivals".to_owned(), arrived, doc! { "stored.at": 1, "_id": 1 }));
        for example in examples::examples("2026-01-08") {
            let is_find = example.method == "find";
            assert_eq!(is_find, example.argument.as_document().is_some(), "{}", example.title);
            let (filter, sort) = match example.argument {
                Bson::Document(filter) => (filter, example.sort),
                Bson::Array(stages) => {
                    let first = stages[0].as_document().unwrap();
                    (first.get_document("$match").unwrap().clone(), doc! {})
                }
                other => panic!("{other}"),
            };
            asked.push((example.title.to_owned(), filter, sort));
        }
        asked
    }

    fn unserved(indexes: &[&Index]) -> Vec<String> {
        let asked = asked().into_iter();
        asked
            .filter(|(_, filter, sort)| !indexes.iter().any(|index| serves(index, filter, sort)))
            .map(|(name, filter, sort)| format!("{name}: {filter} {sort}"))
            .collect()
    }

    #[test]
    fn every_question_has_an_index_whose_prefix_serves_it() {
        assert_eq!(unserved(&all_indexes()), Vec::<String>::new());
    }

    #[test]
    fn every_index_is_needed_by_a_question() {
        for index in &INDEXES {
            let others: Vec<&Index> = all_indexes().into_iter().filter(|other| other.name != index.name).collect();
            assert!(!unserved(&others).is_empty(), "no question needs {}", index.name);
        }
    }

    #[test]
    fn identities_are_read_from_the_index_alone() {
        let question = questions::of_identities("t", "s", &["e"], 1);
        let members = question.members.unwrap();
        assert_eq!(members.get_i32("_id").unwrap(), 0, "servers give it unasked, and it is in no other index");
        let has_all = |index: &Index| {
            let has = |name: &String| index.fields.iter().any(|(field, _)| field == name);
            let wanted = members.iter().filter(|(_, wanted)| wanted.as_i32() == Some(1)).map(|(name, _)| name);
            serves(index, &question.filter, &question.sort) && question.filter.keys().chain(wanted).all(has)
        };
        assert!(INDEXES.iter().any(has_all), "{members}");
        // An index on a list tells none of its values back.
        assert!(!members.contains_key("what") && !members.contains_key("by"));
    }

    #[test]
    fn tables_are_asked_for_by_their_id() {
        let question = questions::of_tables("t");
        assert_eq!(question.filter, doc! { "_id": { "$gte": "t,", "$lt": "t-" } });
        assert_eq!(question.sort, doc! { "_id": 1 });
    }

    #[test]
    fn no_index_is_on_two_lists_and_each_is_documented() {
        let page = include_str!("../../../docs/stores/mongodb.md");
        for index in &INDEXES {
            let lists = index
                .fields
                .iter()
                .filter(|(field, _)| ["what", "by", "changed", "record_id", "unknown"].contains(field));
            assert!(lists.count() <= 1, "{}", index.name);
            assert!(page.contains(&format!("`{}`", index.name)), "{}", index.name);
        }
    }
}
