//! What is told of groups, beside what `bridge -d -s -j mdb show` tells of the same reports.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::packets::{igmp, ip, join, report};
use super::{PORTS, linux_bridge, numbered};
use crate::support::{Sandbox, Wire, captured};
use crate::{READY, netns};

const G: [u8; 4] = [239, 10, 10, 10];
const ASKING: &str = "network set lan --mcast-snooping on --mcast-querier on \
                      --mcast-query-response-interval 1 --mcast-igmp-version ";

/// The rows of the group, without what only one of both can know, and timers by their form.
fn rows(all: &Value) -> BTreeSet<String> {
    let form = |timer: &mut Value| {
        let text = timer.as_str().unwrap();
        let runs = text.trim() != "0.00";
        let form = text.chars().map(|c| if c.is_ascii_digit() && runs { '9' } else { c });
        *timer = form.collect::<String>().into();
    };
    let bare = |row: &Value| {
        let mut row = row.clone();
        let fields = row.as_object_mut().unwrap();
        ["index", "dev", "node"].iter().for_each(|key| _ = fields.remove(*key));
        form(&mut row["timer"]);
        for source in row.get_mut("source_list").and_then(Value::as_array_mut).into_iter().flatten()
        {
            form(&mut source["timer"]);
        }
        row.to_string()
    };
    let rows = all.as_array().unwrap().iter();
    rows.filter(|row| row["grp"] == "239.10.10.10").map(bare).collect()
}

/// Sends reports into ports, and what a switch then tells.
fn told(frames: &[(usize, Vec<u8>)], tell: impl Fn() -> Value) -> BTreeSet<String> {
    let mut wires =
        PORTS.map(|port| Wire::open(netns(&format!("net{port}")), &format!("vethpeer{port}")));
    for (port, frame) in frames {
        wires[port - 1].send(&numbered(frame, 0));
        std::thread::sleep(Duration::from_millis(50));
    }
    rows(&tell()["mdb"])
}

fn compare(version: &str, frames: &[(usize, Vec<u8>)]) -> BTreeSet<String> {
    let mut both = Vec::new();
    captured(|sandbox| {
        let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let mut run = sandbox.start(&["run", "-n", "4", "--uplink", "none"]);
        run.wait_for(READY);
        let line = format!("{ASKING}{version}");
        sandbox.uswitch(&line.split_whitespace().collect::<Vec<_>>()).ok();
        std::thread::sleep(Duration::from_millis(1500));
        let ours = told(frames, || json(sandbox.uswitch(&["show", "mdb", "-j"]).ok().out));
        run.signal(Signal::SIGTERM);
        run.ended();
        let theirs = by_bridge(sandbox, version, frames);
        assert_eq!(ours, theirs, "ours, and the bridge's");
        both.push(ours);
    });
    both.pop().unwrap_or_default()
}

fn by_bridge(sandbox: &Sandbox, version: &str, frames: &[(usize, Vec<u8>)]) -> BTreeSet<String> {
    linux_bridge(sandbox);
    let set = |line: &str| {
        let line = format!("-n bridge link set br0 type bridge {line}");
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    };
    set("mcast_query_response_interval 100");
    set(&format!("mcast_snooping 1 mcast_querier 1 mcast_igmp_version {version}"));
    std::thread::sleep(Duration::from_millis(1500));
    told(frames, || {
        let words = ["-n", "bridge", "-d", "-s", "-j", "mdb", "show", "dev", "br0"];
        let said: Value = serde_json::from_str(&sandbox.tool("bridge", &words)).unwrap();
        said[0].clone()
    })
}

#[test]
fn sources_are_told_as_bridge_tells_them() {
    let frames = [
        (2, report(2, 2, G, &[ip(2)])), // IS_EX {2}
        (3, report(3, 1, G, &[ip(3)])), // IS_IN {3}, which port 2 gets too
    ];
    let rows = compare("3", &frames);
    assert!(rows.is_empty() || rows.iter().any(|row| row.contains("added_by_star_ex")), "{rows:?}");
}

#[test]
fn joins_are_told_as_bridge_tells_them() {
    let frames = [(2, join(2, G)), (3, igmp(3, 0x16, 0, &G, G))];
    compare("2", &frames);
}
