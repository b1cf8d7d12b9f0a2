//! What changes of a network while it runs: ports moved from one to another and out of all, its MTU,
//! entries of one network of several, the VLANs the gateway is in.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::door::{json, row};
use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

/// Whether node `from` hears an answer of `to`.
fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let words = ["exec", from, "--", "ping", "-q", "-c", "5", "-i", "0.4", "-W", "1", to];
    sandbox.uswitch(&words).code == Some(0)
}

fn does(sandbox: &Sandbox, line: &str) -> String {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok().out
}

/// What a bad line is told.
fn refused(sandbox: &Sandbox, line: &str, code: i32) -> String {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).complaint(code).to_owned()
}

/// The MTU of a node's interface, as its kernel says.
fn mtu(sandbox: &Sandbox, node: &str, interface: &str) -> u64 {
    let said = does(sandbox, &format!("exec {node} -- ip -j link show dev {interface}"));
    serde_json::from_str::<Value>(&said).unwrap()[0]["mtu"].as_u64().unwrap()
}

fn ports(sandbox: &Sandbox) -> Value {
    json(sandbox, &["show", "ports", "-j"])
}

fn moved(sandbox: &Sandbox) {
    let lab = lab(sandbox, &["run", "-n", "2"]);
    does(sandbox, "network add dmz --subnet 10.2.0.0/24 --mtu 1400");
    does(sandbox, "add x --network dmz");
    does(sandbox, "network set lan --mcast-snooping on");
    does(sandbox, "exec net2 -- ip addr add 10.2.0.77/24 dev vethpeer2");
    does(sandbox, "fdb add 02:00:00:00:00:99 net2");
    does(sandbox, "mdb add net2 239.1.2.3");
    does(sandbox, "publish 8080:net2:80");
    assert!(reaches(sandbox, "net1", "10.100.0.20") && reaches(sandbox, "net2", "8.8.8.8"));
    let of_net2 = |sandbox: &Sandbox| {
        let sessions = json(sandbox, &["show", "nat", "-j"]);
        let all = sessions.as_array().unwrap().clone();
        all.iter().filter(|one| one["inside"].as_str().unwrap().starts_with("10.100.0.20")).count()
    };
    assert!(of_net2(sandbox) > 0);

    does(sandbox, "port net2 --network dmz --learn-limit 7");
    let shown = json(sandbox, &["port", "-j"]);
    let port = row(&shown, "node", "net2");
    assert_eq!((&port["network"], &port["learn_limit"]), (&"dmz".into(), &7.into()));
    assert_eq!((mtu(sandbox, "net2", "vethpeer2"), port["mtu"].as_u64()), (1400, Some(1400)));
    let fdb = json(sandbox, &["show", "fdb", "-j"]);
    for entry in fdb.as_array().unwrap().iter().filter(|entry| entry["node"] == "net2") {
        assert_eq!(entry["network"], "dmz", "{entry}");
    }
    let mdb = json(sandbox, &["show", "mdb", "-j"])[0]["mdb"].clone();
    assert!(mdb.as_array().unwrap().iter().all(|row| row["node"] != "net2"), "{mdb}");
    assert_eq!(of_net2(sandbox), 0);
    assert_eq!(json(sandbox, &["show", "published", "-j"]), serde_json::json!([]));
    assert!(!reaches(sandbox, "net1", "10.100.0.20"), "the old network reaches it no longer");
    assert!(reaches(sandbox, "x", "10.2.0.77"));
    let again = refused(sandbox, "port net2 --network nowhere", 2);
    assert!(again.contains("it has lan, dmz"), "{again}");
    // The file says where it is now, and runs.
    let said = does(sandbox, "show topology --file");
    assert!(said.contains("dmz"), "{said}");

    does(sandbox, "port net2 --network none");
    assert!(!reaches(sandbox, "x", "10.2.0.77") && !reaches(sandbox, "net2", "10.2.0.2"));
    let shown = json(sandbox, &["port", "-j"]);
    let port = row(&shown, "node", "net2");
    assert_eq!((&port["network"], &port["state"]), (&Value::Null, &"disabled".into()));
    let why = sandbox.uswitch(&["explain", "net2", "10.2.0.2"]).out;
    assert!(why.contains("no-network"), "{why}");
    let counted = ports(sandbox);
    assert!(row(&counted, "node", "net2")["drops"]["no-network"].as_u64().unwrap() > 0);
    let vlan = refused(sandbox, "vlan add net2 5", 1);
    assert!(vlan.contains("is in no network"), "{vlan}");
    // It does not hold the network any more.
    does(sandbox, "remove x");
    does(sandbox, "network remove dmz");

    does(sandbox, "port net2 --network lan");
    assert!(reaches(sandbox, "net1", "10.100.0.20") && reaches(sandbox, "net2", "8.8.8.8"));
    assert_eq!(mtu(sandbox, "net2", "vethpeer2"), 1500);
    lab.signal(Signal::SIGINT);
    lab.ended().ok();
    let path = sandbox.dir.join("moved.yaml");
    std::fs::write(&path, said).unwrap();
    sandbox.uswitch(&["run", path.to_str().unwrap(), "--check"]).ok();
}

#[test]
fn a_port_moves_from_network_to_network_as_root() {
    rooted(moved);
}

#[test]
fn a_port_moves_from_network_to_network_for_an_ordinary_user() {
    rootless(moved);
}

#[test]
fn a_node_is_in_a_network_once() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1"]);
        does(sandbox, "network add dmz --subnet 10.2.0.0/24");
        does(sandbox, "add e --network lan --network dmz");
        let before = ports(sandbox)[1]["network"].clone();
        let twice = refused(sandbox, "port e:dmz --network lan", 2);
        assert!(twice.contains("node e is in network lan already"), "{twice}");
        let settings = refused(sandbox, "port net1 --network dmz --mab on", 2);
        assert!(settings.contains("takes a locked port"), "{settings}");
        let shown = ports(sandbox);
        assert_eq!(shown[1]["network"], before);
        assert_eq!(row(&shown, "node", "net1")["network"], "lan", "refused as a whole");
        does(sandbox, "port e:dmz --network none");
        does(sandbox, "port e:lan --network dmz");
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[1]["ports"], 1);
    });
}

fn mtus(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run", "-n", "2"]);
    does(sandbox, "network set lan --mtu 1300");
    let all = |sandbox: &Sandbox| {
        let shown = ports(sandbox);
        let of = |node: &str| row(&shown, "node", node)["mtu"].as_u64().unwrap();
        let nodes = [mtu(sandbox, "net1", "vethpeer1"), mtu(sandbox, "net2", "vethpeer2")];
        [nodes, [of("net1"), of("net2")]].concat()
    };
    assert_eq!(all(sandbox), [1300; 4]);
    assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["mtu"], 1300);
    assert!(does(sandbox, "show topology --file").contains("mtu: 1300"));
    // The gateway says so to whoever sends larger ones that must not be cut.
    does(sandbox, "exec net1 -- ip link set vethpeer1 mtu 1500");
    let words = ["exec", "net1", "--", "ping", "-c", "1", "-W", "5", "-M", "do", "-s", "1400"];
    assert_ne!(sandbox.uswitch(&[&words[..], &["10.100.0.20"]].concat()).code, Some(0));
    for number in ["67", "65536"] {
        let line = refused(sandbox, &format!("network set lan --mtu {number}"), 2);
        assert!(line.contains("68 to 65535"), "{line}");
    }
    // One that cannot follow: then nobody does.
    does(sandbox, "exec net1 -- ip link set vethpeer1 mtu 1300");
    does(sandbox, "exec net2 -- ip link set vethpeer2 down");
    does(sandbox, "exec net2 -- ip link set vethpeer2 name other");
    let line = refused(sandbox, "network set lan --mtu 1200 --ageing-time 9", 1);
    assert!(line.contains("vethpeer2"), "{line}");
    does(sandbox, "exec net2 -- ip link set other name vethpeer2");
    does(sandbox, "exec net2 -- ip link set vethpeer2 up");
    assert_eq!(all(sandbox), [1300; 4]);
    let lan = json(sandbox, &["network", "ls", "-j"])[0].clone();
    assert_eq!((&lan["mtu"], &lan["ageing_time"]), (&1300.into(), &300.into()));
    does(sandbox, "network set lan --mtu 9000");
    assert_eq!(all(sandbox), [9000; 4]);
    assert!(reaches(sandbox, "net1", "10.100.0.20") && reaches(sandbox, "net1", "8.8.8.8"));
}

#[test]
fn a_networks_mtu_is_its_nodes_as_root() {
    rooted(mtus);
}

#[test]
fn a_networks_mtu_is_its_nodes_for_an_ordinary_user() {
    rootless(mtus);
}

#[test]
fn entries_and_legs_of_one_network_of_several() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        // Of one network it need not be said which.
        does(sandbox, "fdb add 02:00:00:00:00:05 --blackhole");
        does(sandbox, "network add dmz --subnet 10.2.0.0/24");
        does(sandbox, "add x --network dmz");
        let which = refused(sandbox, "fdb add 02:00:0a:02:00:02 --blackhole", 2);
        assert!(which.contains("--network NAME") && which.contains("lan, dmz"), "{which}");
        let other = refused(sandbox, "fdb add 02:00:00:00:00:06 net1 --network dmz", 2);
        assert!(other.contains("is in network lan"), "{other}");
        does(sandbox, "fdb add 02:00:0a:02:00:02 --blackhole --network dmz");
        does(sandbox, "fdb add 02:00:0a:02:00:02 --blackhole --network lan");
        assert!(!reaches(sandbox, "x", "10.2.0.1"));
        let count = |sandbox: &Sandbox, mac: &str| {
            let fdb = json(sandbox, &["show", "fdb", "-j"]);
            fdb.as_array().unwrap().iter().filter(|entry| entry["mac"] == mac).count()
        };
        assert_eq!(count(sandbox, "02:00:0a:02:00:02"), 2);
        does(sandbox, "fdb del 02:00:0a:02:00:02 --network dmz");
        assert!(reaches(sandbox, "x", "10.2.0.1"));
        let own = |sandbox: &Sandbox| {
            let fdb = json(sandbox, &["show", "fdb", "-j"]);
            let learned = |entry: &&Value| entry["state"] == "";
            let rows = fdb.as_array().unwrap().iter().filter(learned);
            rows.map(|entry| entry["network"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert!(reaches(sandbox, "net1", "10.100.0.20"));
        does(sandbox, "fdb flush --network lan");
        // Nodes may say something at any time, but those of dmz are known still.
        assert!(own(sandbox).contains(&"dmz".to_owned()));

        // The leg of a named network moves, and no other.
        does(sandbox, "network set lan --vlan-filtering on");
        does(sandbox, "network set dmz --vlan-filtering on");
        does(sandbox, "vlan add x 10 --network dmz --pvid --untagged");
        does(sandbox, "vlan add gateway 10 --network dmz");
        assert!(reaches(sandbox, "x", "10.2.0.1") && reaches(sandbox, "net1", "10.100.0.1"));
        let shown = json(sandbox, &["show", "vlan", "-j"]);
        assert_eq!(row(&shown, "ifname", "gateway:dmz")["vlans"][0]["vlan"], 10);
        assert_eq!(row(&shown, "ifname", "gateway:lan")["vlans"][0]["vlan"], 1);
        does(sandbox, "vlan del gateway 10 --network dmz");
        assert!(!reaches(sandbox, "x", "10.2.0.1"));
        let twice = refused(sandbox, "vlan add gateway:dmz 10 --network dmz", 2);
        assert!(twice.contains("names its network already"), "{twice}");
    });
}

/// A gateway with a leg a VLAN: each is found by its VLAN, none takes another's place.
#[test]
fn legs_of_vlans_come_back_to_their_vlans() {
    let file = "networks:\n  lan:\n    subnet: 10.1.0.0/24\n    vlan_filtering: true\n    vlans:\n      \
                10: {subnet: 10.10.0.0/24}\nnodes:\n  a: {network: lan}\n  b: {network: lan}\nports:\n  \
                b: {vlans: [10 pvid untagged]}\n";
    rooted(|sandbox| {
        let path = sandbox.dir.join("legs.yaml");
        std::fs::write(&path, file).unwrap();
        let _lab = lab(sandbox, &["run", path.to_str().unwrap()]);
        let own =
            |sandbox: &Sandbox| json(sandbox, &["network", "ls", "-j"])[0]["gateway_vlans"].clone();
        assert_eq!(own(sandbox), serde_json::json!([1, 10]));
        assert!(reaches(sandbox, "a", "10.1.0.1") && reaches(sandbox, "b", "10.10.0.1"));
        does(sandbox, "vlan del gateway 10");
        assert!(!reaches(sandbox, "b", "10.10.0.1") && reaches(sandbox, "a", "10.1.0.1"));
        does(sandbox, "vlan add gateway 10");
        assert!(reaches(sandbox, "b", "10.10.0.1") && reaches(sandbox, "a", "10.1.0.1"));
        // The network's own leg goes elsewhere and leaves that of VLAN 10 alone.
        does(sandbox, "vlan add gateway 20");
        assert_eq!(own(sandbox), serde_json::json!([10, 20]));
        assert!(reaches(sandbox, "b", "10.10.0.1") && !reaches(sandbox, "a", "10.1.0.1"));
        std::fs::remove_file(path).unwrap();
    });
}

/// Nothing that the file has said of a node is in the way of others once that one has left.
#[test]
fn others_come_once_a_node_that_the_file_speaks_of_has_gone() {
    let file = "networks:\n  lan:\n    subnet: 10.1.0.0/24\n    mcast_snooping: true\n    \
                fdb: [{mac: 02:00:00:00:00:07, node: b}, {mac: 02:00:00:00:00:08, node: c}]\n    mdb: [{group: 239.1.2.3, node: b}]\n  \
                dmz: {subnet: 10.2.0.0/24}\nnodes:\n  a: {network: lan}\n  b: {network: lan}\n  \
                c: {networks: [lan, dmz]}\n  f: {network: dmz}\nports:\n  b: {flood: off}\n  \
                c:dmz: {flood: off}\n  f: {flood: off}\npublish: [\"8080:b:80\", \"8081:f:80\"]\n";
    rooted(|sandbox| {
        let path = sandbox.dir.join("speaks.yaml");
        std::fs::write(&path, file).unwrap();
        let _lab = lab(sandbox, &["run", path.to_str().unwrap()]);
        does(sandbox, "remove b");
        does(sandbox, "add d --network lan");
        does(sandbox, "port c:dmz --network none");
        does(sandbox, "add e --network lan");
        does(sandbox, "port c:lan --network none");
        does(sandbox, "port f --network none");
        does(sandbox, "add g --network lan");
        let said = does(sandbox, "show topology --file");
        assert!(!said.contains("b:") && !said.contains("808"), "{said}");
        assert!(reaches(sandbox, "d", "10.1.0.1"));
        std::fs::remove_file(path).unwrap();
    });
}

/// What is set at no port is set in each VLAN that a port or the gateway is in.
#[test]
fn a_blackhole_is_in_all_vlans_of_its_network() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2", "--uplink", "none"]);
        let vlans = |sandbox: &Sandbox| {
            let fdb = json(sandbox, &["show", "fdb", "-j"]);
            let own = fdb.as_array().unwrap().iter();
            let own = own.filter(|row| row["mac"] == "02:00:00:00:00:05");
            own.map(|row| row["vlan"].as_u64().unwrap_or(0)).collect::<Vec<_>>()
        };
        does(sandbox, "fdb add 02:00:00:00:00:05 --blackhole");
        assert_eq!(vlans(sandbox), [0]);
        does(sandbox, "network set lan --vlan-filtering on");
        assert_eq!(vlans(sandbox), [1]);
        does(sandbox, "vlan add net1 20-21");
        does(sandbox, "fdb add 02:00:00:00:00:05 --blackhole");
        assert_eq!(vlans(sandbox), [1, 20, 21]);
        does(sandbox, "network set lan --vlan-filtering off");
        assert_eq!(vlans(sandbox), [0]);
        does(sandbox, "network set lan --vlan-filtering on");
        assert_eq!(vlans(sandbox), [1, 20, 21]);
        does(sandbox, "fdb del 02:00:00:00:00:05");
        let none = refused(sandbox, "fdb add 02:00:00:00:00:05 --blackhole --vlan 999", 2);
        assert!(none.contains("VLAN 999") && none.contains("vlan add"), "{none}");
        does(sandbox, "network set lan --vlan-default-pvid 0");
        does(sandbox, "vlan del net1 20-21");
        let none = refused(sandbox, "fdb add 02:00:00:00:00:05 --blackhole", 2);
        assert!(none.contains("member of a VLAN"), "{none}");
    });
}
