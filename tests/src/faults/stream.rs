//! What is sent: the same messages for the same seed, and what must become of each.

use afterimage_bench::{Envelope, Load, Settings};
use fastrand::Rng;
use serde_json::Value;

/// One message in so many cannot be understood.
const POISON_ONE_IN: u64 = 97;
/// Most events of a message that holds several.
const LIST_MAX: usize = 4;
/// These groups get every fourth message beside their share, and all that cannot be understood: else few groups would have
/// two of those, and a wrong order would not show.
const HOT_GROUPS: u64 = 8;

/// A message to send.
#[derive(Debug)]
pub(super) struct Message {
    /// Its place in the stream.
    pub(super) number: usize,
    /// Its group, on FIFO queues.
    pub(super) group: u64,
    /// Its text.
    pub(super) body: String,
    /// Must it end up with the dead letters?
    pub(super) is_poison: bool,
}

/// Messages of every kind: bare, in notifications, in lists, without an id of their own, and some that nobody can
/// understand.
#[derive(Debug)]
pub(super) struct Stream {
    seed: u64,
    load: Load,
    rng: Rng,
    groups: u64,
    /// Of its own, so that the messages are the same in any number of groups.
    group_rng: Rng,
    sent: usize,
}

impl Stream {
    /// Messages with so many good events together, in so many groups.
    #[must_use]
    pub(super) fn new(seed: u64, events: u64, groups: u64) -> Self {
        let settings = Settings {
            seed,
            events,
            body_bytes_min: 700,
            body_bytes_max: 3_000,
            records: 500,
            envelope: Envelope::Bare,
        };
        let (load, rng, group_rng) = (Load::new(settings), Rng::with_seed(seed), Rng::with_seed(!seed));
        Self { seed, load, rng, groups, group_rng, sent: 0 }
    }

    fn good(&mut self) -> Option<String> {
        let body = self.load.next()?;
        let number = self.sent as u64;
        Some(match self.rng.u32(0..20) {
            0..4 => Envelope::Sns.wrap(body, self.seed, number),
            4..7 => {
                let more = (1..self.rng.usize(2..=LIST_MAX)).filter_map(|_| self.load.next());
                format!("[{}]", std::iter::once(body).chain(more).collect::<Vec<_>>().join(","))
            }
            7 => without_id(&body),
            _ => body,
        })
    }

    /// Each is unlike all others, so that a dead letter can be told by its body.
    fn poison(&mut self) -> String {
        let number = self.sent;
        match self.rng.u32(0..5) {
            0 => format!("{{\"tableName\":\"orders\", cut off at {number}"),
            1 => format!(r#"{{"greeting":"hello","number":{number}}}"#),
            2 => format!(r#"{{"tableName":"orders","operation":"upsert","recordId":"{number}","after":{{"a":1}}}}"#),
            3 => format!(
                r#"{{"tableName":"orders","operation":"insert","recordId":"{number}","after":{{"a":1,"a":2}}}}"#
            ),
            // Good ones beside a bad one: they are stored, and all of it is dead-lettered.
            _ => {
                let good = self.load.next().unwrap_or_else(|| format!(r#"{{"greeting":"hello","number":{number}}}"#));
                format!(r#"[{good},{{"tableName":"orders","operation":"upsert","recordId":"{number}","after":{{}}}}]"#)
            }
        }
    }
}

impl Iterator for Stream {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let number = self.sent;
        let is_poison = number as u64 % POISON_ONE_IN == POISON_ONE_IN / 2;
        let body = if is_poison { self.poison() } else { self.good()? };
        self.sent += 1;
        let is_hot = is_poison || self.group_rng.u32(0..4) == 0;
        let groups = if is_hot { self.groups.min(HOT_GROUPS) } else { self.groups };
        Some(Message { number, group: self.group_rng.u64(0..groups), body, is_poison })
    }
}

/// The same event, known by the id of its message only.
fn without_id(body: &str) -> String {
    let mut event: Value = serde_json::from_str(body).unwrap();
    event.as_object_mut().unwrap().remove("eventId");
    event.to_string()
}
