//! What one host knows of nodes on another: it answers for them, and says where frames go to and come from.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::hosts;
use crate::door::until;

fn texts(walk: &Value) -> Vec<String> {
    let steps = walk["steps"].as_array().unwrap().iter();
    let step = |step: &Value| {
        format!("{}: {}", step["at"].as_str().unwrap(), step["text"].as_str().unwrap())
    };
    steps.map(step).collect()
}

#[test]
fn who_is_known_is_answered_for_and_no_question_goes_by_the_tunnel() {
    hosts(|world| {
        let _labs = [1, 2, 3].map(|host| world.lab(host));
        until("host 1 reaches host 2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        // Who has no claim is asked for everywhere, as ever.
        let args = ["-l", "-nn", "-i", "eth0", "udp", "port", "4789"];
        let mut heard = world.on(1, "tcpdump", &args);
        heard.wait_for_complaint("listening on");
        for (host, to) in [(1, "10.100.1.2"), (2, "10.100.1.1"), (1, "10.100.9.9")] {
            let node = format!("h{host}-n{host}");
            world.sandbox.tool("ip", &["-n", &node, "neigh", "flush", "all"]);
            assert_eq!(world.pings(host, &format!("n{host}"), to), to != "10.100.9.9");
        }
        until("the question for nobody", || {
            heard.out().contains("who-has 10.100.9.9").then_some(())
        });
        heard.signal(Signal::SIGINT);
        let said = heard.ended().out;
        assert!(said.contains("10.100.1.1 > 10.100.1.2: ICMP echo request"), "{said}");
        for known in ["who-has 10.100.1.1", "who-has 10.100.1.2"] {
            assert!(!said.contains(known), "{said}");
        }
        // The same of IPv6, by the link's own addresses.
        let known = world.json(1, &["neigh", "ls"]);
        let row = |ip: &str| known.as_array().unwrap().iter().any(|row| row["address"] == ip);
        assert!(row("10.100.1.3") && row("fe80::aff:fe64:103"), "{known:#}");
    });
}

#[test]
fn walks_tell_the_other_host() {
    hosts(|world| {
        let _labs = [1, 2].map(|host| world.lab(host));
        until("host 1 reaches host 2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        // By the node's name, which another host has.
        let said = world.uswitch(1, &["explain", "n1", "n2", "-j"]).out;
        let walk: Value = serde_json::from_str(&said).unwrap();
        let steps = texts(&walk);
        let sent = "port vxlan100: sends it to h2, 10.9.0.2, VNI 100";
        assert_eq!(steps.last().unwrap(), sent, "{steps:#?}");
        let hit = "table: 02:00:0a:64:01:02 is at vxlan100 (n2), as the other hosts say";
        assert!(steps.iter().any(|step| step == hit), "{steps:#?}");

        let mut traces = [1, 2].map(|host| world.background(host, &["trace", "-j", "icmp"]));
        traces.iter_mut().for_each(|trace| trace.wait_for_complaint("following frames"));
        assert!(world.pings(1, "n1", "10.100.1.2"));
        let came = "port vxlan100: takes it from h1, 10.9.0.1, VNI 100";
        for (trace, first, says) in [(&traces[0], "veth1", sent), (&traces[1], "vxlan100", came)] {
            let walk = until("a walk", || {
                let out = trace.out();
                let mut lines = out.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok());
                lines.find(|line| line["trace"] == "frame" && line["port"] == first)
            });
            let steps = texts(&walk);
            assert!(steps.iter().any(|step| step == says), "{steps:#?}");
        }
        for trace in traces {
            trace.signal(Signal::SIGINT);
            trace.ended();
        }
        // So does a ping find it; who is nowhere is still nobody.
        let said = world.uswitch(1, &["ping", "-c", "1", "n1", "n2"]).ok().out;
        assert!(said.contains("PING n2 (10.100.1.2)") && said.contains(" 1 received"), "{said}");
        let ended = world.uswitch(1, &["ping", "-c", "1", "n1", "n7"]);
        assert!(ended.err.contains("n7 is neither an IPv4 address nor a node"), "{}", ended.err);
        // A broadcast goes to all of them.
        let said = world.uswitch(1, &["explain", "n1", "10.100.255.255"]).out;
        assert!(said.contains("to all other hosts: h2 10.9.0.2, VNI 100"), "{said}");
    });
}
