//! Frames byte by byte: plain ones, IGMP, MLD, ARP and neighbour discovery.

use std::net::Ipv6Addr;

use crate::support::sum;

pub(super) const ALL: [u8; 6] = [0xff; 6];

/// The hardware address of host `n`.
pub(super) fn mac(n: u8) -> [u8; 6] {
    [2, 0xaa, 0, 0, 0, n]
}

/// The address of host `n`.
pub(super) fn ip(n: u8) -> [u8; 4] {
    [10, 200, 0, n]
}

/// A frame no stack takes for its own.
pub(super) fn plain(dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    [&dst[..], &src, &[0x88, 0xb5], &[0; 46]].concat()
}

/// The same frame to another hardware address.
pub(super) fn to(dst: [u8; 6], frame: &[u8]) -> Vec<u8> {
    [&dst[..], &frame[6..]].concat()
}

/// With a tag put into it: TPID and TCI.
pub(super) fn tagged(frame: &[u8], (tpid, tci): (u16, u16)) -> Vec<u8> {
    let tag = [tpid.to_be_bytes(), tci.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

pub(super) fn ipv4(n: u8, protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let mut header =
        [&[0x45, 0, length[0], length[1], 0, 0, 0, 0, 1, protocol, 0, 0][..], &from, &to].concat();
    let check = (!sum(&[&header])).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    let dst = [1, 0, 0x5e, to[1] & 0x7f, to[2], to[3]];
    padded([&dst[..], &mac(n), &[8, 0], &header, body].concat())
}

/// UDP from host `n` to a group.
pub(super) fn data(n: u8, group: [u8; 4]) -> Vec<u8> {
    data_from(n, ip(n), group)
}

/// The same from another address than its own.
pub(super) fn data_from(n: u8, source: [u8; 4], group: [u8; 4]) -> Vec<u8> {
    ipv4(n, 17, source, group, &[0x12, 0x34, 0x12, 0x34, 0, 8, 0, 0])
}

pub(super) fn igmp(n: u8, kind: u8, code: u8, rest: &[u8], to: [u8; 4]) -> Vec<u8> {
    let mut body = [&[kind, code, 0, 0][..], rest].concat();
    let check = (!sum(&[&body])).to_be_bytes();
    body[2..4].copy_from_slice(&check);
    ipv4(n, 2, ip(n), to, &body)
}

pub(super) fn join(n: u8, group: [u8; 4]) -> Vec<u8> {
    igmp(n, 0x16, 0, &group, group)
}

pub(super) fn leave(n: u8, group: [u8; 4]) -> Vec<u8> {
    igmp(n, 0x17, 0, &group, [224, 0, 0, 2])
}

/// IGMPv3, one record.
pub(super) fn report(n: u8, kind: u8, group: [u8; 4], sources: &[[u8; 4]]) -> Vec<u8> {
    igmp(n, 0x22, 0, &record(kind, group, sources), [224, 0, 0, 22])
}

/// The same to all hosts, as the kernel's own tests send it.
pub(super) fn report_to_all(n: u8, kind: u8, group: [u8; 4], sources: &[[u8; 4]]) -> Vec<u8> {
    igmp(n, 0x22, 0, &record(kind, group, sources), [224, 0, 0, 1])
}

fn record(kind: u8, group: [u8; 4], sources: &[[u8; 4]]) -> Vec<u8> {
    let count = u8::try_from(sources.len()).unwrap();
    [&[0, 0, 0, 1, kind, 0, 0, count][..], &group, &sources.concat()].concat()
}

pub(super) fn link_local(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n.into())
}

pub(super) fn ipv6(n: u8, next: u8, to: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    ipv6_from(n, next, [link_local(n), to], body)
}

fn ipv6_from(n: u8, next: u8, [from, to]: [Ipv6Addr; 2], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let [.., a, b, c, d] = to.octets();
    let header = [0x60, 0, 0, 0, length[0], length[1], next, 255];
    let addresses = [from.octets(), to.octets()].concat();
    padded(
        [&[0x33, 0x33, a, b, c, d][..], &mac(n), &[0x86, 0xdd], &header, &addresses, body].concat(),
    )
}

/// ICMPv6 from host `n`, its checksum right.
pub(super) fn icmpv6(n: u8, to: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let from = link_local(n).octets();
    let pseudo = [&from[..], &to.octets(), &[0, 0], &length, &[0, 0, 0, 58], &message].concat();
    message[2..4].copy_from_slice(&(!sum(&[&pseudo])).to_be_bytes());
    message
}

/// MLD: a message with a router alert before it.
pub(super) fn mld(n: u8, kind: u8, group: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    // A query leaves hosts a second to answer.
    let delay = if kind == 130 { [0x03, 0xe8] } else { [0, 0] };
    let message = [&[kind, 0, 0, 0, delay[0], delay[1], 0, 0][..], &group.octets()].concat();
    let message = icmpv6(n, to, &message);
    ipv6(n, 0, to, &[&[58, 0, 5, 2, 0, 0, 1, 0][..], &message].concat())
}

/// MLDv2, one record, to all hosts, as the kernel's own tests send it.
pub(super) fn report6(n: u8, kind: u8, group: Ipv6Addr, sources: &[Ipv6Addr]) -> Vec<u8> {
    let (count, to) =
        (u8::try_from(sources.len()).unwrap(), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let sources: Vec<u8> = sources.iter().flat_map(|own| own.octets()).collect();
    let head = [143, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, count];
    let message = icmpv6(n, to, &[&head[..], &group.octets(), &sources].concat());
    ipv6(n, 0, to, &[&[58, 0, 5, 2, 0, 0, 1, 0][..], &message].concat())
}

/// UDP from host `n` to a group of IPv6.
pub(super) fn data6(n: u8, group: Ipv6Addr) -> Vec<u8> {
    data6_from(n, link_local(n), group)
}

/// The same from another address than its own.
pub(super) fn data6_from(n: u8, source: Ipv6Addr, group: Ipv6Addr) -> Vec<u8> {
    ipv6_from(n, 17, [source, group], &[0x12, 0x34, 0x12, 0x34, 0, 8, 0, 0])
}

/// An ARP request of host `n`.
pub(super) fn arp(n: u8, target: [u8; 4]) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(n), &ip(n), &[0; 6], &target].concat();
    padded([&ALL[..], &mac(n), &[8, 6], &body].concat())
}

/// A neighbour solicitation of host `n` to the target's group.
pub(super) fn solicit(n: u8, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &mac(n)].concat();
    ipv6(n, 58, group, &icmpv6(n, group, &message))
}

/// An advertisement of host `n` that nobody asked for, to all nodes.
pub(super) fn advertise(n: u8) -> Vec<u8> {
    let nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let head = [136, 0, 0, 0, 0x20, 0, 0, 0];
    let message = [&head[..], &link_local(n).octets(), &[2, 1], &mac(n)].concat();
    ipv6(n, 58, nodes, &icmpv6(n, nodes, &message))
}
