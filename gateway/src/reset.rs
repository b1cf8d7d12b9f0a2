//! Resets of the gateway's own: what a host answers to a segment of no connection (RFC 9293 3.10.7.1).
//! Nodes alone are told so; towards the world RFC 5382 asks for silence.

use wire::ipv4::{self, protocol};
use wire::tcp::{self, Flags, Tcp};
use wire::{VnetHeader, ethertype};

use crate::links::Links;
use crate::packet::{L3, Packet};
use crate::passage::Passage;
use crate::rewrite;

/// The header's length in its words of four bytes, where that stands.
const WORDS: u8 = 5 << 4;

impl Links {
    /// Tells the sender of a segment to an address of the gateway's that there is no connection. The
    /// frame holds the packet as it came.
    pub(crate) fn reset(&mut self, p: &mut Passage<'_, '_>) {
        let a = &p.arrival;
        let Some(segment) = p.frame.bytes.get(a.packet.l4()..a.packet.end()) else { return };
        let Some(answer) = answer(&a.packet, segment) else { return };
        let mut buffer = std::mem::take(&mut self.scratch);
        buffer.clear();
        buffer.resize(L3, 0);
        rewrite::link(&mut buffer, a.from, self.mac(a.side));
        buffer[12..14].copy_from_slice(&ethertype::IPV4.to_be_bytes());
        let mut header = [0; ipv4::HEADER_LEN];
        let total = u16::try_from(ipv4::HEADER_LEN + answer.len()).unwrap_or(0);
        let ends = (a.packet.dst, a.packet.src);
        ipv4::write_header(&mut header, ends, protocol::TCP, crate::paths::TTL, total);
        buffer.extend(header);
        buffer.extend(answer);
        self.send(p.out, a.side, VnetHeader::default(), &buffer);
        self.scratch = buffer;
    }
}

/// The segment that answers another of no connection.
fn answer(packet: &Packet, segment: &[u8]) -> Option<[u8; tcp::HEADER_LEN]> {
    let asked = Tcp::parse(segment)?;
    let flags = asked.flags();
    let (sequence, acknowledgement, say) = match flags.ack() {
        true => (asked.acknowledgement(), 0, Flags::RST),
        false => {
            let data = segment.len().saturating_sub(asked.header_len());
            let length = data + usize::from(flags.syn()) + usize::from(flags.fin());
            let next = asked.sequence().wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
            (0, next, Flags::RST | Flags::ACK)
        }
    };
    let mut answer = [0; tcp::HEADER_LEN];
    answer[..2].copy_from_slice(&asked.dst_port().to_be_bytes());
    answer[2..4].copy_from_slice(&asked.src_port().to_be_bytes());
    answer[4..8].copy_from_slice(&sequence.to_be_bytes());
    answer[8..12].copy_from_slice(&acknowledgement.to_be_bytes());
    (answer[12], answer[13]) = (WORDS, say);
    tcp::fill_checksum(&mut answer, packet.dst, packet.src);
    Some(answer)
}
