//! The facts of an IPv4 packet in a frame, read once: what routing and translation ask about.
//!
//! [`Packet::read`] is the only place that decides whether bytes are a packet at all; everything
//! after it works on values and on offsets that are known to lie inside the frame.

use std::net::Ipv4Addr;

use wire::ipv4::{Ipv4Error, protocol};
use wire::{
    FrameMut, GsoType, Icmp, Ipv4, Segments, Tcp, Udp, VnetHeader, ethernet, icmp, tcp, udp,
};

use crate::carried;
use crate::verdict::DropReason;

/// An address with a port or an ICMP identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The host.
    pub address: Ipv4Addr,
    /// The port; of an ICMP query the identifier, and 0 for the host asked.
    pub port: u16,
}

impl Endpoint {
    /// From its parts.
    #[must_use]
    pub const fn new(address: Ipv4Addr, port: u16) -> Self {
        Self { address, port }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// The protocols that are translated with their ports, each with a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP queries and their replies.
    Icmp,
}

impl Protocol {
    /// All, in the order of the tables.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Icmp];

    /// The word printed for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }

    /// The IANA number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
            Self::Icmp => protocol::ICMP,
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the IP payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// With source port, destination port, control bits.
    Tcp(u16, u16, tcp::Flags),
    /// With source port and destination port.
    Udp(u16, u16),
    /// An ICMP message that asks, with its identifier.
    IcmpRequest(u16),
    /// An ICMP message that answers, with its identifier.
    IcmpReply(u16),
    /// An ICMP message about a quoted packet.
    IcmpError,
    /// Any other ICMP message.
    IcmpOther,
    /// A later fragment: no header here.
    Fragment,
    /// Some other protocol.
    Other,
    /// The header is cut off.
    Short,
}

/// The facts of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) src: Ipv4Addr,
    pub(crate) dst: Ipv4Addr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) header_len: usize,
    pub(crate) total_len: usize,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    pub(crate) fragment_offset: usize,
    pub(crate) transport: Transport,
    pub(crate) vnet: VnetHeader,
}

/// IP starts here in a frame whose tag has been taken out.
pub(crate) const L3: usize = ethernet::HEADER_LEN;

const UDP_HEADER: usize = 8;
/// What an ICMP error quotes of a payload, at least (RFC 792).
const QUOTED: usize = 8;

/// Source routing, loose and strict, with the copied flag (RFC 791).
const SOURCE_ROUTES: [u8; 2] = [131, 137];
/// Bytes of the longest datagram.
const LONGEST: usize = u16::MAX as usize;

impl Packet {
    /// Reads the IPv4 packet in a frame and checks everything that needs no table.
    pub(crate) fn read(frame: &FrameMut<'_>) -> Result<Self, DropReason> {
        let bytes = frame.bytes.get(L3..).unwrap_or(&[]);
        let ip = Ipv4::parse(bytes).map_err(|_: Ipv4Error| DropReason::BadHeader)?;
        if !ip.checksum_ok() {
            return Err(DropReason::BadChecksum);
        }
        if ip.header_len() > wire::ipv4::HEADER_LEN {
            if !ip.options_ok() {
                return Err(DropReason::BadHeader);
            }
            if ip.option_types().any(|t| SOURCE_ROUTES.contains(&t)) {
                return Err(DropReason::SourceRoute);
            }
        }
        // No datagram is so long that this could be a part of it (RFC 791 section 3.2). A frame of
        // segments may be longer.
        if ip.fragment_offset() > 0 && ip.fragment_offset() + ip.total_len() > LONGEST {
            return Err(DropReason::BadHeader);
        }
        let packet = Self::facts(&ip, frame.vnet());
        if !packet.fits_udp(ip.payload()) {
            return Err(DropReason::BadHeader);
        }
        packet.check_offload(frame.bytes)?;
        Ok(packet)
    }

    /// The facts of a packet that an ICMP error quotes; its end may be missing.
    pub(crate) fn quoted(bytes: &[u8]) -> Option<Self> {
        let ip = Ipv4::parse_quoted(bytes).ok()?;
        // RFC 5508 REQ-3: an embedded header that does not sum up is not to be trusted.
        if !ip.checksum_ok() {
            return None;
        }
        let mut packet = Self::facts(&ip, VnetHeader::default());
        // RFC 792 promises eight bytes only: ports, but not a whole TCP header.
        if packet.protocol == protocol::TCP && packet.fragment_offset == 0 {
            let promised = ip.payload().get(..QUOTED).unwrap_or_default();
            packet.transport = match tcp::ports(promised) {
                Some((src, dst)) => Transport::Tcp(src, dst, tcp::Flags::default()),
                None => Transport::Short,
            };
        }
        Some(packet)
    }

    fn facts<B: AsRef<[u8]>>(ip: &Ipv4<B>, vnet: VnetHeader) -> Self {
        let transport = if ip.fragment_offset() > 0 {
            Transport::Fragment
        } else {
            transport(ip.protocol(), ip.payload())
        };
        Self {
            src: ip.src(),
            dst: ip.dst(),
            protocol: ip.protocol(),
            ttl: ip.ttl(),
            id: ip.id(),
            header_len: ip.header_len(),
            total_len: ip.total_len(),
            dont_fragment: ip.dont_fragment(),
            more_fragments: ip.more_fragments(),
            fragment_offset: ip.fragment_offset(),
            transport,
            vnet,
        }
    }

    /// Whether a datagram of UDP ends in its packet (RFC 768): of others no kernel takes it. The first
    /// fragment has a part alone, and how segments are numbered is their header's to say.
    fn fits_udp(&self, payload: &[u8]) -> bool {
        if self.is_fragment() || self.vnet.gso_type != 0 || self.protocol != protocol::UDP {
            return true;
        }
        let whole = Udp::parse(payload).map(|udp| usize::from(udp.length()));
        whole.is_none_or(|length| (UDP_HEADER..=payload.len()).contains(&length))
    }

    pub(crate) fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset > 0
    }

    /// True where no fragment can exist of it (RFC 6864), so that its identification says nothing.
    pub(crate) fn is_atomic(&self) -> bool {
        self.dont_fragment && !self.is_fragment()
    }

    /// Where the transport header starts in the frame.
    pub(crate) fn l4(&self) -> usize {
        L3 + self.header_len
    }

    /// Where the packet ends in the frame; padding follows.
    pub(crate) fn end(&self) -> usize {
        L3 + self.total_len
    }

    /// How many packets this frame stands for.
    pub(crate) fn segments(&self, l4_header: usize) -> u16 {
        if self.vnet.gso_size == 0 {
            return 1;
        }
        let data = self.total_len.saturating_sub(self.header_len + l4_header);
        u16::try_from(data.div_ceil(usize::from(self.vnet.gso_size))).unwrap_or(u16::MAX).max(1)
    }

    /// The translated protocol with source and destination, where there is one.
    pub(crate) fn flow(&self) -> Option<(Protocol, Endpoint, Endpoint)> {
        let (protocol, src, dst) = match self.transport {
            Transport::Tcp(src, dst, _) => (Protocol::Tcp, src, dst),
            Transport::Udp(src, dst) => (Protocol::Udp, src, dst),
            Transport::IcmpRequest(id) => (Protocol::Icmp, id, 0),
            Transport::IcmpReply(id) => (Protocol::Icmp, 0, id),
            _ => return None,
        };
        Some((protocol, Endpoint::new(self.src, src), Endpoint::new(self.dst, dst)))
    }

    /// True where the transport's own checksum is partial, and not one further in alone: of segments in a
    /// tunnel that of each datagram is still to be made too.
    #[inline]
    pub(crate) fn is_partial(&self) -> bool {
        let own = usize::from(self.vnet.csum_start) == self.l4();
        self.vnet.needs_csum() && (own || self.vnet.gso_type != 0)
    }

    /// Segments in a tunnel's datagram, where the frame is of these.
    #[inline]
    pub(crate) fn nested(&self, bytes: &[u8]) -> Option<Segments> {
        match self.transport {
            Transport::Udp(..) => Segments::nested(self.vnet, bytes),
            _ => None,
        }
    }

    /// Whether the frame is one packet, and a whole one.
    fn is_single(&self) -> bool {
        self.vnet.gso_type == 0 && self.vnet.gso_size == 0 && !self.is_fragment()
    }

    /// Whether the partial checksum lies in the packet, from `least` on.
    fn sums_from(&self, least: usize) -> bool {
        let start = usize::from(self.vnet.csum_start);
        start >= least && start + usize::from(self.vnet.csum_offset) + 2 <= self.end()
    }

    /// A vnet header is the sender's word; one that does not fit the packet would make the
    /// rewrite, or the kernel behind us, touch the wrong bytes.
    fn check_offload(&self, bytes: &[u8]) -> Result<(), DropReason> {
        let vnet = self.vnet;
        if vnet.gso_type == 0 && !vnet.needs_csum() {
            return Ok(());
        }
        let field = match self.transport {
            // What a tunnel carries is partial; its own sum, where it has one, is complete and
            // counts on the inner one's being so too (Documentation/networking/checksum-offloads.rst,
            // local checksum offload).
            Transport::Udp(..) if self.is_single() && self.sums_from(self.l4() + UDP_HEADER) => {
                return Ok(());
            }
            Transport::Udp(..) if self.nested(bytes).is_some() => return Ok(()),
            // SCTP leaves its own sum to the device (`carried::complete`), and other tunnels that of
            // what they carry.
            Transport::Other if self.is_single() && self.sums_from(self.l4()) => return Ok(()),
            Transport::Tcp(..) => tcp::CHECKSUM_AT,
            Transport::Udp(..) => udp::CHECKSUM_AT,
            _ => return Err(DropReason::BadOffload),
        };
        let fits = usize::from(vnet.csum_start) == self.l4()
            && usize::from(vnet.csum_offset) == field
            && !self.is_fragment();
        let kind = match (vnet.gso(), self.transport) {
            (GsoType::None, _) => vnet.gso_size == 0,
            (GsoType::TcpV4, Transport::Tcp(..)) | (GsoType::UdpL4, Transport::Udp(..)) => {
                vnet.gso_size > 0
            }
            _ => false,
        };
        if kind && (fits || !vnet.needs_csum()) { Ok(()) } else { Err(DropReason::BadOffload) }
    }
}

fn transport(number: u8, payload: &[u8]) -> Transport {
    match number {
        protocol::TCP => match Tcp::parse(payload) {
            Some(tcp) => Transport::Tcp(tcp.src_port(), tcp.dst_port(), tcp.flags()),
            None => Transport::Short,
        },
        protocol::UDP => match Udp::parse(payload) {
            Some(udp) => Transport::Udp(udp.src_port(), udp.dst_port()),
            None => Transport::Short,
        },
        protocol::ICMP => match Icmp::parse(payload) {
            Some(message) => match message.kind() {
                icmp::Kind::Request => Transport::IcmpRequest(message.id()),
                icmp::Kind::Reply => Transport::IcmpReply(message.id()),
                icmp::Kind::Error => Transport::IcmpError,
                icmp::Kind::Other => Transport::IcmpOther,
            },
            None => Transport::Short,
        },
        _ if carried::is_short(number, payload) => Transport::Short,
        _ => Transport::Other,
    }
}
