//! The gateway's places in the VLANs of a network: what passes by them, and a network that has addresses
//! in its VLANs alone.

use serde_json::Value;

use crate::door::json;
use crate::lab;
use crate::support::{Sandbox, rooted};

/// What is counted of the first VLAN at a port, or at the gateway.
fn counted(shown: &Value, name: &str) -> [u64; 4] {
    let rows = shown.as_array().unwrap().iter();
    let row = rows.clone().find(|row| row["ifname"] == name).unwrap_or_else(|| panic!("{shown}"));
    ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"]
        .map(|key| row["vlans"][0][key].as_u64().unwrap_or_else(|| panic!("{key}: {shown}")))
}

/// With one node, what comes in by its port is the gateway's, and what leaves there the gateway has said.
fn counts(sandbox: &Sandbox, fast: &str) {
    let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", fast]);
    let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
    does("network set lan --vlan-filtering on");
    does("ping net1 8.8.8.8 -c 200 -i 0.002 -q");
    let mut shown = json(sandbox, &["show", "vlan", "-j"]);
    for _ in 0..50 {
        let [from, said, to, given] = [counted(&shown, "veth1"), counted(&shown, "gateway")]
            .map(|[a, b, c, d]| [[a, b], [c, d]])
            .concat()
            .try_into()
            .map(|[from, to, said, given]: [[u64; 2]; 4]| [from, said, to, given])
            .unwrap();
        assert!(from[0] >= 200 && to[0] >= 200, "{shown}");
        if (from, to) == (given, said) {
            return;
        }
        // A frame may have come between the two looks.
        shown = json(sandbox, &["show", "vlan", "-j"]);
    }
    panic!("what the port has counted is not what the gateway has: {shown}");
}

#[test]
fn the_gateways_vlans_count_what_its_ports_do() {
    rooted(|sandbox| counts(sandbox, "off"));
}

#[test]
fn the_gateways_vlans_count_what_the_kernel_repeats() {
    rooted(|sandbox| counts(sandbox, "auto"));
}

/// Two VLANs with addresses of their own, and a network that has none beside.
const VLANS: &str = "
networks:
  lan:
    vlan_filtering: true
    vlans: {10: {subnet: 10.10.0.0/24}, 20: {subnet: 10.20.0.0/24}, 30: {subnet: 10.30.0.0/24, gateway: false}}
nodes: {red: {network: lan}, blue: {network: lan}, grey: {network: lan}}
ports:
  red: {vlans: [10 pvid untagged], neigh_suppress: true}
  blue: {vlans: [20 pvid untagged]}
  grey: {vlans: [30 pvid untagged]}
";

#[test]
fn a_gateway_in_vlans_alone_is_found_there() {
    rooted(|sandbox| {
        let file = sandbox.dir.join("vlans.yaml");
        std::fs::write(&file, VLANS).unwrap();
        let run = lab(sandbox, &["run", file.to_str().unwrap()]);
        let said = run.out();
        assert!(said.contains("switch and gateway 10.10.0.1/24"), "{said}");
        for (node, gateway) in [("red", "10.10.0.1"), ("blue", "10.20.0.1")] {
            let explained = sandbox.uswitch(&["explain", node, "gateway"]).ok().out;
            assert!(explained.contains(&format!("> {gateway} icmp")), "{explained}");
            assert!(explained.contains("it would arrive"), "{explained}");
        }
        let none = sandbox.uswitch(&["explain", "grey", "gateway"]);
        assert!(
            none.complaint(2).contains("no address where gateway is asked for"),
            "{}",
            none.err
        );
        let all = sandbox.uswitch(&["ping", "--all", "--json"]);
        let cells = all.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let cells = cells.filter(|cell| cell["to"] == "gateway");
        let told =
            |cell: Value| (cell["from"].clone(), cell["address"].clone(), cell["ok"].clone());
        let wanted = [("red", "10.10.0.1"), ("blue", "10.20.0.1")];
        let wanted = wanted.map(|(from, to)| (from.into(), to.into(), true.into()));
        assert_eq!(cells.map(told).collect::<Vec<_>>(), wanted, "{}", all.out);
        let shown = json(sandbox, &["show", "topology", "-j"]);
        assert_eq!(shown["gateway"]["address"], "10.10.0.1", "{shown}");
    });
}
