//! `N`, or `broadcast=N,multicast=N,unknown=N`: storm control as a person writes and reads it. Pure.

use control::api::StormLimits;

/// How it is written.
const SHAPE: &str = "N, or any of broadcast=N,multicast=N,unknown=N, or off";

/// Reads limits: one for each kind, or those that are named.
pub(crate) fn limits(text: &str) -> Result<StormLimits, String> {
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_| format!("{text:?} is no number of frames: {SHAPE}"))
    };
    if text == "off" {
        return Ok(StormLimits::default());
    }
    if !text.contains('=') {
        let each = Some(number(text)?);
        return Ok(StormLimits { broadcast: each, multicast: each, unknown: each });
    }
    let mut limits = StormLimits::default();
    for part in text.split(',') {
        let (kind, limit) = part.split_once('=').ok_or_else(|| format!("{part:?}: {SHAPE}"))?;
        let place = match kind {
            "broadcast" => &mut limits.broadcast,
            "multicast" => &mut limits.multicast,
            "unknown" => &mut limits.unknown,
            _ => return Err(format!("{kind:?} is no kind of flood: {SHAPE}")),
        };
        if place.replace(number(limit)?).is_some() {
            return Err(format!("{kind} stands twice"));
        }
    }
    Ok(limits)
}

/// Limits as they would be written; None where there are none.
pub(crate) fn words(limits: &StormLimits) -> Option<String> {
    let StormLimits { broadcast, multicast, unknown } = *limits;
    if let Some(each) = broadcast
        && multicast == broadcast
        && unknown == broadcast
    {
        return Some(each.to_string());
    }
    let kinds = [("broadcast", broadcast), ("multicast", multicast), ("unknown", unknown)];
    let set = kinds.iter().filter_map(|(kind, limit)| Some(format!("{kind}={}", (*limit)?)));
    let words = set.collect::<Vec<_>>().join(",");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let some = |broadcast, multicast, unknown| StormLimits { broadcast, multicast, unknown };
        for (text, wanted) in [
            ("100", some(Some(100), Some(100), Some(100))),
            ("0", some(Some(0), Some(0), Some(0))),
            ("broadcast=5", some(Some(5), None, None)),
            ("broadcast=1,multicast=2,unknown=3", some(Some(1), Some(2), Some(3))),
            ("unknown=7", some(None, None, Some(7))),
        ] {
            assert_eq!(limits(text), Ok(wanted), "{text}");
            assert_eq!(words(&wanted).as_deref(), Some(text));
        }
        assert_eq!(limits("unknown=3,broadcast=1"), Ok(some(Some(1), None, Some(3))));
        assert_eq!(words(&StormLimits::default()), None);
        assert_eq!(limits("off"), Ok(StormLimits::default()));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (text, said) in [
            ("", "no number"),
            ("many", "no number"),
            ("-1", "no number"),
            ("4294967296", "no number"),
            ("arp=3", "no kind"),
            ("broadcast=1,2", "broadcast=N"),
            ("broadcast=1,broadcast=2", "twice"),
        ] {
            let error = limits(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
