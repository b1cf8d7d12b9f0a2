//! A wire: a veth pair from node to node, beside the switch; or a link from network to network
//! ([`crate::Joint`]).
//!
//! Written `[a, b]`, `["a:eth1", "b:eth1"]`, or as a map with `endpoints`.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use wire::MacAddr;

use crate::cidr::Address;
use crate::invalid::Invalid;
use crate::one_or_many;

/// A wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its ends.
    pub endpoints: [End; 2],
    /// Its largest packet, in bytes; without one, the lab's, or the smaller one of two networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// An end of a wire: an interface of a node, or a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The node, or the network.
    pub node: String,
    /// The interface's name in it; None for the next free `ethN`.
    pub interface: Option<String>,
    /// Its addresses, with their prefix lengths.
    pub addresses: Vec<Address>,
    /// Its hardware address; None for one that follows from its first address.
    pub mac: Option<MacAddr>,
}

impl FromStr for End {
    type Err = Invalid;

    /// Reads `NODE[:INTERFACE]`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (node, interface) = match text.split_once(':') {
            Some((node, interface)) => (node, Some(interface.to_owned())),
            None => (text, None),
        };
        if node.is_empty() || interface.as_ref().is_some_and(String::is_empty) {
            return Err(Invalid(format!("{text:?} is no end of a link: NODE or NODE:INTERFACE")));
        }
        Ok(Self { node: node.to_owned(), interface, ..Self::default() })
    }
}

/// An end, spelled out.
#[derive(Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct LongEnd {
    /// The node, or the network.
    node: String,
    /// The interface's name in the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    /// Its addresses, with their prefix lengths.
    #[serde(
        default,
        alias = "address",
        deserialize_with = "one_or_many::texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "one_or_many::OneOrMany<Address>", default)
    )]
    addresses: Vec<Address>,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>"))]
    mac: Option<MacAddr>,
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { node, interface, addresses, mac } = self.clone();
        if addresses.is_empty() && mac.is_none() {
            return match interface {
                None => serializer.serialize_str(&node),
                Some(interface) => serializer.collect_str(&format_args!("{node}:{interface}")),
            };
        }
        LongEnd { node, interface, addresses, mac }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = End;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an end of a link: NODE, NODE:INTERFACE, or a map")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<End, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<End, A::Error> {
                let LongEnd { node, interface, addresses, mac } =
                    LongEnd::deserialize(MapAccessDeserializer::new(map))?;
                Ok(End { node, interface, addresses, mac })
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// A link, spelled out.
#[derive(Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct LongLink {
    /// Its two ends.
    endpoints: [End; 2],
    /// Its largest packet, in bytes.
    #[serde(default)]
    mtu: Option<u32>,
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Link;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a link: its two ends, or a map with endpoints")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Link, A::Error> {
                let mut ends = Vec::new();
                while let Some(end) = list.next_element::<End>()? {
                    ends.push(end);
                }
                let count = ends.len();
                let endpoints = ends.try_into().map_err(|_| {
                    serde::de::Error::custom(format!("a link has two ends, and here are {count}"))
                })?;
                Ok(Link { endpoints, mtu: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Link, A::Error> {
                let LongLink { endpoints, mtu } =
                    LongLink::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Link { endpoints, mtu })
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

#[cfg(any(test, feature = "schema"))]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum EndForms {
        /// `NODE`, `NODE:INTERFACE`.
        Text(String),
        /// Spelled out.
        Long(super::LongEnd),
    }

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum LinkForms {
        /// Its two ends.
        Ends([super::End; 2]),
        /// Spelled out.
        Long(super::LongLink),
    }

    impl JsonSchema for super::End {
        fn schema_name() -> Cow<'static, str> {
            "End".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            EndForms::json_schema(generator)
        }
    }

    impl JsonSchema for super::Link {
        fn schema_name() -> Cow<'static, str> {
            "Link".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            LinkForms::json_schema(generator)
        }
    }
}
