//! Links that come, go, and change, in one namespace: a netlink socket in the RTNLGRP_LINK group.
//! Read by lab's control thread. When the kernel drops events because nobody read them, the caller
//! is told to list anew.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;

use crate::error::{Doing, Result};
use crate::link::Link;
use crate::netlink::{listen, messages};

/// RTMGRP_LINK, the group of links as a bit of the address.
const LINKS: u32 = 1;

/// What became of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// New, or changed: up, down, carrier, name.
    Changed(Link),
    /// Gone.
    Gone(Link),
    /// Some events were lost: list the links anew.
    Lost,
}

/// A socket that links of a namespace are announced on.
pub struct Watcher {
    socket: Socket,
}

impl Watcher {
    /// Watches the namespace from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the socket not be had.
    pub fn new(netns: BorrowedFd<'_>) -> Result<Self> {
        let socket = listen(netns, LINKS).doing(|| "watching the links of a namespace".into())?;
        Ok(Self { socket })
    }

    /// What has happened since the last call; empty when nothing has.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn events(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    for message in messages(&datagram).flatten() {
                        match message.payload {
                            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => {
                                events.push(Event::Changed(Link::from_message(&link)));
                            }
                            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                                events.push(Event::Gone(Link::from_message(&link)));
                            }
                            _ => {}
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(events),
                Err(e) if e.raw_os_error() == Some(nix::libc::ENOBUFS) => events.push(Event::Lost),
                Err(e) => return Err(e).doing(|| "reading link events".into()),
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
