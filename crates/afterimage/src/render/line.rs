//! A line of text: pieces that look different, broken where it must be.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Look;

/// A line in pieces. Its text is safe for a terminal: see [`super::style::safe`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Option<Look>, String)>,
    /// How far the lines stand in that follow when it is broken.
    indent: usize,
}

/// A line that must be broken keeps at least so many columns beside its indent.
const ROOM_MIN: usize = 16;

impl Line {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { pieces: vec![(None, text.into())], indent: 0 }
    }

    pub(super) fn of(look: Look, text: impl Into<String>) -> Self {
        Self { pieces: vec![(Some(look), text.into())], indent: 0 }
    }

    /// With a text behind it.
    pub(super) fn text(mut self, text: &str) -> Self {
        self.pieces.push((None, text.to_owned()));
        self
    }

    /// With a piece behind it.
    pub(super) fn and(mut self, look: Look, text: &str) -> Self {
        self.pieces.push((Some(look), text.to_owned()));
        self
    }

    /// What follows when it is broken stands below this place.
    pub(super) fn hanging(mut self) -> Self {
        self.indent = self.width();
        self
    }

    /// The other line behind it.
    pub(super) fn join(mut self, other: &Self) -> Self {
        if other.indent > 0 {
            self.indent = self.width() + other.indent;
        }
        self.pieces.extend_from_slice(&other.pieces);
        self
    }

    pub(super) fn pieces(&self) -> &[(Option<Look>, String)] {
        &self.pieces
    }

    /// Columns it takes.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// It in lines of at most so many columns, broken at spaces where there are any.
    pub(super) fn wrapped(&self, columns: usize) -> Vec<Self> {
        if self.width() <= columns {
            return vec![self.clone()];
        }
        let chars: Vec<(char, Option<Look>)> =
            self.pieces.iter().flat_map(|(look, text)| text.chars().map(move |c| (c, *look))).collect();
        let indent = if self.indent + ROOM_MIN <= columns { self.indent } else { 0 };
        let mut lines = Vec::new();
        let mut rest = &chars[..];
        while !rest.is_empty() {
            let before = if lines.is_empty() { 0 } else { indent };
            let end = fitting(rest, columns.saturating_sub(before).max(1));
            // The space that a line is broken at is in neither part. Padding in front of a hanging text is no place to break.
            let first = if lines.is_empty() { self.indent.min(end) } else { 0 };
            let space = (first + 1..=end.min(rest.len() - 1)).rev().find(|at| rest[*at].0 == ' ');
            // A word that no line holds begins where it stands: what is in front of it, a sign or a name, is not left alone.
            let word = |space: &usize| rest[space + 1..].iter().take_while(|(c, _)| *c != ' ');
            let space = space.filter(|space| {
                word(space).map(|(c, _)| c.width().unwrap_or(0)).sum::<usize>() <= columns.saturating_sub(indent)
            });
            let end = if end == rest.len() { end } else { space.unwrap_or(end) };
            let mut line = Self::plain(" ".repeat(before));
            for (c, look) in &rest[..end] {
                line.push(*c, *look);
            }
            lines.push(line);
            rest = &rest[end..];
            rest = &rest[rest.iter().take_while(|(c, _)| *c == ' ').count()..];
        }
        lines
    }

    fn push(&mut self, c: char, look: Option<Look>) {
        match self.pieces.last_mut() {
            Some((last, text)) if *last == look => text.push(c),
            _ => self.pieces.push((look, c.to_string())),
        }
    }
}

/// How many of these fit into so many columns: one at least.
fn fitting(chars: &[(char, Option<Look>)], columns: usize) -> usize {
    let mut used = 0;
    let fits = chars.iter().take_while(|(c, _)| {
        used += c.width().unwrap_or(0);
        used <= columns
    });
    fits.count().max(1)
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &Line, columns: usize) -> Vec<String> {
        let text = |line: &Line| line.pieces.iter().map(|(_, text)| text.as_str()).collect::<String>();
        line.wrapped(columns).iter().map(text).collect()
    }

    #[test]
    fn a_line_is_broken_at_spaces_and_where_there_are_none_within_a_word() {
        let line = Line::plain("one two ").and(Look::Red, "three").text(" fourteen");
        assert_eq!(texts(&line, 13), ["one two three", "fourteen"]);
        assert_eq!(texts(&line, 7), ["one two", "three f", "ourteen"]);
        assert_eq!(texts(&line, 100), ["one two three fourteen"]);
        assert_eq!(texts(&Line::plain("東京東京"), 5), ["東京", "東京"]);
    }

    #[test]
    fn a_word_that_no_line_holds_is_not_parted_from_what_is_in_front_of_it() {
        let line = Line::plain("/items  ").hanging().text("- ").text(&"x".repeat(40));
        let shown = texts(&line, 30);
        assert_eq!(shown[0], format!("/items  - {}", "x".repeat(20)));
        assert_eq!(shown[1], format!("        {}", "x".repeat(20)));
    }

    #[test]
    fn what_follows_stands_below_the_text() {
        let line = Line::plain("/path   ").hanging().text("some words that take lines");
        assert_eq!(texts(&line, 24), ["/path   some words that", "        take lines"]);
    }
}
