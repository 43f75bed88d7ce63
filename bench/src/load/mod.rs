//! A stream of change events like those of services: several tables, records that live and change, updates that change
//! nothing, nested values, numbers beyond 2^53, every script of the world.

mod document;
mod envelope;

use std::time::{Duration, SystemTime};

use afterimage_publish::{Actor, ChangeEvent, Context};
use fastrand::Rng;

use document::Document;
pub use envelope::Envelope;

/// One in so many events goes to one of the first [`HOT_RECORDS`].
const HOT_ONE_IN: u32 = 10;
const HOT_RECORDS: usize = 10;
/// Updates that change nothing, of a hundred.
const UNCHANGED_PERCENT: u32 = 30;
/// Of those, how many of a hundred are written in other bytes: other key order, white space.
const RESPELLED_PERCENT: u32 = 10;
/// Deletes of a hundred events on living records.
const DELETE_PERCENT: u32 = 2;
/// The first event happens on 2026-01-01T00:00:00Z, each later one a millisecond after.
const FIRST_AT: Duration = Duration::from_secs(1_767_225_600);
/// What an event needs beside its images, at most.
const EVENT_OVERHEAD_BYTES: usize = 768;

/// What the load is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Equal seeds give equal loads.
    pub seed: u64,
    /// How many events.
    pub events: u64,
    /// The shortest event body that has two images; spread evenly over the magnitudes up to `body_bytes_max`.
    pub body_bytes_min: usize,
    /// The longest event body, before it is wrapped.
    pub body_bytes_max: usize,
    /// Records alive at most; the fewer, the sooner all events have two images and a long history before them.
    pub records: usize,
    /// How events are wrapped.
    pub envelope: Envelope,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 1_000,
            body_bytes_min: 1_000,
            body_bytes_max: 20_000,
            records: 2_000,
            envelope: Envelope::Bare,
        }
    }
}

/// The bodies of the messages, one after the other.
#[derive(Debug)]
pub struct Load {
    settings: Settings,
    rng: Rng,
    sent: u64,
    records: Vec<Record>,
    seqs: [u64; document::TABLES.len()],
}

#[derive(Debug, Default)]
struct Record {
    document: Option<Document>,
    /// Records that were deleted are born again under another id.
    lives: u32,
}

impl Load {
    /// The load of these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let records = (0..settings.records.max(1)).map(|_| Record::default()).collect();
        Self { rng: Rng::with_seed(settings.seed), settings, sent: 0, records, seqs: Default::default() }
    }

    fn event(&mut self) -> ChangeEvent {
        let rng = &mut self.rng;
        let is_hot = rng.u32(0..HOT_ONE_IN) == 0;
        let place = rng.usize(0..if is_hot { HOT_RECORDS.min(self.records.len()) } else { self.records.len() });
        let table = place % document::TABLES.len();
        let record = &mut self.records[place];
        let id = format!("{}-{place}-{}", document::TABLES[table].name, record.lives);
        let name = document::TABLES[table].name;

        let event = match &mut record.document {
            None => {
                let bytes = image_bytes(&self.settings, rng);
                let document = Document::new(&document::TABLES[table], &id, bytes, rng);
                let event = ChangeEvent::insert(name, id).after_json(document.text());
                record.document = Some(document);
                event
            }
            Some(document) if rng.u32(0..100) < DELETE_PERCENT => {
                let event = ChangeEvent::delete(name, id).before_json(document.text());
                record.document = None;
                record.lives += 1;
                event
            }
            Some(document) => {
                let event = ChangeEvent::update(name, id).before_json(document.text());
                if rng.u32(0..100) >= UNCHANGED_PERCENT {
                    document.change(rng);
                    event.after_json(document.text())
                } else if rng.u32(0..100) < RESPELLED_PERCENT {
                    event.after_json(document.respelled())
                } else {
                    event.after_json(document.text())
                }
            }
        };
        self.seqs[table] += 1;
        self.sent += 1;
        let user = document::person(rng);
        event
            .event_id(format!("{:016x}-{:08}", self.settings.seed, self.sent))
            .seq(self.seqs[table])
            .source(document::TABLES[table].source)
            .occurred_at(SystemTime::UNIX_EPOCH + FIRST_AT + Duration::from_millis(self.sent))
            .by(Actor {
                kind: Some("user".into()),
                id: Some(user.0.into()),
                name: Some(user.1.into()),
                ..Actor::default()
            })
            .context(Context {
                request_id: Some(format!("req-{:012x}", rng.u64(..) >> 16)),
                ip: Some(format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..))),
                user_agent: Some("shop/4.2 (load)".into()),
                ..Context::default()
            })
    }
}

impl Iterator for Load {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.sent == self.settings.events {
            return None;
        }
        // Written from checked JSON with every part it needs.
        let body = self.event().encode().ok()?;
        Some(self.settings.envelope.wrap(body, self.settings.seed, self.sent))
    }
}

/// The length of a new record's image: half of a body between the two lengths, evenly over the magnitudes, because
/// records are mostly small.
fn image_bytes(settings: &Settings, rng: &mut Rng) -> usize {
    let (min, max) = (settings.body_bytes_min.max(1) as f64, settings.body_bytes_max as f64);
    let body_bytes = (min * (max / min).powf(rng.f64())).min(max) as usize;
    body_bytes.saturating_sub(EVENT_OVERHEAD_BYTES) / 2
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    fn events(settings: Settings) -> Vec<Value> {
        Load::new(settings).map(|body| serde_json::from_str(&body).unwrap()).collect()
    }

    #[test]
    fn equal_seeds_give_equal_loads_and_others_do_not() {
        let load = |seed| Load::new(Settings { seed, events: 50, ..Settings::default() }).collect::<Vec<_>>();
        assert_eq!(load(7), load(7));
        assert_ne!(load(7), load(8));
        assert_eq!(load(7).len(), 50);
    }

    #[test]
    fn records_live_and_their_images_chain() {
        let mut after = HashMap::<String, Value>::new();
        let mut ids = HashSet::new();
        for event in events(Settings { events: 8_000, body_bytes_max: 2_000, ..Settings::default() }) {
            let record = event["recordId"].as_str().unwrap().to_owned();
            assert_eq!(event.get("before"), after.get(&record));
            assert!(ids.insert(event["eventId"].to_string()));
            match event.get("after") {
                Some(image) => after.insert(record, image.clone()),
                None => after.remove(&record),
            };
        }
    }

    #[test]
    fn the_mix_is_what_it_is_said_to_be() {
        let events = events(Settings { events: 8_000, body_bytes_max: 2_000, ..Settings::default() });
        let updates: Vec<_> = events.iter().filter(|event| event["operation"] == "update").collect();
        assert!(updates.len() > 5_000, "{}", updates.len());
        let unchanged = updates.iter().filter(|event| event["before"] == event["after"]).count();
        let percent = 100.0 * unchanged as f64 / updates.len() as f64;
        assert!((27.0..33.0).contains(&percent), "{percent}");
        assert!(events.iter().any(|event| event["operation"] == "delete"));
        let tables: HashSet<_> = events.iter().map(|event| event["tableName"].to_string()).collect();
        assert_eq!(tables.len(), document::TABLES.len());
        let text = events[0].to_string();
        assert!(!text.is_ascii() && text.contains("90071992547409"), "{text}");
    }

    #[test]
    fn bodies_keep_to_their_lengths() {
        for (min, max) in [(1_000, 20_000), (3_000, 3_000), (1_048_576, 1_048_576)] {
            let events = if max > 100_000 { 15 } else { 500 };
            for body in Load::new(Settings { events, body_bytes_min: min, body_bytes_max: max, ..Settings::default() })
            {
                let has_both = body.contains("\"operation\":\"update\"");
                assert!(body.len() <= max && (!has_both || body.len() + 700 >= min), "{} of {min}-{max}", body.len());
            }
        }
    }

    #[test]
    fn wrapped_events_are_the_bare_ones_in_notifications() {
        let bare = Load::new(Settings { events: 20, ..Settings::default() });
        let wrapped = Load::new(Settings { events: 20, envelope: Envelope::Sns, ..Settings::default() });
        for (bare, wrapped) in bare.zip(wrapped) {
            let wrapped: Value = serde_json::from_str(&wrapped).unwrap();
            assert_eq!(wrapped["Message"], bare);
            assert_eq!(wrapped["Type"], "Notification");
        }
    }
}
