//! Links that go down, come back or vanish while the lab runs: what does not need them goes on.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::door::json;
use crate::support::{As, Ended, Process, Sandbox, both_ways, in_netns, rooted};
use crate::{READY, netns};

/// Ends the load when it goes out of scope, also by a failure.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `change` while streams go both ways between net1 and net3, and datagrams from net1 to
/// net2 whether that is there or not. Every stream has to arrive whole.
fn under_load(change: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let streams = scope.spawn(|| {
            let mut turns = 0;
            while !done.load(Ordering::Relaxed) || turns == 0 {
                let at = format!("10.100.0.30:{}", 8000 + turns % 1000).parse().unwrap();
                for (sent, got) in both_ways((&netns("net1"), &netns("net3")), at, 8 << 20) {
                    assert_eq!(sent, got, "turn {turns}");
                }
                turns += 1;
            }
        });
        scope.spawn(|| {
            let socket = in_netns(netns("net1"), || UdpSocket::bind("10.100.0.10:0").unwrap());
            while !done.load(Ordering::Relaxed) {
                // Nobody listens, and at times nobody is there: both come back as errors.
                let _ = socket.send_to(&[0; 200], "10.100.0.20:9");
            }
        });
        let until = Until(&done);
        change();
        drop(until);
        streams.join().unwrap();
    });
}

/// ping of the machine's own from net1; `args` say how long.
fn ping(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", "net1", "ping", "-n"]).args(args);
    Process::start(command, "ping").ended()
}

fn start(sandbox: &Sandbox) -> Process {
    let mut run = sandbox.start(&["run", "-n", "3"]);
    run.wait_for(READY);
    run
}

#[test]
fn a_link_goes_down_and_comes_back() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            for _ in 0..5 {
                sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
                assert_eq!(ping(sandbox, &["-c", "1", "-W", "1", "10.100.0.20"]).code, Some(1));
                sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "up"]);
                // One answer.
                ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", "10.100.0.20"]).ok();
            }
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        let ended = run.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_port_vanishes_under_load() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            sandbox.tool("ip", &["-n", "net2", "link", "del", "vethpeer2"]);
            run.wait_for_complaint("interface is gone");
            assert_ne!(ping(sandbox, &["-c", "1", "-W", "1", "10.100.0.20"]).code, Some(0));
            for to in ["10.100.0.1", "10.100.0.30", "8.8.8.8"] {
                ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", to]).ok();
            }
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_namespace_loses_its_name_under_load() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            sandbox.tool("ip", &["netns", "del", "net2"]);
            // One of the same name is not the lab's, and stays.
            sandbox.tool("ip", &["netns", "add", "net2"]);
            ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", "10.100.0.30"]).ok();
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
        sandbox.tool("ip", &["netns", "del", "net2"]);
        assert_eq!(sandbox.state(), before);
    });
}

/// Broadcasts from the node `name` as soon as it is there, whether its link is up or not.
fn talk_at_once(name: &str, done: &AtomicBool) {
    while !netns(name).exists() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    // A file for a moment, before a namespace is mounted over it.
    let bind = || in_netns_if_any(name);
    let socket = loop {
        match bind() {
            Some(socket) => break socket,
            None if done.load(Ordering::Relaxed) => return,
            None => std::thread::sleep(Duration::from_micros(100)),
        }
    };
    while !done.load(Ordering::Relaxed) {
        // Refused until the address is there.
        let _ = socket.send_to(&[0; 100], "10.100.255.255:9");
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn in_netns_if_any(name: &str) -> Option<UdpSocket> {
    let file = std::fs::File::open(netns(name)).ok()?;
    let inside = move || {
        nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).ok()?;
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.set_broadcast(true).ok()?;
        Some(socket)
    };
    std::thread::scope(|scope| scope.spawn(inside).join().ok()?)
}

/// What the kernel has counted at a node's end of its link, and the switch at its port: packets and
/// bytes, sent and received by the node.
fn both_counts(sandbox: &Sandbox, node: &str, number: &str) -> [[u64; 4]; 2] {
    let interface = format!("vethpeer{number}");
    let ours = sandbox.uswitch(&["show", "ports", "-j"]).ok().out;
    let link = sandbox.tool("ip", &["-n", node, "-s", "-j", "link", "show", &interface]);
    let [ours, link]: [Value; 2] = [ours, link].map(|text| serde_json::from_str(&text).unwrap());
    let port = format!("veth{number}");
    let port = ours.as_array().unwrap().iter().find(|one| one["ifname"] == port.as_str()).unwrap();
    let count = |of: &Value, way: &str, what: &str| of["stats64"][way][what].as_u64().unwrap();
    let four = |of: &Value, [sent, received]: [&str; 2]| {
        let [a, b] = ["packets", "bytes"].map(|what| count(of, sent, what));
        let [c, d] = ["packets", "bytes"].map(|what| count(of, received, what));
        [a, b, c, d]
    };
    [four(&link[0], ["tx", "rx"]), four(port, ["rx", "tx"])]
}

/// A node has no carrier before the switch knows its port: nothing that it sends is lost or from
/// nobody, not even the first frame.
#[test]
fn who_talks_at_once_is_heard_from_the_first_frame() {
    const FIRST: [&str; 5] = ["net1", "net2", "net3", "net4", "net5"];
    const LATER: [&str; 3] = ["net6", "net7", "net8"];
    for _ in 0..3 {
        rooted(|sandbox| {
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let until = Until(&done);
                // One namespace for all of them: a thread of a scope has its starter's.
                let talkers: Vec<_> = FIRST
                    .iter()
                    .chain(&LATER)
                    .map(|name| scope.spawn(|| talk_at_once(name, &done)))
                    .collect();
                let mut run = sandbox.start(&["run", "-n", "5"]);
                run.wait_for(READY);
                for _ in LATER {
                    sandbox.uswitch(&["add"]).ok();
                }
                drop(until);
                talkers.into_iter().for_each(|talker| talker.join().unwrap());
                let names = FIRST.iter().chain(&LATER).map(|name| (*name, &name[3..]));
                for (node, number) in names.chain([("inet", "inet")]) {
                    let limit = Instant::now() + Duration::from_secs(60);
                    // What is on its way comes first.
                    loop {
                        let [kernel, switch] = both_counts(sandbox, node, number);
                        if kernel == switch && kernel[0] > 0 {
                            break;
                        }
                        assert!(Instant::now() < limit, "{node}: {kernel:?}, {switch:?}");
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
                let counters = sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
                assert!(!counters.contains("unknown-port"), "{counters}");
                run.signal(Signal::SIGTERM);
                run.ended().ok();
            });
        });
    }
}

/// The states of a node's interfaces: its first, and those further.
fn states(sandbox: &Sandbox, node: &str) -> Vec<bool> {
    let shown = json(sandbox, &["show", "topology", "-j"]);
    let mut nodes = shown["nodes"].as_array().unwrap().iter();
    let node = nodes.find(|row| row["name"] == node).unwrap();
    let further = node["further"].as_array().into_iter().flatten();
    std::iter::once(node).chain(further).map(|own| own["up"].as_bool().unwrap()).collect()
}

#[test]
fn each_interface_is_up_or_down_by_itself() {
    rooted(|sandbox| {
        let uswitch = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
        let mut run = sandbox.start(&["run", "-n", "2"]);
        run.wait_for(READY);
        uswitch("network add dmz --subnet 10.2.0.0/24").ok();
        uswitch("add a --network lan --network dmz").ok();
        assert_eq!(states(sandbox, "a"), [true, true]);
        uswitch("link a down --network dmz").ok();
        until(|| states(sandbox, "a") == [true, false]);
        let shown = uswitch("show topology").ok().out;
        let row = |of: &str| shown.lines().find(|line| line.contains(of)).unwrap().to_owned();
        assert!(row(" lan ").contains(" up ") && row(" dmz ").contains(" down "), "{shown}");
        assert_eq!(uswitch("graph").ok().out.matches("-.-").count(), 1);
        // Its end is gone with the other: it is down, and nothing brings it up.
        sandbox.tool("ip", &["-n", "net1", "link", "del", "vethpeer1"]);
        run.wait_for_complaint("interface is gone");
        assert_eq!(states(sandbox, "net1"), [false]);
        let lost = uswitch("link net1 up").complaint(2).to_owned();
        assert!(lost.contains("node net1 has lost its interface vethpeer1"), "{lost}");
        run.signal(Signal::SIGTERM);
        run.ended();
        // From node to node there is no port.
        let mut run = sandbox.start(&["run", "pair"]);
        run.wait_for(READY);
        assert_eq!(states(sandbox, "net1"), [true]);
        uswitch("link net1 down").ok();
        assert_eq!((states(sandbox, "net1"), states(sandbox, "net2")), (vec![false], vec![false]));
        assert_eq!(uswitch("graph").ok().out.matches("-.-").count(), 1);
        run.signal(Signal::SIGTERM);
        run.ended().ok();
    });
}

#[test]
fn a_port_out_of_all_networks_is_shown_as_such() {
    rooted(|sandbox| {
        let mut run = sandbox.start(&["run", "-n", "2"]);
        run.wait_for(READY);
        assert!(!sandbox.uswitch(&["show", "topology"]).ok().out.contains("NETWORK"));
        sandbox.uswitch(&["port", "net2", "--network", "none"]).ok();
        let shown = sandbox.uswitch(&["show", "topology"]).ok().out;
        assert!(shown.contains("NETWORK"), "{shown}");
    });
}

#[track_caller]
fn until(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < limit, "never");
        std::thread::sleep(Duration::from_millis(10));
    }
}
