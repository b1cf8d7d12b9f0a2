use std::net::{IpAddr, Ipv4Addr};

use super::*;

fn names(name: &str) -> Option<IpAddr> {
    (name == "net1").then_some(IpAddr::V4(Ipv4Addr::new(10, 100, 0, 10)))
}

fn error(text: &str) -> FilterError {
    Filter::parse(text, &names).expect_err(text)
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
        ("host 02:00:00:00:00:01", "02:00:00:00:00:01", "write `ether host"),
        ("(tcp", "(", "never closed"),
        ("tcp)", ")", "never opened"),
        ("and tcp", "and", "nothing stands before"),
        ("vlan 5000", "5000", "no VLAN"),
        ("less many", "many", "no number of bytes"),
        ("tcp icmp", "icmp", "`and` or `or` is missing before `icmp`"),
        ("tcp[13] = 2", "[", "single bytes"),
        ("host tcp", "tcp", "should stand here, not `tcp`"),
        ("ether", "ether", "behind it"),
        ("src proto 6", "6", "no source or destination"),
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
    assert!(error(&"not ".repeat(100)).message.contains("levels"));
    let long = vec!["tcp"; 400].join(" or ");
    assert!(Filter::parse(&long, &names).is_ok());
}

#[test]
fn a_node_is_an_address() {
    let by_name = Filter::parse("src net1", &names).unwrap();
    let by_address = Filter::parse("src host 10.100.0.10", &names).unwrap();
    let bare = Filter::parse("net1", &names).unwrap();
    let mut frame = [0u8; 34];
    frame[12] = 8;
    frame[26..30].copy_from_slice(&[10, 100, 0, 10]);
    for (filter, wanted) in [(by_name, true), (by_address, true), (bare, true)] {
        assert_eq!(filter.wants(&frame, None), wanted);
    }
    assert!(!Filter::parse("dst net1", &names).unwrap().wants(&frame, None));
}

#[test]
fn the_empty_filter_wants_all() {
    let filter = Filter::parse("  ", &names).unwrap();
    assert!(filter.is_all() && filter.wants(&[], None));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 ().!&|/:-]{0,60}") {
        if let Err(error) = Filter::parse(&text, &names) {
            proptest::prop_assert!(error.at.end <= text.len());
            let _ = error.to_string();
        }
    }

    #[test]
    fn no_frame_panics(bytes in proptest::collection::vec(0u8.., 0..80)) {
        for text in ["not vlan and port 80", "host 1.2.3.4 or ip6 host ::1", "multicast", "ip6 proto 6"] {
            let _ = Filter::parse(text, &names).unwrap().wants(&bytes, None);
        }
    }
}
