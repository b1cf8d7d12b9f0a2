#![allow(clippy::unwrap_used)]

use super::*;

mod attack;
mod bad;
mod written;

/// The lab of labs.md's kind, in both languages.
const YAML: &str = r#"
name: wan
networks:
  lan: {cidr: 10.1.0.0/24, gateway: true}
  dc: {subnets: [10.2.0.0/24, "fd00:2::/64"], gateway: 10.2.0.254, routed: [lan]}
  trunk:
    vlan_filtering: on
    vlans: {10: {subnet: 10.10.0.0/24, gateway: true}}
nodes:
  h[1-3]: {network: lan}
  srv: {networks: {dc: 10.2.0.5}, exec: ["./server &"]}
  r1: {kind: router, legs: [lan, dc]}
  t: {networks: {trunk: {address: 10.10.0.7}}}
  bare:
links:
  - [h1, bare]
  - {endpoints: ["h1:wire0", {node: srv, interface: wire0, addresses: 10.9.0.1/30}], mtu: 1400}
ports:
  h[1-2]: {isolated: true, storm: {broadcast: 100}}
  t: {vlans: [10 pvid untagged, 20-30, {vlan: 40}]}
publish: ["8080:srv:80", {protocol: udp, port: 53, node: srv, node_port: 5353}]
nat: full-cone
fast_path: on
"#;

const TOML: &str = r#"
name = "wan"
publish = ["8080:srv:80", {protocol = "udp", port = 53, node = "srv", node_port = 5353}]
nat = "full-cone"
fast_path = "on"
links = [
    ["h1", "bare"],
    {endpoints = ["h1:wire0", {node = "srv", interface = "wire0", addresses = "10.9.0.1/30"}], mtu = 1400},
]

[networks]
lan = {cidr = "10.1.0.0/24", gateway = true}
dc = {subnets = ["10.2.0.0/24", "fd00:2::/64"], gateway = "10.2.0.254", routed = ["lan"]}

[networks.trunk]
vlan_filtering = true
vlans = {10 = {subnet = "10.10.0.0/24", gateway = true}}

[nodes]
"h[1-3]" = {network = "lan"}
srv = {networks = {dc = "10.2.0.5"}, exec = ["./server &"]}
r1 = {kind = "router", legs = ["lan", "dc"]}
t = {networks = {trunk = {address = "10.10.0.7"}}}
bare = {}

[ports]
"h[1-2]" = {isolated = true, storm = {broadcast = 100}}
t = {vlans = ["10 pvid untagged", "20-30", {vlan = 40}]}
"#;

#[test]
fn both_languages_say_the_same() {
    let yaml = parse(YAML, Format::Yaml).unwrap();
    assert_eq!(parse(TOML, Format::Toml).unwrap(), yaml);
    assert_eq!(yaml.fast_path, crate::FastPath::On);
    let checked = yaml.check().unwrap();
    let h1 = checked.node("h1").unwrap();
    let of = |at: usize| (h1.interfaces[at].name.as_str(), h1.interfaces[at].addresses.len());
    assert_eq!([of(0), of(1), of(2)], [("eth0", 1), ("eth1", 0), ("wire0", 0)]);
    assert_eq!(h1.interfaces[0].addresses[0].0.to_string(), "10.1.0.2");
    let r1 = checked.node("r1").unwrap();
    let own: Vec<_> = r1.interfaces.iter().flat_map(|own| &own.addresses).collect();
    let own: Vec<_> = own.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect();
    assert_eq!(own, ["10.1.0.5/24", "10.2.0.1/24", "fd00:2::1/64"]);
    assert_eq!(checked.node("srv").unwrap().routes[0].via.to_string(), "10.2.0.254");
    assert_eq!(checked.node("t").unwrap().routes[0].via.to_string(), "10.10.0.1");
}

#[test]
fn formats_are_told_by_the_end_of_a_name() {
    for (name, format) in [
        ("a.yaml", Some(Format::Yaml)),
        ("b/a.YML", Some(Format::Yaml)),
        ("a.json", Some(Format::Yaml)),
        ("a.toml", Some(Format::Toml)),
        ("a", None),
        ("a.txt", None),
    ] {
        assert_eq!(Format::of(name), format, "{name}");
    }
}
