//! IPv4 packets with a datagram in them: taken apart, checked, and put together.

use std::net::SocketAddrV4;

use wire::ipv4::{self, protocol};
use wire::{Ipv4, Udp, checksum, udp};

/// Headers before the message.
pub(crate) const HEADERS: usize = ipv4::HEADER_LEN + udp::HEADER_LEN;
/// Time to live of what is sent.
const TTL: u8 = 64;

/// A message in a datagram.
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) message: &'a [u8],
}

/// Takes a whole packet apart; None where it is no datagram, a fragment, or does not sum up.
pub(crate) fn read(packet: &[u8]) -> Option<Datagram<'_>> {
    let ip = Ipv4::parse(packet)
        .ok()
        .filter(|ip| !ip.is_fragment() && ip.protocol() == protocol::UDP)?;
    let (src, dst, payload) = {
        let end = ip.total_len();
        (ip.src(), ip.dst(), packet.get(ip.header_len()..end)?)
    };
    let head = Udp::parse(payload)?;
    let length = usize::from(head.length());
    let datagram = payload.get(..length).filter(|_| length >= udp::HEADER_LEN)?;
    if head.checksum() != 0 {
        let pseudo = checksum::pseudo_header(src, dst, protocol::UDP, head.length());
        if checksum::fold(pseudo + checksum::sum(datagram)) != 0xffff {
            return None;
        }
    }
    // Port 0 is nobody's (RFC 768): no answer could be sent there.
    (head.src_port() != 0).then(|| Datagram {
        from: SocketAddrV4::new(src, head.src_port()),
        to: SocketAddrV4::new(dst, head.dst_port()),
        message: &datagram[udp::HEADER_LEN..],
    })
}

/// Puts a packet together; None where the message is longer than one can be.
pub(crate) fn write(from: SocketAddrV4, to: SocketAddrV4, message: &[u8]) -> Option<Vec<u8>> {
    let total = u16::try_from(HEADERS + message.len()).ok()?;
    let length = u16::try_from(udp::HEADER_LEN + message.len()).ok()?;
    let mut header = [0; ipv4::HEADER_LEN];
    ipv4::write_header(&mut header, (*from.ip(), *to.ip()), protocol::UDP, TTL, total);
    let mut packet = Vec::with_capacity(usize::from(total));
    packet.extend(header);
    for field in [from.port(), to.port(), length, 0] {
        packet.extend(field.to_be_bytes());
    }
    packet.extend(message);
    udp::fill_checksum(&mut packet[ipv4::HEADER_LEN..], *from.ip(), *to.ip());
    Some(packet)
}

#[cfg(test)]
#[test]
fn what_is_written_can_be_read_and_damage_is_seen() {
    let (from, to) = ("10.0.0.1:53".parse().unwrap(), "10.0.0.9:4000".parse().unwrap());
    for length in [0, 1, 2, 513] {
        let message = vec![7; length];
        let packet = write(from, to, &message).unwrap();
        let parsed = etherparse::SlicedPacket::from_ip(&packet).unwrap();
        assert!(matches!(parsed.transport, Some(etherparse::TransportSlice::Udp(_))));
        let back = read(&packet).unwrap();
        assert_eq!((back.from, back.to, back.message), (from, to, &message[..]));
        for place in 20..packet.len() {
            let mut damaged = packet.clone();
            damaged[place] ^= 1;
            assert!(read(&damaged).is_none(), "byte {place} of {length}");
        }
        for end in 0..packet.len() {
            assert!(read(&packet[..end]).is_none(), "{end} bytes of {length}");
        }
    }
    assert!(write(from, to, &vec![0; 65_508]).is_none());
}
