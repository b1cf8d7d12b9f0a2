//! Ports of an address that a namespace's packet filter forwards to somebody else: what nftables
//! and iptables know as dnat, redirect and tproxy. Read, never changed; used by `lab` before it
//! shares an address.
//!
//! | file | what |
//! |---|---|
//! | `rules` | the rules of nftables, as nfnetlink tells them |
//! | `condition` | what a rule compares |
//! | `scope` | which packets a rule is still about |
//! | `walk` | from the hook where packets come in, rule by rule and jump by jump; pure |
//! | `xt` | matches and targets of iptables, inside nftables and out |
//! | `legacy` | the rules of iptables where it does without nftables |
//! | `changes` | whether any of them are others |
//!
//! Conditions that cannot be read (marks, address sets, programs) count as met where a rule names
//! the ports, and as not met where it does not: a rule that may take any port by a mark would
//! otherwise be in everybody's way.

mod changes;
mod condition;
mod legacy;
mod rules;
mod scope;
#[cfg(test)]
mod tests;
mod walk;
mod xt;

pub use self::changes::{Changes, is_silent};

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

use sys::netns::inside;

use crate::error::{Doing, Result};

/// What is asked about: ports of an address, for packets that come in by an interface.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The interface's name.
    pub interface: &'a str,
    /// Its index.
    pub index: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// The ports.
    pub ports: RangeInclusive<u16>,
}

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// A port that is forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its protocol.
    pub protocol: Transport,
    /// The port.
    pub port: u16,
    /// The rule's place: `table ip dn chain pre`.
    pub by: String,
    /// Where to, where the rule says so itself.
    pub to: Option<String>,
}

impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}/{} is forwarded by {}", self.port, self.protocol.as_str(), self.by)?;
        self.to.as_ref().map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

/// The ports that are forwarded, the lowest of each rule.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses to tell its rules.
pub fn look(netns: BorrowedFd<'_>, ask: &Ask<'_>) -> Result<Vec<Forwarded>> {
    inside(netns, || {
        let mut found = Vec::new();
        if let Some(mut rules) = rules::Rules::read()? {
            walk::walk(&mut rules, ask, &mut found)?;
        }
        legacy::walk(ask, &mut found)?;
        found.sort_by_key(|one| (one.port, one.protocol));
        Ok(found)
    })
    .doing(|| "reading the rules that forward ports".into())
}
