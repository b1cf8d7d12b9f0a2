//! Who has what of the NAT in a real lab: a removed node's sessions, a withdrawn port, connections
//! over a flush, and floods of forged packets and short connections that shut nobody out.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::door::{PATIENCE, json, until};
use crate::support::{Sandbox, Wire, bound, in_netns, rooted, sum};
use crate::{lab, netns};

const GATEWAY: [u8; 6] = [2, 0, 10, 100, 0, 1];
const UPLINK: [u8; 6] = [2, 0, 203, 0, 113, 2];
const OUTSIDE: [u8; 4] = [203, 0, 113, 2];

/// An IPv4 frame; `payload` is what follows the header.
fn packet(
    (dst, src): ([u8; 6], [u8; 6]),
    (from, to): ([u8; 4], [u8; 4]),
    (protocol, id, fragment): (u8, u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
    header.extend([id.to_be_bytes(), fragment.to_be_bytes()].concat());
    header.extend([64, protocol, 0, 0]);
    header.extend([from, to].concat());
    let check = (!sum(&[&header])).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    [&dst[..], &src, &[8, 0], &header, payload].concat()
}

/// A datagram of one byte, without a sum.
fn datagram(from: u16, to: u16) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0, 9, 0, 0, 7]].concat()
}

fn udp(node: &str, at: &str) -> UdpSocket {
    let socket = in_netns(netns(node), || bound(|| UdpSocket::bind(at)));
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

fn hears(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    Some((buffer[..length].to_vec(), from))
}

/// How many sessions a host has.
fn sessions(sandbox: &Sandbox, host: &str) -> usize {
    let nat = json(sandbox, &["show", "nat", "-j"]);
    let of_it = |row: &&Value| row["inside"].as_str().unwrap().starts_with(&format!("{host}:"));
    nat.as_array().unwrap().iter().filter(of_it).count()
}

/// How many of twenty new pings get an answer.
fn new_pings(sandbox: &Sandbox, node: &str) -> usize {
    let ping = ["-c", "1", "-W", "1", "-q", "1.1.1.1"];
    let args = [&["exec", node, "--", "ping"][..], &ping].concat();
    (0..20).filter(|_| sandbox.uswitch(&args).code == Some(0)).count()
}

#[test]
fn a_node_that_goes_takes_all_that_was_opened_for_it_along() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let outside = udp("inet", "8.8.8.8:9800");
        // Removed by its name, and then by others who take its link away.
        for way in ["removed", "taken away"] {
            let added = json(sandbox, &["add", "first", "-j"]);
            assert_eq!(added["address"], "10.100.0.30");
            sandbox.uswitch(&["publish", "5000:first:5000/udp"]).ok();
            let first = udp("first", "10.100.0.30:6800");
            first.send_to(b"x", "8.8.8.8:9800").unwrap();
            assert!(hears(&outside).is_some());
            outside.send_to(b"y", "203.0.113.2:5000").unwrap();
            until("its sessions", || (sessions(sandbox, "10.100.0.30") == 2).then_some(()));
            drop(first);
            if way == "removed" {
                sandbox.uswitch(&["remove", "first"]).ok();
            } else {
                sandbox.tool("ip", &["-n", "first", "link", "del", "vethpeer3"]);
            }
            until("the end of its sessions", || {
                (sessions(sandbox, "10.100.0.30") == 0).then_some(())
            });
            let published = json(sandbox, &["show", "published", "-j"]);
            assert_eq!(published, Value::Array(Vec::new()), "{way}");
            let neighbours = json(sandbox, &["show", "neigh", "-j"]);
            let there = |row: &Value| row["dst"] == "10.100.0.30";
            assert!(!neighbours.as_array().unwrap().iter().any(there), "{neighbours}");
            if way != "removed" {
                let _ = sandbox.uswitch(&["remove", "first"]);
            }
            // The next one at that address hears what is published for it alone.
            assert_eq!(json(sandbox, &["add", "next", "-j"])["address"], "10.100.0.30");
            let (own, door) = (udp("next", "10.100.0.30:6800"), udp("next", "10.100.0.30:5000"));
            sandbox.uswitch(&["exec", "next", "--", "ping", "-c", "1", "10.100.0.1"]).ok();
            for port in [6800, 5000] {
                outside.send_to(b"for the first", ("203.0.113.2", port)).unwrap();
            }
            assert_eq!((hears(&own), hears(&door)), (None, None), "{way}");
            sandbox.uswitch(&["publish", "5000:next:5000/udp"]).ok();
            outside.send_to(b"for the next", "203.0.113.2:5000").unwrap();
            assert_eq!(hears(&door).unwrap().0, b"for the next");
            sandbox.uswitch(&["remove", "next"]).ok();
        }
    });
}

/// A connection from outside to a published port.
fn connected(listener: &TcpListener, port: u16) -> [TcpStream; 2] {
    let to: SocketAddr = (OUTSIDE, port).into();
    let outside = in_netns(netns("inet"), || TcpStream::connect_timeout(&to, PATIENCE).unwrap());
    let (inside, _) = listener.accept().unwrap();
    for end in [&outside, &inside] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    [outside, inside]
}

fn said([from, to]: [&TcpStream; 2]) {
    let (mut from, mut to) = (from, to);
    from.write_all(b"word").unwrap();
    let mut word = [0; 4];
    to.read_exact(&mut word).unwrap();
}

#[test]
fn a_withdrawn_port_is_published_again_while_its_last_connection_ends() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let listen =
            |node: &str| in_netns(netns(node), || TcpListener::bind("0.0.0.0:8000").unwrap());
        let (first, second) = (listen("net1"), listen("net2"));
        sandbox.uswitch(&["publish", "9000:net1:8000"]).ok();
        let [outside, inside] = connected(&first, 9000);
        drop((outside, inside));
        let [outside, inside] = connected(&first, 9000);
        for node in ["net1", "net2"] {
            sandbox.uswitch(&["unpublish", "9000"]).ok();
            sandbox.uswitch(&["publish", &format!("9000:{node}:8000")]).ok();
        }
        // Who is connected stays; who comes meets the new one.
        said([&outside, &inside]);
        said([&inside, &outside]);
        let [outside, inside] = connected(&second, 9000);
        said([&outside, &inside]);
    });
}

#[test]
fn published_connections_go_on_after_a_flush_whoever_speaks_first() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-p", "9000:net1:8000"]);
        let listener = in_netns(netns("net1"), || TcpListener::bind("0.0.0.0:8000").unwrap());
        let [outside, inside] = connected(&listener, 9000);
        for first in [[&outside, &inside], [&inside, &outside]] {
            sandbox.uswitch(&["nat", "flush"]).ok();
            said(first);
            said([first[1], first[0]]);
        }
        // From inside by the outside address, too.
        let to: SocketAddr = (OUTSIDE, 9000).into();
        let client = in_netns(netns("net2"), || TcpStream::connect_timeout(&to, PATIENCE).unwrap());
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        said([&client, &server]);
        sandbox.uswitch(&["nat", "flush"]).ok();
        said([&client, &server]);
        said([&server, &client]);
    });
}

#[test]
fn a_node_that_forges_every_address_takes_nothing_from_another() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        let mac = wire.mac;
        for n in 0..200_000u32 {
            let from = (0x0a64_0100 + n * 7919 % 64_000).to_be_bytes();
            let port = u16::try_from(1024 + n / 64_000).unwrap();
            let id = u16::try_from(n % 65_536).unwrap().to_be_bytes();
            let echo = [&[8, 0, 0, 0][..], &id, &[0, 1]].concat();
            let ends = ((GATEWAY, mac), (from, [9, 9, 9, 9]));
            wire.send(&packet(ends.0, ends.1, (17, 7, 0x4000), &datagram(port, 53)));
            wire.send(&packet(ends.0, ends.1, (1, 7, 0x4000), &echo));
            if n % 64 == 63 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(new_pings(sandbox, "net2"), 20);
        let (here, there) = (udp("net2", "10.100.0.20:4000"), udp("inet", "8.8.8.8:9000"));
        for n in 0..20 {
            here.send_to(&[n], "8.8.8.8:9000").unwrap();
            assert_eq!(hears(&there).unwrap().0, [n]);
        }
    });
}

#[test]
fn forty_thousand_short_connections_of_one_node_all_pass() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let range = "net.ipv4.ip_local_port_range=10000 65000";
        sandbox.tool("ip", &["netns", "exec", "net1", "sysctl", "-qw", range]);
        let remotes = ["8.8.8.8:80", "1.1.1.1:80", "8.8.4.4:80", "9.9.9.9:80"];
        let remotes: Vec<SocketAddr> = remotes.iter().map(|at| at.parse().unwrap()).collect();
        let listeners: Vec<_> = remotes
            .iter()
            .map(|at| in_netns(netns("inet"), || TcpListener::bind(at).unwrap()))
            .collect();
        in_netns(netns("net1"), || {
            for n in 0..40_000 {
                let at = n % remotes.len();
                let client = TcpStream::connect_timeout(&remotes[at], PATIENCE)
                    .unwrap_or_else(|error| panic!("connection {n}: {error}"));
                let (server, _) = listeners[at].accept().unwrap();
                drop((client, server));
            }
        });
    });
}

#[test]
fn forged_datagrams_shut_nobody_out_of_a_published_service() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-p", "5300:net1:53/udp"]);
        let server = udp("net1", "10.100.0.10:53");
        let mut wire = Wire::open(netns("inet"), "vethpeerinet");
        let mac = wire.mac;
        // Their answers go nowhere.
        sandbox.tool("ip", &["-n", "inet", "route", "add", "blackhole", "198.18.0.0/15"]);
        for n in 0..40_000u32 {
            let from = (0xc612_0000 + n).to_be_bytes();
            let ends = ((UPLINK, mac), (from, OUTSIDE));
            wire.send(&packet(ends.0, ends.1, (17, 7, 0x4000), &datagram(1024, 5300)));
            if let Some((_, whom)) = hears(&server) {
                server.send_to(b"answer", whom).unwrap();
            }
        }
        let client = udp("inet", "8.8.8.8:4000");
        for n in 0..20 {
            client.send_to(&[n], "203.0.113.2:5300").unwrap();
            let (word, whom) = hears(&server).unwrap();
            assert_eq!(word, [n]);
            server.send_to(b"answer", whom).unwrap();
            assert_eq!(hears(&client).unwrap().1, (OUTSIDE, 5300).into());
        }
        let (own, there) = (udp("net1", "10.100.0.10:4000"), udp("inet", "8.8.8.8:9000"));
        for n in 0..20 {
            own.send_to(&[n], "8.8.8.8:9000").unwrap();
            assert_eq!(hears(&there).unwrap().0, [n]);
        }
    });
}

#[test]
fn forged_fragments_shut_nobody_out() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let mut wire = Wire::open(netns("inet"), "vethpeerinet");
        let mac = wire.mac;
        for turn in 0..2u32 {
            for n in 0..600 {
                let from = (0xc613_0000 + turn * 600 + n).to_be_bytes();
                // Not the first of its datagram, and not the last.
                let fragment = 0x2000 | 185;
                let ends = ((UPLINK, mac), (from, OUTSIDE));
                wire.send(&packet(ends.0, ends.1, (17, 1, fragment), &[0; 8]));
            }
            let ping = ["netns", "exec", "net1", "ping", "-n", "-c", "10", "-i", "0.1", "-W", "5"];
            let out = sandbox.tool("ip", &[&ping[..], &["-s", "3000", "8.8.8.8"]].concat());
            assert!(out.contains("10 received") || out.contains("10 packets received"), "{out}");
        }
    });
}
