//! The images of an event, worked out from its changes.

use std::collections::HashMap;

use afterimage_diff::{Change, patch};
use afterimage_event::NESTING_MAX;
use afterimage_json::{Object, Pointer, Raw, push_quoted};
use serde_json::Value;

use super::entry::Unproven;

/// What the record was and became.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// Is the image after another entry's, with the changes between?
    pub(super) are_folded: bool,
}

/// JSON as events may hold it.
pub(super) fn parsed(text: &str) -> Result<Raw<'_>, Unproven> {
    Raw::parse_within(text, NESTING_MAX).map_err(|_| Unproven::Malformed)
}

/// The image that a delete took away: each of its members is a change.
pub(super) fn taken_away(changes: &[Change<'_>]) -> Result<String, Unproven> {
    let mut members = Object::default();
    for change in changes {
        let old = change.old().ok_or(Unproven::Malformed)?;
        let mut names = change.path.segments();
        match (names.next(), names.next()) {
            (None, _) if changes.len() == 1 => return parsed(old.as_str()).map(|old| old.as_str().to_owned()),
            (Some(name), None) => members.member(&name, old.as_str()),
            _ => return Err(Unproven::Malformed),
        }
    }
    let image = members.finish();
    parsed(&image)?;
    Ok(image)
}

/// The image before an update: that after it, with the changes undone.
pub(super) fn undone(changes: &[Change<'_>], after: &str) -> Result<String, Unproven> {
    let mut image = patch::to_value(parsed(after)?);
    json_patch::patch(&mut image, &patch::inverse(changes)).map_err(|_| Unproven::Differs("changes"))?;
    Ordered::by(changes, Change::path_before).text(&image)
}

/// The images of an update, from that before it and the changes.
pub(super) fn done(changes: &[Change<'_>], before: &str) -> Result<Images, Unproven> {
    let mut image = patch::to_value(parsed(before)?);
    let before = Ordered::by(changes, Change::path_before).text(&image)?;
    json_patch::patch(&mut image, &patch::forward(changes)).map_err(|_| Unproven::Differs("changes"))?;
    let after = Ordered::by(changes, |change| &change.path).text(&image)?;
    Ok(Images { before: Some(before), after: Some(after), are_folded: true })
}

/// The order of members in an image: changes stand in it, and are to be found again in the same.
struct Ordered {
    /// The first change at or below each place.
    first: HashMap<String, usize>,
}

impl Ordered {
    fn by<'a>(changes: &[Change<'a>], path: impl for<'c> Fn(&'c Change<'a>) -> &'c Pointer) -> Self {
        let mut first = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            let mut place = Pointer::root();
            for name in path(change).segments() {
                place.push(&name);
                first.entry(place.to_string()).or_insert(index);
            }
        }
        Self { first }
    }

    fn text(&self, image: &Value) -> Result<String, Unproven> {
        let mut out = String::new();
        self.write(image, &Pointer::root(), &mut out);
        // Changes may nest it deeper than events may be.
        parsed(&out)?;
        Ok(out)
    }

    /// Writes the value at a place. What no change touches may stand anywhere.
    fn write(&self, value: &Value, place: &Pointer, out: &mut String) {
        match value {
            Value::Object(members) => {
                let at = |name: &str| self.first.get(place.child(name).as_str()).copied().unwrap_or(usize::MAX);
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                members.sort_by_key(|(name, _)| at(name));
                out.push('{');
                for (index, (name, value)) in members.into_iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    push_quoted(name, out);
                    out.push(':');
                    self.write(value, &place.child(name), out);
                }
                out.push('}');
            }
            Value::Array(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    self.write(element, &place.child(&index.to_string()), out);
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
}
