//! Mapping and filtering behaviour, and the four classic names for their useful pairs.
//!
//! RFC 4787 took the classic names apart into two questions: does a host keep its outside port
//! whomever it speaks to (mapping), and who may answer there (filtering)? Called by the planner.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::hash::Key;

/// The classic NAT types, selectable by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatType {
    /// Endpoint-independent mapping, endpoint-independent filtering.
    FullCone,
    /// Endpoint-independent mapping, address-dependent filtering.
    RestrictedCone,
    /// Endpoint-independent mapping, address and port-dependent filtering.
    #[default]
    PortRestrictedCone,
    /// Address and port-dependent mapping and filtering.
    Symmetric,
}

/// Who may send to a mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Anyone.
    Independent,
    /// Any port of an address the inside has sent to.
    Address,
    /// An address and port the inside has sent to.
    AddressAndPort,
}

impl NatType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 4] =
        [Self::FullCone, Self::RestrictedCone, Self::PortRestrictedCone, Self::Symmetric];

    /// The name a person types.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FullCone => "full-cone",
            Self::RestrictedCone => "restricted-cone",
            Self::PortRestrictedCone => "port-restricted-cone",
            Self::Symmetric => "symmetric",
        }
    }

    /// True where an inside endpoint keeps its outside port whomever it speaks to.
    #[must_use]
    pub const fn endpoint_independent_mapping(self) -> bool {
        !matches!(self, Self::Symmetric)
    }

    /// Who may send to a mapping.
    #[must_use]
    pub const fn filter(self) -> Filter {
        match self {
            Self::FullCone => Filter::Independent,
            Self::RestrictedCone => Filter::Address,
            Self::PortRestrictedCone | Self::Symmetric => Filter::AddressAndPort,
        }
    }
}

impl std::fmt::Display for NatType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the four names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such NAT type: use full-cone, restricted-cone, port-restricted-cone or symmetric")]
pub struct ParseNatTypeError;

impl FromStr for NatType {
    type Err = ParseNatTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or(ParseNatTypeError)
    }
}

impl Filter {
    /// Under which address a session that the inside has taken up lets others in: its remote's,
    /// anybody's (0.0.0.0), or none.
    pub(crate) const fn permit(self, remote: Ipv4Addr) -> Option<Ipv4Addr> {
        match self {
            Self::Independent => Some(Ipv4Addr::UNSPECIFIED),
            Self::Address => Some(remote),
            Self::AddressAndPort => None,
        }
    }
}

/// How many sessions that the inside has opened or answered let others in, by outside port and
/// [`Filter::permit`]. So what the outside alone sends keeps no door open. Bounded by the session
/// table.
#[derive(Debug)]
pub(crate) struct Permits(HashMap<Permit, Count, Key>);

/// An outside port and an address, in six bytes: there are as many of these as sessions, and a map
/// of integers would align them to twice as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Permit([u8; 6]);

impl Permit {
    fn new(port: u16, remote: Ipv4Addr) -> Self {
        let ([p, q], [a, b, c, d]) = (port.to_be_bytes(), remote.octets());
        Self([p, q, a, b, c, d])
    }
}

impl Hash for Permit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [p, q, a, b, c, d] = self.0;
        state.write_u64(u64::from_be_bytes([0, 0, p, q, a, b, c, d]));
    }
}

/// A number of sessions, aligned to nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Count([u8; 4]);

impl Count {
    fn get(self) -> u32 {
        u32::from_ne_bytes(self.0)
    }

    fn set(&mut self, count: u32) {
        self.0 = count.to_ne_bytes();
    }
}

impl Permits {
    pub(crate) fn new(key: Key) -> Self {
        Self(HashMap::with_hasher(key))
    }

    pub(crate) fn contains(&self, port: u16, remote: Ipv4Addr) -> bool {
        self.0.contains_key(&Permit::new(port, remote))
    }

    pub(crate) fn add(&mut self, port: u16, remote: Ipv4Addr) {
        let count = self.0.entry(Permit::new(port, remote)).or_default();
        count.set(count.get() + 1);
    }

    pub(crate) fn remove(&mut self, port: u16, remote: Ipv4Addr) {
        let key = Permit::new(port, remote);
        if let Some(count) = self.0.get_mut(&key) {
            match count.get() {
                0 | 1 => drop(self.0.remove(&key)),
                more => count.set(more - 1),
            }
        }
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        crate::hash::bytes(&self.0)
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> u32 {
        self.0.values().map(|count| count.get()).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_names_are_read_back() {
        for kind in NatType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("cone".parse::<NatType>(), Err(ParseNatTypeError));
    }
}
