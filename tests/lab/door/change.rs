//! Nodes and published ports in and out while others talk; NAT types; flushes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use super::{PATIENCE, json, lab, row, until};
use crate::support::{As, Process, Sandbox, in_netns, rooted, rootless};

#[test]
fn nodes_come_and_go_while_others_talk() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let lab = lab(sandbox, &["run"]);
        let mut ping = sandbox.command(As::Root, Path::new("ip"));
        let args = "netns exec net1 ping -q -c 4000 -i 0.001 10.100.0.20";
        ping.args(args.split(' '));
        let mut ping = Process::start(ping, args);
        let mut turns = 0;
        while ping.running() || turns < 5 {
            let name = format!("guest{turns}");
            let added = json(sandbox, &["add", &name, "-j"]);
            assert_eq!((&added["name"], &added["port"]), (&name.as_str().into(), &"veth3".into()));
            // A node like the others: they reach it, and it reaches the internet.
            if turns < 5 {
                let address = added["address"].as_str().unwrap();
                sandbox.tool("ip", &["netns", "exec", "net2", "ping", "-c", "1", address]);
                sandbox.uswitch(&["exec", &name, "--", "ping", "-c", "1", "8.8.8.8"]).ok();
            }
            sandbox.uswitch(&["remove", &name]).ok();
            turns += 1;
        }
        let ended = ping.ended().ok();
        assert!(ended.out.contains("4000 received, 0% packet loss"), "{turns}: {}", ended.out);
        let topology = json(sandbox, &["show", "-j"]);
        assert_eq!(topology["nodes"].as_array().unwrap().len(), 2);
        lab.signal(nix::sys::signal::Signal::SIGTERM);
        lab.ended().ok();
        assert_eq!(sandbox.state(), before);
    });
}

fn numbered_and_named(sandbox: &Sandbox) {
    let _lab = lab(sandbox, &["run"]);
    let added = |args: &[&str]| {
        let node = json(sandbox, &[&["add", "-j"], args].concat());
        (node["name"].as_str().unwrap().to_owned(), node["address"].as_str().unwrap().to_owned())
    };
    let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
    assert_eq!(added(&[]), pair("net3", "10.100.0.30"));
    assert_eq!(added(&["web", "--address", "10.100.0.50"]), pair("web", "10.100.0.50"));
    // Number 5 has its address taken; the next is 6.
    assert_eq!(added(&[]), pair("net6", "10.100.0.60"));
    sandbox.uswitch(&["exec", "web", "--", "ping", "-c", "1", "10.100.0.60"]).ok();
    for (args, said) in [
        (&["add", "web"][..], "has a node web already"),
        (&["add", "inet"], "the simulated internet is called so"),
        (&["add", "-bad"], ""),
        (&["add", "x", "--address", "10.100.0.1"], "the gateway's"),
        (&["add", "x", "--address", "10.100.0.50"], "web's"),
        (&["add", "x", "--address", "8.8.8.8"], "8.8.8.8 is not in 10.100.0.0/16"),
        (&["remove", "x"], "it has net1, net2, net3, web, net6"),
    ] {
        let ended = sandbox.uswitch(args);
        assert!(ended.code != Some(0) && ended.err.contains(said), "{args:?}: {}", ended.err);
    }
    for node in ["net3", "web", "net6", "net1"] {
        sandbox.uswitch(&["remove", node]).ok();
    }
    let topology = json(sandbox, &["show", "-j"]);
    assert_eq!(topology["nodes"][0]["name"], "net2");
    assert_eq!(topology["nodes"].as_array().unwrap().len(), 1);
}

#[test]
fn names_and_addresses_are_given_or_chosen_as_root() {
    rooted(numbered_and_named);
}

#[test]
fn names_and_addresses_are_given_or_chosen_as_an_ordinary_user() {
    rootless(numbered_and_named);
}

/// Says `text` from the internet to `port` of the uplink, for `listener` to hear.
fn heard_from_outside(listener: &TcpListener, port: u16, text: &str) -> String {
    let mut outside = in_netns("/run/netns/inet", || {
        TcpStream::connect_timeout(&([203, 0, 113, 2], port).into(), PATIENCE).unwrap()
    });
    outside.write_all(text.as_bytes()).unwrap();
    outside.shutdown(Shutdown::Write).unwrap();
    let (mut inside, _) = listener.accept().unwrap();
    inside.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = String::new();
    inside.read_to_string(&mut heard).unwrap();
    heard
}

#[test]
fn published_ports_lead_inside_until_they_are_withdrawn() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-p", "8080:net1:80"]);
        let listen = |port| {
            in_netns("/run/netns/net1", || TcpListener::bind(("10.100.0.10", port)).unwrap())
        };
        let (first, second) = (listen(80), listen(81));
        assert_eq!(heard_from_outside(&first, 8080, "from the start"), "from the start");
        sandbox.uswitch(&["publish", "203.0.113.2:8081:net1:81"]).ok();
        assert_eq!(heard_from_outside(&second, 8081, "at run time"), "at run time");
        let published = json(sandbox, &["show", "published", "-j"]);
        assert_eq!(row(&published, "inside", "10.100.0.10:81")["port"], 8081);
        sandbox.uswitch(&["unpublish", "8080"]).ok();
        let refused = in_netns("/run/netns/inet", || {
            TcpStream::connect_timeout(&([203, 0, 113, 2], 8080).into(), Duration::from_millis(700))
        });
        assert!(refused.is_err(), "a withdrawn port still leads inside");
        for (args, code, said) in [
            (&["publish", "8081:net1:80"][..], 1, "published already"),
            (&["publish", "9000:net9:80"], 2, "it has net1, net2"),
            (&["publish", "10.0.0.1:9000:net1:80"], 2, "not the uplink's address"),
            (&["unpublish", "8080"], 2, "what is: 8081/tcp"),
        ] {
            let ended = sandbox.uswitch(args);
            assert!(ended.complaint(code).contains(said), "{args:?}: {}", ended.err);
        }
        // It goes with its node.
        sandbox.uswitch(&["remove", "net1"]).ok();
        assert_eq!(json(sandbox, &["show", "published", "-j"]), serde_json::json!([]));
    });
}

#[test]
fn what_cannot_be_published_is_said_before_anything_is_built() {
    rooted(|sandbox| {
        let before = sandbox.state();
        for (args, said) in [
            (&["run", "--check", "-p", "8080:net3:80"][..], "net1 to net2"),
            (&["run", "--check", "--uplink", "none", "-p", "8080:net1:80"], "would have none"),
            (&["run", "pair", "--check", "-p", "8080:net1:80"], "would have none"),
            (&["run", "--check", "-p", "8080"], "[ADDR:]PORT:NODE:PORT"),
            (&["run", "--check", "--nat", "cone"], "full-cone, restricted-cone"),
            (&["run", "-p", "8080:net1:80", "-p", "8080:net2:80"], "8080/tcp twice"),
            (&["up", "-p", "10.1.2.3:8080:net1:80"], "the uplink has 203.0.113.2"),
        ] {
            let ended = sandbox.uswitch(args);
            assert_eq!(ended.code, Some(2), "{args:?}");
            assert!(ended.err.contains(said), "{args:?}: {}", ended.err);
        }
        assert_eq!(sandbox.state(), before);
    });
}

/// Whether a datagram from a host the inside never spoke to gets through where another's would.
fn strangers_get_in(sandbox: &Sandbox, nat: &str) -> bool {
    let lab = lab(sandbox, &["run", "--nat", nat]);
    assert_eq!(json(sandbox, &["show", "-j"])["uplink"]["nat"], nat);
    let at = |netns: &str, address: &str| {
        let socket =
            in_netns(format!("/run/netns/{netns}"), || UdpSocket::bind((address, 5000)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let inside = at("net1", "10.100.0.10");
    let (friend, stranger) = (at("inet", "8.8.8.8"), at("inet", "1.1.1.1"));
    inside.send_to(b"hello", "8.8.8.8:5000").unwrap();
    let mut buffer = [0; 16];
    let (_, mapping) = friend.recv_from(&mut buffer).unwrap();
    stranger.send_to(b"stranger", mapping).unwrap();
    friend.send_to(b"friend", mapping).unwrap();
    // In order on one path: once the friend's is here, the stranger's is here or was dropped.
    let (length, _) = inside.recv_from(&mut buffer).unwrap();
    let first = buffer[..length].to_vec();
    assert!(first == b"stranger" || first == b"friend", "{first:?}");
    lab.signal(nix::sys::signal::Signal::SIGTERM);
    lab.ended().ok();
    first == b"stranger"
}

#[test]
fn the_nat_is_of_the_type_asked_for() {
    rooted(|sandbox| {
        assert!(strangers_get_in(sandbox, "full-cone"));
        assert!(!strangers_get_in(sandbox, "port-restricted-cone"));
        assert!(!strangers_get_in(sandbox, "symmetric"));
    });
}

#[test]
fn flushed_tables_are_empty_and_fill_again() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let ping = ["netns", "exec", "net1", "ping", "-c", "1", "8.8.8.8"];
        sandbox.tool("ip", &ping);
        assert!(!json(sandbox, &["show", "nat", "-j"]).as_array().unwrap().is_empty());
        assert!(sandbox.uswitch(&["nat", "flush"]).ok().out.contains("forgotten"));
        assert_eq!(json(sandbox, &["show", "nat", "-j"]), serde_json::json!([]));
        assert_eq!(sandbox.uswitch(&["fdb", "flush", "net1"]).ok().out, "1 address forgotten\n");
        sandbox.uswitch(&["fdb", "flush"]).ok();
        sandbox.tool("ip", &ping);
        assert_eq!(json(sandbox, &["show", "nat", "-j"]).as_array().unwrap().len(), 1);
        let fdb = json(sandbox, &["show", "fdb", "-j"]);
        assert_eq!(row(&fdb, "mac", "02:00:0a:64:00:0a")["ifname"], "veth1");
        let ended = sandbox.uswitch(&["fdb", "flush", "veth9"]);
        assert!(ended.complaint(2).contains("it has veth1, veth2, vethinet"), "{}", ended.err);
    });
}

#[test]
fn a_long_list_of_sessions_is_whole() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let inside =
            in_netns("/run/netns/net1", || UdpSocket::bind(("10.100.0.10", 5000)).unwrap());
        // More than two pages; a frame that found the ring full is sent again.
        let sessions = until("all sessions", || {
            for port in 1..=2500u16 {
                // What an ICMP error left behind is not this datagram's fault.
                let _ = inside.send_to(b"x", ("8.8.8.8", port));
                if port % 64 == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            let nat = json(sandbox, &["show", "nat", "-j"]);
            let of_us = |row: &&serde_json::Value| row["inside"] == "10.100.0.10:5000";
            let rows: Vec<_> = nat.as_array().unwrap().iter().filter(of_us).cloned().collect();
            (rows.len() >= 2500).then_some(rows)
        });
        let remotes: std::collections::BTreeSet<_> =
            sessions.iter().map(|row| row["remote"].to_string()).collect();
        assert_eq!((sessions.len(), remotes.len()), (2500, 2500), "one is there twice");
    });
}
