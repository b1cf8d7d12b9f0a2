//! Links that are lost while their containers run, which are put back, and who is collected of whom nobody tells.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Runtime, address, refused};
use crate::machine::eventually;
use crate::recorded::{published, served, start};
use crate::support::{Process, Sandbox};

/// The switch's namespace.
const SWITCH: &str = "/run/uswitch/serve/switch.ns";

/// Kills the server, and lets go of the switch's namespace.
fn lose(sandbox: &Sandbox, serve: &mut Option<Process>) {
    let killed = serve.take().unwrap();
    killed.signal(Signal::SIGKILL);
    killed.ended();
    sandbox.tool("umount", &[SWITCH]);
}

fn is_reached(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let line = format!("ip netns exec {from} ping -c 1 -W 1 {to} >/dev/null");
    sandbox.shell(&line).code == Some(0)
}

#[test]
fn a_link_that_is_lost_is_put_back_while_its_container_runs() {
    served(|sandbox, serve| {
        let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.conf["runtimeConfig"] = json!({ "portMappings": [{"containerPort": 80}] });
        runtime.conf["ipam"]["ways"] =
            json!([{"dst": "0.0.0.0/0"}, {"dst": "10.7.0.0/16", "gw": "10.92.0.1"}]);
        let names = ["c1", "c2", "c3"];
        let results = names.map(|name| {
            runtime.make(name);
            runtime.add(name)
        });
        let before = published(sandbox);
        let is_as_it_was = |at: usize| {
            let wanted = runtime.check(names[at], &results[at]).code == Some(0);
            wanted.then_some(())
        };
        // At either end.
        let links = sandbox.shell(&format!("nsenter --net={SWITCH} ip -o link")).ok().out;
        let ports = links.lines().filter_map(|line| line.split([':', '@']).nth(1));
        let ports = ports.map(str::trim).filter(|name| name.starts_with("us"));
        for port in ports {
            sandbox.shell(&format!("nsenter --net={SWITCH} ip link del {port}")).ok();
        }
        for at in 0..3 {
            eventually("the link", || is_as_it_was(at));
        }
        sandbox.tool("ip", &["-n", "c1", "link", "del", "eth0"]);
        eventually("the link", || is_as_it_was(0));
        eventually("the way", || is_reached(sandbox, "c1", &address(&results[1])).then_some(()));
        assert_eq!(published(sandbox), before);
        let table = sandbox.uswitch(&["show"]).ok().out;
        assert!(names.iter().all(|name| table.contains(name)), "{table}");
        // All of them with the switch's namespace; one container ends meanwhile.
        lose(sandbox, serve);
        sandbox.tool("ip", &["netns", "del", "c3"]);
        eventually("the end of the links", || {
            sandbox.shell("ip -n c1 link show eth0 2>&1").code.filter(|code| *code != 0)
        });
        *serve = Some(start(sandbox));
        for at in 0..2 {
            runtime.check(names[at], &results[at]).ok();
        }
        runtime.ping("c1", &address(&results[1]));
        let mut left = before.clone();
        left.remove(&format!("{}:80", address(&results[2])));
        assert_eq!(published(sandbox), left);
        for name in names {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

/// What keeps a link from being put back for now ends no place: it is tried again.
#[test]
fn a_link_that_cannot_be_put_back_yet_is_put_back_later() {
    served(|sandbox, serve| {
        let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.conf["runtimeConfig"] =
            json!({ "portMappings": [{"containerPort": 80, "hostPort": 8080, "protocol": "tcp"}] });
        for name in ["c1", "c2"] {
            runtime.make(name);
        }
        let result = runtime.add("c1");
        let before = published(sandbox);
        lose(sandbox, serve);
        eventually("the end of the link", || {
            sandbox.shell("ip -n c1 link show eth0 2>&1").code.filter(|code| *code != 0)
        });
        // Its name is taken.
        sandbox.shell("ip -n c1 link add eth0 type veth peer name beyond").ok();
        *serve = Some(start(sandbox));
        assert_ne!(runtime.check("c1", &result).code, Some(0));
        // Its ports are nobody else's meanwhile.
        assert_eq!(published(sandbox), before);
        let why = refused(&runtime.call("ADD", "c2", &runtime.conf), 999);
        assert!(why.contains("8080"), "{why}");
        assert_eq!(published(sandbox), before);
        sandbox.shell("ip -n c1 link del eth0").ok();
        eventually("the link", || (runtime.check("c1", &result).code == Some(0)).then_some(()));
        assert_eq!(published(sandbox), before);
        runtime.ping("c1", "10.92.0.1");
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

/// Somebody keeps the namespace of a switch that is gone, and with it the ends of its links in the host and in
/// containers.
#[test]
fn what_an_earlier_switch_has_left_gives_way() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        let result = runtime.add("c1");
        let kept = format!("exec nsenter --net={SWITCH} sh -c 'echo in; exec sleep 600'");
        let mut kept = sandbox.start_shell(&kept);
        kept.wait_for("in");
        lose(sandbox, serve);
        *serve = Some(start(sandbox));
        runtime.check("c1", &result).ok();
        runtime.ping("c1", "10.92.0.1");
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
        drop(kept);
    });
}

/// Another's namespace has its path by now, or it is the host's.
#[test]
fn a_link_is_put_back_into_its_own_container_alone() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        runtime.make("c2");
        runtime.add("c1");
        lose(sandbox, serve);
        let mut held = sandbox.start_shell("exec ip netns exec c1 sh -c 'echo in; exec sleep 600'");
        held.wait_for("in");
        sandbox.tool("umount", &["/run/netns/c1"]);
        sandbox.tool("mount", &["--bind", "/run/netns/c2", "/run/netns/c1"]);
        *serve = Some(start(sandbox));
        let links = sandbox.tool("ip", &["-n", "c2", "-o", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
        sandbox.tool("umount", &["/run/netns/c1"]);
        runtime.del("c1");
        runtime.nothing_is_left();
        drop(held);
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn nobody_is_collected_where_it_is_not_told_who_lives() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let names = ["c1", "c2"];
        let results = names.map(|name| {
            runtime.make(name);
            runtime.add(name)
        });
        let collect = |keys: &[(&str, Value)]| {
            let mut conf = runtime.conf.clone();
            keys.iter().for_each(|(key, value)| conf[*key] = value.clone());
            runtime.start_with(&[("CNI_COMMAND", "GC")], &conf).ended()
        };
        let why = refused(&collect(&[]), 7);
        assert!(why.contains("cni.dev/valid-attachments"), "{why}");
        runtime.check("c2", &results[1]).ok();
        let log = std::fs::read_to_string("/run/test/ipam.log").unwrap();
        assert!(!log.lines().any(|line| line.starts_with("GC")), "{log}");
        // Under the name that it had first, and under both, as the runtimes' library has it.
        let both = json!(names.map(|name| json!({"containerID": name, "ifname": "eth0"})));
        collect(&[("cni.dev/attachments", both.clone())]).ok();
        let one = json!([{"containerID": "c1", "ifname": "eth0"}]);
        let keys = [("cni.dev/attachments", one.clone()), ("cni.dev/valid-attachments", one)];
        runtime.check("c2", &results[1]).ok();
        collect(&keys).ok();
        runtime.check("c1", &results[0]).ok();
        refused(&runtime.check("c2", &results[1]), 999);
        // Nobody lives, in Go's words.
        collect(&[("cni.dev/valid-attachments", Value::Null)]).ok();
        refused(&runtime.check("c1", &results[0]), 999);
        for name in names {
            runtime.del(name);
        }
        runtime.nothing_is_left();
        runtime.unmake(&names);
    });
}
