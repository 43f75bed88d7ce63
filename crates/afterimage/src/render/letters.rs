//! Dead letters, for people.

use super::line::Line;
use super::style::{Look, Screen, safe};
use super::table::Table;
use crate::commands::dlq::{Coverage, Listed, Report, Shown};
use crate::config::By;
use crate::letters::{Facts, UNSAID};

/// The title of a column of times.
const SENT_HERE: &str = "SENT HERE";

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
    let keys: Vec<String> = by.iter().map(|by| by.as_str().to_uppercase()).collect();
    let keys = keys.iter().map(String::as_str);
    let titles: Vec<&str> = ["LETTERS"].into_iter().chain(keys).chain(["UNDERSTOOD NOW", "IN THE TRAIL"]).collect();
    let rows = listed.kinds.iter().map(|kind| {
        let mut row = vec![kind.letters.to_string()];
        row.extend(by.iter().map(|by| kind.keys.get(by.as_str()).cloned().unwrap_or_default()));
        row.push(kind.understood.to_string());
        row.push(kind.in_trail.map_or_else(|| "not checked".to_owned(), |letters| letters.to_string()));
        row
    });
    table(&titles, rows, screen, &mut out);
    if listed.of_other_kinds > 0 {
        screen.wrapped(&mut out, &Line::plain(format!("and {} letters of other kinds", listed.of_other_kinds)));
    }
    out.push('\n');
    let titles = ["MESSAGE ID", SENT_HERE, "BYTES", "REASON", "TABLE", "NOW", "IN THE TRAIL", "PLACE"];
    table(&titles, listed.items.iter().map(|letter| row(letter, screen)), screen, &mut out);
    if listed.items.len() < listed.matched {
        let rest = listed.matched - listed.items.len();
        let rest = format!("and {rest} more; --limit shows up to 1000, --filter fewer");
        screen.wrapped(&mut out, &Line::of(Look::Dim, rest));
    }
    if !has_trail {
        screen.wrapped(&mut out, &Line::of(Look::Dim, "the trail was not asked: --store says where it is"));
    }
    out
}

fn row(letter: &Facts, screen: &Screen) -> Vec<String> {
    vec![
        letter.message_id.clone(),
        screen.time(&letter.sent_at.to_string()),
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
            screen.wrapped(&mut out, &Line::of(Look::Bold, format!("{name:<14}")).hanging().text(&safe(text)));
        }
    };
    line("message id", &facts.message_id);
    line("sent here", &format!("{}, received {} times", screen.time(&facts.sent_at.to_string()), facts.receive_count));
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
    line("first sent as", &format!("{}, {}", origin.message_id, screen.time(&origin.published_at.to_string())));
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
    let rows = shown.events.iter().map(|event| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| UNSAID.to_owned());
        let what = [event.place.clone(), event.problem.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
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
    });
    table(&titles, rows, screen, &mut out);
    if !shown.outline.is_empty() {
        out.push('\n');
        for line in &shown.outline {
            screen.wrapped(&mut out, &Line::plain(safe(line)));
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
            let line = Line::of(Look::Bold, format!("{letters:>8}")).text("  ").hanging().text(&safe(&what));
            screen.wrapped(&mut out, &line);
        }
    }
    if out.is_empty() {
        out.push_str(if report.matched == 0 { "no letters were meant\n" } else { "nothing was done\n" });
    }
    if !report.stayed.is_empty() {
        out.push('\n');
        let rows = report.stayed.iter().map(|stayed| vec![stayed.message_id.clone(), stayed.why.clone()]);
        table(&["STAYED", "WHY"], rows, screen, &mut out);
    }
    out
}

/// Rows of plain text, of which the last takes what is left.
fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>, screen: &Screen, out: &mut String) {
    let mut table = Table::new(titles).whole(titles.iter().position(|title| *title == SENT_HERE));
    for row in rows {
        table.row(row.iter().map(|cell| vec![Line::plain(safe(cell))]).collect());
    }
    table.print(screen, out);
}
