//! `uswitch add`: a node plugged into a running lab.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use control::api::{AddNode, Node, StormLimits};
use lab::steps::{self, Added};
use topology::{Address, Attachment, Gateway, Network, Spec, Subnet};

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
    /// Attach it to this network, at this address if one is given; repeatable [default: the first
    /// network]
    #[arg(long = "network", value_name = "NAME[,ADDRESS]", add = crate::complete::networks())]
    networks: Vec<String>,
    /// Its address in the first of them [default: the next free one by the lab's rule]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Ipv4Addr>,
    /// Most frames a second it may have flooded: N of each kind, or broadcast=N,multicast=N,unknown=N
    /// [default: the lab's]
    #[arg(long, value_name = "LIMITS", value_parser = storm::limits)]
    storm: Option<StormLimits>,
    /// Print the steps as the commands that would do the same by hand, and change nothing; -v
    /// prints them on stderr as well
    #[arg(long, conflicts_with = "json")]
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
        networks: args.networks,
        storm: args.storm,
        dry_run: args.dry_run,
    };
    let node = args.which.answer(client.add_node(&ask))?;
    if args.dry_run || steps {
        let spec = spec(&node, &args.which.answer(client.networks())?)?;
        let tell = if args.dry_run { say::line } else { say::note };
        lines(&node, &spec).iter().for_each(|line| tell(line));
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        json(&node)?;
        return Ok(ExitCode::SUCCESS);
    }
    let port = |port: &Option<String>| match port {
        Some(port) => format!(", port {port}"),
        None => String::new(),
    };
    let all = |addresses: &[String]| match addresses {
        [] => "no address".to_owned(),
        all => all.join(", "),
    };
    let (own, at) = (all(&node.addresses), port(&node.port));
    say::line(&format!("{} {own} on {}{at}", node.name, node.ifname));
    for one in &node.further {
        let (own, at) = (all(&one.addresses), port(&one.port));
        say::line(&format!("{} {own} on {}{at}", node.name, one.ifname));
    }
    Ok(ExitCode::SUCCESS)
}

/// The lab's networks, with the node in them, as far as its lines tell of them.
fn spec(node: &Node, networks: &[control::api::Network]) -> anyhow::Result<Spec> {
    let mut spec = Spec::default();
    for network in networks {
        let subnets = network.subnets.iter().map(|text| text.parse::<Subnet>());
        let subnets = subnets.collect::<Result<Vec<_>, _>>()?;
        let gateway = network.gateway.as_ref().and_then(|own| own.parse().ok());
        let gateway = gateway.map_or(Gateway::None, |own: IpAddr| Gateway::At(vec![own]));
        let mtu = Some(network.mtu);
        let network =
            (network.name.clone(), Network { subnets, gateway, mtu, ..Network::default() });
        spec.networks.extend([network]);
    }
    let first = (&node.network, &node.addresses, &node.ifname);
    let further = node.further.iter().map(|one| (&one.network, &one.addresses, &one.ifname));
    let mut places = Vec::new();
    for (network, addresses, interface) in std::iter::once(first).chain(further) {
        let addresses = addresses.iter().map(|text| text.parse::<Address>());
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        places.push(Attachment {
            addresses: Some(addresses),
            interface: Some(interface.clone()),
            ..Attachment::to(network.as_deref().unwrap_or_default())
        });
    }
    spec.nodes.insert(node.name.clone(), topology::Node::on(places));
    Ok(spec)
}

/// What was done for the node, as commands.
fn lines(node: &Node, spec: &Spec) -> Vec<String> {
    let number = node.port.as_deref().and_then(|port| port.strip_prefix("veth")?.parse().ok());
    steps::add(&Added {
        prefix: node.namespace.strip_suffix(node.name.as_str()).unwrap_or_default(),
        name: &node.name,
        number: number.unwrap_or_default(),
        spec,
    })
}
