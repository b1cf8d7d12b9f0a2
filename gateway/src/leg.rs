//! A leg: the gateway's place in one network. What it is told of it, and what it refuses.
//!
//! Plain values, made by the lab and by tests; [`crate::Gateway::add_leg`] and its siblings take
//! them while frames flow. A leg that is refused changes nothing.

use std::fmt;
use std::net::Ipv4Addr;

use wire::MacAddr;

/// A leg's number, small and given by the caller. It may be used again after
/// [`crate::Gateway::remove_leg`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u16);

impl LegId {
    /// The leg of a lab with one network.
    pub const FIRST: Self = Self(0);
    /// Most legs; numbers lie below.
    pub const MAX: usize = 256;

    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An address of the gateway with the subnet that is reached there without a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegAddress {
    /// The gateway's own address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix, 1 to 32.
    pub prefix_len: u8,
}

impl fmt::Display for LegAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// All that a gateway is told of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegConfig {
    /// The gateway's own hardware address there.
    pub mac: MacAddr,
    /// Its addresses there, one a subnet. The first speaks for it to hosts of no subnet of the leg.
    /// IPv6 addresses will stand beside these.
    pub addresses: Vec<LegAddress>,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
    /// Whom its hosts reach beyond the leg.
    pub policy: Policy,
}

/// Whom the hosts of a leg reach beyond it. By default: the world, and no other leg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// No uplink: nothing of the leg goes there, and no published port leads into it.
    pub internal: bool,
    /// No host of the leg reaches another one there by way of the gateway, but by a published port.
    pub isolated: bool,
    /// Legs that packets are exchanged with, without NAT. It suffices that one of the two names the
    /// other, for answers have to come back. A leg that is not there (yet) may be named.
    pub routed: Vec<LegId>,
}

impl LegConfig {
    /// A leg with one subnet, an MTU of 1500 and the default policy.
    #[must_use]
    pub fn new(mac: MacAddr, address: Ipv4Addr, prefix_len: u8) -> Self {
        let addresses = vec![LegAddress { address, prefix_len }];
        Self { mac, addresses, mtu: 1500, policy: Policy::default() }
    }
}

/// What a leg has done since it was added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LegCounters {
    /// Frames that entered from it.
    pub entered: u64,
    /// Frames that left to it, rewritten.
    pub left: u64,
    /// Frames sent to it beside those that entered: ARP, ICMP errors, fragments, what had waited.
    pub extra: u64,
    /// Frames from it that were discarded.
    pub dropped: u64,
}

/// A leg as it is.
#[derive(Clone, Copy, Debug)]
pub struct LegView<'a> {
    /// Its number.
    pub id: LegId,
    /// What the gateway was told of it.
    pub config: &'a LegConfig,
    /// What it has done.
    pub counters: LegCounters,
}

/// Why a leg cannot be had. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegError {
    /// The number is too large.
    #[error("leg {0} cannot be: a gateway has up to {max} legs, numbered from 0", max = LegId::MAX)]
    Number(LegId),
    /// The number is taken.
    #[error("leg {0} is there already: remove it first, or choose another number")]
    Taken(LegId),
    /// There is no such leg.
    #[error("leg {0} is not there: add it first")]
    Unknown(LegId),
    /// A group's address, or none.
    #[error("{0} is no hardware address of a station: choose a unicast one")]
    Mac(MacAddr),
    /// Below what every IPv4 link carries (RFC 791).
    #[error("an MTU of {0} is less than IPv4 needs: give at least 68")]
    Mtu(u16),
    /// No address a gateway can have.
    #[error(
        "{0} is no address for a gateway: choose a host's address inside a subnet of unicast addresses"
    )]
    Address(LegAddress),
    /// Two subnets have addresses in common.
    #[error("subnet {0} overlaps {1} of leg {2}: choose another subnet")]
    Overlap(LegAddress, LegAddress, LegId),
    /// The subnet has addresses in common with the uplink's.
    #[error("subnet {0} overlaps the uplink's {1}: choose another subnet")]
    Uplink(LegAddress, LegAddress),
}
