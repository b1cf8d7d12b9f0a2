//! Every header view over any bytes: no panic, and every accessor stays inside the bytes.

#![no_main]

use std::fmt::Write;

use libfuzzer_sys::fuzz_target;
use wire::{Arp, Ethernet, FrameMut, Icmp, Ipv4, Summary, Tcp, Udp, VlanTag};

fuzz_target!(|bytes: &[u8]| {
    let mut memory = bytes.to_vec();
    let Some(frame) = FrameMut::new(&mut memory, None) else { return };
    let mut line = String::new();
    write!(line, "{}", Summary::new(frame.bytes).with(frame.vnet(), None::<VlanTag>)).unwrap();
    assert!(!line.is_empty() && !line.contains('\n'));

    let Some(ethernet) = Ethernet::parse(frame.bytes) else { return };
    let _ = (ethernet.dst(), ethernet.src(), ethernet.ethertype());
    if let Some(arp) = Arp::parse(ethernet.payload()) {
        assert_eq!(Arp::parse(&arp.to_bytes()), Some(arp), "ARP does not survive a round trip");
    }
    for ip in [Ipv4::parse(ethernet.payload()), Ipv4::parse_quoted(ethernet.payload())] {
        let Ok(ip) = ip else { continue };
        assert!(ip.header_len() >= 20 && ip.header_len() <= ethernet.payload().len());
        assert!(ip.payload().len() + ip.header_len() <= ethernet.payload().len());
        assert!(ip.option_types().count() <= 40);
        if let Some(tcp) = Tcp::parse(ip.payload()) {
            assert!(tcp.header_len() >= 20);
            let _ = (tcp.src_port(), tcp.dst_port(), tcp.flags(), tcp.checksum());
        }
        if let Some(udp) = Udp::parse(ip.payload()) {
            let _ = (udp.src_port(), udp.dst_port(), udp.length(), udp.checksum());
        }
        if let Some(icmp) = Icmp::parse(ip.payload()) {
            let _ = (icmp.kind(), icmp.id(), icmp.mtu(), icmp.checksum_ok(), icmp.body());
        }
    }
});
