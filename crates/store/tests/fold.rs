//! From events to states, through the diff and the rules: what the trail folds is what was sent.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::borrow::Cow;
use std::sync::Arc;

use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{ChangeEvent, EventId, IdOrigin, Op, RecordKey, TimeOrigin};
use afterimage_json::{Raw, equal};
use afterimage_store::conformance::moment;
use afterimage_store::{Arrival, Kept, Listing, Lookup, MemoryStore, RecordQuery, Store, Trail, keep};

fn event<'a>(n: i64, op: Op, before: Option<&'a str>, after: Option<&'a str>) -> ChangeEvent<'a> {
    ChangeEvent {
        id: EventId { value: format!("event {n}"), origin: IdOrigin::Event },
        record: RecordKey {
            tenant: "t".into(),
            source: "s".into(),
            table: "orders".into(),
            record_id: vec!["1".into()],
        },
        op,
        occurred_at: moment(n),
        time_origin: TimeOrigin::Event,
        position: None,
        position_is_own: false,
        transaction: None,
        actor: None,
        context: None,
        asides: Vec::new(),
        labels: None,
        before: before.map(Cow::Borrowed),
        after: after.map(Cow::Borrowed),
        unknown: Vec::new(),
        published_at: moment(n),
    }
}

/// A document with nested values, arrays of each policy, long numbers, and now and then a secret.
fn document(random: &mut fastrand::Rng) -> String {
    let mut ids: Vec<u8> = (0..6).filter(|_| random.bool()).collect();
    random.shuffle(&mut ids);
    let items: Vec<String> = ids
        .iter()
        .map(|id| format!(r#"{{"id":"i{id}","qty":{},"at":[1,{}]}}"#, random.u8(0..3), random.u8(0..3)))
        .collect();
    let list = |random: &mut fastrand::Rng| {
        (0..random.usize(0..5)).map(|_| random.u8(0..3).to_string()).collect::<Vec<_>>().join(",")
    };
    let mixed = |random: &mut fastrand::Rng| {
        let kinds = ["1", "1.0", "\"1\"", "{\"s\":[1]}", "{\"s\":[1,2]}", "[]", "null"];
        (0..random.usize(0..9)).map(|_| kinds[random.usize(..kinds.len())]).collect::<Vec<_>>().join(",")
    };
    let secret = if random.u8(0..20) == 0 { format!(r#","password":"{}""#, random.u8(..)) } else { String::new() };
    format!(
        r#"{{"n":12345678901234567890.{},"items":[{}],"list":[{}],"index":[{}],"set":[{}],"lcs":[{}],"a/b":{{"":{},"~":null}}{secret}}}"#,
        random.u8(0..4),
        items.join(","),
        list(random),
        list(random),
        mixed(random),
        mixed(random),
        random.u8(0..3)
    )
}

fn without_secret(document: &str) -> String {
    document.find(",\"password\"").map_or_else(|| document.to_owned(), |at| format!("{}}}", &document[..at]))
}

#[tokio::test]
async fn every_state_folds_to_the_image_that_was_sent() {
    let block = RuleBlock::new("all", "*", "*").images("changes").unwrap();
    let block = block.array("/items", "keyed(/id)").unwrap().array("/index", "index").unwrap();
    let block = block.array("/set", "set").unwrap().array("/lcs", "lcs").unwrap();
    let rules = Rules::new(vec![block], DigestKey::published()).unwrap();
    let random = &mut fastrand::Rng::with_seed(7);
    let store = Arc::new(MemoryStore::new());
    let mut documents = vec![document(random)];
    let mut images_kept = 0;
    for n in 1..400 {
        let next = document(random);
        let before = documents.last().unwrap();
        let event = if n == 1 {
            event(n, Op::Insert, None, Some(&next))
        } else {
            event(n, Op::Update, Some(before), Some(&next))
        };
        if let Kept::Entry(entry) = keep(&event, &rules, moment(1_000), 0).unwrap() {
            images_kept += usize::from(entry.content.contains(r#""after":"#));
            let arrival = Arrival { worker: "w".into(), at: moment(1_000) };
            assert_eq!(store.append(&[Arc::from(*entry)], &arrival).await, [Ok(())]);
        }
        documents.push(next);
    }
    assert!((2..100).contains(&images_kept), "most states must be folded, {images_kept} images were kept");

    let trail = Trail::with_clock(store as Arc<dyn Lookup>, || moment(1_000));
    let query = RecordQuery { tenant: "t".into(), source: None, table: "orders".into(), record_id: vec!["1".into()] };
    for (n, document) in (0..).zip(&documents).skip(1) {
        let view = trail.state(&query, moment(n)).await.unwrap();
        assert_eq!((view.exists, view.flags.len()), (Some(true), 0), "{n}");
        let state = view.state.unwrap();
        let expected = without_secret(document);
        assert!(equal(Raw::parse(state.get()).unwrap(), Raw::parse(&expected).unwrap()), "{n}: {state} for {expected}");
    }
    let page = trail.history(&query, &Listing { limit: 1000, ..Listing::default() }).await.unwrap();
    assert!(page.items.iter().all(|item| item.flags.is_empty()));
}

#[tokio::test]
async fn what_was_unknown_for_a_while_is_no_gap() {
    let block = RuleBlock::new("all", "*", "*").images("changes").unwrap();
    let rules = Rules::new(vec![block], DigestKey::published()).unwrap();
    let store = Arc::new(MemoryStore::new());
    let image = |n: i64| format!(r#"{{"bio":"long","n":{n}}}"#);
    for n in 1..4 {
        let (before, after) = (image(n - 1), image(n));
        let mut event = match n {
            1 => event(n, Op::Insert, None, Some(&after)),
            _ => event(n, Op::Update, Some(&before), Some(&after)),
        };
        if n == 2 {
            event.unknown = vec!["/bio".parse().unwrap()];
        }
        let Kept::Entry(entry) = keep(&event, &rules, moment(9), 0).unwrap() else {
            panic!("event {n} changes something")
        };
        let arrival = Arrival { worker: "w".into(), at: moment(9) };
        assert_eq!(store.append(&[Arc::from(*entry)], &arrival).await, [Ok(())]);
    }
    let trail = Trail::with_clock(store as Arc<dyn Lookup>, || moment(9));
    let query = RecordQuery { tenant: "t".into(), source: None, table: "orders".into(), record_id: vec!["1".into()] };
    for n in [2, 3] {
        let view = trail.state(&query, moment(n)).await.unwrap();
        assert_eq!((view.unknown.as_slice(), view.flags.len()), (&["/bio".to_owned()][..], 0), "{n}");
    }
}
