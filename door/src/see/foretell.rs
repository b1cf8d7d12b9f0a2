//! What would be decided about a frame: the switch's and the gateway's own decisions, asked beside
//! the running ones, so that nothing is learned, opened or counted.
//!
//! Pure. The switch decides by a copy of its ports over a small table of its own, into which an
//! entry is copied when it is first asked about; so learning happens there, and is told.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use gateway::{Consumed, Gateway, LegId, Note, Outcome as Fate, Probe, Side, Verdict as Sent};
use switch::core::{PortState, Withheld};
use switch::{
    Bridge, DropReason, Fdb, FdbConfig, FdbEntry, Frame, Handling, Leg, Outcome, Path, PortId,
    Verdict,
};
use wire::{Ethernet, MacAddr, Timestamp, arp};

use lab::station;

use super::asked::solicited;
use super::imagined;
use super::walk::Facts;

/// Entries of the table beside.
const ENTRIES: usize = 64;

/// The lab's decisions, asked and not made.
pub(crate) struct Oracle<'a> {
    pub(crate) bridge: Beside<'a>,
    pub(crate) gateway: Option<&'a Gateway>,
    /// The gateway's address on the bridge.
    pub(crate) mac: MacAddr,
    pub(crate) uplink: Option<PortId>,
    pub(crate) now: Timestamp,
}

/// A bridge beside another: the same ports over a table of its own, which knows of an address what
/// the other knew when it was first asked about, and learns for itself.
pub(crate) struct Beside<'a> {
    bridge: Bridge,
    original: &'a Bridge,
    /// With the port where the other had it.
    asked: Vec<(MacAddr, By, Option<PortId>)>,
}

/// Whose part of the table is asked: that of a port's untagged frames, or of a leg of the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Port(PortId),
    Leg(Leg),
}

impl By {
    fn entry(self, bridge: &Bridge, mac: MacAddr, now: Timestamp) -> Option<FdbEntry> {
        match self {
            Self::Port(port) => bridge.entry(mac, None, port, now),
            Self::Leg(leg) => bridge.entry_at(mac, leg, now),
        }
    }
}

impl<'a> Beside<'a> {
    /// One that has not been asked about anything.
    pub(crate) fn of(original: &'a Bridge) -> Self {
        let config = FdbConfig { max_entries: ENTRIES };
        let bridge = original.aside(Arc::new(Fdb::new(config)));
        let mut beside = Self { bridge, original, asked: Vec::new() };
        original.plugged().for_each(|id| beside.leave_room(id));
        beside
    }

    /// As much room at a port as there is beside what was not copied.
    fn leave_room(&mut self, id: PortId) {
        let Some(mut state) = self.original.port(id) else { return };
        let copied = self.asked.iter().filter(|(_, _, port)| *port == Some(id)).count();
        let copied = u32::try_from(copied).unwrap_or(u32::MAX);
        let others = self.original.fdb().port_len(id).saturating_sub(copied);
        state.settings.learn_limit = state.settings.learn_limit.saturating_sub(others);
        self.bridge.set_port(id, state);
    }

    /// The bridge, knowing what is known of `macs`.
    pub(crate) fn knowing(&mut self, macs: &[MacAddr], by: By, now: Timestamp) -> &mut Bridge {
        for mac in macs {
            if self.asked.iter().any(|(asked, of, _)| asked == mac && *of == by) {
                continue;
            }
            if by.entry(&self.bridge, *mac, now).is_some() {
                // Asked about by another way into the same part of the table, or learned since.
                continue;
            }
            let known = by.entry(self.original, *mac, now);
            self.asked.push((*mac, by, known.map(|entry| entry.port)));
            let Some(entry) = known else { continue };
            let FdbEntry { mac, network, vlan, port, kind, idle } = entry;
            let Some(scope) = self.bridge.fdb().scope(network, vlan) else { continue };
            let seen = Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos(idle)));
            self.bridge.fdb().adopt(mac, scope, port, kind, seen);
            self.leave_room(port);
        }
        &mut self.bridge
    }

    /// The gateway's leg among a port's frames without a tag.
    pub(crate) fn leg(&self, port: PortId) -> Option<Leg> {
        self.original.leg_among(None, port).map(|(leg, _)| leg)
    }

    /// Why a flooded frame would not leave by a port.
    pub(crate) fn withheld(
        &self,
        frame: &Frame,
        ingress: PortId,
        egress: PortId,
    ) -> Option<Withheld> {
        self.original.withheld(frame, ingress, egress)
    }

    /// A port as it is.
    pub(crate) fn port(&self, id: PortId) -> Option<PortState> {
        self.original.port(id)
    }
}

fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What is in an imagined frame.
#[derive(Clone, Copy)]
pub(crate) enum Inside<'a> {
    /// A packet.
    Packet(&'a Probe),
    /// A packet of IPv6 that carries a protocol, from the first address to the second, which reaches this
    /// leg of the gateway if it reaches the gateway at all.
    Packet6([Ipv6Addr; 2], u8, LegId),
    /// A question by ARP: who has the second address, the first asks.
    Question([Ipv4Addr; 2]),
    /// The same by neighbour discovery (RFC 4861).
    Question6([Ipv6Addr; 2]),
    /// Nothing that is read.
    Nothing,
}

impl Oracle<'_> {
    /// The facts of a frame that would come in at a port.
    pub(crate) fn ask(&mut self, frame: &Frame, ingress: PortId, inside: Inside<'_>) -> Facts {
        let probe = match inside {
            Inside::Packet(probe) => Some(probe),
            _ => None,
        };
        let now = self.now;
        let by = By::Port(ingress);
        let bridge = self.bridge.knowing(&[frame.src, frame.dst], by, now);
        let mut facts = Facts {
            ingress,
            src: frame.src,
            dst: frame.dst,
            learned: None,
            source: by.entry(bridge, frame.src, now),
            target: by.entry(bridge, frame.dst, now),
            outcome: Outcome::Flooded,
            egress: Vec::new(),
            note: None,
            new_dst: None,
            answer: None,
        };
        if Some(ingress) == self.uplink {
            let handling = self.gateway(frame, probe, &mut facts);
            facts.outcome = handling.map_or(Outcome::Dropped(DropReason::Station), Outcome::Uplink);
            return facts;
        }
        let mut path = Path::default();
        let (bytes, asked) = match inside {
            Inside::Packet(probe) => (imagined::packet(frame, probe), None),
            Inside::Nothing => (Vec::new(), None),
            Inside::Packet6(ends, protocol, _) => (imagined::packet6(frame, ends, protocol), None),
            Inside::Question(ends) => {
                let bytes = imagined::arp(frame, arp::Operation::Request, ends);
                (bytes, Some(IpAddr::V4(ends[1])))
            }
            Inside::Question6(ends @ [from, target]) => {
                let to = [from, solicited(target)];
                (imagined::discovery(frame, to, target), Some(IpAddr::V6(ends[1])))
            }
        };
        let asked = asked.and_then(|of| self.bridge.original.neighbour(of, ingress));
        // Whether the switch answers depends on where it knows who is asked for.
        let bridge = self.bridge.knowing(asked.as_slice(), by, now);
        let decision = bridge.decide_reading(frame, &bytes, ingress, now, &mut path);
        facts.answer = asked.filter(|_| !path.take_said().is_empty());
        facts.egress.extend(path.exits());
        facts.learned = Some(decision.learned);
        facts.outcome = match decision.verdict {
            Verdict::Forward(to) => Outcome::Forwarded(to),
            Verdict::Flood => Outcome::Flooded,
            Verdict::Members => Outcome::Members,
            Verdict::Drop(reason) => Outcome::Dropped(reason),
            Verdict::Local => match inside {
                Inside::Packet6(_, _, leg) => self.gateway6(frame, (&bytes, leg), &mut facts),
                _ => self.gateway(frame, probe, &mut facts),
            }
            .map_or(Outcome::Dropped(DropReason::Station), Outcome::Station),
        };
        facts
    }

    /// What the gateway would do with the packet; None where it would drop it.
    fn gateway(
        &mut self,
        frame: &Frame,
        probe: Option<&Probe>,
        facts: &mut Facts,
    ) -> Option<Handling> {
        let node = station::node(facts.ingress);
        let probe = probe?;
        let side = probe.side;
        let preview = self.gateway?.preview_from(node, probe, self.now);
        let mut note = preview.note;
        let (handling, end) = match preview.outcome {
            Fate::Dropped(reason) => (None, Sent::Drop(reason)),
            Fate::Leaves { mac: None, .. } => {
                (Some(Handling::Consumed), Sent::Consumed(Consumed::Queued))
            }
            Fate::Leaves { side: Side::Uplink, mac: Some(mac), .. } => {
                facts.new_dst = Some(mac);
                (Some(Handling::ToUplink), Sent::Uplink)
            }
            Fate::Leaves { side: Side::Leg(leg), mac: Some(mac), .. } => {
                facts.new_dst = Some(mac);
                (Some(Handling::ToBridge(station::leg(leg))), Sent::Leg(leg))
            }
            Fate::Asked => (Some(Handling::Consumed), Sent::Consumed(Consumed::Dns)),
            Fate::Host(leg) => (Some(Handling::ToHost(station::leg(leg))), Sent::Host(leg)),
            Fate::Answered => {
                facts.new_dst = Some(frame.src);
                match side {
                    Side::Leg(leg) => (Some(Handling::ToBridge(station::leg(leg))), Sent::Leg(leg)),
                    Side::Uplink => (Some(Handling::ToUplink), Sent::Uplink),
                }
            }
        };
        note.end = Some(end);
        facts.note = Some(note);
        match handling {
            Some(Handling::ToUplink) => facts.egress.extend(self.uplink.map(Facts::rewritten)),
            Some(Handling::ToBridge(leg)) => self.back(frame, leg, facts),
            Some(Handling::ToHost(leg)) => {
                let mut path = Path::default();
                self.bridge
                    .knowing(&[], By::Leg(leg), self.now)
                    .send_to_host(frame, leg, &mut path);
                facts.egress.extend(path.exits());
            }
            _ => {}
        }
        handling
    }

    /// What the gateway would do with a packet of IPv6, of which it routes none: a host that has its
    /// addresses too may take it.
    fn gateway6(
        &mut self,
        frame: &Frame,
        (bytes, leg): (&[u8], LegId),
        facts: &mut Facts,
    ) -> Option<Handling> {
        let outcome = self.gateway?.preview_ipv6(leg, &Ethernet::parse(bytes)?);
        let end = outcome.unwrap_or_else(Sent::Drop);
        facts.note = Some(Note { end: Some(end), ..Note::default() });
        let Sent::Host(leg) = end else { return None };
        let leg = station::leg(leg);
        let mut path = Path::default();
        self.bridge.knowing(&[], By::Leg(leg), self.now).send_to_host(frame, leg, &mut path);
        facts.egress.extend(path.exits());
        Some(Handling::ToHost(leg))
    }

    /// Where a frame of the gateway's would go on the bridge.
    fn back(&mut self, frame: &Frame, leg: Leg, facts: &mut Facts) {
        let dst = facts.new_dst.unwrap_or(frame.dst);
        let after = Frame::new(dst, self.mac, None, frame.packet_len);
        let bridge = self.bridge.knowing(&[dst], By::Leg(leg), self.now);
        facts.target = bridge.entry_at(dst, leg, self.now);
        let mut path = Path::default();
        bridge.send(&after, leg, self.now, &mut path);
        facts.egress.extend(path.exits());
    }
}
