use std::collections::BTreeSet;

use afterimage_event::Op;

use super::{DIRECTIONS, Suite, Telling, ids, moment};
use crate::{Flag, Index, IndexRow, LIMIT_MAX, Listing, RecordQuery, RowRange, TableKey, Trail, TrailError};

fn insert(tenant: &str, id: &str, second: i64) -> Telling {
    Telling::new(tenant, id, Op::Insert, second).images("", &format!(r#"{{"id":"{id}"}}"#))
}

/// Nothing shows what has expired, from that very moment on.
pub async fn what_has_expired_is_not_shown(suite: &Suite) {
    let tenant = suite.tenant("expiry");
    let told = [
        insert(&tenant, "a", 10).expires(110),
        Telling::new(&tenant, "b", Op::Update, 20).images(r#"{"id":"a"}"#, r#"{"id":"b"}"#).expires(120),
        Telling::new(&tenant, "c", Op::Access, 30),
    ];
    suite.tell(&told.each_ref().map(Telling::entry)).await;
    let query = told[0].query();
    for (now, shown) in [(109, &["c", "b", "a"][..]), (110, &["c", "b"]), (119, &["c", "b"]), (120, &["c"])] {
        let trail = Trail::with_clock(std::sync::Arc::clone(&suite.store), move || moment(now));
        for limit in [1, 100] {
            let mut listing = Listing { limit, ..Listing::default() };
            let mut items = Vec::new();
            loop {
                let page = trail.history(&query, &listing).await.expect("a page");
                items.extend(page.items);
                listing.cursor = page.next;
                if listing.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(ids(&items), shown, "at {now}");
        }
        let state = trail.state(&query, moment(15)).await.expect("a state");
        if now < 110 {
            assert_eq!(state.exists, Some(true));
            assert_eq!(state.as_of, Some(moment(10)));
        } else {
            assert_eq!((state.exists, state.state.is_none()), (None, true));
            assert_eq!(state.flags, [Flag::Expired]);
        }
    }
}

/// A record call needs no source where one source has the record; where several have, it lists them.
pub async fn sources_are_listed_and_asked_for(suite: &Suite) {
    let tenant = suite.tenant("sources");
    let told = [
        insert(&tenant, "1", 1).source("orders"),
        insert(&tenant, "2", 2).source("billing"),
        insert(&tenant, "3", 3).source("Zürich"),
        insert(&tenant, "4", 4).source("orders"),
        insert(&tenant, "5", 5).source("alone").record("t", ["own"]),
        insert(&tenant, "6", 6).source("elsewhere").record("T", ["r"]),
    ];
    suite.tell(&told.each_ref().map(Telling::entry)).await;
    let sources = async |table: &str, id: &[&str]| {
        let id: Vec<String> = id.iter().map(|&part| part.to_owned()).collect();
        suite.store.sources(&tenant, table, &id).await.expect("sources")
    };
    assert_eq!(sources("t", &["r"]).await, ["Zürich", "billing", "orders"]);
    assert_eq!(sources("t", &["own"]).await, ["alone"]);
    assert!(sources("t", &["nobody"]).await.is_empty());
    assert!(sources("nothing", &["r"]).await.is_empty());

    let trail = suite.trail();
    let open = |telling: &Telling| RecordQuery { source: None, ..telling.query() };
    match trail.history(&open(&told[0]), &Listing::default()).await {
        Err(TrailError::SeveralSources { sources }) => assert_eq!(sources, ["Zürich", "billing", "orders"]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(trail.state(&open(&told[0]), moment(9)).await, Err(TrailError::SeveralSources { .. })));
    let page = trail.history(&open(&told[4]), &Listing::default()).await.expect("a page");
    assert_eq!((ids(&page.items), page.items[0].source.as_str()), (vec!["5"], "alone"));
    // Whether or not a source is named: what nobody ever told of is not what was deleted, or has nothing in a period.
    for source in [None, told[0].query().source, Some("unheard of".to_owned())] {
        let nobody = RecordQuery { source, record_id: vec!["nobody".into()], ..told[0].query() };
        let page = Listing::default();
        assert!(matches!(trail.history(&nobody, &page).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        assert!(matches!(trail.states(&nobody, &page).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        assert!(matches!(trail.gaps(&nobody, &page).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        assert!(matches!(trail.state(&nobody, moment(9)).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        assert!(matches!(trail.diff(&nobody, moment(8), moment(9)).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        assert!(matches!(trail.revert(&nobody, moment(9)).await, Err(TrailError::NoSuchRecord)), "{nobody:?}");
        let states = trail.states_at(&[nobody], moment(9)).await.expect("states");
        assert!(states[0].state.is_none() && states[0].reason.is_some(), "{states:?}");
        let (unheard, source) = ("unheard of", told[0].query().source);
        let table = trail.table(&tenant, source.as_deref(), unheard).await;
        assert!(matches!(table, Err(TrailError::NoSuchRecord)), "{table:?}");
    }
    let known = told[0].query();
    assert_eq!(trail.state(&known, moment(-9)).await.expect("a state").exists, Some(false));
    let later = Listing { from: Some(moment(1_000)), ..Listing::default() };
    assert!(trail.history(&known, &later).await.expect("a page").items.is_empty());
    assert!(trail.states(&known, &later).await.expect("a page").items.is_empty());
    assert!(trail.gaps(&known, &later).await.expect("a page").items.is_empty());
}

/// Names that a store may read as something else: as a path, an operator, an end of text, a separator, an order.
pub(super) const ODD_NAMES: [&str; 21] = [
    "a.b",
    "$set",
    "",
    " ",
    "ключ",
    "🗝",
    "a,b",
    "a%2Cb",
    "a/b",
    "~1",
    "\u{0}",
    "a\u{0}b",
    "\"",
    "\\",
    "'; DROP TABLE entry; --",
    "null",
    "[]",
    "é",
    "e\u{301}",
    "\u{10ffff}",
    "\n",
];

/// Names are what their producers chose: dots, dollars, any script, nothing at all, separators, NUL, very long ones.
pub async fn odd_names_come_back_as_they_were(suite: &Suite) {
    let tenant = suite.tenant("odd");
    let long = "x".repeat(3_000);
    let mut told = Vec::new();
    for (n, name) in (1..).zip(ODD_NAMES.into_iter().chain([long.as_str()])) {
        let quoted = serde_json::Value::from(name).to_string();
        let image = format!(r#"{{{quoted}:{quoted},"$":{{"":{{"$a.b":"\u0000"}}}}}}"#);
        let telling = |id: String| Telling::new(&tenant, &id, Op::Insert, n).images("", &image);
        told.push(telling(format!("id {name}")).record("t", [name]));
        told.push(telling(format!("two {name}")).record("t", [name, name]));
        told.push(telling(format!("table {name}")).record(name, ["r"]));
        told.push(telling(format!("source {name}")).record("t", ["r"]).source(name));
    }
    told.push(Telling::new(&tenant, "no parts", Op::Ddl, 99).record("t", []));
    suite.tell(&told.iter().map(Telling::entry).collect::<Vec<_>>()).await;
    for telling in &told {
        let entry = telling.entry();
        let history = suite.history(&telling.query()).await;
        assert_eq!(ids(&history), [entry.identity.event_id.as_str()]);
        let item = &history[0];
        assert_eq!(
            (&item.source, &item.table, &item.record_id),
            (&entry.record.source, &entry.record.table, &entry.record.record_id)
        );
        assert_eq!(item.changed, entry.changed);
        let rows = suite.store.rows(&Index::Record(telling.record_key()), &whole(10)).await.expect("rows");
        assert_eq!(rows, [IndexRow::from(&*entry)]);
    }
    // A tenant that looks like another one is another one.
    let twin = insert(&format!("{tenant} "), "id", 1);
    let nobody = suite.trail().history(&twin.query(), &Listing::default()).await;
    assert!(matches!(nobody, Err(TrailError::NoSuchRecord)), "{nobody:?}");
}

fn whole(limit: usize) -> RowRange {
    RowRange { from: None, to: None, past: None, direction: crate::Direction::Ascending, limit }
}

/// Images of 1 MiB come back byte for byte, and a page of them ends early rather than growing without bound.
pub async fn big_images_come_back_whole(suite: &Suite) {
    let tenant = suite.tenant("big");
    let image = |n: usize| format!(r#"{{"n":{n},"text":"{}"}}"#, "é\\u0000".repeat((1 << 20) / 8));
    let told: Vec<_> = (0..20)
        .map(|n| {
            let second = i64::try_from(n).unwrap_or(0);
            Telling::new(&tenant, &format!("e{n:02}"), Op::Update, second).images(&image(n), &image(n + 1))
        })
        .collect();
    for telling in &told {
        suite.tell(&[telling.entry()]).await;
    }
    let trail = suite.trail();
    let query = told[0].query();
    let page = trail.history(&query, &Listing::default()).await.expect("a page");
    assert!(page.items.len() < told.len() && page.next.is_some(), "{} items", page.items.len());
    let all = suite.history(&query).await;
    assert_eq!(all.len(), told.len());
    for (item, n) in all.iter().rev().zip(1..) {
        assert_eq!(item.after.as_ref().expect("an image").get(), image(n));
    }
    let state = trail.state(&query, moment(7)).await.expect("a state").state.expect("an image");
    assert_eq!(state.get(), image(8));
}

/// One record that changes all the time: every entry is there, in order, in partitions that stay within bounds.
pub async fn a_hot_record_is_read_back_right(suite: &Suite) {
    let tenant = suite.tenant("hot record");
    let telling = |n: usize| {
        // Every time comes twice, as in a transaction, and now and then the clock jumps by a day.
        let second = i64::try_from(n / 2 + n / 1_000 * 86_400).unwrap_or(0);
        Telling::new(&tenant, &format!("e{n:06}"), Op::Snapshot, second).images("", &format!(r#"{{"n":{n}}}"#))
    };
    hot(suite, telling, |telling| {
        let record = telling.record_key();
        async move {
            suite.store.rows(&Index::Record(record.clone()), &whole(suite.hot_entries + 1)).await.expect("rows").len()
        }
    })
    .await;
    let items = suite.history(&telling(0).query()).await;
    assert_eq!(items.len(), suite.hot_entries);
    assert!(items.is_sorted_by(|newer, older| newer.id > older.id));
    let middle = suite.hot_entries / 2;
    let at = telling(middle).entry().occurred_at;
    let state = suite.trail().state(&telling(0).query(), at).await.expect("a state");
    assert_eq!(state.state.expect("an image").get(), format!(r#"{{"n":{}}}"#, middle | 1));
}

/// One table whose records change all the time, many in the same microsecond.
pub async fn a_hot_table_is_read_back_right(suite: &Suite) {
    let tenant = suite.tenant("hot table");
    let telling = |n: usize| {
        let second = i64::try_from(n / 700).unwrap_or(0);
        let record = format!("r{}", n % 997);
        Telling::new(&tenant, &format!("e{n:06}"), Op::Snapshot, second)
            .images("", r#"{"n":1}"#)
            .record("t", [record.as_str()])
    };
    hot(suite, telling, |_| async { suite.hot_entries }).await;
    let record = telling(0).record_key();
    let table = TableKey { tenant: record.tenant, source: record.source, table: record.table };
    for direction in DIRECTIONS {
        let mut range = RowRange { direction, ..whole(LIMIT_MAX) };
        let mut seen = Vec::with_capacity(suite.hot_entries);
        loop {
            let rows = suite.store.rows(&Index::Table(table.clone()), &range).await.expect("rows");
            range.past = rows.last().map(IndexRow::order_key);
            let ended = rows.len() < range.limit;
            seen.extend(rows.into_iter().map(|row| row.identity.event_id));
            if ended {
                break;
            }
        }
        assert_eq!(seen.len(), suite.hot_entries);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), suite.hot_entries);
        assert!(seen.is_sorted() || seen.iter().rev().is_sorted());
    }
}

async fn hot<F: Future<Output = usize>>(
    suite: &Suite,
    telling: impl Fn(usize) -> Telling,
    count: impl FnOnce(Telling) -> F,
) {
    let entries: Vec<_> = (0..suite.hot_entries).rev().map(|n| telling(n).entry()).collect();
    suite.tell(&entries).await;
    assert_eq!(count(telling(0)).await, suite.hot_entries);
    suite.check_partitions(telling(0).record_key()).await;
}
