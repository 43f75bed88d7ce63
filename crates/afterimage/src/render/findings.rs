//! What the doctor found, the worst marked.

use super::Screen;
use super::line::Line;
use super::style::{Look, safe};
use crate::doctor::{Finding, Level};

/// A line for each finding, what to change below it, and a summary.
pub(crate) fn findings(findings: &[Finding], screen: &Screen) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut out = String::new();
    for finding in findings {
        let (word, look) = match finding.level {
            Level::Ok => ("ok  ", Look::Green),
            Level::Warning => ("warn", Look::Yellow),
            Level::Failure => ("FAIL", Look::Red),
        };
        let check = format!("  {:width$}  ", finding.check);
        screen.wrapped(&mut out, &Line::of(look, word).and(Look::Bold, &check).hanging().text(&safe(&finding.found)));
        if let Some(change) = &finding.change {
            let margin = " ".repeat(check.len() + 4);
            screen.wrapped(&mut out, &Line::plain(margin).text("→ ").hanging().text(&safe(change)));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    out.push_str(&format!(
        "\n{} ok, {} to look at, {} to change\n",
        count(Level::Ok),
        count(Level::Warning),
        count(Level::Failure)
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_shown_whole_and_the_change_below_it() {
        let found = [
            Finding::ok("queue", "there"),
            Finding::failure("store", "a reason that is longer than the line is wide", "mend it"),
        ];
        let shown = findings(&found, &Screen::plain(Some(40)));
        let expected = "ok    queue  there\nFAIL  store  a reason that is longer\n             than the line is wide\n             \
                        → mend it\n\n1 ok, 0 to look at, 1 to change\n";
        assert_eq!(shown, expected);
    }
}
