//! What stands in the registry, as JSON. Fields that a later version adds are passed over; what cannot
//! be read is as if it were not there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use wire::MacAddr;

/// What all hosts of a network agree on; the first host's word counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The number of the network outside.
    pub vni: u32,
    /// The UDP port of all ends.
    pub port: u16,
    /// Its subnets.
    pub subnets: BTreeSet<String>,
    /// The gateway's addresses, which each host has.
    pub gateways: BTreeSet<IpAddr>,
}

impl Config {
    /// What two do not agree on, in words: what this has, and what `ours` has.
    #[must_use]
    pub fn unlike(&self, ours: &Self) -> Option<String> {
        let list = |all: Vec<String>| if all.is_empty() { "none".into() } else { all.join(" ") };
        let gateways = |of: &Self| list(of.gateways.iter().map(ToString::to_string).collect());
        let subnets = |of: &Self| list(of.subnets.iter().cloned().collect());
        let words = [
            ("VNI", self.vni.to_string(), ours.vni.to_string()),
            ("UDP port", self.port.to_string(), ours.port.to_string()),
            ("subnet", subnets(self), subnets(ours)),
            ("gateway", gateways(self), gateways(ours)),
        ];
        let mut unlike = words.into_iter().filter(|(_, theirs, ours)| theirs != ours);
        unlike.next().map(|(what, theirs, ours)| format!("{what} {theirs}, here {ours}"))
    }
}

/// A host that is in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its end of the tunnel.
    pub vtep: Ipv4Addr,
    /// The lab on it that is in the network.
    pub lab: String,
}

/// What a host has claimed for one of its nodes: the value of each key of the claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The host's name.
    pub host: String,
    /// The node's.
    pub node: String,
    /// Its addresses in the network.
    #[serde(default)]
    pub ips: BTreeSet<IpAddr>,
    /// Its hardware addresses there.
    #[serde(default)]
    pub macs: Vec<String>,
}

impl Claim {
    /// Its hardware addresses; what is none is passed over.
    pub fn addresses(&self) -> impl Iterator<Item = MacAddr> {
        self.macs.iter().filter_map(|mac| mac.parse().ok())
    }
}
