//! Frames of the gateway that another host has: each host's has the same addresses (anycast). What it has routed
//! comes by the tunnel with our own gateway's hardware address for its source (asymmetric IRB, RFC 9135), and is for
//! nodes here. It teaches nothing, for nodes here have a gateway here.
//!
//! Its questions are answered here on behalf of the node asked for: the node's own answer would go to
//! ours. What else it says to groups is for the nodes beside it.

use wire::{MacAddr, Timestamp};

use super::bridge::{Bridge, Port};
use super::decide::Origin;
use super::frame::Frame;
use super::network::{Lane, Network};
use super::path::Path;
use super::port::{PortId, Reach};
use super::suppress;
use super::verdict::{DropReason, Verdict};

impl Network {
    /// Whether an address is the gateway's, and a port one behind which other hosts have theirs.
    #[inline]
    pub(super) fn has_gateway_behind(&self, src: MacAddr, port: &Port) -> bool {
        self.guarded == Some(src) && port.state.settings.reach == Reach::Far
    }
}

impl Bridge {
    /// The way of a frame of another host's gateway, which has been let in.
    #[cold]
    #[inline(never)]
    pub(super) fn lead_of_gateway(
        &self,
        (frame, bytes): (&Frame, &[u8]),
        (ingress, port): (PortId, &Port),
        (network, lane): (&Network, &Lane),
        now: Timestamp,
        path: &mut Path,
    ) -> Verdict {
        if network.config.local == Some(frame.dst) {
            return Verdict::Drop(DropReason::OwnSource);
        }
        if !frame.dst.is_group() {
            let from = Origin::Port(ingress, port);
            return self.lead((frame, bytes), from, (network, lane), now, path);
        }
        let Some(question) = suppress::read(bytes).filter(|question| !question.is_claim) else {
            return Verdict::Drop(DropReason::OwnSource);
        };
        if let Some(mac) = self.here(&question, port, (network, lane), now) {
            let mut said = Vec::new();
            suppress::reply(&question, mac, &mut said);
            self.say(said, frame, (ingress, lane), path);
        }
        Verdict::Drop(DropReason::NeighSuppress)
    }

    /// By which address whoever is asked for is known, where that is not behind a tunnel and may be reached by
    /// this one.
    fn here(
        &self,
        question: &suppress::Question,
        tunnel: &Port,
        (network, lane): (&Network, &Lane),
        now: Timestamp,
    ) -> Option<MacAddr> {
        let mac = *network.neighbours.get(&question.target)?;
        if network.config.local == Some(mac) {
            return None;
        }
        // Of one that has been silent for long nothing is in the table.
        let home = self.fdb().lookup(mac, lane.scope, now).and_then(|(home, _)| self.get(home));
        let reach = home.map_or(Reach::All, |home| home.state.settings.reach);
        let may = reach != Reach::Far && reach.to(tunnel.state.settings.reach);
        may.then_some(mac)
    }
}
