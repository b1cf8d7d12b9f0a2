//! Files as somebody else writes them: wrong in ways that a person is, and odd but right.

use super::*;

/// Two networks and a node in each, before whatever is tried.
const TWO: &str = "networks: {lan: {subnet: 10.1.0.0/24}, dc: {subnet: 10.2.0.0/24}}\n\
                   nodes: {a: {network: lan}, b: {network: dc}}\n";

#[test]
fn what_a_person_gets_wrong_is_told_in_a_line() {
    let mut wrong = Vec::new();
    let lan = "networks: {lan: {subnet: 10.1.0.0/24}}\n";
    for (before, text, said) in [
        ("", "nodes:\n\ta: {}\n", "2:"),
        ("", "nodes: {'': {}}\n", "1:9: nodes.: \"\" is no name"),
        ("", "nodes: {A: {}, a: {}}\n", "differ in case alone"),
        ("", "nodes: {null: {}}\n", "1:9: a value is wanted here"),
        ("", "nodes: {a: {kind: switch}}\n", "1:19: unknown variant `switch`"),
        ("", "nodes: {a: {routes: nonsense}}\n", "1:21: "),
        ("", "nodes: {a: {exec: ['']}}\n", "an empty line is no command"),
        ("", "nodes: {a: {}}\nmtu: 1e3\n", "2:6: "),
        ("", "nodes: {a: {}}\nname: a b\n", "2:7: "),
        ("", "nodes: {a: {}}\njoin: ftp://x\n", "2:7: "),
        ("", "nodes: {a: {}}\nuplink_ports: 10\n", "2:15: "),
        ("", "nodes: {a: {}}\nstorm: {broadcast: -1}\n", "2:20: "),
        ("", "nodes: {a: {}}\nstorm: {arp: 1}\n", "2:9: unknown field `arp`"),
        ("", "nodes: {a: {}}\nneigh: {nowhere: 02:00:00:00:00:01}\n", "2:9: "),
        ("", "nodes: {a: {}}\nneigh: {10.1.0.9: zz}\n", "2:19: not an Ethernet address"),
        ("", "nodes: {a: {}}\nlinks: [a, b]\n", "2:9: "),
        ("", "nodes: {a: {}}\nlinks: {a: b}\n", "2:8: "),
        ("", "nodes: {a: {network: lan}}\nnetworks: {lan: {subnet: 10.1.0.0/33}}\n", "2:26: "),
        ("", "nodes: {a: {network: lan}}\nnetworks: {lan: {subnet: 10.1.0.0}}\n", "2:26: "),
        ("", "nodes: {a: {network: lan}}\nnetworks: {lan: {gateway: here}}\n", "2:27: "),
        (
            "",
            "nodes: {a: {network: lan}}\nnetworks: {lan: {vlans: {ten: {}}}}\n",
            "2:25: \"ten\" is no VLAN",
        ),
        (
            "",
            "nodes: {a: {network: lan}}\nnetworks: {lan: {mtu: 0}}\n",
            "2:18: networks.lan.mtu: 0",
        ),
        (lan, "nodes: {a: {networks: [lan, lan]}}\n", "a is in lan twice"),
        (lan, "nodes: {a: {networks: {lan: 10.2.0.5}}}\n", "10.2.0.5 is not in 10.1.0.0/24"),
        (lan, "nodes: {a: lan}\n", "2:12: a map is wanted here"),
        (lan, "nodes: {'h[1-300]': {network: lan}}\n", "no address is left in 10.1.0.0/24"),
        (TWO, "publish: ['80:a']\n", "3:11: "),
        (TWO, "publish: ['80:a:0']\n", "3:11: "),
        (TWO, "links: [[lan, dc, a]]\n", "3:9: a link has two ends"),
        (TWO, "links: [[lan, nowhere]]\n", "3:9: links[0]: "),
        (TWO, "links: [{endpoints: [lan, dc], mtu: 20}]\n", "links[0].mtu: 20: IPv4 takes 68"),
        (TWO, "links: [{endpoints: [lan, dc], mac: x}]\n", "unknown field `mac`"),
        (
            TWO,
            "links: [[lan, dc]]\nports: {link2: {isolated: true}}\n",
            "4:9: ports.link2: there is",
        ),
        (TWO, "links: [[lan, dc]]\nports: {link1: {vlans: [10]}}\n", "not told apart in lan, dc"),
        (TWO, "links: [[lan, dc]]\nports: {link1:a: {}}\n", "link1 has no port in a"),
        (TWO, "tunnels: [{vni: 0, remotes: [10.0.0.1]}]\n", "VNI 0"),
        (TWO, "tunnels: [{vni: 7, remotes: []}]\n", "name another host"),
    ] {
        let whole = format!("{before}{text}");
        let lines: Vec<_> = match load(&whole, Format::Yaml) {
            Ok(_) => vec!["nothing is wrong".into()],
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        };
        let one = lines.iter().all(|line| line.lines().count() == 1 && line.len() < 300);
        if !lines[0].contains(said) || !one {
            wrong.push(format!("{text:?}:\n  {lines:?}\n  wanted {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The design's own example, as far as labs have it.
const DESIGN: &str = r#"name: wan
switches: {lan: {cidr: 10.1.0.0/24, gateway: true}, dc: {cidr: 10.2.0.0/24, gateway: true}}
nodes:
  h[1-3]: {switch: lan}      # a range; in {…} it would need quotes
  srv: {switch: dc, exec: ["./server"]}
  r1: {kind: router, legs: [lan, dc]}
links:
  - [lan, dc]                                     # switch to switch
  - {endpoints: ["h1:eth1", "srv:eth1"], mtu: 1500}   # a wire
"#;

#[test]
fn what_is_odd_and_right_is_taken() {
    let mut wrong = Vec::new();
    let crlf = TWO.replace('\n', "\r\n");
    let marked = format!("\u{feff}{TWO}");
    for (text, nodes, links) in [
        (DESIGN, 5, 2),
        (crlf.as_str(), 2, 0),
        (marked.as_str(), 2, 0),
        ("---\n# a comment: ünïcode\nnodes: {a: {}}\n...\n", 1, 0),
        ("{\"nodes\": {\"a\": {}, \"b\": {}}, \"links\": [[\"a\", \"b\"]]}", 2, 1),
        ("{\n\t\"nodes\": {\n\t\t\"a\": {}\n\t}\n}\n", 1, 0),
        ("nodes: {a: , b: }\n", 2, 0),
        ("nodes:\n  a:\n  b: ~\n", 2, 0),
        ("nodes: {no: {}, yes: {}, y: {}, 'null': {}}\n", 4, 0),
        ("nodes: {'h[01-03]': {}, 'r[1,3]-[1-2]': {}}\n", 7, 0),
        ("x-y: 1\n", 0, 0),
        (
            "networks: {lan: {ageing-time: 5, vlan-filtering: on, group-fwd-mask: 0x4000}}\nnodes: {a: {network: lan}}\n",
            1,
            0,
        ),
        (
            "ports: {a: {isolated: on, learning: off}}\nnodes: {a: {network: lan}}\nnetworks: {lan: }\n",
            1,
            0,
        ),
        ("networks: {lan: {subnet: ['fd00:1::/64']}}\nnodes: {a: {network: lan}}\n", 1, 0),
        (
            "networks: {lan: {}, dc: {}}\nnodes: {a: {}}\nlinks: [{endpoints: [{node: lan}, dc]}]\n",
            1,
            1,
        ),
        ("nodes:\n  a:\n    exec: |\n      one\n      two\n", 1, 0),
        ("networks: {}\nlinks: []\nports: {}\nnodes: {a: {}}\n", 1, 0),
        ("nodes:\n  a: &h {network: lan}\n  b: *h\nnetworks: {lan: {subnet: 10.1.0.0/24}}\n", 2, 0),
        (
            "nodes: {\"a\": {\"network\": 'lan'}}\nnetworks: {'lan': {\"subnet\": 10.1.0.0/24}}   \n\n\n",
            1,
            0,
        ),
        (
            "networks: {lan: {subnet: 10.1.0.0/30, gateway: false}}\nnodes: {'h[1-2]': {network: lan}}\n",
            2,
            0,
        ),
        (
            "networks: {lan: {subnet: 10.1.0.0/31, gateway: false}}\nnodes: {'h[1-2]': {network: lan}}\n",
            2,
            0,
        ),
        (
            "networks: {a.b: {}, c_d: {}}\nnodes: {e-f: {networks: [a.b, c_d]}}\nlinks: [[a.b, c_d]]\n",
            1,
            1,
        ),
    ] {
        // A key that nobody knows is the one that is refused, so that this table can fail.
        let refused = text.starts_with("x-y");
        match load(text, Format::Yaml) {
            Ok(checked) => {
                let spec = checked.spec();
                if (spec.nodes.len(), spec.links.len()) != (nodes, links) || refused {
                    wrong.push(format!("{text:?}: {} nodes", spec.nodes.len()));
                }
            }
            Err(faults) if refused => assert!(faults[0].text.contains("unknown field `x-y`")),
            Err(faults) => wrong.push(format!("{text:?}: {faults:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let toml = "networks.lan.subnet = \"10.1.0.0/24\"\nnodes.a.network = 'lan'\nnodes.\"h[1-2]\".network = \"lan\"\n";
    assert_eq!(load(toml, Format::Toml).unwrap().nodes().len(), 3);
}

#[test]
fn words_of_older_yaml_are_names_and_settings() {
    let text = "networks: {n: {subnet: 10.1.0.0/24, gateway: no, vlan_filtering: yes, internal: off}}\n\
                nodes: {yes: {network: n}, y: {networks: [n]}, no: {networks: {n: }}}\n\
                links: [[yes, no], [{node: y}, off]]\n\
                ports: {yes: {isolated: on, learning: Off, vlans: [{vlan: 3, pvid: y}]}}\n";
    let text = text.replace("no: {networks", "off: {}, no: {networks");
    let spec = load(&text, Format::Yaml).unwrap().spelled_out();
    let network = &spec.networks["n"];
    assert_eq!((network.vlan_filtering, network.internal), (Some(true), false));
    assert_eq!(network.gateway, crate::Gateway::None);
    let port = spec.port("yes", "n");
    assert_eq!((port.isolated, port.learning), (Some(true), Some(false)));
    assert!(port.vlans.unwrap()[0].pvid);
    let ends = spec.links.iter().flat_map(|link| &link.endpoints);
    assert_eq!(ends.map(|end| end.node.as_str()).collect::<Vec<_>>(), ["yes", "no", "y", "off"]);
    for text in ["internal: maybe", "mcast_querier: 2", "internal: "] {
        let file = format!("networks: {{lan: {{{text}}}}}\nnodes: {{a: {{network: lan}}}}\n");
        let told = load(&file, Format::Yaml).unwrap_err()[0].to_string();
        assert!(told.contains("true or false"), "{text}: {told}");
    }
    for text in ["mtu: ", "nat_sessions: "] {
        let file = format!("nodes: {{a: {{}}}}\n{text}\n");
        let told = load(&file, Format::Yaml).unwrap_err()[0].to_string();
        assert!(told.contains("a whole number from 0 to"), "{text}: {told}");
    }
}
