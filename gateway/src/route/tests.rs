//! Tables of destinations, sources and refusals.

use wire::MacAddr;

use super::*;

const OTHER: LegId = LegId(7);

fn routes() -> Routes {
    let config = crate::Config::simulated(MacAddr::ZERO, MacAddr::ZERO);
    let mut routes = Routes::new(config.uplink.and_then(|u| u.address));
    config.legs.iter().for_each(|(id, leg)| routes.set(*id, &leg.addresses));
    routes.set(OTHER, &[at([10, 101, 0, 1], 24), at([192, 168, 7, 9], 30)]);
    routes
}

fn at(address: [u8; 4], prefix_len: u8) -> LegAddress {
    LegAddress { address: address.into(), prefix_len }
}

#[test]
fn destinations() {
    let to = |a: [u8; 4]| routes().to(a.into());
    let hop = Ipv4Addr::new(203, 0, 113, 1);
    assert_eq!(to([10, 100, 0, 1]), Route::Own(Side::LAN));
    assert_eq!(to([10, 101, 0, 1]), Route::Own(Side::Leg(OTHER)));
    assert_eq!(to([192, 168, 7, 9]), Route::Own(Side::Leg(OTHER)));
    assert_eq!(to([203, 0, 113, 2]), Route::Own(Side::Uplink));
    assert_eq!(to([10, 100, 3, 4]), Route::Via(Side::LAN, [10, 100, 3, 4].into()));
    assert_eq!(to([192, 168, 7, 10]), Route::Via(Side::Leg(OTHER), [192, 168, 7, 10].into()));
    assert_eq!(to([203, 0, 113, 9]), Route::Via(Side::Uplink, [203, 0, 113, 9].into()));
    for a in
        [[8, 8, 8, 8], [10, 99, 255, 255], [10, 101, 1, 0], [192, 168, 7, 12], [192, 168, 7, 7]]
    {
        assert_eq!(to(a), Route::Via(Side::Uplink, hop), "{a:?}");
    }
    for a in [
        [10, 100, 255, 255],
        [10, 100, 0, 0],
        [10, 101, 0, 255],
        [192, 168, 7, 8],
        [192, 168, 7, 11],
        [224, 0, 0, 1],
        [255; 4],
        [203, 0, 113, 255],
        [0, 0, 0, 0],
    ] {
        assert_eq!(to(a), Route::Multicast, "{a:?}");
    }
    for a in [[127, 0, 0, 1], [127, 255, 255, 255]] {
        assert_eq!(to(a), Route::Loopback, "{a:?}");
    }
    for a in [[0, 0, 0, 1], [240, 0, 0, 1], [169, 254, 169, 254]] {
        assert_eq!(to(a), Route::None, "{a:?}");
    }
    let alone = Routes { uplink: None, ..routes() };
    assert_eq!(alone.to([8, 8, 8, 8].into()), Route::None);
    let mut gone = routes();
    gone.set(OTHER, &[]);
    assert_eq!(gone.to([10, 101, 0, 1].into()), Route::Via(Side::Uplink, hop));
}

#[test]
fn sources() {
    let r = routes();
    for (a, lan, other, uplink) in [
        ([10, 100, 0, 10], true, false, false),
        ([10, 101, 0, 10], false, true, false),
        ([192, 168, 7, 10], false, true, false),
        ([192, 168, 7, 9], false, false, false),
        ([192, 168, 7, 12], false, false, true),
        ([10, 100, 0, 1], false, false, false),
        ([10, 100, 255, 255], false, false, false),
        ([8, 8, 8, 8], false, false, true),
        ([203, 0, 113, 2], false, false, false),
        ([203, 0, 113, 255], false, false, false),
        ([203, 0, 113, 7], false, false, true),
        ([127, 0, 0, 1], false, false, false),
        ([0, 0, 0, 0], false, false, false),
        ([224, 0, 0, 1], false, false, false),
        ([255, 255, 255, 255], false, false, false),
        ([169, 254, 1, 1], false, false, false),
    ] {
        assert_eq!(r.is_source(LegId::FIRST, a.into()), lan, "{a:?}");
        assert_eq!(r.is_source(OTHER, a.into()), other, "{a:?}");
        assert_eq!(r.is_uplink_source(a.into()), uplink, "{a:?}");
    }
}

#[test]
fn link_local_addresses_are_where_somebody_says() {
    use crate::link_local::{LinkLocalHop, LinkLocalRoute};
    let way = |prefix: [u8; 4], prefix_len, hop| LinkLocalRoute {
        prefix: prefix.into(),
        prefix_len,
        hop,
    };
    let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
    let config = crate::Config::simulated(mac(1), mac(2));
    let mut gateway = crate::Gateway::new(config, 1).unwrap();
    let router = Ipv4Addr::new(203, 0, 113, 7);
    let on = |a: [u8; 4]| Route::Via(Side::Uplink, a.into());
    for (ways, whole, metadata, tunnel) in [
        (vec![], Route::None, Route::None, Route::None),
        (
            vec![
                way([169, 254, 0, 0], 16, LinkLocalHop::Link),
                way([169, 254, 9, 0], 24, LinkLocalHop::Nowhere),
                way([169, 254, 169, 254], 32, LinkLocalHop::Router(router)),
                // Of equal ones the first; and none that is wider.
                way([169, 254, 0, 0], 16, LinkLocalHop::Nowhere),
                way([0, 0, 0, 0], 0, LinkLocalHop::Nowhere),
            ],
            on([169, 254, 1, 2]),
            Route::Via(Side::Uplink, router),
            Route::None,
        ),
        (
            vec![way([169, 254, 169, 254], 32, LinkLocalHop::Link)],
            Route::None,
            on([169, 254, 169, 254]),
            Route::None,
        ),
    ] {
        gateway.set_link_local(ways);
        let r = &gateway.links.routes;
        for (a, to) in [([1, 2], whole), ([169, 254], metadata), ([9, 1], tunnel)] {
            let address = [169, 254, a[0], a[1]].into();
            assert_eq!(r.to(address), to, "{address}");
            // What is asked answers, and is learned where it is itself on the link.
            assert_eq!(r.is_uplink_source(address), to != Route::None, "{address}");
            assert_eq!(
                r.is_neighbour(Side::Uplink, address),
                to == Route::Via(Side::Uplink, address)
            );
        }
        let shown = r.views().iter().filter(|view| view.prefix.is_link_local()).count();
        let lead = [whole, metadata].iter().filter(|to| **to != Route::None).count();
        assert_eq!(shown, lead);
        assert!(
            r.is_neighbour(Side::Uplink, router) && !r.is_neighbour(Side::Uplink, [8; 4].into())
        );
        assert_eq!(r.to([8; 4].into()), Route::Via(Side::Uplink, [203, 0, 113, 1].into()));
    }
    let outside = LinkLocalHop::Router([192, 0, 2, 1].into());
    gateway.set_link_local(vec![way([169, 254, 169, 254], 32, outside)]);
    assert!(gateway.links.routes.is_neighbour(Side::Uplink, [192, 0, 2, 1].into()));
}

#[test]
fn subnets_that_cannot_be_had_are_refused() {
    let check = |addresses: &[LegAddress]| {
        let config = LegConfig {
            addresses: addresses.to_vec(),
            ..LegConfig::new(MacAddr::ZERO, Ipv4Addr::UNSPECIFIED, 1)
        };
        routes().check(LegId(3), &config)
    };
    let fine = at([10, 102, 0, 1], 24);
    assert_eq!(check(&[]), Ok(()));
    assert_eq!(check(&[fine, at([10, 102, 1, 1], 24), at([10, 103, 0, 0], 31)]), Ok(()));
    for bad in [
        at([10, 102, 0, 0], 24),
        at([10, 102, 0, 255], 24),
        at([127, 0, 0, 1], 8),
        at([224, 0, 0, 1], 24),
        at([10, 102, 0, 1], 0),
        at([10, 102, 0, 1], 33),
        at([126, 0, 0, 1], 7),
    ] {
        assert_eq!(check(&[fine, bad]), Err(LegError::Address(bad)));
    }
    let lan = at([10, 100, 0, 1], 16);
    for over in [at([10, 100, 9, 1], 24), at([10, 0, 0, 1], 8)] {
        assert_eq!(check(&[over]), Err(LegError::Overlap(over, lan, LegId::FIRST)));
    }
    let twice = at([10, 102, 0, 9], 28);
    assert_eq!(check(&[fine, twice]), Err(LegError::Overlap(twice, fine, LegId(3))));
    let outside = at([203, 0, 113, 129], 25);
    assert!(matches!(check(&[outside]), Err(LegError::Uplink(..))));
    // A leg's own subnets of before are in nobody's way.
    let again = LegConfig::new(MacAddr::ZERO, [10, 101, 0, 2].into(), 16);
    assert_eq!(routes().check(OTHER, &again), Ok(()));
}

#[test]
fn hundreds_of_subnets_are_told_apart() {
    let mut routes = Routes::new(None);
    for n in 0..=255u8 {
        let subnets = [at([10, n, 0, 1], 24), at([172, 16, n, 1], 25)];
        routes.set(LegId(n.into()), &subnets);
    }
    for n in 0..=255u8 {
        for a in [[10, n, 0, 9], [172, 16, n, 9]] {
            assert_eq!(routes.leg(a.into()), Some(LegId(n.into())), "{a:?}");
        }
        for a in [[10, n, 1, 0], [172, 16, n, 128], [11, n, 0, 1], [9, n, 0, 1]] {
            assert_eq!(routes.leg(a.into()), None, "{a:?}");
        }
    }
}
