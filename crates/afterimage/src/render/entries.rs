//! Entries as a table: a line for each change.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::edit::edit;
use super::line::{Line, width};
use super::name::{record_name, table_name};
use super::style::{Look, Screen, safe};
use super::table::Table;

/// Changes of one entry that are shown; the rest is counted.
const CHANGES_SHOWN_MAX: usize = 50;

/// Elements of an order that are shown; a longer one is only said to be another.
const ORDER_SHOWN_MAX: usize = 20;

/// Widest column of actors and of records.
const NAME_WIDTH_MAX: usize = 40;
/// Widest column of paths.
const PATH_WIDTH_MAX: usize = 40;

/// An entry (design §4), as far as the table needs it.
#[derive(Deserialize)]
struct Item<'a> {
    op: String,
    occurred_at: String,
    source: String,
    table: String,
    record_id: Vec<String>,
    #[serde(default)]
    actor: Option<Actor>,
    #[serde(default, borrow)]
    changes: Vec<Change<'a>>,
    #[serde(default)]
    changed: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default, borrow)]
    context: Option<&'a RawValue>,
}

/// The context of an access, as far as it says what was asked. Parameters are what somebody sent: any shape.
#[derive(Deserialize)]
struct Asked {
    question: String,
    #[serde(default)]
    parameters: serde_json::Map<String, serde_json::Value>,
    #[serde(default, rename = "parametersLeftOut")]
    left_out: u64,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    on_behalf_of: Option<String>,
}

#[derive(Deserialize)]
struct Change<'a> {
    path: String,
    #[serde(default, borrow)]
    key: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    old: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    new: Option<&'a RawValue>,
    #[serde(default, borrow)]
    order: Option<Order<'a>>,
    #[serde(default)]
    redacted: Option<String>,
}

/// Keys of elements, or the elements of a set, in two orders.
#[derive(Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    old: Vec<&'a RawValue>,
    #[serde(borrow)]
    new: Vec<&'a RawValue>,
}

/// A member that is there, were it null: absent and null are not the same.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Entries of one record: when, what, by whom, from what to what.
pub(super) fn history(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    print(&read(items)?, false, screen)
}

/// Entries of many records.
pub(super) fn changes(items: &[&RawValue], screen: &Screen) -> Result<String, serde_json::Error> {
    print(&read(items)?, true, screen)
}

fn read<'a>(items: &[&'a RawValue]) -> Result<Vec<Item<'a>>, serde_json::Error> {
    items.iter().map(|item| serde_json::from_str(item.get())).collect()
}

fn print(items: &[Item<'_>], has_records: bool, screen: &Screen) -> Result<String, serde_json::Error> {
    // Sources are told where there are several: a name that is always the same says nothing.
    let has_sources = items.iter().any(|item| item.source != items[0].source);
    let titles: &[&str] =
        if has_records { &["TIME", "OP", "WHO", "RECORD", "CHANGES"] } else { &["TIME", "OP", "WHO", "CHANGES"] };
    let mut table = Table::new(titles).whole([0]);
    for item in items {
        let mut cells = vec![
            vec![Line::plain(screen.time(&item.occurred_at))],
            vec![op(&item.op)],
            Line::plain(actor(item)).wrapped(NAME_WIDTH_MAX),
        ];
        if has_records {
            let source = Some(item.source.as_str()).filter(|_| has_sources);
            let name = match item.record_id.is_empty() {
                true => table_name(source, &item.table),
                false => record_name(source, &item.table, &item.record_id),
            };
            cells.push(Line::plain(name).wrapped(NAME_WIDTH_MAX));
        }
        cells.push(what(item));
        table.row(cells);
    }
    let mut out = String::new();
    table.print(screen, &mut out);
    Ok(out)
}

/// An operation, in the colour of what it does.
pub(super) fn op(op: &str) -> Line {
    let look = match op {
        "insert" | "snapshot" => Look::Green,
        "delete" | "truncate" => Look::Red,
        _ => Look::Yellow,
    };
    Line::of(look, safe(op))
}

/// What changed: a line for each change, more where it is long.
fn what(item: &Item<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let paths: Vec<String> = item.changes.iter().take(CHANGES_SHOWN_MAX).map(path).collect();
    let path_width = paths.iter().map(|path| width(path)).max().unwrap_or(0).min(PATH_WIDTH_MAX);
    for (change, path) in item.changes.iter().zip(&paths) {
        let padding = " ".repeat(path_width.saturating_sub(width(path)) + 2);
        lines.extend(values(change, &Line::plain(path.as_str()).text(&padding)));
    }
    if item.changes.len() > CHANGES_SHOWN_MAX {
        let rest = format!("and {} more; --json shows all", item.changes.len() - CHANGES_SHOWN_MAX);
        lines.push(Line::of(Look::Dim, rest));
    }
    if item.op == "access" {
        lines.extend(asked(item.context));
    }
    if item.changes.is_empty() {
        lines.extend(item.changed.iter().map(|name| Line::plain(safe(name))));
    }
    if !item.flags.is_empty() {
        lines.push(Line::of(Look::Dim, format!("! {}", safe(&item.flags.join(", ")))));
    }
    lines
}

/// What a reader asked of the trail: the question and its parameters.
fn asked(context: Option<&RawValue>) -> Option<Line> {
    let asked: Asked = serde_json::from_str(context?.get()).ok()?;
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut parts: Vec<String> =
        asked.parameters.iter().map(|(name, given)| format!("{name}={}", value(given))).collect();
    if asked.left_out > 0 {
        parts.push(format!("and {} parameters more", asked.left_out));
    }
    Some(Line::plain(safe(&asked.question)).text("  ").hanging().and(Look::Dim, &safe(&parts.join("  "))))
}

fn path(change: &Change<'_>) -> String {
    let mut path = safe(if change.path.is_empty() { "(document)" } else { &change.path }).into_owned();
    if let Some(key) = change.key {
        path = format!("{path} {}", safe(key.get()));
    }
    if change.order.is_some() {
        path.push_str(" (order)");
    }
    path
}

/// A change behind its path: what it was and is.
fn values(change: &Change<'_>, head: &Line) -> Vec<Line> {
    let piece = |look, text: &str| vec![head.clone().hanging().and(look, text)];
    if let Some(Order { old, new }) = &change.order {
        if old.len() > ORDER_SHOWN_MAX {
            return piece(Look::Dim, &format!("of {} elements", old.len()));
        }
        let list = |elements: &[&RawValue]| elements.iter().map(|one| one.get()).collect::<Vec<_>>().join(", ");
        return edit(head, &list(old), &list(new));
    }
    let mut lines = match (change.old, change.new) {
        (Some(old), Some(new)) => edit(head, old.get(), new.get()),
        (Some(old), None) => piece(Look::Red, &format!("- {}", safe(old.get()))),
        (None, Some(new)) => piece(Look::Green, &format!("+ {}", safe(new.get()))),
        (None, None) if change.redacted.is_none() => return vec![head.clone()],
        (None, None) => vec![head.clone().hanging()],
    };
    if let Some(how) = &change.redacted
        && let Some(last) = lines.pop()
    {
        let space = if change.old.is_some() || change.new.is_some() { " " } else { "" };
        lines.push(last.and(Look::Dim, &format!("{space}redacted ({})", safe(how))));
    }
    lines
}

/// Who: the name that says most, and what kind of actor, or the service when nobody is named.
fn actor(item: &Item<'_>) -> String {
    let Some(actor) = &item.actor else { return format!("({})", safe(&item.source)) };
    let who = [&actor.name, &actor.email, &actor.id].into_iter().flatten().next();
    let who = match (who, &actor.kind) {
        (Some(who), Some(kind)) if kind != "user" => format!("{} ({})", safe(who), safe(kind)),
        (Some(who), _) => safe(who).into_owned(),
        (None, Some(kind)) => format!("({})", safe(kind)),
        (None, None) => format!("({})", safe(&item.source)),
    };
    match &actor.on_behalf_of {
        Some(other) => format!("{who} for {}", safe(other)),
        None => who,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = r#"[
        {"op":"update","occurred_at":"2026-01-09T10:00:05.120000Z","source":"shop","table":"users","record_id":["u1"],"actor":{"type":"user","name":"Zoë"},
         "changes":[{"path":"/status","old":"pending","new":"shipped"},{"path":"/total","old":null,"new":12345678901234567890.10},
                    {"path":"/token","redacted":"drop"}],"flags":["ambiguous"]},
        {"op":"delete","occurred_at":"2026-01-08T00:00:00.000000Z","source":"shop","table":"users","record_id":["u1"],"actor":{"type":"service","id":"cleanup","on_behalf_of":"u1"},
         "changes":[{"path":"/name","old":"a\u001b[2J"}]}
    ]"#;

    fn shown(items: &str, width: Option<usize>) -> String {
        let items: Vec<&RawValue> = serde_json::from_str(items).unwrap();
        history(&items, &Screen::plain(width)).unwrap()
    }

    #[test]
    fn a_page_is_one_line_for_each_change() {
        let expected = "\
TIME                      OP      WHO                       CHANGES
2026-01-09 10:00:05.120Z  update  Zoë                       /status  \"pending\" → \"shipped\"
                                                            /total   null → 12345678901234567890.10
                                                            /token   redacted (drop)
                                                            ! ambiguous
2026-01-08 00:00:00.000Z  delete  cleanup (service) for u1  /name  - \"a\\u001b[2J\"
";
        assert_eq!(shown(ITEMS, None), expected);
    }

    #[test]
    fn on_a_narrow_terminal_changes_stand_below_and_no_line_is_wider() {
        let shown_at_60 = shown(ITEMS, Some(60));
        let expected = "\
TIME                      OP      WHO
2026-01-09 10:00:05.120Z  update  Zoë
    /status  \"pending\" → \"shipped\"
    /total   null → 12345678901234567890.10
    /token   redacted (drop)
    ! ambiguous
2026-01-08 00:00:00.000Z  delete  cleanup (service) for u1
    /name  - \"a\\u001b[2J\"
";
        assert_eq!(shown_at_60, expected);
        let narrow = shown(ITEMS, Some(40));
        let unbroken: String = narrow.split_whitespace().collect();
        assert!(
            narrow.lines().all(|line| width(line) <= 40) && unbroken.contains("12345678901234567890.10"),
            "{narrow}"
        );
        assert!(narrow.contains("2026-01-09 10:00:05.120Z"), "a time is whole: {narrow}");
    }

    #[test]
    fn of_an_access_it_is_told_what_was_asked() {
        let body = r#"[
            {"op":"access","occurred_at":"2026-01-09T10:00:05.120000Z","source":"afterimage","table":"orders","record_id":["7"],
             "actor":{"type":"token","id":"support"},"changed":[],"changes":[],
             "context":{"question":"history","parameters":{"limit":"5","by":["a","\u001b"]},"requestId":"r","parametersLeftOut":2}},
            {"op":"access","occurred_at":"2026-01-09T10:00:00.000000Z","source":"shop","table":"orders","record_id":["7"],
             "changed":[],"changes":[],"context":{"ip":"::1"}}]"#;
        let expected = "\
TIME                      OP      WHO              CHANGES
2026-01-09 10:00:05.120Z  access  support (token)  history  by=[\"a\",\"\\u001b\"]  limit=5  and 2 parameters more
2026-01-09 10:00:00.000Z  access  (shop)
";
        assert_eq!(shown(body, None), expected);
    }

    #[test]
    fn elements_that_came_went_or_changed_places_are_lines_of_their_own() {
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let body = format!(
            r#"[{{"op":"update","occurred_at":"2026-01-09T10:00:05.120000Z","source":"shop","table":"users","record_id":["u1"],"changes":[
                {{"path":"/tags/0","old":"old"}},{{"path":"/tags","order":{{"old":["a","b"],"new":["b","a"]}}}},
                {{"path":"/tags/2","new":"vip"}},{{"path":"/ids","order":{{"old":[{0}],"new":[{0}]}}}}]}}]"#,
            many.join(",")
        );
        let expected = "\
TIME                      OP      WHO     CHANGES
2026-01-09 10:00:05.120Z  update  (shop)  /tags/0        - \"old\"
                                          /tags (order)  \"a\", \"b\" → \"b\", \"a\"
                                          /tags/2        + \"vip\"
                                          /ids (order)   of 21 elements
";
        assert_eq!(shown(&body, None), expected);
    }
}
