//! A record as it stood, for people.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

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

/// A state, as the query API answers, one member a line.
pub(crate) fn state(body: &str, screen: &Screen) -> Result<String, serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_str(body)?;
    let mut out = String::new();
    let as_of = answer.as_of.as_deref().map(|text| format!("as of {}", safe(text))).unwrap_or_default();
    match answer.exists {
        Some(true) => screen.line(&mut out, &[(Some(Look::Dim), &as_of)]),
        Some(false) if answer.state.is_some() => {
            let rest = format!(", {as_of}; the last state was");
            screen.line(&mut out, &[(Some(Look::Red), "deleted"), (Some(Look::Dim), &rest)]);
        }
        Some(false) => {
            screen.line(&mut out, &[(Some(Look::Red), "did not exist "), (Some(Look::Dim), &as_of)]);
        }
        None => screen.line(&mut out, &[(Some(Look::Yellow), "the trail cannot tell whether it existed")]),
    }
    match answer.state {
        Some(state) => members(state, screen, &mut out)?,
        None if answer.exists == Some(false) => {}
        None => screen.line(&mut out, &[(Some(Look::Dim), "(no image is known)")]),
    }
    for (name, list) in [
        ("unknown", &answer.unknown),
        ("redacted", &answer.redacted),
        ("approximate", &answer.approximate),
        ("flags", &answer.flags),
    ] {
        if !list.is_empty() {
            screen.line(&mut out, &[(Some(Look::Yellow), &format!("{name}: ")), (None, &safe(&list.join(", ")))]);
        }
    }
    Ok(out)
}

fn members(state: &RawValue, screen: &Screen, out: &mut String) -> Result<(), serde_json::Error> {
    let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(state.get()) else {
        screen.line(out, &[(None, &safe(state.get()))]);
        return Ok(());
    };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(40);
    for (name, value) in members {
        screen.line(out, &[(Some(Look::Bold), &format!("{:<width$}  ", safe(&name))), (None, &safe(value.get()))]);
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
        let expected = "deleted, as of 2026-01-09T10:00:05.120000Z; the last state was\nid     1001\nnote   null\ntotal  1.10\nunknown: /bio\n";
        assert_eq!(state(body, &Screen::plain(None)).unwrap(), expected);
    }
}
