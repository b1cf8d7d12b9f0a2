//! Who is known in each network, for the switch to answer for at ports that suppress questions: the lab's
//! nodes, with the link-local addresses that theirs make, the gateway, nodes of other hosts, and whoever
//! was named by hand.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError};

use ::topology::{MAX_NEIGHBOURS, Network};
use wire::MacAddr;

use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::station;

/// Addresses, and by which hardware address each is known.
pub type Known = BTreeMap<IpAddr, MacAddr>;

impl Lab {
    /// What the lab knows by itself, by network.
    #[must_use]
    pub fn neighbours(&self) -> HashMap<String, Known> {
        let mut all: HashMap<String, Known> = HashMap::new();
        for interface in self.nodes().iter().flat_map(|node| &node.interfaces) {
            let Some(network) = &interface.network else { continue };
            let known = all.entry(network.clone()).or_default();
            known.insert(interface.mac.to_link_local().into(), interface.mac);
            known.extend(interface.addresses.iter().map(|address| (address.ip, interface.mac)));
        }
        self.with_spec(|spec| {
            for name in spec.networks.keys() {
                let gateways = spec.network(name).map(Network::all_gateways).unwrap_or_default();
                let v4 = gateways.into_iter().map(|own| own.ip).filter(IpAddr::is_ipv4);
                let known = all.entry(name.clone()).or_default();
                if let Some(mac) = station::mac_in(spec, name) {
                    known.extend(v4.map(|address| (address, mac)));
                }
            }
        });
        for (network, remotes) in self.remotes() {
            let known = all.entry(network).or_default();
            for remote in remotes.into_values() {
                // Which of several addresses is at which hardware address is not told.
                let [mac] = remote.macs[..] else { continue };
                // Whoever is here is here, also where another host says so too.
                known.entry(mac.to_link_local().into()).or_insert(mac);
                for ip in remote.ips {
                    known.entry(ip).or_insert(mac);
                }
            }
        }
        all
    }

    /// The neighbours of IPv6 that a node's kernel knows, with the index of the interface each is behind;
    /// none of a node that is not there.
    ///
    /// # Errors
    /// When its namespace cannot be entered or the kernel refuses.
    pub fn neighbours_of(&self, node: &str) -> Result<Vec<(u32, Ipv6Addr, MacAddr)>> {
        let Some(netns) = self.namespace(node) else { return Ok(Vec::new()) };
        let known = ns::neighbour::known_v6(netns.as_fd())?.into_iter();
        Ok(known.map(|own| (own.index, own.address, MacAddr(own.mac))).collect())
    }

    /// Whoever was named by hand.
    #[must_use]
    pub fn named_neighbours(&self) -> Known {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names who is answered for, in each network.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no room for one more; what the switch refuses.
    pub fn name_neighbour(&self, address: IpAddr, mac: MacAddr) -> Result<()> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= MAX_NEIGHBOURS && !named.contains_key(&address) {
            return Err(Error::Usage(format!("{MAX_NEIGHBOURS} neighbours are known already")));
        }
        named.insert(address, mac);
        drop(named);
        self.tell_known()
    }

    /// No longer. False where nobody was named so.
    ///
    /// # Errors
    /// What the switch refuses.
    pub fn forget_neighbour(&self, address: IpAddr) -> Result<bool> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let was = named.remove(&address).is_some();
        drop(named);
        self.tell_known().map(|()| was)
    }

    /// Tells the switch of everybody who is known, and the gateway of other hosts' nodes: after a node has come or gone, or was named. Networks
    /// in which nothing has changed are not told.
    ///
    /// # Errors
    /// What the switch refuses.
    pub fn tell_known(&self) -> Result<()> {
        let mut all = self.neighbours();
        let named = self.named_neighbours();
        for (name, of) in self.networks() {
            let mut known = all.remove(&name).unwrap_or_default();
            known.extend(&named);
            let told = self.with_switch(|switch| match *switch.neighbours(of.id) == known {
                true => Ok(()),
                false => switch.set_neighbours(of.id, &Arc::new(known)),
            });
            told.unwrap_or(Ok(()))?;
        }
        self.tell_gateway(&self.state());
        Ok(())
    }
}
