//! A kernel beside the gateway: it has the gateway's addresses too, by an interface of its own in the
//! network, as the host has those of its bridges.
//!
//! Then the kernel answers for them (ARP, ping, ports), and the gateway hands it, untouched, what is
//! sent to one of the kernel's addresses. All else it routes as ever, so that networks stay apart and
//! the way out is the NAT's. Told by the lab; a leg that is removed is forgotten here too.

use std::net::{IpAddr, Ipv6Addr};

use wire::Ethernet;

use crate::gateway::Gateway;
use crate::leg::{LegError, LegId};
use crate::links::Links;
use crate::verdict::{DropReason, Side, Verdict};

/// Where the destination stands in an IPv6 header (RFC 8200, section 3).
const DESTINATION: std::ops::Range<usize> = 24..40;

impl Gateway {
    /// A kernel has the addresses of a leg too, or no longer. It is handed what is sent to them and to
    /// those of [`Gateway::set_host_addresses`] ([`Verdict::Host`]), and ARP and IPv6 as well.
    ///
    /// # Errors
    /// [`LegError::Unknown`] where the leg is not there.
    pub fn set_hosted(&mut self, id: LegId, hosted: bool) -> Result<(), LegError> {
        if !self.links.has(id) {
            return Err(LegError::Unknown(id));
        }
        self.links.link_mut(Side::Leg(id)).hosted = hosted;
        self.stir();
        Ok(())
    }

    /// Names are asked here for all that a kernel has a leg's addresses too: packets to port 53 of them
    /// are the resolver's ([`Gateway::serve_names`]) and not the kernel's.
    ///
    /// # Errors
    /// [`LegError::Unknown`] where the leg is not there.
    pub fn set_asked(&mut self, id: LegId, asked: bool) -> Result<(), LegError> {
        if !self.links.has(id) {
            return Err(LegError::Unknown(id));
        }
        self.links.link_mut(Side::Leg(id)).asked = asked;
        self.stir();
        Ok(())
    }

    /// These are all addresses of the kernel beside us: what comes for one of them from a leg whose
    /// addresses it has is handed to it.
    pub fn set_host_addresses(&mut self, mut addresses: Vec<IpAddr>) {
        addresses.sort_unstable();
        if self.links.hosts != addresses {
            self.links.hosts = addresses;
            self.stir();
        }
    }
}

impl Links {
    /// True where a kernel has the link's addresses too, and answers for them.
    #[inline]
    pub(crate) fn is_hosted(&self, side: Side) -> bool {
        self.link(side).hosted
    }

    /// Whether a packet to this address would be the resolver's, whoever else has it.
    #[inline]
    pub(crate) fn is_asked(&self, side: Side, to: std::net::Ipv4Addr) -> bool {
        self.link(side).asked && self.is_own(side, to)
    }

    /// Whether the kernel beside us takes what a host of the leg sends there.
    #[inline]
    pub(crate) fn is_for_host(&self, side: Side, to: std::net::Ipv4Addr) -> bool {
        self.is_hosted(side) && (self.is_own(side, to) || self.is_hosts(to.into()))
    }

    fn is_hosts(&self, address: IpAddr) -> bool {
        self.hosts.binary_search(&address).is_ok()
    }

    /// The same of a frame to the gateway's hardware address, whatever is in it: None where it is not,
    /// or nobody has the leg's addresses too.
    pub(crate) fn host_of(&self, side: Side, ethernet: &Ethernet<'_>) -> Option<Verdict> {
        match side {
            Side::Leg(leg) if self.is_hosted(side) && ethernet.dst() == self.mac(side) => {
                Some(Verdict::Host(leg))
            }
            _ => None,
        }
    }

    /// IPv6, of which the gateway knows nothing: the kernel gets what stays on the link, or is its own.
    /// What would go on from there is refused, for the kernel might send it to another network, and its
    /// sender is told ([`crate::report6`]).
    pub(crate) fn ipv6(&self, side: Side, ethernet: &Ethernet<'_>) -> Result<Verdict, DropReason> {
        let host = self.host_of(side, ethernet).ok_or(DropReason::NotIpv4)?;
        let octets =
            ethernet.payload().get(DESTINATION).and_then(|to| <[u8; 16]>::try_from(to).ok());
        let to = Ipv6Addr::from(octets.ok_or(DropReason::BadHeader)?);
        let stays = to.is_unicast_link_local() || to.is_multicast() || self.is_hosts(to.into());
        if stays { Ok(host) } else { Err(DropReason::NoRoute) }
    }
}
