//! The book of flows over memory of its own, in virtual time.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;
use crate::core::{FdbConfig, NetworkId};
use crate::station::Way;
use crate::stats::PortCells;
use bpf::layout::ENTRIES;
use bpf::{Ends, Retag, Route};
use wire::{MacAddr, VlanId};

const SECOND: u64 = 1_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn mac(n: u32) -> MacAddr {
    let [_, a, b, c] = n.to_be_bytes();
    MacAddr([2, 0, 0, a, b, c])
}

/// A book of so many ports, over memory of its own, with a table of addresses.
struct Desk {
    book: Book,
    table: Table,
    fdb: Fdb,
    cells: Vec<Arc<PortCells>>,
}

impl Desk {
    fn new(ports: u16) -> Self {
        let mut book = Book::new();
        let cells: Vec<_> = (0..ports).map(|_| Arc::<PortCells>::default()).collect();
        for (n, cells) in (0..ports).zip(&cells) {
            let (ifindex, behind) = (u32::from(n) + 2, Some(mac(n.into())));
            let (uplink, up, across, hook) = (false, true, None, Hook::Off);
            let cells = Arc::clone(cells);
            let plug = Plug { ifindex, uplink, up, across, behind, cells, hook };
            book.plug(PortId(n), plug);
        }
        Self { book, table: Table::alone(2), fdb: Fdb::new(FdbConfig::default()), cells }
    }

    fn decided(&self, src: u32, from: u16, dst: u32, to: u16) -> Decided<'static> {
        Decided {
            dst: mac(dst),
            src: mac(src),
            tag: None,
            ingress: PortId(from),
            egress: PortId(to),
            flood: &[],
            retag: Retag::default(),
            mtu: 1500,
            until: Timestamp::from_nanos(u64::MAX),
            source: None,
            scope: self.fdb.scope(NetworkId::FIRST, VlanId::NONE),
            vlans: [None; 2],
            legs: [None; 2],
            routed: None,
            awaits: None,
            ignored: None,
            generation: self.table.generation(),
        }
    }

    fn put(&mut self, of: &Decided<'_>, now: Timestamp) -> Option<FlowId> {
        let put = self.book.put(&self.table, of, now)?;
        let key = self.book.key(of)?;
        assert_eq!(self.table.find(&key), Some(put));
        Some(put)
    }

    fn fold(&mut self, now: Timestamp) -> u64 {
        self.book.fold(&self.table, &self.fdb, now)
    }

    /// A flow of a connection by way of the station.
    fn tcp(&mut self, session: Option<u64>, now: Timestamp) -> FlowId {
        let end = |port| std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
        let port = 1 + u16::from(session.is_some());
        let ends = Ends { protocol: 6, src: end(port), dst: end(80) };
        let (src, dst) = (end(port), end(80));
        let route = Route {
            src,
            dst,
            next: mac(1),
            own: mac(9),
            atomic: true,
            kept: false,
            answers: false,
        };
        let routed = Some(Routed { ends, route, way: Way { session, course: 5 } });
        let decided = Decided { routed, ..self.decided(0, 0, 9, 1) };
        self.put(&decided, now).unwrap()
    }

    /// Nothing that was under way is so any longer.
    fn grace(&mut self) {
        let number = self.book.grace_begins();
        self.book.grace_ended(number);
        self.book.grace_served();
    }
}

#[test]
fn nothing_is_written_down_for_an_uplink_that_is_down() {
    let mut desk = Desk::new(2);
    let (ifindex, cells) = (9, Arc::<PortCells>::default());
    let (uplink, up, across, behind, hook) = (true, false, None, None, Hook::Off);
    desk.book.plug(PortId(7), Plug { ifindex, uplink, up, across, behind, cells, hook });
    let decided = desk.decided(0, 0, 1, 7);
    assert_eq!(desk.put(&decided, at(0)), None);
    desk.book.mark(PortId(7), true);
    assert!(desk.put(&decided, at(1)).is_some());
    desk.book.mark(PortId(7), false);
    assert_eq!(desk.put(&decided, at(2)), None);
}

#[test]
fn what_the_kernel_did_counts_as_if_the_worker_had() {
    let mut desk = Desk::new(2);
    let decided = desk.decided(0, 0, 1, 1);
    let id = desk.put(&decided, at(0)).unwrap();
    desk.table.count(id, 60, at(1));
    desk.table.count(id, 1514, at(2));
    assert_eq!(desk.fold(at(3)), 2);
    assert_eq!(desk.fold(at(4)), 0, "once");
    let [from, to] = [&desk.cells[0], &desk.cells[1]];
    assert_eq!((from.rx_packets.get(), from.rx_bytes.get()), (2, 1574));
    assert_eq!((to.tx_packets.get(), to.tx_bytes.get()), (2, 1574));
    assert_eq!((from.tx_packets.get(), to.rx_packets.get()), (0, 0));
    let cells = &desk.book.cells;
    assert_eq!((cells.received.get(), cells.forwarded.get()), (2, 2));
    let shown = desk.book.list(&desk.table, at(10));
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].frames, shown[0].bytes), (2, 1574));
    assert_eq!((shown[0].ingress, shown[0].egress), (PortId(0), PortId(1)));
    assert_eq!(shown[0].idle, Duration::from_millis(8));
}

#[test]
fn a_frame_under_way_while_its_flow_ends_counts_for_the_ports_it_went_by() {
    let mut desk = Desk::new(3);
    let decided = desk.decided(0, 0, 1, 1);
    let id = desk.put(&decided, at(0)).unwrap();
    // The destination has moved; a program had a frame at hand.
    desk.table.advance();
    let moved = desk.decided(0, 0, 1, 2);
    let new = desk.put(&moved, at(1)).unwrap();
    assert_ne!(new, id, "its place rests");
    desk.table.count(id, 60, at(1));
    desk.table.count(new, 60, at(1));
    desk.fold(at(2));
    let sent: Vec<_> = desk.cells.iter().map(|cells| cells.tx_packets.get()).collect();
    assert_eq!(sent, [0, 1, 1]);
    // A port that goes takes its flows with it.
    desk.table.count(new, 60, at(3));
    let Desk { book, table, fdb, cells } = &mut desk;
    book.unplug(table, fdb, PortId(2), at(4));
    assert_eq!(cells[2].tx_packets.get(), 2);
    assert!(book.list(table, at(4)).is_empty());
    assert_eq!(desk.put(&moved, at(5)), None, "nothing is repeated for a port that is gone");
}

#[test]
fn a_place_is_taken_again_when_nobody_can_have_a_frame_of_it_at_hand() {
    let mut desk = Desk::new(2);
    let decided = desk.decided(0, 0, 1, 1);
    let id = desk.put(&decided, at(0)).unwrap();
    desk.fold(at(2_999));
    assert!(desk.table.holds(id, at(0)), "not idle for long enough");
    desk.fold(at(3_000));
    assert!(!desk.table.holds(id, at(0)));
    let again = desk.put(&decided, at(3_001)).unwrap();
    assert_ne!(again, id);
    assert!(desk.book.wants_grace());
    desk.book.grace_asked();
    assert!(!desk.book.wants_grace(), "one at a time");
    // A late count of the old one is still seen.
    desk.table.count(id, 60, at(3_001));
    assert_eq!(desk.fold(at(3_002)), 1);
    let number = desk.book.grace_begins();
    // What is left while a grace period lasts waits for the next one.
    desk.table.advance();
    let moved = Decided { egress: PortId(0), ..decided };
    let moved = Decided { generation: desk.table.generation(), ..moved };
    desk.put(&moved, at(3_003)).unwrap();
    assert_eq!(desk.book.places.len(), 3);
    desk.book.grace_ended(number);
    desk.book.grace_served();
    desk.fold(at(3_004));
    assert_eq!(desk.book.places.len(), 2, "the first row is gone, the second not yet");
    assert!(desk.book.wants_grace());
    desk.grace();
    desk.fold(at(3_005));
    assert_eq!(desk.book.places.len(), 1);
    assert!(!desk.book.wants_grace());
    assert_eq!(desk.cells[0].rx_packets.get(), 1);
}

/// A change of one port or address waits for what is under way by its own flows, once.
#[test]
fn a_change_waits_for_the_frames_that_it_is_about() {
    let mut desk = Desk::new(4);
    let between = desk.decided(0, 0, 1, 1);
    let id = desk.put(&between, at(0)).unwrap();
    for other in [Concern::Port(PortId(2)), Concern::Address(mac(2))] {
        assert!(!desk.book.end_of(&desk.table, other), "{other:?}");
    }
    assert!(desk.table.holds(id, at(1)));
    for own in [
        Concern::Port(PortId(0)),
        Concern::Port(PortId(1)),
        Concern::Address(mac(0)),
        Concern::Address(mac(1)),
        Concern::All,
    ] {
        let id = desk.put(&desk.decided(0, 0, 1, 1), at(2)).unwrap();
        assert!(desk.book.end_of(&desk.table, own), "{own:?}");
        assert!(!desk.table.holds(id, at(2)));
        // Somebody else changes the same while the first one waits.
        assert!(desk.book.end_of(&desk.table, own), "{own:?}");
        desk.grace();
        assert!(!desk.book.end_of(&desk.table, own), "{own:?}");
    }
}

/// What ends without a session leaves its place; a session's waits for what the session says.
#[test]
fn an_end_is_told_once_and_ends_what_is_of_no_session() {
    let mut desk = Desk::new(2);
    let [with, without] = [Some(7), None].map(|session| desk.tcp(session, at(0)));
    for id in [with, without] {
        desk.table.count(id, 66, at(1));
        desk.table.end(id, at(1));
        desk.table.count(id, 66, at(2));
    }
    assert_eq!(desk.fold(at(3)), 4);
    let told = desk.book.take();
    let ends: Vec<_> = told.iter().map(|done| (done.frames, done.ended, done.seen)).collect();
    assert_eq!(ends, [(2, Some(at(1)), at(2)); 2]);
    assert!(desk.table.holds(with, at(3)) && !desk.table.holds(without, at(3)));
    desk.table.count(with, 66, at(4));
    desk.fold(at(4));
    let [again] = desk.book.take()[..] else { panic!("one is told") };
    assert_eq!((again.frames, again.ended), (1, None), "once");
    // A place that is taken by another knows nothing of it.
    let _ = desk.book.over((&desk.table, &desk.fdb), Some(7));
    desk.grace();
    desk.fold(at(5));
    assert!(desk.book.is_empty());
    let id = desk.tcp(Some(8), at(6));
    assert_eq!(id, with);
    desk.table.count(id, 66, at(7));
    desk.fold(at(8));
    assert_eq!(desk.book.take()[0].ended, None);
}

#[test]
fn the_use_of_a_flow_is_a_use_of_its_source() {
    let mut desk = Desk::new(2);
    let scope = desk.fdb.scope(NetworkId::FIRST, VlanId::NONE).unwrap();
    let second = |n: u64| Timestamp::from_nanos(n * SECOND);
    desk.fdb.learn(mac(0), scope, PortId(0), 100, second(10));
    desk.fdb.learn(mac(1), scope, PortId(1), 100, second(10));
    assert_eq!(desk.fdb.known_until(mac(1), scope), Some(second(311)));
    let decided = desk.decided(0, 0, 1, 1);
    let id = desk.put(&decided, second(10)).unwrap();
    desk.table.count(id, 60, second(200));
    desk.fold(second(201));
    assert_eq!(desk.fdb.known_until(mac(0), scope), Some(second(501)));
    assert_eq!(desk.fdb.known_until(mac(1), scope), Some(second(311)), "it said nothing");
    // A port that does not learn leaves ages as they are.
    let silent = Decided { scope: None, src: mac(1), ingress: PortId(1), ..decided };
    let silent = Decided { dst: mac(0), egress: PortId(0), ..silent };
    let id = desk.put(&silent, second(202)).unwrap();
    desk.table.count(id, 60, second(300));
    desk.fold(second(301));
    assert_eq!(desk.fdb.known_until(mac(1), scope), Some(second(311)));
}

/// One port's many addresses fill the table; another port's first flow gets a place all the same.
#[test]
fn who_has_most_flows_gives_way() {
    let mut desk = Desk::new(3);
    let mut written = 0;
    for n in 0..60_000 {
        let decided = desk.decided(1_000 + n, 0, 1, 1);
        written += u32::from(desk.put(&decided, at(0)).is_some());
    }
    assert!(written > u32::try_from(ENTRIES).unwrap() * 8 / 10, "{written}");
    assert_eq!(desk.book.places.len(), written as usize);
    // Those that would have the same place come one after the other, a grace period apart.
    for millis in [100, 1_150, 2_200, 3_250, 4_300] {
        desk.grace();
        desk.book.fold(&desk.table, &desk.fdb, at(millis));
        for n in 0..200 {
            let decided = desk.decided(900_000 + n, 2, 1, 1);
            desk.put(&decided, at(millis));
        }
    }
    assert!(desk.book.held[2] >= 198, "{} of 200", desk.book.held[2]);
    // The port that has most does not push out others by more of its own.
    let held = desk.book.held[2];
    for n in 0..60_000 {
        let decided = desk.decided(2_000_000 + n, 0, 1, 1);
        desk.put(&decided, at(4_301));
    }
    assert_eq!(desk.book.held[2], held);
}

#[test]
fn flows_that_hold_no_longer_give_way_first() {
    let mut desk = Desk::new(2);
    for n in 0..60_000 {
        let decided = desk.decided(1_000 + n, 0, 1, 1);
        desk.put(&decided, at(0));
    }
    desk.table.advance();
    let new = desk.decided(900_000, 0, 1, 1);
    if desk.put(&new, at(1)).is_none() {
        desk.grace();
        desk.fold(at(1_001));
        assert!(desk.put(&new, at(1_002)).is_some());
    }
}

/// What a session of the station's comes to: its packets are told once, its frames once, and what is
/// under way when it ends counts for none.
#[test]
fn the_station_is_told_of_each_frame_once() {
    let mut desk = Desk::new(2);
    let end = |port| std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
    let ends = Ends { protocol: 17, src: end(1), dst: end(2) };
    let (src, dst) = (end(3), end(2));
    let route =
        Route { src, dst, next: mac(1), own: mac(9), atomic: true, kept: false, answers: false };
    let way = Way { session: Some(7), course: 5 };
    let routed = Some(Routed { ends, route, way });
    let decided = Decided { routed, ..desk.decided(0, 0, 9, 1) };
    let id = desk.put(&decided, at(0)).unwrap();
    desk.table.count(id, 114, at(1));
    desk.table.count(id, 214, at(2));
    assert_eq!(desk.fold(at(3)), 2);
    assert!(desk.book.owes());
    let told = desk.book.take();
    let [done] = told[..] else { panic!("{told:?}") };
    assert_eq!((done.way, done.frames, done.packets, done.bytes), (way, 2, 2, 300));
    assert_eq!(desk.book.take(), []);
    // It ends, one frame not told of yet, another under way.
    desk.table.count(id, 64, at(4));
    let told = desk.book.over((&desk.table, &desk.fdb), Some(7));
    let [last] = told[..] else { panic!("{told:?}") };
    assert_eq!((last.way, last.frames, last.packets, last.bytes), (way, 0, 1, 50));
    assert!(!desk.table.holds(id, at(5)));
    desk.table.count(id, 64, at(6));
    desk.fold(at(7));
    let told = desk.book.take();
    let [late] = told[..] else { panic!("{told:?}") };
    assert_eq!((late.way.session, late.frames), (None, 2));
    assert_eq!(desk.book.over((&desk.table, &desk.fdb), None), []);
    assert_eq!(desk.cells[0].rx_packets.get(), 4);
    assert_eq!(desk.book.cells.local.get(), 4);
    desk.grace();
    desk.fold(at(2_000));
    assert!(desk.book.is_empty());
}

#[path = "answer_tests.rs"]
mod answers;
