//! ICMP echo from one node to another address: flood (the next request leaves when the reply is
//! in) or paced; round trips in microseconds. A reply that does not come in time is counted lost.
//!
//! Each round trip is measured twice: as ping(8) does, until the node's kernel has the reply
//! (SO_TIMESTAMPNS), and until the program that asked has it, its waking included.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::topology::Node;

const PAYLOAD: usize = 56;
const IDENT: u16 = 0x5eed;
const TIMEOUT: Duration = Duration::from_millis(500);

/// Round trips seen, in microseconds.
#[derive(Default)]
pub struct RoundTrips {
    /// Until the kernel had the reply.
    pub network: Vec<f64>,
    /// Until the program had it.
    pub program: Vec<f64>,
}

/// Pings for the length of the window; `gap` None floods.
///
/// # Errors
/// When the socket is refused, or more than one reply in a hundred is missing.
pub fn ping(
    from: &Node,
    target: Ipv4Addr,
    gap: Option<Duration>,
    window: Duration,
) -> Result<RoundTrips> {
    from.run(move || {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
            .context("opening an ICMP socket")?;
        socket.connect(&SocketAddr::new(IpAddr::V4(target), 0).into())?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("asking for times")?;
        for sequence in 0..20 {
            once(&socket, sequence)?; // neighbours, tables and caches are warm after these
        }
        let (mut seen, mut lost) = (RoundTrips::default(), 0usize);
        let start = Instant::now();
        let mut sequence = 100u16;
        let mut due = start;
        while start.elapsed() < window {
            if let Some(gap) = gap {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                due += gap;
            }
            sequence = sequence.wrapping_add(1);
            match once(&socket, sequence)? {
                Some((network, program)) => {
                    seen.network.push(network.as_secs_f64() * 1e6);
                    seen.program.push(program.as_secs_f64() * 1e6);
                }
                None => lost += 1,
            }
        }
        let answered = seen.network.len();
        if answered == 0 || lost * 100 > answered {
            bail!("{lost} echo requests to {target} unanswered, {answered} answered");
        }
        Ok(seen)
    })
}

/// One request: the time to the kernel, the time to here. None where no reply came in time.
fn once(socket: &Socket, sequence: u16) -> Result<Option<(Duration, Duration)>> {
    let mut request = [0u8; 8 + PAYLOAD];
    request[0] = 8;
    request[4..6].copy_from_slice(&IDENT.to_be_bytes());
    request[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = wire::checksum::checksum(&request);
    request[2..4].copy_from_slice(&sum.to_be_bytes());
    let (sent, sent_by_wall) = (Instant::now(), SystemTime::now());
    socket.send(&request).context("sending an echo request")?;
    let mut reply = [0u8; 256];
    while sent.elapsed() < TIMEOUT {
        let Some((length, at)) = receive(socket, &mut reply)? else { return Ok(None) };
        if is_reply(&reply[..length], sequence) {
            let program = sent.elapsed();
            let network = at.duration_since(sent_by_wall).unwrap_or(program);
            return Ok(Some((network, program)));
        }
    }
    Ok(None)
}

/// A packet's length and when the kernel had it; None where none came in time.
fn receive(socket: &Socket, into: &mut [u8]) -> Result<Option<(usize, SystemTime)>> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut pieces = [IoSliceMut::new(into)];
    let fd = socket.as_raw_fd();
    match recvmsg::<()>(fd, &mut pieces, Some(&mut control), MsgFlags::empty()) {
        Ok(message) => {
            let time = message.cmsgs()?.find_map(|m| match m {
                ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
                _ => None,
            });
            Ok(Some((message.bytes, UNIX_EPOCH + time.context("a reply without its time")?)))
        }
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(error) => Err(error).context("waiting for an echo reply"),
    }
}

fn is_reply(packet: &[u8], sequence: u16) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    packet.get(header..header + 8).is_some_and(|icmp| {
        icmp[0] == 0 && icmp[4..6] == IDENT.to_be_bytes() && icmp[6..8] == sequence.to_be_bytes()
    })
}
