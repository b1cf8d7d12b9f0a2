//! Sessions of the NAT that the kernel sends on by itself: whole, and counted as without it to the
//! packet. That none is sent on longer than the gateway would is [`crate::fast_stale`]'s.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;
use sys::packet::{PacketIo, RingConfig};
use wire::VnetHeader;

use crate::door::show::both;
use crate::door::{json, row, until};
use crate::support::{Sandbox, Wire, both_ways, bound, captured, datagrams, in_netns, sum};
use crate::{lab, netns};

pub(crate) fn shown(sandbox: &Sandbox, what: &str) -> Value {
    serde_json::from_str(&sandbox.uswitch(&["show", what, "-j"]).ok().out).unwrap()
}

/// The routes that the kernel has, of one protocol.
pub(crate) fn routes(sandbox: &Sandbox, protocol: &str) -> Vec<Value> {
    let all = shown(sandbox, "flows");
    let ours = |flow: &&Value| flow["route"]["protocol"] == protocol;
    all.as_array().unwrap().iter().filter(ours).cloned().collect()
}

/// Their frames.
pub(crate) fn carried(routes: &[Value]) -> u64 {
    routes.iter().map(|route| route["packets"].as_u64().unwrap()).sum()
}

/// What the gateway has been given and has done, which balances at any moment.
pub(crate) fn gateway(sandbox: &Sandbox) -> u64 {
    let text = sandbox.uswitch(&["metrics"]).ok().out;
    let figure = |name: &str| -> u64 {
        let name = format!("gateway_{name}_frames");
        let rows = text.lines().filter(|line| !line.starts_with('#') && line.contains(&name));
        rows.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let ended: u64 = ["forwarded", "consumed", "dropped"].map(figure).iter().sum();
    let entered = figure("received");
    assert_eq!(entered, ended, "entered, and became of them");
    entered
}

/// The one session with a remote endpoint.
pub(crate) fn session(sandbox: &Sandbox, remote: &str) -> Value {
    let all = shown(sandbox, "nat");
    let ours: Vec<_> =
        all.as_array().unwrap().iter().filter(|session| session["remote"] == remote).collect();
    assert_eq!(ours.len(), 1, "{all}");
    ours[0].clone()
}

/// The kernel looks at the two ports: it begins to some time after there is something to repeat.
fn warm(sandbox: &Sandbox) {
    until("the kernel sends on", || {
        questions("9.9.9.9:7000".parse().unwrap(), 20, 10);
        (routes(sandbox, "udp").len() >= 2).then_some(())
    });
}

/// So many datagrams to an echo in the internet, each answered before the next.
fn questions(to: SocketAddr, count: u32, size: usize) {
    let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind(to)));
    let client = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap());
    client.connect(to).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    for n in 0..count {
        let sent = vec![n.to_le_bytes()[0]; size];
        let mut got = vec![0; size + 1];
        client.send(&sent).unwrap();
        let (length, from) = server.recv_from(&mut got).unwrap();
        assert_eq!(&got[..length], sent);
        server.send_to(&got[..length], from).unwrap();
        let length = client.recv(&mut got).unwrap();
        assert_eq!(&got[..length], sent);
    }
}

#[test]
fn what_the_nat_has_decided_arrives_whole_and_is_counted_to_the_packet() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2", "--fast-path", "on"]);
        warm(sandbox);
        let before = both(sandbox, 1);
        let early = carried(&routes(sandbox, "udp"));
        questions("9.9.9.9:7001".parse().unwrap(), 500, 100);
        let udp = session(sandbox, "9.9.9.9:7001");
        let figures = ["packets_out", "packets_in", "bytes_out", "bytes_in"];
        let counted = figures.map(|name| udp[name].as_u64().unwrap());
        assert_eq!(counted, [500, 500, 500 * 128, 500 * 128], "{udp}");
        let by_kernel = carried(&routes(sandbox, "udp")).saturating_sub(early);
        assert!(by_kernel > 900, "the kernel has sent on {by_kernel} of 1000");
        let entered = gateway(sandbox);
        sandbox.tool(
            "ip",
            &["netns", "exec", "net1", "ping", "-q", "-c", "300", "-i", "0.002", "8.8.8.8"],
        );
        let echoes = carried(&routes(sandbox, "icmp"));
        assert!(echoes > 500, "the kernel has sent on {echoes} of 600");
        assert!(gateway(sandbox) >= entered + 600);
        let arrived = datagrams(
            (&netns("net1"), &netns("inet")),
            "8.8.8.8:7002".parse().unwrap(),
            5_000,
            1_000,
        );
        assert_eq!((arrived.whole, arrived.moved, arrived.doubled), (5_000, 0, 0));
        let at = "8.8.8.8:7003".parse().unwrap();
        for (sent, received) in both_ways((&netns("net1"), &netns("inet")), at, 256 << 20) {
            assert_eq!(sent, received);
        }
        gateway(sandbox);
        until("the counts agree", || {
            let (kernel_now, ours_now) = both(sandbox, 1);
            (kernel_now.since(before.0) == ours_now.since(before.1)).then_some(())
        });
    });
}

/// `explain` is asked about a packet, and not about two hosts: what opens a session passes the switch, whatever
/// the kernel carries between them.
#[test]
fn what_the_kernel_would_carry_is_told_of_the_very_packet() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2", "--fast-path", "on"]);
        let kernel = |to: &str| json(sandbox, &["explain", "-j", "net1", to])["kernel"].clone();
        let listener = in_netns(netns("inet"), || bound(|| TcpListener::bind("8.8.8.8:7080")));
        let mut client = in_netns(netns("net1"), || TcpStream::connect("8.8.8.8:7080").unwrap());
        let (mut served, _) = listener.accept().unwrap();
        let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind("8.8.8.8:7081")));
        let asks = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:40000").unwrap());
        until("the kernel sends on both", || {
            for _ in 0..20 {
                client.write_all(b"x").unwrap();
                served.read_exact(&mut [0]).unwrap();
                asks.send_to(b"x", "8.8.8.8:7081").unwrap();
                server.recv(&mut [0]).unwrap();
            }
            ["tcp", "udp"].map(|of| carried(&routes(sandbox, of)) > 0).eq(&[true; 2]).then_some(())
        });
        assert_eq!(kernel("8.8.8.8:7081/udp"), Value::Bool(true), "from port 40000");
        assert_eq!(kernel("8.8.8.8:7082/udp"), Value::Bool(false), "it opens a session");
        assert_eq!(kernel("8.8.8.8:7080"), Value::Bool(false), "a SYN");
        assert_eq!(kernel("8.8.8.8"), Value::Bool(false), "another ping");
    });
}

#[test]
fn a_connection_from_outside_to_a_published_port_is_repeated_too() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        sandbox.uswitch(&["publish", "7100:net1:7100"]).ok();
        let listener = in_netns(netns("net1"), || bound(|| TcpListener::bind("0.0.0.0:7100")));
        let at: SocketAddr = "203.0.113.2:7100".parse().unwrap();
        let mut there = in_netns(netns("inet"), || TcpStream::connect(at).unwrap());
        let (mut here, _) = listener.accept().unwrap();
        // On a busy machine the ring may hold the session for as long as one part of it lasts.
        let mut part: Vec<u8> =
            (0..8_u32 << 20).map(|at| (at >> 8 ^ at).to_le_bytes()[0]).collect();
        let mut parts = 0;
        until("the kernel carries it", || {
            parts += 1;
            part.rotate_left(1);
            let mut got = vec![0; part.len()];
            std::thread::scope(|scope| {
                scope.spawn(|| there.write_all(&part).unwrap());
                here.read_exact(&mut got).unwrap();
            });
            assert!(part == got, "part {parts} is another there");
            let carried = shown(sandbox, "topology")["fast_path"]["packets"].as_u64().unwrap();
            (carried > 500).then_some(())
        });
        let sessions = shown(sandbox, "nat");
        let bytes: u64 =
            sessions.as_array().unwrap().iter().map(|s| s["bytes_in"].as_u64().unwrap()).sum();
        assert!(bytes >= parts * (8 << 20), "{sessions}");
    });
}

/// A TCP segment without data to a host of the internet; `window` numbers it.
fn segment(mac: [u8; 6], (from, to): (u16, u16), flags: u8, window: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    header.extend([10, 100, 0, 10, 8, 8, 8, 8]);
    let check = (!sum(&[&header])).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    let tcp = [&[0; 8][..], &[0x50, flags], &window.to_be_bytes(), &[0; 4]].concat();
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    [&[2, 0, 10, 100, 0, 1][..], &mac, &[8, 0], &header, &ports, &tcp].concat()
}

/// The end of a session is userspace's; what comes after it waits until it has been sent on.
#[test]
fn nothing_of_a_session_overtakes_its_end() {
    const FIN_ACK: u8 = 0x11;
    const ACK: u8 = 0x10;
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        warm(sandbox);
        let at: SocketAddr = "8.8.8.8:7004".parse().unwrap();
        let listener = in_netns(netns("inet"), || bound(|| TcpListener::bind(at)));
        let mut from = Wire::open(netns("net1"), "vethpeer1");
        let mut to = Wire::open(netns("inet"), "vethpeerinet");
        for _ in 0..20 {
            let mut here = in_netns(netns("net1"), || TcpStream::connect(at).unwrap());
            let (mut there, _) = listener.accept().unwrap();
            for _ in 0..20 {
                let mut byte = [0];
                here.write_all(&[1]).unwrap();
                there.read_exact(&mut byte).unwrap();
                there.write_all(&[2]).unwrap();
                here.read_exact(&mut byte).unwrap();
            }
            assert!(carried(&routes(sandbox, "tcp")) > 0, "the kernel has sent on none");
            let ports = (here.local_addr().unwrap().port(), at.port());
            let frames: Vec<_> = (0..30)
                .map(|n| segment(from.mac, ports, if n == 0 { FIN_ACK } else { ACK }, 7000 + n))
                .collect();
            frames.iter().for_each(|frame| from.send(frame));
            for n in 0..30 {
                let ours = |frame: &[u8]| frame[23] == 6 && matches!(frame[48..50], [27, 88..=117]);
                let frame = to.next(Duration::from_secs(20), ours).expect("all of them arrive");
                assert_eq!(frame[49] - 88, n, "in order");
            }
        }
    });
}

/// A datagram of net1 to a host of the internet, its sum that of the pseudo-header.
fn datagram(mac: [u8; 6], (from, to): (u16, SocketAddr), data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 8).unwrap().to_be_bytes();
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let ends = [&[10, 100, 0, 10][..], &to.ip().octets()].concat();
    let whole = (u16::from_be_bytes(length) + 20).to_be_bytes();
    let mut header = [&[0x45, 0][..], &whole, &[0, 0, 0x40, 0, 64, 17, 0, 0], &ends].concat();
    let check = (!sum(&[&header])).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    let pseudo = sum(&[&ends, &[0, 17], &length]).to_be_bytes();
    let udp = [&from.to_be_bytes()[..], &to.port().to_be_bytes(), &length, &pseudo].concat();
    [&[2, 0, 10, 100, 0, 1][..], &mac, &[8, 0], &header, &udp, data].concat()
}

/// Whoever sends by a packet socket says where the kernel is to write a sum: not over what is translated.
#[test]
fn no_sum_is_written_over_what_is_translated() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        warm(sandbox);
        let at: SocketAddr = "9.9.9.9:7005".parse().unwrap();
        let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind(at)));
        let client = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:4444").unwrap());
        let ours = |sandbox: &Sandbox| -> Vec<Value> {
            let leaves = |flow: &Value| flow["route"]["dst"] == "9.9.9.9:7005";
            routes(sandbox, "udp").into_iter().filter(leaves).collect()
        };
        until("the kernel sends on", || {
            client.send_to(b"a question", at).unwrap();
            let mut got = [0; 64];
            let (_, from) = server.recv_from(&mut got).unwrap();
            server.send_to(b"an answer", from).unwrap();
            client.recv(&mut got).unwrap();
            (!ours(sandbox).is_empty()).then_some(())
        });
        let before = carried(&ours(sandbox));
        let mut to = Wire::open(netns("inet"), "vethpeerinet");
        let mac = Wire::open(netns("net1"), "vethpeer1").mac;
        let (ifindex, mut from) = in_netns(netns("net1"), || {
            let index = nix::net::if_::if_nametoindex("vethpeer1").unwrap();
            (index, PacketIo::open(RingConfig { slots: 64, ..RingConfig::default() }).unwrap())
        });
        let mut send = |(csum_start, csum_offset): (u16, u16), data: &[u8]| {
            let vnet = VnetHeader { flags: 1, csum_start, csum_offset, ..VnetHeader::default() };
            let frame = datagram(mac, (4444, at), data);
            assert!(from.queue_copy([&vnet.to_bytes(), &frame], ifindex, [None; 2]));
            from.flush(&mut |failure| panic!("refused: {}", failure.errno));
        };
        // Over the hops, the header's sum, the addresses, the ports, the length.
        for field in [22, 24, 26, 28, 30, 32, 34, 36, 38] {
            send((field, 0), b"astray");
        }
        send((34, 6), b"in its place");
        let data = |frame: &[u8]| frame[23] == 17 && frame[36..38] == at.port().to_be_bytes();
        let came = to.next(Duration::from_secs(20), data).expect("the sum in its place");
        assert_eq!(came[42..], *b"in its place", "{came:02x?}");
        // As without the fast path: the gateway's to refuse, and nobody's else.
        let shown = json(sandbox, &["show", "counters", "-j"]);
        assert_eq!(shown["gateway"]["drops"]["bad-offload"], 9, "{shown:#}");
        assert_eq!(shown["switch"]["refused"], serde_json::json!({}), "{shown:#}");
        let ports = json(sandbox, &["show", "ports", "-j"]);
        assert_eq!(row(&ports, "node", "net1")["drops"]["station"], 9, "{ports:#}");
        assert_eq!(carried(&ours(sandbox)) - before, 1, "none of them counts for the session");
    });
}
