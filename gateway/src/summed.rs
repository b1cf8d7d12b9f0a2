//! Whether what a packet carries sums up: asked of packets for the gateway itself alone, as their receiver
//! discards one that does not (RFC 1122 3.2.2.1, 4.1.3.4, 4.2.2.7). What is sent on its receiver sums up.

use wire::ipv4::protocol;
use wire::vnet::{DATA_VALID, NEEDS_CSUM};
use wire::{Icmp, Udp, checksum};

use crate::packet::{Packet, Transport};

/// False where a packet, whose frame is `bytes` or is imagined where there are none, does not. Not looked
/// at: fragments, of which each has a part alone; what a device was to sum up, for that has come from
/// beside us; what a device has looked at; a datagram without a sum; protocols that nobody here speaks.
pub(crate) fn sums_up(packet: &Packet, bytes: &[u8]) -> bool {
    let Packet { src, dst, vnet, .. } = *packet;
    let seen_to = vnet.flags & (NEEDS_CSUM | DATA_VALID) != 0;
    if packet.is_fragment() || seen_to || vnet.gso_type != 0 {
        return true;
    }
    let Some(payload) = bytes.get(packet.l4()..packet.end()) else { return true };
    let (payload, number) = match packet.transport {
        Transport::Tcp(..) => (payload, protocol::TCP),
        Transport::Udp(..) => match Udp::parse(payload) {
            Some(udp) if udp.checksum() != 0 => {
                (payload.get(..udp.length().into()).unwrap_or(payload), protocol::UDP)
            }
            _ => return true,
        },
        _ if packet.protocol == protocol::ICMP => {
            return Icmp::parse(payload).is_none_or(|message| message.checksum_ok());
        }
        _ => return true,
    };
    let Ok(length) = u16::try_from(payload.len()) else { return true };
    let pseudo = checksum::pseudo_header(src, dst, number, length);
    checksum::fold(pseudo + checksum::sum(payload)) == u16::MAX
}
