//! The wall clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

use afterimage_event::Timestamp;

/// Now; a clock that stands outside the years 1970 to 9999 reads as the nearer end.
pub(crate) fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let epoch = Timestamp::from_micros(0).unwrap_or_else(|_| unreachable!("1970 can be shown"));
    epoch.saturating_add_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
