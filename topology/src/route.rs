//! A route of a node; written as `ip route` takes it: `10.2.0.0/24 via 10.1.0.254`,
//! `default via r1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cidr::Subnet;
use crate::invalid::Invalid;

/// Where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Everywhere else, of the next hop's family.
    Default,
    /// Into a subnet.
    Subnet(Subnet),
}

/// By whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// An address.
    Address(IpAddr),
    /// A node, by the address it has in a network or on a link shared with it.
    Node(String),
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct Route {
    /// Where it leads.
    pub to: Destination,
    /// By whom.
    pub via: Via,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Destination::Default => f.write_str("default")?,
            Destination::Subnet(subnet) => subnet.fmt(f)?,
        }
        match &self.via {
            Via::Address(address) => write!(f, " via {address}"),
            Via::Node(node) => write!(f, " via {node}"),
        }
    }
}

impl FromStr for Route {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let words: Vec<_> = text.split_whitespace().collect();
        let [to, "via", via] = words.as_slice() else {
            return Err(Invalid(format!(
                "{text:?} is no route: SUBNET via ADDRESS, as in 10.2.0.0/24 via 10.1.0.254"
            )));
        };
        let to = match *to {
            "default" => Destination::Default,
            subnet => Destination::Subnet(subnet.parse()?),
        };
        let via = match via.parse() {
            Ok(address) => Via::Address(address),
            Err(_) => Via::Node((*via).to_owned()),
        };
        Ok(Self { to, via })
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Route;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a route as one text: 10.2.0.0/24 via 10.1.0.254, default via r1")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Route, E> {
                text.parse().map_err(E::custom)
            }
        }

        // Not as a string: then a reader says itself what it misses, and not what a route is.
        deserializer.deserialize_any(Text)
    }
}
