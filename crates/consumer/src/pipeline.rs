//! The processor of the product: a message is decoded, its images compared, its entries built.

use std::sync::Arc;

use afterimage_diff::Rules;
use afterimage_event::{Contents, Layers, Refusal, Settings, Timestamp, decode};
use afterimage_store::{Kept, keep};

use crate::message::Message;
use crate::process::{Processed, Processor, Rejection};

/// The code of an event whose images cannot be compared.
const BAD_IMAGE: &str = "bad_image";

/// Decodes, compares, builds: [`decode`], then [`keep`].
#[derive(Debug)]
pub struct Pipeline {
    settings: Settings,
    rules: Arc<Rules>,
}

impl Pipeline {
    /// A pipeline that reads messages by these settings and keeps what these rules say.
    #[must_use]
    pub fn new(settings: Settings, rules: impl Into<Arc<Rules>>) -> Self {
        Self { settings, rules: rules.into() }
    }

    /// How messages are read.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// As [`Processor::process`], with a revision for each event by its index in the message: a corrected telling takes the
    /// place of those before it. From a queue comes revision 0.
    pub fn process_revised(&self, message: &Message, now: Timestamp, revision: impl Fn(usize) -> u32) -> Processed {
        let told = message.told();
        let mut layers = Layers::default();
        let mut processed = Processed::default();
        let events = match decode(&told, &self.settings, &mut layers) {
            Ok(Contents::Events(events)) => events,
            Ok(Contents::Control(control)) => {
                processed.control = Some(control.kind.as_str());
                return processed;
            }
            Err(refusal) => {
                processed.rejections.push(rejection(None, &refusal));
                return processed;
            }
        };
        for (index, event) in events.enumerate() {
            let event = match event {
                Ok(event) => event,
                Err(refusal) => {
                    processed.rejections.push(rejection(refusal.event_index, &refusal));
                    continue;
                }
            };
            match keep(&event, &self.rules, now, revision(index)) {
                Ok(Kept::Entry(entry)) => processed.entries.push((index, Arc::from(entry))),
                Ok(Kept::Unchanged) => processed.unchanged += 1,
                Ok(Kept::Expired) => processed.expired += 1,
                Err(error) => processed.rejections.push(Rejection {
                    event_index: Some(index),
                    code: BAD_IMAGE,
                    reason: error.to_string(),
                    place: String::new(),
                }),
            }
        }
        processed
    }
}

impl Processor for Pipeline {
    fn process(&self, message: &Message, now: Timestamp) -> Processed {
        self.process_revised(message, now, |_| 0)
    }
}

fn rejection(event_index: Option<usize>, refusal: &Refusal) -> Rejection {
    let format = refusal.format.map_or_else(|| "unrecognised".to_owned(), |format| format.to_string());
    Rejection {
        event_index,
        code: refusal.code(),
        reason: format!("{format}: {}", refusal.problem),
        place: refusal.place.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use afterimage_event::Origin;

    use super::*;
    use crate::message::{Attribute, Handle};
    use crate::trace::Trace;

    fn message(body: &str) -> Message {
        Message {
            handle: Handle { message_id: "m-1".into(), receipt: "r-1".into() },
            body: body.to_owned(),
            attributes: Vec::new(),
            sent_at: moment(),
            receive_count: 1,
            group_id: None,
            sequence_number: None,
            deduplication_id: None,
            permit: None,
            trace: Trace::default(),
        }
    }

    fn moment() -> Timestamp {
        "2026-01-09T10:00:05Z".parse().unwrap()
    }

    fn process(message: &Message) -> Processed {
        Pipeline::new(Settings::default(), Rules::default()).process(message, moment())
    }

    #[test]
    fn every_event_of_a_list_goes_its_own_way() {
        let processed = process(&message(
            r#"[{"tableName":"t","operation":"insert","recordId":"1","after":{"a":1}},
                {"tableName":"t","operation":"update","recordId":"1","before":{"a":1},"after":{"a":1.0}},
                {"tableName":"t","recordId":"1","after":{}},
                {"tableName":"t","operation":"delete","recordId":"2","before":{"a":1}}]"#,
        ));
        assert_eq!(processed.entries.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 3]);
        assert_eq!((processed.unchanged, processed.events()), (1, 4));
        assert_eq!(processed.rejections[0].event_index, Some(2));
    }

    #[test]
    fn a_rejection_says_what_and_where_and_shows_no_value() {
        let rejection = process(&message(r#"{"tableName":"t","operation":"s3cr3t","after":{}}"#)).rejections.remove(0);
        assert_eq!(rejection.code, "bad_value");
        assert!(rejection.place.contains("/operation"), "{}", rejection.place);
        assert!(!format!("{rejection:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_dead_letter_that_was_sent_back_keeps_the_ids_and_times_it_had() {
        let body = r#"{"tableName":"t","operation":"insert","recordId":"1","after":{"a":1}}"#;
        let first = message(body);
        let mut redriven = message(body);
        redriven.handle.message_id = "m-2".into();
        redriven.sent_at = "2026-02-01T00:00:00Z".parse().unwrap();
        redriven.attributes.push(Attribute::text(Origin::ATTRIBUTE, Origin::of(&first.told()).to_attribute()));
        assert_eq!(process(&first).entries[0].1, process(&redriven).entries[0].1);
    }

    #[test]
    fn a_confirmation_of_a_subscription_is_no_event() {
        let body = r#"{"Type":"SubscriptionConfirmation","MessageId":"1","Token":"t","TopicArn":"arn:aws:sns:eu-west-1:1:t",
            "Message":"confirm","SubscribeURL":"https://example.com","Timestamp":"2026-01-09T10:00:05.120Z",
            "SignatureVersion":"1","Signature":"s","SigningCertURL":"https://example.com"}"#;
        let processed = process(&message(body));
        assert!(processed.control.is_some());
        assert_eq!(processed.events(), 0);
    }
}
