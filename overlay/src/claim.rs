//! Names and addresses that one host alone may have: what a node's claim consists of, and how it stands
//! in the registry.
//!
//! A claim is made whole or not at all: its keys are put in one transaction, on the condition that none
//! of them is there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use wire::MacAddr;

use crate::key::Key;
use crate::record::Claim;

/// What a node is to have for its own in a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeClaim {
    /// Its name.
    pub node: String,
    /// Its addresses.
    pub ips: BTreeSet<IpAddr>,
    /// Its hardware addresses.
    pub macs: BTreeSet<MacAddr>,
    /// The tags that its frames have in the tunnel, 0 for none; None where VLANs are not told apart, or
    /// its ports are not known yet.
    pub tags: Option<BTreeSet<u16>>,
}

/// How a claim stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of it is ours, by the lease that counts.
    Held,
    /// Nobody else has any of it, and some of it is not there, or by an older lease of ours.
    Open,
    /// Somebody else has this of it.
    Taken(Key, Claim),
}

impl NodeClaim {
    /// Its keys, in the order in which a conflict is told.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let name = std::iter::once(Key::node(&self.node));
        let ips = self.ips.iter().copied().map(Key::Ip);
        name.chain(ips).chain(self.macs.iter().copied().map(Key::Mac)).collect()
    }

    /// The value of each of its keys.
    #[must_use]
    pub fn value(&self, host: &str) -> Claim {
        let macs = self.macs.iter().map(ToString::to_string).collect();
        let tags = self.tags.clone();
        Claim { host: host.into(), node: self.node.clone(), ips: self.ips.clone(), macs, tags }
    }
}

/// Why a node cannot have `key`, which `owner` has: a line's middle.
#[must_use]
pub fn conflict(key: &Key, owner: &Claim) -> String {
    let whose = format!("{} on host {}", owner.node, owner.host);
    match key {
        Key::Node(_) => format!("node {} is on host {}", owner.node, owner.host),
        Key::Ip(address) => format!("{address} is {whose}'s"),
        Key::Mac(address) => format!("hardware address {address} is {whose}'s"),
        other => format!("{other} is {whose}'s"),
    }
}
