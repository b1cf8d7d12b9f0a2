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

/// All that a file can say stands among the lines, each thing behind what it needs.
#[test]
fn a_file_is_told_whole() {
    let file = "
networks:
  lan:
    subnet: 10.1.0.0/24
    ageing_time: 30
    vlan_filtering: true
    vlan_default_pvid: 5
    mcast_snooping: true
    routed: [dmz]
    vlans:
      20: { subnet: 10.1.20.0/24 }
    fdb:
      - { mac: 02:00:00:00:00:01, node: a, kind: sticky }
      - { mac: 02:00:00:00:00:02, kind: blackhole }
      - { mac: 02:00:00:00:00:03, node: vxlan7, dst: 203.0.113.9 }
    mdb:
      - { group: 239.1.2.3, node: b }
  dmz: { subnet: 10.2.0.0/24, internal: true }
nodes:
  a: { networks: [lan] }
  b: { networks: [lan, dmz] }
ports:
  a: { vlans: [\"20 pvid untagged\"], learning: off }
  b:dmz: { isolated: true, learn_limit: 9 }
neigh: { 10.1.0.99: 02:00:00:00:00:09 }
nat: full-cone
storm: { broadcast: 100 }
tunnels:
  - { vni: 7, remotes: [203.0.113.9], local: 203.0.113.1 }
";
    let format = ::topology::file::Format::Yaml;
    let spec = ::topology::file::parse(file, format).unwrap();
    let config = LabConfig { spec, ..switched() };
    let lines = all(&config);
    let place = |what: &str| {
        let found = lines.iter().position(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("no {what} in\n{}", lines.join("\n")))
    };
    for order in [
        &[
            "link add br00 address",
            "link set br00 type bridge ageing_time 3000 mcast_snooping 1 vlan_default_pvid 5 vlan_filtering 1",
            "link set br00 mtu 1500 up",
            "link set veth1 master br00",
            "bridge -n switch link set dev veth1 learning off",
            "vlan del vid 5 dev veth1",
            "vlan add vid 20 pvid untagged dev veth1",
            "fdb add 02:00:00:00:00:01 dev veth1 master static sticky",
            "fdb add 02:00:00:00:00:02 dev br00 self blackhole",
            "mdb add dev br00 port veth2 grp 239.1.2.3 permanent",
            "neigh replace 10.1.0.99 lladdr 02:00:00:00:00:09 dev br00",
        ][..],
        &["link set dev veth2.2 isolated on", "# learn_limit 9: the kernel's bridge"],
        &[
            "# storm broadcast 100: the kernel",
            "addr add 10.1.0.1/24 brd + dev br00",
            "vlan add vid 20 dev br00 self",
            "link add link br00 name br00.20 type vlan id 20",
            "addr add 10.1.20.1/24 brd + dev br00.20",
            "addr add 10.2.0.1/24 brd + dev br01",
            "# nat full-cone",
            "policy drop",
            "iifname br00 oifname br01 accept",
            "iifname br00.20 oifname br01 accept",
            "iifname vethinet ct status dnat accept",
            "ip link add vxlan7 type vxlan id 7 local 203.0.113.1 dstport 4789 nolearning",
            "fdb append 00:00:00:00:00:00 dev vxlan7 dst 203.0.113.9 self",
            "fdb replace 02:00:00:00:00:03 dev vxlan7 dst 203.0.113.9 self",
        ],
    ] {
        let places: Vec<_> = order.iter().map(|what| place(what)).collect();
        assert!(places.is_sorted(), "{places:?}\n{}", lines.join("\n"));
    }
    let passes = |from: &str, to: &str| {
        let words = format!("iifname {from} oifname {to} accept");
        lines.iter().any(|line| line.ends_with(&words))
    };
    assert!(passes("br00", "vethinet") && passes("br00.20", "vethinet"), "{}", lines.join("\n"));
    assert!(!passes("br01", "vethinet") && !passes("br00", "br00.20"), "{}", lines.join("\n"));
}
