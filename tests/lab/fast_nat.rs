//! Sessions of the NAT that the kernel sends on by itself: whole, counted as without it to the
//! packet, and not a packet longer than the gateway would.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::door::show::both;
use crate::door::until;
use crate::support::{
    Sandbox, both_ways, bound, captured, datagrams, in_netns, receive_stream, send_stream,
};
use crate::{lab, netns};

fn shown(sandbox: &Sandbox, what: &str) -> Value {
    serde_json::from_str(&sandbox.uswitch(&["show", what, "-j"]).ok().out).unwrap()
}

/// The routes that the kernel has, of one protocol.
fn routes(sandbox: &Sandbox, protocol: &str) -> Vec<Value> {
    let all = shown(sandbox, "flows");
    let ours = |flow: &&Value| flow["route"]["protocol"] == protocol;
    all.as_array().unwrap().iter().filter(ours).cloned().collect()
}

/// Their frames.
fn carried(routes: &[Value]) -> u64 {
    routes.iter().map(|route| route["packets"].as_u64().unwrap()).sum()
}

/// A figure of `metrics`, summed over its labels.
fn metric(sandbox: &Sandbox, name: &str) -> u64 {
    let text = sandbox.uswitch(&["metrics"]).ok().out;
    let rows = text.lines().filter(|line| !line.starts_with('#') && line.contains(name));
    rows.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// What the gateway has been given and has done, which balances.
fn gateway(sandbox: &Sandbox) -> u64 {
    let entered = metric(sandbox, "gateway_received_frames");
    let ends = ["forwarded", "consumed", "dropped"];
    let ended: u64 =
        ends.map(|what| metric(sandbox, &format!("gateway_{what}_frames"))).iter().sum();
    assert_eq!(entered, ended, "entered, and became of them");
    entered
}

/// The one session with a remote endpoint.
fn session(sandbox: &Sandbox, remote: &str) -> Value {
    let all = shown(sandbox, "nat");
    let ours: Vec<_> =
        all.as_array().unwrap().iter().filter(|session| session["remote"] == remote).collect();
    assert_eq!(ours.len(), 1, "{all}");
    ours[0].clone()
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
        let before = both(sandbox, 1);
        questions("9.9.9.9:7001".parse().unwrap(), 500, 100);
        let udp = session(sandbox, "9.9.9.9:7001");
        let figures = ["packets_out", "packets_in", "bytes_out", "bytes_in"];
        let counted = figures.map(|name| udp[name].as_u64().unwrap());
        assert_eq!(counted, [500, 500, 500 * 128, 500 * 128], "{udp}");
        let by_kernel = carried(&routes(sandbox, "udp"));
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

#[test]
fn a_connection_from_outside_to_a_published_port_is_repeated_too() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        sandbox.uswitch(&["publish", "7100:net1:7100"]).ok();
        let listener = in_netns(netns("net1"), || bound(|| TcpListener::bind("0.0.0.0:7100")));
        let at: SocketAddr = "203.0.113.2:7100".parse().unwrap();
        let mut there = in_netns(netns("inet"), || TcpStream::connect(at).unwrap());
        let (mut here, _) = listener.accept().unwrap();
        let (sent, got) = std::thread::scope(|scope| {
            let sending = scope.spawn(move || send_stream(&mut there, 64 << 20, 7));
            let got = receive_stream(&mut here);
            (sending.join().unwrap(), got)
        });
        assert_eq!(sent, got);
        let carried = shown(sandbox, "topology")["fast_path"]["packets"].as_u64().unwrap();
        assert!(carried > 500, "the kernel has carried {carried} frames");
        let sessions = shown(sandbox, "nat");
        let bytes: u64 =
            sessions.as_array().unwrap().iter().map(|s| s["bytes_in"].as_u64().unwrap()).sum();
        assert!(bytes >= 64 << 20, "{sessions}");
    });
}

/// Under traffic that does not wait: once a change has returned that keeps packets from the world,
/// and until it is taken back, none gets there.
#[test]
fn under_traffic_no_packet_is_sent_on_by_what_held_before() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        let to: SocketAddr = "9.9.9.9:7200".parse().unwrap();
        let server = in_netns(netns("inet"), || bound(|| UdpSocket::bind(to)));
        let client = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap());
        client.connect(to).unwrap();
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let (stop, next) = (AtomicBool::new(false), AtomicU32::new(0));
        let mut shut: Vec<(u32, u32)> = Vec::new();
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    // Refused where an error has come back.
                    let _ = client.send(&n.to_le_bytes());
                    if n % 16 == 0 {
                        std::thread::sleep(Duration::from_micros(300));
                        let _ = client.recv(&mut [0; 8]);
                    }
                }
            });
            let hearing = scope.spawn(|| {
                let (mut heard, mut buffer) = (Vec::new(), [0; 8]);
                loop {
                    match server.recv_from(&mut buffer) {
                        Ok((4, from)) => {
                            let n = u32::from_le_bytes(buffer[..4].try_into().unwrap());
                            heard.push(n);
                            if n % 8 == 0 {
                                server.send_to(&[1], from).unwrap();
                            }
                        }
                        Ok(_) => {}
                        Err(_) if stop.load(Ordering::SeqCst) => return heard,
                        Err(_) => {}
                    }
                }
            });
            let repeated = || {
                until("the kernel sends on", || (!routes(sandbox, "udp").is_empty()).then_some(()));
            };
            for _ in 0..6 {
                // It ends every session, of which the next packet opens another.
                sandbox.uswitch(&["nat", "flush"]).ok();
                repeated();
                sandbox.uswitch(&["set", "gateway", "--forwarding", "off"]).ok();
                // One may be between its number and the socket.
                let from = next.load(Ordering::SeqCst) + 1;
                std::thread::sleep(Duration::from_millis(50));
                let until = next.load(Ordering::SeqCst).saturating_sub(1);
                sandbox.uswitch(&["set", "gateway", "--forwarding", "on"]).ok();
                shut.push((from, until));
            }
            repeated();
            stop.store(true, Ordering::SeqCst);
            hearing.join().unwrap()
        });
        assert!(shut.iter().all(|(from, until)| until > from), "{shut:?}");
        for n in heard {
            let within = shut.iter().find(|(from, until)| (*from..*until).contains(&n));
            assert_eq!(within, None, "packet {n} came through");
        }
    });
}
