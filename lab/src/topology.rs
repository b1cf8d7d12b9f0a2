//! Pair, mesh and switch as plans. Pure: names, addresses and steps; nothing is made here.

use std::net::Ipv4Addr;

use ns::plan::{LOOPBACK, VethOptions};
use ns::{NsId, Plan};
use wire::MacAddr;

use crate::address::{self, PREFIX};
use crate::config::{LabConfig, Topology, Uplink};

#[cfg(test)]
mod tests;

/// The interface of the uplink on the switch's side.
pub const UPLINK_PORT: &str = "vethinet";
/// The interface of the uplink in the simulated internet.
const UPLINK_PEER: &str = "vethpeerinet";

/// One interface of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the node.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its prefix length.
    pub prefix: u8,
    /// Its hardware address.
    pub mac: MacAddr,
}

/// A node to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlan {
    /// Its number, from 1.
    pub number: u32,
    /// Its name, without the lab's prefix.
    pub name: String,
    /// Its namespace in the plan.
    pub ns: NsId,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Its port of the switch.
    pub port: Option<PortPlan>,
}

/// A port to plug into the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlan {
    /// The interface's name in the switch's namespace.
    pub name: String,
    /// Its index there.
    pub index: u32,
}

/// Two addresses that have to reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPlan {
    /// The node the ping starts from, by its place among the nodes.
    pub from: usize,
    /// What the destination is called.
    pub to_name: String,
    /// Where it goes.
    pub to: Ipv4Addr,
}

/// All a lab consists of.
#[derive(Debug, Default)]
pub struct Blueprint {
    /// The steps.
    pub plan: Plan,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// The switch's namespace.
    pub switch: Option<NsId>,
    /// The simulated internet's.
    pub inet: Option<NsId>,
    /// The uplink's port.
    pub uplink: Option<PortPlan>,
    /// The pings that show it works.
    pub checks: Vec<CheckPlan>,
    /// Veth pairs it takes.
    pub pairs: usize,
}

impl Blueprint {
    /// What its plan has made, in words.
    pub(crate) fn words(&self) -> String {
        let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        let mut names = match names.as_slice() {
            [first, .., last] if names.len() > 4 => format!("{first} … {last}"),
            few => few.join(", "),
        };
        if self.inet.is_some() {
            names.push_str(", inet");
        }
        let veths = if self.pairs == 1 { "veth pair" } else { "veth pairs" };
        format!("namespaces {names}; {} {veths}, addresses, routes", self.pairs)
    }
}

/// The blueprint of a lab.
#[must_use]
pub fn blueprint(config: &LabConfig) -> Blueprint {
    match config.topology {
        Topology::Pair => direct(config, |_, _| {
            let [a, b] = [Ipv4Addr::new(10, 100, 0, 1), Ipv4Addr::new(10, 100, 0, 2)];
            ([a, b], PREFIX, ["veth1".into(), "veth2".into()])
        }),
        Topology::Mesh => direct(config, |number, [i, j]| {
            let addresses = address::of_pair(number).unwrap_or([Ipv4Addr::UNSPECIFIED; 2]);
            (addresses, 30, [format!("veth{i}-{j}"), format!("veth{j}-{i}")])
        }),
        Topology::Switch => switched(config),
    }
}

type Ends = ([Ipv4Addr; 2], u8, [String; 2]);

/// A veth pair between every two nodes, and a ping each way over each.
fn direct(config: &LabConfig, ends: impl Fn(u32, [u32; 2]) -> Ends) -> Blueprint {
    let mut print = Blueprint::default();
    for number in 1..=config.nodes {
        let name = format!("net{number}");
        let ns = print.plan.named(format!("{}{name}", config.prefix()));
        print.nodes.push(NodePlan { number, name, ns, interfaces: Vec::new(), port: None });
    }
    // For each node what is to be configured there, so that a node is visited once.
    let mut indices: Vec<Vec<u32>> = vec![Vec::new(); print.nodes.len()];
    let mut number = 0;
    for i in 0..print.nodes.len() {
        for j in i + 1..print.nodes.len() {
            let (addresses, prefix, names) =
                ends(number, [print.nodes[i].number, print.nodes[j].number]);
            number += 1;
            let macs = addresses.map(address::mac);
            let options =
                VethOptions { mtu: config.mtu, mac_a: Some(macs[0].0), mac_b: Some(macs[1].0) };
            let at = (print.nodes[i].ns, print.nodes[j].ns);
            let (a, b) = print.plan.veth((at.0, &names[0]), (at.1, &names[1]), options);
            for (end, (node, index)) in [(i, a), (j, b)].into_iter().enumerate() {
                indices[node].push(index);
                print.nodes[node].interfaces.push(Interface {
                    name: names[end].clone(),
                    address: addresses[end],
                    prefix,
                    mac: macs[end],
                });
            }
            for (from, to, end) in [(i, j, 1), (j, i, 0)] {
                let to_name = print.nodes[to].name.clone();
                print.checks.push(CheckPlan { from, to_name, to: addresses[end] });
            }
        }
    }
    for (node, indices) in print.nodes.iter().zip(indices) {
        print.plan.up(node.ns, LOOPBACK);
        for (interface, index) in node.interfaces.iter().zip(indices) {
            print.plan.up(node.ns, index);
            print.plan.address(node.ns, index, interface.address, interface.prefix);
        }
    }
    print.pairs = number as usize;
    print
}

fn switched(config: &LabConfig) -> Blueprint {
    let mut print = Blueprint::default();
    let plan = &mut print.plan;
    let switch = plan.anonymous();
    print.switch = Some(switch);
    quiet(plan, switch);
    let rooms: Vec<_> = (1..=config.nodes)
        .map(|number| room(plan, &format!("{}net{number}", config.prefix())))
        .collect();
    let inet =
        (config.uplink == Uplink::Sim).then(|| plan.named(format!("{}inet", config.prefix())));
    // Veths first: their requests share one batch in the switch's namespace.
    let mut peers = Vec::new();
    for (number, ns) in (1..).zip(rooms) {
        let name = format!("net{number}");
        let address = address::of_node(number).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let (node, index) = plug(plan, (switch, ns), number, (&name, address), config.mtu);
        print.nodes.push(node);
        peers.push(index);
    }
    let outside = inet.map(|inet| {
        let options = VethOptions {
            mtu: config.mtu,
            mac_b: Some(address::mac(address::SIM_ROUTER).0),
            ..VethOptions::default()
        };
        let (index, peer) = plan.veth((switch, UPLINK_PORT), (inet, UPLINK_PEER), options);
        print.uplink = Some(PortPlan { name: UPLINK_PORT.into(), index });
        (inet, peer)
    });
    for (node, peer) in print.nodes.iter().zip(&peers) {
        furnish(plan, node, *peer);
    }
    if let Some((inet, peer)) = outside {
        internet(plan, inet, peer);
        print.inet = Some(inet);
    }
    let ports = print.nodes.iter().filter_map(|node| node.port.as_ref());
    connect(plan, switch, ports.chain(&print.uplink));
    print.pairs = print.nodes.len() + usize::from(inet.is_some());
    print.checks = switched_checks(&print.nodes, inet.is_some());
    print
}

/// The switch's own namespace answers nothing and says nothing.
fn quiet(plan: &mut Plan, switch: NsId) {
    for (key, value) in [
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/conf/all/arp_ignore", "8"),
        ("ipv4/ip_forward", "0"),
    ] {
        plan.sysctl(switch, key, value);
    }
}

/// The namespace of a node that will be switched. What it says of its own accord is flooded to all
/// the others, so with a thousand nodes each such frame is a million: it does not ask for IPv6
/// routers, which it would still hear, and trusts its addresses, which the lab has made unique.
pub(crate) fn room(plan: &mut Plan, name: &str) -> NsId {
    let ns = plan.named(name);
    plan.sysctl(ns, "ipv6/conf/default/router_solicitations", "0");
    plan.sysctl(ns, "ipv6/conf/default/accept_dad", "0");
    ns
}

/// The veth pair of node `number`, and the node; with the index of its interface.
pub(crate) fn plug(
    plan: &mut Plan,
    (switch, ns): (NsId, NsId),
    number: u32,
    (name, address): (&str, Ipv4Addr),
    mtu: u32,
) -> (NodePlan, u32) {
    let mac = address::mac(address);
    let (port, interface) = (format!("veth{number}"), format!("vethpeer{number}"));
    let options = VethOptions { mtu, mac_a: None, mac_b: Some(mac.0) };
    let (index, peer) = plan.veth((switch, &port), (ns, &interface), options);
    let node = NodePlan {
        number,
        name: name.into(),
        ns,
        interfaces: vec![Interface { name: interface, address, prefix: PREFIX, mac }],
        port: Some(PortPlan { name: port, index }),
    };
    (node, peer)
}

/// The last part: the switch's ends of the links come up, and with them the nodes' carriers. The
/// ports are plugged in before, or what a node says at once would come from nobody the switch knows.
pub(crate) fn connect<'a>(
    plan: &mut Plan,
    switch: NsId,
    ports: impl IntoIterator<Item = &'a PortPlan>,
) {
    plan.pause();
    for port in ports {
        plan.up(switch, port.index);
    }
}

/// What is done inside a switched node.
pub(crate) fn furnish(plan: &mut Plan, node: &NodePlan, peer: u32) {
    plan.up(node.ns, LOOPBACK);
    plan.up(node.ns, peer);
    for interface in &node.interfaces {
        plan.address(node.ns, peer, interface.address, interface.prefix);
    }
    plan.default_route(node.ns, peer, address::GATEWAY);
}

/// The simulated internet: it answers, has no route to the LAN, and is of IPv4 alone.
fn internet(plan: &mut Plan, inet: NsId, peer: u32) {
    plan.sysctl(inet, "ipv6/conf/all/disable_ipv6", "1");
    plan.up(inet, LOOPBACK);
    plan.up(inet, peer);
    plan.address(inet, peer, address::SIM_ROUTER, address::SIM_PREFIX);
    for host in address::SIM_HOSTS {
        plan.address(inet, LOOPBACK, host, 32);
    }
}

/// The walkthrough's: net1 and net2 each way, then the internet. With more nodes, each also
/// reaches the next one around.
fn switched_checks(nodes: &[NodePlan], inet: bool) -> Vec<CheckPlan> {
    let to_node = |from: usize, to: usize| CheckPlan {
        from,
        to_name: nodes[to].name.clone(),
        to: nodes[to].interfaces[0].address,
    };
    let mut checks: Vec<_> = match nodes.len() {
        1 => vec![CheckPlan { from: 0, to_name: "gateway".into(), to: address::GATEWAY }],
        n => (0..n).map(|from| to_node(from, (from + 1) % n)).collect(),
    };
    if inet {
        let to = address::SIM_HOSTS[0];
        checks.push(CheckPlan { from: 0, to_name: "internet".into(), to });
    }
    checks
}
