//! What is measured: the rows of the table, and the scenarios that fill them. A scenario runs in
//! one lab of one shape and may fill several rows; a row belongs to one scenario, whose name its
//! own begins with.

mod lan;
mod nat;
mod watch;

use anyhow::Result;

use crate::args::Args;
use crate::peers::{Lab, Shape};

/// Which way is good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
    /// Neither: it explains another row.
    Neither,
}

/// One line of the table.
pub struct Row {
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    pub better: Better,
    /// Drawn in the chart.
    pub headline: bool,
}

/// Something that is done in a lab, and the rows it fills.
pub struct Scenario {
    pub name: &'static str,
    pub shape: Shape,
    /// Only in the first so many rounds: it takes long, or does not vary.
    pub rounds: usize,
    pub run: Run,
}

type Run = fn(&Lab, &Args) -> Result<Values>;

/// Row names and what was measured for them.
pub type Values = Vec<(String, f64)>;

const ALWAYS: usize = usize::MAX;

const fn scenario(name: &'static str, shape: Shape, rounds: usize, run: Run) -> Scenario {
    Scenario { name, shape, rounds, run }
}

const LAN: Shape = Shape::Lan(2);

const SCENARIOS: &[Scenario] = &[
    scenario("tcp/1", LAN, ALWAYS, lan::tcp_1),
    scenario("tcp/4", LAN, ALWAYS, lan::tcp_4),
    scenario("tcp/both/1", LAN, ALWAYS, lan::tcp_both_1),
    scenario("tcp/both/4", LAN, ALWAYS, lan::tcp_both_4),
    scenario("rr", LAN, ALWAYS, lan::rr),
    scenario("frames/60", LAN, ALWAYS, lan::frames_60),
    scenario("frames/512", LAN, ALWAYS, lan::frames_512),
    scenario("frames/1514", LAN, ALWAYS, lan::frames_1514),
    scenario("lossless/60", LAN, ALWAYS, lan::lossless),
    scenario("rtt/flood", LAN, ALWAYS, lan::rtt_flood),
    scenario("rtt/paced", LAN, ALWAYS, lan::rtt_paced),
    scenario("overload", LAN, ALWAYS, lan::overload),
    scenario("busy", LAN, ALWAYS, lan::busy),
    scenario("memory", LAN, ALWAYS, lan::memory),
    scenario("idle", LAN, 1, lan::idle),
    scenario("watch/frames", LAN, ALWAYS, watch::frames),
    scenario("watch/tcp", LAN, ALWAYS, watch::bulk),
    scenario("watch/rtt", LAN, ALWAYS, watch::round_trips),
    scenario("broadcast/2", Shape::Lan(3), ALWAYS, lan::broadcast),
    scenario("broadcast/16", Shape::Lan(17), ALWAYS, lan::broadcast),
    scenario("broadcast/64", Shape::Lan(65), 1, lan::broadcast),
    scenario("ports/2", LAN, ALWAYS, lan::ports),
    scenario("ports/16", Shape::Lan(16), ALWAYS, lan::ports),
    scenario("ports/128", Shape::Lan(128), 1, lan::ports),
    scenario("ports/512", Shape::Lan(512), 1, lan::ports),
    scenario("networks/256", Shape::Networks(256), ALWAYS, lan::networks),
    scenario("full/addresses", Shape::Lan(6), ALWAYS, lan::addresses),
    scenario("full/sessions", Shape::Nat, ALWAYS, nat::sessions),
    scenario("full/million", Shape::Million, ALWAYS, nat::million),
    scenario("nat/tcp/1", Shape::Nat, ALWAYS, nat::tcp_1),
    scenario("nat/tcp/4", Shape::Nat, ALWAYS, nat::tcp_4),
    scenario("nat/udp/60", Shape::Nat, ALWAYS, nat::udp_60),
    scenario("nat/rtt", Shape::Nat, ALWAYS, nat::rtt_flood),
    scenario("nat/scan", Shape::Nat, ALWAYS, nat::scan),
    scenario("nat/connections", Shape::Nat, ALWAYS, nat::connections),
];

/// The wanted scenarios of this round, those of one shape together.
pub fn by_shape(args: &Args, round: usize) -> Vec<(Shape, Vec<&'static Scenario>)> {
    let mut shapes: Vec<(Shape, Vec<&Scenario>)> = Vec::new();
    for scenario in SCENARIOS.iter().filter(|s| s.rounds > round && wanted(s, args)) {
        match shapes.iter_mut().find(|(shape, _)| *shape == scenario.shape) {
            Some((_, scenarios)) => scenarios.push(scenario),
            None => shapes.push((scenario.shape, vec![scenario])),
        }
    }
    shapes
}

/// A scenario is wanted by its own name or by that of one of its rows.
fn wanted(scenario: &Scenario, args: &Args) -> bool {
    args.wants(scenario.name)
        || args.rows.iter().any(|row| {
            row.starts_with(scenario.name) && row[scenario.name.len()..].starts_with('/')
        })
}

const fn row(name: &'static str, title: &'static str, unit: &'static str, better: Better) -> Row {
    Row { name, title, unit, better, headline: false }
}

const fn headline(row: Row) -> Row {
    Row { headline: true, ..row }
}

use Better::{Higher, Lower, Neither};

/// The rows in the order of the table.
pub const ROWS: &[Row] = &[
    headline(row("tcp/1", "bulk TCP, 1 flow", "Gbit/s", Higher)),
    row("tcp/1/cpu", "… CPU of the machine", "s/GB", Lower),
    headline(row("tcp/4", "bulk TCP, 4 flows", "Gbit/s", Higher)),
    row("tcp/4/cpu", "… CPU of the machine", "s/GB", Lower),
    row("tcp/both/1", "bulk TCP, 1 flow each way", "Gbit/s", Higher),
    row("tcp/both/1/cpu", "… CPU of the machine", "s/GB", Lower),
    headline(row("tcp/both/4", "bulk TCP, 4 flows each way", "Gbit/s", Higher)),
    row("tcp/both/4/cpu", "… CPU of the machine", "s/GB", Lower),
    headline(row("rr", "TCP_RR, one byte", "/s", Higher)),
    row("frames/60/offered", "60-byte frames offered", "k/s", Neither),
    headline(row("frames/60/delivered", "60-byte frames delivered", "k/s", Higher)),
    row("frames/60/lost", "… lost", "%", Lower),
    row("frames/60/cpu", "… CPU of the machine", "s/M", Lower),
    row("frames/512/offered", "512-byte frames offered", "k/s", Neither),
    row("frames/512/delivered", "512-byte frames delivered", "k/s", Higher),
    row("frames/512/lost", "… lost", "%", Lower),
    row("frames/512/cpu", "… CPU of the machine", "s/M", Lower),
    row("frames/1514/offered", "1514-byte frames offered", "k/s", Neither),
    headline(row("frames/1514/delivered", "1514-byte frames delivered", "k/s", Higher)),
    row("frames/1514/lost", "… lost", "%", Lower),
    row("frames/1514/cpu", "… CPU of the machine", "s/M", Lower),
    headline(row("lossless/60", "60-byte frames, under 0.1 % lost", "k/s", Higher)),
    headline(row("rtt/flood/p50", "flood round trip, median", "µs", Lower)),
    row("rtt/flood/p99", "… 99th percentile", "µs", Lower),
    row("rtt/flood/program", "… median until the program has the reply", "µs", Lower),
    headline(row("rtt/paced/p50", "round trip at 100/s, median", "µs", Lower)),
    row("rtt/paced/p99", "… 99th percentile", "µs", Lower),
    row("rtt/paced/program", "… median until the program has the reply", "µs", Lower),
    headline(row("overload/goodput", "UDP overload, goodput", "Gbit/s", Higher)),
    row("overload/offered", "… datagrams offered", "k/s", Neither),
    row("overload/forwarder", "… lost on the way", "%", Neither),
    row("overload/receiver", "… lost in the receiver's socket", "%", Neither),
    row("busy/offered", "1514-byte frames offered, all cores busy with other work", "k/s", Neither),
    row("busy/lost", "… lost", "%", Lower),
    row("idle/cpu", "idle: CPU of the forwarder", "% of a core", Lower),
    row("idle/machine", "idle: CPU of the machine", "% of a core", Lower),
    row("idle/wakes", "idle: wake-ups of the forwarder", "/s", Lower),
    row("memory/resident", "resident, 2 ports", "MiB", Lower),
    row("memory/rings", "… of it packet rings", "MiB", Lower),
    row("watch/frames/off", "60-byte frames, nobody looking", "k/s", Higher),
    row("watch/frames/filtered", "… a capture whose filter matches nothing", "of that", Higher),
    row("watch/frames/all", "… everything captured", "of that", Higher),
    row("watch/tcp/off", "bulk TCP, 1 flow, nobody looking", "Gbit/s", Higher),
    row("watch/tcp/filtered", "… a capture whose filter matches nothing", "of that", Higher),
    row("watch/tcp/all", "… everything captured", "of that", Higher),
    row("watch/rtt/off", "flood round trip, nobody looking", "µs", Lower),
    row("watch/rtt/filtered", "… a capture whose filter matches nothing", "of that", Lower),
    row("watch/rtt/all", "… everything captured", "of that", Lower),
    row("broadcast/2", "broadcast to 2 ports, copies", "k/s", Higher),
    row("broadcast/16", "broadcast to 16 ports, copies", "k/s", Higher),
    headline(row("broadcast/64", "broadcast to 64 ports, copies", "k/s", Higher)),
    row("ports/2", "60-byte frames, 2 ports", "k/s", Higher),
    row("ports/16", "60-byte frames, 16 ports", "k/s", Higher),
    row("ports/128", "60-byte frames, 128 ports", "k/s", Higher),
    headline(row("ports/512", "60-byte frames, 512 ports", "k/s", Higher)),
    row("ports/2/memory", "resident, 2 ports", "MiB", Lower),
    row("ports/16/memory", "resident, 16 ports", "MiB", Lower),
    row("ports/128/memory", "resident, 128 ports", "MiB", Lower),
    row("ports/512/memory", "resident, 512 ports", "MiB", Lower),
    row("networks/256", "60-byte frames, 256 networks of 16 ports", "k/s", Higher),
    row("networks/256/memory", "resident, 256 networks of 16 ports", "MiB", Lower),
    row("full/addresses/few", "60-byte frames, 6 addresses known", "k/s", Higher),
    row("full/addresses/many", "60-byte frames, 64,000 addresses known", "k/s", Higher),
    row("full/sessions/few", "NAT: 60-byte UDP frames, 1 session", "k/s", Higher),
    row("full/sessions/many", "NAT: 60-byte UDP frames, 30,000 sessions", "k/s", Higher),
    row(
        "full/million/few",
        "NAT: 60-byte UDP frames, 1 session, room for a million",
        "k/s",
        Higher,
    ),
    row("full/million/many", "NAT: 60-byte UDP frames, 516,000 sessions", "k/s", Higher),
    headline(row("nat/tcp/1", "NAT: bulk TCP, 1 flow", "Gbit/s", Higher)),
    row("nat/tcp/1/cpu", "… CPU of the machine", "s/GB", Lower),
    headline(row("nat/tcp/4", "NAT: bulk TCP, 4 flows", "Gbit/s", Higher)),
    row("nat/tcp/4/cpu", "… CPU of the machine", "s/GB", Lower),
    headline(row("nat/udp/60", "NAT: 60-byte UDP frames", "k/s", Higher)),
    row("nat/udp/60/lost", "… lost", "%", Lower),
    row("nat/udp/60/cpu", "… CPU of the machine", "s/M", Lower),
    row("nat/scan", "NAT: 60-byte UDP frames, each of a new session", "k/s", Higher),
    row("nat/scan/lost", "… lost", "%", Neither),
    row("nat/scan/cpu", "… CPU of the machine", "s/M", Lower),
    headline(row("nat/rtt/p50", "NAT: flood round trip, median", "µs", Lower)),
    row("nat/rtt/p99", "… 99th percentile", "µs", Lower),
    row("nat/rtt/program", "… median until the program has the reply", "µs", Lower),
    headline(row("nat/connections", "NAT: new TCP connections", "/s", Higher)),
];
