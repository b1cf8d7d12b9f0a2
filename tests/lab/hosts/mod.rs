//! One network over several hosts that etcd knows: namespaces as hosts, three members of Debian's etcd.

mod across;
mod checks;
mod deaf;
mod evpn;
mod failures;
mod meddled;
mod mended;
mod routed;
mod served;
mod shut;
mod shut_tls;
mod six;
mod vlans;
mod world;

use serde_json::Value;

use crate::door::until;
use crate::support::{Sandbox, rooted};

use world::World;

/// A test with three hosts, where there is an etcd.
fn hosts(test: impl FnOnce(&mut World<'_>) + Send) {
    let Some(program) = world::etcd() else { return };
    rooted(|sandbox: &Sandbox| test(&mut World::new(sandbox, program, 3)));
}

/// The hardware address of node nHOST, at 10.100.1.HOST.
fn mac(host: u8) -> String {
    format!("02:00:0a:64:01:{host:02x}")
}

/// The row by which a host is sent what is flooded.
fn flood(host: u8) -> (String, String) {
    ("00:00:00:00:00:00".to_owned(), format!("10.9.0.{host}"))
}

/// The row of a host's node.
fn row(host: u8) -> (String, String) {
    (mac(host), format!("10.9.0.{host}"))
}

#[test]
fn nodes_of_all_hosts_are_on_one_network_and_have_what_they_claimed() {
    hosts(|world| {
        let labs = [1, 2, 3].map(|host| world.lab(host));
        for (host, to) in [(1, "10.100.1.2"), (2, "10.100.1.3"), (3, "10.100.1.1")] {
            until(&format!("host {host} reaches {to}"), || {
                world.pings(host, &format!("n{host}"), to).then_some(())
            });
        }
        // Every host is sent what is flooded, and each node's address leads to its host alone.
        assert_eq!(world.rows(&labs[0]), [flood(2), flood(3), row(2), row(3)]);
        assert_eq!(world.rows(&labs[2]), [flood(1), flood(2), row(1), row(2)]);
        // The switch has them too, set and not learned.
        let fdb = world.json(1, &["show", "fdb"]);
        let behind: Vec<_> =
            fdb.as_array().unwrap().iter().filter(|row| row["ifname"] == "vxlan100").collect();
        assert_eq!(behind.len(), 2, "{fdb:#}");
        assert!(behind.iter().all(|row| row["state"] == "static"), "{fdb:#}");

        // Frames to an address go to its host alone.
        until("five echoes of which host 3 hears nothing", || {
            let heard =
                || world.json(3, &["show", "tunnel"])[0]["stats64"]["rx"]["packets"].clone();
            let before = heard();
            let five = (0..5).all(|_| world.pings(1, "n1", "10.100.1.2"));
            (five && heard() == before).then_some(())
        });
        // Nodes of other hosts are known by their names.
        until("n1 knows n3", || {
            let said = world.uswitch(1, &["exec", "n1", "--", "getent", "hosts", "n3"]);
            said.out.contains("10.100.1.3").then_some(())
        });
        let hosts = world.json(2, &["show", "hosts"]);
        assert_eq!((&hosts[0]["state"], &hosts[0]["vni"]), (&"joined".into(), &100.into()));
        let host = |n: usize| {
            (hosts[0]["hosts"][n]["name"].as_str().unwrap(), hosts[0]["hosts"][n]["own"] == true)
        };
        assert_eq!([host(0), host(1), host(2)], [("h1", false), ("h2", true), ("h3", false)]);
        assert_eq!(hosts[0]["hosts"][2]["nodes"], serde_json::json!(["n3"]));

        // What one host has no other gets, and nothing is half made where it asks.
        let before = world.sandbox.state();
        for (args, says) in [
            (&["add", "n1"][..], "node n1 is on host h1 in network prod"),
            (
                &["add", "x", "--address", "10.100.1.1"],
                "10.100.1.1 is n1 on host h1's in network prod",
            ),
        ] {
            let ended = world.uswitch(2, args);
            assert!(ended.complaint(1).contains(says), "{}", ended.err);
        }
        assert_eq!(world.sandbox.state(), before);
        let moved = world.uswitch(1, &["port", "vxlan100", "--network", "none"]);
        assert!(moved.complaint(2).contains("stays in its network"), "{}", moved.err);
        // A node that is added is known everywhere, one that is removed nowhere, and its name is free.
        world.uswitch(1, &["add", "web", "--address", "10.100.7.7"]).ok();
        assert!(world.pings(1, "web", "10.100.1.2"));
        until("host 2 has web's row", || (world.rows(&labs[1]).len() == 5).then_some(()));
        assert!(world.pings(2, "n2", "10.100.7.7"));
        world.uswitch(1, &["remove", "web"]).ok();
        until("web's row is gone", || (world.rows(&labs[1]).len() == 4).then_some(()));
        until("web may be added elsewhere", || {
            let ended = world.uswitch(2, &["add", "web", "--address", "10.100.7.7"]);
            (ended.code == Some(0)).then_some(())
        });
        until("host 3 knows where web is now", || {
            let rows = world.rows(&labs[2]);
            rows.contains(&("02:00:0a:64:07:07".into(), "10.9.0.2".into())).then_some(())
        });
        assert!(world.pings(3, "n3", "10.100.7.7"));

        // Who leaves is gone at once.
        let [one, two, three] = labs;
        two.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(two.ended().code, Some(0));
        until("host 2 is gone", || (world.rows(&one) == [flood(3), row(3)]).then_some(()));
        drop(three);
    });
}

#[test]
fn what_does_not_fit_is_one_line_and_joins_nothing() {
    hosts(|world| {
        let _one = world.lab(1);
        let before = world.sandbox.state();
        let file = |host: usize| world.sandbox.dir.join(format!("n{host}.yaml"));
        let start = |url: &str, further: &[&str]| {
            let file = file(2);
            let words = ["run", file.to_str().unwrap(), "--join", url];
            world.uswitch(2, &[&words[..], further].concat())
        };
        let all = "etcd://10.9.0.1,10.9.0.2,10.9.0.3";
        for (url, further, code, says) in [
            (format!("{all}/prod?vni=101"), &[][..], 2, "network prod has VNI 100, here 101"),
            (format!("{all}/other?vni=100"), &[], 2, "VNI 100 is network prod's in etcd"),
            (
                format!("{all}/prod"),
                &["--host-name", "h1"],
                1,
                "host h1 is in network prod already",
            ),
            (
                format!("{all}/prod"),
                &["--vtep", "10.9.0.7"],
                2,
                "10.9.0.7 is no address of this host",
            ),
            (format!("{all}/prod"), &["--vtep", "127.0.0.1"], 2, "an address of this host alone"),
            (format!("{all}/prod"), &["--host-name", "a b"], 2, "is no name"),
            (format!("{all}/prod"), &["--mtu", "1500"], 2, "is to have packets of 1500 bytes"),
            ("etcd://10.9.0.99/prod".into(), &[], 1, "etcd does not answer (10.9.0.99:2379"),
        ] {
            let further = if further.contains(&"--host-name") {
                further.to_vec()
            } else {
                [further, &["--host-name", "h2"]].concat()
            };
            let ended = start(&url, &further);
            assert!(ended.complaint(code).contains(says), "{url} {further:?}: {}", ended.err);
        }
        // Another subnet, and a node that is on host 1 already.
        let text = std::fs::read_to_string(file(2)).unwrap();
        let many: Vec<_> = (1..=119).map(|last| format!("10.100.3.{last}")).collect();
        let many = format!("networks: {{lan: {{addresses: [{}]}}}}", many.join(", "));
        for (from, to, code, says) in [
            ("network: \"lan,10.100.1.2\"", &*many, 2, "n2 has 119 addresses, and in a network"),
            ("n2:", "N1:", 1, "node n1 is on host h1"),
            ("10.100.0.0/16", "10.100.0.0/17", 2, "subnet 10.100.0.0/16, here 10.100.0.0/17"),
            ("n2:", "n1:", 1, "node n1 is on host h1"),
            ("10.100.1.2", "10.100.1.1", 1, "10.100.1.1 is n1 on host h1's"),
        ] {
            std::fs::write(file(2), text.replace(from, to)).unwrap();
            let ended = start(&format!("{all}/prod"), &["--host-name", "h2"]);
            assert!(ended.complaint(code).contains(says), "{to}: {}", ended.err);
        }
        assert_eq!(world.sandbox.state(), before);
        // What the first host of a network says of it is taken back where that host does not come in.
        let taken = "link add vx7 type vxlan id 777 dstport 4789 local 10.9.0.2";
        world.on(2, "ip", &taken.split(' ').collect::<Vec<_>>()).ended().ok();
        std::fs::write(file(2), &text).unwrap();
        let ended = start(&format!("{all}/new?vni=777"), &["--host-name", "h2"]);
        assert!(ended.complaint(1).contains("making VXLAN device vxlan777"), "{}", ended.err);
        world.on(2, "ip", &["link", "del", "vx7"]).ended().ok();
        std::fs::write(file(2), text.replace("network: \"lan,10.100.1.2\"", &many)).unwrap();
        let ended = start(&format!("{all}/new"), &["--host-name", "h2"]);
        assert!(ended.complaint(2).contains("n2 has 119 addresses"), "{}", ended.err);
        for (what, left) in [("/uswitch/new/", Value::Null), ("/uswitch-vni/", "1".into())] {
            let keys = world.ask(1, "kv/range", &prefix(what)).unwrap();
            assert_eq!(keys["count"], left, "{keys:#}");
        }
        let hosts = world.ask(1, "kv/range", &prefix("/uswitch/prod/hosts/")).unwrap();
        assert_eq!(hosts["count"], "1", "{hosts:#}");
    });
}

/// A request for all keys that begin so.
fn prefix(text: &str) -> String {
    let end = format!("{}0", text.trim_end_matches('/'));
    serde_json::json!({ "key": base64(text), "range_end": base64(&end) }).to_string()
}

fn base64(text: &str) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut said = String::new();
    for three in text.as_bytes().chunks(3) {
        let mut bits = [0; 4];
        bits[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            said.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    said.into()
}
