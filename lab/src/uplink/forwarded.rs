//! Who else has ports of the block: those whom the host forwards them to.

use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;

use ns::forward::{self, Ask, Forwarded};

use super::PortBlock;
use super::facts::Facts;
use crate::error::Result;

/// Why `block` cannot be shared, for people: the host forwards one of its ports.
pub(super) fn in_block(
    netns: BorrowedFd<'_>,
    facts: &Facts,
    block: PortBlock,
) -> Result<Option<String>> {
    let found = forward::look(netns, &ask(facts, block.first(), block.last()))?;
    let first = found.first();
    Ok(first.map(|one| format!("{one}: choose another block with --uplink-ports")))
}

/// Whether the host forwards any of these ports.
pub(super) fn any(
    netns: BorrowedFd<'_>,
    facts: &Facts,
    ports: RangeInclusive<u16>,
) -> Result<bool> {
    Ok(!forward::look(netns, &ask(facts, *ports.start(), *ports.end()))?.is_empty())
}

/// Why a port cannot be published, for people.
pub(super) fn published(
    netns: BorrowedFd<'_>,
    facts: &Facts,
    protocol: &str,
    port: u16,
) -> Result<Option<String>> {
    let found = forward::look(netns, &ask(facts, port, port))?;
    let its = |one: &&Forwarded| one.protocol.as_str() == protocol;
    Ok(found.iter().find(its).map(|one| format!("{one}: publish another")))
}

fn ask(facts: &Facts, first: u16, last: u16) -> Ask<'_> {
    Ask {
        interface: &facts.name,
        index: facts.index,
        address: facts.address.address,
        ports: first..=last,
    }
}
