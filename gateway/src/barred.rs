//! Ends that nodes do not speak with by the uplink: the remote ends of tunnels, at the tunnels' UDP
//! port. What leaves by the uplink has the host's own address, and by that address alone a remote end
//! takes a frame for one of this host's tunnel.
//!
//! Told by whoever has the tunnels ([`Gateway::bar`]), asked for each datagram that is to leave. As many
//! as there are; what they bar is dropped (`tunnel-end`).

use std::collections::BTreeSet;

use crate::gateway::Gateway;
use crate::packet::{Endpoint, Packet, Transport};

/// Whom no datagram of a node goes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Barred(BTreeSet<Endpoint>);

impl Barred {
    #[inline]
    pub(crate) fn takes(&self, packet: &Packet) -> bool {
        !self.0.is_empty() && self.has(packet)
    }

    #[inline(never)]
    fn has(&self, packet: &Packet) -> bool {
        let Transport::Udp(_, port) = packet.transport else { return false };
        self.0.contains(&Endpoint::new(packet.dst, port))
    }
}

impl Gateway {
    /// Nodes send no UDP to these from now on, and what they have opened there ends.
    pub fn bar(&mut self, ends: BTreeSet<Endpoint>) {
        if self.barred.0 == ends {
            return;
        }
        self.nat.forget_remotes(&ends);
        self.barred = Barred(ends);
        self.stir();
    }
}
