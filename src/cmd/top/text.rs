//! Numbers as short words, values as bars. Pure.

/// A number in at most four characters and a unit: `999`, `1.23k`, `12.3M`.
pub(super) fn short(number: u64) -> String {
    let mut unit = 1;
    for (place, letter) in ["", "k", "M", "G", "T", "P", "E"].iter().enumerate() {
        let whole = number / unit;
        if place == 0 && whole < 1000 {
            return number.to_string();
        }
        if whole < 1000 {
            // Cut off, not rounded: 999.9k does not turn into 1000k.
            let rest = u128::from(number % unit) * 100 / u128::from(unit);
            return match whole {
                0..10 => format!("{whole}.{rest:02}{letter}"),
                10..100 => format!("{whole}.{}{letter}", rest / 10),
                _ => format!("{whole}{letter}"),
            };
        }
        unit = unit.saturating_mul(1000);
    }
    number.to_string()
}

/// A number with its thousands set apart: `65,536`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 node`, `2 nodes`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// The newest values as bars, the newest last, scaled to their own maximum. A zero is blank.
pub(super) fn spark(values: &[u64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(width)..];
    let most = u128::from(shown.iter().copied().max().unwrap_or(0).max(1));
    let bar = |value: &u64| match u128::from(*value) {
        0 => ' ',
        value => BARS[usize::try_from((value * 8 - 1) / most).unwrap_or(7).min(7)],
    };
    let bars = shown.iter().map(bar).collect::<String>();
    format!("{bars:>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_short_and_true() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1.00k"),
            (1239, "1.23k"),
            (12_345, "12.3k"),
            (999_999, "999k"),
            (1_000_000, "1.00M"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(short(number), text);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "node", "nodes"), "1 node");
        assert_eq!(counted(4095, "node", "nodes"), "4,095 nodes");
    }

    #[test]
    fn bars_rise_with_their_values() {
        assert_eq!(spark(&[], 4), "    ");
        assert_eq!(spark(&[0, 1, 4, 8], 4), " ▁▄█");
        assert_eq!(spark(&[9, 9, 9, 0, 1, 2], 3), " ▄█");
        assert_eq!(spark(&[u64::MAX, u64::MAX / 2, 1], 5), "  █▄▁");
        assert_eq!(spark(&[1, 2], 0), "");
    }
}
