//! The error queue: what the kernel has to say about probes that were handed to it.

use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use wire::icmp::{ECHO_REQUEST, Icmp};

use super::{IcmpSocket, nanos};
use crate::packet::Complaint;

/// Where a notice comes from (linux/errqueue.h).
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_TIMESTAMPING: u8 = 4;
/// Largest header a notice quotes that matters here.
const QUOTED: usize = 64;

/// What the kernel says of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It left: the how-manieth since stamps were asked for, and when by the wall clock.
    Left(u32, u64),
    /// A router complained of it.
    Complaint(Ipv4Addr, Complaint),
    /// Something of no concern here.
    Other,
}

impl IcmpSocket {
    /// The next notice; None where there is none.
    pub(crate) fn notice(&mut self) -> Option<Notice> {
        let mut quoted = [0; QUOTED];
        let mut pieces = [IoSliceMut::new(&mut quoted)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let got = match recvmsg::<SockaddrIn>(
            fd,
            &mut pieces,
            Some(self.control.as_mut_slice()),
            flags,
        ) {
            Ok(got) => got,
            Err(Errno::EINTR) => return Some(Notice::Other),
            Err(_) => return None,
        };
        let (length, towards) = (got.bytes, got.address.map(|address| address.ip()));
        let (mut about, mut offender, mut stamp) = (None, None, None);
        for message in got.cmsgs().into_iter().flatten() {
            match message {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    about = Some(error);
                    offender = from.map(|from| Ipv4Addr::from(u32::from_be(from.sin_addr.s_addr)));
                }
                ControlMessageOwned::ScmTimestampsns(stamps) => stamp = nanos(stamps.system),
                _ => {}
            }
        }
        let Some(error) = about else { return Some(Notice::Other) };
        Some(match (error.ee_origin, stamp, offender, towards) {
            (ORIGIN_TIMESTAMPING, Some(stamp), _, _) => Notice::Left(error.ee_data, stamp),
            (ORIGIN_ICMP, _, Some(from), Some(towards)) => {
                let (kind, code, info) = (error.ee_type, error.ee_code, error.ee_info);
                match Icmp::parse(quoted.get(..length).unwrap_or_default()) {
                    Some(echo) if echo.message_type() == ECHO_REQUEST => {
                        let (ident, seq) = (echo.id(), echo.sequence());
                        Notice::Complaint(from, Complaint { kind, code, ident, seq, towards, info })
                    }
                    _ => Notice::Other,
                }
            }
            _ => Notice::Other,
        })
    }
}
