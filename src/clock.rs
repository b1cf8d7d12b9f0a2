//! Times for people: of day, local, as tcpdump has them. JSON has nanoseconds since 1970 instead.
//!
//! The zone is TZ's or /etc/localtime's, read once; where neither can be read it is UTC.

use std::fmt;
use std::sync::OnceLock;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The time of day to the microsecond: `17:04:05.123456`.
pub(crate) fn micros(nanos: u64) -> String {
    shown(nanos, "%H:%M:%S%.6f", zone())
}

/// The time of day to the millisecond: `17:04:05.123`.
pub(crate) fn millis(nanos: u64) -> String {
    shown(nanos, "%H:%M:%S%.3f", zone())
}

/// Which zone that is: `JST (+09:00)`.
pub(crate) fn zone_name() -> String {
    name(Timestamp::now(), zone())
}

/// Dates the lines of a log, with their offset.
pub(crate) struct Dated;

impl FormatTime for Dated {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = Timestamp::now().to_zoned(zone().clone());
        write!(w, "{}", now.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z"))
    }
}

fn zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(TimeZone::system)
}

fn shown(nanos: u64, format: &str, zone: &TimeZone) -> String {
    let time = Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

fn name(now: Timestamp, zone: &TimeZone) -> String {
    let now: Zoned = now.to_zoned(zone.clone());
    now.strftime("%Z (%:z)").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_zones() {
        // Rules in words, which need no zone files: those of central Europe, and Tokyo's.
        let (berlin, tokyo) = ("CET-1CEST,M3.5.0,M10.5.0/3", "JST-9");
        let (winter, summer) = (1_737_000_000_123_456_789, 1_752_000_000_000_999_999);
        for (zone, at, micros, called) in [
            (berlin, winter, "05:00:00.123456", "CET (+01:00)"),
            (berlin, summer, "20:40:00.000999", "CEST (+02:00)"),
            (tokyo, winter, "13:00:00.123456", "JST (+09:00)"),
        ] {
            let zone = TimeZone::posix(zone).unwrap();
            assert_eq!(shown(at, "%H:%M:%S%.6f", &zone), micros);
            let now = Timestamp::from_nanosecond(at.into()).unwrap();
            assert_eq!(name(now, &zone), called);
        }
        assert_eq!(shown(winter, "%H:%M:%S%.3f", &TimeZone::UTC), "04:00:00.123");
        assert!(!shown(u64::MAX, "%H", &TimeZone::UTC).is_empty());
    }
}
