//! The handle's networks: made, changed and ended while frames pass; and which VLANs of theirs a
//! port is a member of.
//!
//! What no longer holds is forgotten once every worker knows of the change.

use super::config::Error;
use super::ports::Port;
use super::ports::PortRole;
use super::switch::Switch;
use super::worker::Command;
use crate::core::{Memberships, NetworkConfig, NetworkId, PortId};

impl Switch {
    /// Changes a port's VLANs. What was learned there of VLANs it has left is forgotten.
    ///
    /// # Errors
    /// [`Error::NoPort`], [`Error::Dead`].
    pub fn set_vlans(&self, id: PortId, vlans: Memberships) -> Result<(), Error> {
        self.change(id, |port| port.spec.vlans = vlans.clone())?;
        self.sync()?;
        self.fdb.flush_where(|_, vlan, port| port == id && !vlans.has(vlan));
        Ok(())
    }

    /// Makes one more network.
    ///
    /// # Errors
    /// [`Error::NoRoomForNetworks`], [`Error::Dead`].
    pub fn add_network(&self, config: NetworkConfig) -> Result<NetworkId, Error> {
        let mut networks = self.networks();
        let free = (0..NetworkId::MAX).filter_map(|n| u16::try_from(n).ok()).map(NetworkId);
        let id = free.into_iter().find(|id| !networks.contains_key(id));
        let id = id.ok_or(Error::NoRoomForNetworks)?;
        self.all(|| Command::Network { id, config: Some(config.clone()) })?;
        networks.insert(id, config);
        Ok(id)
    }

    /// Changes a network's settings. Where VLANs begin or cease to be told apart, what was learned
    /// there is forgotten.
    ///
    /// # Errors
    /// [`Error::NoNetwork`], [`Error::Dead`].
    pub fn set_network(&self, id: NetworkId, config: NetworkConfig) -> Result<(), Error> {
        let mut networks = self.networks();
        let was = networks.get(&id).ok_or(Error::NoNetwork(id))?.vlans;
        let changed = was != config.vlans;
        self.all(|| Command::Network { id, config: Some(config.clone()) })?;
        networks.insert(id, config);
        if changed {
            self.sync()?;
            self.fdb.flush_where(|network, _, _| network == id);
        }
        Ok(())
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
        self.all(|| Command::Network { id, config: None })?;
        self.sync()?;
        self.fdb.forget_network(id);
        networks.remove(&id);
        Ok(())
    }

    /// A network's settings.
    #[must_use]
    pub fn network(&self, id: NetworkId) -> Option<NetworkConfig> {
        self.networks().get(&id).cloned()
    }
}
