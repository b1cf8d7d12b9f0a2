//! What leaves: with the tag it has at each port, the switch's own words too, and by the ports that are
//! asked for, also where their numbers have been another's meanwhile.

use serde_json::Value;

use super::trace::{trace, walks};
use super::{fields, lab, ping, tcpdump};
use crate::door::json;
use crate::support::{Process, Sandbox, captured, rooted};

fn capture(sandbox: &Sandbox, args: &[&str]) -> (Process, String) {
    let file = sandbox.dir.join("leaving.pcapng").display().to_string();
    let mut process = sandbox.start(&[&["capture", "-w", &file], args].concat());
    process.wait_for_complaint("recording frames");
    (process, file)
}

#[test]
fn a_frame_is_seen_with_the_tag_it_has_at_each_port() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        sandbox.uswitch(&["network", "set", "lan", "--vlan-filtering", "on"]).ok();
        sandbox.uswitch(&["vlan", "add", "net1", "10", "--pvid", "--untagged"]).ok();
        sandbox.uswitch(&["vlan", "add", "net2", "10"]).ok();
        let (dump, theirs) = tcpdump(sandbox, ("net2", "vethpeer2"), 1, "vlan 10 and arp");
        let (ours, file) = capture(sandbox, &["-c", "1", "veth2", "vlan 10 and arp and len = 46"]);
        let walked = trace(sandbox, &["-c", "1", "veth2", "vlan 10 and arp"]);
        sandbox.shell("ip netns exec net1 ping -n -c 2 -W 1 10.100.0.20");
        ours.ended().ok();
        dump.ended().ok();
        let names = ["vlan.id", "frame.len", "eth.src", "arp.dst.proto_ipv4"];
        let rows = fields(sandbox, &file, &names);
        assert_eq!(rows, fields(sandbox, &theirs, &names));
        assert_eq!(rows[0][..2], ["10", "46"]);
        let walk = &walks(&walked.ended().ok().out)[0];
        let texts: Vec<_> = walk["steps"].as_array().unwrap().iter().map(|s| &s["text"]).collect();
        let told = |text: &&Value| text.as_str().unwrap().contains("veth2 tagged 10");
        assert!(texts.iter().any(told), "{walk}");
    });
}

#[test]
fn what_the_switch_answers_itself_is_seen() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        ping(sandbox, "net1", "10.100.0.20", "1");
        sandbox.uswitch(&["port", "veth2", "--neigh-suppress", "on"]).ok();
        let (dump, theirs) = tcpdump(sandbox, ("net1", "vethpeer1"), 2, "arp");
        let (ours, file) = capture(sandbox, &["-c", "2", "veth1", "arp"]);
        let walked = trace(sandbox, &["-c", "2", "veth1", "arp"]);
        sandbox.tool("ip", &["-n", "net1", "neigh", "flush", "all"]);
        ping(sandbox, "net1", "10.100.0.20", "1");
        ours.ended().ok();
        dump.ended().ok();
        let names = ["arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "frame.len"];
        let rows = fields(sandbox, &file, &names);
        assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(rows, fields(sandbox, &theirs, &names));
        let walks = walks(&walked.ended().ok().out);
        assert_eq!((&walks[1]["port"], &walks[1]["to"][0]), (&"switch".into(), &"veth1".into()));
        let first = &walks[1]["steps"][0];
        assert_eq!((&first["at"], &first["decision"]), (&"switch".into(), &"speaks".into()));
    });
}

#[test]
fn a_node_that_is_asked_for_is_seen_again_when_it_is_back_and_no_other_in_its_place() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        let seen = trace(sandbox, &["-c", "4", "net2", "icmp"]);
        let address = |node: &str| {
            let nodes = json(sandbox, &["show", "topology", "-j"])["nodes"].clone();
            let mut nodes = nodes.as_array().unwrap().iter();
            let row = nodes.find(|row| row["name"] == node).unwrap();
            row["address"].as_str().unwrap().to_owned()
        };
        let meet = |node: &str, count: &str| {
            let (to, count) = (address(node), count);
            let line = format!("ip netns exec net1 ping -n -i 0.02 -W 5 -c {count} {to}");
            sandbox.shell(&line).ok();
            to
        };
        let first = meet("net2", "1");
        sandbox.uswitch(&["remove", "net2"]).ok();
        sandbox.uswitch(&["add", "web"]).ok();
        meet("web", "9");
        sandbox.uswitch(&["add", "net2"]).ok();
        let again = meet("net2", "1");
        let walks = walks(&seen.ended().ok().out);
        for (walk, to) in walks.iter().zip([&first, &first, &again, &again]) {
            let (summary, text) = (walk["summary"].as_str().unwrap(), walk.to_string());
            assert!(summary.contains(to.as_str()), "{walk}");
            assert!(text.contains("net2") && !text.contains("web"), "{walk}");
        }
    });
}
