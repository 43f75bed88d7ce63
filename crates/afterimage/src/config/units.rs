//! Durations and sizes as people write them: `5s`, `20m`, `11h`; `64KiB`, `128MiB`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Bytes; read and shown with a binary unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Milliseconds in each unit.
const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Longest duration that can be configured: far beyond any use, far from any overflow.
const DURATION_MS_MAX: u64 = 1_000 * 3_600_000;

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        number_and_unit(text)
            .and_then(|(number, unit)| {
                let (_, bytes) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
                number.checked_mul(*bytes)
            })
            .map(Self)
            .ok_or_else(|| "expected a size such as 64KiB, 128MiB or 1GiB".to_owned())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes) =
            SIZE_UNITS.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes)).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / bytes)
    }
}

/// Reads a whole number with a unit from ms to h.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    number_and_unit(text)
        .and_then(|(number, unit)| {
            let (_, ms) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*ms).filter(|ms| *ms <= DURATION_MS_MAX)
        })
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a duration such as 500ms, 5s, 20m or 11h (at most 1000h)".to_owned())
}

/// Shows a duration as [`duration`] reads it, in the largest unit that divides it.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis() as u64; // DURATION_MS_MAX fits
    let (name, unit) =
        DURATION_UNITS.iter().rev().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)).unwrap_or(&("ms", 1));
    format!("{}{name}", ms / unit)
}

/// Reads a whole number within bounds; says the bounds when it is not one.
pub(crate) fn count<T>(bounds: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: Clone + FromStr + PartialOrd + fmt::Display + Send + Sync + 'static,
{
    move |text| {
        text.parse().ok().filter(|count| bounds.contains(count)).ok_or_else(|| {
            match (bounds.start(), bounds.end().to_string()) {
                (from, to) if to == u64::MAX.to_string() => format!("expected a whole number, {from} or more"),
                (from, to) => format!("expected a whole number from {from} to {to}"),
            }
        })
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_shown_as_they_are_read() {
        for text in ["0ms", "500ms", "5s", "90s", "20m", "11h"] {
            let shown = show_duration(duration(text).unwrap());
            assert_eq!(duration(&shown).unwrap(), duration(text).unwrap(), "{text} shown as {shown}");
        }
        assert_eq!(show_duration(duration("3600s").unwrap()), "1h");
        for text in ["1B", "1023B", "64KiB", "128MiB", "3GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_has_no_unit_or_too_much_of_it_is_refused() {
        for text in ["", "5", "s", "5 s", "-5s", "1.5h", "5sec", "1d", "1001h", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "128", "MiB", "128MB", "18446744073709551615GiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
