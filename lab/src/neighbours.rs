//! Who is known in each network, for the switch to answer for at ports that suppress questions: the lab's
//! nodes, with the link-local addresses that theirs make, the gateway, nodes of other hosts, and whoever
//! was named by hand.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, PoisonError};

use ::topology::MAX_NEIGHBOURS;
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
            known.insert(link_local(interface.mac).into(), interface.mac);
            known.extend(interface.addresses.iter().map(|address| (address.ip, interface.mac)));
        }
        self.with_spec(|spec| {
            for name in spec.networks.keys() {
                let gateway = station::gateway_in(spec, name).zip(station::mac_in(spec, name));
                let known = all.entry(name.clone()).or_default();
                known.extend(gateway.map(|((address, _), mac)| (IpAddr::V4(address), mac)));
            }
        });
        for (network, remotes) in self.remotes() {
            let known = all.entry(network).or_default();
            for remote in remotes.into_values() {
                // Which of several addresses is at which hardware address is not told.
                let [mac] = remote.macs[..] else { continue };
                // Whoever is here is here, also where another host says so too.
                known.entry(link_local(mac).into()).or_insert(mac);
                for ip in remote.ips {
                    known.entry(ip).or_insert(mac);
                }
            }
        }
        all
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

    /// Tells the switch of everybody who is known: after a node has come or gone, or was named. Networks
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
        Ok(())
    }
}

/// RFC 4291, appendix A.
fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}
