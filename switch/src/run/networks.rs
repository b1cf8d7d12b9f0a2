//! The handle's networks: made, changed and ended while frames pass; what their ports are set to,
//! and which VLANs a port is a member of.
//!
//! What no longer holds is forgotten once every worker knows of the change.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::command::Command;
use super::config::Error;
use super::ports::{Port, PortRole};
use super::roster::Roster;
use super::switch::Switch;
use super::worker::now;
use crate::VlanStats;
use crate::core::{
    Leg, Memberships, Neighbours, NetworkConfig, NetworkId, PortId, PortSettings, Snoop,
};

impl Switch {
    /// Sets a port's settings, all of them.
    ///
    /// # Errors
    /// As [`Switch::change_settings`].
    pub fn set_settings(&self, id: PortId, settings: PortSettings) -> Result<(), Error> {
        self.change_settings(id, |own| *own = settings)
    }

    /// Changes what a port is set to at this moment, so that no other's change is lost. Where it no longer
    /// notes who knocks at it, those noted are forgotten.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn change_settings(
        &self,
        id: PortId,
        change: impl FnOnce(&mut PortSettings),
    ) -> Result<(), Error> {
        let (mut before, mut after) = <(PortSettings, PortSettings)>::default();
        self.change(id, |port| {
            before = port.spec.settings;
            change(&mut port.spec.settings);
            after = port.spec.settings;
        })?;
        if before.mab && !after.mab {
            self.sync_of(id)?;
            self.fdb.flush_locked(id);
        }
        Ok(())
    }

    /// Which ports are shut because of a loop, and for how long yet.
    #[must_use]
    pub fn shut_ports(&self) -> BTreeMap<PortId, Duration> {
        let now = Timestamp::from_nanos(sys::clock::now());
        let shut = self.guards.shut_ports(now).into_iter();
        shut.map(|(id, until)| (id, until.since(now))).collect()
    }

    /// Opens a port that was shut because of a loop; false where it was not.
    pub fn reopen(&self, id: PortId) -> bool {
        self.guards.open(id)
    }

    /// Tells of the address and the MTU of a port's own interface.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_interface(&self, id: PortId, mac: Option<MacAddr>, mtu: u32) -> Result<(), Error> {
        self.change(id, |port| (port.spec.mac, port.spec.mtu) = (mac, mtu))
    }

    /// Changes a port's VLANs. What was learned there of VLANs it has left is forgotten.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::NoRoomForVlans`], [`Error::Dead`].
    pub fn set_vlans(&self, id: PortId, vlans: Memberships) -> Result<(), Error> {
        let networks = self.networks();
        let (port, _) = self.port(id).ok_or(Error::NoPort(id))?;
        self.reserve(&networks, port.network, &[&vlans])?;
        self.change(id, |port| {
            port.spec.vlans = vlans.clone();
            port.make_room(&networks);
        })?;
        self.sync_of(id)?;
        self.fdb.flush_where(Some(id), |_, vlan| !vlans.has(vlan));
        self.give_back(&networks);
        Ok(())
    }

    /// Moves a port to another network, where it is a member of these VLANs, or out of all
    /// ([`NetworkId::NONE`]). What the network it leaves knew of it is forgotten: addresses, those set
    /// by hand too, groups, that it was shut.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::NoNetwork`], [`Error::NoRoomForVlans`], [`Error::Dead`].
    pub fn move_port(
        &self,
        id: PortId,
        network: NetworkId,
        vlans: &Memberships,
    ) -> Result<(), Error> {
        // Held to the end: the network does not go meanwhile.
        let networks = self.networks();
        if network != NetworkId::NONE && !networks.contains_key(&network) {
            return Err(Error::NoNetwork(network));
        }
        self.reserve(&networks, network, &[vlans])?;
        self.roster.turn();
        self.change(id, |port| {
            port.spec.network = network;
            port.spec.vlans = vlans.clone();
            // Who was cut off from other hosts of one network is not, for that, in another.
            if port.spec.settings.reach == crate::Reach::Near {
                port.spec.settings.reach = crate::Reach::All;
            }
            port.make_room(&networks);
        })?;
        // Nobody may learn for the old network any more when its addresses are forgotten.
        self.sync_of(id)?;
        self.fdb.forget_port(id);
        self.guards.open(id);
        self.give_back(&networks);
        Ok(())
    }

    /// What has been counted of a port by VLAN, where they are told apart; those without a frame are
    /// left out. Since it was plugged in.
    #[must_use]
    pub fn vlan_stats(&self, id: PortId) -> BTreeMap<VlanId, VlanStats> {
        self.catch_up();
        let mut sums = BTreeMap::new();
        if let Some(port) = self.lock().get(&id) {
            port.cells.iter().for_each(|cells| cells.vlans.add_to(&mut sums));
        }
        sums
    }

    /// The same of one of the station's legs: what it has said counts as received, what it was given as
    /// sent. Since its network was made.
    #[must_use]
    pub fn leg_stats(&self, leg: Leg) -> BTreeMap<VlanId, VlanStats> {
        self.catch_up();
        let mut sums = BTreeMap::new();
        self.each_counts(|cells| cells.legs.add_to(leg, &mut sums));
        sums
    }

    /// Makes room to count the legs of a network that tells VLANs apart.
    fn make_room(&self, config: &NetworkConfig) {
        if config.vlans.is_some() {
            let legs = &config.legs;
            self.each_counts(|cells| {
                legs.iter().for_each(|(vlan, leg)| cells.legs.admit(*leg, *vlan));
            });
        }
    }

    /// Makes one more network.
    ///
    /// # Errors
    /// [`Error::NoRoomForNetworks`], [`Error::NoRoomForVlans`], [`Error::Dead`].
    pub fn add_network(&self, config: NetworkConfig) -> Result<NetworkId, Error> {
        let mut networks = self.networks();
        let free = (0..NetworkId::MAX).filter_map(|n| u16::try_from(n).ok()).map(NetworkId);
        let id = free.into_iter().find(|id| !networks.contains_key(id));
        let id = id.ok_or(Error::NoRoomForNetworks)?;
        self.reserve_legs(&networks, id, &config)?;
        // Of whoever had these legs before nothing is counted any more.
        self.each_counts(|cells| config.legs.iter().for_each(|(_, leg)| cells.legs.forget(*leg)));
        self.make_room(&config);
        self.tell_network(id, &config)?;
        networks.insert(id, config);
        self.roster.turn();
        Ok(id)
    }

    /// Changes a network's settings. Where VLANs begin or cease to be told apart, what was learned
    /// there is forgotten, groups too.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::NoRoomForVlans`], [`Error::Dead`].
    pub fn set_network(&self, id: NetworkId, config: NetworkConfig) -> Result<(), Error> {
        let mut networks = self.networks();
        let was = networks.get(&id).ok_or(Error::NoNetwork(id))?;
        let (changed, legs) = (was.vlans != config.vlans, was.legs != config.legs);
        self.reserve_legs(&networks, id, &config)?;
        if was.ageing_time != config.ageing_time {
            self.fdb.forget_aged(now());
        }
        networks.insert(id, config.clone());
        if changed {
            self.lock().values().for_each(|port| port.make_room(&networks));
        }
        self.make_room(&config);
        self.tell_network(id, &config)?;
        if changed {
            self.sync()?;
            self.fdb.flush_where(None, |network, _| network == id);
            let is_dead = |vlan| (vlan == VlanId::NONE) == config.vlans.is_some();
            self.snoops.held(id).inspect(|groups| groups.forget_learned(is_dead));
        } else if legs {
            self.sync()?;
        }
        if changed || legs {
            self.give_back(&networks);
        }
        Ok(())
    }

    /// Tells the workers of a network, with the groups of all of them.
    fn tell_network(&self, id: NetworkId, config: &NetworkConfig) -> Result<(), Error> {
        let groups = self.snoops.of(id, config.mcast);
        self.all(|| Command::Network { id, config: Some(config.clone()), groups: groups.clone() })
    }

    /// Ends a network that has no ports any more, and forgets its addresses.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Busy`], [`Error::Dead`].
    pub fn remove_network(&self, id: NetworkId) -> Result<(), Error> {
        let mut networks = self.networks();
        if !networks.contains_key(&id) {
            return Err(Error::NoNetwork(id));
        }
        let is_there = |port: &Port| port.spec.role == PortRole::Bridged && port.spec.network == id;
        if self.lock().values().any(is_there) {
            return Err(Error::Busy(id));
        }
        self.all(|| Command::Network { id, config: None, groups: None })?;
        self.sync()?;
        self.snoops.forget(id);
        self.fdb.forget_network(id);
        self.neighbours.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        networks.remove(&id);
        self.give_back(&networks);
        self.roster.turn();
        Ok(())
    }

    /// By which it is seen that ports or networks have come, gone, moved or got other names.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Whoever keeps the ports, or lends them their names, calls one otherwise from now on.
    pub fn renamed(&self) {
        self.roster.turn();
    }

    /// The groups of a network that snoops.
    #[must_use]
    pub fn groups(&self, id: NetworkId) -> Option<Arc<Snoop>> {
        self.snoops.get(id)
    }

    /// The same of any network: what was set by hand is kept while it does not snoop.
    #[must_use]
    pub fn groups_kept(&self, id: NetworkId) -> Option<Arc<Snoop>> {
        self.snoops.held(id)
    }

    /// Says who is known in a network, to answer for.
    ///
    /// # Errors
    /// [`Error::Dead`].
    pub fn set_neighbours(&self, id: NetworkId, known: &Neighbours) -> Result<(), Error> {
        let mut held = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(id, Arc::clone(known));
        self.all(|| Command::Neighbours { id, known: Arc::clone(known) })
    }

    /// Who is known in a network, to answer for.
    #[must_use]
    pub fn neighbours(&self, id: NetworkId) -> Neighbours {
        let held = self.neighbours.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&id).cloned().unwrap_or_default()
    }

    /// A network's settings.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<NetworkConfig> {
        self.networks().get(&id).cloned()
    }
}
