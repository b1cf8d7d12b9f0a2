//! The address rule, as a table and for every node of the pool.

use std::collections::HashSet;

use super::*;

#[test]
fn the_rule_as_a_table() {
    for (number, address) in [
        (1, "10.100.0.10"),
        (2, "10.100.0.20"),
        (25, "10.100.0.250"),
        (26, "10.100.1.1"),
        (279, "10.100.1.254"),
        (280, "10.100.2.1"),
        (LAST, "10.100.255.254"),
    ] {
        assert_eq!(of_node(number).map(|a| a.to_string()).as_deref(), Some(address), "{number}");
    }
    assert_eq!(of_node(0), None);
    assert_eq!(of_node(LAST + 1), None);
}

#[test]
fn no_two_nodes_share_an_address_and_none_has_the_gateways() {
    let all: HashSet<_> = (1..=LAST).filter_map(of_node).collect();
    assert_eq!(all.len(), LAST as usize);
    assert!(!all.contains(&GATEWAY));
    assert!(all.iter().all(|a| a.octets()[..2] == [10, 100]));
}

#[test]
fn hosts_are_in_the_network_and_neither_its_ends() {
    for (address, yes) in [
        ([10, 100, 0, 1], true),
        ([10, 100, 255, 254], true),
        ([10, 100, 0, 0], false),
        ([10, 100, 255, 255], false),
        ([10, 101, 0, 1], false),
        ([8, 8, 8, 8], false),
    ] {
        assert_eq!(is_host(address.into()), yes, "{address:?}");
    }
}

#[test]
fn pairs_of_the_largest_mesh_fit_and_do_not_overlap() {
    let pairs = LARGEST_MESH * (LARGEST_MESH - 1) / 2;
    let all: HashSet<_> = (0..pairs).filter_map(of_pair).flatten().collect();
    assert_eq!(all.len(), 2 * pairs as usize);
    const { assert!((LARGEST_MESH + 1) * LARGEST_MESH / 2 > MESH_SUBNETS) };
    assert_eq!(of_pair(MESH_SUBNETS), None);
}
