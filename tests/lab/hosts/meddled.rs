//! Somebody writes in etcd what is the hosts' own: what was taken out is put back, what leads nowhere is
//! passed over, and what another says is told.

use serde_json::{Value, json};

use super::world::World;
use super::{base64, flood, hosts, row};
use crate::door::until;

fn get(world: &World<'_>, key: &str) -> Option<Value> {
    let said = world.ask(3, "kv/range", &json!({ "key": base64(key) }).to_string())?;
    said["kvs"].get(0).cloned()
}

fn put(world: &World<'_>, key: &str, value: &str) {
    let asked = json!({ "key": base64(key), "value": base64(value) });
    world.ask(3, "kv/put", &asked.to_string()).unwrap();
}

fn take_out(world: &World<'_>, key: &str) {
    world.ask(3, "kv/deleterange", &json!({ "key": base64(key) }).to_string()).unwrap();
}

fn lease(world: &World<'_>, key: &str) -> Option<String> {
    get(world, key)?["lease"].as_str().map(str::to_owned)
}

#[test]
fn a_host_puts_its_own_rows_back_and_says_who_else_has_them() {
    hosts(|world| {
        let [one, _two] = [1, 2].map(|host| world.lab(host));
        let all = [flood(2), row(2)];
        until("both are there", || (world.rows(&one) == all).then_some(()));
        let own = lease(world, "/uswitch/prod/nodes/n2").unwrap();
        for key in ["/uswitch/prod/hosts/h2", "/uswitch/prod/vteps/10.9.0.2"] {
            take_out(world, key);
            until("it is put back", || {
                (lease(world, key).as_ref() == Some(&own) && world.rows(&one) == all).then_some(())
            });
            // As it is, but to stay for ever.
            let value =
                if key.contains("hosts") { r#"{"vtep":"10.9.0.2","lab":"h2"}"# } else { "h2" };
            put(world, key, value);
            until("it goes with the lease", || {
                (lease(world, key).as_ref() == Some(&own)).then_some(())
            });
        }
        until("n1 reaches n2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        assert_eq!(world.json(2, &["show", "hosts"])[0]["state"], "joined");

        // Another host by this one's name.
        put(world, "/uswitch/prod/hosts/h2", r#"{"vtep":"10.9.0.77","lab":"other"}"#);
        let says = "host h2 is in network prod already, lab other at 10.9.0.77";
        until("it is told", || {
            let hosts = world.json(2, &["show", "hosts"]);
            let why = hosts[0]["why"].as_str().filter(|_| hosts[0]["state"] == "out")?;
            why.contains(says).then_some(())
        });
        let ended = world.uswitch(2, &["add", "more"]);
        assert!(ended.complaint(1).contains(says), "{}", ended.err);
        until("nothing leads to its nodes there", || {
            let to = ("00:00:00:00:00:00".to_owned(), "10.9.0.77".to_owned());
            (world.rows(&one) == [to]).then_some(())
        });
        take_out(world, "/uswitch/prod/hosts/h2");
        until("it is in again", || (world.rows(&one) == all).then_some(()));
        until("n1 reaches n2 again", || world.pings(1, "n1", "10.100.1.2").then_some(()));

        // The number is nobody else's either.
        take_out(world, "/uswitch-vni/100");
        until("whose the number is is said again", || get(world, "/uswitch-vni/100"));
    });
}

#[test]
fn what_leads_to_no_host_and_no_node_is_passed_over() {
    hosts(|world| {
        let [one, _two] = [1, 2].map(|host| world.lab(host));
        let all = [flood(2), row(2)];
        until("both are there", || (world.rows(&one) == all).then_some(()));
        for mac in ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"] {
            let claim = json!({ "host": "h2", "node": "zz", "ips": [], "macs": [mac] });
            put(world, &format!("/uswitch/prod/mac/{mac}"), &claim.to_string());
        }
        for (name, vtep) in
            [("a", "0.0.0.0"), ("b", "224.0.0.1"), ("c", "255.255.255.255"), ("d", "127.0.0.1")]
        {
            let host = json!({ "vtep": vtep, "lab": "x" });
            put(world, &format!("/uswitch/prod/hosts/{name}"), &host.to_string());
        }
        put(world, "/uswitch/prod/hosts/e", r#"{"vtep":"10.9.0.1","lab":"x"}"#);
        // What comes behind all that has come.
        put(world, "/uswitch/prod/hosts/h9", r#"{"vtep":"10.9.0.9","lab":"x"}"#);
        until("the last of it is heard", || {
            (world.rows(&one) == [flood(2), flood(9), row(2)]).then_some(())
        });
        assert!(world.pings(1, "n1", "10.100.1.2"));
        let hosts = world.json(1, &["show", "hosts"]);
        let names: Vec<_> =
            hosts[0]["hosts"].as_array().unwrap().iter().map(|host| host["name"].clone()).collect();
        assert_eq!(names, ["h1", "h2", "h9"]);
    });
}

#[test]
fn a_network_that_cannot_be_read_is_told_and_not_asked_for_all_the_time() {
    hosts(|world| {
        let [one, _two] = [1, 2].map(|host| world.lab(host));
        let all = [flood(2), row(2)];
        until("both are there", || (world.rows(&one) == all).then_some(()));
        let key = "/uswitch/prod/config";
        let before = get(world, key).unwrap()["value"].clone();
        put(world, key, "{\"vni\"");
        let why = || {
            let hosts = world.json(1, &["show", "hosts"]);
            assert_eq!(hosts[0]["state"], "joined");
            hosts[0]["why"].as_str().map(str::to_owned)
        };
        let says = "what network prod is cannot be read in etcd (/uswitch/prod/config)";
        until("it is told", || why()?.contains(says).then_some(()));
        let shown = world.uswitch(1, &["show", "hosts"]).ok().out;
        assert!(shown.contains(says), "{shown}");
        // They ask whose the number is, each half a minute, and nothing else.
        let asked = || -> u64 {
            let metrics = world.on(1, "curl", &["-s", "http://10.9.0.1:2379/metrics"]).ended().out;
            let of_txn = |line: &&str| {
                line.starts_with("grpc_server_started_total") && line.contains("\"Txn\"")
            };
            let number = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
            metrics.lines().filter(of_txn).filter_map(number).sum()
        };
        let from = asked();
        assert!(from > 0, "no transactions are counted");
        std::thread::sleep(std::time::Duration::from_secs(4));
        let count = asked() - from;
        assert!(count <= 4, "{count} transactions in 4 s");
        assert!(world.pings(1, "n1", "10.100.1.2"));
        world.uswitch(1, &["add", "more"]).ok();
        let asked = json!({ "key": base64(key), "value": before });
        world.ask(3, "kv/put", &asked.to_string()).unwrap();
        until("all is well", || why().is_none().then_some(()));
    });
}
