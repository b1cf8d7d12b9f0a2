//! Settings of ports and of the network, VLANs, addresses set by hand: as a person types them,
//! judged by the nodes' own pings.

use serde_json::Value;

use crate::door::{json, row, until};
use crate::support::{Sandbox, Wire, rooted, rootless};
use crate::{lab, netns};

/// Whether node `from` hears an answer of `to`.
fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    // Long enough for a neighbour that was asked in vain to be asked again.
    let words = ["exec", from, "--", "ping", "-q", "-c", "5", "-i", "0.4", "-W", "1", to];
    sandbox.uswitch(&words).code == Some(0)
}

fn set(sandbox: &Sandbox, line: &str) {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
}

/// What a bad line is told.
fn refused(sandbox: &Sandbox, line: &str, code: i32) -> String {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).complaint(code).to_owned()
}

fn ports(sandbox: &Sandbox) -> Value {
    json(sandbox, &["port", "-j"])
}

#[test]
fn isolated_ports_reach_the_gateway_and_not_each_other() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        set(sandbox, "port net1 --isolated on");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        set(sandbox, "port net2 --isolated on");
        assert!(!reaches(sandbox, "net1", "10.100.0.20"));
        assert!(reaches(sandbox, "net1", "10.100.0.1") && reaches(sandbox, "net1", "10.100.0.30"));
        let why = sandbox.uswitch(&["explain", "net1", "10.100.0.20"]);
        assert!(why.out.contains("isolated"), "{}", why.out);
        // Groups: of another one, it is reached again.
        set(sandbox, "port net2 --isolation 7");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        let shown = ports(sandbox);
        assert_eq!(row(&shown, "ifname", "veth2")["isolation"], 7);
        let first = row(&shown, "ifname", "veth1");
        assert_eq!((&first["isolated"], &first["learning"]), (&true.into(), &true.into()));
        assert_eq!((&first["node"], &first["state"]), (&"net1".into(), &"forwarding".into()));
        set(sandbox, "port veth1 --isolated off --learning off --learn-limit 9");
        let shown = ports(sandbox);
        let first = row(&shown, "ifname", "veth1");
        assert_eq!((&first["isolated"], &first["learning"]), (&false.into(), &false.into()));
        assert_eq!(first["learn_limit"], 9);
    });
}

fn apart(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-n", "3"]);
    let complaint = refused(sandbox, "vlan add net1 10", 1);
    assert!(complaint.contains("network set lan --vlan-filtering on"), "{complaint}");
    assert!(sandbox.uswitch(&["show", "vlan"]).ok().out.contains("no network tells VLANs apart"));
    set(sandbox, "network set lan --vlan-filtering on");
    // All are in VLAN 1 now, the gateway too.
    assert!(reaches(sandbox, "net1", "10.100.0.20") && reaches(sandbox, "net1", "8.8.8.8"));
    for node in ["net1", "net2"] {
        set(sandbox, &format!("vlan add {node} 10 --pvid --untagged"));
        set(sandbox, &format!("vlan del {node} 1"));
    }
    assert!(reaches(sandbox, "net1", "10.100.0.20"));
    assert!(!reaches(sandbox, "net1", "10.100.0.30") && !reaches(sandbox, "net1", "10.100.0.1"));
    assert!(reaches(sandbox, "net3", "10.100.0.1"));
    let shown = json(sandbox, &["show", "vlan", "-j"]);
    // What has passed, by VLAN, in the names of `bridge -s -j vlan show`.
    let counted = &row(&shown, "ifname", "veth1")["vlans"][0];
    for name in ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"] {
        assert!(counted[name].as_u64().is_some_and(|count| count > 0), "{name}: {counted}");
    }
    let own = row(&shown, "ifname", "gateway")["vlans"][0].clone();
    assert!(own["rx_packets"].as_u64().is_some_and(|count| count > 0), "{own}");
    let flags = serde_json::json!(["PVID", "Egress Untagged"]);
    assert_eq!(row(&shown, "ifname", "veth1")["vlans"][0]["vlan"], 10);
    assert_eq!(row(&shown, "ifname", "veth1")["vlans"][0]["flags"], flags);
    assert_eq!(row(&shown, "ifname", "gateway")["vlans"][0]["vlan"], 1);
    // The gateway moves to them, and leaves the other behind.
    set(sandbox, "vlan add gateway 10");
    assert!(reaches(sandbox, "net1", "10.100.0.1") && !reaches(sandbox, "net3", "10.100.0.1"));
    assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["gateway_vlan"], 10);
    let fdb = json(sandbox, &["show", "fdb", "-j"]);
    assert_eq!(row(&fdb, "mac", "02:00:0a:64:00:0a")["vlan"], 10);
    set(sandbox, "network set lan --vlan-filtering off");
    assert!(reaches(sandbox, "net3", "10.100.0.10"));
}

#[test]
fn vlans_keep_nodes_apart_as_root() {
    rooted(apart);
}

#[test]
fn vlans_keep_nodes_apart_for_an_ordinary_user() {
    rootless(apart);
}

#[test]
fn addresses_set_by_hand_hold() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // Frames for net2 go nowhere.
        set(sandbox, "fdb add 02:00:0a:64:00:14 --blackhole");
        assert!(!reaches(sandbox, "net1", "10.100.0.20"));
        set(sandbox, "fdb del 02:00:0a:64:00:14");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        // net2's address belongs to net1's port for good: net2 is refused.
        set(sandbox, "fdb add 02:00:0a:64:00:14 net1 --sticky");
        assert!(!reaches(sandbox, "net2", "10.100.0.1"));
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        let entry = row(&fdb, "mac", "02:00:0a:64:00:14");
        assert_eq!((&entry["ifname"], &entry["state"]), (&"veth1".into(), &"static".into()));
        assert_eq!(entry["flags"], serde_json::json!(["sticky"]));
        set(sandbox, "fdb flush");
        assert!(!reaches(sandbox, "net2", "10.100.0.1"), "a flush forgets what was learned alone");
        set(sandbox, "fdb del 02:00:0a:64:00:14 net1");
        assert!(reaches(sandbox, "net2", "10.100.0.1"));
        // A locked port lets in who is known there.
        set(sandbox, "port net1 --learning off --locked on");
        set(sandbox, "fdb flush net1");
        assert!(!reaches(sandbox, "net1", "10.100.0.20"));
        set(sandbox, "fdb add 02:00:0a:64:00:0a net1");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        let counted = json(sandbox, &["show", "ports", "-j"]);
        assert!(row(&counted, "ifname", "veth1")["drops"]["locked"].as_u64().unwrap() > 0);
    });
}

#[test]
fn the_network_is_set_and_shown() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        set(
            sandbox,
            "network set lan --ageing-time 7 --group-fwd-mask 0x4000 --fdb-max-learned 50",
        );
        let shown = json(sandbox, &["network", "ls", "-j"]);
        let lan = &shown[0];
        assert_eq!((&lan["name"], &lan["ageing_time"]), (&"lan".into(), &7.into()));
        assert_eq!((&lan["group_fwd_mask"], &lan["fdb_max_learned"]), (&0x4000.into(), &50.into()));
        assert_eq!((&lan["ports"], &lan["gateway"]), (&2.into(), &"10.100.0.1".into()));
        assert!(sandbox.uswitch(&["network", "ls"]).ok().out.contains("ageing_time 7"));
    });
}

#[test]
fn what_cannot_be_set_is_one_line_and_changes_nothing() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let before = (ports(sandbox), json(sandbox, &["network", "ls", "-j"]));
        for (line, code, said) in [
            ("port --learning off", 2, "say which port"),
            ("port net9 --learning off", 2, "it has veth1, veth2, vethinet"),
            ("port vethinet --learning off", 2, "uplink"),
            ("port net1 --learning maybe", 2, "on"),
            ("port net1 --isolation 0", 2, "0"),
            ("port net1 --isolation 3 --isolated on", 2, "cannot be used with"),
            ("vlan add net1 0", 2, "1 to 4094"),
            ("vlan add net1 4095", 2, "1 to 4094"),
            ("vlan add net1 20-10", 2, "the smaller number comes first"),
            ("vlan add net1 x", 2, "is no VLAN"),
            ("network set lan", 2, "say what to set"),
            ("network set dc --ageing-time 3", 2, "has no network dc; it has lan"),
            ("network set lan --group-fwd-mask 1", 2, "bits 0 to 2"),
            ("network set lan --group-fwd-mask 0x10000", 2, "mask of 16 bits"),
            ("network set lan --ageing-time 99999999999", 2, "at most"),
            ("network set lan --vlan-protocol 802.1X", 2, "802.1Q"),
            ("fdb add 02:00:00:00:00:01", 2, "required"),
            ("fdb add 02:00:00:00:00 net1", 2, "is no hardware address"),
            ("fdb add ff:ff:ff:ff:ff:ff net1", 2, "no address of one host"),
            ("fdb add 02:00:0a:64:00:01 net1", 1, "the gateway's own"),
            ("fdb add 02:00:00:00:00:01 net1 --vlan 7", 1, "does not tell VLANs apart"),
            ("fdb del 02:00:00:00:00:01", 2, "is not in the table"),
        ] {
            let complaint = refused(sandbox, line, code);
            assert!(complaint.contains(said), "{line}: {complaint}");
        }
        assert_eq!((ports(sandbox), json(sandbox, &["network", "ls", "-j"])), before);
    });
}

#[test]
fn a_newcomer_at_a_locked_port_waits_until_it_is_let_in() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let complaint = refused(sandbox, "port net1 --mab on", 2);
        assert!(complaint.contains("takes a locked port"), "{complaint}");
        set(sandbox, "port net1 --locked on --mab on");
        set(sandbox, "fdb flush net1");
        assert!(!reaches(sandbox, "net1", "10.100.0.20"));
        let entry = |sandbox: &Sandbox| {
            let fdb = json(sandbox, &["show", "fdb", "-j"]);
            let rows = fdb.as_array().unwrap().clone();
            rows.into_iter().find(|row| row["mac"] == "02:00:0a:64:00:0a")
        };
        let waiting = entry(sandbox).unwrap();
        assert_eq!(waiting["flags"], serde_json::json!(["locked"]));
        assert_eq!((&waiting["state"], &waiting["ifname"]), (&"".into(), &"veth1".into()));
        set(sandbox, "fdb add 02:00:0a:64:00:0a net1");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        set(sandbox, "fdb del 02:00:0a:64:00:0a");
        assert!(!reaches(sandbox, "net1", "10.100.0.20"));
        assert!(entry(sandbox).is_some());
        // Without the bypass those who wait are forgotten.
        set(sandbox, "port net1 --mab off");
        assert!(entry(sandbox).is_none());
        set(sandbox, "port net1 --locked off");
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
    });
}

#[test]
fn moves_are_counted_and_what_is_for_the_switch_itself_goes_nowhere() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let mut wires =
            ["1", "2"].map(|n| Wire::open(netns(&format!("net{n}")), &format!("vethpeer{n}")));
        let frame =
            |dst: [u8; 6]| [&dst[..], &[2, 0, 0, 0, 0, 0x77], &[0x88, 0xb5], &[0; 46]].concat();
        for number in [0, 1, 0] {
            wires[number].send(&frame([0xff; 6]));
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let shown = ports(sandbox);
        assert_eq!(row(&shown, "ifname", "veth1")["fdb_n_moved"], 1);
        assert_eq!(row(&shown, "ifname", "veth2")["fdb_n_moved"], 1);
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["fdb_n_moved"], 2);
        // A frame to the switch's own end of net2's veth.
        let own = json(sandbox, &["show", "ports", "-j"]);
        let own = row(&own, "ifname", "veth2")["address"].as_str().unwrap().to_owned();
        let own: Vec<u8> = own.split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
        wires[0].send(&frame(own.try_into().unwrap()));
        std::thread::sleep(std::time::Duration::from_millis(200));
        let counted = json(sandbox, &["show", "ports", "-j"]);
        assert_eq!(row(&counted, "ifname", "veth1")["drops"]["own-port"], 1);
        // Limits of floods come and go while the port is in use.
        set(sandbox, "port net1 --storm broadcast=5");
        assert_eq!(row(&ports(sandbox), "ifname", "veth1")["storm"]["broadcast"], 5);
        set(sandbox, "port net1 --storm off --group-fwd-mask 0x4000");
        let shown = ports(sandbox);
        let first = row(&shown, "ifname", "veth1");
        assert!(first["storm"].is_null());
        assert_eq!(
            (&first["group_fwd_mask"], &first["fdb_max_learned"]),
            (&0x4000.into(), &16384.into())
        );
        set(sandbox, "network set lan --gateway-guard off");
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["gateway_guard"], false);
        let complaint = refused(sandbox, "port net1 --group-fwd-mask 2", 2);
        assert!(complaint.contains("bit 1"), "{complaint}");
    });
}

/// What `explain` says of net1's packets to net2, after these words.
fn stopped_by(sandbox: &Sandbox, words: &[&str]) -> String {
    for line in words {
        sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
    }
    sandbox.uswitch(&["explain", "net1", "net2"]).out
}

#[test]
fn explain_names_the_setting_that_keeps_a_flooded_frame_back() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // Both know each other's address, and the switch neither's, until a node says something.
        let floods = |lines: &[&str], word: &str| {
            let lines = [lines, &["fdb flush"]].concat();
            until(word, || stopped_by(sandbox, &lines).contains(word).then_some(()));
        };
        stopped_by(sandbox, &["ping net1 net2 -c 1 -q"]);
        floods(&["port net2 --flood off"], "net2, whom it is for, is not among them: veth2");
        floods(&["port net2 --flood off"], "(flood off)");
        let apart = ["port net1 --isolated on", "port net2 --isolated on --flood on"];
        floods(&apart, "isolated from each other");
        let apart = ["port net1 --isolated off", "port net2 --isolated off --network none"];
        floods(&apart, "veth2 is in no network");
        stopped_by(sandbox, &["port net2 --network lan", "network set lan --vlan-filtering on"]);
        let said = stopped_by(sandbox, &["vlan add net1 10 --pvid --untagged"]);
        assert!(said.contains("no member of its VLAN (vlan-egress)"), "{said}");
        // Nobody asks by ARP where broadcasts are kept back.
        stopped_by(
            sandbox,
            &["network set lan --vlan-filtering off", "port net2 --bcast-flood off"],
        );
        let said = stopped_by(sandbox, &["exec net1 -- ip neigh flush all"]);
        assert!(said.contains("(bcast_flood off)"), "{said}");
    });
}

#[test]
fn a_network_that_cannot_be_set_so_is_not_made() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let before = sandbox.uswitch(&["network", "ls"]).ok().out;
        for wrong in [
            "--mcast-hash-max 0",
            "--mcast-query-interval 0",
            "--mcast-last-member-count 0",
            "--vlan-protocol 802.1ad",
            "--vlan-default-pvid 5",
            "--vlan-filtering on --vlan-default-pvid 4095",
            "--mtu 9",
            "--group-fwd-mask 7",
        ] {
            let line = format!("network add q --subnet 10.40.1.0/24 {wrong}");
            sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).complaint(2);
            assert_eq!(sandbox.uswitch(&["network", "ls"]).ok().out, before, "{wrong}");
        }
    });
}

#[test]
fn the_vlan_of_frames_without_a_tag_is_changed_for_all_who_are_in_it() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let does = |line: &str| sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        let answers =
            |to: &str| sandbox.uswitch(&["ping", "net1", to, "-c", "1", "-W", "1"]).code == Some(0);
        sandbox.uswitch(&["network", "set", "lan", "--vlan-default-pvid", "7"]).complaint(1);
        does("network set lan --vlan-filtering on");
        // net3 is where it was put, and stays.
        does("vlan add net3 20 --pvid --untagged");
        does("network set lan --vlan-default-pvid 7");
        let shown = json(sandbox, &["show", "vlan", "-j"]);
        let pvid = |name: &str| {
            let vlans = row(&shown, "ifname", name)["vlans"].as_array().unwrap().clone();
            let pvid = |vlan: &Value| vlan["flags"].to_string().contains("PVID");
            vlans.iter().find(|vlan| pvid(vlan)).map(|vlan| vlan["vlan"].clone())
        };
        assert_eq!(pvid("veth1"), Some(7.into()), "{shown}");
        assert_eq!(pvid("veth3"), Some(20.into()), "{shown}");
        assert!(answers("net2") && answers("gateway") && !answers("net3"));
        let said = does("show topology --file").out;
        assert!(said.contains("vlan_default_pvid: 7"), "{said}");
        does("add net4");
        assert!(sandbox.uswitch(&["ping", "net4", "net1", "-c", "1"]).code == Some(0));
        // None: who was in it is in none.
        does("network set lan --vlan-default-pvid 0");
        assert!(!answers("net2"));
        does("network set lan --vlan-default-pvid 1");
        does("vlan add net1 1 --pvid --untagged");
        does("vlan add net2 1 --pvid --untagged");
        assert!(answers("net2") && answers("gateway"));
    });
}

/// As `bridge fdb add` and `bridge mdb add` have it: nothing is replaced unasked, and without a VLAN
/// named it is all of the port's.
#[test]
fn what_is_set_by_hand_has_an_age_a_place_and_vlans() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3", "--uplink", "none"]);
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let refused = |line: &str, code: i32, why: &str| {
            let words = words(line);
            let said = sandbox.uswitch(&words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(said.code, Some(code), "{line}: {}", said.err);
            assert!(said.err.contains(why), "{line}: {}", said.err);
        };
        let rows = |what: &str, key: &str, value: &str| -> Vec<Value> {
            let all = json(sandbox, &["show", what, "-j"]);
            let all = if what == "mdb" { all[0]["mdb"].clone() } else { all };
            let all = all.as_array().unwrap().iter().filter(|row| row[key] == value);
            all.cloned().collect()
        };
        (0..2).for_each(|_| set(sandbox, "fdb add 02:aa:00:00:00:05 net1"));
        let age = rows("fdb", "mac", "02:aa:00:00:00:05")[0]["updated"].as_u64().unwrap();
        assert!(age < 60, "{age} s since it was set");
        refused("fdb add 02:aa:00:00:00:05 net2", 1, "say `fdb del 02:aa:00:00:00:05 veth1` first");
        set(sandbox, "fdb add 02:aa:00:00:00:08 --blackhole");
        refused("fdb add 02:aa:00:00:00:08 net2", 1, "is a blackhole already");
        set(sandbox, "network set lan --vlan-filtering on --mcast-snooping on");
        set(sandbox, "vlan add net1 10");
        refused("fdb add 02:aa:00:00:00:07 net1 --vlan 99", 2, "is no member of VLAN 99");
        refused("mdb add net1 239.1.1.1 --vlan 99", 2, "is no member of VLAN 99");
        set(sandbox, "fdb add 02:aa:00:00:00:06 net1");
        set(sandbox, "mdb add net1 239.1.1.1");
        let vlans = |rows: Vec<Value>, key: &str| {
            let mut all: Vec<_> = rows.iter().map(|row| row[key].as_u64().unwrap()).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(vlans(rows("fdb", "mac", "02:aa:00:00:00:06"), "vlan"), [1, 10]);
        assert_eq!(vlans(rows("mdb", "grp", "239.1.1.1"), "vid"), [1, 10]);
        set(sandbox, "mdb del net1 239.1.1.1");
        assert!(rows("mdb", "grp", "239.1.1.1").is_empty());
        let link = json(sandbox, &["port", "net1", "-j"]);
        for key in ["guard", "root_block", "mcast_to_unicast", "vlan_tunnel"] {
            assert_eq!(link[0][key], false, "{key}");
        }
    });
}
