//! The same counters in Prometheus' older text format, for whoever does not ask for OpenMetrics:
//! an older scraper, `promtool check metrics`, a person with curl.
//!
//! Called by the exporter and by the command. The two formats differ where a counter is described:
//! there the older one wants the name of its samples, `_total` and all. It knows no unit and no
//! end mark.

/// What the text is called in HTTP.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text that [`openmetrics`](crate::openmetrics) gave, in the older format.
#[must_use]
pub fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // A family's HELP waits for its TYPE, which says how its samples are called.
    let mut help = None;
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match [words.next(), words.next(), words.next(), words.next()] {
            [Some("#"), Some("HELP"), Some(_), said] => help = said,
            [Some("#"), Some("TYPE"), Some(name), Some(kind)] => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                if let Some(help) = help.take() {
                    text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
                }
                text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            }
            [Some("#"), ..] => {}
            _ => {
                text.push_str(&line.replacen("{} ", " ", 1));
                text.push('\n');
            }
        }
    }
    text
}

/// Whether a client that sent this Accept header wants OpenMetrics rather than the older format.
pub(crate) fn wants_openmetrics(accept: &str) -> bool {
    let weight = |kind: &str| {
        let weights = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(kind))?;
            let weight = parts.find_map(|part| part.strip_prefix("q="));
            Some(weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0)))
        });
        weights.fold(0.0_f64, f64::max)
    };
    let openmetrics = weight("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= weight("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryLab;

    #[test]
    fn every_sample_has_the_name_it_was_described_by() {
        let new = crate::openmetrics(&MemoryLab::with_nodes(2));
        let text = classic(&new);
        let (mut described, mut samples) = (String::new(), 0);
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                described = rest.split_once(' ').expect("a help text").0.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(name, described, "HELP and TYPE of one family");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            } else {
                assert!(!line.starts_with('#') && !line.contains("{}"), "{line}");
                assert_eq!(line.split(['{', ' ']).next().unwrap(), described, "{line}");
                samples += 1;
            }
        }
        assert_eq!(samples, new.lines().filter(|line| !line.starts_with('#')).count());
        assert!(text.contains("# TYPE uswitch_port_receive_bytes_total counter\n"));
        assert!(text.contains("\nuswitch_nodes 2\n"));
    }

    #[test]
    fn the_client_says_which_it_wants() {
        for (accept, wanted) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/openmetrics-text", true),
            // As Prometheus asks, with its own order of protocols and with the older one first.
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,\
                 */*;q=0.1",
                true,
            ),
            ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; q=0.4", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=x", false),
        ] {
            assert_eq!(wants_openmetrics(accept), wanted, "{accept}");
        }
    }
}
