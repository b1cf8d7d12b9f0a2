//! Who may send to a tunnel: its remote ends, and nobody else, by whichever interface.

use std::net::UdpSocket;

use serde_json::Value;

use super::{json, other_host};
use crate::door::until;
use crate::support::{Sandbox, Wire, captured, in_netns, rooted};
use crate::{lab, netns};

/// A packet of VXLAN 100 with a frame for everybody in it.
pub(super) fn packet(vni: u8) -> Vec<u8> {
    let header = [8, 0, 0, 0, 0, 0, vni, 0];
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5], &[0; 46]].concat();
    [&header[..], &frame].concat()
}

fn send(from: &str, to: &str, bytes: &[u8]) {
    in_netns(netns(from), || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(bytes, to).unwrap();
    });
}

/// What hides from the filter what it is: the number cut off and padding in its place, two tags that
/// name no VLAN. Nothing else comes of it.
fn hidden(sandbox: &Sandbox) {
    let mac = |netns: Option<&str>, dev: &str| -> [u8; 6] {
        let inside = netns.map(|name| vec!["-n", name]).unwrap_or_default();
        let args = [&inside[..], &["-o", "link", "show", dev]].concat();
        let said = sandbox.tool("ip", &args);
        let word = said.split("link/ether ").nth(1).unwrap();
        let bytes = word.split(' ').next().unwrap().split(':');
        let bytes: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.try_into().unwrap()
    };
    let addresses = [mac(None, "late0"), mac(Some("hostc"), "late1")].concat();
    let inner = packet(100);
    let length = u16::try_from(inner.len() + 8).unwrap();
    let udp = [&[0x12, 0xb5, 0x12, 0xb5][..], &length.to_be_bytes(), &[0, 0], &inner].concat();
    let ip = |id: u8, fragment: u16, body: &[u8]| {
        let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
        let [high, low] = fragment.to_be_bytes();
        let mut header = vec![0x45, 0, total[0], total[1], 0, id, high, low, 64, 17, 0, 0];
        header.extend([10, 9, 7, 2, 10, 9, 0, 1]);
        let sum = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = sum.sum();
        let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        [&header[..], body].concat()
    };
    let mut wire = Wire::open(netns("hostc"), "late1");
    let mut send = |kind: &[u8], packet: &[u8]| {
        wire.send(&[&addresses[..], kind, packet, &[0; 18]].concat());
    };
    for (id, order) in [(1, [0, 1]), (2, [1, 0])] {
        let parts = [ip(id, 0x2000, &udp[..8]), ip(id, 1, &udp[8..])];
        order.iter().for_each(|part| send(&[8, 0], &parts[*part]));
    }
    let whole = ip(3, 0, &udp);
    for outer in [[0x81, 0], [0x88, 0xa8]] {
        send(&[outer[0], outer[1], 0, 0, 0x81, 0, 0, 0, 8, 0], &whole);
        send(&[outer[0], outer[1], 0, 0, 0x81, 0, 0, 0, 0x81, 0, 0, 0, 8, 0], &whole);
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
}

pub(super) fn tunnel(sandbox: &Sandbox) -> Value {
    json(sandbox, &["show", "tunnel", "-j"])[0].clone()
}

/// The same once none is on its way any more.
pub(super) fn settled(sandbox: &Sandbox) -> u64 {
    let mut last = foreign(sandbox);
    until("no more of them", || {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let before = std::mem::replace(&mut last, foreign(sandbox));
        (before == last).then_some(last)
    })
}

/// Packets that were dropped.
pub(super) fn foreign(sandbox: &Sandbox) -> u64 {
    tunnel(sandbox)["foreign"].as_u64().unwrap()
}

/// A third host, behind an interface of its own.
fn host_behind(sandbox: &Sandbox) {
    for line in [
        "netns add hostc",
        "link add late0 type veth peer name late1 netns hostc",
        "addr add 10.9.7.1/24 dev late0",
        "link set late0 up",
        "-n hostc addr add 10.9.7.2/24 dev late1",
        "-n hostc link set late1 up",
    ] {
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    }
}

#[test]
fn only_what_members_send_comes_in_and_the_rest_is_counted() {
    captured(|sandbox| {
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        other_host(sandbox, "100");
        let _lab = lab(sandbox, &["run"]);
        let add = ["tunnel", "add", "vxlan", "100", "--local", "10.9.0.1", "--remote", "10.9.0.2"];
        sandbox.uswitch(&add).ok();
        assert_eq!(tunnel(sandbox)["senders"], "members");
        // A host behind an interface that comes after the tunnel.
        host_behind(sandbox);
        ip("-n hostc route add 10.9.0.0/24 via 10.9.7.1");
        sandbox.tool("ip", &["netns", "exec", "hostc", "ping", "-c", "1", "10.9.0.1"]);

        let reaches = |node: &str| {
            let ping = ["exec", node, "--", "ping", "-c", "1", "-W", "5", "10.100.0.99"];
            assert_eq!(sandbox.uswitch(&ping).code, Some(0), "{node}");
        };
        reaches("net1");
        // The new interface is looked at once it is heard of: a header without a frame tells when.
        until("the interface that came late", || {
            send("hostc", "10.9.0.1:4789", &packet(100)[..8]);
            (foreign(sandbox) > 0).then_some(())
        });
        let before = settled(sandbox);
        let foreign = |sandbox: &Sandbox| foreign(sandbox) - before;
        // To the tunnel's end, to another address of the host, and to everybody on the link.
        for (count, to) in ["10.9.0.1:4789", "10.9.7.1:4789", "10.9.7.255:4789"].iter().enumerate()
        {
            in_netns(netns("hostc"), || {
                let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
                socket.set_broadcast(true).unwrap();
                socket.send_to(&packet(100), *to).unwrap();
            });
            until(to, || (foreign(sandbox) == count as u64 + 1).then_some(()));
        }
        // A program of this host is no member either.
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&packet(100), "127.0.0.1:4789").unwrap();
        until("a program here", || (foreign(sandbox) == 4).then_some(()));
        assert_eq!(tunnel(sandbox)["foreign_from"], "127.0.0.1");
        // Another network's, and what is no VXLAN, are not ours to judge.
        send("hostc", "10.9.0.1:4789", &packet(101));
        send("hostc", "10.9.0.1:4789", b"short");
        send("hostc", "10.9.0.1:4790", &packet(100));
        hidden(sandbox);
        // Nothing of all that has come in; what a member sends does.
        let is_known = || {
            let rows = json(sandbox, &["show", "fdb", "-j"]);
            rows.as_array().unwrap().iter().any(|row| row["mac"] == "02:00:00:00:00:09")
        };
        assert!(!is_known());
        send("hostb", "10.9.0.1:4789", &packet(100));
        until("the member's frame", || is_known().then_some(()));
        // Of what was hidden the first fragments count.
        assert_eq!(foreign(sandbox), 6);
        reaches("net2");

        let shown = sandbox.uswitch(&["show", "tunnel"]).ok().out;
        let all = before + 6;
        assert!(shown.contains(&format!("{all} (10.9.7.2)")), "{shown}");
        let metrics = sandbox.uswitch(&["metrics"]).ok().out;
        let line = format!("uswitch_tunnel_foreign_packets_total{{port=\"vxlan100\"}} {all}");
        assert!(metrics.contains(&line), "{metrics}");
        // It goes with the tunnel: what is for others then reaches the host's stack again.
        sandbox.uswitch(&["tunnel", "remove", "100"]).ok();
        let heard = UdpSocket::bind("10.9.7.1:4789").unwrap();
        heard.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        send("hostc", "10.9.7.1:4789", &packet(100));
        assert_eq!(heard.recv(&mut [0; 100]).unwrap(), packet(100).len());
    });
}

#[test]
fn what_the_host_sends_on_for_others_passes() {
    rooted(|sandbox| {
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        other_host(sandbox, "100");
        host_behind(sandbox);
        ip("-n hostc route add default via 10.9.7.1");
        ip("-n hostb route add default via 10.9.0.1");
        sandbox.tool("sysctl", &["-w", "net.ipv4.ip_forward=1"]);
        let _lab = lab(sandbox, &["run", "--join", "vtep://10.9.0.2?vni=100"]);
        // hostc and hostb have a VXLAN of the same number, through this host.
        let heard = in_netns(netns("hostb"), || UdpSocket::bind("10.9.0.2:4799").unwrap());
        heard.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        send("hostc", "10.9.0.2:4799", &packet(100));
        assert_eq!(heard.recv(&mut [0; 100]).unwrap(), packet(100).len());
        let rx = || {
            let said = sandbox.tool("ip", &["-n", "hostb", "-s", "-j", "link", "show", "vx"]);
            let said: Value = serde_json::from_str(&said).unwrap();
            let rx = &said[0]["stats64"]["rx"];
            rx["packets"].as_u64().unwrap() + rx["dropped"].as_u64().unwrap()
        };
        let before = rx();
        send("hostc", "10.9.0.2:4789", &packet(100));
        until("hostb has it", || (rx() > before).then_some(()));
        assert_eq!(tunnel(sandbox)["foreign"], 0);
    });
}
