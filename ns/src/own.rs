//! All addresses of a namespace, of both families, and a socket that says when they have changed.
//! Read by `lab`, whose gateway leaves to the host what is sent to one of them.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_sys::Socket;
use sys::netns::inside;

use crate::error::{Doing, Result};
use crate::message;
use crate::netlink::{Netlink, listen};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` (linux/rtnetlink.h): groups as bits of the
/// address.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Every address of the namespace, those of loopback too.
///
/// # Errors
/// When it cannot be entered or the kernel refuses.
pub fn addresses(netns: BorrowedFd<'_>) -> Result<Vec<IpAddr>> {
    Ok(by_link(netns)?.into_iter().map(|(_, address)| address).collect())
}

/// The same, each behind the index of its interface.
///
/// # Errors
/// Those of [`addresses`].
pub fn by_link(netns: BorrowedFd<'_>) -> Result<Vec<(u32, IpAddr)>> {
    Ok(with_prefixes(netns)?.into_iter().map(|(index, address, _)| (index, address)).collect())
}

/// The same, each with the length of its prefix as well.
///
/// # Errors
/// Those of [`addresses`].
pub fn with_prefixes(netns: BorrowedFd<'_>) -> Result<Vec<(u32, IpAddr, u8)>> {
    inside(netns, || {
        let mut all = Vec::new();
        Netlink::open()?.dump(&message::get_all_addresses(), |item| {
            if let RouteNetlinkMessage::NewAddress(message) = item {
                let (mut local, mut peer) = (None, None);
                for attribute in message.attributes {
                    match attribute {
                        AddressAttribute::Local(address) => local = Some(address),
                        AddressAttribute::Address(address) => peer = Some(address),
                        _ => {}
                    }
                }
                // At the end of a point-to-point link the other address is the peer's.
                let header = message.header;
                let own = |address| (header.index, address, header.prefix_len);
                all.extend(local.or(peer).map(own));
            }
        })?;
        Ok(all)
    })
    .doing(|| "listing the addresses of a namespace".into())
}

/// A socket on which changes of [`addresses`] are announced, and those of links.
pub struct Changes {
    socket: Socket,
}

impl Changes {
    /// Watches the namespace from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket not be had.
    pub fn new(netns: BorrowedFd<'_>) -> Result<Self> {
        let socket = listen(netns, GROUPS).doing(|| "watching the addresses of a namespace".into());
        Ok(Self { socket: socket? })
    }

    /// Takes what has been announced since the last call.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn take(&mut self) -> Result<()> {
        loop {
            match self.socket.recv_from_full() {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Some were lost: whoever asks lists all of them anyway.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(e) => return Err(e).doing(|| "reading changes of addresses".into()),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
