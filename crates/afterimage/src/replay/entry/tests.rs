use std::sync::Arc;

use afterimage_diff::{DigestKey, RuleBlock};
use afterimage_json::Object;
use afterimage_store::{Arrival, Filter, Ledger, Listing, Store, Trail};
use afterimage_store_sqlite::{Options, SqliteStore};
use serde_json::{Value, json};

use super::*;

/// A small generator of documents; the same from the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn value(&mut self, depth: u64) -> Value {
        let plain =
            ["null", "true", "1", "1.0", "-0.5e1", "12345678901234567890.10", "\"\"", "\"\\u00e9~/\"", "{}", "[]"];
        match self.below(if depth == 0 { 10 } else { 16 }) {
            at @ 0..10 => serde_json::from_str(plain[at as usize]).unwrap(),
            10..12 => (0..self.below(5)).map(|_| self.value(depth - 1)).collect(),
            // Elements with keys.
            12 => (0..self.below(5))
                .map(|id| json!({ "id": (id * 7 + self.below(3)) % 11, "v": self.value(0) }))
                .collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: u64) -> Value {
        let names = ["a", "b/c", "~", "é", "", "list", "seen"];
        let members = (0..self.below(6)).map(|_| (names[self.below(7) as usize].to_owned(), self.value(depth)));
        Value::Object(members.collect())
    }

    /// Another state of a document: mostly the same.
    fn changed(&mut self, document: &Value) -> Value {
        match document {
            Value::Object(members) if self.below(8) > 0 => {
                let kept = members
                    .iter()
                    .filter(|_| !self.0.is_multiple_of(5))
                    .map(|(name, value)| (name.clone(), value.clone()));
                let mut kept: serde_json::Map<String, Value> = kept.collect();
                let name = ["a", "~", "list", "new"][self.below(4) as usize].to_owned();
                let value = match members.get(&name) {
                    Some(value) => self.changed(value),
                    None => self.value(2),
                };
                kept.insert(name, value);
                Value::Object(kept)
            }
            Value::Array(elements) => {
                let mut elements = elements.clone();
                if !elements.is_empty() {
                    let at = self.below(elements.len() as u64) as usize;
                    let moved = elements.remove(at);
                    if self.below(3) > 0 {
                        elements.insert(0, moved);
                    }
                }
                elements.push(self.value(1));
                Value::Array(elements)
            }
            _ => self.value(2),
        }
    }

    /// Text with the members of objects in any order.
    fn text(&mut self, value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                for at in (1..members.len()).rev() {
                    members.swap(at, self.below(at as u64 + 1) as usize);
                }
                let mut out = Object::default();
                members.into_iter().for_each(|(name, value)| out.member(name, &self.text(value)));
                out.finish()
            }
            Value::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| self.text(element)).collect();
                format!("[{}]", elements.join(","))
            }
            plain => plain.to_string(),
        }
    }
}

fn rules(arrays: &str, images: &str) -> Rules {
    let block = RuleBlock::new("test", "*", "*").array("/**", arrays).unwrap().images(images).unwrap();
    Rules::new(vec![block.quiet("/seen").unwrap()], DigestKey::published()).unwrap()
}

fn moment(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000).unwrap()
}

/// The life of one record, as lines of an export, the oldest first.
async fn exported(random: &mut Random, rules: &Rules, count: i64) -> Vec<String> {
    let mut entries = Vec::new();
    let mut state = random.object(3);
    for second in 0..count {
        let before = state.clone();
        if second > 0 {
            state = random.changed(&state);
        }
        let (before, after) = (random.text(&before), random.text(&state));
        let event = ChangeEvent {
            id: EventId { value: format!("e{second}"), origin: IdOrigin::Event },
            record: RecordKey {
                tenant: "default".into(),
                source: "shop".into(),
                table: "t".into(),
                record_id: vec!["1".into()],
            },
            op: if second == 0 { Op::Insert } else { Op::Update },
            occurred_at: moment(second + 1),
            time_origin: TimeOrigin::Event,
            position: None,
            position_is_own: false,
            transaction: None,
            actor: None,
            context: None,
            asides: Vec::new(),
            labels: None,
            before: (second > 0).then_some(Cow::Owned(before)),
            after: Some(Cow::Owned(after)),
            unknown: Vec::new(),
            published_at: moment(second + 1_000_000),
        };
        if let Kept::Entry(entry) = keep(&event, rules, moment(0), 0).unwrap() {
            entries.push(Arc::from(entry));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("trail.db"), &Options::default()).unwrap());
    store.migrate().await.unwrap();
    let arrival = Arrival { worker: "w".to_owned(), at: moment(2_000_000) };
    for result in Ledger::new(store.clone()).append(&entries, &arrival).await {
        let _durable = result.unwrap();
    }
    let filter = Filter { tenant: "default".into(), ..Filter::default() };
    let listing = Listing { from: Some(moment(0)), limit: 1000, ..Listing::default() };
    let page = Trail::new(store).changes(&filter, &listing).await.unwrap();
    let lines = page.items.iter().rev().map(|entry| serde_json::to_string(entry).unwrap());
    lines.collect()
}

#[tokio::test]
async fn an_entry_makes_the_event_that_makes_it_whatever_changed_and_however_arrays_are_compared() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut folded = 0;
    for round in 0..100 {
        let arrays = ["atomic", "index", "keyed(/id)", "set", "lcs"][round % 5];
        let images = ["after", "changes"][round / 5 % 2];
        let rules = rules(arrays, images);
        let lines = exported(&mut random, &rules, 6).await;
        let mut chain = Chain::default();
        for line in &lines {
            let entry = Exported::read(line).unwrap();
            let pair = entry.images(&mut chain).unwrap_or_else(|error| panic!("{arrays} {images}: {error}\n{line}"));
            folded += usize::from(pair.are_folded);
            let again = entry.entry(&pair, &rules, moment(0), 0);
            let again = again.unwrap_or_else(|error| panic!("{arrays} {images}: {error}\n{line}")).unwrap();
            assert!(entry.is(&Content::read(&again.content).unwrap()), "{arrays} {images}\n{line}\n{}", again.content);
        }
    }
    assert!(folded > 50, "only {folded} images were worked out from other entries");
}

#[tokio::test]
async fn an_export_that_runs_back_in_time_tells_what_lies_before_an_image() {
    let mut random = Random(7);
    let rules = rules("atomic", "changes");
    let lines = exported(&mut random, &rules, 8).await;
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let mut chain = Chain::default();
    // The newest image is nowhere in the file ...
    let newest = Exported::read(lines.last().unwrap()).unwrap();
    assert_eq!(last.get("after"), None);
    assert_eq!(newest.images(&mut chain).unwrap_err(), Unproven::NoImage("after"));
    // ... and known, where the next change told it.
    let state = {
        let mut ascending = Chain::default();
        let images = lines.iter().map(|line| Exported::read(line).unwrap().images(&mut ascending).unwrap());
        images.last().unwrap()
    };
    let link = Link { digest: last["after_digest"].as_str().unwrap().to_owned(), image: state.after.unwrap() };
    chain.tell(newest.record(), vec![link]);
    for line in lines.iter().rev() {
        let entry = Exported::read(line).unwrap();
        let images = entry.images(&mut chain).unwrap();
        assert!(entry.entry(&images, &rules, moment(0), 0).unwrap().is_some(), "{line}");
    }
}
