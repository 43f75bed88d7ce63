//! A message body in: whatever it is, it becomes events whose parts hold what their types promise, or a refusal that is
//! short; and packing it once more changes nothing but the layer.

#![no_main]

use afterimage_event::{Contents, Layers, Message, Problem, Refusal, Settings, Timestamp, decode};
use afterimage_json::{DEPTH_MAX, Kind, Raw, push_quoted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &str| {
    let outcome = outcome(body);
    let mut packed = String::new();
    push_quoted(body, &mut packed);
    match (outcome, self::outcome(&packed)) {
        // One layer more may be one too many.
        (_, Outcome::Refused(Refusal { problem: Problem::TooManyLayers, .. })) => {}
        (Outcome::Refused(bare), Outcome::Refused(packed)) => {
            assert_eq!(
                (bare.format, bare.place.spot, bare.problem),
                (packed.format, packed.place.spot, packed.problem)
            );
            assert_eq!(bare.place.layer.depth() + 1, packed.place.layer.depth());
        }
        (bare, packed) => assert_eq!(bare, packed),
    }
});

#[derive(Debug, PartialEq)]
enum Outcome {
    Control,
    Refused(Refusal),
    /// What each event is, or the code of its refusal.
    Events(Vec<Result<String, &'static str>>),
}

fn outcome(body: &str) -> Outcome {
    let message = Message {
        body,
        message_id: "m",
        sent_at: Timestamp::from_millis(1_767_952_807_250).unwrap(),
        sequence_number: Some("7"),
        group_id: Some("g"),
        origin: None,
    };
    let (settings, mut layers) = (Settings::default(), Layers::default());
    match decode(&message, &settings, &mut layers) {
        Ok(Contents::Control(_)) => Outcome::Control,
        Err(refusal) => {
            check(&refusal);
            Outcome::Refused(refusal)
        }
        Ok(Contents::Events(events)) => Outcome::Events(
            events
                .map(|event| match event {
                    Err(refusal) => {
                        check(&refusal);
                        Err(refusal.code())
                    }
                    Ok(event) => {
                        for image in [&event.before, &event.after].into_iter().flatten() {
                            assert!(!Raw::parse(image).unwrap().is_null());
                        }
                        if let Some(context) = &event.context {
                            // It must fit into an entry.
                            let context = Raw::parse_within(context, DEPTH_MAX - 1).unwrap();
                            assert_eq!(context.kind(), Kind::Object);
                        }
                        assert_eq!(event.record.record_id.is_empty(), matches!(event.op.as_str(), "truncate" | "ddl"));
                        assert!(!event.op.needs_image() || event.before.is_some() || event.after.is_some());
                        assert!(event.actor.as_ref().is_none_or(|actor| *actor != Default::default()));
                        event.published_at.to_string();
                        Ok(format!("{event:?}"))
                    }
                })
                .collect(),
        ),
    }
}

fn check(refusal: &Refusal) {
    assert!(refusal.to_string().len() < 4_096);
    assert!(Problem::CODES.contains(&refusal.code()));
}
