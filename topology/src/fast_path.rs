//! Whether the kernel is to repeat what the switch has decided; what that takes is the lab's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Whether the kernel is to repeat what the switch has decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[cfg_attr(any(test, feature = "schema"), schemars(rename = "FastPathAsked"))]
#[serde(rename_all = "kebab-case")]
pub enum FastPath {
    /// Every frame passes the switch.
    #[default]
    Off,
    /// It has to.
    On,
    /// Where it can be had.
    Auto,
}

impl FastPath {
    /// Each, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::On, Self::Off, Self::Auto];

    /// The word a person types.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for FastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FastPath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|word| word.as_str() == text);
        found.ok_or_else(|| Invalid(format!("{text:?}: on, off or auto")))
    }
}
