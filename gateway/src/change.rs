//! What changes a gateway beside frames: ports published, sessions flushed, nodes that go, an uplink
//! that gets another address.

use wire::{MacAddr, Timestamp};

use crate::config::UplinkAddress;
use crate::gateway::Gateway;
use crate::nat::ours::Ours;
use crate::nat::publish::{PublishError, Published};
use crate::node::Node;
use crate::packet::Protocol;
use crate::verdict::Side;

impl Gateway {
    /// Forgets every session; published ports stay. Returns how many there were.
    pub fn flush_nat(&mut self, now: Timestamp) -> u64 {
        self.fragments.clear();
        self.unsolicited.clear();
        self.nat.flush(self.address(Side::Uplink), now)
    }

    /// A node is gone: its sessions, mappings, neighbours and whatever was on its way end with it,
    /// and its published ports are withdrawn. Returns what was published.
    pub fn forget_node(&mut self, node: Node) -> Vec<Published> {
        let waited = self.neighbours[Side::Lan as usize].forget(node);
        self.counters.waited_in_vain += waited as u64;
        self.fragments.forget(node);
        self.nat.forget_node(node)
    }

    /// Publishes a port of an inside host, whichever node that is: [`Gateway::publish_for`] nobody.
    ///
    /// # Errors
    /// [`PublishError`] where the port is taken or makes no sense.
    pub fn publish(&mut self, wanted: Published) -> Result<(), PublishError> {
        self.publish_for(Node::NOBODY, wanted)
    }

    /// Publishes a port of a node: it leads to no other that comes by the same address.
    ///
    /// # Errors
    /// [`PublishError`] where the port is taken or makes no sense.
    pub fn publish_for(&mut self, node: Node, wanted: Published) -> Result<(), PublishError> {
        if !self.routes.is_lan_source(wanted.inside.address) {
            return Err(PublishError::NotInside(wanted.inside.address));
        }
        if let Some(uplink) = self.uplink.as_ref().filter(|u| u.shared)
            && !uplink.ports.contains(&wanted.port)
        {
            let (low, high) = (*uplink.ports.start(), *uplink.ports.end());
            return Err(PublishError::NotInBlock(wanted.port, low, high));
        }
        match (wanted.address, self.address(Side::Uplink)) {
            (Some(asked), Some(own)) if asked != own => Err(PublishError::NotOurAddress(asked)),
            _ => self.nat.publish(node, wanted),
        }
    }

    /// Withdraws a published port; false where it was not published.
    pub fn unpublish(&mut self, protocol: Protocol, port: u16) -> bool {
        self.nat.unpublish(protocol, port)
    }

    /// The uplink has this address now, or none. Sessions belong to the address they were opened
    /// behind: a change of the address forgets them and the uplink's neighbours; a change of the
    /// next hop or the prefix alone does not. Returns the number of sessions forgotten.
    pub fn set_uplink_address(&mut self, address: Option<UplinkAddress>, now: Timestamp) -> u64 {
        let before = self.routes.uplink;
        if before == address {
            return 0;
        }
        self.routes.uplink = address;
        if let Some(uplink) = &mut self.uplink {
            uplink.address = address;
        }
        self.counters.waited_in_vain += self.neighbours[Side::Uplink as usize].clear() as u64;
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
        if let Some(uplink) = &mut self.uplink {
            (uplink.mac, uplink.mtu) = (mac, mtu);
        }
    }
}
