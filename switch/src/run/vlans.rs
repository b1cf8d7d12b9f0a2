//! The table's identifiers for VLANs, as the handle gives them out: before a worker is told of a VLAN, and
//! back when every worker has forgotten it.
//!
//! The networks' lock is held by whoever changes who is a member of what, until the workers know.

use std::collections::BTreeMap;

use wire::VlanId;

use super::config::Error;
use super::switch::Switch;
use crate::core::{Memberships, NetworkConfig, NetworkId, VlanSet};

type Networks = BTreeMap<NetworkId, NetworkConfig>;

fn tells(networks: &Networks, id: NetworkId) -> bool {
    networks.get(&id).is_some_and(|network| network.vlans.is_some())
}

impl Switch {
    /// Has identifiers for the VLANs of these members of a network, or of none of them.
    ///
    /// # Errors
    /// [`Error::NoRoomForVlans`].
    pub(super) fn reserve(
        &self,
        networks: &Networks,
        id: NetworkId,
        members: &[&Memberships],
    ) -> Result<(), Error> {
        if !tells(networks, id) {
            return Ok(());
        }
        let mut vlans = VlanSet::default();
        members.iter().for_each(|members| members.put_into(&mut vlans));
        self.reserve_all(networks, id, &vlans)
    }

    /// The same for a network that is to have these settings: of the station's legs, and of its ports.
    pub(super) fn reserve_legs(
        &self,
        networks: &Networks,
        id: NetworkId,
        config: &NetworkConfig,
    ) -> Result<(), Error> {
        if config.vlans.is_none() {
            return Ok(());
        }
        let mut vlans = VlanSet::default();
        config.legs.iter().for_each(|(vlan, _)| vlans.put(*vlan, true));
        let ports = self.lock();
        let here = ports.values().filter(|port| port.spec.network == id);
        here.for_each(|port| port.spec.vlans.put_into(&mut vlans));
        drop(ports);
        self.reserve_all(networks, id, &vlans)
    }

    fn reserve_all(
        &self,
        networks: &Networks,
        id: NetworkId,
        vlans: &VlanSet,
    ) -> Result<(), Error> {
        let all = || vlans.iter().all(|vlan| self.fdb.scope(id, vlan).is_some());
        if all() {
            return Ok(());
        }
        // Of VLANs without a member that had entries.
        self.release(networks);
        if all() {
            return Ok(());
        }
        self.release(networks);
        Err(Error::NoRoomForVlans)
    }

    /// Gives those back that nobody has use for: when all workers know.
    pub(super) fn give_back(&self, networks: &Networks) {
        if self.fdb.has_vlans() {
            self.release(networks);
        }
    }

    fn release(&self, networks: &Networks) {
        let mut used: BTreeMap<NetworkId, VlanSet> = BTreeMap::new();
        for (id, network) in networks.iter().filter(|(id, _)| tells(networks, **id)) {
            let own = used.entry(*id).or_default();
            network.legs.iter().for_each(|(vlan, _)| own.put(*vlan, true));
        }
        for port in self.lock().values() {
            if let Some(own) = used.get_mut(&port.spec.network) {
                port.spec.vlans.put_into(own);
            }
        }
        let used = |id: NetworkId, vlan: VlanId| used.get(&id).is_some_and(|own| own.has(vlan));
        self.fdb.release(used);
    }
}
