//! Work done inside a namespace: streams and datagrams by the node's own kernel, raw frames past it.
//!
//! Streams are made of a generator's words and folded into a 64-bit hash at both ends, so that a
//! byte lost, doubled, changed or moved shows. Every wait has a deadline.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use pnet::datalink::{self, Channel, DataLinkReceiver, DataLinkSender};

use super::process::PATIENCE;

/// One buffer of a stream.
const CHUNK: usize = 1 << 18;

/// Runs `work` on a thread inside the network namespace held by the file `netns`.
pub(crate) fn in_netns<T: Send>(netns: impl AsRef<Path>, work: impl FnOnce() -> T + Send) -> T {
    let path = netns.as_ref();
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let inside = move || {
        setns(file, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A socket at an address that an earlier one has just left. A program that another test starts
/// meanwhile holds a copy of that one's descriptor until it execs, so the address may stay taken
/// for a moment.
pub(crate) fn bound<T>(bind: impl Fn() -> std::io::Result<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        match bind() {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < limit => {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome.unwrap(),
        }
    }
}

/// What went through a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Through {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Their hash, in order.
    pub(crate) hash: u64,
}

/// Folds whole words of `bytes` into `hash`; the order matters.
fn fold(hash: u64, bytes: &[u8]) -> u64 {
    bytes.chunks_exact(8).fold(hash, |hash, word| {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Sends `bytes` (a multiple of a chunk) of the stream named `seed`, then closes.
pub(crate) fn send_stream(to: &mut TcpStream, bytes: u64, seed: u64) -> Through {
    to.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut state = seed | 1;
    let mut chunk = vec![0; CHUNK];
    let mut through = Through { bytes: 0, hash: 0 };
    while through.bytes < bytes {
        for word in chunk.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        to.write_all(&chunk).unwrap();
        through.hash = fold(through.hash, &chunk);
        through.bytes += CHUNK as u64;
    }
    to.shutdown(std::net::Shutdown::Write).unwrap();
    through
}

/// Receives a stream to its end.
pub(crate) fn receive_stream(from: &mut TcpStream) -> Through {
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut chunk = vec![0; CHUNK];
    let mut through = Through { bytes: 0, hash: 0 };
    loop {
        match from.read_exact(&mut chunk) {
            Ok(()) => {
                through.hash = fold(through.hash, &chunk);
                through.bytes += CHUNK as u64;
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return through,
            Err(error) => panic!("receiving after {} bytes: {error}", through.bytes),
        }
    }
}

/// Sends `bytes` each way at once between two namespaces over one connection to `at`, which the
/// `server` side listens on; gives what was (sent, received) there and (sent, received) back.
pub(crate) fn both_ways(
    (client, server): (&Path, &Path),
    at: SocketAddr,
    bytes: u64,
) -> [(Through, Through); 2] {
    let listener = in_netns(server, || bound(|| TcpListener::bind(at)));
    let mut here = in_netns(client, || TcpStream::connect_timeout(&at, PATIENCE).unwrap());
    let (mut there, _) = listener.accept().unwrap();
    let (mut here_in, mut there_in) = (here.try_clone().unwrap(), there.try_clone().unwrap());
    std::thread::scope(|scope| {
        let seed = u64::from(at.port());
        let out = scope.spawn(move || send_stream(&mut here, bytes, seed));
        let back = scope.spawn(move || send_stream(&mut there, bytes, seed + 1));
        let got = scope.spawn(move || receive_stream(&mut there_in));
        let got_back = receive_stream(&mut here_in);
        let (out, got, back) = (out.join().unwrap(), got.join().unwrap(), back.join().unwrap());
        [(out, got), (back, got_back)]
    })
}

/// Packets on their way at once: far fewer than the receive ring, a neighbour's queue or the
/// socket's buffer holds, so that none may be lost however slow the machine is.
const ON_THEIR_WAY: usize = 64;
/// What has not come by then is lost.
const STALLED: Duration = Duration::from_millis(500);

/// What became of datagrams.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Different ones that arrived whole.
    pub(crate) whole: u32,
    /// Those that came behind a later one.
    pub(crate) moved: u32,
    /// Those that came again.
    pub(crate) doubled: u32,
}

/// Sends `count` numbered datagrams of `size` bytes, not more at once than everything on the path
/// has room for.
///
/// Before the first of them an empty one has arrived, so that every hop knows the next one's
/// hardware address. A kernel keeps packets while it asks for that, and what it is given while it
/// sends those on overtakes them: beside a Linux bridge, too, whose router answers from another
/// core, 24 of 60 flows that began this way had left their own host out of order.
pub(crate) fn datagrams(
    (client, server): (&Path, &Path),
    at: SocketAddr,
    count: u32,
    size: usize,
) -> Arrived {
    let receiver = in_netns(server, || bound(|| UdpSocket::bind(at)));
    let sender = in_netns(client, || UdpSocket::bind((sink(at), 0)).unwrap());
    socket2::SockRef::from(&receiver).set_recv_buffer_size(8 << 20).unwrap();
    receiver.set_read_timeout(Some(2 * STALLED)).unwrap();
    sender.connect(at).unwrap();
    knock(&sender, &receiver);
    let received = AtomicU32::new(0);
    let receive = || {
        let mut seen = vec![false; count as usize];
        let (mut arrived, mut last) = (Arrived::default(), None);
        let mut buffer = vec![0; size + 1];
        while arrived.whole < count
            && let Ok(length) = receiver.recv(&mut buffer)
        {
            if length == 0 {
                continue;
            }
            received.fetch_add(1, Ordering::Relaxed);
            let number = u32::from_le_bytes(buffer[..4].try_into().unwrap());
            let whole = length == size && buffer[4..size].iter().all(|byte| *byte == buffer[0]);
            assert!(whole, "datagram {number}: {length} bytes, or changed on its way");
            let again = std::mem::replace(&mut seen[number as usize], true);
            arrived.whole += u32::from(!again);
            arrived.doubled += u32::from(again);
            arrived.moved += u32::from(last > Some(number));
            last = last.max(Some(number));
        }
        arrived
    };
    let window = u32::try_from((ON_THEIR_WAY / size.div_ceil(1480)).max(1)).unwrap();
    std::thread::scope(|scope| {
        let receiving = scope.spawn(receive);
        let mut buffer = vec![0; size];
        let mut lost = 0;
        for number in 0..count {
            let limit = Instant::now() + STALLED;
            while number - lost >= received.load(Ordering::Relaxed) + window {
                if Instant::now() > limit {
                    lost = number.saturating_sub(received.load(Ordering::Relaxed));
                }
                std::thread::yield_now();
            }
            buffer.fill(number.to_le_bytes()[0]);
            buffer[..4].copy_from_slice(&number.to_le_bytes());
            sender.send(&buffer).unwrap();
        }
        receiving.join().unwrap()
    })
}

/// Sends empty datagrams until one has come.
fn knock(from: &UdpSocket, to: &UdpSocket) {
    let limit = Instant::now() + PATIENCE;
    loop {
        from.send(&[]).unwrap();
        match to.recv(&mut [0]) {
            Ok(length) => return assert_eq!(length, 0),
            Err(_) => assert!(Instant::now() < limit, "nothing comes from {from:?} to {to:?}"),
        }
    }
}

/// The sum of the 16-bit words of `parts` in ones' complement (RFC 1071): a checksum is its inverse.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u32;
    for part in parts {
        for word in part.chunks(2) {
            total += u32::from(word[0]) << 8 | word.get(1).map_or(0, |b| u32::from(*b));
        }
    }
    while total >> 16 > 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap()
}

/// The any-address of `at`'s family.
fn sink(at: SocketAddr) -> std::net::IpAddr {
    match at {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Raw frames in and out of one interface, past the kernel's stack.
pub(crate) struct Wire {
    out: Box<dyn DataLinkSender>,
    from: Box<dyn DataLinkReceiver>,
    /// The interface's own hardware address.
    pub(crate) mac: [u8; 6],
}

impl Wire {
    /// Opens `interface` of the namespace `netns`.
    pub(crate) fn open(netns: impl AsRef<Path>, interface: &str) -> Self {
        in_netns(netns, || {
            let found = datalink::interfaces().into_iter().find(|one| one.name == interface);
            let found = found.unwrap_or_else(|| panic!("no interface {interface}"));
            let config = datalink::Config {
                // Segments of the largest size arrive whole.
                read_buffer_size: 1 << 17,
                read_timeout: Some(Duration::from_millis(20)),
                ..datalink::Config::default()
            };
            let Ok(Channel::Ethernet(out, from)) = datalink::channel(&found, config) else {
                panic!("{interface}: no packet socket");
            };
            Wire { out, from, mac: found.mac.unwrap().octets() }
        })
    }

    /// Sends one frame as it is.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.out.send_to(frame, None).unwrap().unwrap();
    }

    /// The next frame that `wanted` accepts, unless none comes in time.
    pub(crate) fn next(
        &mut self,
        within: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Option<Vec<u8>> {
        let limit = Instant::now() + within;
        while Instant::now() < limit {
            match self.from.next() {
                Ok(frame) if wanted(frame) => return Some(frame.to_vec()),
                _ => {}
            }
        }
        None
    }
}
