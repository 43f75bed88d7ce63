use serde::Serialize;

use super::EntryView;

/// An entry in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedItem {
    /// The event id.
    pub id: String,
    /// When it happened.
    pub occurred_at: String,
    /// A sentence: "support agent 42 changed the status of order 7 from pending to shipped".
    pub text: String,
}

impl FeedItem {
    /// Says what an entry tells.
    #[must_use]
    pub fn of(entry: &EntryView) -> Self {
        let text = format!("{} of {} {}", entry.op, entry.table, entry.record_id.join(","));
        Self { id: entry.id.clone(), occurred_at: entry.occurred_at.to_string(), text }
    }
}
