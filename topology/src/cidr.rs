//! Subnets and addresses with a prefix length, of either family, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::Invalid;

/// A subnet: `10.100.0.0/16`, `fd00:1::/64`. Its host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct Subnet {
    network: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// The subnet of this prefix length that `address` lies in; None for a length that its family
    /// does not have.
    #[must_use]
    pub fn of(address: IpAddr, prefix: u8) -> Option<Self> {
        let width = width(address);
        if u32::from(prefix) > width {
            return None;
        }
        Some(Self { network: from_bits(address, bits(address) & mask(width, prefix)), prefix })
    }

    /// The subnet of IPv4 of this prefix length, 32 at most, that `address` lies in.
    #[must_use]
    pub fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { network: Ipv4Addr::from_bits(address.to_bits() & mask).into(), prefix }
    }

    /// Its first address, the network's own.
    #[must_use]
    pub fn network(self) -> IpAddr {
        self.network
    }

    /// Its prefix length.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one of IPv4.
    #[must_use]
    pub fn is_ipv4(self) -> bool {
        self.network.is_ipv4()
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && Self::of(address, self.prefix) == Some(self)
    }

    /// Whether both have an address.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }

    /// Its first and its last address that a host can have, as numbers: without the network's own
    /// and, of IPv4, the broadcast, where it is long enough to have them (RFC 3021).
    fn ends(self) -> (u128, u128) {
        let width = width(self.network);
        let first = bits(self.network);
        let last = first | all(width) & !mask(width, self.prefix);
        match width - u32::from(self.prefix) {
            0 | 1 => (first, last),
            _ if self.is_ipv4() => (first + 1, last - 1),
            _ => (first + 1, last),
        }
    }

    /// Whether a host can have an address: it lies in the subnet, and is neither the network's own
    /// nor the broadcast.
    #[must_use]
    pub fn is_host(self, address: IpAddr) -> bool {
        let (first, last) = self.ends();
        self.contains(address) && (first..=last).contains(&bits(address))
    }

    /// The first address a host can have.
    #[must_use]
    pub fn first_host(self) -> IpAddr {
        from_bits(self.network, self.ends().0)
    }

    /// How many hosts it has addresses for.
    #[must_use]
    pub fn hosts(self) -> u128 {
        let (first, last) = self.ends();
        (last - first).saturating_add(1)
    }

    /// The addresses hosts can have, ascending; the first 65,536 of them, more than a lab has nodes.
    pub fn host_addresses(self) -> impl Iterator<Item = IpAddr> + 'static {
        let (first, last) = self.ends();
        let last = last.min(first.saturating_add(u128::from(u16::MAX)));
        (first..=last).map(move |bits| from_bits(self.network, bits))
    }

    /// The lowest address a host can have of which `taken` does not say that somebody has it.
    ///
    /// Looks at no more than [`Self::host_addresses`].
    pub fn next_free(self, mut taken: impl FnMut(IpAddr) -> bool) -> Option<IpAddr> {
        self.host_addresses().find(|address| !taken(*address))
    }

    /// One of its addresses, with its prefix length.
    #[must_use]
    pub fn at(self, address: IpAddr) -> Address {
        Address { ip: address, prefix: Some(self.prefix) }
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of `like`'s family with these bits.
fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

/// As many ones as an address has bits.
fn all(width: u32) -> u128 {
    u128::MAX >> (Ipv6Addr::BITS - width)
}

fn mask(width: u32, prefix: u8) -> u128 {
    all(width) & !all(width).checked_shr(u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.network, self.prefix))
    }
}

impl FromStr for Subnet {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let shape = || {
            Invalid(format!(
                "{text:?} is no subnet: an address and a prefix length, as in 10.1.0.0/24"
            ))
        };
        let (address, prefix) = text.split_once('/').ok_or_else(shape)?;
        let address: IpAddr = address.parse().map_err(|_| shape())?;
        let subnet = Self::of(address, number(prefix).ok_or_else(shape)?).ok_or_else(shape)?;
        if subnet.network != address {
            return Err(Invalid(format!(
                "{text} has bits beyond its prefix: {subnet} is the subnet"
            )));
        }
        Ok(subnet)
    }
}

/// An address in a subnet: `10.1.0.5`, or `10.1.0.5/24` where no subnet says how long its prefix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Its prefix length, where it was said.
    pub prefix: Option<u8>,
}

impl Address {
    /// The subnet it says it lies in.
    #[must_use]
    pub fn subnet(self) -> Option<Subnet> {
        Subnet::of(self.ip, self.prefix?)
    }

    /// Whether a host can have it where these subnets are: as one of theirs, or with a prefix length
    /// of its own where none is of its family.
    ///
    /// # Errors
    /// Why not, and the mend; one line.
    pub fn among(self, subnets: &[Subnet]) -> Result<(), Invalid> {
        let Self { ip, prefix } = self;
        let own: Vec<_> = subnets.iter().filter(|own| own.is_ipv4() == ip.is_ipv4()).collect();
        let why = if let Some(home) = own.iter().find(|own| own.contains(ip)) {
            match prefix {
                _ if !home.is_host(ip) => {
                    let first = home.first_host();
                    format!("{ip} is no host's address in {home}: {first}, for one, is")
                }
                Some(prefix) if prefix != home.prefix() => {
                    format!("{ip}/{prefix} is in {home}: leave /{prefix} out")
                }
                _ => return Ok(()),
            }
        } else if !own.is_empty() {
            let all: Vec<_> = own.iter().map(ToString::to_string).collect();
            format!("{ip} is not in {}: choose an address there", all.join(" or "))
        } else {
            match self.subnet() {
                None => {
                    let usual = if ip.is_ipv4() { 24 } else { 64 };
                    format!("{ip}: no subnet says how long its prefix is: {ip}/{usual}, for one")
                }
                Some(subnet) if !subnet.is_host(ip) => {
                    format!("{ip} is no host's address in {subnet}")
                }
                Some(_) => return Ok(()),
            }
        };
        Err(Invalid(why))
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        Self { ip, prefix: None }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            Some(prefix) => f.pad(&format!("{}/{prefix}", self.ip)),
            None => f.pad(&self.ip.to_string()),
        }
    }
}

impl FromStr for Address {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let shape = || Invalid(format!("{text:?} is no address: as in 10.1.0.5, or 10.1.0.5/24"));
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(number(prefix).ok_or_else(shape)?)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_| shape())?;
        match prefix {
            Some(prefix) if Subnet::of(ip, prefix).is_none() => Err(shape()),
            _ => Ok(Self { ip, prefix }),
        }
    }
}

/// A prefix length: digits alone.
fn number(text: &str) -> Option<u8> {
    let plain = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Subnet);
as_text!(Address);

#[cfg(test)]
mod tests;
