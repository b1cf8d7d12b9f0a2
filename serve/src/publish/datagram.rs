//! Datagrams with the address of the host's that they were sent to: an answer comes from there, for a
//! client that has asked one address of a host's does not hear another.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6,
    SockaddrLike, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Whom a datagram is from, and to which address of the host's it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    own: Option<IpAddr>,
}

/// The kernel says, from the next on, to which address each datagram was sent.
pub(super) fn ask(socket: &impl AsFd, v4: bool) -> io::Result<()> {
    match v4 {
        true => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        false => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// The next datagram.
pub(super) async fn receive(socket: &UdpSocket, to: &mut [u8]) -> io::Result<(usize, Ends)> {
    let mut space = nix::cmsg_space!(in6_pktinfo, in_pktinfo);
    let get = || {
        let mut parts = [IoSliceMut::new(to)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let got =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let own = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
            }
            _ => None,
        });
        // An answer comes from no group.
        let own = own.filter(|own: &IpAddr| !own.is_multicast());
        let client = got.address.and_then(address).ok_or(io::ErrorKind::InvalidData)?;
        Ok((got.bytes, Ends { client, own }))
    };
    socket.async_io(Interest::READABLE, get).await
}

/// Sends an answer.
pub(super) async fn send(socket: &UdpSocket, datagram: &[u8], to: Ends) -> io::Result<usize> {
    let Ends { client, own } = to;
    // Which interface an address of a link's own is on, the client's says.
    let scope = match client {
        SocketAddr::V6(client) => client.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let (v4, v6);
    let message = match own {
        Some(IpAddr::V4(own)) => {
            let zero = in_addr { s_addr: 0 };
            let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(own.octets()) };
            v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: zero };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(own)) => {
            let ipi6_addr = in6_addr { s6_addr: own.octets() };
            v6 = in6_pktinfo { ipi6_addr, ipi6_ifindex: scope };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
        None => None,
    };
    let parts = [IoSlice::new(datagram)];
    let client = SockaddrStorage::from(client);
    let put = || {
        let flags = MsgFlags::MSG_DONTWAIT;
        Ok(sendmsg(socket.as_raw_fd(), &parts, message.as_slice(), flags, Some(&client))?)
    };
    socket.async_io(Interest::WRITABLE, put).await
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    match storage.family()? {
        AddressFamily::Inet => {
            let &own = storage.as_sockaddr_in()?;
            Some(SocketAddr::V4(SockaddrIn::into(own)))
        }
        AddressFamily::Inet6 => {
            let &own = storage.as_sockaddr_in6()?;
            let own: SocketAddrV6 = SockaddrIn6::into(own);
            Some(SocketAddr::V6(own))
        }
        _ => None,
    }
}
