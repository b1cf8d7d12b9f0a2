#![allow(clippy::unwrap_used)]

use ::topology::shape;

use super::*;
use crate::Topology;

fn all(config: &LabConfig) -> Vec<String> {
    super::all(config, &config.check().unwrap())
}

fn switched() -> LabConfig {
    LabConfig::of(Topology::Switch, 2).unwrap()
}

#[test]
fn a_lab_is_a_script_from_its_first_namespace_to_its_nat() {
    let lines = all(&switched());
    let place = |what: &str| {
        let found = lines.iter().position(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("no {what} in\n{}", lines.join("\n")))
    };
    let order = [
        "netns add net1",
        "type veth peer name vethpeer1 netns net1",
        "addr add 10.100.0.10/16",
        "route add default via 10.100.0.1 dev vethpeer1",
        "link set veth2 master br00",
        "switch link set veth1 up",
        "switch link set vethinet up",
        "addr add 10.100.0.1/16",
        "oifname vethinet masquerade",
    ];
    let places = order.map(place);
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn what_a_lab_lacks_has_no_lines() {
    let pair = LabConfig::of(Topology::Pair, 2).unwrap();
    assert!(!all(&pair).iter().any(|line| line.contains("br00") || line.contains("nft")));
    let mut alone = switched();
    alone.spec.uplink = Some(Uplink::None);
    assert!(!all(&alone).iter().any(|line| line.contains("nft") || line.contains("inet")));
}

#[test]
fn a_node_comes_and_goes() {
    let mut spec = switched().spec;
    spec.nodes.insert("web".into(), ::topology::Node::on(shape::plugged(3).networks));
    let node = Added { prefix: "two-", name: "web", number: 3, spec: &spec };
    let lines = add(&node).join("\n");
    for part in [
        "ip netns add two-web",
        "ip -n two-switch link add veth3 mtu 1500 type veth peer name vethpeer3 netns two-web index 2",
        "ip -n two-web addr add 10.100.0.30/16",
        "ip -n two-switch link set veth3 master br00",
    ] {
        assert!(lines.contains(part), "no {part} in\n{lines}");
    }
    assert!(lines.ends_with("ip -n two-switch link set veth3 up"), "{lines}");
    let gone = ["ip -n two-switch link del veth3", "ip netns del two-web"];
    assert_eq!(remove("two-", "two-web", &["veth3"]), gone);
}
