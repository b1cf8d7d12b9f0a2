//! A real uplink that the kernel repeats for: whole, counted as without it to the packet, and the
//! host undisturbed.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::host::{Dump, Talk, end, eventually, lab, netns, on_a_watched_host, sh};
use super::{COMPLAINTS, address, only_the_closed_port_complained, whole};
use crate::fast_nat::{carried, gateway, routes, session, shown};
use crate::support::{Sandbox, bound, in_netns, receive_stream, send_stream};

const RUN: [&str; 5] = ["run", "--uplink", "auto", "--fast-path", "on"];

/// So many datagrams to an echo outside, each answered before the next.
fn questions(to: SocketAddr, count: u32) -> UdpSocket {
    let server = in_netns(netns("server"), || bound(|| UdpSocket::bind(to)));
    let client = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap());
    client.connect(to).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    let mut got = [0; 200];
    for n in 0..count {
        let sent = [n.to_le_bytes()[0]; 100];
        client.send(&sent).unwrap();
        let (length, from) = server.recv_from(&mut got).unwrap();
        assert_eq!(got[..length], sent);
        server.send_to(&sent, from).unwrap();
        let length = client.recv(&mut got).unwrap();
        assert_eq!(got[..length], sent);
    }
    client
}

/// The kernel looks at both sides: it begins to some time after there is something to repeat.
fn warm(sandbox: &Sandbox) {
    eventually("the kernel sends on", || {
        questions(address("8.8.8.8:7400"), 30);
        let routes = routes(sandbox, "udp");
        routes.iter().filter(|route| route["packets"].as_u64() > Some(0)).count() >= 2
    });
}

#[test]
fn what_crosses_to_the_host_s_uplink_is_whole_and_counted_to_the_packet() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &RUN);
        let dump = Dump::start(sandbox, COMPLAINTS);
        let host = Talk::open(("host", "server"), "8.8.8.8:7401");
        warm(sandbox);
        let early = carried(&routes(sandbox, "udp"));
        let _open = questions(address("8.8.8.8:7402"), 500);
        let udp = session(sandbox, "8.8.8.8:7402");
        let figures = ["packets_out", "packets_in", "bytes_out", "bytes_in"];
        let counted = figures.map(|name| udp[name].as_u64().unwrap());
        assert_eq!(counted, [500, 500, 500 * 128, 500 * 128], "{udp}");
        let repeated = carried(&routes(sandbox, "udp")).saturating_sub(early);
        assert!(repeated > 900, "the kernel has sent on {repeated} of 1000");
        let entered = gateway(sandbox);
        let ping = "ip netns exec net1 ping -q -c 300 -i 0.002 8.8.8.8";
        let pinged = sh(sandbox, ping);
        assert!(pinged.contains(" 0% packet loss"), "{pinged}");
        let echoes = carried(&routes(sandbox, "icmp"));
        assert!(echoes > 500, "the kernel has sent on {echoes} of 600");
        assert!(gateway(sandbox) >= entered + 600);
        std::thread::scope(|scope| {
            for (ends, at) in [
                (("net1", "server"), "8.8.8.8:7403"),
                (("net2", "server"), "8.8.8.8:7404"),
                (("host", "server"), "8.8.8.8:7405"),
                (("server", "host"), "192.0.2.2:8081"),
            ] {
                scope.spawn(move || whole(ends, at, 128 << 20));
            }
        });
        gateway(sandbox);
        let frames = by_kernel(sandbox);
        assert!(frames > 5_000, "the kernel has carried {frames} frames");
        host.talk();
        only_the_closed_port_complained(sandbox, dump);
        end(run);
        host.talk();
        let links = sh(sandbox, "ip -o link show");
        assert!(!links.contains("uswitch"), "{links}");
    });
}

/// Frames that the kernel has carried.
fn by_kernel(sandbox: &Sandbox) -> u64 {
    shown(sandbox, "topology")["fast_path"]["packets"].as_u64().unwrap()
}

/// Bytes that came in by the uplink, as the switch counts them.
fn came_by_the_uplink(sandbox: &Sandbox) -> u64 {
    let ports = shown(sandbox, "ports");
    let uplink = |port: &&Value| port["role"] == "routed";
    let port = ports.as_array().unwrap().iter().find(uplink).unwrap();
    port["stats64"]["rx"]["bytes"].as_u64().unwrap()
}

#[test]
fn sessions_by_the_host_s_uplink_live_and_end_as_without_it() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &[&RUN[..], &["-p", "20080:net1:80"]].concat());
        warm(sandbox);
        // From outside, to a published port.
        let listener = in_netns(netns("net1"), || bound(|| TcpListener::bind("0.0.0.0:80")));
        let at = address("192.0.2.2:20080");
        let mut there = in_netns(netns("server"), || TcpStream::connect(at).unwrap());
        let (mut here, _) = listener.accept().unwrap();
        let (before, early) = (came_by_the_uplink(sandbox), by_kernel(sandbox));
        let (sent, got) = std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let sent = send_stream(&mut there, 64 << 20, 7);
                (sent, there)
            });
            let got = receive_stream(&mut here);
            let (sent, there) = sending.join().unwrap();
            drop(there);
            (sent, got)
        });
        assert_eq!(sent, got);
        let frames = by_kernel(sandbox) - early;
        assert!(frames > 500, "the kernel has carried {frames} frames");
        let came = came_by_the_uplink(sandbox) - before;
        assert!(came >= 64 << 20, "{came} bytes");
        drop(here);
        eventually("the session is closing", || {
            let sessions = shown(sandbox, "nat");
            let tcp = sessions.as_array().unwrap().iter().find(|one| one["protocol"] == "tcp");
            tcp.is_none_or(|one| one["state"] != "established")
        });
        eventually("its flows have ended", || routes(sandbox, "tcp").is_empty());
        // The address moves: what was decided by the old one is not sent on any more.
        let client = questions(address("8.8.8.8:7410"), 60);
        sh(
            sandbox,
            "ip addr del 192.0.2.2/24 dev eth0; ip addr add 192.0.2.7/24 dev eth0; \
             ip route add default via 192.0.2.1",
        );
        eventually("the old sessions are forgotten", || routes(sandbox, "udp").is_empty());
        let server = in_netns(netns("server"), || bound(|| UdpSocket::bind("8.8.8.8:7410")));
        server.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        eventually("by the new address", || {
            client.send(b"anew").unwrap();
            let from = server.recv_from(&mut [0; 9]);
            from.is_ok_and(|(_, from)| from.ip().to_string() == "192.0.2.7")
        });
        end(run);
    });
}

#[test]
fn a_lab_that_is_killed_leaves_nothing_at_the_host_s_uplink() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &RUN);
        warm(sandbox);
        let links = sh(sandbox, "ip -o link show");
        assert!(links.contains("uswitch-20000"), "{links}");
        run.signal(Signal::SIGKILL);
        run.ended();
        eventually("the crossing is gone", || !sh(sandbox, "ip -o link show").contains("uswitch"));
        Talk::open(("host", "server"), "8.8.8.8:7420").talk();
        // Where the programs were still there, what was the NAT's would not come to the stack.
        Talk::open(("server", "host"), "192.0.2.2:20100").talk();
        let run = lab(sandbox, &RUN);
        warm(sandbox);
        end(run);
    });
}
