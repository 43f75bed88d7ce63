//! The collections and their indexes, and which question needs which.

use mongodb::bson::{Document, doc};

/// Version of the indexes below. A database with a higher one was migrated by a later release.
pub(crate) const VERSION: i32 = 1;

/// The entries.
pub(crate) const ENTRIES: &str = "entries";

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
    /// Updates. An insert or delete changes every field of its record: it would have an index entry for each of them,
    /// and is found by table or operation.
    Updates,
}

/// The indexes. `order` begins with `occurred_at`: what is sorted by it is ranged by time too.
pub(crate) const INDEXES: [Index; 14] = [
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
    Index { name: "source", fields: &[("tenant", 1), ("source", 1), ("order", 1)], only: Only::All },
    Index { name: "time", fields: &[("tenant", 1), ("order", 1)], only: Only::All },
    Index { name: "op", fields: &[("tenant", 1), ("op", 1), ("order", 1)], only: Only::All },
    // Who is mostly known by one of three; a question about somebody asks all of them.
    Index { name: "actor_id", fields: &[("tenant", 1), ("actor.id", 1), ("order", 1)], only: Only::With("actor.id") },
    Index {
        name: "actor_email",
        fields: &[("tenant", 1), ("actor.email", 1), ("order", 1)],
        only: Only::With("actor.email"),
    },
    Index {
        name: "actor_name",
        fields: &[("tenant", 1), ("actor.name", 1), ("order", 1)],
        only: Only::With("actor.name"),
    },
    Index { name: "field", fields: &[("tenant", 1), ("table", 1), ("changed", 1), ("order", 1)], only: Only::Updates },
    Index { name: "request", fields: &[("tenant", 1), ("request", 1), ("order", 1)], only: Only::With("request") },
    Index {
        name: "migration",
        fields: &[("tenant", 1), ("migration", 1), ("order", 1)],
        only: Only::With("migration"),
    },
    Index {
        name: "transaction",
        fields: &[("tenant", 1), ("transaction", 1), ("order", 1)],
        only: Only::With("transaction"),
    },
    // The arrival journal: what a worker stored since a point. Read from the index alone.
    Index { name: "arrival", fields: &[("stored.worker", 1), ("stored.at", 1), ("_id", 1)], only: Only::All },
];

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
            Only::Updates => Some(doc! { "op": "update" }),
        }
    }
}

#[cfg(test)]
#[path = "../tests/common/examples.rs"]
mod examples;

#[cfg(test)]
mod tests {
    use afterimage_event::{RecordKey, Timestamp};
    use afterimage_store::{Digest, Direction, Identity, OrderKey, RowRange, TableKey};
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
            Only::Updates => filter.get_str("op").is_ok_and(|op| op == "update"),
        };
        let is_implied = |field: &str| matches!(index.only, Only::Updates) && field == "op";
        let equal: Vec<&str> = uses
            .iter()
            .filter(|(field, how)| *how == Use::Equal && !is_implied(field))
            .map(|(field, _)| *field)
            .collect();
        let ranged: Vec<&str> = uses.iter().filter(|(_, how)| *how == Use::Range).map(|(field, _)| *field).collect();
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

    /// Every filter and order that this release sends, and those of the questions of design §7.
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
                asked.push(("rows of a record", questions::of_record(&record, &range)));
                asked.push(("rows of a table", questions::of_table(&table, &range)));
            }
        }
        asked.push(("one event", questions::of_events("t", "s", &["e"], 1)));
        asked.push(("several events", questions::of_events("t", "s", &["e", "f"], 1)));
        asked.push(("a version", questions::of_version("t", "s", "e", 0, Digest([0; 16]))));
        let mut asked: Vec<_> =
            asked.into_iter().map(|(name, question)| (name.to_owned(), question.filter, question.sort)).collect();
        asked.push(("sources of a record".to_owned(), questions::with_record("t", "users", &[]), doc! { "source": 1 }));
        let since = || doc! { "$gte": "2026" };
        for (field, more) in [
            ("actor.id", doc! {}),
            ("actor.email", doc! {}),
            ("actor.name", doc! {}),
            ("op", doc! {}),
            ("request", doc! {}),
            ("migration", doc! {}),
            ("transaction", doc! {}),
            ("source", doc! {}),
            ("changed", doc! { "table": "users", "op": "update" }),
        ] {
            let mut filter = doc! { "tenant": "t", field: "x", "order": since() };
            filter.extend(more);
            asked.push((format!("changes by {field}"), filter, doc! { "order": -1 }));
        }
        asked.push(("changes by time".to_owned(), doc! { "tenant": "t", "order": since() }, doc! { "order": -1 }));
        let arrived = doc! { "stored.worker": "w", "stored.at": since() };
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
    fn no_index_is_on_two_lists_and_each_is_documented() {
        let page = include_str!("../../../docs/stores/mongodb.md");
        for index in &INDEXES {
            let lists = index.fields.iter().filter(|(field, _)| ["changed", "record_id", "unknown"].contains(field));
            assert!(lists.count() <= 1, "{}", index.name);
            assert!(page.contains(&format!("`{}`", index.name)), "{}", index.name);
        }
    }
}
