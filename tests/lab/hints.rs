//! What a person meets who types what is not there, or what is meant otherwise: one line, one exit
//! code for one cause, and what to type instead.

use nix::sys::signal::Signal;

use crate::lab;
use crate::support::{Sandbox, rooted, rootless};

/// Each line of words is refused with `code`, in one line that says `said`.
fn refused(sandbox: &Sandbox, rows: &[(&str, i32, &str)]) {
    for (line, code, said) in rows {
        let ended = sandbox.shell(&format!("uswitch {line}"));
        let complaint = ended.complaint(*code);
        assert!(complaint.contains(said), "{line}: {complaint}");
        assert!(!complaint.contains("as a value"), "{line}: {complaint}");
    }
}

#[test]
fn one_exit_code_for_one_cause() {
    rooted(|sandbox| {
        let no_lab = "not running";
        for verb in [
            "show",
            "exec net1 -- true",
            "shell net1",
            "ping net1 net2",
            "explain net1 net2",
            "capture",
            "trace",
            "monitor",
            "add",
            "remove net1",
            "publish 80:net1:80",
            "unpublish 80",
            "fdb flush",
            "nat flush",
            "metrics",
            "top -b",
            "ping --all",
        ] {
            refused(sandbox, &[(verb, 2, no_lab)]);
        }
        let _lab = lab(sandbox, &["run"]);
        let no_node = "no node net9";
        for verb in [
            "exec net9 -- true",
            "shell net9",
            "ping net9 net1",
            "ping net1 net9",
            "explain net9 net1",
            "explain net1 net9",
            "remove net9",
            "publish 80:net9:80",
        ] {
            refused(sandbox, &[(verb, 2, no_node)]);
        }
        for verb in ["run --name", "up --name", "show --name", "add", "down --name", "down"] {
            refused(sandbox, &[(&format!("{verb} ../x"), 2, "")]);
        }
    });
}

#[test]
fn names_that_mean_something_else_are_no_nodes() {
    rooted(|sandbox| {
        let before = sandbox.state();
        refused(
            sandbox,
            &[
                ("run --name all", 2, "is no name"),
                ("up --name 10.0.0.1", 2, "is no name"),
                ("run --prefix veth", 2, "interfaces"),
                ("up --name serve", 2, "engines"),
                ("run --name lab.", 2, "dots"),
            ],
        );
        assert_eq!(sandbox.state(), before);
        let _lab = lab(sandbox, &["run"]);
        for (name, why) in [
            ("gateway", "router"),
            ("internet", "gateway"),
            ("inet", "internet"),
            ("all", "every"),
            ("1", "number"),
            ("10.0.0.1", "number"),
            ("0x1f", "number"),
            ("icmp", "filter"),
            ("tcp", "filter"),
            ("port", "filter"),
            ("host", "filter"),
            ("and", "filter"),
            ("veth1", "interfaces"),
            ("vethpeer9", "interfaces"),
            ("uplink", "way out"),
            ("vxlan7", "tunnel"),
            ("net1.", "dots"),
            ("a..b", "dots"),
            ("net1.uswitch", "the lab's"),
            ("Gateway.USWITCH", "the lab's"),
        ] {
            refused(sandbox, &[(&format!("add {name}"), 2, why)]);
        }
        sandbox.uswitch(&["add", "web"]).ok();
    });
}

#[test]
fn what_ping_takes_is_what_run_prints() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for to in ["net2", "gateway", "internet", "inet"] {
            let said = sandbox.uswitch(&["ping", "net1", to, "-c", "1"]).ok().out;
            assert!(said.contains("1 received"), "{to}: {said}");
        }
        refused(
            sandbox,
            &[
                ("ping net1", 2, "ping net2 net1` pings it from net2"),
                ("ping gateway", 2, "ping net1 gateway"),
                ("ping 10.100.0.10 -c 1", 2, "ping net2 10.100.0.10"),
                ("ping net1 ::1", 2, "IPv4 alone"),
                ("ping net1 router -c 1", 2, "no node router"),
                ("ping net1 nosuch", 2, "neither an IPv4 address nor a node"),
                ("ping -6 net1", 2, "IPv4 alone"),
            ],
        );
    });
}

#[test]
fn words_of_other_programs_are_pointed_on() {
    rootless(|sandbox| {
        refused(
            sandbox,
            &[
                ("stop", 2, "down`"),
                ("list", 2, "ls`"),
                ("status", 2, "show`"),
                ("rm net1", 2, "remove NODE`"),
                ("destroy", 2, "down`"),
                ("start", 2, "up`"),
                ("fdb show", 2, "show fdb`"),
                ("nat show", 2, "show nat`"),
                ("up --check", 2, "run --check"),
                ("run -n abc", 2, "no number"),
                ("run -n -1", 2, "-1"),
                ("exec net1", 2, "shell net1"),
                ("-v", 2, "verb is missing"),
                ("show nosuch", 2, "possible values"),
                ("schema nosuch", 2, "schema --list"),
            ],
        );
        let listed = sandbox.shell("uswitch; uswitch -v; uswitch help; uswitch man nosuch");
        assert!(!(listed.out + &listed.err).contains("extcap"));
    });
}

#[test]
fn what_cannot_be_had_is_known_before_anything_is_built() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let _taken = std::net::TcpListener::bind("127.0.0.1:9100").unwrap();
        for verb in ["run", "up"] {
            let ended = sandbox.uswitch(&[verb, "--metrics", "9100"]);
            let line = ended.complaint(1);
            assert!(line.contains("choose another") && !line.contains("os error"), "{line}");
            assert_eq!(ended.out, "");
            let twice = [verb, "-p", "80:net1:80", "-p", "80:net2:81"];
            let ended = sandbox.uswitch(&twice);
            assert!(ended.complaint(2).contains("80/tcp twice"), "{}", ended.err);
            assert_eq!(ended.out, "");
        }
        sandbox.uswitch(&["run", "-p", "80:net1:80", "-p", "80:net1:80/udp", "--check"]).ok();
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn the_only_lab_is_found_without_its_name() {
    rooted(|sandbox| {
        assert!(sandbox.uswitch(&["ls"]).ok().out.contains("no lab is running"));
        let one = lab(sandbox, &["run", "--name", "m1"]);
        assert!(sandbox.uswitch(&["show"]).ok().out.contains("lab m1"));
        sandbox.uswitch(&["ping", "net1", "net2", "-c", "1"]).ok();
        sandbox.uswitch(&["exec", "net1", "--", "true"]).ok();
        let two = lab(sandbox, &["run", "--name", "m2", "pair"]);
        refused(sandbox, &[("show", 2, "m1, m2 are"), ("exec net1 -- true", 2, "m1, m2 are")]);
        let said = sandbox.shell("USWITCH_LAB=m2 uswitch show").ok().out;
        assert!(said.contains("lab m2"), "{said}");
        let list = sandbox.uswitch(&["ls"]).ok().out;
        assert!(list.contains("m1") && list.contains("pair") && list.contains("root"), "{list}");
        let list: serde_json::Value =
            serde_json::from_str(&sandbox.uswitch(&["ls", "-j"]).ok().out).unwrap();
        assert_eq!((&list[0]["name"], &list[1]["topology"]), (&"m1".into(), &"pair".into()));
        two.signal(Signal::SIGTERM);
        two.ended().ok();
        assert!(sandbox.uswitch(&["down"]).ok().out.contains("lab m1 is down"));
        one.ended().ok();
    });
}

#[test]
fn hints_can_be_typed_as_they_stand() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let out = run.out();
        let hint = out.lines().skip_while(|line| !line.starts_with("try")).nth(1).unwrap();
        let hint = hint.trim();
        assert!(hint.starts_with('/'), "not in PATH, so by its path: {hint}");
        sandbox.shell(&format!("{hint} -c 1")).ok();
        run.signal(Signal::SIGINT);
        run.ended().ok();
        let found = sandbox.shell("uswitch show");
        assert!(found.err.contains("`uswitch up`"), "{}", found.err);
    });
}

#[test]
fn a_published_port_is_told_with_its_address_and_withdrawn_by_it() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let said = sandbox.uswitch(&["publish", "9000:net1:80"]).ok().out;
        assert!(said.contains("203.0.113.2:9000/tcp leads to 10.100.0.10:80"), "{said}");
        assert!(said.contains("exec inet -- curl http://203.0.113.2:9000/"), "{said}");
        let shown = sandbox.uswitch(&["show", "published"]).ok().out;
        let shown = shown.lines().last().unwrap().split_whitespace().next().unwrap();
        sandbox.uswitch(&["unpublish", shown]).ok();
        sandbox.uswitch(&["publish", "203.0.113.2:53:net1:53/udp"]).ok();
        refused(sandbox, &[("unpublish 192.0.2.1:53/udp", 2, "is not published")]);
        sandbox.uswitch(&["unpublish", "203.0.113.2:53/udp"]).ok();
    });
}

#[test]
fn several_nodes_go_at_once() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let ended = sandbox.uswitch(&["remove", "net2", "nosuch", "net3"]);
        assert!(ended.complaint(2).contains("no node nosuch"), "{}", ended.err);
        assert_eq!(ended.out, "", "where one is wrong nothing is done");
        let ended = sandbox.uswitch(&["remove", "net2", "net3", "net2"]).ok();
        assert_eq!(ended.out, "net2 is gone\nnet3 is gone\n");
        for name in ["a", "b", "c"] {
            sandbox.uswitch(&["network", "add", name]).ok();
        }
        let before = sandbox.uswitch(&["network", "ls"]).ok().out;
        let busy = sandbox.uswitch(&["network", "remove", "a", "lan", "b"]);
        assert!(busy.complaint(1).contains("has nodes attached: net1"), "{}", busy.err);
        let none = sandbox.uswitch(&["network", "remove", "a", "nosuch", "b"]);
        assert!(none.complaint(2).contains("no network nosuch"), "{}", none.err);
        assert_eq!(sandbox.uswitch(&["network", "ls"]).ok().out, before);
        let ended = sandbox.uswitch(&["network", "remove", "a", "b", "a"]).ok();
        assert_eq!(ended.out, "network a is gone\nnetwork b is gone\n");
    });
}

#[test]
fn who_names_nothing_is_told_so() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1"]);
        for (line, said) in [
            (&["port", ""][..], "'' names no port"),
            (&["network", "set", "", "--mtu", "1400"], "'' names no network"),
            (&["remove", ""], "has no node ''"),
            (&["network", "remove", ""], "has no network ''"),
            (&["vlan", "add", "", "3"], "has no port ''"),
            (&["exec", "", "true"], "has no node ''"),
            (&["ping", "net1", ""], "'' is neither"),
        ] {
            let ended = sandbox.uswitch(line);
            assert!(ended.complaint(2).contains(said), "{line:?}: {}", ended.err);
        }
        let words = vec!["icmp"; 5_000].join(" or ");
        let ended = sandbox.uswitch(&["capture", "-c", "1", &words]);
        assert!(ended.complaint(2).contains("longer than 16 KiB"), "{}", ended.err);
        for line in ["network set lan --vlan-default-pvid 5", "vlan add net1 5"] {
            let ended = sandbox.uswitch(&line.split(' ').collect::<Vec<_>>());
            assert!(ended.complaint(1).contains("does not tell VLANs apart"), "{}", ended.err);
        }
    });
}

#[test]
fn a_shell_says_where_it_is() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let line = "echo 'ip -o -4 addr; echo at $USWITCH_NODE' | SHELL=/bin/sh uswitch shell net1";
        let said = sandbox.shell(line).ok().out;
        assert!(said.contains("10.100.0.10") && said.contains("at net1"), "{said}");
        assert_eq!(sandbox.shell("echo 'exit 7' | SHELL=/bin/sh uswitch shell net1").code, Some(7));
    });
}

#[test]
fn checks_that_fail_say_why() {
    rooted(|sandbox| {
        let ended = sandbox.uswitch(&["run", "--storm", "broadcast=0", "--check"]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.contains("over the limit of --storm broadcast=0"), "{}", ended.out);
    });
}

#[test]
fn of_several_labs_none_is_taken_down_unasked() {
    rooted(|sandbox| {
        for name in ["a", "b"] {
            sandbox.uswitch(&["up", "--name", name, "-n", "1", "--uplink", "none"]).ok();
        }
        let both = "a, b are: name one with --name";
        refused(sandbox, &[("show", 2, both), ("down", 2, both)]);
        // By its name one that is not there is down already.
        let ended = sandbox.uswitch(&["down", "nolab"]).ok();
        assert!(ended.out.contains("lab nolab is not there: nothing to do"), "{}", ended.out);
        sandbox.uswitch(&["down", "a"]).ok();
        // Of one it is clear which is meant.
        assert!(sandbox.uswitch(&["down"]).ok().out.contains("lab b is down"));
    });
}
