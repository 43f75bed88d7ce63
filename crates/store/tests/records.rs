//! The questions about records, where random histories do not reach: grants, ties, quiet and redacted values, tests in
//! front of what is undone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use afterimage_diff::Images;
use afterimage_event::Op;
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{
    Arrival, CursorError, Direction, Filter, Grant, Grants, Listing, Lookup, MemoryStore, RecordQuery, RecordStep,
    Store, TableKey, Trail, TrailError,
};

async fn trail(tellings: &[Telling]) -> Trail {
    let store = MemoryStore::new();
    let arrival = Arrival { worker: "w".into(), at: moment(100) };
    let entries: Vec<_> = tellings.iter().map(Telling::entry).collect();
    for result in store.append(&entries, &arrival).await {
        result.unwrap();
    }
    Trail::with_clock(Arc::new(store) as Arc<dyn Lookup>, || moment(200))
}

fn update(id: &str, second: i64, before: &str, after: &str) -> Telling {
    Telling::new("t", id, Op::Update, second).images(before, after)
}

fn insert(id: &str, record: &str) -> Telling {
    Telling::new("t", id, Op::Insert, 1).record("t", [record]).images("", r#"{"n":1}"#)
}

fn table() -> TableKey {
    TableKey { tenant: "t".into(), source: "s".into(), table: "t".into() }
}

async fn gap_ids(trail: &Trail) -> Vec<(String, bool)> {
    let listing = Listing { order: Direction::Ascending, ..Listing::default() };
    let page = trail.table_gaps(&table(), &listing).await.unwrap();
    page.items.into_iter().map(|gap| (gap.before_id, gap.certain)).collect()
}

#[tokio::test]
async fn no_question_about_records_reads_past_a_grant() {
    let told = [
        insert("a", "mine"),
        insert("b", "theirs"),
        update("c", 5, r#"{"n":7}"#, r#"{"n":8}"#).record("t", ["mine"]),
        update("d", 6, r#"{"n":7}"#, r#"{"n":8}"#).record("t", ["theirs"]),
    ];
    let all = trail(&told).await;
    let grant = Grant { table: Some("t".into()), record_id: Some(vec!["mine".into()]), ..Grant::default() };
    let reader = all.for_reader(Grants::of(vec![grant]));
    let (mine, theirs) = (told[0].query(), told[1].query());
    let listing = Listing::default();
    for query in [theirs.clone(), RecordQuery { source: None, ..theirs.clone() }] {
        assert!(matches!(reader.states(&query, &listing).await, Err(TrailError::NotGranted)));
        assert!(matches!(reader.gaps(&query, &listing).await, Err(TrailError::NotGranted)));
        assert!(matches!(reader.diff(&query, moment(1), moment(9)).await, Err(TrailError::NotGranted)));
        assert!(matches!(reader.revert(&query, moment(1)).await, Err(TrailError::NotGranted)));
        let together = reader.states_at(&[mine.clone(), query.clone()], moment(9)).await;
        assert!(matches!(together, Err(TrailError::NotGranted)));
        assert!(matches!(reader.history(&query, &listing).await, Err(TrailError::NotGranted)));
    }
    assert_eq!(reader.states(&mine, &listing).await.unwrap().items.len(), 2);
    assert!(reader.revert(&mine, moment(1)).await.is_ok());
    assert_eq!(gap_ids(&all).await, [("c".to_owned(), true), ("d".to_owned(), true)]);
    assert_eq!(gap_ids(&reader).await, [("c".to_owned(), true)]);
    let filter = Filter { tenant: "t".into(), ..Filter::default() };
    let seen = reader.changes(&filter, &listing).await.unwrap().items;
    assert_eq!(seen.iter().map(|entry| &entry.record_id).collect::<Vec<_>>(), [&["mine"], &["mine"]]);
    let nobody = all.for_reader(Grants::default());
    assert!(matches!(nobody.table_gaps(&table(), &listing).await, Err(TrailError::NotGranted)));
}

#[tokio::test]
async fn a_cursor_of_one_question_is_refused_by_the_others() {
    let told = [insert("a", "r"), update("b", 2, "{}", "{}").data(1), update("c", 3, r#"{"n":2}"#, "{}").data(2)];
    let trail = trail(&told).await;
    let query = told[0].query();
    let listing = Listing { limit: 1, ..Listing::default() };
    let next = |cursor: Option<String>| Listing { cursor, ..listing.clone() };
    let states = trail.states(&query, &listing).await.unwrap().next;
    let history = trail.history(&query, &listing).await.unwrap().next;
    assert!(states.is_some() && history.is_some());
    for answer in [
        trail.states(&query, &next(history)).await.map(|_| ()),
        trail.history(&query, &next(states.clone())).await.map(|_| ()),
        trail.gaps(&query, &next(states.clone())).await.map(|_| ()),
        trail.table_gaps(&table(), &next(states)).await.map(|_| ()),
    ] {
        assert!(matches!(answer, Err(TrailError::Cursor(CursorError::OtherFilters))), "{answer:?}");
    }
}

#[tokio::test]
async fn entries_that_tie_are_put_in_the_order_that_leaves_no_gap() {
    let image = |n: u8| format!(r#"{{"n":{n}}}"#);
    let step = |id: &str, second, from, to| update(id, second, &image(from), &image(to)).record("t", ["r"]);
    // By their ids z comes last, by their images first.
    let fits = [insert("a", "r"), step("z", 5, 1, 2), step("b", 5, 2, 3), step("c", 6, 3, 4)];
    assert_eq!(gap_ids(&trail(&fits).await).await, []);
    let misses = [insert("a", "r"), step("z", 5, 1, 2), step("b", 5, 3, 4), step("c", 6, 4, 5)];
    assert_eq!(gap_ids(&trail(&misses).await).await, [("b".to_owned(), false)]);
    // A truncate of the same moment may have come before or after.
    let truncate = Telling::new("t", "t", Op::Truncate, 5).record("t", []);
    let doubtful = [insert("a", "r"), truncate, step("z", 5, 1, 2)];
    assert_eq!(gap_ids(&trail(&doubtful).await).await, []);
}

#[tokio::test]
async fn without_images_only_existence_tells_of_a_gap() {
    let told = [
        insert("a", "r"),
        Telling::new("t", "b", Op::Update, 2).record("t", ["r"]),
        Telling::new("t", "c", Op::Delete, 3).record("t", ["r"]),
        Telling::new("t", "d", Op::Update, 4).record("t", ["r"]),
        Telling::new("t", "e", Op::Insert, 5).record("t", ["r"]),
        Telling::new("t", "late", Op::Update, 5).record("t", ["late"]),
    ];
    let found = gap_ids(&trail(&told).await).await;
    assert_eq!(found, [("d".to_owned(), true), ("e".to_owned(), true)]);
}

#[tokio::test]
async fn what_is_undone_is_tested_first() {
    let (one, two) = (r#"{"a":{"b":1.50},"gone":[1],"c":1}"#, r#"{"a":{"b":2},"c":1,"new":0}"#);
    let told = [Telling::new("t", "a", Op::Insert, 1).images("", one), update("b", 2, one, two)];
    let trail = trail(&told).await;
    let view = trail.revert(&told[0].query(), moment(1)).await.unwrap();
    assert_eq!(view.record, RecordStep::None);
    let patch: json_patch::Patch = serde_json::from_str(view.patch.get()).unwrap();
    let now: serde_json::Value = serde_json::from_str(two).unwrap();
    let mut undone = now.clone();
    json_patch::patch(&mut undone, &patch).unwrap();
    assert_eq!(undone, serde_json::from_str::<serde_json::Value>(one).unwrap(), "to the last digit");
    for (pointer, other) in [("/a/b", 3), ("/new", 1)] {
        let mut moved_on = now.clone();
        *moved_on.pointer_mut(pointer).unwrap() = other.into();
        assert!(json_patch::patch(&mut moved_on, &patch).is_err(), "{pointer}");
    }
    // Since then it was made: it is removed only as it was seen.
    let view = trail.revert(&told[0].query(), moment(0)).await.unwrap();
    assert_eq!(view.record, RecordStep::Delete);
    assert_eq!(
        view.patch.get(),
        r#"[{"op":"test","path":"/a/b","value":2},{"op":"test","path":"/c","value":1},{"op":"test","path":"/new","value":0}]"#
    );
    let absent = trail.diff(&told[0].query(), moment(-5), moment(0)).await.unwrap();
    assert_eq!((absent.record, absent.patch.get()), (RecordStep::Absent, "[]"));
}

#[tokio::test]
async fn states_that_are_folded_are_the_same_in_pages_either_way_round() {
    let image = |n: i64| format!(r#"{{"n":{n}}}"#);
    let mut told = vec![insert("0", "r").policy(Images::Changes, true)];
    for n in 2..=400 {
        let changes = format!(r#"[{{"path":"/n","old":{},"new":{n}}}]"#, n - 1);
        let telling = update(&n.to_string(), n, &image(n - 1), &image(n)).record("t", ["r"]).changes(&changes);
        told.push(telling.policy(Images::Changes, false));
    }
    let trail = trail(&told).await;
    for order in [Direction::Ascending, Direction::Descending] {
        let mut listing = Listing { limit: 50, order, ..Listing::default() };
        let mut seen = Vec::new();
        loop {
            let page = trail.states(&told[0].query(), &listing).await.unwrap();
            seen.extend(page.items.into_iter().map(|step| step.state.unwrap().state.unwrap().get().to_owned()));
            match page.next {
                Some(next) => listing.cursor = Some(next),
                None => break,
            }
        }
        let mut expected: Vec<String> = (1..=400).map(image).collect();
        if order == Direction::Descending {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{order:?}");
    }
}
