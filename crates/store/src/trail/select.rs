use std::collections::BTreeSet;

use afterimage_event::{Op, RecordKey};

use super::grants::Named;
use super::{Filter, Grants, OWN_SOURCE, Trail, TrailError};
use crate::{Facet, Index, IndexRow, OWN_TERM, TableKey, term};

/// Most indexes one question walks: each costs a read.
pub(super) const INDEXES_MAX: usize = 2_000;

/// What a question is answered from: the narrowest indexes that hold every entry it asks for, and what of their rows it
/// asks for.
pub(super) struct Selection {
    indexes: Vec<Index>,
    /// `None` takes every row.
    wanted: Option<Wanted>,
}

struct Wanted {
    /// With names and ids as [`term`]s.
    filter: Filter,
    grants: Grants,
}

impl Selection {
    /// All entries of a record. Whether it may be seen was asked before: what bears on the answer need not be.
    pub(super) fn of_record(record: &RecordKey) -> Self {
        Self { indexes: vec![Index::Record(record.clone())], wanted: None }
    }

    pub(super) fn indexes(&self) -> Vec<Index> {
        self.indexes.clone()
    }

    /// Does the question ask for this row?
    pub(super) fn fits(&self, row: &IndexRow) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.filter.fits(row) && wanted.grants.allow(&row.record))
    }

    /// May its reader know of this row?
    pub(super) fn allows(&self, row: &IndexRow) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.grants.allow(&row.record))
    }
}

impl Filter {
    /// As it is compared with index rows.
    fn in_terms(&self) -> Self {
        let term = |text: &Option<String>| text.as_deref().map(term);
        Self {
            field: term(&self.field),
            actor: term(&self.actor),
            request: term(&self.request),
            transaction: term(&self.transaction),
            migration: term(&self.migration),
            ..self.clone()
        }
    }

    fn facet(&self, facet: Facet) -> Option<&String> {
        match facet {
            Facet::Actor => self.actor.as_ref(),
            Facet::Request => self.request.as_ref(),
            Facet::Transaction => self.transaction.as_ref(),
            Facet::Migration => self.migration.as_ref(),
        }
    }

    /// Do these hold all entries of a record or none, within a period?
    pub(super) fn takes_whole_records(&self) -> bool {
        self.ops.is_empty() && self.field.is_none() && Facet::ALL.iter().all(|&facet| self.facet(facet).is_none())
    }

    fn names_table(&self, source: &str, table: &str) -> bool {
        self.source.as_ref().map_or(source != OWN_SOURCE, |wanted| wanted == source)
            && self.table.as_ref().is_none_or(|wanted| wanted == table)
    }

    /// Every part, whatever index the row comes from.
    fn fits(&self, row: &IndexRow) -> bool {
        let in_facet = |&facet: &Facet| {
            self.facet(facet).is_none_or(|wanted| row.provenance.terms(facet).any(|term| term == wanted))
        };
        self.names_table(&row.record.source, &row.record.table)
            && (self.ops.is_empty() || self.ops.contains(&row.op))
            && self.field.as_ref().is_none_or(|wanted| row.changed.iter().any(|name| term(name) == *wanted))
            && Facet::ALL.iter().all(in_facet)
    }

    /// The indexes of a table that hold every entry of it that fits, none twice.
    fn of_table(&self, table: &TableKey) -> Vec<Index> {
        let by_op = |op: &Op| Index::Op(table.clone(), *op);
        let asked = |op: &Op| self.ops.is_empty() || self.ops.contains(op);
        match &self.field {
            // Wide updates, and whatever is no update, stand under their operation whatever they changed.
            Some(field) => {
                let narrow = asked(&Op::Update).then(|| Index::Field(table.clone(), field.clone()));
                Op::ALL.iter().filter(|op| asked(op) && names_fields(**op)).map(by_op).chain(narrow).collect()
            }
            // Updates are found by what they changed: those of any field stand together only in the table.
            None if self.ops.is_empty() || self.ops.contains(&Op::Update) => vec![Index::Table(table.clone())],
            None => Op::ALL.iter().filter(|op| asked(op)).map(by_op).collect(),
        }
    }
}

/// Can an entry of this operation have changed a field? What else happens bears no image.
fn names_fields(op: Op) -> bool {
    matches!(op, Op::Insert | Op::Update | Op::Delete | Op::Snapshot)
}

impl Trail {
    /// Where to look for what a filter asks for, as far as it may be seen.
    pub(super) async fn select(&self, filter: &Filter) -> Result<Selection, TrailError> {
        let Filter { tenant, source, table, .. } = filter;
        let named = Named { tenant, source: source.as_deref(), table: table.as_deref(), record_id: None };
        self.may_see_some(&named)?;
        let filter = filter.in_terms();
        // A reader of some tables reads those, rather than everything that an actor or a migration did elsewhere. What
        // one request or transaction did is little, and told from the rest at once.
        let confined = self.grants.are_confined(&named);
        let facets = [Facet::Request, Facet::Transaction, Facet::Migration, Facet::Actor];
        let narrowest = facets.into_iter().find_map(|facet| {
            let suits = matches!(facet, Facet::Request | Facet::Transaction) || !confined;
            filter.facet(facet).filter(|_| suits).map(|wanted| (facet, wanted.clone()))
        });
        let indexes = match narrowest {
            Some((facet, term)) => {
                let own = (filter.source.as_deref() == Some(OWN_SOURCE)).then(|| format!("{OWN_TERM}{term}"));
                let index = |term| Index::Facet { tenant: filter.tenant.clone(), facet, term };
                own.into_iter().chain([term]).map(index).collect()
            }
            None => self.indexes_of_tables(&filter).await?,
        };
        Ok(Selection { indexes, wanted: Some(Wanted { filter, grants: self.grants.clone() }) })
    }

    async fn indexes_of_tables(&self, filter: &Filter) -> Result<Vec<Index>, TrailError> {
        let tables = match (&filter.source, &filter.table) {
            (Some(source), Some(table)) => {
                vec![TableKey { tenant: filter.tenant.clone(), source: source.clone(), table: table.clone() }]
            }
            _ => self.store.tables(&filter.tenant).await?,
        };
        let tables: Vec<TableKey> =
            tables.into_iter().filter(|table| filter.names_table(&table.source, &table.table)).collect();
        let of_each = |whole: fn(&Filter, &TableKey) -> Vec<Index>| -> Vec<Index> {
            let of_one = |table: &TableKey| match self.grants.allow_table(table) {
                true => whole(filter, table),
                false => self.grants.records_of(table).into_iter().map(Index::Record).collect(),
            };
            tables.iter().flat_map(of_one).collect()
        };
        let mut indexes = of_each(Filter::of_table);
        if indexes.len() > INDEXES_MAX {
            indexes = of_each(|_, table| vec![Index::Table(table.clone())]);
        }
        if indexes.len() > INDEXES_MAX {
            let reason =
                format!("{} tables or records are more than {INDEXES_MAX}; name a source or table", indexes.len());
            return Err(TrailError::Question { reason });
        }
        Ok(indexes)
    }
}

impl Grants {
    /// Is everything they cover of what is named in tables or records that they name?
    fn are_confined(&self, named: &Named<'_>) -> bool {
        let mut of_named = self.as_slice().iter().filter(|grant| grant.meets(named));
        of_named.all(|grant| grant.table.is_some() || grant.record_id.is_some())
    }

    /// The records of a table that are granted one by one.
    pub(super) fn records_of(&self, table: &TableKey) -> BTreeSet<RecordKey> {
        let TableKey { tenant, source, table: name } = table;
        let named = Named::table(table);
        let ids =
            self.as_slice().iter().filter(|grant| grant.meets(&named)).filter_map(|grant| grant.record_id.clone());
        let record =
            |record_id| RecordKey { tenant: tenant.clone(), source: source.clone(), table: name.clone(), record_id };
        ids.map(record).collect()
    }
}
