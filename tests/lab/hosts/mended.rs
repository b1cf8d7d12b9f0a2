//! A host whose name another has come by, two that add at once, and a host that leaves with its lab running.

use serde_json::{Value, json};

use super::{base64, flood, hosts, mac, row};
use crate::door::until;

#[test]
fn a_host_whose_name_was_taken_is_cut_off_and_comes_back() {
    hosts(|world| {
        let mut one = world.lab(1);
        world.uswitch(1, &["add", "m1", "--address", "10.100.1.11"]).ok();
        let three = world.lab(3);
        until("host 1 reaches host 3", || world.pings(1, "n1", "10.100.1.3").then_some(()));
        // Cut off for longer than its lease; another host comes by its name meanwhile.
        world.set_cable(1, false);
        until("host 3 takes it for gone", || world.rows(&three).is_empty().then_some(()));
        let file = world.sandbox.dir.join("n2.yaml");
        let other = world.background(
            2,
            &[
                "run",
                file.to_str().unwrap(),
                "--host-name",
                "h1",
                "--vtep",
                "10.9.0.2",
                "--join",
                &world.url(),
            ],
        );
        until("the other is in", || (world.rows(&three).len() == 2).then_some(()));
        world.set_cable(1, true);
        until("it knows that it is out", || {
            let hosts = world.json(1, &["show", "hosts"]);
            let is_out = hosts[0]["state"] == "out" && hosts[0]["cut_off"]["n1"].is_string();
            is_out.then_some(())
        });
        assert!(!world.pings(1, "n1", "10.100.1.3"), "n1 is to be cut off");
        // Nodes that are cut off from other hosts have each other.
        assert!(world.pings(1, "n1", "10.100.1.11"), "n1 is to reach m1");
        let says = "host h1 is in network prod already, lab h2 at 10.9.0.2";
        let shown = world.uswitch(1, &["show", "hosts"]).ok().out;
        assert!(shown.contains(&format!("this host is out of it: {says}")), "{shown}");
        let ended = world.uswitch(1, &["add", "more"]);
        assert!(ended.complaint(1).contains(says), "{}", ended.err);
        std::thread::sleep(std::time::Duration::from_secs(4));
        one.wait_for_complaint(says);
        other.signal(nix::sys::signal::Signal::SIGTERM);
        other.ended();
        until("it is in again", || {
            (world.json(1, &["show", "hosts"])[0]["state"] == "joined").then_some(())
        });
        until("n1 reaches host 3", || world.pings(1, "n1", "10.100.1.3").then_some(()));
        // It said so once.
        one.signal(nix::sys::signal::Signal::SIGTERM);
        let said = one.ended().err;
        assert_eq!(said.matches("until then").count(), 1, "{said}");
    });
}

/// Somebody has changed what all hosts agreed on, or was the first in an etcd that was emptied.
#[test]
fn a_network_that_has_become_another_one_is_left_and_joined_again() {
    hosts(|world| {
        let _one = world.lab(1);
        let two = world.lab(2);
        until("host 1 reaches host 2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        let key = base64("/uswitch/prod/config");
        let asked = json!({ "key": key }).to_string();
        let before = world.ask(1, "kv/range", &asked).unwrap()["kvs"][0]["value"].clone();
        let other = json!({
            "vni": 7, "port": 4789, "subnets": ["10.100.0.0/16"], "gateways": ["10.100.0.1"],
        });
        let put = |value: &Value| json!({ "key": key, "value": value }).to_string();
        world.ask(1, "kv/put", &put(&base64(&other.to_string()))).unwrap();
        let says = "network prod has VNI 7, here 100 by now";
        for host in [1, 2] {
            until("it is out", || {
                let hosts = world.json(host, &["show", "hosts"]);
                let why = hosts[0]["why"].as_str().filter(|_| hosts[0]["state"] == "out")?;
                why.contains(says).then_some(())
            });
        }
        assert!(!world.pings(1, "n1", "10.100.1.2"), "n1 is to be cut off");
        let ended = world.uswitch(1, &["add", "more"]);
        assert!(ended.complaint(1).contains(says), "{}", ended.err);
        world.ask(1, "kv/put", &put(&before)).unwrap();
        until("it is in again", || {
            (world.json(1, &["show", "hosts"])[0]["state"] == "joined").then_some(())
        });
        until("host 1 reaches host 2 again", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        drop(two);
    });
}

#[test]
fn hosts_that_add_at_once_find_an_address_each_and_one_that_leaves_forgets_the_others() {
    hosts(|world| {
        let labs = [1, 2, 3].map(|host| world.lab(host));
        let all = [1, 2, 3].map(|host| world.background(host, &["add"]));
        for added in all {
            added.ended().ok();
        }
        until("all are known", || (world.rows(&labs[0]).len() == 6).then_some(()));
        // Out of it, with the lab running: no name and no neighbour of the others is left.
        let knows = |name: &str| {
            let said = world.uswitch(1, &["exec", "n1", "--", "getent", "hosts", name]);
            said.code == Some(0)
        };
        let neighbour = |address: &str| {
            let known = world.json(1, &["neigh", "ls"]);
            known.as_array().unwrap().iter().any(|row| row["address"] == address)
        };
        until("n3 is known", || (knows("n3") && neighbour("10.100.1.3")).then_some(()));
        world.uswitch(1, &["tunnel", "remove", "100"]).ok();
        assert!(!knows("n3") && !neighbour("10.100.1.3"));
        assert!(knows("n1") && neighbour("10.100.1.1"));
        until("host 2 forgets it", || {
            let rows = world.rows(&labs[1]);
            (!rows.contains(&(mac(1), "10.9.0.1".into()))).then_some(())
        });
    });
}

#[test]
fn a_tunnel_whose_device_is_deleted_is_put_back_and_told_once() {
    hosts(|world| {
        // An end of its own, so that the way to etcd stays.
        let end = |what| {
            world.sandbox.tool("ip", &["-n", "host1", "addr", what, "10.9.0.11/24", "dev", "eth0"]);
        };
        end("add");
        let mut one = world.start_with(1, "10.9.0.11");
        one.wait_for(crate::READY);
        let _two = world.lab(2);
        until("host 1 reaches host 2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        world.in_switch(&one, "ip", &["link", "del", "vxlan100"]);
        one.wait_for_complaint("somebody has deleted vxlan100: it is put back");
        until("host 1 reaches host 2 again", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        until("all rows are there", || (world.rows(&one) == [flood(2), row(2)]).then_some(()));
        // As long as the host has not its address there is no end of a tunnel.
        end("del");
        world.in_switch(&one, "ip", &["link", "del", "vxlan100"]);
        let says = "vxlan100, and it cannot be put back yet: 10.9.0.11 is no address of this host";
        one.wait_for_complaint(says);
        let shown = world.uswitch(1, &["show", "hosts"]).ok().out;
        assert!(shown.contains(says), "{shown}");
        std::thread::sleep(std::time::Duration::from_secs(4));
        end("add");
        until("host 1 reaches host 2 again", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        let shown = world.uswitch(1, &["show", "hosts"]).ok().out;
        assert!(!shown.contains("deleted"), "{shown}");
        // Who leaves is out of it, and nothing is put back.
        world.uswitch(1, &["tunnel", "remove", "100"]).ok();
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(world.json(1, &["show", "tunnel"]), json!([]));
        one.signal(nix::sys::signal::Signal::SIGTERM);
        let said = one.ended().err;
        assert_eq!(said.matches("cannot be put back").count(), 1, "{said}");
        assert_eq!(said.matches("it is put back").count(), 2, "{said}");
    });
}
