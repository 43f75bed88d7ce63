use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use afterimage_event::{Actor, Op, RecordKey, Timestamp};

use super::brute::Brute;
use super::{DIRECTIONS, Suite, Telling, moment};
use crate::{
    BurstRule, Dimension, Direction, Entry, EntryView, Filter, Flag, Grant, Grants, Identity, Listing, OWN_SOURCE,
    Period, Trail, TrailError,
};

/// Questions of each kind about each random trail.
const QUESTIONS: usize = 40;
/// Entries of a random trail lie within so many seconds: some hours.
const SPAN_SECONDS: i64 = 40_000;
const SOURCES: [&str; 3] = ["s", "other", OWN_SOURCE];
const TABLES: [&str; 3] = ["t", "u", "T"];

/// A random trail, and what is true of it.
struct Told {
    trail: Trail,
    brute: Brute,
    tenant: String,
    random: fastrand::Rng,
}

/// Asks about random trails; a failing one is repeated by its seed, which is part of the tenant.
async fn each_trail(suite: &Suite, law: &str, ask: impl AsyncFn(&mut Told)) {
    for round in 0..suite.random_rounds.div_ceil(4) {
        let seed = u64::try_from(round).unwrap_or(0) + 0x1157;
        let mut random = fastrand::Rng::with_seed(seed);
        let tenant = suite.tenant(&format!("{law} {seed}"));
        let told = entries(&tenant, &mut random);
        for some in told.chunks(40) {
            suite.tell(some).await;
        }
        let now = moment(random.i64(SPAN_SECONDS..2 * SPAN_SECONDS));
        let trail = Trail::with_clock(Arc::clone(&suite.store), move || now);
        ask(&mut Told { trail, brute: Brute::new(&told, now), tenant, random }).await;
    }
}

fn entries(tenant: &str, random: &mut fastrand::Rng) -> Vec<Arc<Entry>> {
    // One identity is one entry: what a producer tells again, it tells with the same time, position and expiry.
    let mut told: HashMap<(String, Identity), Arc<Entry>> = HashMap::new();
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    for _ in 0..random.usize(60..200) {
        let entry = telling(tenant, random).entry();
        let identity = (entry.record.source.clone(), entry.identity.clone());
        entries.push(Arc::clone(told.entry(identity).or_insert(entry)));
    }
    random.shuffle(&mut entries);
    entries
}

fn telling(tenant: &str, random: &mut fastrand::Rng) -> Telling {
    use Op::{Access, Ddl, Delete, Insert, Snapshot, Truncate, Update};
    let op = pick(random, &[Insert, Update, Update, Update, Update, Delete, Snapshot, Access, Truncate, Ddl]);
    let second = second(random);
    let image =
        |random: &mut fastrand::Rng| format!(r#"{{"{}":{},"n":1}}"#, pick(random, &["a", "b"]), random.u8(0..3));
    let (before, after) = match op {
        Insert | Snapshot => (String::new(), image(random)),
        Update => (image(random), image(random)),
        Delete => (image(random), String::new()),
        _ => Default::default(),
    };
    let id = format!("e{}", random.u8(0..100));
    let mut telling = Telling::new(tenant, &id, op, second).images(&before, &after);
    if op == Update && random.u8(0..6) == 0 {
        let names: Vec<String> = (0..70).map(|n| format!("f{n}")).chain(["a".to_owned()]).collect();
        telling = telling.changed_names(names.iter().map(String::as_str));
    }
    let record = format!("r{}", random.u8(0..3));
    let record = if op == Truncate { vec![] } else { vec![record.as_str()] };
    telling = telling.record(pick(random, &TABLES), record).source(pick(random, &["s", "s", "other", OWN_SOURCE]));
    if let Some(actor) = actor(random.u8(0..5)) {
        telling = telling.actor(actor);
    }
    if random.bool() {
        telling = telling.transaction(&format!("tx{}", random.u8(0..4)));
    }
    if random.bool() {
        telling = telling.context(&format!(r#"{{"requestId":"r{}","migration":"m1"}}"#, random.u8(0..6)));
    }
    if random.bool() {
        telling = telling.position(&random.u32(0..200).to_string());
    }
    if random.u8(0..4) == 0 {
        telling = telling.published(random.i64(0..SPAN_SECONDS));
    }
    if random.u8(0..6) == 0 {
        telling = telling.revision(random.u32(1..3));
    }
    if random.u8(0..5) == 0 {
        telling = telling.expires(second + random.i64(0..SPAN_SECONDS * 2));
    }
    telling
}

fn actor(number: u8) -> Option<Actor> {
    let text = |text: &str| Some(text.to_owned());
    match number {
        0 => Some(Actor { id: text("42"), email: text("ann@example.com"), ..Actor::default() }),
        1 => Some(Actor { email: text("bob@example.com"), ..Actor::default() }),
        2 => Some(Actor { name: text("cron"), ..Actor::default() }),
        _ => None,
    }
}

/// Dense in one place, sparse elsewhere; ties are common.
fn second(random: &mut fastrand::Rng) -> i64 {
    if random.bool() { random.i64(5_000..5_040) } else { random.i64(0..SPAN_SECONDS) }
}

fn pick<T: Copy>(random: &mut fastrand::Rng, among: &[T]) -> T {
    among[random.usize(..among.len())]
}

fn maybe(random: &mut fastrand::Rng, chance: u8, among: &[&str]) -> Option<String> {
    (random.u8(0..chance) == 0).then(|| pick(random, among).to_owned())
}

impl Told {
    fn filter(&mut self) -> Filter {
        let random = &mut self.random;
        let ops: Vec<Op> = Op::ALL.into_iter().filter(|_| random.u8(0..3) == 0).collect();
        Filter {
            tenant: self.tenant.clone(),
            source: maybe(random, 3, &SOURCES),
            table: maybe(random, 3, &TABLES),
            ops: if random.u8(0..3) == 0 { ops } else { vec![] },
            field: maybe(random, 4, &["a", "b", "n", "f7", "nobody's"]),
            actor: maybe(random, 5, &["42", "ann@example.com", "bob@example.com", "cron", "nobody"]),
            request: maybe(random, 12, &["r0", "r1"]),
            transaction: maybe(random, 12, &["tx0", "tx1"]),
            migration: maybe(random, 12, &["m1", "m2"]),
        }
    }

    fn grants(&mut self) -> Grants {
        if self.random.bool() {
            return Grants::everything();
        }
        let grant = |random: &mut fastrand::Rng, tenant: &str| Grant {
            tenant: random.bool().then(|| tenant.to_owned()),
            source: maybe(random, 2, &SOURCES),
            table: maybe(random, 2, &TABLES),
            record_id: maybe(random, 3, &["r0", "r1"]).map(|id| vec![id]),
        };
        Grants::of((0..self.random.usize(1..4)).map(|_| grant(&mut self.random, &self.tenant)).collect())
    }

    /// Everything told lies within the last day.
    fn period(&mut self) -> Period {
        let mut bound = || self.random.bool().then(|| moment(second(&mut self.random)));
        match (bound(), bound()) {
            (Some(a), Some(b)) => Period { from: Some(a.min(b)), to: Some(a.max(b)) },
            (from, to) => Period { from, to },
        }
    }

    fn dimensions(&mut self, among: &[Dimension]) -> Vec<Dimension> {
        let mut by = among.to_vec();
        self.random.shuffle(&mut by);
        by.truncate(self.random.usize(1..4));
        by
    }
}

/// Lists hold what fits, may be seen and is shown: each entry once, in order, flagged as in the history of its record,
/// whatever the filter, the page size and the direction.
pub async fn lists_hold_exactly_what_fits(suite: &Suite) {
    each_trail(suite, "lists", async |told| {
        for _ in 0..QUESTIONS {
            let (filter, grants) = (told.filter(), told.grants());
            let period = told.period();
            let order = pick(&mut told.random, &DIRECTIONS);
            let limit = told.random.usize(1..30);
            let listing = Listing { from: period.from, to: period.to, order, limit, cursor: None };
            let reader = told.trail.for_reader(grants.clone());
            let what = format!("{filter:?} {listing:?} {grants:?}");
            let fitting = told.brute.fitting(&filter, &grants, period);
            let mut expected: Vec<_> = fitting.into_iter().map(|entry| shown(entry, &told.brute)).collect();
            if order == Direction::Descending {
                expected.reverse();
            }
            match walk(&reader, &filter, &listing).await {
                Ok(items) => assert_eq!(items.iter().map(told_of).collect::<Vec<_>>(), expected, "{what}"),
                Err(TrailError::NotGranted) => assert_eq!(expected, [], "{what}"),
                Err(error) => panic!("{error}: {what}"),
            }
        }
    })
    .await;
}

/// What is compared of an entry: which one it is, and what a reader is to know of it.
type Shown = (RecordKey, String, u32, [Timestamp; 2], BTreeSet<Flag>);

fn shown(entry: &Entry, brute: &Brute) -> Shown {
    let Identity { event_id, revision, published_at, .. } = entry.identity.clone();
    (entry.record.clone(), event_id, revision, [entry.occurred_at, published_at], brute.flags(entry))
}

fn told_of(item: &EntryView) -> Shown {
    let record = RecordKey {
        tenant: item.tenant.clone(),
        source: item.source.clone(),
        table: item.table.clone(),
        record_id: item.record_id.clone(),
    };
    let times = [item.occurred_at, item.published_at];
    (record, item.id.clone(), item.revision, times, item.flags.iter().copied().collect())
}

pub(super) async fn walk(trail: &Trail, filter: &Filter, listing: &Listing) -> Result<Vec<EntryView>, TrailError> {
    let mut listing = listing.clone();
    let mut items = Vec::new();
    loop {
        let page = trail.changes(filter, &listing).await?;
        assert!(page.items.len() <= listing.limit, "no more than asked for");
        items.extend(page.items);
        match page.next {
            Some(next) => listing.cursor = Some(next),
            None => return Ok(items),
        }
    }
}

/// Counts are those of a list of everything that fits, and so is their total.
pub async fn counts_are_exact(suite: &Suite) {
    each_trail(suite, "counts", async |told| {
        for _ in 0..QUESTIONS {
            let (filter, grants, period) = (told.filter(), told.grants(), told.period());
            let by = told.dimensions(&Dimension::ALL);
            let what = format!("{filter:?} {period:?} {by:?} {grants:?}");
            let fitting = told.brute.fitting(&filter, &grants, period);
            let (groups, total) = Brute::counts(&fitting, &by);
            let counts = match told.trail.for_reader(grants).counts(&filter, period, &by).await {
                Ok(counts) => counts,
                Err(TrailError::NotGranted) if total == 0 => continue,
                Err(error) => panic!("{error}: {what}"),
            };
            assert_eq!(counts.total, total, "{what}");
            let mut expected: Vec<_> = groups.into_iter().collect();
            // Stable: equal counts stay in the order of their keys.
            expected.sort_by_key(|(_, times)| std::cmp::Reverse(times.len()));
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(names, times)| (names, times.len() as u64, times[0], times[times.len() - 1]))
                .collect();
            let found: Vec<_> = counts
                .items
                .into_iter()
                .map(|item| (values(item.keys, &by), item.count, item.first, item.last))
                .collect();
            assert_eq!(found, expected, "{what}");
        }
    })
    .await;
}

fn values(keys: Vec<(Dimension, Option<String>)>, by: &[Dimension]) -> Vec<Option<String>> {
    assert!(keys.iter().map(|(dimension, _)| dimension).eq(by), "in the order asked for");
    keys.into_iter().map(|(_, value)| value).collect()
}

/// Bursts are what looking at each window by itself finds, those included that begin before the period or end after it.
pub async fn bursts_are_the_windows_that_are_too_full(suite: &Suite) {
    let dimensions: Vec<Dimension> =
        Dimension::ALL.into_iter().filter(|by| !matches!(by, Dimension::Hour | Dimension::Day)).collect();
    each_trail(suite, "bursts", async |told| {
        for _ in 0..QUESTIONS {
            let (filter, grants, period) = (told.filter(), told.grants(), told.period());
            let seconds = pick(&mut told.random, &[1, 2, 10, 3_600]);
            let by = told.dimensions(&dimensions);
            let rule = BurstRule { window_micros: seconds * 1_000_000, threshold: told.random.u64(0..6), by };
            let what = format!("{filter:?} {period:?} {rule:?} {grants:?}");
            let around = Period {
                from: period.from.map(|from| from.saturating_add_micros(-rule.window_micros)),
                to: period.to.map(|to| to.saturating_add_micros(rule.window_micros)),
            };
            let fitting = told.brute.fitting(&filter, &grants, around);
            let bursts = match told.trail.for_reader(grants).bursts(&filter, period, &rule).await {
                Ok(bursts) => bursts,
                Err(TrailError::NotGranted) if fitting.is_empty() => continue,
                Err(error) => panic!("{error}: {what}"),
            };
            let mut expected = Vec::new();
            for (names, times) in Brute::counts(&fitting, &rule.by).0 {
                let of_group = Brute::bursts(&times, &rule, period).into_iter();
                expected.extend(of_group.map(|(count, first, last)| (names.clone(), count, first, last)));
            }
            expected.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| (&a.0, a.2).cmp(&(&b.0, b.2))));
            let found: Vec<_> = bursts
                .items
                .into_iter()
                .map(|item| (values(item.keys, &rule.by), item.count, item.first, item.last))
                .collect();
            assert_eq!(found, expected, "{what}");
        }
    })
    .await;
}
