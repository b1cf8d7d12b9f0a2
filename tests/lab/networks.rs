//! Several networks in one lab: frames never cross, the gateway routes where it was told to, and
//! networks come and go while traffic flows.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::door::{json, row};
use crate::file::write;
use crate::support::{Sandbox, Wire, rooted, rootless};
use crate::{lab, netns};

/// Whether node `from` hears an answer of `to`.
fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let words = ["exec", from, "--", "ping", "-q", "-c", "5", "-i", "0.4", "-W", "1", to];
    sandbox.uswitch(&words).code == Some(0)
}

fn does(sandbox: &Sandbox, line: &str) {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
}

/// What a bad line is told.
fn refused(sandbox: &Sandbox, line: &str, code: i32) -> String {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).complaint(code).to_owned()
}

fn apart(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-n", "1"]);
    does(sandbox, "network add dmz --subnet 10.2.0.0/24");
    does(sandbox, "network add inner --subnet 10.3.0.0/24 --internal");
    does(sandbox, "network add far --subnet 10.4.0.0/24 --gateway 10.4.0.254 --routed dmz");
    does(sandbox, "network add wire --subnet 10.5.0.0/24 --gateway none");
    does(sandbox, "add a --network dmz");
    does(sandbox, "add b --network dmz,10.2.0.77");
    does(sandbox, "add c --network inner");
    does(sandbox, "add d --network far");
    does(sandbox, "add e --network lan --network dmz,10.2.0.99");
    does(sandbox, "add f --network wire");
    does(sandbox, "add g --network wire");
    assert!(reaches(sandbox, "a", "10.2.0.77") && reaches(sandbox, "a", "8.8.8.8"));
    assert!(!reaches(sandbox, "a", "10.100.0.10"), "networks are isolated from each other");
    assert!(reaches(sandbox, "c", "10.3.0.1") && !reaches(sandbox, "c", "8.8.8.8"), "internal");
    assert!(reaches(sandbox, "d", "10.2.0.77"), "routed");
    assert!(!reaches(sandbox, "d", "10.3.0.2"), "routed to one of them alone");
    // In two networks: each by its own interface.
    assert!(reaches(sandbox, "e", "10.100.0.10") && reaches(sandbox, "e", "10.2.0.77"));
    assert!(reaches(sandbox, "f", "10.5.0.2") && !reaches(sandbox, "f", "10.2.0.77"));
    let why = sandbox.uswitch(&["explain", "e", "10.2.0.77"]).ok().out;
    assert!(why.contains("(b)"), "{why}");
    // Sides of the gateway are called as their networks are.
    let why = sandbox.uswitch(&["explain", "d", "10.2.0.77"]).ok().out;
    assert!(why.contains("10.2.0.77 is itself on the dmz side"), "{why}");
    let shown = json(sandbox, &["show", "ports", "-j"]);
    let of = |node: &str| row(&shown, "node", node)["network"].clone();
    assert_eq!([of("a"), of("c"), of("d")], ["dmz", "inner", "far"]);
    let fdb = json(sandbox, &["show", "fdb", "-j"]);
    assert_eq!(row(&fdb, "mac", "02:00:0a:02:00:4d")["network"], "dmz");
    let table = sandbox.uswitch(&["show", "topology"]).ok().out;
    assert!(table.contains("NETWORK") && table.contains("10.2.0.77/24"), "{table}");
    let networks = json(sandbox, &["network", "ls", "-j"]);
    let far = row(&networks, "name", "far");
    assert_eq!((&far["gateway"], &far["routed"][0]), (&"10.4.0.254".into(), &"dmz".into()));
    assert_eq!(row(&networks, "name", "dmz")["ports"], 3);
    // A network goes once nobody is in it.
    let busy = refused(sandbox, "network remove dmz", 1);
    assert!(busy.contains("a, b, e"), "{busy}");
    does(sandbox, "remove a b e");
    does(sandbox, "network remove dmz");
    assert!(!sandbox.uswitch(&["network", "ls"]).ok().out.contains("dmz"));
    // Its subnet and its gateway's place are free again.
    does(sandbox, "network add again --subnet 10.2.0.0/16");
    does(sandbox, "add a --network again");
    assert!(reaches(sandbox, "a", "8.8.8.8") && !reaches(sandbox, "d", "10.2.0.2"));
}

#[test]
fn networks_are_apart_unless_routed_as_root() {
    rooted(apart);
}

#[test]
fn networks_are_apart_unless_routed_for_an_ordinary_user() {
    rootless(apart);
}

#[test]
fn what_cannot_be_is_one_line_and_changes_nothing() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        does(sandbox, "network add dmz --subnet 10.2.0.0/24");
        let before = json(sandbox, &["network", "ls", "-j"]);
        let nodes = json(sandbox, &["show", "topology", "-j"])["nodes"].clone();
        for (line, code, word) in [
            ("network add x --subnet 10.2.0.128/25", 2, "overlaps 10.2.0.0/24 of network dmz"),
            ("network add x --subnet 10.100.3.0/24", 2, "of network lan"),
            ("network add x --subnet 10.3.0.0/24 --subnet 10.3.0.0/25", 2, "overlap"),
            ("network add x --subnet 8.8.0.0/16", 2, "simulated internet"),
            ("network add x --subnet 10.3.0.0/24 --gateway 10.4.0.1", 2, "10.4.0.1"),
            ("network add x --subnet 10.3.0.0/24 --gateway 10.3.0.255", 2, "10.3.0.255"),
            ("network add x --subnet 10.3.0.0/24 --routed nowhere", 2, "no network nowhere"),
            ("network add x --subnet 10.3.0.1/24", 2, "10.3.0.0/24"),
            ("network add x --subnet fe80::/64", 2, "link-local"),
            ("network add x --subnet 127.1.0.0/16", 2, "loopback"),
            ("network add x --mtu 67", 2, "67"),
            ("network add dmz", 1, "has a network dmz already"),
            ("network add icmp", 2, "icmp"),
            ("network add a/b", 2, "a/b"),
            ("network remove nowhere", 2, "it has lan, dmz"),
            ("network remove lan", 1, "net1, net2"),
            ("add y --network nowhere", 2, "it has lan, dmz"),
            ("add y --network dmz --network dmz", 2, "twice"),
            ("add y --network dmz,10.3.0.9", 2, "10.2.0.0/24"),
            ("add y --network dmz,10.2.0.1", 1, "the gateway's"),
            ("add y --network lan,10.100.0.10", 1, "net1's"),
        ] {
            let said = refused(sandbox, line, code);
            assert!(said.contains(word), "{line}: {said}");
        }
        assert_eq!(json(sandbox, &["network", "ls", "-j"]), before);
        assert_eq!(json(sandbox, &["show", "topology", "-j"])["nodes"], nodes);
    });
}

/// A broadcast of a protocol nobody speaks.
fn shout(src: [u8; 6], number: u16) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend(src);
    frame.extend([0x88, 0xb5]);
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// In each of a few labs to be, by a fixed pseudo-random walk: every node shouts at each of its
/// interfaces, and exactly those hear it that have an interface in the same network.
#[test]
fn frames_never_cross_networks() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--uplink", "none"]);
        let mut seed = 0x9e37_79b9_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for round in 0..3 {
            let networks = 2 + random(4);
            for network in 0..networks {
                does(
                    sandbox,
                    &format!("network add w{network} --subnet 10.{}.0.0/24", 10 + network),
                );
            }
            let nodes = networks + random(4);
            let mut places: Vec<(String, String, u64)> = Vec::new();
            for node in 0..nodes {
                let own: BTreeSet<u64> = (0..=random(3)).map(|_| random(networks)).collect();
                let name = format!("r{round}x{node}");
                let words = own.iter().map(|network| format!(" --network w{network}"));
                does(sandbox, &format!("add {name}{}", words.collect::<String>()));
                let topology = json(sandbox, &["show", "topology", "-j"]);
                let shown = row(&topology["nodes"], "name", &name).clone();
                let further = shown["further"].as_array().cloned().unwrap_or_default();
                for (network, interface) in own.iter().zip([shown].iter().chain(&further)) {
                    let interface = interface["ifname"].as_str().unwrap().to_owned();
                    places.push((name.clone(), interface, *network));
                }
            }
            let open =
                |(node, interface, _): &(String, String, u64)| Wire::open(netns(node), interface);
            let mut wires: Vec<Wire> = places.iter().map(open).collect();
            for from in 0..wires.len() {
                let number = u16::try_from(from).unwrap();
                let frame = shout(wires[from].mac, number);
                wires[from].send(&frame);
                for to in (0..wires.len()).filter(|to| *to != from) {
                    let same = places[from].2 == places[to].2;
                    let within =
                        if same { Duration::from_secs(20) } else { Duration::from_millis(50) };
                    let heard = wires[to].next(within, |bytes| bytes.get(..16) == frame.get(..16));
                    assert_eq!(heard.is_some(), same, "{:?} to {:?}", places[from], places[to]);
                }
            }
            drop(wires);
            let names: BTreeSet<_> = places.into_iter().map(|(name, ..)| name).collect();
            does(sandbox, &format!("remove {}", names.into_iter().collect::<Vec<_>>().join(" ")));
            for network in 0..networks {
                does(sandbox, &format!("network remove w{network}"));
            }
        }
    });
}

#[test]
fn networks_come_and_go_while_others_talk() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        let ping = "exec net1 -- ping -q -c 400 -i 0.01 -W 20 10.100.0.20";
        let mut command = sandbox.uswitch_command(&ping.split(' ').collect::<Vec<_>>());
        command.stdout(std::process::Stdio::piped());
        let talking = command.spawn().unwrap();
        for round in 0..5 {
            does(sandbox, "network add dmz --subnet 10.2.0.0/24 --routed lan");
            does(sandbox, "add a --network dmz");
            if round == 0 {
                assert!(reaches(sandbox, "a", "10.100.0.10"));
            }
            does(sandbox, "remove a");
            does(sandbox, "network remove dmz");
        }
        let output = talking.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(" 0% packet loss"), "{said}");
    });
}

/// A node with a leg in each of two networks forwards between them, where the gateway does not.
#[test]
fn a_node_routes_between_two_networks() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1"]);
        does(sandbox, "network add left --subnet 10.2.0.0/24 --gateway none");
        does(sandbox, "network add right --subnet 10.3.0.0/24 --gateway none");
        does(sandbox, "add a --network left,10.2.0.10");
        does(sandbox, "add b --network right,10.3.0.10");
        does(sandbox, "add r --network left,10.2.0.1 --network right,10.3.0.1");
        does(sandbox, "exec a -- ip route add default via 10.2.0.1");
        does(sandbox, "exec b -- ip route add default via 10.3.0.1");
        does(sandbox, "exec r -- sysctl -qw net.ipv4.ip_forward=0");
        assert!(!reaches(sandbox, "a", "10.3.0.10"), "it is no router yet");
        does(sandbox, "exec r -- sysctl -qw net.ipv4.ip_forward=1");
        assert!(reaches(sandbox, "a", "10.3.0.10") && reaches(sandbox, "b", "10.2.0.10"));
        // The switch has each address in its own network alone.
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        let of = |node: &str| {
            let rows = fdb.as_array().unwrap().iter().filter(|row| row["node"] == node);
            rows.map(|row| row["network"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(of("a"), BTreeSet::from(["left".to_owned()]));
        assert_eq!(of("b"), BTreeSet::from(["right".to_owned()]));
        assert_eq!(of("r"), BTreeSet::from(["left".to_owned(), "right".to_owned()]));
        let why = sandbox.uswitch(&["explain", "a", "10.3.0.10"]).ok().out;
        assert!(why.contains("to its router 10.2.0.1") && why.contains("(r)"), "{why}");
        // Without its leg there the other network is out of reach.
        does(sandbox, "port r:right --network none");
        assert!(!reaches(sandbox, "a", "10.3.0.10") && reaches(sandbox, "a", "10.2.0.1"));
        // It has a port without a network beside that one: which is meant is to be said.
        let which = refused(sandbox, "port r --network left", 2);
        assert!(which.contains("r:left or veth"), "{which}");
        does(sandbox, "port r:left --network left");
    });
}

/// Out of the lab, though its first network is an internal one: from a file, by `add`, after its cable was
/// pulled, and in a lab made of what `show` has written. Both ways the gateway's address is beside its own.
#[test]
fn the_default_route_leads_by_a_network_that_leads_out() {
    rooted(|sandbox| {
        let networks = "networks: {int: {subnet: 10.3.0.0/24, internal: true}, \
                        out: {subnets: [10.4.0.0/24, 10.5.0.0/24]}}\n";
        let nodes =
            "nodes: {a: {networks: [int, out]}, b: {networks: {int: 10.3.0.9, out: 10.5.0.9}}}\n";
        let file = write(sandbox, "lab.yaml", &format!("{networks}{nodes}"));
        let by = |node: &str| {
            let words = ["exec", node, "--", "ip", "-4", "route", "show", "default"];
            sandbox.uswitch(&words).ok().out.clone()
        };
        let all_lead_out = || {
            for (node, gateway) in [("a", "10.4.0.1"), ("b", "10.5.0.1"), ("c", "10.4.0.1")] {
                assert!(by(node).contains(&format!("via {gateway} ")), "{node}: {}", by(node));
                assert!(reaches(sandbox, node, "8.8.8.8"), "{node}");
            }
        };
        let first = lab(sandbox, &["run", &file]);
        does(sandbox, "add c --network int --network out");
        all_lead_out();
        does(sandbox, "link c down");
        does(sandbox, "link c up");
        does(sandbox, "network add more --subnet 10.6.0.0/24");
        all_lead_out();
        let written = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        first.signal(Signal::SIGINT);
        assert_eq!(first.ended().code, Some(0));
        let file = write(sandbox, "again.yaml", &written);
        let _again = lab(sandbox, &["run", &file]);
        all_lead_out();
    });
}

/// Routes of IPv6 by a router's name, over wires: also after a cable was pulled, which takes no address away.
#[test]
fn a_file_s_routes_lead_over_links_of_both_families() {
    rooted(|sandbox| {
        let wire = |a: &str, b: &str, net: u8| {
            let end = |node: &str, at: u8| {
                format!("{{node: {node}, addresses: [10.{net}.0.{at}/24, 'fd0{net}::{at}/64']}}")
            };
            format!("- endpoints: [{}, {}]\n", end(a, 1), end(b, 2))
        };
        let nodes = "nodes:\n  a: {routes: ['fd02::/64 via r', 10.2.0.0/24 via r]}\n  \
                     r: {kind: router}\n  \
                     b: {routes: ['fd01::/64 via fd02::1', 10.1.0.0/24 via r]}\n";
        let links = format!("links:\n{}{}", wire("a", "r", 1), wire("r", "b", 2));
        let _lab = lab(sandbox, &["run", &write(sandbox, "lab.yaml", &format!("{nodes}{links}"))]);
        let both = || reaches(sandbox, "a", "10.2.0.2") && reaches(sandbox, "a", "fd02::2");
        assert!(both());
        for node in ["a", "r"] {
            does(sandbox, &format!("link {node} down"));
            assert!(!reaches(sandbox, "a", "fd02::2") && !reaches(sandbox, "a", "10.2.0.2"));
            does(sandbox, &format!("link {node} up"));
            assert!(both(), "the link of {node} is up again");
        }
    });
}

/// As many networks as there can be, two nodes each, in one process: all of it works, and goes.
#[test]
fn there_may_be_256_networks() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "1", "--uplink", "none"]);
        let client =
            control::Client::new(std::path::Path::new("/run/uswitch/uswitch/control.sock"))
                .unwrap();
        for number in 0..255_u16 {
            let subnet = format!("172.16.{number}.0/24").parse().unwrap();
            let network = topology::Network::with_gateway(vec![subnet]);
            let name = format!("w{number}");
            client.add_network(&control::api::AddNetwork { name: name.clone(), network }).unwrap();
            for end in ["a", "b"] {
                let ask = control::api::AddNode {
                    name: Some(format!("{end}{number}")),
                    networks: vec![name.clone()],
                    ..Default::default()
                };
                client.add_node(&ask).unwrap();
            }
        }
        let full = refused(sandbox, "network add onemore", 2);
        assert!(full.contains("up to 256 networks"), "{full}");
        for number in [0, 100, 254] {
            assert!(reaches(sandbox, &format!("a{number}"), &format!("172.16.{number}.3")));
            assert!(reaches(sandbox, &format!("a{number}"), &format!("172.16.{number}.1")));
        }
        assert!(!reaches(sandbox, "a0", "172.16.100.3"));
        run.signal(nix::sys::signal::Signal::SIGINT);
        // More than five hundred namespaces go, one after another, beside whatever else is to be done.
        run.ended_within(Duration::from_secs(300)).ok();
        assert!(!std::path::Path::new("/run/netns/a0").exists());
    });
}
