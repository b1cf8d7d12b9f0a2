//! Calls for the same interface of the same container at once, which the specification forbids to
//! runtimes: one is done, the others hear of it, and nothing is lost or left.

use std::time::Duration;

use super::{Runtime, address, read, refused};
use crate::machine::eventually;
use crate::recorded::served;
use crate::support::Process;

/// While it is there an ADD waits for its address.
const WAIT: &str = "/run/test/ipam.wait";
/// Says that one does.
const WAITS: &str = "/run/test/ipam.waits";

/// An ADD that is half-way.
fn begin(runtime: &Runtime<'_>) -> Process {
    std::fs::write(WAIT, "").unwrap();
    let first = runtime.start("ADD", "c1", "eth0", &runtime.conf);
    eventually("an ADD that waits", || std::fs::exists(WAITS).unwrap().then_some(()));
    first
}

#[test]
fn what_comes_beside_an_add_is_told_to_come_again() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        let first = begin(&runtime);
        for verb in ["ADD", "CHECK"] {
            let mut conf = runtime.conf.clone();
            conf["prevResult"] = serde_json::json!({"cniVersion": "1.1.0", "ips": []});
            let why = refused(&runtime.call(verb, "c1", &conf), 11);
            assert!(why.contains("ADD of the same container's eth0 is under way"), "{verb}: {why}");
        }
        // A DEL waits, and not for ever; it has taken nothing away.
        let why = refused(&runtime.call("DEL", "c1", &runtime.conf), 11);
        assert!(why.contains("ADD of the same container's eth0 is under way"), "{why}");
        // Another interface is none of it.
        let second = runtime.start("DEL", "c1", "eth1", &runtime.conf);
        second.ended().ok();
        // One that begins beside it and ends after it, as a runtime's that has given up waiting.
        let late = runtime.start("DEL", "c1", "eth0", &runtime.conf);
        std::fs::remove_file(WAIT).unwrap();
        let added = read(&first.ended().ok());
        assert_eq!(address(&added), "10.92.0.10");
        late.ended().ok();
        runtime.nothing_is_left();
        runtime.add("c1");
        runtime.ping("c1", "10.92.0.1");
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

#[test]
fn one_of_many_adds_has_the_container() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        for _ in 0..5 {
            let all: Vec<_> =
                (0..6).map(|_| runtime.start("ADD", "c1", "eth0", &runtime.conf)).collect();
            let mut added = Vec::new();
            for ended in all.into_iter().map(Process::ended) {
                match ended.code {
                    Some(0) => added.push(read(&ended)),
                    // Beside another, or behind the one that has it: what that one has made stays as it is.
                    _ if ended.out.contains("\"code\":11") => _ = refused(&ended, 11),
                    _ => assert!(refused(&ended, 999).contains("already"), "{ended:?}"),
                }
            }
            assert_eq!(added.len(), 1, "{added:?}");
            runtime.ping("c1", "10.92.0.1");
            runtime.check("c1", &added[0]).ok();
            let all: Vec<_> = ["DEL", "DEL", "DEL"]
                .map(|verb| runtime.start(verb, "c1", "eth0", &runtime.conf))
                .into_iter()
                .collect();
            all.into_iter().for_each(|del| _ = del.ended().ok());
            runtime.nothing_is_left();
        }
        runtime.unmake(&["c1"]);
    });
}

/// The turn of a plugin that is killed goes with it; what it asked for is undone by the next.
#[test]
fn a_plugin_that_is_killed_is_in_nobodys_way() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        for pause in [0, 2, 5, 10, 15, 20, 25, 30, 40] {
            let first = runtime.start("ADD", "c1", "eth0", &runtime.conf);
            std::thread::sleep(Duration::from_millis(pause));
            first.signal(nix::sys::signal::Signal::SIGKILL);
            first.ended();
            // The plugin for addresses, which outlives it, may give one out yet.
            let given = || std::fs::read_dir("/run/test/ipam").map_or(0, Iterator::count);
            eventually("its address", || {
                runtime.del("c1");
                (given() == 0).then_some(())
            });
            runtime.nothing_is_left();
        }
        runtime.unmake(&["c1"]);
    });
}
