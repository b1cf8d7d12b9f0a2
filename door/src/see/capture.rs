//! A capture: frames as they pass, as pcapng, until it is ended.
//!
//! On the watcher's thread. An interface block a port, written when the port is first needed; the
//! frame as it came in, said to what end, and as it left, said from where; statistics with what
//! was lost at the end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use control::api::CaptureAsk;
use observe::pcapng::{Direction, InterfaceId, Packet, Statistics, Writer};
use observe::segment::segment;
use switch::{DropReason, Outcome, PortId, PortStats};
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
    tags: [Option<VlanTag>; 2],
    comment: &'a str,
}

impl Capture {
    /// Begins with the blocks of the `ports` there are now; `before` is what
    /// they have counted.
    pub(crate) fn new(
        ask: &CaptureAsk,
        snap: usize,
        ports: impl Iterator<Item = PortId>,
        names: &Names,
        before: BTreeMap<PortId, PortStats>,
    ) -> Self {
        let writer = Writer::new(concat!("uswitch ", env!("CARGO_PKG_VERSION")), &ask.filter);
        let mut capture = Self {
            writer,
            interfaces: BTreeMap::new(),
            segment: ask.segment,
            snap,
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

    /// Writes a frame, or the first `room` of the segments it stands for; says how many packets it wrote.
    fn packet(&mut self, sighting: &Sighting, place: &Place<'_>, names: &Names, room: u64) -> u64 {
        let id = self.interface(place.port, names).id;
        let whole = with_tags(place.bytes, place.tags);
        let tags = whole.len() - place.bytes.len();
        let (snap, writer) = (self.snap, &mut self.writer);
        let mut written = 0;
        let mut write = |bytes: &[u8], length: usize| {
            if written == room {
                return;
            }
            written += 1;
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
                let bytes = with_tags(bytes, place.tags);
                write(&bytes, bytes.len());
            });
        } else {
            write(&whole, place.length + tags);
        }
        self.interface(place.port, names).delivered += written;
        written
    }
}

impl Sink for Capture {
    fn frame(&mut self, sighting: &Sighting, names: &Names, room: u64) -> u64 {
        let before = sighting.before();
        let facts = trace::facts(sighting);
        let mut written = 0;
        if let (true, Some(port)) = (sighting.came, sighting.ingress) {
            let comment =
                facts.as_ref().map_or_else(|| "dropped: runt".into(), |f| f.comment(names));
            let (time, direction) = (sighting.taken, Direction::In);
            let (length, comment) = (sighting.wire_len, comment.as_str());
            let tags = [sighting.vlan, None];
            let place = Place { port, time, direction, bytes: before, length, tags, comment };
            written += self.packet(sighting, &place, names, room);
        }
        if !sighting.left.is_empty() {
            let from = match (sighting.outcome, sighting.ingress) {
                (Outcome::Said, _) => "the switch".into(),
                (_, port) => port.map_or_else(String::new, |port| names.whole(port)),
            };
            let comment = format!("from {from}");
            let (bytes, length) = (sighting.after().unwrap_or(before), sighting.wire_len);
            let (time, direction, comment) = (sighting.done, Direction::Out, comment.as_str());
            for exit in &sighting.left {
                if written == room {
                    break;
                }
                let (port, tags) = (exit.port, sighting.tags(*exit));
                let place = Place { port, time, direction, bytes, length, tags, comment };
                written += self.packet(sighting, &place, names, room - written);
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

/// The frame with the tags that travel beside it.
fn with_tags(bytes: &[u8], tags: [Option<VlanTag>; 2]) -> Cow<'_, [u8]> {
    const ADDRESSES: usize = ethernet::HEADER_LEN - 2;
    if tags == [None; 2] || bytes.len() < ADDRESSES {
        return bytes.into();
    }
    let (addresses, rest) = bytes.split_at(ADDRESSES);
    let mut whole = addresses.to_vec();
    for tag in tags.iter().flatten() {
        whole.extend(tag.tpid.to_be_bytes());
        whole.extend(tag.tci.to_be_bytes());
    }
    whole.extend_from_slice(rest);
    whole.into()
}
