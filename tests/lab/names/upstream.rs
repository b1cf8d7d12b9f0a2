//! Names the lab does not know, asked of the host's resolvers: a host with an uplink, and a resolver
//! far away that this test plays.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use nix::sys::signal::Signal;

use super::resolver::{PATIENCE, by_datagram, by_stream, query};
use super::{address, exec};
use crate::door::json;
use crate::support::in_netns;
use crate::uplink::host::on_a_host;
use crate::{lab, netns};

/// An answer: 198.18.0.1, or for names that begin with `big` so many bytes that they need a stream.
fn answer(question: &[u8], stream: bool) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut reply = question[..end].to_vec();
    (reply[2], reply[3]) = (0x81, 0x80);
    reply[6..12].fill(0);
    let big = question[13..].starts_with(b"big");
    if big && !stream {
        reply[2] |= 2;
        return reply;
    }
    for n in 1..=if big { 200u8 } else { 1 } {
        reply[7] = n;
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 0, n]);
    }
    reply
}

/// Plays a resolver at 8.8.8.8 for as long as the sandbox lives.
fn play() {
    let (datagrams, streams) = in_netns(netns("server"), || {
        (UdpSocket::bind("8.8.8.8:53").unwrap(), TcpListener::bind("8.8.8.8:53").unwrap())
    });
    std::thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = datagrams.recv_from(&mut question) {
            // Somebody else's answer before the right one.
            let mut forged = answer(&question[..length], false);
            forged[0] ^= 0xff;
            let _ = datagrams.send_to(&forged, from);
            let _ = datagrams.send_to(&answer(&question[..length], false), from);
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = streams.accept() {
            let mut length = [0; 2];
            let _ = stream.read_exact(&mut length);
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            let _ = stream.read_exact(&mut question);
            let reply = answer(&question, true);
            let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length[..], &reply].concat());
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0]);
        }
    });
}

#[test]
fn the_hosts_resolvers_are_asked() {
    on_a_host(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        play();
        // Nobody listens at the first.
        let resolv = "nameserver 127.0.0.1\nnameserver 8.8.8.8\nsearch corp.example\n";
        std::fs::write("/etc/resolv.conf", resolv).unwrap();
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let seen = exec(sandbox, "net1", &["cat", "/etc/resolv.conf"]).ok().out;
        assert!(seen.contains("nameserver 10.100.0.1\nsearch uswitch corp.example\n"), "{seen}");
        assert_eq!(address(sandbox, "net1", "www.example.org").as_deref(), Some("198.18.0.1"));
        assert_eq!(address(sandbox, "net1", "net2").as_deref(), Some("10.100.0.20"));
        in_netns(netns("net2"), || {
            // The lab's own names go nowhere.
            assert_eq!(by_datagram(&query(1, "nosuch.uswitch", 1))[3] & 0xf, 3);
            let cut = by_datagram(&query(2, "big.example", 1));
            assert_eq!((cut[2] & 2, cut[7]), (2, 0), "truncated");
            let asked = query(3, "big.example", 1);
            let whole = by_stream(std::slice::from_ref(&asked)).remove(0);
            assert_eq!((&whole[..2], whole[2] & 2, whole[7]), (&[0, 3][..], 0, 200));
            let many: Vec<_> = (0..40).map(|n| query(n, &format!("n{n}.Example"), 1)).collect();
            let mut replies = by_stream(&many);
            replies.sort();
            for (asked, reply) in many.iter().zip(replies) {
                assert_eq!(reply[..2], asked[..2]);
                assert_eq!(reply[12..asked.len()], asked[12..]);
                assert!(reply.ends_with(&[198, 18, 0, 1]));
            }
        });
        // From an internal network nothing goes out, whichever of the gateway's addresses is asked.
        sandbox.uswitch(&["network", "add", "inner", "--subnet", "10.3.0.0/24", "--internal"]).ok();
        sandbox.uswitch(&["add", "shy", "--network", "inner"]).ok();
        assert_eq!(address(sandbox, "shy", "www.example.org"), None);
        assert_eq!(address(sandbox, "shy", "shy.uswitch").as_deref(), Some("10.3.0.2"));
        let counted = json(sandbox, &["show", "counters", "-j"])["gateway"]["names"].clone();
        assert!(counted["forwarded"].as_u64() >= Some(43), "{counted}");
        assert_eq!((&counted["failed"], &counted["crowded"]), (&0.into(), &0.into()), "{counted}");
        // The host asks nobody any more: told, not left waiting.
        std::fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\n").unwrap();
        in_netns(netns("net2"), || {
            assert_eq!(by_datagram(&query(4, "www.example.org", 1))[3] & 0xf, 2);
        });
        run.signal(Signal::SIGINT);
        assert_eq!(run.ended().code, Some(0));
    });
}
