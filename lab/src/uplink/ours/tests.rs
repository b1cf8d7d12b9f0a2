use std::collections::HashSet;
use std::net::Ipv4Addr;

use gateway::Ours;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Heap(Arc<Vec<AtomicU64>>);

impl Memory for Heap {
    fn words(&self) -> &[AtomicU64] {
        &self.0
    }
}

impl Heap {
    fn new() -> Self {
        Self(Arc::new((0..WORDS.max(HELD_WORDS)).map(|_| AtomicU64::new(0)).collect()))
    }

    fn bit(&self, bits: usize, port: u16) -> bool {
        let word = self.0[bits + usize::from(port / 64)].load(Ordering::Relaxed);
        word >> (port % 64) & 1 == 1
    }

    /// What the program finds.
    fn finds(&self, writer: &Writer<Heap>, protocol: usize, port: u16, remote: Endpoint) -> bool {
        let remote = match writer.kind.filter() {
            Filter::Address => Endpoint::new(remote.address, 0),
            _ => remote,
        };
        let key = key(port, remote);
        let mut slots = writer
            .groups(key)
            .into_iter()
            .flat_map(|group| (group * GROUP..(group + 1) * GROUP).map(|at| table(protocol) + at));
        self.bit(anybody(protocol), port)
            || slots.any(|at| self.0[at].load(Ordering::Relaxed) == key)
    }

    fn is_empty(&self) -> bool {
        self.0[GROUP..].iter().all(|word| word.load(Ordering::Relaxed) == 0)
    }
}

/// A writer's memory, that of held ports with it.
fn both(memory: &Heap) -> [Heap; 2] {
    [memory.clone(), Heap::new()]
}

fn remote(n: u8) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(8, 8, 8, n / 8), 50 + u16::from(n % 8))
}

fn kinds() -> impl Strategy<Value = NatType> {
    (0..4usize).prop_map(|n| NatType::ALL[n])
}

proptest! {
    /// What is found is what was told, under any interleaving, and nothing stays.
    #[test]
    fn what_is_told_is_found(
        kind in kinds(),
        ops in prop::collection::vec((any::<bool>(), 20_000u16..20_004, 0u8..32, any::<bool>()), 0..200),
    ) {
        let memory = Heap::new();
        let mut writer = Writer::new(both(&memory), kind, [3, 5]);
        let mut told: Vec<(Protocol, u16, u8)> = Vec::new();
        for (udp, port, r, begins) in ops {
            let one = (if udp { Protocol::Udp } else { Protocol::Tcp }, port, r);
            match told.iter().position(|other| *other == one) {
                Some(at) if !begins => { told.swap_remove(at); }
                None if !begins => continue,
                _ => told.push(one),
            }
            writer.session(one.0, port, remote(r), begins);
            for (protocol, port, r) in [one, (one.0, port, (r + 1) % 32), (one.0, port, (r + 8) % 32)] {
                let same = |other: &(Protocol, u16, u8)| (other.0, other.1) == (protocol, port)
                    && match kind.filter() {
                        Filter::Independent => true,
                        Filter::Address => other.2 / 8 == r / 8,
                        Filter::AddressAndPort => other.2 == r,
                    };
                let index = index(protocol).unwrap();
                prop_assert_eq!(
                    memory.finds(&writer, index, port, remote(r)), told.iter().any(same)
                );
            }
            let opens = kind != NatType::Symmetric
                && told.iter().any(|other| (other.0, other.1) == (Protocol::Tcp, port));
            prop_assert_eq!(memory.bit(OPENING, port), opens);
        }
        for (protocol, port, r) in told {
            writer.session(protocol, port, remote(r), false);
        }
        prop_assert!(memory.is_empty());
    }
}

#[test]
fn all_sessions_there_may_be_have_a_place_of_their_own() {
    let memory = Heap::new();
    let mut writer =
        Writer::new(both(&memory), NatType::default(), [rand::random(), rand::random()]);
    // As ports and addresses come: in order.
    let all = || {
        (0..65_536u32).map(|n| {
            let port = 20_000 + u16::try_from(n % 10_000).unwrap();
            (port, Endpoint::new(Ipv4Addr::from(0x0808_0000 + n / 10_000), 443))
        })
    };
    for (port, remote) in all() {
        writer.session(Protocol::Tcp, port, remote, true);
    }
    assert!(writer.anybody[0].iter().all(|count| *count == 0), "a port is taken as a whole");
    for (port, remote) in all() {
        assert!(memory.finds(&writer, 0, port, remote));
        writer.session(Protocol::Tcp, port, remote, false);
    }
    assert!(memory.is_empty());
}

#[test]
fn where_groups_are_full_the_port_is_taken_and_given_back() {
    let memory = Heap::new();
    let mut writer = Writer::new(both(&memory), NatType::default(), [7, 9]);
    let mut told = HashSet::new();
    // More than there is room for.
    for n in 0..150_000u32 {
        let (port, remote) = (20_000 + (n % 7) as u16, Endpoint::new(Ipv4Addr::from(n), 9));
        writer.session(Protocol::Udp, port, remote, true);
        told.insert((port, remote));
    }
    assert!((20_000..20_007).all(|port| memory.bit(anybody(1), port)));
    for (port, remote) in told {
        assert!(memory.finds(&writer, 1, port, remote));
        writer.session(Protocol::Udp, port, remote, false);
    }
    assert!(memory.is_empty());
}

#[test]
fn a_published_port_is_anybody_s() {
    let memory = Heap::new();
    let mut writer = Writer::new(both(&memory), NatType::default(), [7, 9]);
    writer.published(Protocol::Udp, 25_000, true);
    assert!(memory.bit(anybody(1), 25_000) && !memory.bit(anybody(0), 25_000));
    writer.published(Protocol::Udp, 25_000, false);
    assert!(memory.is_empty());
}

#[test]
fn a_port_that_is_held_opens_tcp_and_is_anybody_s_of_udp() {
    let memory = Heap::new();
    let mut writer = Writer::new(both(&memory), NatType::default(), [7, 9]);
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        writer.held(protocol, 80, true);
    }
    assert!(
        memory.bit(OPENING, 80) && writer.held.bit(held(0), 80) && writer.held.bit(held(1), 80)
    );
    assert!(!memory.bit(anybody(0), 80) && memory.bit(anybody(1), 80));
    // The end of its last session is not the port's.
    writer.session(Protocol::Tcp, 80, remote(1), true);
    writer.session(Protocol::Tcp, 80, remote(1), false);
    assert!(memory.bit(OPENING, 80));
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        writer.held(protocol, 80, false);
    }
    assert!(!writer.held.bit(held(0), 80) && !writer.held.bit(held(1), 80));
    assert!(memory.is_empty());
}

#[test]
fn what_has_no_ports_is_told_by_protocol_and_remote() {
    let (memory, held) = (Heap::new(), Heap::new());
    let mut writer = Writer::new([memory.clone(), held.clone()], NatType::FullCone, [3, 5]);
    let (gre, ipip) = (IpProtocol(47), IpProtocol(4));
    let remotes = [1, 2].map(|n| Ipv4Addr::new(8, 8, 8, n));
    let finds = |writer: &Writer<Heap>, protocol: IpProtocol, remote: Ipv4Addr| {
        let key = key(0, Endpoint::new(remote, protocol.0.into()));
        let mut slots = writer
            .groups(key)
            .into_iter()
            .flat_map(|group| (group * GROUP..(group + 1) * GROUP).map(|at| table(1) + at));
        let exact = slots.any(|at| memory.0[at].load(Ordering::Relaxed) == key);
        (exact, held.bit(REMOTES, remote_bit(protocol, remote)))
    };
    writer.by_address(gre, remotes[0], true);
    // Once more, as after a flush.
    writer.by_address(gre, remotes[0], true);
    assert_eq!(finds(&writer, gre, remotes[0]), (true, true));
    assert_eq!(finds(&writer, gre, remotes[1]), (false, false));
    assert_eq!(finds(&writer, ipip, remotes[0]), (false, false));
    // Two that share a bit: it stays for the one that stays.
    let other = Ipv4Addr::new(8 ^ 1, 8, 8 ^ 1, 1);
    assert_eq!(remote_bit(gre, other), remote_bit(gre, remotes[0]));
    assert_eq!(finds(&writer, gre, other), (false, true));
    writer.by_address(gre, other, true);
    writer.by_address(gre, remotes[0], false);
    assert_eq!(finds(&writer, gre, remotes[0]), (true, true));
    writer.by_address(gre, remotes[0], false);
    assert_eq!(finds(&writer, gre, remotes[0]), (false, true));
    writer.by_address(gre, other, false);
    assert!(memory.is_empty());
    assert!(held.0.iter().all(|word| word.load(Ordering::Relaxed) == 0));
}
