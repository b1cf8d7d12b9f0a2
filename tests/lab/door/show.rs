//! `show`: what it says is what the kernel counted at the other ends of the veths, in the shapes
//! of `ip` and `bridge`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{json, lab, row, tool_json, until};
use crate::support::{As, Process, Sandbox, both_ways, rooted};

/// Frames and bytes, both ways, as counted at one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(pub(crate) [u64; 4]);

impl Counted {
    fn of(stats: &Value, out: &str, back: &str) -> Self {
        let figure = |way: &str, what: &str| stats["stats64"][way][what].as_u64().unwrap();
        Self([
            figure(out, "packets"),
            figure(out, "bytes"),
            figure(back, "packets"),
            figure(back, "bytes"),
        ])
    }

    pub(crate) fn since(self, before: Self) -> Self {
        let mut figures = self.0;
        figures.iter_mut().zip(before.0).for_each(|(now, then)| *now -= then);
        Self(figures)
    }
}

/// What the node sent and got, by the kernel's count and by ours, at a moment when both stood
/// still.
pub(crate) fn both(sandbox: &Sandbox, number: u32) -> (Counted, Counted) {
    let (node, peer) = (format!("net{number}"), format!("vethpeer{number}"));
    let kernel = || {
        let args = ["-n", &node, "-j", "-s", "link", "show", "dev", &peer];
        let links = tool_json(sandbox, "ip", &args);
        // What the node sends its port receives.
        Counted::of(&links[0], "tx", "rx")
    };
    until("a moment without traffic", || {
        let before = kernel();
        let ports = json(sandbox, &["show", "ports", "-j"]);
        let ours = Counted::of(row(&ports, "ifname", &format!("veth{number}")), "rx", "tx");
        (kernel() == before).then_some((before, ours))
    })
}

#[test]
fn ports_count_what_the_kernel_counts() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let before = [both(sandbox, 1), both(sandbox, 2)];
        sandbox.tool(
            "ip",
            &["netns", "exec", "net1", "ping", "-q", "-c", "200", "-i", "0.002", "10.100.0.20"],
        );
        let ends = (Path::new("/run/netns/net1"), Path::new("/run/netns/net2"));
        both_ways(ends, "10.100.0.20:7400".parse().unwrap(), 16 << 20);
        for (number, (kernel, ours)) in (1..).zip(before) {
            let counted = until("the counts agree", || {
                let (kernel_now, ours_now) = both(sandbox, number);
                let (theirs, ours) = (kernel_now.since(kernel), ours_now.since(ours));
                (theirs == ours).then_some(ours)
            });
            assert!(counted.0[0] >= 200 && counted.0[1] > 16 << 20, "net{number}: {counted:?}");
        }
    });
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

#[test]
fn the_shapes_are_those_of_bridge_and_ip() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // The kernel's own bridge has learned an address of its own node here.
        for command in [
            "link add br0 type bridge",
            "link add kpeer type veth peer name kport",
            "link set kport master br0",
            "link set br0 up",
            "link set kport up",
            "link set kpeer up",
        ] {
            sandbox.tool("ip", &command.split(' ').collect::<Vec<_>>());
        }
        let learned = |entries: &Value| {
            let all = entries.as_array().unwrap();
            all.iter().find(|entry| entry["state"] == "" && entry["master"] != Value::Null).cloned()
        };
        let theirs = until("the kernel's bridge learns", || {
            learned(&tool_json(sandbox, "bridge", &["-j", "fdb", "show", "br", "br0"]))
        });
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        let ours = learned(&fdb).unwrap();
        let extra: BTreeSet<_> = keys(&ours).difference(&keys(&theirs)).cloned().collect();
        // The age has the name that `bridge -s -j` gives it; of nodes and networks a bridge knows nothing.
        let beyond = ["network", "node", "updated"].map(String::from);
        assert_eq!(extra, BTreeSet::from(beyond), "{ours} beside {theirs}");
        for key in ["mac", "ifname", "flags", "master", "state"] {
            assert!(ours.get(key).is_some() && theirs.get(key).is_some(), "{key}: {ours} {theirs}");
        }
        let links = tool_json(sandbox, "ip", &["-j", "-s", "link", "show", "dev", "kport"]);
        let ports = json(sandbox, &["show", "ports", "-j"]);
        for way in ["rx", "tx"] {
            let (ours, theirs) = (&ports[0]["stats64"][way], &links[0]["stats64"][way]);
            assert_eq!(keys(ours), keys(theirs), "{way}");
        }
        let own: BTreeSet<String> =
            ["node", "network", "role", "fdb_entries", "settings", "drops", "rates"]
                .into_iter()
                .chain(["fdb_n_moved", "loops", "mcast_n_groups"])
                .map(str::to_owned)
                .collect();
        let others: BTreeSet<_> = keys(&ports[0]).difference(&own).cloned().collect();
        assert!(others.is_subset(&keys(&links[0])), "{others:?} beside {}", links[0]);
    });
}

#[test]
fn addresses_are_where_the_nodes_have_them() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        sandbox.tool("ip", &["netns", "exec", "net3", "ping", "-c", "1", "10.100.0.10"]);
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        for number in 1..=3 {
            let (node, peer) = (format!("net{number}"), format!("vethpeer{number}"));
            let links =
                tool_json(sandbox, "ip", &["-n", &node, "-j", "link", "show", "dev", &peer]);
            let entry = row(&fdb, "mac", links[0]["address"].as_str().unwrap());
            assert_eq!(entry["ifname"], format!("veth{number}").as_str());
        }
        let own = row(&fdb, "ifname", "gateway");
        assert_eq!(own["state"], "permanent");
        let neighbours = json(sandbox, &["show", "neigh", "-j"]);
        let router = row(&neighbours, "dst", "203.0.113.1");
        assert_eq!((&router["dev"], &router["state"][0]), (&"uplink".into(), &"REACHABLE".into()));
        let routes = json(sandbox, &["show", "routes", "-j"]);
        assert_eq!(row(&routes, "dst", "default")["gateway"], "203.0.113.1");
    });
}

#[test]
fn each_table_is_there_for_people_too() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-p", "8080:net1:80"]);
        for (what, words) in [
            ("topology", &["net1", "10.100.0.20/16", "gateway", "203.0.113.2", "8.8.8.8"][..]),
            ("ports", &["PORT", "veth1", "net2", "(uplink)"]),
            ("fdb", &["02:00:0a:64:00:0a", "veth2", "permanent"]),
            ("nat", &["8080/tcp", "icmp", "8.8.8.8:0", "active"]),
            ("published", &["8080/tcp", "10.100.0.10:80"]),
            ("neigh", &["203.0.113.1", "reachable"]),
            ("routes", &["default", "10.100.0.0/16"]),
            ("counters", &["SWITCH", "forwarded", "GATEWAY", "sessions now"]),
        ] {
            let ended = sandbox.uswitch(&["show", what]).ok();
            for word in words {
                assert!(ended.out.contains(word), "{what}: no {word}:\n{}", ended.out);
            }
            assert!(!ended.out.contains('\x1b'), "colours, and no terminal: {}", ended.out);
            let value = json(sandbox, &["show", what, "-j"]);
            assert!(!value.is_null(), "{what}");
        }
        // Again and again, until told to end.
        let mut watch = sandbox.start(&["show", "routes", "-j", "--watch", "1"]);
        until("a second look", || (watch.out().lines().count() >= 2).then_some(()));
        assert!(watch.running());
    });
}

#[test]
fn ports_and_addresses_in_the_shape_of_brctl() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let said = sandbox.uswitch(&["show", "ports", "--brctl"]).ok().out;
        let wanted = "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n\
                      lan\t\t8000.02000a640001\tno\t\tveth1\n\t\t\t\t\t\t\tveth2\n";
        assert_eq!(said, wanted);
        let said = sandbox.uswitch(&["show", "fdb", "--brctl"]).ok().out;
        assert!(said.starts_with("port no\tmac addr\t\tis local?\tageing timer\n"), "{said}");
        assert!(said.contains("\t02:00:0a:64:00:01\tyes\t\t   0.00"), "{said}");
        let refused = sandbox.uswitch(&["show", "nat", "--brctl"]);
        let line = refused.complaint(2);
        assert!(line.contains("--brctl goes with"), "{line}");
    });
}

#[test]
fn rates_are_told_while_something_flows() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let mut ping = Process::start(
            {
                let mut command = sandbox.command(As::Root, Path::new("ip"));
                let args = "netns exec net1 ping -q -i 0.01 10.100.0.20";
                command.args(args.split(' '));
                command
            },
            "ping",
        );
        until("a rate", || {
            let ports = json(sandbox, &["show", "ports", "-j"]);
            let rates = &row(&ports, "ifname", "veth1")["rates"];
            let frames = rates["rx"]["packets_per_second"].as_u64()?;
            let bits = rates["rx"]["bits_per_second"].as_u64()?;
            // Every echo request is 98 bytes.
            (frames > 10 && bits > frames * 40 * 8).then_some(())
        });
        assert!(ping.running());
    });
}

#[test]
fn a_lab_without_a_switch_says_what_it_lacks() {
    rooted(|sandbox| {
        for kind in [&["run", "pair"][..], &["run", "mesh", "-n", "3"]] {
            let lab = lab(sandbox, kind);
            let topology = json(sandbox, &["show", "-j"]);
            assert_eq!(topology["kind"], kind[1]);
            assert_eq!(topology["nodes"][0]["name"], "net1");
            // Every interface of the node, as `ip` has them there.
            let links = sandbox.tool("ip", &["-n", "net1", "-j", "-4", "addr", "show", "up"]);
            let links: Value = serde_json::from_str(&links).unwrap();
            let inside = links.as_array().unwrap().iter().filter(|link| link["ifname"] != "lo");
            let addresses: BTreeSet<_> = inside
                .map(|link| (link["ifname"].clone(), link["addr_info"][0]["local"].clone()))
                .map(|(name, address)| format!("{name} {address}"))
                .collect();
            let node = &topology["nodes"][0];
            let further = node["further"].as_array().into_iter().flatten();
            let told = std::iter::once(node).chain(further);
            let told: BTreeSet<_> =
                told.map(|link| format!("{} {}", link["ifname"], link["address"])).collect();
            assert_eq!(told, addresses);
            let text = sandbox.uswitch(&["show"]).ok().out;
            for address in addresses {
                let address = address.split('"').nth(3).unwrap();
                assert!(text.contains(&format!("{address}/")), "{address}: {text}");
            }
            assert!(sandbox.uswitch(&["show", "counters"]).ok().out.contains("nothing is counted"));
            let ended = sandbox.uswitch(&["show", "ports"]);
            assert!(ended.complaint(1).contains("has no switch"), "{}", ended.err);
            let ended = sandbox.uswitch(&["show", "nat"]);
            assert!(ended.complaint(1).contains("has no gateway"), "{}", ended.err);
            lab.signal(nix::sys::signal::Signal::SIGTERM);
            lab.ended().ok();
        }
    });
}

#[test]
fn who_asks_a_lab_that_is_not_there_is_told_which_are() {
    rooted(|sandbox| {
        let ended = sandbox.uswitch(&["show"]);
        assert!(ended.complaint(2).contains(" up`"), "{}", ended.err);
        let first = lab(sandbox, &["run"]);
        for verb in [
            &["show", "--name", "other"][..],
            &["exec", "--name", "other", "net1", "true"],
            &["top", "-b", "--name", "other"],
        ] {
            let ended = sandbox.uswitch(verb);
            let line = ended.complaint(2);
            assert!(line.contains("lab other is not running; uswitch is"), "{line}");
        }
        let ended = sandbox.uswitch(&["remove", "net9"]);
        assert!(ended.complaint(2).contains("it has net1, net2"), "{}", ended.err);
        // Killed, it leaves a socket nobody answers at.
        first.signal(nix::sys::signal::Signal::SIGKILL);
        first.ended();
        assert!(Path::new("/run/uswitch/uswitch/control.sock").exists());
        let ended = sandbox.uswitch(&["show", "fdb"]);
        assert!(ended.complaint(2).contains("is not running"), "{}", ended.err);
        sandbox.uswitch(&["down"]).ok();
        assert!(!Path::new("/run/uswitch").exists());
    });
}

#[test]
fn a_closed_pipe_is_no_error() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "20"]);
        let here = sandbox.dir.join("uswitch");
        for verb in ["show counters", "show ports -j", "metrics", "completions bash", "man run"] {
            let mut shell = sandbox.command(As::Root, Path::new("bash"));
            let script = format!("set -o pipefail; {} {verb} | :", here.display());
            shell.args(["-c", &script]);
            let ended = Process::start(shell, verb).ended();
            assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{verb}");
        }
    });
}
