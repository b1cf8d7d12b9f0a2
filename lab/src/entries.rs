//! What a network's tables hold from the start, put into them once the ports are plugged in.

use std::collections::BTreeSet;

use ::topology::{FdbKind, Group as Said, Network};
use switch::core::{Group, Memberships};
use switch::{EntryKind, NetworkId, PortId, PortInfo, PortRole};
use wire::{Timestamp, VlanId};

use crate::error::{Error, Result};
use crate::lab::{Lab, State};

/// A kind in the switch's words.
#[must_use]
pub fn kind(asked: FdbKind) -> EntryKind {
    match asked {
        FdbKind::Static => EntryKind::Static,
        FdbKind::Sticky => EntryKind::Sticky,
        FdbKind::Blackhole => EntryKind::Blackhole,
        FdbKind::Local => EntryKind::Local,
        FdbKind::Extern => EntryKind::Extern,
    }
}

/// The other way around; None for what was learned.
#[must_use]
pub fn kind_shown(kind: EntryKind) -> Option<FdbKind> {
    match kind {
        EntryKind::Learned | EntryKind::Locked => None,
        EntryKind::Static => Some(FdbKind::Static),
        EntryKind::Sticky => Some(FdbKind::Sticky),
        EntryKind::Blackhole => Some(FdbKind::Blackhole),
        EntryKind::Local => Some(FdbKind::Local),
        EntryKind::Extern => Some(FdbKind::Extern),
    }
}

/// A group in the switch's words.
#[must_use]
pub fn group(said: Said) -> Group {
    match said {
        Said::Ip(address) => Group::Ip(address),
        Said::Mac(address) => Group::Mac(address),
    }
}

/// The other way around.
#[must_use]
pub fn group_shown(group: Group) -> Said {
    match group {
        Group::Ip(address) => Said::Ip(address),
        Group::Mac(address) => Said::Mac(address),
    }
}

/// The VLANs that an entry is set in: the one it says; else all of its port's, as of one that is set while
/// the lab runs, or all there are where it has no port.
pub(crate) fn vlans(
    network: &Network,
    port: Option<&Memberships>,
    said: Option<u16>,
    all: impl FnOnce() -> Vec<VlanId>,
) -> Vec<VlanId> {
    if !network.filters_vlans() {
        return vec![VlanId::NONE];
    }
    match (said, port) {
        (Some(vlan), _) => vec![VlanId::from_tci(vlan)],
        (None, Some(own)) => own.all().collect(),
        (None, None) => all(),
    }
}

/// The VLANs that a port or the gateway of a network is in, ascending: those of an entry at no port, as the
/// kernel has one of its bridge itself in all of the bridge's (net/bridge/br_fdb.c, `br_fdb_add`).
#[must_use]
pub fn all_vlans<'a>(network: &Network, ports: impl Iterator<Item = &'a PortInfo>) -> Vec<VlanId> {
    let legs = network.default_pvid().into_iter().chain(network.vlans.keys().copied());
    let mut all: BTreeSet<VlanId> = legs.map(VlanId::from_tci).collect();
    ports.for_each(|info| all.extend(info.spec.vlans.all()));
    all.into_iter().collect()
}

/// Whether a port is a network's.
pub(crate) fn is_of(info: &PortInfo, network: NetworkId) -> bool {
    info.spec.role == PortRole::Bridged && info.spec.network == network
}

/// The port of a node, or of a link between networks, in a network.
fn port(state: &State, node: &str, network: &str) -> Option<PortId> {
    if let Some(joint) = state.joints.iter().find(|joint| joint.name == node) {
        return joint.port(network).map(|port| port.id);
    }
    let held = state.nodes.iter().find(|held| held.node.name == node)?;
    let mut here =
        held.node.interfaces.iter().filter(|own| own.network.as_deref() == Some(network));
    Some(here.next()?.port.as_ref()?.id)
}

impl Lab {
    /// Puts the entries of a network of the spec into the switch's tables.
    ///
    /// # Errors
    /// [`Error::Usage`] for one that a table has no room for.
    pub(crate) fn set_entries(&self, state: &State, name: &str) -> Result<()> {
        let (Some(network), Some(domain)) = (state.spec.network(name), state.domains.get(name))
        else {
            return Ok(());
        };
        let full = |what: String| {
            Error::Usage(format!("network {name}: its table has no room for {what}"))
        };
        let now = Timestamp::from_nanos(sys::clock::now());
        // What is behind a tunnel is set once that is plugged in.
        for entry in network.fdb.iter().filter(|entry| entry.dst.is_none()) {
            let node = entry.node.as_deref();
            let at = node.map_or(Some(PortId::LOCAL), |node| port(state, node, name));
            let set = self.with_switch(|switch| {
                let at = at?;
                let own = switch.port(at);
                let own = own.as_ref().map(|(spec, _)| &spec.vlans);
                let all = || {
                    let ports = switch.ports();
                    all_vlans(network, ports.iter().filter(|info| is_of(info, domain.id)))
                };
                vlans(network, own, entry.vlan, all).into_iter().try_for_each(|vlan| {
                    let scope = switch.table().scope(domain.id, vlan)?;
                    let set = switch.table().set(entry.mac, scope, at, kind(entry.kind), now);
                    set.then_some(())
                })
            });
            set.flatten().ok_or_else(|| full(entry.mac.to_string()))?;
        }
        for entry in &network.mdb {
            let at = port(state, &entry.node, name);
            let set = self.with_switch(|switch| {
                let groups = switch.groups(domain.id)?;
                let at = at?;
                let (spec, _) = switch.port(at)?;
                let of = (at, &spec.settings);
                let set = |vlan| groups.set(vlan, group(entry.group), of, now).then_some(());
                let own = Some(&spec.vlans);
                vlans(network, own, entry.vlan, Vec::new).into_iter().try_for_each(set)
            });
            set.flatten().ok_or_else(|| full(entry.group.to_string()))?;
        }
        Ok(())
    }
}
