//! Echoes of ICMPv6 to the other end of a tunnel, outside it: of one size, in one piece, and compared byte
//! for byte. The kernel makes and checks their checksums (RFC 3542, section 3.1).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::probe::{INTERVAL, PATIENCE};
use super::verdict::Echo;

/// IPv6's header, and that of an echo.
const IP: usize = 40;
const HEADER: usize = 8;
/// The longest packet.
const LONGEST: usize = 65_535;
// Kinds of messages (RFC 4443).
const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;
const REQUEST: u8 = 128;
const REPLY: u8 = 129;

/// Raw sockets of this process hear the same answers: each has a number of its own.
static NUMBER: AtomicU16 = AtomicU16::new(0);

/// Sends up to `count` echoes whose packets have `length` bytes; the first answer counts.
pub(super) fn echo(local: Ipv6Addr, to: Ipv6Addr, length: u32, count: u64) -> Echo {
    let size = (length as usize).clamp(IP + HEADER, LONGEST) - IP;
    match Asking::begin(local, to, size).and_then(|asking| asking.ask(count)) {
        Ok(echo) => echo,
        Err(error) => Echo::Refused(error.to_string()),
    }
}

fn since(sent: u64) -> Duration {
    Duration::from_nanos(sys::clock::now().saturating_sub(sent))
}

struct Asking {
    /// A raw one; what is called a datagram here is a message.
    socket: UdpSocket,
    to: Ipv6Addr,
    /// What is sent, from the header of the echo on.
    packet: Vec<u8>,
}

impl Asking {
    fn begin(local: Ipv6Addr, to: Ipv6Addr, size: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind(&SocketAddr::from((local, 0)).into())?;
        // Nothing is cut here, and routers of IPv6 cut nothing.
        setsockopt(&socket, sockopt::Ipv6DontFrag, &true)?;
        let [_, _, a, b] = std::process::id().to_be_bytes();
        let [c, d] = NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let head = [REQUEST, 0, 0, 0, a ^ c, b ^ d, 0, 0];
        let filled = (HEADER..size).map(|at| at.to_le_bytes()[0]);
        let socket = socket.into();
        Ok(Self { socket, to, packet: head.into_iter().chain(filled).collect() })
    }

    fn ask(mut self, count: u64) -> io::Result<Echo> {
        for sequence in 0..count {
            if sequence > 0 {
                std::thread::sleep(INTERVAL);
            }
            let [.., a, b] = sequence.to_be_bytes();
            self.packet[6..8].copy_from_slice(&[a, b]);
            let sent = sys::clock::now();
            let told = self.socket.send_to(&self.packet, (self.to, 0));
            match told {
                Ok(_) => {}
                // It does not fit into this host's own link, or is known not to fit further on.
                Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                    return Ok(Echo::Silent);
                }
                Err(error) => return Err(error),
            }
            match self.hear(sent)? {
                Echo::Silent => {}
                heard => return Ok(heard),
            }
        }
        Ok(Echo::Silent)
    }

    fn hear(&self, sent: u64) -> io::Result<Echo> {
        let mut room = vec![0; LONGEST];
        loop {
            let left = PATIENCE.saturating_sub(since(sent));
            if left.is_zero() {
                return Ok(Echo::Silent);
            }
            self.socket.set_read_timeout(Some(left))?;
            let (count, from) = match self.socket.recv_from(&mut room) {
                Ok(came) => came,
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let from_there = from.ip() == IpAddr::V6(self.to);
            if let Some(echo) = self.read(&room[..count], from_there, sent) {
                return Ok(echo);
            }
        }
    }

    /// What a message means; None for one that is not about what was sent.
    fn read(&self, heard: &[u8], from_there: bool, sent: u64) -> Option<Echo> {
        let (kind, rest) = (heard.first()?, heard.get(4..)?);
        match *kind {
            REPLY if from_there && rest.get(..4)? == &self.packet[4..8] => {
                Some(match rest == &self.packet[4..] {
                    true => Echo::Answered(since(sent)),
                    false => Echo::Changed,
                })
            }
            // Behind four bytes, the packet that it is about.
            TOO_BIG | UNREACHABLE => {
                let about = rest.get(4..)?;
                let to = about.get(24..IP)? == self.to.octets();
                let ours = to && about.get(IP + 4..IP + HEADER)? == &self.packet[4..8];
                let mtu = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
                ours.then(|| match *kind {
                    TOO_BIG => Echo::TooLong(mtu),
                    _ => Echo::Refused("destination unreachable".into()),
                })
            }
            _ => None,
        }
    }
}
