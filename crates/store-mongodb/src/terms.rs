//! What entries are found by, each as one text that a person can type: `field:email`, `op:delete`,
//! `actor:ada@example.com`, `request:req-1`.
//!
//! The word before the colon tells them apart, so a list of them needs one index, not one for each kind. Which of them
//! an entry has is what [`Entry::indexes`] says.

use afterimage_event::Op;
use afterimage_store::{Entry, Facet, Provenance};

/// A changed name, within its table.
pub(crate) fn of_field(name: &str) -> String {
    format!("field:{name}")
}

/// An operation, within its table.
pub(crate) fn of_op(op: Op) -> String {
    format!("op:{op}")
}

/// Somebody or something that a change was made by or in the course of.
pub(crate) fn of_facet(facet: Facet, term: &str) -> String {
    format!("{}:{term}", facet.as_str())
}

/// Those of an entry within its table: the names it changed, or its operation.
pub(crate) fn what(entry: &Entry) -> Vec<String> {
    match entry.fields() {
        Some(fields) => fields.iter().map(|name| of_field(name)).collect(),
        None => vec![of_op(entry.op)],
    }
}

/// Those of an entry across tables.
pub(crate) fn by(provenance: &Provenance) -> Vec<String> {
    Facet::ALL.into_iter().flat_map(|facet| provenance.terms(facet).map(move |term| of_facet(facet, term))).collect()
}

/// The way back of [`by`]; `None` where a text is none of its.
pub(crate) fn provenance(by: &[String]) -> Option<Provenance> {
    let mut provenance = Provenance::default();
    for text in by {
        let (word, term) = text.split_once(':')?;
        let term = term.to_owned();
        match Facet::ALL.into_iter().find(|facet| facet.as_str() == word)? {
            Facet::Actor => provenance.actors.push(term),
            Facet::Request => provenance.request = Some(term),
            Facet::Transaction => provenance.transaction = Some(term),
            Facet::Migration => provenance.migration = Some(term),
        }
    }
    Some(provenance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_comes_back_as_it_was() {
        let whole = Provenance {
            actors: vec!["7".to_owned(), "actor:a:b".to_owned()],
            request: Some(":".to_owned()),
            transaction: Some("\0".to_owned()),
            migration: Some("request:1".to_owned()),
        };
        assert_eq!(by(&whole), ["actor:7", "actor:actor:a:b", "request::", "transaction:\0", "migration:request:1"]);
        for known in [whole, Provenance::default()] {
            assert_eq!(provenance(&by(&known)).as_ref(), Some(&known));
        }
        for foreign in ["actor", "op:insert", ""] {
            assert_eq!(provenance(&[foreign.to_owned()]), None, "{foreign}");
        }
    }
}
