//! Steering as the kernel of this machine does it, on loopback of a namespace made for the test.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Steering;
use crate::bpf::tests::loopback_up;
use crate::packet::tests::in_own_namespace;
use crate::packet::{PacketIo, Pass, RingConfig, Spare};
use crate::skip::skip;

/// Frames of a flow at least, and at most, where a busy machine lets the second ring's owner have few
/// of them; and how many of all flows may be on their way: no ring is ever full.
const FRAMES: u32 = 20_000;
const MOST: u32 = 400_000;
const WINDOW: usize = 256;
const FLOWS: u32 = 4;
const LIMIT: Duration = Duration::from_secs(60);

/// What the rings' owners have sent on, in this order: ring, flow, number.
#[derive(Default)]
struct Seen {
    frames: Mutex<Vec<(usize, u32, u32)>>,
    count: AtomicUsize,
    /// Of these, by the second ring.
    second: AtomicUsize,
    /// Flows that have sent all.
    ended: AtomicUsize,
    done: AtomicBool,
}

impl Seen {
    /// Whether the second ring has had its part: one in twenty.
    fn is_spread(&self) -> bool {
        self.second.load(SeqCst) * 20 > self.count.load(SeqCst)
    }
}

fn crew(rings: usize) -> Option<(Arc<Steering>, Vec<PacketIo>)> {
    let steering = match Steering::new(rings) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            skip(format!("no BPF without root: {error}"));
            return None;
        }
        made => Arc::new(made.expect("steering")),
    };
    let open = |number| PacketIo::steered(RingConfig::default(), Arc::clone(&steering), number);
    let rings = (0..rings).map(|number| open(number).expect("a ring")).collect();
    Some((steering, rings))
}

/// Takes what is there; a datagram begins with its flow and number.
fn take(io: &mut PacketIo, ring: usize, seen: &Seen) {
    let mut taken = 0;
    while taken < 64 && io.admit(taken) {
        let (_, data) = io.slot(taken).expect("a frame");
        if let [.., b0, b1, b2, b3, n0, n1, n2, n3, b'!'] = data {
            let flow = u32::from_be_bytes([*b0, *b1, *b2, *b3]);
            let number = u32::from_be_bytes([*n0, *n1, *n2, *n3]);
            seen.frames.lock().unwrap().push((ring, flow, number));
            seen.second.fetch_add(usize::from(ring == 1), SeqCst);
            seen.count.fetch_add(1, SeqCst);
        }
        taken += 1;
    }
    io.release(taken);
}

/// Sends a flow's datagrams, from one core after the other; how many.
fn send(flow: u32, to: std::net::SocketAddr, seen: &Seen, sent: &AtomicUsize) -> u32 {
    let cores = crate::cores::allowed().expect("cores");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut number = 0;
    while number < FRAMES || number < MOST && cores.len() > 1 && !seen.is_spread() {
        if number % 7 == flow {
            let turn = usize::try_from(number / 7 + flow).expect("small");
            crate::cores::bind(&[cores[turn % cores.len()]]).expect("a core");
        }
        while sent.load(SeqCst) > seen.count.load(SeqCst) + WINDOW {
            std::thread::yield_now();
            assert!(!seen.done.load(SeqCst), "frames were lost");
        }
        sent.fetch_add(1, SeqCst);
        let mut data = [flow.to_be_bytes(), number.to_be_bytes()].concat();
        data.push(b'!');
        socket.send_to(&data, to).expect("sending");
        number += 1;
    }
    seen.ended.fetch_add(1, SeqCst);
    number
}

#[test]
fn flows_keep_their_order_while_frames_are_spread_and_gathered_again() {
    in_own_namespace(|| {
        let Some((steering, mut rings)) = crew(2) else { return };
        loopback_up();
        let sink = UdpSocket::bind("127.0.0.1:0").expect("a sink");
        let to = sink.local_addr().expect("its address");
        let (seen, sent) = (&Seen::default(), &AtomicUsize::new(0));
        let mut second = rings.pop().expect("two");
        let mut first = rings.pop().expect("two");
        let mut turns = [0; 3];
        let all: Vec<u32> = std::thread::scope(|scope| {
            let flow = |flow| scope.spawn(move || send(flow, to, seen, sent));
            let flows: Vec<_> = (0..FLOWS).map(flow).collect();
            scope.spawn(move || {
                while !seen.done.load(SeqCst) {
                    take(&mut second, 1, seen);
                    second.settle();
                    second.leave().expect("leaving");
                    std::thread::yield_now();
                }
            });
            let begun = Instant::now();
            let (mut armed, mut next, mut open) = (false, begun, None);
            let is_over = || {
                seen.ended.load(SeqCst) == flows.len()
                    && seen.count.load(SeqCst) == sent.load(SeqCst)
            };
            while !is_over() && begun.elapsed() < LIMIT {
                take(&mut first, 0, seen);
                first.settle();
                if open.take_if(|at| Instant::now() >= *at).is_some() {
                    first.open_up();
                    // Now by their flows, now by their cores.
                    if turns[1] % 3 > 0 {
                        steering.by_core();
                    }
                }
                if Instant::now() < next {
                    continue;
                }
                next = Instant::now() + Duration::from_millis(3);
                match (armed, steering.spreads()) {
                    (false, _) => {
                        armed = first.arm().expect("arming");
                        turns[0] += usize::from(armed);
                    }
                    (true, false) if turns[1] % 4 == 3 && steering.alone() => {
                        first.disarm();
                        armed = false;
                        turns[1] += 1;
                    }
                    (true, on) => {
                        let spread = steering.spread(!on);
                        open = spread.then(|| Instant::now() + Duration::from_millis(1));
                        turns[1] += usize::from(spread);
                        turns[2] += usize::from(on);
                    }
                }
            }
            seen.done.store(true, SeqCst);
            flows.into_iter().map(|flow| flow.join().unwrap()).collect()
        });
        let frames = seen.frames.lock().unwrap();
        let total = all.iter().sum::<u32>() as usize;
        assert_eq!(frames.len(), total, "each frame once; {turns:?}");
        for (flow, sent) in (0..FLOWS).zip(all) {
            let numbers = frames.iter().filter(|(_, of, _)| *of == flow).map(|(_, _, n)| *n);
            assert!(numbers.eq(0..sent), "flow {flow} in its order; {turns:?}");
        }
        if crate::cores::allowed().expect("cores").len() > 1 {
            let spread = frames.iter().filter(|(ring, ..)| *ring == 1).count();
            assert!(seen.is_spread(), "{spread} of {total} to the second ring; {turns:?}");
            assert!(turns.iter().all(|n| *n > 2), "{turns:?}");
        }
    });
}

/// Each ring gives its place to another.
fn renew(rings: &mut [PacketIo]) {
    for io in rings {
        let spare = Spare::open(RingConfig::default(), &Pass::All).expect("a spare ring");
        io.replace(spare).expect("its place");
        io.settle();
    }
}

/// Packet sockets of the namespace that are shown every frame of every interface.
fn listeners() -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/net/packet").expect("the table");
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows = table.lines().skip(1).map(columns);
    rows.filter(|row| row[3..6] == ["0003", "0", "1"]).count()
}

#[test]
fn the_first_ring_gets_all_until_frames_are_spread() {
    in_own_namespace(|| {
        let Some((steering, mut rings)) = crew(3) else { return };
        loopback_up();
        let sink = UdpSocket::bind("127.0.0.1:0").expect("a sink");
        let to = sink.local_addr().expect("its address");
        let seen = Seen::default();
        let hundred = |rings: &mut [PacketIo]| {
            let before = seen.count.load(SeqCst);
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            for core in crate::cores::allowed().expect("cores").into_iter().cycle().take(100) {
                crate::cores::bind(&[core]).expect("a core");
                socket.send_to(b"flownumb!", to).expect("sending");
            }
            let taken = rings.iter_mut().enumerate().map(|(ring, io)| {
                let before = seen.count.load(SeqCst);
                while io.ready(0) {
                    take(io, ring, &seen);
                }
                seen.count.load(SeqCst) - before
            });
            let taken: Vec<_> = taken.collect();
            assert_eq!(seen.count.load(SeqCst) - before, 100, "{taken:?}");
            taken
        };
        assert_eq!(hundred(&mut rings), [100, 0, 0], "at first");
        assert_eq!(listeners(), 1, "sockets that see frames");
        assert!(rings[0].arm().expect("arming"));
        assert_eq!(hundred(&mut rings), [100, 0, 0], "armed");
        renew(&mut rings);
        assert_eq!(hundred(&mut rings), [100, 0, 0], "armed, with other rings");
        steering.spread(true);
        std::thread::sleep(Duration::from_millis(1));
        rings[0].open_up();
        rings[0].settle();
        // One flow: it may leave the first ring, which was empty, and then has to stay.
        let spread = hundred(&mut rings);
        assert_eq!(spread.iter().filter(|n| **n > 0).count(), 1, "{spread:?}");
        renew(&mut rings);
        let again = hundred(&mut rings);
        assert_eq!(again.iter().filter(|n| **n > 0).count(), 1, "with other rings: {again:?}");
        steering.spread(false);
        assert!(steering.alone());
        assert_eq!(hundred(&mut rings), [100, 0, 0], "gathered");
        rings[0].disarm();
        assert!(!rings[0].arm().expect("arming"), "the others have not left");
        rings.iter().for_each(|io| io.leave().expect("leaving"));
        assert_eq!(hundred(&mut rings), [100, 0, 0], "disarmed");
        renew(&mut rings);
        assert_eq!(hundred(&mut rings), [100, 0, 0], "disarmed, with other rings");
        assert_eq!(listeners(), 1, "sockets that see frames");
        assert!(rings[0].arm().expect("arming"), "and once more");
    });
}
