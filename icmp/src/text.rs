//! ping's words: each line as iputils prints it.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::session::{Event, Note};
use crate::stats::Stats;

/// Bytes of the IPv4 and ICMP headers, which ping adds in its first line.
const HEADERS: usize = 28;

/// The first line.
#[must_use]
pub fn opening(name: &str, address: Ipv4Addr, size: usize) -> String {
    format!("PING {name} ({address}) {size}({}) bytes of data.", size + HEADERS)
}

/// The line about something that was seen.
#[must_use]
pub fn event(event: &Event) -> String {
    match event {
        Event::Reply { seq, from, ttl, bytes, rtt, note } => {
            let ttl = ttl.map_or_else(String::new, |ttl| format!(" ttl={ttl}"));
            let note = match note {
                Note::Plain => String::new(),
                Note::Duplicate => " (DUP!)".into(),
                Note::BadChecksum => " (BAD CHECKSUM!)".into(),
                Note::Changed(at) => format!("\nwrong data byte #{at}"),
                Note::Truncated => " (truncated)".into(),
            };
            format!("{bytes} bytes from {from}: icmp_seq={seq}{ttl} time={} ms{note}", time(*rtt))
        }
        Event::Error { seq, from, kind, code, mtu } => {
            format!("From {from} icmp_seq={seq} {}", reason(*kind, *code, *mtu))
        }
    }
}

/// The closing lines, without the blank one before them.
#[must_use]
pub fn closing(name: &str, stats: &Stats) -> String {
    let mut counts = format!("{} packets transmitted, {} received, ", stats.sent, stats.received);
    let mut further = |n: u64, what: &str| {
        if n > 0 {
            counts += &format!("+{n} {what}, ");
        }
    };
    further(stats.duplicates, "duplicates");
    further(stats.corrupt, "corrupted");
    further(stats.errors, "errors");
    let mut text = format!(
        "--- {name} ping statistics ---\n{counts}{}% packet loss, time {}ms",
        percent(stats.loss_percent()),
        stats.elapsed.as_millis()
    );
    if let Some(s) = stats.summary() {
        let ms = |d: Duration| format!("{:.3}", d.as_secs_f64() * 1000.0);
        text += &format!(
            "\nrtt min/avg/max/mdev = {}/{}/{}/{} ms",
            ms(s.min),
            ms(s.avg),
            ms(s.max),
            ms(s.mdev)
        );
        let at = |p| ms(stats.percentile(p).unwrap_or_default());
        text += &format!(
            "\nrtt p50/p90/p99 = {}/{}/{} ms, jitter {} ms",
            at(50),
            at(90),
            at(99),
            ms(stats.jitter())
        );
    }
    text
}

/// A round trip in milliseconds with the digits ping gives it: three figures' worth.
#[must_use]
pub fn time(rtt: Duration) -> String {
    let ms = rtt.as_secs_f64() * 1000.0;
    if ms >= 99.95 {
        format!("{ms:.0}")
    } else if ms >= 9.995 {
        format!("{ms:.1}")
    } else if ms >= 0.9995 {
        format!("{ms:.2}")
    } else {
        format!("{ms:.3}")
    }
}

/// As C's `%g` prints it: six significant digits, no trailing zeros.
fn percent(value: f64) -> String {
    let digits = if value >= 100.0 {
        3
    } else if value >= 10.0 {
        4
    } else {
        5
    };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// ping's words for an ICMP error (RFC 792, RFC 1812).
fn reason(kind: u8, code: u8, mtu: u16) -> String {
    match (kind, code) {
        (3, 0) => "Destination Net Unreachable".into(),
        (3, 1) => "Destination Host Unreachable".into(),
        (3, 2) => "Destination Protocol Unreachable".into(),
        (3, 3) => "Destination Port Unreachable".into(),
        (3, 4) => format!("Frag needed and DF set (mtu = {mtu})"),
        (3, 5) => "Source Route Failed".into(),
        (3, 6) => "Destination Net Unknown".into(),
        (3, 7) => "Destination Host Unknown".into(),
        (3, 9) => "Destination Net Prohibited".into(),
        (3, 10) => "Destination Host Prohibited".into(),
        (3, 11) => "Destination Net Unreachable for Type of Service".into(),
        (3, 12) => "Destination Host Unreachable for Type of Service".into(),
        (3, 13) => "Packet filtered".into(),
        (3, 14) => "Precedence Violation".into(),
        (3, 15) => "Precedence Cutoff".into(),
        (3, code) => format!("Dest Unreachable, Bad Code: {code}"),
        (4, _) => "Source Quench".into(),
        (5, _) => "Redirect".into(),
        (11, 0) => "Time to live exceeded".into(),
        (11, 1) => "Frag reassembly time exceeded".into(),
        (11, code) => format!("Time exceeded, Bad Code: {code}"),
        (12, _) => "Parameter problem".into(),
        (kind, _) => format!("Bad ICMP type: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, percent, time};

    #[test]
    fn times_have_three_figures() {
        let micros = |us| time(Duration::from_micros(us));
        assert_eq!(micros(45), "0.045");
        assert_eq!(micros(999), "0.999");
        assert_eq!(micros(1234), "1.23");
        assert_eq!(micros(12_340), "12.3");
        assert_eq!(micros(123_400), "123");
    }

    #[test]
    fn percentages_as_c_prints_them() {
        assert_eq!(percent(0.0), "0");
        assert_eq!(percent(100.0), "100");
        assert_eq!(percent(100.0 / 3.0), "33.3333");
        assert_eq!(percent(50.0), "50");
    }
}
