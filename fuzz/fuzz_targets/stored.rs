//! What is stored and read back: content as an entry, entries as documents of MongoDB, entries as lines of an export, and those
//! lines as the entries they were.
//!
//! The modules of the binary and of the MongoDB store are taken one by one: with their crates came drivers, HTTP and TLS.

#![no_main]
#![allow(dead_code, reason = "each module is used in part")]

#[path = "../../crates/store-mongodb/src/bson.rs"]
mod bson;
#[path = "../../crates/store-mongodb/src/decode.rs"]
mod decode;
#[path = "../../crates/store-mongodb/src/document.rs"]
mod document;
#[path = "../../crates/store-mongodb/src/encode.rs"]
mod encode;
#[path = "../../crates/store-mongodb/src/names.rs"]
mod names;
#[path = "../../crates/store-mongodb/src/rows.rs"]
mod rows;
#[path = "../../crates/store-mongodb/src/terms.rs"]
mod terms;
#[path = "../../crates/json/tests/tree/mod.rs"]
mod tree;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::mongodb::bson::RawDocumentBuf;
use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{Contents, Layers, Message, Settings, Timestamp};
use afterimage_store::content::Content;
use afterimage_store::{
    Arrival, Columns, Direction, Entry, Export, ExportFormat, Filter, IndexRow, Kept, LIMIT_MAX, Listing, MemoryStore,
    OWN_SOURCE, Store, Trail, keep,
};
use libfuzzer_sys::fuzz_target;
use tree::Tree;

#[path = "../../crates/afterimage/src/replay"]
mod replay {
    mod chain;
    mod entry;
    mod images;

    use std::sync::Arc;

    use afterimage_diff::Rules;
    use afterimage_store::Entry;
    use afterimage_store::content::Content;
    use chain::Chain;
    use entry::{Exported, Unproven};

    pub(super) fn check_line(line: &str) {
        if let Err(unproven) = Exported::read(line) {
            assert!(unproven.to_string().len() < 512);
        }
    }

    /// Each line is of one of these entries; what it proves is that.
    pub(super) fn check(lines: &str, entries: &[&Arc<Entry>], rules: &Rules) {
        let mut chain = Chain::default();
        for line in lines.lines() {
            let exported = Exported::read(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let is_it = |entry: &&Arc<Entry>| {
                entry.identity.event_id == exported.id && exported.is(&Content::read(&entry.content).unwrap())
            };
            assert!(entries.iter().any(is_it), "of no entry: {line}");
            let images = exported.images(&mut chain);
            match images.and_then(|images| exported.entry(&images, rules, super::now(), 0)) {
                Ok(Some(proven)) => assert!(exported.is(&Content::read(&proven.content).unwrap()), "{line}"),
                Ok(None) => panic!("nothing expires here"),
                Err(Unproven::Malformed | Unproven::Reserved) => panic!("refused: {line}"),
                Err(unproven) => assert!(unproven.to_string().len() < 8_192),
            }
        }
    }
}

// The content of an entry, or a line of an export; else messages, one a line, of one trail.
fuzz_target!(|text: &str| {
    // `serde_json`, which the reference reads with, takes some names for its own.
    if !tree::is_understood(text) {
        return;
    }
    content(text);
    replay::check_line(text);
    for rules in rules() {
        told(text, &rules);
    }
});

fn now() -> Timestamp {
    "2026-01-10T00:00:00Z".parse().unwrap()
}

fn rules() -> [Rules; 3] {
    let block = |arrays: &str, images: &str| {
        RuleBlock::new("test", "*", "*").array("/**", arrays).unwrap().images(images).unwrap()
    };
    let rules = |block: RuleBlock| Rules::new(vec![block], DigestKey::published()).unwrap();
    [
        rules(block("index", "after")),
        rules(block("keyed(/id)", "changes").quiet("/seen").unwrap()),
        rules(block("lcs", "after").redact("/card", "hmac").unwrap().redact("/pin", "mask").unwrap()),
    ]
}

/// Text that may be content is read as `serde_json` reads it, or refused with its place alone.
fn content(text: &str) {
    match Entry::from_content(text.to_owned()) {
        Err(error) => {
            let shown = error.to_string();
            let words: Vec<&str> = shown.split(|c: char| !c.is_alphanumeric()).collect();
            let is_ours = |word: &&str| {
                word.bytes().all(|byte| byte.is_ascii_digit())
                    || "expected content of format fault at line column this version reads up to upgrade afterimage"
                        .split(' ')
                        .any(|known| known == *word)
            };
            assert!(words.iter().all(is_ours), "{shown}");
        }
        Ok(entry) => {
            let content = Content::read(text).unwrap();
            if let Some(tree) = Tree::parse(text) {
                let text = |name: &str| match tree.get(name) {
                    Some(Tree::String(text)) => text.clone(),
                    other => panic!("{name}: {other:?}"),
                };
                let key = &entry.record;
                assert_eq!([&key.tenant, &key.source, &key.table], [&text("tenant"), &text("source"), &text("table")]);
                assert_eq!((&entry.identity.event_id, &content.rules), (&text("id"), &text("rules")));
                assert_eq!(entry.op.as_str(), text("op"));
                assert_eq!(entry.identity.input_digest.to_string(), text("input_digest").to_lowercase());
                for (name, moment) in
                    [("published_at", entry.identity.published_at), ("occurred_at", entry.occurred_at)]
                {
                    assert_eq!(text(name).parse(), Ok(moment));
                }
                for (name, image) in [("before", &content.before), ("after", &content.after)] {
                    let image = image.as_deref().map(|image| Tree::parse(image.get()).unwrap());
                    assert_eq!(image.as_ref(), tree.get(name));
                }
                let strings = |name: &str| match tree.get(name) {
                    Some(Tree::Array(elements)) => elements.iter().map(|e| format!("{e:?}")).collect(),
                    _ => Vec::new(),
                };
                let shown = |texts: &[String]| -> Vec<String> {
                    texts.iter().map(|text| format!("{:?}", Tree::String(text.clone()))).collect()
                };
                assert_eq!((shown(&key.record_id), shown(&entry.changed)), (strings("record_id"), strings("changed")));
                assert_eq!(
                    (shown(&content.unknown), shown(&content.redacted)),
                    (strings("unknown"), strings("redacted"))
                );
            }
            kept_as_document(&entry);
        }
    }
}

/// An entry is the same when it comes back from MongoDB, to the last byte of its content; and so is its row.
fn kept_as_document(entry: &Entry) {
    let arrival = Arrival { worker: "w\u{e9} 1".to_owned(), at: now() };
    for bytes_max in [usize::MAX, 0] {
        let document = RawDocumentBuf::from_bytes(document::write(entry, &arrival, bytes_max)).unwrap();
        let (read, stored) = rows::entry(&document).unwrap();
        assert_eq!(read, *entry);
        assert_eq!((stored.worker, stored.at), (arrival.worker.clone(), arrival.at));
        let row = rows::index_row(&document).unwrap();
        let mut expected = IndexRow::from(entry);
        // Terms of the index are cut; whoever asks all day has terms of its own.
        expected.provenance = row.provenance.clone();
        assert_eq!(row, expected);
    }
}

/// Messages make entries; a trail of them is exported; each line of it proves the entry it was, or says why not.
fn told(text: &str, rules: &Rules) {
    let store = MemoryStore::new();
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    for (number, body) in text.lines().enumerate().take(8) {
        let id = format!("m-{number}");
        let message = Message {
            body,
            message_id: &id,
            sent_at: Timestamp::from_millis(1_767_952_807_250 + number as i64).unwrap(),
            sequence_number: None,
            group_id: None,
            origin: None,
        };
        let (settings, mut layers) = (Settings::default(), Layers::default());
        let Ok(Contents::Events(events)) = afterimage_event::decode(&message, &settings, &mut layers) else { continue };
        for event in events.flatten().take(8) {
            let Ok(Kept::Entry(entry)) = keep(&event, rules, now(), 0) else { continue };
            assert_eq!(Entry::from_content(entry.content.clone()).as_ref(), Ok(&*entry));
            kept_as_document(&entry);
            entries.push(Arc::from(entry));
        }
    }
    if entries.is_empty() {
        return;
    }
    let arrival = Arrival { worker: "w".to_owned(), at: now() };
    assert!(done(store.append(&entries, &arrival)).iter().all(Result::is_ok));
    let trail = Trail::with_clock(Arc::new(store), now);
    let mut sources: Vec<(&str, &str)> =
        entries.iter().map(|entry| (&*entry.record.tenant, &*entry.record.source)).collect();
    sources.sort_unstable();
    sources.dedup();
    for (tenant, source) in sources {
        let of_source: Vec<&Arc<Entry>> =
            entries.iter().filter(|entry| entry.record.tenant == tenant && entry.record.source == source).collect();
        let lines = exported(&trail, tenant, source);
        replay::check(&lines, &of_source, rules);
    }
}

fn exported(trail: &Trail, tenant: &str, source: &str) -> String {
    assert_ne!(source, OWN_SOURCE);
    let filter = Filter { tenant: tenant.to_owned(), source: Some(source.to_owned()), ..Filter::default() };
    let from = Some("0001-01-01T00:00:00Z".parse().unwrap());
    let mut listing = Listing { from, to: None, order: Direction::Ascending, limit: LIMIT_MAX, cursor: None };
    let mut export = Export::new(ExportFormat::Ndjson, Columns::entries());
    let mut out = String::new();
    loop {
        let page = done(trail.changes(&filter, &listing)).unwrap();
        page.items.iter().for_each(|item| export.push(item, &mut out).unwrap());
        let Some(next) = page.next else { return out };
        listing.cursor = Some(next);
    }
}

/// The store in memory never waits.
fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("waits"),
    }
}
