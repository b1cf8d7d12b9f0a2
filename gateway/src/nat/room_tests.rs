//! Room for who is served: what others forge or have closed never keeps it.

use std::net::Ipv4Addr;

use wire::tcp::Flags;

use super::filter::NatType;
use super::tests::{inbound, nat, node, outbound, tcp};
use super::*;

const SYN: u8 = Flags::SYN;
const ACK: u8 = Flags::ACK;
const RST: u8 = Flags::RST;
const NOW: Timestamp = Timestamp::ZERO;
const TCP: Protocol = Protocol::Tcp;

const WEB: Endpoint = Endpoint::new(Ipv4Addr::new(10, 100, 0, 10), 80);
/// Within the pool of these tests.
const PORT: u16 = 2003;

/// A host outside.
fn outside(n: u16) -> Endpoint {
    let [high, low] = n.to_be_bytes();
    Endpoint::new(Ipv4Addr::new(198, 51, high, low), 5000)
}

/// One that has opened a connection to the published port, as both ends know it.
fn connects(nat: &mut Nat, client: Endpoint) -> Result<(), DropReason> {
    inbound(nat, TCP, (PORT, client), tcp(SYN), NOW)?;
    outbound(nat, TCP, (WEB, client), tcp(SYN | ACK), NOW)?;
    inbound(nat, TCP, (PORT, client), tcp(ACK), NOW)?;
    outbound(nat, TCP, (WEB, client), tcp(ACK), NOW)?;
    Ok(())
}

fn published(sessions: u32) -> Nat {
    let mut nat = nat(NatType::default(), sessions);
    let wanted = Published { protocol: TCP, address: None, port: PORT, inside: WEB };
    nat.publish((node(WEB), false), wanted, true).unwrap();
    nat
}

/// Whoever answers nothing can send a segment in place of the acknowledgement, and one after the RST that
/// the server says to it.
#[test]
fn forged_segments_take_no_place_from_who_is_served() {
    for forged in [&[SYN, ACK][..], &[SYN, ACK, 0], &[SYN, RST, 0], &[SYN, Flags::FIN | ACK, 0]] {
        let mut nat = published(64);
        for n in 0..1_000 {
            for flags in forged {
                // Those after the first where it has given way already are refused, and that is right.
                let _ = inbound(&mut nat, TCP, (PORT, outside(n)), tcp(*flags), NOW);
                let answer = match *flags {
                    SYN => SYN | ACK,
                    flags if flags & ACK > 0 => RST,
                    // To this a Linux says nothing.
                    _ => continue,
                };
                let _ = outbound(&mut nat, TCP, (WEB, outside(n)), tcp(answer), NOW);
            }
        }
        for n in 2_000..2_010 {
            assert_eq!(connects(&mut nat, outside(n)), Ok(()), "{forged:?}");
        }
        let out = (Endpoint::new(WEB.address, 40_000), outside(3_000));
        assert!(outbound(&mut nat, TCP, out, tcp(SYN), NOW).is_ok(), "{forged:?}");
        // Those who are served are not displaced by more of them.
        for n in 4_000..5_000 {
            let _ = inbound(&mut nat, TCP, (PORT, outside(n)), tcp(SYN), NOW);
        }
        for n in 2_000..2_010 {
            let known = inbound(&mut nat, TCP, (PORT, outside(n)), tcp(ACK), NOW);
            assert_eq!(known, Ok(WEB), "{forged:?}");
        }
    }
}

/// A server that says something to a connection its client has given up.
#[test]
fn what_a_server_says_after_the_end_keeps_nothing() {
    let mut nat = nat(NatType::Symmetric, 64);
    for n in 0..1_000 {
        let ends = (Endpoint::new(WEB.address, 1_024 + n), outside(n));
        let port = outbound(&mut nat, TCP, ends, tcp(SYN), NOW);
        let Ok(port) = port else { panic!("{n}: {port:?}") };
        inbound(&mut nat, TCP, (port, ends.1), tcp(SYN | ACK), NOW).unwrap();
        outbound(&mut nat, TCP, ends, tcp(RST), NOW).unwrap();
        inbound(&mut nat, TCP, (port, ends.1), tcp(ACK), NOW).unwrap();
    }
}

/// A node with two addresses: what one of them has closed does not shut the other out.
#[test]
fn what_has_closed_gives_way_to_any_address_of_its_node() {
    let mut nat = nat(NatType::Symmetric, 64);
    let node = node(WEB);
    let mut short = |address: Ipv4Addr, n: u16| {
        let ends = (Endpoint::new(address, 1_024 + n), outside(n));
        let opened = match nat.running(TCP, node, ends, tcp(SYN), NOW) {
            Ok(Some(port)) => Ok(port),
            Ok(None) => nat.open(TCP, node, ends, tcp(SYN), NOW),
            Err(reason) => Err(reason),
        };
        let port = opened.unwrap_or_else(|reason| panic!("{address}, number {n}: {reason:?}"));
        inbound(&mut nat, TCP, (port, ends.1), tcp(RST | ACK), NOW).unwrap();
    };
    (0..20).for_each(|n| short(WEB.address, n));
    (20..1_000).for_each(|n| short(Ipv4Addr::new(10, 100, 0, 77), n));
}
