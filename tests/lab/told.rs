//! Which network what is told is of, in labs of several: `monitor`, `trace` and `top`, narrowed to one
//! by `--network`; a lab of one network says as much as ever.

use serde_json::Value;

use crate::door::until;
use crate::lab;
use crate::support::{Process, Sandbox, rooted};

fn does(sandbox: &Sandbox, line: &str) {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
}

fn ping(sandbox: &Sandbox, from: &str, to: &str) {
    let words = ["exec", from, "--", "ping", "-q", "-c", "2", "-i", "0.2", "-W", "5", to];
    sandbox.uswitch(&words).ok();
}

/// The lines of a program that goes on, as JSON, once one of them has `word` in it.
fn lines(process: &mut Process, word: &str) -> Vec<Value> {
    process.wait_for(word);
    let whole = process.out();
    let lines = whole.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.collect()
}

#[test]
fn what_is_told_says_of_which_network_it_is() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        does(sandbox, "network add dmz --subnet 10.2.0.0/24");
        does(sandbox, "add a --network dmz,10.2.0.10");
        does(sandbox, "add b --network dmz,10.2.0.11");
        for verb in ["monitor", "trace", "top -b -n 1"] {
            let line = format!("{verb} --network nowhere");
            let words: Vec<_> = line.split(' ').collect();
            let said = sandbox.uswitch(&words).complaint(2).to_owned();
            assert!(said.contains("it has lan, dmz"), "{line}: {said}");
        }
        let mut all = sandbox.start(&["monitor", "-j"]);
        let mut one = sandbox.start(&["monitor", "-j", "--network", "dmz"]);
        let mut walks = sandbox.start(&["trace", "-j", "--network", "dmz", "icmp"]);
        until("both listen", || {
            does(sandbox, "port a --network lan");
            does(sandbox, "port a --network dmz");
            [&all, &one].iter().all(|process| process.out().contains("port_moved")).then_some(())
        });
        walks.wait_for_complaint("following frames");
        does(sandbox, "network set dmz --mtu 1400");
        // From here on whoever speaks is new.
        does(sandbox, "fdb flush");
        ping(sandbox, "net1", "10.100.0.20");
        ping(sandbox, "a", "10.2.0.11");
        let of = |lines: &[Value]| {
            let all = lines.iter().filter_map(|line| line["network"].as_str());
            all.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let heard = lines(&mut all, "02:00:0a:02:00:0b");
        assert_eq!(of(&heard).into_iter().collect::<Vec<_>>(), ["dmz", "lan"]);
        let learned = heard.iter().filter(|line| line["event"] == "learned");
        for event in learned {
            let wanted = match event["mac"].as_str().unwrap().starts_with("02:00:0a:02") {
                true => "dmz",
                false => "lan",
            };
            assert!(event["network"] == wanted || event["ifname"] == "veth3", "{event}");
        }
        let heard = lines(&mut one, "02:00:0a:02:00:0b");
        let told = heard.iter().filter(|line| line["event"] != "missed");
        assert!(told.clone().all(|line| line["network"] == "dmz"), "{heard:?}");
        let resized = heard.iter().find(|line| line["event"] == "mtu_changed").expect("its MTU");
        assert_eq!((&resized["from"], &resized["to"]), (&1500.into(), &1400.into()), "{resized}");
        let walked = lines(&mut walks, "10.2.0.11");
        assert!(walked.iter().all(|walk| walk["network"] == "dmz"), "{walked:?}");
        let top = sandbox.uswitch(&["top", "-b", "-n", "1"]).ok().out;
        assert!(top.contains("NETWORK") && top.contains("veth1"), "{top}");
        let top = sandbox.uswitch(&["top", "-b", "-n", "1", "--network", "dmz"]).ok().out;
        assert!(top.contains("veth3") && !top.contains("veth1 "), "{top}");
        let why = sandbox.uswitch(&["explain", "a", "10.2.0.11"]).ok().out;
        assert!(why.contains("[dmz]"), "{why}");
    });
}

#[test]
fn a_lab_of_one_network_does_not_name_it() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        let mut all = sandbox.start(&["monitor", "-j", "--network", "lan"]);
        let mut walks = sandbox.start(&["trace", "-j", "--network", "lan", "icmp"]);
        walks.wait_for_complaint("following frames");
        until("it listens", || {
            does(sandbox, "add x");
            does(sandbox, "remove x");
            all.out().contains("port_added").then_some(())
        });
        ping(sandbox, "net1", "10.100.0.20");
        for told in [lines(&mut all, "port_added"), lines(&mut walks, "10.100.0.20")] {
            assert!(told.iter().all(|line| line["network"].is_null()), "{told:?}");
        }
        let top = sandbox.uswitch(&["top", "-b", "-n", "1"]).ok().out;
        assert!(!top.contains("NETWORK"), "{top}");
        assert!(!sandbox.uswitch(&["explain", "net1", "10.100.0.20"]).ok().out.contains("[lan]"));
    });
}
