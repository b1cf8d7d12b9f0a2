//! What counts against a limit of learned addresses, and what gets past it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::packets::{ALL, mac, plain};
use crate::door::json;
use crate::support::{Sandbox, Wire, rooted};
use crate::{lab, netns};

/// Kinds of entries that are set, and the words for them.
const SET: [&str; 4] = ["--static", "--sticky", "--extern", "--local"];

fn does(sandbox: &Sandbox, line: &str) {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
}

/// The addresses of this test that were learned, and how many the network says that there are.
fn learned(sandbox: &Sandbox) -> (usize, u64) {
    let rows = json(sandbox, &["show", "fdb", "-j"]);
    let learned = |row: &&Value| row["state"] == "" && row["flags"].as_array().unwrap().is_empty();
    let all: Vec<_> = rows.as_array().unwrap().iter().filter(learned).cloned().collect();
    let ours = all.iter().filter(|row| row["mac"].as_str().unwrap().starts_with("02:aa")).count();
    let counted = json(sandbox, &["network", "ls", "-j"])[0]["fdb_n_learned"].as_u64().unwrap();
    // What nodes say of themselves is learned as well.
    (ours, counted - (all.len() - ours) as u64)
}

/// So many are learned, once all that was sent has been through.
#[track_caller]
fn becomes(sandbox: &Sandbox, wanted: usize, what: &str) {
    let limit = Instant::now() + Duration::from_secs(20);
    loop {
        let is = learned(sandbox);
        if is == (wanted, wanted as u64) {
            return;
        }
        assert!(Instant::now() < limit, "{what}: {is:?}, not {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_learned_counts_and_what_is_set_does_not() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "--uplink", "none"]);
        // What a node's own kernel says would count too.
        let quiet = ["netns", "exec", "net1", "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"];
        sandbox.tool("ip", &quiet);
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        let mut speak = |n: u8| wire.send(&plain(ALL, mac(n)));
        (1..=16).for_each(&mut speak);
        becomes(sandbox, 16, "sixteen have spoken");
        does(sandbox, "fdb flush net1");
        becomes(sandbox, 0, "flushed");
        for kind in SET {
            does(sandbox, &format!("fdb add 02:aa:00:00:00:01 net1 {kind}"));
            becomes(sandbox, 0, kind);
            does(sandbox, "fdb del 02:aa:00:00:00:01");
            // One that was learned is no longer counted once it is set, nor once it is taken out.
            speak(1);
            becomes(sandbox, 1, "learned");
            does(sandbox, &format!("fdb add 02:aa:00:00:00:01 net1 {kind}"));
            becomes(sandbox, 0, kind);
            does(sandbox, "fdb del 02:aa:00:00:00:01");
        }
        // At a limit nobody more is learned, and whoever is set comes in.
        for node in ["net2", "net3"] {
            does(sandbox, &format!("port {node} --learning off"));
        }
        does(sandbox, "port net1 --learn-limit 8");
        does(sandbox, "fdb flush");
        (1..=16).for_each(&mut speak);
        becomes(sandbox, 8, "at the limit");
        for (n, kind) in (20..).zip(SET) {
            does(sandbox, &format!("fdb add 02:aa:00:00:00:{n} net1 {kind}"));
            let rows = json(sandbox, &["show", "fdb", "-j"]);
            let here = |row: &Value| row["mac"] == format!("02:aa:00:00:00:{n}");
            assert!(rows.as_array().unwrap().iter().any(here), "{kind}: {rows}");
        }
        becomes(sandbox, 8, "and still at it");
        // The network's own limit is of the same kind.
        does(sandbox, "port net1 --learn-limit 16384");
        does(sandbox, "network set lan --fdb-max-learned 4");
        does(sandbox, "fdb flush");
        (1..=16).for_each(&mut speak);
        becomes(sandbox, 4, "at the network's limit");
    });
}

/// Who knocks at a locked port is noted, moves to a port that is open and is then let in there, and does
/// not come back; what is noted goes when nobody is noted any more.
#[test]
fn who_knocks_at_a_locked_port_roams_to_open_ones_alone() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "--uplink", "none"]);
        for wrong in ["--mab on", "--locked on --mab on --learning off"] {
            let line = format!("port net1 {wrong}");
            sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).complaint(2);
        }
        does(sandbox, "port net1 --locked on --mab on");
        sandbox.uswitch(&["port", "net1", "--learning", "off"]).complaint(2);
        let mut wires =
            [1, 2].map(|n| Wire::open(netns(&format!("net{n}")), &format!("vethpeer{n}")));
        let at = |n: u8| {
            let rows = json(sandbox, &["show", "fdb", "-j"]);
            let own = format!("02:aa:00:00:00:{n:02x}");
            let row = rows.as_array().unwrap().iter().find(|row| row["mac"] == own).cloned();
            row.map(|row| (row["node"].as_str().unwrap().to_owned(), row["flags"].to_string()))
        };
        let becomes = |n: u8, wanted: Option<(&str, &str)>| {
            let limit = Instant::now() + Duration::from_secs(20);
            let wanted = wanted.map(|(node, flags)| (node.to_owned(), flags.to_owned()));
            while at(n) != wanted {
                assert!(Instant::now() < limit, "{n}: {:?}, not {wanted:?}", at(n));
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        wires[0].send(&plain(ALL, mac(5)));
        becomes(5, Some(("net1", "[\"locked\"]")));
        wires[1].send(&plain(ALL, mac(5)));
        becomes(5, Some(("net2", "[]")));
        wires[0].send(&plain(ALL, mac(5)));
        wires[0].send(&plain(ALL, mac(6)));
        becomes(6, Some(("net1", "[\"locked\"]")));
        becomes(5, Some(("net2", "[]")));
        // Set in its place it is let in, and no longer noted.
        does(sandbox, "fdb add 02:aa:00:00:00:06 net1 --static");
        becomes(6, Some(("net1", "[]")));
        does(sandbox, "port net2 --locked on --mab on");
        wires[0].send(&plain(ALL, mac(7)));
        wires[1].send(&plain(ALL, mac(8)));
        becomes(7, Some(("net1", "[\"locked\"]")));
        becomes(8, Some(("net2", "[\"locked\"]")));
        does(sandbox, "port net1 --mab off");
        becomes(7, None);
        becomes(8, Some(("net2", "[\"locked\"]")));
        becomes(6, Some(("net1", "[]")));
    });
}
