//! Each cell's column is there, whichever columns a lab has.

use std::net::Ipv4Addr;

use ns::Identity;

use super::cells;
use crate::journal::{Known, Record};
use crate::names::{GATEWAY, INET};
use crate::places;

fn identity(name: &str) -> Identity {
    let path = format!("/run/netns/{name}").into();
    let (file, netns) = (0, 0);
    Identity { name: name.into(), path, file, device: None, born: None, cookie: None, netns }
}

fn known(name: &str, address: [u8; 4], prefix_len: u8, network: Option<&str>) -> Known {
    let (name, network) = (name.into(), network.map(Into::into));
    Known { name, address: Ipv4Addr::from(address), prefix_len, network }
}

/// `from to address` of each cell, by names.
fn shown(names: &[&str], known: Vec<Known>) -> Vec<String> {
    let nodes = names.iter().filter(|name| **name != INET).map(|name| (*name).to_owned());
    let names = names.iter().map(|name| identity(name)).collect();
    let record = Record { names, known, ..Record::default() };
    let nodes: Vec<_> = nodes.collect();
    let (targets, cells) = cells(&record, nodes.clone());
    for cell in &cells {
        // A ping by name goes where the matrix does.
        let (from, to) = (&nodes[cell.from], &targets[cell.to]);
        let places = places::Places::of(record.clone());
        assert_eq!(places.address(Some(from), to), Some(cell.address), "{from} {to}");
    }
    let line =
        |cell: &super::Cell| format!("{} {} {}", nodes[cell.from], targets[cell.to], cell.address);
    cells.iter().map(line).collect()
}

#[test]
fn a_lab_without_ipv4_has_nothing_to_try() {
    assert_eq!(shown(&["a", "b", INET], Vec::new()), Vec::<String>::new());
}

#[test]
fn nodes_on_a_link_beside_a_network_reach_each_other() {
    let all = vec![
        known(GATEWAY, [10, 1, 0, 1], 24, Some("lan")),
        known("a", [10, 9, 0, 1], 30, None),
        known("b", [10, 9, 0, 2], 30, None),
    ];
    assert_eq!(shown(&["a", "b", INET], all), ["a b 10.9.0.2", "b a 10.9.0.1"]);
}

#[test]
fn of_several_addresses_the_one_that_is_near_is_taken() {
    let all = vec![
        known(GATEWAY, [10, 1, 0, 1], 24, Some("one")),
        known(GATEWAY, [10, 2, 0, 1], 24, Some("two")),
        known("both", [10, 1, 0, 2], 24, Some("one")),
        known("both", [10, 2, 0, 2], 24, Some("two")),
        known("b", [10, 2, 0, 3], 24, Some("two")),
        // Out of all networks, as a port that was moved is.
        known("c", [10, 2, 0, 4], 32, None),
    ];
    let wanted = [
        "both b 10.2.0.3",
        "both gateway 10.1.0.1",
        "both internet 8.8.8.8",
        "b both 10.2.0.2",
        "b gateway 10.2.0.1",
        "b internet 8.8.8.8",
    ];
    assert_eq!(shown(&["both", "b", "c", INET], all), wanted);
}

#[test]
fn a_mesh_has_an_address_for_each_pair() {
    let all = vec![
        known("a", [10, 0, 0, 1], 30, None),
        known("a", [10, 0, 0, 5], 30, None),
        known("b", [10, 0, 0, 2], 30, None),
        known("b", [10, 0, 0, 9], 30, None),
        known("c", [10, 0, 0, 6], 30, None),
        known("c", [10, 0, 0, 10], 30, None),
    ];
    let wanted = [
        "a b 10.0.0.2",
        "a c 10.0.0.6",
        "b a 10.0.0.1",
        "b c 10.0.0.10",
        "c a 10.0.0.5",
        "c b 10.0.0.9",
    ];
    assert_eq!(shown(&["a", "b", "c"], all), wanted);
}

#[test]
fn nodes_of_networks_that_are_routed_meet_at_the_gateway() {
    let known = [
        vec![known("a", [10, 1, 0, 2], 24, Some("lan"))],
        vec![known("b", [10, 2, 0, 2], 24, Some("dc"))],
        // Its way out leads by a network that is not routed to the other.
        vec![known("c", [10, 3, 0, 2], 24, Some("far")), known("c", [10, 2, 0, 3], 24, Some("dc"))],
        vec![known("d", [10, 9, 0, 1], 30, None)],
    ];
    let routes = |a: &str, b: &str| [a, b] == ["lan", "dc"] || [a, b] == ["dc", "lan"];
    let cells = super::routed(&known, &[], routes);
    let pairs: Vec<_> = cells.iter().map(|cell| (cell.from, cell.to, cell.address)).collect();
    assert_eq!(pairs, [(0, 1, [10, 2, 0, 2].into()), (1, 0, [10, 1, 0, 2].into())]);
    let there = super::routed(&known, &cells, routes);
    assert!(there.is_empty(), "twice: {there:?}");
}
