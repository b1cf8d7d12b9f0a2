//! A node's interfaces as its kernel has them: whoever is in the node may have changed what the lab gave it.

use std::net::IpAddr;
use std::os::fd::AsFd;

use ::topology::Address;
use wire::MacAddr;

use crate::error::Result;
use crate::lab::Lab;

/// An interface of a node at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Its name.
    pub name: String,
    /// Its hardware address, where it has an Ethernet one.
    pub mac: Option<MacAddr>,
    /// Its addresses, each with its prefix length.
    pub addresses: Vec<Address>,
}

impl Present {
    /// Whether it has this address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.ip == address)
    }
}

impl Lab {
    /// All interfaces of a node, loopback too; none of a node that is not there.
    ///
    /// # Errors
    /// When its namespace cannot be entered or the kernel refuses.
    pub fn present(&self, node: &str) -> Result<Vec<Present>> {
        let Some(netns) = self.namespace(node) else { return Ok(Vec::new()) };
        let all = ns::own::with_prefixes(netns.as_fd())?;
        let interface = |link: ns::Link| {
            let own = all.iter().filter(|(index, ..)| *index == link.index);
            let addresses = own.map(|(_, ip, prefix)| Address { ip: *ip, prefix: Some(*prefix) });
            let addresses = addresses.collect();
            Present {
                mac: link.mac.filter(|_| link.ethernet).map(MacAddr),
                name: link.name,
                addresses,
            }
        };
        Ok(ns::link::list(netns.as_fd())?.into_iter().map(interface).collect())
    }
}
