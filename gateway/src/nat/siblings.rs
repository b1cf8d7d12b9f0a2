//! The sessions of one mapping, linked, so that they can give way together: its port is free once all of
//! them have ended.
//!
//! A list of at most [`MOST`], through the slots and without a way back: whoever takes one out walks. The
//! mapping keeps the first ([`super::mapping::Mappings`]) and, where there have been more, counts them
//! only: so many do not give way for a port.

use super::session::NONE;
use super::slots::Slots;

/// Sessions that are linked at most.
pub(crate) const MOST: u32 = 8;

/// Those from `first` on.
pub(crate) fn from(slots: &Slots, first: u32) -> impl Iterator<Item = u32> + '_ {
    let some = |id: u32| (id != NONE).then_some(id);
    std::iter::successors(some(first), move |id| some(slots.rests[*id as usize].sibling))
}

/// Puts a session before `first`; false where there are enough.
pub(crate) fn enter(slots: &mut Slots, id: u32, first: u32) -> bool {
    let fits = from(slots, first).count() < MOST as usize;
    if fits {
        slots.rests[id as usize].sibling = first;
    }
    fits
}

/// Takes a session out; the first of those that are left.
pub(crate) fn leave(slots: &mut Slots, id: u32, first: u32) -> u32 {
    let next = slots.rests[id as usize].sibling;
    if first == id {
        return next;
    }
    let before = from(slots, first).find(|other| slots.rests[*other as usize].sibling == id);
    debug_assert!(before.is_some(), "{id} is not among them");
    if let Some(before) = before {
        slots.rests[before as usize].sibling = next;
    }
    first
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use wire::Timestamp;
    use wire::tcp::Flags;

    use crate::config::{Limits, NatConfig};
    use crate::nat::Nat;
    use crate::nat::plan::PlanOut;
    use crate::nat::realm::Load;
    use crate::node::Node;
    use crate::packet::{Endpoint, Protocol};
    use crate::verdict::DropReason;

    const NODE: Node = Node(1);
    const NOW: Timestamp = Timestamp::ZERO;

    /// A NAT of 16 outside ports.
    fn nat() -> Nat {
        Nat::new(&NatConfig::default(), &(2000..=2015), Limits::default(), 9)
    }

    fn ends(port: u16, server: u8) -> (Endpoint, Endpoint) {
        let inside = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), port);
        (inside, Endpoint::new(Ipv4Addr::new(8, 8, 8, server), 80))
    }

    fn say(nat: &mut Nat, ends: (Endpoint, Endpoint), flags: u8) -> Result<u16, DropReason> {
        let load = Load { flags: Some(Flags(flags)), packets: 1, bytes: 60 };
        match nat.running(Protocol::Tcp, NODE, ends, load, NOW)? {
            Some(port) => Ok(port),
            None => nat.open(Protocol::Tcp, NODE, ends, load, NOW),
        }
    }

    /// A connection that was opened and reset.
    fn short(nat: &mut Nat, port: u16, server: u8) -> Result<u16, DropReason> {
        say(nat, ends(port, server), Flags::SYN)?;
        say(nat, ends(port, server), Flags::RST)
    }

    #[test]
    fn closed_connections_that_share_a_port_give_it_to_the_next() {
        for servers in 1..=8 {
            let mut nat = nat();
            // A socket's port is used towards each server; a host alone has half of the ports.
            for port in 0..1000 {
                for server in 0..servers {
                    let got = short(&mut nat, 5000 + port, server);
                    assert!(got.is_ok(), "{servers} servers, port {port}: {got:?}");
                }
            }
            assert_eq!(nat.realm(Protocol::Tcp).mappings.len(), 8);
        }
    }

    #[test]
    fn a_port_with_a_connection_that_goes_on_is_not_taken() {
        let mut nat = nat();
        for port in 0..8 {
            let kept = ends(5000 + port, 1);
            let own = say(&mut nat, kept, Flags::SYN).unwrap();
            let load = |flags| Load { flags: Some(Flags(flags)), packets: 1, bytes: 60 };
            let id = nat.realm(Protocol::Tcp).known_in(own, kept.1, NOW).unwrap();
            nat.running_in(Protocol::Tcp, id, load(Flags::SYN | Flags::ACK), NOW);
            say(&mut nat, kept, Flags::ACK).unwrap();
            short(&mut nat, 5000 + port, 2).unwrap();
        }
        assert_eq!(short(&mut nat, 6000, 1), Err(DropReason::Quota));
        assert_eq!(nat.counters.displaced, 0);
    }

    #[test]
    fn a_connection_that_opens_does_not_go_with_a_closed_one() {
        let mut nat = nat();
        for port in 5000..5008 {
            short(&mut nat, port, 1).unwrap();
        }
        let opening = ends(5000, 2);
        say(&mut nat, opening, Flags::SYN).unwrap();
        for port in 6000..6007 {
            short(&mut nat, port, 1).unwrap();
            short(&mut nat, port, 2).unwrap();
            let id = nat.realm(Protocol::Tcp).known_out(opening.0, opening.1, NOW);
            assert!(id.is_some(), "it gave way to {port}");
        }
    }

    /// What a busy client makes: four connections at a time, each port used towards many servers.
    #[test]
    fn no_connection_of_a_busy_client_is_cut() {
        let limits = Limits::default();
        let mut nat = Nat::new(&NatConfig::default(), &(20_000..=20_999), limits, 9);
        // Where it is among its ports, by server.
        let mut at: Vec<u16> = (0..48).map(|n| 1025 + n * 1319).collect();
        for n in 0..40_000u32 {
            let round = n / 3_400 % 12 * 4;
            let open: Vec<_> = (round..round + 4)
                .map(|server| {
                    let port = &mut at[server as usize];
                    *port = if *port > 65_000 { 1025 } else { *port + 2 };
                    let (inside, remote) = ends(*port, 1);
                    (inside, Endpoint { port: 80 + u16::try_from(server).unwrap(), ..remote })
                })
                .collect();
            for connection in &open {
                let got = say(&mut nat, *connection, Flags::SYN);
                assert!(got.is_ok(), "{n}: {got:?}");
            }
            for connection in &open {
                let known = nat.realm(Protocol::Tcp).known_out(connection.0, connection.1, NOW);
                assert!(known.is_some(), "{n}: {connection:?} was cut");
                say(&mut nat, *connection, Flags::RST).unwrap();
                // What comes late uses it once more.
                say(&mut nat, *connection, Flags::RST).unwrap();
            }
        }
    }

    #[test]
    fn the_plan_foresees_the_port_once_several_gave_way() {
        let mut nat = nat();
        for port in 5000..5008 {
            short(&mut nat, port, 1).unwrap();
            short(&mut nat, port, 2).unwrap();
        }
        let next = ends(6000, 1);
        let realm = nat.realm(Protocol::Tcp);
        let plan = realm.plan_out(NODE, next, Some(Flags(Flags::SYN)), NOW).unwrap();
        let PlanOut::Open { outside, displaced: Some(displaced), .. } = plan else {
            panic!("{plan:?}")
        };
        assert!(displaced.whole);
        assert_eq!(say(&mut nat, next, Flags::SYN), Ok(outside));
        assert_eq!(nat.counters.displaced, 2);
    }
}
