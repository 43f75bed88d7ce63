use std::collections::BTreeSet;

use afterimage_json::{Pointer, Raw, push_quoted};

/// Which side of a change an image stands on.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Old,
    New,
}

/// The changes that an insert (`Side::New`) or a delete (`Side::Old`) is made of, as a JSON array: one for each
/// top-level member, one with the path "" for a document that is no object.
///
/// `redacted` are the pointers that rules touched: a member that is gone was dropped; one that shows a mask or a keyed
/// digest says so; one that only holds such a value is shown as it stands.
pub(crate) fn changes_of_image(image: Raw<'_>, side: Side, redacted: &[String]) -> String {
    let mut out = String::with_capacity(image.as_str().len() * 2);
    out.push('[');
    let Some(members) = image.members() else {
        let redaction = redacted.iter().any(String::is_empty).then(|| redaction_shown(image)).flatten();
        push_change("", Some((side, image)), redaction, &mut out);
        out.push(']');
        return out;
    };
    let mut redacted: BTreeSet<&str> = redacted.iter().map(String::as_str).collect();
    for (key, value) in members {
        let path = Pointer::root().child(&key).to_string();
        let redaction = redacted.remove(&*path).then(|| redaction_shown(value)).flatten();
        push_change(&path, Some((side, value)), redaction, &mut out);
    }
    // A dropped member of the document itself; deeper ones are absent from the value shown above.
    let is_member = |path: &&str| path.strip_prefix('/').is_some_and(|name| !name.contains('/'));
    for path in redacted.into_iter().filter(is_member) {
        push_change(path, None, Some("drop"), &mut out);
    }
    out.push(']');
    out
}

/// What was done to a redacted value that is still there, if it is replaced as a whole.
fn redaction_shown(value: Raw<'_>) -> Option<&'static str> {
    let text = value.as_str();
    match text {
        "\"***\"" => Some("mask"),
        _ if text.starts_with("\"hmac:") => Some("hmac"),
        _ => None,
    }
}

fn push_change(path: &str, value: Option<(Side, Raw<'_>)>, redaction: Option<&str>, out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    out.push_str("{\"path\":");
    push_quoted(path, out);
    if let Some((side, value)) = value
        && redaction != Some("mask")
    {
        out.push_str(match side {
            Side::Old => ",\"old\":",
            Side::New => ",\"new\":",
        });
        out.push_str(value.as_str());
    }
    if let Some(redaction) = redaction {
        out.push_str(",\"redacted\":\"");
        out.push_str(redaction);
        out.push('"');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(image: &str, side: Side, redacted: &[&str]) -> String {
        let redacted: Vec<String> = redacted.iter().map(|&path| path.to_owned()).collect();
        changes_of_image(Raw::parse(image).unwrap(), side, &redacted)
    }

    #[test]
    fn one_change_for_each_member_with_its_value_as_sent() {
        assert_eq!(
            changes(r#"{"a/b":1.0,"":{"x":[]}}"#, Side::New, &[]),
            r#"[{"path":"/a~1b","new":1.0},{"path":"/","new":{"x":[]}}]"#
        );
        assert_eq!(changes("[1]", Side::Old, &[]), r#"[{"path":"","old":[1]}]"#);
        assert_eq!(changes("{}", Side::Old, &[]), "[]");
    }

    #[test]
    fn what_rules_took_away_says_so() {
        let image = r#"{"card":"***","id":"hmac:00","deep":{"pin":"***"}}"#;
        assert_eq!(
            changes(image, Side::Old, &["/card", "/id", "/token", "/deep/pin", "/deep"]),
            concat!(
                r#"[{"path":"/card","redacted":"mask"},{"path":"/id","old":"hmac:00","redacted":"hmac"},"#,
                r#"{"path":"/deep","old":{"pin":"***"}},{"path":"/token","redacted":"drop"}]"#
            )
        );
        // A value that only looks like a mask is a value.
        assert_eq!(changes(r#"{"a":"***"}"#, Side::New, &[]), r#"[{"path":"/a","new":"***"}]"#);
    }
}
