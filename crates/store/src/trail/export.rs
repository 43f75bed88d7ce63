use std::str::FromStr;

use afterimage_json::{Object, Pointer, Raw};
use serde::Serialize;

use super::{EntryView, Filter, Listing, RecordQuery, Trail, TrailError};

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

/// The columns of entries: a name, and where its value stands in the JSON of an entry (RFC 6901). `changes` and other
/// lists and objects are JSON in their cells.
pub const ENTRY_COLUMNS: [(&str, &str); 28] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("source", "/source"),
    ("table", "/table"),
    ("record_id", "/record_id"),
    ("op", "/op"),
    ("occurred_at", "/occurred_at"),
    ("position_domain", "/position/domain"),
    ("position", "/position/value"),
    ("transaction", "/transaction"),
    ("actor_type", "/actor/type"),
    ("actor_id", "/actor/id"),
    ("actor_name", "/actor/name"),
    ("actor_email", "/actor/email"),
    ("actor_on_behalf_of", "/actor/on_behalf_of"),
    ("context", "/context"),
    ("labels", "/labels"),
    ("changed", "/changed"),
    ("changes", "/changes"),
    ("after", "/after"),
    ("unknown", "/unknown"),
    ("before_digest", "/before_digest"),
    ("after_digest", "/after_digest"),
    ("published_at", "/published_at"),
    ("stored_at", "/stored_at"),
    ("expires_at", "/expires_at"),
    ("revision", "/revision"),
    ("flags", "/flags"),
];

/// The columns of a feed.
pub const FEED_COLUMNS: [(&str, &str); 10] = [
    ("id", "/id"),
    ("occurred_at", "/occurred_at"),
    ("text", "/text"),
    ("actor", "/actor"),
    ("verb", "/verb"),
    ("object", "/object"),
    ("op", "/op"),
    ("source", "/source"),
    ("table", "/table"),
    ("record_id", "/record_id"),
];

/// Writes items one by one, and at the end how many there were: an export that was cut off lacks its end.
///
/// It appends to a buffer of the caller, who empties it as it pleases: nothing but the item at hand is kept.
///
/// CSV, so that a spreadsheet can open what anybody may have written into a record: a text that begins with `=`, `+`, `-`,
/// `@`, tab, line break, `#` or `'` has a `'` put in front. Take one `'` away to have the text back. Numbers, and lists and
/// objects as JSON, never begin so but for the sign of a number. Null and absent are an empty cell, an empty text is `""`.
#[derive(Debug)]
pub struct Export {
    format: ExportFormat,
    columns: Vec<(String, Pointer)>,
    items: u64,
}

impl Export {
    /// An export of items that are JSON objects. `columns` are those of CSV: names, and pointers to their values in an item.
    /// A pointer that is none leaves its column empty.
    #[must_use]
    pub fn new<'c>(format: ExportFormat, columns: impl IntoIterator<Item = (&'c str, &'c str)>) -> Self {
        let columns = columns
            .into_iter()
            .map(|(name, pointer)| (name.to_owned(), pointer.parse().unwrap_or_else(|_| Pointer::root())))
            .collect();
        Self { format, columns, items: 0 }
    }

    /// An export of entries.
    #[must_use]
    pub fn entries(format: ExportFormat) -> Self {
        Self::new(format, ENTRY_COLUMNS)
    }

    /// An export of a feed.
    #[must_use]
    pub fn feed(format: ExportFormat) -> Self {
        Self::new(format, FEED_COLUMNS)
    }

    /// What comes before the items: the header of CSV.
    pub fn begin(&self, out: &mut String) {
        if self.format == ExportFormat::Csv {
            record(self.columns.iter().map(|(name, _)| Cell::Text(name)), out);
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
                let values: Vec<Option<Raw<'_>>> = self.columns.iter().map(|(_, pointer)| item.at(pointer)).collect();
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
                let filler = self.columns.len().saturating_sub(2);
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
            Cell::Text(text) => {
                (if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '#', '\'']) { "'" } else { "" }, text)
            }
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

/// All pages of a list, one after the other: what an export walks. Holds one page at a time.
#[derive(Debug)]
pub struct EntryPages<'t> {
    trail: &'t Trail,
    of: ListOf,
    listing: Listing,
    ended: bool,
}

#[derive(Debug)]
enum ListOf {
    Changes(Filter),
    History(RecordQuery),
}

impl Trail {
    /// All pages of [`Trail::changes`], from the listing's cursor on, in pages of its limit.
    #[must_use]
    pub fn all_changes(&self, filter: Filter, listing: Listing) -> EntryPages<'_> {
        EntryPages { trail: self, of: ListOf::Changes(filter), listing, ended: false }
    }

    /// All pages of [`Trail::history`], likewise.
    #[must_use]
    pub fn all_history(&self, query: RecordQuery, listing: Listing) -> EntryPages<'_> {
        EntryPages { trail: self, of: ListOf::History(query), listing, ended: false }
    }
}

impl EntryPages<'_> {
    /// The next page, which may be empty; `None` after the last one.
    ///
    /// # Errors
    /// [`TrailError`]; asked again, it goes on where it failed.
    pub async fn next(&mut self) -> Result<Option<Vec<EntryView>>, TrailError> {
        if self.ended {
            return Ok(None);
        }
        let page = match &self.of {
            ListOf::Changes(filter) => self.trail.changes(filter, &self.listing).await?,
            ListOf::History(query) => self.trail.history(query, &self.listing).await?,
        };
        self.ended = page.next.is_none();
        self.listing.cursor = page.next;
        Ok(Some(page.items))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(format: ExportFormat, items: &[serde_json::Value]) -> String {
        let mut export = Export::new(format, [("name", "/name"), ("n", "/deep/n"), ("list", "/list")]);
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
        for text in ["=1+1", "+1", "-1", "@x", "\tx", "\r=x", "#end", "'x", "=HYPERLINK(\"x\",\"y\")"] {
            let line = written(ExportFormat::Csv, &[json!({"name":text})]);
            let cell = line.strip_prefix("name,n,list\r\n").unwrap().trim_start_matches('"');
            assert!(cell.starts_with('\''), "{line}");
        }
        assert!(written(ExportFormat::Csv, &[json!({"name":"1-1"})]).contains("\r\n1-1,"));
    }

    #[test]
    fn columns_of_entries_are_all_that_an_entry_has() {
        let names: std::collections::BTreeSet<&str> =
            ENTRY_COLUMNS.iter().filter_map(|(_, pointer)| pointer.split('/').nth(1)).collect();
        let entry = crate::conformance::Telling::new("t", "e", afterimage_event::Op::Insert, 0);
        let entry = entry.images("", "{}").entry();
        let shown = super::super::walk::Shown {
            row: crate::IndexRow::from(&*entry),
            content: crate::ContentRow {
                identity: entry.identity.clone(),
                stored_at: entry.occurred_at,
                content: entry.content.clone(),
            },
            conflict: false,
        };
        let view = serde_json::to_value(EntryView::new(&shown, Vec::new()).unwrap()).unwrap();
        assert_eq!(names, view.as_object().unwrap().keys().map(String::as_str).collect());
    }
}
