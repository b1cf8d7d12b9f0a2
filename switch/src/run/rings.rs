//! A worker's rings as the kernel counts them.
//!
//! Looked at ten times a second by a worker that is busy, and before one sleeps.

use bpf::Lane;

use super::keeper::Ask;
use super::link::Link;
use super::outbox::Links;
use super::worker::{MAIN, UPLINK, Worker, now};

impl<L: Link> Worker<L> {
    pub(super) fn count_rings(&mut self) {
        let now = now();
        let Links { main, uplink, .. } = &mut self.links;
        for (place, io) in [Some(main), uplink.as_mut()].into_iter().enumerate() {
            let Some(io) = io else { continue };
            let Ok(stats) = io.stats() else { continue };
            self.cells.ring_packets.add(stats.packets);
            self.cells.ring_drops.add(stats.drops);
            self.scribe.passed(if place == MAIN { Lane::Ports } else { Lane::Uplink }, stats.drops);
            if stats.drops > 0 {
                io.missed();
            }
            // Whether later slots hold frames is asked only where it matters.
            let is_empty = !io.ready(0) && (stats.drops == 0 || io.is_empty());
            let pulse = &mut self.pulses[place];
            if pulse.look(stats.drops, is_empty, now) {
                let ask = Ask { worker: self.number, uplink: place == UPLINK };
                if self.asks.as_ref().is_none_or(|asks| asks.try_send(ask).is_err()) {
                    pulse.refused();
                }
            }
        }
    }
}
