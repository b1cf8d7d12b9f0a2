//! A container's place in a network, as its engine asks for it: values, kept on disk as they are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use topology::{Address, Protocol, Subnet};
use wire::MacAddr;

use crate::Refusal;

/// A place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The engine's number for the network.
    pub network: String,
    /// The engine's number for the place.
    pub endpoint: String,
    /// The hardware address that was asked for.
    #[serde(with = "written", default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The container's addresses, with the lengths of their prefixes.
    pub addresses: Vec<Address>,
    /// Ports to publish.
    #[serde(default)]
    pub ports: Vec<PortAsk>,
    /// What the container is called, where its engine leaves names to us.
    #[serde(default)]
    pub names: Vec<String>,
    /// Who is asked for it what we do not know; empty for the host's resolvers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<IpAddr>,
}

/// Reads a hardware address that is asked for a container.
///
/// # Errors
/// [`Refusal`] for what is none, and for one that no host can have: a group's, or none at all.
pub(crate) fn hardware(text: &str) -> Result<MacAddr, Refusal> {
    let mac: Option<MacAddr> = text.parse().ok();
    let mac = mac.filter(|mac| mac.0[0] & 1 == 0 && *mac != MacAddr::ZERO);
    mac.ok_or_else(|| Refusal(format!("{text:?} is no host's hardware address")))
}

/// A route in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads.
    pub to: Subnet,
    /// By which router; None where that is on the link.
    pub via: Option<IpAddr>,
    /// The lowest wins.
    pub metric: Option<u32>,
    /// The table.
    pub table: Option<u32>,
    /// The scope (`RT_SCOPE_`…, linux/rtnetlink.h).
    pub scope: Option<u8>,
    /// The largest packet that goes there, in bytes.
    pub mtu: Option<u32>,
    /// The largest segment of TCP that is asked for, in bytes.
    pub advmss: Option<u32>,
}

impl Route {
    /// One with nothing else to say.
    #[must_use]
    pub const fn new(to: Subnet, via: Option<IpAddr>) -> Self {
        Self { to, via, metric: None, table: None, scope: None, mtu: None, advmss: None }
    }
}

/// A port of the host that is to lead to one of the container's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortAsk {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The container's port.
    pub port: u16,
    /// The host's address; None for all of them.
    pub host: Option<IpAddr>,
    /// The first port of the host that will do; None for any that is free.
    pub first: Option<u16>,
    /// The last one.
    pub last: Option<u16>,
}

impl PortAsk {
    /// Whether it would take this port of the host's away, which somebody has at an address, or at all
    /// of them.
    #[must_use]
    pub fn would_take(&self, protocol: Protocol, (host, port): (Option<IpAddr>, u16)) -> bool {
        let Some(first) = self.first else { return false };
        self.protocol == protocol
            && (first..=self.last.unwrap_or(first)).contains(&port)
            && overlap(self.host, host)
    }
}

/// Whether two sockets cannot have one port, at these addresses of the host's: all of a family, or all there
/// are, have each of them in it.
fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return true };
    let all = one.is_unspecified() || other.is_unspecified();
    one == other || all && one.is_ipv4() == other.is_ipv4()
}

/// Hardware addresses as people write them.
mod written {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use wire::MacAddr;

    pub(super) fn serialize<S: Serializer>(
        mac: &Option<MacAddr>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match mac {
            Some(mac) => to.collect_str(mac),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<MacAddr>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let mac = |text: String| {
            text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no hardware address")))
        };
        text.map(mac).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_where_its_addresses_are() {
        let takes = |own: Option<[u8; 4]>, other: Option<&str>, port| {
            let host = own.map(IpAddr::from);
            let (first, last) = (Some(80), Some(82));
            let ask = PortAsk { protocol: Protocol::Tcp, port: 80, host, first, last };
            ask.would_take(Protocol::Tcp, (other.and_then(|text| text.parse().ok()), port))
        };
        let own = Some([10, 0, 0, 1]);
        assert!(takes(own, Some("10.0.0.1"), 80) && takes(own, Some("10.0.0.1"), 82));
        assert!(!takes(own, Some("10.0.0.2"), 80) && !takes(own, Some("10.0.0.1"), 83));
        assert!(takes(own, None, 80) && takes(None, Some("10.0.0.2"), 80) && takes(None, None, 80));
        assert!(takes(own, Some("0.0.0.0"), 80) && takes(Some([0; 4]), Some("10.0.0.2"), 80));
        assert!(!takes(own, Some("::"), 80) && !takes(Some([0; 4]), Some("::1"), 80));
    }
}
