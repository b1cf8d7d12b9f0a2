//! A container's place in a network, as its engine asks for it: values, kept on disk as they are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use topology::{Address, Protocol};
use wire::MacAddr;

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
