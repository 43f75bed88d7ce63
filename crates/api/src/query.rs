//! The parameters of a request, read by what its operation says of them.

use std::collections::HashSet;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_access::Subject;
use afterimage_event::{DEFAULT_NAME, NAME_BYTES_MAX, RECORD_ID_PARTS_MAX, RecordId, Timestamp};
use afterimage_store::{
    Dimension, Direction, ExportFormat, Filter, Grants, LIMIT_MAX, Listing, Period, RecordQuery, window_micros,
};
use percent_encoding::percent_decode_str;

use crate::operation::{Kind, Operation, Param, RECORD_ID_BYTES_MAX};
use crate::{Problem, ProblemKind};

/// Most parameters of a request: as many records as may be asked for at once, and all others.
const PARAMETERS_MAX: usize = 128;
/// Longest name or value that is repeated in a problem.
const SHOWN_BYTES_MAX: usize = 64;

/// The query of a request: every parameter known, given once where it may be once, and of its kind.
#[derive(Debug)]
pub(crate) struct Query {
    operation: &'static Operation,
    pairs: Vec<(&'static Param, String)>,
}

impl Query {
    /// Reads and checks everything that was sent.
    pub(crate) fn read(operation: &'static Operation, text: Option<&str>) -> Result<Self, Problem> {
        let mut pairs: Vec<(&'static Param, String)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == PARAMETERS_MAX {
                return Err(Problem::new(
                    ProblemKind::BadParameter,
                    format!("more than {PARAMETERS_MAX} parameters; ask in several requests"),
                ));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                Problem::new(ProblemKind::BadParameter, "the name of a parameter is not UTF-8, percent-encoded")
            })?;
            let param = operation.query().find(|param| param.name == name).ok_or_else(|| unknown(operation, &name))?;
            let value = decode(value)
                .ok_or_else(|| Problem::parameter(param.name, format!("{}: not UTF-8, percent-encoded", param.name)))?;
            if !param.repeats() && pairs.iter().any(|(seen, _)| seen.name == param.name) {
                return Err(Problem::parameter(param.name, format!("{}: given more than once", param.name)));
            }
            if let Kind::Records { items_max } = param.kind
                && pairs.iter().filter(|(seen, _)| seen.name == param.name).count() == items_max
            {
                return Err(Problem::parameter(
                    param.name,
                    format!("{}: more than {items_max}; ask in several requests", param.name),
                ));
            }
            check(param, &value)
                .map_err(|problem| Problem::parameter(param.name, format!("{}: {problem}", param.name)))?;
            pairs.push((param, value));
        }
        if let Some(missing) =
            operation.query().find(|param| param.required && !pairs.iter().any(|(given, _)| given.name == param.name))
        {
            return Err(Problem::parameter(missing.name, format!("{}: must be given", missing.name)));
        }
        Ok(Self { operation, pairs })
    }

    fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.pairs.iter().filter(move |(param, _)| param.name == name).map(|(_, value)| value.as_str())
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(param, _)| param.name == name).map(|(_, value)| value.as_str())
    }

    /// What is read from the text of a parameter, which was checked when it was read first.
    fn parsed<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Problem> {
        let problem = |problem| Problem::parameter(name, format!("{name}: {problem}"));
        self.text(name).map(|text| read(text).map_err(problem)).transpose()
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parsed(name, time)
    }

    /// A time that must be there.
    pub(crate) fn time_required(&self, name: &str) -> Result<Timestamp, Problem> {
        self.time(name)?.ok_or_else(|| Problem::parameter(name, format!("{name}: must be given")))
    }

    /// A time, or now.
    pub(crate) fn time_or_now(&self, name: &str) -> Result<Timestamp, Problem> {
        Ok(self.time(name)?.unwrap_or_else(now))
    }

    /// A number, or its default.
    pub(crate) fn count(&self, name: &str) -> Result<u64, Problem> {
        let default = self.operation.query().find(|param| param.name == name).map(|param| param.kind);
        let default = if let Some(Kind::Count { default, .. }) = default { default } else { 0 };
        Ok(self.parsed(name, |text| text.parse().map_err(|_| String::new()))?.unwrap_or(default))
    }

    /// A duration in microseconds, or its default.
    pub(crate) fn micros(&self, name: &str) -> Result<i64, Problem> {
        let default = self.operation.query().find_map(|param| match param.kind {
            Kind::Duration { default } if param.name == name => Some(default),
            _ => None,
        });
        let read = window_micros(self.text(name).or(default).unwrap_or_default());
        read.map_err(|problem| Problem::parameter(name, format!("{name}: {problem}")))
    }

    /// The names of a list, each once, in the order given; its default where there is none.
    fn choices(&self, name: &str) -> Vec<String> {
        let mut seen = HashSet::new();
        let given = self.all(name).flat_map(|text| text.split(','));
        let given: Vec<String> = given.filter(|item| seen.insert(item.to_owned())).map(str::to_owned).collect();
        if !given.is_empty() {
            return given;
        }
        let defaults = self.operation.query().find_map(|param| match param.kind {
            Kind::Choices { default, .. } if param.name == name => Some(default),
            _ => None,
        });
        defaults.unwrap_or_default().iter().map(|&item| item.to_owned()).collect()
    }

    /// Dimensions.
    pub(crate) fn dimensions(&self, name: &str) -> Result<Vec<Dimension>, Problem> {
        let read = |text: &String| text.parse().map_err(|error| Problem::parameter(name, format!("{name}: {error}")));
        self.choices(name).iter().map(read).collect()
    }

    /// The tenant.
    pub(crate) fn tenant(&self) -> String {
        self.text("tenant").unwrap_or(DEFAULT_NAME).to_owned()
    }

    /// Which entries.
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let owned = |name| self.text(name).map(str::to_owned);
        let ops = self.choices("op").iter().map(|text| text.parse()).collect::<Result<_, _>>();
        Ok(Filter {
            tenant: self.tenant(),
            source: owned("source"),
            table: owned("table"),
            ops: ops.map_err(|error| Problem::parameter("op", format!("op: {error}")))?,
            field: owned("field"),
            actor: owned("actor"),
            request: owned("request"),
            transaction: owned("transaction"),
            migration: owned("migration"),
        })
    }

    /// From when to when.
    pub(crate) fn period(&self) -> Result<Period, Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Problem::parameter("to", "to: lies before from; exchange the two"));
        }
        Ok(Period { from, to })
    }

    /// Which part of a list.
    pub(crate) fn listing(&self) -> Result<Listing, Problem> {
        let Period { from, to } = self.period()?;
        let order = if self.text("order") == Some("asc") { Direction::Ascending } else { Direction::Descending };
        let limit = usize::try_from(self.count("limit")?).unwrap_or(usize::MAX);
        Ok(Listing { from, to, order, limit, cursor: self.text("cursor").map(str::to_owned) })
    }

    /// How all of a list is written out; `None` where a page of it is asked for, or an answer that is no list.
    pub(crate) fn format(&self) -> Option<ExportFormat> {
        let default = self.operation.query().find_map(|param| match param.kind {
            Kind::Choice { default, .. } if param.name == "format" => Some(default),
            _ => None,
        });
        self.text("format").or(default)?.parse().ok()
    }

    /// All of a list.
    pub(crate) fn whole_listing(&self) -> Result<Listing, Problem> {
        if let Some(name) = ["limit", "cursor"].into_iter().find(|name| self.text(name).is_some()) {
            let detail = format!("{name}: goes with pages; ndjson and csv hold all of a list, so leave it out");
            return Err(Problem::parameter(name, detail));
        }
        Ok(Listing { limit: LIMIT_MAX, ..self.listing()? })
    }

    /// The record of a path such as `/v1/records/{table}/{id}/history`, not decoded yet: a comma that is part of an id is
    /// only told from those between parts before that.
    pub(crate) fn record(&self, path: &str) -> Result<RecordQuery, Problem> {
        let mut segments = path.split('/').skip(3);
        let (table, id) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let (table, record_id) = record_parts(table, id)?;
        Ok(RecordQuery { tenant: self.tenant(), source: self.text("source").map(str::to_owned), table, record_id })
    }

    /// The records that the question names, in its path or its parameters.
    pub(crate) fn named(&self, path: &str) -> Result<Vec<RecordQuery>, Problem> {
        if self.operation.is_of_record() { Ok(vec![self.record(path)?]) } else { self.records() }
    }

    /// Do these grants let the question be asked? The trail refuses it otherwise; this says so before it is asked.
    pub(crate) fn is_granted(&self, records: &[RecordQuery], grants: &Grants) -> bool {
        let could_show = |source: Option<&str>, table: Option<&str>, id: Option<&[String]>| {
            grants.could_show(&self.tenant(), source, table, id)
        };
        match records {
            [] => could_show(self.text("source"), self.text("table"), None),
            _ => records
                .iter()
                .all(|record| could_show(record.source.as_deref(), Some(&record.table), Some(&record.record_id))),
        }
    }

    /// What the question is about, as far as it names it: these records, or a table.
    pub(crate) fn subjects(&self, records: Vec<RecordQuery>) -> Vec<Subject> {
        let of = |record: RecordQuery| Subject { table: Some(record.table), record_id: record.record_id };
        let subjects: Vec<_> = records.into_iter().map(of).collect();
        let table = self.text("table").map(|table| Subject { table: Some(table.to_owned()), record_id: Vec::new() });
        if subjects.is_empty() { table.into_iter().collect() } else { subjects }
    }

    /// The names and values that were sent.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(|(param, value)| (param.name.to_owned(), value.clone())).collect()
    }

    /// The records of a question about several.
    pub(crate) fn records(&self) -> Result<Vec<RecordQuery>, Problem> {
        self.all("record").map(|text| self.one_of_records(text)).collect()
    }

    fn one_of_records(&self, text: &str) -> Result<RecordQuery, Problem> {
        let named = |problem: &str| Problem::parameter("record", format!("record: {problem}"));
        let parts: Vec<&str> = text.split('/').collect();
        let (source, table, id) = match parts[..] {
            [source, table, id] if !id.is_empty() => (Some(source), table, id),
            [table, id] if !id.is_empty() => (None, table, id),
            _ => return Err(named("expected source/table/id or table/id; a slash within a part is written %2F")),
        };
        let (table, record_id) = record_parts(table, id).map_err(|problem| named(problem.detail()))?;
        let source = source.map(|source| name("source", source)).transpose();
        let source = source.map_err(|problem| named(problem.detail()))?;
        Ok(RecordQuery { tenant: self.tenant(), source, table, record_id })
    }
}

fn record_parts(table: &str, id: &str) -> Result<(String, Vec<String>), Problem> {
    let table = name("table", table)?;
    let RecordId(parts) = id.parse().map_err(|error| Problem::parameter("id", format!("id: {error}")))?;
    let bytes = parts.iter().map(|part| part.len() + 1).sum::<usize>();
    if parts.len() > RECORD_ID_PARTS_MAX || bytes > RECORD_ID_BYTES_MAX + 1 {
        let expected = format!("id: at most {RECORD_ID_PARTS_MAX} parts, {RECORD_ID_BYTES_MAX} bytes together");
        return Err(Problem::parameter("id", expected));
    }
    Ok((table, parts))
}

/// A name, percent-encoded.
fn name(parameter: &str, text: &str) -> Result<String, Problem> {
    let decoded = percent_decode_str(text).decode_utf8();
    match decoded {
        Ok(name) if (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0') => Ok(name.into_owned()),
        _ => {
            let expected = format!("{parameter}: expected 1 to {NAME_BYTES_MAX} bytes of UTF-8, percent-encoded");
            Err(Problem::parameter(parameter, expected))
        }
    }
}

/// A name or value of a query: percent-encoded, a plus sign for a space (WHATWG URL, `application/x-www-form-urlencoded`).
fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn unknown(operation: &Operation, name: &str) -> Problem {
    let known: Vec<_> = operation.query().map(|param| param.name).collect();
    let shown = &name[..name.floor_char_boundary(SHOWN_BYTES_MAX)];
    Problem::parameter(
        shown,
        format!("no parameter of this question is called {shown:?}; it takes {}", known.join(", ")),
    )
}

/// Is this a value of the parameter's kind? If not: what was expected.
fn check(param: &Param, value: &str) -> Result<(), String> {
    match param.kind {
        Kind::Text { bytes_max } if !(1..=bytes_max).contains(&value.len()) => {
            Err(format!("expected 1 to {bytes_max} bytes; leave it out to ask about all"))
        }
        // Some stores end a text there.
        Kind::Text { .. } if value.contains('\0') => Err("a NUL character is in no name or id".to_owned()),
        Kind::Text { .. } | Kind::Records { .. } => Ok(()),
        Kind::Time => time(value).map(drop),
        Kind::Count { min, max, .. } => match value.parse::<u64>() {
            Ok(count) if (min..=max).contains(&count) && value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
            _ => Err(format!("expected a whole number from {min} to {max}")),
        },
        Kind::Duration { .. } => window_micros(value).map(drop).map_err(|problem| problem.to_string()),
        Kind::Choice { names, .. } if names.contains(&value) => Ok(()),
        Kind::Choices { names, .. } if value.split(',').all(|item| names.contains(&item)) => Ok(()),
        Kind::Choice { names, .. } | Kind::Choices { names, .. } => Err(format!("expected {}", names.join(", "))),
    }
}

/// RFC 3339, or a date alone: its first moment in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let read = if is_date { Timestamp::from_str(&format!("{text}T00:00:00Z")) } else { text.parse() };
    read.map_err(|_| {
        "expected RFC 3339 such as 2026-01-09T10:00:05.120Z (a plus sign of the offset is written %2B), or a date such as \
         2026-01-09"
            .to_owned()
    })
}

/// The clock of this machine.
fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let epoch = Timestamp::from_micros(0).unwrap_or_else(|_| unreachable!("1970 can be shown"));
    epoch.saturating_add_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
