//! What a file says of networks and ports beside their shape, as the lines of `ip` and `bridge` that would
//! set it: settings, VLANs, the rows that tables have from the start, tunnels.

use ::topology::join::{Join, Tunnel};
use ::topology::{AddVlan, Address, Network, SetNetwork, SetPort, Spec};

use super::{bridge, rows, settings};
use crate::blueprint::Blueprint;
use crate::node::Plug;

/// A network's settings: before its ports are plugged in, which then begin in its default VLAN.
pub(super) fn network(switch: &str, bridge: &str, network: &Network) -> Vec<String> {
    // Its MTU is said where it is made.
    let said = SetNetwork { mtu: None, ..network.settings() };
    settings::network(switch, bridge, &said)
}

/// What is said of the ports of a network, and what its tables hold from the start.
pub(super) fn ports(switch: &str, place: usize, spec: &Spec, print: &Blueprint) -> Vec<String> {
    let Some((name, network)) = spec.networks.get_index(place) else { return Vec::new() };
    let mut lines = Vec::new();
    for (who, port) in plugs(name, print) {
        let said = spec.port(who, name);
        let storm = said.storm.or(Some(spec.storm)).filter(|storm| !storm.is_none());
        let said = SetPort { storm, ..said };
        lines.extend(settings::port(switch, &port.name, &said));
        if let Some(vlans) = said.vlans.filter(|_| network.filters_vlans()) {
            lines.extend(members(switch, &port.name, network.default_pvid(), &vlans));
        }
    }
    let bridge = bridge(place);
    let at =
        |who: &str| plugs(name, print).find(|(own, _)| *own == who).map(|(_, port)| &*port.name);
    for entry in network.fdb.iter().filter(|entry| entry.dst.is_none()) {
        let behind = match entry.node.as_deref().and_then(at) {
            Some(port) => rows::Behind::Port(port),
            None => rows::Behind::Nobody(&bridge),
        };
        lines.extend(rows::entry(switch, &entry.mac, behind, (entry.kind, entry.vlan, None)));
    }
    for entry in &network.mdb {
        let Some(port) = at(&entry.node) else { continue };
        let group = (&entry.group, entry.vlan);
        lines.push(rows::member(switch, "add", (&bridge, port), group));
    }
    for (address, mac) in &spec.neigh {
        lines.push(rows::neighbour(switch, &bridge, address, Some(mac)));
    }
    lines
}

/// The ports of a network: whose they are, and what they are called.
fn plugs<'a>(network: &'a str, print: &'a Blueprint) -> impl Iterator<Item = (&'a str, &'a Plug)> {
    let of_nodes = print.nodes.iter().flat_map(move |node| {
        let here = move |own: &&crate::node::Interface| own.network.as_deref() == Some(network);
        let here = node.interfaces.iter().filter(here);
        here.filter_map(|own| Some((node.name.as_str(), own.port.as_ref()?)))
    });
    let ends = print.joints.iter();
    of_nodes.chain(ends.filter_map(move |own| Some((own.name.as_str(), own.port(network)?))))
}

/// The VLANs that a port is in, and no others.
fn members(switch: &str, port: &str, default: Option<u16>, vlans: &[AddVlan]) -> Vec<String> {
    let member = format!("dev {port}");
    let leaves = default.map(|own| format!("bridge -n {switch} vlan del vid {own} {member}"));
    let takes = vlans.iter().map(|own| rows::vlan(switch, &member, own));
    leaves.into_iter().chain(takes).collect()
}

/// The gateway's leg in a VLAN that has subnets of its own: an interface that sends and takes frames with
/// its tag.
pub(super) fn leg(
    switch: &str,
    bridge: &str,
    network: &Network,
    (vlan, own): (u16, &[Address]),
) -> Vec<String> {
    let device = format!("{bridge}.{vlan}");
    let protocol = network.vlan_protocol.map(|protocol| format!(" protocol {protocol}"));
    let protocol = protocol.unwrap_or_default();
    let mut lines = vec![
        rows::vlan(switch, &format!("dev {bridge} self"), &AddVlan::tagged(vlan)),
        format!(
            "ip -n {switch} link add link {bridge} name {device} type vlan{protocol} id {vlan}"
        ),
        format!("ip -n {switch} link set {device} up"),
    ];
    let add = |own| format!("ip -n {switch} addr add {own} brd + dev {device}");
    lines.extend(own.iter().map(add));
    lines
}

/// The tunnels to hosts that are named, with the rows that lead into them.
pub(super) fn tunnels(switch: &str, spec: &Spec) -> Vec<String> {
    let joined = match &spec.join {
        Some(Join::Named(tunnel)) => Some(tunnel),
        _ => None,
    };
    let place = |tunnel: &Tunnel| match &tunnel.network {
        Some(name) => spec.networks.get_index_of(name),
        None => Some(0),
    };
    let mut lines = Vec::new();
    for tunnel in joined.into_iter().chain(&spec.tunnels) {
        let Some(place) = place(tunnel) else { continue };
        let port = format!("vxlan{}", tunnel.vni);
        lines.extend(rows::tunnel(switch, (&bridge(place), &port), tunnel));
        let network = spec.networks.get_index(place).map(|(_, network)| network);
        let here = network.into_iter().flat_map(|network| &network.fdb);
        let here = here.filter(|entry| entry.dst.is_some() && entry.node.as_ref() == Some(&port));
        lines.extend(here.flat_map(|entry| {
            let at = rows::Behind::Port(&port);
            rows::entry(switch, &entry.mac, at, (entry.kind, entry.vlan, entry.dst))
        }));
    }
    if let Some(join @ (Join::Etcd(_) | Join::Bgp(_))) = &spec.join {
        lines.push(format!("# {join} tells of the other hosts, which no line can"));
    }
    lines
}
