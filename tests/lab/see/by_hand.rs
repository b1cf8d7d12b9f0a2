//! What users have changed in their nodes by hand: `explain` goes by it, and so it happens.

use super::rooted;
use crate::lab;
use crate::support::Sandbox;

struct Hands<'s>(&'s Sandbox);

impl Hands<'_> {
    fn does(&self, line: &str) {
        self.0.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
    }

    fn ip(&self, line: &str) {
        self.0.tool("ip", &line.split(' ').collect::<Vec<_>>());
    }

    /// What is said of a packet, and that `line`, run in the node, ends as it says.
    #[track_caller]
    fn said(&self, (from, to): (&str, &str), line: &str, arrives: bool, parts: &[&str]) {
        let ended = self.0.uswitch(&["explain", from, to]);
        let out = &ended.out;
        assert_eq!(ended.code, Some(i32::from(!arrives)), "{out}");
        for part in parts {
            assert!(out.contains(part), "no {part} in {out}");
        }
        let happened = self.0.shell(&format!("ip netns exec {from} {line}"));
        assert_eq!(happened.code == Some(0), arrives, "{out}{}{}", happened.out, happened.err);
    }

    #[track_caller]
    fn ping(&self, from: &str, to: &str, arrives: bool, parts: &[&str]) {
        let line = format!("ping -n -c 1 -W 2 {to}");
        self.said((from, to), &line, arrives, parts);
    }
}

/// A lab of two networks that reach each other; net1 and net2 are in the first, far in the other.
fn two_networks(test: fn(&Hands<'_>)) {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let hands = Hands(sandbox);
        hands.does("network add dmz --subnet 10.101.0.0/24 --routed lan");
        hands.does("add far --network dmz");
        test(&hands);
    });
}

#[test]
fn an_address_that_a_node_has_by_hand_is_found() {
    two_networks(|hands| {
        let nobody = "nobody here has that address";
        hands.ping("net1", "10.100.9.9", false, &[nobody]);
        hands.ip("-n net2 addr add 10.100.9.9/16 dev vethpeer2");
        hands.ping("far", "10.100.9.9", true, &["it would arrive"]);
        hands.ip("-n net1 neigh flush all");
        hands.ping("net1", "10.100.9.9", true, &["who has 10.100.9.9: net2, at"]);
        // A host answers for all its addresses at each of its interfaces.
        hands.ip("-n net2 addr add 10.100.9.10/32 dev lo");
        hands.ip("-n net1 neigh flush all");
        hands.ping("net1", "10.100.9.10", true, &["who has 10.100.9.10: net2, at"]);
        // One that has gone from one node to another.
        hands.ip("-n net2 addr del 10.100.0.20/16 dev vethpeer2");
        let lost = "it does not have 10.100.0.20 any more";
        hands.ping("net1", "10.100.0.20", false, &[lost]);
        hands.does("add net3");
        hands.ip("-n net3 addr add 10.100.0.20/16 dev vethpeer4");
        hands.ip("-n net1 neigh flush all");
        hands.ping("net1", "10.100.0.20", true, &["who has 10.100.0.20: net3, at"]);
    });
}

#[test]
fn a_node_sends_from_the_address_that_it_has_now() {
    two_networks(|hands| {
        hands.ip("-n net1 addr flush dev vethpeer1");
        hands.ip("-n net1 addr add 10.100.0.55/16 dev vethpeer1");
        hands.ip("-n net1 route add default via 10.100.0.1");
        hands.ping("net1", "8.8.8.8", true, &["10.100.0.55 > 8.8.8.8"]);
        hands.ping("net2", "10.100.0.55", true, &["who has 10.100.0.55: net1, at"]);
    });
}

#[test]
fn a_wrong_hardware_address_leads_nowhere() {
    two_networks(|hands| {
        let wrong = "lladdr 02:00:00:00:00:55 dev vethpeer1";
        hands.ip(&format!("-n net1 neigh replace 10.100.0.20 {wrong}"));
        let astray = "it is for the hardware address 02:00:00:00:00:55, and this one has";
        hands.ping("net1", "10.100.0.20", false, &[astray, "it would not arrive"]);
        hands.ip(&format!("-n net1 neigh replace 10.100.0.1 {wrong}"));
        let nobody = "nobody has the hardware address 02:00:00:00:00:55";
        hands.ping("net1", "8.8.8.8", false, &[nobody]);
        hands.ip("-n net1 neigh flush all");
        hands.ip("-n net1 neigh del 10.100.0.20 dev vethpeer1");
        hands.ip("-n net1 neigh del 10.100.0.1 dev vethpeer1");
        hands.ping("net1", "10.100.0.20", true, &[]);
        hands.ping("net1", "8.8.8.8", true, &[]);
        // It is not wrong where the other has taken it.
        hands.ip("-n net2 link set vethpeer2 address 02:00:00:00:00:55");
        hands.ip(&format!("-n net1 neigh replace 10.100.0.20 {wrong}"));
        hands.ping("net1", "10.100.0.20", true, &["10.100.0.20 is at 02:00:00:00:00:55"]);
    });
}

#[test]
fn tcp_speaks_to_one_host_alone() {
    two_networks(|hands| {
        for to in ["10.100.255.255", "255.255.255.255", "224.0.0.5"] {
            let connect = format!("bash -c 'exec 3<>/dev/tcp/{to}/80'");
            let part = format!("{to} is not one host");
            hands.said(("net1", &format!("{to}:80")), &connect, false, &[&part]);
            let ended = hands.0.uswitch(&["explain", "net1", &format!("{to}:80/udp")]);
            assert!(!ended.out.contains("not one host"), "{}", ended.out);
        }
    });
}
