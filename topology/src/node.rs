//! A node to be: a namespace, the networks it is attached to, and what is done inside it.
//!
//! `networks` is written as a name, as a list of names, or as a map of names to addresses or to all
//! that can be said of an attachment.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use wire::MacAddr;

use crate::cidr::Address;
use crate::invalid::Invalid;
use crate::one_or_many;
use crate::route::Route;

/// What a node is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A host.
    #[default]
    Node,
    /// A router: its kernel forwards between its interfaces.
    Router,
}

impl Kind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// A host, or a router.
    #[serde(default, skip_serializing_if = "Kind::is_default")]
    pub kind: Kind,
    /// The networks it is attached to.
    #[serde(
        default,
        alias = "network",
        alias = "legs",
        alias = "switch",
        alias = "switches",
        with = "attachments",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "schema::Attachments", default))]
    pub networks: Vec<Attachment>,
    /// Its routes, beside the default route by the gateway of its first network that has one
    /// and is not internal.
    #[serde(
        default,
        alias = "route",
        deserialize_with = "one_or_many::texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "one_or_many::OneOrMany<Route>", default)
    )]
    pub routes: Vec<Route>,
    /// Lines for a shell inside it, one after another, once the lab is built; what is to go on
    /// running ends with `&`.
    #[serde(
        default,
        deserialize_with = "one_or_many::texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "one_or_many::OneOrMany<String>", default)
    )]
    pub exec: Vec<String>,
}

impl Node {
    /// One that is attached to these.
    #[must_use]
    pub fn on(networks: Vec<Attachment>) -> Self {
        Self { networks, ..Self::default() }
    }

    /// Its place in a network.
    #[must_use]
    pub fn attachment(&self, network: &str) -> Option<&Attachment> {
        self.networks.iter().find(|attachment| attachment.network == network)
    }
}

/// A node's place in a network: an interface of its own, at a port of the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network.
    pub network: String,
    /// Its addresses there; None for the next free of each family the network has subnets of.
    pub addresses: Option<Vec<Address>>,
    /// Its hardware address; None for one that follows from its first address.
    pub mac: Option<MacAddr>,
    /// The interface's name in the node; None for the next free `ethN`.
    pub interface: Option<String>,
}

impl Attachment {
    /// To a network, with all that follows of itself.
    #[must_use]
    pub fn to(network: &str) -> Self {
        Self { network: network.into(), ..Self::default() }
    }

    /// Whether an address of IPv6 was chosen for it.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.addresses.iter().flatten().any(|own| own.ip.is_ipv6())
    }

    fn long(&self) -> Long {
        let Self { addresses, mac, interface, .. } = self;
        Long { addresses: addresses.clone(), mac: *mac, interface: interface.clone() }
    }
}

impl FromStr for Attachment {
    type Err = Invalid;

    /// Reads `NAME[,ADDRESS]…`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.split(',').map(str::trim);
        let network = parts.next().unwrap_or_default();
        if network.is_empty() {
            return Err(Invalid(format!("{text:?} names no network: NETWORK or NETWORK,ADDRESS")));
        }
        let addresses: Vec<Address> = parts.map(str::parse).collect::<Result<_, _>>()?;
        let addresses = (!addresses.is_empty()).then_some(addresses);
        Ok(Self { addresses, ..Self::to(network) })
    }
}

/// What stands behind a network's name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(rename = "Attachment"))]
#[serde(deny_unknown_fields)]
struct Long {
    /// Its addresses there; an empty list for none.
    #[serde(
        default,
        alias = "address",
        deserialize_with = "some_texts",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "Option<one_or_many::OneOrMany<Address>>", default)
    )]
    addresses: Option<Vec<Address>>,
    /// Its hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>"))]
    mac: Option<MacAddr>,
    /// The interface's name in the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
}

fn some_texts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Address>>, D::Error> {
    one_or_many::texts(from).map(Some)
}

/// What may stand behind a network's name: nothing, an address, several, or a map.
struct Value(Long);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, a list of them, or a map")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
                Ok(Value(Long::default()))
            }

            fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
                self.visit_unit()
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                let addresses = Some(vec![text.parse().map_err(E::custom)?]);
                Ok(Value(Long { addresses, ..Long::default() }))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element()? {
                    addresses.push(address);
                }
                Ok(Value(Long { addresses: Some(addresses), ..Long::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                Long::deserialize(MapAccessDeserializer::new(map)).map(Value)
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// For `serde(with)`.
mod attachments {
    use super::{
        Attachment, Deserializer, FromStr, Long, MapAccess, SeqAccess, SerializeMap, Serializer,
        Value, Visitor, fmt,
    };

    pub(super) fn serialize<S: Serializer>(list: &[Attachment], to: S) -> Result<S::Ok, S::Error> {
        let plain = |one: &Attachment| *one == Attachment::to(&one.network);
        if list.iter().all(plain) {
            return to.collect_seq(list.iter().map(|one| &one.network));
        }
        let mut map = to.serialize_map(Some(list.len()))?;
        for one in list {
            map.serialize_entry(&one.network, &one.long())?;
        }
        map.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Attachment>, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Vec<Attachment>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network, a list of them, or a map of networks to addresses")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Attachment::from_str(text).map(|one| vec![one]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    all.push(Attachment::from_str(&text).map_err(serde::de::Error::custom)?);
                }
                Ok(all)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some((network, Value(long))) = map.next_entry::<String, Value>()? {
                    let Long { addresses, mac, interface } = long;
                    all.push(Attachment { network, addresses, mac, interface });
                }
                Ok(all)
            }
        }

        from.deserialize_any(Forms)
    }
}

#[cfg(any(test, feature = "schema"))]
mod schema {
    use indexmap::IndexMap;
    use schemars::JsonSchema;

    use crate::cidr::Address;

    /// The networks a node is attached to.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    pub(super) enum Attachments {
        /// One: `lan`, or `lan,10.1.0.5`.
        One(String),
        /// Several.
        List(Vec<String>),
        /// By name, each with addresses or more.
        Map(IndexMap<String, Option<Value>>),
    }

    /// What stands behind a network's name.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    #[schemars(rename = "AttachmentForms")]
    pub(super) enum Value {
        /// The node's address there.
        Address(Address),
        /// Its addresses.
        Addresses(Vec<Address>),
        /// More.
        Long(super::Long),
    }
}
