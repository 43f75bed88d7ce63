use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use afterimage_event::{Actor, Op};

use super::limits::ODD_NAMES;
use super::order::{expected_rows, table_of};
use super::{DIRECTIONS, Suite, Telling, moment};
use crate::{
    Direction, Entry, FIELDS_INDEXED_MAX, Facet, Identity, Index, IndexRow, OWN_SOURCE, OWN_TERM, RowRange,
    TERM_BYTES_MAX, TableKey, VERSIONS_MAX,
};

/// An update of the names `a` and `b`, with a term in every facet.
fn update(tenant: &str, id: &str, second: i64) -> Telling {
    Telling::new(tenant, id, Op::Update, second)
        .images(r#"{"a":0,"b":0}"#, &format!(r#"{{"a":"{id}","b":1}}"#))
        .actor(person("42", "ann@example.com"))
        .transaction("tx")
        .context(r#"{"requestId":"r-1","migration":"m-1"}"#)
}

fn person(id: &str, email: &str) -> Actor {
    Actor { id: Some(id.to_owned()), email: Some(email.to_owned()), ..Actor::default() }
}

fn entries(told: &[Telling]) -> Vec<Arc<Entry>> {
    told.iter().map(Telling::entry).collect()
}

fn whole(direction: Direction) -> RowRange {
    RowRange { from: None, to: None, past: None, direction, limit: 1_000 }
}

/// What each index holds, by the law: the entries that say they stand in it, in order.
fn expected_indexes(entries: &[Arc<Entry>]) -> BTreeMap<Index, Vec<Arc<Entry>>> {
    let mut indexes: BTreeMap<Index, Vec<Arc<Entry>>> = BTreeMap::new();
    for entry in entries {
        for index in entry.indexes() {
            indexes.entry(index).or_default().push(Arc::clone(entry));
        }
    }
    for of_index in indexes.values_mut() {
        of_index.sort_by_key(|entry| entry.order_key());
    }
    indexes
}

impl Suite {
    async fn rows(&self, index: &Index, range: &RowRange) -> Vec<IndexRow> {
        self.store.rows(index, range).await.expect("rows")
    }

    /// Every index of these entries, and of nobody else's, has their rows, complete, either way round.
    async fn assert_indexes(&self, entries: &[Arc<Entry>]) {
        for (index, of_index) in expected_indexes(entries) {
            for direction in DIRECTIONS {
                let range = whole(direction);
                assert_eq!(self.rows(&index, &range).await, expected_rows(&of_index, &range), "{index:?}");
            }
        }
    }

    async fn assert_empty(&self, index: &Index) {
        assert_eq!(self.rows(index, &whole(Direction::Ascending)).await, [], "{index:?}");
    }
}

/// Each index that an entry stands in is ranged as a record and a table are, over any distance in time, and its rows say
/// who made the entry and in the course of what.
pub async fn every_index_is_ranged_exactly(suite: &Suite) {
    const DAY: i64 = 86_400;
    let tenant = suite.tenant("indexes");
    let wide: Vec<String> = (0..=FIELDS_INDEXED_MAX).map(|n| format!("f{n}")).collect();
    let mut told = Vec::new();
    for (n, second) in (0..).zip([-400 * DAY, -40 * DAY, -3_600, 0, 0, 0, 1, 3_599, 7_200, 40 * DAY]) {
        told.push(update(&tenant, &format!("narrow {n}"), second));
        let odd = update(&tenant, &format!("wide {n}"), second).changed_names(wide.iter().map(String::as_str));
        told.push(if n % 2 == 0 { odd.position("7").record("t", ["q"]) } else { odd });
        let op = [Op::Insert, Op::Delete, Op::Snapshot, Op::Access][n % 4];
        told.push(update(&tenant, &format!("op {n}"), second).op(op));
    }
    let all = entries(&told);
    suite.tell(&all).await;

    let bounds = |seconds: [Option<i64>; 3]| seconds.map(|second| second.map(moment));
    for (index, of_index) in expected_indexes(&all) {
        let middle = of_index[of_index.len() / 2].order_key();
        for from in bounds([None, Some(0), Some(-40 * DAY)]) {
            for to in bounds([None, Some(0), Some(7_200)]) {
                for (past, limit) in [(None, 2), (None, 100), (Some(&middle), 2), (Some(&middle), 100)] {
                    for direction in DIRECTIONS {
                        let range = RowRange { from, to, past: past.cloned(), direction, limit };
                        assert_eq!(
                            suite.rows(&index, &range).await,
                            expected_rows(&of_index, &range),
                            "{index:?} {range:?}"
                        );
                    }
                }
            }
        }
        assert_eq!(
            walked(suite, &index, 3).await,
            expected_rows(&of_index, &whole(Direction::Descending)),
            "{index:?}"
        );
    }
}

/// An index read in pages, each past the last row of the one before.
async fn walked(suite: &Suite, index: &Index, limit: usize) -> Vec<IndexRow> {
    let mut range = RowRange { limit, ..whole(Direction::Descending) };
    let mut found = Vec::new();
    loop {
        let rows = suite.rows(index, &range).await;
        range.past = rows.last().map(IndexRow::order_key);
        let ended = rows.len() < limit;
        found.extend(rows);
        if ended {
            return found;
        }
    }
}

/// One term is something else in another tenant, and names and operations are in another table or source.
pub async fn equal_terms_stay_apart(suite: &Suite) {
    let tenants = ["apart", "apart "].map(|law| suite.tenant(law));
    let mut told = Vec::new();
    for (tenant, source, table) in tenants
        .iter()
        .flat_map(|tenant| ["s", "S"].map(|source| (tenant, source)))
        .flat_map(|(tenant, source)| ["t", "tt"].map(|table| (tenant, source, table)))
    {
        let id = format!("{source} {table}");
        let update = update(tenant, &id, 1).source(source).record(table, ["r"]);
        told.push(update.clone().op(Op::Insert));
        told.push(update.transaction("r-1").actor(person("tx", "m-1")));
    }
    let all = entries(&told);
    suite.tell(&all).await;
    suite.assert_indexes(&all).await;
    // Across tables and sources, each facet by itself.
    let [tenant, other] = &tenants;
    for (facet, term, rows) in [
        (Facet::Request, "r-1", 8),
        (Facet::Transaction, "r-1", 4),
        (Facet::Transaction, "tx", 4),
        (Facet::Actor, "tx", 4),
        (Facet::Actor, "m-1", 4),
        (Facet::Migration, "m-1", 8),
        (Facet::Actor, "r-1", 0),
        (Facet::Request, "m-1", 0),
        (Facet::Request, "R-1", 0),
        (Facet::Request, "", 0),
    ] {
        for tenant in [tenant, other] {
            let index = Index::Facet { tenant: tenant.clone(), facet, term: term.to_owned() };
            assert_eq!(suite.rows(&index, &whole(Direction::Ascending)).await.len(), rows, "{index:?}");
        }
    }
}

/// An index in which nobody stands is empty, whichever part of its key nobody has.
pub async fn an_index_of_nobody_is_empty(suite: &Suite) {
    let tenant = suite.tenant("nobody");
    suite.tell(&[update(&tenant, "e", 1).entry()]).await;
    let table = table_of(&update(&tenant, "e", 1).record_key());
    let others = [
        TableKey { tenant: "nobody".to_owned(), ..table.clone() },
        TableKey { source: "nobody".to_owned(), ..table.clone() },
        TableKey { table: "nobody".to_owned(), ..table.clone() },
    ];
    for other in &others {
        suite.assert_empty(&Index::Table(other.clone())).await;
        suite.assert_empty(&Index::Op(other.clone(), Op::Update)).await;
        suite.assert_empty(&Index::Field(other.clone(), "a".to_owned())).await;
    }
    for op in Op::ALL {
        suite.assert_empty(&Index::Op(table.clone(), op)).await;
    }
    for name in ["", "A", "ab", "c", "a "] {
        suite.assert_empty(&Index::Field(table.clone(), name.to_owned())).await;
    }
    for facet in Facet::ALL {
        for (tenant, term) in [(&*tenant, "nobody"), ("nobody", "tx"), ("nobody", "42")] {
            suite.assert_empty(&Index::Facet { tenant: tenant.to_owned(), facet, term: term.to_owned() }).await;
        }
    }
}

/// An update of many names, or of none, costs one row: under its operation. All other operations do anyway.
pub async fn wide_updates_stand_under_their_operation(suite: &Suite) {
    let tenant = suite.tenant("wide");
    let names: Vec<String> = (0..=FIELDS_INDEXED_MAX).map(|n| format!("f{n}")).collect();
    let of = |id: &str, count: usize| update(&tenant, id, 1).changed_names(names[..count].iter().map(String::as_str));
    let narrow = of("narrow", FIELDS_INDEXED_MAX).entry();
    let (wide, none) = (of("wide", FIELDS_INDEXED_MAX + 1).entry(), of("none", 0).entry());
    let insert = of("insert", 2).op(Op::Insert).entry();
    let all = [&narrow, &wide, &none, &insert].map(Arc::clone);
    suite.tell(&all).await;
    suite.assert_indexes(&all).await;

    let table = table_of(&narrow.record);
    let ids = async |index: Index| {
        let rows = suite.rows(&index, &whole(Direction::Ascending)).await;
        rows.into_iter().map(|row| row.identity.event_id).collect::<BTreeSet<_>>()
    };
    let set = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(ids(Index::Op(table.clone(), Op::Update)).await, set(&["wide", "none"]));
    assert_eq!(ids(Index::Op(table.clone(), Op::Insert)).await, set(&["insert"]));
    for name in &names[..FIELDS_INDEXED_MAX] {
        assert_eq!(ids(Index::Field(table.clone(), name.clone())).await, set(&["narrow"]), "{name}");
    }
    assert_eq!(ids(Index::Field(table, names[FIELDS_INDEXED_MAX].clone())).await, set(&[]));
}

/// Terms are what producers chose, as names are: each is found by itself, and by nothing that looks like it.
pub async fn odd_terms_are_found(suite: &Suite) {
    let tenant = suite.tenant("terms");
    // Ends of long ones that only their digest tells apart, and the longest that is kept as it is.
    let long = ["x", "y"].map(|end| format!("{}{end}", "ö".repeat(TERM_BYTES_MAX)));
    let longest = "ö".repeat(TERM_BYTES_MAX / 2);
    let cases = ["Straße", "STRASSE", "strasse", "Ann", "ANN", "ann", "ann ", "I", "ı", "İ"];
    let terms = ODD_NAMES.into_iter().chain(cases).chain(long.iter().map(String::as_str)).chain([longest.as_str()]);
    let mut told = Vec::new();
    for (n, term) in (0..).zip(terms) {
        let quoted = serde_json::Value::from(term).to_string();
        let telling = update(&tenant, &format!("e{n}"), n % 3)
            .changed_names([term, "shared"])
            .actor(person(term, &format!("{term}@example.com")))
            .transaction(term)
            .context(&format!(r#"{{"request_id":{quoted},"migrationId":{quoted}}}"#));
        told.push(telling);
    }
    let all = entries(&told);
    suite.tell(&all).await;
    suite.assert_indexes(&all).await;
}

/// Told again, an entry has the rows it had; published again or corrected, it has one more in each index of that version.
pub async fn each_version_has_a_row_in_its_indexes(suite: &Suite) {
    let tenant = suite.tenant("rows");
    let told = [
        update(&tenant, "e", 1),
        update(&tenant, "e", 1).published(9),
        update(&tenant, "e", 1).data(7),
        update(&tenant, "e", 1).revision(1).changed_names(["b", "c"]).actor(person("43", "")),
        update(&tenant, "e", 2).revision(2).published(3).transaction("other"),
        // Who asked what does not stand among what somebody did.
        update(&tenant, "own", 3).source(OWN_SOURCE),
        update(&tenant, "own-like", 4).actor(person(&format!("{OWN_TERM}42"), "")),
    ];
    let all = entries(&told);
    suite.tell(&all).await;
    suite.tell(&all).await;
    let by_actor = Index::Facet { tenant: tenant.clone(), facet: Facet::Actor, term: "42".to_owned() };
    let found = suite.rows(&by_actor, &whole(Direction::Ascending)).await;
    assert!(!found.is_empty() && found.iter().all(|row| row.record.source != OWN_SOURCE), "{found:?}");
    suite.assert_indexes(&all).await;
}

/// The tables of a tenant, of every source, in order, and nobody else's.
pub async fn tables_are_listed(suite: &Suite) {
    let tenant = suite.tenant("tables");
    assert_eq!(suite.store.tables(&tenant).await.expect("tables"), []);
    let mut told = Vec::new();
    for (n, (source, table)) in
        (0..).zip([("s", "b"), ("s", "a"), ("ä", "a"), ("s", "B"), ("S", "z"), ("s", "a.b"), ("s", ""), ("", "a")])
    {
        for second in 0..3 {
            let id = format!("e{n} {second}");
            told.push(update(&tenant, &id, second).source(source).record(table, [id.as_str()]));
        }
    }
    for (n, name) in ODD_NAMES.into_iter().enumerate() {
        told.push(update(&tenant, &format!("table {n}"), 1).record(name, ["r"]));
        told.push(update(&tenant, &format!("source {n}"), 1).source(name));
    }
    told.push(update(&tenant, "truncate", 1).record("truncated", []));
    told.push(update(&format!("{tenant} "), "other", 1).record("of another", ["r"]));
    let all = entries(&told);
    suite.tell(&all).await;
    let expected: BTreeSet<TableKey> =
        all.iter().map(|entry| table_of(&entry.record)).filter(|table| table.tenant == tenant).collect();
    assert_eq!(suite.store.tables(&tenant).await.expect("tables"), Vec::from_iter(expected));
}

/// Versions are the identities of contents, for as many of an event as contents gives back.
pub async fn versions_are_the_identities_of_contents(suite: &Suite) {
    let tenant = suite.tenant("versions");
    let mut told = vec![update(&tenant, "one", 1), update(&tenant, "one", 1).source("elsewhere").data(1)];
    for n in 0..u8::try_from(VERSIONS_MAX).unwrap_or(u8::MAX) {
        let many = update(&tenant, "many", 1).data(n).revision(u32::from(n % 3)).published(i64::from(n % 5));
        told.extend([many.clone(), many.published(100)]);
    }
    suite.tell(&entries(&told)).await;
    for source in ["s", "elsewhere", "nowhere"] {
        let ids = ["many", "nobody", "one", "many"].map(str::to_owned);
        let contents = suite.store.contents(&tenant, source, &ids).await.expect("contents");
        let expected: Vec<Vec<Identity>> =
            contents.into_iter().map(|rows| rows.into_iter().map(|row| row.identity).collect()).collect();
        assert_eq!(suite.store.versions(&tenant, source, &ids).await.expect("versions"), expected, "{source}");
        let counts: Vec<usize> = expected.iter().map(Vec::len).collect();
        match source {
            "s" => assert_eq!(counts, [VERSIONS_MAX, 0, 1, VERSIONS_MAX]),
            "elsewhere" => assert_eq!(counts, [0, 0, 1, 0]),
            _ => assert_eq!(counts, [0; 4]),
        }
    }
    assert!(suite.store.versions(&tenant, "s", &[]).await.expect("versions").is_empty());
}
