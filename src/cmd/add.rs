//! `uswitch add`: a node plugged into a running lab.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use control::api::{AddNode, StormLimits};

use crate::door::{Which, json};
use crate::{say, storm};

/// Plug a new node into a running lab
///
/// Traffic between the others flows on meanwhile.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Its name [default: the next free netN]
    #[arg(value_name = "NODE")]
    node: Option<String>,
    /// Its address [default: the next free one by the lab's rule]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// Most frames a second it may have flooded: N of each kind, or broadcast=N,multicast=N,unknown=N
    /// [default: the lab's]
    #[arg(long, value_name = "LIMITS", value_parser = storm::limits)]
    storm: Option<StormLimits>,
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let ask = AddNode { name: args.node, address: args.address, storm: args.storm };
    let node = args.which.answer(client.add_node(&ask))?;
    if args.json {
        json(&node)?;
        return Ok(ExitCode::SUCCESS);
    }
    let port = node.port.map_or_else(String::new, |port| format!(", port {port}"));
    say::line(&format!(
        "{} {}/{} on {}{port}",
        node.name, node.address, node.prefix_len, node.ifname
    ));
    Ok(ExitCode::SUCCESS)
}
