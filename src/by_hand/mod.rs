//! A change of a running lab as the lines of `ip` and `bridge` that would make it on the kernel's
//! bridge, for `-v`. The names are those of the lines that set-up tells (`lab::steps`): the switch's
//! namespace is called `switch`, its networks `br00`, `br01`, by the numbers that the switch has for them.

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;

use ::topology::join::Tunnel;
use control::api::{AddTunnel, AddVlan, DelFdb, FlushFdb, Known, SetFdb, SetMdb, SetNetwork};
use control::api::{Port, SetPort, Topology};

use crate::door::Which;
use crate::say;
use lab::steps::{rows, settings};

/// The running lab, as far as the lines name it.
pub(crate) struct Scene {
    /// The switch's namespace.
    switch: String,
    /// The networks with their numbers, in the lab's order.
    networks: Vec<(String, u16)>,
    ports: Vec<Plugged>,
}

/// A port of the switch.
struct Plugged {
    ifname: String,
    node: Option<String>,
    network: Option<String>,
}

impl From<Port> for Plugged {
    fn from(Port { ifname, node, network, .. }: Port) -> Self {
        Self { ifname, node, network }
    }
}

/// Tells on stderr what `lines` makes of the running lab, where steps are asked for. What is told of has been
/// done: where the lab does not answer, that is told, and the verb ends as it would have.
pub(crate) fn tell(steps: bool, which: &Which, lines: impl FnOnce(&Scene) -> Vec<String>) {
    if !steps {
        return;
    }
    match scene(which) {
        Ok(scene) => lines(&scene).iter().for_each(|line| say::note(line)),
        Err(error) => say::note(&format!("# as lines of ip and bridge: {error:#}")),
    }
}

/// The lab as it is. Where there is no switch there are neither networks nor ports.
fn scene(which: &Which) -> anyhow::Result<Scene> {
    let client = which.client()?;
    let topology = which.answer(client.topology())?;
    let switch = lab::steps::switch_of(prefix(&topology));
    let networks = client.networks().unwrap_or_default();
    let networks = networks.into_iter().map(|network| (network.name, network.number)).collect();
    let ports = client.ports().unwrap_or_default().into_iter().map(Plugged::from).collect();
    Ok(Scene { switch, networks, ports })
}

/// What the names of the lab's namespaces begin with.
pub(crate) fn prefix(topology: &Topology) -> &str {
    let first = topology.nodes.first();
    first.and_then(|node| node.namespace.strip_suffix(node.name.as_str())).unwrap_or_default()
}

impl Scene {
    /// The bridge that stands for a network; for the first where none is named.
    fn bridge(&self, network: Option<&str>) -> String {
        let is_meant = |(name, _): &&(String, u16)| network.is_none_or(|network| network == name);
        let number = self.networks.iter().find(is_meant).map_or(0, |(_, number)| *number);
        lab::steps::bridge(number.into())
    }

    /// The port that a user calls by its own name, its node's, or `NODE:NETWORK`.
    fn port(&self, name: &str) -> Option<&Plugged> {
        let (node, network) = name.split_once(':').map_or((name, None), |(n, w)| (n, Some(w)));
        let own = self.ports.iter().find(|port| port.ifname == name);
        own.or_else(|| {
            self.ports.iter().find(|port| {
                port.node.as_deref() == Some(node)
                    && (network.is_none() || port.network.as_deref() == network)
            })
        })
    }

    /// The name of that port, and the bridge of its network.
    fn place(&self, name: &str) -> (String, String) {
        let port = self.port(name);
        let network = port.and_then(|port| port.network.as_deref());
        (port.map_or(name, |port| &port.ifname).to_owned(), self.bridge(network))
    }

    /// A port's settings.
    pub(crate) fn set_port(&self, name: &str, asked: &SetPort) -> Vec<String> {
        settings::port(&self.switch, &self.place(name).0, asked)
    }

    /// A port that is moved to this network, or out of all.
    pub(crate) fn move_port(&self, name: &str, network: Option<&str>) -> String {
        let (port, _) = self.place(name);
        let to =
            network.map_or("nomaster".into(), |to| format!("master {}", self.bridge(Some(to))));
        format!("ip -n {} link set {port} {to}", self.switch)
    }

    /// A network's settings.
    pub(crate) fn set_network(&self, name: &str, asked: &SetNetwork) -> Vec<String> {
        let mut lines = settings::network(&self.switch, &self.bridge(Some(name)), asked);
        if let Some(mtu) = asked.mtu {
            let here = self.ports.iter().filter(|port| port.network.as_deref() == Some(name));
            let line = |port: &Plugged| {
                format!("ip -n {} link set {} mtu {mtu}", self.switch, port.ifname)
            };
            lines.extend(here.map(line));
        }
        lines
    }

    /// A network that was made, with its gateway's addresses.
    pub(crate) fn add_network(&self, name: &str, own: &[String], mtu: u32) -> Vec<String> {
        let (switch, bridge) = (&self.switch, self.bridge(Some(name)));
        let mut lines = vec![
            format!("ip -n {switch} link add {bridge} type bridge"),
            format!("ip -n {switch} link set {bridge} mtu {mtu} up"),
        ];
        let add = |own| format!("ip -n {switch} addr add {own} brd + dev {bridge}");
        lines.extend(own.iter().map(add));
        lines
    }

    /// Networks that end; told while they are there.
    pub(crate) fn remove_networks(&self, names: &[String]) -> Vec<String> {
        let is_here = |name: &&String| self.networks.iter().any(|(own, _)| own == *name);
        let here = names.iter().filter(is_here);
        let bridges = here.map(|name| self.bridge(Some(name)));
        bridges.map(|bridge| format!("ip -n {} link del {bridge}", self.switch)).collect()
    }

    /// Where a VLAN is meant: a port, or the gateway's leg, which is the bridge's own end.
    fn member(&self, name: &str) -> String {
        let (who, network) = name.split_once(':').map_or((name, None), |(w, n)| (w, Some(n)));
        match who {
            "gateway" => format!("dev {} self", self.bridge(network)),
            _ => format!("dev {}", self.place(name).0),
        }
    }

    /// A membership of VLANs.
    pub(crate) fn add_vlan(&self, name: &str, asked: &AddVlan) -> String {
        rows::vlan(&self.switch, &self.member(name), asked)
    }

    /// A membership that ends.
    pub(crate) fn del_vlan(&self, name: &str, first: u16, last: u16) -> String {
        let vlans = rows::range(first, last);
        format!("bridge -n {} vlan del vid {vlans} {}", self.switch, self.member(name))
    }

    /// An address set by hand.
    pub(crate) fn set_fdb(&self, asked: &SetFdb) -> Vec<String> {
        let port = asked.port.as_deref().map(|port| self.behind(port));
        let at = match &port {
            Some(port) => rows::Behind::Port(port),
            None => rows::Behind::Nobody(&self.bridge(asked.network.as_deref())),
        };
        rows::entry(&self.switch, &asked.mac, at, (asked.kind, asked.vlan, asked.dst))
    }

    /// An address that is taken out. A tunnel's device has a row of its own for all VLANs together, which
    /// goes with the last of the bridge's.
    pub(crate) fn del_fdb(&self, asked: &DelFdb) -> Vec<String> {
        let (switch, mac) = (&self.switch, &asked.mac);
        let at = match &asked.port {
            Some(port) => self.behind(port),
            None => format!(
                "$(bridge -n {switch} fdb show br {} | sed -n 's/^{mac} dev \\([^ ]*\\).*/\\1/p')",
                self.bridge(asked.network.as_deref())
            ),
        };
        let own = format!(
            "bridge -n {switch} fdb del {mac} dev {at} master{}",
            rows::of_vlan("vlan", asked.vlan)
        );
        let row = at.starts_with("vxlan").then(|| {
            format!(
                "bridge -n {switch} fdb show dev {at} | grep -q '^{mac} .*master' || \
                 bridge -n {switch} fdb del {mac} dev {at} self"
            )
        });
        [own].into_iter().chain(row).collect()
    }

    /// The name of the port that an address is behind; `vxlan` alone stands for the only tunnel.
    fn behind(&self, port: &str) -> String {
        let tunnel = || self.ports.iter().find(|own| own.ifname.starts_with("vxlan"));
        match (port, tunnel()) {
            ("vxlan", Some(tunnel)) => tunnel.ifname.clone(),
            _ => self.place(port).0,
        }
    }

    /// Learned addresses that are forgotten.
    pub(crate) fn flush_fdb(&self, asked: &FlushFdb) -> Vec<String> {
        let (switch, vlan) = (&self.switch, rows::of_vlan("vlan", asked.vlan));
        if let Some(port) = &asked.port {
            let port = self.place(port).0;
            return vec![format!("bridge -n {switch} fdb flush dev {port} master dynamic{vlan}")];
        }
        let here = |name: &&String| asked.network.as_ref().is_none_or(|only| only == *name);
        let names = self.networks.iter().map(|(name, _)| name).filter(here);
        let bridges = names.map(|name| self.bridge(Some(name)));
        let line = |bridge| format!("bridge -n {switch} fdb flush dev {bridge} dynamic{vlan}");
        bridges.map(line).collect()
    }

    /// A membership of a group, by `add` or `del`.
    pub(crate) fn mdb(&self, verb: &str, asked: &SetMdb) -> String {
        let (port, bridge) = self.place(&asked.port);
        rows::member(&self.switch, verb, (&bridge, &port), (&asked.group, asked.vlan))
    }

    /// A node's cables, pulled at the switch or plugged in again.
    pub(crate) fn link(&self, node: &str, network: Option<&str>, up: bool) -> Vec<String> {
        let state = if up { "up" } else { "down" };
        let of = |port: &&Plugged| {
            port.node.as_deref() == Some(node)
                && (network.is_none() || port.network.as_deref() == network)
        };
        let line =
            |port: &Plugged| format!("ip -n {} link set {} {state}", self.switch, port.ifname);
        self.ports.iter().filter(of).map(line).collect()
    }

    /// A tunnel at this port of the switch; the device is made in the host's namespace, where the
    /// other hosts are reached from, and moved.
    pub(crate) fn add_tunnel(&self, port: &str, asked: &AddTunnel) -> Vec<String> {
        let AddTunnel { vni, local, remotes, network, port: udp } = asked.clone();
        let bridge = self.bridge(network.as_deref());
        let tunnel = Tunnel { vni, local: Some(local), remotes, network, port: udp };
        rows::tunnel(&self.switch, (&bridge, port), &tunnel)
    }

    /// A tunnel that is taken out; told while it is there.
    pub(crate) fn remove_tunnel(&self, port: &str) -> String {
        format!("ip -n {} link del {port}", self.switch)
    }

    /// A neighbour that all networks answer for, or none any more.
    pub(crate) fn set_known(&self, asked: &Known) -> Vec<String> {
        let line = |network: &String| {
            let bridge = self.bridge(Some(network));
            rows::neighbour(&self.switch, &bridge, &asked.address, asked.mac.as_deref())
        };
        self.networks.iter().map(|(name, _)| name).map(line).collect()
    }

    /// Sessions forgotten: all, those of a protocol, or those of a node that has these addresses.
    pub(crate) fn flush_nat(&self, of: Option<&str>, from: Option<Vec<Ipv4Addr>>) -> Vec<String> {
        let inside = format!("ip netns exec {} conntrack", self.switch);
        let of = of.map(|own| format!(" -p {own}")).unwrap_or_default();
        match from {
            Some(from) => from.iter().map(|own| format!("{inside} -D{of} -s {own}")).collect(),
            None if of.is_empty() => vec![format!("{inside} -F")],
            None => vec![format!("{inside} -D{of}")],
        }
    }

    /// The gateway's forwarding and NAT, as they are from now on.
    pub(crate) fn set_gateway(&self, forwarding: Option<bool>, nat: Option<&str>) -> Vec<String> {
        let inside = format!("ip netns exec {}", self.switch);
        let sysctl = |on: bool| format!("{inside} sysctl -qw net.ipv4.ip_forward={}", u8::from(on));
        let masquerade = |kind: &str| match kind {
            "none" => format!("{inside} nft flush chain ip nat postrouting"),
            _ => format!(
                "{inside} nft add rule ip nat postrouting oifname {} masquerade",
                lab::blueprint::UPLINK_PORT
            ),
        };
        forwarding.map(sysctl).into_iter().chain(nat.map(masquerade)).collect()
    }
}
