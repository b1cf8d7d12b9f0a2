//! The resolver at the gateway's address, asked by datagram and by stream from inside nodes.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{address, exec};
use crate::support::{Process, Sandbox, in_netns, rooted, rootless};
use crate::{lab, netns};

pub(super) const GATEWAY: (&str, u16) = ("10.100.0.1", 53);
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const A: u8 = 1;
pub(super) const AAAA: u8 = 28;
pub(super) const PTR: u8 = 12;

/// A question of this type under an identifier.
pub(crate) fn query(id: u16, name: &str, kind: u8) -> Vec<u8> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query[..2].copy_from_slice(&id.to_be_bytes());
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, kind, 0, 1]);
    query
}

/// Asks by datagram from where the calling thread is.
pub(super) fn by_datagram(message: &[u8]) -> Vec<u8> {
    at(GATEWAY.0, message)
}

/// The same at another of the gateway's addresses.
pub(crate) fn at(gateway: &str, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect((gateway, GATEWAY.1)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send(message).unwrap();
    let mut reply = vec![0; 65_535];
    let length = socket.recv(&mut reply).unwrap();
    reply.truncate(length);
    reply
}

/// Asks all of them by one stream, and then reads.
pub(super) fn by_stream(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(GATEWAY).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for message in messages {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], message].concat()).unwrap();
    }
    let read = |_: &Vec<u8>| {
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).unwrap();
        reply
    };
    messages.iter().map(read).collect()
}

/// The code of a reply, how many answers it has, and its last four bytes.
pub(crate) fn sum(reply: &[u8]) -> (u8, u8, [u8; 4]) {
    (reply[3] & 0xf, reply[7], reply[reply.len() - 4..].try_into().unwrap())
}

fn end(run: Process) {
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().code, Some(0));
}

/// What every lab's resolver says, asked from a node.
fn speaks(sandbox: &Sandbox) {
    let seen = exec(sandbox, "net1", &["cat", "/etc/resolv.conf"]).ok().out;
    assert!(seen.contains("nameserver 10.100.0.1\nsearch uswitch\n"), "{seen}");
    // With the files out of the way, as in a container.
    let alone = |name: &str| {
        let line = format!("mount --bind /dev/null /etc/hosts && getent ahostsv4 {name}");
        exec(sandbox, "net1", &["unshare", "-m", "sh", "-c", &line])
    };
    for name in ["net2", "NET2", "net2.uswitch", "net2.uswitch."] {
        let found = alone(name).ok().out;
        assert!(found.starts_with("10.100.0.20 "), "{name}: {found}");
    }
    let nosuch = alone("nosuch");
    assert_eq!(nosuch.code, Some(2), "{}", nosuch.err);
    let ping = exec(sandbox, "net1", &["ping", "-c1", "nosuch"]);
    assert!(ping.err.contains("Name or service not known"), "{}", ping.err);
}

#[test]
fn what_it_says_by_datagram_and_stream() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "3"]);
        speaks(sandbox);
        if sandbox.real_root {
            // As iproute2 enters a namespace; with the hosts file out of the way, by both protocols.
            for options in ["ndots:1", "use-vc"] {
                let line = format!(
                    "mount --bind /dev/null /etc/hosts && \
                     RES_OPTIONS={options} getent ahostsv4 net2.uswitch && getent hosts 10.100.0.10"
                );
                let args = ["netns", "exec", "net3", "sh", "-c", &line];
                let found = sandbox.tool("ip", &args);
                assert!(found.starts_with("10.100.0.20 "), "{options}: {found}");
                assert!(found.contains("net1.uswitch"), "{options}: {found}");
            }
        }
        in_netns(netns("net1"), || {
            let ask = |name: &str, kind| {
                let message = query(7, name, kind);
                let reply = by_datagram(&message);
                assert_eq!(by_stream(std::slice::from_ref(&message)).remove(0), reply, "{name}");
                assert_eq!((&reply[..2], reply[2] & 0x80), (&[0, 7][..], 0x80));
                // The question comes back letter by letter.
                assert_eq!(reply[12..message.len()], message[12..]);
                sum(&reply)
            };
            assert_eq!(ask("net2", A), (0, 1, [10, 100, 0, 20]));
            assert_eq!(ask("nEt3.uSWITCH", A), (0, 1, [10, 100, 0, 30]));
            assert_eq!(ask("gateway", A), (0, 1, [10, 100, 0, 1]));
            let (code, answers, _) = ask("net2", AAAA);
            assert_eq!((code, answers), (0, 0));
            let (code, answers, _) = ask("20.0.100.10.in-addr.arpa", PTR);
            assert_eq!((code, answers), (0, 1));
            for (name, kind) in
                [("nosuch", A), ("www.example.org", A), ("99.0.100.10.in-addr.arpa", PTR)]
            {
                let (code, answers, _) = ask(name, kind);
                assert_eq!((code, answers), (3, 0), "{name}");
            }
            // What is no question gets no answer, and the next one does.
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(&[0xff; 40], GATEWAY).unwrap();
            assert_eq!(ask("net1", A), (0, 1, [10, 100, 0, 10]));
            // Other ports are nobody's, as before.
            socket.connect(("10.100.0.1", 54)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.send(b"?").unwrap();
            let refused = socket.recv(&mut [0; 9]).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            let refused = TcpStream::connect(("10.100.0.1", 54)).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        });
        end(run);
    });
}

#[test]
fn an_ordinary_users_lab_has_a_resolver() {
    rootless(|sandbox| {
        let run = lab(sandbox, &["run"]);
        speaks(sandbox);
        end(run);
    });
}

#[test]
fn nodes_that_come_and_go_are_known_at_once() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let ask = |name: &str| in_netns(netns("net1"), || sum(&by_datagram(&query(1, name, A))));
        assert_eq!(ask("web").0, 3);
        sandbox.uswitch(&["add", "web"]).ok();
        assert_eq!(ask("web"), (0, 1, [10, 100, 0, 30]));
        sandbox.uswitch(&["remove", "web"]).ok();
        assert_eq!(ask("web").0, 3);
        assert_eq!(ask("net2"), (0, 1, [10, 100, 0, 20]));
        end(run);
    });
}

#[test]
fn five_hundred_names() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "500", "--uplink", "none"]);
        assert_eq!(address(sandbox, "net1", "net500").as_deref(), Some("10.100.2.221"));
        in_netns(netns("net500"), || {
            let questions: Vec<_> =
                (1..=500u16).map(|n| query(n, &format!("net{n}.uswitch"), A)).collect();
            for (n, reply) in (1..=500u16).zip(by_stream(&questions)) {
                assert_eq!(reply[..2], n.to_be_bytes());
                assert_eq!((sum(&reply).0, sum(&reply).1), (0, 1), "net{n}");
                assert_eq!(by_datagram(&questions[usize::from(n) - 1]), reply);
            }
        });
        end(run);
    });
}
