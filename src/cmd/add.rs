//! `uswitch add`: a node plugged into a running lab.

use std::net::Ipv4Addr;
use std::process::ExitCode;

use control::api::{AddNode, Node, StormLimits};
use lab::steps::{self, Added};

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
    /// Print the steps as the commands that would do the same by hand, and change nothing; -v
    /// prints them on stderr as well
    #[arg(long)]
    dry_run: bool,
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let client = args.which.client()?;
    let ask = AddNode {
        name: args.node,
        address: args.address,
        storm: args.storm,
        dry_run: args.dry_run,
    };
    let node = args.which.answer(client.add_node(&ask))?;
    if args.dry_run || steps {
        let mtu = args.which.answer(client.ports())?.first().map_or(1500, |port| port.mtu);
        let tell = if args.dry_run { say::line } else { say::note };
        lines(&node, mtu).iter().for_each(|line| tell(line));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
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

/// What was done for the node, as commands.
fn lines(node: &Node, mtu: u32) -> Vec<String> {
    let number = node.port.as_deref().and_then(|port| port.strip_prefix("veth")?.parse().ok());
    steps::add(&Added {
        prefix: node.namespace.strip_suffix(node.name.as_str()).unwrap_or_default(),
        name: &node.name,
        number: number.unwrap_or_default(),
        address: node.address,
        mtu,
    })
}
