//! Hosts behind tunnels. Whoever is known there, by what other hosts have told, is asked for by nobody. Others are
//! asked for as hosts of the link are, but never directly: the question is answered on their behalf at
//! their end of the tunnel, for there is a gateway of our addresses beside them, which would hear their own
//! answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use wire::MacAddr;

use super::Neighbours;
use crate::gateway::Gateway;
use crate::leg::LegId;
use crate::node::Node;
use crate::verdict::Side;

/// What lies behind the tunnels of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Far {
    /// The tunnels.
    pub tunnels: BTreeSet<Node>,
    /// Who is known there: by which hardware address, behind which tunnel.
    pub known: BTreeMap<Ipv4Addr, (MacAddr, Node)>,
}

impl Neighbours {
    /// A host that others have told of.
    #[inline]
    pub(super) fn told(&self, address: Ipv4Addr) -> Option<(MacAddr, Node)> {
        match self.far.known.is_empty() {
            true => None,
            false => self.far.known.get(&address).copied(),
        }
    }

    /// Whether a host was last heard of behind a tunnel.
    pub(crate) fn is_far(&self, address: Ipv4Addr) -> bool {
        let at = self.entries.get(&address).map(|entry| entry.node);
        at.is_some_and(|node| self.far.tunnels.contains(&node))
    }
}

impl Gateway {
    /// This lies behind the tunnels of a leg from now on.
    pub fn set_far(&mut self, leg: LegId, far: &Arc<Far>) {
        let side = Side::Leg(leg);
        if !self.links.sides().any(|there| there == side) {
            return;
        }
        let is = &mut self.links.link_mut(side).neighbours.far;
        if is != far {
            is.clone_from(far);
            self.stir();
        }
    }
}
