//! Settings of a table that are single values.

use std::fmt;
use std::str::FromStr;

/// Which images an entry keeps (design §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Images {
    /// The image after; of a delete the image before.
    #[default]
    After,
    /// The changes, and the image after only now and then: see [`Images::keeps_after`].
    Changes,
    /// The names that changed, no values at all.
    Names,
}

/// With [`Images::Changes`], one entry in so many keeps its image, so a past state folds about as many entries.
const IMAGE_EVERY: u8 = 64;

impl Images {
    /// The name in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Changes => "changes",
            Self::Names => "names",
        }
    }

    /// Does the entry of this event keep its image after, when the changes tell it as well
    /// ([`crate::Delta::after_is_derivable`])? Decided by the id alone, so that every worker decides alike.
    #[must_use]
    pub fn keeps_after(self, event_id: &str) -> bool {
        match self {
            Self::After => true,
            Self::Changes => blake3::hash(event_id.as_bytes()).as_bytes()[0].is_multiple_of(IMAGE_EVERY),
            Self::Names => false,
        }
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no images policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of after, changes, names")]
pub struct ParseImagesError;

impl FromStr for Images {
    type Err = ParseImagesError;

    fn from_str(text: &str) -> Result<Self, ParseImagesError> {
        [Self::After, Self::Changes, Self::Names].into_iter().find(|one| one.as_str() == text).ok_or(ParseImagesError)
    }
}

/// How long entries are kept, counted from when the change happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Retention {
    /// For ever.
    #[default]
    Forever,
    /// So many microseconds.
    Micros(i64),
}

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;
/// Every year counts as a leap year, so ten years are never short of the ten that a law asks for.
const YEAR_DAYS: i64 = 366;

impl Retention {
    /// Microseconds, when it ends.
    #[must_use]
    pub const fn micros(self) -> Option<i64> {
        match self {
            Self::Forever => None,
            Self::Micros(micros) => Some(micros),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Micros(micros) => write!(f, "{micros} µs"),
        }
    }
}

/// The text is no retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `forever` or a whole number above zero with h, d, w or y, such as 90d or 7y")]
pub struct ParseRetentionError;

impl FromStr for Retention {
    type Err = ParseRetentionError;

    /// Reads `forever`, or hours, days, weeks, years (of 366 days): `36h`, `90d`, `52w`, `10y`. No months: their length differs.
    fn from_str(text: &str) -> Result<Self, ParseRetentionError> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let mut chars = text.chars();
        let unit = match chars.next_back() {
            Some('h') => HOUR_MICROS,
            Some('d') => DAY_MICROS,
            Some('w') => 7 * DAY_MICROS,
            Some('y') => YEAR_DAYS * DAY_MICROS,
            _ => return Err(ParseRetentionError),
        };
        let digits = chars.as_str();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseRetentionError);
        }
        let count: i64 = digits.parse().map_err(|_| ParseRetentionError)?;
        match count.checked_mul(unit) {
            Some(micros) if micros > 0 => Ok(Self::Micros(micros)),
            _ => Err(ParseRetentionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retentions_are_read_with_their_unit_and_never_short() {
        assert_eq!("forever".parse(), Ok(Retention::Forever));
        assert_eq!("36h".parse(), Ok(Retention::Micros(36 * 3_600_000_000)));
        assert_eq!("2w".parse(), "14d".parse::<Retention>());
        let ten_years = "10y".parse::<Retention>().unwrap().micros().unwrap();
        assert!(ten_years >= (10 * 365 + 3) * DAY_MICROS);
        for text in ["", "7", "d", "0d", "-1d", "+1d", "1.5d", "3m", "7 d", "99999999999y", "7µ"] {
            assert_eq!(text.parse::<Retention>(), Err(ParseRetentionError), "{text}");
        }
    }

    #[test]
    fn about_one_entry_in_sixty_four_keeps_its_image() {
        let kept = (0..64_000).filter(|n| Images::Changes.keeps_after(&format!("event-{n}"))).count();
        assert!((800..1_200).contains(&kept), "{kept}");
        assert!(Images::After.keeps_after("x") && !Images::Names.keeps_after("x"));
    }

    #[test]
    fn names_are_read_back() {
        for images in [Images::After, Images::Changes, Images::Names] {
            assert_eq!(images.to_string().parse(), Ok(images));
        }
        assert_eq!("all".parse::<Images>(), Err(ParseImagesError));
    }
}
