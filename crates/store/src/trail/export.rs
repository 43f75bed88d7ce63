use std::str::FromStr;

use afterimage_json::{Object, Raw};
use serde::Serialize;

use super::Columns;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON value a line; the last line is `{"end":true,"items":n}`.
    Ndjson,
    /// RFC 4180, with a header; the last record is `#end,n`.
    Csv,
}

impl ExportFormat {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of ndjson, csv")]
pub struct ParseExportFormatError;

impl FromStr for ExportFormat {
    type Err = ParseExportFormatError;

    fn from_str(text: &str) -> Result<Self, ParseExportFormatError> {
        [Self::Ndjson, Self::Csv].into_iter().find(|one| one.as_str() == text).ok_or(ParseExportFormatError)
    }
}

/// An item cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("an item cannot be written as JSON: {0}")]
pub struct ExportError(String);

/// Writes items one by one, and at the end how many there were: an export that was cut off lacks its end.
///
/// It appends to a buffer of the caller, who empties it as it pleases: nothing but the item at hand is kept.
///
/// CSV, so that a spreadsheet can open what anybody may have written into a record: a text that begins with `=`, `+`, `-`,
/// `@` (or their full-width forms), tab, line break, `#` or `'` has a `'` put in front. Take one `'` away to have the text back. Numbers, and lists and
/// objects as JSON, never begin so but for the sign of a number. Null and absent are an empty cell, an empty text is `""`.
#[derive(Debug)]
pub struct Export {
    format: ExportFormat,
    columns: Columns,
    items: u64,
}

impl Export {
    /// An export of items that are JSON objects, with these columns in CSV.
    #[must_use]
    pub const fn new(format: ExportFormat, columns: Columns) -> Self {
        Self { format, columns, items: 0 }
    }

    /// What comes before the items: the header of CSV.
    pub fn begin(&self, out: &mut String) {
        if self.format == ExportFormat::Csv {
            record(self.columns.names().map(Cell::Text), out);
        }
    }

    /// One item.
    ///
    /// # Errors
    /// [`ExportError`] when it has no JSON.
    pub fn push(&mut self, item: &impl Serialize, out: &mut String) -> Result<(), ExportError> {
        let text = serde_json::to_string(item).map_err(|error| ExportError(error.to_string()))?;
        match self.format {
            ExportFormat::Ndjson => {
                out.push_str(&text);
                out.push('\n');
            }
            ExportFormat::Csv => {
                let item = Raw::parse(&text).map_err(|error| ExportError(error.to_string()))?;
                let values: Vec<Option<Raw<'_>>> = self.columns.pointers().map(|pointer| item.at(pointer)).collect();
                let texts: Vec<_> = values.iter().map(|value| value.and_then(Raw::string)).collect();
                let cells = values.iter().zip(&texts).map(|(value, text)| match (value, text) {
                    (_, Some(text)) => Cell::Text(text),
                    (Some(value), None) if value.as_str() != "null" => Cell::Json(value.as_str()),
                    _ => Cell::Nothing,
                });
                record(cells, out);
            }
        }
        self.items += 1;
        Ok(())
    }

    /// How it is written.
    #[must_use]
    pub const fn format(&self) -> ExportFormat {
        self.format
    }

    /// How many items were pushed.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }

    /// What comes after the items, only when all of them were written: without it the export counts as cut off.
    pub fn end(self, out: &mut String) {
        match self.format {
            ExportFormat::Ndjson => {
                let mut end = Object::default();
                end.member("end", "true");
                end.member("items", &self.items.to_string());
                out.push_str(&end.finish());
                out.push('\n');
            }
            ExportFormat::Csv => {
                // As many cells as any other record has. No text begins with `#`, see above.
                let items = self.items.to_string();
                let filler = self.columns.names().count().saturating_sub(2);
                let cells = [Cell::Json("#end"), Cell::Json(&items)];
                record(cells.into_iter().chain(std::iter::repeat_n(Cell::Nothing, filler)), out);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Cell<'v> {
    Nothing,
    /// Of anybody's making.
    Text(&'v str),
    /// A number, a list, an object.
    Json(&'v str),
}

/// What a spreadsheet may take for the beginning of a formula (OWASP, "CSV Injection"), our end, and the guard itself.
const GUARDED: [char; 13] =
    ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '\t', '\r', '\n', '#', '\''];

/// One record of RFC 4180.
fn record<'v>(cells: impl Iterator<Item = Cell<'v>>, out: &mut String) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(',');
        }
        let (guard, text) = match cell {
            Cell::Nothing => continue,
            Cell::Text("") => {
                out.push_str("\"\"");
                continue;
            }
            Cell::Text(text) => (if text.starts_with(GUARDED) { "'" } else { "" }, text),
            Cell::Json(text) => ("", text),
        };
        if text.contains(['"', ',', '\r', '\n']) {
            out.push('"');
            out.push_str(guard);
            for (index, part) in text.split('"').enumerate() {
                if index > 0 {
                    out.push_str("\"\"");
                }
                out.push_str(part);
            }
            out.push('"');
        } else {
            out.push_str(guard);
            out.push_str(text);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(format: ExportFormat, items: &[serde_json::Value]) -> String {
        let mut export = Export::new(format, Columns::at([("name", "/name"), ("n", "/deep/n"), ("list", "/list")]));
        let mut out = String::new();
        export.begin(&mut out);
        for item in items {
            export.push(item, &mut out).unwrap();
        }
        export.end(&mut out);
        out
    }

    #[test]
    fn ndjson_ends_with_how_many_there_were() {
        assert_eq!(
            written(ExportFormat::Ndjson, &[json!({"a":"x\ny"}), json!([])]),
            "{\"a\":\"x\\ny\"}\n[]\n{\"end\":true,\"items\":2}\n"
        );
        assert_eq!(written(ExportFormat::Ndjson, &[]), "{\"end\":true,\"items\":0}\n");
    }

    #[test]
    fn csv_has_a_header_as_many_cells_in_each_record_and_an_end() {
        let items = [
            json!({"name":"a,\"b\"\nc","deep":{"n":-1.5},"list":[1,"x"]}),
            json!({"name":"","deep":null}),
            json!({"name":null}),
        ];
        assert_eq!(
            written(ExportFormat::Csv, &items),
            concat!(
                "name,n,list\r\n",
                "\"a,\"\"b\"\"\nc\",-1.5,\"[1,\"\"x\"\"]\"\r\n",
                "\"\",,\r\n",
                ",,\r\n",
                "#end,3,\r\n"
            )
        );
    }

    #[test]
    fn no_text_is_taken_for_a_formula_or_for_the_end() {
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\r=x", "#end", "'x", "=HYPERLINK(\"x\",\"y\")", "＝1"] {
            let line = written(ExportFormat::Csv, &[json!({"name":text})]);
            let cell = line.strip_prefix("name,n,list\r\n").unwrap().trim_start_matches('"');
            assert!(cell.starts_with('\''), "{line}");
        }
        assert!(written(ExportFormat::Csv, &[json!({"name":"1-1"})]).contains("\r\n1-1,"));
    }
}
