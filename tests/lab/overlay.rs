//! A network over several hosts: each host a namespace, joined by cables; the kernel's bridge with a
//! vxlan device as the other side, which is what uswitch has to speak with.

mod astray;
mod barred;
mod check;
mod file;
mod foreign;
mod rows;
mod six;
mod underlay;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Sandbox, Wire, both_ways, captured, rooted, rootless};
use crate::{lab, netns};

/// A second host, 10.9.0.2, behind a cable to this one, 10.9.0.1, with a bridge of the kernel in a VXLAN
/// of that number, and 10.100.0.99 on the bridge.
fn other_host(sandbox: &Sandbox, vni: &str) {
    let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
    ip("netns add hostb");
    ip("link add out0 type veth peer name out1 netns hostb");
    ip("addr add 10.9.0.1/24 dev out0");
    ip("link set out0 up");
    ip("-n hostb addr add 10.9.0.2/24 dev out1");
    ip("-n hostb link set out1 up");
    let vxlan = "local 10.9.0.2 remote 10.9.0.1 dstport 4789";
    ip(&format!("-n hostb link add vx type vxlan id {vni} {vxlan}"));
    ip("-n hostb link add br0 type bridge");
    ip("-n hostb link set vx master br0");
    ip("-n hostb addr add 10.100.0.99/16 dev br0");
    ip("-n hostb link set vx up");
    ip("-n hostb link set br0 up");
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(&sandbox.uswitch(args).ok().out).unwrap()
}

#[test]
fn a_bridge_of_the_kernel_on_another_host_is_one_network_with_ours() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let _lab = lab(sandbox, &["run"]);
        let add = ["tunnel", "add", "vxlan", "100", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        let said = sandbox.uswitch(&add).ok().out;
        assert!(said.contains("joins lan to VNI 100 at 10.9.0.2"), "{said}");
        // What VXLAN takes of 1,500 bytes the network's packets do without, on both sides of a node's link.
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["mtu"], 1450);
        for (from, to, size) in [
            ("net1", "10.100.0.99", "1400"),
            ("hostb", "10.100.0.20", "1400"),
            ("net2", "10.100.0.99", "56"),
        ] {
            let args = ["netns", "exec", from, "ping", "-M", "do", "-c", "2", "-s", size, to];
            let said = sandbox.tool("ip", &args);
            assert!(said.contains(" 0% packet loss"), "{said}");
        }
        // Known addresses are not flooded: the other host's is behind the tunnel.
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        let far = fdb.as_array().unwrap().iter().filter(|row| row["ifname"] == "vxlan100").count();
        assert_eq!(far, 1, "{fdb:#}");
        // TCP both ways, byte for byte, in segments that both sides' kernels cut.
        let ends = [netns("net1"), netns("hostb")];
        let at = "10.100.0.99:7300".parse().unwrap();
        for (sent, received) in both_ways((&ends[0], &ends[1]), at, 64 << 20) {
            assert_eq!((sent.bytes, &sent), (64 << 20, &received));
        }
        let tunnels = json(sandbox, &["show", "tunnel", "-j"]);
        let rx = tunnels[0]["stats64"]["rx"]["bytes"].as_u64().unwrap();
        let tx = tunnels[0]["stats64"]["tx"]["bytes"].as_u64().unwrap();
        assert!(rx > 64 << 20 && tx > 64 << 20, "{tunnels:#}");
        let refused = json(sandbox, &["show", "counters", "-j"])["switch"]["refused"].clone();
        assert_eq!(refused.get("offload").or(refused.get("too-long")), None, "{refused}");
        // A node that comes later is on it as well.
        sandbox.uswitch(&["add", "late"]).ok();
        let late = ["exec", "late", "--", "ping", "-c", "1", "-W", "5", "10.100.0.99"];
        assert_eq!(sandbox.uswitch(&late).code, Some(0));
        sandbox.uswitch(&["tunnel", "remove", "100"]).ok();
        assert_eq!(json(sandbox, &["show", "tunnel", "-j"]), Value::Array(Vec::new()));
        let gone = ["exec", "net1", "--", "ping", "-c", "1", "-W", "1", "10.100.0.99"];
        assert_eq!(sandbox.uswitch(&gone).code, Some(1));
    });
}

/// The longest frame that net2 receives while net1 sends it 64 MiB, in bytes.
fn longest() -> usize {
    let mut wire = Wire::open(netns("net2"), "vethpeer2");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut longest = 0;
            loop {
                let ended = over.load(Ordering::Relaxed);
                while let Some(frame) = wire.next(Duration::from_millis(50), |_| true) {
                    longest = longest.max(frame.len());
                }
                if ended {
                    return longest;
                }
            }
        });
        let at = "10.100.0.20:7301".parse().unwrap();
        for (sent, received) in both_ways((&netns("net1"), &netns("net2")), at, 64 << 20) {
            assert_eq!((sent.bytes, &sent), (64 << 20, &received));
        }
        over.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

/// BIG TCP: a tunnel takes 64 KiB, and nodes that speak with each other make longer frames all the
/// same, for the switch cuts what goes to the tunnel.
#[test]
fn frames_between_nodes_are_as_long_as_ever_beside_a_tunnel() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let join = "vtep://10.9.0.2?vni=100";
        let _lab = lab(sandbox, &["run", "--fast-path", "off", "--join", join]);
        let seen = (0..10).map(|_| longest()).find(|longest| *longest > 1 << 16);
        assert!(seen.is_some(), "no frame of more than 64 KiB");
        let ends = [netns("net1"), netns("hostb")];
        let at = "10.100.0.99:7302".parse().unwrap();
        for (sent, received) in both_ways((&ends[0], &ends[1]), at, 256 << 20) {
            assert_eq!((sent.bytes, &sent), (256 << 20, &received));
        }
        let counters = json(sandbox, &["show", "counters", "-j"])["switch"].clone();
        assert_eq!(counters["send_errors"], 0, "{counters:#}");
    });
}

#[test]
fn a_tunnel_s_nodes_make_no_longer_frames_than_it_takes_where_the_kernel_forwards() {
    captured(|sandbox| {
        other_host(sandbox, "100");
        let join = "vtep://10.9.0.2?vni=100";
        let _lab = lab(sandbox, &["run", "--fast-path", "on", "--join", join]);
        assert!((0..3).map(|_| longest()).all(|longest| longest <= 1 << 16));
    });
}

#[test]
fn a_lab_joins_at_its_start_and_leaves_nothing() {
    rooted(|sandbox| {
        other_host(sandbox, "7");
        let before = sandbox.state();
        let run = lab(sandbox, &["run", "--join", "vtep://10.9.0.2?vni=7"]);
        let tunnels = json(sandbox, &["show", "tunnel", "-j"]);
        assert_eq!((&tunnels[0]["vni"], &tunnels[0]["local"]), (&7.into(), &"10.9.0.1".into()));
        let args = ["exec", "net1", "--", "ping", "-c", "1", "-W", "5", "10.100.0.99"];
        assert_eq!(sandbox.uswitch(&args).code, Some(0));
        // By a signal that lets it undo nothing: the device goes with the switch's namespace.
        run.signal(nix::sys::signal::Signal::SIGKILL);
        run.ended();
        sandbox.uswitch(&["down"]).ok();
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn what_is_no_tunnel_changes_nothing() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let _lab = lab(sandbox, &["run"]);
        let before = json(sandbox, &["network", "ls", "-j"]);
        for (args, says) in [
            (["0", "10.9.0.1", "10.9.0.2"], "numbered from 1"),
            (["16777216", "10.9.0.1", "10.9.0.2"], "numbered from 1"),
            (["5", "10.9.0.7", "10.9.0.2"], "no address of this host, which has"),
            (["5", "10.9.0.1", "10.9.0.1"], "this host's own end"),
            (["5", "10.9.0.1", "0.0.0.0"], "no host's address"),
        ] {
            let [vni, local, remote] = args;
            let add = ["tunnel", "add", "vxlan", vni, "--local", local, "--remote", remote];
            let ended = sandbox.uswitch(&add);
            assert!(ended.complaint(2).contains(says), "{args:?}: {}", ended.err);
        }
        // Another program has the number and the port: the kernel says no, and the MTU is as it was.
        let taken = "link add vy type vxlan id 9 local 10.9.0.1 dstport 4789";
        sandbox.tool("ip", &taken.split(' ').collect::<Vec<_>>());
        let add = ["tunnel", "add", "vxlan", "9", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        let ended = sandbox.uswitch(&add);
        assert!(ended.complaint(1).contains("making VXLAN device vxlan9"), "{}", ended.err);
        let mut after = json(sandbox, &["network", "ls", "-j"]);
        after[0]["fdb_n_learned"] = before[0]["fdb_n_learned"].clone();
        assert_eq!(after, before);
        let none = sandbox.uswitch(&["tunnel", "remove", "9"]);
        assert!(none.complaint(2).contains("there is none"), "{}", none.err);
    });
}

#[test]
fn packets_that_do_not_fit_are_refused_where_somebody_asked_for_them() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let url = "vtep://10.9.0.2?vni=7";
        let file = sandbox.dir.join("wide.yaml");
        let text = "networks:\n  lan: {subnet: 10.100.0.0/16, mtu: 1480}\nnodes:\n  a: {network: lan}\n\
                    tunnels:\n  - {vni: 7, remotes: [10.9.0.2]}\n";
        std::fs::write(&file, text).unwrap();
        let before = sandbox.state();
        let says = "packets of 1480 bytes, and a tunnel from 10.9.0.1 carries 1450: say MTU 1450";
        let ended = sandbox.uswitch(&["run", "--mtu", "1480", "--join", url]);
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        let ended = sandbox.uswitch(&["run", file.to_str().unwrap()]);
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(sandbox.state(), before);
        // An interface whose packets leave no room for others.
        sandbox.tool("ip", &["link", "set", "out0", "mtu", "100"]);
        let before = sandbox.state();
        let ended = sandbox.uswitch(&["run", "--join", url]);
        assert!(
            ended.complaint(2).contains("carries no more, for its interface has MTU 100"),
            "{}",
            ended.err
        );
        assert_eq!(sandbox.state(), before);
        sandbox.tool("ip", &["link", "set", "out0", "mtu", "1500"]);
        let lab_at = lab(sandbox, &["run", "--mtu", "1400", "--join", url]);
        let mtu = || json(sandbox, &["network", "ls", "-j"])[0]["mtu"].clone();
        assert_eq!(mtu(), 1400);
        // While the lab runs too: what a tunnel does not carry, and a tunnel that does not carry it.
        let ended = sandbox.uswitch(&["network", "set", "lan", "--mtu", "1480"]);
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(mtu(), 1400);
        drop(lab_at);
        let _lab = lab(sandbox, &["run", "--mtu", "1480"]);
        let add = ["tunnel", "add", "vxlan", "7", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        let ended = sandbox.uswitch(&add);
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(
            (mtu(), json(sandbox, &["show", "tunnel", "-j"])),
            (1480.into(), Value::Array(vec![]))
        );
    });
}

#[test]
fn a_second_tunnel_lowers_the_mtu_and_a_number_is_one_tunnels() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        ip("link add low type bridge");
        ip("addr add 10.8.0.1/24 dev low");
        ip("link set low mtu 1300 up");
        let _lab = lab(sandbox, &["run"]);
        let add = |vni: &str, local: &str, remote: &str| {
            let words = ["tunnel", "add", "vxlan", vni, "--local", local, "--remote", remote];
            sandbox.uswitch(&words)
        };
        let mtu = || json(sandbox, &["network", "ls", "-j"])[0]["mtu"].clone();
        add("100", "10.9.0.1", "10.9.0.2").ok();
        assert_eq!(mtu(), 1450);
        // From another end as well: the number is taken here.
        let ended = add("100", "10.8.0.1", "10.8.0.2");
        let says = "there is a tunnel with VNI 100 already";
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(mtu(), 1450);
        add("101", "10.8.0.1", "10.8.0.2").ok();
        assert_eq!(mtu(), 1250);
        // What is sent by the first one is of that length too, and passes.
        let link = sandbox.tool("ip", &["-n", "net1", "link"]);
        assert!(link.contains("mtu 1250"), "{link}");
        let words = ["netns", "exec", "net1", "ping", "-M", "do", "-c", "1", "-W", "5", "-s"];
        sandbox.tool("ip", &[&words[..], &["1222", "10.100.0.99"]].concat());
        sandbox.uswitch(&["tunnel", "remove", "101"]).ok();
        assert_eq!(mtu(), 1250, "it stays so when the tunnel goes");
    });
}

/// The number of a tunnel is the host's, and its own again once the lab is undone.
#[test]
fn the_host_has_its_numbers_back_when_the_lab_ends() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        for _ in 0..5 {
            let run = lab(sandbox, &["run"]);
            let add =
                ["tunnel", "add", "vxlan", "100", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
            sandbox.uswitch(&add).ok();
            run.signal(Signal::SIGTERM);
            run.ended().ok();
            let own = "link add mine type vxlan id 100 local 10.9.0.1 dstport 4789 dev out0";
            sandbox.tool("ip", &own.split(' ').collect::<Vec<_>>());
            sandbox.tool("ip", &["link", "del", "mine"]);
        }
    });
}

#[test]
fn an_ordinary_user_is_told_that_it_takes_root() {
    rootless(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let add = ["tunnel", "add", "vxlan", "5", "--local", "127.0.0.1", "--remote", "10.9.0.2"];
        let ended = sandbox.uswitch(&add);
        assert!(ended.complaint(2).contains("takes root"), "{}", ended.err);
    });
}
