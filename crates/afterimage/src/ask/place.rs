//! Where the query API answers a question: path and query (design §7).

use afterimage_event::{RecordId, Timestamp};
use afterimage_store::{Direction, ExportFormat, Filter, Listing, Period, RecordQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Export, Question};
use crate::config::show_duration;

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path with its query.
struct Place(String, char);

impl Place {
    fn at(path: impl Into<String>) -> Self {
        Self(path.into(), '?')
    }

    fn of(record: &RecordQuery, what: &str) -> Self {
        let path = format!("/v1/records/{}/{}/{what}", escaped(&record.table), escaped_id(&record.record_id));
        Self::at(path).with("tenant", Some(&record.tenant)).with("source", record.source.as_deref())
    }

    fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.0.push(self.1);
            self.1 = '&';
            self.0.extend([name, "=", &escaped(value)]);
        }
        self
    }

    fn time(self, name: &str, moment: Option<Timestamp>) -> Self {
        self.with(name, moment.map(|moment| moment.to_string()).as_deref())
    }

    fn period(self, period: Period) -> Self {
        self.time("from", period.from).time("to", period.to)
    }

    /// A page, or as lines all of it.
    fn listing(self, listing: &Listing, lines: Option<ExportFormat>) -> Self {
        let order = if listing.order == Direction::Ascending { "asc" } else { "desc" };
        let limit = lines.is_none().then(|| listing.limit.to_string());
        self.period(Period { from: listing.from, to: listing.to })
            .with("limit", limit.as_deref())
            .with("order", Some(order))
            .with("cursor", listing.cursor.as_deref())
    }

    fn filter(self, filter: &Filter) -> Self {
        let ops = filter.ops.iter().map(|op| op.as_str()).collect::<Vec<_>>().join(",");
        self.with("tenant", Some(&filter.tenant))
            .with("source", filter.source.as_deref())
            .with("table", filter.table.as_deref())
            .with("op", Some(ops.as_str()).filter(|ops| !ops.is_empty()))
            .with("field", filter.field.as_deref())
            .with("actor", filter.actor.as_deref())
            .with("request", filter.request.as_deref())
            .with("transaction", filter.transaction.as_deref())
            .with("migration", filter.migration.as_deref())
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn escaped_id(parts: &[String]) -> String {
    RecordId(parts.to_vec()).to_string()
}

fn by(dimensions: &[afterimage_store::Dimension]) -> String {
    dimensions.iter().map(|dimension| dimension.as_str()).collect::<Vec<_>>().join(",")
}

impl Question {
    /// Path and query.
    pub(super) fn place(&self) -> String {
        self.in_format(None)
    }

    fn in_format(&self, lines: Option<ExportFormat>) -> String {
        match self {
            Self::History(record, listing) => Place::of(record, "history").listing(listing, lines),
            Self::State(record, at) => Place::of(record, "state").time("at", Some(*at)),
            Self::States(record, listing) => Place::of(record, "states").listing(listing, lines),
            Self::Diff(record, from, to) => {
                Place::of(record, "diff").period(Period { from: Some(*from), to: Some(*to) })
            }
            Self::Revert(record, to) => Place::of(record, "revert").time("to", Some(*to)),
            Self::Gaps(record, listing) => Place::of(record, "gaps").listing(listing, lines),
            Self::TableGaps(table, listing) => Place::at("/v1/gaps")
                .with("tenant", Some(&table.tenant))
                .with("source", table.source.as_deref())
                .with("table", Some(&table.table))
                .listing(listing, lines),
            Self::Changes(filter, listing) => Place::at("/v1/changes").filter(filter).listing(listing, lines),
            Self::Feed(filter, listing) => Place::at("/v1/feed").filter(filter).listing(listing, lines),
            Self::Counts(filter, period, dimensions) => {
                Place::at("/v1/counts").filter(filter).period(*period).with("by", Some(&by(dimensions)))
            }
            Self::Bursts(filter, period, rule) => {
                let window = std::time::Duration::from_micros(rule.window_micros.unsigned_abs());
                Place::at("/v1/bursts")
                    .filter(filter)
                    .period(*period)
                    .with("by", Some(&by(&rule.by)))
                    .with("window", Some(&show_duration(window)))
                    .with("threshold", Some(&rule.threshold.to_string()))
            }
            Self::StatesAt(records, at) => {
                let tenant = records.first().map(|record| record.tenant.as_str());
                let place = Place::at("/v1/states").with("tenant", tenant).time("at", Some(*at));
                records.iter().fold(place, |place, record| {
                    let source = record.source.iter().map(|source| escaped(source) + "/").collect::<String>();
                    let name = format!("{source}{}/{}", escaped(&record.table), escaped_id(&record.record_id));
                    place.with("record", Some(&name))
                })
            }
        }
        .with("format", lines.map(ExportFormat::as_str))
        .0
    }
}

impl Export {
    /// Path and query.
    pub(super) fn place(&self) -> String {
        self.question.in_format(Some(self.format))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_urls_so_that_nothing_in_them_steers() {
        let record = RecordQuery {
            tenant: "a&b".into(),
            source: None,
            table: "public.us/ers".into(),
            record_id: vec!["x,y".into(), "50 %?".into()],
        };
        let at: Timestamp = "2026-01-09T10:00:00Z".parse().unwrap();
        assert_eq!(
            Question::State(record.clone(), at).place(),
            "/v1/records/public.us%2Fers/x%2Cy,50%20%25%3F/state?tenant=a%26b&at=2026-01-09T10%3A00%3A00.000000Z"
        );
        let named = RecordQuery { source: Some("s".into()), ..record };
        assert_eq!(
            Question::StatesAt(vec![named], at).place(),
            "/v1/states?tenant=a%26b&at=2026-01-09T10%3A00%3A00.000000Z&record=s%2Fpublic.us%252Fers%2Fx%252Cy%2C50%2520%2525%253F"
        );
        let filter = Filter { tenant: "t".into(), actor: Some("zoë".into()), ..Filter::default() };
        assert_eq!(
            Question::Changes(filter.clone(), Listing::default()).place(),
            "/v1/changes?tenant=t&actor=zo%C3%AB&limit=100&order=desc"
        );
        let export = Export { question: Question::Changes(filter, Listing::default()), format: ExportFormat::Csv };
        assert_eq!(export.place(), "/v1/changes?tenant=t&actor=zo%C3%AB&order=desc&format=csv");
    }
}
