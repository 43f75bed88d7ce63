use std::sync::Arc;

use afterimage_event::{Op, RecordKey, Timestamp};

use super::{DIRECTIONS, Suite, Telling, ids, moment};
use crate::{Direction, Entry, Flag, Index, IndexRow, Listing, OrderKey, RowRange, TableKey};

fn update(tenant: &str, id: &str, second: i64) -> Telling {
    Telling::new(tenant, id, Op::Update, second).images(&format!(r#"{{"x":"{id}-"}}"#), &format!(r#"{{"x":"{id}"}}"#))
}

/// Time first, then position as a number of any length, then event id by its bytes.
pub async fn history_is_in_order(suite: &Suite) {
    let tenant = suite.tenant("order");
    let expected = [
        update(&tenant, "z", -3_000_000_000),
        update(&tenant, "A", 5),
        update(&tenant, "a", 5),
        update(&tenant, "ä", 5),
        update(&tenant, "zz", 5).position("0"),
        update(&tenant, "zy", 5).position("9"),
        update(&tenant, "zx", 5).position("10"),
        update(&tenant, "zw", 5).position("18446744073709551615"),
        update(&tenant, "zv", 5).position("18446744073709551616"),
        update(&tenant, "zu", 5).position("49640000000000000000000000000000000000000000000000000000"),
        update(&tenant, "0", 6),
    ];
    let mut entries: Vec<_> = expected.iter().map(Telling::entry).collect();
    entries.reverse();
    entries.swap(1, 4);
    suite.tell(&entries).await;
    let mut wanted: Vec<String> = entries.iter().map(|entry| entry.identity.event_id.clone()).collect();
    wanted.sort_by_key(|id| expected.iter().position(|told| told.entry().identity.event_id == *id));
    let listing = Listing { order: Direction::Ascending, ..Listing::default() };
    let ascending = suite.pages(&expected[0].query(), &listing).await;
    assert_eq!(ids(&ascending), wanted);
    let mut descending = suite.history(&expected[0].query()).await;
    descending.reverse();
    assert_eq!(ids(&descending), wanted);

    // Those that only their id tells apart, and whose images do not chain, are in doubt; those with positions are not.
    for (item, flags) in ascending.iter().zip([0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]) {
        assert_eq!(item.flags, vec![Flag::Ambiguous; flags], "{}", item.id);
    }
    // Whatever page they stand on.
    for limit in 1..=3 {
        let paged = suite.pages(&expected[0].query(), &Listing { limit, ..Listing::default() }).await;
        let flags = |items: &[crate::EntryView]| items.iter().map(|item| item.flags.clone()).collect::<Vec<_>>();
        let mut paged = flags(&paged);
        paged.reverse();
        assert_eq!(paged, flags(&ascending), "pages of {limit}");
    }
    let position = ascending[9].position.as_ref().expect("a position");
    assert_eq!(position.value, "49640000000000000000000000000000000000000000000000000000");
}

/// `from` inclusive, `to` exclusive, `past` exclusive, either way round, and never more than the limit.
pub async fn rows_are_ranged_exactly(suite: &Suite) {
    let tenant = suite.tenant("ranges");
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    for second in 0..6 {
        for n in 0..3 {
            let telling = update(&tenant, &format!("{second}{n}"), second);
            entries.push(if n == 2 { telling.position("7").entry() } else { telling.entry() });
        }
    }
    suite.tell(&entries).await;
    entries.sort_by_key(|entry| entry.order_key());
    let telling = update(&tenant, "", 0);
    let record = telling.record_key();
    let table = table_of(&record);

    let bounds: Vec<Option<Timestamp>> = [None, Some(0), Some(2), Some(3), Some(9)].map(|s| s.map(moment)).into();
    let mut pasts: Vec<Option<OrderKey>> = entries.iter().map(|entry| Some(entry.order_key())).step_by(4).collect();
    pasts.push(None);
    for (from, to) in bounds.iter().flat_map(|from| bounds.iter().map(move |to| (*from, *to))) {
        for (past, direction) in pasts.iter().flat_map(|past| DIRECTIONS.map(|direction| (past.clone(), direction))) {
            for limit in [1, 4, 100] {
                let range = RowRange { from, to, past: past.clone(), direction, limit };
                let expected = expected_rows(&entries, &range);
                let rows = suite.store.rows(&Index::Record(record.clone()), &range).await.expect("rows");
                assert_eq!(rows, expected, "record: {range:?}");
                let rows = suite.store.rows(&Index::Table(table.clone()), &range).await.expect("rows");
                assert_eq!(rows, expected, "table: {range:?}");
            }
        }
    }
}

/// One table, many records, other tables and sources beside it.
pub async fn table_rows_span_the_records_of_a_table(suite: &Suite) {
    let tenant = suite.tenant("table");
    let mut entries = Vec::new();
    for n in 0..40_i64 {
        let id = format!("r{}", n % 7);
        entries.push(update(&tenant, &format!("e{n}"), n / 3).record("t", [id.as_str()]).entry());
        suite.tell(&[update(&tenant, &format!("e{n}"), n).source("elsewhere").entry()]).await;
    }
    suite.tell(&[update(&tenant, "x", 1).record("T", ["r1"]).entry()]).await;
    suite.tell(&entries).await;
    entries.sort_by_key(|entry| entry.order_key());
    let table = table_of(&update(&tenant, "", 0).record_key());
    for direction in DIRECTIONS {
        let mut range = RowRange { from: None, to: None, past: None, direction, limit: 9 };
        let mut found = Vec::new();
        loop {
            let rows = suite.store.rows(&Index::Table(table.clone()), &range).await.expect("rows");
            range.past = rows.last().map(IndexRow::order_key);
            let ended = rows.len() < range.limit;
            found.extend(rows);
            if ended {
                break;
            }
        }
        let whole = RowRange { past: None, limit: 100, ..range };
        assert_eq!(found, expected_rows(&entries, &whole));
    }
}

/// The table of a record.
pub(super) fn table_of(record: &RecordKey) -> TableKey {
    TableKey { tenant: record.tenant.clone(), source: record.source.clone(), table: record.table.clone() }
}

/// What a range holds, from entries in ascending order.
pub(super) fn expected_rows(ascending: &[Arc<Entry>], range: &RowRange) -> Vec<IndexRow> {
    let fits = |row: &IndexRow| {
        let beyond = range.past.as_ref().is_none_or(|past| match range.direction {
            Direction::Ascending => row.order_key() > *past,
            Direction::Descending => row.order_key() < *past,
        });
        beyond
            && range.from.is_none_or(|from| row.occurred_at >= from)
            && range.to.is_none_or(|to| row.occurred_at < to)
    };
    let mut rows: Vec<IndexRow> = ascending.iter().map(|entry| IndexRow::from(&**entry)).filter(fits).collect();
    if range.direction == Direction::Descending {
        rows.reverse();
    }
    rows.truncate(range.limit);
    rows
}
