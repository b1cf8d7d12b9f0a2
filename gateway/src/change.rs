//! What changes a gateway beside frames: legs that come, change and go, ports published, sessions
//! flushed, nodes that go, an uplink that gets another address.

use std::net::Ipv4Addr;

use wire::{MacAddr, Timestamp};

use crate::config::{Routing, UplinkAddress};
use crate::gateway::Gateway;
use crate::leg::{LegConfig, LegError, LegId};
use crate::nat::forget::Flushing;
use crate::nat::ours::Ours;
use crate::nat::publish::{PublishError, Published};
use crate::node::Node;
use crate::packet::Protocol;
use crate::verdict::Side;

/// Without a NAT a gateway cannot be behind an address that a kernel has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the uplink's address is the host's too: without the NAT no answer would find a node")]
pub struct SharedUplink;

impl Gateway {
    /// Puts a leg into a network.
    ///
    /// # Errors
    /// [`LegError`] where the number is taken or the leg cannot be had beside the others; nothing has
    /// changed then.
    pub fn add_leg(&mut self, id: LegId, config: LegConfig) -> Result<(), LegError> {
        if self.links.has(id) {
            return Err(LegError::Taken(id));
        }
        self.links.set(id, config)?;
        self.stir();
        Ok(())
    }

    /// Tells a leg something else. What no longer fits goes: neighbours outside its subnets, and the
    /// sessions and published ports of hosts that are outside them or, once it is internal, of all its
    /// hosts. Returns what was published.
    ///
    /// # Errors
    /// [`LegError`] where it is not there or cannot be so; nothing has changed then.
    pub fn set_leg(&mut self, id: LegId, config: LegConfig) -> Result<Vec<Published>, LegError> {
        if !self.links.has(id) {
            return Err(LegError::Unknown(id));
        }
        self.links.set(id, config)?;
        let side = Side::Leg(id);
        let routes = self.links.routes.clone();
        let neighbours = &mut self.links.link_mut(side).neighbours;
        let waited = neighbours.keep(|address| routes.is_neighbour(side, address)) as u64;
        self.links.counters.waited_in_vain += waited;
        self.fragments.forget_side(side);
        self.stir();
        Ok(self.forget_strangers())
    }

    /// Takes a leg away, and with it its neighbours, sessions and published ports, and whatever was on
    /// its way there. Returns what was published. Its number is free then.
    ///
    /// # Errors
    /// [`LegError::Unknown`] where it is not there.
    pub fn remove_leg(&mut self, id: LegId) -> Result<Vec<Published>, LegError> {
        if !self.links.remove(id) {
            return Err(LegError::Unknown(id));
        }
        self.fragments.forget_side(Side::Leg(id));
        self.stir();
        Ok(self.forget_strangers())
    }

    /// Ends what belongs to inside addresses that have nothing to do with the world any more.
    fn forget_strangers(&mut self) -> Vec<Published> {
        let links = &self.links;
        self.nat.forget_hosts(|inside: Ipv4Addr| !links.is_open(inside))
    }

    /// Whether it forwards, and whether it translates.
    #[must_use]
    pub fn routing(&self) -> Routing {
        self.links.routing
    }

    /// Switches forwarding and the NAT off or on. Sessions stay: while the NAT is off nothing asks
    /// for them.
    ///
    /// # Errors
    /// [`SharedUplink`] where the NAT is to be off on an address that a kernel has too.
    pub fn set_routing(&mut self, routing: Routing) -> Result<(), SharedUplink> {
        if !routing.nat && self.links.is_shared(Side::Uplink) {
            return Err(SharedUplink);
        }
        self.links.routing = routing;
        self.stir();
        Ok(())
    }

    /// Forgets every session; published ports stay. Returns how many there were.
    pub fn flush_nat(&mut self, now: Timestamp) -> u64 {
        self.fragments.clear();
        self.unsolicited.clear();
        let flushed = self.nat.flush(self.links.uplink_address(), now);
        self.stir();
        flushed
    }

    /// Forgets some sessions, as many as that; published ports stay.
    pub fn flush_nat_of(&mut self, which: &Flushing, now: Timestamp) -> u64 {
        let flushed = self.nat.flush_some(which, now);
        self.stir();
        flushed
    }

    /// A node is gone: its sessions, mappings, neighbours and whatever was on its way end with it,
    /// and its published ports are withdrawn. Returns what was published.
    pub fn forget_node(&mut self, node: Node) -> Vec<Published> {
        for side in self.links.sides().filter(|side| side.is_inside()) {
            let waited = self.links.link_mut(side).neighbours.forget(node);
            self.links.counters.waited_in_vain += waited as u64;
        }
        self.fragments.forget(node);
        let gone = self.nat.forget_node(node);
        self.stir();
        gone
    }

    /// Publishes a port of an inside host, whichever node that is: [`Gateway::publish_for`] nobody.
    ///
    /// # Errors
    /// [`PublishError`] where the port is taken or makes no sense.
    pub fn publish(&mut self, wanted: Published) -> Result<(), PublishError> {
        self.publish_for(Node::NOBODY, wanted)
    }

    /// Publishes a port of a node: it leads to no other that comes by the same address. While the uplink
    /// has no address, one that is bound to an address waits for that.
    ///
    /// # Errors
    /// [`PublishError`] where the port is taken or makes no sense.
    pub fn publish_for(&mut self, node: Node, wanted: Published) -> Result<(), PublishError> {
        self.publish_as((node, false), wanted)
    }

    /// The same for whoever holds the port at the kernel that shares the uplink's address, by a socket
    /// of its own: any port, in the NAT's block or not, and connections that the kernel has there
    /// already stay with it. A session of the NAT's that has the port keeps it towards its remote. All
    /// sessions by the port end when it is withdrawn.
    ///
    /// # Errors
    /// The same.
    pub fn publish_held(&mut self, node: Node, wanted: Published) -> Result<(), PublishError> {
        self.publish_as((node, true), wanted)
    }

    fn publish_as(&mut self, owner: (Node, bool), wanted: Published) -> Result<(), PublishError> {
        let host = wanted.inside.address;
        let leg = self.links.routes.leg(host).filter(|leg| self.links.routes.is_source(*leg, host));
        let leg = leg.ok_or(PublishError::NotInside(host))?;
        if self.links.is_internal(leg) {
            return Err(PublishError::Internal(host));
        }
        let block = self.block.as_ref().filter(|block| !owner.1 && !block.contains(&wanted.port));
        if let Some(block) = block {
            return Err(PublishError::NotInBlock(wanted.port, *block.start(), *block.end()));
        }
        let here = match (wanted.address, self.links.uplink_address()) {
            (Some(asked), Some(own)) if asked != own => {
                return Err(PublishError::NotOurAddress(asked));
            }
            (asked, own) => asked.is_none() || asked == own,
        };
        self.nat.publish(owner, wanted, here)?;
        self.stir();
        Ok(())
    }

    /// Withdraws a published port; false where it was not published.
    pub fn unpublish(&mut self, protocol: Protocol, port: u16) -> bool {
        let was = self.nat.unpublish(protocol, port);
        self.stir();
        was
    }

    /// The uplink has this address now, or none. Sessions belong to the address they were opened
    /// behind: a change of the address forgets them and the uplink's neighbours; a change of the
    /// next hop or the prefix alone does not. Returns the number of sessions forgotten.
    pub fn set_uplink_address(&mut self, address: Option<UplinkAddress>, now: Timestamp) -> u64 {
        let before = self.links.routes.uplink;
        if before == address {
            return 0;
        }
        self.links.set_uplink_address(address);
        self.stir();
        if before.map(|a| a.address) == address.map(|a| a.address) {
            return 0;
        }
        let flushed = self.flush_nat(now);
        self.nat.ours.forget();
        flushed
    }

    /// Tells, from now on, which packets from outside are the NAT's, beginning with those that are
    /// at present; each before the first packet of its session leaves.
    pub fn tell_ours(&mut self, to: Box<dyn Ours>) {
        self.nat.tell_ours(to);
    }

    /// The uplink's interface has this hardware address and MTU now. Sessions stay.
    pub fn set_uplink_link(&mut self, mac: MacAddr, mtu: u16) {
        self.links.set_uplink_link(mac, mtu);
        self.stir();
    }
}
