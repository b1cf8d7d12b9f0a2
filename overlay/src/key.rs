//! Where things stand in the registry: `/uswitch/NET/…`, a key for each thing that one host alone may
//! have.

use std::fmt;
use std::net::IpAddr;

use wire::MacAddr;

use crate::end::is_station;

/// Longest name of a network or a host.
pub const MAX_NAME: usize = 63;

/// A key in a network's space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// What all hosts agree on.
    Config,
    /// A host, by its name.
    Host(String),
    /// The address of a host's end of the tunnel.
    Vtep(IpAddr),
    /// The name of a node, in lower case: names are compared without.
    Node(String),
    /// An address of a node.
    Ip(IpAddr),
    /// A hardware address of a node.
    Mac(MacAddr),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("config"),
            Self::Host(name) => write!(f, "hosts/{name}"),
            Self::Vtep(address) => write!(f, "vteps/{address}"),
            Self::Node(name) => write!(f, "nodes/{name}"),
            Self::Ip(address) => write!(f, "ip/{address}"),
            Self::Mac(address) => write!(f, "mac/{address}"),
        }
    }
}

impl Key {
    /// That of a node's name.
    #[must_use]
    pub fn node(name: &str) -> Self {
        Self::Node(name.to_ascii_lowercase())
    }

    fn parse(text: &str) -> Option<Self> {
        let Some((kind, name)) = text.split_once('/') else {
            return (text == "config").then_some(Self::Config);
        };
        Some(match kind {
            "hosts" => Self::Host(checked(name).ok()?),
            "vteps" => Self::Vtep(name.parse().ok()?),
            "nodes" => Self::node(&checked(name).ok()?),
            "ip" => Self::Ip(name.parse().ok()?),
            "mac" => Self::Mac(name.parse().ok().filter(|mac| is_station(*mac))?),
            _ => return None,
        })
    }
}

/// A name that may stand in a key.
///
/// # Errors
/// One line for what is none.
pub fn checked(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // Dots alone are places in a tree of files, where names become lines and folders.
    let dots = name.bytes().all(|byte| byte == b'.');
    if dots || name.len() > MAX_NAME || !name.bytes().all(allowed) {
        return Err(format!(
            "{name:?} is no name: up to {MAX_NAME} letters, digits, dots, - and _, and not dots alone"
        ));
    }
    Ok(name.to_owned())
}

/// Keys in their order: from this one, up to that one and without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: String,
    /// The first behind the last.
    pub to: String,
}

impl Range {
    /// Whether a key is among them.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        (&*self.from..&*self.to).contains(&key)
    }
}

/// The first key behind all that begin so; what they begin with ends in a slash.
fn behind(prefix: &str) -> String {
    prefix.strip_suffix('/').map_or_else(|| prefix.to_owned(), |kind| format!("{kind}0"))
}

/// The keys of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    network: String,
    prefix: String,
}

impl Space {
    /// The space of the network of this name.
    ///
    /// # Errors
    /// One line for what is no name.
    pub fn of(network: &str) -> Result<Self, String> {
        let network = checked(network)?;
        let prefix = format!("/uswitch/{network}/");
        Ok(Self { network, prefix })
    }

    /// The network's name.
    #[must_use]
    pub fn network(&self) -> &str {
        &self.network
    }

    /// All its keys.
    #[must_use]
    pub fn all(&self) -> Range {
        Range { from: self.prefix.clone(), to: behind(&self.prefix) }
    }

    /// Its keys but those of addresses: what all agree on, hosts and nodes.
    #[must_use]
    pub fn nodes(&self) -> [Range; 2] {
        let (all, addresses) = (self.all(), self.addresses());
        [Range { from: all.from, to: addresses.from }, Range { from: addresses.to, to: all.to }]
    }

    /// Its keys of addresses, `ip/…` and `mac/…`, and what others have put between those.
    #[must_use]
    pub fn addresses(&self) -> Range {
        let of = |kind: &str| format!("{}{kind}", self.prefix);
        Range { from: of("ip/"), to: behind(&of("mac/")) }
    }

    /// Its keys of hosts.
    #[must_use]
    pub fn hosts(&self) -> Range {
        let from = format!("{}hosts/", self.prefix);
        Range { to: behind(&from), from }
    }

    /// A key as the registry has it.
    #[must_use]
    pub fn write(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// A key of the registry; None for what is none of ours.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Key> {
        Key::parse(text.strip_prefix(&self.prefix)?)
    }

    /// Whose a VNI is: one network alone has it.
    #[must_use]
    pub fn of_vni(vni: u32) -> String {
        format!("/uswitch-vni/{vni}")
    }

    /// The VNI of a network that nobody has given one: by its name (FNV-1a), from 1 on.
    #[must_use]
    pub fn usual_vni(&self) -> u32 {
        let hash = self
            .network
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        1 + hash % ((1 << 24) - 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let space = Space::of("prod").unwrap();
        for (key, text) in [
            (Key::Config, "/uswitch/prod/config"),
            (Key::Host("h1".into()), "/uswitch/prod/hosts/h1"),
            (Key::Vtep(IpAddr::from([10, 9, 0, 1])), "/uswitch/prod/vteps/10.9.0.1"),
            (Key::Vtep("fd09::1".parse().unwrap()), "/uswitch/prod/vteps/fd09::1"),
            (Key::Node("net1".into()), "/uswitch/prod/nodes/net1"),
            (Key::Ip("fd10::1".parse().unwrap()), "/uswitch/prod/ip/fd10::1"),
            (Key::Mac(MacAddr([2, 0, 0, 0, 0, 1])), "/uswitch/prod/mac/02:00:00:00:00:01"),
        ] {
            assert_eq!(space.write(&key), text);
            assert_eq!(space.read(text), Some(key));
        }
    }

    #[test]
    fn names_of_nodes_that_differ_by_case_are_one_key() {
        let space = Space::of("prod").unwrap();
        assert_eq!(space.write(&Key::node("Net1")), "/uswitch/prod/nodes/net1");
        // As an earlier version has put it.
        assert_eq!(space.read("/uswitch/prod/nodes/Net1"), Some(Key::node("net1")));
    }

    #[test]
    fn every_key_is_in_the_range_of_nodes_or_in_that_of_addresses() {
        let space = Space::of("prod").unwrap();
        for (kind, addresses) in [
            ("config", false),
            ("hosts/h1", false),
            ("ip/10.0.0.1", true),
            ("mac/02:00:00:00:00:01", true),
            ("nodes/net1", false),
            ("vteps/10.9.0.1", false),
            ("zz/of another version", false),
        ] {
            let key = format!("/uswitch/prod/{kind}");
            let places = space.nodes().iter().filter(|range| range.has(&key)).count();
            assert_eq!((places, space.addresses().has(&key)), (usize::from(!addresses), addresses));
            assert!(space.all().has(&key), "{key}");
            assert_eq!(space.hosts().has(&key), kind == "hosts/h1", "{key}");
        }
        for foreign in ["/uswitch/pro/config", "/uswitch/prod0", "/uswitch/prod-2/config"] {
            assert!(!space.all().has(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        let space = Space::of("prod").unwrap();
        for text in [
            "",
            "/uswitch/prod/",
            "/uswitch/other/config",
            "/uswitch/prod/ip/x/y",
            "/uswitch/prod/hosts/",
            "/uswitch/prod/hosts/a b",
            "/uswitch/prod/new/x",
        ] {
            assert_eq!(space.read(text), None, "{text}");
        }
        for name in ["", "a/b", "ü", "..", ".", &"x".repeat(64)] {
            assert!(Space::of(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_usual_vni_has_24_bits() {
        for number in 0..2000 {
            let vni = Space::of(&format!("n{number}")).unwrap().usual_vni();
            assert!((1..1 << 24).contains(&vni), "{vni}");
        }
    }
}
