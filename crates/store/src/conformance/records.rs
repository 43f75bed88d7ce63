use afterimage_json::{Raw, equal};
use serde_json::Value;

use super::world::{Life, RECORDS, Row, SECONDS, Told, World};
use super::{DIRECTIONS, Suite, json, moment};
use crate::{
    Direction, Flag, GapView, Listing, Page, PatchView, RecordQuery, RecordStep, StateStep, StateView, TableKey, Trail,
    TrailError,
};

fn query(tenant: &str, record: &str) -> RecordQuery {
    RecordQuery {
        tenant: tenant.to_owned(),
        source: Some("s".to_owned()),
        table: "t".to_owned(),
        record_id: vec![record.to_owned()],
    }
}

fn second(at: afterimage_event::Timestamp) -> i64 {
    (at.as_micros() - moment(0).as_micros()) / 1_000_000
}

/// Worlds with and without silence, under each images policy that keeps values.
async fn worlds(suite: &Suite, law: &str) -> Vec<(String, World, fastrand::Rng)> {
    let mut worlds = Vec::new();
    for round in 0..suite.random_rounds {
        let seed = u64::try_from(round).unwrap_or(0) + 0x5EED;
        let tenant = suite.tenant(&format!("{law} {seed}"));
        let mut random = fastrand::Rng::with_seed(seed);
        let images = if round % 2 == 0 { "changes" } else { "after" };
        let world = World::random(&tenant, images, round % 4 < 2, &mut random);
        suite.tell(&world.entries).await;
        worlds.push((tenant, world, random));
    }
    worlds
}

async fn all<T>(limit: usize, order: Direction, page: impl AsyncFn(Listing) -> Page<T>) -> Vec<T> {
    let mut listing = Listing { order, limit, ..Listing::default() };
    let mut items = Vec::new();
    loop {
        let page = page(listing.clone()).await;
        assert!(page.items.len() <= limit, "no more than asked for");
        items.extend(page.items);
        match page.next {
            Some(next) => listing.cursor = Some(next),
            None => return items,
        }
    }
}

/// Every state a record had, as its application knew it: in pages of any size, either way round.
pub async fn states_are_those_the_record_had(suite: &Suite) {
    for (tenant, world, mut random) in worlds(suite, "states").await {
        let trail = suite.trail();
        for (name, life) in RECORDS.iter().zip(&world.lives) {
            let query = query(&tenant, name);
            let mut first: Option<String> = None;
            for order in DIRECTIONS {
                let limit = random.usize(1..8);
                let mut steps =
                    all(limit, order, async |listing| trail.states(&query, &listing).await.expect("a page")).await;
                if order == Direction::Descending {
                    steps.reverse();
                }
                let shown = json(&steps);
                assert_eq!(*first.get_or_insert_with(|| shown.clone()), shown, "{tenant} {name} {order:?} by {limit}");
                check_steps(&trail, &query, life, &steps, &format!("{tenant} {name}")).await;
            }
        }
        let records: Vec<_> = RECORDS.iter().rev().chain(["none"].iter()).map(|name| query(&tenant, name)).collect();
        let at = moment(random.i64(0..SECONDS));
        let together = trail.states_at(&records, at).await.expect("states");
        for (query, found) in records.iter().zip(together) {
            assert_eq!(query.record_id, found.record_id);
            match trail.state(query, at).await {
                Ok(view) => assert_eq!(found.state.as_ref().map(json), Some(json(&view))),
                Err(error) => assert_eq!(found.reason, Some(error.to_string())),
            }
        }
    }
}

async fn check_steps(trail: &Trail, query: &RecordQuery, life: &Life, steps: &[StateStep], place: &str) {
    let ids: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, life.told.iter().map(|told| told.id.as_str()).collect::<Vec<_>>(), "{place}");
    for (step, told) in steps.iter().zip(&life.told) {
        let place = format!("{place} {}", told.id);
        assert_eq!((step.op, second(step.occurred_at)), (told.op, told.at), "{place}");
        let alone = trail.state(query, moment(told.at)).await;
        let Some(view) = &step.state else {
            assert_eq!(step.reason, alone.err().map(|error| error.to_string()).map(bare), "{place}");
            assert!(life.silent.iter().any(|silent| *silent < told.at), "all was told: {place}");
            continue;
        };
        assert_eq!(alone.ok().as_ref().map(json), Some(json(view)), "{place}");
        assert_eq!(view.exists, Some(told.row.is_some()), "{place}");
        if let (Some(row), false) = (&told.row, view.flags.contains(&Flag::Gap)) {
            check_view(view, row, told, &place);
        }
    }
}

/// The reason within the message.
fn bare(message: String) -> String {
    message.strip_prefix("the state cannot be told: ").map(str::to_owned).unwrap_or(message)
}

/// What a state shows is true, and what it does not show is named.
fn check_view(view: &StateView, row: &Row, told: &Told, place: &str) {
    let state: Value = serde_json::from_str(view.state.as_ref().expect("a state").get()).expect("JSON");
    let truth: Value = serde_json::from_str(&row.json(false)).expect("JSON");
    let truth = truth.as_object().expect("an object");
    assert!(!told.unknown || view.unknown == ["/bio"], "{place}");
    assert_eq!(state.get("bio").is_none(), view.unknown == ["/bio"], "{place}: no stale value beside `unknown`");
    assert_eq!(state.get("pin").and_then(Value::as_str), Some("***"), "{place}");
    assert!(state.get("password").is_none(), "{place}");
    let hidden = ["bio", "pin", "password", "seen", "list"];
    for (name, value) in truth.iter().filter(|(name, _)| !hidden.contains(&name.as_str())) {
        assert_eq!(state.get(name), Some(value), "{place} /{name}");
    }
    assert_eq!(state.pointer("/list/0/v"), truth["list"].pointer("/0/v"), "{place}");
    assert_eq!(state.get("extra").is_some(), truth.contains_key("extra"), "{place}");
}

/// A patch, carried out on the record as it really was, leaves it as it really was then, but for what it says it leaves
/// out. A diff names what changed and is hidden, and no more; a revert refuses because of it.
pub async fn patches_lead_from_one_state_to_the_other(suite: &Suite) {
    let (mut made, mut refused, mut told) = (0, 0, 0);
    for (tenant, world, mut random) in worlds(suite, "patches").await {
        let trail = suite.trail();
        for (name, life) in RECORDS.iter().zip(&world.lives) {
            let query = query(&tenant, name);
            for _ in 0..40 {
                let (one, other) = (random.i64(0..SECONDS), random.i64(0..SECONDS));
                let (from, to) = (one.min(other), one.max(other));
                let is_diff = random.bool();
                let answer = match is_diff {
                    true => trail.diff(&query, moment(from), moment(to)).await,
                    false => trail.revert(&query, moment(to)).await,
                };
                let from = answer.as_ref().map_or(from, |patch| second(patch.from).min(SECONDS - 1));
                let place = format!("{tenant} {name} from {from} to {to}: {answer:?}");
                match answer {
                    Ok(patch) => {
                        made += 1;
                        let concealed = patch.redacted.len() + patch.unknown.len();
                        told += usize::from(concealed > 0);
                        assert!(is_diff || concealed == 0, "a revert that conceals: {place}");
                        // What happened past the audit nobody can patch; the gap question finds it.
                        let last = from.max(to);
                        if life.silent.iter().all(|silent| *silent > last) {
                            check_patch(&patch, life.at(from), life.at(to), &place);
                        }
                    }
                    Err(TrailError::PatchRefused { reason }) => {
                        refused += 1;
                        assert!(!is_diff, "a diff tells what it can: {place}");
                        let named = ["`/pin`", "`/password`", "`/bio`"];
                        assert!(named.iter().any(|pointer| reason.contains(pointer)), "{place}");
                    }
                    Err(TrailError::StateUnknown { .. }) => {
                        assert!(!life.silent.is_empty(), "{place}");
                    }
                    Err(TrailError::NoSuchRecord) => assert!(life.told.is_empty(), "{place}"),
                    Err(error) => panic!("{error}: {place}"),
                }
                // A revert began now.
                let (from, to) = (from.min(to), from.max(to));
                if !must_conceal(life, from, to) && life.silent.is_empty() && !life.told.is_empty() {
                    let again = trail.diff(&query, moment(from), moment(to)).await.expect(&place);
                    assert!(again.redacted.is_empty() && again.unknown.is_empty(), "{place}: {again:?}");
                }
                let turned = trail.diff(&query, moment(to + 1), moment(from)).await;
                assert!(matches!(turned, Err(TrailError::Question { .. })), "{place}: {turned:?}");
            }
        }
    }
    let counts = format!("{made} made, {told} of them told without their values, {refused} refused");
    assert!([made / 20, refused, told].iter().all(|count| *count > suite.random_rounds), "{counts}");
}

/// Could the way from one time to the other lead over a value that the trail does not hold?
fn must_conceal(life: &Life, from: i64, to: i64) -> bool {
    if life.at(to).is_none() {
        return false;
    }
    if life.at(from).is_none() {
        return true;
    }
    let between: Vec<Option<&Row>> = (from.min(to)..=from.max(to)).map(|second| life.at(second)).collect();
    between.windows(2).any(|pair| match (pair[0], pair[1]) {
        (Some(a), Some(b)) => (a.pin, a.password, a.bio) != (b.pin, b.password, b.bio),
        _ => true,
    }) || life.told.iter().any(|told| told.unknown)
}

fn check_patch(patch: &PatchView, from: Option<&Row>, to: Option<&Row>, place: &str) {
    let expected = match (from, to) {
        (None, None) => RecordStep::Absent,
        (None, Some(_)) => RecordStep::Create,
        (Some(_), None) => RecordStep::Delete,
        (Some(_), Some(_)) => RecordStep::None,
    };
    assert_eq!(patch.record, expected, "{place}");
    let (Some(from), Some(to)) = (from, to) else { return };
    let operations: json_patch::Patch = serde_json::from_str(patch.patch.get()).expect("a patch");
    let mut document: Value = serde_json::from_str(&from.json(false)).expect("JSON");
    // A revert tests what it takes for the present: what is written around a quiet value may be out of date.
    let is_sure = patch.approximate.is_empty();
    if json_patch::patch(&mut document, &operations).is_err() {
        assert!(!is_sure, "{place}");
        return;
    }
    // What no state shows is left alone only where it did not change, and nothing is written that was to be left alone.
    let hidden =
        [("/pin", from.pin == to.pin), ("/password", from.password == to.password), ("/bio", from.bio == to.bio)];
    for (pointer, is_same) in hidden {
        assert!(is_same || !patch.left_out.iter().any(|left| left == pointer), "{pointer} did change: {place}");
    }
    let written = patch.patch.get();
    let concealed = || patch.redacted.iter().chain(&patch.unknown);
    for pointer in patch.left_out.iter().chain(concealed()) {
        assert!(!written.contains(&format!(r#""path":"{pointer}""#)), "{pointer} was to be left out: {place}");
    }
    let mut target: Value = serde_json::from_str(&to.json(false)).expect("JSON");
    for pointer in patch.left_out.iter().chain(&patch.approximate).chain(concealed()) {
        for value in [&mut document, &mut target] {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            if let Some(Value::Object(members)) = value.pointer_mut(parent) {
                members.remove(name);
            }
        }
    }
    let (document, target) = (document.to_string(), target.to_string());
    let parse = |text| Raw::parse(text).expect("JSON");
    assert!(equal(parse(&document), parse(&target)), "{document} is not {target}: {place}");
}

/// Gaps are there where something happened that nobody told, and nowhere else: of one record, and of its table.
pub async fn gaps_are_where_something_was_not_told(suite: &Suite) {
    let mut found = 0;
    for (tenant, world, mut random) in worlds(suite, "gaps").await {
        let trail = suite.trail();
        let mut of_table: Vec<(i64, String, String)> = Vec::new();
        for (name, life) in RECORDS.iter().zip(&world.lives) {
            let query = query(&tenant, name);
            let expected: Vec<(i64, String, String)> =
                life.told.iter().filter_map(|told| Some((told.at, told.gap_after.clone()?, told.id.clone()))).collect();
            for order in DIRECTIONS {
                let gaps =
                    all(random.usize(1..4), order, async |listing| trail.gaps(&query, &listing).await.expect("a page"))
                        .await;
                assert_eq!(shown(gaps, order), expected, "{tenant} {name}");
            }
            found += expected.len();
            of_table.extend(expected);
        }
        of_table.sort();
        let table = TableKey { tenant: tenant.clone(), source: "s".into(), table: "t".into() };
        for order in DIRECTIONS {
            let (from, limit) = (random.i64(0..SECONDS), random.usize(1..4));
            let gaps = all(limit, order, async |listing| {
                let listing = Listing { from: Some(moment(from)), ..listing };
                trail.table_gaps(&table, &listing).await.expect("a page")
            })
            .await;
            let mut gaps = shown(gaps, order);
            gaps.sort();
            let expected: Vec<_> = of_table.iter().filter(|(at, ..)| *at >= from).cloned().collect();
            assert_eq!(gaps, expected, "{tenant} from {from}");
        }
    }
    assert!(found > suite.random_rounds / 2, "{found} gaps");
}

fn shown(mut gaps: Vec<GapView>, order: Direction) -> Vec<(i64, String, String)> {
    if order == Direction::Descending {
        gaps.reverse();
    }
    assert!(gaps.iter().all(|gap| gap.certain), "nothing ties: {gaps:?}");
    gaps.into_iter().map(|gap| (second(gap.before_at), gap.after_id.expect("an entry"), gap.before_id)).collect()
}
