//! Packets by value for the oracle: made for a script, and told as one line where they are seen.
//!
//! Every sum is computed by the tests, apart from the code that is judged. A line leaves out what nobody
//! promises: the identification of a packet that may be cut, and the sums, once they are right.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::support::sum;

pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;
pub(crate) const PSH: u8 = 24;
pub(crate) const FIN: u8 = 17;

/// A packet to be sent.
#[derive(Clone)]
pub(crate) struct Pkt {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    pub(crate) id: u16,
    pub(crate) df: bool,
    pub(crate) fragment: (usize, bool),
    pub(crate) options: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn end(text: &str) -> SocketAddrV4 {
    text.parse().unwrap_or_else(|_| SocketAddrV4::new(text.parse().unwrap(), 0))
}

fn pseudo(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, length: usize) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(&src.octets());
    header[4..8].copy_from_slice(&dst.octets());
    header[9] = protocol;
    header[10..].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
    header
}

impl Pkt {
    pub(crate) fn raw(src: &str, dst: &str, protocol: u8, body: Vec<u8>) -> Self {
        Self {
            src: *end(src).ip(),
            dst: *end(dst).ip(),
            protocol,
            ttl: 64,
            tos: 0,
            id: 7,
            df: true,
            fragment: (0, false),
            options: Vec::new(),
            body,
        }
    }

    pub(crate) fn udp(src: &str, dst: &str, data: &[u8]) -> Self {
        let mut body = [end(src).port().to_be_bytes(), end(dst).port().to_be_bytes()].concat();
        body.extend(u16::try_from(8 + data.len()).unwrap().to_be_bytes());
        body.extend([0, 0]);
        body.extend(data);
        Self::raw(src, dst, 17, body).summed(6)
    }

    pub(crate) fn tcp(src: &str, dst: &str, flags: u8, at: (u32, u32), data: &[u8]) -> Self {
        let mut body = [end(src).port().to_be_bytes(), end(dst).port().to_be_bytes()].concat();
        body.extend([at.0.to_be_bytes(), at.1.to_be_bytes()].concat());
        body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        body.extend(data);
        Self::raw(src, dst, 6, body).summed(16)
    }

    /// An ICMP message: type, code and the word that follows the sum.
    pub(crate) fn icmp(
        src: &str,
        dst: &str,
        (kind, code, word): (u8, u8, u32),
        data: &[u8],
    ) -> Self {
        let mut body = vec![kind, code, 0, 0];
        body.extend(word.to_be_bytes());
        body.extend(data);
        let check = !sum(&[&body]);
        body[2..4].copy_from_slice(&check.to_be_bytes());
        Self::raw(src, dst, 1, body)
    }

    fn summed(mut self, at: usize) -> Self {
        let header = pseudo(self.src, self.dst, self.protocol, self.body.len());
        let check = !sum(&[&header, &self.body]);
        self.body[at..at + 2].copy_from_slice(&check.to_be_bytes());
        self
    }

    pub(crate) fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// Cut into fragments of `size` bytes of payload.
    pub(crate) fn cut(&self, size: usize) -> Vec<Self> {
        let last = self.body.chunks(size).count() - 1;
        let piece = |(n, body): (usize, &[u8])| Self {
            df: false,
            fragment: (n * size, n != last),
            body: body.to_vec(),
            ..self.clone()
        };
        self.body.chunks(size).enumerate().map(piece).collect()
    }

    /// The bytes of the IP packet.
    pub(crate) fn ip(&self) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut ip = vec![0x40 | u8::try_from(header / 4).unwrap(), self.tos];
        ip.extend(u16::try_from(header + self.body.len()).unwrap().to_be_bytes());
        ip.extend(self.id.to_be_bytes());
        let flags = u16::from(self.df) << 14 | u16::from(self.fragment.1) << 13;
        ip.extend((flags | u16::try_from(self.fragment.0 / 8).unwrap()).to_be_bytes());
        ip.extend([self.ttl, self.protocol, 0, 0]);
        ip.extend(self.src.octets());
        ip.extend(self.dst.octets());
        ip.extend(&self.options);
        let check = !sum(&[&ip]);
        ip[10..12].copy_from_slice(&check.to_be_bytes());
        ip.extend(&self.body);
        ip
    }

    /// Reads a packet whose end may be missing; its header must sum up.
    pub(crate) fn read(ip: &[u8]) -> Self {
        let header = usize::from(ip[0] & 15) * 4;
        assert_eq!(sum(&[&ip[..header]]), 0xffff, "an IP header that does not sum up: {ip:?}");
        let word = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
        let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
        let until = usize::from(word(2)).min(ip.len());
        Self {
            src: address(12),
            dst: address(16),
            protocol: ip[9],
            ttl: ip[8],
            tos: ip[1],
            id: word(4),
            df: word(6) & 0x4000 != 0,
            fragment: (usize::from(word(6) & 0x1fff) * 8, word(6) & 0x2000 != 0),
            options: ip[20..header].to_vec(),
            body: ip[header..until].to_vec(),
        }
    }

    /// The source port, or the identifier of an ICMP query.
    pub(crate) fn source(&self) -> u16 {
        let at = if self.protocol == 1 { 4 } else { 0 };
        u16::from_be_bytes([self.body[at], self.body[at + 1]])
    }
}

/// Names for the outside ports that were chosen: `a` for the first of a protocol, and so on.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<(u8, u16), char>);

/// Ports and identifiers of the script on the inside, and those of its servers.
const SCRIPTED: [u16; 14] =
    [9, 53, 80, 1101, 1102, 1103, 1104, 1105, 1106, 1107, 1108, 1109, 1110, 1111];

impl Names {
    fn port(&mut self, own: bool, protocol: u8, port: u16) -> String {
        if !own || SCRIPTED.contains(&port) {
            return port.to_string();
        }
        let next = char::from(b'a' + u8::try_from(self.0.len() % 26).unwrap());
        self.0.entry((protocol, port)).or_insert(next).to_string()
    }

    /// A packet as one line; `whole` packets have to sum up.
    pub(crate) fn line(&mut self, p: &Pkt, own: &[Ipv4Addr], whole: bool) -> String {
        let mine = |a: Ipv4Addr| own.contains(&a);
        let error = p.protocol == 1 && matches!(p.body[0], 3 | 5 | 11 | 12);
        // What the gateway itself says is as free to be cut as it likes.
        let spoken = p.ttl == 64 && mine(p.src) && p.protocol == 1;
        let df = if spoken { "" } else { [" may be cut", " df"][usize::from(p.df)] };
        let id = if p.df && !spoken { format!(" id {}", p.id) } else { String::new() };
        let tail = format!(
            "ttl {} tos {:#x}{df}{id} options {:?} {}",
            p.ttl,
            p.tos,
            p.options,
            if whole { format!("{} bytes", p.body.len()) } else { String::new() }
        );
        let mut content = p.body.clone();
        let mut blank = |at: std::ops::Range<usize>| {
            content.iter_mut().take(at.end).skip(at.start).for_each(|b| *b = 0);
        };
        let (src, dst, what) = match p.protocol {
            _ if p.fragment.0 > 0 => (String::new(), String::new(), "later fragment".into()),
            6 | 17 => {
                let port = |at: usize| u16::from_be_bytes([p.body[at], p.body[at + 1]]);
                let none = p.protocol == 17 && p.body[6..8] == [0, 0];
                if whole && !none {
                    let header = pseudo(p.src, p.dst, p.protocol, p.body.len());
                    assert_eq!(sum(&[&header, &p.body]), 0xffff, "{p:?} does not sum up");
                }
                blank(0..4);
                blank(if p.protocol == 6 { 16..18 } else { 6..8 });
                let sum = if none { " without a sum" } else { "" };
                let src = self.port(mine(p.src), p.protocol, port(0));
                let dst = self.port(mine(p.dst), p.protocol, port(2));
                (format!(":{src}"), format!(":{dst}"), format!("{}{sum}", p.protocol))
            }
            1 => {
                if whole {
                    assert_eq!(sum(&[&p.body]), 0xffff, "{p:?} does not sum up");
                }
                blank(2..4);
                let word = u32::from_be_bytes(p.body[4..8].try_into().unwrap());
                if error {
                    let inner = self.line(&Pkt::read(&p.body[8..]), own, false);
                    blank(8..p.body.len());
                    let what = format!("icmp {}/{} {word} ({inner})", p.body[0], p.body[1]);
                    (String::new(), String::new(), what)
                } else {
                    blank(4..6);
                    let asks = [8, 13].contains(&p.body[0]);
                    let chosen = if asks { mine(p.src) } else { mine(p.dst) };
                    let id = self.port(chosen, 1, u16::try_from(word >> 16).unwrap());
                    (String::new(), String::new(), format!("icmp {} id {id}", p.body[0]))
                }
            }
            other => (String::new(), String::new(), format!("protocol {other}")),
        };
        let hash = content.iter().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add((*b).into()));
        let hash = if whole { format!(" {hash:08x}") } else { String::new() };
        format!("{what} {}{src} > {}{dst} {tail}{hash}", p.src, p.dst)
    }
}

impl std::fmt::Debug for Pkt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {} protocol {} {:?}", self.src, self.dst, self.protocol, self.body)
    }
}
