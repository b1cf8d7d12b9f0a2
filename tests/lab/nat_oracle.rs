//! Linux forwarding with nft masquerade as the oracle: the same script through it and through our
//! gateway, and what either side hears is the same but for the chosen ports.
//!
//! The script is packets, so that nothing is left to a kernel at the ends. Differences that are
//! meant are listed in `MEANT`, step by step, and in docs/nat.md; any other fails the test.

mod ground;
pub(crate) mod packet;

use std::time::Duration;

use ground::{Net, OWN, Side};
use packet::{ACK, FIN, PSH, Pkt, RST, SYN};

use crate::support::rooted;
use Side::{Lan, Wan};

const A: &str = "10.100.0.77";
const B: &str = "10.100.0.78";
const SERVER: &str = "198.51.100.7";
const OTHER: &str = "198.51.100.8";
/// A router on the way to the servers.
const HOP: &str = "192.0.2.9";

/// Steps that are meant to differ: what ours shows, and what Linux shows; "" is nothing at all.
const MEANT: &[(&str, &str, &str)] = &[
    ("a protocol that signs its addresses", "Lan: icmp 3/2", "Wan: protocol 51 203.0.113.2"),
    ("a FIN of no connection", "", "Wan: 6 10.100.0.77"),
    ("a RST of no connection", "", "Wan: 6 10.100.0.77"),
    ("an echo reply nobody asked for, from inside", "", "Wan: icmp 0 id 1101 10.100.0.77"),
    ("a stranger at a mapped port", "", "Wan: icmp 3/3"),
    ("UDP nobody asked for", "", "Wan: icmp 3/3"),
    ("an ACK nobody asked for", "", "Wan: 6 203.0.113.2:80"),
    ("for an inside address", "", "Lan: 17 198.51.100.7:53 > 10.100.0.77"),
    ("a stranger inside", "", "Lan: icmp 3/3"),
    ("by the outside address to another host", "Lan: 17 203.0.113.2:1103", "Lan: icmp 3/3"),
    ("a SYN nobody asked for", "", "Wan: 6 203.0.113.2:9"),
];

fn at(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// A TCP connection from its SYN to its last ACK, each side closing in its own time.
fn connection(net: &mut Net) {
    const STEP: &str = "a TCP connection, half closed, then closed";
    let (inside, server, outside) = (at(A, 1101), at(SERVER, 80), at(OWN, 1101));
    let mut step = |side, flags, at, data: &[u8]| {
        let (from, to) = if side == Lan { (&inside, &server) } else { (&server, &outside) };
        net.one(STEP, side, &Pkt { tos: 0x10, ..Pkt::tcp(from, to, flags, at, data) });
    };
    step(Lan, SYN, (1000, 0), b"");
    step(Wan, SYN | ACK, (5000, 1001), b"");
    step(Lan, ACK, (1001, 5001), b"");
    step(Lan, PSH, (1001, 5001), b"an odd question");
    step(Wan, ACK, (5001, 1016), b"");
    step(Lan, FIN, (1016, 5001), b"");
    step(Wan, ACK, (5001, 1017), b"the answer goes on");
    step(Lan, ACK, (1017, 5019), b"");
    step(Wan, FIN, (5019, 1017), b"");
    step(Lan, ACK, (1017, 5020), b"");
}

fn resets(net: &mut Net) {
    let (inside, server, outside) = (at(A, 1102), at(SERVER, 80), at(OWN, 1102));
    let refused = "a connection refused";
    net.one(refused, Lan, &Pkt::tcp(&inside, &server, SYN, (1, 0), b""));
    net.one(refused, Wan, &Pkt::tcp(&server, &outside, RST | ACK, (0, 2), b""));
    let again = "the same ports again, and reset from inside";
    net.one(again, Lan, &Pkt::tcp(&inside, &server, SYN, (900_000, 0), b""));
    net.one(again, Wan, &Pkt::tcp(&server, &outside, SYN | ACK, (77, 900_001), b""));
    net.one(again, Lan, &Pkt::tcp(&inside, &server, ACK, (900_001, 78), b""));
    net.one(again, Lan, &Pkt::tcp(&inside, &server, RST, (900_001, 0), b""));
    let picked = "a connection older than the router";
    let (inside, outside) = (at(A, 1111), at(OWN, 1111));
    net.one(picked, Lan, &Pkt::tcp(&inside, &server, PSH, (3, 4), b"still there?"));
    net.one(picked, Wan, &Pkt::tcp(&server, &outside, PSH, (4, 15), b"yes"));
    for (step, flags) in [("a FIN of no connection", FIN), ("a RST of no connection", RST)] {
        net.play(step, Lan, &[Pkt::tcp(&at(A, 1110), &at(OTHER, 80), flags, (1, 1), b"")]);
    }
}

fn datagrams(net: &mut Net) {
    let (inside, server, outside) = (at(A, 1103), at(SERVER, 53), at(OWN, 1103));
    let plain = "UDP, with every length of data, odd and even";
    for size in [0, 1, 2, 31, 1472] {
        net.one(plain, Lan, &Pkt::udp(&inside, &server, &vec![3; size]));
        net.one(plain, Wan, &Pkt::udp(&server, &outside, &vec![4; size]));
    }
    let two = "one endpoint, two servers";
    net.one(two, Lan, &Pkt::udp(&inside, &at(OTHER, 53), b"x"));
    net.one(two, Wan, &Pkt::udp(&at(OTHER, 53), &outside, b"y"));
    let same = "two hosts on one port";
    let chosen = net.one(same, Lan, &Pkt::udp(&at(B, 1103), &server, b"x")).source();
    assert_ne!(chosen, 1103);
    net.one(same, Wan, &Pkt::udp(&server, &at(OWN, chosen), b"y"));
    let bare = "UDP without a sum";
    for (side, mut packet) in [
        (Lan, Pkt::udp(&inside, &server, b"no sum")),
        (Wan, Pkt::udp(&server, &outside, b"none either")),
    ] {
        packet.body[6..8].fill(0);
        net.one(bare, side, &packet);
    }
    let options = "options, a type of service, and leave to cut";
    let odd = Pkt { options: vec![1, 1, 1, 0], tos: 0xb8, ..Pkt::udp(&inside, &server, b"x") };
    net.one(options, Lan, &odd);
    net.one(options, Lan, &Pkt { df: false, ..odd.clone() });
    let routed = Pkt { options: vec![131, 7, 4, 8, 8, 8, 8, 0], ..odd };
    net.play("a source route", Lan, &[routed]);
}

fn queries(net: &mut Net) {
    let step = "echoes of two hosts with one identifier, and a timestamp";
    for (kind, data) in [(8, &b"ping"[..]), (13, &[0; 12])] {
        for host in [A, B] {
            let word = 1101 << 16 | 5;
            let sent = net.one(step, Lan, &Pkt::icmp(host, SERVER, (kind, 0, word), data));
            let word = u32::from(sent.source()) << 16 | 5;
            let answer = if kind == 8 { 0 } else { 14 };
            net.one(step, Wan, &Pkt::icmp(SERVER, OWN, (answer, 0, word), data));
        }
    }
    let unasked = "an echo reply nobody asked for, from inside";
    net.play(unasked, Lan, &[Pkt::icmp(A, OTHER, (0, 0, 1101 << 16), b"")]);
    net.play("an echo reply nobody asked for", Wan, &[Pkt::icmp(OTHER, OWN, (0, 0, 9 << 16), b"")]);
    for (router, side) in [("10.100.0.1", Lan), (OWN, Lan), (OWN, Wan)] {
        let from = if side == Lan { A } else { SERVER };
        let ping = Pkt::icmp(from, router, (8, 0, 1102 << 16 | 1), b"are you there?");
        net.one("echoes to the router itself", side, &Pkt { df: false, ..ping });
    }
}

fn hops(net: &mut Net) {
    let probes = |ttl| {
        [
            Pkt::udp(&at(A, 1104), &at(SERVER, 53), b"probe"),
            Pkt::tcp(&at(A, 1104), &at(SERVER, 80), SYN, (1, 0), b""),
            Pkt::icmp(A, SERVER, (8, 0, 1104 << 16 | 1), b"probe"),
        ]
        .map(|p| p.ttl(ttl))
    };
    for ttl in [1, 2] {
        net.play("a traceroute's first hops", Lan, &probes(ttl));
    }
    // What the routers behind it say: each kind of error, with as much quoted as they like.
    for probe in probes(9) {
        let sent = net.one("a traceroute's next hops", Lan, &probe);
        for (kind, word) in [((11, 0), 0), ((3, 1), 0), ((3, 3), 0), ((3, 4), 1400), ((12, 0), 0)] {
            for quoted in [28, 1000] {
                let quote = sent.clone().ttl(1).ip();
                let quote = &quote[..quoted.min(quote.len())];
                let error = Pkt::icmp(HOP, OWN, (kind.0, kind.1, word), quote);
                net.one("errors from outside", Wan, &error);
            }
        }
        let mut lie = sent.clone();
        lie.dst = "198.51.100.99".parse().unwrap();
        let lie = Pkt::icmp(HOP, OWN, (3, 1, 0), &lie.ip()[..28]);
        net.play("an error about nothing that was sent", Wan, &[lie]);
    }
    let reply = Pkt::udp(&at(SERVER, 53), &at(OWN, 1104), b"reply");
    let seen = net.one("errors from inside", Wan, &reply);
    for quoted in [28, 33] {
        let error = Pkt::icmp(A, SERVER, (3, 3, 0), &seen.ip()[..quoted]);
        net.one("errors from inside", Lan, &error);
    }
    net.play("a reply whose hops run out", Wan, &[reply.ttl(1)]);
}

fn fragments(net: &mut Net) {
    let (inside, server, outside) = (at(A, 1105), at(SERVER, 53), at(OWN, 1105));
    let data: Vec<u8> = (0..4001u32).map(|n| n.to_le_bytes()[0]).collect();
    let ways =
        [(Lan, Pkt::udp(&inside, &server, &data)), (Wan, Pkt::udp(&server, &outside, &data))];
    for (id, order) in [(1, [0, 1, 2]), (2, [2, 1, 0]), (3, [1, 0, 2])] {
        for (side, packet) in &ways {
            let pieces = Pkt { id, ..packet.clone() }.cut(1480);
            let pieces = order.map(|n| pieces[n].clone());
            net.play("fragments in any order", *side, &pieces);
        }
    }
    let ping = Pkt::icmp(A, SERVER, (8, 0, 1105 << 16 | 1), &data);
    net.play("an echo in fragments", Lan, &ping.cut(1480));
    let answer = Pkt { id: 9, ..Pkt::icmp(SERVER, OWN, (0, 0, 1105 << 16 | 1), &data) };
    net.play("an echo in fragments", Wan, &answer.cut(1480));
}

fn what_is_refused(net: &mut Net) {
    net.play("protocols without ports", Lan, &[Pkt::raw(A, SERVER, 253, vec![0; 32])]);
    let signed = Pkt::raw(A, SERVER, 51, vec![0; 32]);
    net.play("a protocol that signs its addresses", Lan, &[signed]);
    for source in ["192.168.7.7:1", "127.0.0.1:1", "0.0.0.0:1", "224.0.0.9:1"] {
        net.play("martians", Lan, &[Pkt::udp(source, &at(SERVER, 53), b"x")]);
    }
    net.play("martians", Wan, &[Pkt::udp(&at(A, 53), &at(OWN, 1103), b"x")]);
    net.play("UDP to the router", Lan, &[Pkt::udp(&at(A, 1106), "10.100.0.1:9", b"x")]);
    let hairpin = "by the outside address to another host";
    net.play("a stranger inside", Lan, &[Pkt::udp(&at(B, 1107), &at(OWN, 1103), b"punch")]);
    net.play(hairpin, Lan, &[Pkt::udp(&at(A, 1103), &at(OWN, 1107), b"hello")]);
    net.play("for an inside address", Wan, &[Pkt::udp(&at(SERVER, 53), &at(A, 1108), b"x")]);
    net.play("a stranger at a mapped port", Wan, &[Pkt::udp(&at(HOP, 9), &at(OWN, 1103), b"x")]);
    net.play("UDP nobody asked for", Wan, &[Pkt::udp(&at(HOP, 9), &at(OWN, 1109), b"x")]);
    let ack = Pkt::tcp(&at(SERVER, 9), &at(OWN, 80), ACK, (1, 1), b"");
    net.play("an ACK nobody asked for", Wan, &[ack]);
    let syn = Pkt::tcp(&at(SERVER, 9), &at(OWN, 9), SYN, (1, 0), b"");
    net.play("a SYN nobody asked for", Wan, &[syn]);
}

fn script(net: &mut Net) {
    connection(net);
    resets(net);
    datagrams(net);
    queries(net);
    hops(net);
    fragments(net);
    what_is_refused(net);
}

#[test]
fn the_far_side_sees_what_linux_would_show_it() {
    rooted(|sandbox| {
        let mut net = ground::ours(sandbox);
        script(&mut net);
        // The SYN's six seconds of silence end with an error, once.
        let late = net.late(Duration::from_secs(30)).expect("no answer to the SYN");
        assert_eq!((late.protocol, &late.body[..2]), (1, &[3, 3][..]), "{late:?}");
        let ours = net.told();
        let mut net = ground::linux(sandbox);
        script(&mut net);
        let theirs = net.told();
        let mut differing: Vec<&str> = Vec::new();
        let mut wrong = String::new();
        let steps: Vec<_> = theirs.iter().chain(&ours).map(|line| line.0).collect();
        for step in steps {
            let of = |all: &[(&str, String)]| {
                let lines = all.iter().filter(|line| line.0 == step).map(|line| line.1.clone());
                lines.collect::<Vec<_>>()
            };
            let (ours, theirs) = (of(&ours), of(&theirs));
            if ours == theirs || differing.contains(&step) {
                continue;
            }
            differing.push(step);
            let meant = MEANT.iter().find(|m| m.0 == step);
            let shows = |lines: &[String], text: &str| match text {
                "" => lines.is_empty(),
                _ => lines.len() == 1 && lines[0].starts_with(text),
            };
            if !meant.is_some_and(|m| shows(&ours, m.1) && shows(&theirs, m.2)) {
                for (mine, theirs) in ours.iter().zip(&theirs).filter(|(a, b)| a != b) {
                    wrong += &format!("{step}:\n  ours  {mine}\n  Linux {theirs}\n");
                }
                wrong += &format!("{step}: {} lines, Linux {}\n", ours.len(), theirs.len());
                wrong += &format!("  ours {ours:#?}\n  Linux {theirs:#?}\n");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        let silent: Vec<_> = MEANT.iter().filter(|m| !differing.contains(&m.0)).collect();
        assert!(silent.is_empty(), "these no longer differ: {silent:?}");
        assert!(ours.len() > 80, "the script was not heard: {} lines", ours.len());
    });
}
