//! What is taken in can be read ever after, however deep it is nested.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use afterimage_diff::Rules;
use afterimage_event::{Contents, Layers, Message, NESTING_MAX, Refusal, Settings, decode};
use afterimage_store::conformance::moment;
use afterimage_store::{Arrival, Entry, Kept, Listing, Lookup, MemoryStore, RecordQuery, Store, Trail, keep};

/// An update whose images, arrays in arrays, are `levels` deep.
fn update(levels: usize) -> String {
    let image = |value: u8| format!("{}{value}{}", "[".repeat(levels), "]".repeat(levels));
    format!(
        r#"{{"tableName":"t","operation":"update","recordId":"1","before":{},"after":{},"note":{}}}"#,
        image(1),
        image(2),
        image(3)
    )
}

fn entry(body: &str) -> Result<Box<Entry>, Refusal> {
    let message =
        Message { body, message_id: "m", sent_at: moment(1), sequence_number: None, group_id: None, origin: None };
    let (settings, mut layers) = (Settings::default(), Layers::default());
    let Contents::Events(mut events) = decode(&message, &settings, &mut layers)? else { panic!("no event") };
    match keep(&events.next().unwrap()?, &Rules::default(), moment(2), 0).unwrap() {
        Kept::Entry(entry) => Ok(entry),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_image_nested_as_deep_as_is_taken_in_is_read_back() {
    // The event is a level itself.
    let deepest = NESTING_MAX - 1;
    let entry = entry(&update(deepest)).unwrap();
    let store = Arc::new(MemoryStore::new());
    let arrival = Arrival { worker: "w".into(), at: moment(3) };
    assert_eq!(store.append(&[Arc::from(entry)], &arrival).await, [Ok(())]);
    let trail = Trail::with_clock(store as Arc<dyn Lookup>, || moment(3));
    let query = RecordQuery { tenant: "default".into(), source: None, table: "t".into(), record_id: vec!["1".into()] };
    let state = serde_json::to_string(&trail.state(&query, moment(1)).await.unwrap()).unwrap();
    let page = serde_json::to_string(&trail.history(&query, &Listing::default()).await.unwrap()).unwrap();
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let bottom = "/0".repeat(deepest);
    assert_eq!(read(&state).pointer(&format!("/state{bottom}")), Some(&2.into()));
    for (place, value) in [("after", 2), ("changes/0/old", 1), ("changes/0/new", 2), ("context/extra/note", 3)] {
        assert_eq!(read(&page).pointer(&format!("/items/0/{place}{bottom}")), Some(&value.into()), "{place}");
    }
}

#[test]
fn one_level_more_is_refused() {
    assert_eq!(entry(&update(NESTING_MAX)).unwrap_err().code(), "too_deep");
}
