use afterimage_event::RecordKey;

use super::{OWN_SOURCE, RecordQuery, Trail, TrailError};
use crate::{Direction, Index, RowRange, TableKey};

/// What somebody may see. Each part that is given narrows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Entries of this tenant.
    pub tenant: Option<String>,
    /// Of this source. Entries of [`OWN_SOURCE`] are covered only where it is named.
    pub source: Option<String>,
    /// Of this table.
    pub table: Option<String>,
    /// Of this record.
    pub record_id: Option<Vec<String>>,
}

/// What a reader of the trail may see: all that any grant covers. None sees nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<Grant>);

impl Grants {
    /// Everything: whoever holds the store's own credentials.
    #[must_use]
    pub fn everything() -> Self {
        let own = Grant { source: Some(OWN_SOURCE.to_owned()), ..Grant::default() };
        Self(vec![Grant::default(), own])
    }

    /// What these grants cover.
    #[must_use]
    pub fn of(grants: Vec<Grant>) -> Self {
        Self(grants)
    }

    /// The grants.
    #[must_use]
    pub fn as_slice(&self) -> &[Grant] {
        &self.0
    }

    /// May entries of this record be seen?
    #[must_use]
    pub fn allow(&self, record: &RecordKey) -> bool {
        self.0.iter().any(|grant| grant.covers(record))
    }

    /// Could a question that names these show anything? If not it is [`TrailError::NotGranted`], whatever the store holds; of a
    /// question about several records, if one of them could not.
    #[must_use]
    pub fn could_show(
        &self,
        tenant: &str,
        source: Option<&str>,
        table: Option<&str>,
        record_id: Option<&[String]>,
    ) -> bool {
        self.meet(&Named { tenant, source, table, record_id })
    }

    /// May all entries of this table be seen, whatever their record?
    pub(super) fn allow_table(&self, table: &TableKey) -> bool {
        self.0.iter().any(|grant| grant.record_id.is_none() && grant.meets(&Named::table(table)))
    }

    /// Could there be anything of this that may be seen?
    pub(super) fn meet(&self, named: &Named<'_>) -> bool {
        self.0.iter().any(|grant| grant.meets(named))
    }
}

/// What a question names; the parts it leaves open are `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'q> {
    pub(super) tenant: &'q str,
    pub(super) source: Option<&'q str>,
    pub(super) table: Option<&'q str>,
    pub(super) record_id: Option<&'q [String]>,
}

impl<'q> Named<'q> {
    pub(super) fn table(table: &'q TableKey) -> Self {
        let TableKey { tenant, source, table } = table;
        Self { tenant, source: Some(source), table: Some(table), record_id: None }
    }
}

impl Grant {
    fn covers(&self, record: &RecordKey) -> bool {
        let RecordKey { tenant, source, table, record_id } = record;
        self.meets(&Named { tenant, source: Some(source), table: Some(table), record_id: Some(record_id) })
    }

    /// Has what it covers anything in common with what is named?
    pub(super) fn meets(&self, named: &Named<'_>) -> bool {
        // Who asked what is granted by name alone: a grant of a table is not one of who looked into it.
        if named.source == Some(OWN_SOURCE) && self.source.is_none() {
            return false;
        }
        let fits = |granted: &Option<String>, named: Option<&str>| match (granted, named) {
            (Some(granted), Some(named)) => granted == named,
            _ => true,
        };
        fits(&self.tenant, Some(named.tenant))
            && fits(&self.source, named.source)
            && fits(&self.table, named.table)
            && match (&self.record_id, named.record_id) {
                (Some(granted), Some(named)) => granted == named,
                _ => true,
            }
    }
}

impl Trail {
    /// Fails unless entries of this record may be seen. What names a record asks this before it asks the store, so that
    /// the answer does not tell whether the record exists. ([`Trail::resolve`] does, for questions with a query.)
    pub(super) fn may_see(&self, record: &RecordKey) -> Result<(), TrailError> {
        if self.grants.allow(record) { Ok(()) } else { Err(TrailError::NotGranted) }
    }

    /// Fails where nobody ever told of this record: that is another answer than that it was deleted. Asked only where a
    /// question found nothing, so it costs no other one a read.
    pub(super) async fn known(&self, record: &RecordKey) -> Result<(), TrailError> {
        let newest = RowRange { from: None, to: None, past: None, direction: Direction::Descending, limit: 1 };
        let rows = self.store.rows(&Index::Record(record.clone()), &newest).await?;
        if rows.is_empty() { Err(TrailError::NoSuchRecord) } else { Ok(()) }
    }

    /// Fails when nothing of what is named could be seen. Where only part may be seen, the rows of the rest are left
    /// out: [`Grants::allow`].
    pub(super) fn may_see_some(&self, named: &Named<'_>) -> Result<(), TrailError> {
        if self.grants.meet(named) { Ok(()) } else { Err(TrailError::NotGranted) }
    }

    /// The same for a table that is named.
    pub(super) fn may_see_some_of(&self, table: &TableKey) -> Result<(), TrailError> {
        self.may_see_some(&Named::table(table))
    }

    /// The table, with its source found where none is named: among those that this reader may see, and never
    /// [`OWN_SOURCE`].
    ///
    /// # Errors
    /// [`TrailError::NoSuchRecord`], [`TrailError::SeveralSources`], [`TrailError::NotGranted`] and what the store says.
    pub async fn table(&self, tenant: &str, source: Option<&str>, table: &str) -> Result<TableKey, TrailError> {
        if let Some(source) = source {
            let named = TableKey { tenant: tenant.to_owned(), source: source.to_owned(), table: table.to_owned() };
            self.may_see_some_of(&named)?;
            let is_known = self.store.tables(tenant).await?.contains(&named);
            return if is_known { Ok(named) } else { Err(TrailError::NoSuchRecord) };
        }
        self.may_see_some(&Named { tenant, source: None, table: Some(table), record_id: None })?;
        let mut found = self.store.tables(tenant).await?;
        found.retain(|key| key.table == table && key.source != OWN_SOURCE && self.may_see_some_of(key).is_ok());
        match found.len() {
            0 => Err(TrailError::NoSuchRecord),
            1 => Ok(found.remove(0)),
            _ => Err(TrailError::SeveralSources { sources: found.into_iter().map(|key| key.source).collect() }),
        }
    }

    /// The record, with its source found where the question leaves it open: among those that this reader may see, and
    /// never [`OWN_SOURCE`]. One whose source is named need not exist: see [`Trail::known`].
    pub(super) async fn resolve(&self, query: &RecordQuery) -> Result<RecordKey, TrailError> {
        let RecordQuery { tenant, source, table, record_id } = query;
        let record = |source: String| RecordKey {
            tenant: tenant.clone(),
            source,
            table: table.clone(),
            record_id: record_id.clone(),
        };
        if let Some(source) = source {
            let record = record(source.clone());
            return self.may_see(&record).map(|()| record);
        }
        self.may_see_some(&Named { tenant, source: None, table: Some(table), record_id: Some(record_id) })?;
        let sources = self.store.sources(tenant, table, record_id).await?.into_iter();
        let mut found: Vec<RecordKey> = sources.filter(|source| source != OWN_SOURCE).map(record).collect();
        found.retain(|record| self.grants.allow(record));
        match found.len() {
            0 => Err(TrailError::NoSuchRecord),
            1 => Ok(found.remove(0)),
            _ => Err(TrailError::SeveralSources { sources: found.into_iter().map(|record| record.source).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use afterimage_event::Op;

    use super::*;
    use crate::conformance::{Telling, moment};
    use crate::{Arrival, Listing, Lookup, MemoryStore, Store};

    fn grant(source: Option<&str>, table: Option<&str>, record: Option<&str>) -> Grant {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Grant {
            tenant: Some("acme".into()),
            source: owned(source),
            table: owned(table),
            record_id: record.map(|record| vec![record.to_owned()]),
        }
    }

    #[tokio::test]
    async fn the_source_of_a_table_is_found_among_those_that_may_be_seen_and_never_our_own() {
        let told = |id: &str, source: &str, table: &str| {
            Telling::new("acme", id, Op::Insert, 1).images("", "{}").source(source).record(table, ["r"])
        };
        let trail = trail(&[
            told("a", "shop", "orders"),
            told("b", OWN_SOURCE, "orders"),
            told("c", "shop", "users"),
            told("d", "crm", "users"),
            told("e", OWN_SOURCE, "secrets"),
        ])
        .await;
        let source = async |trail: &Trail, table: &str| trail.table("acme", None, table).await.map(|key| key.source);
        assert_eq!(source(&trail, "orders").await.unwrap(), "shop");
        let several = source(&trail, "users").await.unwrap_err();
        assert!(matches!(several, TrailError::SeveralSources { sources } if sources == ["crm", "shop"]));
        assert!(matches!(source(&trail, "secrets").await, Err(TrailError::NoSuchRecord)));
        let reader = trail.for_reader(Grants::of(vec![grant(Some("crm"), Some("users"), None)]));
        assert_eq!(source(&reader, "users").await.unwrap(), "crm");
        // Whether it exists is not told.
        assert!(matches!(source(&reader, "orders").await, Err(TrailError::NotGranted)));
        assert!(matches!(source(&reader, "nowhere").await, Err(TrailError::NotGranted)));
    }

    async fn trail(tellings: &[Telling]) -> Trail {
        let store = MemoryStore::new();
        let arrival = Arrival { worker: "w".into(), at: moment(100) };
        let entries: Vec<_> = tellings.iter().map(Telling::entry).collect();
        for result in store.append(&entries, &arrival).await {
            result.unwrap();
        }
        Trail::with_clock(Arc::new(store) as Arc<dyn Lookup>, || moment(200))
    }

    fn query(tenant: &str, source: Option<&str>, table: &str, record: &str) -> RecordQuery {
        RecordQuery {
            tenant: tenant.into(),
            source: source.map(str::to_owned),
            table: table.into(),
            record_id: vec![record.to_owned()],
        }
    }

    fn insert(id: &str, source: &str, table: &str, record: &str) -> Telling {
        Telling::new("acme", id, Op::Insert, 1).source(source).record(table, [record]).images("", r#"{"x":1}"#)
    }

    #[tokio::test]
    async fn what_is_named_and_not_granted_is_refused_whether_or_not_it_exists() {
        let trail = trail(&[insert("a", "s", "users", "1"), insert("b", "s", "orders", "1")]).await;
        let reader = trail.for_reader(Grants::of(vec![
            grant(Some("s"), Some("users"), None),
            grant(None, Some("orders"), Some("2")),
        ]));
        let refused = [
            query("acme", Some("s"), "orders", "1"),
            query("acme", Some("s"), "orders", "none"),
            query("acme", None, "orders", "1"),
            query("acme", Some("other"), "users", "1"),
            query("other", Some("s"), "users", "1"),
            query("other", None, "users", "1"),
        ];
        for query in refused {
            let history = reader.history(&query, &Listing::default()).await;
            assert!(matches!(history, Err(TrailError::NotGranted)), "{query:?}");
            assert!(matches!(reader.state(&query, moment(9)).await, Err(TrailError::NotGranted)), "{query:?}");
        }
        for query in [query("acme", Some("s"), "users", "1"), query("acme", None, "users", "1")] {
            assert_eq!(reader.history(&query, &Listing::default()).await.unwrap().items.len(), 1);
        }
        // Granted, and not there.
        let absent = reader.history(&query("acme", Some("x"), "orders", "2"), &Listing::default()).await;
        assert!(matches!(absent, Err(TrailError::NoSuchRecord)));
        let nobody = trail.for_reader(Grants::default());
        let answer = nobody.state(&query("acme", Some("s"), "users", "1"), moment(9)).await;
        assert!(matches!(answer, Err(TrailError::NotGranted)));
    }

    #[tokio::test]
    async fn sources_that_may_not_be_seen_make_nothing_ambiguous_and_are_not_named() {
        let sources = ["s", "secret", OWN_SOURCE, "t"];
        let trail = trail(&sources.map(|source| insert("a", source, "users", "1"))).await;
        let open = query("acme", None, "users", "1");
        let reader = |sources: &[&str]| {
            let grants = sources.iter().map(|source| grant(Some(source), None, None)).collect();
            trail.for_reader(Grants::of(grants))
        };
        let one = reader(&["s"]).history(&open, &Listing::default()).await.unwrap();
        assert_eq!(one.items[0].source, "s");
        let several = async |trail: &Trail| match trail.history(&open, &Listing::default()).await {
            Err(TrailError::SeveralSources { sources }) => sources,
            other => panic!("{other:?}"),
        };
        assert_eq!(several(&reader(&["s", "t"])).await, ["s", "t"]);
        assert_eq!(several(&trail).await, ["s", "secret", "t"]);
        let absent = reader(&["elsewhere"]).history(&open, &Listing::default()).await;
        assert!(matches!(absent, Err(TrailError::NoSuchRecord)), "as if nobody had it");
        let own = query("acme", Some(OWN_SOURCE), "users", "1");
        assert_eq!(trail.history(&own, &Listing::default()).await.unwrap().items.len(), 1);
    }

    #[tokio::test]
    async fn who_asked_about_a_table_is_granted_by_name_alone() {
        let own = |table: &str| insert("a", OWN_SOURCE, table, "1");
        let trail = trail(&[own("users"), own("*"), insert("b", "s", "users", "1")]).await;
        let looked = query("acme", Some(OWN_SOURCE), "users", "1");
        let by =
            |source: Option<&str>, table: Option<&str>| trail.for_reader(Grants::of(vec![grant(source, table, None)]));
        for reader in [by(None, None), by(None, Some("users")), by(Some("s"), None)] {
            let history = reader.history(&looked, &Listing::default()).await;
            assert!(matches!(history, Err(TrailError::NotGranted)));
            let table = TableKey { tenant: "acme".into(), source: OWN_SOURCE.into(), table: "users".into() };
            assert!(!reader.grants().allow_table(&table));
        }
        for reader in [by(Some(OWN_SOURCE), None), by(Some(OWN_SOURCE), Some("users")), trail.clone()] {
            assert_eq!(reader.history(&looked, &Listing::default()).await.unwrap().items.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_reader_of_one_record_learns_that_its_table_was_truncated() {
        let truncate = Telling::new("acme", "b", Op::Truncate, 5).record("users", []);
        let trail = trail(&[insert("a", "s", "users", "1"), truncate]).await;
        let reader = trail.for_reader(Grants::of(vec![grant(None, Some("users"), Some("1"))]));
        let mine = query("acme", None, "users", "1");
        assert_eq!(reader.state(&mine, moment(9)).await.unwrap().exists, Some(false));
        assert_eq!(reader.history(&mine, &Listing::default()).await.unwrap().items.len(), 1);
        let table = RecordQuery { record_id: vec![], ..mine };
        assert!(matches!(reader.history(&table, &Listing::default()).await, Err(TrailError::NotGranted)));
    }
}
