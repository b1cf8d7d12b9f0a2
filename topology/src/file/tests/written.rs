//! What is written is read as the same: whatever lab it is.

use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::VlanProtocol;
use crate::cidr::{Address, Subnet};
use crate::fast_path::FastPath;
use crate::link::{End, Link};
use crate::nat::NatType;
use crate::network::{Gateway, Network};
use crate::node::{Attachment, Kind, Node};
use crate::port::{SetPort, StormLimits};
use crate::shape;
use crate::uplink::Uplink;
use crate::vlan::AddVlan;

fn name() -> impl Strategy<Value = String> {
    // Words that YAML 1.1 takes for something else, and plain ones.
    let words = vec!["no", "on", "off", "yes", "null", "true", "y", "n1", "e5", "x0"];
    prop_oneof![prop::sample::select(words).prop_map(str::to_owned), "[a-z][a-z0-9_.-]{0,8}"]
}

fn ip() -> impl Strategy<Value = std::net::IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).into())
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (ip(), prop::option::of(0u8..=32)).prop_map(|(ip, prefix)| Address { ip, prefix })
}

fn subnet() -> impl Strategy<Value = Subnet> {
    (ip(), 0u8..=32).prop_map(|(ip, prefix)| Subnet::of(ip, prefix).unwrap())
}

fn network() -> impl Strategy<Value = Network> {
    let gateway = prop_oneof![
        Just(Gateway::None),
        Just(Gateway::First),
        prop::collection::vec(ip(), 1..3).prop_map(Gateway::At),
    ];
    (
        prop::collection::vec(subnet(), 0..3),
        gateway,
        any::<(bool, Option<u32>, Option<u64>, Option<u16>, Option<bool>)>(),
        prop::collection::vec(name(), 0..2),
        prop::option::of(prop::sample::select(vec![VlanProtocol::Dot1Q, VlanProtocol::Dot1Ad])),
    )
        .prop_map(|(subnets, gateway, settings, routed, vlan_protocol)| {
            let (internal, mtu, ageing_time, group_fwd_mask, vlan_filtering) = settings;
            Network {
                subnets,
                gateway,
                internal,
                routed,
                mtu,
                ageing_time,
                group_fwd_mask,
                vlan_filtering,
                vlan_protocol,
                ..Network::default()
            }
        })
}

fn mac() -> impl Strategy<Value = wire::MacAddr> {
    any::<[u8; 6]>().prop_map(wire::MacAddr)
}

fn node() -> impl Strategy<Value = Node> {
    let place = (
        name(),
        prop::option::of(prop::collection::vec(address(), 0..3)),
        prop::option::of(mac()),
        prop::option::of(name()),
    );
    let places = prop::collection::vec(place, 0..3).prop_map(|places| {
        let mut all: IndexMap<String, Attachment> = IndexMap::new();
        for (network, addresses, mac, interface) in places {
            let place = Attachment { network: network.clone(), addresses, mac, interface };
            all.insert(network, place);
        }
        all.into_values().collect::<Vec<_>>()
    });
    let route = prop_oneof![
        (subnet(), ip()).prop_map(|(to, via)| format!("{to} via {via}")),
        name().prop_map(|node| format!("default via {node}")),
    ];
    let routes = prop::collection::vec(route.prop_map(|text| text.parse().unwrap()), 0..3);
    // Whatever a shell may take: quotes, colons, line ends.
    let line = prop_oneof!["\\PC{0,20}", Just("a: 'b' \"c\" #d\n  x\t\\ - ".to_owned())];
    let exec = prop::collection::vec(line, 0..3);
    (any::<bool>(), places, routes, exec).prop_map(|(router, networks, routes, exec)| Node {
        kind: if router { Kind::Router } else { Kind::Node },
        networks,
        routes,
        exec,
    })
}

fn link() -> impl Strategy<Value = Link> {
    let end = || {
        let more = (prop::option::of(name()), prop::collection::vec(address(), 0..2));
        (name(), more, prop::option::of(mac()))
            .prop_map(|(node, (interface, addresses), mac)| End { node, interface, addresses, mac })
    };
    (end(), end(), any::<Option<u32>>()).prop_map(|(a, b, mtu)| Link { endpoints: [a, b], mtu })
}

fn port() -> impl Strategy<Value = SetPort> {
    let vlan = any::<(u16, Option<u16>, bool, bool)>()
        .prop_map(|(vlan, vlan_end, pvid, untagged)| AddVlan { vlan, vlan_end, pvid, untagged });
    (
        any::<(Option<bool>, Option<u8>, Option<u32>, Option<u32>)>(),
        prop::option::of(prop::collection::vec(vlan, 0..3)),
    )
        .prop_map(|((isolated, isolation, learn_limit, broadcast), vlans)| SetPort {
            isolated,
            isolation,
            learn_limit,
            storm: broadcast.map(|_| StormLimits { broadcast, ..StormLimits::default() }),
            vlans,
            ..SetPort::default()
        })
}

fn spec() -> impl Strategy<Value = Spec> {
    (
        prop::collection::vec((name(), network()), 0..4),
        prop::collection::vec((name(), node()), 0..5),
        prop::collection::vec(link(), 0..3),
        prop::collection::vec((name(), port()), 0..3),
        (prop::sample::select(NatType::ALL.to_vec()), prop::sample::select(FastPath::ALL.to_vec())),
        prop::option::of(prop::sample::select(vec!["none", "sim", "auto", "eth0", "no"])),
        any::<u32>(),
    )
        .prop_map(|(networks, nodes, links, ports, (nat, fast_path), uplink, mtu)| Spec {
            networks: networks.into_iter().collect(),
            nodes: nodes.into_iter().collect(),
            links,
            ports: ports.into_iter().collect(),
            nat,
            fast_path,
            uplink: uplink.map(|text| text.parse::<Uplink>().unwrap()),
            mtu: Some(mtu),
            publish: vec!["8080:no:80/udp".parse().unwrap()],
            ..Spec::default()
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(spec in spec()) {
        let text = write(&spec);
        let read = parse(&text, Format::Yaml);
        prop_assert_eq!(read.as_ref(), Ok(&spec), "{}", text);
    }

    #[test]
    fn whatever_is_read_is_checked(spec in spec()) {
        let Ok(checked) = spec.check() else { return Ok(()) };
        prop_assert_eq!(checked.nodes().len(), spec.nodes.len());
    }
}

#[test]
fn shapes_are_written_and_read() {
    for spec in [shape::pair(), shape::mesh(5).unwrap(), shape::switch(300).unwrap()] {
        assert_eq!(parse(&write(&spec), Format::Yaml).unwrap(), spec);
        let checked = spec.check().unwrap();
        let out = checked.spelled_out();
        assert_eq!(parse(&write(&out), Format::Yaml).unwrap(), out);
        assert_eq!(out.check().unwrap().nodes(), checked.nodes(), "nothing was left to choose");
    }
}
