//! A table that lives through a minute, as its application knows it: what the trail is told of it, and what is true.

use std::borrow::Cow;
use std::sync::Arc;

use afterimage_diff::{DigestKey, RuleBlock, Rules};
use afterimage_event::{ChangeEvent, EventId, IdOrigin, Op, RecordKey, TimeOrigin};

use super::moment;
use crate::{Entry, Kept, keep};

/// Seconds that a simulated table lives.
pub(super) const SECONDS: i64 = 60;
pub(super) const RECORDS: [&str; 2] = ["r0", "r1"];

/// A row as it really was, seen by nobody but its application.
#[derive(Clone, PartialEq)]
pub(super) struct Row {
    pub(super) n: u8,
    pub(super) deep: u8,
    pub(super) list: u8,
    pub(super) bio: u8,
    /// Quiet: its change alone makes no entry.
    pub(super) seen: u8,
    /// Masked.
    pub(super) pin: u8,
    /// Dropped, and not always there.
    pub(super) password: Option<u8>,
}

impl Row {
    pub(super) fn json(&self, unknown: bool) -> String {
        let bio = if unknown { String::new() } else { format!(r#""bio":"text {}","#, self.bio) };
        let password = self.password.map(|word| format!(r#","password":"{word}""#)).unwrap_or_default();
        let extra = if self.n == 0 { "" } else { r#","extra":{"a/b":null}"# };
        format!(
            r#"{{{bio}"n":{}.50,"deep":{{"n":{},"s":"x"}},"list":[{{"v":{},"seen":{}}}],"seen":{},"pin":"{}"{password}{extra}}}"#,
            self.n, self.deep, self.list, self.seen, self.seen, self.pin
        )
    }

    fn random(random: &mut fastrand::Rng) -> Self {
        let mut n = || random.u8(0..3);
        let (n, deep, list, bio, seen, pin) = (n(), n(), n(), n(), n(), n());
        Self { n, deep, list, bio, seen, pin, password: random.bool().then_some(7) }
    }

    fn changed(&self, random: &mut fastrand::Rng) -> Self {
        let other = Self::random(random);
        let mut row = self.clone();
        for _ in 0..random.usize(1..3) {
            match random.u8(0..20) {
                0..5 => row.n = other.n,
                5..9 => row.deep = other.deep,
                9..13 => row.list = other.list,
                13..15 => row.bio = other.bio,
                15..18 => row.seen = other.seen,
                18 => row.pin = other.pin,
                _ => row.password = other.password,
            }
        }
        row
    }

    /// What continuity is judged by.
    fn loud(&self, unknown: bool) -> Self {
        // The element of the list is quiet in part only.
        Self { seen: 0, bio: if unknown { 0 } else { self.bio }, ..self.clone() }
    }
}

/// An entry that was told, and what was true then.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) at: i64,
    pub(super) op: Op,
    /// What it left.
    pub(super) row: Option<Row>,
    pub(super) unknown: bool,
    /// Why it does not follow from what was told before, if so: the id of that.
    pub(super) gap_after: Option<String>,
}

/// The truth about one record.
#[derive(Default)]
pub(super) struct Life {
    /// At the end of each second.
    rows: Vec<Option<Row>>,
    pub(super) told: Vec<Told>,
    /// Seconds in which something happened that nobody told.
    pub(super) silent: Vec<i64>,
    /// What the trail must think: the last entry, and what it left.
    thought: Option<(String, Option<(Row, bool)>)>,
}

pub(super) struct World {
    pub(super) lives: Vec<Life>,
    pub(super) entries: Vec<Arc<Entry>>,
}

fn rules(images: &str) -> Rules {
    let block = RuleBlock::new("all", "*", "*").images(images).expect("a policy");
    let block = block.quiet("/seen").expect("a pattern").quiet("/list/*/seen").expect("a pattern");
    let block = block.redact("/pin", "mask").expect("a redaction");
    Rules::new(vec![block], DigestKey::published()).expect("rules")
}

impl World {
    pub(super) fn random(tenant: &str, images: &str, silence: bool, random: &mut fastrand::Rng) -> Self {
        let mut world = Self { lives: RECORDS.iter().map(|_| Life::default()).collect(), entries: Vec::new() };
        let rules = rules(images);
        for second in 0..SECONDS {
            let truncates = random.u8(0..24) == 0;
            if truncates {
                let id = format!("t{second}");
                world.entries.extend(entry(tenant, None, &id, Op::Truncate, second, [None, None], false, &rules));
            }
            for (index, name) in RECORDS.iter().enumerate() {
                let id = format!("{name}-{second}-{}", random.u16(..));
                let life = &mut world.lives[index];
                let before = life.rows.last().cloned().flatten();
                if truncates {
                    life.truncated(second);
                    continue;
                }
                let is_silent = silence && random.u8(0..12) == 0;
                let next = Row::random(random);
                let (op, after) = match (&before, random.u8(0..20)) {
                    (None, 0..8) => (Op::Insert, Some(next)),
                    (None, _) => (Op::Access, None),
                    (Some(_), 0) => (Op::Delete, None),
                    (Some(row), 1) => (Op::Snapshot, Some(row.clone())),
                    (Some(row), 2) => (Op::Access, Some(row.clone())),
                    (Some(row), _) => (Op::Update, Some(row.changed(random))),
                };
                life.rows.push(after.clone());
                if is_silent {
                    life.silent.extend((before != after).then_some(second));
                    continue;
                }
                // Nobody looked at a long value, since it did not change.
                let unknown = op == Op::Update
                    && random.u8(0..6) == 0
                    && before.as_ref().map(|row| row.bio) == after.as_ref().map(|row| row.bio);
                let images = [before.as_ref().filter(|_| op != Op::Snapshot), after.as_ref()];
                let images = if op == Op::Access { [None, None] } else { images };
                let made = entry(tenant, Some(name), &id, op, second, images, unknown, &rules);
                if made.is_some() && op != Op::Access {
                    life.tell(id, second, op, before, after, unknown);
                }
                world.entries.extend(made);
            }
        }
        random.shuffle(&mut world.entries);
        world
    }
}

impl Life {
    fn truncated(&mut self, second: i64) {
        self.rows.push(None);
        let id = format!("t{second}");
        if self.thought.as_ref().is_some_and(|(_, row)| row.is_some()) {
            let row = None;
            self.told.push(Told { id: id.clone(), at: second, op: Op::Truncate, row, unknown: false, gap_after: None });
        }
        self.thought = Some((id, None));
    }

    fn tell(&mut self, id: String, at: i64, op: Op, before: Option<Row>, after: Option<Row>, unknown: bool) {
        let found = if op == Op::Insert { None } else { before };
        let gap_after = self.thought.as_ref().and_then(|(last, thought)| {
            let fits = match (thought, &found) {
                (None, None) => true,
                // What one of them did not see, their digests leave out: they cannot be compared.
                (Some((row, was_unknown)), Some(found)) => {
                    *was_unknown != unknown || row.loud(unknown) == found.loud(unknown)
                }
                _ => false,
            };
            (!fits).then(|| last.clone())
        });
        self.thought = Some((id.clone(), after.clone().map(|row| (row, unknown))));
        self.told.push(Told { id, at, op, row: after, unknown, gap_after });
    }

    pub(super) fn at(&self, second: i64) -> Option<&Row> {
        usize::try_from(second).ok().and_then(|second| self.rows.get(second)).and_then(Option::as_ref)
    }
}

#[allow(clippy::too_many_arguments, reason = "one call for each line of a history")]
fn entry(
    tenant: &str,
    record: Option<&str>,
    id: &str,
    op: Op,
    second: i64,
    images: [Option<&Row>; 2],
    unknown: bool,
    rules: &Rules,
) -> Option<Arc<Entry>> {
    let [before, after] = images.map(|row| row.map(|row| row.json(unknown)));
    let event = ChangeEvent {
        id: EventId { value: id.to_owned(), origin: IdOrigin::Event },
        record: RecordKey {
            tenant: tenant.to_owned(),
            source: "s".to_owned(),
            table: "t".to_owned(),
            record_id: record.into_iter().map(str::to_owned).collect(),
        },
        op,
        occurred_at: moment(second),
        time_origin: TimeOrigin::Event,
        position: None,
        position_is_own: false,
        transaction: None,
        actor: None,
        context: None,
        asides: Vec::new(),
        labels: None,
        before: before.as_deref().map(Cow::Borrowed),
        after: after.as_deref().map(Cow::Borrowed),
        unknown: if unknown { vec!["/bio".parse().expect("a pointer")] } else { Vec::new() },
        published_at: moment(second),
    };
    match keep(&event, rules, moment(SECONDS), 0).expect("images that are JSON") {
        Kept::Entry(entry) => Some(Arc::from(*entry)),
        _ => None,
    }
}
