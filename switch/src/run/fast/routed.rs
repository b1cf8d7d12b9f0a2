//! What the station sends on: told to it when it asks, taken back when it says so.
//!
//! Called with the station's lock held, before which the book's is never taken.

use std::sync::Weak;

use bpf::{Ends, Retag, Route};
use wire::{MacAddr, Timestamp, VlanId};

use super::FastPath;
use super::flow::{Decided, Routed};
use super::scribe::{Forwarded, Scribe, early};
use crate::core::{Bridge, Exit, Frame, Learned, Leg, Path, PortId, Tagging, Verdict};
use crate::run::link::Link;
use crate::run::outbox::Place;
use crate::run::worker::{Worker, now};
use crate::station::{Answer, Handling, Opens, Repeat, Repeated};

/// A frame that the station has sent on, as the worker knows it.
pub(in crate::run) struct SentOn<'a> {
    /// As it came, with no exits.
    pub(in crate::run) came: Forwarded<'a>,
    pub(in crate::run) repeat: Repeat,
    /// Its hardware addresses now: to whom, from whom.
    pub(in crate::run) link: [MacAddr; 2],
    pub(in crate::run) exit: Exit,
    /// The leg it left to, or the host by it; None by the uplink.
    pub(in crate::run) leg: Option<Leg>,
    /// Its VLAN there.
    pub(in crate::run) vlan: Option<VlanId>,
}

impl FastPath {
    /// Nothing that was decided before holds any more.
    pub fn stir(&self) {
        self.table.advance();
    }

    /// Which decisions hold: another number after each change.
    #[must_use]
    pub fn generation(&self) -> bpf::Generation {
        self.table.generation()
    }

    /// Waits until nothing is under way that was decided by what holds no more.
    pub fn wait(&self) {
        self.grace();
    }

    /// A session of the station's has ended or changed, or all have. What is known of their packets;
    /// what is still under way counts for no session.
    #[must_use]
    pub fn over(&self, session: Option<u64>) -> Vec<Repeated> {
        let Some(fdb) = self.fdb.get().and_then(Weak::upgrade) else { return Vec::new() };
        self.book().over((&self.table, &fdb), session)
    }

    /// What was sent on without the station since it was told last.
    #[must_use]
    pub fn take(&self) -> Vec<Repeated> {
        let Some(fdb) = self.fdb.get().and_then(Weak::upgrade) else { return Vec::new() };
        let mut book = self.book();
        let now = now();
        if book.is_due(now) {
            book.fold(&self.table, &fdb, now);
        }
        book.take()
    }

    /// What the packets of sessions were since it was asked last; their frames are taken by
    /// [`FastPath::take`].
    #[must_use]
    pub fn sessions(&self) -> Vec<Repeated> {
        let Some(fdb) = self.fdb.get().and_then(Weak::upgrade) else { return Vec::new() };
        let mut book = self.book();
        book.fold(&self.table, &fdb, now());
        book.sessions()
    }
}

impl<L: Link> Worker<L> {
    /// Has it written down how the station sent a frame on.
    pub(in crate::run) fn sent_on(
        &mut self,
        place: Place,
        came: Forwarded<'_>,
        (how, repeat): (Handling, Repeat),
        now: Timestamp,
    ) {
        if !matches!(came.learned, Learned::Known | Learned::New | Learned::Off) {
            return;
        }
        let (exit, leg, vlan) = match (how, self.path.exits(), self.ports.uplink()) {
            (Handling::ToUplink, _, Some(port)) => {
                (Exit { port, tagging: Tagging::Pop }, None, None)
            }
            (Handling::ToBridge(leg) | Handling::ToHost(leg), [exit], _) => {
                (*exit, Some(leg), self.path.vlan())
            }
            _ => return,
        };
        let Some(after) = self.header_after(place, came.frame) else { return };
        let link = [after.dst, after.src];
        let of = SentOn { came, repeat, link, exit, leg, vlan };
        self.scribe.sent_on(&of, &self.bridge, now);
    }
}

impl Scribe {
    /// The station has sent a frame on in a way that may be repeated.
    pub(in crate::run) fn sent_on(&mut self, of: &SentOn<'_>, bridge: &Bridge, now: Timestamp) {
        let (Some(fast), Some(generation)) = (&self.fast, self.generation) else { return };
        let Forwarded { frame, ingress, ifindex, learned, .. } = of.came;
        let known = fast.table.find(&super::scribe::key(frame, Some(of.repeat.came), ifindex));
        let holds = |id| fast.table.holds(id, now) && !fast.table.awaits(id);
        if known.is_some_and(holds) || of.exit.port == ingress {
            return;
        }
        let Some(decided) = decide(of, bridge, (ingress, learned), frame) else { return };
        let decided = Decided { generation, ..decided };
        match of.repeat.opening {
            Some(Opens::Asks) => {
                let answer = of.repeat.answer.and_then(|answer| answered(of, answer, bridge, now));
                let answer = answer.map(|answer| Decided { generation, ..answer });
                if !answer.is_some_and(|answer| fast.put_both(&answer, &decided, now)) {
                    return self.pending.put(&of.repeat.leaves, decided);
                }
                return self.wake_later(now);
            }
            Some(Opens::Answers) => {
                let session = |of: &Decided<'_>| of.routed.and_then(|routed| routed.way.session);
                let same = |asked: &Decided<'_>| {
                    asked.generation == generation && session(asked) == session(&decided)
                };
                let Some(asked) = self.pending.take(&of.repeat.came).filter(same) else { return };
                let _ = fast.put_first(&asked, now);
            }
            // It goes on without one: an answer that comes yet is a late one.
            None => self.pending.forget(&of.repeat.leaves),
        }
        fast.put(&decided, now);
        self.wake_later(now);
    }
}

/// What the kernel is to repeat; None where a port or an address asks for more than that. Of a frame
/// from or to the bridge the ports' settings say so, as between two ports.
fn decide(
    of: &SentOn<'_>,
    bridge: &Bridge,
    (ingress, learned): (PortId, Learned),
    frame: &Frame,
) -> Option<Decided<'static>> {
    let Repeat { came, leaves, atomic, kept, mtu, until, way, opening: _, answer: _ } = of.repeat;
    let tag = frame.tag();
    let from = bridge.port(ingress);
    let settings = from.as_ref().map(|port| &port.settings);
    let (mut mtu, mut until, mut push) = (mtu, early(until), None);
    let [next, own] = of.link;
    if let Some(leg) = of.leg {
        let to = bridge.port(of.exit.port)?;
        if !super::scribe::may_repeat(settings, Some(&to.settings)) {
            return None;
        }
        // The station's own address, which the host has too, is in no table.
        if !kept {
            until = until.min(early(bridge.fdb().known_until(next, bridge.scope_at(leg)?)?));
        }
        mtu = mtu.min(to.mtu);
        [push, _] = of.exit.tagging.tags(None);
    } else if !super::scribe::may_repeat(settings, None) {
        return None;
    }
    let scope = match from {
        Some(_) => Some(bridge.scope(tag, ingress)?),
        None => None,
    };
    let came_in = from.map(|_| bridge.vlan(tag, ingress)).filter(|vlan| *vlan != VlanId::NONE);
    // To the host it goes with what the station was given it with.
    if kept && bridge.tag_given(tag, ingress).is_some() {
        return None;
    }
    let Ends { src, dst, .. } = leaves;
    let route = Route { src, dst, next, own, atomic, kept, answers: false };
    Some(Decided {
        dst: frame.dst,
        src: frame.src,
        tag,
        ingress,
        egress: of.exit.port,
        flood: &[],
        retag: Retag { pop: tag.is_some(), push },
        mtu,
        until,
        // One of the ends.
        source: None,
        scope: scope.filter(|_| learned != Learned::Off),
        vlans: [came_in, of.vlan],
        legs: [super::scribe::counted(bridge, tag, ingress), of.leg.zip(of.vlan)],
        routed: Some(Routed { ends: came, route, way }),
        awaits: None,
        ignored: None,
        generation: bpf::Generation::NEVER,
    })
}

/// The same of the answer to a packet that asks: as if it had come, from where that has gone.
fn answered(
    of: &SentOn<'_>,
    answer: Answer,
    bridge: &Bridge,
    now: Timestamp,
) -> Option<Decided<'static>> {
    let Answer { leg, mtu, until, way } = answer;
    let SentOn { came: Forwarded { frame: asked, ingress: client, .. }, repeat, .. } = of;
    let ([server, own], ingress) = (of.link, of.exit.port);
    let reverse = |ends: Ends| Ends { src: ends.dst, dst: ends.src, ..ends };
    let (came, leaves) = (reverse(repeat.leaves), reverse(repeat.came));
    let [tag, _] = of.exit.tagging.tags(None);
    let frame = Frame::new(own, server, tag.filter(|_| of.leg.is_some()), asked.packet_len);
    let mut path = Path::default();
    let (exit, learned) = match leg {
        Some(leg) => {
            let after = Frame::new(asked.src, asked.dst, None, asked.packet_len);
            let Verdict::Forward(_) = bridge.send(&after, leg, now, &mut path) else { return None };
            let [exit] = *path.exits() else { return None };
            (exit, Learned::Off)
        }
        None => {
            let from = bridge.port(ingress)?;
            // Nobody looks at the frame itself.
            let guarded = from.sources.as_ref();
            if guarded.is_some_and(|guard| !guard.has(server, *came.src.ip())) {
                return None;
            }
            let exit = Exit { port: *client, tagging: Tagging::Pop };
            (exit, if from.settings.learning { Learned::Known } else { Learned::Off })
        }
    };
    let back = SentOn {
        came: Forwarded { frame: &frame, ingress, ifindex: 0, learned, exits: &[] },
        repeat: Repeat {
            came,
            leaves,
            // What may be cut is numbered anew on its way out.
            atomic: leg.is_none(),
            mtu,
            until,
            opening: None,
            answer: None,
            way,
            ..*repeat
        },
        link: [asked.src, asked.dst],
        exit,
        leg,
        vlan: path.vlan(),
    };
    let decided = decide(&back, bridge, (ingress, learned), &frame)?;
    let routed = decided.routed?;
    let route = Route { answers: true, ..routed.route };
    Some(Decided { routed: Some(Routed { route, ..routed }), ..decided })
}

/// The ends of a packet that may have a route, in a frame's bytes.
pub(super) fn ends(bytes: &[u8]) -> Option<Ends> {
    use std::net::SocketAddrV4;
    use wire::ipv4::protocol::{ICMP, TCP, UDP};
    let ethernet = wire::Ethernet::parse(bytes)?;
    if ethernet.ethertype() != wire::ethertype::IPV4 {
        return None;
    }
    let ip = wire::Ipv4::parse(ethernet.payload()).ok()?;
    if ip.more_fragments() || ip.fragment_offset() > 0 {
        return None;
    }
    let [src, dst] = match (ip.protocol(), ip.payload()) {
        (TCP | UDP, &[a, b, c, d, ..]) => [[a, b], [c, d]],
        (ICMP, &[wire::icmp::ECHO_REQUEST, _, _, _, a, b, ..]) => [[a, b], [0, 0]],
        (ICMP, &[wire::icmp::ECHO_REPLY, _, _, _, a, b, ..]) => [[0, 0], [a, b]],
        _ => return None,
    }
    .map(u16::from_be_bytes);
    let (src, dst) = (SocketAddrV4::new(ip.src(), src), SocketAddrV4::new(ip.dst(), dst));
    Some(Ends { protocol: ip.protocol(), src, dst })
}
