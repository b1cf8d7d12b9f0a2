//! The ICMP socket: raw where that is allowed, else the datagram kind (`ping_group_range`), where
//! the kernel owns the identifier and hands over replies to it only.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt::Ipv4RecvTtl,
};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::packet;

/// Room for the largest IP packet.
const LARGEST: usize = 65_536;

/// An open ICMP socket of the calling thread's namespace.
pub(crate) struct IcmpSocket {
    socket: Socket,
    raw: bool,
    buffer: Vec<u8>,
}

/// Something that arrived.
pub(crate) struct Arrival<'a> {
    pub(crate) from: Ipv4Addr,
    pub(crate) ttl: Option<u8>,
    pub(crate) message: &'a [u8],
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
        // A flood's answers wait here.
        socket.set_recv_buffer_size(1 << 20)?;
        socket.set_broadcast(true)?;
        setsockopt(&socket, Ipv4RecvTtl, &true)?;
        Ok(Self { socket, raw, buffer: vec![0; LARGEST] })
    }

    /// True where this pinger chooses its identifier.
    pub(crate) fn is_raw(&self) -> bool {
        self.raw
    }

    pub(crate) fn set_ttl(&self, ttl: u8) -> io::Result<()> {
        self.socket.set_ttl_v4(u32::from(ttl))
    }

    /// Binds to a source address.
    pub(crate) fn bind(&self, source: Ipv4Addr) -> io::Result<()> {
        self.socket.bind(&SockAddr::from(SocketAddrV4::new(source, 0)))
    }

    /// Sends and receives by one interface only.
    pub(crate) fn bind_device(&self, name: &str) -> io::Result<()> {
        self.socket.bind_device(Some(name.as_bytes()))
    }

    pub(crate) fn send(&self, message: &[u8], to: Ipv4Addr) -> io::Result<()> {
        self.socket.send_to(message, &SockAddr::from(SocketAddrV4::new(to, 0))).map(|_| ())
    }

    /// What has arrived; None where nothing has.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Arrival<'_>>> {
        let mut space = nix::cmsg_space!(i32);
        let (len, ttl, address) = {
            let mut pieces = [IoSliceMut::new(&mut self.buffer)];
            let fd = self.socket.as_raw_fd();
            let got = recvmsg::<SockaddrIn>(fd, &mut pieces, Some(&mut space), MsgFlags::empty());
            let got = match got {
                Ok(got) => got,
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let ttl = got.cmsgs().ok().and_then(|mut all| {
                all.find_map(|message| match message {
                    ControlMessageOwned::Ipv4Ttl(ttl) => u8::try_from(ttl).ok(),
                    _ => None,
                })
            });
            (got.bytes, ttl, got.address.map_or(Ipv4Addr::UNSPECIFIED, |a| a.ip()))
        };
        let bytes = self.buffer.get(..len).unwrap_or_default();
        if !self.raw {
            return Ok(Some(Arrival { from: address, ttl, message: bytes }));
        }
        Ok(packet::from_ip(bytes).map(|(from, ttl, message)| Arrival {
            from,
            ttl: Some(ttl),
            message,
        }))
    }

    /// Sleeps until something arrives or the time is up; a signal ends it too.
    pub(crate) fn wait(&self, time: Duration) -> io::Result<()> {
        let millis = u16::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for IcmpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
