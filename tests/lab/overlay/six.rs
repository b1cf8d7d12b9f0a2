//! Ends of IPv6: the kernel's bridge with a vxlan device over IPv6 as the other side, and who may send to
//! such a tunnel, whatever headers stand before what is sent.

use std::net::{Ipv6Addr, UdpSocket};

use serde_json::Value;

use super::foreign::{foreign, packet, settled, tunnel};
use super::json;
use crate::door::until;
use crate::support::{Sandbox, Wire, both_ways, captured, in_netns, rooted};
use crate::{lab, netns};

/// A second host, fd09::2, behind a cable to this one, fd09::1, with a bridge of the kernel in VXLAN 100, and
/// 10.100.0.99 on the bridge.
fn other_host(sandbox: &Sandbox) {
    for line in [
        "netns add hostb",
        "link add out0 type veth peer name out1 netns hostb",
        "addr add fd09::1/64 dev out0 nodad",
        "addr add 10.9.0.1/24 dev out0",
        "link set out0 up",
        "-n hostb addr add fd09::2/64 dev out1 nodad",
        "-n hostb link set out1 up",
        "-n hostb link add vx type vxlan id 100 local fd09::2 remote fd09::1 dstport 4789",
        "-n hostb link add br0 type bridge",
        "-n hostb link set vx master br0",
        "-n hostb addr add 10.100.0.99/16 dev br0",
        "-n hostb link set vx up",
        "-n hostb link set br0 up",
    ] {
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    }
}

fn add(local: &str, remotes: &[&str]) -> Vec<String> {
    let mut words = vec!["tunnel", "add", "vxlan", "100", "--local", local];
    words.extend(remotes.iter().flat_map(|remote| ["--remote", remote]));
    words.into_iter().map(str::to_owned).collect()
}

#[test]
fn a_bridge_of_the_kernel_over_ipv6_is_one_network_with_ours() {
    rooted(|sandbox| {
        other_host(sandbox);
        let _lab = lab(sandbox, &["run", "--join", "vtep://[fd09::2]?vni=100"]);
        let told = tunnel(sandbox);
        assert_eq!((&told["local"], &told["remotes"][0]), (&"fd09::1".into(), &"fd09::2".into()));
        // What the longer header takes of 1,500 bytes.
        assert_eq!(json(sandbox, &["network", "ls", "-j"])[0]["mtu"], 1430);
        for (from, to, size) in [
            ("net1", "10.100.0.99", "1402"),
            ("hostb", "10.100.0.20", "1402"),
            ("net2", "10.100.0.99", "56"),
        ] {
            let args = ["netns", "exec", from, "ping", "-M", "do", "-c", "2", "-s", size, to];
            let said = sandbox.tool("ip", &args);
            assert!(said.contains(" 0% packet loss"), "{said}");
        }
        let ends = [netns("net1"), netns("hostb")];
        let at = "10.100.0.99:7300".parse().unwrap();
        for (sent, received) in both_ways((&ends[0], &ends[1]), at, 64 << 20) {
            assert_eq!((sent.bytes, &sent), (64 << 20, &received));
        }
        let refused = json(sandbox, &["show", "counters", "-j"])["switch"]["refused"].clone();
        assert_eq!(refused.get("offload").or(refused.get("too-long")), None, "{refused}");
        let said = sandbox.uswitch(&["explain", "net1", "10.100.0.99"]).ok().out;
        assert!(said.contains("sends it to fd09::2, VNI 100"), "{said}");
        let given = sandbox.uswitch(&["show", "topology", "--file"]).ok().out;
        assert!(given.contains("vtep://[fd09::2]?vni=100"), "{given}");

        // The way is checked outside as well, in one piece.
        let row = until("all passes", || {
            let ended = sandbox.uswitch(&["tunnel", "check", "-j", "10.100.0.99"]);
            let rows: Value = serde_json::from_str(&ended.out).unwrap();
            (ended.code == Some(0)).then(|| rows[0].clone())
        });
        assert_eq!(
            (&row["vtep"], &row["outside"]["large"]["bytes"]),
            (&"fd09::2".into(), &1500.into())
        );
        assert_eq!(row["outside"]["large"]["state"], "answered", "{row:#}");
        sandbox.tool("ip", &["-n", "hostb", "link", "set", "out1", "mtu", "1400"]);
        let ended = sandbox.uswitch(&["tunnel", "check", "100"]);
        let says = "packets of 1500 bytes do not get to fd09::2 in one piece, 140";
        assert!(ended.complaint(1).contains(says), "{}", ended.err);
    });
}

#[test]
fn ends_of_two_families_are_refused_in_a_line() {
    rooted(|sandbox| {
        other_host(sandbox);
        let _lab = lab(sandbox, &["run"]);
        let before = json(sandbox, &["network", "ls", "-j"]);
        for (local, remotes, says) in [
            ("fd09::1", &["10.9.0.2"][..], "all of IPv4 or all of IPv6"),
            ("10.9.0.1", &["fd09::2"], "all of IPv4 or all of IPv6"),
            ("fd09::1", &["fd09::2", "10.9.0.2"], "all of IPv4 or all of IPv6"),
            ("fd09::7", &["fd09::2"], "fd09::7 is no address of this host, which has fd09::1"),
            ("fd09::1", &["fe80::2"], "fe80::2 is no host's address"),
            ("fd09::1", &["::ffff:10.9.0.2"], "is no host's address"),
            ("fd09::1", &["ff02::1"], "ff02::1 is no host's address"),
            ("::1", &["fd09::2"], "an address of this host alone"),
        ] {
            let words = add(local, remotes);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let ended = sandbox.uswitch(&words);
            assert!(ended.complaint(2).contains(says), "{words:?}: {}", ended.err);
        }
        for url in ["vtep://[fd09::2],10.9.0.2?vni=7", "vtep://10.9.0.2?vni=7&local=fd09::1"] {
            let ended = sandbox.uswitch(&["run", "--name", "other", "--join", url]);
            assert!(ended.complaint(2).contains("all of IPv4 or all of IPv6"), "{}", ended.err);
        }
        let mut after = json(sandbox, &["network", "ls", "-j"]);
        after[0]["fdb_n_learned"] = before[0]["fdb_n_learned"].clone();
        assert_eq!(after, before);
    });
}

/// A VXLAN packet of IPv6 in all the ways in which it may come: what stands before UDP, and whether it has a
/// number in its first part. Each is to be one packet for the stack.
fn disguises(from: Ipv6Addr, to: Ipv6Addr, inner: &[u8]) -> Vec<Vec<Vec<u8>>> {
    const UDP: u8 = 17;
    const OPTIONS: u8 = 60;
    const FRAGMENT: u8 = 44;
    let length = u16::try_from(inner.len() + 8).unwrap().to_be_bytes();
    let ports = [0x12, 0xb5, 0x12, 0xb5];
    let mut udp = [&ports[..], &length, &[0, 0], inner].concat();
    let pseudo =
        [&from.octets()[..], &to.octets(), &[0, 0], &length, &[0, 0, 0, UDP], &udp].concat();
    let sum = pseudo
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = sum.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    udp[6..8].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    let ip = |next: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let head = [0x60, 0, 0, 0, length[0], length[1], next, 64];
        [&head[..], &from.octets(), &to.octets(), body].concat()
    };
    // Padding of four bytes (RFC 8200, section 4.2).
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let fragment = |next: u8, offset: u16, more: bool, id: u8| {
        let [high, low] = (offset | u16::from(more)).to_be_bytes();
        [next, 0, high, low, 0, 0, 0, id]
    };
    let chain = |count: usize, body: &[u8]| {
        let mut all = Vec::new();
        for at in 1..=count {
            all.extend(options(if at == count { UDP } else { OPTIONS }));
        }
        [&all[..], body].concat()
    };
    let cut = |first: u8, body: &[u8], at: usize, id: u8| {
        let parts = [(0, &body[..at], true), (at, &body[at..], false)];
        let part = |(offset, bytes, more): (usize, &[u8], bool)| {
            let head = fragment(first, u16::try_from(offset).unwrap(), more, id);
            ip(FRAGMENT, &[&head[..], bytes].concat())
        };
        parts.map(part).to_vec()
    };
    let atomic = [&fragment(UDP, 0, false, 9)[..], &udp].concat();
    vec![
        vec![ip(UDP, &udp)],
        vec![ip(0, &chain(1, &udp))],
        vec![ip(OPTIONS, &chain(3, &udp))],
        vec![ip(OPTIONS, &chain(12, &udp))],
        vec![ip(FRAGMENT, &atomic)],
        cut(UDP, &udp, 8, 1),
        cut(OPTIONS, &chain(2, &udp), 24, 2),
        // Cut within what stands before UDP: the kernel looks for no more than it has, whatever is behind it.
        cut(OPTIONS, &chain(2, &udp), 8, 3),
        {
            let mut parts = cut(OPTIONS, &chain(2, &udp), 8, 4);
            parts[0].extend([59, 0, 1, 4, 0, 0, 0, 0]);
            parts
        },
    ]
}

/// Sends packets by a wire, to another's address.
fn send_raw(wire: &mut Wire, ends: [[u8; 6]; 2], packets: &[Vec<u8>]) {
    for packet in packets {
        wire.send(&[&ends[1][..], &ends[0], &[0x86, 0xdd], packet].concat());
    }
}

fn hardware(sandbox: &Sandbox, netns: Option<&str>, dev: &str) -> [u8; 6] {
    let inside = netns.map(|name| vec!["-n", name]).unwrap_or_default();
    let said = sandbox.tool("ip", &[&inside[..], &["-o", "link", "show", dev]].concat());
    let word = said.split("link/ether ").nth(1).unwrap();
    let bytes = word.split(' ').next().unwrap().split(':');
    let bytes: Vec<u8> = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

#[test]
fn only_what_members_send_comes_in_by_ipv6_too() {
    captured(|sandbox| {
        other_host(sandbox);
        for line in [
            "netns add hostc",
            "link add late0 type veth peer name late1 netns hostc",
            "addr add fd07::1/64 dev late0 nodad",
            "link set late0 up",
            "-n hostc addr add fd07::2/64 dev late1 nodad",
            "-n hostc link set late1 up",
            "-n hostc route add default via fd07::1",
        ] {
            sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
        }
        let _lab = lab(sandbox, &["run"]);
        let words = add("fd09::1", &["fd09::2"]);
        sandbox.uswitch(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        assert_eq!(tunnel(sandbox)["senders"], "members");
        let send = |from: &str, to: &str, bytes: &[u8]| {
            in_netns(netns(from), || {
                UdpSocket::bind("[::]:0").unwrap().send_to(bytes, to).unwrap();
            });
        };
        until("it looks at all interfaces", || {
            send("hostc", "[fd09::1]:4789", &packet(100));
            (foreign(sandbox) > 0).then_some(())
        });
        let before = settled(sandbox);
        let counted = |sandbox: &Sandbox| foreign(sandbox) - before;
        for (count, to) in ["[fd09::1]:4789", "[fd07::1]:4789"].iter().enumerate() {
            send("hostc", to, &packet(100));
            until(to, || (counted(sandbox) == count as u64 + 1).then_some(()));
        }
        assert_eq!(tunnel(sandbox)["foreign_from"], "fd07::2");
        // Another network's, another port's, what is no VXLAN, and IPv4's are not ours to judge.
        send("hostc", "[fd09::1]:4789", &packet(101));
        send("hostc", "[fd09::1]:4789", b"short");
        send("hostc", "[fd09::1]:4790", &packet(100));
        send("hostb", "[fd09::1]:4790", &packet(100));
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&packet(100), "10.9.0.1:4789").unwrap();
        assert_eq!(settled(sandbox), before + 2);

        let known = |number: u8| {
            let rows = json(sandbox, &["show", "fdb", "-j"]);
            let mac = format!("02:00:00:00:00:{number:02x}");
            rows.as_array().unwrap().iter().any(|row| row["mac"] == mac.as_str())
        };
        let inner = |number: u8| {
            let mut bytes = packet(100);
            bytes[8 + 11] = number;
            bytes
        };
        let here = |dev: &str| hardware(sandbox, None, dev);
        let [foreigner, member]: [Ipv6Addr; 2] = ["fd07::2", "fd09::2"].map(|a| a.parse().unwrap());
        let end: Ipv6Addr = "fd09::1".parse().unwrap();
        // Whatever stands before it, another's packet does not come in, and counts.
        let mut wire = Wire::open(netns("hostc"), "late1");
        let ends = [hardware(sandbox, Some("hostc"), "late1"), here("late0")];
        let all = disguises(foreigner, end, &inner(0x31));
        for (number, packets) in all.iter().enumerate() {
            let counted = settled(sandbox);
            send_raw(&mut wire, ends, packets);
            until(&format!("disguise {number}"), || (foreign(sandbox) > counted).then_some(()));
            assert_eq!(settled(sandbox), counted + 1, "disguise {number}");
        }
        assert!(!known(0x31));
        // Nor does what says a member's address, by an interface that leads to none.
        let counted = settled(sandbox);
        send_raw(&mut wire, ends, &disguises(member, end, &inner(0x32))[0]);
        until("a member's address", || (foreign(sandbox) == counted + 1).then_some(()));
        let told = tunnel(sandbox);
        assert_eq!(
            (&told["foreign_from"], &told["foreign_by"]),
            (&"fd09::2".into(), &"late0".into())
        );
        assert!(!known(0x32));
        // The same of a member comes in, so it was what the stack takes.
        let mut wire = Wire::open(netns("hostb"), "out1");
        let ends = [hardware(sandbox, Some("hostb"), "out1"), here("out0")];
        for number in 0..u8::try_from(all.len()).unwrap() {
            let packets = disguises(member, end, &inner(0x41 + number));
            send_raw(&mut wire, ends, &packets[usize::from(number)]);
            until(&format!("member's disguise {number}"), || known(0x41 + number).then_some(()));
        }
    });
}
