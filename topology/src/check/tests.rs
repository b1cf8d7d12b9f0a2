#![allow(clippy::unwrap_used)]

use super::*;
use crate::shape;

/// Checks a lab that is written as JSON.
fn check(text: &str) -> Result<Checked, Vec<String>> {
    let spec: Spec = serde_json::from_str(text).unwrap();
    let told = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect();
    spec.check().map_err(told)
}

#[test]
fn each_contradiction_is_told_in_one_line() {
    let nets = r#""networks": {"a": {"subnet": "10.1.0.0/24", "gateway": true}, "b": {"subnet": "10.2.0.0/24", "gateway": false}}"#;
    for (text, said) in [
        (r#""nodes": {}"#, "nodes: a lab has at least one node"),
        (r#""nodes": {"gateway": {}}"#, "nodes.gateway: \"gateway\" is no name"),
        (r#""nodes": {"1.2": {}}"#, "reads as a number"),
        (r#""nodes": {"veth1": {}}"#, "those of interfaces"),
        (r#""nodes": {"a b": {}}"#, "is no name"),
        (r#""mtu": 67, "nodes": {"h": {}}"#, "mtu: 67: IPv4 takes 68 to 65535"),
        (
            r#""nodes": {"h": {}}, "neigh": {"10.1.0.9": "01:00:00:00:00:01"}"#,
            "neigh.10.1.0.9: 01:00:00:00:00:01 is no address of one host",
        ),
        (
            r#""nodes": {"h": {}}, "neigh": {"224.0.0.9": "02:00:00:00:00:01"}"#,
            "neigh.224.0.0.9: 224.0.0.9 is no address of one host",
        ),
        (r#""mtu": 65536, "nodes": {"h": {}}"#, "mtu: 65536"),
        (r#""nat_sessions": 1023, "nodes": {"h": {}}"#, "nat_sessions: 1023: from 1024 to 1048576"),
        (r#""nat_sessions": 1048577, "nodes": {"h": {}}"#, "nat_sessions: 1048577: from"),
        (r#""nodes": {"h": {"network": "c"}}"#, "nodes.h.networks.c: there is no network c: a, b"),
        (r#""nodes": {"h": {"networks": ["a", "a"]}}"#, "h is in a twice"),
        (r#""nodes": {"a": {}}"#, "networks.a: a is a node's name too"),
        (r#""nodes": {"h": {"network": "a,10.2.0.9"}}"#, "10.2.0.9 is not in 10.1.0.0/24"),
        (r#""nodes": {"h": {"network": "a,10.1.0.255"}}"#, "no host's address"),
        (r#""nodes": {"h": {"network": "a,10.1.0.5/16"}}"#, "leave /16 out"),
        (r#""nodes": {"h": {"network": "a,10.1.0.1"}}"#, "10.1.0.1 is the gateway of a's already"),
        (
            r#""nodes": {"h": {"network": "a,10.1.0.5"}, "i": {"network": "a,10.1.0.5"}}"#,
            "is h's already",
        ),
        (r#""nodes": {"h": {"network": "a,fd00::5"}}"#, "fd00::5/64, for one"),
        (
            r#""nodes": {"h": {"networks": {"a": {"mac": "01:00:00:00:00:01"}}}}"#,
            "no address of one host",
        ),
        (
            r#""nodes": {"h": {"networks": {"a": {"mac": "02:00:0a:01:00:01"}}}}"#,
            "is the gateway of a's",
        ),
        (
            r#""nodes": {"h": {"networks": {"a": {"interface": "sixteen-letters-"}}}}"#,
            "16 bytes long",
        ),
        (r#""nodes": {"h": {"networks": {"a": {"interface": "lo"}}}}"#, "no name of an interface"),
        (
            r#""nodes": {"h": {"networks": {"a": {"interface": "x"}, "b": {"interface": "x"}}}}"#,
            "interface x already",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": "10.9.0.0/24 via 10.2.0.1"}}"#,
            "on no subnet that h is in",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": "10.9.0.0/24 via x"}}"#,
            "neither an address nor a node",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": "10.9.0.0/24 via h"}}"#,
            "not its own next hop",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": "fd00::/64 via 10.1.0.1"}}"#,
            "another family",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": ["default via 10.1.0.7", "default via 10.1.0.8"]}}"#,
            "route to there already",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": ["default via 10.1.0.7", "0.0.0.0/0 via 10.1.0.8"]}}"#,
            "route to there already",
        ),
        (
            r#""nodes": {"h": {"network": "a", "routes": "10.1.0.0/24 via 10.1.0.7"}}"#,
            "h is in that subnet itself: leave the route out",
        ),
        (
            r#""name": "l", "nodes": {"web.l": {}}"#,
            "nodes.web.l: \"web.l\" is no name: those that end in .l are the lab's",
        ),
        (
            r#""nodes": {"h": {"network": "a"}, "r": {"network": "b"}, "s": {"network": "a", "routes": "default via r"}}"#,
            "on no subnet together",
        ),
        (r#""nodes": {"h": {"network": "a", "exec": " "}}"#, "no command"),
        (r#""nodes": {"h": {}}, "links": [["h", "x"]]"#, "links[0]: there is no node x: h"),
        (r#""nodes": {"h": {}}, "links": [["h", "h"]]"#, "both ends are h's"),
        (r#""nodes": {"h": {}}, "links": [["a", "h"]]"#, "a is a network and h is none"),
        (r#""nodes": {"h": {}}, "links": [["h", "a"]]"#, "a is a network and h is none"),
        (r#""nodes": {"h": {}}, "links": [["a", "a"]]"#, "both ends are in a"),
        (r#""nodes": {"h": {}}, "links": [["a:eth1", "b"]]"#, "has no interface: leave it out"),
        (
            r#""nodes": {"h": {}}, "links": [{"endpoints": [{"node": "a", "address": "10.1.0.7/24"}, "b"]}]"#,
            "has no addresses: leave it out",
        ),
        (
            r#""nodes": {"h": {}}, "links": [["a", "b"], ["b", "a"]]"#,
            "links[1]: b and a hang together without it",
        ),
        (r#""nodes": {"link1": {}}"#, "a link between networks is called so"),
        (r#""nodes": {"h": {}}, "ports": {"link1": {}}"#, "there is no node link1"),
        (
            r#""nodes": {"h": {}}, "links": [["a", "b"]], "ports": {"link1:c": {}}"#,
            "link1 has no port in c",
        ),
        (
            r#""nodes": {"h": {}, "i": {}}, "links": [{"endpoints": [{"node": "h", "address": "10.9.0.1"}, "i"]}]"#,
            "10.9.0.1/24, for one",
        ),
        (
            r#""nodes": {"h": {}, "i": {}}, "links": [{"endpoints": ["h", "i"], "mtu": 10}]"#,
            "links[0].mtu: 10",
        ),
        (r#""nodes": {"h": {}}, "ports": {"x": {}}"#, "ports.x: there is no node x"),
        (r#""nodes": {"h": {}}, "ports": {"h": {}}"#, "h has no port in a network"),
        (r#""nodes": {"h": {"network": "a"}}, "ports": {"h:b": {}}"#, "h has no port in b"),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"isolation": 0}}"#,
            "isolation group 0",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"isolated": false, "isolation": 2}}"#,
            "say one of them",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"mab": true}}"#,
            "ports.h.mab: MAC authentication bypass takes a locked port",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"locked": true, "mab": true}, "h:a": {"locked": false}}"#,
            "ports.h.mab: ",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"locked": true, "mab": true, "learning": false}}"#,
            "ports.h.mab: MAC authentication bypass learns who knocks",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h:a": {"group_fwd_mask": 2}}"#,
            "ports.h:a.group_fwd_mask: 0x0002",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"mcast_router": 3}}"#,
            "ports.h.mcast_router: 3",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "ports": {"h": {"vlans": [10]}}"#,
            "VLANs are not told apart in a",
        ),
        (
            r#""nodes": {"h": {"network": "b"}}, "publish": ["80:h:80"]"#,
            "publish[0]: h has no address of IPv4 in a network that",
        ),
        (r#""nodes": {"h": {"network": "a"}}, "publish": ["80:x:80"]"#, "there is no node x"),
        (r#""nodes": {"h": {"network": "a"}}, "publish": ["80:h:80", "80:h:81"]"#, "80/tcp twice"),
        (
            r#""nodes": {"h": {"network": "a"}}, "publish": ["80:h:80"], "uplink": "none""#,
            "would have none",
        ),
        (
            r#""nodes": {"h": {"network": "a"}}, "publish": ["9.9.9.9:80:h:80"]"#,
            "leave the address out",
        ),
    ] {
        let nets = if said.contains("at least one") { "\"networks\": {}" } else { nets };
        let problems = check(&format!("{{{nets}, {text}}}")).expect_err(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(said), "{text}: {problems:?}");
        assert_eq!(problems[0].lines().count(), 1, "{text}");
    }
}

#[test]
fn networks_that_cannot_be_are_told() {
    for (text, said) in [
        (
            r#"{"a": {"subnet": "10.1.0.0/16"}, "b": {"subnet": "10.1.2.0/24"}}"#,
            "overlaps 10.1.0.0/16 of network a",
        ),
        (
            r#"{"a": {"subnets": ["10.1.0.0/16", "10.1.2.0/24"]}}"#,
            "networks.a.subnets[1]: 10.1.2.0/24 overlaps",
        ),
        (r#"{"a": {"subnet": "127.0.0.0/8"}}"#, "loopback"),
        (r#"{"a": {"subnet": "0.0.0.0/0"}}"#, "no host can have them"),
        (r#"{"a": {"subnet": "224.1.0.0/16"}}"#, "groups"),
        (r#"{"a": {"subnet": "fe80::/64"}}"#, "link-local"),
        (r#"{"a": {"subnet": "8.8.0.0/16", "gateway": true}}"#, "simulated internet"),
        (
            r#"{"a": {"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}}"#,
            "networks.a.gateway: 10.2.0.1 is in no subnet",
        ),
        (r#"{"a": {"subnet": "10.1.0.0/24", "gateway": "10.1.0.0"}}"#, "no host's address"),
        (
            r#"{"a": {"subnet": "10.1.0.0/24", "gateway": ["10.1.0.1", "10.1.0.2"]}}"#,
            "one is enough",
        ),
        (r#"{"a": {"routed": ["x"]}}"#, "there is no network x"),
        (r#"{"a": {"subnet": "10.1.0.0/24", "gateway": true, "routed": ["a"]}}"#, "reaches itself"),
        (
            r#"{"a": {"subnet": "10.1.0.0/24", "gateway": true, "routed": ["b"]}, "b": {}}"#,
            "no address in b",
        ),
        (r#"{"a": {"ageing_time": 99999999}}"#, "at most 21474836 s"),
        (r#"{"a": {"group_fwd_mask": 1}}"#, "bits 0 to 2"),
        (r#"{"a": {"vlan_filtering": true, "vlan_default_pvid": 4095}}"#, "4095 is no VLAN"),
        (r#"{"a": {"vlan_default_pvid": 5}}"#, "vlan_filtering: true"),
        (r#"{"a": {"vlans": {"10": {}}}}"#, "vlan_filtering: true"),
        (
            r#"{"a": {"vlan_filtering": true, "vlans": {"0": {}}}}"#,
            "networks.a.vlans[0]: 0 is no VLAN",
        ),
        (r#"{"a": {"vlan_filtering": true, "vlans": {"4095": {}}}}"#, "4095 is no VLAN"),
        (
            r#"{"a": {"subnet": "10.1.0.0/24", "gateway": true, "vlan_filtering": true, "vlans": {"1": {}}}}"#,
            "VLAN 1's",
        ),
        (r#"{"a": {"mcast_igmp_version": 4}}"#, "2 to 3"),
        (r#"{"a": {"mcast_membership_interval": 0}}"#, "at least 0.1 s"),
        (r#"{"a": {"mcast_hash_max": 0}}"#, "1 to 65536 groups"),
        (
            r#"{"a": {"fdb": [{"mac": "02:00:00:00:00:01", "kind": "blackhole"}, {"mac": "02:00:00:00:00:01", "kind": "blackhole"}]}}"#,
            "is there already",
        ),
        (r#"{"a": {"fdb": [{"mac": "02:00:00:00:00:01"}]}}"#, "say the node it is behind"),
        (r#"{"a": {"fdb": [{"mac": "02:00:00:00:00:01", "node": "x"}]}}"#, "there is no node x"),
        (
            r#"{"a": {"fdb": [{"mac": "02:00:00:00:00:01", "node": "vxlan7", "dst": "10.9.0.2"}]}}"#,
            "vxlan7 is no tunnel",
        ),
        (
            r#"{"a": {"mcast_snooping": true, "mdb": [{"group": "239.1.1.1", "node": "h"}]}}"#,
            "h has no port in a",
        ),
        (r#"{"a": {"subnet": "fd00:1::/64", "mtu": 1000}}"#, "1280 at least"),
        (r#"{"gateway": {}}"#, "networks.gateway: \"gateway\" is no name"),
        (r#"{"a b": {}}"#, "is no name"),
    ] {
        let problems =
            check(&format!(r#"{{"networks": {text}, "nodes": {{"h": {{}}}}}}"#)).expect_err(text);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].contains(said), "{text}: {problems:?}");
    }
    let lan = check(r#"{"networks": {"lan": {}}, "nodes": {"h": {}}}"#);
    assert!(lan.is_ok(), "lan is the shapes' network: {lan:?}");
}

#[test]
fn vlans_of_ports_are_looked_at() {
    for (vlans, said) in [
        ("[0]", "ports.h.vlans[0]: 0 is no VLAN"),
        ("[4095]", "4095 is no VLAN"),
        (r#"["20-10"]"#, "smaller number comes first"),
        (r#"["10-20 pvid"]"#, "only one VLAN"),
        (r#"["10 pvid", "20 pvid"]"#, "VLANs 10 and 20 are both to be the port's PVID"),
    ] {
        let text = format!(
            r#"{{"networks": {{"a": {{"vlan_filtering": true}}}}, "nodes": {{"h": {{"network": "a"}}}},
                "ports": {{"h": {{"vlans": {vlans}}}}}}}"#
        );
        let problems = check(&text).expect_err(vlans);
        assert!(problems.len() == 1 && problems[0].contains(said), "{vlans}: {problems:?}");
    }
}

#[test]
fn limits_are_told() {
    let mut spec = shape::switch(2).unwrap();
    for number in 0..256 {
        spec.networks.insert(format!("n{number}x"), crate::Network::default());
    }
    let told = |spec: &Spec| spec.check().unwrap_err()[0].to_string();
    assert!(told(&spec).contains("257 are too many: a lab has up to 256 networks"));
    let mut spec = shape::switch(4095).unwrap();
    assert!(spec.check().is_ok());
    spec.nodes.insert("one-more".into(), crate::Node::default());
    assert!(told(&spec).contains("4096 nodes"));
    spec.nodes.shift_remove("one-more");
    spec.networks.insert("b".into(), crate::Network::default());
    spec.nodes["net1"].networks.push(crate::Attachment::to("b"));
    assert!(told(&spec).contains("they take 4096 ports"));
    let mut many = shape::switch(2).unwrap();
    for number in 0..100 {
        many.nodes.insert(format!("h{number}"), crate::Node::on(vec![crate::Attachment::to("x")]));
    }
    let problems = many.check().unwrap_err();
    assert_eq!((problems.len(), problems[50].to_string().as_str()), (51, "and 50 more"));
}

#[test]
fn networks_are_joined_by_links() {
    let with = |rest: &str| {
        check(&format!(
            r#"{{"networks": {{"a": {{"subnet": "10.1.0.0/24"}}, "b": {{}}, "c": {{}}}},
                "nodes": {{"h": {{"network": "a"}}, "i": {{"network": "b,10.1.0.9/24"}}}}, {rest}}}"#
        ))
    };
    let checked =
        with(r#""links": [["a", "b"], ["b", "c"]], "ports": {"link1:b": {"isolated": true}}"#);
    let checked = checked.unwrap();
    assert_eq!(checked.ports(), 6);
    assert_eq!(checked.spec().port("link1", "b").isolated, Some(true));
    assert_eq!(checked.spec().port("link1", "a").isolated, None);
    assert_eq!(checked.node("h").unwrap().interfaces.len(), 1);
    // A ring is let in where a link of it may be shut.
    let ring = r#""links": [["a", "b"], ["b", "c"], ["c", "a"]]"#;
    assert!(with(ring).unwrap_err()[0].contains("`link3: {loop_protect: true}`"));
    for shut in ["link1", "link2:b", "link3"] {
        assert!(
            with(&format!(r#"{ring}, "ports": {{"{shut}": {{"loop_protect": true}}}}"#)).is_ok()
        );
    }
    assert_eq!(checked.spelled_out().links, checked.spec().links);
}

#[test]
fn a_lab_that_grows_may_be_empty() {
    use crate::uplink::Uplink;
    for uplink in [Uplink::None, Uplink::Host(None)] {
        let spec = Spec { uplink: Some(uplink.clone()), ..Spec::default() };
        assert!(spec.check().is_err());
        let checked = spec.check_growing().unwrap();
        assert_eq!((checked.nodes().len(), checked.uplink()), (0, &uplink));
    }
}

#[test]
fn what_nobody_chose_is_given() {
    let checked = check(
        r#"{"networks": {"a": {"subnets": ["10.1.0.0/30", "fd00::/64"], "gateway": true}, "b": {}},
            "nodes": {"h": {"networks": ["a", "b"]}, "i": {"networks": {"b": "10.9.0.1/24"}}},
            "links": [["h", "i:eth0"]]}"#,
    )
    .unwrap();
    let h = checked.node("h").unwrap();
    let shown: Vec<_> = h
        .interfaces
        .iter()
        .map(|own| {
            let own_addresses: Vec<_> =
                own.addresses.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect();
            format!("{} {} {}", own.name, own_addresses.join(","), own.mac)
        })
        .collect();
    let wanted = [
        "eth0 10.1.0.2/30,fd00::2/64 02:00:0a:01:00:02",
        "eth1  02:01:00:01:00:01",
        "eth2  02:40:00:00:00:00",
    ];
    assert_eq!(shown, wanted);
    let via: Vec<_> = h.routes.iter().map(|route| route.via.to_string()).collect();
    // The gateway routes IPv4.
    assert_eq!(via, ["10.1.0.1"]);
    let i = checked.node("i").unwrap();
    assert_eq!(i.interfaces[0].name, "eth1", "eth0 is the link's");
    let full = check(
        r#"{"networks": {"a": {"subnet": "10.1.0.0/30"}},
            "nodes": {"h[1-3]": {"network": "a"}}}"#,
    );
    assert!(full.unwrap_err()[0].contains("no address is left in 10.1.0.0/30"));
}

#[test]
fn a_node_that_leaves_changes_nobody_elses_address() {
    let text =
        r#"{"networks": {"a": {"subnet": "10.1.0.0/24"}}, "nodes": {"h[1-3]": {"network": "a"}}}"#;
    let checked = check(text).unwrap();
    let mut spec = checked.spelled_out();
    spec.nodes.shift_remove("h1");
    spec.nodes.insert("h4".into(), crate::Node::on(vec![crate::Attachment::to("a")]));
    let after = spec.check().unwrap();
    for name in ["h2", "h3"] {
        assert_eq!(after.node(name).unwrap().interfaces, checked.node(name).unwrap().interfaces);
    }
    let h4 = &after.node("h4").unwrap().interfaces[0];
    assert_eq!(h4.addresses[0].0.to_string(), "10.1.0.2", "which h1 has left");
}
