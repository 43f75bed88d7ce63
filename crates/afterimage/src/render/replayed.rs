//! What became of a file of events.

use super::line::Line;
use super::style::{Look, Screen, safe};
use super::table::Table;
use crate::replay::Report;

pub(crate) fn replayed(report: &Report, screen: &Screen) -> String {
    let mut out = String::new();
    if report.dry_run {
        screen.line(&mut out, &Line::of(Look::Dim, "nothing was done; it would be:"));
    }
    for (count, what) in [
        (report.stored, "stored"),
        (report.corrected, "stored as corrections"),
        (report.there_already, "in the trail already"),
        (report.conflicts, "stored beside other data of the same id: conflicts"),
        (report.unchanged, "changed nothing"),
        (report.expired, "past their retention"),
        (report.refused, "refused"),
    ] {
        if count > 0 {
            screen.wrapped(&mut out, &Line::of(Look::Bold, format!("{count:>8}")).text("  ").hanging().text(what));
        }
    }
    if report.lines == 0 {
        out.push_str("nothing in the file\n");
    }
    if !report.refusals.is_empty() {
        out.push('\n');
        let mut table = Table::new(&["LINE", "CODE", "WHY"]).number(0);
        for refused in &report.refusals {
            let line = refused.line.to_string();
            table
                .row([line.as_str(), refused.code, &refused.reason].map(|cell| vec![Line::plain(safe(cell))]).to_vec());
        }
        table.print(screen, &mut out);
    }
    out
}
