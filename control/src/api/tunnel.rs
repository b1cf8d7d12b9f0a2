//! Tunnels to other hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Stats64;

/// A tunnel to be: VXLAN (RFC 7348).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AddTunnel {
    /// The number of its network outside, 1 to 16,777,215.
    pub vni: u32,
    /// The host's own address that it sends from.
    pub local: IpAddr,
    /// The other hosts' addresses.
    pub remotes: Vec<IpAddr>,
    /// The network here that it joins; without one, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The UDP port of all ends; 4789 without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A network of several hosts that a registry knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hosts {
    /// What it is called in the registry.
    pub name: String,
    /// The network here that has joined.
    pub network: String,
    /// Its number outside.
    pub vni: u32,
    /// The members of the registry's cluster, `etcd://ADDRESS:PORT`, or `etcds://…` by TLS; or the BGP speaker
    /// beside this host, `bgp://ADDRESS:PORT`.
    pub registry: Vec<String>,
    /// Which API of such a speaker has answered, its AS, and what it is called by others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaks: Option<String>,
    /// `joined`; `alone` while the registry does not answer: all goes on by what is known, and new
    /// claims fail; `out` where another host has come by this one's name or address: its nodes are cut
    /// off from the others.
    pub state: String,
    /// For how many seconds it has not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<u64>,
    /// What was heard of it last, where it does not answer; why the host is out; what is wrong in the
    /// registry, where all goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The revision of the registry up to which all is known; by BGP, how many routes have come and gone.
    pub revision: i64,
    /// Addresses of other hosts' nodes in the tunnel's table.
    pub rows: u64,
    /// Rows that were not as they had been set, and were set again.
    pub repairs: u64,
    /// Times that this host's lease was lost.
    pub leases_lost: u64,
    /// Nodes here that are cut off from other hosts, for one of them has what was theirs, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cut_off: BTreeMap<String, String>,
    /// The hosts, by name.
    pub hosts: Vec<MemberHost>,
}

/// A host of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemberHost {
    /// Its name.
    pub name: String,
    /// Its end of the tunnel.
    pub vtep: IpAddr,
    /// Whether it is this one.
    pub own: bool,
    /// Its nodes.
    pub nodes: Vec<String>,
    /// Their addresses, by name, where it is another host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
}

/// A tunnel that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tunnel {
    /// Its port of the switch.
    pub ifname: String,
    /// The number of its network outside.
    pub vni: u32,
    /// The host's own address that it sends from.
    pub local: IpAddr,
    /// The other hosts' addresses.
    pub remotes: Vec<IpAddr>,
    /// The UDP port of all ends.
    pub port: u16,
    /// The network here that it has joined.
    pub network: String,
    /// The largest packet it carries, in bytes.
    pub mtu: u32,
    /// The largest that the host's interface sends in one piece, in bytes.
    #[serde(default)]
    pub fits: u32,
    /// The MTU of its network, in bytes: more than fits where somebody has asked for it.
    #[serde(default)]
    pub network_mtu: u32,
    /// Whose packets are let in: `members`, those of the other hosts, or `open`, everybody's, where the
    /// kernel cannot look at them.
    pub senders: String,
    /// Packets that were dropped because they came from no member, or by an interface that leads to none.
    pub foreign: u64,
    /// Where the last one of them came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_from: Option<IpAddr>,
    /// The interface of the host that it came in by, where the address is a member's: no route to that one leads
    /// out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_by: Option<String>,
    /// Frames and bytes: `rx` came from other hosts, `tx` went to them.
    pub stats64: Stats64,
}
