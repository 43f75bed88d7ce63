//! What the output can show: its width, and whether it may be coloured.

use std::borrow::Cow;
use std::io::IsTerminal;

/// Narrowest width that lines are fitted to: below it a table says nothing.
const WIDTH_MIN: usize = 40;

/// Where a table goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Columns; lines are not cut where there are none (a pipe, a file).
    width: Option<usize>,
    is_coloured: bool,
}

/// How a piece of text looks: an SGR parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Look {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }
}

impl Screen {
    /// Standard output as it is: colours only on a terminal, and not where `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).max(WIDTH_MIN));
        Self { width: width.filter(|_| is_terminal), is_coloured: is_terminal && !no_color }
    }

    #[cfg(test)]
    pub(super) fn plain(width: Option<usize>) -> Self {
        Self { width, is_coloured: false }
    }

    /// Columns, where lines are fitted to any.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Pieces and then a text, broken at spaces into as many lines as it takes, each below the text's begin.
    pub(super) fn wrapped(&self, out: &mut String, before: &[(Option<Look>, &str)], text: &str) {
        let indent: usize = before.iter().map(|(_, text)| text.chars().count()).sum();
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(WIDTH_MIN / 2));
        let mut lines = vec![String::new()];
        for word in text.split(' ') {
            let line = lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= room);
            match line {
                Some(line) if line.is_empty() => line.push_str(word),
                Some(line) => line.extend([" ", word]),
                None => lines.push(word.to_owned()),
            }
        }
        let margin = " ".repeat(indent);
        for (index, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
            match index {
                0 => self.line(out, &[before, &[(None, line)]].concat()),
                _ => self.line(out, &[(None, &margin), (None, line)]),
            }
        }
    }

    /// One line of pieces; one that is wider than the screen is cut and ends in `…`.
    pub(super) fn line(&self, out: &mut String, pieces: &[(Option<Look>, &str)]) {
        let total: usize = pieces.iter().map(|(_, text)| text.chars().count()).sum();
        let mut left = match self.width {
            Some(width) if total > width => width.saturating_sub(1),
            _ => total,
        };
        let is_cut = left < total;
        let start = out.len();
        for (look, text) in pieces {
            let shown: String = text.chars().take(left).collect();
            left -= shown.chars().count();
            match look.filter(|_| self.is_coloured && !shown.is_empty()) {
                Some(look) => out.extend(["\u{1b}[", look.code(), "m", &shown, "\u{1b}[0m"]),
                None => out.push_str(&shown),
            }
        }
        if is_cut {
            out.push('…');
        } else {
            out.truncate(start + out[start..].trim_end_matches(' ').len());
        }
        out.push('\n');
    }
}

/// Text without anything that a terminal would obey or that would turn its direction.
pub(super) fn safe(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_say_that_they_were_cut() {
        let mut out = String::new();
        Screen::plain(Some(10)).line(&mut out, &[(None, "abcde"), (Some(Look::Red), "fghijkl"), (None, "gone")]);
        assert_eq!(out, "abcdefghi…\n");
        out.clear();
        Screen::plain(None).line(&mut out, &[(None, "abcde"), (None, "fghijkl  ")]);
        assert_eq!(out, "abcdefghijkl\n");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(safe("a\u{1b}[2Jb\u{9b}c\u{202e}d\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{a}");
        assert_eq!(safe("Zoë → 東京"), "Zoë → 東京");
    }
}
