//! What the programs would do with a frame: `tap` of `c/flows.bpf.c` once more, asked and not done. A ring's
//! order apart, which has its frames wait for those before them; and the frame's own header sum, which an
//! imagined one has not.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::Ordering;

use wire::ipv4::protocol::{ICMP, TCP, UDP};
use wire::tcp::Flags;
use wire::{Ethernet, Timestamp, ethertype, icmp};

use super::{FlowId, Key, Table, halves};
use crate::layout::{
    ACTION_ANSWERS, ACTION_ATOMIC, ACTION_FLOOD, BEYOND, ENTRIES, MTU_ACTION, OPEN, PUSH_SOURCE,
};
use crate::route::Ends;

/// Where a server of DHCP speaks from, and where a client hears it (RFC 2131 section 4.1).
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// What routers tell hosts (RFC 1256).
const ROUTER_ADVERTISEMENT: u8 = 9;
/// An IPv4 header without options, and what is read behind it.
const IPV4: usize = 20;

/// A frame to ask about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it has in common with others; without ends.
    pub key: Key,
    /// From its destination address on, without its outermost tag.
    pub bytes: &'a [u8],
    /// The largest layer-3 packet it becomes, in bytes.
    pub length: u32,
}

/// What is read of a packet that may have a route.
struct Facts {
    ends: Ends,
    flags: Flags,
    atomic: bool,
}

impl Table {
    /// Whether a program would carry the frame at a moment.
    #[must_use]
    pub fn carries(&self, asked: &Asked<'_>, now: Timestamp) -> bool {
        match self.find(&Key { ends: None, ..asked.key }) {
            Some(id) => self.suits(id, asked) && self.may(id, asked, now),
            None if asked.key.dst.is_group() => false,
            None => self.routes(asked, now),
        }
    }

    /// Whether a flow between ports is for what the frame is.
    fn suits(&self, id: FlowId, asked: &Asked<'_>) -> bool {
        let source = self.halves(id, PUSH_SOURCE).1;
        let Some(ethernet) = Ethernet::parse(asked.bytes) else { return false };
        match self.halves(id, MTU_ACTION).1 & ACTION_FLOOD != 0 {
            _ if source == 0 => true,
            true => u32::from(ethernet.ethertype().to_be()) == source,
            false => is_from(&ethernet, Ipv4Addr::from(source.to_ne_bytes())),
        }
    }

    fn routes(&self, asked: &Asked<'_>, now: Timestamp) -> bool {
        let Some(Facts { ends, flags, atomic }) = read(asked.bytes) else { return false };
        let find = |ends| self.find(&Key { ends: Some(ends), ..asked.key });
        let plain = |bits| flags.0 & (Flags::SYN | Flags::ACK | Flags::FIN | Flags::RST) == bits;
        let (tcp, answers) = (ends.protocol == TCP, plain(Flags::SYN | Flags::ACK));
        let aside = tcp && flags.0 & (Flags::ACK | Flags::RST) != Flags::ACK;
        let known = if !flags.syn() || answers { find(ends) } else { None };
        if let Some(id) = known {
            let action = self.halves(id, MTU_ACTION).1;
            let first = |id| self.answered(id);
            let turn = match action & ACTION_ANSWERS != 0 {
                true => answers != first(id),
                false => !flags.syn() && self.awaited(id).is_none_or(first),
            };
            let cut = action & ACTION_ATOMIC != 0 && !atomic;
            return turn && !aside && !cut && self.may(id, asked, now);
        }
        let open = self.control.get()[OPEN].load(Ordering::Relaxed) != 0;
        let all = ends.among_all().filter(|_| open).and_then(find);
        all.is_some_and(|id| self.may(id, asked, now))
    }

    /// Whether a flow holds, and the frame is not too long for it.
    fn may(&self, id: FlowId, asked: &Asked<'_>, now: Timestamp) -> bool {
        self.holds(id, now) && asked.length > 0 && asked.length <= self.halves(id, MTU_ACTION).0
    }

    /// The route whose answer comes before a route's own frames.
    fn awaited(&self, id: FlowId) -> Option<FlowId> {
        let number = usize::try_from(self.halves(id, BEYOND).1).ok()?.checked_sub(1)?;
        u16::try_from(ENTRIES + number).ok().map(FlowId)
    }

    fn halves(&self, id: FlowId, word: usize) -> (u32, u32) {
        halves(self.flow(id)[word].load(Ordering::Relaxed))
    }
}

/// Whether a frame is a packet from this address, and not one that a server of DHCP or a router sends.
fn is_from(ethernet: &Ethernet<'_>, source: Ipv4Addr) -> bool {
    let packet = ethernet.payload();
    if ethernet.ethertype() != ethertype::IPV4 || packet.len() < IPV4 + 4 || packet[0] != 0x45 {
        return false;
    }
    let port = |at: usize| u16::from_be_bytes([packet[IPV4 + at], packet[IPV4 + at + 1]]);
    let is_own = match packet[9] {
        UDP => port(0) != DHCP_SERVER && port(2) != DHCP_CLIENT,
        ICMP => ![icmp::REDIRECT, ROUTER_ADVERTISEMENT].contains(&packet[IPV4]),
        _ => true,
    };
    packet[12..16] == source.octets() && is_own
}

/// Reads a packet that may be a route's; None where it takes userspace to judge it.
fn read(frame: &[u8]) -> Option<Facts> {
    let ethernet = Ethernet::parse(frame).filter(|eth| eth.ethertype() == ethertype::IPV4)?;
    let (head, body) = ethernet.payload().split_at_checked(IPV4)?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(&head[at..at + 4]).ok()?));
    let (fragment, ttl, protocol) = (u16::from_be_bytes([head[6], head[7]]), head[8], head[9]);
    if head[0] != 0x45 || fragment & 0xbfff != 0 || ttl <= 1 {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]));
    let flags = Flags(if protocol == TCP { *body.get(13)? } else { 0 });
    let ports = match (protocol, body.first()?, body.get(1)?) {
        (TCP | UDP, ..) => [word(0)?, word(2)?],
        (ICMP, &icmp::ECHO_REQUEST, 0) => [word(4)?, 0],
        (ICMP, &icmp::ECHO_REPLY, 0) => [0, word(4)?],
        _ => return None,
    };
    let [src, dst] = [(address(12)?, ports[0]), (address(16)?, ports[1])]
        .map(|(address, port)| SocketAddrV4::new(address, port));
    Some(Facts { ends: Ends { protocol, src, dst }, flags, atomic: fragment != 0 })
}

#[cfg(test)]
mod tests;
