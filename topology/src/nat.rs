//! How the NAT maps and filters, by the four classic names (RFC 3489 section 5); what they mean is
//! the gateway's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// The classic NAT types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NatType {
    /// Whoever learns a mapping may send to it.
    FullCone,
    /// Addresses that the inside has sent to may.
    RestrictedCone,
    /// Addresses and ports that the inside has sent to may.
    #[default]
    PortRestrictedCone,
    /// The same, and each of them sees another port.
    Symmetric,
}

/// Sessions that the NAT has room for, of TCP, of UDP and of echoes each, where nobody says another number.
pub const NAT_SESSIONS: u32 = 65_536;
/// How many it may be told to have.
pub const NAT_SESSIONS_RANGE: std::ops::RangeInclusive<u32> = 1024..=1 << 20;

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

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for NatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for NatType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            Invalid(format!("{text:?} is no NAT type: {all}"))
        })
    }
}
