//! What is told of groups, beside what `bridge -d -s -j mdb show` tells of the same reports.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::packets::{ip, join, report};
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
fn told(
    frames: &[(usize, Vec<u8>)],
    then: impl Fn(),
    tell: impl Fn() -> String,
) -> BTreeSet<String> {
    let mut wires =
        PORTS.map(|port| Wire::open(netns(&format!("net{port}")), &format!("vethpeer{port}")));
    for (port, frame) in frames {
        wires[port - 1].send(&numbered(frame, 0));
        std::thread::sleep(Duration::from_millis(50));
    }
    then();
    let said: Value = serde_json::from_str(&tell()).unwrap();
    rows(&said[0]["mdb"])
}

/// Both tell the same; what it has in it is `holds`.
fn compare(
    version: &str,
    frames: &[(usize, Vec<u8>)],
    then: fn(&Sandbox),
    holds: fn(&BTreeSet<String>) -> bool,
) {
    captured(|sandbox| {
        let mut run = sandbox.start(&["run", "-n", "4", "--uplink", "none"]);
        run.wait_for(READY);
        let line = format!("{ASKING}{version}");
        sandbox.uswitch(&line.split_whitespace().collect::<Vec<_>>()).ok();
        std::thread::sleep(Duration::from_millis(1500));
        let ours =
            told(frames, || then(sandbox), || sandbox.uswitch(&["show", "mdb", "-j"]).ok().out);
        run.signal(Signal::SIGTERM);
        run.ended();
        assert!(holds(&ours), "{ours:#?}");
        let theirs = by_bridge(sandbox, version, frames, then);
        assert_eq!(ours, theirs, "ours, and the bridge's");
    });
}

fn by_bridge(
    sandbox: &Sandbox,
    version: &str,
    frames: &[(usize, Vec<u8>)],
    then: fn(&Sandbox),
) -> BTreeSet<String> {
    linux_bridge(sandbox);
    let set = |line: &str| {
        let line = format!("-n bridge link set br0 type bridge {line}");
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    };
    set("mcast_query_response_interval 100");
    set(&format!("mcast_snooping 1 mcast_querier 1 mcast_igmp_version {version}"));
    std::thread::sleep(Duration::from_millis(1500));
    let words = ["-n", "bridge", "-d", "-s", "-j", "mdb", "show", "dev", "br0"];
    told(frames, || then(sandbox), || sandbox.tool("bridge", &words))
}

#[test]
fn sources_are_told_as_bridge_tells_them() {
    let frames = [
        (2, report(2, 2, G, &[ip(2)])), // IS_EX {2}
        (3, report(3, 1, G, &[ip(3)])), // IS_IN {3}, which port 2 gets too
    ];
    compare(
        "3",
        &frames,
        |_| (),
        |rows| rows.iter().filter(|row| row.contains("added_by_star_ex")).count() == 1,
    );
}

#[test]
fn joins_are_told_as_bridge_tells_them() {
    compare("2", &[(2, join(2, G)), (3, join(3, G))], |_| (), |rows| rows.len() == 2);
}

/// Takes net2's link down and up.
fn bounce(sandbox: &Sandbox) {
    for to in ["down", "up"] {
        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", to]);
        // The kernel tells of a lost carrier within a second.
        std::thread::sleep(Duration::from_millis(1500));
    }
}

#[test]
fn a_link_that_goes_down_ends_what_was_joined_there() {
    compare("2", &[(2, join(2, G)), (3, join(3, G))], bounce, |rows| rows.len() == 1);
}
