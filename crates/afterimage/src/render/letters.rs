//! Dead letters, for people.

use super::style::{Look, Screen, safe};
use crate::commands::dlq::{Coverage, Listed, Report, Shown};
use crate::config::By;
use crate::letters::{Facts, UNSAID};

/// Between columns.
const GAP: &str = "  ";
/// Widest column, but for the last.
const WIDTH_MAX: usize = 40;

/// Kinds of letters and how many there are of each; then the letters.
pub(crate) fn letters(listed: &Listed, by: &[By], screen: &Screen) -> String {
    let mut out = String::new();
    if listed.matched == 0 {
        // An empty queue, one that hands nothing out, and one of which nothing is meant are three things.
        return match listed.coverage {
            Coverage { looked_at: 0, about: 0, .. } => "no dead letters\n".to_owned(),
            Coverage { looked_at: 0, .. } => "no dead letters to be seen now\n".to_owned(),
            Coverage { looked_at, .. } => {
                format!(
                    "none of the {looked_at} letters that were looked at is meant: --filter, --from and --to narrow\n"
                )
            }
        };
    }
    let has_trail = listed.kinds.iter().any(|kind| kind.in_trail.is_some());
    let mut titles = vec!["LETTERS".to_owned()];
    titles.extend(by.iter().map(|by| by.as_str().to_uppercase()));
    titles.push("UNDERSTOOD NOW".to_owned());
    titles.push("IN THE TRAIL".to_owned());
    let rows = listed.kinds.iter().map(|kind| {
        let mut row = vec![kind.letters.to_string()];
        row.extend(by.iter().map(|by| kind.keys.get(by.as_str()).cloned().unwrap_or_default()));
        row.push(kind.understood.to_string());
        row.push(kind.in_trail.map_or_else(|| "not checked".to_owned(), |letters| letters.to_string()));
        row
    });
    table(&titles, &rows.collect::<Vec<_>>(), screen, &mut out);
    if listed.of_other_kinds > 0 {
        screen.line(&mut out, &[(None, &format!("and {} letters of other kinds", listed.of_other_kinds))]);
    }
    out.push('\n');
    let titles = ["MESSAGE ID", "SENT HERE", "BYTES", "REASON", "TABLE", "NOW", "IN THE TRAIL", "PLACE"];
    let rows: Vec<Vec<String>> = listed.items.iter().map(row).collect();
    table(&titles.map(str::to_owned), &rows, screen, &mut out);
    if listed.items.len() < listed.matched {
        let rest = listed.matched - listed.items.len();
        screen.line(
            &mut out,
            &[(Some(Look::Dim), &format!("and {rest} more; --limit shows up to 1000, --filter fewer"))],
        );
    }
    if !has_trail {
        screen.line(&mut out, &[(Some(Look::Dim), "the trail was not asked: --store says where it is")]);
    }
    out
}

fn row(letter: &Facts) -> Vec<String> {
    vec![
        letter.message_id.clone(),
        seconds(&letter.sent_at.to_string()),
        letter.body_bytes.to_string(),
        letter.reason().to_owned(),
        letter.key(By::Table),
        letter.now.to_owned(),
        letter.in_trail.as_ref().map_or_else(|| "not checked".to_owned(), |trail| trail.told()),
        letter.place.clone().unwrap_or_else(|| UNSAID.to_owned()),
    ]
}

/// One letter.
pub(crate) fn letter(shown: &Shown, screen: &Screen) -> String {
    let mut out = String::new();
    let facts = &shown.facts;
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            screen.wrapped(&mut out, &[(Some(Look::Bold), &format!("{name:<14}"))], &safe(text));
        }
    };
    line("message id", &facts.message_id);
    line("sent here", &format!("{}, received {} times", seconds(&facts.sent_at.to_string()), facts.receive_count));
    match (facts.via, &facts.source_queue) {
        ("worker", _) => line("given up by", facts.worker.as_deref().unwrap_or("a worker")),
        (_, Some(queue)) => line("moved from", &format!("{queue}, by its redrive policy: received too often")),
        _ => line("sent by", "somebody: it bears no reason"),
    }
    line("reason", facts.reason());
    line("place", facts.place.as_deref().unwrap_or_default());
    line("detail", facts.detail.as_deref().unwrap_or_default());
    let failed: Vec<String> = facts.failed_events.iter().map(usize::to_string).collect();
    line("failed events", &(failed.join(", ") + if facts.and_more_failed { ", …" } else { "" }));
    let origin = &facts.origin;
    line("first sent as", &format!("{}, {}", origin.message_id, seconds(&origin.published_at.to_string())));
    line("FIFO group", origin.group_id.as_deref().unwrap_or_default());
    line("body", &format!("{} bytes", facts.body_bytes));
    line("attributes", &facts.attributes.join(", "));
    line(
        "in the trail",
        &facts
            .in_trail
            .as_ref()
            .map_or_else(|| "not checked: --store says where it is".to_owned(), |trail| trail.told()),
    );
    for (name, value) in &shown.sender_attributes {
        line(&format!("  {name}"), value);
    }
    out.push('\n');
    let titles = ["EVENT", "FORMAT", "SOURCE", "TABLE", "OP", "EVENT ID", "READ NOW", "WHERE AND WHAT"];
    let rows: Vec<Vec<String>> = shown
        .events
        .iter()
        .map(|event| {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| UNSAID.to_owned());
            let what =
                [event.place.clone(), event.problem.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
            vec![
                event.index.map_or_else(|| UNSAID.to_owned(), |index| index.to_string()),
                text(&event.format),
                text(&event.source),
                text(&event.table),
                event.op.unwrap_or(UNSAID).to_owned(),
                text(&event.event_id),
                event.verdict.to_owned(),
                what,
            ]
        })
        .collect();
    table(&titles.map(str::to_owned), &rows, screen, &mut out);
    if !shown.outline.is_empty() {
        out.push('\n');
        for line in &shown.outline {
            screen.line(&mut out, &[(None, &safe(line))]);
        }
    }
    if let Some(body) = &shown.body {
        out.push('\n');
        out.push_str(&safe(body));
        out.push('\n');
    }
    out
}

/// What became of letters.
pub(crate) fn redriven(report: &Report, queue_url: Option<&str>, screen: &Screen) -> String {
    let mut out = String::new();
    let would = if report.dry_run { "would be " } else { "" };
    let place = queue_url.unwrap_or_default();
    for (letters, what) in [
        (report.sent, format!("{would}sent back to {place}")),
        (report.stored, format!("{would}stored and removed")),
        (report.removed, format!("{would}removed: in the trail already")),
        (report.skipped, "left: in the trail already".to_owned()),
        (report.not_understood, "left: not understood now".to_owned()),
        (report.came_back, "came back".to_owned()),
        (report.failed, "failed".to_owned()),
        (
            report.not_deleted,
            "sent or stored, and still here: the next run deals with them again, to no effect".to_owned(),
        ),
    ] {
        if letters > 0 {
            screen
                .line(&mut out, &[(Some(Look::Bold), &format!("{letters:>8}")), (None, &format!("  {}", safe(&what)))]);
        }
    }
    if out.is_empty() {
        out.push_str(if report.matched == 0 { "no letters were meant\n" } else { "nothing was done\n" });
    }
    if !report.stayed.is_empty() {
        out.push('\n');
        let rows: Vec<Vec<String>> =
            report.stayed.iter().map(|stayed| vec![stayed.message_id.clone(), stayed.why.clone()]).collect();
        table(&["STAYED".to_owned(), "WHY".to_owned()], &rows, screen, &mut out);
    }
    out
}

/// RFC 3339, to the second.
fn seconds(text: &str) -> String {
    let text = text.replace('T', " ");
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// Columns as wide as their widest cell; the last takes what is left.
fn table(titles: &[String], rows: &[Vec<String>], screen: &Screen, out: &mut String) {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| safe(cell).into_owned()).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        cells.max(titles[column].chars().count()).min(WIDTH_MAX)
    };
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let padded = |row: &[String]| -> String {
        let last = row.len() - 1;
        let cells = row.iter().enumerate().map(|(column, cell)| match column {
            column if column == last => cell.clone(),
            column => {
                let shown: String = cell.chars().take(widths[column]).collect();
                format!("{shown:<width$}{GAP}", width = widths[column])
            }
        });
        cells.collect()
    };
    screen.line(out, &[(Some(Look::Bold), &padded(titles))]);
    for row in &rows {
        screen.line(out, &[(None, &padded(row))]);
    }
}
