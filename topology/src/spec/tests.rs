#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use super::*;
use crate::vlan::AddVlan;

const TEXT: &str = r#"{
    "networks": {
        "lan": {"cidr": "10.1.0.0/24", "gateway": true, "routed": ["dc"]},
        "dc": {"subnets": ["10.2.0.0/24", "fd00:2::/64"], "gateway": "10.2.0.254", "mtu": 9000},
        "trunk": {"vlan_filtering": true, "internal": true,
                  "vlans": {"10": {"subnet": "10.10.0.0/24", "gateway": true}}}
    },
    "nodes": {
        "h[1-3]": {"network": "lan"},
        "srv": {"networks": {"dc": "10.2.0.5", "lan": {"interface": "out", "mac": "02:00:00:00:00:09"}},
                "exec": "./server &", "routes": ["10.9.0.0/16 via r1"]},
        "r1": {"kind": "router", "legs": ["lan", "dc,10.2.0.1"]},
        "t": {"networks": ["trunk"]},
        "bare": null
    },
    "links": [["h1", "srv:eth7"], {"endpoints": ["h2:eth1", {"node": "h3", "address": "10.5.0.1/30"}], "mtu": 1400}],
    "ports": {"h[1-2]": {"isolated": true}, "h2:lan": {"isolated": false, "learning": false},
              "t": {"vlans": ["10 pvid untagged", 20]}},
    "publish": ["8080:srv:80", "53:srv:5353/udp"]
}"#;

fn spec() -> Spec {
    serde_json::from_str(TEXT).unwrap()
}

#[test]
fn each_form_is_read() {
    let spec = spec();
    assert_eq!(spec.nodes.keys().collect::<Vec<_>>(), ["h1", "h2", "h3", "srv", "r1", "t", "bare"]);
    assert_eq!(
        spec.members("lan").map(|(name, _)| name).collect::<Vec<_>>(),
        ["h1", "h2", "h3", "srv", "r1"]
    );
    let srv = spec.node("srv").unwrap();
    assert_eq!(srv.attachment("lan").unwrap().interface.as_deref(), Some("out"));
    assert_eq!(srv.exec, ["./server &"]);
    assert_eq!(srv.routes[0].to_string(), "10.9.0.0/16 via r1");
    assert_eq!(spec.gateways("dc")[0].to_string(), "10.2.0.254/24");
    assert_eq!(spec.gateways("lan")[0].to_string(), "10.1.0.1/24");
    assert!(spec.gateways("trunk").is_empty());
    assert_eq!(spec.network("trunk").unwrap().gateways_of(Some(10))[0].to_string(), "10.10.0.1/24");
    assert_eq!((spec.mtu_of("dc"), spec.mtu_of("lan")), (9000, 1500));
    assert!(spec.routes_between("dc", "lan") && !spec.routes_between("dc", "trunk"));
    assert_eq!(spec.uplink(), Uplink::Sim);
    assert_eq!(spec.publish[1].to_string(), "53:srv:5353/udp");
    assert_eq!(spec.links[1].mtu, Some(1400));
}

#[test]
fn what_is_said_of_one_port_goes_before_what_is_said_of_the_node() {
    let spec = spec();
    assert_eq!(spec.port("h1", "lan").isolated, Some(true));
    let h2 = spec.port("h2", "lan");
    assert_eq!((h2.isolated, h2.learning), (Some(false), Some(false)));
    assert_eq!(spec.port("t", "trunk").vlans.unwrap()[0], AddVlan::access(10));
    assert_eq!(spec.pvid("t", "trunk"), Some(10));
    assert_eq!(spec.pvid("h1", "lan"), None, "VLANs are not told apart there");
}

#[test]
fn what_is_written_is_what_was_read() {
    let written = serde_json::to_string(&spec()).unwrap();
    assert_eq!(serde_json::from_str::<Spec>(&written).unwrap(), spec());
}

#[test]
fn the_next_address_is_one_that_nobody_chose() {
    let spec = spec();
    let [v4, v6] = [0, 1].map(|at| spec.network("dc").unwrap().subnets[at]);
    let nobody = HashSet::new();
    assert_eq!(spec.next_free(v4, &nobody).unwrap().to_string(), "10.2.0.2", "r1 has .1");
    assert_eq!(spec.next_free(v6, &nobody).unwrap().to_string(), "fd00:2::1");
    // Other hosts have the next twenty.
    let others = (2..22).map(|last| [10, 2, 0, last].into()).collect();
    assert_eq!(spec.next_free(v4, &others).unwrap().to_string(), "10.2.0.22");
}
