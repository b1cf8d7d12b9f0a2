//! Who says a member's address and is none: packets come in by the interfaces that lead to the member.

use std::net::UdpSocket;

use super::foreign::{foreign, packet, settled, tunnel};
use super::{json, other_host};
use crate::door::until;
use crate::support::{Sandbox, Wire, captured, in_netns};
use crate::{lab, netns};

const JOIN: &str = "vtep://10.9.0.2?vni=100";

fn all(sandbox: &Sandbox, lines: &[&str]) {
    for line in lines {
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    }
}

fn is_known(sandbox: &Sandbox, number: u8) -> bool {
    let rows = json(sandbox, &["show", "fdb", "-j"]);
    let mac = format!("02:00:00:00:00:{number:02x}");
    rows.as_array().unwrap().iter().any(|row| row["mac"] == mac.as_str())
}

/// A frame for everybody from this address, in VXLAN 100.
fn inner(number: u8) -> Vec<u8> {
    let mut bytes = packet(100);
    bytes[8 + 11] = number;
    bytes
}

/// The same in a packet of the member's, to the hardware address of an interface of this host.
fn frame(sandbox: &Sandbox, dev: &str, number: u8) -> Vec<u8> {
    let said = sandbox.tool("ip", &["-o", "link", "show", dev]);
    let word = said.split("link/ether ").nth(1).unwrap();
    let to = word.split(' ').next().unwrap().split(':');
    let to: Vec<u8> = to.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    frame_to(&to, number)
}

fn frame_to(to: &[u8], number: u8) -> Vec<u8> {
    let inner = inner(number);
    let length = u16::try_from(inner.len() + 8).unwrap();
    let udp = [&[0x12, 0xb5, 0x12, 0xb5][..], &length.to_be_bytes(), &[0, 0], &inner].concat();
    let total = (length + 20).to_be_bytes();
    let mut ip = vec![0x45, 0, total[0], total[1], 0, number, 0, 0, 64, 17, 0, 0];
    ip.extend([10, 9, 0, 2, 10, 9, 0, 1]);
    let sum = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = sum.sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    [to, &[2, 0, 0, 0, 0, 0x77], &[8, 0], &ip, &udp].concat()
}

/// The member sends by itself, as its routes say.
fn member_sends(number: u8) {
    in_netns(netns("hostb"), || {
        let socket = UdpSocket::bind("10.9.0.2:0").unwrap();
        socket.send_to(&inner(number), "10.9.0.1:4789").unwrap();
    });
}

#[test]
fn a_container_s_packet_from_a_member_s_address_does_not_come_in() {
    captured(|sandbox| {
        other_host(sandbox, "100");
        all(
            sandbox,
            &[
                "netns add cont",
                "link add pod0 type bridge",
                "addr add 172.17.0.1/16 dev pod0",
                "link set pod0 up",
                "link add pod1 type veth peer name eth0 netns cont",
                "link set pod1 master pod0 up",
                "link add pod2 type veth peer name eth1 netns cont",
                "addr add 172.18.0.1/16 dev pod2",
                "link set pod2 up",
                "-n cont link set eth0 up",
                "-n cont link set eth1 up",
            ],
        );
        let _lab = lab(sandbox, &["run", "--join", JOIN]);
        // Behind a bridge, and behind an interface of its own.
        for (count, (out, dev)) in [("eth0", "pod0"), ("eth1", "pod2")].into_iter().enumerate() {
            let mut wire = Wire::open(netns("cont"), out);
            until(dev, || {
                wire.send(&frame(sandbox, dev, 0x31));
                (settled(sandbox) > count as u64).then_some(())
            });
            let before = settled(sandbox);
            wire.send(&frame(sandbox, dev, 0x31));
            until(dev, || (foreign(sandbox) == before + 1).then_some(()));
            let told = tunnel(sandbox);
            let told = (&told["foreign_from"], &told["foreign_by"]);
            assert_eq!(told, (&"10.9.0.2".into(), &dev.into()));
            let shown = sandbox.uswitch(&["show", "tunnel"]).ok().out;
            assert!(shown.contains(&format!("{} (10.9.0.2 by {dev})", before + 1)), "{shown}");
        }
        assert!(!is_known(sandbox, 0x31));
        // Frames to groups of their link stay at the bridge's port, and go up the stack there.
        let mut wire = Wire::open(netns("cont"), "eth0");
        for group in [0x02, 0x03, 0x0e, 0x0f] {
            let before = settled(sandbox);
            wire.send(&frame_to(&[0x01, 0x80, 0xc2, 0, 0, group], 0x33));
            until("a frame to a group", || (foreign(sandbox) == before + 1).then_some(()));
            assert_eq!(tunnel(sandbox)["foreign_by"], "pod1", "{group:02x}");
        }
        assert!(!is_known(sandbox, 0x33));
        // The same by the cable that leads there comes in.
        let mut wire = Wire::open(netns("hostb"), "out1");
        wire.send(&frame(sandbox, "out0", 0x32));
        until("the member's", || is_known(sandbox, 0x32).then_some(()));
    });
}

/// A second cable to the member, by which it answers.
#[test]
fn a_member_s_packets_come_in_by_every_way_that_leads_there() {
    captured(|sandbox| {
        other_host(sandbox, "100");
        all(
            sandbox,
            &[
                "link add way0 type veth peer name way1 netns hostb",
                "addr add 10.8.0.1/24 dev way0",
                "link set way0 up",
                "-n hostb addr add 10.8.0.2/24 dev way1",
                "-n hostb link set way1 up",
            ],
        );
        // The kernel's own filter has no say here.
        for dev in ["all", "way0", "out0"] {
            sandbox.tool("sysctl", &["-w", &format!("net.ipv4.conf.{dev}.rp_filter=0")]);
        }
        let _lab = lab(sandbox, &["run", "--join", JOIN]);
        all(sandbox, &["-n hostb route add 10.9.0.1/32 via 10.8.0.1 dev way1"]);
        until("no route leads out there", || {
            member_sends(0x41);
            (foreign(sandbox) > 0).then_some(())
        });
        assert_eq!(tunnel(sandbox)["foreign_by"], "way0");
        assert!(!is_known(sandbox, 0x41));
        // A worse one, one of another table, one of several at once.
        for (number, route) in [
            "default via 10.8.0.2 dev way0 metric 900",
            "10.9.0.2/32 via 10.8.0.2 dev way0 table 77",
            "10.9.0.2/32 nexthop via 10.8.0.2 dev way0 nexthop via 10.9.0.2 dev out0",
        ]
        .iter()
        .enumerate()
        {
            let number = 0x51 + u8::try_from(number).unwrap();
            all(sandbox, &[&format!("route add {route}")]);
            until(route, || {
                member_sends(number);
                is_known(sandbox, number).then_some(())
            });
            all(sandbox, &[&format!("route del {route}")]);
            until("it is gone", || {
                let before = settled(sandbox);
                member_sends(0x42);
                (settled(sandbox) > before).then_some(())
            });
        }
        // The kernel says nothing of routes that go with a link, or with a next hop.
        for (number, (comes, goes)) in [
            (
                &["route add default via 10.8.0.2 dev way0"][..],
                &["link set way0 down", "link set way0 up"][..],
            ),
            (
                &["nexthop add id 7 via 10.8.0.2 dev way0", "route add default nhid 7"],
                &["nexthop del id 7"],
            ),
            (
                &["route add default via 10.8.0.2 dev way0"],
                &["addr del 10.8.0.1/24 dev way0", "addr add 10.8.0.1/24 dev way0"],
            ),
        ]
        .iter()
        .enumerate()
        {
            let number = 0x71 + u8::try_from(number).unwrap();
            all(sandbox, comes);
            until(comes[0], || {
                member_sends(number);
                is_known(sandbox, number).then_some(())
            });
            all(sandbox, goes);
            until(goes[0], || {
                let before = settled(sandbox);
                member_sends(0x43);
                (settled(sandbox) > before).then_some(())
            });
        }
        all(sandbox, &["-n hostb route del 10.9.0.1/32"]);
        // The cable below a bridge, and an interface upon that.
        all(
            sandbox,
            &[
                "addr del 10.9.0.1/24 dev out0",
                "link add low0 type bridge",
                "link set out0 master low0",
                "link set low0 up",
                "addr add 10.9.0.1/24 dev low0",
            ],
        );
        until("a bridge", || {
            member_sends(0x61);
            is_known(sandbox, 0x61).then_some(())
        });
        all(
            sandbox,
            &[
                "addr del 10.9.0.1/24 dev low0",
                "link add link low0 name low7 type macvlan mode bridge",
                "link set low7 up",
                "addr add 10.9.0.1/24 dev low7",
                "-n hostb neigh flush dev out1",
            ],
        );
        until("a macvlan", || {
            member_sends(0x62);
            is_known(sandbox, 0x62).then_some(())
        });
    });
}
