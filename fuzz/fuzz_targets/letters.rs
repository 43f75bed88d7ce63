//! A message with its attributes, and why it failed: as a dead letter it keeps what it was, goes back as that, and says
//! nothing that is in it. Headers of traces are read as an obvious reader reads them.
//!
//! The modules of the consumer are taken one by one: with the crate came the SDK of AWS and TLS, which take longer to build than
//! all else here.

#![no_main]
#![allow(dead_code, reason = "each module is used in part")]

#[path = "../../crates/telemetry/src/traces/context.rs"]
mod context;
#[path = "../../crates/consumer/src/trace/creation.rs"]
mod creation;
#[path = "../../crates/consumer/src/dead_letter.rs"]
mod dead_letter;
#[path = "../../crates/consumer/src/dead_letters/letter.rs"]
mod letter;
#[path = "../../crates/afterimage/src/replay/line.rs"]
mod line;
#[path = "../../crates/consumer/src/message.rs"]
mod message;
#[path = "../../crates/afterimage/src/letters/outline.rs"]
mod outline;
#[path = "../../crates/consumer/src/process.rs"]
mod process;
#[path = "../../crates/json/tests/tree/mod.rs"]
mod tree;

// The names by which those modules know each other.
extern crate self as afterimage_consumer;
extern crate self as afterimage_telemetry;

mod budget {
    #[derive(Debug)]
    pub struct Permit;
}

mod queue {
    use std::pin::Pin;

    use crate::dead_letter::DeadLetter;

    pub const MESSAGE_BYTES_MAX: usize = 1_048_576;
    pub type Sent = Result<Vec<Result<(), ItemError>>, QueueError>;

    pub struct ItemError;
    pub struct QueueError;

    pub trait Queue {
        fn send_dead_letters(&self, letters: &[DeadLetter]) -> Pin<Box<dyn Future<Output = Sent>>>;
    }
}

mod trace {
    #[derive(Debug, Default)]
    pub struct Trace {
        pub header: Option<String>,
    }
}

pub use context::{parse_traceparent, parse_xray};
pub use message::{Attribute, AttributeValue, Handle, Message};
pub use trace::Trace;

use std::sync::Arc;

use afterimage_event::{Layers, Origin, Settings, Timestamp, decode};
use dead_letter::{ATTRIBUTES_MAX, DEDUPLICATION_ID, DeadLetter, PREFIX};
use letter::{Failed, Letter, Via};
use libfuzzer_sys::fuzz_target;
use line::Line;
use opentelemetry::trace::SpanContext;
use process::Rejection;
use queue::MESSAGE_BYTES_MAX;
use tree::Tree;

// Lines `key=value`, then an empty line and the body. `id`, `group`, `sequence`, `deduplication` and `xray` are what the
// queue says; `failed=3 not_json` a rejection; all others are attributes.
fuzz_target!(|text: &str| {
    headers(text);
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut told = message(body);
    let mut rejections = Vec::new();
    for line in head.lines() {
        let Some((name, value)) = line.split_once('=') else { return };
        let owned = Some(value.to_owned()).filter(|value| !value.is_empty());
        match name {
            "id" if value.is_empty() || value.len() > 100 => return,
            "id" => told.handle.message_id = value.into(),
            "group" => told.group_id = owned.filter(|group| group.len() <= 128),
            // A FIFO queue numbers with digits.
            "sequence" => {
                told.sequence_number =
                    owned.filter(|digits| digits.len() <= 100 && digits.bytes().all(|digit| digit.is_ascii_digit()));
            }
            "deduplication" => told.deduplication_id = owned.filter(|id| id.len() <= 128),
            "xray" => told.trace.header = owned,
            "failed" => rejections.push(rejection(value)),
            // A message has at most ten, and no name twice.
            _ if told.attributes.len() == ATTRIBUTES_MAX || value.is_empty() => {}
            _ if told.attributes.iter().any(|attribute| attribute.name == name) => {}
            _ => told.attributes.push(Attribute::text(name, value)),
        }
    }
    if tree::is_understood(text) {
        traced(&told);
        quiet(&told);
    }
    dead_lettered(told, &rejections);
});

fn message(body: &str) -> Message {
    Message {
        handle: Handle { message_id: "m".into(), receipt: "r".into() },
        body: body.to_owned(),
        attributes: Vec::new(),
        sent_at: "2026-01-09T10:00:05.120Z".parse().unwrap(),
        receive_count: 1,
        group_id: None,
        sequence_number: None,
        deduplication_id: None,
        permit: None,
        trace: Trace::default(),
    }
}

fn rejection(text: &str) -> Rejection {
    let (index, reason) = text.split_once(' ').unwrap_or((text, ""));
    let (place, reason) = (reason.to_owned(), reason.to_owned());
    Rejection { event_index: index.parse().ok(), code: "not_json", place, reason }
}

/// What goes to the dead letters comes back as the message it was.
fn dead_lettered(told: Message, rejections: &[Rejection]) {
    let told = Arc::new(told);
    let origin = Origin::of(&told.told());
    let sent: Vec<Attribute> =
        told.attributes.iter().filter(|attribute| !attribute.name.starts_with(PREFIX)).cloned().collect();
    let dead = DeadLetter::new(told.clone(), rejections, "worker-1");
    check_limits(dead.body(), dead.attributes());
    assert!(dead.deduplication_id().len() <= 128 && dead.deduplication_id().ends_with(dead.message_id()));

    // The dead-letter queue gives it an id and a time of its own.
    let mut message = message(dead.body());
    message.handle.message_id = "of the letter".into();
    message.sent_at = "2026-02-01T00:00:00Z".parse().unwrap();
    message.attributes = dead.attributes().to_vec();
    let letter = Letter { message, source_arn: None };
    assert_eq!(letter.via(), Via::Worker);
    assert_eq!(letter.origin(), origin);
    // Of the sender's attributes those are gone that there was no room for; none is another.
    let kept: Vec<&Attribute> = letter.sender_attributes().collect();
    assert!(sent.iter().filter(|attribute| kept.contains(attribute)).eq(kept.iter().copied()));
    // The origin, the reason and the id need three.
    let is_roomy = sent.len() + 2 + usize::from(letter.attribute(DEDUPLICATION_ID).is_some()) <= ATTRIBUTES_MAX;
    assert!(kept.len() == sent.len() || !is_roomy);
    let Failed { indices, and_more } = letter.failed();
    let mut failed: Vec<usize> = rejections.iter().filter_map(|rejection| rejection.event_index).collect();
    failed.sort_unstable();
    failed.dedup();
    assert!(failed.starts_with(&indices));
    if letter.attribute(dead_letter::FAILED_EVENTS).is_some() {
        assert_eq!(and_more, indices.len() < failed.len());
    }

    // An export of it, read again.
    let exported = exported(&letter);
    let Ok(Line::Letter(read)) = Line::read(&exported, now()) else { panic!("no letter: {exported}") };
    assert_eq!((Origin::of(&read.told()), &read.body), (origin.clone(), &letter.message.body));
    let but_origin = letter.message.attributes.iter().filter(|attribute| attribute.name != Origin::ATTRIBUTE);
    assert!(read.attributes.iter().eq(but_origin));

    // Sent back, it is what it was; and failing again it is the same letter.
    let Ok(attributes) = letter.resent_attributes() else { return };
    check_limits(&letter.message.body, &attributes);
    let mut again = self::message(&letter.message.body);
    again.handle.message_id = "of the message sent back".into();
    again.attributes = attributes;
    assert_eq!(Origin::of(&again.told()), origin);
    let dead_again = DeadLetter::new(Arc::new(again), rejections, "worker-1");
    let mut expected = dead.attributes().to_vec();
    // It came by another id, or by none.
    expected.retain(|attribute| attribute.name != DEDUPLICATION_ID);
    for attribute in dead_again.attributes().iter().filter(|attribute| is_first(&attribute.name)) {
        assert!(expected.contains(attribute), "{attribute:?}");
    }
}

/// Is it what there is always room for, or its sender's?
fn is_first(name: &str) -> bool {
    name == dead_letter::ORIGIN || name == dead_letter::REASON || !name.starts_with(PREFIX)
}

/// What SQS takes.
fn check_limits(body: &str, attributes: &[Attribute]) {
    assert!(attributes.len() <= ATTRIBUTES_MAX);
    assert!(body.len() + attributes.iter().map(Attribute::len_bytes).sum::<usize>() <= MESSAGE_BYTES_MAX);
    for attribute in attributes.iter().filter(|attribute| attribute.name.starts_with(PREFIX)) {
        let text = attribute.as_text().unwrap();
        let is_ours = ![Origin::ATTRIBUTE, DEDUPLICATION_ID].contains(&attribute.name.as_str());
        assert!(!text.is_empty() && (!is_ours || !text.contains(char::is_control)), "{attribute:?}");
    }
}

/// As `afterimage dlq export` writes it.
fn exported(letter: &Letter) -> String {
    let origin = letter.origin();
    let attributes = letter.message.attributes.iter().map(|attribute| {
        serde_json::json!({ "name": attribute.name, "data_type": attribute.data_type, "value": attribute.as_text() })
    });
    let attributes: Vec<serde_json::Value> = attributes.collect();
    serde_json::json!({
        "message_id": &*letter.message.handle.message_id,
        "origin": {
            "message_id": origin.message_id,
            "published_at": origin.sent_at.to_string(),
            "sequence_number": origin.sequence_number,
            "group_id": origin.group_id,
        },
        "body": letter.message.body,
        "message_attributes": attributes,
    })
    .to_string()
}

fn now() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

/// Texts that are read alone.
fn headers(text: &str) {
    if let Ok(origin) = Origin::parse(text) {
        assert_eq!(Origin::parse(&origin.to_attribute()), Ok(origin));
    }
    assert_eq!(ids(parse_traceparent(text, None)), obvious_traceparent(text));
    assert_eq!(ids(parse_xray(text)), obvious_xray(text));
    let reads = [Line::read(text, now()), Line::read(text, now())].map(|line| format!("{line:?}"));
    assert_eq!(reads[0], reads[1]);
}

type Ids = (String, String, bool);

fn ids(context: Option<SpanContext>) -> Option<Ids> {
    context.map(|context| (context.trace_id().to_string(), context.span_id().to_string(), context.is_sampled()))
}

fn obvious_traceparent(text: &str) -> Option<Ids> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, ..] = parts[..] else { return None };
    let is_whole = version == "00" && parts.len() == 4 || version != "00" && version != "ff";
    let are_digits = is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    let is_sampled = flags.ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f']);
    (is_whole && are_digits && is_some(trace) && is_some(span)).then(|| (trace.to_owned(), span.to_owned(), is_sampled))
}

fn obvious_xray(text: &str) -> Option<Ids> {
    let mut parts = text.split(';').filter_map(|part| part.trim().split_once('='));
    let mut said = Vec::new();
    for (name, value) in parts.by_ref() {
        if !said.iter().any(|(known, _)| *known == name) {
            said.push((name, value.trim()));
        }
    }
    let find = |wanted| said.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let root: Vec<&str> = find("Root")?.split('-').collect();
    let ["1", epoch, unique] = root[..] else { return None };
    let (trace, span) = (format!("{epoch}{unique}"), find("Parent")?);
    let are_digits = is_hex(epoch, 8) && is_hex(unique, 24) && is_hex(span, 16);
    (are_digits && is_some(&trace) && is_some(span)).then(|| (trace, span.to_owned(), find("Sampled") == Some("1")))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.chars().all(|digit| digit.is_digit(16) && !digit.is_uppercase())
}

fn is_some(digits: &str) -> bool {
    digits.contains(|digit| digit != '0')
}

/// The sender's attributes go before those that SNS keeps in its envelope, and those before what AWS says.
fn traced(told: &Message) {
    let attribute = |name| told.attributes.iter().find(|attribute| attribute.name == name).and_then(Attribute::as_text);
    let by_sender = attribute("traceparent").and_then(|text| ids(parse_traceparent(text, None)));
    let by_topic = Tree::parse(&told.body).and_then(|envelope| {
        let is_envelope = matches!(envelope.get("Type"), Some(Tree::String(kind)) if kind == "Notification");
        match envelope.get("MessageAttributes")?.get("traceparent")?.get("Value")? {
            Tree::String(text) if is_envelope => ids(parse_traceparent(text, None)),
            _ => None,
        }
    });
    let by_aws = told.trace.header.as_deref().and_then(|text| ids(parse_xray(text)));
    // An envelope that is nested deeper than documents may be is none.
    if Tree::parse(&told.body).is_some() == afterimage_json::Raw::parse(&told.body).is_ok()
        && !told.body.contains("\\u")
    {
        assert_eq!(ids(creation::context(told)), by_sender.or(by_topic).or(by_aws));
    }
}

/// What is wrong with a body is told without a value out of it.
fn quiet(told: &Message) {
    let (settings, mut layers) = (Settings::default(), Layers::default());
    let told = told.told();
    let mut refusals = Vec::new();
    match decode(&told, &settings, &mut layers) {
        Ok(afterimage_event::Contents::Control(_)) => {}
        Ok(afterimage_event::Contents::Events(events)) => refusals.extend(events.filter_map(Result::err)),
        Err(refusal) => refusals.push(refusal),
    }
    if refusals.is_empty() {
        return;
    }
    let mut seen = Seen::default();
    match Tree::parse(told.body) {
        Some(body) => seen.collect(&body),
        // What is a value and what a name, nobody knows.
        None => seen.values.extend(told.body.split(|c: char| !c.is_alphanumeric()).map(str::to_owned)),
    }
    for refusal in refusals {
        let shown = format!("{refusal}\n{}", outline::outline(told.body, &refusal.place, false).join("\n"));
        assert!(shown.len() < 16_384);
        for value in seen.values.iter().filter(|value| is_telling(value) && !seen.names.contains(value.as_str())) {
            assert!(!shown.contains(value.as_str()), "{value} shows in {shown}");
        }
    }
}

#[derive(Default)]
struct Seen {
    values: Vec<String>,
    names: String,
}

impl Seen {
    fn collect(&mut self, tree: &Tree) {
        match tree {
            Tree::String(text) => self.values.push(text.clone()),
            Tree::Array(elements) => elements.iter().for_each(|element| self.collect(element)),
            Tree::Object(members) => {
                for (name, value) in members {
                    self.names.push_str(name);
                    self.names.push('\n');
                    self.collect(value);
                }
            }
            _ => {}
        }
    }
}

/// No word of ours: letters and digits mixed, and not those that stand for hidden ones.
fn is_telling(text: &str) -> bool {
    text.len() >= 6
        && !text.bytes().all(|byte| matches!(byte, b'0' | b'x'))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().filter(u8::is_ascii_digit).count() >= 2
        && text.bytes().filter(u8::is_ascii_alphabetic).count() >= 3
}
