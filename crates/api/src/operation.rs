//! What a question is over HTTP, as data: one description that checks requests, routes them and becomes the OpenAPI
//! document, so that none of the three can say what another does not.

use afterimage_event::{ID_BYTES_MAX, NAME_BYTES_MAX};
use afterimage_store::{LIMIT_DEFAULT, LIMIT_MAX, RECORDS_AT_ONCE_MAX};

use crate::ProblemKind;

/// A question.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its name in the document and in the trail's own entries.
    pub(crate) id: &'static str,
    /// The route, as axum and OpenAPI write it.
    pub(crate) path: &'static str,
    /// In a few words.
    pub(crate) summary: &'static str,
    /// In some sentences.
    pub(crate) description: &'static str,
    /// In the query. Those of the path follow from `path`.
    pub(crate) params: &'static [&'static [Param]],
    /// What a good answer is.
    pub(crate) answer: Answer,
    /// What can go wrong beside [`ALWAYS`].
    pub(crate) problems: &'static [ProblemKind],
}

/// What any question under `/v1` can meet.
pub(crate) const ALWAYS: [ProblemKind; 8] = [
    ProblemKind::BadParameter,
    ProblemKind::Unauthorized,
    ProblemKind::Forbidden,
    ProblemKind::BodyNotExpected,
    ProblemKind::UrlTooLong,
    ProblemKind::Internal,
    ProblemKind::Unavailable,
    ProblemKind::Timeout,
];

/// What a good answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// JSON of this schema.
    Json(&'static str),
    /// The same, or with [`AS_LINES`] a stream of lines.
    List(&'static str),
    /// A stream of lines: NDJSON or CSV.
    Lines,
}

/// A parameter in the query.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Must it be given?
    pub(crate) required: bool,
    /// What it means.
    pub(crate) help: &'static str,
}

/// What a parameter may say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text of 1 to so many bytes.
    Text { bytes_max: usize },
    /// RFC 3339, or a date, which is its first moment in UTC.
    Time,
    /// A whole number.
    Count { min: u64, max: u64, default: u64 },
    /// A whole number with a unit.
    Duration { default: &'static str },
    /// One of these names.
    Choice { names: &'static [&'static str], default: &'static str },
    /// Some of these names, repeated or joined by commas.
    Choices { names: &'static [&'static str], default: &'static [&'static str] },
    /// `source/table/id`, repeated.
    Records { items_max: usize },
}

impl Param {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, required: false, help }
    }

    /// May it be given more than once?
    pub(crate) const fn repeats(&self) -> bool {
        matches!(self.kind, Kind::Choices { .. } | Kind::Records { .. })
    }
}

impl Operation {
    /// The parameters of its query.
    pub(crate) fn query(&self) -> impl Iterator<Item = &'static Param> {
        self.params.iter().flat_map(|group| group.iter())
    }

    /// Is it about one record, named in the path?
    pub(crate) fn is_of_record(&self) -> bool {
        self.path.contains("{id}")
    }

    /// What can go wrong.
    pub(crate) fn problems(&self) -> impl Iterator<Item = ProblemKind> {
        ALWAYS.iter().chain(self.problems).copied()
    }
}

const NAME: Kind = Kind::Text { bytes_max: NAME_BYTES_MAX };
const ID: Kind = Kind::Text { bytes_max: ID_BYTES_MAX };

/// Longest record id, its parts and the commas between them, as they are when decoded.
pub(crate) const RECORD_ID_BYTES_MAX: usize = 4_096;

/// Longest cursor: it holds a source and an event id, encoded.
const CURSOR_BYTES_MAX: usize = 4_096;

/// Operations by name, as filters take them.
pub(crate) const OPS: [&str; 7] = ["insert", "update", "delete", "truncate", "snapshot", "access", "ddl"];

/// Dimensions by name, as [`afterimage_store::Dimension`] has them.
pub(crate) const DIMENSIONS: [&str; 10] =
    ["source", "table", "op", "actor", "field", "hour", "day", "request", "transaction", "migration"];

/// Whose records, where the path names one.
pub(crate) const SCOPE: &[Param] = &[
    Param::new("tenant", NAME, "The tenant; `default` when not given."),
    Param::new("source", NAME, "The source. Without it the answer is there when exactly one source has the record."),
];

/// Of which time.
pub(crate) const PERIOD: &[Param] = &[
    Param::new("from", Kind::Time, "Earliest time, inclusive."),
    Param::new("to", Kind::Time, "Latest time, exclusive."),
];

/// How much of a list at once, and which way round.
pub(crate) const PAGING: &[Param] = &[
    Param::new(
        "order",
        Kind::Choice { names: &["desc", "asc"], default: "desc" },
        "desc: the newest first; asc: the oldest.",
    ),
    Param::new(
        "limit",
        Kind::Count { min: 1, max: LIMIT_MAX as u64, default: LIMIT_DEFAULT as u64 },
        "Most items of a page. A page may have fewer and yet not be the last.",
    ),
    Param::new(
        "cursor",
        Kind::Text { bytes_max: CURSOR_BYTES_MAX },
        "Where to go on: `next` of the page before, asked with the same filters.",
    ),
];

/// Which entries.
pub(crate) const FILTER: &[Param] = &[
    Param::new("tenant", NAME, "The tenant; `default` when not given."),
    Param::new(
        "source",
        NAME,
        "Of this source. Entries of the source `afterimage` (who asked what) are found only when it is named here.",
    ),
    Param::new("table", NAME, "Of this table."),
    Param::new("op", Kind::Choices { names: &OPS, default: &[] }, "With one of these operations."),
    Param::new("field", ID, "That changed this top-level name."),
    Param::new("actor", ID, "By this actor: id, address, or the name of one who has neither."),
    Param::new("request", ID, "Made in this request."),
    Param::new("transaction", ID, "Part of this transaction."),
    Param::new("migration", ID, "Made by this migration."),
];

/// One moment.
pub(crate) const AT: &[Param] =
    &[Param::new("at", Kind::Time, "The moment, inclusive: what happened at it has happened. Now when not given.")];

/// Two moments.
pub(crate) const BETWEEN: &[Param] = &[
    Param { required: true, ..Param::new("from", Kind::Time, "The moment the patch starts from, inclusive.") },
    Param { required: true, ..Param::new("to", Kind::Time, "The moment it leads to, inclusive; not before `from`.") },
];

/// Back to when.
pub(crate) const BACK_TO: &[Param] =
    &[Param { required: true, ..Param::new("to", Kind::Time, "The moment to go back to, inclusive.") }];

/// The records of one question.
pub(crate) const RECORDS: &[Param] = &[
    Param::new("tenant", NAME, "The tenant; `default` when not given."),
    Param {
        required: true,
        ..Param::new(
            "record",
            Kind::Records { items_max: RECORDS_AT_ONCE_MAX },
            "A record as `source/table/id`, or `table/id` where one source has it; each part percent-encoded by itself, the \
             parts of an id joined by commas. Repeated for each record.",
        )
    },
];

/// A table of one source.
pub(crate) const TABLE: &[Param] = &[
    Param::new("tenant", NAME, "The tenant; `default` when not given."),
    Param::new("source", NAME, "The source. Without it the answer is there when exactly one source has the table."),
    Param { required: true, ..Param::new("table", NAME, "The table.") },
];

/// By what to count.
pub(crate) const COUNT_BY: &[Param] = &[Param::new(
    "by",
    Kind::Choices { names: &DIMENSIONS, default: &["table", "op"] },
    "What to tell apart. By `field` an entry counts once for each name that it changed.",
)];

/// What is a burst.
pub(crate) const BURST: &[Param] = &[
    Param::new(
        "by",
        Kind::Choices { names: &DIMENSIONS, default: &["actor", "table", "op"] },
        "Whose entries are counted together.",
    ),
    Param::new("window", Kind::Duration { default: "1h" }, "Length of the sliding window, from 1ms to 31d."),
    Param::new(
        "threshold",
        Kind::Count { min: 1, max: 1_000_000_000, default: 100 },
        "A window with more entries than this is too many.",
    ),
];

/// A list as it is asked for in pages, or all of it.
pub(crate) const AS_LINES: &[Param] = &[Param::new(
    "format",
    Kind::Choice { names: &["json", "ndjson", "csv"], default: "json" },
    "json: a page. All of the list, without `limit` and `cursor`: ndjson, an item a line, then \
     `{\"end\":true,\"items\":n}`; csv, a header, an item a record, then a record that begins `#end,n`.",
)];

/// What an export looks like.
pub(crate) const EXPORT: &[Param] = &[
    Param::new(
        "format",
        Kind::Choice { names: &["ndjson", "csv"], default: "ndjson" },
        "ndjson: an entry a line, then `{\"end\":true,\"items\":n}`; csv: a header, then an entry a line.",
    ),
    Param::new(
        "order",
        Kind::Choice { names: &["desc", "asc"], default: "desc" },
        "desc: the newest first; asc: the oldest.",
    ),
];

#[cfg(test)]
mod tests {
    use afterimage_event::Op;
    use afterimage_store::Dimension;

    use super::*;

    #[test]
    fn names_of_operations_and_dimensions_are_those_that_are_read() {
        assert!(OPS.iter().all(|name| name.parse::<Op>().is_ok_and(|op| op.to_string() == **name)));
        assert_eq!(DIMENSIONS.to_vec(), Dimension::ALL.map(Dimension::as_str));
    }
}
