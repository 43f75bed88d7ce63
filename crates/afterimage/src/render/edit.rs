//! What a value was and is, so that the difference is seen.

use similar::{ChangeTag, TextDiff};

use super::line::{Line, width};
use super::style::{Look, safe};

/// Longer than this, old and new do not stand beside each other.
const BESIDE_WIDTH_MAX: usize = 100;
/// Lines around a changed one that are shown with it.
const CONTEXT_LINES: usize = 2;
/// Lines of one difference that are shown; the rest is counted.
const LINES_MAX: usize = 40;
/// Longest texts that are compared line by line: the time that takes grows with both.
const COMPARED_BYTES_MAX: usize = 1 << 20;
/// Characters around a change within a long line that are shown with it.
const CONTEXT_CHARS: usize = 24;

/// Two values, as JSON: `old → new` where they are short; what differs, where they are long texts.
pub(super) fn edit(head: &Line, old: &str, new: &str) -> Vec<Line> {
    if width(old) + width(new) <= BESIDE_WIDTH_MAX {
        let line = head.clone().hanging().and(Look::Red, &safe(old)).text(" → ").and(Look::Green, &safe(new));
        return vec![line];
    }
    let text = |json: &str| serde_json::from_str::<String>(json).ok().filter(|text| text.len() <= COMPARED_BYTES_MAX);
    match (text(old), text(new)) {
        (Some(old), Some(new)) if old.contains('\n') || new.contains('\n') => unified(head, &old, &new),
        (Some(old), Some(new)) => within(head, &old, &new).map_or_else(|| apart(head, &old, &new), |line| vec![line]),
        _ => apart(head, old, new),
    }
}

/// The old above the new.
fn apart(head: &Line, old: &str, new: &str) -> Vec<Line> {
    let margin = Line::plain(" ".repeat(head.width()));
    vec![
        head.clone().hanging().and(Look::Red, &format!("- {}", safe(old))),
        margin.hanging().and(Look::Green, &format!("+ {}", safe(new))),
    ]
}

/// Line by line, as `diff -u` has it.
fn unified(head: &Line, old: &str, new: &str) -> Vec<Line> {
    let mut lines = vec![head.clone()];
    let diff = TextDiff::from_lines(old, new);
    let mut left_out = 0;
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        let margin = || Line::plain("  ");
        if index > 0 {
            lines.push(margin().and(Look::Dim, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            if lines.len() > LINES_MAX {
                left_out += 1;
                continue;
            }
            let text = safe(change.value().trim_end_matches(['\n', '\r'])).into_owned();
            lines.push(match change.tag() {
                ChangeTag::Delete => margin().and(Look::Red, &format!("- {text}")),
                ChangeTag::Insert => margin().and(Look::Green, &format!("+ {text}")),
                ChangeTag::Equal => margin().text(&format!("  {text}")),
            });
        }
    }
    if left_out > 0 {
        lines.push(Line::plain("  ").and(Look::Dim, &format!("and {left_out} lines more; --json shows all")));
    }
    lines
}

/// One place within a long line: `…before [-old-]{+new+} after…`; none where most of it differs.
fn within(head: &Line, old: &str, new: &str) -> Option<Line> {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tails = old[before..].iter().rev().zip(new[before..].iter().rev());
    let after = tails.take_while(|(a, b)| a == b).count();
    let (gone, come) = (&old[before..old.len() - after], &new[before..new.len() - after]);
    if before + after < gone.len().max(come.len()) {
        return None;
    }
    let text = |chars: &[char]| safe(&chars.iter().collect::<String>()).into_owned();
    let start = before.saturating_sub(CONTEXT_CHARS);
    let end = (old.len() - after + CONTEXT_CHARS).min(old.len());
    let mut line = head.clone().hanging();
    line = line.text(if start > 0 { "…" } else { "\"" }).text(&text(&old[start..before]));
    if !gone.is_empty() {
        line = line.and(Look::Red, &format!("[-{}-]", text(gone)));
    }
    if !come.is_empty() {
        line = line.and(Look::Green, &format!("{{+{}+}}", text(come)));
    }
    Some(line.text(&text(&old[old.len() - after..end])).text(if end < old.len() { "…" } else { "\"" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Vec<String> {
        let lines = edit(&Line::plain("/bio  "), old, new);
        lines.iter().map(|line| line.pieces().iter().map(|(_, text)| text.as_str()).collect()).collect()
    }

    fn json(text: &str) -> String {
        serde_json::to_string(text).unwrap()
    }

    #[test]
    fn short_values_stand_beside_each_other() {
        assert_eq!(shown("\"1\"", "1.10"), ["/bio  \"1\" → 1.10"]);
    }

    #[test]
    fn of_long_texts_the_lines_that_differ_are_shown_with_their_neighbours() {
        let text: Vec<String> = (1..=20).map(|line| format!("this is line {line}")).collect();
        let mut changed = text.clone();
        changed[9] = "another\u{1b}[2J".to_owned();
        assert_eq!(
            shown(&json(&text.join("\n")), &json(&changed.join("\n"))),
            [
                "/bio  ",
                "    this is line 8",
                "    this is line 9",
                "  - this is line 10",
                "  + another\\u{1b}[2J",
                "    this is line 11",
                "    this is line 12"
            ]
        );
        let all = (0..100).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        let lines = shown(&json(&all), &json(""));
        assert_eq!(lines.len(), LINES_MAX + 2);
        assert_eq!(lines.last().unwrap(), "  and 60 lines more; --json shows all");
    }

    #[test]
    fn within_a_long_line_the_place_that_differs_is_shown() {
        let (before, after) = ("a".repeat(60), "z".repeat(60));
        let place = shown(&json(&format!("{before}old{after}")), &json(&format!("{before}new{after}")));
        assert_eq!(place, [format!("/bio  …{}[-old-]{{+new+}}{}…", &before[..24], &after[..24])]);
        assert_eq!(shown(&json(&before), &json(&after)), [format!("/bio  - {before}"), format!("      + {after}")]);
    }
}
