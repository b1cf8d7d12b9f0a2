//! What the gateway decides, repeated by the kernel: the switch's words and the gateway's, for the two
//! do not know each other.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use gateway::{Endpoint, LegId, Protocol, Repeater, SessionId, Side};
use switch::{Ends, FastPath};

/// The kernel, as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Kernel(pub(crate) Arc<FastPath>);

impl Repeater for Kernel {
    fn changed(&mut self) {
        self.0.stir();
    }

    fn over(&mut self, session: Option<SessionId>) -> Vec<gateway::Repeated> {
        self.0.over(session.map(number)).iter().filter_map(repeated).collect()
    }

    fn take(&mut self) -> Vec<gateway::Repeated> {
        self.0.take().iter().filter_map(repeated).collect()
    }
}

/// A decision of the gateway's, for the switch.
pub(crate) fn repeat(of: &gateway::Repeat) -> switch::Repeat {
    let gateway::Repeat { protocol, came, leaves, atomic, kept, mtu, until, way } = *of;
    let ends = |[src, dst]: [Endpoint; 2]| {
        let end = |end: Endpoint| SocketAddrV4::new(end.address, end.port);
        Ends { protocol: protocol.number(), src: end(src), dst: end(dst) }
    };
    switch::Repeat {
        came: ends(came),
        leaves: ends(leaves),
        atomic,
        kept,
        mtu: u32::try_from(mtu).unwrap_or(u32::MAX),
        until,
        way: named(&way),
    }
}

/// The next hop, and above it where packets come in and leave.
fn named(way: &gateway::Way) -> switch::Way {
    let side = |side: Side| match side {
        Side::Uplink => 0,
        Side::Leg(leg) => u64::from(leg.0) + 1,
    };
    let course = side(way.from) << 48 | side(way.to) << 32 | u64::from(way.hop.to_bits());
    switch::Way { session: way.session.map(number), course }
}

fn number(of: SessionId) -> u64 {
    u64::from(of.protocol.number()) << 32 | u64::from(of.place)
}

/// The same the other way; None for what was never named.
fn repeated(of: &switch::Repeated) -> Option<gateway::Repeated> {
    let switch::Repeated { way, frames, packets, bytes, seen } = *of;
    let low = |word: u64| u32::try_from(word & 0xffff_ffff).ok();
    let side = |word: u64| match u16::try_from(word & 0xffff).ok()?.checked_sub(1) {
        None => Some(Side::Uplink),
        Some(leg) => Some(Side::Leg(LegId(leg))),
    };
    let session = |session: u64| {
        let protocol =
            Protocol::ALL.into_iter().find(|p| u64::from(p.number()) == session >> 32)?;
        Some(SessionId { protocol, place: low(session)? })
    };
    let (from, to) = (side(way.course >> 48)?, side(way.course >> 32)?);
    let hop = Ipv4Addr::from_bits(low(way.course)?);
    let way = gateway::Way { from, to, hop, session: way.session.and_then(session) };
    Some(gateway::Repeated { way, frames, packets, bytes, seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn a_way_comes_back_as_it_was_named() {
        let sides = [Side::Uplink, Side::LAN, Side::Leg(LegId(255))];
        let hop = Ipv4Addr::new(255, 0, 7, 255);
        let session = |protocol| Some(SessionId { protocol, place: u32::MAX });
        let sessions = Protocol::ALL.map(session).into_iter().chain([None]);
        for session in sessions {
            for (from, to) in sides.into_iter().flat_map(|a| sides.map(|b| (a, b))) {
                let way = gateway::Way { from, to, hop, session };
                let (frames, packets, bytes, seen) = (1, 2, 3, Timestamp::from_nanos(4));
                let told = switch::Repeated { way: named(&way), frames, packets, bytes, seen };
                let want = gateway::Repeated { way, frames, packets, bytes, seen };
                assert_eq!(repeated(&told), Some(want));
            }
        }
    }
}
