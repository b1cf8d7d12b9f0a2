//! A second ring for a socket whose own is lost: opened beside it, then put in its place.
//!
//! The kernel marks the slot it is about to fill, and where a frame's kind has no word in the vnet
//! header it gives up without taking the mark back (`tpacket_rcv`, net/packet/af_packet.c): from
//! then on it finds that slot taken and drops whatever comes. Nothing but another ring helps.

use std::io;
use std::os::fd::AsFd;

use super::filter::{self, FilterOp, Pass};
use super::io::PacketIo;
use super::ring::{Ring, RingConfig, RingStats};
use super::socket;
use crate::bpf::Program;

/// `BPF_RET | BPF_K`, and 0 bytes of each frame.
const NOTHING: [FilterOp; 1] = [FilterOp { code: 6, then: 0, otherwise: 0, value: 0 }];

/// A ring that receives nothing yet.
pub struct Spare {
    ring: Ring,
    config: RingConfig,
    pass: Pass,
}

impl Spare {
    /// Opens one in the calling thread's namespace; `config` and `pass` are those of the ring it
    /// is for.
    ///
    /// # Errors
    /// What [`PacketIo::open`] says.
    pub fn open(config: RingConfig, pass: &Pass) -> io::Result<Self> {
        let closed = RingConfig { bound: false, fanout: None, ..config };
        Ok(Self { ring: Ring::open(closed, pass)?, config, pass: pass.clone() })
    }

    /// The same for a ring behind a program, which is in no fanout group.
    ///
    /// # Errors
    /// The same.
    pub fn tapped(config: RingConfig, tap: &Program) -> io::Result<Self> {
        let spare = Self::open(RingConfig { fanout: None, ..config }, &Pass::All)?;
        tap.filter(spare.ring.as_fd())?;
        Ok(spare)
    }
}

impl PacketIo {
    /// Puts `spare` in the place of the ring, which takes no more from here on, and gives back what
    /// was counted on that at last. To be called between batches: nothing is queued, and what still
    /// lies in the old ring is lost.
    ///
    /// # Errors
    /// What the kernel says to binding the new socket, as of an interface that is gone.
    pub fn replace(&mut self, spare: Spare) -> io::Result<RingStats> {
        let Spare { ring, config, pass } = spare;
        filter::attach(self.ring.as_fd(), &NOTHING)?;
        let last = self.ring.stats()?;
        let old = std::mem::replace(&mut self.ring, ring);
        let fd = self.ring.as_fd();
        if let Some(member) = &mut self.crew {
            // What the old ring was given and lost is not waited for.
            member.settled = false;
            member.steering.replace(member.number, fd)?;
        } else if let Some(group) = config.fanout {
            // A member takes part as soon as it is bound, and all of it until it has joined.
            filter::attach(fd, &NOTHING)?;
            socket::bind(fd, config.ifindex)?;
            self.ring.join(group)?;
            drop(old);
            filter::detach(fd);
            filter::put(fd, &pass)?;
        } else {
            socket::bind(fd, config.ifindex)?;
        }
        Ok(last)
    }
}
