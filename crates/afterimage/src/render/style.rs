//! What the output can show: its width, and whether it may be coloured.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::IsTerminal;

use super::line::Line;
use crate::zone::Zone;

/// Narrowest width that lines are fitted to: below it a table says nothing.
const WIDTH_MIN: usize = 40;

/// Where a table goes.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    /// Columns; lines are not fitted where there are none (a pipe, a file).
    width: Option<usize>,
    is_coloured: bool,
    zone: Zone,
}

/// How a piece of text looks: an SGR parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Standard output as it is. A terminal's width is its own; elsewhere `COLUMNS` may ask for one.
    pub(crate) fn stdout(zone: Zone) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let own = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|_| is_terminal);
        let asked = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
        let width = own.or_else(asked).map(|width| width.max(WIDTH_MIN));
        Self { width, is_coloured: is_terminal && may_colour(|name| std::env::var_os(name)), zone }
    }

    #[cfg(test)]
    pub(super) fn plain(width: Option<usize>) -> Self {
        Self { width, is_coloured: false, zone: Zone::utc() }
    }

    #[cfg(test)]
    pub(super) fn of_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// A time as answers bear it, in the zone of the reader.
    pub(super) fn time(&self, text: &str) -> String {
        safe(&self.zone.show_text(text)).into_owned()
    }

    /// Columns, where lines are fitted to any.
    pub(super) fn width(&self) -> Option<usize> {
        self.width
    }

    /// A line, broken where it is wider than the screen.
    pub(super) fn wrapped(&self, out: &mut String, line: &Line) {
        for line in line.wrapped(self.width.unwrap_or(usize::MAX)) {
            self.line(out, &line);
        }
    }

    /// One line as it is.
    pub(super) fn line(&self, out: &mut String, line: &Line) {
        let start = out.len();
        for (look, text) in line.pieces() {
            match look.filter(|_| self.is_coloured && !text.trim().is_empty()) {
                Some(look) => out.extend(["\u{1b}[", look.code(), "m", text, "\u{1b}[0m"]),
                None => out.push_str(text),
            }
        }
        out.truncate(start + out[start..].trim_end_matches(' ').len());
        out.push('\n');
    }
}

/// May a terminal be sent colours? Not where `NO_COLOR` is set (<https://no-color.org>), nor a terminal that knows none.
pub(crate) fn may_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Text without anything that a terminal would obey or that would turn its direction.
pub(crate) fn safe(text: &str) -> Cow<'_, str> {
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
    fn colours_are_not_sent_where_they_are_unwanted_or_unknown() {
        let set = |wanted: &'static [(&str, &str)]| {
            may_colour(|name| wanted.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()))
        };
        assert!(set(&[]) && set(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(
            !set(&[("NO_COLOR", "1")]) && !set(&[("TERM", "dumb")]) && !set(&[("TERM", "xterm"), ("NO_COLOR", "0")])
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(safe("a\u{1b}[2Jb\u{9b}c\u{202e}d\n"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{a}");
        assert_eq!(safe("Zoë → 東京"), "Zoë → 東京");
    }
}
