#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn subnet(text: &str) -> Subnet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn hosts_are_neither_the_network_nor_the_broadcast() {
    for (net, first, hosts) in [
        ("10.100.0.0/16", "10.100.0.1", 65_534),
        ("10.0.0.0/30", "10.0.0.1", 2),
        ("10.0.0.0/31", "10.0.0.0", 2),
        ("10.0.0.7/32", "10.0.0.7", 1),
        ("0.0.0.0/0", "0.0.0.1", (1 << 32) - 2),
        ("fd00::/126", "fd00::1", 3),
        ("fd00::/127", "fd00::", 2),
        ("fd00::1/128", "fd00::1", 1),
    ] {
        assert_eq!((subnet(net).first_host(), subnet(net).hosts()), (ip(first), hosts), "{net}");
    }
    let lan = subnet("10.1.0.0/24");
    for (address, is) in
        [("10.1.0.0", false), ("10.1.0.255", false), ("10.1.0.254", true), ("10.1.1.1", false)]
    {
        assert_eq!(lan.is_host(ip(address)), is, "{address}");
    }
    assert!(!lan.is_host(ip("::ffff:10.1.0.1")), "another family");
    assert_eq!(subnet("::/0").next_free(|_| true), None, "it ends");
    assert_eq!(lan.next_free(|a| a == ip("10.1.0.1")), Some(ip("10.1.0.2")));
}

#[test]
fn what_is_no_subnet_is_said() {
    for text in ["", "10.1.0.0", "10.1.0.0/33", "fd00::/129", "10.1.0/24", "10.1.0.0/+4", "a/8"] {
        assert!(text.parse::<Subnet>().is_err(), "{text}");
    }
    let error = "10.1.0.5/24".parse::<Subnet>().unwrap_err().to_string();
    assert_eq!(error, "10.1.0.5/24 has bits beyond its prefix: 10.1.0.0/24 is the subnet");
    for text in ["10.1.0.5", "10.1.0.5/24", "fd00::1/64"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for text in ["", "10.1.0.5/33", "10.1.0.5/", "10.1.0.300"] {
        assert!(text.parse::<Address>().is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn subnets_overlap_where_one_has_an_address_of_the_other(
        a: u32, p in 0u8..=32, b: u32, q in 0u8..=32,
    ) {
        let [one, two] = [(a, p), (b, q)]
            .map(|(bits, prefix)| Subnet::of(Ipv4Addr::from(bits).into(), prefix).unwrap());
        let least = p.min(q);
        let same = Subnet::of(Ipv4Addr::from(a).into(), least)
            == Subnet::of(Ipv4Addr::from(b).into(), least);
        prop_assert_eq!(one.overlaps(two), same);
        prop_assert_eq!(one.to_string().parse::<Subnet>().unwrap(), one);
        prop_assert!(one.contains(Ipv4Addr::from(a).into()));
    }
}
