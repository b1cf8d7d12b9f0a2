use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;

fn line(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>) -> String {
    let mut bytes = Vec::new();
    builder.write(&mut bytes, &[0; 10]).unwrap();
    Summary::new(&bytes).to_string()
}

fn ip() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([10, 100, 0, 10], [8, 8, 8, 8], 64)
}

#[test]
fn a_line_for_each_kind() {
    assert_eq!(line(ip().udp(53, 5353)), "10.100.0.10:53 > 8.8.8.8:5353 udp ttl 64 length 52");
    let mut bytes = Vec::new();
    ip().tcp(40000, 443, 7, 1000).syn().ack(9).write(&mut bytes, &[]).unwrap();
    assert_eq!(
        Summary::new(&bytes).to_string(),
        "10.100.0.10:40000 > 8.8.8.8:443 tcp S. seq 7 ack 9 ttl 64 length 54"
    );
    let vnet = VnetHeader { gso_type: 1, gso_size: 1448, ..VnetHeader::default() };
    let tag = VlanTag { tpid: 0x8100, tci: 7 };
    let with = Summary::new(&bytes).with(vnet, Some(tag)).to_string();
    assert!(with.starts_with("vlan 7 ") && with.ends_with("in segments of 1448"), "{with}");
    let mut bytes = Vec::new();
    ip().icmpv4_echo_request(7, 1).write(&mut bytes, &[0; 56]).unwrap();
    assert_eq!(
        Summary::new(&bytes).to_string(),
        "10.100.0.10 > 8.8.8.8 icmp echo request id 7 seq 1 ttl 64 length 98"
    );
    // By the names that sessions have, and by number.
    for (number, name) in [(47, "gre"), (4, "ipip"), (253, "proto 253")] {
        let mut bytes = Vec::new();
        ip().write(&mut bytes, number.into(), &[0; 8]).unwrap();
        let wanted = format!("10.100.0.10 > 8.8.8.8 {name} ttl 64 length 42");
        assert_eq!(Summary::new(&bytes).to_string(), wanted);
    }
    let arp = Arp {
        operation: arp::Operation::Request,
        sender_mac: crate::MacAddr([2; 6]),
        sender: [10, 100, 0, 10].into(),
        target_mac: crate::MacAddr::ZERO,
        target: [10, 100, 0, 1].into(),
    };
    let mut bytes = vec![0xff; 12];
    bytes.extend([0x08, 0x06]);
    bytes.extend(arp.to_bytes());
    assert_eq!(
        Summary::new(&bytes).to_string(),
        "arp who has 10.100.0.1 tell 10.100.0.10 length 42"
    );
    assert_eq!(Summary::new(&[0; 5]).to_string(), "runt frame length 5");
    assert_eq!(
        Summary::new(&[0; 20]).to_string(),
        "00:00:00:00:00:00 > 00:00:00:00:00:00 ethertype 0x0000 length 20"
    );
}

proptest! {
    #[test]
    fn any_bytes_make_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0usize..4) {
        let mut bytes = bytes;
        if bytes.len() > 15 {
            let ethertype: [u8; 2] = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0]][kind];
            bytes[12..14].copy_from_slice(&ethertype);
            if kind == 0 { bytes[14] = 0x45; }
        }
        prop_assert!(!Summary::new(&bytes).to_string().contains('\n'));
    }
}
