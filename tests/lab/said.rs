//! What verbs have made of a lab, as its file: whatever was done, `run` takes it, and a lab of it is the
//! same once more.

use nix::sys::signal::Signal;

use crate::file::write;
use crate::lab;
use crate::support::{Sandbox, rooted};

/// The running lab's file, which `run` takes.
fn file(sandbox: &Sandbox) -> String {
    let said = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
    let path = write(sandbox, "said.yaml", &said);
    let ended = sandbox.uswitch(&["run", "--dry-run", &path, "--name", "again"]);
    assert_eq!(ended.code, Some(0), "{}\n{said}", ended.err);
    said
}

fn does(sandbox: &Sandbox, line: &str) -> String {
    sandbox.uswitch(&line.split_whitespace().collect::<Vec<_>>()).ok().out
}

#[test]
fn a_node_that_has_gone_is_named_nowhere() {
    const LAB: &str = r#"
networks: {lan: {subnet: 10.1.0.0/24}, dc: {subnet: 10.2.0.0/24}}
nodes:
  h1: {networks: [lan, dc], routes: ["10.7.0.0/16 via h2", "10.8.0.0/16 via 10.5.0.2"]}
  h2: {network: lan}
  h3: {network: lan, routes: ["10.9.0.0/16 via h2"]}
links: [[{node: h1, address: 10.5.0.1/30}, {node: h2, address: 10.5.0.2/30}], ["h1:out", "h3"]]
"#;
    rooted(|sandbox| {
        let path = write(sandbox, "links.yaml", LAB);
        let _lab = lab(sandbox, &["run", &path]);
        // A process keeps the namespace from ending.
        let mut stays =
            sandbox.start(&["exec", "h2", "--", "sh", "-c", "echo here; exec sleep 60"]);
        stays.wait_for("here");
        does(sandbox, "remove h2");
        let said = file(sandbox);
        assert!(!said.contains("h2"), "{said}");
        // What its kernel still has, by the address; what lay over the link is gone.
        assert!(said.contains("10.9.0.0/16 via 10.1.0."), "{said}");
        assert!(said.contains("10.7.0.0/16 via 10.1.0."), "{said}");
        assert!(!said.contains("10.8.0.0/16"), "{said}");
        assert!(said.contains("out"), "{said}");
        let shown = does(sandbox, "show");
        assert!(!shown.contains("eth2") && shown.contains("out"), "{shown}");
        let links = does(sandbox, "exec h1 -- ip -br link");
        assert!(!links.contains("eth2") && links.contains("out"), "{links}");
        let names = does(sandbox, "show names");
        assert!(!names.contains("10.5.0.1"), "{names}");
    });
}

#[test]
fn what_needs_vlans_or_snooping_is_left_out_without_them() {
    const LAB: &str = r#"
networks:
  lan:
    subnet: 10.1.0.0/24
    vlan_filtering: true
    vlan_default_pvid: 5
    mcast_snooping: true
    fdb: [{mac: "02:00:00:00:77:01", node: h1, vlan: 5}]
    mdb: [{group: 239.1.2.3, node: h1, vlan: 5}]
    vlans: {10: {subnet: 10.10.0.0/24}}
nodes: {"h[1-2]": {network: lan}}
ports: {h2: {vlans: [5 pvid untagged, 7]}}
"#;
    rooted(|sandbox| {
        let path = write(sandbox, "vlans.yaml", LAB);
        let _lab = lab(sandbox, &["run", &path]);
        let begun = file(sandbox);
        does(sandbox, "network set lan --vlan-filtering off");
        let off = file(sandbox);
        assert!(!off.contains("vlan") && off.contains("02:00:00:00:77:01"), "{off}");
        assert!(off.contains("239.1.2.3"), "{off}");
        does(sandbox, "network set lan --vlan-filtering on");
        assert_eq!(file(sandbox), begun);
        does(sandbox, "network set lan --mcast-snooping off");
        assert!(!file(sandbox).contains("239.1.2.3"));
        does(sandbox, "vlan del h1 5");
        file(sandbox);
        does(sandbox, "network add dmz --subnet 10.3.0.0/24");
        does(sandbox, "port h2 --network dmz");
        file(sandbox);
        does(sandbox, "remove h1");
        does(sandbox, "network remove lan");
        let left = file(sandbox);
        assert!(left.contains("uplink: sim"), "{left}");
    });
}

#[test]
fn a_lab_whose_gateway_has_gone_has_no_uplink() {
    rooted(|sandbox| {
        let text = "networks: {lan: {subnet: 10.1.0.0/24}, b: {gateway: false}}\nnodes: {h: {network: b}}\n";
        let path = write(sandbox, "gone.yaml", text);
        let _lab = lab(sandbox, &["run", &path]);
        does(sandbox, "network remove lan");
        assert!(!file(sandbox).contains("uplink"));
    });
}

#[test]
fn where_the_gateway_is_is_said() {
    const LAB: &str = "networks: {lan: {subnet: 10.1.0.0/24, vlan_filtering: true, vlans: {20: {subnet: 10.20.0.0/24}}}}
nodes: {h: {network: lan}}
ports: {h: {vlans: [1 pvid untagged, 10]}}
";
    rooted(|sandbox| {
        let path = write(sandbox, "gateway.yaml", LAB);
        let running = lab(sandbox, &["run", &path]);
        let begun = file(sandbox);
        does(sandbox, "vlan add gateway 10");
        let ls = does(sandbox, "network ls -j");
        let moved = file(sandbox);
        running.signal(Signal::SIGTERM);
        running.ended().ok();
        let path = write(sandbox, "moved.yaml", &moved);
        let _again = lab(sandbox, &["run", &path]);
        assert_eq!(file(sandbox), moved);
        let of = |text: &str| {
            let all: serde_json::Value = serde_json::from_str(text).unwrap();
            all[0]["gateway_vlans"].clone()
        };
        assert_eq!(of(&ls), serde_json::json!([10, 20]));
        assert_eq!(of(&does(sandbox, "network ls -j")), of(&ls));
        does(sandbox, "vlan del gateway 10");
        does(sandbox, "vlan del gateway 20");
        let out = file(sandbox);
        assert!(out.contains("gateway: false") && begun != out, "{out}");
    });
}
