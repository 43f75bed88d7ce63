//! The messages of a run, and what each comes to when nothing disturbs it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use afterimage_consumer::{Handle, Message, Pipeline, Processed, Processor, Trace};
use afterimage_diff::Rules;
use afterimage_event::{Op, RecordKey, Settings, Timestamp};
use afterimage_store::{Digest, Entry, Identity};

/// Real messages to choose from. A run takes a stretch of them.
const SAMPLES: u32 = 1500;
/// The clock of the undisturbed run. Workers have clocks of their own, and what they store must not depend on them.
const UNDISTURBED_MICROS: i64 = 1_767_952_800_000_000;
/// FIFO groups of the real messages. Half of the messages are in the first: a hot record.
const GROUPS: u32 = 6;

/// A message, by its number in the corpus.
pub(crate) type MessageNo = u32;
/// An entry, by its number in the corpus.
pub(crate) type EntryNo = u32;

/// Messages, numbered.
pub(crate) enum Corpus {
    /// Messages of every format and every kind of poison, decoded and compared by the product's own pipeline.
    Real(Box<Real>),
    /// Any number of equal messages with one event each: for backlogs too long to keep in memory.
    Plain {
        /// How many.
        count: u32,
        /// Bytes of a body.
        body_bytes: usize,
        /// FIFO groups that they are dealt to in turn; 0 on standard queues.
        groups: u32,
    },
}

/// See [`Corpus::Real`].
pub(crate) struct Real {
    samples: Vec<Sample>,
    entries: Vec<Arc<Entry>>,
    /// The message of each entry.
    owners: Vec<MessageNo>,
    numbers: HashMap<Identity, EntryNo>,
    pipeline: Pipeline,
}

struct Sample {
    id: Arc<str>,
    body: String,
    group: Option<String>,
    undisturbed: Processed,
    first_entry: EntryNo,
}

impl Corpus {
    /// The real messages, for a standard or a FIFO queue.
    pub(crate) fn real(is_fifo: bool) -> Self {
        let pipeline = Pipeline::new(Settings::default(), Rules::default());
        let mut rng = fastrand::Rng::with_seed(u64::from(is_fifo));
        let mut real =
            Real { samples: Vec::new(), entries: Vec::new(), owners: Vec::new(), numbers: HashMap::new(), pipeline };
        for number in 0..SAMPLES {
            let group = if rng.bool() { 0 } else { rng.u32(0..GROUPS) };
            let mut sample = Sample {
                id: format!("m{number}").into(),
                body: body(&mut rng, number),
                group: is_fifo.then(|| format!("g{group}")),
                undisturbed: Processed::default(),
                first_entry: real.entries.len() as EntryNo,
            };
            let now = Timestamp::from_micros(UNDISTURBED_MICROS).unwrap_or_else(|_| unreachable!("it is in 2026"));
            sample.undisturbed = real.pipeline.process(&message_of(&sample, number, 1), now);
            for (_, entry) in &sample.undisturbed.entries {
                real.numbers.insert(entry.identity.clone(), real.entries.len() as EntryNo);
                real.entries.push(Arc::clone(entry));
                real.owners.push(number);
            }
            real.samples.push(sample);
        }
        assert_eq!(real.numbers.len(), real.entries.len(), "every entry of the corpus has an identity of its own");
        Self::Real(Box::new(real))
    }

    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Real(_) => SAMPLES,
            Self::Plain { count, .. } => *count,
        }
    }

    pub(crate) fn entries_len(&self) -> usize {
        match self {
            Self::Real(real) => real.entries.len(),
            Self::Plain { count, .. } => *count as usize,
        }
    }

    /// The n-th delivery of a message.
    pub(crate) fn message(&self, number: MessageNo, delivery: u32) -> Message {
        match self {
            Self::Real(real) => message_of(&real.samples[number as usize], number, delivery),
            Self::Plain { body_bytes, groups, .. } => Message {
                handle: Handle { message_id: format!("m{number}").into(), receipt: format!("r{delivery}").into() },
                body: "x".repeat(*body_bytes),
                attributes: Vec::new(),
                sent_at: sent_at(number),
                receive_count: delivery,
                group_id: number.checked_rem(*groups).map(|group| format!("g{group}")),
                deduplication_id: None,
                sequence_number: (*groups > 0).then(|| sequence_number(number)),
                permit: None,
                trace: Trace::default(),
            },
        }
    }

    pub(crate) fn body(&self, number: MessageNo) -> &str {
        match self {
            Self::Real(real) => &real.samples[number as usize].body,
            Self::Plain { .. } => "",
        }
    }

    /// The FIFO group, by its number.
    pub(crate) fn group(&self, number: MessageNo) -> Option<u32> {
        match self {
            Self::Real(real) => real.samples[number as usize].group.as_deref().map(number_of),
            Self::Plain { groups, .. } => number.checked_rem(*groups),
        }
    }

    /// What a delivery comes to. `anew` decodes and compares once more, as a worker does; otherwise the outcome of the
    /// undisturbed run is taken, which costs a tenth.
    pub(crate) fn process(&self, message: &Message, now: Timestamp, anew: bool) -> Processed {
        let number = number_of(&message.handle.message_id);
        match self {
            Self::Real(real) if anew => real.pipeline.process(message, now),
            Self::Real(real) => real.samples[number as usize].undisturbed.clone(),
            Self::Plain { .. } => {
                Processed { entries: vec![(0, Arc::new(plain_entry(number)))], ..Processed::default() }
            }
        }
    }

    /// The entries of a message.
    pub(crate) fn entries(&self, number: MessageNo) -> std::ops::Range<EntryNo> {
        match self {
            Self::Real(real) => {
                let sample = &real.samples[number as usize];
                sample.first_entry..sample.first_entry + sample.undisturbed.entries.len() as EntryNo
            }
            Self::Plain { .. } => number..number + 1,
        }
    }

    /// The message an entry is of.
    pub(crate) fn owner(&self, entry: EntryNo) -> MessageNo {
        match self {
            Self::Real(real) => real.owners[entry as usize],
            Self::Plain { .. } => entry,
        }
    }

    /// Which entry this is; none when the undisturbed run stores no such entry, or another content under its name.
    pub(crate) fn known(&self, entry: &Arc<Entry>) -> Option<EntryNo> {
        match self {
            Self::Real(real) => {
                let number = *real.numbers.get(&entry.identity)?;
                let undisturbed = &real.entries[number as usize];
                (Arc::ptr_eq(undisturbed, entry) || undisturbed == entry).then_some(number)
            }
            Self::Plain { .. } => {
                let number = number_of(&entry.identity.event_id);
                (**entry == plain_entry(number)).then_some(number)
            }
        }
    }

    /// The reasons for which a message is poison, as codes; none when it is healthy.
    pub(crate) fn rejections(&self, number: MessageNo) -> impl Iterator<Item = &'static str> + '_ {
        let rejections = match self {
            Self::Real(real) => real.samples[number as usize].undisturbed.rejections.as_slice(),
            Self::Plain { .. } => &[],
        };
        rejections.iter().map(|rejection| rejection.code)
    }
}

/// The number in `m17`.
pub(crate) fn number_of(id: &str) -> MessageNo {
    id[1..].parse().unwrap_or_else(|_| unreachable!("messages and plain events are named by number"))
}

fn sent_at(number: u32) -> Timestamp {
    let millis = UNDISTURBED_MICROS / 1000 - 60_000 + i64::from(number);
    Timestamp::from_millis(millis).unwrap_or_else(|_| unreachable!("it is in 2026"))
}

fn sequence_number(number: u32) -> String {
    format!("{:020}", u64::from(number) + 1)
}

fn message_of(sample: &Sample, number: u32, delivery: u32) -> Message {
    Message {
        handle: Handle { message_id: Arc::clone(&sample.id), receipt: format!("r{delivery}").into() },
        body: sample.body.clone(),
        attributes: Vec::new(),
        sent_at: sent_at(number),
        receive_count: delivery,
        group_id: sample.group.clone(),
        deduplication_id: sample.group.as_ref().map(|_| sample.id.to_string()),
        sequence_number: sample.group.as_ref().map(|_| sequence_number(number)),
        permit: None,
        trace: Trace::default(),
    }
}

fn plain_entry(number: u32) -> Entry {
    let moment = sent_at(0);
    let name = |text: &str| text.to_owned();
    Entry {
        record: RecordKey {
            tenant: name("default"),
            source: name("sim"),
            table: name("plain"),
            record_id: vec![number.to_string()],
        },
        identity: Identity {
            event_id: format!("m{number}"),
            input_digest: Digest([7; 16]),
            revision: 0,
            published_at: moment,
        },
        op: Op::Insert,
        occurred_at: moment,
        position: None,
        changed: Vec::new(),
        before_digest: None,
        after_digest: None,
        provenance: afterimage_store::Provenance::default(),
        expires_at: None,
        content: format!("{{\"n\":{number}}}"),
    }
}

/// A message body: mostly one healthy event, sometimes a list, sometimes poison of one kind or another.
fn body(rng: &mut fastrand::Rng, number: u32) -> String {
    match rng.u8(0..20) {
        0 => poison(rng, number),
        1..=3 => {
            let events: Vec<String> =
                (0..rng.u32(2..5)).map(|n| if rng.u8(0..8) == 0 { lame(n) } else { event(rng, number, n) }).collect();
            format!("[{}]", events.join(","))
        }
        4 | 5 => {
            let event = event(rng, number, 0).replace('\\', "\\\\").replace('"', "\\\"");
            format!(
                r#"{{"Type":"Notification","MessageId":"sns-{number}","TopicArn":"arn:aws:sns:eu-west-1:1:t","Message":"{event}"}}"#
            )
        }
        6 => format!(
            r#"{{"record":{{"id":{number},"n":{}}},"changes":{{"n":-1}},"action":"update","metadata":{{"table_name":"stock","idempotency_key":"q-{number}"}}}}"#,
            rng.u8(..)
        ),
        _ => event(rng, number, 0),
    }
}

/// A healthy event, or one that changed nothing.
fn event(rng: &mut fastrand::Rng, number: u32, index: u32) -> String {
    let mut text = format!(r#"{{"eventId":"e-{number}-{index}","tableName":"users","recordId":"{}","#, number % 50);
    let (before, after) = (rng.u8(..), rng.u8(..));
    let image = |n: u8| format!(r#"{{"id":{},"name":"n{n}","tags":[1,{n}]}}"#, number % 50);
    let end = match rng.u8(0..10) {
        0 => format!(r#""operation":"update","before":{0},"after":{0}}}"#, image(before)),
        1 | 2 => format!(r#""operation":"insert","after":{}}}"#, image(after)),
        3 => format!(r#""operation":"delete","before":{}}}"#, image(before)),
        _ => format!(r#""operation":"update","before":{},"after":{}}}"#, image(before), image(after)),
    };
    write!(text, "{end}").unwrap_or_else(|_| unreachable!("text takes text"));
    text
}

/// An event of a list that cannot be understood.
fn lame(n: u32) -> String {
    format!(r#"{{"tableName":"users","after":{{"n":{n}}}}}"#)
}

fn poison(rng: &mut fastrand::Rng, number: u32) -> String {
    match rng.u8(0..6) {
        0 => format!("not json {number}"),
        1 => format!(r#"{{"tableName":"users","operation":"vanish","after":{{"id":{number}}}}}"#),
        2 => format!(r#"{{"hello":{number}}}"#),
        3 => format!("{}{}", "[".repeat(300), "]".repeat(300)),
        4 => format!(r#"{{"tableName":"users","operation":"insert","after":{{"id":{number},"id":1}}}}"#),
        _ => lame(number),
    }
}
