use std::net::IpAddr;

use super::*;

const A: NetworkId = NetworkId(1);
const B: NetworkId = NetworkId(2);
const C: NetworkId = NetworkId(3);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn host(name: &str, places: &[Place]) -> Host {
    Host { name: name.into(), aliases: vec![format!("demo-{name}")], places: places.to_vec() }
}

/// A reaches B, C is alone; `web` is in both A and B, `db` in B, `box` in C, `inet` beyond.
fn zone() -> Zone {
    let mut zone = Zone::new("Lab");
    for (id, third, reaches) in [(A, 1, vec![B]), (B, 2, vec![]), (C, 3, vec![])] {
        zone.set_network(
            id,
            Network {
                gateway: vec![ip(&format!("10.0.{third}.1"))],
                subnets: vec![Subnet { address: ip(&format!("10.0.{third}.0")), length: 24 }],
                reaches: reaches.into_iter().collect(),
                beyond: id != C,
            },
        );
    }
    zone.put(host("web", &[Place::In(B, ip("10.0.2.5")), Place::In(A, ip("10.0.1.5"))]));
    zone.put(host("db", &[Place::In(B, ip("10.0.2.6")), Place::In(B, ip("fd00::6"))]));
    zone.put(host("box", &[Place::In(C, ip("10.0.3.7"))]));
    zone.put(host("inet", &[Place::Beyond(ip("203.0.113.1"))]));
    zone
}

fn addresses(of: &[&str]) -> Found {
    Found::Addresses(of.iter().map(|text| ip(text)).collect())
}

#[test]
fn a_name_is_found_from_where_it_can_be_reached() {
    let zone = zone();
    let nothing = Found::NotHere;
    for (name, from, found) in [
        // In the network of who asks, that one alone.
        ("web", A, addresses(&["10.0.1.5"])),
        ("web", B, addresses(&["10.0.2.5"])),
        ("web", C, nothing.clone()),
        // Reached, though not shared; not the other way.
        ("db", A, addresses(&["10.0.2.6", "fd00::6"])),
        ("box", B, nothing.clone()),
        ("box", C, addresses(&["10.0.3.7"])),
        ("inet", A, addresses(&["203.0.113.1"])),
        ("inet", C, nothing.clone()),
        ("gateway", A, addresses(&["10.0.1.1"])),
        ("gateway", C, addresses(&["10.0.3.1"])),
        ("gateway.lab", B, addresses(&["10.0.2.1"])),
        // Any case, the domain, the namespace's name.
        ("WEB", A, addresses(&["10.0.1.5"])),
        ("web.lab", A, addresses(&["10.0.1.5"])),
        ("wEb.LAB", A, addresses(&["10.0.1.5"])),
        ("demo-web", A, addresses(&["10.0.1.5"])),
        ("demo-web.lab", A, addresses(&["10.0.1.5"])),
        ("localhost", C, addresses(&["127.0.0.1", "::1"])),
        ("lab", A, Found::Domain),
        ("nosuch.lab", A, nothing.clone()),
        ("a.b.lab", A, nothing),
        ("nosuch", A, Found::Elsewhere),
        ("weblab", A, Found::Elsewhere),
        ("web.lab.example", A, Found::Elsewhere),
        ("", A, Found::Elsewhere),
        ("web", NetworkId(9), Found::NotHere),
    ] {
        assert_eq!(zone.find(name, from), found, "{name} from {from:?}");
    }
}

#[test]
fn an_address_has_the_name_that_leads_to_it() {
    let zone = zone();
    let name = |text: &str| Reverse::Name(text.into());
    let subnet = |third: u8| {
        Reverse::NotHere(Subnet { address: ip(&format!("10.0.{third}.0")), length: 24 })
    };
    for (address, from, found) in [
        ("10.0.1.5", A, name("web.lab")),
        // What `web` is called in the other network leads elsewhere.
        ("10.0.2.5", A, subnet(2)),
        ("10.0.2.6", A, name("db.lab")),
        ("fd00::6", A, name("db.lab")),
        ("10.0.3.7", A, subnet(3)),
        ("10.0.1.1", A, name("gateway.lab")),
        ("10.0.1.99", A, subnet(1)),
        ("127.0.0.1", A, name("localhost")),
        ("8.8.8.8", A, Reverse::Elsewhere),
    ] {
        assert_eq!(zone.reverse(ip(address), from), found, "{address} from {from:?}");
    }
}

#[test]
fn what_is_taken_out_leaves_nothing() {
    let mut zone = zone();
    for name in ["web", "db", "box", "inet"] {
        zone.remove(name);
    }
    assert_eq!((zone.hosts.len(), zone.called.len(), zone.at.len()), (0, 0, 0));
    assert_eq!(zone.find("web", A), Found::Elsewhere);
    assert_eq!(zone.find("demo-web.lab", A), Found::NotHere);
}

#[test]
fn a_host_that_moves_is_at_its_new_place_only() {
    let mut zone = zone();
    zone.put(host("web", &[Place::In(A, ip("10.0.1.9"))]));
    assert_eq!(zone.find("web", A), addresses(&["10.0.1.9"]));
    assert_eq!(zone.reverse(ip("10.0.1.9"), A), Reverse::Name("web.lab".into()));
    assert!(matches!(zone.reverse(ip("10.0.1.5"), A), Reverse::NotHere(_)));
}

#[test]
fn two_that_differ_in_case_share_the_name() {
    let mut zone = zone();
    zone.put(host("Web", &[Place::In(C, ip("10.0.3.8"))]));
    // Each is found from where it can be reached.
    assert_eq!(zone.find("web", A), addresses(&["10.0.1.5"]));
    assert_eq!(zone.find("web", C), addresses(&["10.0.3.8"]));
    zone.remove("Web");
    assert_eq!(zone.find("web", C), Found::NotHere);
}

#[test]
fn a_host_may_be_called_like_the_domain_or_in_it() {
    let mut zone = zone();
    zone.put(host("lab", &[Place::In(A, ip("10.0.1.20"))]));
    zone.put(host("x.lab", &[Place::In(A, ip("10.0.1.21"))]));
    zone.put(host("x", &[Place::In(A, ip("10.0.1.22"))]));
    assert_eq!(zone.find("lab", A), addresses(&["10.0.1.20"]));
    assert_eq!(zone.find("x.lab", A), addresses(&["10.0.1.21"]));
    assert_eq!(zone.find("x", A), addresses(&["10.0.1.22"]));
    assert_eq!(zone.find("x.lab.lab", A), addresses(&["10.0.1.21"]));
}

#[test]
fn several_that_are_called_alike_take_turns_and_the_nearer_go_before() {
    let mut zone = Zone::new("lab");
    zone.set_network(A, Network { reaches: BTreeSet::from([B]), ..Network::default() });
    zone.set_network(B, Network::default());
    let called = |name: &str, places: &[Place]| Host {
        name: name.into(),
        aliases: vec!["svc".into()],
        places: places.to_vec(),
    };
    let at = |id, text: &str| Place::In(id, text.parse().unwrap());
    zone.put(called("one", &[at(A, "10.0.1.1"), at(A, "fd00::1")]));
    zone.put(called("two", &[at(A, "10.0.1.2")]));
    zone.put(called("far", &[at(B, "10.0.2.3")]));
    let one = ["10.0.1.1", "fd00::1", "10.0.1.2"];
    let two = ["10.0.1.2", "10.0.1.1", "fd00::1"];
    for (turn, wanted) in [(0, one), (1, two), (2, one), (u16::MAX, two)] {
        assert_eq!(zone.find_in_turn("svc", A, turn), addresses(&wanted));
    }
    assert_eq!(zone.find("svc", B), addresses(&["10.0.2.3"]));
}
