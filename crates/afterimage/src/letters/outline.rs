//! A few lines of structure around a place in a body: names, kinds and lengths, but no values.

use std::borrow::Cow;

use afterimage_event::{Layer, Place, Spot};
use afterimage_json::{Kind, Pointer, Raw};

/// Members or elements shown around the place.
const AROUND: usize = 8;
/// Characters of broken text shown on each side of the place.
const CHARS: usize = 40;
/// Longest name, and longest value where values are shown.
const TEXT_MAX: usize = 64;
/// What points at the place.
const MARK: &str = "> ";

/// The lines around a place; empty when it cannot be found. With `raw`, values are shown too.
pub(crate) fn outline(body: &str, place: &Place, raw: bool) -> Vec<String> {
    let Some(text) = unpacked(body, place.layer) else { return Vec::new() };
    match &place.spot {
        Spot::Byte(offset) => broken(&text, *offset, raw),
        Spot::Pointer(pointer) => structure(&text, pointer, raw).unwrap_or_default(),
    }
}

/// The text that a place is in: the body, or what is packed in it.
fn unpacked(body: &str, layer: Layer) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(body);
    for _ in 0..layer.depth() {
        let value = Raw::parse(&text).ok()?;
        let packed = if value.kind() == Kind::Object { value.get("Message")? } else { value };
        text = Cow::Owned(packed.string()?.into_owned());
    }
    Some(text)
}

/// Text that is no JSON, so nobody knows what in it is a value: letters and digits are hidden, marks stay.
fn broken(text: &str, offset: usize, raw: bool) -> Vec<String> {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let shown = |c: char| match c {
        c if raw && !c.is_control() => c,
        c if c.is_ascii_punctuation() => c,
        c if c.is_ascii_digit() => '0',
        c if c.is_whitespace() => ' ',
        c if c.is_control() => '?',
        _ => 'x',
    };
    let mut before: Vec<char> = text[..at].chars().rev().take(CHARS).map(shown).collect();
    before.reverse();
    let line: String = before.iter().copied().chain(text[at..].chars().take(CHARS).map(shown)).collect();
    vec![format!("  {line}"), format!("  {}^", " ".repeat(before.len()))]
}

/// The value that holds the place, with the place marked.
fn structure(text: &str, pointer: &Pointer, raw: bool) -> Option<Vec<String>> {
    // A list with a broken element is no JSON as a whole; its place says a byte then.
    let document = Raw::parse(text).ok()?;
    let mut parent = pointer.clone();
    let last = pointer.segments().last().map(Cow::into_owned);
    parent.pop();
    let holder = document.at(&parent)?;
    let line = |name: &str, value: Raw<'_>, is_place: bool| {
        let mark = if is_place { MARK } else { "  " };
        format!("  {mark}{}: {}", cut(name), told(value, raw))
    };
    let mut found = false;
    let mut lines: Vec<(bool, String)> = Vec::new();
    for (name, value) in holder.members().into_iter().flatten() {
        let is_place = last.as_deref() == Some(&*name);
        found |= is_place;
        lines.push((is_place, line(&format!("\"{name}\""), value, is_place)));
    }
    for (index, value) in holder.elements().into_iter().flatten().enumerate() {
        let is_place = last.as_deref() == Some(&index.to_string());
        found |= is_place;
        lines.push((is_place, line(&index.to_string(), value, is_place)));
    }
    let (open, close) = match holder.kind() {
        Kind::Object => ('{', '}'),
        Kind::Array => ('[', ']'),
        _ => return Some(vec![format!("  {MARK}{}", told(holder, raw))]),
    };
    let at = lines.iter().position(|(is_place, _)| *is_place).unwrap_or(0);
    let (from, to) = (at.saturating_sub(AROUND), (at + AROUND + 1).min(lines.len()));
    let mut shown = vec![format!("  {open}")];
    shown.extend((from > 0).then(|| format!("    … {from} before")));
    shown.extend(lines[from..to].iter().map(|(_, line)| line.clone()));
    shown.extend((to < lines.len()).then(|| format!("    … {} after", lines.len() - to)));
    if let Some(name) = last.filter(|_| !found) {
        shown.push(format!("  {MARK}\"{}\" is missing", cut(&name)));
    }
    shown.push(format!("  {close}"));
    Some(shown)
}

/// A value by its kind and length; itself, where values are shown.
fn told(value: Raw<'_>, raw: bool) -> String {
    if raw {
        return cut(value.as_str());
    }
    match value.kind() {
        Kind::Null => "null".to_owned(),
        Kind::Object => counted("object", value.members().into_iter().flatten().count(), "member"),
        Kind::Array => counted("list", value.elements().into_iter().flatten().count(), "element"),
        Kind::String => counted("string", value.string().map_or(0, |text| text.chars().count()), "character"),
        Kind::Number => "number".to_owned(),
        Kind::Bool => "boolean".to_owned(),
    }
}

fn counted(kind: &str, count: usize, of: &str) -> String {
    format!("{kind}, {count} {of}{}", if count == 1 { "" } else { "s" })
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2";

    fn at(layer: Layer, names: &[&str]) -> Place {
        Place { layer, spot: Spot::Pointer(names.iter().copied().collect()) }
    }

    #[test]
    fn structure_is_shown_and_no_value() {
        let body =
            format!(r#"{{"tableName":"users","operation":"{SECRET}","after":{{"p":"{SECRET}"}},"n":[1,2],"x":null}}"#);
        let lines = outline(&body, &at(Layer::Body, &["operation"]), false);
        let expected = [
            "  {",
            "    \"tableName\": string, 5 characters",
            "  > \"operation\": string, 7 characters",
            "    \"after\": object, 1 member",
            "    \"n\": list, 2 elements",
            "    \"x\": null",
            "  }",
        ];
        assert_eq!(lines, expected);
        assert!(outline(&body, &at(Layer::Body, &["operation"]), true).join("\n").contains(SECRET));
    }

    #[test]
    fn what_is_missing_is_named_where_it_should_be() {
        let lines = outline(r#"[{"operation":"insert"}]"#, &at(Layer::Body, &["0", "tableName"]), false);
        assert_eq!(lines[2], "  > \"tableName\" is missing");
    }

    #[test]
    fn places_within_packed_texts_are_found() {
        let inner = r#"{"operation":7}"#;
        let body = serde_json::json!({ "Type": "Notification", "Message": inner }).to_string();
        let lines = outline(&body, &at(Layer::SnsMessage(1), &["operation"]), false);
        assert_eq!(lines[1], "  > \"operation\": number");
        let text = serde_json::to_string(inner).unwrap();
        assert_eq!(outline(&text, &at(Layer::Text(1), &["operation"]), false)[1], "  > \"operation\": number");
    }

    #[test]
    fn broken_text_shows_its_marks_only() {
        let body = format!(r#"{{"é":"{SECRET}" 12}}"#);
        let offset = body.find(" 12").unwrap() + 1;
        let place = Place { layer: Layer::Body, spot: Spot::Byte(offset) };
        let lines = outline(&body, &place, false);
        assert_eq!(lines, [r#"  {"x":"xxxxxx0" 00}"#, "                 ^"]);
        for offset in 0..body.len() + 3 {
            let place = Place { layer: Layer::Body, spot: Spot::Byte(offset) };
            assert!(!outline(&body, &place, false).join("\n").contains(SECRET));
        }
    }
}
