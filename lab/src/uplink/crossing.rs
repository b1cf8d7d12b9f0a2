//! The way of what the kernel repeats between the uplink and the nodes: a veth pair from the host's
//! namespace to the switch's, for no program can send a frame from one to the other but by one.
//!
//! Made where the lab has a fast path, and taken away with the uplink. It has no address, says
//! nothing, and what the host sends to it is dropped. One that a lab left behind that was killed, where
//! the switch's namespace stays, gives way to the next.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use ns::pair::{self, Pair};
use sys::bpf::Area;

use super::PortBlock;
use crate::error::Result;

/// Its end in the switch's namespace: no port is called so.
pub(super) const NEAR: &str = "~uplink";
/// Locally administered: nothing is ever sent to it.
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The kernel's own for a veth; frames that cross are measured before.
const MTU: u32 = 1500;

/// How long the kernel is given to clear away what a killed lab had, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// Where it begins.
pub(crate) struct Near {
    /// The switch's namespace.
    pub(crate) switch: Arc<OwnedFd>,
    /// The memory of held ports that the filter there asks.
    pub(crate) held: Arc<Area>,
    /// There has to be one.
    pub(crate) needed: bool,
}

impl Near {
    /// Has the crossing made; None where it may be missing and cannot be had.
    pub(super) fn cross(
        &self,
        host: BorrowedFd<'_>,
        (block, interface): (PortBlock, &str),
        next_index: &mut u32,
    ) -> Result<Option<Crossing>> {
        *next_index += 1;
        match Crossing::make(&self.switch, host, block, *next_index - 1) {
            Err(why) if !self.needed => {
                tracing::warn!("what {interface} carries passes the switch: {why}");
                Ok(None)
            }
            made => made.map(Some),
        }
    }
}

/// The pair, as long as this lives.
pub(super) struct Crossing {
    switch: Arc<OwnedFd>,
    near: u32,
    far: u32,
}

/// What the host's end is called: no other lab has the block.
pub(super) fn name(block: PortBlock) -> String {
    called(block.first())
}

fn called(first: u16) -> String {
    format!("uswitch-{first}")
}

/// Waits until the pair of a killed lab is gone, whose ports begin with `first`. It goes with the
/// lab's namespace, which the kernel clears away in its own time. One of a lab that is served stays.
pub(crate) fn vanish(host: BorrowedFd<'_>, first: u16) -> Result<()> {
    let name = called(first);
    let mut left = PATIENCE;
    while !left.is_zero() && ns::link::find(host, &name)?.is_some() {
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
    Ok(())
}

impl Crossing {
    /// As the switch is told of it, with what of the uplink is the gateway's.
    pub(super) fn told(&self, address: Ipv4Addr, block: PortBlock) -> switch::Crossing {
        switch::Crossing { near: self.near, far: self.far, address, ports: block.range() }
    }

    /// Makes it, both ends up; `index` is that of the near one.
    fn make(
        switch: &Arc<OwnedFd>,
        host: BorrowedFd<'_>,
        block: PortBlock,
        index: u32,
    ) -> Result<Self> {
        let (near, far, name) = (switch.as_fd(), host, name(block));
        if let Some(left) = ns::link::find(near, NEAR)? {
            ns::link::delete(near, left)?;
        }
        vanish(far, block.first())?;
        let (near_end, far_end) = ((near, NEAR, index), (far, name.as_str()));
        pair::make(&Pair {
            near: near_end,
            far: far_end,
            mac: MAC,
            mtu: MTU,
            large: true,
            tunnels: false,
        })?;
        let mut made = Self { switch: Arc::clone(switch), near: index, far: 0 };
        pair::furnish(near, NEAR, &[])?;
        pair::furnish(far, &name, &[])?;
        made.far = ns::link::find(far, &name)?.unwrap_or_default();
        Ok(made)
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        // The switch's namespace may be gone, and with it the pair.
        let _ = ns::link::delete(self.switch.as_fd(), self.near);
    }
}
