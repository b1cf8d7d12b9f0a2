use std::net::{IpAddr, Ipv4Addr};

use super::*;

fn host(name: &str) -> Vec<Host> {
    let own = |network: u8| Host {
        mac: Some(MacAddr([2, 0, 0, 0, network, 1])),
        address: Some(IpAddr::V4(Ipv4Addr::new(10, 100, network, 10))),
    };
    match name {
        "net1" | "len" | "type" => vec![own(0)],
        "both" => vec![own(0), own(1)],
        _ => Vec::new(),
    }
}

const KNOWN: Known<'_> = Known { host: &host, netmask: Some(Ipv4Addr::new(255, 255, 0, 0)) };

fn parse(text: &str) -> Filter {
    Filter::parse(text, &KNOWN).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> FilterError {
    Filter::parse(text, &KNOWN).expect_err(text)
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame { bytes, tags: [None; 2], length: bytes.len(), direction: Direction::In }
}

fn wants(filter: &str, bytes: &[u8]) -> bool {
    parse(filter).wants(&frame(bytes))
}

#[test]
fn errors_point_at_the_word() {
    for (text, word, part) in [
        ("hots 10.0.0.1", "hots", "was `host` meant?"),
        ("icmp adn tcp", "adn", "`adn` stands where `and` or `or` should"),
        ("tcp prot 80", "prot", "where `and` or `or` should"),
        ("port 80-90", "80-90", "write `portrange 80-90`"),
        ("port 99999", "99999", "no port"),
        ("80", "80", "Write `port 80`"),
        ("host 80", "80", "for a port write `port 80`"),
        ("tcp host 10.0.0.1", "10.0.0.1", "`tcp and host …`"),
        ("icmp port 7", "7", "only tcp, udp and sctp have ports"),
        ("net 10.100.0.1/16", "10.100.0.1/16", "bits set behind its prefix"),
        ("net 10.0.0.0/40", "10.0.0.0/40", "at most 32"),
        ("host net9", "net9", "neither an address nor a node"),
        ("host 02:00:00:00:00:01", "02:00:00:00:00:01", "rite `ether host"),
        ("(tcp", "(", "never closed"),
        ("tcp)", ")", "never opened"),
        ("and tcp", "and", "nothing stands before"),
        ("vlan 5000", "5000", "no VLAN"),
        ("less many", "many", "no number"),
        ("tcp icmp", "icmp", "`and` or `or` is missing before `icmp`"),
        ("tcp[13] 2", "2", "a comparison is missing here"),
        ("tcp & 2", "&", "behind a number or a field"),
        ("tcp[tcp-flags] = 2", "tcp-flags", "was `tcpflags` meant?"),
        ("len > 60-14", "60-14", "write `60 - 14`"),
        ("ip[0:3] = 1", "3", "1, 2 or 4 bytes"),
        ("ip[0", "[", "never closed"),
        ("ip[0 = 1", "=", "`]` should stand here"),
        ("stp[0] = 1", "stp", "`ether[…]`"),
        ("ip[0] / 0 = 1", "/", "divided by 0"),
        ("geneve", "geneve", "write `udp port 6081`"),
        ("vxlan", "vxlan", "write `udp port 4789`"),
        ("subtype beacon", "subtype", "a lab does not have"),
        ("ifindex 3", "ifindex", "write the port before the filter"),
        ("byte 0 & 1", "&", "write `ether[0] & 1 != 0`"),
        ("gateway 10.0.0.1", "10.0.0.1", "not host ADDRESS"),
        ("host len", "len", "write `host \\len`"),
        ("net 10.0.0.0 mask 255", "10.0.0.0 mask 255", "no mask"),
        ("src 10.0.0.0/8", "10.0.0.0/8", "write `net 10.0.0.0/8`"),
        ("udp port http", "http", "spoken over tcp"),
        ("mpls and arp", "arp", "IPv4 and IPv6"),
        ("02:00:00:00:00:01", "02:00:00:00:00:01", "rite `ether host"),
        ("tcp ? udp", "?", "where `and` or `or` should"),
        ("host tcp", "tcp", "should stand here, not `tcp`"),
        ("ether", "ether", "behind it"),
        ("src proto 6", "proto", "no source or destination"),
    ] {
        let error = error(text);
        assert_eq!(&text[error.at.clone()], word, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn what_is_missing_is_pointed_at_behind_the_end() {
    let error = error("tcp and");
    assert_eq!(
        (error.at.clone(), error.message.as_str()),
        (7..7, "something is missing after `and`")
    );
    for (text, after) in [("tcp and (", "("), ("tcp or not", "not"), ("src host", "host")] {
        let error = self::error(text);
        assert!(error.message.ends_with(&format!("missing after `{after}`")), "{error}");
    }
    let lines: Vec<_> = error.to_string().lines().map(str::to_string).collect();
    assert_eq!(lines[1], "  tcp and");
    assert_eq!(lines[2], "         ^");
}

#[test]
fn depth_and_length_are_bounded() {
    assert!(error(&"(".repeat(100_000)).message.contains("words"));
    for (start, deep) in [
        ("", "not "),
        ("", "("),
        ("port ", "("),
        ("1 = ", "("),
        ("1 = ", "-"),
        ("", "ip["),
        ("", "1 ^ "),
    ] {
        let text = format!("{start}{}", deep.repeat(100));
        assert!(error(&text).message.contains("levels"), "{text}");
    }
    let long = vec!["tcp"; 400].join(" or ");
    assert!(Filter::parse(&long, &KNOWN).is_ok());
}

#[test]
fn a_node_is_its_addresses() {
    let mut bytes = [0u8; 34];
    bytes[11] = 9;
    bytes[12] = 8;
    bytes[26..30].copy_from_slice(&[10, 100, 0, 10]);
    for filter in ["src net1", "src host 10.100.0.10", "net1", "icmp or net1", "host \\len", "type"]
    {
        assert!(wants(filter, &bytes), "{filter}");
    }
    for filter in ["dst net1", "ether host net1", "gateway net1", "not net1"] {
        assert!(!wants(filter, &bytes), "{filter}");
    }
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    assert!(wants("ether src net1", &bytes) && !wants("gateway net1", &bytes));
    bytes[26] = 8;
    assert!(wants("gateway net1", &bytes), "another's packet, handed on");
}

#[test]
fn a_broadcast_is_what_the_mask_says() {
    let mut bytes = [0u8; 34];
    bytes[12] = 8;
    for (dst, wanted) in [
        ([10, 100, 255, 255], true),
        ([10, 100, 0, 0], true),
        ([255, 255, 255, 255], true),
        ([10, 100, 1, 255], false),
    ] {
        bytes[30..34].copy_from_slice(&dst);
        assert_eq!(wants("ip broadcast", &bytes), wanted, "{dst:?}");
    }
    let error = Filter::parse("ip broadcast", &Known::NOTHING).unwrap_err();
    assert!(error.message.contains("write `ether broadcast`"), "{error}");
}

#[test]
fn inbound_is_what_came_in() {
    let came = frame(&[0; 60]);
    let left = Frame { direction: Direction::Out, ..came };
    for (filter, in_, out) in [
        ("inbound", true, false),
        ("outbound", false, true),
        ("not inbound", false, true),
        ("inbound or outbound", true, true),
        ("inbound and len > 60", false, false),
    ] {
        let filter = parse(filter);
        assert_eq!((filter.wants(&came), filter.wants(&left)), (in_, out), "{filter:?}");
    }
}

#[test]
fn the_length_is_the_wires() {
    let tag = VlanTag { tpid: 0x8100, tci: 5 };
    let cut = Frame { length: 1514, tags: [Some(tag), None], ..frame(&[0; 60]) };
    assert!(parse("len = 1518").wants(&cut) && parse("greater 1518").wants(&cut));
    assert!(!parse("ether[64] = 0").wants(&cut), "what was cut off is not there");
    assert!(parse("ether[60:4] = 0").wants(&cut) && parse("vlan 5").wants(&cut));
}

#[test]
fn two_tags_beside_a_frame_stand_one_behind_the_other() {
    let tag = |tci| Some(VlanTag { tpid: 0x8100, tci });
    let mut bytes = [0; 60];
    bytes[12..14].copy_from_slice(&[8, 6]);
    let both = Frame { tags: [tag(10), tag(5)], ..frame(&bytes) };
    for text in ["vlan 10 and vlan 5 and arp", "len = 68", "ether[14:2] = 10 and ether[18:2] = 5"] {
        assert!(parse(text).wants(&both), "{text}");
    }
    // Across the seams: behind the addresses, and before what the frame carries.
    assert!(parse("ether[10:4] = 0x8100 and ether[18:4] = 0x00050806").wants(&both));
    for text in ["vlan 5", "arp", "vlan 10 and arp", "len = 64"] {
        assert!(!parse(text).wants(&both), "{text}");
    }
}

#[test]
fn the_empty_filter_wants_all() {
    let filter = parse("  ");
    assert!(filter.is_all() && filter.wants(&frame(&[])));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 ().!&|/:=<>%^+*\\[\\]\\\\-]{0,60}") {
        if let Err(error) = Filter::parse(&text, &KNOWN) {
            proptest::prop_assert!(error.at.end <= text.len());
            let _ = error.to_string();
        }
    }

    #[test]
    fn no_frame_panics(bytes in proptest::collection::vec(0u8.., 0..80)) {
        for text in ["not vlan and port 80", "host 1.2.3.4 or ip6 host ::1", "multicast", "ip6 proto 6", "ip6 protochain 6", "tcp[ip[0]:4] % ip[1] = 0", "mpls and tcp"] {
            let _ = wants(text, &bytes);
        }
    }
}

#[test]
fn a_host_of_several_networks_is_all_its_addresses() {
    for (name, long) in [
        ("host both", "host 10.100.0.10 or host 10.100.1.10"),
        ("src both", "src 10.100.0.10 or src 10.100.1.10"),
        ("ether dst both", "ether dst 02:00:00:00:00:01 or ether dst 02:00:00:00:01:01"),
        (
            "gateway both",
            "(ether host 02:00:00:00:00:01 or ether host 02:00:00:00:01:01) and not (host 10.100.0.10 \
             or host 10.100.1.10)",
        ),
    ] {
        assert_eq!(format!("{:?}", parse(name).root), format!("{:?}", parse(long).root), "{name}");
    }
}
