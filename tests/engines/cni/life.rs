//! Containers come and go: every verb, twice, out of order, twenty at once, the server killed between.

use nix::sys::signal::Signal;
use serde_json::json;

use super::{Runtime, address, read, refused};
use crate::machine::eventually;
use crate::recorded::{served, start};

#[test]
fn a_containers_life() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let asked = [("CNI_COMMAND", "VERSION")];
        let versions =
            read(&runtime.start_with(&asked, &json!({"cniVersion": "1.0.0"})).ended().ok());
        assert_eq!(versions["supportedVersions"], json!(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
        assert_eq!(versions["cniVersion"], "1.0.0", "as it was asked in");
        let status = [("CNI_COMMAND", "STATUS")];
        assert_eq!(runtime.start_with(&status, &runtime.conf).ended().ok().out, "");
        for name in ["c1", "c2"] {
            runtime.make(name);
        }
        let one = runtime.add("c1");
        assert_eq!(one["cniVersion"], "1.1.0");
        assert_eq!(
            one["ips"],
            json!([
            {"interface": 0, "address": "10.92.0.10/24", "gateway": "10.92.0.1"}])
        );
        assert_eq!(one["routes"], json!([{"dst": "0.0.0.0/0"}]));
        assert_eq!(one["dns"], json!({"nameservers": ["10.92.0.1"]}));
        let link = sandbox.tool("ip", &["-n", "c1", "link", "show", "eth0"]);
        assert!(link.contains(one["interfaces"][0]["mac"].as_str().unwrap()), "{link}");
        let two = runtime.add("c2");
        runtime.ping("c1", &address(&two));
        runtime.ping("c1", "10.92.0.1");
        sandbox.tool("ping", &["-c", "1", "-W", "5", &address(&two)]);
        let routes = sandbox.tool("ip", &["-n", "c1", "route"]);
        assert!(routes.contains("default via 10.92.0.1 dev eth0"), "{routes}");
        let table = sandbox.uswitch(&["show"]).ok().out;
        assert!(
            table.contains("c1") && table.contains("lab") && table.contains("the-host"),
            "{table}"
        );
        assert_eq!(runtime.check("c1", &one).ok().out, "");
        runtime.del("c1");
        runtime.del("c1");
        refused(&runtime.check("c1", &one), 999);
        // Its namespace is gone, and was not even told.
        runtime.unmake(&["c2"]);
        let del = [("CNI_COMMAND", "DEL"), ("CNI_CONTAINERID", "c2"), ("CNI_IFNAME", "eth0")];
        for _ in 0..2 {
            runtime.start_with(&del, &runtime.conf).ended().ok();
        }
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

#[test]
fn check_finds_what_is_no_longer_as_it_was() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        let result = runtime.add("c1");
        for (harm, mend, word) in [
            ("addr del 10.92.0.10/24 dev eth0", "addr add 10.92.0.10/24 dev eth0", "10.92.0.10/24"),
            ("route del default", "route add default via 10.92.0.1", "route"),
            ("link set eth0 down", "link set eth0 up", "down"),
            ("link set eth0 address 02:00:00:00:00:99", "", "02:00:00:00:00:99"),
        ] {
            let change = |line: &str| {
                let words: Vec<_> = ["-n", "c1"].into_iter().chain(line.split(' ')).collect();
                sandbox.tool("ip", &words);
            };
            change(harm);
            let why = refused(&runtime.check("c1", &result), 999);
            assert!(why.contains(word), "{harm}: {why}");
            if harm.starts_with("addr") || harm.starts_with("link") {
                // The kernel takes routes along.
                change(if mend.is_empty() { "link set eth0 up" } else { mend });
                let route = "route replace default via 10.92.0.1";
                change(route);
            } else {
                change(mend);
            }
            if !mend.is_empty() {
                runtime.check("c1", &result).ok();
            }
        }
        // Such a one is put back.
        sandbox.tool("ip", &["-n", "c1", "link", "del", "eth0"]);
        let is_back = || (runtime.check("c1", &result).code == Some(0)).then_some(());
        eventually("the link", is_back);
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

/// The default route of the second is not made, for the first one wins.
#[test]
fn check_has_nothing_against_a_second_network_with_a_default_route() {
    served(|sandbox, _| {
        let (one, two) =
            (Runtime::new(sandbox, "one", "10.92.0"), Runtime::new(sandbox, "two", "10.93.0"));
        one.make("c1");
        let first = one.add("c1");
        let second = read(&two.start("ADD", "c1", "eth1", &two.conf).ended().ok());
        one.check("c1", &first).ok();
        let mut conf = two.conf.clone();
        conf["prevResult"] = second;
        let check = || two.start("CHECK", "c1", "eth1", &conf).ended();
        check().ok();
        sandbox.tool("ip", &["-n", "c1", "route", "del", "default"]);
        let why = refused(&check(), 999);
        assert!(why.contains("route to 0.0.0.0/0"), "{why}");
        two.start("DEL", "c1", "eth1", &two.conf).ended().ok();
        one.del("c1");
        one.nothing_is_left();
        one.unmake(&["c1"]);
    });
}

#[test]
fn calls_come_twice_and_out_of_order() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.del("c1");
        for name in ["c1", "c2"] {
            runtime.make(name);
        }
        runtime.add("c2");
        let first = runtime.add("c1");
        // It has its place, which stays as it is, and no address is taken for another.
        let mut wrong = runtime.conf.clone();
        wrong["runtimeConfig"] =
            json!({ "portMappings": [{"containerPort": 80, "hostPort": 8081, "protocol": "tcp"}] });
        for conf in [&runtime.conf, &wrong] {
            let why = refused(&runtime.call("ADD", "c1", conf), 999);
            assert!(why.contains("eth0 is in the container already"), "{why}");
        }
        runtime.ping("c1", "10.92.0.10");
        runtime.check("c1", &first).ok();
        let links = sandbox.tool("ip", &["-n", "c1", "-o", "link"]);
        assert_eq!(links.lines().count(), 2, "{links}");
        // The container was started anew, with another namespace and the same number.
        runtime.unmake(&["c1"]);
        runtime.make("c1");
        // Nobody told of its end: it has a new place, and the old one is no more.
        let anew = runtime.add("c1");
        assert_eq!(address(&anew), "10.92.0.12");
        runtime.ping("c1", "10.92.0.10");
        runtime.check("c1", &anew).ok();
        for name in ["c1", "c2", "c1"] {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn a_server_is_killed_between_a_containers_coming_and_its_going() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        for name in ["c1", "c2", "c3"] {
            runtime.make(name);
        }
        let (one, _) = (runtime.add("c1"), runtime.add("c2"));
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        for (verb, container) in [("DEL", "c1"), ("ADD", "c3")] {
            let why = refused(&runtime.call(verb, container, &runtime.conf), 11);
            assert!(why.contains("uswitch serve"), "{why}");
        }
        let asked = [("CNI_COMMAND", "STATUS")];
        refused(&runtime.start_with(&asked, &runtime.conf).ended(), 50);
        *serve = Some(start(sandbox));
        runtime.ping("c1", "10.92.0.11");
        runtime.check("c1", &one).ok();
        assert_eq!(address(&runtime.add("c3")), "10.92.0.12");
        runtime.ping("c3", "10.92.0.10");
        for name in ["c1", "c2", "c3"] {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2", "c3"]);
    });
}

#[test]
fn twenty_containers_come_at_once_and_go_at_once() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
        names.iter().for_each(|name| runtime.make(name));
        let all = |verb: &str| {
            let started = names.iter().map(|name| runtime.start(verb, name, "eth0", &runtime.conf));
            let started: Vec<_> = started.collect();
            started.into_iter().map(|process| process.ended().ok()).collect::<Vec<_>>()
        };
        // One crowd alone does not show each time what goes wrong in one.
        for _ in 0..5 {
            let added: std::collections::BTreeSet<_> =
                all("ADD").iter().map(|ended| address(&read(ended))).collect();
            assert_eq!(added.len(), 20);
            for name in &names {
                runtime.ping(name, "10.92.0.1");
            }
            all("DEL");
            runtime.nothing_is_left();
        }
        names.iter().for_each(|name| runtime.unmake(&[name]));
    });
}

#[test]
fn an_address_is_one_containers_while_it_lives() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        for name in ["c1", "c2", "c3"] {
            runtime.make(name);
        }
        runtime.add("c1");
        runtime.add("c3");
        // A plugin for addresses that has lost its notes.
        let noted = std::path::Path::new("/run/test/ipam/10.92.0.10");
        std::fs::remove_file(noted).unwrap();
        let why = refused(&runtime.call("ADD", "c2", &runtime.conf), 999);
        assert!(why.contains("address 10.92.0.10 is c1's in network lab"), "{why}");
        runtime.ping("c3", "10.92.0.10");
        runtime.ping("c1", "10.92.0.11");
        // Once the first is dead, though nobody has told of its end, the address is the second's.
        runtime.unmake(&["c1"]);
        assert_eq!(address(&runtime.add("c2")), "10.92.0.10");
        runtime.ping("c3", "10.92.0.10");
        for name in ["c1", "c2", "c3"] {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&["c2", "c3"]);
    });
}

/// Others know the hardware address that an address had last: the newcomer tells them.
#[test]
fn an_address_that_comes_back_with_another_hardware_address_is_found_at_once() {
    served(|sandbox, _| {
        let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
        for name in ["c1", "c2"] {
            runtime.make(name);
        }
        for number in 1..4 {
            runtime.conf["runtimeConfig"] = json!({"mac": format!("02:00:00:00:00:0{number}")});
            assert_eq!(address(&runtime.add("c1")), "10.92.0.10");
            runtime.conf["runtimeConfig"] = json!({});
            if number == 1 {
                runtime.add("c2");
            }
            sandbox.tool("ping", &["-c", "1", "-W", "1", "10.92.0.10"]);
            let from = ["netns", "exec", "c2", "ping", "-c", "1", "-W", "1", "10.92.0.10"];
            sandbox.tool("ip", &from);
            runtime.del("c1");
        }
        runtime.del("c2");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn what_has_a_long_name_is_found_by_it() {
    served(|sandbox, serve| {
        let network = "project-of-somebody-with-many-branches_default";
        let container = "project-of-somebody-with-many-branches-and-a-service-1";
        let runtime = Runtime::new(sandbox, network, "10.92.0");
        runtime.make(container);
        runtime.add(container);
        for killed in [false, true] {
            if killed {
                let killed = serve.take().unwrap();
                killed.signal(Signal::SIGKILL);
                killed.ended();
                *serve = Some(start(sandbox));
            }
            let table = sandbox.uswitch(&["show"]).ok().out;
            assert!(table.contains(container), "{table}");
            let table = sandbox.uswitch(&["network", "ls"]).ok().out;
            assert!(table.contains(network), "{table}");
            sandbox.uswitch(&["explain", container, "10.92.0.1"]).ok();
        }
        runtime.del(container);
        runtime.nothing_is_left();
        runtime.unmake(&[container]);
    });
}

#[test]
fn containers_that_the_runtime_has_lost_sight_of_are_collected() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let other = Runtime::new(sandbox, "other", "10.93.0");
        for name in ["c1", "c2", "c3", "d1"] {
            runtime.make(name);
        }
        for name in ["c1", "c2", "c3"] {
            runtime.add(name);
        }
        other.add("d1");
        let mut conf = runtime.conf.clone();
        conf["cni.dev/valid-attachments"] = json!([{"containerID": "c2", "ifname": "eth0"}]);
        let asked = [("CNI_COMMAND", "GC")];
        assert_eq!(runtime.start_with(&asked, &conf).ended().ok().out, "");
        let table = sandbox.uswitch(&["show"]).ok().out;
        assert!(table.contains("10.92.0.11/24") && table.contains("10.93.0.10/24"), "{table}");
        assert!(!table.contains("10.92.0.10/24") && !table.contains("10.92.0.12/24"), "{table}");
        for name in ["c1", "c2", "c3"] {
            runtime.del(name);
        }
        other.del("d1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2", "c3", "d1"]);
    });
}

fn resolve(container: &str, name: &str) -> Option<[u8; 4]> {
    super::resolve(container, "10.92.0.1", name)
}

#[test]
fn containers_find_each_other_by_name_and_by_alias() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        for name in ["c1", "web"] {
            runtime.make(name);
        }
        runtime.add("c1");
        let mut conf = runtime.conf.clone();
        conf["runtimeConfig"] = json!({"aliases": {"lab": ["www"]}});
        runtime.call("ADD", "web", &conf).ok();
        for name in ["web", "www"] {
            assert_eq!(resolve("c1", name), Some([10, 92, 0, 11]), "{name}");
        }
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        *serve = Some(start(sandbox));
        assert_eq!(resolve("web", "c1"), Some([10, 92, 0, 10]));
        assert_eq!(resolve("c1", "www"), Some([10, 92, 0, 11]));
        runtime.del("web");
        assert_eq!(resolve("c1", "www"), None);
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "web"]);
    });
}
