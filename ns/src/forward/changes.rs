//! Rules that come and go: what nftables tells its group of listeners, and iptables by way of it. The older
//! iptables, with tables of its own, tells nobody: whoever is to know of those looks again by and by.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::libc;
use sys::netns::inside;

use super::legacy;
use super::rules::string;
use crate::error::{Doing, Result};
use crate::netlink::parts;
use crate::nft::NFTABLES;

/// NFNLGRP_NFTABLES.
const GROUP: u32 = 7;
/// The header of a message of nfnetlink: netlink's, then family, version and resource.
const BODY: usize = 20;
/// NFT_MSG_NEWGEN: the end of each change, whatever it was about.
const GENERATION: u16 = NFTABLES << 8 | 15;
/// NFTA_TABLE_NAME, and of all that lies in a table the name of that.
const TABLE: u16 = 1;

/// A socket on which changes of what [`super::look`] reads are announced.
pub struct Changes {
    socket: Socket,
}

impl Changes {
    /// Watches the namespace from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket not be had.
    pub fn new(netns: BorrowedFd<'_>) -> Result<Self> {
        let open = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(GROUP)?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        let socket = inside(netns, open).doing(|| "watching the rules of a namespace".into())?;
        Ok(Self { socket })
    }

    /// Whether any rule, set or chain has changed since the last call, but for tables that are `ours`; what
    /// the kernel could not keep counts as a change.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn any(&mut self, ours: impl Fn(&str) -> bool) -> Result<bool> {
        let mut any = false;
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => any |= parts(&datagram).any(|part| is_change(part, &ours)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => any = true,
                Err(e) => return Err(e).doing(|| "reading changes of rules".into()),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a namespace has rules of which nobody hears that they change.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn is_silent(netns: BorrowedFd<'_>) -> Result<bool> {
    inside(netns, || Ok(legacy::is_there())).doing(|| "looking for tables of iptables".into())
}

fn is_change(message: &[u8], ours: impl Fn(&str) -> bool) -> bool {
    let kind = message.get(4..6).map_or(0, |two| u16::from_ne_bytes([two[0], two[1]]));
    let table = || string(message.get(BODY..).unwrap_or_default(), TABLE);
    kind >> 8 == NFTABLES && kind != GENERATION && !table().is_some_and(|name| ours(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_of_others_tables_is_a_change() {
        let message = |kind: u16, table: &str| {
            let name = crate::nft::text(TABLE, table);
            crate::nft::message(kind, 0, 1, 2, &name)
        };
        let is = |message: &[u8]| is_change(message, |name| name.starts_with("uswitch-"));
        for (kind, table, counts) in [
            (6, "nat", true),
            (12, "kube-proxy", true),
            (12, "uswitch-7-2-10.0.0.1", false),
            (15, "", false),
        ] {
            assert_eq!(is(&message(NFTABLES << 8 | kind, table)), counts, "{kind} {table}");
        }
        // Of another part of netfilter, or cut short.
        assert!(!is(&message(1 << 8, "nat")) && !is(&[0; 5]) && !is(&[]));
    }
}
