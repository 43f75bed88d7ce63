//! What became of a file of events.

use super::line::Line;
use super::style::{Look, Screen, safe};
use super::table::Table;
use crate::replay::{Refused, Report};

/// Lines of one kind of refusal that are named.
const LINES_SHOWN_MAX: usize = 5;

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
        let mut table = Table::new(&["REFUSED", "LINES", "CODE", "WHY"]).number(0);
        for kind in kinds(&report.refusals) {
            let [first, ..] = kind[..] else { continue };
            let cells = [&kind.len().to_string(), &lines(&kind), first.code, &first.reason];
            table.row(cells.map(|cell| vec![Line::plain(safe(cell))]).to_vec());
        }
        table.print(screen, &mut out);
        let rest = report.refused - report.refusals.len() as u64;
        if rest > 0 {
            screen.wrapped(&mut out, &Line::of(Look::Dim, format!("and {rest} more, of any kind")));
        }
    }
    out
}

/// Refusals that say the same, in the order of the first of each.
fn kinds(refusals: &[Refused]) -> Vec<Vec<&Refused>> {
    let mut kinds: Vec<Vec<&Refused>> = Vec::new();
    for refused in refusals {
        let same = |kind: &&mut Vec<&Refused>| (kind[0].code, &kind[0].reason) == (refused.code, &refused.reason);
        match kinds.iter_mut().find(same) {
            Some(kind) => kind.push(refused),
            None => kinds.push(vec![refused]),
        }
    }
    kinds
}

/// `4, 5, 7, …`
fn lines(kind: &[&Refused]) -> String {
    let mut shown: Vec<String> = kind.iter().take(LINES_SHOWN_MAX).map(|refused| refused.line.to_string()).collect();
    if kind.len() > LINES_SHOWN_MAX {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_say_the_same_are_one_row() {
        let refused = |line, code, reason: &str| Refused { line, code, reason: reason.to_owned() };
        let mut report = Report { lines: 200, refused: 103, ..Report::default() };
        report.refusals.push(refused(1, "not_json", "expected JSON at byte 7"));
        report.refusals.extend((2..9).map(|line| refused(line, "no_time", "without a time")));
        let expected = "     103  refused

REFUSED  LINES             CODE      WHY
      1  1                 not_json  expected JSON at byte 7
      7  2, 3, 4, 5, 6, …  no_time   without a time
and 95 more, of any kind
";
        assert_eq!(replayed(&report, &Screen::plain(None)), expected);
    }
}
