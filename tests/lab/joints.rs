//! Networks that are joined by links, as switches are by cables: who hears whom, what ports of links are
//! set to, what is told of them, and rings.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::door::{json, row};
use crate::lab;
use crate::support::{Process, Sandbox, rooted};

const FILE: &str = "
networks:
  lan: {subnet: 10.1.0.0/24}
  annex: {mtu: 1400}
  far: {}
nodes:
  h1: {network: lan}
  h2: {network: 'annex,10.1.0.20/24'}
  h3: {network: 'far,10.1.0.30/24'}
links: [[lan, annex], [annex, far]]
";

fn start(sandbox: &Sandbox, text: &str) -> Process {
    let path = sandbox.dir.join("lab.yaml");
    std::fs::write(&path, text).unwrap();
    lab(sandbox, &["run", path.to_str().unwrap()])
}

fn does(sandbox: &Sandbox, line: &str) -> String {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok().out
}

fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let ping = ["exec", from, "--", "ping", "-q", "-c", "3", "-i", "0.3", "-W", "1", to];
    let reached = sandbox.uswitch(&ping).code == Some(0);
    if !reached {
        // The kernel goes on asking for a while, and then gives up what waits.
        sandbox.tool("ip", &["-n", from, "neigh", "flush", "dev", "eth0"]);
    }
    reached
}

fn port(sandbox: &Sandbox, name: &str) -> Value {
    row(&json(sandbox, &["show", "ports", "-j"]), "ifname", name).clone()
}

#[test]
fn frames_pass_from_network_to_network() {
    rooted(|sandbox| {
        let _lab = start(sandbox, FILE);
        // Foretold with questions in all networks, then without any.
        for _ in 0..2 {
            let said = does(sandbox, "explain h1 10.1.0.30");
            assert!(said.contains("sends it to network annex, over link1"), "{said}");
            assert!(said.contains("takes it from network annex, over link2"), "{said}");
            assert!(said.contains("sends it to h3") && said.contains("it would arrive"), "{said}");
            assert!(reaches(sandbox, "h1", "10.1.0.30"));
        }
        let own = port(sandbox, "link1.1");
        assert_eq!((&own["node"], &own["network"]), (&"link1".into(), &"lan".into()), "{own}");
        assert!(own["stats64"]["tx"]["packets"].as_u64().unwrap() >= 6, "{own}");
        // The smaller one's packets, in both directions.
        assert_eq!((&own["mtu"], &port(sandbox, "link2.1")["mtu"]), (&1400.into(), &1400.into()));
        does(sandbox, "network set annex --mtu 1500");
        assert_eq!(port(sandbox, "link1.2")["mtu"], 1500);
        // Each network knows the address where it comes in.
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        let at = |network: &str| {
            let rows = fdb.as_array().unwrap().iter();
            let here =
                |row: &&Value| row["mac"] == "02:00:0a:01:00:02" && row["network"] == network;
            rows.clone().find(here).map(|row| row["ifname"].as_str().unwrap().to_owned())
        };
        assert_eq!(at("annex").as_deref(), Some("link1.2"), "{fdb}");
        assert_eq!(at("far").as_deref(), Some("link2.2"), "{fdb}");
        assert_eq!(
            does(sandbox, "exec h1 -- getent hosts h3").split(' ').next(),
            Some("10.1.0.30")
        );
        let shown = does(sandbox, "show topology");
        assert!(shown.contains("link1    lan to annex, by link1.1 and link1.2"), "{shown}");
        assert!(does(sandbox, "graph").contains("link2"));
        let refused = sandbox.uswitch(&["network", "remove", "far"]);
        assert!(refused.err.contains("far"), "{}", refused.err);
        assert_ne!(refused.code, Some(0));
    });
}

#[test]
fn an_end_of_a_link_is_set_as_any_port() {
    rooted(|sandbox| {
        let _lab = start(sandbox, FILE);
        for (wrong, why) in [
            ("port link1 --isolated on", "say which, link1:lan or link1:annex"),
            ("port link1:far --isolated on", "link1 has no end in network far"),
            ("port link1:lan --network far", "its ends stay in them"),
            ("port link9:lan --isolated on", "no port link9:lan"),
            ("port link1?x=1 --isolated on", "no port link1?x=1"),
            ("port link1#x --isolated on", "no port link1#x"),
        ] {
            let ended = sandbox.uswitch(&wrong.split(' ').collect::<Vec<_>>());
            assert!(ended.err.contains(why), "{wrong}: {}", ended.err);
        }
        does(sandbox, "port link1:annex --isolated on");
        does(sandbox, "port h2 --isolated on");
        assert!(!reaches(sandbox, "h1", "10.1.0.20") && reaches(sandbox, "h1", "10.1.0.30"));
        let said = sandbox.uswitch(&["explain", "h1", "10.1.0.20"]);
        assert_eq!(said.code, Some(1), "{}", said.out);
        assert!(said.out.contains("isolated"), "{}", said.out);
        does(sandbox, "port link1.2 --isolated off");
        assert!(reaches(sandbox, "h1", "10.1.0.20"));
        // Pulled, and plugged in again.
        does(sandbox, "link link1 down");
        assert!(!reaches(sandbox, "h1", "10.1.0.20"));
        assert!(does(sandbox, "show topology").contains("link1.2, down"));
        does(sandbox, "link link1 up");
        assert!(reaches(sandbox, "h1", "10.1.0.20"));
        // What it is set to is in its file, which can be run.
        does(sandbox, "port link2:annex --learn-limit 7");
        does(sandbox, "fdb add 02:00:00:00:00:77 link2:annex");
        let given = does(sandbox, "show topology --file");
        let path = sandbox.dir.join("back.yaml");
        std::fs::write(&path, &given).unwrap();
        does(sandbox, &format!("run --dry-run {}", path.display()));
        assert!(given.contains("link2:annex") && given.contains("learn_limit: 7"), "{given}");
        assert!(given.contains("node: link2"), "{given}");
    });
}

#[test]
fn a_ring_of_networks_is_seen_and_shut() {
    rooted(|sandbox| {
        let ring = FILE.replace("[annex, far]]", "[annex, far], [far, lan]]");
        let path = sandbox.dir.join("ring.yaml");
        std::fs::write(&path, &ring).unwrap();
        let refused = sandbox.uswitch(&["run", path.to_str().unwrap()]);
        let line = refused.complaint(2);
        assert!(line.contains("links[2]: far and lan hang together without it"), "{line}");
        let _lab = start(sandbox, &format!("{ring}ports: {{link3: {{loop_protect: true}}}}\n"));
        let shut = || {
            let shown = json(sandbox, &["port", "-j"]);
            let of = |name: &str| !row(&shown, "ifname", name)["loop_shut"].is_null();
            of("link3.1") || of("link3.2")
        };
        assert!(shut(), "before a frame goes round");
        assert!(reaches(sandbox, "h1", "10.1.0.30") && reaches(sandbox, "h3", "10.1.0.20"));
        assert!(
            port(sandbox, "link3.1")["loops"].as_u64() > Some(0)
                || port(sandbox, "link3.2")["loops"].as_u64() > Some(0)
        );
        // Its cable pulled, forgotten about, and plugged in again.
        does(sandbox, "link link3 down");
        for end in ["lan", "far"] {
            does(sandbox, &format!("port link3:{end} --loop-protect on"));
        }
        assert!(!shut());
        does(sandbox, "link link3 up");
        assert!(shut() && reaches(sandbox, "h1", "10.1.0.30"));
    });
}

#[test]
fn no_frame_goes_round_a_ring_that_is_to_be_shut() {
    let ends = FILE.split("links:").next().unwrap();
    let three = "links: [[lan, annex], [annex, far], [far, lan]]\n";
    let two = "links: [[lan, annex], [annex, far], [annex, lan]]\n";
    rooted(|sandbox| {
        let path = sandbox.dir.join("ring.yaml");
        for (links, ports) in [
            (three, "link3: {loop_protect: true}"),
            (three, "link1: {loop_protect: true}, 'link3:far': {loop_protect: true}"),
            (two, "'link3:lan': {loop_protect: true}"),
            (two, "link1: {loop_protect: true}, link3: {loop_protect: true}"),
        ] {
            let text = format!("{ends}{links}ports: {{{ports}}}\n");
            std::fs::write(&path, &text).unwrap();
            for _ in 0..3 {
                let said = sandbox.uswitch(&["run", path.to_str().unwrap(), "--check"]).ok();
                assert!(
                    said.out.contains("shut for the ring that it closes: link"),
                    "{}",
                    said.out
                );
            }
        }
    });
}

/// Each is held shut while it comes up, and would keep back the other's probe.
#[test]
fn two_links_that_come_up_at_once_are_tried_out_in_turn() {
    let links = "links: [[lan, annex], [annex, far], [far, lan]]\n";
    let file = [FILE.split("links:").next().unwrap(), links].concat();
    rooted(|sandbox| {
        let ports = "ports: {link2: {loop_protect: true}, link3: {loop_protect: true}}\n";
        let _lab = start(sandbox, &[&file, ports].concat());
        for _ in 0..5 {
            for link in ["link2", "link3"] {
                does(sandbox, &format!("link {link} down"));
            }
            for end in ["link2:annex", "link2:far", "link3:far", "link3:lan"] {
                does(sandbox, &format!("port {end} --loop-protect on"));
            }
            std::thread::scope(|scope| {
                for link in ["link2", "link3"] {
                    scope.spawn(move || does(sandbox, &format!("link {link} up")));
                }
            });
            let shown = json(sandbox, &["port", "-j"]);
            let ends = ["link2.1", "link2.2", "link3.1", "link3.2"];
            let shut = ends.map(|end| !row(&shown, "ifname", end)["loop_shut"].is_null());
            assert_eq!(shut.iter().filter(|shut| **shut).count(), 1, "{shut:?}");
            assert!(reaches(sandbox, "h1", "10.1.0.30") && reaches(sandbox, "h3", "10.1.0.20"));
        }
    });
}

#[test]
fn a_link_that_closes_no_ring_stays_open() {
    rooted(|sandbox| {
        let ports = "ports: {link1: {loop_protect: true}, link2: {loop_protect: true}}\n";
        let _lab = start(sandbox, &[FILE, ports].concat());
        // Longer than from one probe to the next.
        let limit = Instant::now() + Duration::from_secs(6);
        while Instant::now() < limit {
            assert!(reaches(sandbox, "h1", "10.1.0.30") && reaches(sandbox, "h3", "10.1.0.20"));
        }
        for end in ["link1.1", "link1.2", "link2.1", "link2.2"] {
            assert_eq!(port(sandbox, end)["loops"], 0, "{end}");
        }
    });
}
