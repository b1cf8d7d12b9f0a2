//! The hosts file: who is in it, for whom, and what is left when the lab is gone.

use nix::sys::signal::Signal;

use super::{address, exec};
use crate::lab;
use crate::support::{Process, rooted, rootless};

fn end(run: Process) {
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().code, Some(0));
}

#[test]
fn nodes_find_each_other_by_name() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let run = lab(sandbox, &["run", "-n", "3"]);
        for (name, wanted) in [
            ("net2", "10.100.0.20"),
            ("NET3", "10.100.0.30"),
            ("net1", "10.100.0.10"),
            ("net2.uswitch", "10.100.0.20"),
            ("gateway", "10.100.0.1"),
            ("inet", "203.0.113.1"),
            ("internet", "8.8.8.8"),
            ("localhost", "127.0.0.1"),
        ] {
            assert_eq!(address(sandbox, "net1", name).as_deref(), Some(wanted), "{name}");
        }
        exec(sandbox, "net1", &["ping", "-c1", "-W9", "net2"]).ok();
        let back = exec(sandbox, "net1", &["getent", "hosts", "10.100.0.20"]).ok().out;
        assert_eq!(back.split_whitespace().nth(1), Some("net2"));
        // As iproute2 enters a namespace.
        if sandbox.real_root {
            let args = ["netns", "exec", "net1", "ping", "-c1", "-W9", "net2"];
            let out = sandbox.tool("ip", &args);
            assert!(out.contains("10.100.0.20"), "{out}");
        }
        // The host's own names are its own.
        assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("net2"));
        end(run);
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_program_that_runs_sees_nodes_come_and_go() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let script = "echo here; until getent hosts late; do sleep 0.05; done; echo come; \
                      while getent hosts late >/dev/null; do sleep 0.05; done; echo gone";
        let mut watching = sandbox.start(&["exec", "net1", "--", "sh", "-c", script]);
        watching.wait_for("here");
        sandbox.uswitch(&["add", "late"]).ok();
        watching.wait_for("come");
        sandbox.uswitch(&["remove", "late"]).ok();
        watching.wait_for("gone");
        let ended = watching.ended().ok();
        assert!(ended.out.contains("10.100.0.30"), "{}", ended.out);
        // The name is free for another address, and so is the address for another name.
        sandbox.uswitch(&["add", "other"]).ok();
        sandbox.uswitch(&["add", "late"]).ok();
        assert_eq!(address(sandbox, "net2", "other").as_deref(), Some("10.100.0.30"));
        assert_eq!(address(sandbox, "net2", "late").as_deref(), Some("10.100.0.40"));
        assert_eq!(address(sandbox, "late", "net1").as_deref(), Some("10.100.0.10"));
        end(run);
    });
}

#[test]
fn an_ordinary_users_lab_has_names() {
    rootless(|sandbox| {
        let run = lab(sandbox, &["run"]);
        assert_eq!(address(sandbox, "net1", "net2").as_deref(), Some("10.100.0.20"));
        sandbox.uswitch(&["add", "late"]).ok();
        assert_eq!(address(sandbox, "net1", "late").as_deref(), Some("10.100.0.30"));
        exec(sandbox, "net1", &["ping", "-c1", "-W9", "late"]).ok();
        end(run);
    });
}

#[test]
fn a_lab_with_a_prefix_is_its_own_domain() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let run = lab(sandbox, &["run", "--name", "demo", "--prefix", "x-"]);
        let seen = |name: &str| {
            let args = ["exec", "--name", "demo", "net1", "--", "getent", "ahostsv4", name];
            let out = sandbox.uswitch(&args).out;
            out.split_whitespace().next().map(str::to_owned)
        };
        for name in ["net2", "net2.demo", "x-net2"] {
            assert_eq!(seen(name).as_deref(), Some("10.100.0.20"), "{name}");
        }
        assert_eq!(seen("net2.uswitch"), None);
        end(run);
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn labs_without_a_gateway_have_names_in_files() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "pair"]);
        assert_eq!(address(sandbox, "net1", "net2").as_deref(), Some("10.100.0.2"));
        end(run);
        let run = lab(sandbox, &["run", "mesh", "-n", "3"]);
        // In a mesh a node has an address a link: each sees the one at its own end of the link.
        for (from, to) in [("net1", "net3"), ("net2", "net3"), ("net3", "net1")] {
            let found = address(sandbox, from, to).unwrap();
            exec(sandbox, from, &["ping", "-c1", "-W9", to]).ok();
            let there = exec(sandbox, to, &["ip", "-o", "-4", "addr"]).ok().out;
            assert!(there.contains(&format!(" {found}/30")), "{from} {to} {found}\n{there}");
            let way = exec(sandbox, from, &["ip", "route", "get", &found]).ok().out;
            assert!(!way.contains(" via "), "{way}");
        }
        end(run);
    });
}

#[test]
fn what_stands_in_etc_netns_stays_and_what_a_kill_leaves_is_cleared() {
    rooted(|sandbox| {
        // Root of a user namespace cannot write to the machine's /etc.
        if !sandbox.real_root {
            return;
        }
        let before = sandbox.state();
        let run = lab(sandbox, &["run"]);
        let link = std::fs::read_link("/etc/netns/net1").unwrap();
        assert!(link.starts_with("/run/uswitch/uswitch"), "{}", link.display());
        run.signal(Signal::SIGKILL);
        run.ended();
        assert!(std::fs::read_link("/etc/netns/net1").is_ok());
        sandbox.uswitch(&["down"]).ok();
        assert_eq!(sandbox.state(), before);
        assert!(!std::path::Path::new("/etc/netns").exists(), "it was made by the lab");

        // Somebody's own files are seen, beside those of the lab.
        std::fs::create_dir_all("/etc/netns/net1").unwrap();
        std::fs::write("/etc/netns/net1/motd", "mine\n").unwrap();
        std::fs::write("/etc/motd", "the host's\n").unwrap();
        std::os::unix::fs::symlink("/nowhere", "/etc/netns/net2").unwrap();
        let mine = sandbox.state();
        let run = lab(sandbox, &["run"]);
        assert_eq!(exec(sandbox, "net1", &["cat", "/etc/motd"]).ok().out, "mine\n");
        assert_eq!(address(sandbox, "net1", "net2").as_deref(), Some("10.100.0.20"));
        assert_eq!(address(sandbox, "net2", "net1").as_deref(), Some("10.100.0.10"));
        end(run);
        assert_eq!(sandbox.state(), mine);
        assert!(std::path::Path::new("/etc/netns/net1/motd").exists());
    });
}

#[test]
fn nodes_are_known_in_the_networks_they_can_be_reached_in() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        sandbox.uswitch(&["network", "add", "other", "--subnet", "10.101.0.0/24"]).ok();
        sandbox.uswitch(&["add", "web", "--network", "other,10.101.0.7"]).ok();
        let both = ["add", "both", "--network", "lan,10.100.7.7", "--network", "other,10.101.0.8"];
        sandbox.uswitch(&both).ok();
        for (from, name, wanted) in [
            ("net1", "web", None),
            ("web", "net1", None),
            ("net1", "both", Some("10.100.7.7")),
            ("web", "both", Some("10.101.0.8")),
            ("both", "net1", Some("10.100.0.10")),
            ("both", "web", Some("10.101.0.7")),
            ("net1", "gateway", Some("10.100.0.1")),
            ("web", "gateway", Some("10.101.0.1")),
        ] {
            assert_eq!(address(sandbox, from, name).as_deref(), wanted, "{name} from {from}");
        }
        end(run);
    });
}
