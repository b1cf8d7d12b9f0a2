//! VLANs of a network over several hosts: an address is where its node is.

use super::{hosts, mac};
use crate::door::until;

#[test]
fn an_address_is_set_in_the_vlan_of_its_node() {
    hosts(|world| {
        for host in [1, 2] {
            let file = world.sandbox.dir.join(format!("n{host}.yaml"));
            let text = std::fs::read_to_string(&file).unwrap();
            let text = text.replace("gateway: true", "gateway: true, vlan_filtering: true");
            std::fs::write(file, text).unwrap();
        }
        // Host 3 does not tell VLANs apart.
        let _labs = [1, 2, 3].map(|host| world.lab(host));
        let vlan =
            |host, args: &[&str]| drop(world.uswitch(host, &[&["vlan"], args].concat()).ok());
        let rows = |host| {
            let fdb = world.json(host, &["show", "fdb"]);
            let behind = fdb.as_array().unwrap().iter().filter(|row| row["ifname"] == "vxlan100");
            let row = |row: &serde_json::Value| {
                (row["mac"].as_str().unwrap().to_owned(), row["vlan"].as_u64().unwrap_or(0))
            };
            let mut rows: Vec<_> = behind.map(row).collect();
            rows.sort();
            rows
        };
        let has = |host, wanted: &[(String, u64)]| {
            until(&format!("host {host} has {wanted:?}"), || (rows(host) == wanted).then_some(()));
        };
        has(1, &[(mac(2), 1), (mac(3), 1)]);
        // A node moves to a VLAN that the tunnel carries by a tag, on both hosts.
        for host in [1, 2] {
            vlan(host, &["add", "vxlan100", "20"]);
            vlan(host, &["add", &format!("n{host}"), "20", "--pvid", "--untagged"]);
            vlan(host, &["del", &format!("n{host}"), "1"]);
        }
        has(1, &[(mac(2), 20), (mac(3), 1), (mac(3), 20)]);
        has(2, &[(mac(1), 20), (mac(3), 1), (mac(3), 20)]);
        has(3, &[(mac(1), 0), (mac(2), 0)]);
        assert!(world.pings(1, "n1", "10.100.1.2"));
        // Its own host's question is answered where it is asked.
        let explained = world.uswitch(1, &["explain", "n1", "n2"]).ok().out;
        assert!(explained.contains("is at vxlan100 (n2), as the other hosts say"), "{explained}");
        // What has no tag in the tunnel may have another number on each host.
        vlan(2, &["add", "vxlan100", "30", "--pvid", "--untagged"]);
        vlan(2, &["add", "n2", "30", "--pvid", "--untagged"]);
        vlan(2, &["del", "n2", "20"]);
        has(1, &[(mac(2), 1), (mac(3), 1), (mac(3), 20)]);
        // A VLAN that no tunnel carries leads to nobody.
        vlan(2, &["del", "vxlan100", "30"]);
        has(1, &[(mac(3), 1), (mac(3), 20)]);
        // And the tunnel's own VLANs count as soon as they are others.
        vlan(1, &["del", "vxlan100", "20"]);
        has(1, &[(mac(3), 1)]);
    });
}
