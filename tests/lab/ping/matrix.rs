//! Pings of a lab: from a node, to nodes by name, to several at once, each to every other.

use nix::sys::signal::Signal;

use super::objects;
use crate::file::write;
use crate::support::{Sandbox, rooted, rootless};
use crate::{READY, lab};

fn in_a_lab(sandbox: &Sandbox) {
    let mut run = sandbox.start(&["run", "-n", "3"]);
    run.wait_for(READY);
    let ping = |line: &str| {
        sandbox.uswitch(&[&["ping"], &line.split(' ').collect::<Vec<_>>()[..]].concat())
    };

    let out = ping("net1 net2 -c 2 -i 0.1").ok().out;
    assert!(out.starts_with("PING net2 (10.100.0.20) 56(84) bytes of data.\n"), "{out}");
    assert!(out.contains("\n64 bytes from 10.100.0.20: icmp_seq=2 ttl=64 time="), "{out}");
    assert!(
        out.contains("\n--- net2 ping statistics ---\n2 packets transmitted, 2 received, 0%"),
        "{out}"
    );
    ping("net1 8.8.8.8 -f -q -c 200 -l 8").ok();

    let ended = ping("net3 net1 10.100.0.20 8.8.8.8 -c 2 -i 0.1").ok();
    for dest in ["net1", "10.100.0.20", "8.8.8.8"] {
        let lines =
            ended.out.lines().filter(|line| line.starts_with(&format!("{dest}: 64 bytes from ")));
        assert_eq!(lines.count(), 2, "{dest}: {}", ended.out);
    }
    let order = ["net1", "10.100.0.20", "8.8.8.8"]
        .map(|dest| ended.out.find(&format!("--- {dest} ping")).unwrap());
    assert!(order.is_sorted(), "{}", ended.out);
    let ended = ping("net1 net2 10.100.0.99 -c 1 -W 0.5");
    assert_eq!(ended.code, Some(1), "one of two does not answer: {}", ended.out);

    for (line, words) in [
        ("nowhere net1 -c 1", ["nowhere", "net1", "net3"]),
        ("net1 nowhere -c 1", ["nowhere", "net1", "net3"]),
        ("net1 net2 nowhere -c 1", ["nowhere", "net2", "net3"]),
    ] {
        let ended = ping(line);
        let complaint = ended.complaint(2);
        assert!(words.iter().all(|word| complaint.contains(word)), "{line}: {complaint}");
    }

    let out = ping("--all -W 20").ok().out;
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][4..], ["net1", "net2", "net3", "gateway", "internet"], "{out}");
    for (place, line) in lines[1..4].iter().enumerate() {
        assert_eq!(line[0], format!("net{}", place + 1));
        assert_eq!(line[1 + place], "-", "{out}");
        let times = line[1..].iter().filter(|cell| cell.parse::<f64>().is_ok()).count();
        assert_eq!(times, 4, "{out}");
    }
    assert_eq!(lines[4].join(" "), "12 of 12 reached");

    // What never left is told so, and not as lost on the way.
    let ended = ping("--all -s 2000 -M do -W 1");
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    let why = "not reached: net1 -> net2 10.100.0.20: local error: message too long, mtu=1500";
    assert!(ended.out.lines().any(|line| line == why), "{}", ended.out);

    let all = objects(&ping("--all --json -W 20 -c 2 -i 0.01").ok().out);
    assert_eq!(all.len(), 13);
    assert!(all[..12].iter().all(|cell| cell["ok"] == true && cell["received"] == 2), "{all:?}");
    assert_eq!((&all[12]["type"], all[12]["failed"].as_u64()), (&"matrix".into(), Some(0)));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.ended().code, Some(0));
    let gone = ping("--all");
    assert!(gone.complaint(2).contains("uswitch"), "{}", gone.err);
}

#[test]
fn in_a_lab_of_root() {
    rooted(in_a_lab);
}

#[test]
fn in_a_lab_of_an_ordinary_user() {
    rootless(in_a_lab);
}

#[test]
fn a_cell_that_fails_is_named() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run", "-n", "3", "--uplink", "none"]);
        run.wait_for(READY);
        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
        let ended = sandbox.uswitch(&["ping", "--all", "-W", "0.5"]);
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        for cell in ["net1 -> net2", "net3 -> net2", "net2 -> net1", "net2 -> gateway"] {
            assert!(ended.out.contains(&format!("not reached: {cell} ")), "{cell}: {}", ended.out);
        }
        assert!(!ended.out.contains("not reached: net1 -> net3"), "{}", ended.out);
        assert!(ended.out.contains("4 of 9 reached"), "{}", ended.out);
    });
}

#[test]
fn pairs_and_meshes_have_an_address_for_each_pair() {
    rooted(|sandbox| {
        for (args, reached) in [
            (&["run", "pair"][..], "2 of 2 reached"),
            (&["run", "mesh", "-n", "4"], "12 of 12 reached"),
        ] {
            let mut run = sandbox.start(args);
            run.wait_for(READY);
            let out = sandbox.uswitch(&["ping", "--all", "-W", "20"]).ok().out;
            assert!(out.ends_with(&format!("{reached}\n")), "{args:?}: {out}");
            run.signal(Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
        }
    });
}

/// Who is kept apart by settings is named and not tried; one that fails beside is a failure still.
#[test]
fn who_is_kept_apart_is_not_tried() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "4"]);
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        does("network set lan --vlan-filtering on");
        // As `bridge vlan` leaves it: members of VLAN 1 still, and speaking in another.
        does("vlan add net3 20 --pvid --untagged");
        does("vlan add net4 20 --pvid --untagged");
        let out = does("ping --all -W 20").out;
        assert!(out.contains("\n8 of 8 reached\n"), "{out}");
        let pairs =
            ["1 and net3", "1 and net4", "2 and net3", "2 and net4"].map(|p| format!("net{p}"));
        let rest = ["gateway", "internet"]
            .map(|to| ["net3", "net4"].map(|node| format!("{node} and {to}")));
        let line = out.lines().last().unwrap();
        assert!(line.starts_with("separated by VLANs, not tried: net1 and net3, "), "{out}");
        for pair in pairs.iter().chain(rest.as_flattened()) {
            assert_eq!(line.matches(&**pair).count(), 1, "{pair}: {out}");
        }
        let all = objects(&does("ping --all --json -W 20").out);
        let kind = |kind: &str| all.iter().filter(|one| one["type"] == kind).count();
        assert_eq!((kind("cell"), kind("separated")), (8, 12), "{all:?}");
        let last = all.last().unwrap();
        assert_eq!((last["cells"].as_u64(), last["separated"].as_u64()), (Some(8), Some(12)));
        does("port net1 --isolated on");
        does("port net2 --isolated on");
        sandbox.tool("ip", &["-n", "net4", "link", "set", "vethpeer4", "down"]);
        let ended = sandbox.uswitch(&["ping", "--all", "-W", "0.5"]);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        for line in [
            "4 of 6 reached",
            "not reached: net3 -> net4",
            "separated by isolated ports, not tried: net1 and net2",
        ] {
            assert!(ended.out.contains(line), "{line}: {}", ended.out);
        }
        assert!(!ended.out.contains("not reached: net1"), "{}", ended.out);
    });
}

/// Two networks with a node in both, and one in none.
const TWO: &str = "networks: {a: {subnet: 10.1.0.0/24}, b: {subnet: 10.2.0.0/24}}\n\
                   nodes: {both: {networks: [a, b]}, a1: {network: a}, b1: {network: b}}\n";

#[test]
fn a_lab_without_some_of_the_columns_has_the_others() {
    rooted(|sandbox| {
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        let six = "networks: {six: {subnet: 'fd00:1::/64'}}\n\
                   nodes: {a: {network: six}, b: {network: six}}\n";
        let linked = "networks: {lan: {subnet: 10.1.0.0/24}}\nnodes: {a: , b: }\nlinks: \
                      [[{node: a, address: 10.9.0.1/30}, {node: b, address: 10.9.0.2/30}]]\n";
        for (text, reached) in [(six, "0 of 0 reached"), (linked, "2 of 2 reached")] {
            let path = write(sandbox, "columns.yaml", text);
            let run = lab(sandbox, &["run", &path]);
            let out = does("ping --all -W 20").out;
            assert!(out.ends_with(&format!("{reached}\n")), "{text}{out}");
            run.signal(Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
        }
        let _lab = lab(sandbox, &["run"]);
        for node in ["net1", "net2"] {
            does(&format!("port {node} --network none"));
        }
        let out = does("ping --all -W 20").out;
        assert!(out.ends_with("0 of 0 reached\n"), "{out}");
    });
}

/// By name, from each node to each, it goes to the address that the matrix has.
#[test]
fn a_name_is_the_address_that_is_near() {
    rooted(|sandbox| {
        let two = write(sandbox, "two.yaml", TWO);
        for args in [&["run", "mesh", "-n", "4"][..], &["run", &two]] {
            let run = lab(sandbox, args);
            let all = objects(&sandbox.uswitch(&["ping", "--all", "--json", "-W", "20"]).ok().out);
            let cells: Vec<_> = all.iter().filter(|one| one["type"] == "cell").collect();
            assert!(cells.len() >= 10, "{all:?}");
            for cell in cells {
                let [from, to, address] =
                    ["from", "to", "address"].map(|key| cell[key].as_str().unwrap());
                let out = sandbox.uswitch(&["ping", from, to, "-c", "1", "-W", "20"]).ok().out;
                assert!(out.starts_with(&format!("PING {to} ({address}) ")), "{from}: {out}");
            }
            run.signal(Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
        }
    });
}

/// Nodes of networks that the gateway forwards between are tried, and those in VLANs with subnets of their own,
/// between which it does not, are not.
#[test]
fn who_meets_at_the_gateway_alone_is_tried_where_it_forwards() {
    rooted(|sandbox| {
        let file = "networks:\n  lan: {subnet: 10.1.0.0/24}\n  dc: {subnet: 10.2.0.0/24, routed: [lan]}\n  \
                    far: {subnet: 10.3.0.0/24}\n\
                    nodes: {a: {network: lan}, b: {network: dc}, c: {network: far}}\n";
        let run = lab(sandbox, &["run", &write(sandbox, "routed.yaml", file)]);
        let all = objects(&sandbox.uswitch(&["ping", "--all", "--json"]).ok().out);
        let tried = |from: &str, to: &str| {
            all.iter().any(|one| one["type"] == "cell" && one["from"] == from && one["to"] == to)
        };
        assert!(tried("a", "b") && tried("b", "a"), "{all:?}");
        assert!(!tried("a", "c") && !tried("c", "b"), "{all:?}");
        sandbox.uswitch(&["iperf", "a", "b", "-t", "1"]).ok();
        let ended = sandbox.uswitch(&["iperf", "a", "a"]);
        assert!(ended.complaint(2).contains("from a to itself: name two nodes"), "{ended:?}");
        run.signal(Signal::SIGINT);
        run.ended().ok();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vlan-trunk.yaml");
        let _lab = lab(sandbox, &["run", example]);
        let out = sandbox.uswitch(&["ping", "--all"]).ok().out;
        assert!(out.contains("separated by VLANs, not tried: red and blue"), "{out}");
    });
}
