//! Published ports: an outside port that leads to an inside endpoint, whoever asks.
//!
//! The list is what was asked for and outlives a flush and a change of the uplink's address; the
//! realms hold the mappings made from it. Bounded by `Limits::published`.

use std::net::Ipv4Addr;

use crate::packet::{Endpoint, Protocol};

/// One published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The uplink address it is bound to; None for whichever the uplink has.
    pub address: Option<Ipv4Addr>,
    /// The port on the outside.
    pub port: u16,
    /// Where it leads.
    pub inside: Endpoint,
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}:")?;
        }
        write!(f, "{}/{} -> {}", self.port, self.protocol, self.inside)
    }
}

/// Why a port cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The port is published already.
    #[error("{0} port {1} is published already: withdraw it first, or choose another port")]
    Published(Protocol, u16),
    /// A running session uses the port.
    #[error("{0} port {1} is in use by a NAT session: flush the NAT first, or choose another port")]
    InUse(Protocol, u16),
    /// The number of published ports is bounded.
    #[error("{0} ports are published already, the most there may be: withdraw one first")]
    TooMany(usize),
    /// ICMP has no ports, and port 0 is none.
    #[error("only TCP and UDP ports from 1 to 65535 can be published")]
    NoPort,
    /// The address is not the uplink's.
    #[error("{0} is not the uplink's address: leave it out, or give the address the uplink has")]
    NotOurAddress(Ipv4Addr),
    /// The uplink's address is a host's too, and the port is the host's.
    #[error(
        "port {0} is the host's, whose address the uplink shares: publish one from {1} to {2}, \
         or share others with --uplink-ports"
    )]
    NotInBlock(u16, u16, u16),
    /// The inside endpoint is not in the LAN.
    #[error("{0} is not in the LAN: publish a port of one of its hosts")]
    NotInside(Ipv4Addr),
}
