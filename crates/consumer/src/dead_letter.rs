//! Dead letters: messages that can never be stored, kept whole, with the reason attached.

use std::sync::Arc;

use afterimage_event::Origin;

use crate::message::{Attribute, Message};
use crate::process::Rejection;
use crate::queue::{ItemError, MESSAGE_BYTES_MAX, Queue, QueueError};

/// Most attributes a message may have
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>).
pub const ATTRIBUTES_MAX: usize = 10;

/// Prefix of the attributes that a dead letter adds; `dlq redrive` takes them off again.
pub const PREFIX: &str = "afterimage.";
/// Where the message came from: what its events' ids and times are derived from, so that they hold over a redrive.
pub const ORIGIN: &str = Origin::ATTRIBUTE;
/// Why: a code, from a bounded set.
pub const REASON: &str = "afterimage.reason";
/// Why, in words, without values.
pub const DETAIL: &str = "afterimage.detail";
/// Where in the body: a JSON Pointer or a byte offset.
pub const PLACE: &str = "afterimage.place";
/// Which worker gave it up.
pub const WORKER: &str = "afterimage.worker";
/// The indices of the events that failed, when the message held several; `,…` at the end when there were more.
pub const FAILED_EVENTS: &str = "afterimage.failed_events";

/// What a FIFO queue knew the message by.
pub const DEDUPLICATION_ID: &str = "afterimage.deduplication_id";

/// The group of letters that had none: of standard queues, which need none.
const NO_GROUP: &str = "dead-letters";

/// Longest deduplication id
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>).
const DEDUPLICATION_ID_BYTES_MAX: usize = 128;

/// Longest text of one attribute: the size limit is shared with the body.
const TEXT_BYTES_MAX: usize = 1024;

/// Ends a list of indices that there was no room for.
const MORE: &str = ",…";

/// A message on its way to the dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    message: Arc<Message>,
    attributes: Vec<Attribute>,
    code: &'static str,
}

/// Proof that a message is in the dead-letter queue. Only [`send`] makes one.
#[derive(Debug)]
#[must_use = "a proof that nobody keeps allows nothing"]
pub struct DeadLettered(());

/// Sends dead letters: a proof or an error for each, in order.
///
/// # Panics
/// When the queue breaks its contract of one result for each letter.
pub async fn send(
    queue: &dyn Queue,
    letters: &[DeadLetter],
) -> Result<Vec<Result<DeadLettered, ItemError>>, QueueError> {
    let results = queue.send_dead_letters(letters).await?;
    assert_eq!(results.len(), letters.len(), "a queue answers for every letter it was given");
    Ok(results.into_iter().map(|result| result.map(|()| DeadLettered(()))).collect())
}

impl DeadLetter {
    /// The letter for a message: the body unchanged, the sender's attributes, and as much of the reason as the limits
    /// on number and size leave room for: first the origin and the reason's code, then the sender's attributes, then
    /// the place, the failed events, the worker and the reason in words.
    pub(crate) fn new(message: Arc<Message>, rejections: &[Rejection], worker: &str) -> Self {
        let code = rejections.first().map_or("unknown", |rejection| rejection.code);
        let mut room =
            Room { attributes: Vec::new(), bytes_left: MESSAGE_BYTES_MAX.saturating_sub(message.body.len()) };
        // A letter that was sent back and failed again keeps its first origin; its other marks are of the past.
        room.add(Attribute::text(ORIGIN, Origin::of(&message.told()).to_attribute()));
        room.add(Attribute::text(REASON, code));
        if let Some(id) = original_deduplication_id(&message) {
            room.add(Attribute::text(DEDUPLICATION_ID, id));
        }
        for attribute in message.attributes.iter().filter(|attribute| !attribute.name.starts_with(PREFIX)) {
            room.add(attribute.clone());
        }
        if let Some(first) = rejections.first() {
            room.add_text(PLACE, &first.place);
        }
        room.add_text(FAILED_EVENTS, &failed_events(rejections));
        room.add_text(WORKER, worker);
        if let Some(first) = rejections.first() {
            room.add_text(DETAIL, &first.reason);
        }
        Self { message, attributes: room.attributes, code }
    }

    /// The body, unchanged.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.message.body
    }

    /// The FIFO group it was in, and is in among the dead letters.
    #[must_use]
    pub fn group_id(&self) -> &str {
        self.message.group_id.as_deref().unwrap_or(NO_GROUP)
    }

    /// Its deduplication id on a FIFO queue: the original one, and behind it the message id.
    ///
    /// Not the original one alone: a queue that knows an id says yes and drops the letter, and two messages can share one. The
    /// source may tell ids apart by group (`DeduplicationScope`) and this queue not, and after five minutes the source takes
    /// an id again while the first message still waits. The same message sent twice has the same id twice.
    #[must_use]
    pub fn deduplication_id(&self) -> String {
        let unique = self.message_id();
        let original = original_deduplication_id(&self.message).unwrap_or_default();
        let room = DEDUPLICATION_ID_BYTES_MAX.saturating_sub(unique.len() + 1);
        match original.get(..original.len().min(room)) {
            Some(original) if !original.is_empty() => format!("{original}.{unique}"),
            _ => unique.to_owned(),
        }
    }

    /// The message it was.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.message.handle.message_id
    }

    /// The sender's attributes and ours.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The reason's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Its size, as the queue counts it.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.message.body.len() + self.attributes.iter().map(Attribute::len_bytes).sum::<usize>()
    }
}

/// What the queue it was sent to first knew it by: a letter that was sent back has another id since.
fn original_deduplication_id(message: &Message) -> Option<&str> {
    let first = message.attributes.iter().find(|attribute| attribute.name == DEDUPLICATION_ID);
    first.and_then(Attribute::as_text).or(message.deduplication_id.as_deref())
}

/// What the limits leave room for.
struct Room {
    attributes: Vec<Attribute>,
    bytes_left: usize,
}

impl Room {
    fn add(&mut self, attribute: Attribute) {
        let bytes = attribute.len_bytes();
        if self.attributes.len() < ATTRIBUTES_MAX && bytes <= self.bytes_left {
            self.bytes_left -= bytes;
            self.attributes.push(attribute);
        }
    }

    /// Attributes may not be empty, nor hold most control characters.
    fn add_text(&mut self, name: &str, text: &str) {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if !text.is_empty() {
            self.add(Attribute::text(name, text));
        }
    }
}

fn failed_events(rejections: &[Rejection]) -> String {
    let mut indices: Vec<usize> = rejections.iter().filter_map(|rejection| rejection.event_index).collect();
    indices.sort_unstable();
    indices.dedup();
    let mut text = String::new();
    for (at, index) in indices.iter().enumerate() {
        let number = if at == 0 { index.to_string() } else { format!(",{index}") };
        // Half a number would name another event.
        if text.len() + number.len() + MORE.len() > TEXT_BYTES_MAX {
            text.push_str(MORE);
            break;
        }
        text.push_str(&number);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_indices_that_is_too_long_names_only_events_that_failed() {
        let failed = |count: usize| {
            let rejection =
                |n| Rejection { event_index: Some(n), code: "empty", place: String::new(), reason: String::new() };
            failed_events(&(0..count).map(|n| rejection(n * 7)).collect::<Vec<_>>())
        };
        assert_eq!(failed(3), "0,7,14");
        let text = failed(10_000);
        assert!(text.len() <= TEXT_BYTES_MAX);
        let named = text.strip_suffix(MORE).map(|list| list.split(',').map(str::parse::<usize>).collect::<Vec<_>>());
        let named = named.unwrap_or_default();
        assert!(named.len() > 100 && named.iter().enumerate().all(|(at, index)| *index == Ok(at * 7)), "{text}");
    }
}
