//! Which record an event is about.

use std::borrow::Cow;

use afterimage_json::{Pointer, Raw};

use crate::fields::Field;
use crate::limits::{ID_BYTES_MAX, RECORD_ID_PARTS_MAX};
use crate::refusal::{Fault, Problem};

/// An image in which a key is looked for, and its name in the event.
pub(crate) type Image<'a> = (&'static str, Raw<'a>);

const PART: &str = "a string or a number";

/// The record id an event names itself: one part, or a list of them.
pub(crate) fn sent(field: Field<'_>) -> Result<Vec<String>, Fault> {
    let Some(elements) = field.raw.elements() else {
        let part = part(field.raw).map_err(|problem| field.fault(problem))?;
        let part = part.ok_or_else(|| field.fault(Problem::WrongType(PART)))?;
        return if part.is_empty() { Err(field.fault(Problem::Empty)) } else { Ok(vec![part]) };
    };
    let mut parts = Vec::new();
    for (index, element) in elements.enumerate() {
        if index == RECORD_ID_PARTS_MAX {
            return Err(field.fault(Problem::TooLong { limit: RECORD_ID_PARTS_MAX, unit: "parts" }));
        }
        let part = part(element).map_err(|problem| field.element_fault(index, problem))?;
        parts.push(part.ok_or_else(|| field.element_fault(index, Problem::WrongType(PART)))?);
    }
    if parts.iter().all(String::is_empty) { Err(field.fault(Problem::Empty)) } else { Ok(parts) }
}

/// The record id in the images, the better one first: where the table is configured to have its key, else `id`, else
/// `_id`.
///
/// A configured key of which only some parts are there is refused: falling back would split the history of a record.
pub(crate) fn found(images: &[Image<'_>], configured: &[Pointer]) -> Result<Vec<String>, Fault> {
    let defaults = [Pointer::from_iter(["id"]), Pointer::from_iter(["_id"])];
    let keys = [configured, &defaults[..1], &defaults[1..]];
    for key in keys.into_iter().filter(|key| !key.is_empty()) {
        let mut partly = false;
        for &(name, image) in images {
            let mut parts = Vec::with_capacity(key.len());
            for pointer in key {
                if let Some(part) = part_at(name, image, pointer)? {
                    parts.push(part);
                }
            }
            if parts.len() == key.len() && !parts.iter().all(String::is_empty) {
                return Ok(parts);
            }
            partly |= key.len() > 1 && !parts.is_empty();
        }
        if partly {
            return Err(missing(configured));
        }
    }
    Err(missing(configured))
}

fn missing(configured: &[Pointer]) -> Fault {
    let looked_for = if configured.is_empty() {
        Cow::Borrowed("recordId, or /id or /_id in an image")
    } else {
        let pointers: Vec<&str> = configured.iter().map(Pointer::as_str).collect();
        Cow::Owned(format!(
            "recordId, or {}, which the table is configured to have, in an image",
            pointers.join(" and ")
        ))
    };
    Fault::whole(Problem::MissingRecordId(looked_for))
}

fn part_at(name: &str, image: Raw<'_>, pointer: &Pointer) -> Result<Option<String>, Fault> {
    let Some(value) = image.at(pointer) else { return Ok(None) };
    part(value).map_err(|problem| {
        let path = std::iter::once(Cow::Borrowed(name)).chain(pointer.segments());
        Fault::new(path, problem)
    })
}

/// One part as text; `None` for null. Numbers by their literal text, object ids of `MongoDB` Extended JSON
/// (`{"$oid": "…"}`) by their digits.
fn part(value: Raw<'_>) -> Result<Option<String>, Problem> {
    if value.is_null() {
        return Ok(None);
    }
    let text = value.string().or_else(|| value.number().map(Cow::Borrowed)).or_else(|| object_id(value));
    let text = text.ok_or(Problem::WrongType(PART))?;
    if text.len() > ID_BYTES_MAX {
        return Err(Problem::TooLong { limit: ID_BYTES_MAX, unit: "bytes" });
    }
    Ok(Some(text.into_owned()))
}

fn object_id(value: Raw<'_>) -> Option<Cow<'_, str>> {
    let mut members = value.members()?;
    match (members.next(), members.next()) {
        (Some((name, digits)), None) if name == "$oid" => digits.string(),
        _ => None,
    }
}
