//! In which VLANs nodes are, as one host tells it the others: by the tags that their frames have in the
//! tunnel. A VLAN may have another number, or none, on each host; the tag is what they have in common.

use std::collections::{BTreeMap, BTreeSet};

use overlay::NodeClaim;
use switch::core::{Memberships, PortVlans};
use switch::{NetworkId, PortId, Switch};
use wire::VlanId;

use super::{Joined, Shared};
use crate::lab::{Lab, State};
use crate::node::Node;

/// Tags that a node's frames have in the tunnel; 0 stands for none.
pub(super) type Tags = BTreeSet<u16>;

/// Most VLANs that an address is set in of which nobody has told where it is.
const UNTOLD: usize = 16;

/// The VLANs that a tunnel's port carries; None where its network does not tell them apart.
pub(super) fn carried(switch: &Switch, port: PortId, network: NetworkId) -> Option<PortVlans> {
    switch.network(network)?.vlans?;
    let (spec, _) = switch.port(port)?;
    Some(spec.vlans.to_vlans())
}

/// The tags by which frames of these ports leave by the tunnel.
fn tags(ports: impl IntoIterator<Item = Memberships>, tunnel: &PortVlans) -> Tags {
    let mut tags = Tags::new();
    for port in ports {
        let own = tunnel.members.iter().filter(|vlan| port.has(*vlan));
        tags.extend(own.map(|vlan| if tunnel.untagged.has(vlan) { 0 } else { vlan.get() }));
    }
    tags
}

/// The VLANs here in which a node of another host is. Where nobody has told, all that the tunnel carries;
/// of many, the one of frames without a tag.
pub(super) fn vlans(told: Option<&Tags>, tunnel: Option<&PortVlans>) -> Vec<VlanId> {
    let Some(tunnel) = tunnel else { return vec![VlanId::NONE] };
    let native = || tunnel.pvid.filter(|vlan| tunnel.members.has(*vlan));
    match told {
        Some(tags) => {
            let vlan = |tag: &u16| match tag {
                0 => native(),
                tag => Some(VlanId::from_tci(*tag)).filter(|vlan| tunnel.members.has(*vlan)),
            };
            let all: BTreeSet<_> = tags.iter().filter_map(vlan).collect();
            all.into_iter().collect()
        }
        None => {
            let some: Vec<_> = tunnel.members.iter().take(UNTOLD + 1).collect();
            if some.len() > UNTOLD { native().into_iter().collect() } else { some }
        }
    }
}

impl Lab {
    /// What the nodes there are need, from now on.
    pub(super) fn refresh_claims(&self, shared: &Shared) {
        let state = self.state();
        let carried = self.carried(&state, shared);
        let network = shared.network();
        let claims = state.nodes.iter().filter_map(|held| {
            let claim = shared.of_node(&held.node)?;
            let tags = carried.as_ref().map(|tunnel| self.tags_of(&held.node, &network, tunnel));
            Some(NodeClaim { tags, ..claim })
        });
        let claims: BTreeMap<_, _> = claims.map(|claim| (claim.node.clone(), claim)).collect();
        *shared.wanted() = claims;
    }

    fn carried(&self, state: &State, shared: &Shared) -> Option<PortVlans> {
        let tunnel = state.tunnels.iter().find(|tunnel| tunnel.vni == shared.vni)?;
        let id = state.domains.get(&tunnel.network)?.id;
        self.with_switch(|switch| carried(switch, tunnel.port.id, id)).flatten()
    }

    fn tags_of(&self, node: &Node, network: &str, tunnel: &PortVlans) -> Tags {
        let own = node.interfaces.iter().filter(|own| own.network.as_deref() == Some(network));
        let ports = own.filter_map(|own| own.port.as_ref());
        let vlans = |switch: &Switch| {
            ports.filter_map(|port| Some(switch.port(port.id)?.0.vlans)).collect::<Vec<_>>()
        };
        tags(self.with_switch(vlans).unwrap_or_default(), tunnel)
    }

    /// Has other hosts told in which VLANs the ports here are, which may be others than before.
    pub fn tell_vlans(&self) {
        self.state().joined.iter().for_each(Joined::look);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vlan(number: u16) -> VlanId {
        VlanId::from_tci(number)
    }

    /// A trunk: `native` without a tag, these with theirs.
    fn trunk(native: u16, tagged: &[u16]) -> PortVlans {
        let mut port = PortVlans::access(vlan(native));
        tagged.iter().for_each(|own| port.add(vlan(*own), false));
        port
    }

    #[test]
    fn a_node_is_told_of_by_its_tags_in_the_tunnel() {
        let tunnel = trunk(10, &[20, 30]);
        let told = |port: PortVlans| tags([port.into()], &tunnel);
        assert_eq!(told(PortVlans::access(vlan(20))), [20].into());
        assert_eq!(told(PortVlans::access(vlan(10))), [0].into());
        assert_eq!(told(trunk(1, &[10, 30, 40])), [0, 30].into());
        // It carries none of its VLANs: no other host reaches it.
        assert_eq!(told(PortVlans::access(vlan(40))), [].into());
    }

    #[test]
    fn an_address_is_where_its_tag_comes_in() {
        let tunnel = trunk(11, &[20, 30]);
        let here = |told: &[u16]| vlans(Some(&told.iter().copied().collect()), Some(&tunnel));
        assert_eq!(here(&[20]), [vlan(20)]);
        // What has no tag is in another VLAN here than there.
        assert_eq!(here(&[0, 30]), [vlan(11), vlan(30)]);
        assert_eq!(here(&[40]), []);
        assert_eq!(here(&[]), []);
        assert_eq!(vlans(Some(&[20].into()), None), [VlanId::NONE]);
    }

    #[test]
    fn of_whom_nobody_has_told_is_in_all_vlans_unless_they_are_many() {
        assert_eq!(vlans(None, Some(&trunk(1, &[20]))), [vlan(1), vlan(20)]);
        let many: Vec<u16> = (2..=17).collect();
        assert_eq!(vlans(None, Some(&trunk(1, &many))), [vlan(1)]);
        assert_eq!(vlans(None, None), [VlanId::NONE]);
    }
}
