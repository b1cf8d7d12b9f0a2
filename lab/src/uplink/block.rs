//! The block of ports, and of ICMP identifiers, that the NAT has for its own on a real uplink.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Fewer make no NAT.
const LEAST: u16 = 64;

/// A block of ports, from 1024 up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortBlock {
    first: u16,
    last: u16,
}

impl PortBlock {
    /// Its first port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// Its last port.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    /// As a range.
    #[must_use]
    pub fn range(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// True where both have a port.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl Default for PortBlock {
    /// Below the ports that Linux gives out by itself, above those of most services.
    fn default() -> Self {
        Self { first: 20_000, last: 29_999 }
    }
}

impl fmt::Display for PortBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortBlock {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let ends = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        match ends {
            Some(block)
                if block.first >= 1024 && block.last - block.first.min(block.last) >= LEAST - 1 =>
            {
                Ok(block)
            }
            _ => Err(Error::Usage(format!(
                "{text:?} is no block of ports: FIRST-LAST, from 1024 up, {LEAST} ports at least"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_they_are_written() {
        for text in ["20000-29999", "1024-65535", "1024-1087"] {
            assert_eq!(text.parse::<PortBlock>().unwrap().to_string(), text);
        }
        for text in ["", "-", "1-2", "1023-2000", "3000-2000", "2000-2062", "2000-70000", "2000"] {
            assert!(text.parse::<PortBlock>().is_err(), "{text}");
        }
        assert!(PortBlock::default().overlaps("29999-31000".parse().unwrap()));
        assert!(!PortBlock::default().overlaps("30000-31000".parse().unwrap()));
    }
}
