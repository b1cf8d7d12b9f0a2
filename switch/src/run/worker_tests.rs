//! A worker on links of memory and a clock of the test's: no namespace, no privilege, no thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bpf::finish::Kind;
use crossbeam_channel::{Receiver, Sender, bounded};
use proptest::prelude::*;
use sys::packet::{Detour, Refusal};
use wire::vnet::NEEDS_CSUM;
use wire::{GsoType, MacAddr, Timestamp, VnetHeader};

use super::super::finisher::Way;
use super::super::link::memory::Memory;
use super::super::ports::Plugged;
use super::super::running::{self, Parts, Says};
use super::{Command, Wake, Worker};
use crate::core::{
    Bridge, DropReason, Fdb, FdbConfig, NetworkConfig, NetworkId, PortId, PortSettings, PortState,
};
use crate::run::{Config, Event, PortRole};
use crate::stats::{Counters, PortCells, WorkerCells};

/// Slots of its link.
const SLOTS: usize = 256;

struct Stand {
    worker: Worker<Memory>,
    commands: Sender<Command<Memory>>,
    events: Receiver<Event>,
    cells: Arc<WorkerCells>,
    ports: BTreeMap<u16, Arc<PortCells>>,
    now: Timestamp,
    // The worker reads from it when it is told something.
    pipe: std::io::PipeWriter,
}

fn mac(last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, last])
}

fn frame(dst: MacAddr, src: MacAddr, length: usize) -> Vec<u8> {
    let mut frame = [dst.0, src.0].concat();
    frame.extend([0x88, 0xb5]);
    frame.resize(length.max(14), 7);
    frame
}

/// The interface of a port.
fn ifindex(port: u16) -> u32 {
    u32::from(port) + 10
}

impl Stand {
    /// A bridge of so many ports.
    fn new(ports: u16) -> Self {
        let fdb = Arc::new(Fdb::new(FdbConfig::default()));
        let bridge = Bridge::counting(NetworkConfig::default(), fdb, Default::default());
        let (commands, receiver) = bounded(64);
        let (sender, events) = bounded(1 << 14);
        let (reader, pipe) = std::io::pipe().unwrap();
        let cells = Arc::<WorkerCells>::default();
        let parts = Parts {
            number: 0,
            link: Memory::new(SLOTS),
            slots: SLOTS,
            bridge,
            station: None,
            says: Says { events: sender, asks: None, finish: None },
            member: None,
            commands: receiver,
            wake: Wake { pending: Arc::new(AtomicBool::new(false)), pipe: reader },
            cells: Arc::clone(&cells),
        };
        let config = Config { wakeful: false, ..Config::default() };
        let worker = running::worker(parts, &config);
        let now = Timestamp::from_nanos(1_000_000_000);
        let ports_of = BTreeMap::new();
        let mut stand = Self { worker, commands, events, cells, ports: ports_of, now, pipe };
        (0..ports).for_each(|port| stand.plug(port, PortSettings::default()));
        stand
    }

    fn tell(&mut self, command: Command<Memory>) {
        use std::io::Write;
        self.commands.send(command).unwrap();
        self.pipe.write_all(&[1]).unwrap();
        assert!(self.worker.obey());
    }

    fn plug(&mut self, port: u16, settings: PortSettings) {
        let cells = Arc::<PortCells>::default();
        self.ports.insert(port, Arc::clone(&cells));
        let state = PortState {
            network: NetworkId::FIRST,
            settings,
            vlans: Default::default(),
            mtu: 1500,
            mac: Some(mac(200)),
            up: true,
            expected: false,
            sources: None,
        };
        let (id, role) = (PortId(port), PortRole::Bridged);
        let port =
            Plugged { ifindex: ifindex(port), cells, longest: None, mtu: 1500, foreign: false };
        self.tell(Command::Set { id, role, state, port, link: None });
    }

    fn put(&mut self, port: u16, frame: &[u8]) {
        self.worker.links.main.put(ifindex(port), None, frame);
    }

    /// Works until nothing waits; where each frame went since the last time.
    fn work(&mut self) -> Vec<u32> {
        while self.worker.turn(self.now) > 0 {}
        let sent = std::mem::take(&mut self.worker.links.main.sent);
        sent.into_iter().map(|sent| sent.ifindex).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        counters.add(&self.cells);
        counters
    }
}

#[test]
fn an_address_is_learned_used_and_forgotten_in_its_time() {
    let mut stand = Stand::new(3);
    stand.put(0, &frame(mac(2), mac(1), 60));
    assert_eq!(stand.work(), [ifindex(1), ifindex(2)], "flooded to all but the port it came by");
    stand.put(1, &frame(mac(1), mac(2), 60));
    assert_eq!(stand.work(), [ifindex(0)]);
    // Just before its time is up, and just after; no test has to wait five minutes for it.
    stand.pass(Duration::from_secs(299));
    stand.put(1, &frame(mac(1), mac(2), 60));
    assert_eq!(stand.work(), [ifindex(0)]);
    stand.pass(Duration::from_secs(2));
    stand.put(1, &frame(mac(1), mac(2), 60));
    assert_eq!(
        stand.work(),
        [ifindex(0), ifindex(2)],
        "a host that is silent for 300 s is unknown"
    );
    let counters = stand.counters();
    assert_eq!((counters.received, counters.forwarded, counters.flooded), (4, 2, 2));
    stand.pass(Duration::from_secs(400));
    stand.work();
    let told: Vec<_> = stand.events.try_iter().collect();
    let aged: usize = told.iter().map(|e| if let Event::Aged(n) = e { *n } else { 0 }).sum();
    assert_eq!(aged, 2, "{told:?}");
}

#[test]
fn what_the_link_refuses_was_not_sent() {
    let mut stand = Stand::new(3);
    stand.worker.links.main.down.insert(ifindex(2));
    stand.put(0, &frame(MacAddr::BROADCAST, mac(1), 100));
    assert_eq!(stand.work(), [ifindex(1)]);
    let port = &stand.ports[&2];
    let counts = [port.tx_packets.get(), port.tx_bytes.get(), port.tx_errors.get()];
    assert_eq!(counts, [0, 0, 1]);
    assert_eq!(stand.counters().refused[Refusal::LinkDown.index()], 1);
    assert_eq!(stand.ports[&1].tx_bytes.get(), 100);
}

#[test]
fn what_finds_no_room_is_counted_by_the_link() {
    let mut stand = Stand::new(2);
    (0..SLOTS + 5).for_each(|_| stand.put(0, &frame(mac(2), mac(1), 60)));
    assert!(stand.work().len() <= SLOTS);
    stand.pass(Duration::from_millis(200));
    stand.work();
    let counters = stand.counters();
    assert_eq!((counters.ring_packets, counters.ring_drops), ((SLOTS + 5) as u64, 5));
    assert_eq!(counters.received + counters.ring_drops, counters.ring_packets);
}

/// Segments of TCP in a VXLAN, from one host to another: as many as a stack hands on at once.
fn tunnelled(segments: usize) -> (VnetHeader, Vec<u8>) {
    const SEGMENT: usize = 1000;
    let payload = segments * SEGMENT;
    let v4 = |number: u8, below: usize| {
        let length = u16::try_from(20 + below).unwrap().to_be_bytes();
        [&[0x45, 0][..], &length, &[0, 1, 0, 0, 64, number, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]]
            .concat()
    };
    let tcp = 20 + payload;
    let udp = 8 + 8 + 14 + 20 + tcp;
    let mut bytes = frame(mac(2), mac(1), 14);
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes.extend(v4(17, udp));
    bytes.extend([0xc0, 1, 0x12, 0xb5]);
    bytes.extend(u16::try_from(udp).unwrap().to_be_bytes());
    bytes.extend([0, 0, 8, 0, 0, 0, 0, 0, 5, 0]);
    bytes.extend([2; 12]);
    bytes.extend([8, 0]);
    bytes.extend(v4(6, tcp));
    let start = u16::try_from(bytes.len()).unwrap();
    bytes.extend([0; 12]);
    bytes.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0]);
    bytes.resize(usize::from(start) + tcp, 7);
    let vnet = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type: 1,
        hdr_len: 0,
        gso_size: u16::try_from(SEGMENT).unwrap(),
        csum_start: start,
        csum_offset: 16,
    };
    (vnet, bytes)
}

#[test]
fn segments_in_a_tunnel_leave_as_datagrams_until_they_can_leave_whole() {
    let mut stand = Stand::new(2);
    let way = Way::by(0);
    stand.worker.links.finish = Some(Arc::clone(&way));
    let (vnet, bytes) = tunnelled(40);
    let put = |stand: &mut Stand, place: u16| {
        let main = &mut stand.worker.links.main;
        main.put_with(vnet.to_bytes(), ifindex(place), None, &bytes);
    };
    put(&mut stand, 0);
    while stand.worker.turn(stand.now) > 0 {}
    assert!(way.was_asked());
    let sent = std::mem::take(&mut stand.worker.links.main.sent);
    let [made] = &sent[..] else { panic!("{} frames", sent.len()) };
    let (head, frame) = made.data.split_first_chunk().unwrap();
    let told = VnetHeader::from_bytes(*head);
    assert_eq!(
        (told.gso(), told.gso_size, told.csum_start),
        (GsoType::UdpL4, 8 + 14 + 40 + 1000, 34)
    );
    assert_eq!(frame.len(), 42 + 40 * usize::from(told.gso_size));
    assert!(stand.worker.links.main.detours.is_empty());

    way.open(1);
    put(&mut stand, 0);
    assert_eq!(stand.work(), [ifindex(1)]);
    let mark = Kind::Tunnel { headers: 50, v6: false }.mark(ifindex(1)).unwrap();
    let detour = Detour { via: 1, mark, to: ifindex(1) };
    assert_eq!(stand.worker.links.main.detours, [detour]);
    let port = &stand.ports[&1];
    let length = bytes.len() as u64;
    assert_eq!((port.tx_packets.get(), port.tx_bytes.get()), (2, 2 * length), "a frame, both ways");
}

#[test]
fn a_tag_before_another_leaves_beside_the_frame() {
    let mut stand = Stand::new(2);
    stand.worker.links.finish = Some(Way::by(1));
    let mut bytes = frame(mac(2), mac(1), 1514);
    bytes[12..14].copy_from_slice(&[0x81, 0]);
    stand.worker.links.main.put(ifindex(0), Some((0x88a8, 5)), &bytes);
    assert_eq!(stand.work(), [ifindex(1)]);
    let mark = Kind::Tagged.mark(ifindex(1)).unwrap();
    assert_eq!(stand.worker.links.main.detours, [Detour { via: 1, mark, to: ifindex(1) }]);
    // One tag alone is put before the frame as ever.
    bytes[12..14].copy_from_slice(&[8, 0]);
    stand.worker.links.main.put(ifindex(0), Some((0x8100, 5)), &bytes);
    assert_eq!(stand.work(), [ifindex(1)]);
    // And a short frame fits with whatever tags.
    stand.worker.links.main.put(ifindex(0), Some((0x88a8, 5)), &frame(mac(2), mac(1), 60));
    assert_eq!(stand.work(), [ifindex(1)]);
    assert_eq!(stand.worker.links.main.detours.len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    /// A frame by a port, from and to one of a few addresses.
    Frame {
        port: u16,
        src: u8,
        dst: u8,
        length: usize,
    },
    Pass(u64),
    Down(u16),
    Up(u16),
    Unplug(u16),
    Plug(u16, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let port = || 0..5u16;
    prop_oneof![
        12 => (port(), 0..6u8, 0..8u8, 0..2000usize)
            .prop_map(|(port, src, dst, length)| Step::Frame { port, src, dst, length }),
        2 => (0..200u64).prop_map(Step::Pass),
        1 => port().prop_map(Step::Down),
        1 => port().prop_map(Step::Up),
        1 => port().prop_map(Step::Unplug),
        1 => (port(), any::<bool>()).prop_map(|(port, hairpin)| Step::Plug(port, hairpin)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Invariant 1, whatever happens: each frame that came is counted once, by what became of it, and
    /// what left is what the ports say has left.
    #[test]
    fn every_frame_is_counted_exactly_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut stand = Stand::new(4);
        let mut left: BTreeMap<u32, u64> = BTreeMap::new();
        let mut came = 0;
        for step in steps {
            match step {
                Step::Frame { port, src, dst, length } => {
                    // A group, an address nobody has, or a host's.
                    let dst = if dst == 7 { MacAddr::BROADCAST } else { mac(dst) };
                    let bytes = frame(dst, mac(src), length);
                    // Shorter than a header once in a while.
                    let bytes = if length < 14 { &bytes[..length] } else { &bytes };
                    stand.put(port, bytes);
                    came += 1;
                }
                Step::Pass(seconds) => stand.pass(Duration::from_secs(seconds)),
                Step::Down(port) => drop(stand.worker.links.main.down.insert(ifindex(port))),
                Step::Up(port) => drop(stand.worker.links.main.down.remove(&ifindex(port))),
                Step::Unplug(port) => {
                    for to in stand.work() {
                        *left.entry(to).or_default() += 1;
                    }
                    stand.tell(Command::Remove { id: PortId(port) });
                    left.remove(&ifindex(port));
                    stand.ports.remove(&port);
                }
                Step::Plug(port, hairpin) if !stand.ports.contains_key(&port) => {
                    stand.plug(port, PortSettings { hairpin, ..PortSettings::default() });
                }
                Step::Plug(..) => {}
            }
            for to in stand.work() {
                *left.entry(to).or_default() += 1;
            }
        }
        stand.pass(Duration::from_secs(1));
        stand.work();
        let counters = stand.counters();
        prop_assert_eq!(counters.received, came);
        prop_assert_eq!(counters.accounted(), counters.received);
        prop_assert_eq!(counters.ring_packets, came);
        for (port, cells) in &stand.ports {
            let sent = left.get(&ifindex(*port)).copied().unwrap_or(0);
            prop_assert_eq!(cells.tx_packets.get(), sent, "port {}", port);
        }
        let refused: u64 = stand.ports.values().map(|cells| cells.tx_errors.get()).sum();
        prop_assert!(counters.send_errors() >= refused);
        prop_assert_eq!(counters.drops[DropReason::Overload.index()], 0);
    }
}

#[path = "tap_tests.rs"]
mod taps;
