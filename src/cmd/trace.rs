//! `uswitch trace`: the way of real frames through the lab, decision by decision.

use std::process::ExitCode;

use control::api::{TraceAsk, TraceLine};

use crate::clock;
use crate::door::{self, Which};
use crate::look;
use crate::say;
use crate::signals::{self, Signals};
use crate::units;

/// Follow frames through the lab: what was decided about each, where and why
///
/// FILTER is tcpdump's language for Ethernet, pcap-filter(7), byte tests included: `icmp`, `tcp[tcpflags]
/// & tcp-syn != 0`, `len > 1000`, `inbound`. A node's name stands for its addresses: `host net1 and port
/// 80`. What is not read (`geneve`, `vxlan`, `ifindex`, words about links a lab does not have) is refused
/// with what to write instead; docs/filter.md lists it.
///
/// Ends with Ctrl-C. A frame that could not be followed for want of room is counted.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ports, nodes or NODE:NETWORK (none: all), then a filter
    #[arg(value_name = "PORT… FILTER", add = crate::complete::ports())]
    words: Vec<String>,
    /// Stop after COUNT frames
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only frames of this network: that come in or leave by its ports
    #[arg(long, value_name = "NAME", add = crate::complete::networks())]
    network: Option<String>,
    /// JSON, one object a line; times are nanoseconds since 1970, UTC
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch(signals::block()?)?;
    let client = args.which.client()?;
    let (ports, filter) = look::split(&args.which, &args.words)?;
    let ask = TraceAsk { ports, network: args.network.clone(), filter, count: args.count };
    let lines = args.which.answer(client.trace(&ask))?;
    look::end_on(signals, args.which.clone(), lines.id())?;
    let zone =
        if args.json { String::new() } else { format!("; times are {}", clock::zone_name()) };
    say::note(&format!("following frames in lab {}, until Ctrl-C{zone}", args.which.name));
    let mut number = 0u64;
    for line in lines {
        let line = args.which.heard(line)?;
        if args.json {
            door::json(&line)?;
        }
        match line {
            TraceLine::Frame(walk) if !args.json => {
                number += 1;
                look::print(&format!("#{number} {}  ", clock::micros(walk.time)), &walk);
            }
            TraceLine::Lost { count } if !args.json => {
                let frames = units::count(count, "frame was", "frames were");
                say::line(&format!("   … {frames} not followed, for want of room"));
            }
            TraceLine::Frame(_) | TraceLine::Lost { .. } => {}
            TraceLine::End { told, lost } => {
                let told = units::count(told, "frame", "frames");
                say::note(&format!("{told} followed, {lost} missed for want of room"));
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    Err(args.which.ended())
}
