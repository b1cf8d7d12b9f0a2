//! The scenarios on a LAN: everything that needs no gateway. Each answers with its rows' values in
//! the rows' units.

use std::time::Duration;

use anyhow::Result;

use super::Values;
use crate::args::Args;
use crate::load::busy::Busy;
use crate::load::frames::{self, Delivery};
use crate::load::tcp::{self, Direction};
use crate::load::{ping, udp};
use crate::measure::{Window, cpu, memory};
use crate::peers::Lab;
use crate::stats::percentile;

/// Addresses behind each port of `full/addresses`; a port of uswitch learns 16,384.
const ADDRESSES: u16 = 16_000;

pub fn tcp_1(lab: &Lab, args: &Args) -> Result<Values> {
    bulk("tcp/1", lab, args, 1, false)
}

pub fn tcp_4(lab: &Lab, args: &Args) -> Result<Values> {
    bulk("tcp/4", lab, args, 4, false)
}

pub fn tcp_both_1(lab: &Lab, args: &Args) -> Result<Values> {
    bulk("tcp/both/1", lab, args, 1, true)
}

pub fn tcp_both_4(lab: &Lab, args: &Args) -> Result<Values> {
    bulk("tcp/both/4", lab, args, 4, true)
}

/// Bulk TCP between the first two nodes; `both` ways at once where asked.
pub fn bulk(row: &str, lab: &Lab, args: &Args, flows: usize, both: bool) -> Result<Values> {
    let (one, two) = (&lab.nodes[0], &lab.nodes[1]);
    let mut directions = vec![Direction { from: one, to: two, flows }];
    if both {
        directions.push(Direction { from: two, to: one, flows });
    }
    let (bits, cpu) = tcp::bulk(&directions, args.window(1.0))?;
    Ok(vec![(row.into(), bits / 1e9), (format!("{row}/cpu"), cpu)])
}

pub fn rr(lab: &Lab, args: &Args) -> Result<Values> {
    let rate = tcp::request_response(&lab.nodes[0], &lab.nodes[1], args.window(0.6))?;
    Ok(vec![("rr".into(), rate)])
}

pub fn frames_60(lab: &Lab, args: &Args) -> Result<Values> {
    flat_out("frames/60", lab, args, 60)
}

pub fn frames_512(lab: &Lab, args: &Args) -> Result<Values> {
    flat_out("frames/512", lab, args, 512)
}

pub fn frames_1514(lab: &Lab, args: &Args) -> Result<Values> {
    flat_out("frames/1514", lab, args, 1514)
}

fn flat_out(row: &str, lab: &Lab, args: &Args, length: usize) -> Result<Values> {
    let seen = unicast(lab, length, None, args.window(0.6))?;
    Ok(vec![
        (format!("{row}/offered"), seen.offered / 1e3),
        (format!("{row}/delivered"), seen.delivered / 1e3),
        (format!("{row}/lost"), seen.lost()),
        (format!("{row}/cpu"), seen.cpu_per_million),
    ])
}

/// Frames from the first node to the second, both of which the switch has learned.
pub fn unicast(lab: &Lab, length: usize, rate: Option<f64>, window: Duration) -> Result<Delivery> {
    let frame = frames::plain(lab.nodes[1].mac()?, lab.nodes[0].mac()?, length);
    let receivers = std::slice::from_ref(&lab.nodes[1]);
    frames::send(&lab.nodes[0], receivers, &[frame], rate, window)
}

/// Halves the interval between a rate that is carried and one that is not, eight times.
pub fn lossless(lab: &Lab, args: &Args) -> Result<Values> {
    let window = args.window(0.2);
    let (mut carried, mut best) = (0.0, 0.0f64);
    let mut refused = unicast(lab, 60, None, window)?.offered * 1.2;
    for _ in 0..8 {
        let rate = f64::midpoint(carried, refused);
        let seen = unicast(lab, 60, Some(rate), window)?;
        if seen.lost() < 0.1 {
            carried = rate;
            best = best.max(seen.delivered);
            if seen.offered < rate * 0.98 {
                break; // the source itself can do no more
            }
        } else {
            refused = rate;
        }
    }
    Ok(vec![("lossless/60".into(), best / 1e3)])
}

pub fn rtt_flood(lab: &Lab, args: &Args) -> Result<Values> {
    round_trips("rtt/flood", lab, None, args.window(0.6))
}

pub fn rtt_paced(lab: &Lab, args: &Args) -> Result<Values> {
    round_trips("rtt/paced", lab, Some(Duration::from_millis(10)), args.window(1.3))
}

/// Median and 99th percentile between the first two nodes, and the median as the program saw it.
pub fn round_trips(
    row: &str,
    lab: &Lab,
    gap: Option<Duration>,
    window: Duration,
) -> Result<Values> {
    let seen = ping::ping(&lab.nodes[0], lab.nodes[1].address, gap, window)?;
    Ok(vec![
        (format!("{row}/p50"), percentile(&seen.network, 0.5)),
        (format!("{row}/p99"), percentile(&seen.network, 0.99)),
        (format!("{row}/program"), percentile(&seen.program, 0.5)),
    ])
}

pub fn overload(lab: &Lab, args: &Args) -> Result<Values> {
    let seen = udp::overload(&lab.nodes[0], &lab.nodes[1], args.window(0.6))?;
    Ok(vec![
        ("overload/goodput".into(), seen.goodput() / 1e9),
        ("overload/offered".into(), seen.offered / 1e3),
        ("overload/forwarder".into(), seen.lost_by_forwarder()),
        ("overload/receiver".into(), seen.lost_by_receiver()),
    ])
}

/// Frames at a rate that any forwarder carries, while other work keeps every core busy.
pub fn busy(lab: &Lab, args: &Args) -> Result<Values> {
    let _busy = Busy::start()?;
    let seen = unicast(lab, 1514, Some(5_000.0), args.window(2.0))?;
    Ok(vec![("busy/offered".into(), seen.offered / 1e3), ("busy/lost".into(), seen.lost())])
}

pub fn memory(lab: &Lab, _: &Args) -> Result<Values> {
    if lab.pids().is_empty() {
        return Ok(vec![]); // the kernel has no resident set
    }
    let used = memory::of_processes(&lab.pids());
    Ok(vec![
        ("memory/resident".into(), used.resident as f64 / f64::from(1 << 20)),
        ("memory/rings".into(), used.rings as f64 / f64::from(1 << 20)),
    ])
}

/// Nothing is sent for ten seconds.
pub fn idle(lab: &Lab, args: &Args) -> Result<Values> {
    cpu::settle(Duration::from_secs(2))?;
    let length = Duration::from_secs(if args.quick { 2 } else { 10 });
    let (before, wakes_before) = cpu::of_processes(&lab.pids());
    let machine = Window::measure(length)?;
    let (after, wakes_after) = cpu::of_processes(&lab.pids());
    let mut values = vec![("idle/machine".into(), machine.busy_seconds / machine.seconds * 100.0)];
    if !lab.pids().is_empty() {
        values.push(("idle/cpu".into(), (after - before) / machine.seconds * 100.0));
        let wakes = wakes_after.saturating_sub(wakes_before) as f64;
        values.push(("idle/wakes".into(), wakes / machine.seconds));
    }
    Ok(values)
}

/// Broadcasts from the first node, counted at all the others.
pub fn broadcast(lab: &Lab, args: &Args) -> Result<Values> {
    let frame = frames::plain([0xff; 6], lab.nodes[0].mac()?, 60);
    let seen = frames::send(&lab.nodes[0], &lab.nodes[1..], &[frame], None, args.window(0.6))?;
    Ok(vec![(format!("broadcast/{}", lab.nodes.len() - 1), seen.delivered / 1e3)])
}

/// The same unicast as `frames/60`, with every port's address learned first.
pub fn ports(lab: &Lab, args: &Args) -> Result<Values> {
    learned(&format!("ports/{}", lab.nodes.len()), lab, args)
}

/// The same with few addresses learned, and with as many as the table has room for.
pub fn addresses(lab: &Lab, args: &Args) -> Result<Values> {
    let (to, window) = (lab.nodes[0].mac()?, args.window(0.6));
    frames::send_one(&lab.nodes[1], frames::plain(to, lab.nodes[1].mac()?, 60))?;
    let few = unicast(lab, 60, None, window)?;
    for (number, node) in (1u8..).zip(&lab.nodes[2..]) {
        let from = |n: u16| [2, 0x10, 0, number, n.to_be_bytes()[0], n.to_be_bytes()[1]];
        let all = (0..ADDRESSES).map(|n| frames::plain(to, from(n), 60));
        frames::send_each(node, all.collect())?;
    }
    let many = unicast(lab, 60, None, window)?;
    Ok(vec![
        ("full/addresses/few".into(), few.delivered / 1e3),
        ("full/addresses/many".into(), many.delivered / 1e3),
    ])
}

/// The same in the first of many networks. A node has the same address in none of the others, and
/// the lab's own checks have made the switch learn those.
pub fn networks(lab: &Lab, args: &Args) -> Result<Values> {
    learned("networks/256", lab, args)
}

fn learned(row: &str, lab: &Lab, args: &Args) -> Result<Values> {
    for node in &lab.nodes {
        frames::send_one(node, frames::plain(lab.nodes[0].mac()?, node.mac()?, 60))?;
    }
    let mut values = Vec::new();
    if !lab.pids().is_empty() {
        let used = memory::of_processes(&lab.pids()).resident as f64;
        values.push((format!("{row}/memory"), used / f64::from(1 << 20)));
    }
    let seen = unicast(lab, 60, None, args.window(0.6))?;
    values.push((row.into(), seen.delivered / 1e3));
    Ok(values)
}
