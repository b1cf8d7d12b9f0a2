//! Links of a namespace: listing, deleting, up and down. Called by `lab` while it runs; each call
//! opens a socket of its own inside the namespace.

use std::os::fd::BorrowedFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, State,
};
use nix::errno::Errno;
use sys::netns::inside;

use crate::error::{Doing, Error, Result};
use crate::message::{self, Request};
use crate::netlink::{Netlink, errno};

/// A link as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its address, where it has an Ethernet one.
    pub mac: Option<[u8; 6]>,
    /// The largest packet it carries.
    pub mtu: u32,
    /// Set up by its owner.
    pub up: bool,
    /// Up, and so is the other end.
    pub carrier: bool,
    /// The kernel has seen the carrier and set its queue to work. The end of a pair that came up
    /// last works before this is told.
    pub running: bool,
    /// Carries Ethernet frames, and is not loopback.
    pub ethernet: bool,
    /// The index of the bridge, bond or team it is a port of.
    pub master: Option<u32>,
    /// The index of its other end, in that one's namespace: of one of a pair.
    pub peer: Option<u32>,
    /// Its other end is a program (tun(4)).
    pub tun: bool,
}

impl Link {
    pub(crate) fn from_message(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mac: None,
            mtu: 0,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            running: false,
            ethernet: message.header.link_layer_type == LinkLayerType::Ether,
            master: None,
            peer: None,
            tun: false,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                // The flag IFF_RUNNING stands for `Unknown` too, which a new link's state is.
                LinkAttribute::OperState(state) => link.running = *state == State::Up,
                LinkAttribute::Controller(0) => {}
                LinkAttribute::Controller(index) => link.master = Some(*index),
                LinkAttribute::Link(index) => link.peer = Some(*index),
                LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok(),
                LinkAttribute::LinkInfo(info) => {
                    link.tun = info.contains(&LinkInfo::Kind(InfoKind::Tun));
                }
                _ => {}
            }
        }
        link
    }
}

/// Every link of the namespace.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses.
pub fn list(netns: BorrowedFd<'_>) -> Result<Vec<Link>> {
    inside(netns, || {
        let mut links = Vec::new();
        Netlink::open()?.dump(&message::get_links(), |item| {
            if let RouteNetlinkMessage::NewLink(link) = item {
                links.push(Link::from_message(&link));
            }
        })?;
        Ok(links)
    })
    .doing(|| "listing the links of a namespace".into())
}

/// The index of the link of this name; None where there is none.
///
/// # Errors
/// When the namespace cannot be entered.
pub fn find(netns: BorrowedFd<'_>, name: &str) -> Result<Option<u32>> {
    inside(netns, || match nix::net::if_::if_nametoindex(name) {
        Ok(index) => Ok(Some(index)),
        Err(Errno::ENODEV) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .doing(|| format!("looking for link {name}"))
}

/// Deletes the end of a pair that has this name and this hardware address; none, or another's, stays as it is.
///
/// # Errors
/// When the namespace cannot be entered or the kernel refuses.
pub fn delete_end(netns: BorrowedFd<'_>, name: &str, mac: [u8; 6]) -> Result<()> {
    let is_it = |link: &Link| link.name == name && link.peer.is_some() && link.mac == Some(mac);
    match list(netns)?.into_iter().find(is_it) {
        Some(link) => delete(netns, link.index),
        None => Ok(()),
    }
}

/// Deletes a link; of a veth pair both ends go. One that is gone already, perhaps by another's hand
/// meanwhile, is no error.
///
/// # Errors
/// When the kernel refuses.
pub fn delete(netns: BorrowedFd<'_>, index: u32) -> Result<()> {
    match one(netns, message::delete_link(index), || format!("deleting link {index}")) {
        Err(Error::Io { source, .. }) if errno(&source) == Some(Errno::ENODEV as i32) => Ok(()),
        done => done,
    }
}

/// Sets a link up or down.
///
/// # Errors
/// When there is no such link or the kernel refuses.
pub fn set_up(netns: BorrowedFd<'_>, index: u32, up: bool) -> Result<()> {
    let word = if up { "up" } else { "down" };
    one(netns, message::set_up(index, up), || format!("setting link {index} {word}"))
}

/// Sets the MTU of the link of this name, in bytes.
///
/// # Errors
/// When there is no such link or the kernel refuses: each kind of link has bounds of its own.
pub fn set_mtu(netns: BorrowedFd<'_>, name: &str, mtu: u32) -> Result<()> {
    one(netns, message::set_mtu(name, mtu), || format!("setting the MTU of {name} to {mtu}"))
}

/// Has the link of this name make GSO frames of at most 64 KiB, or, `large`, as long ones as links are
/// made with (BIG TCP).
///
/// # Errors
/// When there is no such link. A kernel that knows no longer ones has nothing to change.
pub fn set_gso(netns: BorrowedFd<'_>, name: &str, large: bool) -> Result<()> {
    one(netns, message::set_gso(name, large), || format!("setting the largest GSO frame of {name}"))
}

fn one(netns: BorrowedFd<'_>, request: Request, what: impl FnOnce() -> String) -> Result<()> {
    inside(netns, move || Netlink::open()?.run(&[request]).map_err(|refused| refused.error))
        .doing(what)
}
