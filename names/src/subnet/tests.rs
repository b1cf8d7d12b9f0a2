use std::net::IpAddr;

use super::*;

fn subnet(text: &str) -> Subnet {
    let (address, length) = text.split_once('/').unwrap();
    Subnet { address: address.parse().unwrap(), length: length.parse().unwrap() }
}

#[test]
fn names_of_addresses_there_and_back() {
    for (address, name) in [
        ("10.100.0.20", "20.0.100.10.in-addr.arpa"),
        ("0.0.0.0", "0.0.0.0.in-addr.arpa"),
        (
            "2001:db8::567:89ab",
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(reverse_name(address), name);
        assert_eq!(of_reverse_name(name), Some(address));
    }
    for not in [
        "",
        "in-addr.arpa",
        "0.100.10.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "256.0.0.1.in-addr.arpa",
        "01.0.0.10.in-addr.arpa",
        "+1.0.0.10.in-addr.arpa",
        "1.ip6.arpa",
        "net2.lab",
    ] {
        assert_eq!(of_reverse_name(not), None, "{not}");
    }
    let long = "0.".repeat(33) + "ip6.arpa";
    assert_eq!(of_reverse_name(&long), None);
}

#[test]
fn what_lies_in_a_subnet_and_where_its_names_are() {
    let lan = subnet("10.100.0.0/16");
    assert!(lan.contains("10.100.255.1".parse().unwrap()));
    assert!(!lan.contains("10.101.0.1".parse().unwrap()));
    assert!(!lan.contains("fd00::1".parse().unwrap()));
    assert!(subnet("0.0.0.0/0").contains("1.2.3.4".parse().unwrap()));
    assert!(subnet("::/0").contains("fd00::1".parse().unwrap()));
    assert!(!subnet("10.0.0.1/32").contains("10.0.0.2".parse().unwrap()));
    for (text, domain) in [
        ("10.100.0.0/16", "100.10.in-addr.arpa"),
        ("10.100.0.4/30", "0.100.10.in-addr.arpa"),
        ("10.100.0.4/32", "4.0.100.10.in-addr.arpa"),
        ("0.0.0.0/0", "in-addr.arpa"),
        ("fd00:1::/32", "1.0.0.0.0.0.d.f.ip6.arpa"),
    ] {
        assert_eq!(subnet(text).domain(), domain, "{text}");
    }
}
