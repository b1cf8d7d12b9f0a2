//! What a namespace says of its addresses and routes, and when they change.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use uswitch_ns as ns;

use super::{Notes, alone, build, two_nodes};

#[test]
fn addresses_and_default_routes_are_seen_and_their_changes_told() {
    alone(|| {
        let (plan, [_, one, _]) = two_nodes();
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        let one = applied.take(one).unwrap();
        let view = ns::route::look(one.as_fd()).unwrap();
        let peer = view.links.iter().find(|l| l.name == "vethpeer1").unwrap();
        assert!(peer.ethernet && peer.master.is_none());
        assert!(!view.links.iter().find(|l| l.name == "lo").unwrap().ethernet);
        let (address, prefix_len) = (Ipv4Addr::new(10, 100, 0, 10), 16);
        let own = view.addresses.iter().find(|a| a.index == peer.index).unwrap();
        let secondary = false;
        assert_eq!(*own, ns::route::Address { index: peer.index, address, prefix_len, secondary });
        let hop = ns::route::Hop::Router(Ipv4Addr::new(10, 100, 0, 1));
        let route = ns::route::DefaultRoute { index: peer.index, hop, source: None, metric: 0 };
        assert_eq!(view.defaults, [route]);

        let (mut changes, none) = (ns::route::Changes::new(one.as_fd()).unwrap(), BTreeSet::new());
        assert!(!changes.any(&none).unwrap());
        ns::link::set_up(one.as_fd(), peer.index, false).unwrap();
        assert!(changes.any(&none).unwrap());
        assert!(!changes.any(&none).unwrap(), "told once");
        let after = ns::route::look(one.as_fd()).unwrap();
        assert!(after.defaults.is_empty(), "a route goes with its link");
        assert_eq!(after.addresses, view.addresses, "an address does not");
    });
}

fn ip(words: &str) {
    let done = std::process::Command::new("ip").args(words.split(' ')).status();
    assert!(done.unwrap().success(), "ip {words}");
}

#[test]
fn next_hops_of_other_routes_come_and_go_unheard() {
    alone(|| {
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        ip("link add eth0 type veth peer name far0");
        ip("addr add 192.0.2.2/24 dev eth0");
        ip("link set eth0 up");
        ip("link set far0 up");
        ip("nexthop add id 7 via 192.0.2.1 dev eth0");
        let mut changes = ns::route::Changes::new(own.as_fd()).unwrap();
        ip("route add default nhid 7");
        let view = ns::route::look(own.as_fd()).unwrap();
        assert_eq!((view.defaults.len(), &view.next_hops), (1, &[7].into()));
        assert!(changes.any(&view.next_hops).unwrap(), "the route itself");
        ip("nexthop add id 9 via 192.0.2.9 dev eth0");
        ip("route add 198.51.100.0/24 nhid 9");
        ip("nexthop replace id 9 via 192.0.2.8 dev eth0");
        ip("nexthop del id 9");
        assert!(!changes.any(&view.next_hops).unwrap());
        ip("nexthop replace id 7 via 192.0.2.8 dev eth0");
        assert!(changes.any(&view.next_hops).unwrap());
        ip("nexthop del id 7");
        assert!(changes.any(&view.next_hops).unwrap());
        assert!(ns::route::look(own.as_fd()).unwrap().defaults.is_empty());
    });
}

#[test]
fn routes_to_link_local_addresses_are_seen_and_links_of_programs() {
    alone(|| {
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        ip("link add eth0 type veth peer name far0");
        ip("tuntap add tap0 mode tap");
        ip("addr add 192.0.2.2/24 dev eth0");
        ip("link set eth0 up");
        let (mut changes, none) = (ns::route::Changes::new(own.as_fd()).unwrap(), BTreeSet::new());
        assert!(!changes.any(&none).unwrap());
        ip("route add 169.254.0.0/16 dev eth0 metric 1002");
        assert!(changes.any(&none).unwrap());
        ip("route add 169.254.169.254 via 192.0.2.7");
        ip("route add unreachable 169.254.8.0/24");
        ip("route add 169.254.7.0/24 dev eth0 table 100");
        ip("route add 10.9.0.0/16 dev eth0");
        let view = ns::route::look(own.as_fd()).unwrap();
        let tuns: Vec<_> = view.links.iter().filter(|link| link.tun).collect();
        assert_eq!(tuns.len(), 1);
        assert!(tuns[0].name == "tap0" && tuns[0].ethernet);
        let eth0 = view.links.iter().find(|link| link.name == "eth0").unwrap().index;
        let mut routes: Vec<_> = view.link_local.iter().collect();
        routes.sort_by_key(|route| route.prefix_len);
        let seen: Vec<_> =
            routes.iter().map(|r| (r.prefix.octets()[2], r.prefix_len, r.way, r.metric)).collect();
        let router = ns::route::Hop::Router(Ipv4Addr::new(192, 0, 2, 7));
        let link = ns::route::Hop::Link;
        assert_eq!(
            seen,
            [
                (0, 16, Some((eth0, link)), 1002),
                (8, 24, None, 0),
                (169, 32, Some((eth0, router)), 0)
            ]
        );
        ip("route del 169.254.169.254 via 192.0.2.7");
        assert!(changes.any(&none).unwrap());
    });
}
