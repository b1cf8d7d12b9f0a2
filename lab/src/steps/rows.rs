//! Rows of the tables that a bridge has, as the lines of `bridge` and `ip` that set them. The same for a lab
//! that is built and for one that is changed while it runs.

use std::fmt::Display;
use std::net::IpAddr;

use ::topology::join::Tunnel;
use ::topology::{AddVlan, FdbKind};

/// The UDP port of tunnels where nobody says another (RFC 7348).
const VXLAN: u16 = 4789;

/// Where an address is.
#[derive(Clone, Copy, Debug)]
pub enum Behind<'a> {
    /// At this port.
    Port(&'a str),
    /// Nowhere, in the network of this bridge: frames to it are dropped.
    Nobody(&'a str),
}

/// A membership of VLANs, of a port (`dev veth1`) or of the bridge's own end (`dev br00 self`).
#[must_use]
pub fn vlan(switch: &str, member: &str, asked: &AddVlan) -> String {
    let flags = [(asked.pvid, " pvid"), (asked.untagged, " untagged")];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
    format!("bridge -n {switch} vlan add vid {}{flags} {member}", range(asked.vlan, asked.last()))
}

/// An address, with its kind, its VLAN, and the far end of the tunnel that it is behind.
#[must_use]
pub fn entry(
    switch: &str,
    mac: &impl Display,
    at: Behind<'_>,
    (kind, vlan, far): (FdbKind, Option<u16>, Option<IpAddr>),
) -> Vec<String> {
    let vlan = of_vlan("vlan", vlan);
    let port = match at {
        Behind::Port(port) => port,
        Behind::Nobody(bridge) => {
            return vec![format!(
                "bridge -n {switch} fdb add {mac} dev {bridge} self blackhole{vlan}"
            )];
        }
    };
    let kind = match kind {
        FdbKind::Sticky => "static sticky",
        FdbKind::Local => "permanent",
        FdbKind::Extern => "dynamic extern_learn",
        FdbKind::Static | FdbKind::Blackhole => "static",
    };
    let row = |end| format!("bridge -n {switch} fdb replace {mac} dev {port} dst {end} self");
    let own = format!("bridge -n {switch} fdb add {mac} dev {port} master {kind}{vlan}");
    far.map(row).into_iter().chain([own]).collect()
}

/// A membership of a group, by `add` or `del`.
#[must_use]
pub fn member(
    switch: &str,
    verb: &str,
    (bridge, port): (&str, &str),
    (group, vlan): (&impl Display, Option<u16>),
) -> String {
    let kind = if verb == "add" { " permanent" } else { "" };
    let vlan = of_vlan("vid", vlan);
    format!("bridge -n {switch} mdb {verb} dev {bridge} port {port} grp {group}{kind}{vlan}")
}

/// A neighbour that a bridge answers for, or none any more.
#[must_use]
pub fn neighbour(
    switch: &str,
    bridge: &str,
    address: &impl Display,
    mac: Option<impl Display>,
) -> String {
    let (verb, mac) = match mac {
        Some(mac) => ("replace", format!(" lladdr {mac}")),
        None => ("del", String::new()),
    };
    format!("ip -n {switch} neigh {verb} {address}{mac} dev {bridge}")
}

/// A tunnel at this port of a bridge; the device is made in the host's namespace, where the other hosts are
/// reached from, and moved.
#[must_use]
pub fn tunnel(switch: &str, (bridge, port): (&str, &str), asked: &Tunnel) -> Vec<String> {
    let Tunnel { vni, local, remotes, port: udp, .. } = asked;
    let local = local.map_or_else(String::new, |own| format!(" local {own}"));
    let udp = udp.unwrap_or(VXLAN);
    let mut lines = vec![
        format!("ip link add {port} type vxlan id {vni}{local} dstport {udp} nolearning"),
        format!("ip link set {port} netns {switch}"),
        format!("ip -n {switch} link set {port} master {bridge} up"),
    ];
    let flood =
        |to| format!("bridge -n {switch} fdb append 00:00:00:00:00:00 dev {port} dst {to} self");
    lines.extend(remotes.iter().map(flood));
    lines
}

/// ` vlan 10`, or nothing.
#[must_use]
pub fn of_vlan(word: &str, vlan: Option<u16>) -> String {
    vlan.map_or_else(String::new, |vlan| format!(" {word} {vlan}"))
}

/// `10` or `10-20`.
#[must_use]
pub fn range(first: u16, last: u16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
