//! ping's words: each line as iputils prints it. What ping has no line for stands below its
//! summary.

mod numbers;
mod reason;

use std::fmt::Write;
use std::net::Ipv4Addr;

use crate::packet::{SOURCE_QUENCH, TIMED};
use crate::session::{Change, Event, Options, Refusal, Reply};
use crate::stats::Stats;

pub use numbers::time;
use numbers::{general, millis};
pub use reason::{name, reason};

/// Bytes of the IPv4 and ICMP headers, which ping adds in its first line.
const HEADERS: usize = 28;

/// The line before the first, where a pattern was given.
#[must_use]
pub fn pattern(bytes: &[u8]) -> String {
    bytes.iter().fold("PATTERN: 0x".into(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The first line; `from` is the source, and the interface, where one of them was given.
#[must_use]
pub fn opening(
    name: &str,
    address: Ipv4Addr,
    size: usize,
    from: Option<(Ipv4Addr, Option<&str>)>,
) -> String {
    let from = from.map_or_else(String::new, |(source, device)| {
        format!("from {source} {}: ", device.unwrap_or_default())
    });
    format!("PING {name} ({address}) {from}{size}({}) bytes of data.", size + HEADERS)
}

/// The line about something that was seen, with ping's rule for what has a time in it.
#[must_use]
pub fn event(event: &Event, options: &Options) -> String {
    match event {
        Event::Reply(reply) => line(reply, options),
        Event::Error { seq, from, kind, code, info } => {
            let advice = *kind == SOURCE_QUENCH || *kind == wire::icmp::REDIRECT;
            let colon = if advice { ":" } else { "" };
            format!("From {from}{colon} icmp_seq={seq} {}", reason(*kind, *code, *info))
        }
        Event::Silent { seq } => format!("no answer yet for icmp_seq={seq}"),
        Event::Refused { why: Refusal::TooLong { mtu }, .. } => {
            format!("local error: message too long, mtu={mtu}")
        }
        Event::Refused { why: Refusal::Errno(raw), .. } => {
            format!("sendmsg: {}", nix::errno::Errno::from_raw(*raw).desc())
        }
    }
}

fn line(reply: &Reply, options: &Options) -> String {
    let Reply { seq, from, ttl, bytes, rtt, odd, .. } = reply;
    let mut text = format!("{bytes} bytes from {from}: icmp_seq={seq}");
    if let Some(ttl) = ttl {
        let _ = write!(text, " ttl={ttl}");
    }
    if odd.truncated {
        return text + " (truncated)";
    }
    if options.size >= TIMED {
        let _ = write!(text, " time={} ms", time(*rtt));
    }
    if odd.duplicate {
        text += " (DUP!)";
    }
    if odd.bad_checksum {
        text += " (BAD CHECKSUM!)";
    }
    if odd.elsewhere {
        text += " (DIFFERENT ADDRESS!)";
    }
    if let Some(change) = &odd.changed {
        text += &difference(change);
    }
    text
}

/// ping's lines about a payload that differs: where first, and all of it but the head that ping
/// keeps its time in.
fn difference(change: &Change) -> String {
    let Change { at, sent, got, payload } = change;
    let mut text = format!("\nwrong data byte #{at} should be 0x{sent:x} but was 0x{got:x}");
    for (at, byte) in payload.iter().enumerate().skip(TIMED) {
        if at % 32 == TIMED {
            let _ = write!(text, "\n#{at}\t");
        }
        let _ = write!(text, "{byte:x} ");
    }
    text
}

/// ping's closing lines, the blank one before them included.
#[must_use]
pub fn closing(name: &str, stats: &Stats, options: &Options) -> String {
    let mut text = format!(
        "\n--- {name} ping statistics ---\n{} packets transmitted, {} received",
        stats.sent, stats.received
    );
    for (n, what) in
        [(stats.duplicates, "duplicates"), (stats.corrupt, "corrupted"), (stats.errors, "errors")]
    {
        if n > 0 {
            let _ = write!(text, ", +{n} {what}");
        }
    }
    if stats.sent > 0 {
        let loss = general(stats.loss_percent());
        let time = (stats.elapsed.as_micros() + 500) / 1000;
        let _ = write!(text, ", {loss}% packet loss, time {time}ms");
    }
    text.push('\n');
    text + &figures(stats, options).join(", ") + "\n"
}

/// The last line of ping's summary, in its parts.
fn figures(stats: &Stats, options: &Options) -> Vec<String> {
    let mut parts = Vec::new();
    let answered = stats.received > 0;
    if let Some(s) = timed(stats, options) {
        let [min, avg, max, mdev] = [s.min, s.avg, s.max, s.mdev].map(millis);
        parts.push(format!("rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms"));
    }
    if stats.pipe > 1 {
        parts.push(format!("pipe {}", stats.pipe));
    }
    let fast = options.interval.is_zero() || options.flood || options.adaptive;
    if answered && fast && stats.sent > 1 {
        let gaps = u32::try_from(stats.sent - 1).unwrap_or(u32::MAX);
        let gap = millis(stats.elapsed / gaps);
        parts.push(format!("ipg/ewma {gap}/{} ms", millis(stats.ewma())));
    }
    parts
}

fn timed(stats: &Stats, options: &Options) -> Option<crate::stats::Summary> {
    let timed = stats.received > 0 && options.size >= TIMED;
    timed.then(|| stats.summary()).flatten()
}

/// What stands below ping's summary: percentiles and jitter; and, where there is any of it, what
/// ping does not count.
#[must_use]
pub fn beyond(stats: &Stats, options: &Options) -> Vec<String> {
    let mut lines = Vec::new();
    if timed(stats, options).is_some() {
        let [p50, p90, p99] =
            [50, 90, 99].map(|percent| millis(stats.percentile(percent).unwrap_or_default()));
        let jitter = millis(stats.jitter());
        lines.push(format!("rtt p50/p90/p99 = {p50}/{p90}/{p99} ms, jitter {jitter} ms"));
    }
    let odd: Vec<String> = [
        (stats.late, "late"),
        (stats.reordered, "reordered"),
        (stats.truncated, "truncated"),
        (stats.changed, "with other data"),
        (stats.elsewhere, "from another address"),
        (stats.ttl_changes, "with another TTL than the one before"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| format!("{n} {what}"))
    .collect();
    if !odd.is_empty() {
        lines.push(format!("of the answers: {}", odd.join(", ")));
    }
    lines.extend(stats.kinds.iter().map(|kind| {
        let what = reason::name(kind.kind, kind.code);
        let (n, from) = (kind.count, kind.from);
        format!("{n} x type {} code {} from {from}: {what}", kind.kind, kind.code)
    }));
    if stats.other_kinds > 0 {
        lines.push(format!("{} x other errors", stats.other_kinds));
    }
    lines
}

/// The line about the longest time without an answer.
#[must_use]
pub fn outage(stats: &Stats) -> String {
    let Some(gap) = stats.outage.longest() else { return "nothing was sent".into() };
    let after = match gap.after {
        0 => "from the beginning".into(),
        number => format!("after icmp_seq={}", number & 0xffff),
    };
    format!(
        "longest gap without an answer {} ms, {after}, {} lost in it",
        millis(gap.time),
        gap.lost
    )
}

/// ping's short account of a run that goes on, which overwrites the `^\` of the terminal.
#[must_use]
pub fn status(stats: &Stats, options: &Options) -> String {
    let loss = (stats.lost() * 100).checked_div(stats.sent).unwrap_or(0);
    let mut text = format!("\r{}/{} packets, {loss}% loss", stats.received, stats.sent);
    if let Some(s) = timed(stats, options) {
        let [min, avg, ewma, max] = [s.min, s.avg, stats.ewma(), s.max].map(millis);
        let _ = write!(text, ", min/avg/ewma/max = {min}/{avg}/{ewma}/{max} ms");
    }
    text
}
