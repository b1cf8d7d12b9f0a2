//! The virtio-net header that stands before a frame on packet sockets with `PACKET_VNET_HDR`
//! (`linux/virtio_net.h`, `struct virtio_net_hdr`, 10 bytes, here in native byte order).
//!
//! It says that one frame stands for many (GSO) or that its checksum is still to be filled in
//! (partial). Dropping it breaks TCP while ping goes on working, so it travels with the frame.

/// Bytes the header takes.
pub const LEN: usize = 10;

/// Flag: the checksum field holds only the pseudo-header sum (`VIRTIO_NET_HDR_F_NEEDS_CSUM`).
pub const NEEDS_CSUM: u8 = 1;
/// Flag: the checksum was verified (`VIRTIO_NET_HDR_F_DATA_VALID`).
pub const DATA_VALID: u8 = 2;

/// GSO type: UDP segments, one datagram each (`VIRTIO_NET_HDR_GSO_UDP_L4`, since Linux 6.2).
pub const GSO_UDP_L4: u8 = 5;

/// What kind of segmentation a frame waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoType {
    /// One frame is one packet.
    None,
    /// TCP over IPv4.
    TcpV4,
    /// UDP fragmentation offload (legacy).
    Udp,
    /// TCP over IPv6.
    TcpV6,
    /// UDP segmentation, one datagram a segment.
    UdpL4,
    /// A value this project does not know.
    Unknown(u8),
}

/// `struct virtio_net_hdr` as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`] and [`DATA_VALID`].
    pub flags: u8,
    /// Raw GSO type with the ECN bit (0x80); see [`VnetHeader::gso`].
    pub gso_type: u8,
    /// Bytes of headers to keep linear.
    pub hdr_len: u16,
    /// Payload bytes of each segment.
    pub gso_size: u16,
    /// Where checksumming starts, from the first byte of the frame.
    pub csum_start: u16,
    /// Where the checksum goes, from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Reads the ten bytes.
    #[must_use]
    pub const fn from_bytes(b: [u8; LEN]) -> Self {
        Self {
            flags: b[0],
            gso_type: b[1],
            hdr_len: u16::from_ne_bytes([b[2], b[3]]),
            gso_size: u16::from_ne_bytes([b[4], b[5]]),
            csum_start: u16::from_ne_bytes([b[6], b[7]]),
            csum_offset: u16::from_ne_bytes([b[8], b[9]]),
        }
    }

    /// The ten bytes as the kernel reads them.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; LEN] {
        let h = self.hdr_len.to_ne_bytes();
        let g = self.gso_size.to_ne_bytes();
        let s = self.csum_start.to_ne_bytes();
        let o = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h[0], h[1], g[0], g[1], s[0], s[1], o[0], o[1]]
    }

    /// The segmentation kind. The types are values, not bits: 5 is UDP_L4, not TCPv4 with a flag.
    #[must_use]
    pub const fn gso(self) -> GsoType {
        match self.gso_type & 0x7f {
            0 => GsoType::None,
            1 => GsoType::TcpV4,
            3 => GsoType::Udp,
            4 => GsoType::TcpV6,
            GSO_UDP_L4 => GsoType::UdpL4,
            other => GsoType::Unknown(other),
        }
    }

    /// True where the checksum field holds only the pseudo-header sum.
    #[must_use]
    pub const fn needs_csum(self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }
}
