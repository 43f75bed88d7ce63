//! Tables that fit the screen: nothing is cut off, what is too wide takes more lines.

use super::line::{Line, width};
use super::style::{Look, Screen};

/// Between columns.
const GAP: usize = 2;
/// Columns that the last cell needs beside the others to say anything; with less it stands below them.
const LAST_WIDTH_MIN: usize = 40;
/// How far it stands in then.
const INDENT: usize = 4;
/// Narrowest that a cell is made; where that is not narrow enough, every cell gets a line of its own.
const CELL_WIDTH_MIN: usize = 10;

/// What stands in one cell: lines.
pub(super) type Cell = Vec<Line>;

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    titles: Vec<String>,
    /// Columns of numbers stand at the right.
    is_number: Vec<bool>,
    /// Columns whose cells mean nothing when they are broken, such as times.
    is_whole: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// How a table is laid out.
enum Layout {
    /// Cells beside each other, so wide each.
    Beside(Vec<usize>),
    /// The last below the others.
    Below(Vec<usize>),
    /// Each in a line of its own, behind its title.
    Records,
}

impl Table {
    pub(super) fn new(titles: &[&str]) -> Self {
        let titles: Vec<String> = titles.iter().map(|&title| title.to_owned()).collect();
        let no = vec![false; titles.len()];
        Self { is_number: no.clone(), is_whole: no, titles, rows: Vec::new() }
    }

    /// The column of this index holds numbers.
    pub(super) fn number(mut self, column: usize) -> Self {
        self.is_number[column] = true;
        self
    }

    /// The cells of these columns are never broken.
    pub(super) fn whole(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        columns.into_iter().for_each(|column| self.is_whole[column] = true);
        self
    }

    /// One more row, with a cell for each title.
    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn print(&self, screen: &Screen, out: &mut String) {
        let columns = screen.width().unwrap_or(usize::MAX);
        match self.layout(columns) {
            Layout::Beside(widths) => {
                self.titles(&widths, screen, out);
                for row in &self.rows {
                    self.beside(row, &widths, screen, out);
                }
            }
            Layout::Below(widths) => {
                self.titles(&widths, screen, out);
                for row in &self.rows {
                    self.beside(&row[..row.len() - 1], &widths, screen, out);
                    let mut margin = Line::plain(" ".repeat(INDENT));
                    // What is no text of its own, such as a time, is told by its title.
                    if let (Some(true), Some(title)) = (self.is_whole.last(), self.titles.last()) {
                        margin = margin.and(Look::Bold, title).text("  ");
                    }
                    for line in row.last().into_iter().flatten() {
                        for line in line.wrapped(columns - margin.width()) {
                            screen.line(out, &margin.clone().join(&line));
                        }
                    }
                }
            }
            Layout::Records => self.records(screen, out),
        }
    }

    fn layout(&self, columns: usize) -> Layout {
        let natural: Vec<usize> = (0..self.titles.len()).map(|column| self.natural(column)).collect();
        if total(&natural) <= columns {
            return Layout::Beside(natural);
        }
        let (last, others) = natural.split_last().map_or((0, &[][..]), |(last, others)| (*last, others));
        let room = columns.saturating_sub(total(others) + GAP);
        let is_last_whole = self.is_whole.last() == Some(&true);
        if room >= LAST_WIDTH_MIN.min(last) && !(is_last_whole && room < last) {
            return Layout::Beside([others, &[room]].concat());
        }
        let mut widths = others.to_vec();
        while total(&widths) > columns {
            let breakable = widths.iter_mut().zip(&self.is_whole).filter(|(_, whole)| !**whole).map(|(width, _)| width);
            match breakable.max() {
                Some(widest) if *widest > CELL_WIDTH_MIN => *widest -= 1,
                _ => return Layout::Records,
            }
        }
        Layout::Below(widths)
    }

    /// As wide as its widest line.
    fn natural(&self, column: usize) -> usize {
        let lines = self.rows.iter().flat_map(|row| &row[column]);
        lines.map(Line::width).max().unwrap_or(0).max(width(&self.titles[column]))
    }

    fn titles(&self, widths: &[usize], screen: &Screen, out: &mut String) {
        let titles: Vec<Cell> = self.titles.iter().map(|title| vec![Line::of(Look::Bold, title.as_str())]).collect();
        self.beside(&titles[..widths.len()], widths, screen, out);
    }

    fn beside(&self, cells: &[Cell], widths: &[usize], screen: &Screen, out: &mut String) {
        let wrapped: Vec<Vec<Line>> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| cell.iter().flat_map(|line| line.wrapped(*width)).collect())
            .collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for at in 0..height {
            let mut printed = Line::default();
            for (column, lines) in wrapped.iter().enumerate() {
                let empty = Line::default();
                let line = lines.get(at).unwrap_or(&empty);
                let padding = " ".repeat(widths[column].saturating_sub(line.width()));
                printed = match self.is_number[column] {
                    true => printed.text(&padding).join(line),
                    false => printed.join(line).text(&padding),
                };
                printed = printed.text(&" ".repeat(GAP));
            }
            screen.line(out, &printed);
        }
    }

    fn records(&self, screen: &Screen, out: &mut String) {
        let widest = self.titles.iter().map(|title| width(title)).max().unwrap_or(0);
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                out.push('\n');
            }
            for (title, cell) in self.titles.iter().zip(row) {
                for (at, line) in cell.iter().filter(|line| line.width() > 0).enumerate() {
                    let title = if at == 0 { title.as_str() } else { "" };
                    let padding = " ".repeat(widest + GAP - width(title));
                    screen.wrapped(out, &Line::of(Look::Bold, title).text(&padding).hanging().join(line));
                }
            }
        }
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(columns: Option<usize>) -> String {
        let mut table = Table::new(&["NAME", "COUNT", "WHAT"]).number(1);
        for (name, count, what) in
            [("one", "7", "some words that go on for a while, and then some"), ("another", "1234", "short")]
        {
            table.row([name, count, what].map(|text| vec![Line::plain(text)]).to_vec());
        }
        let mut out = String::new();
        table.print(&Screen::plain(columns), &mut out);
        out
    }

    #[test]
    fn what_is_too_wide_takes_more_lines_and_nothing_is_lost() {
        let one_line_each = "\
NAME     COUNT  WHAT
one          7  some words that go on for a while, and then some
another   1234  short
";
        assert_eq!(shown(None), one_line_each);
        assert_eq!(shown(Some(80)), one_line_each);
        let wrapped = "\
NAME     COUNT  WHAT
one          7  some words that go on for a while, and
                then some
another   1234  short
";
        assert_eq!(shown(Some(58)), wrapped);
        let below = "\
NAME     COUNT
one          7
    some words that go on for a while,
    and then some
another   1234
    short
";
        assert_eq!(shown(Some(40)), below);
    }

    #[test]
    fn a_time_is_never_broken() {
        let time = "2026-01-09 10:00:05.120+01:00";
        let shown = |columns| {
            let mut table = Table::new(&["TABLE", "OP", "COUNT", "FIRST", "LAST"]).number(2).whole([3, 4]);
            table.row(["memberships", "update", "12", time, time].map(|text| vec![Line::plain(text)]).to_vec());
            let mut out = String::new();
            table.print(&Screen::plain(Some(columns)), &mut out);
            out
        };
        assert_eq!(
            shown(70),
            "\
TABLE        OP      COUNT  FIRST
memberships  update     12  2026-01-09 10:00:05.120+01:00
    LAST  2026-01-09 10:00:05.120+01:00
"
        );
        for columns in 40..100 {
            let shown = shown(columns);
            assert_eq!(shown.matches(time).count(), 2, "{columns}: {shown}");
            assert!(shown.lines().all(|line| width(line) <= columns), "{columns}: {shown}");
        }
    }

    #[test]
    fn where_columns_cannot_stand_beside_each_other_each_has_its_line() {
        let titles: Vec<String> = (0..9).map(|column| format!("TITLE {column}")).collect();
        let mut table = Table::new(&titles.iter().map(String::as_str).collect::<Vec<_>>());
        table.row((0..9).map(|column| vec![Line::plain(format!("a value of column {column}"))]).collect());
        let mut out = String::new();
        table.print(&Screen::plain(Some(40)), &mut out);
        assert!(out.lines().all(|line| width(line) <= 40), "{out}");
        assert_eq!(out.lines().next(), Some("TITLE 0  a value of column 0"));
        assert_eq!(out.lines().count(), 9);
    }
}
