//! What once passed the check and failed later, or did nothing.

#![allow(clippy::unwrap_used)]

use crate::spec::Spec;

/// What a lab that is written as JSON is told.
fn told(text: &str) -> Vec<String> {
    let spec: Spec = serde_json::from_str(text).unwrap();
    let problems = spec.check().err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

fn one(text: &str, said: &str) {
    let told = told(text);
    assert!(told.len() == 1 && told[0].contains(said), "{text}\n{told:?}");
}

#[test]
fn a_port_leads_where_somebody_is_reached_from_outside() {
    let publish = r#""publish": ["8080:h:80"]"#;
    let lab = |networks: &str, place: &str| {
        format!(
            r#"{{"networks": {{"z": {{"subnet": "10.9.0.0/24"}}, {networks}}},
            "nodes": {{"h": {{"networks": {place}}}, "g": {{"network": "z"}}}},
            "links": [["h", "g"]], {publish}}}"#
        )
    };
    for (networks, place) in [
        (r#""a": {"subnet": "10.1.0.0/24", "gateway": false}"#, r#"["a"]"#),
        (r#""a": {"subnet": "10.1.0.0/24", "internal": true}"#, r#"["a"]"#),
        (r#""a": {"subnet": "10.1.0.0/24"}"#, r#"{"a": []}"#),
        (r#""a": {"subnet": "fd00:1::/64"}"#, r#"["a"]"#),
        (r#""a": {}"#, r#"{"a": "10.1.0.5/24"}"#),
        (r#""a": {}"#, "[]"),
    ] {
        one(&lab(networks, place), "publish[0]: h has no address of IPv4 in a network that");
    }
    for (networks, place) in [
        (r#""a": {"subnet": "10.1.0.0/24", "gateway": false}"#, r#"["a", "z"]"#),
        (r#""a": {"subnet": "10.1.0.0/24", "internal": true}"#, r#"["a", "z"]"#),
        (r#""a": {"subnets": ["fd00:1::/64", "10.1.0.0/24"]}"#, r#"["a"]"#),
    ] {
        assert_eq!(told(&lab(networks, place)), Vec::<String>::new(), "{networks}");
    }
}

#[test]
fn ipv6_takes_its_mtu_wherever_an_address_is_from() {
    for rest in [
        r#""networks": {"a": {}}, "nodes": {"h": {"networks": {"a": "fd00::1/64"}}}"#,
        r#""networks": {"a": {}, "b": {"subnet": "fd00:2::/64"}}, "nodes": {"h": {"networks": {"a": "fd00::1/64"}}}"#,
        r#""nodes": {"a": {}, "b": {}}, "links": [[{"node": "a", "address": "fd00::1/64"}, "b"]]"#,
    ] {
        one(&format!(r#"{{"mtu": 1200, {rest}}}"#), "mtu: 1200: IPv6 takes 1280");
    }
    one(
        r#"{"networks": {"a": {"mtu": 1200}}, "nodes": {"h": {"networks": {"a": "fd00::1/64"}}}}"#,
        "networks.a.mtu: 1200: IPv6 takes 1280",
    );
}

#[test]
fn a_membership_is_said_once() {
    let lab = |second: &str| {
        format!(
            r#"{{"networks": {{"a": {{"mcast_snooping": true, "vlan_filtering": true,
            "mdb": [{{"group": "239.1.1.1", "node": "h"}}, {second}]}}}},
            "nodes": {{"h": {{"network": "a"}}, "i": {{"network": "a"}}}}}}"#
        )
    };
    one(&lab(r#"{"group": "239.1.1.1", "node": "h"}"#), "h is a member of 239.1.1.1 already");
    one(&lab(r#"{"group": "239.1.1.1", "node": "h", "vlan": 1}"#), "239.1.1.1 already");
    assert!(told(&lab(r#"{"group": "239.1.1.1", "node": "i"}"#)).is_empty());
    assert!(told(&lab(r#"{"group": "239.1.1.2", "node": "h"}"#)).is_empty());
}

#[test]
fn a_neighbour_is_somebody() {
    let lab = |ip: &str| {
        format!(
            r#"{{"networks": {{"a": {{"subnet": "10.1.0.0/24"}}}}, "nodes": {{"h": {{"network": "a"}}}},
            "neigh": {{"{ip}": "02:00:00:00:00:01"}}}}"#
        )
    };
    for (ip, said) in [
        ("255.255.255.255", "no address of one host"),
        ("240.0.0.1", "no address of one host"),
        ("0.1.2.3", "no address of one host"),
        ("127.9.9.9", "no address of one host"),
        ("::ffff:10.1.0.9", "no address of one host"),
        ("10.1.0.255", "no host's address in 10.1.0.0/24"),
        ("10.1.0.0", "no host's address in 10.1.0.0/24"),
        ("10.1.0.1", "is the gateway's in a"),
    ] {
        one(&lab(ip), said);
    }
    for ip in ["10.1.0.9", "10.1.0.2", "10.7.0.255", "fe80::1"] {
        assert!(told(&lab(ip)).is_empty(), "{ip}");
    }
}

#[test]
fn what_contradicts_itself_is_left_out_of_a_running_lab() {
    let text = r#"{"uplink": "sim",
        "networks": {"a": {"gateway": false, "vlan_default_pvid": 5, "vlan_protocol": "802.1ad",
            "vlans": {"10": {"subnet": "10.10.0.0/24"}}, "routed": ["gone"],
            "fdb": [{"mac": "02:00:00:00:00:01", "node": "gone"}, {"mac": "02:00:00:00:00:02", "node": "h"}],
            "mdb": [{"group": "239.1.1.1", "node": "h"}]}},
        "nodes": {"h": {"networks": {"a": "10.1.0.5/24"}, "routes": ["10.9.0.0/16 via gone", "10.8.0.0/16 via 10.1.0.9"]}},
        "links": [["h", "gone"]], "ports": {"gone": {"learning": false}, "h": {"vlans": [5]}},
        "publish": ["80:gone:80"], "neigh": {"224.0.0.1": "02:00:00:00:00:01"}}"#;
    let spec: Spec = serde_json::from_str(text).unwrap();
    let left = spec.without_contradictions();
    assert_eq!(left.check().err(), None);
    assert_eq!(left.networks["a"].fdb.len(), 1);
    assert_eq!(left.nodes["h"].routes.len(), 1);
    let rest = (left.links.len(), left.publish.len(), left.neigh.len(), left.ports.len());
    assert_eq!(rest, (0, 0, 0, 0));
}

#[test]
fn lists_longer_than_any_lab_s_are_told() {
    let subnets = |count: u32| {
        let all = (0..count).map(|at| format!("\"10.{}.{}.0/24\"", at >> 8, at & 255));
        all.collect::<Vec<_>>().join(",")
    };
    let (many, fits) = (subnets(257), subnets(256));
    let node = r#""nodes": {"h": {}}"#;
    one(
        &format!(r#"{{"networks": {{"a": {{"subnets": [{many}]}}}}, {node}}}"#),
        "networks.a.subnets: 257 of them: up to 256",
    );
    assert!(
        told(&format!(r#"{{"networks": {{"a": {{"subnets": [{fits}]}}}}, {node}}}"#)).is_empty()
    );
    let own: Vec<_> = (0..4097).map(|at| format!("\"fd00::{at:x}/64\"")).collect();
    let place = format!(r#"{{"a": [{}]}}"#, own.join(","));
    one(
        &format!(r#"{{"networks": {{"a": {{}}}}, "nodes": {{"h": {{"networks": {place}}}}}}}"#),
        "4097 addresses: up to 4096",
    );
    let routed = vec!["\"a\""; 257].join(",");
    one(
        &format!(r#"{{"networks": {{"a": {{"routed": [{routed}]}}}}, {node}}}"#),
        "257 of them: a lab has up to 256 networks",
    );
}

#[test]
fn no_route_leads_by_a_broadcast_address() {
    let lab = |via: &str| {
        format!(
            r#"{{"networks": {{"a": {{"subnet": "10.1.0.0/24"}}}}, "nodes": {{"h": {{"network": "a",
            "routes": ["10.9.0.0/16 via {via}"]}}}}}}"#
        )
    };
    for via in ["10.1.0.255", "10.1.0.0"] {
        one(&lab(via), "is no host's address");
    }
    assert!(told(&lab("10.1.0.254")).is_empty());
}

#[test]
fn a_network_may_be_left_without_nodes() {
    assert!(told(r#"{"networks": {"a": {"subnet": "10.1.0.0/24"}}}"#).is_empty());
    one("{}", "a lab has at least one node");
}
