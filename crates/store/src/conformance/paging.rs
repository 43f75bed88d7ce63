use afterimage_event::Op;

use super::{DIRECTIONS, Suite, Telling, ids, moment};
use crate::{CursorError, Direction, LIMIT_MAX, Listing, RecordQuery, TrailError};

fn entry(tenant: &str, id: &str, second: i64) -> Telling {
    Telling::new(tenant, id, Op::Snapshot, second).images("", r#"{"x":1}"#)
}

/// Pages of any size, either way round, in any range of time, joined are the list; only `next: null` is its end.
pub async fn pages_of_every_size_join(suite: &Suite) {
    let tenant = suite.tenant("pages");
    let mut entries = Vec::new();
    for n in 0..23_i64 {
        let telling = entry(&tenant, &format!("e{n:02}"), n / 3);
        // Rows that are not shown, in between: told again later, and superseded.
        if n % 5 == 0 {
            entries.push(telling.clone().published(n + 50).entry());
        }
        if n % 7 == 0 {
            entries.push(telling.clone().revision(1).entry());
        }
        entries.push(telling.entry());
    }
    suite.tell(&entries).await;
    let query = entry(&tenant, "", 0).query();
    for order in DIRECTIONS {
        for (from, to) in [(None, None), (Some(2), None), (None, Some(5)), (Some(1), Some(6)), (Some(3), Some(3))] {
            let whole = Listing { from: from.map(moment), to: to.map(moment), order, limit: LIMIT_MAX, cursor: None };
            let expected: Vec<String> = {
                let in_range = |n: &i64| from.is_none_or(|from| n / 3 >= from) && to.is_none_or(|to| n / 3 < to);
                let mut expected: Vec<_> = (0..23).filter(in_range).map(|n| format!("e{n:02}")).collect();
                if order == Direction::Descending {
                    expected.reverse();
                }
                expected
            };
            for limit in (1..=25).chain([LIMIT_MAX]) {
                let items = suite.pages(&query, &Listing { limit, ..whole.clone() }).await;
                assert_eq!(ids(&items), expected, "{order:?} {from:?}..{to:?} by {limit}");
            }
        }
    }
    let trail = suite.trail();
    for limit in [0, LIMIT_MAX + 1] {
        let answer = trail.history(&query, &Listing { limit, ..Listing::default() }).await;
        assert!(matches!(answer, Err(TrailError::Limit { .. })), "{limit}");
    }
}

/// A walk returns what was there when it began exactly once, while newer and older entries, later tellings and
/// corrections of those it has shown or not shown yet arrive between its pages.
pub async fn a_walk_survives_what_arrives_meanwhile(suite: &Suite) {
    for order in DIRECTIONS {
        for limit in [1, 2, 5] {
            walk_amid_arrivals(suite, order, limit).await;
        }
    }
}

async fn walk_amid_arrivals(suite: &Suite, order: Direction, limit: usize) {
    let tenant = suite.tenant(&format!("walk {order:?} {limit}"));
    let there: Vec<String> = (0..12).map(|n| format!("e{n:02}")).collect();
    // Data is fixed, so that the same event at another time is the same entry published again.
    let telling = |id: &str, second| entry(&tenant, id, second).data(1);
    let before: Vec<_> = (100..).zip(&there).map(|(second, id)| telling(id, second).entry()).collect();
    suite.tell_at(&before, moment(1_000)).await;

    let query = telling("", 0).query();
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(2_000));
    let now = std::sync::Arc::clone(&clock);
    let trail = crate::Trail::with_clock(std::sync::Arc::clone(&suite.store), move || {
        moment(now.load(std::sync::atomic::Ordering::Relaxed))
    });
    let mut listing = Listing { order, limit, ..Listing::default() };
    let mut seen = Vec::new();
    for round in 0.. {
        let page = trail.history(&query, &listing).await.expect("a page");
        seen.extend(page.items.into_iter().map(|item| item.id));
        let Some(next) = page.next else { break };
        listing.cursor = Some(next);
        assert!(round < 60, "the walk does not end");
        if round < 12 {
            let id = &there[(round * 5) % there.len()];
            let place = 80 + i64::try_from(round * 7 % 50).unwrap_or(0);
            let arrivals = [
                telling(&format!("new {round}"), 200 + i64::try_from(round).unwrap_or(0)),
                telling(&format!("old {round}"), 50 - i64::try_from(round).unwrap_or(0)),
                telling(id, place).published(place - 100),
                telling(&there[round], place).revision(1).published(place + 1),
            ];
            let arrivals: Vec<_> = arrivals.iter().map(Telling::entry).collect();
            clock.store(3_000, std::sync::atomic::Ordering::Relaxed);
            suite.tell_at(&arrivals, moment(3_000)).await;
        }
    }
    seen.retain(|id| there.contains(id));
    let mut sorted = seen.clone();
    sorted.sort();
    assert_eq!(sorted, there, "{order:?} by {limit}: {seen:?}");
}

/// A cursor goes on with the question it came from, and with no other.
pub async fn cursors_are_bound_to_their_filters(suite: &Suite) {
    let tenant = suite.tenant("cursor");
    let entries: Vec<_> = (0..4).map(|n| entry(&tenant, &format!("e{n}"), n).entry()).collect();
    suite.tell(&entries).await;
    let trail = suite.trail();
    let query = entry(&tenant, "", 0).query();
    let open = RecordQuery { source: None, ..query.clone() };
    let first = Listing { limit: 2, ..Listing::default() };
    let next = trail.history(&query, &first).await.expect("a page").next;
    let resumed = Listing { cursor: next.clone(), limit: 100, ..first.clone() };
    assert_eq!(ids(&trail.history(&query, &resumed).await.expect("a page").items), ["e1", "e0"]);

    let others = [
        (RecordQuery { table: "u".into(), ..query.clone() }, resumed.clone()),
        (RecordQuery { record_id: vec!["q".into()], ..query.clone() }, resumed.clone()),
        (RecordQuery { tenant: "other".into(), ..query.clone() }, resumed.clone()),
        (open.clone(), resumed.clone()),
        (query.clone(), Listing { order: Direction::Ascending, ..resumed.clone() }),
        (query.clone(), Listing { from: Some(moment(0)), ..resumed.clone() }),
        (query.clone(), Listing { to: Some(moment(9)), ..resumed.clone() }),
    ];
    for (query, listing) in others {
        let answer = trail.history(&query, &listing).await;
        assert!(matches!(answer, Err(TrailError::Cursor(CursorError::OtherFilters))), "{query:?} {listing:?}");
    }
    let damaged = Listing { cursor: next.map(|next| next[1..].to_owned()), ..first.clone() };
    assert!(matches!(trail.history(&query, &damaged).await, Err(TrailError::Cursor(CursorError::Damaged))));

    // A second source does not end a walk that began when there was one.
    let next = trail.history(&open, &first).await.expect("a page").next;
    suite.tell(&[entry(&tenant, "f", 9).source("second").entry()]).await;
    let resumed = Listing { cursor: next, ..first };
    assert_eq!(ids(&trail.history(&open, &resumed).await.expect("a page").items), ["e1", "e0"]);
}
