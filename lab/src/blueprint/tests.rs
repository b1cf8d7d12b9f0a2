//! The walkthrough's names and addresses, and the shape of each topology.

#![allow(clippy::unwrap_used)]

use ns::Step;

use super::*;
use crate::config::Topology;

/// The blueprint of a lab that can be.
fn blueprint(config: &LabConfig) -> Blueprint {
    super::blueprint(config, &config.check().unwrap(), None)
}

fn config(topology: Topology, nodes: u32) -> LabConfig {
    LabConfig::of(topology, nodes).unwrap()
}

fn veths(print: &Blueprint) -> Vec<(String, String)> {
    let pair = |step: &Step| match step {
        Step::Veth { a, b, .. } => Some((a.name.clone(), b.name.clone())),
        _ => None,
    };
    print.plan.steps().iter().filter_map(pair).collect()
}

#[test]
fn the_switch_is_the_walkthroughs_second_half() {
    let print = blueprint(&config(Topology::Switch, 2));
    let names = [("veth1", "vethpeer1"), ("veth2", "vethpeer2"), ("vethinet", "vethpeerinet")];
    assert_eq!(veths(&print), names.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let seen: Vec<_> = print
        .nodes
        .iter()
        .map(|n| (n.name.as_str(), n.interfaces[0].addresses[0].to_string()))
        .collect();
    assert_eq!(seen, [("net1", "10.100.0.10/16".into()), ("net2", "10.100.0.20/16".into())]);
    let checks: Vec<_> = print.checks.iter().map(|c| (c.from, c.to.to_string())).collect();
    let wanted = [(0, "10.100.0.20"), (1, "10.100.0.10"), (0, "8.8.8.8")];
    assert_eq!(checks, wanted.map(|(from, to)| (from, to.to_owned())));
    assert_eq!(print.pairs, 3);
}

#[test]
fn a_pair_is_the_first_half() {
    let print = blueprint(&config(Topology::Pair, 2));
    assert_eq!(veths(&print), [("veth1".to_owned(), "veth2".to_owned())]);
    let addresses: Vec<_> =
        print.nodes.iter().map(|n| n.interfaces[0].addresses[0].to_string()).collect();
    assert_eq!(addresses, ["10.100.0.1/16", "10.100.0.2/16"]);
    assert_eq!((print.checks.len(), print.switch), (2, None));
}

#[test]
fn a_mesh_joins_every_two_nodes_once() {
    for n in 2..8_u32 {
        let print = blueprint(&config(Topology::Mesh, n));
        let pairs = (n * (n - 1) / 2) as usize;
        assert_eq!((print.pairs, veths(&print).len()), (pairs, pairs));
        assert_eq!(print.checks.len(), 2 * pairs);
        assert!(print.nodes.iter().all(|node| node.interfaces.len() == n as usize - 1));
    }
}

#[test]
fn every_name_of_an_interface_fits() {
    let largest = [
        config(Topology::Mesh, address::LARGEST_MESH),
        config(Topology::Switch, crate::config::MAX_NODES),
    ];
    for config in largest {
        config.check().unwrap();
        for (a, b) in veths(&blueprint(&config)) {
            assert!(a.len() <= ns::plan::MAX_INTERFACE_NAME, "{a}");
            assert!(b.len() <= ns::plan::MAX_INTERFACE_NAME, "{b}");
        }
    }
}

#[test]
fn without_an_uplink_there_is_no_internet() {
    let mut config = config(Topology::Switch, 1);
    config.spec.uplink = Some(Uplink::None);
    let print = blueprint(&config);
    assert_eq!((print.inet, print.uplink.is_none(), print.pairs), (None, true, 1));
    assert_eq!(print.checks[0].to, address::GATEWAY);
}

#[test]
fn what_cannot_be_is_refused() {
    let none = [
        (Topology::Switch, 0),
        (Topology::Switch, 100_000),
        (Topology::Pair, 3),
        (Topology::Mesh, 1),
        (Topology::Mesh, 182),
    ];
    for (topology, nodes) in none {
        assert!(LabConfig::of(topology, nodes).is_err(), "{topology} of {nodes}");
    }
    let good = config(Topology::Switch, 2);
    assert!(good.check().is_ok());
    let mut small = good.clone();
    small.spec.mtu = Some(67);
    for config in [LabConfig { prefix: Some("a/b".into()), ..good }, small] {
        assert!(config.check().is_err(), "{config:?}");
    }
    for name in ["", "../up", "a/b", ".hidden", &"a".repeat(33), "a b"] {
        assert!(name.parse::<crate::LabName>().is_err(), "{name:?}");
    }
}

/// The checks of a lab of this spec: from whom, to whom.
fn checks_of(spec: &str) -> Vec<(String, String)> {
    let spec: ::topology::Spec = serde_json::from_str(spec).unwrap();
    let print = blueprint(&LabConfig { spec, ..config(Topology::Switch, 1) });
    let of = |check: &CheckPlan| (print.nodes[check.from].name.clone(), check.to_name.clone());
    print.checks.iter().map(of).collect()
}

#[test]
fn who_has_no_vlan_for_frames_without_a_tag_is_not_asked_for() {
    let with = |vlans: &str| {
        let lan = r#""lan": {"subnet": "10.1.0.0/24", "vlan_filtering": true}"#;
        let nodes = r#""a": {"network": "lan"}, "b": {"network": "lan"}, "c": {"network": "lan"}"#;
        checks_of(&format!(
            r#"{{"networks": {{{lan}}}, "nodes": {{{nodes}}}, "ports": {{"a": {{"vlans": {vlans}}}}}}}"#
        ))
    };
    let asked =
        |checks: &[(String, String)]| checks.iter().any(|(from, to)| from == "a" || to == "a");
    assert!(asked(&with(r#"[{"vlan": 1, "pvid": true, "untagged": true}]"#)));
    for vlans in [
        "[]",
        r#"[{"vlan": 1, "untagged": true}]"#,
        r#"[{"vlan": 1, "pvid": true}]"#,
        // A VLAN where neither the gateway is nor anybody else.
        r#"[{"vlan": 10, "pvid": true, "untagged": true}]"#,
    ] {
        let checks = with(vlans);
        assert!(!asked(&checks), "{vlans}: {checks:?}");
        let others = [("b", "c"), ("c", "b"), ("b", "internet")];
        assert_eq!(checks, others.map(|(from, to)| (from.to_owned(), to.to_owned())), "{vlans}");
    }
}

/// The routes that are made in a node: whereto, by whom, out of which interface.
fn routes_of(spec: &str, name: &str) -> Vec<(Option<String>, String, String)> {
    let spec: ::topology::Spec = serde_json::from_str(spec).unwrap();
    let print = blueprint(&LabConfig { spec, ..config(Topology::Switch, 1) });
    let node = print.nodes.iter().find(|node| node.name == name).unwrap();
    let route = |step: &Step| match step {
        Step::Route { ns, to, via, index } if *ns == node.ns => {
            let at = node.indices.iter().position(|own| own == index).unwrap();
            let to = to.map(|(ip, prefix)| format!("{ip}/{prefix}"));
            Some((to, via.to_string(), node.interfaces[at].name.clone()))
        }
        _ => None,
    };
    print.plan.steps().iter().filter_map(route).collect()
}

/// By the router's address that is of the route's family, and in a subnet of the node's own.
#[test]
fn a_route_leads_by_the_address_of_a_router_that_is_near() {
    let lab = r#"{"networks": {"a": {"subnets": ["10.1.0.0/24", "10.9.0.0/24", "fd01::/64"]},
        "b": {"subnets": ["10.2.0.0/24", "fd02::/64"]}},
        "nodes": {"r": {"kind": "router", "networks": {"a": ["10.1.0.9", "10.9.0.9", "fd01::9"],
            "b": ["10.2.0.9", "fd02::9"]}},
        "h": {"networks": {"a": ["10.9.0.5", "fd01::5"]},
            "routes": ["fd02::/64 via r", "10.2.0.0/24 via r"]}}}"#;
    let out = || "eth0".to_owned();
    let wanted = [
        (Some("fd02::/64".into()), "fd01::9".into(), out()),
        (Some("10.2.0.0/24".into()), "10.9.0.9".into(), out()),
        (None, "10.9.0.1".into(), out()),
    ];
    assert_eq!(routes_of(lab, "h"), wanted);
}

/// By the first network that leads out, and by the gateway's address beside the node's own.
#[test]
fn a_default_route_leads_out_where_it_can() {
    let networks = r#""int": {"subnet": "10.3.0.0/24", "internal": true}, "bare": {},
        "out": {"subnets": ["10.4.0.0/24", "10.5.0.0/24"]}, "more": {"subnet": "10.6.0.0/24"}"#;
    for (places, wanted) in [
        (r#"["int", "out"]"#, Some((1, "10.4.0.1"))),
        (r#"["out", "int"]"#, Some((0, "10.4.0.1"))),
        (r#"["int", "more", "out"]"#, Some((1, "10.6.0.1"))),
        (r#"["bare", "int"]"#, Some((1, "10.3.0.1"))),
        (r#"["bare"]"#, None),
        (r#"{"int": "10.3.0.9", "out": "10.5.0.9"}"#, Some((1, "10.5.0.1"))),
        (r#"{"out": []}"#, None),
    ] {
        let text = format!(
            r#"{{"networks": {{{networks}}}, "nodes": {{"a": {{"networks": {places}}}}}}}"#
        );
        let made = routes_of(&text, "a");
        let wanted = wanted.map(|(place, via)| (None, via.into(), format!("eth{place}")));
        assert_eq!(made, Vec::from_iter(wanted), "{places}");
    }
}

/// Of a network with two subnets the gateway may be in one alone.
#[test]
fn a_gateway_is_asked_for_by_who_is_beside_it() {
    let with = |gateway: &str| {
        checks_of(&format!(
            r#"{{"networks": {{"a": {{"subnets": ["10.3.0.0/24", "10.4.0.0/24"], "gateway": {gateway}}}}},
                "nodes": {{"n": {{"networks": {{"a": "10.4.0.9"}}}}}}}}"#
        ))
    };
    assert_eq!(with(r#""10.3.0.200""#), []);
    let both = [("n", "gateway"), ("n", "internet")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(with("true"), both);
    assert_eq!(with(r#""10.4.0.200""#), both);
}

#[test]
fn the_internet_is_asked_for_by_who_leaves_for_it() {
    let networks =
        r#""int": {"subnet": "10.3.0.0/24", "internal": true}, "vl": {"subnet": "10.5.0.0/24"}"#;
    let with = |nodes: &str| {
        checks_of(&format!(r#"{{"networks": {{{networks}}}, "nodes": {{{nodes}}}}}"#))
    };
    let from = |checks: Vec<(String, String)>| {
        checks.into_iter().find(|(_, to)| to == "internet").map(|(from, _)| from)
    };
    // The default route of `c` leads by the first of its networks that leads out.
    let both = r#""c": {"networks": ["int", "vl"]}"#;
    assert_eq!(from(with(both)).as_deref(), Some("c"));
    assert_eq!(from(with(r#""c": {"networks": ["int"]}"#)), None);
}
