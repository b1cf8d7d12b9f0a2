//! Packets that the gateway sends on: what tells them apart, and what they become.

use std::net::SocketAddrV4;

use wire::MacAddr;
use wire::ipv4::protocol::TCP;

use crate::table::pair;

/// The port of DNS (RFC 1035).
const DNS: u16 = 53;

/// The protocol of [`Ends::all_tcp`]: reserved by IANA, and of no packet that has a route.
pub const ALL_TCP: u8 = 255;

/// The two ends of packets of one protocol. An echo's identifier stands for the port of whoever
/// asked, and the other side has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// TCP, UDP or ICMP, by their IANA numbers, or [`ALL_TCP`].
    pub protocol: u8,
    /// Where they come from.
    pub src: SocketAddrV4,
    /// Where they go.
    pub dst: SocketAddrV4,
}

impl Ends {
    /// All packets of TCP between the two hosts, of whichever ports: as those are told apart that go on
    /// as they came ([`Route::kept`]). Port 0 is a port like others, and stands for none.
    #[must_use]
    pub fn all_tcp(&self) -> Self {
        let any = |end: SocketAddrV4| SocketAddrV4::new(*end.ip(), 0);
        Self { protocol: ALL_TCP, src: any(self.src), dst: any(self.dst) }
    }

    /// The same of a packet with these ends, if it is one of them: questions to the gateway's resolver
    /// are not.
    #[must_use]
    pub fn among_all(&self) -> Option<Self> {
        (self.protocol == TCP && self.dst.port() != DNS).then(|| self.all_tcp())
    }
}

/// What becomes of such packets; their time to live is one less then, unless they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where they seem to come from then.
    pub src: SocketAddrV4,
    /// Where they go then.
    pub dst: SocketAddrV4,
    /// The hardware address they go to.
    pub next: MacAddr,
    /// The one they come from.
    pub own: MacAddr,
    /// Those alone that may not be cut (Don't Fragment): others are numbered anew.
    pub atomic: bool,
    /// Nothing becomes of them: they go on as they came, and all of this says the same.
    pub kept: bool,
    /// The first of them is to answer a SYN; before it, and of such answers after it, none is sent on.
    pub answers: bool,
}

/// Both addresses as they lie in a packet.
pub(crate) fn addresses(src: &SocketAddrV4, dst: &SocketAddrV4) -> u64 {
    pair(u32::from_ne_bytes(src.ip().octets()), u32::from_ne_bytes(dst.ip().octets()))
}

/// Both ports, in the same way.
pub(crate) fn ports(src: &SocketAddrV4, dst: &SocketAddrV4) -> u32 {
    let ([a, b], [c, d]) = (src.port().to_be_bytes(), dst.port().to_be_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

impl Route {
    /// What the new addresses, and the new ports, add to a sum in ones' complement over what they
    /// take the place of (RFC 1624).
    pub(crate) fn sums(&self, of: &Ends) -> [u32; 2] {
        let words = |end: &SocketAddrV4| u64::from(u32::from_ne_bytes(end.ip().octets()));
        let added = |old: [u64; 2], new: [u64; 2]| {
            let less: u64 = old.into_iter().map(|word| word ^ 0xffff_ffff).sum();
            fold(less + new.into_iter().sum::<u64>())
        };
        let old = added([words(&of.src), words(&of.dst)], [words(&self.src), words(&self.dst)]);
        let same = (of.src.ip(), of.dst.ip()) == (self.src.ip(), self.dst.ip());
        let [was, is] = [ports(&of.src, &of.dst), ports(&self.src, &self.dst)].map(u64::from);
        let ports = fold((was ^ 0xffff_ffff) + is);
        [if same { 0 } else { old }, if was == is { 0 } else { ports }]
    }

    /// The hardware addresses as they lie in a frame.
    pub(crate) fn link(&self) -> [u32; 3] {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.next.0, self.own.0);
        [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_ne_bytes)
    }
}

/// To 32 bits, with the carries.
fn fold(sum: u64) -> u32 {
    let once = (sum & 0xffff_ffff) + (sum >> 32);
    u32::try_from((once & 0xffff_ffff) + (once >> 32)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ipv4::protocol::UDP;

    fn ends(protocol: u8, from: u16, to: u16) -> Ends {
        let end = |last, port| SocketAddrV4::new([10, 0, 0, last].into(), port);
        Ends { protocol, src: end(1, from), dst: end(2, to) }
    }

    #[test]
    fn all_ports_are_those_of_tcp_but_for_questions_to_the_resolver() {
        let all = ends(TCP, 40_000, 80).all_tcp();
        for (from, to) in [(1, 443), (40_000, 80), (0, 0)] {
            assert_eq!(ends(TCP, from, to).among_all(), Some(all));
            // Of port 0 there are packets, which are no more than those.
            assert_ne!(ends(TCP, from, to), all);
        }
        assert_eq!([ends(TCP, 1, 53), ends(UDP, 1, 80), all].map(|one| one.among_all()), [None; 3]);
        let other = Ends { src: SocketAddrV4::new([10, 0, 0, 9].into(), 1), ..ends(TCP, 1, 80) };
        assert_ne!(other.among_all(), Some(all));
    }
}
