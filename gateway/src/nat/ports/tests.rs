use std::collections::HashSet;
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

fn inside(port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), port)
}

#[test]
fn the_inside_port_is_kept_while_it_is_free() {
    let mut ports = Ports::new(Protocol::Tcp, 1..=65535, 1);
    assert_eq!(ports.choose(inside(4000), None), Some(4000));
    assert!(ports.take(4000));
    assert!(!ports.take(4000));
    assert_ne!(ports.choose(inside(4000), None), Some(4000));
    ports.give(4000);
    assert_eq!(ports.choose(inside(4000), None), Some(4000));
}

#[test]
fn another_port_is_of_the_same_class_and_for_udp_of_the_same_parity() {
    let mut udp = Ports::new(Protocol::Udp, 1..=65535, 7);
    for port in (1..=65535).step_by(97) {
        udp.take(port);
        let chosen = udp.choose(inside(port), None).unwrap();
        assert_eq!(chosen % 2, port % 2, "{port} -> {chosen}");
        assert_eq!(chosen < 1024, port < 1024, "{port} -> {chosen}");
    }
}

#[test]
fn a_block_without_system_ports_serves_them_too() {
    let ports = Ports::new(Protocol::Udp, 20_000..=29_999, 7);
    let chosen = ports.choose(inside(53), None).unwrap();
    assert!((20_000..=29_999).contains(&chosen) && chosen % 2 == 1);
}

#[test]
fn a_block_of_system_ports_serves_every_host() {
    let ports = Ports::new(Protocol::Tcp, 10..=20, 7);
    assert!((10..=20).contains(&ports.choose(inside(40_000), None).unwrap()));
}

#[test]
fn outsiders_cannot_foresee_the_port() {
    let choose = |seed| {
        let mut ports = Ports::new(Protocol::Tcp, 1..=65535, seed);
        ports.take(4000);
        ports.choose(inside(4000), None).unwrap()
    };
    let chosen: HashSet<u16> = (0..100).map(choose).collect();
    assert!(chosen.len() > 95, "{} distinct of 100", chosen.len());
}

#[test]
fn every_port_is_given_out_once_and_then_none() {
    let mut ports = Ports::new(Protocol::Udp, 1000..=1099, 3);
    let mut seen = HashSet::new();
    for _ in 0..100 {
        // A high port may not use the low class, a system port may use either.
        let port = ports.choose(inside(1001), None).unwrap();
        assert!(ports.take(port) && seen.insert(port));
    }
    assert_eq!((ports.available(), ports.choose(inside(1001), None)), (0, None));
}

proptest! {
    #[test]
    fn whatever_is_chosen_is_free_and_in_range(
        low in 1u16..60_000, size in 0u16..300, wanted: u16, seed: u64,
        taken in proptest::collection::vec(any::<prop::sample::Index>(), 0..300),
    ) {
        let high = low.saturating_add(size);
        for protocol in Protocol::ALL {
            let mut ports = Ports::new(protocol, low..=high, seed);
            for index in &taken {
                ports.take(low + u16::try_from(index.index(usize::from(size) + 1)).unwrap());
            }
            prop_assert_eq!(ports.available(), u32::try_from((low..=high).filter(|p| ports.is_free(*p)).count()).unwrap());
            if let Some(port) = ports.choose(inside(wanted), None) {
                prop_assert!(ports.is_free(port) && (low..=high).contains(&port));
            } else {
                // Exhausted, or only system ports are left for a host that may not have them.
                prop_assert!(ports.available() == 0 || (wanted >= 1024 && high >= 1024));
            }
        }
    }
}

proptest! {
    /// Whatever the size of the block: a stride that shares a divisor with it would come by few.
    #[test]
    fn every_port_of_a_block_is_tried_once(
        low in prop_oneof![1u16..3000, 20_000u16..60_000], size in 0u16..500, wanted in 1024u16.., salt: u64,
    ) {
        let high = low + size;
        for protocol in Protocol::ALL {
            let ports = Ports::new(protocol, low..=high, 5);
            let tried: Vec<u16> = ports.tries(inside(wanted), salt).collect();
            let distinct: HashSet<u16> = tried.iter().copied().collect();
            prop_assert_eq!(tried.len(), distinct.len());
            let first = if high < 1024 { low } else { low.max(1024) };
            prop_assert_eq!(distinct, (first..=high).collect::<HashSet<u16>>());
            // The first is of the same parity where one is.
            let same = protocol != Protocol::Udp || size == 0 || tried[0] % 2 == wanted % 2;
            prop_assert!(same || first == high, "{} for {}", tried[0], wanted);
        }
    }
}
