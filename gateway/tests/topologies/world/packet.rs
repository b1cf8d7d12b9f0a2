//! Packets by value: made for a test, and read back from what the gateway sent.

use std::net::{Ipv4Addr, SocketAddrV4};

use wire::checksum::{fold, pseudo_header, sum};
use wire::ipv4::protocol;
use wire::{Arp, Icmp, Ipv4, MacAddr, Tcp, Udp, VnetHeader, arp, tcp, udp};

pub const SYN: u8 = tcp::Flags::SYN;
pub const ACK: u8 = tcp::Flags::ACK;
pub const FIN: u8 = tcp::Flags::FIN | tcp::Flags::ACK;
pub const RST: u8 = tcp::Flags::RST;

/// A packet to be sent.
#[derive(Clone, Debug)]
pub struct Pkt {
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub protocol: u8,
    pub ttl: u8,
    pub id: u16,
    pub df: bool,
    /// Offset in bytes, and whether more follow.
    pub fragment: (usize, bool),
    pub options: Vec<u8>,
    /// Transport header and data.
    pub body: Vec<u8>,
    pub vnet: VnetHeader,
}

fn socket(text: &str) -> SocketAddrV4 {
    text.parse().unwrap_or_else(|_| SocketAddrV4::new(text.parse().unwrap(), 0))
}

impl Pkt {
    pub fn raw(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, body: Vec<u8>) -> Self {
        Self {
            src,
            dst,
            protocol,
            ttl: 64,
            id: 7,
            df: true,
            fragment: (0, false),
            options: Vec::new(),
            body,
            vnet: VnetHeader::default(),
        }
    }

    pub fn udp(src: &str, dst: &str, data: &[u8]) -> Self {
        let (src, dst) = (socket(src), socket(dst));
        let mut body = ports(src, dst);
        body.extend((8 + data.len() as u16).to_be_bytes());
        body.extend([0, 0]);
        body.extend(data);
        udp::fill_checksum(&mut body, *src.ip(), *dst.ip());
        Self::raw(*src.ip(), *dst.ip(), protocol::UDP, body)
    }

    pub fn tcp(src: &str, dst: &str, flags: u8, data: &[u8]) -> Self {
        let (src, dst) = (socket(src), socket(dst));
        let mut body = ports(src, dst);
        body.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        body.extend(data);
        tcp::fill_checksum(&mut body, *src.ip(), *dst.ip());
        Self::raw(*src.ip(), *dst.ip(), protocol::TCP, body)
    }

    pub fn icmp(src: &str, dst: &str, message: &[u8]) -> Self {
        let (src, dst) = (socket(src), socket(dst));
        let mut body = message.to_vec();
        wire::icmp::fill_checksum(&mut body);
        Self::raw(*src.ip(), *dst.ip(), protocol::ICMP, body)
    }

    pub fn echo(src: &str, dst: &str, kind: u8, id: u16, data: &[u8]) -> Self {
        let [high, low] = id.to_be_bytes();
        let mut message = vec![kind, 0, 0, 0, high, low, 0, 1];
        message.extend(data);
        Self::icmp(src, dst, &message)
    }

    /// An ICMP error about a packet, which is quoted as it stands on the wire.
    pub fn error(src: &str, dst: &str, (kind, code, mtu): (u8, u8, u16), quoted: &[u8]) -> Self {
        let [high, low] = mtu.to_be_bytes();
        let mut message = vec![kind, code, 0, 0, 0, 0, high, low];
        message.extend(quoted);
        Self::icmp(src, dst, &message)
    }

    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    pub fn may_be_cut(self) -> Self {
        Self { df: false, ..self }
    }

    /// Cut into fragments of `size` bytes of payload.
    pub fn cut(&self, size: usize) -> Vec<Self> {
        let pieces = self.body.chunks(size);
        let last = pieces.len() - 1;
        let piece = |(n, body): (usize, &[u8])| Self {
            df: false,
            fragment: (n * size, n != last),
            body: body.to_vec(),
            ..self.clone()
        };
        pieces.enumerate().map(piece).collect()
    }

    /// With a partial checksum, as a virtual device sends it, and in segments where asked.
    pub fn offloaded(mut self, gso_type: u8, gso_size: u16) -> Self {
        let offset = if self.protocol == protocol::TCP { 16 } else { 6 };
        let length = self.body.len() as u16;
        let field = fold(pseudo_header(self.src, self.dst, self.protocol, length));
        self.body[offset..offset + 2].copy_from_slice(&field.to_be_bytes());
        let header = 14 + 20 + self.options.len() as u16;
        self.vnet = VnetHeader {
            flags: 1,
            gso_type,
            hdr_len: header + 20,
            gso_size,
            csum_start: header,
            csum_offset: offset as u16,
        };
        self
    }

    /// The IP packet.
    pub fn ip(&self) -> Vec<u8> {
        let total = 20 + self.options.len() + self.body.len();
        let mut header = [0; 20];
        let ends = (self.src, self.dst);
        wire::ipv4::write_header(
            &mut header,
            ends,
            self.protocol,
            self.ttl,
            u16::try_from(total).unwrap_or(0),
        );
        let mut ip = header.to_vec();
        ip[0] = 0x40 | ((20 + self.options.len()) / 4) as u8;
        ip.extend(&self.options);
        ip.extend(&self.body);
        let flags = u16::from(self.df) << 14 | u16::from(self.fragment.1) << 13;
        let word = flags | (self.fragment.0 / 8) as u16;
        ip[6..8].copy_from_slice(&word.to_be_bytes());
        ip[4..6].copy_from_slice(&self.id.to_be_bytes());
        Ipv4::parse(&mut ip[..]).unwrap().fill_checksum();
        ip
    }

    /// The Ethernet frame.
    pub fn frame(&self, to: MacAddr, from: MacAddr) -> Vec<u8> {
        let mut frame = [to.0, from.0].concat();
        frame.extend([0x08, 0x00]);
        frame.extend(self.ip());
        frame
    }
}

fn ports(src: SocketAddrV4, dst: SocketAddrV4) -> Vec<u8> {
    [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat()
}

/// A packet that was sent, as values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub to: MacAddr,
    /// `address:port`, or only the address.
    pub src: String,
    pub dst: String,
    pub ttl: u8,
    pub id: u16,
    /// Offset in bytes, and whether more follow.
    pub fragment: (usize, bool),
    /// ICMP type, code and the word after the checksum.
    pub icmp: Option<(u8, u8, u32)>,
    /// The IP packet.
    pub ip: Vec<u8>,
    /// What follows the transport header.
    pub data: Vec<u8>,
}

impl Seen {
    #[track_caller]
    pub fn of(frame: &[u8]) -> Self {
        let mut seen = Self::packet(super::ip(frame));
        seen.to = wire::Ethernet::parse(frame).unwrap().dst();
        seen
    }

    #[track_caller]
    pub fn packet(ip: &[u8]) -> Self {
        let view = Ipv4::parse_quoted(ip).unwrap();
        let l4 = view.payload();
        let first = view.fragment_offset() == 0;
        let ports = tcp::ports(l4)
            .filter(|_| first && [protocol::TCP, protocol::UDP].contains(&view.protocol()));
        let end = |address: Ipv4Addr, port: Option<u16>| match port {
            Some(port) => format!("{address}:{port}"),
            None => address.to_string(),
        };
        let icmp = Icmp::parse(l4).filter(|_| first && view.protocol() == protocol::ICMP);
        let header = match view.protocol() {
            _ if !first => 0,
            protocol::TCP => Tcp::parse(l4).map_or(l4.len(), |t| t.header_len()),
            _ => l4.len().min(8),
        };
        Self {
            to: MacAddr::ZERO,
            src: end(view.src(), ports.map(|p| p.0)),
            dst: end(view.dst(), ports.map(|p| p.1)),
            ttl: view.ttl(),
            id: view.id(),
            fragment: (view.fragment_offset(), view.more_fragments()),
            icmp: icmp.map(|m| {
                (m.message_type(), m.code(), u32::from(m.id()) << 16 | u32::from(m.sequence()))
            }),
            data: l4[header..].to_vec(),
            ip: ip.to_vec(),
        }
    }

    /// The packet that this ICMP error quotes.
    #[track_caller]
    pub fn quoted(&self) -> Self {
        assert!(self.icmp.is_some_and(|i| [3, 11, 12].contains(&i.0)), "{self:?}");
        Self::packet(&self.data)
    }

    pub fn src_port(&self) -> u16 {
        socket(&self.src).port()
    }

    /// The identifier of an ICMP query.
    pub fn echo_id(&self) -> u16 {
        (self.icmp.unwrap().2 >> 16) as u16
    }
}

pub fn arp_request(mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let arp = Arp {
        operation: arp::Operation::Request,
        sender_mac: mac,
        sender,
        target_mac: MacAddr::ZERO,
        target,
    };
    arp_frame(MacAddr::BROADCAST, &arp)
}

pub fn arp_reply(to: MacAddr, mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let operation = arp::Operation::Reply;
    arp_frame(to, &Arp { operation, sender_mac: mac, sender, target_mac: to, target })
}

pub fn arp_frame(to: MacAddr, arp: &Arp) -> Vec<u8> {
    let mut frame = [to.0, arp.sender_mac.0].concat();
    frame.extend([0x08, 0x06]);
    frame.extend(arp.to_bytes());
    frame
}

/// Every checksum in a frame sums up; of a partial one, the pseudo-header's part.
#[track_caller]
pub fn check_sums(vnet: VnetHeader, frame: &[u8]) {
    if frame[12..14] != [0x08, 0x00] {
        return;
    }
    let header = 14 + usize::from(frame[14] & 15) * 4;
    let whole = [33, 136].contains(&frame[23]);
    // Of segments in a tunnel the outer sum is still to be made too.
    let further = usize::from(vnet.csum_start) > header && vnet.gso_type == 0;
    if vnet.needs_csum() && (further || whole) {
        // That of what a tunnel carries, which the outer one counts on, or one as no stack leaves it.
        let (mut vnet, mut whole, end) = (vnet, frame.to_vec(), frame.len());
        wire::offload::complete_checksum(&mut vnet, &mut whole, end);
        return check_sums(vnet, &whole);
    }
    let bytes = super::ip(frame);
    let view = Ipv4::parse(bytes).unwrap();
    assert!(view.checksum_ok(), "IP header: {}", wire::Summary::new(frame));
    let (l4, number) = (view.payload(), view.protocol());
    if view.is_fragment() {
        return;
    }
    let pseudo = pseudo_header(view.src(), view.dst(), number, l4.len() as u16);
    let field = match number {
        protocol::TCP => Tcp::parse(l4).unwrap().checksum(),
        protocol::UDP => Udp::parse(l4).unwrap().checksum(),
        protocol::ICMP => {
            assert_eq!(fold(sum(l4)), 0xffff, "ICMP: {}", wire::Summary::new(frame));
            return;
        }
        // DCCP, and UDP-Lite with what it covers.
        33 => return assert_eq!(fold(pseudo + sum(l4)), 0xffff, "DCCP"),
        136 => {
            let covered = usize::from(u16::from_be_bytes([l4[4], l4[5]]));
            let covered = if covered == 0 { l4.len() } else { covered };
            return assert_eq!(fold(pseudo + sum(&l4[..covered])), 0xffff, "UDP-Lite");
        }
        _ => return,
    };
    if vnet.needs_csum() {
        assert_eq!(field, fold(pseudo), "partial: {}", wire::Summary::new(frame));
    } else if number == protocol::TCP || field != 0 {
        assert_eq!(fold(pseudo + sum(l4)), 0xffff, "full: {}", wire::Summary::new(frame));
    }
}
