//! The choice of an uplink, over views of hosts of every kind.

use ns::route::Address;

use super::*;

const LAN: [(Ipv4Addr, u8); 1] = [(Ipv4Addr::new(10, 100, 0, 1), 16)];

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.into(),
        mac: Some([2, 0, 0, 0, 0, 9]),
        mtu: 1500,
        up: true,
        carrier: true,
        running: true,
        ethernet: true,
        master: None,
        peer: None,
        tun: false,
    }
}

fn address(index: u32, address: [u8; 4], prefix_len: u8) -> Address {
    Address { index, address: address.into(), prefix_len, secondary: false }
}

fn route(index: u32, router: [u8; 4], metric: u32) -> DefaultRoute {
    DefaultRoute { index, hop: Hop::Router(router.into()), source: None, metric }
}

/// lo, eth0 with the default route, wlan0 with a worse one, tun0.
fn host() -> View {
    let lo = Link { ethernet: false, ..link(1, "lo") };
    let tun = Link { ethernet: false, mac: None, ..link(4, "tun0") };
    View {
        links: vec![lo, link(2, "eth0"), link(3, "wlan0"), tun],
        addresses: vec![
            address(1, [127, 0, 0, 1], 8),
            address(2, [192, 0, 2, 2], 24),
            address(3, [198, 51, 100, 2], 24),
            address(4, [10, 8, 0, 2], 24),
        ],
        tunnels: Vec::new(),
        defaults: vec![route(3, [198, 51, 100, 1], 600), route(2, [192, 0, 2, 1], 100)],
        link_local: Vec::new(),
        next_hops: std::collections::BTreeSet::new(),
    }
}

fn refusal(view: &View, asked: Option<&str>) -> String {
    choose(view, asked, None, &LAN).unwrap_err().to_string()
}

#[test]
fn auto_is_where_the_best_default_route_leads() {
    let facts = choose(&host(), None, None, &LAN).unwrap();
    assert_eq!((facts.index, facts.name.as_str()), (2, "eth0"));
    let next_hop = Some([192, 0, 2, 1].into());
    let wanted = UplinkAddress { address: [192, 0, 2, 2].into(), prefix_len: 24, next_hop };
    assert_eq!(facts.address, wanted);
    let mut view = host();
    view.defaults.pop();
    assert_eq!(choose(&view, None, Some("eth0"), &LAN).unwrap().name, "wlan0", "it moves");
    view.defaults.clear();
    assert!(refusal(&view, None).contains("no default route"));
    let kept = choose(&view, None, Some("eth0"), &LAN).unwrap();
    assert_eq!((kept.name.as_str(), kept.address.next_hop), ("eth0", None));
}

#[test]
fn what_cannot_be_shared_is_told_why() {
    let mut view = host();
    for (asked, words) in [
        ("eth7", &["no interface eth7", "eth0, wlan0"][..]),
        ("tun0", &["tun0", "Ethernet"]),
        ("lo", &["lo", "Ethernet"]),
    ] {
        let text = refusal(&view, Some(asked));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    view.links.push(link(5, "br0"));
    view.links[1].master = Some(5);
    assert!(refusal(&view, Some("eth0")).contains("--uplink br0"));
    assert!(refusal(&view, Some("br0")).contains("no IPv4 address"));
    view.addresses.push(address(5, [10, 100, 7, 7], 24));
    assert!(refusal(&view, Some("br0")).contains("overlaps"));
    let mut view = host();
    view.defaults[1].hop = Hop::Other;
    assert!(refusal(&view, None).contains("no IPv4 router"));
}

#[test]
fn the_address_is_the_one_the_kernel_would_send_from() {
    let mut view = host();
    view.addresses.insert(0, address(2, [203, 0, 113, 9], 24));
    let own = |view: &View| choose(view, Some("eth0"), None, &LAN).unwrap().address.address;
    assert_eq!(own(&view), Ipv4Addr::new(192, 0, 2, 2), "in the router's network");
    view.defaults[1].source = Some([203, 0, 113, 9].into());
    assert_eq!(own(&view), Ipv4Addr::new(203, 0, 113, 9), "the route's own");
    view.defaults.clear();
    assert_eq!(own(&view), Ipv4Addr::new(203, 0, 113, 9), "the first");
    view.addresses[0].secondary = true;
    assert_eq!(own(&view), Ipv4Addr::new(192, 0, 2, 2));
}

#[test]
fn a_host_route_to_the_router_and_a_link_without_one() {
    let mut view = host();
    view.addresses[1].prefix_len = 32;
    let facts = choose(&view, Some("eth0"), None, &LAN).unwrap();
    assert_eq!(
        (facts.address.prefix_len, facts.address.next_hop),
        (32, Some([192, 0, 2, 1].into()))
    );
    view.defaults[1].hop = Hop::Link;
    let facts = choose(&view, Some("eth0"), None, &LAN).unwrap();
    assert_eq!((facts.address.prefix_len, facts.address.next_hop), (0, None));
}

#[test]
fn link_local_addresses_are_where_the_hosts_routes_lead() {
    let route = |last, prefix_len, way, metric| {
        let prefix = [169, 254, last, last].into();
        route::LinkLocalRoute { prefix, prefix_len, way, metric }
    };
    let on = |view: &View| -> Vec<_> {
        let facts = choose(view, None, None, &LAN).unwrap();
        facts.link_local.iter().map(|own| (own.prefix_len, own.hop)).collect()
    };
    let mut view = host();
    assert_eq!(on(&view), [], "nobody says");
    let router = [192, 0, 2, 7].into();
    view.link_local = vec![
        route(0, 16, Some((2, Hop::Link)), 1002),
        route(0, 16, Some((3, Hop::Link)), 1003),
        route(254, 32, Some((2, Hop::Router(router))), 0),
        route(9, 32, Some((2, Hop::Other)), 0),
        route(8, 32, None, 0),
        route(0, 16, Some((3, Hop::Link)), 1001),
    ];
    let nowhere = LinkLocalHop::Nowhere;
    let told = [
        (32, LinkLocalHop::Router(router)),
        (32, nowhere),
        (32, nowhere),
        (16, nowhere),
        (16, LinkLocalHop::Link),
        (16, nowhere),
    ];
    assert_eq!(on(&view), told, "the lowest metric first");
    // All of them are behind a program, but for what is known to be elsewhere.
    view.links[1].tun = true;
    assert_eq!(on(&view), [&told[..], &[(16, LinkLocalHop::Link)]].concat());
    view.link_local.clear();
    assert_eq!(on(&view), [(16, LinkLocalHop::Link)]);
}
