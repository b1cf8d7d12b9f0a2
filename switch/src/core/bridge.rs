//! The bridge: networks, ports and their settings, as one worker holds them.
//!
//! What it decides by them stands in [`super::decide`]. The table behind it is shared by all
//! workers, and so are the counts of storm control. Never sees a socket.

use std::sync::Arc;

use wire::{MacAddr, Timestamp, VlanId, VlanTag};

use super::fdb::Fdb;
use super::fdb_entry::FdbEntry;
use super::fids::Scope;
use super::network::{Lane, Leg, Network, NetworkConfig, NetworkId};
use super::port::{PortId, PortState};
use super::storm::{Storm, Storms};

/// The bridge.
pub struct Bridge {
    fdb: Arc<Fdb>,
    storms: Arc<Storms>,
    networks: Vec<Option<Network>>,
    /// The networks of the station's legs, by their numbers.
    legs: Vec<Option<NetworkId>>,
    ports: Vec<Option<Port>>,
}

pub(super) struct Port {
    pub(super) state: PortState,
    pub(super) storm: Arc<Storm>,
}

impl Bridge {
    /// A bridge of one network, without ports.
    #[must_use]
    pub fn new(first: NetworkConfig, fdb: Arc<Fdb>) -> Self {
        Self::counting(first, fdb, Arc::default())
    }

    /// The same for one of several workers that count their ports' floods together.
    #[must_use]
    pub fn counting(first: NetworkConfig, fdb: Arc<Fdb>, storms: Arc<Storms>) -> Self {
        let mut bridge = Self::empty(fdb, storms);
        bridge.set_network(NetworkId::FIRST, first);
        bridge
    }

    /// The same networks, ports and settings over another table: to try things out beside the real
    /// one.
    #[must_use]
    pub fn aside(&self, fdb: Arc<Fdb>) -> Self {
        let mut aside = Self::empty(fdb, Arc::default());
        for network in self.networks.iter().flatten() {
            aside.set_network(network.id, network.config.clone());
        }
        for id in self.plugged() {
            if let Some(state) = self.port(id) {
                aside.set_port(id, state);
            }
        }
        aside
    }

    fn empty(fdb: Arc<Fdb>, storms: Arc<Storms>) -> Self {
        Self { fdb, storms, networks: Vec::new(), legs: Vec::new(), ports: Vec::new() }
    }

    /// The table.
    #[must_use]
    #[inline]
    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    /// Makes a network, or changes its settings; its ports stay.
    pub fn set_network(&mut self, id: NetworkId, config: NetworkConfig) {
        if id.index() >= NetworkId::MAX {
            return;
        }
        if self.networks.len() <= id.index() {
            self.networks.resize_with(id.index() + 1, || None);
        }
        let mut network = Network::new(id, config, &self.fdb);
        for (port, held) in (0..).map(PortId).zip(&self.ports) {
            if let Some(held) = held.as_ref().filter(|held| held.state.network == id) {
                network.plugged.push(port);
                network.meet(&held.state.vlans, &self.fdb);
            }
        }
        self.forget_legs(id);
        for (_, leg) in &network.config.legs {
            let at = usize::from(leg.0);
            if self.legs.len() <= at {
                self.legs.resize(at + 1, None);
            }
            self.legs[at] = Some(id);
        }
        self.networks[id.index()] = Some(network);
    }

    /// Ends a network. Its ports are the caller's to unplug, its addresses to forget
    /// ([`Fdb::forget_network`]).
    pub fn remove_network(&mut self, id: NetworkId) {
        self.forget_legs(id);
        if let Some(network) = self.networks.get_mut(id.index()) {
            *network = None;
        }
    }

    fn forget_legs(&mut self, of: NetworkId) {
        self.legs.iter_mut().filter(|leg| **leg == Some(of)).for_each(|leg| *leg = None);
    }

    /// Plugs a port in, or changes what is known of it.
    pub fn set_port(&mut self, id: PortId, state: PortState) {
        if id.index() >= PortId::MAX {
            return;
        }
        if self.ports.len() <= id.index() {
            self.ports.resize_with(id.index() + 1, || None);
        }
        let was = self.ports[id.index()].take();
        if let Some(was) = &was
            && was.state.network != state.network
        {
            self.unplug(id, was.state.network);
        }
        if let Some(network) = network_mut(&mut self.networks, state.network) {
            network.meet(&state.vlans, &self.fdb);
            if let Err(place) = network.plugged.binary_search(&id) {
                network.plugged.insert(place, id);
            }
        }
        let storm = was.map_or_else(|| self.storms.of(id), |was| was.storm);
        self.ports[id.index()] = Some(Port { state, storm });
    }

    /// Unplugs a port. Its addresses are the caller's to forget ([`Fdb::forget_port`]): the table
    /// is shared, and one worker's doing it is enough.
    pub fn remove_port(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(id.index()).and_then(Option::take) else { return };
        self.storms.forget(id);
        self.unplug(id, port.state.network);
    }

    fn unplug(&mut self, id: PortId, network: NetworkId) {
        if let Some(network) = network_mut(&mut self.networks, network) {
            network.plugged.retain(|port| *port != id);
        }
    }

    /// The station's address among those a port can reach.
    #[must_use]
    pub fn local(&self, ingress: PortId) -> Option<MacAddr> {
        self.network(self.get(ingress)?.state.network)?.config.local
    }

    /// What is known of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<PortState> {
        self.get(id).map(|port| port.state.clone())
    }

    /// The ports plugged in, ascending.
    pub fn plugged(&self) -> impl Iterator<Item = PortId> + '_ {
        (0..).map(PortId).zip(&self.ports).filter_map(|(id, port)| port.as_ref().map(|_| id))
    }

    /// The VLAN of a frame of `tag` that came in by a port; [`VlanId::NONE`] where tags mean nothing.
    #[must_use]
    pub fn vlan(&self, tag: Option<VlanTag>, ingress: PortId) -> VlanId {
        self.lane(tag, ingress).map_or(VlanId::NONE, |lane| lane.vid())
    }

    /// The part of the table that a frame of `tag` is looked up in, where it comes in by a port.
    #[must_use]
    pub fn scope(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<Scope> {
        Some(self.lane(tag, ingress)?.scope)
    }

    fn lane(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<Lane> {
        let port = self.get(ingress)?;
        self.network(port.state.network)?.classify(tag, &port.state.vlans).ok()
    }

    /// What the table knows of an address, where a frame of `tag` comes in by a port.
    #[must_use]
    pub fn entry(
        &self,
        mac: MacAddr,
        tag: Option<VlanTag>,
        ingress: PortId,
        now: Timestamp,
    ) -> Option<FdbEntry> {
        self.fdb.entry(mac, self.lane(tag, ingress)?.scope, now)
    }

    /// What the table knows of an address, for a frame of the station's own.
    #[must_use]
    pub fn entry_at(&self, mac: MacAddr, leg: Leg, now: Timestamp) -> Option<FdbEntry> {
        self.fdb.entry(mac, self.lane_of(leg)?.1.scope, now)
    }

    pub(super) fn lane_of(&self, leg: Leg) -> Option<(&Network, Lane)> {
        let network = self.network((*self.legs.get(usize::from(leg.0))?)?)?;
        Some((network, network.of_leg(leg)?))
    }

    #[inline]
    pub(super) fn get(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.index())?.as_ref()
    }

    #[inline]
    pub(super) fn network(&self, id: NetworkId) -> Option<&Network> {
        self.networks.get(id.index())?.as_ref()
    }
}

fn network_mut(networks: &mut [Option<Network>], id: NetworkId) -> Option<&mut Network> {
    networks.get_mut(id.index())?.as_mut()
}

#[cfg(test)]
#[path = "bridge_tests.rs"]
mod tests;
