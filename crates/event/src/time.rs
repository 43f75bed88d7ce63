//! Moments, as the trail keeps them.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;

/// A moment in microseconds since 1970-01-01T00:00:00Z.
///
/// Shown and read as RFC 3339; shown always in UTC with six digits, so that text order is time order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 date and time, or lies outside the years 0001 to 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 date and time between the years 0001 and 9999 (such as 2026-01-09T10:00:05.120Z)")]
pub struct TimestampError;

/// 0001-01-01T00:00:00Z, the earliest moment RFC 3339 can show with a four-digit year above zero.
const MICROS_MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z, the latest moment that RFC 3339 can show.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

/// Where microseconds are counted from, in UTC.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

impl Timestamp {
    /// The moment so many microseconds after 1970, when RFC 3339 can show it.
    ///
    /// # Errors
    /// [`TimestampError`] outside the years 0001 to 9999.
    pub fn from_micros(micros: i64) -> Result<Self, TimestampError> {
        if (MICROS_MIN..=MICROS_MAX).contains(&micros) { Ok(Self(micros)) } else { Err(TimestampError) }
    }

    /// The moment so many milliseconds after 1970: what SQS and SNS attributes carry.
    ///
    /// # Errors
    /// [`TimestampError`] outside the years 0001 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        Self::from_micros(millis.checked_mul(1000).ok_or(TimestampError)?)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment moved by so many microseconds, held within the years 0001 to 9999.
    #[must_use]
    pub fn saturating_add_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(MICROS_MIN, MICROS_MAX))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339, whatever its offset; digits below the microsecond are cut off.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // Not `jiff::Timestamp`, which ends a day before the year 9999 does: people write its last second for "never".
        let pieces = Pieces::parse(text).map_err(|_| TimestampError)?;
        let (Some(time), Some(offset)) = (pieces.time(), pieces.to_numeric_offset()) else {
            return Err(TimestampError);
        };
        let local = pieces.date().to_datetime(time).duration_since(EPOCH).as_nanos();
        let nanos = local - i128::from(offset.seconds()) * 1_000_000_000;
        Self::from_micros(i64::try_from(nanos.div_euclid(1000)).map_err(|_| TimestampError)?)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: several are written for every entry.
        let (second, micros) = (self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000));
        let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        let (year, month, day) = civil(day);
        let parts = [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, second / 3_600),
            (14, 2, second / 60 % 60),
            (17, 2, second % 60),
            (20, 6, micros),
        ];
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        for (start, digits, mut number) in parts {
            for digit in text[start..start + digits].iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        // Digits are ASCII.
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>): years begin in March, so that leap days come
/// last.
fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(DAYS_OF_400_YEARS), day.rem_euclid(DAYS_OF_400_YEARS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_and_shows_utc_with_six_digits() {
        for (text, shown) in [
            ("2026-01-09T10:00:05.120Z", "2026-01-09T10:00:05.120000Z"),
            ("2026-01-09T12:00:05+02:00", "2026-01-09T10:00:05.000000Z"),
            ("2026-01-09T10:00:05.1234569Z", "2026-01-09T10:00:05.123456Z"),
            ("1969-12-31T23:59:59.9999999Z", "1969-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
            ("0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00.000000Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn every_day_is_shown_as_the_calendar_has_it() {
        for day in (MICROS_MIN / 86_400_000_000..=MICROS_MAX / 86_400_000_000).step_by(11) {
            let micros = day * 86_400_000_000 + 86_399_999_999;
            let moment = EPOCH.checked_add(jiff::SignedDuration::from_micros(micros)).unwrap();
            assert_eq!(Timestamp(micros).to_string(), format!("{moment:.6}Z"));
        }
    }

    #[test]
    fn refuses_what_it_could_not_show() {
        assert!(Timestamp::from_micros(MICROS_MAX).is_ok());
        assert!(Timestamp::from_micros(MICROS_MAX + 1).is_err());
        assert!(Timestamp::from_micros(MICROS_MIN - 1).is_err());
        assert!(Timestamp::from_millis(i64::MAX).is_err());
        for text in [
            "yesterday",
            "2026-01-09",
            "2026-01-09T10:00:05",
            "10:00:05Z",
            "2026-02-30T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(Timestamp::from_micros(MICROS_MAX).unwrap().to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(MICROS_MIN).unwrap().to_string(), "0001-01-01T00:00:00.000000Z");
    }
}
