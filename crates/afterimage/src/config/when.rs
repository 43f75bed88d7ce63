//! Times as people write them.

use std::str::FromStr;

use afterimage_event::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::zone::Zone;

/// A time that was asked for: some depend on the clock or on the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This moment.
    At(Timestamp),
    /// So many microseconds before now.
    Ago(i64),
    /// The first moment of the day so many days before today, in the zone.
    DaysBack(i64),
    /// What clocks of the zone show.
    Local(DateTime),
}

/// The text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a time: 2026-01-09T10:00:05Z, 2026-01-09T10:00, 2026-01-09, now, today, yesterday, or how long ago: 90m, 24h, 2d, \
     1w"
)]
pub(crate) struct WhenError;

/// Microseconds of each unit. A day is 24 hours: what was asked for is as long in the night when clocks change.
const UNITS: [(&str, i64); 5] =
    [("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000), ("w", 604_800_000_000)];

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        match text {
            "now" => return Ok(Self::Ago(0)),
            "today" => return Ok(Self::DaysBack(0)),
            "yesterday" => return Ok(Self::DaysBack(1)),
            _ => {}
        }
        if let Some(micros) = ago(text) {
            return Ok(Self::Ago(micros));
        }
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        // A date is its first moment.
        if text.len() == "2026-01-09".len() {
            return text.parse::<Date>().map(|date| Self::Local(date.at(0, 0, 0, 0))).map_err(|_| WhenError);
        }
        // What bears an offset was read above or is none: the zone must not be guessed then.
        let is_local = text.get(10..).is_some_and(|time| !time.contains(['+', '-', 'Z', 'z', '[']));
        text.parse().ok().filter(|_| is_local).map(Self::Local).ok_or(WhenError)
    }
}

/// `24h`, or `24h-ago`.
fn ago(text: &str) -> Option<i64> {
    let text = text.strip_suffix("-ago").unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<i64>().ok()?.checked_mul(*micros)
}

impl When {
    /// The moment that is meant, now and in this zone.
    pub(crate) fn moment(self, now: Timestamp, zone: &Zone) -> Result<Timestamp, WhenError> {
        match self {
            Self::At(moment) => Ok(moment),
            Self::Ago(micros) => Ok(now.saturating_add_micros(-micros)),
            Self::Local(shown) => zone.moment(shown).ok_or(WhenError),
            Self::DaysBack(days) => {
                let today = zone.shown_at(now).ok_or(WhenError)?.date();
                let day = today.checked_sub(jiff::Span::new().days(days)).map_err(|_| WhenError)?;
                zone.moment(day.at(0, 0, 0, 0)).ok_or(WhenError)
            }
        }
    }

    /// Does it mean another moment when it is asked again?
    pub(crate) fn moves(self) -> bool {
        matches!(self, Self::Ago(_) | Self::DaysBack(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-03-30T22:30:00Z".parse().unwrap();
        let zone = Zone::named("Europe/Berlin");
        for (text, expected) in [
            ("2026-01-09T10:00:05.120Z", "2026-01-09T10:00:05.120000Z"),
            ("2026-01-09 10:00:05+02:00", "2026-01-09T08:00:05.000000Z"),
            ("2026-01-09T10:00", "2026-01-09T09:00:00.000000Z"),
            ("2026-01-09 10:00:05.5", "2026-01-09T09:00:05.500000Z"),
            ("2026-01-09", "2026-01-08T23:00:00.000000Z"),
            ("now", "2026-03-30T22:30:00.000000Z"),
            ("90s", "2026-03-30T22:28:30.000000Z"),
            ("24h", "2026-03-29T22:30:00.000000Z"),
            ("3h-ago", "2026-03-30T19:30:00.000000Z"),
            ("2d", "2026-03-28T22:30:00.000000Z"),
            ("1w", "2026-03-23T22:30:00.000000Z"),
            // In Berlin it is the 31st already, and summer since the 29th.
            ("today", "2026-03-30T22:00:00.000000Z"),
            ("yesterday", "2026-03-29T22:00:00.000000Z"),
        ] {
            let when: When = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(when.moment(now, &zone).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "24",
            "h",
            "-1h",
            "1y",
            "tomorrow",
            "2026-13-01",
            "2026-01-09T25:00",
            "10:00",
            "2026-01-09T10:00[x]",
            "99999999999w",
        ] {
            assert_eq!(text.parse::<When>(), Err(WhenError), "{text}");
        }
    }
}
