//! Tunnels to other hosts.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::Stats64;

/// A tunnel to be: VXLAN (RFC 7348).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AddTunnel {
    /// The number of its network outside, 1 to 16,777,215.
    pub vni: u32,
    /// The host's own address that it sends from.
    pub local: Ipv4Addr,
    /// The other hosts' addresses.
    pub remotes: Vec<Ipv4Addr>,
    /// The network here that it joins; without one, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The UDP port of all ends; 4789 without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
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
    pub local: Ipv4Addr,
    /// The other hosts' addresses.
    pub remotes: Vec<Ipv4Addr>,
    /// The UDP port of all ends.
    pub port: u16,
    /// The network here that it has joined.
    pub network: String,
    /// The largest packet it carries, in bytes.
    pub mtu: u32,
    /// Frames and bytes: `rx` came from other hosts, `tx` went to them.
    pub stats64: Stats64,
}
