//! A network to be: one broadcast domain, with its subnets, the gateway's place in it, and what its
//! bridge is set to, in the names of `ip -d -j link show type bridge`; times in seconds.
//!
//! What is not said is None, and has the kernel bridge's default.

use std::fmt;
use std::net::IpAddr;

use indexmap::IndexMap;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::cidr::{Address, Subnet};
use crate::entries::{FdbEntry, MdbEntry};
use crate::one_or_many::{self, is_false};
use crate::seconds::Seconds;
use crate::switched;
use crate::vlan_protocol::VlanProtocol;

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its subnets, of IPv4 and IPv6; without one its nodes have no addresses of their own accord.
    #[serde(
        default,
        alias = "subnet",
        alias = "cidr",
        deserialize_with = "one_or_many::texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "one_or_many::OneOrMany<Subnet>", default)
    )]
    pub subnets: Vec<Subnet>,
    /// The gateway's addresses in it, `false` for none; without it the first of each subnet.
    #[serde(default, skip_serializing_if = "Gateway::is_first")]
    pub gateway: Gateway,
    /// Its nodes have no way out by the uplink.
    #[serde(default, deserialize_with = "switched::surely", skip_serializing_if = "is_false")]
    pub internal: bool,
    /// The gateway sends nothing from one of its nodes to another. A container engine's network alone has it,
    /// beside isolated ports; no file says it.
    #[serde(skip)]
    pub isolated: bool,
    /// Networks that the gateway forwards to from here, and from there to here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routed: Vec<String>,
    /// Its largest packet, in bytes; without one, the lab's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// After how many seconds an address not seen is forgotten (300).
    #[serde(default, alias = "ageing-time", skip_serializing_if = "Option::is_none")]
    pub ageing_time: Option<u64>,
    /// Link-local groups let through: bit n stands for 01:80:c2:00:00:0n (0).
    #[serde(default, alias = "group-fwd-mask", skip_serializing_if = "Option::is_none")]
    pub group_fwd_mask: Option<u16>,
    /// Most addresses learned in it (0: as many as the table holds).
    #[serde(default, alias = "fdb-max-learned", skip_serializing_if = "Option::is_none")]
    pub fdb_max_learned: Option<u32>,
    /// Whether frames that claim to come from the gateway's address are refused (true).
    #[serde(
        default,
        alias = "gateway-guard",
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub gateway_guard: Option<bool>,
    /// Whether VLANs are told apart (false).
    #[serde(
        default,
        alias = "vlan-filtering",
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub vlan_filtering: Option<bool>,
    /// By which tags (802.1Q).
    #[serde(default, alias = "vlan-protocol", skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<VlanProtocol>,
    /// The VLAN of ports that say no other, and of the gateway; 0 for none (1).
    #[serde(default, alias = "vlan-default-pvid", skip_serializing_if = "Option::is_none")]
    pub vlan_default_pvid: Option<u16>,
    /// Whether multicast goes to the ports that have asked for it (false).
    #[serde(
        default,
        alias = "mcast-snooping",
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_snooping: Option<bool>,
    /// Whether the switch asks who wants multicast (false).
    #[serde(
        default,
        alias = "mcast-querier",
        deserialize_with = "switched::perhaps",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_querier: Option<bool>,
    /// Whether the gateway is a multicast router: 0 never, 1 where it is found to be, 2 always (1).
    #[serde(default, alias = "mcast-router", skip_serializing_if = "Option::is_none")]
    pub mcast_router: Option<u8>,
    /// The version of IGMP that is spoken: 2 or 3 (2).
    #[serde(default, alias = "mcast-igmp-version", skip_serializing_if = "Option::is_none")]
    pub mcast_igmp_version: Option<u8>,
    /// The version of MLD that is spoken: 1 or 2 (1).
    #[serde(default, alias = "mcast-mld-version", skip_serializing_if = "Option::is_none")]
    pub mcast_mld_version: Option<u8>,
    /// Seconds between the last queries after a leave (1).
    #[serde(
        default,
        alias = "mcast-last-member-interval",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_last_member_interval: Option<Seconds>,
    /// Seconds until a group that nobody reports is forgotten (260).
    #[serde(default, alias = "mcast-membership-interval", skip_serializing_if = "Option::is_none")]
    pub mcast_membership_interval: Option<Seconds>,
    /// How often the last member of a group is asked for (2).
    #[serde(default, alias = "mcast-last-member-count", skip_serializing_if = "Option::is_none")]
    pub mcast_last_member_count: Option<u8>,
    /// General queries at the start that are closer together (2).
    #[serde(default, alias = "mcast-startup-query-count", skip_serializing_if = "Option::is_none")]
    pub mcast_startup_query_count: Option<u8>,
    /// Seconds between those (31.25).
    #[serde(
        default,
        alias = "mcast-startup-query-interval",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_startup_query_interval: Option<Seconds>,
    /// Seconds between the others (125).
    #[serde(default, alias = "mcast-query-interval", skip_serializing_if = "Option::is_none")]
    pub mcast_query_interval: Option<Seconds>,
    /// Seconds that hosts may take to answer one (10).
    #[serde(
        default,
        alias = "mcast-query-response-interval",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcast_query_response_interval: Option<Seconds>,
    /// Seconds for which another querier is believed to be there (255).
    #[serde(default, alias = "mcast-querier-interval", skip_serializing_if = "Option::is_none")]
    pub mcast_querier_interval: Option<Seconds>,
    /// Most groups of the network (4096).
    #[serde(default, alias = "mcast-hash-max", skip_serializing_if = "Option::is_none")]
    pub mcast_hash_max: Option<u32>,
    /// Addresses that are in its table from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fdb: Vec<FdbEntry>,
    /// Members of groups that are so from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mdb: Vec<MdbEntry>,
    /// The gateway's further places, one a VLAN.
    #[serde(default, deserialize_with = "by_number", skip_serializing_if = "IndexMap::is_empty")]
    pub vlans: IndexMap<u16, GatewayVlan>,
}

/// A VLAN that has subnets of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GatewayVlan {
    /// Its subnets.
    #[serde(
        default,
        alias = "subnet",
        alias = "cidr",
        deserialize_with = "one_or_many::texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[cfg_attr(
        any(test, feature = "schema"),
        schemars(with = "one_or_many::OneOrMany<Subnet>", default)
    )]
    pub subnets: Vec<Subnet>,
    /// The gateway's addresses in it, `false` for none; without it the first of each subnet.
    #[serde(default, skip_serializing_if = "Gateway::is_first")]
    pub gateway: Gateway,
}

/// Reads a map by numbers, which not every language lets be keys.
fn by_number<'de, D: Deserializer<'de>>(from: D) -> Result<IndexMap<u16, GatewayVlan>, D::Error> {
    let by_name = IndexMap::<String, GatewayVlan>::deserialize(from)?;
    let number = |(key, vlan): (String, GatewayVlan)| match key.parse::<u16>() {
        Ok(number) if number.to_string() == key => Ok((number, vlan)),
        _ => Err(D::Error::custom(format!("{key:?} is no VLAN: 1 to 4094"))),
    };
    by_name.into_iter().map(number).collect()
}

impl Network {
    /// One of these subnets in which the gateway has the first addresses.
    #[must_use]
    pub fn with_gateway(subnets: Vec<Subnet>) -> Self {
        Self { subnets, gateway: Gateway::First, ..Self::default() }
    }

    /// The gateway's addresses, each with its prefix length; none where it has no leg there.
    #[must_use]
    pub fn gateways(&self) -> Vec<Address> {
        self.gateway.addresses(&self.subnets)
    }

    /// Whether VLANs are told apart.
    #[must_use]
    pub fn filters_vlans(&self) -> bool {
        self.vlan_filtering.unwrap_or(false)
    }

    /// The VLAN of ports that say no other, and of the gateway; None where frames without a tag
    /// belong to none.
    #[must_use]
    pub fn default_pvid(&self) -> Option<u16> {
        Some(self.vlan_default_pvid.unwrap_or(1)).filter(|vlan| *vlan != 0)
    }

    /// The subnets of a VLAN: its own, or the network's.
    #[must_use]
    pub fn subnets_of(&self, vlan: Option<u16>) -> &[Subnet] {
        let own = vlan.filter(|_| self.filters_vlans()).and_then(|vlan| self.vlans.get(&vlan));
        own.map_or(&self.subnets, |vlan| &vlan.subnets)
    }

    /// The gateway's addresses in a VLAN: its own, or the network's.
    #[must_use]
    pub fn gateways_of(&self, vlan: Option<u16>) -> Vec<Address> {
        let own = vlan.filter(|_| self.filters_vlans()).and_then(|vlan| self.vlans.get(&vlan));
        own.map_or_else(|| self.gateways(), |vlan| vlan.gateway.addresses(&vlan.subnets))
    }

    /// Every subnet of it, those of VLANs too.
    pub fn all_subnets(&self) -> impl Iterator<Item = Subnet> + '_ {
        let of_vlans = self.vlans.values().flat_map(|vlan| &vlan.subnets);
        self.subnets.iter().chain(of_vlans).copied()
    }

    /// Whether one of its subnets is of IPv6.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.all_subnets().any(|subnet| !subnet.is_ipv4())
    }

    /// Every address of the gateway in it, those of VLANs too.
    #[must_use]
    pub fn all_gateways(&self) -> Vec<Address> {
        let of_vlans = self.vlans.values().flat_map(|vlan| vlan.gateway.addresses(&vlan.subnets));
        self.gateways().into_iter().chain(of_vlans).collect()
    }
}

/// The gateway's place in a network; written `true`, `false`, an address, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gateway {
    /// None.
    None,
    /// The first address of each subnet.
    #[default]
    First,
    /// These.
    At(Vec<IpAddr>),
}

impl Gateway {
    /// Whether it is what nobody need say.
    fn is_first(&self) -> bool {
        *self == Self::First
    }

    /// Its addresses in these subnets, each with the prefix length of the one it lies in.
    fn addresses(&self, subnets: &[Subnet]) -> Vec<Address> {
        match self {
            Self::None => Vec::new(),
            Self::First => subnets.iter().map(|subnet| subnet.at(subnet.first_host())).collect(),
            Self::At(own) => {
                let home = |ip: IpAddr| subnets.iter().find(|subnet| subnet.contains(ip));
                let at = |ip: &IpAddr| home(*ip).map_or((*ip).into(), |subnet| subnet.at(*ip));
                own.iter().map(at).collect()
            }
        }
    }
}

impl Serialize for Gateway {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_bool(false),
            Self::First => serializer.serialize_bool(true),
            Self::At(own) => match own.as_slice() {
                [one] => serializer.collect_str(one),
                several => serializer.collect_seq(several),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Gateway {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Gateway;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, an address, or a list of addresses")
            }

            fn visit_bool<E: serde::de::Error>(self, has: bool) -> Result<Gateway, E> {
                Ok(if has { Gateway::First } else { Gateway::None })
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Gateway, E> {
                match (text, switched::word(text)) {
                    (_, Some(true)) => Ok(Gateway::First),
                    ("none", _) | (_, Some(false)) => Ok(Gateway::None),
                    _ => text.parse().map(|ip| Gateway::At(vec![ip])).map_err(|_| {
                        let why = "no gateway: true, false, or its address without a prefix length";
                        E::custom(format!("{text:?} is {why}"))
                    }),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Gateway, A::Error> {
                let own = Vec::<IpAddr>::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(if own.is_empty() { Gateway::None } else { Gateway::At(own) })
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

#[cfg(any(test, feature = "schema"))]
mod schema {
    use std::borrow::Cow;
    use std::net::IpAddr;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Forms {
        /// The first address of each subnet, or no leg.
        Whether(bool),
        /// Its address.
        At(IpAddr),
        /// Its addresses.
        All(Vec<IpAddr>),
    }

    impl JsonSchema for super::Gateway {
        fn schema_name() -> Cow<'static, str> {
            "Gateway".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Forms::json_schema(generator)
        }
    }
}
