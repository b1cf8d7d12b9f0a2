//! The ICMP socket: raw where that is allowed, else the datagram kind (`ping_group_range`), where
//! the kernel owns the identifier and hands over replies to it only.
//!
//! What arrives has the kernel's stamp. What the kernel has to say about our own probes (when one
//! left; for the datagram kind, that a router complained) waits in the error queue. Belongs to one
//! run; never blocks but in [`IcmpSocket::wait`].

mod filter;
mod notice;
mod route;

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, TimestampingFlag, recvmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::packet;

pub(crate) use notice::Notice;
pub(crate) use route::{apply, mtu, source};

/// Room for the largest IP packet.
const LARGEST: usize = 65_536;
/// A flood's answers wait here.
const RECEIVE_BUFFER: usize = 1 << 20;

/// An open ICMP socket of the calling thread's namespace.
pub(crate) struct IcmpSocket {
    socket: Socket,
    raw: bool,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

/// Something that arrived.
pub(crate) struct Arrival<'a> {
    pub(crate) from: Ipv4Addr,
    pub(crate) ttl: Option<u8>,
    pub(crate) message: &'a [u8],
    /// The kernel's stamp: nanoseconds of the wall clock.
    pub(crate) stamp: Option<u64>,
}

impl IcmpSocket {
    /// Raw if possible.
    pub(crate) fn open() -> io::Result<Self> {
        let icmp = Some(Protocol::ICMPV4);
        let (socket, raw) = match Socket::new(Domain::IPV4, Type::RAW, icmp) {
            Ok(socket) => (socket, true),
            Err(refused) => match Socket::new(Domain::IPV4, Type::DGRAM, icmp) {
                Ok(socket) => (socket, false),
                Err(_) => return Err(refused),
            },
        };
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        if !raw {
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        }
        Ok(Self { socket, raw, buffer: vec![0; LARGEST], control: nix::cmsg_space!([u8; 256]) })
    }

    /// True where this pinger chooses its identifier.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    /// The options of the socket, for the route that sets them.
    pub(crate) fn options(&self) -> &Socket {
        &self.socket
    }

    /// Keeps foreign messages away from a raw socket.
    pub(crate) fn filter(&self, ident: u16, payload: &[u8]) -> io::Result<()> {
        if self.raw { self.socket.attach_filter(&filter::program(ident, payload)) } else { Ok(()) }
    }

    /// Asks for stamps of what arrives and, if `departures`, of what leaves. A kernel without
    /// them is no error: then the monotonic clock has to do.
    pub(crate) fn stamp(&self, departures: bool) {
        let arrivals = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        let both = arrivals
            | TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_ID
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
        let wanted = if departures { both } else { arrivals };
        let _ = setsockopt(&self.socket, sockopt::Timestamping, &wanted);
    }

    pub(crate) fn send(&self, message: &[u8], to: Ipv4Addr) -> io::Result<()> {
        self.socket.send_to(message, &SockAddr::from(SocketAddrV4::new(to, 0))).map(|_| ())
    }

    /// What has arrived; None where nothing has.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Arrival<'_>>> {
        let mut stamp = None;
        let mut ttl = None;
        let (len, address) = {
            let mut pieces = [IoSliceMut::new(&mut self.buffer)];
            let fd = self.socket.as_raw_fd();
            let control = Some(self.control.as_mut_slice());
            let got = match recvmsg::<SockaddrIn>(fd, &mut pieces, control, MsgFlags::empty()) {
                Ok(got) => got,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            for message in got.cmsgs().into_iter().flatten() {
                match message {
                    ControlMessageOwned::Ipv4Ttl(value) => ttl = u8::try_from(value).ok(),
                    ControlMessageOwned::ScmTimestampsns(stamps) => stamp = nanos(stamps.system),
                    _ => {}
                }
            }
            (got.bytes, got.address.map_or(Ipv4Addr::UNSPECIFIED, |a| a.ip()))
        };
        let bytes = self.buffer.get(..len).unwrap_or_default();
        if !self.raw {
            return Ok(Some(Arrival { from: address, ttl, message: bytes, stamp }));
        }
        let (from, ttl, message) = packet::from_ip(bytes).unwrap_or((address, 0, &[]));
        Ok(Some(Arrival { from, ttl: Some(ttl), message, stamp }))
    }

    /// Sleeps until something arrives or the time is up; a signal ends it too.
    pub(crate) fn wait(&self, time: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from(time)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A stamp the kernel did not make is zero.
fn nanos(stamp: TimeSpec) -> Option<u64> {
    let seconds = u64::try_from(stamp.tv_sec()).ok().filter(|seconds| *seconds > 0)?;
    Some(seconds * 1_000_000_000 + u64::try_from(stamp.tv_nsec()).ok()?)
}
