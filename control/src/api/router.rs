//! What the gateway knows: neighbours, routes, NAT sessions, published ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::Protocol;

/// A neighbour, in the shape of `ip -j neigh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Neighbour {
    /// Its IP address.
    pub dst: Ipv4Addr,
    /// The side it is on: `lan` or `uplink`.
    pub dev: String,
    /// Its hardware address; None while it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lladdr: Option<String>,
    /// One word, as the kernel says it: `REACHABLE`, `STALE`, `PROBE`, `INCOMPLETE`.
    pub state: Vec<String>,
    /// Seconds since it was last heard of.
    pub age: u64,
    /// Packets that wait for its address.
    pub waiting: u64,
}

/// A route, in the shape of `ip -j route`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Route {
    /// `default`, or a prefix such as `10.100.0.0/16`.
    pub dst: String,
    /// The next hop; None where hosts are reached directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// The side it leads to: `lan` or `uplink`.
    pub dev: String,
    /// The gateway's own address on that side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefsrc: Option<Ipv4Addr>,
    /// None known yet; present because `ip -j route` has it.
    pub flags: Vec<String>,
}

/// A NAT session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Session {
    /// `tcp`, `udp`, `icmp`; or one that is translated by address alone: `gre`, `ipip`, `esp`, `sctp`, …,
    /// `proto 99` where it has no name here. Ports are 0 then.
    pub protocol: String,
    /// Who speaks.
    #[cfg_attr(test, schemars(with = "String"))]
    pub inside: SocketAddrV4,
    /// Whom it appears to be, from outside.
    #[cfg_attr(test, schemars(with = "String"))]
    pub outside: SocketAddrV4,
    /// With whom it speaks.
    #[cfg_attr(test, schemars(with = "String"))]
    pub remote: SocketAddrV4,
    /// Where the session stands: `established`, `transitory`, …
    pub state: String,
    /// Seconds since it was opened.
    pub age: u64,
    /// Seconds it would live without another packet.
    pub expires: u64,
    /// Packets from inside.
    pub packets_out: u64,
    /// Packets from outside.
    pub packets_in: u64,
    /// Bytes of IP from inside.
    pub bytes_out: u64,
    /// Bytes of IP from outside.
    pub bytes_in: u64,
}

impl Session {
    /// Inside, outside and remote end as a person reads them: without ports where there are none.
    #[must_use]
    pub fn ends(&self) -> [String; 3] {
        let ported = ["tcp", "udp", "icmp"].contains(&self.protocol.as_str());
        [self.inside, self.outside, self.remote].map(|end| match ported {
            true => end.to_string(),
            false => end.ip().to_string(),
        })
    }
}

/// A port of the uplink's, or of the host's, that leads to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Published {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The address it is bound to; None for whichever the uplink has, or all of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The port outside.
    pub port: u16,
    /// Where it leads.
    #[cfg_attr(test, schemars(with = "String"))]
    pub inside: SocketAddr,
    /// The node that has that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}
