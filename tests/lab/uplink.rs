//! A real uplink: the gateway behind the host's own address, and the host beside it, undisturbed.

mod changes;
mod crash;
mod fast;
mod forwarded;
mod hidden;
pub(super) mod host;
mod masquerade;
mod refused;
mod table;
mod tunnels;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use host::{Dump, PATIENCE, Talk, end, eventually, lab, netns, on_a_host, on_a_watched_host, sh};

use crate::support::{Sandbox, Wire, both_ways, bound, datagrams, in_netns};

/// What a stack says of packets it does not expect: resets and "unreachable".
const COMPLAINTS: &str = "src host 192.0.2.2 and (tcp[tcpflags] & tcp-rst != 0 or icmp[0] == 3)";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[track_caller]
fn whole(ends: (&str, &str), at: &str, bytes: u64) {
    for (sent, received) in both_ways((&netns(ends.0), &netns(ends.1)), address(at), bytes) {
        assert_eq!(sent.bytes, bytes);
        assert_eq!(sent, received, "{ends:?} {at}");
    }
}

/// A connection from outside to a port that the host has closed: its stack resets it.
fn knock_at_a_closed_port() {
    let refused = in_netns(netns("server"), || {
        TcpStream::connect_timeout(&address("192.0.2.2:31000"), PATIENCE).unwrap_err()
    });
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// Says that tcpdump would have seen a reset, and that there was no other.
#[track_caller]
fn only_the_closed_port_complained(sandbox: &Sandbox, dump: Dump) {
    knock_at_a_closed_port();
    eventually("a reset that is seen", || !dump.lines(sandbox).is_empty());
    let lines = dump.end(sandbox);
    assert!(lines.iter().all(|line| line.contains("192.0.2.2.31000 >")), "{lines:#?}");
}

#[test]
fn the_host_and_the_nodes_have_one_address() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let dump = Dump::start(sandbox, COMPLAINTS);
        let node = Talk::open(("net1", "server"), "8.8.8.8:7000");
        let host = Talk::open(("host", "server"), "8.8.8.8:7001");
        let inward = Talk::open(("server", "host"), "192.0.2.2:8080");
        assert_eq!(node.seen_as().ip(), host.seen_as().ip());
        assert!((20_000..=29_999).contains(&node.seen_as().port()), "{}", node.seen_as());
        assert!(!(20_000..=29_999).contains(&host.seen_as().port()), "{}", host.seen_as());
        for talk in [&node, &host, &inward] {
            talk.talk();
        }
        only_the_closed_port_complained(sandbox, dump);
        end(run);
        for talk in [&host, &inward] {
            talk.talk();
        }
    });
}

#[test]
fn both_work_at_full_load_and_the_stack_is_silent() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let dump = Dump::start(sandbox, COMPLAINTS);
        const BYTES: u64 = 256 << 20;
        std::thread::scope(|scope| {
            for (ends, at) in
                [(("net1", "server"), "8.8.8.8:7100"), (("net2", "server"), "8.8.8.8:7101")]
            {
                scope.spawn(move || whole(ends, at, BYTES));
            }
            // The host's own, from threads that are the host's.
            scope.spawn(move || whole(("host", "server"), "8.8.8.8:7102", BYTES));
            scope.spawn(move || whole(("server", "host"), "192.0.2.2:8081", BYTES));
            scope.spawn(move || {
                let ends = (netns("net1"), netns("server"));
                let came = datagrams((&ends.0, &ends.1), address("8.8.8.8:7103"), 5000, 1000);
                assert_eq!((came.moved, came.doubled), (0, 0));
                assert!(came.whole >= 4000, "{} of 5000 datagrams through the NAT", came.whole);
            });
            let pinged = sandbox.tool("ping", &["-c", "20", "-i", "0.05", "-W", "5", "8.8.8.8"]);
            assert!(pinged.contains(" 0% packet loss") && !pinged.contains("DUP"), "{pinged}");
            let hops = hops(&sandbox.tool("traceroute", &TRACE));
            assert_eq!(hops, ["192.0.2.1", "198.51.100.2", "8.8.8.8"]);
        });
        only_the_closed_port_complained(sandbox, dump);
        end(run);
    });
}

const TRACE: [&str; 8] = ["-n", "-q", "3", "-w", "5", "-N", "1", "8.8.8.8"];

/// The hosts of a traceroute, in order.
fn hops(text: &str) -> Vec<String> {
    let hop = |line: &str| {
        line.split_whitespace().find(|word| word.matches('.').count() == 3).map(str::to_owned)
    };
    text.lines().skip(1).filter_map(hop).collect()
}

fn inside(sandbox: &Sandbox, node: &str, command: &str) -> String {
    sh(sandbox, &format!("ip netns exec {node} {command}"))
}

#[test]
fn traceroute_and_ping_from_a_node() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let wanted = ["10.100.0.1", "192.0.2.1", "198.51.100.2", "8.8.8.8"];
        for kind in ["", "-I", "-T -p 7"] {
            let args = TRACE.join(" ");
            let text = inside(sandbox, "net1", &format!("traceroute {kind} {args}"));
            assert_eq!(hops(&text), wanted, "traceroute {kind}:\n{text}");
        }
        let pinged = inside(sandbox, "net2", "ping -c 3 -i 0.1 -W 5 8.8.8.8");
        assert!(pinged.contains(" 0% packet loss") && !pinged.contains("DUP"), "{pinged}");
        end(run);
    });
}

#[test]
fn a_round_trip_is_split_at_the_switch_and_the_rest_is_outside() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let ping = ["ping", "net1", "--split", "-W", "5", "-c"];
        let out = sandbox.uswitch(&[&ping[..], &["3", "8.8.8.8"]].concat()).ok().out;
        let split = out.lines().filter(|line| line.starts_with("    net1 "));
        let places = split.map(|line| {
            let words = line.split_whitespace().filter(|word| word.parse::<f64>().is_err());
            words.collect::<Vec<_>>().join(" ")
        });
        let wanted = "net1 > switch+gateway > outside > switch+gateway > net1 µs";
        assert_eq!(places.collect::<Vec<_>>(), [wanted; 3], "{out}");
        // Nobody has this address, and a router says so.
        let out = sandbox.uswitch(&[&ping[..], &["1", "8.8.8.9"]].concat()).out;
        for words in ["From 192.0.2.1 icmp_seq=1", "handed to outside, and no reply came back"] {
            assert!(out.contains(words), "no {words:?} in {out}");
        }
        end(run);
    });
}

#[test]
fn ping_all_goes_as_far_as_the_host_s_router() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let dump = Dump::start(sandbox, "icmp[0] == 8 and not dst host 192.0.2.1");
        let all = sandbox.uswitch(&["ping", "--all"]).ok().out;
        let head: Vec<_> = all.lines().next().unwrap().split_whitespace().skip(4).collect();
        assert_eq!(head, ["net1", "net2", "gateway", "router"], "{all}");
        assert!(all.ends_with("6 of 6 reached\n"), "{all}");
        inside(sandbox, "net2", "ping -c 1 -W 5 8.8.8.8");
        eventually("a ping that is seen", || !dump.lines(sandbox).is_empty());
        assert_eq!(dump.end(sandbox).len(), 1);
        end(run);
    });
}

#[test]
fn path_mtu_discovery_through_the_host_s_address() {
    on_a_host(|sandbox| {
        sh(sandbox, "ip -n isp link set isp1 mtu 1300; ip -n core link set core0 mtu 1300");
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let large = "ping -c 1 -W 5 -M do -s 1400 8.8.8.8 || true";
        let told = inside(sandbox, "net1", large);
        assert!(told.contains("mtu = 1300") || told.contains("mtu=1300"), "{told}");
        let route = inside(sandbox, "net1", "ip route get 8.8.8.8");
        assert!(route.contains("mtu 1300"), "the node has learned it: {route}");
        whole(("net2", "server"), "8.8.8.8:7200", 16 << 20);
        whole(("host", "server"), "8.8.8.8:7201", 16 << 20);
        end(run);
    });
}

fn counter(name: &str) -> u64 {
    counter_of("Ip:", name)
}

/// A counter of the host's stack.
fn counter_of(protocol: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with(protocol));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = names.split_whitespace().position(|word| word == name).unwrap();
    values.split_whitespace().nth(at).unwrap().parse().unwrap()
}

#[test]
fn fragments_are_the_nat_s_or_the_host_s() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let dump = Dump::start(sandbox, "src host 192.0.2.2 and (icmp[0] == 11 or icmp[0] == 3)");
        std::fs::write("/proc/sys/net/ipv4/ipfrag_time", "1").unwrap();
        // Large datagrams to a node and back: its fragments do not reach the host's stack.
        let (before, large) = (counter("ReasmReqds"), vec![7; 20_000]);
        let server = in_netns(netns("server"), || UdpSocket::bind("8.8.8.8:7300").unwrap());
        let node = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap());
        let mut buffer = vec![0; 30_000];
        for socket in [&server, &node] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        // The first of them waits whole for the router's hardware address.
        for _ in 0..20 {
            node.send_to(&large, "8.8.8.8:7300").unwrap();
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!((length, from.ip()), (large.len(), "192.0.2.2".parse().unwrap()));
            server.send_to(&large, from).unwrap();
            assert_eq!(node.recv(&mut buffer).unwrap(), large.len());
        }
        assert_eq!(counter("ReasmReqds"), before, "the stack has seen fragments of the NAT");
        // The host's own are whole.
        let ends = (netns("server"), netns("host"));
        let came = datagrams((&ends.0, &ends.1), address("192.0.2.2:8300"), 50, 20_000);
        assert_eq!(came.whole, 50);
        assert!(counter("ReasmOKs") >= 50);
        // A later one that overtakes its first reaches the stack, which is silent about it.
        let late = counter("ReasmTimeout");
        let mut wire = Wire::open(netns("isp"), "isp0");
        node.send_to(b"x", "8.8.8.8:7300").unwrap();
        let port = server.recv_from(&mut buffer).unwrap().1.port();
        for (offset, more) in [(1480, false), (0, true)] {
            let from = wire.mac;
            wire.send(&fragment(from, port, offset, more));
        }
        assert_eq!(node.recv(&mut buffer).unwrap(), 2952, "the NAT put it in order");
        eventually("the stack has given up", || counter("ReasmTimeout") > late);
        let lines = dump.end(sandbox);
        assert!(lines.is_empty(), "{lines:#?}");
        end(run);
    });
}

/// A fragment of a UDP datagram of 2952 bytes from 8.8.8.8:7300 to `port` of the host's address.
fn fragment(from: [u8; 6], port: u16, offset: u16, more: bool) -> Vec<u8> {
    let to = Wire::open(netns("host"), "eth0").mac;
    let field = offset / 8 + if more { 0x2000 } else { 0 };
    let mut ip = vec![0x45, 0, 0x05, 0xdc, 0x77, 0x77];
    ip.extend(field.to_be_bytes());
    ip.extend([64, 17, 0, 0, 8, 8, 8, 8, 192, 0, 2, 2]);
    let sum = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16));
    ip[10..12].copy_from_slice(&u16::try_from(sum & 0xffff).unwrap().to_be_bytes());
    let mut body = vec![0; 1480];
    if offset == 0 {
        body[..2].copy_from_slice(&7300_u16.to_be_bytes());
        body[2..4].copy_from_slice(&port.to_be_bytes());
        body[4..6].copy_from_slice(&2960_u16.to_be_bytes());
    }
    [&to[..], &from, &[0x08, 0x00], &ip, &body].concat()
}

#[test]
fn it_says_what_it_changes_before_it_does() {
    on_a_watched_host(|sandbox| {
        let asked = ["run", "--uplink", "auto", "--json", "--check", "--fast-path"];
        let ended = sandbox.uswitch(&[&asked[..], &["off"]].concat()).ok();
        let host: Vec<_> = ended.out.lines().filter(|l| l.contains(r#""event":"host""#)).collect();
        assert_eq!(host.len(), 2, "{}", ended.out);
        let ended = sandbox.uswitch(&[&asked[..], &["on"]].concat()).ok();
        let third = ended.out.lines().filter(|l| l.contains(r#""event":"host""#)).nth(2);
        assert!(third.is_some_and(|line| line.contains("uswitch-20000")), "{}", ended.out);
        for (line, words) in host.iter().zip([
            &["20000-29999", "ip_local_reserved_ports"][..],
            &["192.0.2.2", "20000-29999", "eth0"],
        ]) {
            assert!(words.iter().all(|word| line.contains(word)), "{line}");
        }
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let text = topology();
        for word in ["ip_local_reserved_ports", "tcx", "eth0", "192.0.2.1"] {
            assert!(text.contains(word), "no {word} in {text}");
        }
        end(run);
    });
}

#[test]
fn ports_are_published_inside_the_block_alone() {
    on_a_host(|sandbox| {
        let outside = ["run", "--check", "--uplink", "auto", "-p", "8080:net1:80"];
        let ended = sandbox.uswitch(&outside);
        let line = ended.complaint(1);
        assert!(line.contains("8080") && line.contains("20000 to 29999"), "{line}");
        assert_eq!(host::reserved(), "", "undone");
        let run = lab(sandbox, &["run", "--uplink", "auto", "-p", "20080:net1:80"]);
        let listener = in_netns(netns("net1"), || TcpListener::bind("0.0.0.0:80").unwrap());
        let caller = in_netns(netns("server"), || {
            TcpStream::connect_timeout(&address("192.0.2.2:20080"), PATIENCE).unwrap()
        });
        let (_held, seen) = listener.accept().unwrap();
        assert_eq!(seen, caller.local_addr().unwrap(), "the source is kept");
        end(run);
    });
}

/// What the lab's control socket says of it.
fn topology() -> String {
    let mut door = UnixStream::connect("/run/uswitch/uswitch/control.sock").unwrap();
    door.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask = "GET /v1/topology HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    door.write_all(ask.as_bytes()).unwrap();
    let mut text = String::new();
    door.read_to_string(&mut text).unwrap();
    text
}

/// A node speaks to the server from a port of the block, and the host's stack does not hear of the
/// answer.
fn is_silent(at: &str) -> bool {
    let at = address(at);
    let refused = || counter_of("Udp:", "NoPorts");
    let server = in_netns(netns("server"), || bound(|| UdpSocket::bind("8.8.8.8:7999")));
    let node = in_netns(netns("net1"), || bound(|| UdpSocket::bind(("0.0.0.0", at.port()))));
    for socket in [&server, &node] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    node.send_to(b"there", "8.8.8.8:7999").unwrap();
    let from = server.recv_from(&mut [0; 9]).unwrap().1;
    assert_eq!(from, at, "the port is kept");
    let before = refused();
    server.send_to(b"back", from).unwrap();
    assert_eq!(node.recv(&mut [0; 9]).unwrap(), 4);
    refused() == before
}
