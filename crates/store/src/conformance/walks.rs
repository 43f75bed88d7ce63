use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use afterimage_event::Op;

use super::brute::Brute;
use super::lists::walk;
use super::{DIRECTIONS, Suite, Telling, ids, moment};
use crate::{CursorError, Direction, Filter, Flag, Listing, Trail, TrailError};

/// A walk over a tenant returns what was there when it began exactly once, while newer and older entries, tables, later
/// tellings and corrections arrive between its pages. Its last 24 hours are those before its first page.
pub async fn a_list_survives_what_arrives_meanwhile(suite: &Suite) {
    for order in DIRECTIONS {
        for limit in [1, 3, 7] {
            list_amid_arrivals(suite, order, limit).await;
        }
    }
}

async fn list_amid_arrivals(suite: &Suite, order: Direction, limit: usize) {
    const DAY_SECONDS: i64 = 86_400;
    let tenant = suite.tenant(&format!("list {order:?} {limit}"));
    let there: Vec<String> = (0..12).map(|n| format!("e{n:02}")).collect();
    // Data is fixed for each, so that the same event at another time is the same entry published again.
    let telling = |n: usize, id: &str, second: i64| {
        let data = u8::try_from(n).expect("a small number");
        let table = format!("table {}", n % 5);
        Telling::new(&tenant, id, Op::Update, second)
            .record(&table, ["r"])
            .images(r#"{"x":1}"#, r#"{"x":2}"#)
            .data(data)
    };
    let of = |n: usize, second: i64| telling(n, &there[n], second);
    let too_old = telling(50, "too old", -1);
    let mut before: Vec<_> = (100..).zip(0..).map(|(second, n)| of(n, second).entry()).take(12).collect();
    before.push(too_old.entry());
    suite.tell_at(&before, moment(1_000)).await;

    let clock = Arc::new(AtomicI64::new(DAY_SECONDS));
    let now = Arc::clone(&clock);
    let trail = Trail::with_clock(Arc::clone(&suite.store), move || moment(now.load(Ordering::Relaxed)));
    let filter = Filter { tenant: tenant.clone(), field: Some("x".into()), ..Filter::default() };
    let mut listing = Listing { order, limit, ..Listing::default() };
    let mut seen = Vec::new();
    for round in 0_usize.. {
        let page = trail.changes(&filter, &listing).await.expect("a page");
        seen.extend(page.items.into_iter().map(|item| item.id));
        let Some(next) = page.next else { break };
        listing.cursor = Some(next);
        assert!(round < 60, "the walk does not end");
        // A minute an hour later, half of what was there is a day old.
        clock.store(DAY_SECONDS + 3_600, Ordering::Relaxed);
        if round < 12 {
            let place = 80 + i64::try_from(round * 7 % 50).unwrap_or(0);
            let arrivals = [
                telling(100 + round, &format!("new {round}"), 200 + place),
                telling(120 + round, &format!("old {round}"), 10 + place / 2),
                of(round * 5 % 12, place).published(place - 100),
                of(round, place).revision(1).published(place + 1),
            ];
            let arrivals: Vec<_> = arrivals.iter().map(Telling::entry).collect();
            suite.tell_at(&arrivals, moment(DAY_SECONDS + 3_600)).await;
        }
    }
    assert!(!seen.contains(&"too old".to_owned()), "{seen:?}");
    seen.retain(|id| there.contains(id));
    seen.sort();
    assert_eq!(seen, there, "{order:?} by {limit}");
}

/// The cursor of a list goes on with the question it came from, and with no other.
pub async fn cursors_of_lists_are_bound_to_their_filters(suite: &Suite) {
    let tenant = suite.tenant("list cursor");
    let told: Vec<_> = (0..4)
        .map(|n| Telling::new(&tenant, &format!("e{n}"), Op::Update, n).images(r#"{"x":1}"#, r#"{"x":2}"#))
        .collect();
    suite.tell(&told.iter().map(Telling::entry).collect::<Vec<_>>()).await;
    let trail = suite.trail();
    let filter = Filter { tenant, ..Filter::default() };
    let first = Listing { from: Some(moment(0)), limit: 2, ..Listing::default() };
    let next = trail.changes(&filter, &first).await.expect("a page").next;
    let resumed = Listing { cursor: next.clone(), limit: 100, ..first.clone() };
    assert_eq!(ids(&trail.changes(&filter, &resumed).await.expect("a page").items), ["e1", "e0"]);
    let text = || Some("x".to_owned());
    let others = [
        (Filter { field: text(), ..filter.clone() }, resumed.clone()),
        (Filter { actor: text(), ..filter.clone() }, resumed.clone()),
        (Filter { ops: vec![Op::Update], ..filter.clone() }, resumed.clone()),
        (filter.clone(), Listing { from: Some(moment(1)), ..resumed.clone() }),
        (filter.clone(), Listing { order: Direction::Ascending, ..resumed.clone() }),
    ];
    for (filter, listing) in others {
        let answer = trail.changes(&filter, &listing).await;
        assert!(matches!(answer, Err(TrailError::Cursor(CursorError::OtherFilters))), "{filter:?} {listing:?}");
    }
    let history = trail.history(&told[0].query(), &resumed).await;
    assert!(matches!(history, Err(TrailError::Cursor(CursorError::OtherFilters))));
}

/// An entry bears the flags of its place in the history of its record, also alone on its page: what stood before two that
/// tie decides between them, unless it has expired.
pub async fn flags_do_not_depend_on_pages(suite: &Suite) {
    let tenant = suite.tenant("flags");
    let (one, two) = (r#"{"x":1}"#, r#"{"x":2}"#);
    let telling = |id: &str, op, second, record, images: [&str; 2]| {
        Telling::new(&tenant, id, op, second).record("t", [record]).images(images[0], images[1])
    };
    let told = [
        telling("a0", Op::Insert, 1, "told by what stood", ["", one]),
        telling("a1", Op::Update, 5, "told by what stood", [one, two]),
        telling("a2", Op::Update, 5, "told by what stood", [two, one]),
        telling("b1", Op::Insert, 5, "begins so", ["", one]),
        telling("b2", Op::Delete, 5, "begins so", [one, ""]),
        telling("c0", Op::Update, 1, "began earlier", [one, one]).expires(9),
        telling("c1", Op::Insert, 5, "began earlier", ["", one]),
        telling("c2", Op::Delete, 5, "began earlier", [one, ""]),
        telling("d1", Op::Update, 5, "goes back", [one, two]).position("7"),
        telling("d2", Op::Update, 6, "goes back", [two, one]).position("6"),
    ];
    let entries: Vec<_> = told.iter().map(Telling::entry).collect();
    suite.tell(&entries).await;
    let brute = Brute::new(&entries, moment(super::READ_AT_SECONDS));
    let flagged: Vec<_> = entries.iter().map(|entry| brute.flags(entry).into_iter().collect::<Vec<_>>()).collect();
    let (doubt, regress) = ([Flag::Ambiguous], [Flag::ClockRegression]);
    let expected: [&[Flag]; 10] = [&[], &[], &[], &[], &[], &[], &doubt, &doubt, &regress, &regress];
    assert_eq!(flagged, expected);

    let trail = suite.trail();
    let filter = Filter { tenant: tenant.clone(), ..Filter::default() };
    let deletes = Filter { ops: vec![Op::Delete, Op::Update], ..filter.clone() };
    for (order, limit) in DIRECTIONS.into_iter().flat_map(|order| [1, 2, 100].map(|limit| (order, limit))) {
        let listing = Listing { from: Some(moment(0)), order, limit, ..Listing::default() };
        let mut items = walk(&trail, &filter, &listing).await.expect("a list");
        items.extend(walk(&trail, &deletes, &listing).await.expect("a list"));
        for telling in &told {
            items.extend(suite.pages(&telling.query(), &listing).await);
        }
        for item in items {
            let place = entries.iter().position(|entry| entry.identity.event_id == item.id).expect("an entry told");
            assert_eq!(item.flags, expected[place], "{} {order:?} by {limit}", item.id);
        }
    }
}
