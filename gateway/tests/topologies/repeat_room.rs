//! What is repeated of connections that others make room for, and of those that are never made.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Config, Limits, Node, Side};

use crate::repeat::Step;
use crate::world::packet::{ACK, FIN, SYN};
use crate::world::twins::{OTHER, Twins};
use crate::world::{OUTSIDE, Pkt, config};

/// A node that has its share makes room by what its connections are, not by what they were when a packet of
/// theirs came here last.
#[test]
fn who_gives_way_is_told_first_what_was_repeated_of_him() {
    let limits = Limits { per_node: 4, ..Limits::default() };
    let mut twins = Twins::of(Config { limits, ..config() });
    let connect = |port| Step::Connect { host: 0, to: 0, port, times: 1 };
    (0..4).for_each(|port| twins.take(&connect(port)));
    assert_eq!(twins.beside.kernel().carried, 8 + 3, "each was taken up without the gateway");
    // Established connections give way to nobody.
    let one_more = Pkt::tcp("10.100.0.10:7009", "8.8.8.8:443", SYN, b"");
    twins.send(Side::LAN, &one_more);
    twins.compare();
    assert_eq!(twins.worlds[0].sessions().len(), 4);
    assert!(twins.worlds[0].sessions().iter().all(|s| s.state.as_str() == "established"));
    // One that has ended does.
    twins.pass(Duration::from_millis(5));
    let ended = twins.worlds[1].sessions()[2];
    let (inside, remote) = (ended.inside.to_string(), ended.remote.to_string());
    let outside = format!("{OUTSIDE}:{}", ended.outside_port);
    twins.send(Side::LAN, &Pkt::tcp(&inside, &remote, FIN, b""));
    twins.send(Side::Uplink, &Pkt::tcp(&remote, &outside, FIN, b""));
    assert_eq!(twins.beside.kernel().carried, 10 + 3, "it has ended without the gateway");
    twins.send(Side::LAN, &one_more);
    twins.compare();
    let all = twins.worlds[0].sessions();
    assert!(all.len() == 4 && all.iter().all(|s| s.inside.to_string() != inside), "{all:?}");
}

/// However many of those asked to give way have become something else without the gateway, who has ended
/// makes room.
#[test]
fn many_that_are_others_by_now_do_not_keep_a_connection_out() {
    let limits = Limits { per_node: 40, ..Limits::default() };
    let mut twins = Twins::of(Config { limits, ..config() });
    let connect = |port| Step::Connect { host: 0, to: 0, port, times: 1 };
    let end = |twins: &mut Twins, count: usize| {
        let live = twins.worlds[1].sessions().into_iter();
        let mut live: Vec<_> = live.filter(|s| s.state.as_str() == "established").collect();
        live.sort_unstable_by_key(|session| session.inside.port);
        for ended in &live[live.len() - count..] {
            let (inside, remote) = (ended.inside.to_string(), ended.remote.to_string());
            let outside = format!("{OUTSIDE}:{}", ended.outside_port);
            twins.send(Side::LAN, &Pkt::tcp(&inside, &remote, FIN, b""));
            twins.send(Side::Uplink, &Pkt::tcp(&remote, &outside, FIN, b""));
        }
    };
    (0..40).for_each(|port| twins.take(&connect(port)));
    end(&mut twins, 20);
    twins.pass(Duration::from_millis(2));
    // They take the places of those that have ended, and are taken up without the gateway.
    (40..60).for_each(|port| twins.take(&connect(port)));
    // And at once, before any of this is told, one ends and one more comes.
    end(&mut twins, 1);
    twins.send(Side::LAN, &Pkt::tcp("10.100.0.10:7100", "8.8.8.8:443", SYN, b""));
    twins.compare();
    let opened = twins.worlds[1].sessions().into_iter().any(|s| s.inside.port == 7100);
    assert!(opened, "{:?}", twins.worlds[1].sessions());
}

/// A SYN that nobody answers, and an answer that nobody has asked for, are no reason to repeat anything.
#[test]
fn half_a_handshake_is_not_repeated() {
    let mut twins = Twins::new();
    let held = |twins: &Twins| twins.beside.kernel().flows.len();
    twins.send(Side::LAN, &Pkt::tcp("10.100.0.10:7000", "8.8.8.8:443", SYN, b""));
    let answer = |port| Pkt::tcp(&format!("10.1.0.2:{port}"), "10.100.0.10:80", SYN | ACK, b"");
    (1..9).for_each(|port| twins.send(Side::Leg(OTHER), &answer(port)));
    assert_eq!(held(&twins), 0);
    // From network to network both together are.
    twins.send(Side::LAN, &Pkt::tcp("10.100.0.10:80", "10.1.0.2:9", SYN, b""));
    twins.send(Side::Leg(OTHER), &answer(9));
    assert_eq!(held(&twins), 2);
    twins.compare();
}

/// A node that asks for the gateway under one address after the other ends nothing that others do by
/// themselves: none of those addresses was told anybody.
#[test]
fn addresses_that_nobody_goes_by_give_way_unheard() {
    let limits = Limits { neighbours: 16, ..Limits::default() };
    let mut twins = Twins::of(Config { limits, ..config() });
    let echo = Pkt::echo("10.100.0.10", "8.8.8.8", 8, 1, b"");
    (0..12).for_each(|_| twins.send(Side::LAN, &echo));
    let reply = Pkt::echo("8.8.8.8", OUTSIDE, 0, twins.worlds[1].sessions()[0].outside_port, b"");
    (0..12).for_each(|_| twins.send(Side::Uplink, &reply));
    // The first answer has made another session of it.
    twins.send(Side::LAN, &echo);
    let told = |twins: &Twins| {
        let kernel = twins.beside.kernel();
        (kernel.carried, kernel.generation)
    };
    let (carried, generation) = told(&twins);
    assert!(carried > 0);
    for host in 0..200 {
        twins.both(|world| world.claim(Node(50), Ipv4Addr::new(10, 100, 1, host)).verdict);
    }
    assert_eq!(told(&twins), (carried, generation), "all of it ended");
    twins.send(Side::LAN, &echo);
    assert_eq!(told(&twins), (carried + 1, generation));
    twins.both(|world| world.gateway.neighbours(world.now).len());
    twins.compare();
}

/// A server behind a published port that has answered one client answers the next without the gateway, to
/// the client's last acknowledgement and the end.
#[test]
fn clients_of_a_published_port_are_answered_without_the_gateway() {
    let mut twins = Twins::of(config());
    twins.take(&Step::Publish(0, 0));
    // It has been spoken to, so that all know who it is.
    twins.take(&Step::Connect { host: 0, to: 0, port: 0, times: 1 });
    let carried = twins.beside.kernel().carried;
    let (outside, inside) = (format!("{OUTSIDE}:5000"), "10.100.0.10:6800");
    let mut talk = |client: &str, kernel: [u64; 2]| {
        twins.send(Side::Uplink, &Pkt::tcp(client, &outside, SYN, b""));
        twins.send(Side::LAN, &Pkt::tcp(inside, client, SYN | ACK, b""));
        assert_eq!(twins.beside.kernel().answered, kernel[0], "{client}");
        twins.send(Side::Uplink, &Pkt::tcp(client, &outside, ACK, b""));
        twins.compare();
        for _ in 0..3 {
            twins.send(Side::Uplink, &Pkt::tcp(client, &outside, ACK, b"?"));
            twins.send(Side::LAN, &Pkt::tcp(inside, client, ACK, b"!"));
        }
        twins.send(Side::Uplink, &Pkt::tcp(client, &outside, FIN, b""));
        twins.send(Side::LAN, &Pkt::tcp(inside, client, FIN, b""));
        assert_eq!(twins.beside.kernel().carried - carried, kernel[1], "{client}");
        twins.compare();
    };
    talk("9.9.9.9:1000", [0, 9]);
    talk("9.9.9.9:1001", [1, 19]);
    talk("9.9.9.9:1002", [2, 29]);
}
