//! What the gateway decides, repeated by the kernel: the switch's words and the gateway's, for the two
//! do not know each other.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use gateway::{DropReason, Endpoint, Ignored, LegId, Protocol, Repeater, SessionId, Side};
use switch::{Ends, FastPath};

/// Where packets leave that the gateway does not want: no leg has so high a number.
const NOWHERE: u64 = 0xffff;

/// The kernel, as the gateway sees it.
#[derive(Debug)]
pub(crate) struct Kernel {
    fast: Arc<FastPath>,
    /// What was refused without asking, and is not told yet.
    ignored: Vec<Ignored>,
}

impl Kernel {
    pub(crate) fn new(fast: Arc<FastPath>) -> Self {
        Self { fast, ignored: Vec::new() }
    }
}

impl Repeater for Kernel {
    fn changed(&mut self) {
        self.fast.stir();
    }

    fn over(&mut self, session: Option<SessionId>) -> Vec<gateway::Repeated> {
        self.fast.over(session.map(number)).iter().filter_map(repeated).collect()
    }

    fn take(&mut self) -> Vec<gateway::Repeated> {
        let all = self.fast.take();
        self.ignored.extend(all.iter().filter_map(refused));
        self.ignored.extend(all.iter().filter_map(misplaced));
        all.iter().filter_map(repeated).collect()
    }

    fn sessions(&mut self) -> Vec<gateway::Repeated> {
        self.fast.sessions().iter().filter_map(repeated).collect()
    }

    fn ignored(&mut self) -> Vec<Ignored> {
        std::mem::take(&mut self.ignored)
    }
}

/// A decision of the gateway's, for the switch.
pub(crate) fn repeat(of: &gateway::Repeat) -> switch::Repeat {
    let gateway::Repeat { protocol, came, leaves, atomic, kept, mtu, until, opening, answer, way } =
        *of;
    let ends = |[src, dst]: [Endpoint; 2]| {
        let end = |end: Endpoint| SocketAddrV4::new(end.address, end.port);
        let ends = Ends { protocol: protocol.number(), src: end(src), dst: end(dst) };
        // Nothing of TCP that is kept is told apart by its ports.
        if kept && protocol == Protocol::Tcp { ends.all_tcp() } else { ends }
    };
    switch::Repeat {
        came: ends(came),
        leaves: ends(leaves),
        atomic,
        kept,
        mtu: u32::try_from(mtu).unwrap_or(u32::MAX),
        until,
        opening: opening.map(opens),
        answer: answer.map(answers),
        way: named(&way),
    }
}

fn opens(of: gateway::Opens) -> switch::Opens {
    match of {
        gateway::Opens::Asks => switch::Opens::Asks,
        gateway::Opens::Answers => switch::Opens::Answers,
    }
}

fn answers(of: gateway::Answer) -> switch::Answer {
    let gateway::Answer { mtu, until, way } = of;
    let leg = match way.to {
        Side::Leg(leg) => Some(switch::Leg(leg.0)),
        Side::Uplink => None,
    };
    let mtu = u32::try_from(mtu).unwrap_or(u32::MAX);
    switch::Answer { leg, mtu, until, way: named(&way) }
}

/// The next hop, and above it where packets come in and leave.
fn named(way: &gateway::Way) -> switch::Way {
    let course = side(way.from) << 48 | side(way.to) << 32 | u64::from(way.hop.to_bits());
    switch::Way { session: way.session.map(number), course }
}

/// The way of frames that come in somewhere and are refused.
pub(crate) fn ignored(from: Side, reason: DropReason) -> switch::Way {
    let course = side(from) << 48 | NOWHERE << 32 | reason.index() as u64;
    switch::Way { session: None, course }
}

/// The same the other way; None for what was sent on.
fn refused(of: &switch::Repeated) -> Option<Ignored> {
    let course = of.way.course;
    if course >> 32 & 0xffff != NOWHERE {
        return None;
    }
    let reason = *DropReason::ALL.get(usize::try_from(course & 0xffff_ffff).ok()?)?;
    Some(Ignored { from: side_of(course >> 48)?, reason, frames: of.frames })
}

/// What no kernel may send on as it is.
fn misplaced(of: &switch::Repeated) -> Option<Ignored> {
    let from = side_of(of.way.course >> 48).filter(|_| of.misplaced > 0)?;
    Some(Ignored { from, reason: DropReason::BadOffload, frames: of.misplaced })
}

fn side(side: Side) -> u64 {
    match side {
        Side::Uplink => 0,
        Side::Leg(leg) => u64::from(leg.0) + 1,
    }
}

fn side_of(word: u64) -> Option<Side> {
    match u16::try_from(word & 0xffff).ok()?.checked_sub(1) {
        None => Some(Side::Uplink),
        Some(leg) => Some(Side::Leg(LegId(leg))),
    }
}

fn number(of: SessionId) -> u64 {
    u64::from(of.protocol.number()) << 32 | u64::from(of.place)
}

/// What was sent on; None for what was never named so.
fn repeated(of: &switch::Repeated) -> Option<gateway::Repeated> {
    if of.way.course >> 32 & 0xffff == NOWHERE {
        return None;
    }
    let switch::Repeated { way, frames, packets, bytes, seen, ended, answered, .. } = *of;
    let low = |word: u64| u32::try_from(word & 0xffff_ffff).ok();
    let session = |session: u64| {
        let protocol =
            Protocol::ALL.into_iter().find(|p| u64::from(p.number()) == session >> 32)?;
        Some(SessionId { protocol, place: low(session)? })
    };
    let (from, to) = (side_of(way.course >> 48)?, side_of(way.course >> 32)?);
    let hop = Ipv4Addr::from_bits(low(way.course)?);
    let way = gateway::Way { from, to, hop, session: way.session.and_then(session) };
    Some(gateway::Repeated { way, frames, packets, bytes, seen, ended, answered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn what_is_ignored_comes_back_as_it_was_named_and_as_nothing_else() {
        for reason in DropReason::ALL {
            let (from, way) = (Side::Leg(LegId(255)), ignored(Side::Leg(LegId(255)), *reason));
            let (packets, bytes, seen) = (3, 4, Timestamp::from_nanos(5));
            let told = switch::Repeated {
                way,
                frames: 2,
                packets,
                bytes,
                seen,
                ended: None,
                answered: false,
                misplaced: 0,
            };
            assert_eq!(refused(&told), Some(Ignored { from, reason: *reason, frames: 2 }));
            assert_eq!(repeated(&told), None);
        }
    }

    #[test]
    fn a_way_comes_back_as_it_was_named() {
        let sides = [Side::Uplink, Side::LAN, Side::Leg(LegId(255))];
        let hop = Ipv4Addr::new(255, 0, 7, 255);
        let session = |protocol| Some(SessionId { protocol, place: u32::MAX });
        let sessions = Protocol::ALL.map(session).into_iter().chain([None]);
        for session in sessions {
            for (from, to) in sides.into_iter().flat_map(|a| sides.map(|b| (a, b))) {
                let way = gateway::Way { from, to, hop, session };
                let [seen, ended] = [4, 5].map(Timestamp::from_nanos);
                let (frames, packets, bytes, ended, answered) = (1, 2, 3, Some(ended), true);
                let way_of = named(&way);
                let told = switch::Repeated {
                    way: way_of,
                    frames,
                    packets,
                    bytes,
                    seen,
                    ended,
                    answered,
                    misplaced: 0,
                };
                let want = gateway::Repeated { way, frames, packets, bytes, seen, ended, answered };
                assert_eq!((repeated(&told), refused(&told)), (Some(want), None));
            }
        }
    }
}
