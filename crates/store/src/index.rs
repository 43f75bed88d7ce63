//! The orders in which entries are found: which there are, and in which of them an entry stands.

use std::borrow::Cow;

use afterimage_event::{Actor, OWN_SOURCE, Op, RecordKey};
use afterimage_json::Raw;

use crate::{Entry, TableKey};

/// Longest lookup term that is kept as it is, in bytes; what is longer is shortened by [`term`].
pub const TERM_BYTES_MAX: usize = 256;
/// Bytes of a longer one that are kept before its digest.
const TERM_HEAD_BYTES: usize = 200;

/// Most changed names of an update that are indexed one by one. An update of more stands in [`Index::Op`] instead: a
/// document of a thousand fields must not cost a thousand rows at each save.
pub const FIELDS_INDEXED_MAX: usize = 64;

/// An order of entries, by [`crate::OrderKey`], that a store can walk from any place.
///
/// No two entries of a tenant have the same key: the digest in it covers source, table and record, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Index {
    /// Entries of one record.
    Record(RecordKey),
    /// Entries of one table of one source.
    Table(TableKey),
    /// Entries of one table by operation, without the updates that [`Index::Field`] finds: so an insert costs one row,
    /// not one for each field.
    Op(TableKey, Op),
    /// Updates of one table that changed this top-level name (a [`term`]) and at most [`FIELDS_INDEXED_MAX`] in all.
    Field(TableKey, String),
    /// Entries of a tenant with this [`term`]; those of [`OWN_SOURCE`] with [`OWN_TERM`] before it.
    Facet {
        /// The tenant.
        tenant: String,
        /// In which part of the entry.
        facet: Facet,
        /// The term.
        term: String,
    },
}

/// A part of an entry that it is found by, across tables and sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    /// Who did it: see [`Provenance::actors`].
    Actor,
    /// The request it was made in.
    Request,
    /// The transaction it was part of.
    Transaction,
    /// The migration that made it.
    Migration,
}

impl Facet {
    /// Every facet.
    pub const ALL: [Self; 4] = [Self::Actor, Self::Request, Self::Transaction, Self::Migration];

    /// Its name: in filters, and in the keys of stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Request => "request",
            Self::Transaction => "transaction",
            Self::Migration => "migration",
        }
    }
}

/// What an actor may go by.
#[derive(Clone, Copy, Default)]
pub(crate) struct Who<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
}

impl<'a> Who<'a> {
    pub(crate) fn of(actor: Option<&'a Actor>) -> Self {
        let part = |part: fn(&Actor) -> &Option<String>| actor.and_then(|actor| part(actor).as_deref());
        Self { id: part(|actor| &actor.id), email: part(|actor| &actor.email), name: part(|actor| &actor.name) }
    }
}

/// The members of a context that name a request and a migration; of two spellings the first counts.
const SPELLINGS: [&str; 4] = ["requestId", "request_id", "migration", "migrationId"];

/// Who made a change and in the course of what, as far as entries are found and counted by it. Each part is a [`term`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What the actor goes by: id and address, or the name where there is neither. Counts show the first.
    pub actors: Vec<String>,
    /// The request, from the context (`requestId`, `request_id`).
    pub request: Option<String>,
    /// The transaction.
    pub transaction: Option<String>,
    /// The migration, from the context (`migration`, `migrationId`).
    pub migration: Option<String>,
}

impl Provenance {
    /// That of an entry with this actor, transaction and context (a JSON object, as it is kept).
    pub(crate) fn new(who: Who<'_>, transaction: Option<&str>, context: Option<&str>) -> Self {
        let said = |part: Option<&str>| part.filter(|text| !text.is_empty()).map(term);
        let mut actors: Vec<String> = [said(who.id), said(who.email)].into_iter().flatten().collect();
        actors.dedup();
        if actors.is_empty() {
            actors.extend(said(who.name));
        }
        let mut members: [Option<Raw<'_>>; SPELLINGS.len()] = [None; SPELLINGS.len()];
        let context = context.and_then(|context| Raw::parse(context).ok());
        for (name, value) in context.and_then(Raw::members).into_iter().flatten() {
            if let Some(place) = SPELLINGS.iter().position(|spelling| *spelling == name) {
                members[place].get_or_insert(value);
            }
        }
        let [request, request_again, migration, migration_again] = members;
        let member = |value: Option<Raw<'_>>| {
            let value = value?;
            // A number by its literal text.
            said(value.string().or_else(|| value.number().map(Into::into)).as_deref())
        };
        Self {
            actors,
            request: member(request.or(request_again)),
            transaction: said(transaction),
            migration: member(migration.or(migration_again)),
        }
    }

    /// The terms of a facet.
    pub fn terms(&self, facet: Facet) -> impl Iterator<Item = &str> {
        let (many, one) = match facet {
            Facet::Actor => (self.actors.as_slice(), None),
            Facet::Request => (&[][..], self.request.as_deref()),
            Facet::Transaction => (&[][..], self.transaction.as_deref()),
            Facet::Migration => (&[][..], self.migration.as_deref()),
        };
        many.iter().map(String::as_str).chain(one)
    }
}

/// The text by which something is looked up: itself, or where that is longer than [`TERM_BYTES_MAX`] its beginning and a
/// digest of all of it, so that every store can make a key of it. Shortening twice changes nothing.
#[must_use]
pub fn term(text: &str) -> String {
    if text.len() <= TERM_BYTES_MAX {
        return text.to_owned();
    }
    let head = &text[..text.floor_char_boundary(TERM_HEAD_BYTES)];
    format!("{head}…{}", &blake3::hash(text.as_bytes()).to_hex()[..32])
}

/// What stands before the terms of entries of [`OWN_SOURCE`] in [`Index::Facet`]. Who asked what is outside the questions about what
/// somebody did, and somebody who asks all day must not make them walk over it. Entries stored by the first releases lack it,
/// so a question about that source looks under both.
pub const OWN_TERM: &str = "afterimage:";

impl Entry {
    /// The terms of a facet by which [`Index::Facet`] finds it.
    pub fn terms(&self, facet: Facet) -> impl Iterator<Item = Cow<'_, str>> {
        let is_own = self.record.source == OWN_SOURCE;
        self.provenance.terms(facet).map(move |term| match is_own {
            true => Cow::Owned(format!("{OWN_TERM}{term}")),
            false => Cow::Borrowed(term),
        })
    }

    /// Every index that the entry stands in.
    #[must_use]
    pub fn indexes(&self) -> Vec<Index> {
        let RecordKey { tenant, source, table, .. } = &self.record;
        let table = TableKey { tenant: tenant.clone(), source: source.clone(), table: table.clone() };
        let mut indexes = vec![Index::Record(self.record.clone()), Index::Table(table.clone())];
        match self.fields() {
            Some(fields) => indexes.extend(fields.into_iter().map(|field| Index::Field(table.clone(), field))),
            None => indexes.push(Index::Op(table, self.op)),
        }
        for facet in Facet::ALL {
            let index = |term: Cow<'_, str>| Index::Facet { tenant: tenant.clone(), facet, term: term.into_owned() };
            indexes.extend(self.terms(facet).map(index));
        }
        indexes
    }

    /// The names by which [`Index::Field`] finds it, each once; `None` when it stands in [`Index::Op`] instead.
    #[must_use]
    pub fn fields(&self) -> Option<Vec<String>> {
        let is_indexed = self.op == Op::Update && (1..=FIELDS_INDEXED_MAX).contains(&self.changed.len());
        is_indexed.then(|| {
            let mut fields: Vec<String> = self.changed.iter().map(|name| term(name)).collect();
            fields.sort_unstable();
            fields.dedup();
            fields
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_goes_by_id_and_address_and_by_name_where_there_is_neither() {
        let actor = |id: &str, email: &str, name: &str| Actor {
            id: Some(id.into()),
            email: Some(email.into()),
            name: Some(name.into()),
            ..Actor::default()
        };
        let actors = |actor: &Actor| Provenance::new(Who::of(Some(actor)), None, None).actors;
        assert_eq!(actors(&actor("42", "a@example.com", "Ann")), ["42", "a@example.com"]);
        assert_eq!(actors(&actor("a@example.com", "a@example.com", "Ann")), ["a@example.com"]);
        assert_eq!(actors(&actor("", "", "Ann")), ["Ann"]);
        assert_eq!(Provenance::new(Who::default(), None, None), Provenance::default());
    }

    #[test]
    fn request_and_migration_are_found_however_they_are_spelled() {
        let of = |context: &str| {
            let Provenance { request, migration, .. } = Provenance::new(Who::default(), None, Some(context));
            (request, migration)
        };
        let said = |request: &str, migration: &str| (Some(request.to_owned()), Some(migration.to_owned()));
        assert_eq!(of(r#"{"requestId":"r-1","migration":"2026_add"}"#), said("r-1", "2026_add"));
        assert_eq!(of(r#"{"request_id":7,"migrationId":"m"}"#), said("7", "m"));
        assert_eq!(of(r#"{"requestId":null,"migration":{}}"#), (None, None));
        // Of two spellings one counts, wherever it stands, whatever it says.
        assert_eq!(of(r#"{"request_id":"a","migrationId":"b","migration":"m","requestId":"r"}"#), said("r", "m"));
        assert_eq!(of(r#"{"request_id":"a","requestId":null}"#), (None, None));
    }

    #[test]
    fn a_term_is_short_tells_texts_apart_and_stays_itself() {
        let long = "ä".repeat(TERM_BYTES_MAX);
        assert!(term(&long).len() <= TERM_BYTES_MAX);
        assert_eq!(term(&term(&long)), term(&long));
        assert_ne!(term(&long), term(&format!("{long}.")));
        assert_eq!(term("short"), "short");
    }
}
