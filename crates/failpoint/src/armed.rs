//! What the variables say, read once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::Point;

/// Where to end, and how often the place may still be passed.
struct End {
    point: Point,
    left: AtomicI64,
}

pub(crate) fn reach(point: Point) {
    static END: OnceLock<Option<End>> = OnceLock::new();
    let end = END.get_or_init(|| std::env::var("AFTERIMAGE_FAILPOINT").ok().and_then(|text| parse(&text)));
    if let Some(end) = end.as_ref().filter(|end| end.point == point)
        && end.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        // No destructor runs, nothing is flushed.
        std::process::abort();
    }
}

pub(crate) fn clock_skew_micros() -> i64 {
    static SKEW_S: OnceLock<i64> = OnceLock::new();
    let told = || std::env::var("AFTERIMAGE_CLOCK_SKEW_S").ok().and_then(|text| text.parse().ok());
    SKEW_S.get_or_init(|| told().unwrap_or(0)).saturating_mul(1_000_000)
}

fn parse(text: &str) -> Option<End> {
    let (name, times) = text.split_once('=').unwrap_or((text, "1"));
    let point = Point::ALL.into_iter().find(|point| point.name() == name)?;
    Some(End { point, left: AtomicI64::new(times.parse().ok()?) })
}
