//! An index other than that of one record, as its tables name it.

use afterimage_event::RecordKey;
use afterimage_store::{Facet, Index, TableKey};

/// Which entries it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TermKind {
    Table,
    Op,
    Field,
    Facet(Facet),
}

impl TermKind {
    /// How the tables name it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Op => "op",
            Self::Field => "field",
            Self::Facet(facet) => facet.as_str(),
        }
    }

    /// Has it a new term every moment, each with a few entries? Announcing every one would cost as much as its entries.
    pub(crate) const fn is_short_lived(self) -> bool {
        matches!(self, Self::Facet(Facet::Request | Facet::Transaction))
    }
}

/// The first part of the partition keys of an index. Facets have neither source nor table, a whole table has no term:
/// those are empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TermKey {
    pub(crate) tenant: String,
    pub(crate) kind: TermKind,
    pub(crate) source: String,
    pub(crate) table: String,
    pub(crate) term: String,
}

impl TermKey {
    /// The index of a record has tables of its own: gives back the record.
    pub(crate) fn new(index: Index) -> Result<Self, RecordKey> {
        let of_table = |TableKey { tenant, source, table }, kind, term| Self { tenant, kind, source, table, term };
        Ok(match index {
            Index::Record(record) => return Err(record),
            Index::Table(table) => of_table(table, TermKind::Table, String::new()),
            Index::Op(table, op) => of_table(table, TermKind::Op, op.as_str().to_owned()),
            Index::Field(table, name) => of_table(table, TermKind::Field, name),
            Index::Facet { tenant, facet, term } => {
                let (source, table) = (String::new(), String::new());
                Self { tenant, kind: TermKind::Facet(facet), source, table, term }
            }
        })
    }

    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        self.tenant.len() + self.source.len() + self.table.len() + self.term.len()
    }
}
