//! `tunnel check`: a way that carries all, and the reasons of those that do not.

use serde_json::Value;

use super::{json, other_host};
use crate::door::until;
use crate::support::{Sandbox, rooted};
use crate::{json::held, lab};

/// The one row, and the code it ended with.
fn checked(sandbox: &Sandbox, words: &[&str]) -> (Value, Option<i32>) {
    let ended = sandbox.uswitch(&[&["tunnel", "check", "-j"], words].concat());
    held(sandbox, "tunnel check", "tunnel check -j", &ended.out);
    let rows: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows:#}");
    (rows[0].clone(), ended.code)
}

fn says(row: &Value, why: &str, mend: &str) {
    assert_eq!(row["ok"], false, "{row:#}");
    assert!(row["why"].as_str().unwrap().contains(why), "{row:#}");
    assert!(row["mend"].as_str().unwrap().contains(mend), "{row:#}");
}

#[test]
fn the_way_to_a_bridge_of_the_kernel_is_checked() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        let nft = |line: &str| ip(&format!("netns exec hostb nft {line}"));
        nft("add table ip t");
        nft("add chain ip t in { type filter hook input priority 0 ; }");
        let _lab = lab(sandbox, &["run", "--join", "vtep://10.9.0.2?vni=100"]);
        // Nobody says who is there.
        let (row, code) = checked(sandbox, &[]);
        assert_eq!(code, Some(1));
        says(&row, "nobody is known there", "tunnel check ADDRESS");
        assert_eq!(row["outside"]["large"]["state"], "answered", "{row:#}");

        // A node's address: all passes, in segments of the full length.
        until("all passes", || {
            let (row, code) = checked(sandbox, &["10.100.0.99"]);
            (code == Some(0) && row["ok"] == true).then_some(())
        });
        let (row, _) = checked(sandbox, &["10.100.0.99"]);
        assert_eq!((&row["vtep"], &row["from"]), (&"10.9.0.2".into(), &"net1".into()));
        assert_eq!(row["inside"]["large"]["bytes"], 1450, "{row:#}");
        assert_eq!(row["outside"]["large"]["bytes"], 1500, "{row:#}");
        assert_eq!(row["inside"]["tcp_segments"], "answered", "{row:#}");
        let shown = sandbox.uswitch(&["tunnel", "check", "10.100.0.99"]).ok().out;
        assert!(shown.contains("10.9.0.2") && shown.trim_end().ends_with("ok"), "{shown}");

        // An underlay that has become too narrow for what was asked for: the kernel would cut each packet in two.
        sandbox.uswitch(&["network", "set", "lan", "--mtu", "1450"]).ok();
        ip("link set out0 mtu 1400");
        let (row, code) = checked(sandbox, &["10.100.0.99"]);
        assert_eq!(code, Some(1));
        says(&row, "packets of 1500 bytes do not get to 10.9.0.2", "network set lan --mtu 1350");
        ip("link set out0 mtu 1500");

        // One that loses long packets without a word, and what it carries.
        ip("-n hostb link set out1 mtu 1300");
        let ended = sandbox.uswitch(&["tunnel", "check", "100"]);
        assert!(ended.complaint(1).contains("do: raise the MTU"), "{}", ended.err);
        ip("-n hostb link set out1 mtu 1500");

        // TCP that is dropped as one with wrong checksums is, in long segments alone.
        nft("add rule ip t in iifname br0 meta l4proto tcp ip length 1000-9000 drop");
        let (row, code) = checked(sandbox, &["10.100.0.99"]);
        assert_eq!(code, Some(1));
        says(&row, "short segments of TCP get to 10.100.0.99 and long ones do not", "tx-udp_tnl");
        nft("flush chain ip t in");

        // A firewall before the tunnel's port.
        nft("add rule ip t in udp dport 4789 drop");
        let (row, code) = checked(sandbox, &["10.100.0.99"]);
        assert_eq!(code, Some(1));
        says(&row, "10.9.0.2 answers, but nothing comes back", "let UDP port 4789 in");
        nft("flush chain ip t in");

        // A host that is gone.
        ip("-n hostb link set out1 down");
        let (row, code) = checked(sandbox, &["10.9.0.2"]);
        assert_eq!(code, Some(1));
        says(&row, "10.9.0.2 does not answer", "ping -I 10.9.0.1 10.9.0.2");
    });
}

#[test]
fn what_is_no_way_is_refused_in_a_line() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let _lab = lab(sandbox, &["run"]);
        let none = sandbox.uswitch(&["tunnel", "check"]).ok().out;
        assert_eq!(none, "no tunnel leads to another host\n");
        assert_eq!(json(sandbox, &["tunnel", "check", "-j"]), Value::Array(Vec::new()));
        sandbox
            .uswitch(&[
                "tunnel", "add", "vxlan", "100", "--local", "10.9.0.1", "--remote", "10.9.0.2",
            ])
            .ok();
        // The last are a node of ours and the gateway.
        for word in ["h9", "101", "10.8.0.1", "10.100.0.10", "10.100.0.1"] {
            let ended = sandbox.uswitch(&["tunnel", "check", word]);
            let says = format!("{word} is no VNI here, no other host (10.9.0.2), and no address");
            assert!(ended.complaint(2).contains(&says), "{}", ended.err);
        }
    });
}

#[test]
fn a_node_that_is_in_the_network_by_its_second_interface_is_checked_from() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let path = sandbox.dir.join("lab.yaml");
        let file = "networks:\n  dmz: {subnet: 10.101.0.0/24}\n  lan: {subnet: 10.100.0.0/16}\n\
                    nodes:\n  a: {networks: {dmz: {}, lan: {}}}\n\
                    join: vtep://10.9.0.2?vni=100&network=lan\n";
        std::fs::write(&path, file).unwrap();
        let _lab = lab(sandbox, &["run", path.to_str().unwrap()]);
        until("all passes", || {
            let (row, code) = checked(sandbox, &["10.100.0.99"]);
            assert_eq!(row["from"], "a", "{row:#}");
            (code == Some(0)).then_some(())
        });
        // Nobody says who is there, so the outside alone is tried.
        let (row, code) = checked(sandbox, &[]);
        assert_eq!((code, &row["from"]), (Some(1), &"a".into()), "{row:#}");
    });
}
