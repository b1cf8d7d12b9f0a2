//! What the lab is made of: nodes, gateway, uplink.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::fast::FastPath;

/// A whole lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Topology {
    /// The lab's name.
    pub lab: String,
    /// How its nodes are joined.
    pub kind: TopologyKind,
    /// The process that runs it.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// Its nodes, in the order of their numbers.
    pub nodes: Vec<Node>,
    /// Links between its networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<NetworkLink>,
    /// The gateway; None where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Host>,
    /// The way out; None where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
    /// The interface of the host that the way out is to be by, where it cannot be had at present: it is
    /// waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink_awaited: Option<Awaited>,
    /// Whether the kernel repeats what the switch has decided; None where nobody asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_path: Option<FastPath>,
    /// What was changed on the host and will be undone, a line each.
    pub host_changes: Vec<String>,
}

/// How nodes are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TopologyKind {
    /// Two nodes on one veth pair.
    Pair,
    /// A veth pair for each two nodes.
    Mesh,
    /// Each node on a port of the switch.
    Switch,
}

impl std::fmt::Display for TopologyKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pair => "pair",
            Self::Mesh => "mesh",
            Self::Switch => "switch",
        })
    }
}

/// A namespace on the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Node {
    /// Its name, as in `net1`.
    pub name: String,
    /// The namespace's file name, as `ip netns` shows it.
    pub namespace: String,
    /// The interface inside it.
    pub ifname: String,
    /// The switch's port; None where there is no switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The network it is attached to; None where there is no switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Its address of IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The length of its prefix.
    #[serde(default)]
    pub prefix_len: u8,
    /// All its addresses there, each with the length of its prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Whether its link there is up: with its port, or from node to node with the other end. One whose
    /// interface is gone is down.
    pub up: bool,
    /// Its further interfaces: one for each further network, and for each link to another node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Interface>,
}

/// Where a node lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Home {
    /// The node.
    pub node: String,
    /// Where its network namespace is found, as the lab's process sees it; None where that holds it
    /// itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The device of that namespace, as stat(2) has it.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
}

/// An interface inside a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Interface {
    /// Its name.
    pub ifname: String,
    /// The network it is attached to; None for a link to another node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The switch's port; None for a link to another node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Its address of IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The length of its prefix.
    #[serde(default)]
    pub prefix_len: u8,
    /// All its addresses, each with the length of its prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Its hardware address.
    pub mac: String,
    /// Whether its link is up.
    pub up: bool,
}

/// A link between two networks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NetworkLink {
    /// Its name, `link1`.
    pub name: String,
    /// The networks at its ends.
    pub networks: [String; 2],
    /// Its ports, each in the network of the same place.
    pub ports: [String; 2],
    /// Whether both ends are up.
    pub up: bool,
}

/// The gateway's place in the LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Host {
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of its prefix.
    pub prefix_len: u8,
    /// Its hardware address.
    pub mac: String,
    /// Whether it forwards what is not for itself.
    #[serde(default = "yes")]
    pub forwarding: bool,
}

fn yes() -> bool {
    true
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Uplink {
    /// `sim`, or the interface's name.
    pub name: String,
    /// The address the nodes appear to have.
    pub address: Ipv4Addr,
    /// The length of its prefix.
    pub prefix_len: u8,
    /// The next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<Ipv4Addr>,
    /// How the NAT maps and filters: `full-cone`, `restricted-cone`, `port-restricted-cone` or
    /// `symmetric`; `none` while it is switched off.
    pub nat: String,
    /// Addresses that answer behind it, where the uplink is the simulated one.
    pub answers: Vec<Ipv4Addr>,
}

/// An interface that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Awaited {
    /// Its name; `auto` for whichever gets the default route.
    pub name: String,
    /// Why it cannot be had, for people to read.
    pub why: String,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Version {
    /// The program's version.
    pub version: String,
    /// The API's version: the first part of each path.
    pub api: String,
    /// The lab's name.
    pub lab: String,
    /// The process that runs it.
    pub pid: u32,
}
