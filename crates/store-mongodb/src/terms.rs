//! What entries are found by, each as one text that a person can type: `field:email`, `op:delete`,
//! `actor:ada@example.com`, `request:req-1`.
//!
//! The word before the colon tells them apart, so a list of them needs one index, not one for each kind. Which of them
//! an entry has is what [`Entry::indexes`] says.

use afterimage_event::{OWN_SOURCE, Op};
use afterimage_store::{Entry, Facet, OWN_TERM, Provenance};

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
pub(crate) fn by(entry: &Entry) -> Vec<String> {
    Facet::ALL.into_iter().flat_map(|facet| entry.terms(facet).map(move |term| of_facet(facet, &term))).collect()
}

/// The way back of [`by`], of an entry of this source; `None` where a text is none of its.
pub(crate) fn provenance(by: &[String], source: &str) -> Option<Provenance> {
    let mut provenance = Provenance::default();
    for text in by {
        let (word, term) = text.split_once(':')?;
        let term = term.strip_prefix(OWN_TERM).filter(|_| source == OWN_SOURCE).unwrap_or(term);
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
    use afterimage_store::conformance::Telling;

    use super::*;

    #[test]
    fn provenance_comes_back_as_it_was() {
        let entry = |source: &str, provenance: &Provenance| {
            let images = r#"{"a":1}"#;
            let told = Telling::new("t", "e", Op::Insert, 0).images("", images).source(source).entry();
            Entry { provenance: provenance.clone(), ..(*told).clone() }
        };
        let whole = Provenance {
            actors: vec!["7".to_owned(), "actor:a:b".to_owned()],
            request: Some(":".to_owned()),
            transaction: Some("\0".to_owned()),
            migration: Some("request:1".to_owned()),
        };
        let told = by(&entry("s", &whole));
        assert_eq!(told, ["actor:7", "actor:actor:a:b", "request::", "transaction:\0", "migration:request:1"]);
        assert_eq!(by(&entry(OWN_SOURCE, &whole))[0], "actor:afterimage:7");
        let own_like = Provenance { actors: vec!["afterimage:7".to_owned()], ..Provenance::default() };
        for known in [whole, own_like, Provenance::default()] {
            for source in ["s", OWN_SOURCE] {
                assert_eq!(provenance(&by(&entry(source, &known)), source).as_ref(), Some(&known));
            }
        }
        for foreign in ["actor", "op:insert", ""] {
            assert_eq!(provenance(&[foreign.to_owned()], "s"), None, "{foreign}");
        }
    }
}
