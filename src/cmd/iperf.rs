//! `uswitch iperf`: how much TCP passes from one node to another, second by second.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lab::join::{self, Entrance};
use lab::names::INET;
use lab::{LabName, address};
use serde::Serialize;

use crate::door::{Which, ground, json};
use crate::exit::Usage;
use crate::{complete, node, say, units};

/// Bytes of a write, as iperf3 has it.
const BLOCK: usize = 128 * 1024;
/// A connection that is not made by then is not made.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at what has passed.
const SECOND: Duration = Duration::from_secs(1);

/// Measure how much TCP passes from one node to another
///
/// By the nodes' own kernels, as iperf3 does it: each stream sends as fast as it can, and what arrives is
/// counted. Exit code: 0; 1 where no connection can be made, or the lab or a node has gone before the end.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The node that sends
    #[arg(value_name = "FROM", add = complete::nodes())]
    from: String,
    /// The node that receives; `inet` for the simulated internet
    #[arg(value_name = "TO", add = complete::nodes())]
    to: String,
    /// For so many seconds
    #[arg(short, long, value_name = "SECS", default_value_t = 3,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    time: u64,
    /// Streams at a time
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// What has passed in a span of time.
#[derive(Serialize)]
struct Interval {
    /// From the start, in seconds.
    begin: f64,
    end: f64,
    bytes: u64,
    bits_per_second: u64,
}

#[derive(Serialize)]
struct Report<'a> {
    from: &'a str,
    to: &'a str,
    address: Ipv4Addr,
    streams: u16,
    intervals: Vec<Interval>,
    sum: Interval,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let lab = &args.which.name;
    let reach = node::reach(lab)?;
    let ends = [&args.from, &args.to].map(|own| node::find(lab, own));
    let [from, to] = ends;
    let (from, to) = (from?, to?);
    let names = [&args.from, &args.to].map(|own| reach.name(own));
    let there = There::now(lab, names);
    let address = address_of(lab, names)?;
    reach.enter()?;
    let listener = inside(&to, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .with_context(|| format!("listening in {}", args.to))?;
    let port = listener.local_addr().context("reading the port that was given")?.port();
    let mut pairs = Vec::new();
    for _ in 0..args.parallel {
        let sender =
            inside(&from, || TcpStream::connect_timeout(&(address, port).into(), PATIENCE));
        let sender = sender
            .with_context(|| format!("connecting from {} to {} ({address})", args.from, args.to))?;
        let (receiver, _) = listener.accept().context("accepting a connection")?;
        pairs.push((sender, receiver));
    }
    let (intervals, sum) = measured(&pairs, &args, &there)?;
    if args.json {
        let (from, to, streams) = (&args.from, &args.to, args.parallel);
        json(&Report { from, to, address, streams, intervals, sum })?;
    } else {
        let streams = units::count(args.parallel.into(), "stream", "streams");
        say::line(&format!("{}  {} to {}, {streams}", row(&sum), args.from, args.to));
    }
    Ok(ExitCode::SUCCESS)
}

/// By which address the one node reaches the other: where they meet, or else the first that it has, to which a
/// router may lead.
fn address_of(lab: &LabName, [from, to]: [&str; 2]) -> anyhow::Result<Ipv4Addr> {
    if from == to {
        return Err(Usage(format!("from {from} to itself: name two nodes")).into());
    }
    if to == INET {
        return Ok(address::SIM_HOSTS[0]);
    }
    node::address(lab, Some(from), to)
}

fn inside<T: Send>(
    place: &Entrance,
    work: impl FnOnce() -> std::io::Result<T> + Send,
) -> std::io::Result<T> {
    let netns: BorrowedFd<'_> = place.netns();
    sys::netns::inside(netns, work)
}

/// Ends what sends and what receives when it goes.
struct End<'a> {
    over: &'a AtomicBool,
    pairs: &'a [(TcpStream, TcpStream)],
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A sender that waits for room waits no longer.
        for (sender, receiver) in self.pairs {
            let _ = sender.shutdown(Shutdown::Both);
            let _ = receiver.shutdown(Shutdown::Both);
        }
    }
}

/// Sends and counts, and tells each second while it lasts.
fn measured(
    pairs: &[(TcpStream, TcpStream)],
    args: &Args,
    there: &There<'_>,
) -> anyhow::Result<(Vec<Interval>, Interval)> {
    let (over, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    let bar = bar(args);
    std::thread::scope(|scope| {
        // The scope waits for those that have begun, also where the next cannot be had.
        let _end = End { over: &over, pairs };
        let builder = || std::thread::Builder::new().name("iperf".into());
        for (sender, receiver) in pairs {
            let send = || send(sender, &over);
            let count = || receive(receiver, &arrived);
            builder().spawn_scoped(scope, send).context("starting a thread")?;
            builder().spawn_scoped(scope, count).context("starting a thread")?;
        }
        let begun = sys::clock::now();
        let since = || Duration::from_nanos(sys::clock::now().saturating_sub(begun));
        let (mut intervals, mut last) = (Vec::new(), (Duration::ZERO, 0));
        for second in 1..=args.time {
            std::thread::sleep(Duration::from_secs(second).saturating_sub(since()));
            let now = (since(), arrived.load(Ordering::Relaxed));
            // What holds a namespace open outlives the lab, and its connections do not end by themselves.
            there.still()?;
            let interval = interval(last, now);
            bar.suspend(|| {
                if !args.json {
                    say::line(&row(&interval));
                }
            });
            bar.inc(1);
            intervals.push(interval);
            last = now;
        }
        bar.finish_and_clear();
        Ok((intervals, interval((Duration::ZERO, 0), last)))
    })
}

/// What is measured in: the lab as it was at the beginning, with both nodes.
struct There<'a> {
    lab: &'a LabName,
    process: Option<u32>,
    nodes: [&'a str; 2],
}

impl<'a> There<'a> {
    fn now(lab: &'a LabName, nodes: [&'a str; 2]) -> Self {
        Self { lab, process: Self::process(lab), nodes }
    }

    /// Whose number the lab's record has; None where it does not run.
    fn process(lab: &LabName) -> Option<u32> {
        join::running(&ground(), lab).ok()?.header.map(|header| header.pid)
    }

    fn still(&self) -> anyhow::Result<()> {
        let Self { lab, nodes, .. } = self;
        let now = Self::process(lab);
        if now.is_none() || now != self.process {
            bail!("lab {lab} has ended before the measurement");
        }
        let all = node::names(lab);
        let gone = nodes.iter().find(|own| !all.iter().any(|name| name == *own));
        match gone {
            Some(node) => bail!("node {node} of lab {lab} has gone before the measurement's end"),
            None => Ok(()),
        }
    }
}

fn bar(args: &Args) -> ProgressBar {
    if args.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(args.time);
    match ProgressStyle::with_template("{bar:40} {pos} of {len} s") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn interval((begin, before): (Duration, u64), (end, after): (Duration, u64)) -> Interval {
    let bytes = after - before;
    let time = (end - begin).as_nanos().max(1);
    let bits = u128::from(bytes) * 8 * SECOND.as_nanos() / time;
    let bits_per_second = u64::try_from(bits).unwrap_or(u64::MAX);
    Interval { begin: begin.as_secs_f64(), end: end.as_secs_f64(), bytes, bits_per_second }
}

fn row(interval: &Interval) -> String {
    let Interval { begin, end, bytes, bits_per_second } = interval;
    let (bytes, rate) = (units::bytes(*bytes), units::bit_rate(*bits_per_second));
    format!("{begin:>5.1}-{end:.1} s  {bytes:>8}  {rate:>11}")
}

fn send(mut stream: &TcpStream, over: &AtomicBool) {
    let block = vec![0; BLOCK];
    while !over.load(Ordering::Relaxed) {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn receive(mut stream: &TcpStream, arrived: &AtomicU64) {
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return,
            Ok(bytes) => drop(arrived.fetch_add(bytes as u64, Ordering::Relaxed)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
