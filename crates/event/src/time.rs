//! Moments, as the trail keeps them.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
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
        let moment = EPOCH.checked_add(SignedDuration::from_micros(self.0)).map_err(|_| fmt::Error)?;
        write!(f, "{moment:.6}Z")
    }
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
