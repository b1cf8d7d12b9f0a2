//! What stands in the registry, as JSON. Fields that a later version adds are passed over; what cannot
//! be read is as if it were not there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wire::MacAddr;

use crate::end::is_station;
use crate::key::{Key, checked};

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
    /// Whether the hosts' ends are of IPv6.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ipv6: bool,
}

impl Config {
    /// What two do not agree on, in words: what this has, and what `ours` has.
    #[must_use]
    pub fn unlike(&self, ours: &Self) -> Option<String> {
        let list = |all: Vec<String>| if all.is_empty() { "none".into() } else { all.join(" ") };
        let gateways = |of: &Self| list(of.gateways.iter().map(ToString::to_string).collect());
        let subnets = |of: &Self| list(of.subnets.iter().cloned().collect());
        let family = |of: &Self| if of.ipv6 { "IPv6" } else { "IPv4" };
        let words = [
            ("VNI", self.vni.to_string(), ours.vni.to_string()),
            ("UDP port", self.port.to_string(), ours.port.to_string()),
            ("subnet", subnets(self), subnets(ours)),
            ("gateway", gateways(self), gateways(ours)),
            ("ends of", family(self).into(), family(ours).into()),
        ];
        let mut unlike = words.into_iter().filter(|(_, theirs, ours)| theirs != ours);
        unlike.next().map(|(what, theirs, ours)| format!("{what} {theirs}, here {ours}"))
    }
}

/// A host that is in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its end of the tunnel.
    pub vtep: IpAddr,
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
    /// The tags that its frames have in the tunnel, 0 for none; None where its host does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<u16>>,
}

impl Claim {
    /// Whether it is what stands at a key: its names are names, and the key is among what it has.
    #[must_use]
    pub fn is_of(&self, key: &Key) -> bool {
        let has = match key {
            Key::Node(name) => name.eq_ignore_ascii_case(&self.node),
            Key::Ip(address) => self.ips.contains(address),
            Key::Mac(address) => self.addresses().any(|own| own == *address),
            Key::Config | Key::Host(_) | Key::Vtep(_) => false,
        };
        // They become lines of hosts files; these two mean something there.
        let means = ["localhost", "gateway"].contains(&self.node.as_str());
        has && !means && checked(&self.node).is_ok() && checked(&self.host).is_ok()
    }

    /// Its hardware addresses; what is none, or no node's, is passed over.
    pub fn addresses(&self) -> impl Iterator<Item = MacAddr> {
        let all = self.macs.iter().filter_map(|mac| mac.parse().ok());
        all.filter(|mac| is_station(*mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_stands_at_what_it_has_and_by_names_alone() {
        let claim = |node: &str, host: &str| -> Claim {
            let said = serde_json::json!({
                "node": node, "host": host, "ips": ["10.0.0.1"], "macs": ["02:00:00:00:00:01"],
            });
            serde_json::from_value(said).unwrap()
        };
        let own = claim("n1", "h1");
        let node = Key::Node("n1".into());
        assert!(claim("N1", "h1").is_of(&node), "names are compared without case");
        let ip = |last| Key::Ip([10, 0, 0, last].into());
        assert!(own.is_of(&node) && own.is_of(&ip(1)));
        assert!(own.is_of(&Key::Mac(MacAddr([2, 0, 0, 0, 0, 1]))));
        for foreign in [Key::Node("n2".into()), ip(2), Key::Mac(MacAddr::ZERO), Key::Config] {
            assert!(!own.is_of(&foreign), "{foreign}");
        }
        for (node, host) in [("a\n6.6.6.6 b", "h1"), ("gateway", "h1"), ("n1", "h 1"), ("", "h1")] {
            assert!(!claim(node, host).is_of(&ip(1)), "{node:?} {host:?}");
        }
    }
}
