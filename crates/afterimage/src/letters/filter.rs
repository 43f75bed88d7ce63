//! Which letters are meant.

use std::str::FromStr;

use afterimage_event::Timestamp;
use wildmatch::WildMatch;

use super::Facts;

/// The text is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("expected KEY=GLOB, such as reason=not_json or worker=w-*")]
    Shape,
    #[error("expected one of the keys id, reason, via, format, source, table, worker, event, now, trail")]
    Key,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filter {
    key: Key,
    glob: WildMatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id,
    Reason,
    Via,
    Format,
    Source,
    Table,
    Worker,
    Event,
    Now,
    Trail,
}

const KEYS: [(&str, Key); 10] = [
    ("id", Key::Id),
    ("reason", Key::Reason),
    ("via", Key::Via),
    ("format", Key::Format),
    ("source", Key::Source),
    ("table", Key::Table),
    ("worker", Key::Worker),
    ("event", Key::Event),
    ("now", Key::Now),
    ("trail", Key::Trail),
];

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let (key, glob) = text.split_once('=').ok_or(FilterError::Shape)?;
        let (_, key) = KEYS.iter().find(|(name, _)| *name == key).ok_or(FilterError::Key)?;
        Ok(Self { key: *key, glob: WildMatch::new(glob) })
    }
}

impl Filter {
    pub(crate) fn needs_trail(&self) -> bool {
        self.key == Key::Trail
    }

    fn matches(&self, letter: &Facts) -> bool {
        let is = |text: &str| self.glob.matches(text);
        match self.key {
            Key::Id => is(&letter.message_id) || is(&letter.origin.message_id),
            Key::Reason => letter.reason.as_deref().is_some_and(is),
            Key::Via => is(letter.via),
            Key::Format => letter.formats.iter().any(|name| is(name)),
            Key::Source => letter.sources.iter().any(|name| is(name)),
            Key::Table => letter.tables.iter().any(|name| is(name)),
            Key::Worker => letter.worker.as_deref().is_some_and(is),
            Key::Event => letter.failed_events.iter().any(|index| is(&index.to_string())),
            Key::Now => is(letter.now),
            Key::Trail => letter.in_trail.as_ref().is_some_and(|trail| is(trail.state.as_str())),
        }
    }
}

/// The letters that are meant: of one key any filter, of several keys all, and within the period.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) filters: Vec<Filter>,
    /// Sent to this queue then or later.
    pub(crate) from: Option<Timestamp>,
    /// Sent before.
    pub(crate) to: Option<Timestamp>,
}

impl Selection {
    pub(crate) fn includes(&self, letter: &Facts) -> bool {
        let in_period =
            self.from.is_none_or(|from| letter.sent_at >= from) && self.to.is_none_or(|to| letter.sent_at < to);
        in_period
            && self.filters.iter().all(|filter| {
                let mut of_key = self.filters.iter().filter(|other| other.key == filter.key);
                of_key.any(|other| other.matches(letter))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(filters: &[&str]) -> bool {
        let filters = filters.iter().map(|text| text.parse().unwrap()).collect();
        Selection { filters, ..Selection::default() }.includes(&Facts::example())
    }

    #[test]
    fn of_one_key_any_of_several_keys_all() {
        assert!(includes(&[]));
        for filter in [
            "id=m-2",
            "id=m-1",
            "reason=bad_*",
            "via=worker",
            "format=native",
            "source=shop",
            "table=users",
            "worker=w-*",
            "event=12",
            "now=bad_value",
            "trail=partly",
        ] {
            assert!(includes(&[filter]), "{filter}");
        }
        for filter in ["id=m-3", "reason=not_json", "format=sequin", "event=1", "trail=in", "worker=w"] {
            assert!(!includes(&[filter]), "{filter}");
        }
        assert!(includes(&["reason=not_json", "reason=bad_value"]));
        assert!(!includes(&["reason=bad_value", "table=parts"]));
    }

    #[test]
    fn a_period_includes_its_start_and_not_its_end() {
        let at = |text: &str| Some(text.parse().unwrap());
        let includes = |from, to| Selection { from, to, ..Selection::default() }.includes(&Facts::example());
        assert!(includes(at("2026-01-09T10:00:05Z"), None) && !includes(at("2026-01-09T10:00:06Z"), None));
        assert!(includes(None, at("2026-01-09T10:00:06Z")) && !includes(None, at("2026-01-09T10:00:05Z")));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        assert_eq!("not_json".parse::<Filter>(), Err(FilterError::Shape));
        assert_eq!("colour=red".parse::<Filter>(), Err(FilterError::Key));
    }
}
