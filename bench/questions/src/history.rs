//! The changes of a shop, one after the other: the same for the same number, so that a run can go on with a file that
//! another one filled.

use afterimage_event::Timestamp;
use fastrand::Rng;

/// Table 0 has half of all changes; of the tables 1 and 2, a tenth of everything each, one record has a tenth.
pub(crate) const HOT_TABLE: usize = 0;
/// Keeps images after. Its record 0 is hot.
pub(crate) const ACCOUNTS: usize = 1;
/// Keeps changes, and an image of one in 64. Its record 0 is hot.
pub(crate) const SETTINGS: usize = 2;
/// How many tables there are.
pub(crate) const TABLES: usize = 20;

/// Microseconds from one change to the next: 90 days for a million.
pub(crate) const STEP_MICROS: i64 = 7_776_000;
/// When the first one happens: 2023-01-01T00:00:00Z.
const FIRST_AT_MICROS: i64 = 1_672_531_200_000_000;
/// One in so many begins a record.
const BIRTH_ONE_IN: u64 = 10;
/// Changes go to one of so many of the youngest records of a table, and of a hundred this many to any.
const YOUNG: usize = 2_000;
const OLD_PERCENT: u64 = 20;
/// One in so many removes its record.
const DELETE_ONE_IN: u64 = 500;
/// One update in so many changes the field that hardly ever changes.
const RARE_ONE_IN: u64 = 1_000;
/// Every so many changes, a migration begins, of so many changes.
pub(crate) const MIGRATION_EVERY: u64 = 20_000;
const MIGRATION_AT: u64 = 10_000;
pub(crate) const MIGRATION_LENGTH: u64 = 200;
/// Actors, without the one of batch jobs.
pub(crate) const ACTORS: u64 = 999;
/// Of a hundred requests, how many are of the batch actor, and how many changes come outside of any.
const BATCH_PERCENT: u64 = 10;
const NO_REQUEST_PERCENT: u64 = 30;

/// What is done to a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Insert,
    Update { rare: bool },
    Delete,
}

/// One change.
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) table: usize,
    pub(crate) record: usize,
    pub(crate) act: Act,
    /// Updates of the record before this one, and those of them that changed the rare field.
    updates: u32,
    rare_updates: u32,
    /// Changes of one group have one actor, and mostly one request and transaction.
    group: u64,
}

/// A record, as far as the next change needs it.
#[derive(Clone, Copy, Default)]
struct Record {
    born: u32,
    updates: u32,
    rare_updates: u16,
    deleted: bool,
}

/// The changes so far.
pub(crate) struct History {
    rng: Rng,
    seed: u64,
    next: u64,
    group: u64,
    left_in_group: u64,
    tables: Vec<Vec<Record>>,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let tables = vec![Vec::new(); TABLES];
        Self { rng: Rng::with_seed(seed), seed, next: 0, group: 0, left_in_group: 0, tables }
    }

    pub(crate) fn len(&self) -> u64 {
        self.next
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Requests begun so far, of which some are none: see [`request`].
    pub(crate) fn groups(&self) -> u64 {
        self.group
    }

    pub(crate) fn next(&mut self) -> Change {
        let rng = &mut self.rng;
        let number = self.next;
        self.next += 1;
        if self.left_in_group == 0 {
            self.group += 1;
            self.left_in_group = rng.u64(1..=4);
        }
        self.left_in_group -= 1;
        let table = match rng.u64(0..100) {
            _ if migration(number).is_some() => HOT_TABLE,
            0..50 => HOT_TABLE,
            50..60 => ACCOUNTS,
            60..70 => SETTINGS,
            _ => rng.usize(3..TABLES),
        };
        let records = &mut self.tables[table];
        let is_hot = (table == ACCOUNTS || table == SETTINGS) && !records.is_empty() && rng.u64(0..10) == 0;
        let place = if is_hot {
            0
        } else if records.len() < 2 || rng.u64(0..BIRTH_ONE_IN) == 0 {
            records.len()
        } else if rng.u64(0..100) < OLD_PERCENT {
            rng.usize(1..records.len())
        } else {
            rng.usize(records.len().saturating_sub(YOUNG).max(1)..records.len())
        };
        // What is gone stays gone: another one begins.
        let place = if records.get(place).is_some_and(|record| record.deleted) { records.len() } else { place };
        let (mut change, group) = (Act::Insert, self.group);
        if place == records.len() {
            records.push(Record { born: number as u32, ..Record::default() });
        } else if !is_hot && rng.u64(0..DELETE_ONE_IN) == 0 {
            change = Act::Delete;
        } else {
            change = Act::Update { rare: rng.u64(0..RARE_ONE_IN) == 0 };
        }
        let record = &mut records[place];
        let (updates, rare_updates) = (record.updates, u32::from(record.rare_updates));
        match change {
            Act::Insert => {}
            Act::Update { rare: true } => record.rare_updates += 1,
            Act::Update { rare: false } => record.updates += 1,
            Act::Delete => record.deleted = true,
        }
        Change { number, table, record: place, act: change, updates, rare_updates, group }
    }

    /// A record of a table other than the hot one, that is there still, and the number of the change that made it.
    pub(crate) fn cold_record(&self, table: usize, rng: &mut Rng) -> (usize, u64) {
        let records = &self.tables[table];
        loop {
            let place = rng.usize(1..records.len());
            if !records[place].deleted {
                return (place, u64::from(records[place].born));
            }
        }
    }
}

/// When a change happens; up to a second early or late in its place.
pub(crate) fn moment(number: u64) -> Timestamp {
    let micros = FIRST_AT_MICROS + number as i64 * STEP_MICROS + (spread(number) % 1_000_000) as i64;
    Timestamp::from_micros(micros).unwrap_or_else(|_| unreachable!("a year that can be shown"))
}

/// The migration that a change is part of, by number.
pub(crate) fn migration(number: u64) -> Option<u64> {
    let within = number % MIGRATION_EVERY;
    (MIGRATION_AT..MIGRATION_AT + MIGRATION_LENGTH).contains(&within).then_some(number / MIGRATION_EVERY)
}

/// The request of a group of changes, where it is one.
pub(crate) fn request(group: u64) -> Option<String> {
    (spread(group) % 100 >= NO_REQUEST_PERCENT).then(|| format!("{:016x}", spread(group ^ 0x5eed)))
}

/// Its transaction.
pub(crate) fn transaction(group: u64) -> Option<String> {
    request(group).map(|_| (7_000_000 + group).to_string())
}

/// The name of a table.
pub(crate) fn table_name(table: usize) -> String {
    match table {
        HOT_TABLE => "orders".to_owned(),
        ACCOUNTS => "accounts".to_owned(),
        SETTINGS => "settings".to_owned(),
        other => format!("table_{other}"),
    }
}

/// The name of an actor.
pub(crate) fn actor_name(actor: u64) -> String {
    format!("user-{actor}")
}

/// The actor of batch jobs and migrations.
pub(crate) const BATCH_ACTOR: &str = "nightly";
/// The field that hardly ever changes.
pub(crate) const RARE_FIELD: &str = "iban";

/// Scatters numbers: none twice.
fn spread(n: u64) -> u64 {
    (n ^ 0x9E37_79B9).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

impl Change {
    pub(crate) fn event_id(&self) -> String {
        format!("{:016x}", spread(self.number))
    }

    /// The event, as a service publishes it: native, version 1.
    pub(crate) fn body(&self) -> String {
        let image = |updates, rare_updates| image(self.table, self.record, updates, rare_updates);
        let now = image(self.updates, self.rare_updates);
        let (op, before, after) = match self.act {
            Act::Insert => ("insert", None, Some(now)),
            Act::Update { rare: true } => ("update", Some(now), Some(image(self.updates, self.rare_updates + 1))),
            Act::Update { rare: false } => ("update", Some(now), Some(image(self.updates + 1, self.rare_updates))),
            Act::Delete => ("delete", Some(now), None),
        };
        let member =
            |name: &str, text: Option<String>| text.map(|text| format!(r#","{name}":{text}"#)).unwrap_or_default();
        let quoted = |text: String| format!("\"{text}\"");
        let migration = migration(self.number);
        let actor = match spread(self.group ^ 0xac10) % 100 {
            _ if migration.is_some() => BATCH_ACTOR.to_owned(),
            ..BATCH_PERCENT => BATCH_ACTOR.to_owned(),
            _ => actor_name(spread(self.group ^ 0xac70) % ACTORS),
        };
        let request = request(self.group).filter(|_| migration.is_none());
        let context = match (&request, migration) {
            (Some(request), _) => format!(r#"{{"requestId":"{request}"}}"#),
            (None, Some(migration)) => format!(r#"{{"migration":"m-{migration}"}}"#),
            (None, None) => "{}".to_owned(),
        };
        // Half of the tables number their changes.
        let seq = (self.table % 2 == 1).then(|| self.number.to_string());
        let transaction = request.and_then(|_| transaction(self.group));
        format!(
            r#"{{"v":1,"source":"shop","tableName":"{}","operation":"{op}","recordId":"{}","eventId":"{}","occurredAt":"{}","by":{{"type":"user","id":"{actor}"}},"context":{context}{}{}{}{}}}"#,
            table_name(self.table),
            self.record,
            self.event_id(),
            moment(self.number),
            member("seq", seq),
            member("transaction", transaction.map(quoted)),
            member("before", before),
            member("after", after),
        )
    }
}

/// A record after so many updates, each of one field in turn. Some 330 bytes.
fn image(table: usize, record: usize, updates: u32, rare_updates: u32) -> String {
    const STATUS: [&str; 4] = ["pending", "paid", "shipped", "returned"];
    // How often each of the five fields has been changed.
    let of = |field: u32| (updates + 4 - field) / 5;
    let salt = spread((table as u64) << 40 | record as u64);
    let iban = spread(salt ^ u64::from(rare_updates));
    format!(
        r#"{{"id":{record},"status":"{}","total":"{}.{:02}","quantity":{},"note":"{:016x} as agreed on the phone","address":{{"city":"city {}","street":"{} Long Lane","country":"NL"}},"iban":"NL{:02}{:018}","customer":"c-{:012x}","currency":"EUR","channel":"web","created":"2023-01-01","labels":["a","b","{:x}"]}}"#,
        STATUS[(of(0) % 4) as usize],
        10 + (salt % 990 + u64::from(of(1))) % 990,
        of(1) % 100,
        1 + of(2),
        spread(salt ^ u64::from(of(3)) << 32),
        of(4),
        salt % 300,
        iban % 100,
        iban % 1_000_000_000_000_000_000,
        salt >> 16,
        salt & 0xff,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_changes_its_record_and_follows_the_one_before() {
        let mut history = History::new(1);
        let mut images = std::collections::HashMap::new();
        for _ in 0..50_000 {
            let change = history.next();
            let body = change.body();
            let side = |name: &str| {
                let from = body.find(&format!("\"{name}\":{{\"id\""))?;
                let end = body[from..].find("]}")?;
                Some(body[from + name.len() + 3..from + end + 2].to_owned())
            };
            let (before, after) = (side("before"), side("after"));
            assert_ne!(before, after, "{body}");
            let last = images.insert((change.table, change.record), after).flatten();
            assert_eq!(last, before, "{body}");
        }
        let hot = images.keys().filter(|(table, _)| *table == HOT_TABLE).count();
        assert!(hot > 1_000, "{hot}");
    }

    #[test]
    fn moments_and_ids_are_each_their_own() {
        assert!((1..10_000).all(|n| moment(n - 1) < moment(n)));
        let ids: std::collections::HashSet<u64> = (0..100_000).map(spread).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
