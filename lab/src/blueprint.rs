//! A lab to be as a plan of steps. Pure; nothing is made here, and nothing chosen.
//!
//! Which names and addresses there are, and by which routes nodes leave, stands in the [`Checked`] lab
//! already. Veth pairs come first, so that their requests share a batch; then each node is visited once.

use std::net::IpAddr;

use ::topology::{
    Address, Checked, CheckedInterface, CheckedNode, CheckedRoute, Kind, Place, Uplink,
};
use ns::plan::{LOOPBACK, VethOptions};
use ns::{NsId, Plan};
use switch::PortId;
use wire::MacAddr;

use crate::address;
use crate::config::LabConfig;
use crate::joint::{self, Joint};
use crate::node::{Interface, Plug};

mod checks;
mod internet;
#[cfg(test)]
mod tests;

pub use checks::CheckPlan;

/// The interface of the uplink on the switch's side.
pub const UPLINK_PORT: &str = "vethinet";
/// The interface of the uplink in the simulated internet.
const UPLINK_PEER: &str = "vethpeerinet";

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
    /// The indices of these in the node, in the same order.
    pub indices: Vec<u32>,
}

impl NodePlan {
    /// One without interfaces.
    pub(crate) fn of(number: u32, name: &str, ns: NsId) -> Self {
        Self { number, name: name.into(), ns, interfaces: Vec::new(), indices: Vec::new() }
    }
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
    /// The links between networks.
    pub joints: Vec<Joint>,
    /// The uplink's port.
    pub uplink: Option<Plug>,
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

    /// The switch's ends of all nodes' interfaces, and those of links between networks.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &Plug> {
        let interfaces = self.nodes.iter().flat_map(|node| &node.interfaces);
        let of_nodes = interfaces.filter_map(|interface| interface.port.as_ref());
        of_nodes.chain(self.joints.iter().flat_map(|joint| &joint.ports))
    }
}

/// The blueprint of a lab. `pinned` is the next free interface index of a switch's namespace that is
/// there already.
#[must_use]
pub fn blueprint(config: &LabConfig, checked: &Checked, pinned: Option<u32>) -> Blueprint {
    let spec = checked.spec();
    let mut print = Blueprint::default();
    let switch = config.is_switched().then(|| {
        let switch = match pinned {
            None => print.plan.anonymous(),
            Some(next) => print.plan.existing("the switch's namespace", next),
        };
        quiet(&mut print.plan, switch);
        switch
    });
    print.switch = switch;
    for node in checked.nodes() {
        let file = format!("{}{}", config.prefix(), node.name);
        let ns = match node.interfaces.iter().any(|own| own.network().is_some()) {
            true => room(&mut print.plan, &file),
            false => print.plan.named(file),
        };
        forwards(&mut print.plan, ns, node.kind);
        print.nodes.push(NodePlan::of(node.number, &node.name, ns));
    }
    let simulated = *checked.uplink() == Uplink::Sim && switch.is_some();
    let inet = simulated.then(|| print.plan.named(format!("{}inet", config.prefix())));
    if let Some(switch) = switch {
        for (node, planned) in checked.nodes().iter().zip(&mut print.nodes) {
            print.pairs += plug(&mut print.plan, switch, planned, node);
        }
        print.joints = joint::planned(&mut print.plan, switch, spec);
        print.pairs += print.joints.len();
    }
    let outside = inet.zip(switch).map(|(inet, switch)| {
        let options = VethOptions {
            mtu: spec.mtu(),
            mac_b: Some(address::mac(address::SIM_ROUTER).0),
            ..VethOptions::default()
        };
        let ends = ((switch, UPLINK_PORT), (inet, UPLINK_PEER));
        let (index, peer) = print.plan.veth(ends.0, ends.1, options);
        print.uplink = Some(Plug { id: PortId::LOCAL, name: UPLINK_PORT.into(), index });
        print.pairs += 1;
        (inet, peer)
    });
    for (a, b) in wires(checked) {
        wire(&mut print, a, b);
    }
    for (node, planned) in checked.nodes().iter().zip(&print.nodes) {
        furnish(&mut print.plan, planned, &node.routes);
    }
    if let Some((inet, peer)) = outside {
        internet::furnish(&mut print.plan, inet, peer);
        print.inet = Some(inet);
    }
    if let Some(switch) = switch {
        let ports = print.ports().chain(&print.uplink).map(|port| port.index).collect();
        connect(&mut print.plan, switch, ports);
    }
    print.checks = checks::of(checked);
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

/// A router's kernel forwards.
pub(crate) fn forwards(plan: &mut Plan, ns: NsId, kind: Kind) {
    if kind == Kind::Router {
        plan.sysctl(ns, "ipv4/ip_forward", "1");
        plan.sysctl(ns, "ipv6/conf/all/forwarding", "1");
    }
}

/// What the port of a node's interface is called: `vethN` for the first one of node N, `vethN.2` for
/// its second.
fn port_name(number: u32, place: usize) -> String {
    if place == 0 { format!("veth{number}") } else { format!("veth{number}.{}", place + 1) }
}

/// What a node's interface is called where nobody said it: as the shapes do.
#[must_use]
pub fn interface_name(number: u32, place: usize) -> String {
    if place == 0 { format!("vethpeer{number}") } else { format!("vethpeer{number}.{}", place + 1) }
}

/// The hardware address that goes with an interface's addresses, and those to take instead where somebody
/// has it. Without an address of IPv4 they follow from the node's number and the interface's place:
/// locally administered, and no other node's.
pub(crate) fn macs(
    addresses: &[Address],
    (number, place): (u32, usize),
) -> impl Iterator<Item = MacAddr> {
    let v4 = addresses.iter().find_map(|address| match address.ip {
        IpAddr::V4(own) => Some(own),
        IpAddr::V6(_) => None,
    });
    let [_, _, high, low] = number.to_be_bytes();
    let [.., upper, lower] = place.to_be_bytes();
    let by_place = (1..=u8::MAX).map(move |turn| MacAddr([2, turn, high, low, upper, lower]));
    v4.map(address::mac).into_iter().chain(by_place)
}

/// A node's interfaces in networks: the veth pairs to the switch; how many these are.
pub(crate) fn plug(
    plan: &mut Plan,
    switch: NsId,
    node: &mut NodePlan,
    checked: &CheckedNode,
) -> usize {
    let before = node.interfaces.len();
    for own in checked.interfaces.iter().filter(|own| own.network().is_some()) {
        let port = port_name(node.number, node.interfaces.len());
        let options = VethOptions { mtu: own.mtu, mac_a: None, mac_b: Some(own.mac.0) };
        let (index, peer) = plan.veth((switch, &port), (node.ns, &own.name), options);
        let port = Plug { id: PortId::LOCAL, name: port, index };
        node.indices.push(peer);
        node.interfaces.push(interface(own, Some(port)));
    }
    node.interfaces.len() - before
}

fn interface(checked: &CheckedInterface, port: Option<Plug>) -> Interface {
    let address = |(ip, prefix): &(IpAddr, u8)| Address { ip: *ip, prefix: Some(*prefix) };
    Interface {
        name: checked.name.clone(),
        network: checked.network().map(str::to_owned),
        addresses: checked.addresses.iter().map(address).collect(),
        mac: checked.mac,
        port,
        servers: Vec::new(),
        names: Vec::new(),
    }
}

/// An end of a link: its node, by its place, and its interface.
type End<'a> = (usize, &'a CheckedInterface);

/// The links from node to node, in the order of the spec.
fn wires(checked: &Checked) -> impl Iterator<Item = (End<'_>, End<'_>)> {
    let links = checked.spec().links.len();
    let mut ends: Vec<[Option<End<'_>>; 2]> = vec![[None; 2]; links];
    for (at, node) in checked.nodes().iter().enumerate() {
        for own in &node.interfaces {
            if let Place::Link { link, end } = own.place {
                ends[link][end] = Some((at, own));
            }
        }
    }
    // Links between networks have no nodes at their ends.
    ends.into_iter().filter_map(|[a, b]| Some((a?, b?)))
}

/// The veth pair of a link.
fn wire(print: &mut Blueprint, (i, a): End<'_>, (j, b): End<'_>) {
    let options = VethOptions { mtu: a.mtu, mac_a: Some(a.mac.0), mac_b: Some(b.mac.0) };
    let (ns_a, ns_b) = (print.nodes[i].ns, print.nodes[j].ns);
    let (index_a, index_b) = print.plan.veth((ns_a, &a.name), (ns_b, &b.name), options);
    for (at, own, index) in [(i, a, index_a), (j, b, index_b)] {
        print.nodes[at].indices.push(index);
        print.nodes[at].interfaces.push(interface(own, None));
    }
    print.pairs += 1;
}

/// The last part: the switch's ends of the links come up, and with them the nodes' carriers. The
/// ports are plugged in before, or what a node says at once would come from nobody the switch knows.
pub(crate) fn connect(plan: &mut Plan, switch: NsId, ports: Vec<u32>) {
    plan.pause();
    for index in ports {
        plan.up(switch, index);
    }
}

/// What is done inside a node.
pub(crate) fn furnish(plan: &mut Plan, node: &NodePlan, routes: &[CheckedRoute]) {
    plan.up(node.ns, LOOPBACK);
    for (interface, index) in node.interfaces.iter().zip(&node.indices) {
        plan.up(node.ns, *index);
        for address in &interface.addresses {
            let whole = if address.ip.is_ipv4() { 32 } else { 128 };
            plan.address(node.ns, *index, address.ip, address.prefix.unwrap_or(whole));
        }
    }
    for route in routes {
        lead(plan, node.ns, route, node.indices[route.interface]);
    }
}

/// A route of a node, out of the interface of this index.
pub(crate) fn lead(plan: &mut Plan, ns: NsId, route: &CheckedRoute, index: u32) {
    let to = route.to.map(|subnet| (subnet.network(), subnet.prefix()));
    plan.route(ns, to, route.via, index);
}
