//! What others may do by themselves to packets like one that was just sent on, and what they have
//! done so far.
//!
//! The gateway decides; somebody who sees the same packets before it ([`Repeater`]) may repeat that
//! for as long as nothing changes that the decision looks at. It says so beside the verdict
//! ([`crate::Gateway::repeats`]), takes it back by [`Repeater::changed`] and [`Repeater::over`], and
//! fetches what has been done before anything looks at a session, a neighbour or a counter
//! ([`crate::Gateway::catch_up`]). What opens a session, or is answered by the gateway itself, is never
//! repeated; nor are RSTs, which may be forged. A FIN is, and is told: most of what a short connection
//! consists of comes between its SYN and its last acknowledgement. So is the answer to a SYN, where its
//! server has answered others a short time ago ([`Answer`]). Of other packets only what comes often is
//! worth it ([`crate::often`]).

use std::fmt::Debug;
use std::net::Ipv4Addr;

use wire::{Ethernet, Timestamp, ethertype};

use crate::course::Course;
use crate::gateway::Gateway;
use crate::leg::LegId;
use crate::nat::session::{Session, State};
use crate::packet::{Endpoint, Packet, Protocol, Transport};
use crate::passage::Arrival;
use crate::route::Route;
use crate::verdict::{DropReason, Side, Verdict};

/// A session of the NAT, while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its place in the table.
    pub place: u32,
}

/// The way that repeated packets go: what they count for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Where they come in.
    pub from: Side,
    /// Where they leave.
    pub to: Side,
    /// The next hop there.
    pub hop: Ipv4Addr,
    /// The session they are of; None for what is not translated, and once it has ended.
    pub session: Option<SessionId>,
}

/// What is to be done with packets like the last one: of the same protocol and ends, and from the
/// same node. Their time to live becomes one less; the frame's hardware addresses are those the last
/// one left with. What is for a kernel beside the gateway goes there as it came, all segments of TCP
/// alike. Else not repeated are fragments, packets with options, those that are not to go on (time to
/// live), and TCP segments with SYN or RST, or without ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// TCP, UDP, or ICMP: echoes and replies alone.
    pub protocol: Protocol,
    /// Source and destination as they come. An echo's identifier stands for the port of whoever
    /// asked; the other has 0. Of TCP that is kept port 0 stands for all, but for questions to the resolver.
    pub came: [Endpoint; 2],
    /// The same as they leave.
    pub leaves: [Endpoint; 2],
    /// Only what may not be cut (Don't Fragment): the identification of others becomes another.
    pub atomic: bool,
    /// They go on as they came ([`Verdict::Host`]).
    pub kept: bool,
    /// What is larger is not repeated, in bytes.
    pub mtu: usize,
    /// It holds until then, unless it is taken back before.
    pub until: Timestamp,
    /// Of a packet that opens a connection: which.
    pub opening: Option<Opens>,
    /// Of a SYN to who is thought to answer: what is to be done with the answer.
    pub answer: Option<Answer>,
    /// What they count for.
    pub way: Way,
}

/// What is to be done with the answer to a SYN, and with what follows it: its ends, as they come and as
/// they leave, are the reverse of the SYN's, and its hardware addresses are. It goes first, and once;
/// what comes before it in either direction, and a second one, are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is larger is not repeated, in bytes.
    pub mtu: usize,
    /// It holds until then, unless it is taken back before.
    pub until: Timestamp,
    /// What it counts for.
    pub way: Way,
}

/// A segment that opens a connection. What was decided of it holds for the next ones of its direction once
/// both are there, and only then: whoever knocks, or answers what nobody has asked, sends no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A SYN.
    Asks,
    /// The answer to one.
    Answers,
}

/// What has been repeated since it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Which way.
    pub way: Way,
    /// Frames.
    pub frames: u64,
    /// Packets they stand for, the answer not among them.
    pub packets: u64,
    /// Bytes of these, IP headers included.
    pub bytes: u64,
    /// When the last one came.
    pub seen: Timestamp,
    /// When the first one came that has FIN.
    pub ended: Option<Timestamp>,
    /// The answer to the SYN was one of them ([`Repeat::answer`]).
    pub answered: bool,
}

/// Frames to groups, shown to nobody here, that would all have been refused ([`ignores`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Where they came in.
    pub from: Side,
    /// What they would have been refused for.
    pub reason: DropReason,
    /// How many since it was asked last.
    pub frames: u64,
}

/// Whether each frame of the same EtherType to any group is refused as one was: its addresses alone
/// said so, or that the gateway speaks no such protocol.
#[must_use]
pub fn ignores(ethernet: &Ethernet<'_>, verdict: Verdict) -> Option<DropReason> {
    let Verdict::Drop(reason) = verdict else { return None };
    let alike = match ethernet.ethertype() {
        ethertype::ARP | ethertype::IPV6 | ethertype::VLAN | ethertype::QINQ => false,
        ethertype::IPV4 => reason == DropReason::NotForMe,
        _ => reason == DropReason::NotIpv4,
    };
    (alike && ethernet.dst().is_group() && !ethernet.src().is_group()).then_some(reason)
}

/// Who repeats.
pub trait Repeater: Debug + Send {
    /// Nothing that was said before holds any more.
    fn changed(&mut self);
    /// A session ends or changes, or all do: what was said of it holds no more. Says what its packets
    /// were since it was asked last, which [`Repeater::take`] does not say again; their frames it
    /// does, without the session.
    fn over(&mut self, session: Option<SessionId>) -> Vec<Repeated>;
    /// What was done since it was asked last.
    fn take(&mut self) -> Vec<Repeated>;
    /// What the packets of sessions were since it was asked last: their frames [`Repeater::take`] says.
    fn sessions(&mut self) -> Vec<Repeated>;
    /// What was refused without asking, as it was when [`Repeater::take`] was asked.
    fn ignored(&mut self) -> Vec<Ignored> {
        Vec::new()
    }
}

impl Gateway {
    /// Has what it decides repeated from now on.
    pub fn repeat_by(&mut self, repeater: Box<dyn Repeater>) {
        self.nat.repeater = Some(repeater);
    }

    /// Whether the packet it was given last was sent on in a way that may be repeated, and how.
    #[must_use]
    pub fn repeats(&self) -> Option<&Repeat> {
        self.repeat.as_ref()
    }

    /// Counts what has been repeated: to be called before anything is looked at.
    pub fn catch_up(&mut self) {
        let Some(repeater) = &mut self.nat.repeater else { return };
        let told = repeater.take();
        for Repeated { way, frames, seen, .. } in &told {
            self.links.link_mut(way.from).counters.entered += frames;
            let to = self.links.link_mut(way.to);
            to.counters.left += frames;
            to.neighbours.was_used(way.hop, *seen);
        }
        self.nat.repeated(&told);
        let ignored = self.nat.repeater.as_mut().map(|by| by.ignored()).unwrap_or_default();
        for Ignored { from, reason, frames } in ignored {
            self.links.ignored(from, reason, frames);
        }
    }

    /// Something has changed that decisions look at.
    pub(crate) fn stir(&mut self) {
        self.links.stirred = false;
        if let Some(repeater) = &mut self.nat.repeater {
            repeater.changed();
        }
    }

    /// How the packet of an arrival that was sent on, and is now `after`, may be repeated.
    pub(crate) fn repeatable(
        &mut self,
        course: Course,
        (before, after): (&Arrival, &Packet),
        verdict: Verdict,
        now: Timestamp,
    ) -> Option<Repeat> {
        let packet = &before.packet;
        let plain = packet.header_len == wire::ipv4::HEADER_LEN && !packet.is_fragment();
        if !plain {
            return None;
        }
        let ((protocol, src, dst), (_, new_src, new_dst)) = (packet.flow()?, after.flow()?);
        if let (Course::Host(leg), Protocol::Tcp) = (course, protocol) {
            return self.all_for_host(before, [src, dst], leg);
        }
        let mut opening = None;
        match packet.transport {
            Transport::Tcp(_, _, flags) if flags.fin() || flags.rst() => return None,
            Transport::Tcp(_, _, flags) if flags.syn() => {
                opening = Some(if flags.ack() { Opens::Answers } else { Opens::Asks });
                // More is to come, at once where the other one of the two was seen as well.
                if flags.ack() {
                    self.often.answers(src, now);
                    self.often.expect(protocol, src, dst);
                    self.often.expect(protocol, new_dst, new_src);
                }
            }
            Transport::Tcp(_, _, flags) if !flags.ack() => return None,
            _ if !self.often.again(protocol, src, dst) => return None,
            _ => {}
        }
        let realm = self.nat.realm(protocol);
        let (hop, session, atomic) = match course {
            Course::Out { hop, .. } => (hop, Some(realm.known_out(src, dst, now)?), true),
            Course::Back { session, .. } => (new_dst.address, Some(session), false),
            Course::Open { .. } if opening == Some(Opens::Asks) => {
                (new_dst.address, Some(realm.known_in(dst.port, src, now)?), false)
            }
            Course::Straight { hop, detour: false, .. } => (hop, None, false),
            Course::Host(_) => (dst.address, None, false),
            _ => return None,
        };
        let kept = matches!(course, Course::Host(_));
        let (from, to) = match verdict {
            Verdict::Host(leg) => (before.side, Side::Leg(leg)),
            other => (before.side, other.side()?),
        };
        let lasts = match session {
            Some(id) if opening != Some(Opens::Asks) && !realm.is_steady(id, atomic) => {
                return None;
            }
            Some(id) => realm.table.get(id).expires,
            None => Timestamp::from_nanos(u64::MAX),
        };
        // The kernel is no neighbour.
        let known = match kept {
            true => Timestamp::from_nanos(u64::MAX),
            false => self.links.link_mut(to).neighbours.known_until(hop)?,
        };
        let session = session.map(|place| SessionId { protocol, place });
        let way = Way { from, to, hop, session };
        let answer = match opening {
            Some(Opens::Asks) => self.answer(course, before, (way, new_dst), now),
            _ => None,
        };
        if let Some(session) = session.filter(|_| opening != Some(Opens::Asks) || answer.is_some())
        {
            self.nat.give(session);
        }
        Some(Repeat {
            protocol,
            came: [src, dst],
            leaves: [new_src, new_dst],
            atomic,
            kept,
            mtu: self.links.mtu(to),
            until: known.min(lasts),
            opening,
            answer,
            way,
        })
    }

    /// What is to be done with the answer to a SYN that was sent on to a server, where one is to come.
    fn answer(
        &mut self,
        course: Course,
        before: &Arrival,
        (way, server): (Way, Endpoint),
        now: Timestamp,
    ) -> Option<Answer> {
        let (_, client, asked) = before.packet.flow()?;
        let SessionId { protocol, place } = way.session?;
        let &Session { state, expires, .. } = self.nat.realm(protocol).table.get(place);
        if !self.often.is_answering(server, now) {
            return None;
        }
        // What is asked of a packet that comes the other way.
        let (from, to) = (way.to, before.side);
        let hop = match (course, state) {
            (Course::Out { own, .. }, State::SynOut) => {
                self.check_arrival(server.address, own).ok()?;
                (self.side_of(client.address).ok()? == to).then_some(client.address)?
            }
            (Course::Open { to: Side::Leg(leg) }, State::SynIn) => {
                let outside = self.links.uplink_address()? == asked.address;
                let sound = self.links.routes.is_source(leg, server.address);
                match self.links.routes.to(client.address) {
                    Route::Via(Side::Uplink, hop) if outside && sound => hop,
                    _ => return None,
                }
            }
            _ => return None,
        };
        let neighbours = &mut self.links.link_mut(to).neighbours;
        if !neighbours.is_at(hop, before.from) {
            return None;
        }
        let until = neighbours.known_until(hop)?.min(expires);
        Some(Answer { mtu: self.links.mtu(to), until, way: Way { from, to, hop, ..way } })
    }

    /// TCP between a host and a kernel beside the gateway: nothing here begins or ends with any of its
    /// connections, so that what holds for one segment does for all.
    fn all_for_host(
        &mut self,
        before: &Arrival,
        [src, dst]: [Endpoint; 2],
        leg: LegId,
    ) -> Option<Repeat> {
        let any = [src, dst].map(|end| Endpoint::new(end.address, 0));
        let (from, to, never) = (before.side, Side::Leg(leg), Timestamp::from_nanos(u64::MAX));
        self.often.again(Protocol::Tcp, any[0], any[1]).then(|| Repeat {
            protocol: Protocol::Tcp,
            came: any,
            leaves: any,
            atomic: false,
            kept: true,
            mtu: self.links.mtu(to),
            until: never,
            opening: None,
            answer: None,
            way: Way { from, to, hop: dst.address, session: None },
        })
    }
}
