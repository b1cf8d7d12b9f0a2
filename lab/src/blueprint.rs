//! A lab to be as a plan: names, addresses and steps. Pure; nothing is made here.
//!
//! All that is asked for stands in the lab's [`Spec`]; which names and addresses the shapes have is
//! the topology's business. Veth pairs come first, so that their requests share a batch; then each
//! node is visited once.

use std::net::IpAddr;

use ::topology::{Address, Attachment, Destination, Kind, Spec, Uplink, Via};
use ns::plan::{LOOPBACK, VethOptions};
use ns::{NsId, Plan};
use switch::PortId;
use wire::MacAddr;

use crate::address;
use crate::config::LabConfig;
use crate::joint::{self, Joint};
use crate::node::{Interface, Node, Plug};

mod checks;
mod internet;
mod routers;
#[cfg(test)]
mod tests;

pub use checks::CheckPlan;
use routers::default_router;
pub use routers::gateway_for;

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
pub fn blueprint(config: &LabConfig, pinned: Option<u32>) -> Blueprint {
    let spec = &config.spec;
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
    for (number, (name, node)) in (1..).zip(&spec.nodes) {
        let file = format!("{}{name}", config.prefix());
        let ns = match node.networks.is_empty() {
            true => print.plan.named(file),
            false => room(&mut print.plan, &file),
        };
        forwards(&mut print.plan, ns, node.kind);
        let (interfaces, indices) = (Vec::new(), Vec::new());
        print.nodes.push(NodePlan { number, name: name.clone(), ns, interfaces, indices });
    }
    let simulated = spec.uplink() == Uplink::Sim && switch.is_some();
    let inet = simulated.then(|| print.plan.named(format!("{}inet", config.prefix())));
    if let Some(switch) = switch {
        for node in &mut print.nodes {
            let places = spec.node(&node.name).map(|node| node.networks.as_slice());
            for place in places.unwrap_or_default() {
                plug(&mut print.plan, switch, node, (spec, place));
                print.pairs += 1;
            }
        }
        print.joints = joint::planned(&mut print.plan, switch, spec);
        print.pairs += print.joints.len();
    }
    let outside = inet.zip(switch).map(|(inet, switch)| {
        let options = VethOptions {
            mtu: spec.mtu,
            mac_b: Some(address::mac(address::SIM_ROUTER).0),
            ..VethOptions::default()
        };
        let ends = ((switch, UPLINK_PORT), (inet, UPLINK_PEER));
        let (index, peer) = print.plan.veth(ends.0, ends.1, options);
        print.uplink = Some(Plug { id: PortId::LOCAL, name: UPLINK_PORT.into(), index });
        print.pairs += 1;
        (inet, peer)
    });
    wires(&mut print, spec);
    for node in &print.nodes {
        furnish(&mut print.plan, node, spec);
    }
    if let Some((inet, peer)) = outside {
        internet::furnish(&mut print.plan, inet, peer);
        print.inet = Some(inet);
    }
    if let Some(switch) = switch {
        let ports = print.ports().chain(&print.uplink).map(|port| port.index).collect();
        connect(&mut print.plan, switch, ports);
    }
    print.checks = checks::of(spec, &print.nodes);
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

/// The hardware address that goes with an interface's addresses. Without one of IPv4 it follows from
/// the node's number and the interface's place: locally administered, and no other node's.
fn mac(addresses: &[Address], at: (u32, usize)) -> MacAddr {
    macs(addresses, at).next().unwrap_or(MacAddr::ZERO)
}

/// That address, and those to take instead where somebody has it.
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

/// One more interface of a node: the veth pair to the switch.
pub(crate) fn plug(
    plan: &mut Plan,
    switch: NsId,
    node: &mut NodePlan,
    (spec, place): (&Spec, &Attachment),
) {
    let at = node.interfaces.len();
    let name = place.interface.clone().unwrap_or_else(|| interface_name(node.number, at));
    let addresses = resolved(spec, place);
    let mac = place.mac.unwrap_or_else(|| mac(&addresses, (node.number, at)));
    let port = port_name(node.number, at);
    let mtu = spec.mtu_of(&place.network);
    let options = VethOptions { mtu, mac_a: None, mac_b: Some(mac.0) };
    let (index, peer) = plan.veth((switch, &port), (node.ns, &name), options);
    node.indices.push(peer);
    node.interfaces.push(Interface {
        name,
        network: Some(place.network.clone()),
        addresses,
        mac,
        port: Some(Plug { id: PortId::LOCAL, name: port, index }),
    });
}

/// A node's addresses in a network, each with the prefix length of the subnet it lies in.
fn resolved(spec: &Spec, place: &Attachment) -> Vec<Address> {
    let network = spec.network(&place.network);
    let home = |ip: IpAddr| network?.all_subnets().find(|subnet| subnet.contains(ip));
    let whole = |address: &Address| match (address.prefix, home(address.ip)) {
        (None, Some(subnet)) => subnet.at(address.ip),
        _ => *address,
    };
    place.addresses.iter().flatten().map(whole).collect()
}

/// The veth pairs from node to node.
fn wires(print: &mut Blueprint, spec: &Spec) {
    let place = |node: &str| spec.nodes.get_index_of(node);
    for link in &spec.links {
        let [Some(i), Some(j)] = link.endpoints.each_ref().map(|end| place(&end.node)) else {
            continue;
        };
        let ends = [(i, &link.endpoints[0]), (j, &link.endpoints[1])].map(|(at, end)| {
            let node = &print.nodes[at];
            let number = node.interfaces.len();
            let name = end.interface.clone();
            let name = name.unwrap_or_else(|| interface_name(node.number, number));
            let mac = end.mac.unwrap_or_else(|| mac(&end.addresses, (node.number, number)));
            (
                at,
                node.ns,
                Interface {
                    name,
                    network: None,
                    addresses: end.addresses.clone(),
                    mac,
                    port: None,
                },
            )
        });
        let [(_, ns_a, a), (_, ns_b, b)] = &ends;
        let mtu = link.mtu.unwrap_or(spec.mtu);
        let options = VethOptions { mtu, mac_a: Some(a.mac.0), mac_b: Some(b.mac.0) };
        let (index_a, index_b) = print.plan.veth((*ns_a, &a.name), (*ns_b, &b.name), options);
        for ((at, _, interface), index) in ends.into_iter().zip([index_a, index_b]) {
            print.nodes[at].indices.push(index);
            print.nodes[at].interfaces.push(interface);
        }
        print.pairs += 1;
    }
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
pub(crate) fn furnish(plan: &mut Plan, node: &NodePlan, spec: &Spec) {
    plan.up(node.ns, LOOPBACK);
    for (interface, index) in node.interfaces.iter().zip(&node.indices) {
        plan.up(node.ns, *index);
        for address in &interface.addresses {
            let whole = if address.ip.is_ipv4() { 32 } else { 128 };
            plan.address(node.ns, *index, address.ip, address.prefix.unwrap_or(whole));
        }
    }
    let Some(asked) = spec.node(&node.name) else { return };
    let said = |of: &IpAddr| {
        let is_default = |route: &&::topology::Route| route.to == Destination::Default;
        let vias = asked.routes.iter().filter(is_default).map(|route| &route.via);
        vias.filter_map(|via| by(spec, node, via)).any(|via| via.is_ipv4() == of.is_ipv4())
    };
    if let Some((place, via)) = default_router(spec, node)
        && !said(&via)
    {
        plan.default_route(node.ns, node.indices[place], via);
    }
    for route in &asked.routes {
        if let Some(via) = by(spec, node, &route.via) {
            plan.route(node.ns, destination(route.to), via);
        }
    }
}

/// Puts into `plan` the routes of a running node that lead out by one of its interfaces.
pub(crate) fn routes_by(plan: &mut Plan, ns: NsId, (node, name): (&Node, &str), spec: &Spec) {
    let planned = NodePlan {
        number: node.number,
        name: node.name.clone(),
        ns,
        interfaces: node.interfaces.clone(),
        indices: Vec::new(),
    };
    let own = node.interfaces.iter().find(|interface| interface.name == name);
    let own: Vec<_> = own.into_iter().flat_map(|interface| &interface.addresses).collect();
    for route in spec.node(&node.name).into_iter().flat_map(|asked| &asked.routes) {
        let via = by(spec, &planned, &route.via);
        if let Some(via) = via.filter(|via| {
            own.iter().any(|address| address.subnet().is_some_and(|s| s.contains(*via)))
        }) {
            plan.route(ns, destination(route.to), via);
        }
    }
}

fn destination(to: Destination) -> Option<(IpAddr, u8)> {
    match to {
        Destination::Default => None,
        Destination::Subnet(subnet) => Some((subnet.network(), subnet.prefix())),
    }
}

/// The address of a router: as it was said, or that of a node in a network or on a link shared with
/// it.
fn by(spec: &Spec, node: &NodePlan, via: &Via) -> Option<IpAddr> {
    let name = match via {
        Via::Address(address) => return Some(*address),
        Via::Node(name) => name,
    };
    let shared = node.interfaces.iter().find_map(|interface| {
        let network = interface.network.as_deref()?;
        let theirs = spec.node(name)?.attachment(network)?;
        Some(theirs.addresses.as_ref()?.first()?.ip)
    });
    let linked = || {
        let links = spec.links.iter().map(|link| &link.endpoints);
        let mut ends = links.flat_map(|[a, b]| [(a, b), (b, a)]);
        let (_, far) = ends.find(|(near, far)| near.node == node.name && far.node == *name)?;
        Some(far.addresses.first()?.ip)
    };
    shared.or_else(linked)
}
