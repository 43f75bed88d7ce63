//! `afterimage dlq show`: one letter.

use afterimage_consumer::AttributeValue;
use afterimage_consumer::dead_letters::Look;
use serde::Serialize;

use super::{Coverage, Desk, Outcome, Progress};
use crate::letters::{EventNow, Facts, outline};
use crate::output;
use crate::render;

/// What `show` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) facts: Facts,
    /// How each event is read now.
    pub(crate) events: Vec<EventNow>,
    /// Lines of structure around the first thing that is not understood.
    pub(crate) outline: Vec<String>,
    /// The sender's attributes, where values are shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sender_attributes: Vec<(String, String)>,
    /// The body, where values are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

pub(super) async fn run(
    look: &mut Look,
    desk: &Desk,
    message_id: &str,
    raw: bool,
    json: bool,
) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new();
    loop {
        let letters = desk.next(look, &mut progress).await?;
        if letters.is_empty() {
            break;
        }
        for (letter, facts, reading) in letters {
            if !facts.is_called(message_id) || !desk.selection.includes(&facts) {
                continue;
            }
            progress.end();
            let attributes = letter.sender_attributes().map(|attribute| {
                let value = match &attribute.value {
                    AttributeValue::Text(text) => text.clone(),
                    AttributeValue::Bytes(bytes) => format!("({} bytes)", bytes.len()),
                };
                (attribute.name.clone(), value)
            });
            let shown = Shown {
                outline: reading
                    .place
                    .as_ref()
                    .map(|place| outline(&letter.message.body, place, raw))
                    .unwrap_or_default(),
                facts,
                events: reading.events,
                sender_attributes: if raw { attributes.collect() } else { Vec::new() },
                body: raw.then(|| letter.message.body.clone()),
            };
            if json {
                output::print(&(serde_json::to_string(&shown)? + "\n"))?;
            } else {
                output::print(&render::letter(&shown, &desk.screen))?;
            }
            return Ok(Outcome::Done);
        }
    }
    progress.end();
    let coverage = Coverage::of(look);
    coverage.warn();
    output::complain(format!("no letter here is called {message_id}"));
    Ok(if coverage.is_complete { Outcome::NoSuchRecord } else { Outcome::Incomplete })
}
