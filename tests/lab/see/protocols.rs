//! Explanations of protocols without ports, each beside a packet that a program's raw socket sends: the
//! same steps, the same end, and whoever sends it is told what was foretold.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;

use nix::libc::{EHOSTUNREACH, ENOPROTOOPT};
use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::trace::{trace, walks};
use super::{PATIENCE, lab};
use crate::netns;
use crate::support::{Sandbox, captured, in_netns, rooted};

/// A packet of one protocol to be sent.
struct Packet<'a> {
    from: &'a str,
    to: &'a str,
    /// As `explain` is asked.
    protocol: &'a str,
    number: u8,
}

/// What is to become of it.
struct End<'a> {
    /// Exit code 1 is said of what does not.
    arrives: Option<bool>,
    /// In the steps, or the word of a drop.
    said: &'a str,
    /// The error that its sender hears of from here, and not from the far end.
    told: Option<i32>,
}

const fn arrives(said: &str) -> End<'_> {
    End { arrives: Some(true), said, told: None }
}

const fn refused(said: &str, told: Option<i32>) -> End<'_> {
    End { arrives: Some(false), said, told }
}

fn foretold(sandbox: &Sandbox, packet: &Packet<'_>, arrives: Option<bool>) -> Value {
    let to = format!("{}/{}", packet.to, packet.protocol);
    let said = sandbox.uswitch(&["explain", "-j", packet.from, &to]);
    let code = i32::from(arrives == Some(false));
    assert_eq!(said.code, Some(code), "{to}: {}{}", said.out, said.err);
    let walk: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(walk["arrives"], serde_json::json!(arrives), "{to}: {walk:#}");
    walk
}

/// Sends it from an address.
fn send(packet: &Packet<'_>, from: IpAddr) -> Socket {
    in_netns(netns(packet.from), || {
        let domain = if from.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::RAW, Some(i32::from(packet.number).into())).unwrap();
        let end = |address: IpAddr| SocketAddr::new(address, 0).into();
        socket.bind(&end(from)).unwrap();
        socket.connect(&end(packet.to.parse().unwrap())).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send(&[0; 64]).unwrap();
        socket
    })
}

/// What was decided on the way, but for what its sender's kernel decides.
fn steps(walk: &Value, own: &str) -> Vec<[String; 3]> {
    let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let steps = walk["steps"].as_array().unwrap().iter();
    let all = steps.map(|step| ["at", "decision", "text"].map(|key| word(step, key)));
    all.filter(|[at, ..]| at != own && at != "inet").collect()
}

/// Asks, sends, and compares.
fn agrees(sandbox: &Sandbox, packet: &Packet<'_>, end: &End<'_>) -> Value {
    let Packet { from, to, number, .. } = *packet;
    let walk = foretold(sandbox, packet, end.arrives);
    let what = format!("{from} to {to} by {number}: {walk:#}");
    assert!(walk.to_string().contains(end.said), "{}: {what}", end.said);
    let (line, _) = walk["summary"].as_str().unwrap().rsplit_once(" length ").unwrap();
    let source: IpAddr = line.split(' ').next().unwrap().parse().unwrap();
    let ip = if source.is_ipv4() { "ip" } else { "ip6" };
    let seen = trace(sandbox, &["-c", "1", &format!("{ip} proto {number} and src host {source}")]);
    let mut socket = send(packet, source);
    let traced = walks(&seen.ended().ok().out).remove(0);
    assert_eq!(steps(&traced, from), steps(&walk, from), "{what}");
    for key in ["verdict", "reason", "to", "port"] {
        assert_eq!(traced[key], walk[key], "{key}: {what}");
    }
    if !to.starts_with("224.") {
        let line = line.replace("hlim", "ttl");
        let own = traced["summary"].as_str().unwrap().rsplit_once(" length ").unwrap().0;
        assert_eq!(own, line, "{what}");
    }
    if let Some(told) = end.told {
        let error = socket.read(&mut [0; 128]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(told), "{error}: {what}");
    }
    walk
}

/// A row of a table: from, to, protocol, its number, its end.
type Row<'a> = (&'a str, &'a str, &'a str, u8, End<'a>);

fn all_agree(sandbox: &Sandbox, rows: &[Row<'_>]) {
    for (from, to, protocol, number, end) in rows {
        let packet = Packet { from, to, protocol, number: *number };
        agrees(sandbox, &packet, end);
    }
}

#[test]
fn what_is_foretold_of_protocols_without_ports_is_what_happens() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let (out, own) = ("8.8.8.8", "203.0.113.2");
        let (prohibited, unknown) = (Some(EHOSTUNREACH), Some(ENOPROTOOPT));
        all_agree(
            sandbox,
            &[
                ("net1", "10.100.0.20", "gre", 47, arrives("is at veth2 (net2)")),
                ("net1", "10.100.0.30", "99", 99, arrives("> 10.100.0.30 proto 99 ttl")),
                ("net1", out, "47", 47, arrives("gre 10.100.0.10 appears as 203.0.113.2: a new")),
                ("net1", out, "gre", 47, arrives("a running session")),
                // One node has each remote by each protocol.
                ("net2", out, "gre", 47, refused("remote-taken", prohibited)),
                ("net2", out, "ipip", 4, arrives("ipip 10.100.0.20 appears as 203.0.113.2")),
                ("net2", "9.9.9.9", "gre", 47, arrives("a new session by address")),
                ("net1", out, "ah", 51, refused("protocol unreachable", unknown)),
                ("net1", out, "253", 253, arrives("a new session by address")),
                ("net1", "10.100.0.1", "sctp", 132, refused("protocol unreachable", unknown)),
                ("net1", own, "gre", 47, refused("protocol unreachable", unknown)),
                ("net1", "7.7.7.7", "esp", 50, refused("no host of the simulated", None)),
                ("net1", "169.254.7.7", "gre", 47, refused("no-route", None)),
                ("net1", "224.0.0.5", "ospf", 89, arrives("01:00:5e:00:00:05 is a group")),
                ("net1", "224.0.0.22", "igmp", 2, arrives("01:00:5e:00:00:16 is a group")),
                // From outside to whoever has the session, and to nobody.
                ("inet", own, "gre", 47, arrives("gre 203.0.113.2 leads to 10.100.0.10")),
                ("inet", own, "4", 4, arrives("ipip 203.0.113.2 leads to 10.100.0.20")),
                ("inet", own, "sctp", 132, refused("protocol unreachable", unknown)),
            ],
        );
        // Asking has opened none of them.
        sandbox.uswitch(&["explain", "net3", "1.1.1.1/gre"]).ok();
        let sessions = sandbox.uswitch(&["show", "nat", "-j"]).ok().out;
        assert!(!sessions.contains("1.1.1.1"), "{sessions}");
        // What its own kernel does not let out.
        let silent = Packet { from: "net1", to: "10.100.0.99", protocol: "gre", number: 47 };
        let walk = foretold(sandbox, &silent, Some(false));
        assert_eq!((&walk["reason"], steps(&walk, "net1")), (&"no-answer".into(), vec![]));
        let seen = trace(sandbox, &["ip proto 47"]);
        let _socket = send(&silent, "10.100.0.10".parse().unwrap());
        super::until("the question is given up", || {
            let args = ["-n", "net1", "neigh", "show", silent.to];
            sandbox.tool("ip", &args).contains("FAILED")
        });
        seen.signal(Signal::SIGINT);
        assert_eq!(walks(&seen.ended().ok().out), Vec::<Value>::new());
    });
}

#[test]
fn without_a_nat_or_a_way_out_they_are_foretold_too() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let set = |args: &[&str]| sandbox.uswitch(&[&["set", "gateway"], args].concat()).ok();
        set(&["--nat", "none"]);
        let straight = ("net1", "8.8.8.8", "ah", 51, arrives("one hop less to live"));
        all_agree(sandbox, &[straight]);
        let said = sandbox.uswitch(&["explain", "net1", "8.8.8.8/ah"]).ok().out;
        assert!(said.contains("no NAT stands in for it"), "{said}");
        set(&["--nat", "port-restricted-cone", "--forwarding", "off"]);
        all_agree(sandbox, &[("net1", "8.8.8.8", "gre", 47, refused("forwarding-off", None))]);
        set(&["--forwarding", "on"]);
        // The switch's own settings stop what is no packet of theirs as they stop any.
        for node in ["net1", "net2"] {
            sandbox.uswitch(&["port", node, "--isolated", "on"]).ok();
        }
        all_agree(sandbox, &[("net1", "10.100.0.20", "gre", 47, refused("isolated", None))]);
    });
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "--uplink", "none"]);
        let nowhere = refused("no-route", None);
        all_agree(sandbox, &[("net1", "8.8.8.8", "ipip", 4, nowhere)]);
    });
}

#[test]
fn between_networks_they_go_where_the_policies_say() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1"]);
        for line in [
            "network add dmz --subnet 10.2.0.0/24",
            "network add inner --subnet 10.3.0.0/24 --internal",
            "network add far --subnet 10.4.0.0/24 --routed dmz",
            "add b --network dmz",
            "add c --network inner",
            "add d --network far",
        ] {
            sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
        }
        // Each has met its gateway, as a node has that has spoken at all.
        for (node, gateway) in [("b", "10.2.0.1"), ("c", "10.3.0.1"), ("d", "10.4.0.1")] {
            super::ping(sandbox, node, gateway, "1");
        }
        let prohibited = Some(EHOSTUNREACH);
        all_agree(
            sandbox,
            &[
                ("d", "10.2.0.2", "gre", 47, arrives("10.2.0.2 is itself on the dmz side")),
                ("d", "10.2.0.2", "ah", 51, arrives("one hop less to live")),
                ("b", "10.100.0.10", "gre", 47, refused("isolated", prohibited)),
                ("c", "8.8.8.8", "gre", 47, refused("internal", prohibited)),
            ],
        );
    });
}

#[test]
fn packets_of_ipv6_carry_any_protocol_on_the_lan() {
    rooted(|sandbox| {
        let path = super::v6::file(sandbox, "");
        let _lab = lab(sandbox, &["run", &path]);
        // They know each other, as neighbours that have spoken.
        super::ping(sandbox, "h1", "fd00:1::3", "2");
        for (protocol, number) in [("gre", 47), ("sctp", 132), ("ipip", 4), ("253", 253)] {
            all_agree(sandbox, &[("h1", "fd00:1::3", protocol, number, arrives("(h2)"))]);
        }
        let ping = |protocol: &str| {
            let to = format!("fd00:1::3/{protocol}");
            let said = sandbox.uswitch(&["explain", "-j", "h1", &to]).ok().out;
            serde_json::from_str::<Value>(&said).unwrap()["summary"].clone()
        };
        assert_eq!(ping("icmp"), ping("ipv6-icmp"));
        assert!(ping("58").as_str().unwrap().contains("icmp6 echo request"));
    });
}

#[test]
fn a_port_of_what_has_none_is_one_line() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for (to, line) in [
            ("net2:80/gre", "gre has no ports: leave the port out"),
            ("net2:80/icmp", "icmp has no ports: leave the port out"),
            ("net2:80/99", "proto 99 has no ports: leave the port out"),
            ("net2:80/sctp", "sctp goes by its addresses alone here: leave the port out"),
            ("net2/udp", "udp needs a port from 1 to 65535: DEST:PORT/udp"),
            ("net2/6", "tcp needs a port from 1 to 65535: DEST:PORT/tcp"),
            ("net2/nonsense", "\"nonsense\" is no protocol of IP"),
            ("net2/256", "\"256\" is no protocol of IP"),
        ] {
            let ended = sandbox.uswitch(&["explain", "net1", to]);
            assert!(ended.complaint(2).contains(line), "{to}: {}", ended.err);
        }
        // A client of the API is told the same.
        let refused = asked_by_the_api(r#"{"from":"net1","to":"net2","protocol":"nonsense"}"#);
        assert!(refused.contains(" 422 ") && refused.contains("is no protocol of IP"), "{refused}");
        let walk = asked_by_the_api(r#"{"from":"net1","to":"net2","protocol":"47"}"#);
        assert!(walk.contains(" 200 ") && walk.contains("10.100.0.20 gre ttl 64"), "{walk}");
    });
}

/// What the lab's control socket says to whoever writes JSON by hand.
fn asked_by_the_api(body: &str) -> String {
    let mut door = UnixStream::connect("/run/uswitch/uswitch/control.sock").unwrap();
    door.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let head = "POST /v1/explain HTTP/1.1\r\nhost: lab\r\nconnection: close";
    write!(door, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut text = String::new();
    door.read_to_string(&mut text).unwrap();
    text
}

/// Packets that are sent to see who carries them.
const SENT: u64 = 200;

/// Frames between nodes are repeated whatever they carry, sessions by address never.
#[test]
fn what_the_kernel_would_carry_of_them_is_told() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "--fast-path", "on"]);
        let read = |args: &[&str]| -> Value {
            serde_json::from_str(&sandbox.uswitch(args).ok().out).unwrap()
        };
        let shown = |what: &str| read(&["show", what, "-j"]);
        let kernel = |to: &str| read(&["explain", "-j", "net1", to])["kernel"].clone();
        let carried = || shown("topology")["fast_path"]["packets"].as_u64().unwrap();
        let gre = |to: &str, routed: bool| {
            super::until("the kernel repeats pings", || {
                super::ping(sandbox, "net1", to, "20");
                let flows = shown("flows");
                flows.as_array().unwrap().iter().any(|flow| flow["route"].is_object() == routed)
            });
            let (foretold, before) = (kernel(&format!("{to}/gre")), carried());
            let packet = Packet { from: "net1", to, protocol: "gre", number: 47 };
            (0..SENT).for_each(|_| drop(send(&packet, "10.100.0.10".parse().unwrap())));
            (foretold, before)
        };
        let (foretold, before) = gre("10.100.0.20", false);
        assert_eq!(foretold, Value::Bool(true));
        assert_eq!(kernel("10.100.0.20"), Value::Bool(true));
        super::until("the kernel has carried them", || carried() >= before + SENT);
        let (foretold, before) = gre("8.8.8.8", true);
        assert_eq!(foretold, Value::Bool(false));
        super::until("the gateway has sent them on", || {
            let sessions = shown("nat");
            let mut sessions = sessions.as_array().unwrap().iter();
            sessions.any(|session| session["protocol"] == "gre" && session["packets_out"] == SENT)
        });
        assert!(carried() < before + SENT, "{} frames", carried() - before);
    });
}
