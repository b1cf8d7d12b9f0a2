//! Sets of ports as `ip_local_reserved_ports` writes them: `8080,20000-29999`. Pure.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports(Box<[bool]>);

impl Ports {
    pub(crate) fn none() -> Self {
        Self(vec![false; 1 << 16].into())
    }

    pub(crate) fn of(range: RangeInclusive<u16>) -> Self {
        let mut ports = Self::none();
        range.for_each(|port| ports.0[usize::from(port)] = true);
        ports
    }

    pub(crate) fn with(&self, other: &Self) -> Self {
        self.each(other, |a, b| a || b)
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        self.each(other, |a, b| a && !b)
    }

    fn each(&self, other: &Self, of: impl Fn(bool, bool) -> bool) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| of(*a, *b)).collect())
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().enumerate().filter(|(_, is)| **is).map(|(port, _)| port);
        let mut next = rest.next();
        let mut comma = "";
        while let Some(first) = next {
            let mut last = first;
            next = rest.next();
            while next == Some(last + 1) {
                last += 1;
                next = rest.next();
            }
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Ports {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut ports = Self::none();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range: RangeInclusive<u16> = first.parse()?..=last.parse()?;
            range.for_each(|port| ports.0[usize::from(port)] = true);
        }
        Ok(ports)
    }
}
