//! What a network's tables hold from the start: addresses and group members that nobody has to learn.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wire::MacAddr;

use crate::invalid::Invalid;

/// How an address that was set behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FdbKind {
    /// It does not age, and moves.
    #[default]
    Static,
    /// It neither ages nor moves.
    Sticky,
    /// Frames to it are dropped.
    Blackhole,
    /// An address of the switch itself: frames to it are for nobody.
    Local,
    /// Set by a program that learns for the switch: it does not age, and moves.
    Extern,
}

/// An address of a network's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(rename = "TableEntry"))]
#[serde(deny_unknown_fields)]
pub struct FdbEntry {
    /// The address.
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "String"))]
    pub mac: MacAddr,
    /// The node whose port it is behind, a link between networks, or a tunnel (`vxlan7`); none for a
    /// blackhole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How it behaves.
    #[serde(default, skip_serializing_if = "FdbKind::is_static")]
    pub kind: FdbKind,
    /// The VLAN, where they are told apart; without one, that of the port's frames without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Behind a tunnel: the remote end that frames to it go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<IpAddr>,
}

/// A node that a group's frames go to, though it does not ask for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(rename = "GroupMember"))]
#[serde(deny_unknown_fields)]
pub struct MdbEntry {
    /// The group.
    pub group: Group,
    /// The node.
    pub node: String,
    /// The VLAN, where they are told apart; without one, that of the port's frames without a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
}

/// A multicast group: of IP, or of anything else by its hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Of IP.
    Ip(IpAddr),
    /// By its hardware address.
    Mac(MacAddr),
}

impl FdbKind {
    fn is_static(&self) -> bool {
        *self == Self::Static
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Mac(address) => address.fmt(f),
        }
    }
}

impl FromStr for Group {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let none = || {
            Invalid(format!(
                "{text:?} is no group: an address as 239.1.2.3, ff05::1 or 01:00:5e:01:02:03"
            ))
        };
        if let Ok(address) = text.parse::<IpAddr>() {
            let local = match address {
                IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
                IpAddr::V6(address) => address == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
            };
            if local {
                return Err(Invalid(format!(
                    "{address}: every host of a link gets that group's frames"
                )));
            }
            return if address.is_multicast() { Ok(Self::Ip(address)) } else { Err(none()) };
        }
        let mac: MacAddr = text.parse().map_err(|_| none())?;
        if !mac.is_group() || mac.is_broadcast() {
            return Err(none());
        }
        Ok(Self::Mac(mac))
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(any(test, feature = "schema"))]
impl schemars::JsonSchema for Group {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Group".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
