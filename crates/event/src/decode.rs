//! From a message to what it holds: the walk through its envelopes.

use std::borrow::Cow;
use std::sync::OnceLock;

use afterimage_json::{Kind, Pointer, Raw, Scanner};

use crate::delivery::Delivery;
use crate::events::{Events, Queue};
use crate::fields::Fields;
use crate::limits::{LAYERS_MAX, NESTING_MAX};
use crate::refusal::{Fault, Layer, Place, Problem, Refusal, Spot};
use crate::sns::{self, Control, Envelope, Notification};
use crate::{Format, Message, Settings, detect, list};

/// What a message holds.
#[derive(Debug)]
pub enum Contents<'a> {
    /// Something of SNS about a subscription: no event.
    Control(Control<'a>),
    /// Events, as many as the message holds; none if it is an empty list.
    Events(Events<'a>),
}

/// The unpacked texts of one message, which its events borrow from. One can serve any number of messages in turn.
#[derive(Debug, Default)]
pub struct Layers([OnceLock<String>; LAYERS_MAX]);

/// Takes a message out of its envelopes and tells what it holds; the events are read one by one as they are asked for.
///
/// Unwrapped are SNS notifications and JSON strings that hold JSON, at most [`LAYERS_MAX`] of them. A list of events is
/// as many events; an empty one is a message with nothing to store.
///
/// # Errors
/// The message as a whole cannot be understood. (What is wrong with one event, [`Events`] says.)
pub fn decode<'a>(
    message: &'a Message<'_>,
    settings: &'a Settings,
    layers: &'a mut Layers,
) -> Result<Contents<'a>, Refusal> {
    *layers = Layers::default();
    let mut slots = layers.0.iter();
    let mut layer = Layer::Body;
    let mut text = message.body;
    let mut notification = None;

    let limit_bytes = settings.limits.body_bytes;
    if text.len() > limit_bytes {
        let stop = Stop { format: None, spot: Spot::Byte(limit_bytes), problem: Problem::TooLarge { limit_bytes } };
        return Err(stop.into_refusal(layer, settings));
    }
    loop {
        let stopped = |stop: Stop| stop.into_refusal(layer, settings);
        let (inner_layer, packed) = match open(text, settings).map_err(stopped)? {
            Opened::Control(control) => return Ok(Contents::Control(control)),
            Opened::Events(queue) => {
                if notification.is_none() && !settings.allow_topics.is_empty() {
                    return Err(stopped(Stop::whole(None, Problem::TopicNotAllowed)));
                }
                let delivery = Delivery::new(message, settings, notification);
                return Ok(Contents::Events(Events::new(delivery, layer, queue)));
            }
            Opened::Text(packed) => (Layer::Text(layer.depth() + 1), packed),
            Opened::Notification(opened, packed) => {
                notification = Some(opened);
                (Layer::SnsMessage(layer.depth() + 1), packed)
            }
        };
        let Some(slot) = slots.next() else { return Err(stopped(Stop::whole(None, Problem::TooManyLayers))) };
        layer = inner_layer;
        text = match packed {
            Cow::Borrowed(packed) => packed,
            Cow::Owned(packed) => slot.get_or_init(|| packed),
        };
    }
}

/// What one text holds.
enum Opened<'a> {
    Control(Control<'a>),
    Notification(Notification<'a>, Cow<'a, str>),
    Text(Cow<'a, str>),
    Events(Queue<'a>),
}

fn open<'a>(text: &'a str, settings: &Settings) -> Result<Opened<'a>, Stop> {
    let not_json =
        |error: afterimage_json::Error| Stop { format: None, spot: Spot::Byte(error.offset()), problem: error.into() };
    let mut scanner = Scanner::within(text, NESTING_MAX);
    scanner.skip_whitespace();
    if scanner.peek() == Some(b'{') {
        let fields = Fields::scan(&mut scanner).map_err(not_json)?;
        scanner.finish().map_err(not_json)?;
        return open_object(fields.map_err(|fault| Stop::from_fault(None, fault))?, settings);
    }
    let raw = match Raw::parse_within(text, NESTING_MAX) {
        Ok(raw) => raw,
        // The events of a list stand for themselves: one that is refused keeps no other from the trail.
        Err(error) => match list::split(text, settings.limits.events, NESTING_MAX - 1) {
            Some(elements) => return Ok(Opened::Events(Queue::list(elements))),
            None => return Err(not_json(error)),
        },
    };
    match raw.kind() {
        Kind::Array => Ok(Opened::Events(open_list(raw, settings)?)),
        Kind::String => Ok(Opened::Text(raw.string().unwrap_or_default())),
        _ => Err(Stop::whole(None, Problem::UnknownShape)),
    }
}

fn open_list<'a>(raw: Raw<'a>, settings: &Settings) -> Result<Queue<'a>, Stop> {
    let limit = settings.limits.events;
    let list: Vec<_> = raw.elements().into_iter().flatten().take(limit.saturating_add(1)).collect();
    if detect::is_s3_pointer(&list) {
        return Err(Stop::whole(Some(Format::S3Pointer), Problem::NotSupported(Format::S3Pointer)));
    }
    if list.len() > limit {
        return Err(Stop::whole(None, Problem::TooManyEvents { limit }));
    }
    Ok(Queue::list(list.into_iter().map(Ok).collect()))
}

fn open_object<'a>(mut fields: Fields<'a>, settings: &Settings) -> Result<Opened<'a>, Stop> {
    match sns::open(&mut fields).map_err(|fault| Stop::from_fault(Some(Format::Sns), fault))? {
        None => Ok(Opened::Events(Queue::one(fields))),
        Some(Envelope::Control(control)) => Ok(Opened::Control(control)),
        Some(Envelope::Notification(opened, packed)) => {
            let allowed = &settings.allow_topics;
            if !allowed.is_empty() && !allowed.iter().any(|arn| *arn == opened.topic_arn) {
                let spot = Spot::Pointer(Pointer::from_iter(["TopicArn"]));
                return Err(Stop { format: Some(Format::Sns), spot, problem: Problem::TopicNotAllowed });
            }
            Ok(Opened::Notification(opened, packed))
        }
    }
}

/// A refusal of the whole message, before it is told in which layer.
struct Stop {
    format: Option<Format>,
    spot: Spot,
    problem: Problem,
}

impl Stop {
    fn whole(format: Option<Format>, problem: Problem) -> Self {
        Self::from_fault(format, Fault::whole(problem))
    }

    fn from_fault(format: Option<Format>, fault: Fault) -> Self {
        Self { format, spot: Spot::Pointer(fault.at), problem: fault.problem }
    }

    fn into_refusal(self, layer: Layer, settings: &Settings) -> Refusal {
        let Self { format, spot, problem } = self;
        Refusal { format: format.or(settings.format), event_index: None, place: Place { layer, spot }, problem }
    }
}
