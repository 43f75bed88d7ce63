//! Shared by the tests: reading a body, and showing what came of it.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use afterimage_event::{
    ChangeEvent, Contents, IdOrigin, Layers, Message, Position, Refusal, Settings, TimeOrigin, Timestamp, decode,
};
use serde_json::{Value, json};

pub(crate) const MESSAGE_ID: &str = "059f36b4-87a3-44ab-83d2-661975830a7d";
pub(crate) const SENT_AT: &str = "2026-01-09T10:00:07.250Z";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A message of a standard queue.
pub(crate) fn message(body: &str) -> Message<'_> {
    Message {
        body,
        message_id: MESSAGE_ID,
        sent_at: time(SENT_AT),
        sequence_number: None,
        group_id: None,
        origin: None,
    }
}

/// Reads a message and shows the outcome of the whole, or of each event, to `look`.
pub(crate) fn read<T>(
    message: &Message<'_>,
    settings: &Settings,
    look: impl FnOnce(Result<Vec<Result<ChangeEvent<'_>, Refusal>>, Refusal>) -> T,
) -> T {
    let mut layers = Layers::default();
    match decode(message, settings, &mut layers) {
        Err(refusal) => look(Err(refusal)),
        Ok(Contents::Control(control)) => panic!("a control message: {control:?}"),
        Ok(Contents::Events(events)) => look(Ok(events.collect())),
    }
}

/// Reads a body that holds one event.
pub(crate) fn read_one<T>(body: &str, look: impl FnOnce(ChangeEvent<'_>) -> T) -> T {
    read_one_of(&message(body), &Settings::default(), look)
}

/// Reads a message that holds one event.
pub(crate) fn read_one_of<T>(message: &Message<'_>, settings: &Settings, look: impl FnOnce(ChangeEvent<'_>) -> T) -> T {
    read(message, settings, |events| {
        let mut events = events.unwrap();
        assert_eq!(events.len(), 1);
        look(events.remove(0).unwrap())
    })
}

/// The one refusal that comes of a body, of the whole or of its one event.
pub(crate) fn refusal_of(body: &str, settings: &Settings) -> Refusal {
    read(&message(body), settings, |outcome| match outcome {
        Err(refusal) => refusal,
        Ok(mut events) => {
            assert_eq!(events.len(), 1, "{body}");
            events.remove(0).expect_err(body)
        }
    })
}

/// What came of a message, as JSON, for comparison with the file beside a fixture.
pub(crate) fn outcome(message: &Message<'_>, settings: &Settings) -> Value {
    let mut layers = Layers::default();
    match decode(message, settings, &mut layers) {
        Err(refusal) => json!({ "refused": shown(&refusal) }),
        Ok(Contents::Control(control)) => {
            json!({ "control": control.kind.as_str(), "topic": control.topic_arn })
        }
        Ok(Contents::Events(events)) => {
            let events = events.map(|event| match event {
                Ok(event) => event_json(&event),
                Err(refusal) => json!({ "refused": shown(&refusal) }),
            });
            json!({ "events": events.collect::<Vec<_>>() })
        }
    }
}

fn shown(refusal: &Refusal) -> Value {
    json!({ "code": refusal.code(), "text": refusal.to_string() })
}

/// An event as JSON; what is absent is left out.
pub(crate) fn event_json(event: &ChangeEvent<'_>) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let actor = event.actor.as_ref().map(|actor| {
        without_nulls(json!({
            "type": actor.kind, "id": actor.id, "name": actor.name, "email": actor.email,
            "on_behalf_of": actor.on_behalf_of,
        }))
    });
    let unknown: Vec<_> = event.unknown.iter().map(ToString::to_string).collect();
    without_nulls(json!({
        "id": event.id.value,
        "id_origin": match event.id.origin {
            IdOrigin::Event => "event",
            IdOrigin::Sns => "sns",
            IdOrigin::Sqs => "sqs",
        },
        "tenant": event.record.tenant,
        "source": event.record.source,
        "table": event.record.table,
        "record_id": event.record.record_id,
        "op": event.op.as_str(),
        "occurred_at": event.occurred_at.to_string(),
        "time_origin": match event.time_origin {
            TimeOrigin::Event => "event",
            TimeOrigin::Commit => "commit",
            TimeOrigin::Sns => "sns",
            TimeOrigin::Sqs => "sqs",
        },
        "position": event.position.as_ref().map(|position| position_json(position, event.position_is_own)),
        "transaction": event.transaction,
        "actor": actor,
        "context": event.context.as_deref().map(parsed),
        "labels": event.labels.map(|labels| parsed(labels.as_str())),
        "before": event.before.as_deref().map(parsed),
        "after": event.after.as_deref().map(parsed),
        "unknown": (!unknown.is_empty()).then_some(unknown),
        "published_at": event.published_at.to_string(),
    }))
}

fn position_json(position: &Position, is_own: bool) -> Value {
    json!({ "domain": position.domain, "value": position.value(), "own": is_own })
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(members.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}
