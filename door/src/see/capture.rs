//! A capture: frames as they pass, as pcapng, until it is ended.
//!
//! On the watcher's thread. An interface block a port, written when the port is first needed; the
//! frame as it came in, said to what end, and as it left, said from where; statistics with what
//! was lost at the end.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use control::api::CaptureAsk;
use observe::pcapng::{Direction, InterfaceId, Packet, Statistics, Writer};
use observe::segment::segment;
use switch::{DropReason, PortId, PortStats};
use wire::{VlanTag, ethernet};

use super::names::Names;
use super::recorder::{Sighting, wall_clock};
use super::run::{Progress, Sink};
use super::trace;

/// Turns sightings into blocks.
pub(crate) struct Capture {
    writer: Writer,
    interfaces: BTreeMap<PortId, Interface>,
    segment: bool,
    snap: usize,
    /// None is all ports.
    selected: Option<Vec<PortId>>,
    start: u64,
    /// What the ports had counted then.
    before: BTreeMap<PortId, PortStats>,
}

struct Interface {
    id: InterfaceId,
    name: String,
    delivered: u64,
}

/// One place where a frame was seen.
struct Place<'a> {
    port: PortId,
    time: u64,
    direction: Direction,
    bytes: &'a [u8],
    length: usize,
    vlan: Option<VlanTag>,
    comment: &'a str,
}

impl Capture {
    /// Begins with the blocks of the ports there are now, or of those `selected`; `before` is what
    /// they have counted.
    pub(crate) fn new(
        ask: &CaptureAsk,
        snap: usize,
        selected: Option<Vec<PortId>>,
        names: &Names,
        before: BTreeMap<PortId, PortStats>,
    ) -> Self {
        let writer = Writer::new(concat!("uswitch ", env!("CARGO_PKG_VERSION")), &ask.filter);
        let ports = selected.clone().unwrap_or_else(|| names.all().map(|(id, ..)| id).collect());
        let mut capture = Self {
            writer,
            interfaces: BTreeMap::new(),
            segment: ask.segment,
            snap,
            selected,
            start: wall_clock(),
            before,
        };
        for port in ports {
            capture.interface(port, names);
        }
        capture
    }

    /// A port's block; a new one where the number has come to mean another port.
    fn interface(&mut self, port: PortId, names: &Names) -> &mut Interface {
        let name = names.port(port);
        let writer = &mut self.writer;
        let mut open = || {
            let id = writer.interface(&name, names.node(port).unwrap_or("outside"));
            Interface { id, name: name.clone(), delivered: 0 }
        };
        match self.interfaces.entry(port) {
            Entry::Vacant(place) => place.insert(open()),
            Entry::Occupied(place) => {
                let known = place.into_mut();
                if known.name != name {
                    *known = open();
                }
                known
            }
        }
    }

    fn packet(&mut self, sighting: &Sighting, place: &Place<'_>, names: &Names) {
        let interface = self.interface(place.port, names);
        interface.delivered += 1;
        let id = interface.id;
        let whole = with_tag(place.bytes, place.vlan);
        let tag = whole.len() - place.bytes.len();
        let (snap, writer) = (self.snap, &mut self.writer);
        let mut write = |bytes: &[u8], length: usize| {
            writer.packet(&Packet {
                interface: id,
                time: place.time,
                direction: place.direction,
                bytes: &bytes[..bytes.len().min(snap)],
                length,
                lost: 0,
                comment: place.comment,
            });
        };
        if self.segment && place.bytes.len() == place.length {
            segment(sighting.vnet, place.bytes, |bytes| {
                let bytes = with_tag(bytes, place.vlan);
                write(&bytes, bytes.len());
            });
        } else {
            write(&whole, place.length + tag);
        }
    }
}

impl Sink for Capture {
    fn frame(&mut self, sighting: &Sighting, names: &Names, room: u64) -> u64 {
        let before = sighting.before();
        let facts = trace::facts(sighting);
        let (came, left) = sighting.wanted;
        let mut written = 0;
        if let (true, Some(port)) = (came, sighting.ingress) {
            let comment =
                facts.as_ref().map_or_else(|| "dropped: runt".into(), |f| f.comment(names));
            let (time, direction) = (sighting.taken, Direction::In);
            let (length, vlan, comment) = (sighting.wire_len, sighting.vlan, comment.as_str());
            let place = Place { port, time, direction, bytes: before, length, vlan, comment };
            self.packet(sighting, &place, names);
            written += 1;
        }
        if left {
            let from = sighting.ingress.map_or_else(String::new, |port| names.whole(port));
            let comment = format!("from {from}");
            let bytes = sighting.after().unwrap_or(before);
            let vlan = sighting.vlan.filter(|_| sighting.after().is_none());
            let wanted = |port: &&PortId| {
                self.selected.as_ref().is_none_or(|selected| selected.contains(*port))
            };
            for port in
                sighting.egress.iter().copied().filter(|port| wanted(&port)).collect::<Vec<_>>()
            {
                let (time, direction) = (sighting.done, Direction::Out);
                let (length, comment) = (sighting.wire_len, comment.as_str());
                if written == room {
                    break;
                }
                let place = Place { port, time, direction, bytes, length, vlan, comment };
                self.packet(sighting, &place, names);
                written += 1;
            }
        }
        written
    }

    fn end(&mut self, progress: &Progress<'_>) {
        let end = wall_clock();
        for (port, interface) in &self.interfaces {
            let lost = progress.watcher.lost_at(*port);
            let since = |count: fn(&PortStats) -> u64| {
                let before = self.before.get(port).map_or(0, count);
                progress.ports.get(port).map(|now| count(now).saturating_sub(before))
            };
            let statistics = Statistics {
                start: self.start,
                end,
                received: since(|port| port.rx_packets + port.tx_packets),
                dropped: since(|port| port.drops[DropReason::Clipped.index()]),
                accepted: Some(interface.delivered + lost),
                lost: Some(lost),
                delivered: Some(interface.delivered),
            };
            self.writer.statistics(interface.id, &statistics);
        }
    }

    fn pending(&self) -> usize {
        self.writer.pending()
    }

    fn take(&mut self) -> Vec<u8> {
        self.writer.take()
    }
}

/// The frame with the tag that the kernel took out of it.
fn with_tag(bytes: &[u8], vlan: Option<VlanTag>) -> std::borrow::Cow<'_, [u8]> {
    const ADDRESSES: usize = ethernet::HEADER_LEN - 2;
    match vlan {
        Some(tag) if bytes.len() >= ADDRESSES => {
            let (addresses, rest) = bytes.split_at(ADDRESSES);
            [addresses, &tag.tpid.to_be_bytes(), &tag.tci.to_be_bytes(), rest].concat().into()
        }
        _ => bytes.into(),
    }
}
