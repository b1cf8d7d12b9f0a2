//! What is wrong with a file is told in one line, with its place.

use super::*;

/// All that is wrong with a text, a line each.
fn faults(text: &str, format: Format) -> Vec<String> {
    let faults = load(text, format).expect_err("it is wrong");
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.iter().all(|line| line.lines().count() == 1), "{lines:?}");
    lines
}

/// The one thing that is wrong.
fn fault(text: &str) -> String {
    let all = faults(text, Format::Yaml);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (text, said) in [
        ("nodes: {a: {}}\nnodes: {b: {}}\n", "2:1: duplicate"),
        ("nodes: {a: {}, a: {}}\n", "1:16: duplicate"),
        ("nodes: {a: {}}\ncolour: red\n", "2:1: unknown field `colour`"),
        ("nodes: {a: {netwerk: lan}}\n", "1:13: unknown field `netwerk`"),
        ("nodes: {a: {}}\nuplink: 5/6\n", "2:9: \"5/6\" is no uplink"),
        ("nodes: {h[1-3: {}}\n", "1:"),
        ("nodes: {'h[3-1]': {}}\n", "1:9: \"h[3-1]\": [3-1]: the smaller number"),
        ("nodes: {'h[1-3]': {}, h2: {}}\n", "1:23: h2 stands twice"),
        ("nodes: &a {x: *a}\n", "1:"),
        ("a: &a {nodes: {h: {}}}\n<<: *a\n", "1:1: unknown field"),
        ("<<: {nodes: {h: {}}}\n", "1:"),
        ("nodes: {a: {}}\n---\nnodes: {b: {}}\n", "2:1:"),
        ("nodes: {a: {}}\nmtu: big\n", "2:6: big is not a whole number from 68 to 65535"),
        ("nodes: {a: {}}\nmtu: -5 # small\n", "2:6: -5 is not a whole number"),
        ("nodes: {a: {}}\nports: {a: {learning: maybe}}\n", "2:23: maybe is not true or false"),
        ("networks: {l: {ageing: 3}}\n", "1:16: unknown field `ageing`: is ageing_time meant?"),
        ("networks: {l: {colour: 3}}\n", "1:16: unknown field `colour`: `uswitch schema` lists"),
        ("nat: cone\n", "1:6: unknown variant `cone`"),
        ("networks: [lan]\n", "1:11: a map is wanted here"),
        ("mtu: [1500]\n", "1:6: one value is wanted here, neither a map nor a list"),
        ("nodes: {a: {kind: [router]}}\n", "1:19: one value is wanted here"),
        (
            "nodes: {a: {routes: [{to: 10.9.0.0/16, via: b}]}}\n",
            "1:22: a map stands here; wanted is a route as one text: 10.2.0.0/24 via",
        ),
        (
            "networks: {l: {gateway: 17}}\n",
            "1:16: 17 stands here; wanted is true, false, an address",
        ),
        ("networks: {l: {subnets: null}}\n", "1:16: null stands here; wanted is a text or a list"),
        ("nodes: {a: {}}\nports: {a: {vlans: [70000]}}\n", "2:21: 70000 is no VLAN"),
        ("networks: {lan: {subnet: 10.1.0.5/24}}\n", "1:26: 10.1.0.5/24 has bits beyond"),
        ("", "has at least one node"),
        ("[]", "1:1: "),
        ("nodes: {a: {}}\nlinks: [[a, b, c]]\n", "2:9: a link has two ends"),
        ("\u{0}", "1:"),
    ] {
        let line = fault(text);
        if !line.contains(said) {
            wrong.push(format!("{text:?}:\n{line}\nwanted {said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a bridge's settings may be is told, not what the type of a number holds.
#[test]
fn a_settings_own_range_is_told() {
    let network = |setting: &str, said: &str| {
        let text =
            format!("networks:\n  lan: {{vlan_filtering: true, {setting}}}\nnodes: {{a: {{}}}}\n");
        let line = fault(&text);
        assert!(line.contains("2:") && line.contains(said), "{setting}:\n{line}");
    };
    for wrong in ["-1", "x", "1.5", "70000"] {
        let said = format!("{wrong} is not a VLAN: 1 to 4094, or 0 for none");
        network(&format!("vlan_default_pvid: {wrong}"), &said);
    }
    network("vlan-default-pvid: -1", "-1 is not a VLAN: 1 to 4094, or 0 for none");
    network("vlan_default_pvid: 4095", "4095 is no VLAN: 1 to 4094, or 0 for none");
    network("mcast_router: -1", "-1 is not a whole number from 0 to 2");
    network("mcast_igmp_version: 300", "300 is not a whole number from 2 to 3");
    network("mcast_mld_version: x", "x is not a whole number from 1 to 2");
    network("mcast_last_member_count: 256", "256 is not a whole number from 1 to 10");
    network("mcast_startup_query_count: 256", "256 is not a whole number from 0 to 100");
    network("mcast_hash_max: -1", "-1 is not a whole number from 1 to 65536");
    network("ageing_time: 300s", "300s is not a whole number of seconds, 0 to 21474836");
    network("mcast_query_interval: -1", "-1 is not a number of seconds, 0.1 to 21474836");
    network("mcast_query_interval: soon", "soon is not a number of seconds, 0.1 to 21474836");
    network("vlan_protocol: 802.1X", "\"802.1X\" is no VLAN protocol: 802.1Q or 802.1ad");
    let port = |setting: &str, said: &str| {
        let text = format!(
            "networks: {{lan: {{vlan_filtering: true}}}}\nnodes: {{a: {{network: lan}}}}\nports:\n  a: {{{setting}}}\n"
        );
        let line = fault(&text);
        assert!(line.contains("4:") && line.contains(said), "{setting}:\n{line}");
    };
    port("isolation: 300", "300 is not an isolation group: they are numbered from 1 to 255");
    port("mcast_router: -1", "-1 is not a whole number from 0 to 2");
    port("vlans: [{vlan: -1}]", "-1 is not a VLAN: they are numbered from 1 to 4094");
    port("vlans: [{vlan: 1, vlan_end: 70000}]", "70000 is not a VLAN: they are numbered");
    port("vlans: [70000-80000]", "70000 is no VLAN: they are numbered from 1 to 4094");
    port("vlans: [1.5]", "1.5 is not a VLAN: its number,");
    port("vlans: 10", "a list is wanted here");
    port("vlans: [10 pvid, 20, 30 pvid]", "VLANs 10 and 30 are both to be the port's PVID");
}

#[test]
fn toml_is_told_with_its_place() {
    for (text, said) in [
        ("[nodes]\na = {}\na = {}\n", "3:1: duplicate key"),
        ("colour = 1\n", "1:1: unknown field `colour`"),
        (
            "[nodes]\na = {network = \"lan\"}\n",
            "2:16: nodes.a.networks.lan: there is no network lan: none",
        ),
        ("mtu = -5\n", "1:7: -5 is not a whole number from 68 to"),
        ("nodes = [", "1:10: "),
    ] {
        let lines = faults(text, Format::Toml);
        assert!(lines[0].contains(said), "{text:?}:\n{lines:?}");
    }
}

#[test]
fn what_contradicts_itself_is_told_with_its_place() {
    let two = "networks:\n  a: {subnet: 10.1.0.0/16}\n  b:\n    subnet: 10.1.2.0/24\n    gateway: 10.2.0.1\nnodes:\n  h: {networks: [a, c, a]}\n";
    let lines = faults(two, Format::Yaml);
    let wanted = [
        "4:13: networks.b.subnets[0]: 10.1.2.0/24 overlaps 10.1.0.0/16 of network a: choose subnets that do not",
        "5:5: networks.b.gateway: 10.2.0.1 is in no subnet of it (10.1.2.0/24)",
        "7:18: nodes.h.networks.c: there is no network c: a, b",
        "7:18: nodes.h.networks.a: h is in a twice: once is enough",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn no_text_takes_much_to_refuse() {
    let long = format!("nodes: {{a: {{}}}}\n# {}\n", "x".repeat(10 << 20));
    assert!(fault(&long).contains("4 MiB at most"));
    let deep = format!("nodes: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    fault(&deep);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    fault(&bomb);
    let nodes = (0..5000).map(|n| format!("  n{n}x: {{}}\n")).collect::<String>();
    assert!(fault(&format!("nodes:\n{nodes}")).contains("4095 at most"));
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    faults(&deep, Format::Toml);
}

#[test]
fn what_is_said_twice_or_in_another_form_is_told_in_words_of_a_file() {
    let lan = "networks: {lan: {subnet: 10.1.0.0/24}}\nnodes: {a: {network: lan}}\n";
    for (text, place, said) in [
        (format!("{lan}---\n{lan}"), "3:1", "a second document begins here"),
        ("nodes: {a: {exec: 5}}\n".into(), "1:", "5 is not a text or a list of texts"),
        (format!("{lan}neigh: {{foo}}\n"), "3:9", "an IP address is wanted here"),
        (
            "networks: {lan: {subnet: 10.1.0.0/24, cidr: 10.2.0.0/24}}\nnodes: {a: }\n".into(),
            "1:",
            "subnets is said twice here: subnet, cidr mean the same",
        ),
        (
            "networks: {lan: {mcast-snooping: true, mcast_snooping: true}}\nnodes: {a: }\n".into(),
            "1:",
            "mcast_snooping is said twice here: a key may stand once",
        ),
    ] {
        let line = fault(&text);
        assert!(line.contains(place) && line.contains(said), "{text}\n{line}");
    }
}
