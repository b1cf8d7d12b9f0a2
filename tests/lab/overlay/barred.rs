//! A node that wraps frames itself and sends them to a remote end: behind the host's address they would
//! be this host's.

use std::net::UdpSocket;
use std::time::Duration;

use super::{json, other_host};
use crate::door::until;
use crate::support::{Sandbox, captures, in_netns, rooted};
use crate::{lab, netns};

/// A frame for everybody, from an address of its own, in a packet of VXLAN 100.
fn packet(from: u8) -> Vec<u8> {
    let mut packet = super::foreign::packet(100);
    packet[8 + 11] = from;
    packet
}

/// Whether the other host's bridge has heard that address.
fn has_heard(sandbox: &Sandbox, from: u8) -> bool {
    let rows =
        sandbox.tool("ip", &["netns", "exec", "hostb", "bridge", "fdb", "show", "dev", "vx"]);
    rows.contains(&format!("02:00:00:00:00:{from:02x} master"))
}

fn no_frame_leaves_by_the_way_out(fast: &str) {
    rooted(|sandbox| {
        other_host(sandbox, "100");
        let _lab = lab(sandbox, &["run", "--uplink", "out0", "--fast-path", fast]);
        let (socket, heard) = (
            in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap()),
            in_netns(netns("hostb"), || UdpSocket::bind("10.9.0.2:4799").unwrap()),
        );
        heard.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // Without a tunnel it is an address as others are, and what goes there goes on by itself.
        let send = |from: u8| drop(socket.send_to(&packet(from), "10.9.0.2:4789"));
        until("the other host hears it", || {
            (0..50).for_each(|_| send(0x10));
            has_heard(sandbox, 0x10).then_some(())
        });
        let add = ["tunnel", "add", "vxlan", "100", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        sandbox.uswitch(&add).ok();
        for _ in 0..50 {
            // What it is told of the one before is an error of the next.
            send(0x11);
            send(0x11);
        }
        let all = |sandbox: &Sandbox| {
            let counters = json(sandbox, &["show", "counters", "-j"]);
            counters["gateway"]["drops"]["tunnel-end"].as_u64().unwrap_or(0)
        };
        until("they are refused", || (all(sandbox) >= 50).then_some(()));
        // Another port there is nobody's business.
        until("another port is reached", || {
            let _ = socket.send_to(b"x", "10.9.0.2:4799");
            heard.recv(&mut [0; 8]).ok()
        });
        assert!(!has_heard(sandbox, 0x11));
        let nat = sandbox.uswitch(&["show", "nat"]).ok().out;
        assert!(!nat.contains("10.9.0.2:4789"), "{nat}");
        let ended = sandbox.uswitch(&["explain", "net1", "10.9.0.2:4789/udp"]);
        assert!(ended.out.contains("tunnel-end"), "{}{}", ended.out, ended.err);
        // The tunnel itself sends there, and goes on doing so.
        let args = ["exec", "net1", "--", "ping", "-c", "1", "-W", "5", "10.100.0.99"];
        assert_eq!(sandbox.uswitch(&args).code, Some(0));
        sandbox.uswitch(&["tunnel", "remove", "100"]).ok();
        until("it is an address as others are again", || {
            send(0x12);
            has_heard(sandbox, 0x12).then_some(())
        });
    });
}

#[test]
fn a_node_sends_no_frame_to_a_remote_end_by_the_way_out() {
    no_frame_leaves_by_the_way_out("off");
}

#[test]
fn nor_does_the_kernel_for_it() {
    if captures() {
        no_frame_leaves_by_the_way_out("on");
    }
}
