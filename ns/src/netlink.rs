//! A synchronous rtnetlink socket, of the namespace its thread was in when it was opened.
//!
//! Requests go out many at a time; the kernel works through them in order. It says of each that it
//! failed, and that it was done only where it was asked to (NLM_F_ACK): of the last, which tells that
//! all have been looked at. When one fails, the first failure is told, with the kernel's own words for
//! it where it has some (NETLINK_EXT_ACK).

use std::io;
use std::os::fd::BorrowedFd;

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NetlinkMessage, NetlinkPayload, NlasIterator};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use sys::netns::inside;

use crate::message::Request;

/// Requests sent in one go. What the kernel says of those that fail waits in the socket's receive
/// buffer (208 KiB by default, under 1 KiB each), so this many always fit.
pub(crate) const BATCH: usize = 64;

/// Questions sent in one go: an item is some 2 KiB.
const ASKED: usize = 16;

/// NLMSGERR_ATTR_MSG: the kernel's explanation.
const EXPLANATION: u16 = 1;
/// The length of a netlink header, which an error carries back before its attributes.
const HEADER: usize = 16;

/// A request that failed: its place in the batch, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) place: usize,
    pub(crate) error: io::Error,
}

/// An open socket.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Both only make errors shorter and clearer; kernels before 4.12 do without.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends `requests`, in order, and waits until the kernel has been through all of them.
    pub(crate) fn run(&mut self, requests: &[Request]) -> Result<(), Refused> {
        for (round, some) in requests.chunks(BATCH).enumerate() {
            self.run_some(some, &mut |_| {}).map_err(|refused| Refused {
                place: refused.place + round * BATCH,
                error: refused.error,
            })?;
        }
        Ok(())
    }

    /// Sends `requests` for one item each, and hands the items to `item`.
    pub(crate) fn ask(
        &mut self,
        requests: &[Request],
        mut item: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        let mut all = requests.chunks(ASKED);
        all.try_for_each(|some| self.run_some(some, &mut item)).map_err(|refused| refused.error)
    }

    fn run_some(
        &mut self,
        requests: &[Request],
        item: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> Result<(), Refused> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let ack = if place + 1 == requests.len() { NLM_F_ACK } else { 0 };
            bytes.extend(request.to_bytes(self.sequence, ack));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let whole = |error| Refused { place: 0, error };
        self.socket.send(&bytes, 0).map_err(whole)?;
        let mut failed: Option<Refused> = None;
        let mut waiting = true;
        while waiting {
            let (datagram, _) = self.socket.recv_from_full().map_err(whole)?;
            for message in messages(&datagram) {
                let message = message.map_err(whole)?;
                let answer = match message.payload {
                    NetlinkPayload::Error(answer) => answer,
                    NetlinkPayload::InnerMessage(inner) => {
                        item(inner);
                        continue;
                    }
                    _ => continue,
                };
                waiting &= message.header.sequence_number != self.sequence;
                if answer.code.is_some() && failed.is_none() {
                    let place = message.header.sequence_number.wrapping_sub(first) as usize;
                    failed = Some(Refused { place, error: explain(&answer) });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sends one request for a list and hands each item to `item`.
    pub(crate) fn dump(
        &mut self,
        request: &Request,
        mut item: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&request.to_bytes(self.sequence, NLM_F_DUMP), 0)?;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages(&datagram) {
                match message?.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(answer) => return Err(explain(&answer)),
                    NetlinkPayload::InnerMessage(inner) => item(inner),
                    _ => {}
                }
            }
        }
    }
}

/// `RTNLGRP_NEXTHOP` (linux/rtnetlink.h), which has no bit: next hops that are objects by themselves. Their
/// messages are among those that [`messages`] cannot read.
pub(crate) const NEXT_HOPS: u32 = 32;

/// A socket on which what happens in the namespace `netns` is announced, by `groups` (RTMGRP bits);
/// it does not wait.
pub(crate) fn listen(netns: BorrowedFd<'_>, groups: u32) -> io::Result<Socket> {
    inside(netns, || {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        socket.set_non_blocking(true)?;
        Ok(socket)
    })
}

/// The messages of a datagram.
pub(crate) fn messages(
    datagram: &[u8],
) -> impl Iterator<Item = io::Result<NetlinkMessage<RouteNetlinkMessage>>> {
    parts(datagram).map(|part| {
        let parsed = NetlinkMessage::<RouteNetlinkMessage>::deserialize(part);
        parsed.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
    })
}

/// The bytes of each message of a datagram.
pub(crate) fn parts(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.len() < HEADER {
            return None;
        }
        let part = rest;
        let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        Some(part.get(..length).filter(|part| part.len() >= HEADER).unwrap_or(part))
    })
}

/// What a socket of [`listen`] hears.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message of links, addresses or routes.
    Message(RouteNetlinkMessage),
    /// A next hop that is an object by itself, of this number, has come, gone or become another.
    NextHop(u32),
    /// Something else, which could not be read.
    Unread,
}

/// What a datagram says.
pub(crate) fn heard(datagram: &[u8]) -> impl Iterator<Item = Heard> {
    parts(datagram).zip(messages(datagram)).filter_map(|(part, message)| match message {
        Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(told), .. }) => {
            Some(Heard::Message(told))
        }
        Ok(_) => None,
        Err(_) => Some(next_hop(part).map_or(Heard::Unread, Heard::NextHop)),
    })
}

/// The number of the next hop that a message is about (`struct nhmsg`, linux/nexthop.h).
fn next_hop(message: &[u8]) -> Option<u32> {
    /// `RTM_NEWNEXTHOP` and `RTM_DELNEXTHOP` (linux/rtnetlink.h).
    const KINDS: [u16; 2] = [104, 105];
    /// Bytes of a `struct nhmsg`.
    const NHMSG: usize = 8;
    /// `NHA_ID`.
    const ID: u16 = 1;
    let kind = u16::from_ne_bytes([*message.get(4)?, *message.get(5)?]);
    if !KINDS.contains(&kind) {
        return None;
    }
    let mut attributes = NlasIterator::new(message.get(HEADER + NHMSG..)?).map_while(Result::ok);
    let id = attributes.find(|attribute| attribute.kind() == ID)?;
    Some(u32::from_ne_bytes(id.value().try_into().ok()?))
}

pub(crate) fn explain(answer: &netlink_packet_core::ErrorMessage) -> io::Error {
    // The least number there is has no opposite.
    let error = io::Error::from_raw_os_error(answer.raw_code().saturating_neg());
    let attributes = answer.header.get(HEADER..).unwrap_or_default();
    let words = NlasIterator::new(attributes)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == EXPLANATION)
        .map(|attribute| {
            String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned()
        });
    match words {
        Some(words) if !words.is_empty() => {
            io::Error::new(error.kind(), Explained { error, words })
        }
        _ => error,
    }
}

/// An errno with the kernel's explanation.
#[derive(Debug, thiserror::Error)]
#[error("{words}: {error}")]
pub(crate) struct Explained {
    pub(crate) error: io::Error,
    words: String,
}

/// The errno of an error, explained or not.
pub(crate) fn errno(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        error.get_ref()?.downcast_ref::<Explained>().and_then(|e| e.error.raw_os_error())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// An answer with this code, to a request without a body.
    fn answer(code: i32) -> Vec<u8> {
        let lengths = [36_u32.to_ne_bytes(), [2, 0, 0, 0], [0; 4], [0; 4]].concat();
        [lengths, code.to_ne_bytes().to_vec(), 16_u32.to_ne_bytes().to_vec(), vec![0; 12]].concat()
    }

    fn refusal(code: i32) -> io::Error {
        let datagram = answer(code);
        let message = messages(&datagram).next().unwrap().unwrap();
        let NetlinkPayload::Error(answer) = message.payload else { panic!("{message:?}") };
        explain(&answer)
    }

    #[test]
    fn whatever_code_is_told_is_an_error() {
        assert_eq!(errno(&refusal(-1)), Some(1));
        assert_eq!(errno(&refusal(-17)), Some(17));
        assert_eq!(errno(&refusal(i32::MIN)), Some(i32::MAX));
    }

    /// A message of the kernel's about a next hop, whose first attribute is its number.
    fn of_next_hop(kind: u16, number: u32) -> Vec<u8> {
        let kind = [kind.to_ne_bytes(), [0; 2]].concat();
        let attribute = [8_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat();
        let body =
            [vec![2, 0, 0, 0, 0, 0, 0, 0], attribute, number.to_ne_bytes().to_vec()].concat();
        [32_u32.to_ne_bytes().to_vec(), kind, vec![0; 8], body].concat()
    }

    #[test]
    fn a_next_hop_is_heard_of_by_its_number() {
        let datagram = [of_next_hop(104, 7), of_next_hop(105, 8), of_next_hop(199, 9)].concat();
        let told: Vec<_> = heard(&datagram).collect();
        assert!(
            matches!(told[..], [Heard::NextHop(7), Heard::NextHop(8), Heard::Unread]),
            "{told:?}"
        );
        let mut cut = of_next_hop(104, 7);
        cut.truncate(20);
        assert!(matches!(heard(&cut).next(), Some(Heard::Unread)), "one that is cut off");
    }
}
