//! `afterimage dlq export`: a copy of the letters, one JSON object a line, whole.

use std::fmt::Write;

use afterimage_consumer::dead_letters::{Letter, Look};
use afterimage_consumer::{Attribute, AttributeValue};
use serde::Serialize;

use super::{Coverage, Desk, Outcome, Progress};
use crate::letters::Facts;
use crate::output;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    body: &'a str,
    message_attributes: Vec<ExportedAttribute<'a>>,
}

#[derive(Serialize)]
struct ExportedAttribute<'a> {
    name: &'a str,
    data_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    /// Hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

/// The last line, and the proof that there is no more.
#[derive(Serialize)]
struct End {
    end: bool,
    items: u64,
}

pub(super) async fn run(look: &mut Look, desk: &Desk, stop_after: u64) -> anyhow::Result<Outcome> {
    let mut progress = Progress::new();
    let mut items = 0;
    'letters: loop {
        let letters = desk.next(look, &mut progress).await?;
        if letters.is_empty() {
            break;
        }
        for (letter, facts, _) in &letters {
            if items == stop_after {
                break 'letters;
            }
            if desk.selection.includes(facts) {
                // Whoever has seen enough (`| head`) is not kept waiting for the rest of the queue.
                if !output::print_more(&line(letter, facts)?)? {
                    return Ok(Outcome::Done);
                }
                items += 1;
            }
        }
    }
    progress.end();
    if desk.stop.is_cancelled() {
        // Without its last line an export is known to be cut off.
        Coverage::of(look).warn();
        return Ok(Outcome::Incomplete);
    }
    output::print(&(serde_json::to_string(&End { end: true, items })? + "\n"))?;
    let coverage = Coverage::of(look);
    coverage.warn();
    Ok(if items == stop_after { Outcome::Done } else { coverage.outcome() })
}

fn line(letter: &Letter, facts: &Facts) -> serde_json::Result<String> {
    let message = &letter.message;
    let message_attributes = message.attributes.iter().map(exported).collect();
    Ok(serde_json::to_string(&Line { facts, body: &message.body, message_attributes })? + "\n")
}

fn exported(attribute: &Attribute) -> ExportedAttribute<'_> {
    let (value, bytes) = match &attribute.value {
        AttributeValue::Text(text) => (Some(text.as_str()), None),
        AttributeValue::Bytes(bytes) => (None, Some(hex(bytes))),
    };
    ExportedAttribute { name: &attribute.name, data_type: &attribute.data_type, value, bytes }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
