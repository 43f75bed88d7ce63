//! The history of a record as a table.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::style::{Look, Screen, safe};

/// Changes of one entry that are shown; the rest is counted.
const CHANGES_SHOWN_MAX: usize = 50;

/// Elements of an order that are shown; a longer one is only said to be another.
const ORDER_SHOWN_MAX: usize = 20;

/// A page of entries (design §7), as far as the table needs it.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    op: String,
    occurred_at: String,
    source: String,
    #[serde(default)]
    actor: Option<Actor>,
    #[serde(default, borrow)]
    changes: Vec<Change<'a>>,
    #[serde(default)]
    changed: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
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

/// A page of entries, as the query API answers, as a table.
pub(crate) fn history(body: &str, screen: &Screen) -> Result<String, serde_json::Error> {
    let page: Page<'_> = serde_json::from_str(body)?;
    let rows: Vec<Row> = page.items.iter().map(row).collect();
    let mut out = String::new();
    if rows.is_empty() {
        out.push_str("no entries\n");
    } else {
        table(&rows, screen, &mut out);
    }
    if let Some(next) = page.next {
        out.push_str("\nmore: --cursor ");
        out.push_str(&next);
        out.push('\n');
    }
    Ok(out)
}

struct Row {
    /// Time, operation, actor.
    cells: [String; 3],
    look: Look,
    lines: Vec<Line>,
}

/// One change: the path, and what it was and is.
struct Line {
    path: String,
    old: Option<String>,
    new: Option<String>,
    note: Option<String>,
}

fn row(item: &Item<'_>) -> Row {
    let look = match item.op.as_str() {
        "insert" | "snapshot" => Look::Green,
        "delete" | "truncate" => Look::Red,
        _ => Look::Yellow,
    };
    let mut lines: Vec<Line> = item.changes.iter().take(CHANGES_SHOWN_MAX).map(line).collect();
    if item.changes.len() > CHANGES_SHOWN_MAX {
        let rest = format!("and {} more; --json shows all", item.changes.len() - CHANGES_SHOWN_MAX);
        lines.push(Line { path: String::new(), old: None, new: None, note: Some(rest) });
    }
    if item.changes.is_empty() {
        lines.extend(item.changed.iter().map(|name| Line {
            path: safe(name).into_owned(),
            old: None,
            new: None,
            note: None,
        }));
    }
    if !item.flags.is_empty() {
        let flags = item.flags.join(", ");
        lines.push(Line { path: String::new(), old: None, new: None, note: Some(format!("! {}", safe(&flags))) });
    }
    Row { cells: [time(&item.occurred_at), safe(&item.op).into_owned(), actor(item)], look, lines }
}

/// RFC 3339 as people read it; to the millisecond, the rest is in `--json`.
fn time(text: &str) -> String {
    let text = safe(text).replace('T', " ");
    match text.split_once('.') {
        Some((seconds, digits)) => format!("{seconds}.{}Z", digits.chars().take(3).collect::<String>()),
        None => text,
    }
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

fn line(change: &Change<'_>) -> Line {
    let value = |raw: Option<&RawValue>| raw.map(|raw| safe(raw.get()).into_owned());
    let mut path = safe(if change.path.is_empty() { "(document)" } else { &change.path }).into_owned();
    if let Some(key) = change.key {
        path = format!("{path} {}", safe(key.get()));
    }
    if let Some(Order { old, new }) = &change.order {
        path.push_str(" (order)");
        if old.len() > ORDER_SHOWN_MAX {
            return Line { path, old: None, new: None, note: Some(format!("of {} elements", old.len())) };
        }
        let list = |elements: &[&RawValue]| {
            Some(elements.iter().map(|element| safe(element.get())).collect::<Vec<_>>().join(", "))
        };
        return Line { path, old: list(old), new: list(new), note: None };
    }
    let note = change.redacted.as_ref().map(|how| format!("redacted ({})", safe(how)));
    Line { path, old: value(change.old), new: value(change.new), note }
}

const TITLES: [&str; 4] = ["TIME", "OP", "WHO", "CHANGES"];
/// Widest column of actors.
const WHO_WIDTH_MAX: usize = 30;
/// Between columns.
const GAP: usize = 2;
/// Columns that changes need to say anything; with less beside the rest they stand below it.
const CHANGES_WIDTH_MIN: usize = 50;
/// How far changes stand in when they stand below.
const INDENT: usize = 4;

fn table(rows: &[Row], screen: &Screen, out: &mut String) {
    let width = |column: usize| {
        rows.iter().map(|row| row.cells[column].chars().count()).max().unwrap_or(0).max(TITLES[column].len())
    };
    let widths = [width(0), width(1), width(2).min(WHO_WIDTH_MAX)];
    let beside: usize = widths.iter().map(|width| width + GAP).sum();
    let is_stacked = screen.width().is_some_and(|width| width < beside + CHANGES_WIDTH_MIN);
    let pad = |column: usize, text: &str| {
        let shown: String = text.chars().take(widths[column]).collect();
        format!("{shown:<width$}", width = widths[column] + GAP)
    };
    let titles: Vec<String> = (0..3).map(|column| pad(column, TITLES[column])).collect();
    let title = if is_stacked { "" } else { TITLES[3] };
    let bold = Some(Look::Bold);
    screen.line(out, &[(bold, &titles[0]), (bold, &titles[1]), (bold, &titles[2]), (bold, title)]);
    let indent = " ".repeat(if is_stacked { INDENT } else { beside });
    for row in rows {
        let cells: Vec<String> = (0..3).map(|column| pad(column, &row.cells[column])).collect();
        let mut head: Vec<(Option<Look>, &str)> =
            vec![(None, &cells[0]), (Some(row.look), &cells[1]), (None, &cells[2])];
        let path_width = row.lines.iter().map(|line| line.path.chars().count()).max().unwrap_or(0).min(40);
        let mut changes = row.lines.iter().map(|line| change(line, path_width));
        let first = if is_stacked { None } else { changes.next() };
        head.extend(pieces(first.as_deref().unwrap_or_default()));
        screen.line(out, &head);
        for change in changes {
            let mut line: Vec<(Option<Look>, &str)> = vec![(None, &indent)];
            line.extend(pieces(&change));
            screen.line(out, &line);
        }
    }
}

fn pieces(change: &[(Option<Look>, String)]) -> impl Iterator<Item = (Option<Look>, &str)> {
    change.iter().map(|(look, text)| (*look, text.as_str()))
}

fn change(line: &Line, path_width: usize) -> Vec<(Option<Look>, String)> {
    let mut pieces = Vec::new();
    if !line.path.is_empty() {
        pieces.push((None, format!("{:<path_width$}  ", line.path)));
    }
    match (&line.old, &line.new) {
        (Some(old), Some(new)) => {
            pieces.push((Some(Look::Red), old.clone()));
            pieces.push((None, " → ".to_owned()));
            pieces.push((Some(Look::Green), new.clone()));
        }
        (Some(old), None) => pieces.push((Some(Look::Red), format!("- {old}"))),
        (None, Some(new)) => pieces.push((Some(Look::Green), format!("+ {new}"))),
        (None, None) => {}
    }
    if let Some(note) = &line.note {
        let space = if line.old.is_some() || line.new.is_some() { " " } else { "" };
        pieces.push((Some(Look::Dim), format!("{space}{note}")));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"items":[
        {"op":"update","occurred_at":"2026-01-09T10:00:05.120999Z","source":"shop","actor":{"type":"user","name":"Zoë"},
         "changes":[{"path":"/status","old":"pending","new":"shipped"},{"path":"/total","old":null,"new":12345678901234567890.10},
                    {"path":"/token","redacted":"drop"}],"flags":["ambiguous"]},
        {"op":"delete","occurred_at":"2026-01-08T00:00:00.000000Z","source":"shop","actor":{"type":"service","id":"cleanup","on_behalf_of":"u1"},
         "changes":[{"path":"/name","old":"a\u001b[2J"}]}
    ],"next":"abc"}"#;

    #[test]
    fn a_page_is_one_line_for_each_change() {
        let expected = "\
TIME                      OP      WHO                       CHANGES
2026-01-09 10:00:05.120Z  update  Zoë                       /status  \"pending\" → \"shipped\"
                                                            /total   null → 12345678901234567890.10
                                                            /token   redacted (drop)
                                                            ! ambiguous
2026-01-08 00:00:00.000Z  delete  cleanup (service) for u1  /name  - \"a\\u001b[2J\"

more: --cursor abc
";
        assert_eq!(history(BODY, &Screen::plain(None)).unwrap(), expected);
    }

    #[test]
    fn on_a_narrow_terminal_changes_stand_below_and_no_line_is_wider() {
        let shown = history(BODY, &Screen::plain(Some(60))).unwrap();
        let expected = "\
TIME                      OP      WHO
2026-01-09 10:00:05.120Z  update  Zoë
    /status  \"pending\" → \"shipped\"
    /total   null → 12345678901234567890.10
    /token   redacted (drop)
    ! ambiguous
2026-01-08 00:00:00.000Z  delete  cleanup (service) for u1
    /name  - \"a\\u001b[2J\"

more: --cursor abc
";
        assert_eq!(shown, expected);
        let shown = history(BODY, &Screen::plain(Some(40))).unwrap();
        assert!(shown.lines().all(|line| line.chars().count() <= 40) && shown.contains('…'), "{shown}");
    }

    #[test]
    fn elements_that_came_went_or_changed_places_are_lines_of_their_own() {
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        let body = format!(
            r#"{{"items":[{{"op":"update","occurred_at":"2026-01-09T10:00:05.120999Z","source":"shop","changes":[
                {{"path":"/tags/0","old":"old"}},{{"path":"/tags","order":{{"old":["a","b"],"new":["b","a"]}}}},
                {{"path":"/tags/2","new":"vip"}},{{"path":"/ids","order":{{"old":[{0}],"new":[{0}]}}}}]}}],"next":null}}"#,
            many.join(",")
        );
        let expected = "\
TIME                      OP      WHO     CHANGES
2026-01-09 10:00:05.120Z  update  (shop)  /tags/0        - \"old\"
                                          /tags (order)  \"a\", \"b\" → \"b\", \"a\"
                                          /tags/2        + \"vip\"
                                          /ids (order)   of 21 elements
";
        assert_eq!(history(&body, &Screen::plain(None)).unwrap(), expected);
    }

    #[test]
    fn nothing_found_is_said() {
        assert_eq!(history(r#"{"items":[],"next":null}"#, &Screen::plain(None)).unwrap(), "no entries\n");
    }
}
