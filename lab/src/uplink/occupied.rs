//! Who is in the block already: sockets of the host, and other labs.
//!
//! A lab says which ports are its own by a [beacon](crate::beacon) whose name holds them: every
//! process of the network namespace can list those, and the name goes with the process. Of another
//! user's nothing is believed, and none is in the way: a number nobody can guess ends the name.

use std::fmt;
use std::io;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use super::PortBlock;
use crate::beacon::{self, Beacon, Peer};
use crate::config::LabName;
use crate::error::{Doing, Result};

#[cfg(test)]
mod tests;

/// What the name of a claim begins with; the block, the lab's name and the number follow.
const CLAIM: &str = "uswitch/uplink/";
/// Numbers tried.
const TRIES: u32 = 8;

/// A block claimed for a lab, as long as this lives.
#[derive(Debug)]
pub(super) struct Claim {
    _beacon: Beacon,
}

/// Claims `block` for a lab; or says, for people, who has part of it.
pub(super) fn claim(block: PortBlock, lab: &str) -> Result<std::result::Result<Claim, String>> {
    let (name, beacon) = light(block, lab).doing(|| format!("claiming the ports {block}"))?;
    // Ours first, then the others': of two that come at once at least one sees the other.
    let table = "/proc/thread-self/net/unix";
    let table = std::fs::read(table).doing(|| format!("reading {table}"))?;
    let is_ours = |name: &str| beacon::of_name(name.as_bytes()).is_some_and(Peer::is_ours);
    Ok(match claimant(&String::from_utf8_lossy(&table), block, &name, is_ours) {
        Some(other) => Err(format!(
            "lab {other} has ports of the block {block}: choose others with --uplink-ports"
        )),
        None => Ok(Claim { _beacon: beacon }),
    })
}

fn light(block: PortBlock, lab: &str) -> io::Result<(String, Beacon)> {
    let mut tries = 0;
    loop {
        let name = format!("{CLAIM}{block}/{lab}/{:016x}", rand::random::<u64>());
        match Beacon::light(name.as_bytes(), None) {
            Ok(beacon) => return Ok((name, beacon)),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            Err(e) => return Err(e),
        }
    }
}

/// The lab, other than that of the claim `own`, that has a port of `block`.
fn claimant(
    table: &str,
    block: PortBlock,
    own: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Option<LabName> {
    table.lines().find_map(|line| {
        let name = line.split_once(" @")?.1;
        let (ports, rest) = name.strip_prefix(CLAIM)?.split_once('/')?;
        let other: PortBlock = ports.parse().ok()?;
        let lab = rest.split('/').next()?.parse().ok()?;
        (name != own && other.overlaps(block) && is_ours(name)).then_some(lab)
    })
}

/// The tables of sockets, and their protocols.
const TABLES: [(&str, &str); 5] =
    [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp"), ("udplite", "udplite")];
/// TCP's TIME-WAIT: the port is free again.
const TIME_WAIT: &str = "06";

/// A local socket in the NAT's way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    protocol: &'static str,
    at: net::SocketAddr,
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.protocol, self.at.port())
    }
}

impl Taken {
    /// Why `block` cannot be shared, for people.
    pub(super) fn in_block(&self, block: PortBlock) -> String {
        format!(
            "{self} of the block {block} is in use on this host ({}): stop what uses it, or share \
             other ports with --uplink-ports",
            self.at
        )
    }

    /// Why the port cannot be published, for people.
    pub(super) fn published(&self) -> String {
        format!(
            "{self} is in use on this host ({}): stop what uses it, or publish another",
            self.at
        )
    }
}

/// A local socket with one of `ports`, of one protocol or any, at the address or at every one.
pub(super) fn socket(
    address: Ipv4Addr,
    ports: &RangeInclusive<u16>,
    of: Option<&str>,
) -> Result<Option<Taken>> {
    for (file, protocol) in TABLES.iter().filter(|(_, name)| of.is_none_or(|of| of == *name)) {
        let path = format!("/proc/thread-self/net/{file}");
        let table = match std::fs::read_to_string(&path) {
            // A kernel without that protocol.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.doing(|| format!("reading {path}"))?,
        };
        if let Some(at) = found(&table, address, ports) {
            return Ok(Some(Taken { protocol, at }));
        }
    }
    Ok(None)
}

fn found(table: &str, address: Ipv4Addr, ports: &RangeInclusive<u16>) -> Option<net::SocketAddr> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        let (at, port) = local.split_once(':')?;
        let (at, port) = (parse_address(at)?, u16::from_str_radix(port, 16).ok()?);
        let reached = match at {
            IpAddr::V4(at) => at == address || at.is_unspecified(),
            IpAddr::V6(at) => at.is_unspecified() || at.to_ipv4_mapped() == Some(address),
        };
        let taken = ports.contains(&port) && reached && state != TIME_WAIT;
        taken.then(|| net::SocketAddr::new(at, port))
    })
}

/// Words of 32 bits, each as a number of this machine.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(IpAddr::V4(word(0)?.into())),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}
