//! The host's own containers, masqueraded behind the address the lab shares, and ports it forwards.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::address;
use super::host::{PATIENCE, Talk, end, lab, netns, on_a_watched_host, sh};
use crate::support::{Sandbox, bound, in_netns};

/// A container `ctr`, 172.17.0.2, that the host masquerades, as Kubernetes does: each connection
/// by a port of its own choice.
const CONTAINER: &str = "
ip netns add ctr
ip link add c0 type veth peer name c1 netns ctr
ip addr add 172.17.0.1/16 dev c0; ip link set c0 up
ip -n ctr addr add 172.17.0.2/16 dev c1; ip -n ctr link set c1 up; ip -n ctr link set lo up
ip -n ctr route add default via 172.17.0.1
sysctl -qw net.ipv4.ip_forward=1
nft '
    add table ip dn
    add chain ip dn post { type nat hook postrouting priority srcnat; }
    add chain ip dn pre { type nat hook prerouting priority dstnat; }
    add rule ip dn post oifname eth0 ip saddr 172.17.0.0/16 HOW'
";

fn with_a_container(sandbox: &Sandbox, how: &str) {
    sh(sandbox, &CONTAINER.replace("HOW", how));
}

/// Connections of 200 that `ctr` could not open to `at`, where the server listens.
fn lost(at: &str) -> usize {
    let at = address(at);
    let listener = in_netns(netns("server"), || bound(|| TcpListener::bind(at)));
    in_netns(netns("ctr"), || {
        let fails = |_: &usize| match TcpStream::connect_timeout(&at, Duration::from_secs(2)) {
            Ok(_) => listener.accept().is_err(),
            Err(_) => true,
        };
        (0..200).filter(fails).count()
    })
}

/// Half of the block's ports are taken by sessions of a node, TCP and UDP, towards `server`.
fn five_thousand_sessions() {
    in_netns(netns("net1"), || {
        for port in 20_000..25_000 {
            let socket = bound(|| UdpSocket::bind(("0.0.0.0", port)));
            socket.send_to(b"x", "8.8.8.8:9").unwrap();
        }
        // Refused, each from a port of the node's own choice.
        for _ in 0..2_000 {
            let refused = TcpStream::connect_timeout(&address("8.8.8.8:9"), PATIENCE);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
fn containers_of_the_host_lose_nothing() {
    on_a_watched_host(|sandbox| {
        with_a_container(sandbox, "masquerade fully-random");
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        assert_eq!(lost("8.8.8.8:7600"), 0);
        five_thousand_sessions();
        assert_eq!(lost("8.8.8.8:7600"), 0, "beside sessions of a node");
        let node = Talk::open(("net1", "server"), "8.8.8.8:7601");
        node.talk();
        end(run);
    });
}

#[test]
fn every_kind_of_nat_leaves_the_host_what_is_the_host_s() {
    on_a_watched_host(|sandbox| {
        with_a_container(sandbox, "meta l4proto tcp masquerade to :20000-29999 fully-random");
        for (turn, kind) in ["full-cone", "restricted-cone", "symmetric"].iter().enumerate() {
            let run = lab(sandbox, &["run", "--uplink", "eth0", "--nat", kind]);
            let node = Talk::open(("net1", "server"), &format!("8.8.8.8:{}", 7610 + turn));
            let at = format!("8.8.8.8:{}", 7620 + turn);
            // One port of the ten thousand, or one with one address, is the node's.
            let lost = lost(&at);
            assert!(lost <= 1, "{kind}: {lost} of 200 lost");
            node.talk();
            end(run);
        }
    });
}

#[test]
fn a_container_s_own_port_and_one_forwarded_since_are_the_host_s() {
    on_a_watched_host(|sandbox| {
        with_a_container(sandbox, "masquerade");
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        // The container's own source port stays what it is.
        sh(sandbox, "nft add rule ip dn pre iifname eth0 tcp dport 25000 dnat to 172.17.0.2:80");
        let own = in_netns(netns("ctr"), || UdpSocket::bind("172.17.0.2:24000").unwrap());
        let server = in_netns(netns("server"), || UdpSocket::bind("8.8.8.8:7631").unwrap());
        for socket in [&own, &server] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        own.send_to(b"there", "8.8.8.8:7631").unwrap();
        let from = server.recv_from(&mut [0; 9]).unwrap().1;
        assert_eq!(from, address("192.0.2.2:24000"));
        server.send_to(b"back", from).unwrap();
        assert_eq!(own.recv(&mut [0; 9]).unwrap(), 4);
        let inward = Talk::open_by(("server", "ctr"), "192.0.2.2:25000", "172.17.0.2:80");
        inward.talk();
        end(run);
        inward.talk();
    });
}

/// What a connection from `server` to a port of the host's address comes to within a second.
fn knock(at: &str) -> ErrorKind {
    in_netns(netns("server"), || {
        TcpStream::connect_timeout(&address(at), Duration::from_secs(1)).unwrap_err().kind()
    })
}

#[test]
fn nobody_answers_for_a_port_that_a_node_has() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let talk = Talk::open(("net1", "server"), "8.8.8.8:7640");
        let ours = talk.seen_as().to_string();
        // The node may be about to open the same connection from its side.
        assert_eq!(knock(&ours), ErrorKind::TimedOut);
        // Nobody has this one, and the host says so.
        assert_eq!(knock("192.0.2.2:29998"), ErrorKind::ConnectionRefused);
        // A flush forgets the session; the host does not end the connection.
        sandbox.uswitch(&["nat", "flush"]).ok();
        talk.far_first();
        talk.talk();
        end(run);
    });
}
