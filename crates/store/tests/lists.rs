//! What lists, counts and bursts read, refuse and find at their edges.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use afterimage_event::{Actor, Op};
use afterimage_store::conformance::{Telling, moment};
use afterimage_store::{
    AppendError, Arrival, BurstRule, ContentRow, Digest, Dimension, Direction, Entry, Filter, Grant, Grants, Identity,
    Index, IndexRow, Listing, Lookup, MemoryStore, OWN_SOURCE, Period, ROWS_EXAMINED_MAX, RowRange, Store, StoreError,
    TableKey, Trail, TrailError,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Counts what is read from a store.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    reads: AtomicUsize,
    rows: AtomicUsize,
    contents: AtomicUsize,
}

#[derive(Debug)]
struct Read {
    reads: usize,
    rows: usize,
    contents: usize,
}

impl Counting {
    /// Since the last time.
    fn read(&self) -> Read {
        let [reads, rows, contents] =
            [&self.reads, &self.rows, &self.contents].map(|counter| counter.swap(0, Ordering::Relaxed));
        Read { reads, rows, contents }
    }
}

#[async_trait]
impl Store for Counting {
    fn kind(&self) -> &'static str {
        "counting"
    }

    async fn migrate(&self) -> Result<Vec<String>, StoreError> {
        self.store.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn append(&self, entries: &[Arc<Entry>], arrival: &Arrival) -> Vec<Result<(), AppendError>> {
        self.store.append(entries, arrival).await
    }

    async fn close(&self) {}
}

#[async_trait]
impl Lookup for Counting {
    async fn sources(&self, tenant: &str, table: &str, record_id: &[String]) -> Result<Vec<String>, StoreError> {
        self.store.sources(tenant, table, record_id).await
    }

    async fn tables(&self, tenant: &str) -> Result<Vec<TableKey>, StoreError> {
        self.store.tables(tenant).await
    }

    async fn rows(&self, index: &Index, range: &RowRange) -> Result<Vec<IndexRow>, StoreError> {
        let rows = self.store.rows(index, range).await?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(rows)
    }

    async fn contents(&self, tenant: &str, source: &str, ids: &[String]) -> Result<Vec<Vec<ContentRow>>, StoreError> {
        self.contents.fetch_add(ids.len(), Ordering::Relaxed);
        self.store.contents(tenant, source, ids).await
    }

    async fn versions(&self, tenant: &str, source: &str, ids: &[String]) -> Result<Vec<Vec<Identity>>, StoreError> {
        self.store.versions(tenant, source, ids).await
    }

    async fn version_from(
        &self,
        tenant: &str,
        source: &str,
        event_id: &str,
        revision: u32,
        from: Digest,
    ) -> Result<Option<ContentRow>, StoreError> {
        self.store.version_from(tenant, source, event_id, revision, from).await
    }
}

async fn trail(tellings: impl IntoIterator<Item = Telling>) -> (Trail, Arc<Counting>) {
    let store = Arc::new(Counting::default());
    let entries: Vec<_> = tellings.into_iter().map(|telling| telling.entry()).collect();
    for result in store.append(&entries, &Arrival { worker: "w".into(), at: moment(80_000) }).await {
        result.expect("an entry that is taken");
    }
    (Trail::with_clock(Arc::clone(&store) as Arc<dyn Lookup>, || moment(80_000)), store)
}

fn update(id: impl ToString, second: i64) -> Telling {
    Telling::new("acme", &id.to_string(), Op::Update, second).images(r#"{"a":1}"#, r#"{"a":2}"#)
}

fn acme() -> Filter {
    Filter { tenant: "acme".into(), ..Filter::default() }
}

fn by(dimensions: &[Dimension], window_s: i64, threshold: u64) -> BurstRule {
    BurstRule { window_micros: window_s * 1_000_000, threshold, by: dimensions.to_vec() }
}

fn page(limit: usize) -> Listing {
    Listing { limit, ..Listing::default() }
}

#[tokio::test]
async fn a_page_of_many_tables_reads_little_of_each() {
    let table = |n: i64| format!("t{}", n % 200);
    let (trail, store) = trail((0..20_000).map(|n| update(n, n).record(&table(n), ["r"]))).await;
    let found = trail.changes(&acme(), &page(10)).await.unwrap();
    assert_eq!(found.items.len(), 10);
    let read = store.read();
    println!("200 tables, page of 10: {read:?}");
    // One row of each table, one more of each that had one of the ten; neighbours in time of each of the ten.
    assert!(read.reads <= 240 && read.rows <= 250 && read.contents <= 16, "{read:?}");

    trail.changes(&Filter { table: Some("t7".into()), ..acme() }, &page(100)).await.unwrap();
    println!("one table, page of 100: {:?}", store.read());
    trail.changes(&Filter { field: Some("a".into()), ..acme() }, &page(100)).await.unwrap();
    println!("a field of 200 tables, page of 100: {:?}", store.read());
}

#[tokio::test]
async fn a_page_examines_no_more_than_it_may_and_goes_on() {
    let rare = |n: i64| if n % 7_000 == 0 { update(n, n).actor(person("rare")) } else { update(n, n) };
    let (trail, store) = trail((0..25_000).map(|n| rare(n).record(["t", "u"][n as usize % 2], ["r"]))).await;
    let reader = trail.for_reader(Grants::of(["t", "u"].map(table_grant).to_vec()));
    let filter = Filter { actor: Some("rare".into()), ..acme() };
    let (mut listing, mut items, mut pages) = (page(100), Vec::new(), 0);
    loop {
        store.read();
        let found = reader.changes(&filter, &listing).await.unwrap();
        let read = store.read();
        pages += 1;
        // Beside the rows of the two tables, what stands next to the entries shown.
        assert!(read.rows <= ROWS_EXAMINED_MAX + 32 * found.items.len(), "{read:?}");
        assert!(
            read.contents <= found.items.len(),
            "what does not fit is dropped before its content is read: {read:?}"
        );
        items.extend(found.items.into_iter().map(|item| item.id));
        let Some(next) = found.next else { break };
        listing.cursor = Some(next);
    }
    assert_eq!(items, ["21000", "14000", "7000", "0"]);
    assert!(pages >= 3, "{pages}");
    // Whoever may see all finds them by the actor alone.
    assert_eq!(trail.changes(&filter, &page(100)).await.unwrap().items.len(), 4);
    let read = store.read();
    println!("an actor, everything granted: {read:?}");
    assert!(read.rows <= 4 + 4, "{read:?}");
}

fn person(id: &str) -> Actor {
    Actor { id: Some(id.into()), ..Actor::default() }
}

fn table_grant(table: &str) -> Grant {
    Grant { table: Some(table.into()), ..Grant::default() }
}

#[tokio::test]
async fn a_reader_of_one_table_or_record_examines_no_other() {
    let of = |n: i64| if n % 100 == 0 { ("mine", "r1") } else { ("theirs", "r2") };
    let telling = |n| update(n, n).record(of(n).0, [of(n).1]).actor(person("system"));
    let (trail, store) = trail((0..5_000).map(telling)).await;
    let record = Grant { record_id: Some(vec!["r1".into()]), ..Grant::default() };
    for grant in [table_grant("mine"), record] {
        let reader = trail.for_reader(Grants::of(vec![grant]));
        for filter in [acme(), Filter { actor: Some("system".into()), ..acme() }] {
            store.read();
            let items = reader.changes(&filter, &page(1000)).await.unwrap().items;
            assert_eq!(items.len(), 50);
            assert!(items.iter().all(|item| item.table == "mine"));
            let counts = reader.counts(&filter, Period::default(), &[Dimension::Table]).await.unwrap();
            assert_eq!((counts.total, counts.items.len()), (50, 1));
            let bursts = reader.bursts(&filter, Period::default(), &by(&[Dimension::Table], 86_400, 49)).await.unwrap();
            assert_eq!(bursts.items.iter().map(|burst| burst.count).collect::<Vec<_>>(), [50]);
            let read = store.read();
            assert!(read.rows <= 200, "{read:?}");
        }
        let theirs = Filter { table: Some("theirs".into()), ..acme() };
        if reader.grants().as_slice()[0].table.is_some() {
            let refused = reader.changes(&theirs, &page(10)).await.map(|page| page.items.len());
            assert!(matches!(refused, Err(TrailError::NotGranted)), "{refused:?}");
            assert!(matches!(
                reader.counts(&theirs, Period::default(), &[Dimension::Op]).await,
                Err(TrailError::NotGranted)
            ));
        } else {
            assert!(reader.changes(&theirs, &page(10)).await.unwrap().items.is_empty());
        }
    }
}

#[tokio::test]
async fn counting_reads_no_content_of_what_was_told_once_or_stands_beside_its_like() {
    let again = |n: i64| (n % 10 == 0).then(|| update(n, n).published(n + 50));
    let (trail, store) = trail((0..3_000).flat_map(|n| [Some(update(n, n)), again(n)].into_iter().flatten())).await;
    let counts = trail.counts(&acme(), Period::default(), &[Dimension::Hour]).await.unwrap();
    assert_eq!(counts.total, 3_000);
    let read = store.read();
    println!("counts of 3,300 rows: {read:?}");
    assert_eq!((read.rows, read.contents), (3_300, 0));
}

#[tokio::test]
async fn an_id_used_again_and_again_is_counted_as_often_as_it_is_shown() {
    let other_data = (0..40).map(|n| update("undefined", i64::from(n)).data(n));
    let published_again = (0..40).map(|n| update("relay", 50).data(7).published(100 - n));
    let (trail, _) = trail(other_data.chain(published_again)).await;
    let counts = trail.counts(&acme(), Period::default(), &[Dimension::Op]).await.unwrap();
    assert_eq!(counts.total, 41);
    assert_eq!(trail.changes(&acme(), &page(100)).await.unwrap().items.len(), 41);
}

#[tokio::test]
async fn the_last_day_is_meant_where_no_time_is_named() {
    const DAY: i64 = 86_400;
    let (trail, _) =
        trail([-DAY - 1, -DAY, -1, 0, 80_000 - DAY - 1, 80_000 - DAY, 79_999, 80_005].map(|s| update(s, s))).await;
    let seconds = async |from: Option<i64>, to: Option<i64>| {
        let listing = Listing { from: from.map(moment), to: to.map(moment), order: Direction::Ascending, ..page(100) };
        let items = trail.changes(&acme(), &listing).await.unwrap().items;
        let period = Period { from: listing.from, to: listing.to };
        assert_eq!(trail.counts(&acme(), period, &[Dimension::Op]).await.unwrap().total, items.len() as u64);
        items.into_iter().map(|item| item.id).collect::<Vec<_>>().join(" ")
    };
    // A producer whose clock is ahead is not left out of what just happened.
    assert_eq!(seconds(None, None).await, "-6400 -1 0 79999 80005");
    assert_eq!(seconds(None, Some(0)).await, "-86400 -6401 -6400 -1");
    assert_eq!(seconds(Some(-1), None).await, "-1 0 79999 80005");
    assert_eq!(seconds(Some(0), Some(0)).await, "");
}

#[tokio::test]
async fn entries_of_the_trail_itself_are_found_by_naming_its_source() {
    let own = update("own", 1).source(OWN_SOURCE).actor(person("42"));
    let (trail, _) = trail([update("e", 2).actor(person("42")), own]).await;
    let found = async |filter: Filter| {
        let counts = trail.counts(&filter, Period::default(), &[Dimension::Source]).await.unwrap();
        let items = trail.changes(&filter, &page(10)).await.unwrap().items;
        assert_eq!(counts.total, items.len() as u64);
        items.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    let by_actor = Filter { actor: Some("42".into()), ..acme() };
    assert_eq!(found(acme()).await, ["e"]);
    assert_eq!(found(by_actor.clone()).await, ["e"]);
    assert_eq!(found(Filter { source: Some(OWN_SOURCE.into()), ..by_actor }).await, ["own"]);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_says_what_to_ask_instead() {
    let (trail, _) = trail([update("e", 2)]).await;
    let period = Period::default();
    let said = |error: Result<(), TrailError>| match error {
        Err(TrailError::Question { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let counts = async |period, by: &[Dimension]| said(trail.counts(&acme(), period, by).await.map(|_| ()));
    let bursts = async |rule: BurstRule| said(trail.bursts(&acme(), period, &rule).await.map(|_| ()));
    let (early, late) = (Some(moment(1)), Some(moment(2)));
    let backwards = Listing { from: late, to: early, ..page(1) };
    assert!(said(trail.changes(&acme(), &backwards).await.map(|_| ())).contains("swap"));
    assert!(said(trail.history(&update("e", 2).query(), &backwards).await.map(|_| ())).contains("swap"));
    assert!(counts(Period { from: late, to: early }, &[Dimension::Op]).await.contains("swap"));
    assert!(counts(period, &[]).await.contains("source, table, op"));
    assert!(counts(period, &[Dimension::Op, Dimension::Table, Dimension::Op]).await.contains("`op` is named twice"));
    assert!(bursts(by(&[], 1, 1)).await.contains("source, table, op"));
    assert!(bursts(by(&[Dimension::Op], 0, 1)).await.contains("window"));
    assert!(bursts(by(&[Dimension::Op, Dimension::Hour], 1, 1)).await.contains("hour"));
    for limit in [0, 1001] {
        assert!(matches!(trail.changes(&acme(), &page(limit)).await, Err(TrailError::Limit { .. })));
    }
}

/// The bursts of entries at these seconds: count, first and last.
async fn bursts(seconds: &[i64], rule: &BurstRule, period: (i64, i64)) -> Vec<(u64, i64, i64)> {
    let (trail, _) = trail(seconds.iter().enumerate().map(|(n, &second)| update(n, second))).await;
    let period = Period { from: Some(moment(period.0)), to: Some(moment(period.1)) };
    let second = |at: afterimage_event::Timestamp| (at.as_micros() - moment(0).as_micros()) / 1_000_000;
    let found = trail.bursts(&acme(), period, rule).await.expect("bursts");
    assert_eq!((found.from, found.to), (period.from, period.to));
    found.items.iter().map(|burst| (burst.count, second(burst.first), second(burst.last))).collect()
}

#[tokio::test]
async fn a_burst_is_more_than_the_threshold_within_less_than_the_window() {
    let rule = by(&[Dimension::Table], 10, 2);
    let all = (0, 1_000);
    assert_eq!(bursts(&[1, 2], &rule, all).await, [], "exactly the threshold is not too many");
    assert_eq!(bursts(&[1, 2, 10], &rule, all).await, [(3, 1, 10)]);
    assert_eq!(bursts(&[1, 2, 11], &rule, all).await, [], "the end of a window is not in it");
    assert_eq!(bursts(&[5, 5, 5], &rule, all).await, [(3, 5, 5)], "ties are as many as they are");
    assert_eq!(bursts(&[1, 2, 3, 50, 51, 52, 53], &rule, all).await, [(4, 50, 53), (3, 1, 3)], "apart, largest first");
    assert_eq!(bursts(&[1, 2, 3, 14, 15, 16], &rule, all).await, [(3, 1, 3), (3, 14, 16)]);
    assert_eq!(bursts(&[1, 2, 3, 12, 13, 14], &rule, all).await, [(3, 1, 3), (3, 12, 14)]);
    assert_eq!(bursts(&[1, 2, 3, 12, 12, 20], &rule, all).await, [(6, 1, 20)], "a chain");
    assert_eq!(bursts(&[1, 5, 30], &by(&[Dimension::Op], 10, 0), all).await, [(2, 1, 5), (1, 30, 30)]);
}

#[tokio::test]
async fn a_burst_across_the_edge_of_the_period_is_seen_from_both_sides() {
    let rule = by(&[Dimension::Table], 10, 3);
    let seconds = [95, 97, 101, 103];
    assert_eq!(bursts(&seconds, &rule, (0, 100)).await, [(4, 95, 103)]);
    assert_eq!(bursts(&seconds, &rule, (100, 200)).await, [(4, 95, 103)]);
    assert_eq!(bursts(&seconds, &rule, (104, 200)).await, []);
    assert_eq!(bursts(&seconds, &rule, (98, 101)).await, [], "none of its entries lies in the period");
}

/// A reader of one record, in a table and a request where others did far more than one page looks at.
#[tokio::test]
async fn no_cursor_holds_the_place_of_an_entry_that_its_reader_may_not_see() {
    let request = r#"{"requestId":"req-1"}"#;
    let theirs = (0..2 * ROWS_EXAMINED_MAX)
        .map(|n| update(format!("hidden-{n}"), 100 + n as i64).record("users", ["theirs"]).context(request));
    let mine = [1, 5_000, 5_001, 50_000]
        .map(|second| update(format!("mine-{second}"), second).record("users", ["mine"]).context(request));
    let (all, _) = trail(theirs.chain(mine)).await;
    let grant = Grant { record_id: Some(vec!["mine".into()]), ..Grant::default() };
    let reader = all.for_reader(Grants::of(vec![grant]));
    let table = TableKey { tenant: "acme".into(), source: "s".into(), table: "users".into() };
    let whole = Filter { tenant: "acme".into(), ..Filter::default() };
    let of_request = Filter { request: Some("req-1".into()), ..whole.clone() };
    for order in [Direction::Ascending, Direction::Descending] {
        for question in ["gaps", "changes", "request"] {
            let mut listing = Listing { from: Some(moment(0)), limit: 1, order, ..Listing::default() };
            let mut seen = Vec::new();
            loop {
                let next = if question == "gaps" {
                    let page = reader.table_gaps(&table, &listing).await.unwrap();
                    seen.extend(page.items.into_iter().map(|gap| gap.before_id));
                    page.next
                } else {
                    let filter = if question == "changes" { &whole } else { &of_request };
                    let page = reader.changes(filter, &listing).await.unwrap();
                    seen.extend(page.items.into_iter().map(|entry| entry.id));
                    page.next
                };
                let Some(cursor) = next else { break };
                let bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                assert!(text.contains("mine-"), "{question}, {order:?}: {text}");
                listing.cursor = Some(cursor);
            }
            let mut expected = vec!["mine-1", "mine-5000", "mine-5001", "mine-50000"];
            if question == "gaps" {
                expected.remove(0);
            }
            if order == Direction::Descending {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{question}, {order:?}");
        }
    }
}
