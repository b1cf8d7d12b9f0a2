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
        assert_eq!(zone.find(name, &from.into()), found, "{name} from {from:?}");
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
        assert_eq!(zone.reverse(ip(address), &from.into()), found, "{address} from {from:?}");
    }
}

#[test]
fn what_is_taken_out_leaves_nothing() {
    let mut zone = zone();
    for name in ["web", "db", "box", "inet"] {
        zone.remove(name);
    }
    assert_eq!((zone.hosts.len(), zone.called.len(), zone.at.len()), (0, 0, 0));
    assert_eq!(zone.find("web", &A.into()), Found::Elsewhere);
    assert_eq!(zone.find("demo-web.lab", &A.into()), Found::NotHere);
}

#[test]
fn a_host_that_moves_is_at_its_new_place_only() {
    let mut zone = zone();
    zone.put(host("web", &[Place::In(A, ip("10.0.1.9"))]));
    assert_eq!(zone.find("web", &A.into()), addresses(&["10.0.1.9"]));
    assert_eq!(zone.reverse(ip("10.0.1.9"), &A.into()), Reverse::Name("web.lab".into()));
    assert!(matches!(zone.reverse(ip("10.0.1.5"), &A.into()), Reverse::NotHere(_)));
}

#[test]
fn two_that_differ_in_case_share_the_name() {
    let mut zone = zone();
    zone.put(host("Web", &[Place::In(C, ip("10.0.3.8"))]));
    // Each is found from where it can be reached.
    assert_eq!(zone.find("web", &A.into()), addresses(&["10.0.1.5"]));
    assert_eq!(zone.find("web", &C.into()), addresses(&["10.0.3.8"]));
    zone.remove("Web");
    assert_eq!(zone.find("web", &C.into()), Found::NotHere);
}

#[test]
fn a_host_may_be_called_like_the_domain_or_in_it() {
    let mut zone = zone();
    zone.put(host("lab", &[Place::In(A, ip("10.0.1.20"))]));
    zone.put(host("x.lab", &[Place::In(A, ip("10.0.1.21"))]));
    zone.put(host("x", &[Place::In(A, ip("10.0.1.22"))]));
    assert_eq!(zone.find("lab", &A.into()), addresses(&["10.0.1.20"]));
    assert_eq!(zone.find("x.lab", &A.into()), addresses(&["10.0.1.21"]));
    assert_eq!(zone.find("x", &A.into()), addresses(&["10.0.1.22"]));
    assert_eq!(zone.find("x.lab.lab", &A.into()), addresses(&["10.0.1.21"]));
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
        assert_eq!(zone.find_in_turn("svc", &A.into(), turn), addresses(&wanted));
    }
    assert_eq!(zone.find("svc", &B.into()), addresses(&["10.0.2.3"]));
}

/// One who asks in the first of these networks and is in all of them.
fn view(all: &[NetworkId]) -> View {
    View { at: all[0], all: all.iter().copied().collect() }
}

#[test]
fn who_is_in_several_networks_knows_the_names_of_all() {
    let zone = zone();
    for from in [[A, C], [C, A]].map(|all| view(&all)) {
        for (name, found) in [
            ("web", addresses(&["10.0.1.5"])),
            ("box", addresses(&["10.0.3.7"])),
            ("inet", addresses(&["203.0.113.1"])),
            // Reached from one of the two.
            ("db", addresses(&["10.0.2.6", "fd00::6"])),
            ("nosuch", Found::Elsewhere),
        ] {
            assert_eq!(zone.find(name, &from), found, "{name} from {from:?}");
        }
        for (address, name) in [
            ("10.0.1.5", "web"),
            ("10.0.3.7", "box"),
            ("10.0.1.1", "gateway"),
            ("10.0.3.1", "gateway"),
        ] {
            let named = Reverse::Name(format!("{name}.lab"));
            assert_eq!(zone.reverse(ip(address), &from), named, "{address} from {from:?}");
        }
        assert_eq!(zone.way_out(&from), Some(A), "C leads nowhere");
    }
    assert_eq!(zone.find("gateway", &view(&[C, A])), addresses(&["10.0.3.1"]));
    assert_eq!(zone.way_out(&view(&[B, A])), Some(B));
    assert_eq!(zone.way_out(&C.into()), None);
}

#[test]
fn who_asks_is_known_by_his_number_where_he_is_in_that_network() {
    let mut zone = zone();
    zone.set_asker(7, BTreeSet::from([A, C]));
    assert_eq!(zone.view(C, 7), view(&[C, A]));
    assert_eq!((zone.view(C, 8), zone.view(B, 7)), (C.into(), B.into()));
    zone.set_asker(7, BTreeSet::new());
    assert_eq!((zone.view(C, 7), zone.askers.len()), (C.into(), 0));
}

#[test]
fn a_name_holds_in_the_network_that_it_was_given_in() {
    let mut zone = Zone::new("lab");
    for id in [A, B, C] {
        let reaches = if id == C { BTreeSet::from([A]) } else { BTreeSet::new() };
        zone.set_network(id, Network { reaches, ..Network::default() });
    }
    let named = |name: &str, places: &[Place]| Host {
        name: name.into(),
        aliases: vec![],
        places: places.to_vec(),
    };
    let x = named("x", &[Place::In(A, ip("10.0.1.2")), Place::In(B, ip("10.0.2.2"))]);
    zone.put(x.clone());
    zone.set_names("x", BTreeMap::from([(A, vec!["DB".into(), "svc".into()])]));
    zone.put(named("db", &[Place::In(B, ip("10.0.2.3"))]));
    for turn in 0..4 {
        assert_eq!(zone.find_in_turn("db", &B.into(), turn), addresses(&["10.0.2.3"]));
    }
    assert_eq!(zone.find("db", &A.into()), addresses(&["10.0.1.2"]));
    assert_eq!(
        zone.find("db.lab", &C.into()),
        addresses(&["10.0.1.2"]),
        "from where it is reached"
    );
    assert_eq!(zone.find("db", &view(&[A, B])), addresses(&["10.0.2.3", "10.0.1.2"]));
    assert_eq!(zone.find("x", &B.into()), addresses(&["10.0.2.2"]), "its own name is everywhere");
    assert_eq!(zone.find("svc", &B.into()), Found::NotHere);
    assert_eq!((zone.names_in("x", A).len(), zone.names_in("x", B).len()), (2, 0));
    // It has left the network.
    zone.put(named("x", &[x.places[1]]));
    assert_eq!(zone.find("svc", &A.into()), Found::Elsewhere);
    zone.remove("x");
    zone.remove("db");
    assert_eq!((zone.called.len(), zone.names.len()), (0, 0));
}

#[test]
fn a_name_of_another_network_hides_none_of_the_world() {
    let mut zone = zone();
    zone.put(host("github.com", &[Place::In(C, ip("10.0.3.9"))]));
    assert_eq!(zone.find("github.com", &C.into()), addresses(&["10.0.3.9"]));
    assert_eq!(zone.find("github.com", &A.into()), Found::Elsewhere);
    assert_eq!(zone.find("github.com.lab", &A.into()), Found::NotHere, "in the lab's domain");
    assert_eq!(zone.find("box", &A.into()), Found::NotHere);
}

#[test]
fn a_host_that_is_called_gateway_is_so_in_its_networks() {
    let mut zone = zone();
    zone.put(host("gateway", &[Place::In(B, ip("10.0.2.9"))]));
    assert_eq!(zone.find("gateway", &B.into()), addresses(&["10.0.2.9"]));
    assert_eq!(zone.find("gateway.lab", &B.into()), addresses(&["10.0.2.9"]));
    // One that is only reached does not stand in the gateway's place.
    assert_eq!(zone.find("gateway", &A.into()), addresses(&["10.0.1.1"]));
}
