//! Links between networks: what leaves one of them by its end comes in at the other's, as over a cable
//! between two switches. Each end is a port of its network, with settings like any other.

use std::collections::HashMap;

use crate::link::Link;
use crate::spec::Spec;

/// What links between networks are called, with their number behind it.
pub(crate) const LINK: &str = "link";

/// A link between two networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint<'a> {
    /// What it is called: `link1` is the first of them. Its ports are `link1:NETWORK`.
    pub name: String,
    /// Its place in [`Spec::links`].
    pub place: usize,
    /// The networks at its ends.
    pub networks: [&'a str; 2],
    /// Its largest packet, in bytes: the smaller of the networks', where nobody says another.
    pub mtu: u32,
}

impl Spec {
    /// Whether a link joins two networks.
    pub(crate) fn joins(&self, link: &Link) -> bool {
        link.endpoints.iter().all(|end| self.networks.contains_key(&end.node))
    }

    /// The links between networks, in their order.
    pub fn joints(&self) -> impl Iterator<Item = Joint<'_>> {
        let between = self.links.iter().enumerate().filter(|(_, link)| self.joins(link));
        between.zip(1..).map(|((place, link), number): (_, u32)| {
            let networks = link.endpoints.each_ref().map(|end| end.node.as_str());
            let [a, b] = networks.map(|network| self.mtu_of(network));
            let mtu = link.mtu.unwrap_or(a.min(b));
            Joint { name: format!("{LINK}{number}"), place, networks, mtu }
        })
    }

    /// A link between networks, by its name.
    #[must_use]
    pub fn joint(&self, name: &str) -> Option<Joint<'_>> {
        // The names of all of them are made up for one that may be meant alone.
        let is_number = |rest: &str| rest.parse::<u32>().is_ok();
        let may_be = name.strip_prefix(LINK).is_some_and(is_number);
        self.joints().find(|joint| may_be && joint.name == name)
    }

    /// Whether a frame of one network comes to another over links, through further networks perhaps.
    #[must_use]
    pub fn linked(&self, one: &str, other: &str) -> bool {
        let mut parts = Parts::default();
        self.joints().for_each(|joint| _ = parts.join(joint.networks));
        parts.of(one) == parts.of(other)
    }
}

/// Which networks hang together.
#[derive(Default)]
pub(crate) struct Parts<'a>(HashMap<&'a str, &'a str>);

impl<'a> Parts<'a> {
    /// Joins two of them; false where they hung together already.
    pub(crate) fn join(&mut self, ends: [&'a str; 2]) -> bool {
        let [a, b]: [&'a str; 2] = ends.map(|end| self.of(end));
        if a != b {
            self.0.insert(a, b);
        }
        a != b
    }

    /// The one that stands for all that hang together with a network.
    fn of<'n>(&self, network: &'n str) -> &'n str
    where
        'a: 'n,
    {
        let mut at = network;
        while let Some(next) = self.0.get(at) {
            at = *next;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn links_of_networks_have_numbers_of_their_own() {
        let spec: Spec = serde_json::from_str(
            r#"{"networks": {"a": {}, "b": {"mtu": 1400}, "c": {}, "d": {}},
                "nodes": {"h": {}, "i": {}},
                "links": [["a", "b"], ["h", "i"], {"endpoints": ["b", "c"], "mtu": 1300}]}"#,
        )
        .unwrap();
        let joints: Vec<_> = spec.joints().collect();
        let told = |at: usize| (joints[at].name.as_str(), joints[at].place, joints[at].mtu);
        assert_eq!((told(0), told(1)), (("link1", 0, 1400), ("link2", 2, 1300)));
        assert_eq!(joints[1].networks, ["b", "c"]);
        assert!(spec.joint("link2").is_some() && spec.joint("link3").is_none());
        assert!(spec.linked("a", "c") && spec.linked("c", "a") && !spec.linked("a", "d"));
    }
}
