//! The outside port of a flow from inside: the one it has, or one that its node may open.
//!
//! Whose an address is, is asked of the neighbours; whose a session is, of the NAT. Refusals are drop
//! reasons and change nothing.

use std::net::Ipv4Addr;

use wire::Timestamp;
use wire::tcp::Flags;

use crate::gateway::Gateway;
use crate::nat::plan::PlanOut;
use crate::nat::realm::Load;
use crate::node::Node;
use crate::packet::{Endpoint, Protocol};
use crate::passage::Arrival;
use crate::verdict::{DropReason, Side};

impl Gateway {
    /// The outside port of a flow that is running, or that its node may open.
    #[inline]
    pub(crate) fn outside_port(
        &mut self,
        a: &Arrival,
        protocol: Protocol,
        ends: (Endpoint, Endpoint),
        (load, now): (Load, Timestamp),
    ) -> Result<u16, DropReason> {
        let from = (a.side, a.node);
        match self.nat.running(protocol, a.node, ends, load, now) {
            Ok(Some(outside)) => Ok(outside),
            Ok(None) => self.open(from, protocol, ends, (load, now)),
            Err(_) => {
                self.take_over(from, ends.0.address)?;
                self.open(from, protocol, ends, (load, now))
            }
        }
    }

    fn open(
        &mut self,
        from: (Side, Node),
        protocol: Protocol,
        ends: (Endpoint, Endpoint),
        (load, now): (Load, Timestamp),
    ) -> Result<u16, DropReason> {
        self.may_open(from, ends.0.address)?;
        match self.nat.open(protocol, from.1, ends, load, now) {
            Err(DropReason::Foreign) => {
                self.take_over(from, ends.0.address)?;
                self.nat.open(protocol, from.1, ends, load, now)
            }
            result => result,
        }
    }

    /// The same, foretold: nothing changes.
    pub(crate) fn foresee_port(
        &self,
        from: (Side, Node),
        protocol: Protocol,
        ends: (Endpoint, Endpoint),
        (flags, now): (Option<Flags>, Timestamp),
    ) -> Result<(u16, PlanOut), DropReason> {
        let realm = self.nat.realm(protocol);
        let plan = match realm.plan_out(from.1, ends, flags, now) {
            // What others have left under the address is in nobody's way who has it now.
            Err(DropReason::Foreign) if self.is_at(from, ends.0.address) => {
                realm.plan_out(Node::NOBODY, ends, flags, now)?
            }
            plan => plan?,
        };
        match plan {
            PlanOut::Known(id) => Ok((realm.table.get(id).outside_port, plan)),
            PlanOut::Open { outside, .. } => {
                self.may_open(from, ends.0.address)?;
                Ok((outside, plan))
            }
        }
    }

    /// Refuses a node that opens something under an address that is known to be at another: the
    /// answers would go there.
    pub(crate) fn may_open(
        &self,
        (side, node): (Side, Node),
        address: Ipv4Addr,
    ) -> Result<(), DropReason> {
        let at = self.links.node_at(side, address).unwrap_or(node);
        if at.may_be(node) { Ok(()) } else { Err(DropReason::Foreign) }
    }

    /// What others have left under an address ends where this node is known to have it now.
    pub(crate) fn take_over(
        &mut self,
        from: (Side, Node),
        address: Ipv4Addr,
    ) -> Result<(), DropReason> {
        if !self.is_at(from, address) {
            return Err(DropReason::Foreign);
        }
        self.nat.forget_others(from.1, address);
        Ok(())
    }

    /// Whether an address is known to be at this node.
    pub(crate) fn is_at(&self, (side, node): (Side, Node), address: Ipv4Addr) -> bool {
        self.links.node_at(side, address) == Some(node)
    }
}
