//! Pairs of a matrix that settings keep apart, as nodes of two networks are: by VLANs, by isolation.
//!
//! As the running lab has them now. A node speaks without a tag, so its VLAN is its port's PVID, and it
//! hears what leaves there without one. Nobody is said to be apart in a network that goes on behind a
//! port (a link to another network, a tunnel), nor of those that a router is between.

use std::collections::{BTreeSet, HashMap};

use control::api::{Network, Port, PortVlan};
use lab::reach::{Cell, Reach};
use lab::{LabName, names};

use crate::door::Which;

/// Why a pair is apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// What one says does not come to the other, or not back.
    Vlans,
    /// Both ports are isolated, in one group.
    Isolation,
}

impl Why {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Vlans => "VLANs",
            Self::Isolation => "isolated ports",
        }
    }
}

/// What the lab's ports and gateway are set to, by network and node.
pub(super) struct Apart {
    ports: HashMap<(String, String), Port>,
    /// Those that end at their ports.
    networks: HashMap<String, Network>,
    /// All of them: whether the gateway is there, and where it forwards to.
    routed: HashMap<String, (bool, Vec<String>)>,
}

impl Apart {
    /// Asks a lab. One that does not answer, as on its way up, keeps nobody apart that is known of.
    pub(super) fn of(name: &LabName, reach: &Reach) -> Self {
        let which = Which { name: name.clone() };
        let answers = which
            .client()
            .ok()
            .and_then(|client| Some((client.ports().ok()?, client.networks().ok()?)));
        let (ports, networks) = answers.unwrap_or_default();
        let known = |node: &str| reach.sources.iter().any(|source| source.name == node);
        let goes_on = |port: &&Port| !port.node.as_deref().is_some_and(known);
        let open: BTreeSet<String> =
            ports.iter().filter(goes_on).filter_map(|port| port.network.clone()).collect();
        let key = |port: &Port| Some((port.network.clone()?, port.node.clone()?));
        let keyed = ports.into_iter().filter_map(|port| Some((key(&port)?, port)));
        let leads = |own: &Network| (own.name.clone(), (own.gateway.is_some(), own.routed.clone()));
        let routed = networks.iter().map(leads).collect();
        let networks = networks.into_iter().filter(|network| !open.contains(&network.name));
        Self {
            ports: keyed.collect(),
            networks: networks.map(|network| (network.name.clone(), network)).collect(),
            routed,
        }
    }

    /// Whether the gateway forwards from one network to another.
    pub(super) fn routes(&self, one: &str, other: &str) -> bool {
        let says = |from: &str, to: &str| {
            let own = self.routed.get(from);
            own.is_some_and(|(here, routed)| *here && routed.iter().any(|name| name == to))
        };
        let is_there = |name: &str| self.routed.get(name).is_some_and(|(here, _)| *here);
        is_there(one) && is_there(other) && (says(one, other) || says(other, one))
    }

    /// Why each cell is not to be tried; None where it is.
    pub(super) fn all(&self, reach: &Reach) -> Vec<Option<Why>> {
        let direct: Vec<_> = reach.cells.iter().map(|cell| self.direct(reach, cell)).collect();
        // Why a node cannot speak to the gateway.
        let shut = |node: usize| {
            let mut doors =
                reach.cells.iter().zip(&direct).filter(|(door, _)| {
                    door.from == node && reach.targets[door.to] == names::GATEWAY
                });
            let first = doors.next()?.1.as_ref()?;
            doors.all(|(_, why)| why.is_some()).then_some(*first)
        };
        let beyond = |cell: &Cell| {
            let to = &reach.targets[cell.to];
            if to == names::INTERNET || to == names::ROUTER {
                return shut(cell.from);
            }
            let is_node = !cell.near && cell.to < reach.sources.len();
            is_node.then(|| shut(cell.from).or_else(|| shut(cell.to))).flatten()
        };
        let cells = reach.cells.iter().zip(&direct);
        cells.map(|(cell, why)| why.or_else(|| beyond(cell))).collect()
    }

    fn direct(&self, reach: &Reach, cell: &Cell) -> Option<Why> {
        let network = self.networks.get(cell.network.as_ref()?)?;
        let port = |node: &str| self.ports.get(&(network.name.clone(), node.to_owned()));
        let from = port(&reach.sources[cell.from].name)?;
        let (hears, pvid) = (untagged(&from.vlans), pvid(&from.vlans));
        if reach.targets[cell.to] == names::GATEWAY {
            let met = pvid.is_some_and(|vlan| network.gateway_vlans.contains(&vlan) && hears(vlan));
            return (network.vlan_filtering && !met).then_some(Why::Vlans);
        }
        let to = port(&reach.targets[cell.to])?;
        if !cell.near {
            // The gateway has a place in each VLAN, and forwards between none of them.
            let met = pvid == self::pvid(&to.vlans);
            return (network.vlan_filtering && !met).then_some(Why::Vlans);
        }
        let there = pvid.is_some_and(untagged(&to.vlans));
        let back = self::pvid(&to.vlans).is_some_and(hears);
        if network.vlan_filtering && !(there && back) {
            return Some(Why::Vlans);
        }
        let group = |port: &Port| {
            let settings = port.settings.as_ref().filter(|settings| settings.isolated)?;
            Some(settings.isolation)
        };
        (group(from).is_some() && group(from) == group(to)).then_some(Why::Isolation)
    }
}

/// The VLAN of what it says.
fn pvid(vlans: &[PortVlan]) -> Option<u16> {
    vlans.iter().find(|row| row.flags.iter().any(|flag| flag == "PVID")).map(|row| row.vlan)
}

/// Whether it is given a VLAN's frames without their tags.
fn untagged(vlans: &[PortVlan]) -> impl Fn(u16) -> bool {
    let is_bare = |row: &&PortVlan| row.flags.iter().any(|flag| flag == "Egress Untagged");
    let ranges: Vec<_> = vlans
        .iter()
        .filter(is_bare)
        .map(|row| row.vlan..=row.vlan_end.unwrap_or(row.vlan))
        .collect();
    move |vlan| ranges.iter().any(|range| range.contains(&vlan))
}
