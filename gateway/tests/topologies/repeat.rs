//! What others repeat of the gateway's decisions: two gateways with one life, of which the first has
//! somebody beside it who repeats all he may, and the second sees every packet. Whatever changes, both
//! send and count the same; so what holds no longer is never repeated.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Endpoint, LegId, Node, Protocol, Published, Routing, Side, UplinkAddress};
use proptest::prelude::*;

use crate::world::packet::{ACK, FIN, RST, SYN};
use crate::world::twins::{HOSTS, OTHER, Twins, other};
use crate::world::{OUTSIDE, Pkt, ROUTER, UPLINK_MAC};

/// Whom they speak to: the world, each other, and the gateway by two of its addresses.
const OTHERS: [&str; 8] = [
    "8.8.8.8",
    "9.9.9.9",
    "8.8.8.8",
    "10.100.0.20",
    "10.100.0.30",
    "10.1.0.2",
    OUTSIDE,
    "10.100.0.1",
];

#[derive(Clone, Debug)]
pub enum Step {
    /// A host sends so many of a kind.
    Out {
        host: usize,
        to: usize,
        kind: u8,
        port: u16,
        times: u8,
        df: bool,
        ttl: u8,
        size: usize,
    },
    /// What a session waits for comes from the world.
    Back {
        session: usize,
        flags: u8,
        times: u8,
    },
    /// A host sends on a session that it has, whoever opened it.
    Forth {
        session: usize,
        flags: u8,
        times: u8,
    },
    /// A connection is made, and some of it sent both ways.
    Connect {
        host: usize,
        to: usize,
        port: u16,
        times: u8,
    },
    /// Somebody in the world speaks to a published port.
    In {
        port: u16,
        kind: u8,
        times: u8,
    },
    Pass(u64),
    Publish(u16, usize),
    Unpublish(u16),
    Flush,
    Forget(usize),
    Routing(bool, bool),
    Leg {
        mtu: u16,
        internal: bool,
        routed: bool,
    },
    Remove,
    Lan {
        internal: bool,
        mtu: u16,
    },
    Hosted(bool),
    Addresses(usize),
    Uplink(Option<u8>),
    Link(u16),
    /// Another node says that a host is there.
    Claim(usize),
    Answer(bool),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let times = 1..14u8;
    let packets = (0..5usize, 0..8usize, 0..4u8, 0..2u16, times.clone());
    let shape = (prop::bool::weighted(0.8), prop_oneof![9 => Just(64u8), 1 => Just(1)]);
    let size = prop_oneof![4 => Just(10usize), 1 => Just(700)];
    let flags = prop_oneof![6 => Just(ACK), 1 => Just(FIN), 1 => Just(RST), 1 => Just(SYN | ACK)];
    let mtu = || prop_oneof![Just(1500u16), Just(600)];
    prop_oneof![
        12 => (packets, shape, size).prop_map(|((host, to, kind, port, times), (df, ttl), size)| {
            Out { host, to, kind, port, times, df, ttl, size }
        }),
        12 => (any::<usize>(), flags.clone(), times.clone())
            .prop_map(|(session, flags, times)| Back { session, flags, times }),
        8 => (any::<usize>(), flags, times.clone())
            .prop_map(|(session, flags, times)| Forth { session, flags, times }),
        6 => (0..5usize, 0..3usize, 0..2u16, times.clone())
            .prop_map(|(host, to, port, times)| Connect { host, to, port, times }),
        3 => (0..2u16, 0..2u8, times).prop_map(|(port, kind, times)| In { port, kind, times }),
        3 => prop_oneof![5 => 1..50u64, 2 => 1000..40_000u64, 1 => 60_000..400_000u64].prop_map(Pass),
        1 => (0..2u16, 0..5usize).prop_map(|(port, host)| Publish(port, host)),
        1 => (0..2u16).prop_map(Unpublish),
        1 => Just(Flush),
        1 => (0..5usize).prop_map(Forget),
        1 => prop_oneof![Just((true, true)), any::<(bool, bool)>()].prop_map(|(a, b)| Routing(a, b)),
        1 => (mtu(), prop::bool::weighted(0.2), prop::bool::weighted(0.8))
            .prop_map(|(mtu, internal, routed)| Leg { mtu, internal, routed }),
        1 => Just(Remove),
        1 => (prop::bool::weighted(0.2), mtu()).prop_map(|(internal, mtu)| Lan { internal, mtu }),
        1 => any::<bool>().prop_map(Hosted),
        1 => (0..3usize).prop_map(Addresses),
        1 => prop_oneof![2 => Just(Some(2)), 1 => Just(Some(3)), 1 => Just(None)].prop_map(Uplink),
        1 => mtu().prop_map(Link),
        1 => (0..3usize).prop_map(Claim),
        1 => prop::bool::weighted(0.7).prop_map(Answer),
    ]
}

impl Twins {
    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Out { host, to, kind, port, times, df, ttl, size } => {
                for _ in 0..times {
                    let (from, to) = (HOSTS[host], OTHERS[to]);
                    self.sent = self.sent.wrapping_add(1);
                    let data = vec![self.sent; size];
                    let ends = [format!("{from}:{}", 6800 + port), format!("{to}:{}", 80 + port)];
                    let packet = match kind {
                        0 => Pkt::tcp(&ends[0], &ends[1], ACK, &data),
                        1 => Pkt::echo(from, to, 8, 9 + port, &data),
                        2 => Pkt::echo(from, to, 0, 9 + port, &data),
                        _ => Pkt::udp(&ends[0], &ends[1], &data),
                    };
                    self.send(side(from), &Pkt { df, ttl, ..packet });
                }
            }
            Step::Back { session, flags, times } => {
                let sessions = self.worlds[1].sessions();
                if sessions.is_empty() {
                    return;
                }
                let of = &sessions[session % sessions.len()];
                let (remote, port) = (of.remote.to_string(), of.outside_port);
                let outside = format!("{OUTSIDE}:{port}");
                for n in 0..times {
                    let packet = match Protocol::of(of.protocol) {
                        Some(Protocol::Tcp) => Pkt::tcp(&remote, &outside, flags, &[n; 10]),
                        Some(Protocol::Udp) => Pkt::udp(&remote, &outside, &[n; 10]),
                        _ => {
                            let remote = of.remote.address.to_string();
                            Pkt::echo(&remote, OUTSIDE, 0, port, &[n; 10])
                        }
                    };
                    self.send(Side::Uplink, &Pkt { df: n % 2 == 0, ..packet });
                }
            }
            Step::Forth { session, flags, times } => {
                let sessions = self.worlds[1].sessions();
                let Some(of) = sessions.get(session % sessions.len().max(1)) else { return };
                let (inside, remote) = (of.inside.to_string(), of.remote.to_string());
                for n in 0..times {
                    let packet = match Protocol::of(of.protocol) {
                        Some(Protocol::Tcp) => Pkt::tcp(&inside, &remote, flags, &[n; 10]),
                        Some(Protocol::Udp) => Pkt::udp(&inside, &remote, &[n; 10]),
                        _ => return,
                    };
                    self.send(
                        side(&of.inside.address.to_string()),
                        &Pkt { df: n % 4 > 0, ..packet },
                    );
                }
            }
            Step::Connect { host, to, port, times } => {
                let inside = format!("{}:{}", HOSTS[host], 7000 + port);
                let remote = format!("{}:443", OTHERS[to]);
                let from = side(HOSTS[host]);
                self.send(from, &Pkt::tcp(&inside, &remote, SYN, b""));
                let sessions = self.worlds[1].sessions();
                let ours = sessions.iter().find(|s| {
                    s.protocol == Protocol::Tcp
                        && (s.inside.to_string(), s.remote.to_string())
                            == (inside.clone(), remote.clone())
                });
                let Some(outside) = ours.map(|s| format!("{OUTSIDE}:{}", s.outside_port)) else {
                    return;
                };
                self.send(Side::Uplink, &Pkt::tcp(&remote, &outside, SYN | ACK, b""));
                for n in 0..times {
                    self.send(from, &Pkt::tcp(&inside, &remote, ACK, &[n; 30]));
                    self.send(Side::Uplink, &Pkt::tcp(&remote, &outside, ACK, &[n; 40]));
                }
            }
            Step::In { port, kind, times } => {
                for n in 0..times {
                    let to = format!("{OUTSIDE}:{}", 5000 + port);
                    let packet = match kind {
                        0 => Pkt::udp("9.9.9.9:99", &to, &[n; 20]),
                        _ if n == 0 => Pkt::tcp("9.9.9.9:99", &to, SYN, b""),
                        _ => Pkt::tcp("9.9.9.9:99", &to, ACK, &[n; 20]),
                    };
                    self.send(Side::Uplink, &packet);
                }
            }
            Step::Pass(time) => self.pass(Duration::from_millis(time)),
            Step::Answer(on) => self.answer = on,
            ref change => self.change(change),
        }
    }

    fn change(&mut self, step: &Step) {
        let address = |host: usize| HOSTS[host].parse::<Ipv4Addr>().unwrap();
        self.both(|world| {
            let (now, gateway) = (world.now, &mut world.gateway);
            let done: Box<dyn std::fmt::Debug> = match *step {
                Step::Publish(port, host) => {
                    let inside = Endpoint::new(address(host), 6800 + port);
                    let (protocol, port) = (Protocol::Udp, 5000 + port);
                    let udp = Published { protocol, address: None, port, inside };
                    let tcp = Published { protocol: Protocol::Tcp, ..udp };
                    Box::new([udp, tcp].map(|one| gateway.publish(one)))
                }
                Step::Unpublish(port) => Box::new(
                    [Protocol::Udp, Protocol::Tcp].map(|one| gateway.unpublish(one, 5000 + port)),
                ),
                Step::Flush => Box::new(gateway.flush_nat(now)),
                Step::Forget(host) => {
                    let o = address(host).octets();
                    let node = if o[1] == 100 { o[3].into() } else { 0x100 | u16::from(o[3]) };
                    Box::new(gateway.forget_node(Node(node)))
                }
                Step::Routing(forwarding, nat) => {
                    Box::new(gateway.set_routing(Routing { forwarding, nat }))
                }
                Step::Leg { mtu, internal, routed } => {
                    let config = other(mtu, internal, routed);
                    let set = gateway.set_leg(OTHER, config.clone());
                    Box::new((set, gateway.add_leg(OTHER, config)))
                }
                Step::Remove => Box::new(gateway.remove_leg(OTHER)),
                Step::Lan { internal, mtu } => {
                    let mut legs = gateway.legs();
                    let mut config = legs.next().unwrap().config.clone();
                    drop(legs);
                    (config.policy.internal, config.mtu) = (internal, mtu);
                    Box::new(gateway.set_leg(LegId::FIRST, config))
                }
                Step::Hosted(on) => Box::new(gateway.set_hosted(LegId::FIRST, on)),
                Step::Addresses(n) => {
                    let all = ["10.100.0.1", "9.9.9.9"].map(|one| one.parse().unwrap());
                    gateway.set_host_addresses(all[..n].to_vec());
                    Box::new(n)
                }
                Step::Uplink(last) => {
                    let address = last.map(|last| UplinkAddress {
                        address: Ipv4Addr::new(203, 0, 113, last),
                        prefix_len: 24,
                        next_hop: Some(ROUTER),
                    });
                    Box::new(gateway.set_uplink_address(address, now))
                }
                Step::Link(mtu) => {
                    gateway.set_uplink_link(UPLINK_MAC, mtu);
                    Box::new(mtu)
                }
                Step::Claim(host) => Box::new(world.claim(Node(77), address(host)).verdict),
                _ => Box::new(()),
            };
            format!("{done:?}")
        });
    }
}

fn side(host: &str) -> Side {
    if host.starts_with("10.1.") { Side::Leg(OTHER) } else { Side::LAN }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_changes_what_is_repeated_is_what_would_happen(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut twins = Twins::new();
        for step in &steps {
            twins.take(step);
            twins.compare();
        }
    }
}

/// The test above has something to look at: of what goes on for long most is repeated.
#[test]
fn what_goes_on_is_repeated_and_connections_that_are_taken_up() {
    let mut twins = Twins::new();
    for port in 0..2 {
        for (host, to) in [(0, 0), (1, 1), (3, 0)] {
            twins.take(&Step::Connect { host, to, port, times: 5 });
        }
    }
    // All but the two that open it, and of those the answer where its server has answered others.
    assert_eq!(twins.beside.kernel().answered, 4, "two servers answered the first time");
    assert_eq!(twins.beside.kernel().carried, 6 * 10 + 4, "of five segments each way");
    for n in 0..2 {
        let short =
            Step::Out { host: n, to: 0, kind: 3, port: 0, times: 5, df: true, ttl: 64, size: 10 };
        twins.take(&short);
    }
    assert_eq!(twins.beside.kernel().carried, 6 * 10 + 4, "datagrams have to come more often");
    let before = twins.beside.kernel().carried;
    twins.take(&Step::Connect { host: 2, to: 0, port: 0, times: 100 });
    twins.compare();
    let carried = twins.beside.kernel().carried;
    assert_eq!(carried - before, 201, "of 200, and an answer");
    let straight =
        Step::Out { host: 3, to: 3, kind: 3, port: 0, times: 100, df: false, ttl: 64, size: 10 };
    twins.take(&straight);
    twins.compare();
    let more = twins.beside.kernel().carried - carried;
    assert!(more > 80, "{more} of 100");
    // What nobody answers as well; its first answer is seen.
    let carried = twins.beside.kernel().carried;
    let unanswered =
        Step::Out { host: 0, to: 1, kind: 3, port: 1, times: 100, df: true, ttl: 64, size: 10 };
    twins.take(&unanswered);
    twins.compare();
    let more = twins.beside.kernel().carried - carried;
    assert!(more > 80, "{more} of 100");
    let of_it = |twins: &Twins| {
        let sessions = twins.worlds[0].sessions();
        sessions.into_iter().find(|s| s.protocol == Protocol::Udp && s.remote.port == 81).unwrap()
    };
    let session = of_it(&twins);
    assert_eq!(session.state.as_str(), "opened");
    let outside = format!("{OUTSIDE}:{}", session.outside_port);
    twins.send(Side::Uplink, &Pkt::udp("9.9.9.9:81", &outside, b"heard"));
    twins.compare();
    assert_eq!(of_it(&twins).state.as_str(), "active");
    let held = |twins: &Twins| {
        let kernel = twins.beside.kernel();
        kernel.flows.iter().filter(|flow| kernel.holds(flow, twins.worlds[0].now)).count()
    };
    let lasting = held(&twins);
    // Both ends are repeated; with the second one the session's flows are over, and no others.
    let carried = twins.beside.kernel().carried;
    let of_it = |twins: &Twins| {
        let sessions = twins.worlds[0].sessions();
        sessions.into_iter().find(|s| s.inside.to_string() == "10.100.0.30:7000").unwrap()
    };
    twins.send(Side::LAN, &Pkt::tcp("10.100.0.30:7000", "8.8.8.8:443", FIN, b""));
    twins.compare();
    assert_eq!((of_it(&twins).state.as_str(), held(&twins)), ("fin-out", lasting));
    let outside = format!("{OUTSIDE}:{}", of_it(&twins).outside_port);
    twins.pass(Duration::from_millis(5));
    twins.send(Side::Uplink, &Pkt::tcp("8.8.8.8:443", &outside, FIN, b""));
    twins.send(Side::LAN, &Pkt::tcp("10.100.0.30:7000", "8.8.8.8:443", ACK, b""));
    assert_eq!(twins.beside.kernel().carried, carried + 3);
    twins.compare();
    assert_eq!((of_it(&twins).state.as_str(), held(&twins)), ("closing", lasting - 2));
}

/// Found by the test at the top: the port was counted for the node that an address had when it was
/// published, and given back for the one that had sent since.
#[test]
fn a_port_published_before_its_host_has_spoken_is_given_back_to_whom_it_was_counted_for() {
    let mut twins = Twins::new();
    twins.take(&Step::Publish(1, 1));
    twins.take(&Step::Out {
        host: 1,
        to: 6,
        kind: 0,
        port: 1,
        times: 1,
        df: false,
        ttl: 64,
        size: 10,
    });
    twins.take(&Step::Lan { internal: true, mtu: 1500 });
    assert_eq!(twins.worlds[0].sessions().len(), 0);
    twins.take(&Step::Lan { internal: false, mtu: 1500 });
    twins.take(&Step::Connect { host: 1, to: 0, port: 0, times: 1 });
    twins.compare();
    assert_eq!(twins.worlds[0].sessions().len(), 1, "the host may open sessions as before");
}
