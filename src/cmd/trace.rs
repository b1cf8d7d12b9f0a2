//! `uswitch trace`: the way of real frames through the lab, decision by decision.

use std::process::ExitCode;

use anyhow::bail;
use control::api::{TraceAsk, TraceLine};

use crate::door::{self, Which};
use crate::look;
use crate::say;
use crate::signals::{self, Signals};

/// Follow frames through the lab: what was decided about each, where and why
///
/// FILTER is in tcpdump's language, and a node's name stands for its address: `icmp`, `host net1
/// and port 80`. Ends with Ctrl-C. A frame that could not be followed for want of room is counted.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ports or nodes (none: all), then a filter
    #[arg(value_name = "PORT… FILTER")]
    words: Vec<String>,
    /// Stop after COUNT frames
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// JSON, one object a line
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch(signals::block()?)?;
    let client = args.which.client()?;
    let (ports, filter) = args.which.answer(look::split(&client, &args.words))?;
    let ask = TraceAsk { ports, filter, count: args.count };
    let lines = args.which.answer(client.trace(&ask))?;
    look::end_on(signals, args.which.clone(), lines.id())?;
    say::note(&format!("following frames in lab {}, until Ctrl-C", args.which.name));
    let mut number = 0u64;
    for line in lines {
        let line = line?;
        if args.json {
            door::json(&line)?;
        }
        match line {
            TraceLine::Frame(walk) if !args.json => {
                number += 1;
                look::print(&format!("#{number} {}  ", look::clock(walk.time)), &walk);
            }
            TraceLine::Lost { count } if !args.json => {
                say::line(&format!("   … {count} frames were not followed, for want of room"));
            }
            TraceLine::Frame(_) | TraceLine::Lost { .. } => {}
            TraceLine::End { told, lost } => {
                say::note(&format!("{told} frames followed, {lost} not for want of room"));
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    bail!("lab {} has ended", args.which.name)
}
