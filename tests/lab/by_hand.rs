//! What was set by hand in tables, where a network begins or ceases to tell VLANs apart.

use crate::file::write;
use crate::lab;
use crate::support::{Sandbox, rooted};

fn does(sandbox: &Sandbox, line: &str) -> String {
    sandbox.uswitch(&line.split_whitespace().collect::<Vec<_>>()).ok().out
}

#[test]
fn what_was_set_by_hand_goes_along_with_vlans() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        does(sandbox, "network set lan --mcast-snooping on");
        does(sandbox, "fdb add 02:00:00:00:77:01 net1");
        does(sandbox, "fdb add 02:00:00:00:77:02 --blackhole");
        does(sandbox, "mdb add net1 239.1.2.3");
        let rows = |sandbox: &Sandbox| -> Vec<(String, Option<u64>)> {
            let fdb: serde_json::Value =
                serde_json::from_str(&does(sandbox, "show fdb -j")).unwrap();
            let mdb: serde_json::Value =
                serde_json::from_str(&does(sandbox, "show mdb -j")).unwrap();
            let fdb = fdb.as_array().unwrap().iter().map(|row| (&row["mac"], &row["vlan"]));
            let mdb = mdb[0]["mdb"].as_array().unwrap().iter();
            let all = fdb.chain(mdb.map(|row| (&row["grp"], &row["vid"])));
            let all = all.map(|(what, vlan)| (what.as_str().unwrap().to_owned(), vlan.as_u64()));
            let by_hand = |what: &str| what.starts_with("02:00:00:00:77") || what == "239.1.2.3";
            let mut all: Vec<_> = all.filter(|(what, _)| by_hand(what)).collect();
            all.sort();
            all
        };
        let all = |vlans: &[Option<u64>]| -> Vec<(String, Option<u64>)> {
            let what = ["02:00:00:00:77:01", "02:00:00:00:77:02", "239.1.2.3"];
            what.iter().flat_map(|what| vlans.iter().map(|vlan| ((*what).into(), *vlan))).collect()
        };
        assert_eq!(rows(sandbox), all(&[None]));
        does(sandbox, "network set lan --vlan-filtering on");
        assert_eq!(rows(sandbox), all(&[Some(1)]));
        does(sandbox, "vlan add net1 10");
        does(sandbox, "fdb add 02:00:00:00:77:03 net1 --vlan 10");
        does(sandbox, "network set lan --vlan-filtering off");
        let mut off = all(&[None]);
        off.insert(2, ("02:00:00:00:77:03".into(), None));
        assert_eq!(rows(sandbox), off);
    });
}

#[test]
fn a_file_sets_in_each_vlan_of_a_port_what_names_none() {
    const LAB: &str = "
networks:
  lan: {vlan_filtering: true, fdb: [{mac: \"02:00:00:00:77:01\", node: a}]}
nodes: {a: {network: lan}, b: {network: lan}}
ports: {a: {vlans: [10, 20]}}
";
    rooted(|sandbox| {
        let path = write(sandbox, "tagged.yaml", LAB);
        let _lab = lab(sandbox, &["run", &path]);
        let fdb: serde_json::Value = serde_json::from_str(&does(sandbox, "show fdb -j")).unwrap();
        let rows = fdb.as_array().unwrap().iter().filter(|row| row["mac"] == "02:00:00:00:77:01");
        let mut vlans: Vec<_> = rows.map(|row| row["vlan"].as_u64()).collect();
        vlans.sort_unstable();
        assert_eq!(vlans, [Some(10), Some(20)]);
        let none = LAB.replace("[10, 20]", "[]");
        let ended = sandbox.uswitch(&["run", "--dry-run", &write(sandbox, "none.yaml", &none)]);
        assert!(ended.complaint(2).contains("a is a member of no VLAN"), "{}", ended.err);
    });
}
