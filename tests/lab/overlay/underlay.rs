//! The MTU of the host's interface that carries a tunnel changes while the lab runs.

use serde_json::Value;

use super::{json, other_host};
use crate::door::until;
use crate::lab;
use crate::support::{Sandbox, rooted};

fn ip(sandbox: &Sandbox, line: &str) -> String {
    sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>())
}

/// Both ends of the cable between the hosts.
fn set_cable(sandbox: &Sandbox, mtu: u32) {
    ip(sandbox, &format!("-n hostb link set out1 mtu {mtu}"));
    ip(sandbox, &format!("link set out0 mtu {mtu}"));
}

fn becomes(sandbox: &Sandbox, mtu: u32) {
    until(&format!("the network has MTU {mtu}"), || {
        (json(sandbox, &["network", "ls", "-j"])[0]["mtu"] == mtu).then_some(())
    });
    until(&format!("the tunnel carries {mtu}"), || {
        (json(sandbox, &["show", "tunnel", "-j"])[0]["mtu"] == mtu).then_some(())
    });
}

fn has_mtu(sandbox: &Sandbox, node: &str, mtu: u32) {
    let link = ip(sandbox, &format!("-n {node} link"));
    assert!(link.contains(&format!("mtu {mtu}")), "{link}");
}

/// The one row of `tunnel check`, and the code it ended with.
fn checked(sandbox: &Sandbox) -> (Value, Option<i32>) {
    let ended = sandbox.uswitch(&["tunnel", "check", "-j", "10.100.0.99"]);
    let rows: Value = serde_json::from_str(&ended.out).unwrap();
    (rows[0].clone(), ended.code)
}

#[test]
fn a_network_s_packets_follow_what_its_tunnel_sends_by() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let mut run = lab(sandbox, &["run", "--join", "vtep://10.9.0.2?vni=100"]);
        becomes(sandbox, 1450);
        let mut monitor = sandbox.start(&["monitor"]);
        until("it listens", || {
            sandbox.uswitch(&["add", "early"]).ok();
            sandbox.uswitch(&["remove", "early"]).ok();
            monitor.out().contains("plugged in").then_some(())
        });
        let file = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        assert!(!file.contains("mtu:"), "nobody has asked for one: {file}");
        set_cable(sandbox, 1400);
        becomes(sandbox, 1350);
        monitor.wait_for("mtu       1350 bytes, no longer 1450");
        run.wait_for_complaint("packets of 1350 bytes, no longer 1450");
        has_mtu(sandbox, "net1", 1350);
        sandbox.uswitch(&["add", "late"]).ok();
        has_mtu(sandbox, "late", 1350);
        let ports = json(sandbox, &["show", "ports", "-j"]);
        let ports = ports.as_array().unwrap();
        let of_lan = |name: &str| ports.iter().find(|port| port["ifname"] == name).unwrap();
        assert_eq!(of_lan("vxlan100")["mtu"], 1350, "{ports:#?}");
        until("all passes in one piece", || {
            let (row, code) = checked(sandbox);
            let bytes = (&row["outside"]["large"]["bytes"], &row["inside"]["large"]["bytes"]);
            (code == Some(0) && bytes == (&1400.into(), &1350.into())).then_some(())
        });
        let shown = sandbox.uswitch(&["show", "tunnel"]).ok().out;
        assert!(!shown.contains("in one piece"), "{shown}");
        // Up again, in steps, and as far as it was.
        set_cable(sandbox, 1450);
        becomes(sandbox, 1400);
        set_cable(sandbox, 9000);
        until("the tunnel carries more", || {
            (json(sandbox, &["show", "tunnel", "-j"])[0]["mtu"] == 8950).then_some(())
        });
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["mtu"], 1450);
        has_mtu(sandbox, "net2", 1450);
        has_mtu(sandbox, "late", 1450);
        // The address may go to another interface, which carries less.
        ip(sandbox, "addr del 10.9.0.1/24 dev out0");
        ip(sandbox, "link add low type bridge");
        ip(sandbox, "link set low mtu 1300 up");
        ip(sandbox, "addr add 10.9.0.1/24 dev low");
        becomes(sandbox, 1250);
    });
}

#[test]
fn packets_that_somebody_asked_for_stay_and_it_is_told_that_they_do_not_fit() {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let join = "vtep://10.9.0.2?vni=100";
        let mut run = lab(sandbox, &["run", "--mtu", "1450", "--join", join]);
        set_cable(sandbox, 1400);
        let says = "`uswitch network set lan --mtu 1350`, or raise the MTU of the interface";
        run.wait_for_complaint(says);
        let tunnel = json(sandbox, &["show", "tunnel", "-j"])[0].clone();
        let told = (&tunnel["mtu"], &tunnel["fits"], &tunnel["network_mtu"]);
        assert_eq!(told, (&1450.into(), &1350.into(), &1450.into()));
        has_mtu(sandbox, "net1", 1450);
        let shown = sandbox.uswitch(&["show", "tunnel"]).ok().out;
        assert!(shown.contains(&format!("{says} with 10.9.0.1 to 1500")), "{shown}");
        let (row, code) = checked(sandbox);
        assert_eq!(code, Some(1));
        assert!(row["mend"].as_str().unwrap().contains("network set lan --mtu 1350"), "{row:#}");
        // What is asked for next fits, and is not raised by anybody.
        sandbox.uswitch(&["network", "set", "lan", "--mtu", "1350"]).ok();
        let shown = sandbox.uswitch(&["show", "tunnel"]).ok().out;
        assert!(!shown.contains("in one piece"), "{shown}");
        until("all passes", || (checked(sandbox).1 == Some(0)).then_some(()));
        set_cable(sandbox, 1500);
        until("it is heard", || {
            (json(sandbox, &["show", "tunnel", "-j"])[0]["fits"] == 1450).then_some(())
        });
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["mtu"], 1350);
    });
}
