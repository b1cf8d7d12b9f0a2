//! Ports of the uplink that lead to nodes; written `[ADDR:]PORT:NODE:PORT[/udp]`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::invalid::Invalid;

/// How it is written.
const SHAPE: &str = "[ADDR:]PORT:NODE:PORT[/udp], as in 8080:net1:80";

/// What a NAT session or a published port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP queries; the port is the identifier.
    Icmp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The uplink's address to bind it to; None for whichever the uplink has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The port outside.
    pub port: u16,
    /// The node it leads to.
    pub node: String,
    /// The port there.
    pub node_port: u16,
}

impl FromStr for Publish {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (rest, protocol) = Protocol::of_port(text)?;
        let parts: Vec<&str> = rest.split(':').collect();
        let (address, [outside, node, inside]) = match parts.as_slice() {
            [a, b, c] => (None, [a, b, c]),
            [address, a, b, c] => (Some(address), [a, b, c]),
            _ => return Err(Invalid(format!("{text:?}: a published port is {SHAPE}"))),
        };
        let address = address
            .map(|text| text.parse().map_err(|_| Invalid(format!("{text:?} is no IPv4 address"))));
        if node.is_empty() {
            return Err(Invalid(format!("the node is missing: {SHAPE}")));
        }
        Ok(Self {
            protocol,
            address: address.transpose()?,
            port: port(outside)?,
            node: (*node).to_owned(),
            node_port: port(inside)?,
        })
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}:")?;
        }
        write!(f, "{}:{}:{}", self.port, self.node, self.node_port)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            other => write!(f, "/{other}"),
        }
    }
}

impl Protocol {
    /// What stands behind a port's `/`, and the rest; TCP where nothing does.
    ///
    /// # Errors
    /// One line for what has no ports.
    pub fn of_port(text: &str) -> Result<(&str, Self), Invalid> {
        match text.split_once('/') {
            None => Ok((text, Self::Tcp)),
            Some((rest, "tcp")) => Ok((rest, Self::Tcp)),
            Some((rest, "udp")) => Ok((rest, Self::Udp)),
            Some((_, other)) => Err(Invalid(format!("/{other}: only tcp and udp have ports"))),
        }
    }
}

/// Reads a port: 1 to 65535.
fn port(text: &str) -> Result<u16, Invalid> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| Invalid(format!("{text:?} is no port: 1 to 65535")))
}

/// A list of published ports as files have it: a text each, or a map. For `serde(with)`.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Forms, Publish, Serializer};

    /// Writes each as a text.
    pub(crate) fn serialize<S: Serializer>(list: &[Publish], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(ToString::to_string))
    }

    /// Reads each form.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Publish>, D::Error> {
        Ok(Vec::<Forms>::deserialize(from)?.into_iter().map(|one| one.0).collect())
    }
}

/// One of either form.
pub(crate) struct Forms(Publish);

impl<'de> Deserialize<'de> for Forms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Forms;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a published port: {SHAPE}, or a map")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Forms, E> {
                text.parse().map(Forms).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Forms, A::Error> {
                Publish::deserialize(MapAccessDeserializer::new(map)).map(Forms)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(any(test, feature = "schema"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Either {
        /// `[ADDR:]PORT:NODE:PORT[/udp]`.
        Text(String),
        /// Spelled out.
        Long(super::Publish),
    }

    impl JsonSchema for super::Forms {
        fn schema_name() -> Cow<'static, str> {
            "PublishForms".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Either::json_schema(generator)
        }
    }
}
