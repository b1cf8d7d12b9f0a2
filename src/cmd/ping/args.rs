//! ping's letters, and ours.

use std::time::Duration;

use anyhow::{bail, ensure};
use icmp::run::Fragment;
use icmp::{Options, Patience, Route, session};

use crate::complete;
use crate::door::Which;

/// What an ordinary user may ask of a network that is not the user's own: ping's limits.
const USER_INTERVAL: Duration = Duration::from_millis(2);
const USER_PRELOAD: u32 = 3;
/// ping's own limit, too: the sequence space.
const MOST_PRELOAD: i64 = 65_536;

/// Send ICMP echo requests, from inside NODE if one is named
///
/// Options and output follow ping of iputils. With several destinations each line begins with the
/// name of its destination and a colon, and the summaries follow in order at the end. Exit code: 0
/// answered; 1 no answer, or fewer than asked by the deadline; 2 any other error, such as no such
/// node.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// [NODE] DEST...: addresses, names of nodes, or `gateway`, `internet`, `inet`, `router`; the
    /// first of several words is NODE unless it is an address
    #[arg(required_unless_present = "all", num_args = 1.., value_names = ["NODE", "DEST"],
          add = complete::destinations())]
    pub(super) names: Vec<String>,
    /// Stop after COUNT answers, having sent no more requests than that unless there is a deadline
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Seconds between requests [default: 1]
    #[arg(short, value_name = "SECONDS", value_parser = seconds)]
    pub(super) interval: Option<Duration>,
    /// Exit after SECONDS, or at the first ICMP error; COUNT answers are waited for
    #[arg(short = 'w', value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Seconds to wait for an answer where none came yet, else two round trips; 0 for ever
    #[arg(short = 'W', value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
    /// Bytes of data to send; fewer than 16 are not timed in ping's lines
    #[arg(short, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(0..=65507))]
    size: u16,
    /// Up to 16 bytes in hex that fill the data after an 8-byte nonce
    #[arg(short, value_name = "HEX", value_parser = pattern)]
    pub(super) pattern: Option<Pattern>,
    /// Time to live
    #[arg(short, value_name = "TTL", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,
    /// Type of service, 0 to 255, decimal or 0x hex
    #[arg(short = 'Q', value_name = "TOS", value_parser = service)]
    service: Option<u8>,
    /// Path MTU discovery: do and probe set Don't Fragment, want fragments here, dont clears it
    #[arg(short = 'M', value_name = "do|want|dont|probe", value_parser = fragment)]
    fragment: Option<Fragment>,
    /// Send from this address, or by this interface; may be given twice
    #[arg(short = 'I', value_name = "ADDRESS|INTERFACE")]
    from: Vec<String>,
    /// Flood: a dot for each request, a backspace for each answer; at most PRELOAD on their way,
    /// and a hundred a second where no answer comes
    #[arg(short)]
    pub(super) flood: bool,
    /// Adaptive: a request a round trip
    #[arg(short = 'A')]
    adaptive: bool,
    /// Requests that may be on their way before an answer has come
    #[arg(short = 'l', value_name = "PRELOAD", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=MOST_PRELOAD))]
    preload: u32,
    /// Only the summary
    #[arg(short)]
    pub(super) quiet: bool,
    /// Numbers instead of names (they are never looked up; accepted for habit's sake)
    #[arg(short)]
    numeric: bool,
    /// IPv4 (there is no other; accepted for habit's sake)
    #[arg(short = '4')]
    four: bool,
    /// The wall clock before each line
    #[arg(short = 'D')]
    pub(super) date: bool,
    /// Tell of each request that is unanswered when the next is due
    #[arg(short = 'O')]
    outstanding: bool,
    /// The longest gap without an answer, below the summary
    #[arg(long)]
    pub(super) outage: bool,
    /// Cut each round trip at the switch of the lab: the sender's stack, the switch, the
    /// receiver's stack; and say of each lost probe where it was seen last and why it stopped.
    /// Implies -O; a round trip begins when the probe is handed to the kernel
    #[arg(long, conflicts_with = "all")]
    pub(super) split: bool,
    /// Every node of the lab to every other, to the gateway and to the internet, as a matrix;
    /// exit code 1 if one is not reached
    #[arg(long, conflicts_with_all = ["names", "flood", "adaptive", "outage", "deadline", "from"])]
    pub(super) all: bool,
    /// One JSON object a line; times in microseconds
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) which: Which,
}

impl Args {
    /// What is asked of each run of probes; `root` may ask for more.
    ///
    /// # Errors
    /// What an ordinary user may not ask.
    pub(super) fn options(&self, root: bool) -> anyhow::Result<Options> {
        let usual = if self.flood { Duration::ZERO } else { Duration::from_secs(1) };
        let interval = self.interval.unwrap_or(usual);
        // ping counts in milliseconds; less than one is none.
        let interval = if interval.as_millis() == 0 { Duration::ZERO } else { interval };
        ensure!(
            root || interval >= USER_INTERVAL,
            "cannot flood; minimal interval allowed for user is {}ms",
            USER_INTERVAL.as_millis()
        );
        ensure!(
            root || self.preload <= USER_PRELOAD,
            "cannot set preload to value greater than {USER_PRELOAD}: {}",
            self.preload
        );
        let for_ever = Duration::from_secs(u64::from(u32::MAX));
        let patience = match self.timeout {
            None => session::SILENCE,
            Some(Duration::ZERO) => for_ever,
            Some(time) => time,
        };
        Ok(Options {
            count: self.count,
            interval,
            patience: Patience::Ping(patience),
            deadline: self.deadline.filter(|deadline| !deadline.is_zero()),
            size: usize::from(self.size),
            pattern: self.pattern.clone().map_or_else(Vec::new, |pattern| pattern.0),
            adaptive: self.adaptive,
            slowest_allowed: if root { Duration::ZERO } else { USER_INTERVAL },
            preload: self.preload,
            outstanding: self.outstanding || self.split && !self.flood,
            flood: self.flood,
            whole: self.split,
        })
    }

    /// Where from and how.
    ///
    /// # Errors
    /// Where `-I` is given more than an address and an interface.
    pub(super) fn route(&self) -> anyhow::Result<Route> {
        let mut route =
            Route { ttl: self.ttl, tos: self.service, fragment: self.fragment, ..Route::default() };
        for from in &self.from {
            match from.parse() {
                Ok(source) if route.source.is_none() => route.source = Some(source),
                Err(_) if route.device.is_none() => route.device = Some(from.clone()),
                _ => bail!("-I {from}: one address and one interface can be given"),
            }
        }
        Ok(route)
    }
}

/// Bytes of `-p`.
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Vec<u8>);

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(value).map_err(|_| format!("{text} is no number of seconds"))
}

fn pattern(text: &str) -> Result<Pattern, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("patterns must be specified as hex digits".into());
    }
    let digits = text.as_bytes().chunks(2).take(16);
    let byte = |pair: &[u8]| {
        let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0);
        let whole = pair.iter().fold(0, |so_far, digit| so_far << 4 | value(*digit));
        u8::try_from(whole).unwrap_or(0)
    };
    Ok(Pattern(digits.map(byte).collect()))
}

fn service(text: &str) -> Result<u8, String> {
    let value = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    value.ok_or_else(|| format!("{text} is not within 0 to 255"))
}

fn fragment(text: &str) -> Result<Fragment, String> {
    match text {
        "do" => Ok(Fragment::Do),
        "want" => Ok(Fragment::Want),
        "dont" => Ok(Fragment::Dont),
        "probe" => Ok(Fragment::Probe),
        other => Err(format!("{other} is none of do, want, dont, probe")),
    }
}

#[cfg(test)]
mod tests {
    use super::{pattern, service};

    #[test]
    fn patterns_as_ping_reads_them() {
        let bytes = |text: &str| pattern(text).map(|pattern| pattern.0).ok();
        assert_eq!(bytes("ff"), Some(vec![0xff]));
        assert_eq!(bytes("abc"), Some(vec![0xab, 0xc]));
        assert_eq!(bytes(&"12".repeat(40)).map(|bytes| bytes.len()), Some(16));
        assert_eq!(bytes("xy"), None);
        assert_eq!(bytes(""), None);
    }

    #[test]
    fn services_as_ping_reads_them() {
        assert_eq!(service("16").ok(), Some(16));
        assert_eq!(service("0xfe").ok(), Some(254));
        assert!(service("256").is_err() && service("-1").is_err() && service("").is_err());
    }
}
