//! The zone that times are shown in, and read in where they bear none.

use afterimage_event::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A time zone: that of this machine, or UTC.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub(crate) fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this machine: `TZ`, else `/etc/localtime`; UTC where neither says one.
    ///
    /// Beside it what is wrong, where `TZ` says one that is not known here: who reads times must know that they are UTC.
    pub(crate) fn local() -> (Self, Option<String>) {
        let said = std::env::var_os("TZ").filter(|name| !name.is_empty());
        match (TimeZone::try_system(), said) {
            (Ok(zone), _) if !zone.is_unknown() => (Self(zone), None),
            (_, Some(name)) => (Self::utc(), Some(unknown(&name.to_string_lossy()))),
            _ => (Self::utc(), None),
        }
    }

    /// This zone by its name in the IANA database.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap())
    }

    /// The moment at which clocks of this zone show that. Where they are put forward over it: as before they were; where
    /// they show it twice: the first time.
    pub(crate) fn moment(&self, shown: DateTime) -> Option<Timestamp> {
        let moment = self.0.to_ambiguous_zoned(shown).compatible().ok()?.timestamp();
        Timestamp::from_micros(moment.as_microsecond()).ok()
    }

    /// What clocks of this zone show at a moment.
    pub(crate) fn shown_at(&self, moment: Timestamp) -> Option<DateTime> {
        let moment = jiff::Timestamp::from_microsecond(moment.as_micros()).ok()?;
        Some(self.0.to_datetime(moment))
    }

    /// A moment, to the millisecond where it has no finer digits: what is shown can be given back as `--at` and means the
    /// same moment. Behind it stands the offset from UTC, `Z` where there is none.
    pub(crate) fn show(&self, moment: Timestamp) -> String {
        let Ok(exact) = jiff::Timestamp::from_microsecond(moment.as_micros()) else { return moment.to_string() };
        let digits = if moment.as_micros() % 1_000 == 0 { "%.3f" } else { "%.6f" };
        let local = exact.to_zoned(self.0.clone());
        let offset = if local.offset().is_zero() { "Z" } else { "%:z" };
        local.strftime(&format!("%Y-%m-%d %H:%M:%S{digits}{offset}")).to_string()
    }

    /// [`Self::show`] of a time as answers bear it; what is none is shown as it is.
    pub(crate) fn show_text(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |moment| self.show(moment))
    }
}

fn unknown(name: &str) -> String {
    format!("TZ: no time zone {name:?} is known on this machine; times are UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_an_offset_is_shown_as_utc_is() {
        let london = Zone::named("Europe/London");
        assert_eq!(london.show_text("2026-01-09T10:00:05.120000Z"), "2026-01-09 10:00:05.120Z");
        assert_eq!(london.show_text("2026-07-09T10:00:05.120000Z"), "2026-07-09 11:00:05.120+01:00");
        assert_eq!(Zone::named("UTC").show_text("2026-01-09T10:00:05.120000Z"), "2026-01-09 10:00:05.120Z");
    }

    #[test]
    fn a_time_is_shown_with_its_offset_and_means_the_same_when_read_back() {
        let berlin = Zone::named("Europe/Berlin");
        for (text, in_utc, in_berlin) in [
            ("2026-01-09T10:00:05.120000Z", "2026-01-09 10:00:05.120Z", "2026-01-09 11:00:05.120+01:00"),
            ("2026-07-09T23:00:05.120999Z", "2026-07-09 23:00:05.120999Z", "2026-07-10 01:00:05.120999+02:00"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31 23:59:59.999999Z", "1970-01-01 00:59:59.999999+01:00"),
        ] {
            assert_eq!(Zone::utc().show_text(text), in_utc);
            assert_eq!(berlin.show_text(text), in_berlin);
            for shown in [in_utc, in_berlin] {
                assert_eq!(shown.parse::<Timestamp>().unwrap().to_string(), text);
            }
        }
        // The year 9999 ends a day earlier where time zones are reckoned with.
        assert_eq!(berlin.show_text("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z");
        assert_eq!(berlin.show_text("later"), "later");
    }

    #[test]
    fn a_time_without_an_offset_is_one_of_the_zone() {
        let berlin = Zone::named("Europe/Berlin");
        for (local, expected) in [
            ("2026-01-09T11:00", "2026-01-09T10:00:00.000000Z"),
            ("2026-03-29T02:30", "2026-03-29T01:30:00.000000Z"),
            ("2026-10-25T02:30", "2026-10-25T00:30:00.000000Z"),
        ] {
            assert_eq!(berlin.moment(local.parse().unwrap()).unwrap().to_string(), expected, "{local}");
        }
    }
}
