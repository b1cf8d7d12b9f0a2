//! `uswitch ping`: ping's letters, ping's output, ping's exit codes; from inside a node if one is
//! named.

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use icmp::session::Note;
use icmp::{Event, Options, Route, Stats, text};
use serde_json::{Value, json};

use crate::node;
use crate::say;

/// Send ICMP echo requests, from inside NODE if one is named
///
/// Options and output follow ping of iputils. Exit code: 0 answered; 1 no answer, or fewer than
/// asked by the deadline; 2 any other error.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// [NODE] DEST: an address, or the name of a node
    #[arg(required = true, num_args = 1..=2, value_names = ["NODE", "DEST"])]
    names: Vec<String>,
    /// Stop after sending COUNT requests
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Seconds between requests
    #[arg(short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Exit after SECONDS, however many were sent or received
    #[arg(short = 'w', value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Seconds to wait for an answer
    #[arg(short = 'W', value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Bytes of data to send
    #[arg(short, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(0..=65507))]
    size: u16,
    /// Time to live
    #[arg(short, value_name = "TTL", value_parser = clap::value_parser!(u8).range(1..))]
    ttl: Option<u8>,
    /// Only the summary
    #[arg(short)]
    quiet: bool,
    /// Send from this address, or by this interface
    #[arg(short = 'I', value_name = "ADDRESS|INTERFACE")]
    from: Option<String>,
    /// Flood: a dot for each request, a backspace for each answer; at most 64 on their way
    #[arg(short)]
    flood: bool,
    /// Numbers instead of names (they are never looked up; accepted for habit's sake)
    #[arg(short)]
    numeric: bool,
    /// The wall clock before each line
    #[arg(short = 'D')]
    date: bool,
    /// One JSON object a line; times in microseconds
    #[arg(long)]
    json: bool,
    /// The lab NODE belongs to
    #[arg(long, value_name = "LAB", default_value = "uswitch")]
    name: String,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    match ping(&args) {
        Ok(stats) => Ok(exit_code(&args, &stats)),
        Err(error) => {
            eprintln!("uswitch: {error:#}");
            Ok(ExitCode::from(2))
        }
    }
}

fn ping(args: &Args) -> anyhow::Result<Stats> {
    let Some((dest, from)) = args.names.split_last() else { bail!("a destination is missing") };
    let towards = address(&args.name, dest)?;
    if let Some(node) = from.first() {
        // The whole process moves: nothing else runs here, and the pinger stays on this thread.
        node::enter(&args.name, node)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("catching signals")?;
    }
    let options = Options {
        count: args.count,
        interval: args.interval,
        wait: args.timeout,
        deadline: args.deadline,
        size: usize::from(args.size),
        flood: args.flood,
    };
    if !args.json {
        say::line(&text::opening(dest, towards, options.size));
    }
    let report = icmp::ping(towards, options, &route(args), &stop, &mut |event, _| {
        tell(args, event);
    })?;
    if args.json {
        say::line(&summary_json(dest, &report).to_string());
    } else {
        say::line(&format!("\n{}", text::closing(dest, &report)));
    }
    Ok(report)
}

fn exit_code(args: &Args, stats: &Stats) -> ExitCode {
    let asked = args.count.filter(|_| args.deadline.is_some()).unwrap_or(1);
    ExitCode::from(u8::from(stats.received < asked))
}

/// A dotted address, or the address of a node of the lab.
fn address(lab: &str, dest: &str) -> anyhow::Result<Ipv4Addr> {
    match dest.parse() {
        Ok(address) => Ok(address),
        Err(_) => node::address(lab, dest)
            .with_context(|| format!("{dest} is neither an IPv4 address nor a node")),
    }
}

fn route(args: &Args) -> Route {
    let source = args.from.as_deref().and_then(|from| from.parse().ok());
    let device = args.from.clone().filter(|_| source.is_none());
    Route { source, device, ttl: args.ttl }
}

fn tell(args: &Args, event: Option<&Event>) {
    if args.flood && !args.json {
        match event {
            None => say::part("."),
            Some(Event::Reply { note: Note::Plain, .. }) => say::part("\u{8} \u{8}"),
            Some(Event::Reply { .. }) => {}
            Some(Event::Error { .. }) => say::part("\u{8}E"),
        }
        return;
    }
    let Some(event) = event.filter(|_| !args.quiet) else { return };
    let line = if args.json { event_json(event).to_string() } else { text::event(event) };
    #[expect(clippy::disallowed_methods, reason = "the wall clock, for printing only")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match args.date && !args.json {
        true => say::line(&format!("[{}.{:06}] {line}", since.as_secs(), since.subsec_micros())),
        false => say::line(&line),
    }
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Reply { seq, from, ttl, bytes, rtt, note } => json!({
            "type": "reply", "seq": seq, "from": from, "ttl": ttl, "bytes": bytes,
            "rtt_us": micros(*rtt),
            "note": match note {
                Note::Plain => "ok",
                Note::Duplicate => "duplicate",
                Note::BadChecksum => "bad-checksum",
                Note::Changed(_) => "changed",
                Note::Truncated => "truncated",
            },
        }),
        Event::Error { seq, from, kind, code, mtu } => json!({
            "type": "error", "seq": seq, "from": from, "icmp_type": kind, "icmp_code": code,
            "mtu": mtu,
        }),
    }
}

fn summary_json(dest: &str, stats: &Stats) -> Value {
    let rtt = stats.summary().map(|s| {
        json!({
            "min_us": micros(s.min), "avg_us": micros(s.avg), "max_us": micros(s.max),
            "mdev_us": micros(s.mdev), "jitter_us": micros(stats.jitter()),
            "p50_us": stats.percentile(50).map(micros),
            "p90_us": stats.percentile(90).map(micros),
            "p99_us": stats.percentile(99).map(micros),
        })
    });
    json!({
        "type": "summary", "destination": dest, "transmitted": stats.sent,
        "received": stats.received, "duplicates": stats.duplicates, "corrupt": stats.corrupt,
        "errors": stats.errors, "late": stats.late, "reordered": stats.reordered,
        "loss_percent": stats.loss_percent(), "rtt": rtt,
    })
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text} is no number of seconds"))?;
    Duration::try_from_secs_f64(value).map_err(|_| format!("{text} is no number of seconds"))
}
