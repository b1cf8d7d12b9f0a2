//! What cannot be: one line and the code that the specification has, and nothing left behind.

use serde_json::json;

use super::{Runtime, refused};
use crate::recorded::served;
use crate::support::rooted;

#[test]
fn an_add_that_fails_half_way_is_undone() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        let fails = |conf: &serde_json::Value, code: u32, word: &str| {
            let why = refused(&runtime.call("ADD", "c1", conf), code);
            assert!(why.contains(word), "{why}");
            runtime.nothing_is_left();
        };
        // The plugin for addresses says why, in its own words.
        std::fs::write("/run/test/ipam.fail", "").unwrap();
        fails(&runtime.conf, 101, "no address is left: of none");
        std::fs::remove_file("/run/test/ipam.fail").unwrap();
        let with = |path: &str, value: serde_json::Value| {
            let mut conf = runtime.conf.clone();
            conf[path] = value;
            conf
        };
        fails(&with("ipam", json!({"type": "nobody"})), 7, "nobody");
        fails(&with("ipam", json!({})), 7, "ipam");
        let mac = json!({"mac": "02:00:0a:5c:00:01"});
        fails(&with("runtimeConfig", mac), 7, "is the gateway's");
        fails(&with("mtu", json!(7)), 7, "68 to 65535");
        fails(&with("uswitch.nonsense", json!(true)), 7, "no such option");
        // A route by a router that is on no link; by then all else was made.
        let ways = json!([{"dst": "10.7.0.0/16", "gw": "10.66.0.1"}]);
        fails(
            &with("ipam", json!({"type": "ipam", "prefix": "10.92.0", "ways": ways})),
            999,
            "10.7.0.0/16",
        );
        // The name is taken in the container.
        sandbox.tool("ip", &["-n", "c1", "link", "add", "eth0", "type", "veth"]);
        fails(&runtime.conf, 999, "eth0");
        sandbox.tool("ip", &["-n", "c1", "link", "del", "eth0"]);
        // After all that it is as it would have been before.
        runtime.add("c1");
        runtime.ping("c1", "10.92.0.1");
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

#[test]
fn a_network_that_is_in_use_stays_as_it_is() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        for name in ["c1", "c2"] {
            runtime.make(name);
        }
        runtime.add("c1");
        let moved = Runtime::new(sandbox, "lab", "10.95.0");
        let why = refused(&moved.call("ADD", "c2", &moved.conf), 999);
        assert!(why.contains("10.95.0.0/24") && why.contains("lab"), "{why}");
        // Another network that has the same subnet.
        let same = Runtime::new(sandbox, "same", "10.92.0");
        let why = refused(&same.call("ADD", "c2", &same.conf), 999);
        assert!(why.contains("10.92.0"), "{why}");
        runtime.del("c1");
        moved.add("c2");
        moved.ping("c2", "10.95.0.1");
        moved.del("c2");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn what_makes_no_sense_is_said_in_one_line() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        refused(&runtime.call("ADD", "c9", &runtime.conf), 3);
        refused(&runtime.call("PURGE", "c9", &runtime.conf), 4);
        refused(&runtime.start("ADD", "c9", "a/b", &runtime.conf).ended(), 4);
        refused(&runtime.call("ADD", "c9", &json!("{")), 7);
        let mut old = runtime.conf.clone();
        old["cniVersion"] = json!("0.2.0");
        refused(&runtime.call("ADD", "c9", &old), 1);
        refused(&runtime.call("CHECK", "c9", &runtime.conf), 3);
        // Something else than the namespace of a network: a device, a file, a namespace of processes.
        for netns in ["/dev/null", "/etc/passwd", "/proc/self/ns/pid"] {
            let variables = [
                ("CNI_COMMAND", "ADD"),
                ("CNI_CONTAINERID", "c9"),
                ("CNI_IFNAME", "eth0"),
                ("CNI_NETNS", netns),
            ];
            let why = refused(&runtime.start_with(&variables, &runtime.conf).ended(), 4);
            assert!(why.contains("CNI_NETNS") && why.contains(netns), "{why}");
        }
        runtime.nothing_is_left();
    });
}

/// One place that cannot be let go keeps neither the others nor their addresses.
#[test]
fn what_is_collected_goes_on_after_one_that_cannot_go() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let names = ["c1", "c2", "c3"];
        for name in names {
            runtime.make(name);
            runtime.add(name);
        }
        let kept = || {
            let folder = std::fs::read_dir("/run/uswitch/serve/endpoints").unwrap();
            let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files
        };
        // What cannot be removed as a file is.
        let first = kept().remove(0);
        std::fs::remove_file(&first).unwrap();
        std::fs::create_dir(&first).unwrap();
        let mut conf = runtime.conf.clone();
        conf["cni.dev/valid-attachments"] = json!([]);
        let collect = || runtime.start_with(&[("CNI_COMMAND", "GC")], &conf).ended();
        let why = refused(&collect(), 999);
        assert!(why.contains("removing"), "{why}");
        assert_eq!(kept(), std::slice::from_ref(&first));
        let log = std::fs::read_to_string("/run/test/ipam.log").unwrap();
        assert!(log.lines().any(|line| line.starts_with("GC")), "{log}");
        std::fs::remove_dir(&first).unwrap();
        assert_eq!(collect().ok().out, "");
        for name in names {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&names);
    });
}

/// A runtime asks before it starts containers at all.
#[test]
fn status_is_that_no_container_can_come_without_the_plugin_for_addresses() {
    served(|sandbox, _| {
        let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.conf["ipam"] = json!({"type": "nobody"});
        let status = [("CNI_COMMAND", "STATUS")];
        let why = refused(&runtime.start_with(&status, &runtime.conf).ended(), 50);
        assert!(why.contains("nobody"), "{why}");
    });
}

/// The host's addresses and routes are no container's, wherever the plugin is started.
#[test]
fn the_hosts_own_network_is_no_containers() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        let host = format!("/proc/{}/ns/net", serve.as_ref().unwrap().pid());
        let variables = |verb| {
            [
                ("CNI_COMMAND", verb),
                ("CNI_CONTAINERID", "c1"),
                ("CNI_IFNAME", "eth0"),
                ("CNI_NETNS", host.as_str()),
            ]
        };
        let mut conf = runtime.conf.clone();
        conf["prevResult"] = json!({});
        for (verb, conf) in [("ADD", &runtime.conf), ("CHECK", &conf)] {
            let why = refused(&runtime.start_with(&variables(verb), conf).ended(), 8);
            assert!(why.contains(&host) && why.contains("the host's network"), "{why}");
        }
        // The server knows it from its own.
        std::fs::write(sandbox.dir.join("conf"), runtime.conf.to_string()).unwrap();
        let set = variables("ADD").map(|(name, value)| format!("{name}={value}")).join(" ");
        let folder = sandbox.dir.display();
        let line = format!(
            "ip netns exec c1 env CNI_PATH={folder}/cni {set} {folder}/uswitch <{folder}/conf"
        );
        let why = refused(&sandbox.shell(&line), 999);
        assert!(why.contains("the host's network"), "{why}");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

#[test]
fn without_a_server_it_is_said_how_to_start_one() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return crate::support::skip("serving engines takes root");
        }
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        for verb in ["ADD", "DEL"] {
            let why = refused(&runtime.call(verb, "c1", &runtime.conf), 11);
            assert!(
                why.contains("/run/uswitch/serve.sock") && why.contains("uswitch serve"),
                "{why}"
            );
        }
        let asked = [("CNI_COMMAND", "STATUS")];
        refused(&runtime.start_with(&asked, &runtime.conf).ended(), 50);
        // With a word it is the command that it ever was, whatever the variables are.
        let mut command = sandbox.uswitch_command(&["--version"]);
        command.env("CNI_COMMAND", "ADD");
        let ended = crate::support::Process::start(command, "uswitch --version").ended().ok();
        assert!(ended.out.starts_with("uswitch "), "{}", ended.out);
        runtime.unmake(&["c1"]);
    });
}
