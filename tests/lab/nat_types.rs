//! The four classic NAT types as a program behind them finds out by asking servers (RFC 3489
//! section 10.1): from which endpoint each sees it, and which of them may answer uninvited.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{in_netns, rooted};
use crate::{lab, netns};

const PATIENCE: Duration = Duration::from_secs(20);
/// The endpoint spoken to, another port of that host, another host, and both.
const SERVERS: [&str; 4] = ["8.8.8.8:3478", "8.8.8.8:3479", "1.1.1.1:3478", "1.1.1.1:3479"];

fn socket(node: &str, at: &str) -> UdpSocket {
    let socket = in_netns(netns(node), || UdpSocket::bind(at).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What the server sees of whoever asks.
fn asked(client: &UdpSocket, server: &UdpSocket) -> SocketAddr {
    client.send_to(b"who am I?", server.local_addr().unwrap()).unwrap();
    server.recv_from(&mut [0; 16]).unwrap().1
}

/// The servers whose words reach a client that has asked the first one alone.
fn heard(client: &UdpSocket, servers: &[UdpSocket], door: SocketAddr) -> BTreeSet<usize> {
    for (n, server) in servers.iter().enumerate().rev() {
        server.send_to(&[u8::try_from(n).unwrap()], door).unwrap();
    }
    // All on one path: the first server's words, sent last, tell that no others will come.
    let mut heard = BTreeSet::new();
    while !heard.contains(&0) {
        let (mut word, expected) = ([0; 16], SERVERS.map(|at| at.parse().unwrap()));
        let (length, from) = client.recv_from(&mut word).unwrap();
        assert_eq!((length, from), (1, expected[usize::from(word[0])]));
        heard.insert(word[0].into());
    }
    heard
}

#[test]
fn a_program_that_asks_servers_finds_the_type_asked_for() {
    rooted(|sandbox| {
        for (kind, let_in, one_port) in [
            ("full-cone", &[0, 1, 2, 3][..], true),
            ("restricted-cone", &[0, 1], true),
            ("port-restricted-cone", &[0], true),
            ("symmetric", &[0], false),
        ] {
            let lab = lab(sandbox, &["run", "--nat", kind]);
            let servers = SERVERS.map(|at| socket("inet", at));
            let mut doors = BTreeSet::new();
            // Two hosts that speak from the same port.
            for node in ["net1", "net2"] {
                let client = socket(node, "0.0.0.0:5000");
                let door = asked(&client, &servers[0]);
                assert_eq!(heard(&client, &servers, door), let_in.iter().copied().collect());
                let seen: BTreeSet<_> = servers.iter().map(|s| asked(&client, s)).collect();
                assert!(seen.contains(&door), "{kind}: {door} was not kept: {seen:?}");
                assert_eq!(seen.len(), if one_port { 1 } else { 4 }, "{kind} {node}: {seen:?}");
                // Whoever has been asked may answer now, each to what it saw.
                for server in &servers {
                    let at = asked(&client, server);
                    server.send_to(b"you", at).unwrap();
                    let mut word = [0; 16];
                    let (_, from) = client.recv_from(&mut word).unwrap();
                    assert_eq!((from, &word[..3]), (server.local_addr().unwrap(), &b"you"[..]));
                }
                assert!(doors.insert(door), "{kind}: {door} is two hosts'");
            }
            lab.signal(Signal::SIGTERM);
            lab.ended().ok();
        }
    });
}
