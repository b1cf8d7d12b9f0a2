//! Figures as people read them: bytes, bits a second, spans of time. Pure.

use std::time::Duration;

/// Three digits and a prefix: `1.23 M`, `45.6 k`, `789`.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn scaled(value: u64, step: f64, prefixes: &[&str]) -> String {
    let (mut figure, mut prefix) = (value as f64, "");
    for next in prefixes {
        // What would be rounded up to the next prefix has it already.
        if figure < step - 0.5 {
            break;
        }
        (figure, prefix) = (figure / step, next);
    }
    match figure {
        _ if prefix.is_empty() => value.to_string(),
        f if f < 9.995 => format!("{f:.2}{prefix}"),
        f if f < 99.95 => format!("{f:.1}{prefix}"),
        f => format!("{f:.0}{prefix}"),
    }
}

/// A count of bytes: `1.50KiB`.
pub(crate) fn bytes(count: u64) -> String {
    match scaled(count, 1024.0, &["KiB", "MiB", "GiB", "TiB", "PiB"]) {
        plain if count < 1024 => format!("{plain}B"),
        scaled => scaled,
    }
}

/// A rate of bits: `1.50Mbit/s`.
pub(crate) fn bit_rate(bits: u64) -> String {
    match scaled(bits, 1000.0, &["k", "M", "G", "T"]) {
        plain if bits < 1000 => format!("{plain}bit/s"),
        scaled => format!("{scaled}bit/s"),
    }
}

/// A rate of frames: `12.3k/s`.
pub(crate) fn rate(count: u64) -> String {
    format!("{}/s", scaled(count, 1000.0, &["k", "M", "G"]))
}

/// A span: `7s`, `3m05s`, `2h04m`, `5d03h`.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// So many of something: `1 frame`, `2 frames`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Microseconds, with their fraction.
pub(crate) fn micros(time: Duration) -> f64 {
    // Nanoseconds are whole numbers, so that no digit is printed that was not measured.
    time.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00KiB"),
            (1536, "1.50KiB"),
            (10 << 20, "10.0MiB"),
            (500 << 30, "500GiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        for (count, text) in [(0, "0bit/s"), (999, "999bit/s"), (1_500_000, "1.50Mbit/s")] {
            assert_eq!(bit_rate(count), text);
        }
        assert_eq!(rate(123_456), "123k/s");
        assert_eq!(rate(7), "7/s");
        assert!(bytes(u64::MAX).ends_with("PiB"));
    }

    #[test]
    fn spans_have_two_units() {
        let spans = [0, 59, 60, 3599, 3600, 7439, 86_399, 86_400, 100_000, 8_650_000].map(span);
        let wanted = [
            "0s", "59s", "1m00s", "59m59s", "1h00m", "2h03m", "23h59m", "1d00h", "1d03h", "100d02h",
        ];
        assert_eq!(spans, wanted);
    }

    #[test]
    fn microseconds_are_as_they_were_measured() {
        for (nanos, shown) in
            [(880_003, "880.003"), (72_138, "72.138"), (1, "0.001"), (5000, "5.0")]
        {
            let micros = micros(Duration::from_nanos(nanos));
            assert_eq!(serde_json::json!(micros).to_string(), shown);
        }
    }
}
