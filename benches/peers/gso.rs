//! The size of GSO frames that uswitch gives its links, for the bridge too: `ip link set NAME
//! gso_ipv4_max_size N`, which the iproute2 of Debian 12 does not know, said to the kernel directly
//! (rtnetlink, RTM_SETLINK).

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::os::fd::AsRawFd as _;

use crate::topology::Node;

/// As `uswitch` sets it.
const LARGEST: u32 = 192 * 1024;
const RTM_SETLINK: u16 = 19;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;

/// Every interface of the namespace, loopback apart.
///
/// # Errors
/// What the kernel says: before 6.3 it does not know the attribute and passes over it.
pub fn widen(node: &Node) -> Result<()> {
    node.run(|| {
        for interface in nix::net::if_::if_nameindex()?.iter() {
            if interface.name() != c"lo" {
                set(interface.index()).with_context(|| format!("{interface:?}"))?;
            }
        }
        Ok(())
    })
}

fn set(index: u32) -> Result<()> {
    let mut message = Vec::new();
    message.extend(40u32.to_ne_bytes()); // nlmsghdr: 16 + ifinfomsg 16 + attribute 8
    message.extend(RTM_SETLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence, sender
    message.extend([0; 4]); // family, type
    message.extend(index.to_ne_bytes());
    message.extend([0; 8]); // flags, change
    message.extend(8u16.to_ne_bytes());
    message.extend(IFLA_GSO_IPV4_MAX_SIZE.to_ne_bytes());
    message.extend(LARGEST.to_ne_bytes());
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, route)?;
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let code = answer.get(16..20).filter(|_| length >= 20).context("a short answer")?;
    match i32::from_ne_bytes(code.try_into()?) {
        0 => Ok(()),
        code => bail!("{}", nix::errno::Errno::from_raw(-code)),
    }
}
