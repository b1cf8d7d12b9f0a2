use super::*;

#[test]
fn numbers_as_the_c_library_reads_them() {
    for (text, octets) in [
        ("10.100.0.20", [10, 100, 0, 20]),
        ("127.1", [127, 0, 0, 1]),
        ("10.100.20", [10, 100, 0, 20]),
        ("0", [0; 4]),
        ("0x7f000001", [127, 0, 0, 1]),
        ("010.0x10.1.2", [8, 16, 1, 2]),
        ("4294967295", [255; 4]),
    ] {
        assert_eq!(number(text), Some(Ipv4Addr::from(octets)), "{text}");
    }
    for text in
        ["", "net1", "1.2.3.4.5", "256.1", "1.16777216", "1..2", "09", "0x", "+1", "1.2.3.256"]
    {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn what_means_something_else_is_no_name() {
    for word in [
        "gateway",
        "internet",
        "inet",
        "router",
        "uplink",
        "lan",
        "all",
        "any",
        "1",
        "10.0.0.1",
        "10.1",
        "0x1f",
        "007",
        "1-2",
        "4294967296",
        "veth1",
        "vethpeer5",
        "vethinet",
        "vxlan7",
        "VXLAN16777215",
        "lo",
        "icmp",
        "tcp",
        "udp",
        "port",
        "host",
        "net",
        "and",
        "or",
        "not",
        "src",
        "dst",
        "vlan",
        "arp",
        "ip",
        "ip6",
        "ICMP",
        "Gateway",
        "less",
        "greater",
        "broadcast",
        "portrange",
        "mask",
        "igmp",
        "len",
        "inbound",
        "proto",
    ] {
        assert!(taken(word).is_some(), "{word}");
    }
    for name in
        ["net1", "web", "db-1", "a", "1a", "uswitch", "m1", "hosts", "tcpdump", "p1.lab", "vxlan-7"]
    {
        assert_eq!(taken(name), None, "{name}");
    }
}
