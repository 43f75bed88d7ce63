//! Time buckets: which part of time a row's partition covers. Times are µs since 1970.

const HOUR_US: i64 = 3_600_000_000;
/// Thirteen weeks: about a quarter, without a calendar.
const QUARTER_US: i64 = 13 * 7 * 24 * HOUR_US;

/// The thirteen weeks it lies in, counted from 1970.
///
/// Long, because most records, actors and fields have few entries and who reads them asks once for each bucket.
pub(crate) fn quarter(at_us: i64) -> i32 {
    part(at_us, QUARTER_US)
}

/// The hour it lies in, counted from 1970: for arrivals, and for indexes while they are busy.
pub(crate) fn hour(at_us: i64) -> i32 {
    part(at_us, HOUR_US)
}

/// Exact for the years 0001 to 9999, which have 88 million hours; open ends of a range are held at the ends of `i32`.
fn part(at_us: i64, length_us: i64) -> i32 {
    at_us.div_euclid(length_us).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use afterimage_event::Timestamp;

    use super::*;

    #[test]
    fn buckets_follow_time_also_before_1970_and_at_both_ends() {
        let times = [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:00:00Z",
            "2026-11-21T08:00:00Z",
            "9999-12-31T23:59:59.999999Z",
        ]
        .map(|text| text.parse::<Timestamp>().unwrap().as_micros());
        for pair in times.windows(2) {
            for bucket in [quarter, hour] {
                assert!(bucket(pair[0]) < bucket(pair[1]), "{pair:?}");
            }
        }
        for time in times {
            assert_eq!(i64::from(hour(time)), time.div_euclid(3_600_000_000));
            assert_eq!(hour(time).div_euclid(13 * 7 * 24), quarter(time), "an hour lies in one quarter");
        }
        assert_eq!((hour(i64::MIN), hour(i64::MAX)), (i32::MIN, i32::MAX));
    }
}
