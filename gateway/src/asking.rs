//! Packets to port 53 of the gateway's own addresses: they are the resolver's of names, which stands
//! behind the [`crate::Output`]. Here is which packets those are, and how many of them a node may
//! send: a query costs a worker several times what a frame costs, and all nodes share the worker.
//!
//! Called by [`crate::course`] and [`crate::paths`]. What is more than a node's share is dropped and
//! counted (`dns-limit`), without a word: resolvers ask again.

use wire::offload::{self, Completion};
use wire::{MacAddr, Timestamp};

use crate::course::{Course, Refusal};
use crate::gateway::Gateway;
use crate::leg::LegId;
use crate::node::Node;
use crate::packet::{L3, Packet, Transport};
use crate::passage::{Arrival, Passage};
use crate::verdict::{Consumed, DropReason, Side, Verdict};

/// The port names are asked at.
const PORT: u16 = 53;

/// Who asks for a name, and how frames go back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The leg the packet came by.
    pub leg: LegId,
    /// The node it came from.
    pub node: Node,
    /// The station that sent it.
    pub station: MacAddr,
    /// The gateway's own hardware address there.
    pub own: MacAddr,
    /// Largest IP packet there, in bytes.
    pub mtu: usize,
}

/// What the resolver has made of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It knows the name, and has answered.
    Answered,
    /// It has answered that there is no such name.
    Denied,
    /// It has refused the question, or not understood it, and has said so.
    Refused,
    /// It asks others, and answers when they have.
    Forwarded,
    /// It asks others already: the same query was sent before.
    Repeated,
    /// Too many queries wait for others: it has answered that it failed.
    Crowded,
    /// A segment of a connection; queries in it are answered there.
    Segment,
    /// No query.
    Unread,
}

impl Asked {
    /// A sentence for `trace`.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Answered => "the lab's resolver knows the name, and answers",
            Self::Denied => "the lab's resolver answers that there is no such name (NXDOMAIN)",
            Self::Refused => "the lab's resolver refuses the question, and says so",
            Self::Forwarded => "the lab does not know the name: the host's resolvers are asked",
            Self::Repeated => "asked before: the host's resolvers have yet to answer",
            Self::Crowded => {
                "too many queries wait for the host's resolvers: answered with SERVFAIL"
            }
            Self::Segment => "a segment of a connection with the lab's resolver",
            Self::Unread => "no query that the lab's resolver could read",
        }
    }
}

impl Gateway {
    /// From now on packets to port 53 of the legs' addresses are given to [`crate::Output::ask`].
    pub fn serve_names(&mut self) {
        self.names = true;
    }

    /// Whether a packet to the gateway itself asks for a name. One in fragments does not: a
    /// question is short.
    #[inline]
    pub(crate) fn asks(&self, packet: &Packet) -> bool {
        let port = match packet.transport {
            Transport::Tcp(_, to, _) | Transport::Udp(_, to) => to,
            _ => return false,
        };
        self.names && port == PORT && !packet.is_fragment()
    }

    /// To the resolver, where its node has not had its share.
    #[inline(never)]
    pub(crate) fn plan_ask(&self, a: &Arrival, now: Timestamp) -> Result<Course, Refusal> {
        match self.queries.has_room(a.node, now) {
            true => Ok(Course::Ask),
            false => Err(DropReason::DnsLimit.into()),
        }
    }

    /// Gives a packet to the resolver, which looks at whole checksums.
    #[inline(never)]
    pub(crate) fn ask(&mut self, p: &mut Passage<'_, '_>) -> Result<Verdict, DropReason> {
        let Arrival { side, node, from: station, packet, .. } = p.arrival;
        let Side::Leg(leg) = side else { return Err(DropReason::NoService) };
        self.queries.take(node, p.now);
        let (mut vnet, end) = (packet.vnet, packet.end());
        if offload::complete_checksum(&mut vnet, p.frame.bytes, end) == Completion::OutOfBounds {
            return Err(DropReason::BadOffload);
        }
        let (own, mtu) = (self.links.mac(side), self.links.mtu(side));
        let asker = Asker { leg, node, station, own, mtu };
        let asked = p.out.ask(asker, &p.frame.bytes[L3..end], p.now);
        self.notes.asked(asked);
        match asked {
            Asked::Unread => Err(DropReason::NoQuery),
            _ => Ok(Verdict::Consumed(Consumed::Dns)),
        }
    }
}
