//! The bridge: networks, ports and their settings, as one worker holds them.
//!
//! What it decides by them stands in [`super::decide`]. The table behind it is shared by all
//! workers, and so are the counts of storm control. Never sees a socket.

use std::sync::Arc;

use wire::{MacAddr, Timestamp, VlanId, VlanTag};

use super::fdb::Fdb;
use super::fdb_entry::FdbEntry;
use super::fids::Scope;
use super::loops::Guards;
use super::mcast::{Snoop, Snoops};
use super::network::{Lane, Leg, Network, NetworkConfig, NetworkId};
use super::port::{PortId, PortSettings, PortState};
use super::storm::{Storm, Storms};
use super::vlan::VlanSet;

/// The bridge.
pub struct Bridge {
    fdb: Arc<Fdb>,
    storms: Arc<Storms>,
    snoops: Arc<Snoops>,
    pub(super) guards: Arc<Guards>,
    /// What of the guards' changes has been heeded.
    pub(super) heeded: u64,
    networks: Vec<Option<Network>>,
    /// The networks of the station's legs, by their numbers.
    legs: Vec<Option<NetworkId>>,
    ports: Vec<Option<Port>>,
}

/// What the bridges of all workers have in common, beside the table.
#[derive(Clone, Default)]
pub struct Shared {
    /// What ports have had flooded.
    pub storms: Arc<Storms>,
    /// Who is a member of which group.
    pub snoops: Arc<Snoops>,
    /// Which ports are shut because of a loop.
    pub guards: Arc<Guards>,
}

pub(super) struct Port {
    pub(super) state: PortState,
    pub(super) storm: Arc<Storm>,
    /// A loop was seen here.
    pub(super) shut: bool,
    /// It takes no frames in: it is down, or shut.
    pub(super) closed: bool,
    /// What its frames without a tag belong to, so that the most common are not asked about one by
    /// one; None where they belong nowhere.
    pub(super) native: Option<Lane>,
}

impl Port {
    pub(super) fn close(&mut self, shut: bool) {
        self.shut = shut;
        self.closed = shut || !(self.state.up || self.state.expected);
    }
}

impl Bridge {
    /// A bridge of one network, without ports.
    #[must_use]
    pub fn new(first: NetworkConfig, fdb: Arc<Fdb>) -> Self {
        Self::counting(first, fdb, Shared::default())
    }

    /// The same for one of several workers that count their ports' floods together, and know the
    /// same groups.
    #[must_use]
    pub fn counting(first: NetworkConfig, fdb: Arc<Fdb>, shared: Shared) -> Self {
        let mut bridge = Self::empty(fdb, shared);
        bridge.set_network(NetworkId::FIRST, first);
        bridge
    }

    /// The same networks, ports and settings over another table: to try things out beside the real
    /// one.
    #[must_use]
    pub fn aside(&self, fdb: Arc<Fdb>) -> Self {
        let guards = Arc::clone(&self.guards);
        let mut aside = Self::empty(fdb, Shared { guards, ..Shared::default() });
        for network in self.networks.iter().flatten() {
            aside.set_network(network.id, network.config.clone());
            aside.set_neighbours(network.id, Arc::clone(&network.neighbours));
        }
        for id in self.plugged() {
            if let Some(state) = self.port(id) {
                aside.set_port(id, state);
            }
        }
        for network in self.networks.iter().flatten() {
            aside.set_groups(network.id, network.snoop.clone());
        }
        for (id, port) in aside.ports_mut() {
            port.close(self.get(id).is_some_and(|port| port.shut));
        }
        aside.heeded = aside.guards.version();
        aside
    }

    fn empty(fdb: Arc<Fdb>, Shared { storms, snoops, guards }: Shared) -> Self {
        Self {
            fdb,
            storms,
            snoops,
            guards,
            heeded: 0,
            networks: Vec::new(),
            legs: Vec::new(),
            ports: Vec::new(),
        }
    }

    /// The table.
    #[must_use]
    #[inline]
    pub fn fdb(&self) -> &Fdb {
        &self.fdb
    }

    /// Makes a network, or changes its settings; its ports stay. Its groups are made and ended here: for the
    /// one bridge there is.
    pub fn set_network(&mut self, id: NetworkId, config: NetworkConfig) {
        let snoop = self.snoops.of(id, config.mcast);
        self.set_network_with(id, config, snoop);
    }

    /// The groups of a network are these from now on.
    pub(crate) fn set_groups(&mut self, id: NetworkId, snoop: Option<Arc<Snoop>>) {
        if let Some(network) = self.network_mut(id) {
            network.snoop = snoop;
        }
        self.survey(id);
    }

    /// The same as [`Bridge::set_network`] for one of several bridges, with the groups of all.
    pub(crate) fn set_network_with(
        &mut self,
        id: NetworkId,
        config: NetworkConfig,
        snoop: Option<Arc<Snoop>>,
    ) {
        if id.index() >= NetworkId::MAX {
            return;
        }
        if self.networks.len() <= id.index() {
            self.networks.resize_with(id.index() + 1, || None);
        }
        let mut network = Network::new(id, config, &self.fdb);
        network.snoop = snoop;
        if let Some(before) = self.network(id) {
            network.neighbours = Arc::clone(&before.neighbours);
        }
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
        let plugged = network.plugged.clone();
        self.networks[id.index()] = Some(network);
        plugged.into_iter().for_each(|port| self.note_native(port));
        self.survey(id);
    }

    /// Notes what a port's frames without a tag belong to: whenever its VLANs or its network's
    /// settings have changed.
    fn note_native(&mut self, id: PortId) {
        let native = self.lane(None, id);
        if let Some(port) = self.ports.get_mut(id.index()).and_then(Option::as_mut) {
            port.native = native;
        }
    }

    /// Has a network look at its ports.
    fn survey(&mut self, id: NetworkId) {
        let ports = (0..).map(PortId).zip(&self.ports);
        let ports = ports.filter_map(|(id, port)| Some((id, &port.as_ref()?.state)));
        if let Some(network) = network_mut(&mut self.networks, id) {
            network.survey(ports.filter(|(_, state)| state.network == id));
        }
    }

    /// Ends a network. Its ports are the caller's to unplug, its addresses to forget
    /// ([`Fdb::forget_network`]), and its groups.
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
        let network = state.network;
        let whole = |state: &PortState| {
            let PortSettings { neigh_suppress, mcast_router, loop_protect, .. } = state.settings;
            (state.network, state.mac, neigh_suppress, mcast_router, loop_protect)
        };
        let changed = was.as_ref().is_none_or(|was| whole(&was.state) != whole(&state));
        if let Some(snoop) = self.network(network).and_then(|network| network.snoop.as_ref()) {
            snoop.follow(id, was.as_ref().map(|was| &was.state), &state);
        }
        let others = was.as_ref().is_some_and(|was| was.state.vlans != state.vlans);
        let shut = was.as_ref().is_some_and(|was| was.shut);
        let storm = was.map_or_else(|| self.storms.of(id), |was| was.storm);
        let mut port = Port { state, storm, shut, closed: false, native: None };
        port.close(shut);
        self.ports[id.index()] = Some(port);
        if others {
            self.shed(network);
        }
        self.note_native(id);
        if changed {
            self.survey(network);
        }
    }

    /// Has a network know no VLANs any more but those that a port of it is a member of.
    fn shed(&mut self, id: NetworkId) {
        let Some(network) = network_mut(&mut self.networks, id) else { return };
        if network.config.vlans.is_some() {
            let mut used = VlanSet::default();
            let ports =
                network.plugged.iter().filter_map(|id| self.ports.get(id.index())?.as_ref());
            ports.for_each(|port| port.state.vlans.put_into(&mut used));
            network.keep(used);
        }
    }

    /// Unplugs a port. Its addresses are the caller's to forget ([`Fdb::forget_port`]): the table
    /// is shared, and one worker's doing it is enough.
    pub fn remove_port(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(id.index()).and_then(Option::take) else { return };
        self.storms.forget(id);
        self.guards.open(id);
        self.unplug(id, port.state.network);
    }

    fn unplug(&mut self, id: PortId, network: NetworkId) {
        if let Some(network) = network_mut(&mut self.networks, network) {
            network.plugged.retain(|port| *port != id);
        }
        if let Some(snoop) = self.snoops.held(network) {
            snoop.forget_port(id, true, |_| true);
        }
        self.shed(network);
        self.survey(network);
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

    /// The smallest MTU of the ports that a frame which comes in by a port may be flooded to.
    #[must_use]
    pub fn least_mtu(&self, ingress: PortId) -> Option<u32> {
        let network = self.network(self.get(ingress)?.state.network)?;
        network.plugged.iter().filter_map(|id| Some(self.get(*id)?.state.mtu)).min()
    }

    /// The part of the table that a frame of `tag` is looked up in, where it comes in by a port.
    #[must_use]
    pub fn scope(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<Scope> {
        Some(self.lane(tag, ingress)?.scope)
    }

    /// The station's leg among the frames of `tag` that come in by a port, and their VLAN;
    /// [`VlanId::NONE`] where tags mean nothing.
    #[must_use]
    pub fn leg_among(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<(Leg, VlanId)> {
        let lane = self.lane(tag, ingress)?;
        let network = self.network(self.get(ingress)?.state.network)?;
        Some((network.leg(&lane)?, lane.vid()))
    }

    /// The part of the table that what the station sends to a leg is looked up in.
    #[must_use]
    pub fn scope_at(&self, leg: Leg) -> Option<Scope> {
        Some(self.lane_of(leg)?.1.scope)
    }

    pub(super) fn lane(&self, tag: Option<VlanTag>, ingress: PortId) -> Option<Lane> {
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

    pub(super) fn ports_mut(&mut self) -> impl Iterator<Item = (PortId, &mut Port)> {
        let ports = (0..).map(PortId).zip(&mut self.ports);
        ports.filter_map(|(id, port)| Some((id, port.as_mut()?)))
    }

    pub(super) fn all_networks(&self) -> impl Iterator<Item = &Network> {
        self.networks.iter().flatten()
    }

    pub(super) fn network_mut(&mut self, id: NetworkId) -> Option<&mut Network> {
        network_mut(&mut self.networks, id)
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
