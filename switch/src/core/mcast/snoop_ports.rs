//! What a network's groups make of its ports: those that come, go, or have other VLANs.

use wire::VlanId;

use super::{Inner, RouterMode, Snoop};
use crate::core::port::{PortId, PortState};

impl Snoop {
    /// Has a network's groups follow a port that is plugged in, or of which other things are known: what was
    /// learned there is forgotten where its link has gone, and in VLANs that it has left; who has come is asked.
    pub(in crate::core) fn follow(&self, id: PortId, was: Option<&PortState>, is: &PortState) {
        if !is.up {
            self.forget_port(id, false, |_| true);
        } else if was.is_some_and(|was| was.vlans != is.vlans) {
            self.forget_port(id, false, |vlan| vlan != VlanId::NONE && !is.vlans.has(vlan));
        }
        if is.settings.mcast_router != RouterMode::Learned {
            self.forget_router(id);
        }
        let before = was.filter(|was| was.up && was.network == is.network).map(|was| &was.vlans);
        if is.up && before != Some(&is.vlans) {
            let before =
                |vlan| before.is_some_and(|before| vlan == VlanId::NONE || before.has(vlan));
            let now = |vlan| vlan == VlanId::NONE || is.vlans.has(vlan);
            self.greet(id, |vlan| now(vlan) && !before(vlan));
        }
    }

    /// Forgets what was learned at a port in these VLANs, and what was set there where it is `gone`.
    pub(in crate::core) fn forget_port(
        &self,
        port: PortId,
        gone: bool,
        left: impl Fn(VlanId) -> bool,
    ) {
        let mut inner = self.write();
        let Inner { domains, tally, .. } = &mut *inner;
        let domains = domains.iter_mut().filter(|(vlan, _)| left(**vlan));
        domains.for_each(|(_, domain)| domain.forget_port(port, gone, tally));
    }

    /// Has a port asked which groups it wants, in these VLANs.
    pub(in crate::core) fn greet(&self, port: PortId, new: impl Fn(VlanId) -> bool) {
        let mut inner = self.write();
        let Inner { config, domains, .. } = &mut *inner;
        if config.querier {
            let domains = domains.iter_mut().filter(|(vlan, _)| new(**vlan));
            domains.for_each(|(_, domain)| domain.greet(port, config));
        }
    }

    /// Forgets that a router was heard at a port.
    pub(in crate::core) fn forget_router(&self, port: PortId) {
        self.write().domains.values_mut().for_each(|domain| _ = domain.routers.remove(&port));
    }
}
