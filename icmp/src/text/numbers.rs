//! Numbers as ping prints them: whole microseconds, C's `%g`.

use std::time::Duration;

/// A round trip in milliseconds with the digits ping gives it: three figures' worth.
#[must_use]
pub fn time(rtt: Duration) -> String {
    match rtt.as_micros() {
        us @ 99_950.. => format!("{}", (us + 500) / 1000),
        us @ 9_995.. => format!("{}.{}", (us + 50) / 1000, (us + 50) % 1000 / 100),
        us @ 1_000.. => format!("{}.{:02}", (us + 5) / 1000, (us + 5) % 1000 / 10),
        us => format!("0.{us:03}"),
    }
}

/// Milliseconds to the microsecond, cut off.
pub(super) fn millis(time: Duration) -> String {
    let us = time.as_micros();
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// As C prints a float by `%g`: six significant digits, no trailing zeros, small ones with an
/// exponent.
#[expect(clippy::cast_possible_truncation, reason = "ping rounds to single precision as well")]
pub(super) fn general(value: f64) -> String {
    let value = f64::from(value as f32);
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let bare = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return bare(&format!("{value:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", bare(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::{Duration, general, millis, time};

    #[test]
    fn times_have_three_figures() {
        for (us, text) in [
            (0, "0.000"),
            (45, "0.045"),
            (999, "0.999"),
            (1000, "1.00"),
            (1234, "1.23"),
            (1235, "1.24"),
            (9_994, "9.99"),
            (9_995, "10.0"),
            (12_340, "12.3"),
            (99_949, "99.9"),
            (99_950, "100"),
            (123_400, "123"),
            (2_000_499, "2000"),
        ] {
            assert_eq!(time(Duration::from_micros(us)), text);
        }
        assert_eq!(millis(Duration::from_nanos(1_234_999)), "1.234");
    }

    #[test]
    fn percentages_as_c_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (100.0, "100"),
            (100.0 / 3.0, "33.3333"),
            (200.0 / 3.0, "66.6667"),
            (50.0, "50"),
            (0.1, "0.1"),
            (100.0 / 70_000.0, "0.00142857"),
            (0.000_01, "1e-05"),
            (99.999_99, "100"),
        ] {
            assert_eq!(general(value), text);
        }
    }
}
