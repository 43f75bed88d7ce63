//! What turns a record of one time into that of another, for people.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::line::Line;
use super::style::{Look, Screen, safe};
use super::table::Table;

#[derive(Deserialize)]
struct Answer<'a> {
    from: &'a str,
    to: &'a str,
    record: &'a str,
    #[serde(borrow)]
    patch: Vec<Operation<'a>>,
    #[serde(default)]
    left_out: Vec<String>,
    #[serde(default)]
    approximate: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
}

/// An operation of RFC 6902.
#[derive(Deserialize)]
struct Operation<'a> {
    op: &'a str,
    path: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Option<&'a RawValue>,
}

/// A value that is there, were it null.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// A patch, an operation a line.
pub(super) fn patch(body: &str, screen: &Screen) -> Result<String, serde_json::Error> {
    let answer: Answer<'_> = serde_json::from_str(body)?;
    let mut out = String::new();
    let times = format!("from {} to {}", screen.time(answer.from), screen.time(answer.to));
    screen.wrapped(&mut out, &Line::of(Look::Dim, times));
    let step = match answer.record {
        "create" => Some((Look::Green, "the record must be created; the patch makes its document")),
        "delete" => Some((Look::Red, "the record must be deleted")),
        "absent" => Some((Look::Dim, "the record is there at neither time")),
        _ if answer.patch.is_empty() => Some((Look::Dim, "nothing differs")),
        _ => None,
    };
    if let Some((look, step)) = step {
        screen.wrapped(&mut out, &Line::of(look, step));
    }
    if !answer.patch.is_empty() {
        let mut table = Table::new(&["OP", "PATH", "VALUE"]);
        for operation in &answer.patch {
            let look = match operation.op {
                "add" => Look::Green,
                "remove" => Look::Red,
                "test" => Look::Dim,
                _ => Look::Yellow,
            };
            let path = if operation.path.is_empty() { "(document)" } else { &operation.path };
            let value = match (&operation.from, operation.value) {
                (Some(from), _) => format!("from {}", safe(from)),
                (None, Some(value)) => safe(value.get()).into_owned(),
                (None, None) => String::new(),
            };
            table.row(vec![
                vec![Line::of(look, safe(operation.op))],
                vec![Line::plain(safe(path))],
                vec![Line::plain(value)],
            ]);
        }
        table.print(screen, &mut out);
    }
    // What differs and is not in the patch must not read as if it were the same.
    for (name, said) in
        [("left out: ", &answer.left_out), ("approximate: ", &answer.approximate), ("flags: ", &answer.flags)]
    {
        if !said.is_empty() {
            let line = Line::of(Look::Yellow, name).hanging().text(&safe(&said.join(", ")));
            screen.wrapped(&mut out, &line);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_one_line_for_each_operation() {
        let body = r#"{"from":"2026-01-09T10:00:00.000000Z","to":"2026-01-08T10:00:00.000000Z","record":"none","patch":[
            {"op":"test","path":"/n","value":2.50},{"op":"replace","path":"/n","value":null},{"op":"remove","path":"/a~1b"},
            {"op":"move","from":"/x","path":"/y"}],"flags":["gap"]}"#;
        let expected = "\
from 2026-01-09 10:00:00.000Z to 2026-01-08 10:00:00.000Z
OP       PATH   VALUE
test     /n     2.50
replace  /n     null
remove   /a~1b
move     /y     from /x
flags: gap
";
        assert_eq!(patch(body, &Screen::plain(None)).unwrap(), expected);
    }
}
