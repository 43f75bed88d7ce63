//! A record as it stood, for people.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::entries::op;
use super::line::{Line, width};
use super::name::record_name;
use super::style::{Look, Screen, safe};

/// The answer (design §7), as far as it is shown.
#[derive(Deserialize)]
struct Answer<'a> {
    /// Absent when the trail cannot tell.
    exists: Option<bool>,
    #[serde(default, borrow)]
    state: Option<&'a RawValue>,
    #[serde(default)]
    as_of: Option<String>,
    #[serde(default)]
    unknown: Vec<String>,
    #[serde(default)]
    redacted: Vec<String>,
    #[serde(default)]
    approximate: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
}

/// A state, one member a line.
pub(super) fn state(body: &str, screen: &Screen) -> Result<String, serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_str(body)?;
    let mut out = String::new();
    let as_of = answer.as_of.as_deref().map(|text| format!("as of {}", screen.time(text))).unwrap_or_default();
    let head = match (answer.exists, answer.state) {
        (Some(true), _) => Line::of(Look::Dim, as_of),
        (Some(false), Some(_)) => {
            Line::of(Look::Red, "deleted").and(Look::Dim, &format!(", {as_of}; the last state was"))
        }
        (Some(false), None) => Line::of(Look::Red, "did not exist ").and(Look::Dim, &as_of),
        (None, _) => Line::of(Look::Yellow, "the trail cannot tell whether it existed"),
    };
    screen.wrapped(&mut out, &head);
    answer.rest(screen, &mut out)?;
    Ok(out)
}

/// Every state of a record: what was done, when, and what the record looked like from then on.
pub(super) fn states(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let step: Step<'_> = serde_json::from_str(item.get())?;
        let answer: Answer<'_> = serde_json::from_str(item.get())?;
        if index > 0 {
            out.push('\n');
        }
        let head = Line::of(Look::Bold, screen.time(step.occurred_at)).text("  ").join(&op(step.op));
        screen.wrapped(&mut out, &head.and(Look::Dim, &format!("  {}", safe(&step.id))));
        match step.reason {
            Some(reason) => screen.wrapped(&mut out, &Line::of(Look::Yellow, safe(&reason))),
            None => answer.rest(screen, &mut out)?,
        }
    }
    Ok(out)
}

/// Several records at one time.
pub(super) fn states_at(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        let record: Record = serde_json::from_str(item.get())?;
        if index > 0 {
            out.push('\n');
        }
        let name = record_name(record.source.as_deref(), &record.table, &record.record_id);
        screen.wrapped(&mut out, &Line::of(Look::Bold, name));
        match record.reason {
            Some(reason) => screen.wrapped(&mut out, &Line::of(Look::Yellow, safe(&reason))),
            None => out.push_str(&state(item.get(), screen)?),
        }
    }
    Ok(out)
}

/// What stands in front of one of many states.
#[derive(Deserialize)]
struct Step<'a> {
    id: String,
    op: &'a str,
    occurred_at: &'a str,
    #[serde(default)]
    reason: Option<String>,
}

/// What stands in front of the state of one of many records.
#[derive(Deserialize)]
struct Record {
    source: Option<String>,
    table: String,
    record_id: Vec<String>,
    #[serde(default)]
    reason: Option<String>,
}

impl Answer<'_> {
    /// The image, and what to know of it.
    fn rest(&self, screen: &Screen, out: &mut String) -> Result<(), serde_json::Error> {
        match self.state {
            Some(state) => members(state, screen, out)?,
            None if self.exists == Some(false) => {}
            None => screen.wrapped(out, &Line::of(Look::Dim, "(no image is known)")),
        }
        for (name, list) in [
            ("unknown", &self.unknown),
            ("redacted", &self.redacted),
            ("approximate", &self.approximate),
            ("flags", &self.flags),
        ] {
            if !list.is_empty() {
                let line = Line::of(Look::Yellow, format!("{name}: ")).hanging().text(&safe(&list.join(", ")));
                screen.wrapped(out, &line);
            }
        }
        Ok(())
    }
}

/// Widest column of names.
const NAME_WIDTH_MAX: usize = 40;

fn members(state: &RawValue, screen: &Screen, out: &mut String) -> Result<(), serde_json::Error> {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(state.get()) else {
        screen.wrapped(out, &Line::plain(safe(state.get())));
        return Ok(());
    };
    let widest = members.keys().map(|name| width(&safe(name))).max().unwrap_or(0).min(NAME_WIDTH_MAX);
    for (name, value) in members {
        let name = safe(&name);
        let padding = " ".repeat(widest.saturating_sub(width(&name)) + 2);
        let line = Line::of(Look::Bold, name.as_ref()).text(&padding).hanging().text(&safe(value.get()));
        screen.wrapped(out, &line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_line_for_each_member() {
        let body = r#"{"exists":false,"state":{"id":1001,"total":1.10,"note":null},"as_of":"2026-01-09T10:00:05.120000Z",
            "unknown":["/bio"],"approximate":[],"flags":[]}"#;
        let expected = "deleted, as of 2026-01-09 10:00:05.120Z; the last state was\nid     1001\nnote   null\ntotal  1.10\nunknown: /bio\n";
        assert_eq!(state(body, &Screen::plain(None)).unwrap(), expected);
    }
}
