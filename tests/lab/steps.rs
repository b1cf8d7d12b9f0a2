//! `-v` and `--dry-run`: the steps of set-up as commands, which are run by hand and lead to the same.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{As, Process, Sandbox, rooted};
use crate::{READY, lab};

/// What a namespace is made of: links, addresses and routes, without what differs from one making
/// to the next.
fn room(sandbox: &Sandbox, name: &str) -> String {
    let links = sandbox.tool("ip", &["-n", name, "-o", "link"]);
    let links = links.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |key| words.iter().position(|word| *word == key).map(|at| words[at + 1]);
        let name = words[1].split('@').next().unwrap();
        let up = words[2].contains("UP");
        format!("{} {name} up {up} {:?} {:?}", words[0], after("mtu"), after("link/ether"))
    });
    let mut text = links.collect::<Vec<_>>().join("\n");
    for args in [&["-o", "-4", "addr"][..], &["route"]] {
        text += "\n";
        text += &sandbox.tool("ip", &[&["-n", name], args].concat());
    }
    text
}

fn by_hand(sandbox: &Sandbox, script: &str) {
    let mut command = sandbox.command(As::Root, Path::new("sh"));
    command.args(["-e", "-c", script]);
    let ended = Process::start(command, "the script").ended();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{script}");
}

/// Named by the lab, and by the script.
const NODES: [&str; 3] = ["net1", "net2", "inet"];

#[test]
fn what_is_told_leads_to_the_same_by_hand() {
    let (mut told, mut rooms) = (String::new(), Vec::new());
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-v", "--mtu", "1400"]);
        rooms = NODES.map(|name| room(sandbox, name)).to_vec();
        run.signal(nix::sys::signal::Signal::SIGINT);
        told = run.ended().ok().err;
        let dry = sandbox.uswitch(&["run", "--dry-run", "--mtu", "1400"]).ok().out;
        assert_eq!(dry, told, "what would be done is not what is done");
        assert!(!sandbox.state().contains("net1"), "a dry run builds something");
    });
    rooted(|sandbox| {
        by_hand(sandbox, &told);
        // The very first packet passes: nobody has to know that the kernel looks at links now and then.
        let first = ["netns", "exec", "net1", "ping", "-c", "1", "-W", "1", "8.8.8.8"];
        sandbox.tool("ip", &first);
        assert_eq!(NODES.map(|name| room(sandbox, name)).to_vec(), rooms, "{told}");
        for to in ["10.100.0.20", "10.100.0.1", "8.8.8.8"] {
            sandbox.tool("ip", &["netns", "exec", "net1", "ping", "-c", "1", "-W", "5", to]);
        }
    });
}

/// Settings, rows of tables and whom the gateway forwards between: what a file says beside the shape.
#[test]
fn a_file_leads_to_the_same_by_hand() {
    let file = "
networks:
  lan:
    subnet: 10.1.0.0/24
    ageing_time: 30
    routed: [dmz]
    fdb: [{ mac: 02:00:00:00:00:01, node: a, kind: sticky }]
  dmz: { subnet: 10.2.0.0/24, internal: true }
  far: { subnet: 10.3.0.0/24 }
nodes: { a: { networks: [lan] }, b: { networks: [dmz] }, c: { networks: [far] } }
ports: { a: { hairpin: true }, b: { isolated: true, mcast_router: 2 } }
nat: full-cone
";
    let asks = |sandbox: &Sandbox, from: &str, to: &str| {
        let tries = ["ip netns exec", from, "ping -c 1 -W 1", to].join(" ");
        sandbox.shell(&tries).code == Some(0)
    };
    let ways = [
        ("a", "10.2.0.2", true),
        ("b", "10.1.0.2", true),
        ("a", "10.3.0.2", false),
        ("c", "10.2.0.2", false),
        ("a", "8.8.8.8", true),
        ("b", "8.8.8.8", false),
    ];
    let mut told = String::new();
    rooted(|sandbox| {
        let path = &crate::file::write(sandbox, "lab.yaml", file);
        let run = lab(sandbox, &["run", "-v", path]);
        for (from, to, passes) in ways {
            assert_eq!(asks(sandbox, from, to), passes, "{from} {to}");
        }
        run.signal(Signal::SIGINT);
        told = run.ended().ok().err;
        let dry = sandbox.uswitch(&["run", "--dry-run", path]).ok().out;
        assert_eq!(dry, told, "what would be done is not what is done");
    });
    rooted(|sandbox| {
        by_hand(sandbox, &told);
        for (from, to, passes) in ways {
            assert_eq!(asks(sandbox, from, to), passes, "{from} {to}\n{told}");
        }
        let port =
            |name| sandbox.tool("bridge", &["-n", "switch", "-d", "link", "show", "dev", name]);
        assert!(port("veth1").contains("hairpin on"), "{}", port("veth1"));
        assert!(port("veth2").contains("isolated on"), "{}", port("veth2"));
        let table = sandbox.tool("bridge", &["-n", "switch", "fdb", "show", "br", "br00"]);
        assert!(table.contains("02:00:00:00:00:01 dev veth1"), "{table}");
        let bridge = sandbox.tool("ip", &["-n", "switch", "-d", "link", "show", "br00"]);
        assert!(bridge.contains("ageing_time 3000 "), "{bridge}");
    });
}

#[test]
fn a_pair_and_a_mesh_by_hand() {
    for args in ["pair", "mesh -n 3"] {
        rooted(|sandbox| {
            let dry = sandbox.shell(&format!("uswitch run {args} --dry-run")).ok().out;
            by_hand(sandbox, &dry);
            let address = sandbox.tool("ip", &["-n", "net2", "-4", "-o", "addr"]);
            assert!(address.contains("10.100.0.2/"), "{args}: {address}");
            sandbox.tool("ip", &["netns", "exec", "net1", "ping", "-c1", "-W5", "10.100.0.2"]);
        });
    }
}

#[test]
fn nodes_come_and_go_by_hand() {
    rooted(|sandbox| {
        let script = sandbox.uswitch(&["run", "--dry-run"]).ok().out;
        let mut run = sandbox.start(&["run"]);
        run.wait_for(READY);
        let dry = sandbox.uswitch(&["add", "web", "--dry-run"]).ok().out;
        assert!(!sandbox.tool("ip", &["netns"]).contains("web"), "a dry run adds");
        let told = sandbox.uswitch(&["-v", "add", "web"]).ok();
        assert_eq!(told.err, dry);
        let added = room(sandbox, "web");
        let gone = sandbox.uswitch(&["remove", "web", "--dry-run"]).ok().out;
        assert!(sandbox.tool("ip", &["netns"]).contains("web"), "a dry run removes");
        run.signal(nix::sys::signal::Signal::SIGINT);
        run.ended().ok();
        by_hand(sandbox, &format!("{script}{dry}"));
        assert_eq!(room(sandbox, "web"), added);
        sandbox.tool("ip", &["netns", "exec", "web", "ping", "-c", "1", "-W", "5", "10.100.0.10"]);
        by_hand(sandbox, &gone);
        assert!(!sandbox.tool("ip", &["netns"]).contains("web"));
    });
}

#[test]
fn ports_are_published_by_hand() {
    rooted(|sandbox| {
        let script = sandbox.uswitch(&["run", "--dry-run"]).ok().out;
        let run = lab(sandbox, &["run"]);
        let told = sandbox.uswitch(&["-v", "publish", "8080:net1:80"]).ok().err;
        let withdrawn = sandbox.uswitch(&["-v", "unpublish", "8080"]).ok().err;
        run.signal(nix::sys::signal::Signal::SIGINT);
        run.ended().ok();
        by_hand(sandbox, &format!("{script}{told}"));
        let list = ["netns", "exec", "switch", "nft", "list", "chain", "ip", "nat", "prerouting"];
        let rules = || sandbox.tool("ip", &list);
        assert!(rules().contains("dport 8080 dnat to 10.100.0.10:80"), "{}", rules());
        by_hand(sandbox, &withdrawn);
        assert!(!rules().contains("8080"), "{}", rules());
    });
}

#[test]
fn a_running_lab_is_changed_by_hand() {
    rooted(|sandbox| {
        let script = sandbox.uswitch(&["run", "--dry-run"]).ok().out;
        let run = lab(sandbox, &["run"]);
        let mac = "02:00:00:00:00:09";
        let told: String = [
            "port net1 --learning off --isolated on --mcast-router 2 --group-fwd-mask 0x4000",
            "network set lan --ageing-time 30 --mtu 1400",
            "network add dmz --subnet 10.9.0.0/24",
            "port net2 --network none",
            "port net2 --network dmz",
            "port net2 --hairpin on --learn-limit 9",
            &format!("fdb add {mac} net1"),
            &format!("fdb del {mac}"),
            &format!("fdb add {mac} net1 --sticky"),
            "fdb flush",
            "set gateway --forwarding off --nat none",
            &format!("neigh add 10.100.9.9 {mac}"),
            "link net1 down",
        ]
        .iter()
        .map(|line| {
            let args: Vec<_> = ["-v"].into_iter().chain(line.split(' ')).collect();
            let err = sandbox.uswitch(&args).ok().err;
            assert!(!err.is_empty(), "nothing is told of {line}");
            err
        })
        .collect();
        run.signal(nix::sys::signal::Signal::SIGINT);
        run.ended().ok();
        by_hand(sandbox, &format!("{script}{told}"));
        let port =
            |name| sandbox.tool("bridge", &["-n", "switch", "-d", "link", "show", "dev", name]);
        for part in ["learning off", "isolated on", "mcast_router 2", "mtu 1400"] {
            assert!(port("veth1").contains(part), "no {part} in {}\n{told}", port("veth1"));
        }
        assert!(port("veth2").contains("hairpin on"), "{}", port("veth2"));
        assert!(port("veth2").contains("master br01"), "{}", port("veth2"));
        assert!(port("veth1").contains("state disabled"), "{}", port("veth1"));
        let details = sandbox.tool("ip", &["-n", "switch", "-d", "link", "show", "veth1"]);
        assert!(details.contains("group_fwd_mask 0x4000"), "{details}");
        let bridge = sandbox.tool("ip", &["-n", "switch", "-d", "link", "show", "br00"]);
        assert!(bridge.contains("mtu 1400") && bridge.contains("ageing_time 3000 "), "{bridge}");
        let table = sandbox.tool("bridge", &["-n", "switch", "fdb", "show", "br", "br00"]);
        let ours = table.lines().find(|line| line.starts_with(mac)).unwrap_or_default();
        assert!(ours.contains("dev veth1") && ours.contains("sticky"), "{table}");
        let known = sandbox.tool("ip", &["-n", "switch", "neigh", "show", "10.100.9.9"]);
        assert!(known.contains(&format!("dev br00 lladdr {mac}")), "{known}");
        let within =
            |args: &[&str]| sandbox.tool("ip", &[&["netns", "exec", "switch"], args].concat());
        assert!(within(&["sysctl", "net.ipv4.ip_forward"]).ends_with("= 0\n"));
        let rules = within(&["nft", "list", "chain", "ip", "nat", "postrouting"]);
        assert!(!rules.contains("masquerade"), "{rules}");
        let own = within(&["ip", "-o", "-4", "addr", "show", "br01"]);
        assert!(own.contains("10.9.0.1/24"), "{own}");
    });
}

/// What is told of a change is told behind it: where there is nothing to tell it ends as it would have, and
/// what is refused is not told.
#[test]
fn what_is_told_changes_no_exit_code() {
    rooted(|sandbox| {
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
        for shape in ["pair", "mesh"] {
            let run = lab(sandbox, &["run", shape]);
            does("-v link net1 down").ok();
            does("-v link net1 up").ok();
            let ended = does("-v remove net2");
            assert!(ended.code != Some(0) && !ended.err.contains("ip netns del"), "{}", ended.err);
            run.signal(Signal::SIGTERM);
            assert_eq!(run.ended().code, Some(0));
        }
        let _lab = lab(sandbox, &["run"]);
        for line in ["network add dmz", "network add further", "network remove dmz"] {
            does(line).ok();
        }
        let told = does("-v network set further --ageing-time 60").ok().err;
        assert!(told.contains("link set br02 type bridge ageing_time 6000"), "{told}");
        let told = does("-v remove net2").ok().err;
        assert!(told.contains("ip netns del net2"), "{told}");
    });
}

#[test]
fn what_would_be_ignored_is_refused() {
    rooted(|sandbox| {
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
        for (line, said) in [
            ("run mesh --uplink sim", "--uplink sim is the gateway's"),
            ("run pair --nat full-cone", "--nat is the gateway's"),
            ("run mesh --nat-sessions 2048", "--nat-sessions is the gateway's"),
            ("run --dry-run -j", "cannot be used with"),
        ] {
            assert!(does(line).complaint(2).contains(said), "{line}");
        }
        let _lab = lab(sandbox, &["run", "-p", "8080:net1:80"]);
        for line in ["unpublish 8080:net9:99", "unpublish 8080:net2:80"] {
            assert!(does(line).complaint(2).contains("8080/tcp leads to net1:80"), "{line}");
        }
        does("unpublish 8080:net1:80").ok();
        sandbox.shell("USWITCH_LAB= uswitch show").ok();
        sandbox.shell("USWITCH_LAB= uswitch show --name nosuch").complaint(2);
        for line in ["remove net1", "remove net2", "network remove lan"] {
            does(line).ok();
        }
        assert!(does("add x").complaint(2).contains("has no network any more"));
    });
}
