//! What a node's own programs and kernel see through the NAT: traceroutes, path MTU discovery,
//! fragments, refusals, segments that travel whole, a published port.
//!
//! ```text
//!   net1 ── gateway ── inet ── mid ── far        192.0.2.0/30 with an MTU of 1400, 192.0.2.4/30
//!            NAT      203.0.113.1     198.51.100.1
//! ```

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::support::{As, Process, Sandbox, both_ways, captured, in_netns, rooted};
use crate::{lab, netns};

const FAR: &str = "198.51.100.1";
const WAY: [&str; 4] = ["10.100.0.1", "203.0.113.1", "192.0.2.2", FAR];

/// Two more hops behind the simulated internet, the first with a small MTU.
fn longer_way(sandbox: &Sandbox) {
    let ip = |line: &str| sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    for name in ["mid", "far"] {
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
    }
    ip("-n inet link add to-mid mtu 1400 type veth peer to-inet netns mid");
    ip("-n mid link set to-inet mtu 1400");
    ip("-n mid link add to-far type veth peer to-mid netns far");
    for (name, interface, address) in [
        ("inet", "to-mid", "192.0.2.1/30"),
        ("mid", "to-inet", "192.0.2.2/30"),
        ("mid", "to-far", "192.0.2.5/30"),
        ("far", "to-mid", "192.0.2.6/30"),
        ("far", "lo", "198.51.100.1/32"),
    ] {
        ip(&format!("-n {name} addr add {address} dev {interface}"));
        ip(&format!("-n {name} link set {interface} up"));
    }
    ip("-n inet route add 198.51.100.0/24 via 192.0.2.2");
    ip("-n mid route add 198.51.100.0/24 via 192.0.2.6");
    ip("-n mid route add default via 192.0.2.1");
    ip("-n far route add default via 192.0.2.5");
    for name in ["inet", "mid", "far"] {
        let routes = "echo 1 > /proc/sys/net/ipv4/ip_forward; \
            echo 0 > /proc/sys/net/ipv4/icmp_ratelimit";
        sandbox.tool("ip", &["netns", "exec", name, "sh", "-ec", routes]);
    }
}

/// Runs a program in net1 and gives what it printed, however it ended.
fn from_net1(sandbox: &Sandbox, args: &[&str]) -> String {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", "net1"]).args(args);
    let ended = Process::start(command, &args.join(" ")).ended();
    ended.out + &ended.err
}

#[test]
fn traceroutes_show_the_gateway_and_the_hosts() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        longer_way(sandbox);
        for method in [&["-U", "-p", "33434"][..], &["-I"], &["-T", "-p", "80"], &[]] {
            let args = [&["traceroute", "-n", "-q", "1", "-w", "5"], method, &[FAR]].concat();
            let out = from_net1(sandbox, &args);
            let hops: Vec<_> =
                out.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
            assert_eq!(hops, WAY, "{method:?}:\n{out}");
        }
        // It knows its probes by their identification.
        let out = from_net1(sandbox, &["tcptraceroute", "-n", "-q", "1", "-w", "5", FAR, "80"]);
        let hops: Vec<_> = out
            .lines()
            .filter(|line| line.starts_with(' '))
            .filter_map(|line| line.split_whitespace().nth(1))
            .collect();
        assert_eq!(hops, WAY, "{out}");
    });
}

#[test]
fn path_mtu_discovery_finds_a_narrow_hop() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        longer_way(sandbox);
        let ping = ["ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1450", FAR];
        let out = from_net1(sandbox, &ping);
        assert!(out.contains("203.0.113.1") && out.contains("mtu = 1400"), "{out}");
        // TCP, whose ends believe in 1500: the kernel of net1 learns it, and the stream is whole.
        let at: SocketAddr = "198.51.100.1:7600".parse().unwrap();
        for (sent, received) in both_ways((&netns("net1"), &netns("far")), at, 16 << 20) {
            assert_eq!(sent, received);
        }
        let route = sandbox.tool("ip", &["-n", "net1", "route", "get", FAR]);
        assert!(route.contains("mtu 1400"), "{route}");
        // UDP, by a program that looks for it.
        let out = from_net1(sandbox, &["traceroute", "-n", "--mtu", "-q", "1", "-w", "5", FAR]);
        assert!(out.contains("F=1400") && out.contains(FAR), "{out}");
    });
}

#[test]
fn large_pings_go_in_fragments_both_ways() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        longer_way(sandbox);
        for (size, to) in [("3000", "8.8.8.8"), ("3001", FAR), ("60000", "8.8.8.8"), ("9999", FAR)]
        {
            let args = ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "5", "-s", size, to];
            let out = from_net1(sandbox, &args);
            assert!(out.contains(" 5 received") || out.contains("5 packets received"), "{out}");
        }
    });
}

/// What a program in a node is told that speaks this protocol to 8.8.8.8.
pub(crate) fn told(node: &str, protocol: i32) -> std::io::Error {
    in_netns(netns(node), || {
        let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::RAW);
        let socket = socket2::Socket::new(domain, kind, Some(protocol.into())).unwrap();
        let to: SocketAddr = "8.8.8.8:0".parse().unwrap();
        socket.connect(&to.into()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send(&[0; 32]).unwrap();
        (&socket).read(&mut [0; 64]).unwrap_err()
    })
}

#[test]
fn what_is_refused_is_told_to_the_program() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // AH is not translated, and a raw socket hears so; with SCTP it is the far host that has none.
        for number in [51, 132] {
            let error = told("net1", number);
            assert_eq!(error.raw_os_error(), Some(nix::libc::ENOPROTOOPT), "{number}: {error}");
        }
        // Nobody listens: TCP is refused by the far host, UDP by its error.
        let refused = in_netns(netns("net1"), || {
            TcpStream::connect_timeout(&"8.8.8.8:7".parse().unwrap(), Duration::from_secs(20))
        });
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        let refused = in_netns(netns("net1"), || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect("8.8.8.8:7").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket.send(b"x").unwrap();
            socket.recv(&mut [0; 8]).unwrap_err()
        });
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

/// A web server of one page in a namespace, for so many requests.
fn serve(listener: TcpListener, requests: usize) {
    for _ in 0..requests {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        let page = "x".repeat(100_000);
        let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
        stream.write_all((head + &page).as_bytes()).unwrap();
    }
}

#[test]
fn a_page_is_fetched_by_curl() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let listener = in_netns(netns("inet"), || TcpListener::bind("1.1.1.1:80").unwrap());
        std::thread::scope(|scope| {
            scope.spawn(move || serve(listener, 5));
            for _ in 0..5 {
                let args = ["curl", "-sS", "--max-time", "30", "http://1.1.1.1/"];
                assert_eq!(from_net1(sandbox, &args).trim(), "x".repeat(100_000));
            }
        });
    });
}

/// Listens for one frame longer than any link carries, until it has come.
fn large_frame(sandbox: &Sandbox, node: &str, interface: &str, filter: &str) -> Process {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", node, "tcpdump", "-n", "-i", interface, "-Q", "in", "-c", "1"]);
    command.arg(format!("{filter} and greater 3000"));
    let mut dump = Process::start(command, "tcpdump");
    dump.wait_for_complaint("listening on");
    dump
}

#[test]
fn segments_of_tcp_pass_the_nat_whole_both_ways() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let out = large_frame(sandbox, "inet", "vethpeerinet", "tcp and dst port 7601");
        let back = large_frame(sandbox, "net1", "vethpeer1", "tcp and src port 7601");
        let at: SocketAddr = "8.8.8.8:7601".parse().unwrap();
        for (sent, received) in both_ways((&netns("net1"), &netns("inet")), at, 64 << 20) {
            assert_eq!(sent, received);
        }
        out.ended().ok();
        back.ended().ok();
    });
}

#[test]
fn segments_of_udp_pass_the_nat_whole_both_ways() {
    const SEGMENT: i32 = 1400;
    let datagrams: Vec<u8> = (0..30u8).flat_map(|n| vec![n; 1400]).collect();
    let check = |from: &UdpSocket| {
        from.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for n in 0..30u8 {
            let mut buffer = [0; 2000];
            let (length, peer) = from.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], vec![n; 1400], "datagram {n} of {peer}");
        }
    };
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let out = large_frame(sandbox, "inet", "vethpeerinet", "udp and dst port 7602");
        let back = large_frame(sandbox, "net1", "vethpeer1", "udp and src port 7602");
        let there = in_netns(netns("inet"), || UdpSocket::bind("8.8.8.8:7602").unwrap());
        let here = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:7603").unwrap());
        for socket in [&here, &there] {
            setsockopt(socket, sockopt::UdpGsoSegment, &SEGMENT).unwrap();
        }
        here.connect("8.8.8.8:7602").unwrap();
        here.send(&datagrams).unwrap();
        check(&there);
        there.send_to(&datagrams, "203.0.113.2:7603").unwrap();
        check(&here);
        out.ended().ok();
        back.ended().ok();
    });
}

#[test]
fn two_hosts_of_the_lan_meet_by_their_outside_endpoints() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let one = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:7604").unwrap());
        let two = in_netns(netns("net2"), || UdpSocket::bind("0.0.0.0:7605").unwrap());
        let doors = ["203.0.113.2:7604", "203.0.113.2:7605"];
        let limit = Instant::now() + Duration::from_secs(20);
        // Both have spoken to somebody who could tell them their endpoints. Then each opens its
        // own door towards the other's, and from the second packet on they meet.
        for socket in [&one, &two] {
            socket.send_to(b"who am I?", "8.8.8.8:3478").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        }
        let mut heard = Vec::new();
        while heard.len() < 2 {
            assert!(Instant::now() < limit, "they never met: {heard:?}");
            heard.clear();
            one.send_to(b"punch", doors[1]).unwrap();
            two.send_to(b"punch", doors[0]).unwrap();
            for socket in [&one, &two] {
                let mut buffer = [0; 16];
                heard.extend(socket.recv_from(&mut buffer).ok().map(|(_, from)| from.to_string()));
            }
        }
        assert_eq!(heard, [doors[1], doors[0]]);
    });
}

#[test]
fn a_published_port_leads_in_for_everybody() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-p", "7606:net1:80"]);
        let listener = in_netns(netns("net1"), || TcpListener::bind("0.0.0.0:80").unwrap());
        let door: SocketAddr = "203.0.113.2:7606".parse().unwrap();
        // From outside with the source kept; from inside by the outside address, as outside.
        for (from, source) in [("inet", "203.0.113.1"), ("net2", "203.0.113.2")] {
            let patience = Duration::from_secs(20);
            let stream = in_netns(netns(from), || TcpStream::connect_timeout(&door, patience));
            let mut stream = stream.unwrap_or_else(|error| panic!("from {from}: {error}"));
            let (mut inside, peer) = listener.accept().unwrap();
            assert_eq!(peer.ip().to_string(), source, "from {from}");
            stream.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            inside.set_read_timeout(Some(patience)).unwrap();
            inside.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"hello", "from {from}");
        }
    });
}
