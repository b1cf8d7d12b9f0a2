//! What the gateway of another host says, behind port 3; node n lives at port n, at 10.0.0.n.

use super::*;
use crate::core::{Leg, Reach};

const TUNNEL: u16 = 3;

fn hosts() -> Bridge {
    let mut bridge = bridge(Some(STATION));
    change(&mut bridge, TUNNEL, |port| port.settings.reach = Reach::Far);
    let known = (0..4).map(|n| (std::net::IpAddr::from([10, 0, 0, n]), mac(n.into())));
    bridge.set_neighbours(NetworkId::FIRST, Arc::new(known.collect()));
    bridge
}

/// A question of the gateway's for a node; 2 for `kind` is an answer, and nobody asks for himself.
fn arp(kind: u8, target: u8) -> Vec<u8> {
    let head = [&[0xff; 6][..], &STATION.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, kind]].concat();
    [&head[..], &STATION.0, &[10, 0, 0, 254], &[0; 6], &[10, 0, 0, target]].concat()
}

/// What becomes of it, and what is said in answer: by which port, and whose address.
fn asked(bridge: &Bridge, bytes: &[u8], ingress: u16) -> (Verdict, Vec<(u16, MacAddr)>) {
    let (frame, mut path) = (frame(STATION, MacAddr::BROADCAST), Path::default());
    assert_eq!(bridge.reads(&frame, PortId(ingress)), ingress == TUNNEL);
    let said = bridge.decide_reading(&frame, bytes, PortId(ingress), at(2), &mut path);
    assert!(path.ports().next().is_none() && path.leg().is_none());
    let answers = path.take_said().into_iter().map(|(bytes, exit)| {
        assert_eq!((&bytes[..6], bytes[21]), (&STATION.0[..], 2), "an answer to whoever asked");
        (exit.port.0, MacAddr(bytes[22..28].try_into().unwrap()))
    });
    (said.verdict, answers.collect())
}

#[test]
fn what_another_host_s_gateway_has_routed_reaches_nodes_and_teaches_nothing() {
    let mut bridge = hosts();
    let routed = frame(STATION, mac(1));
    let decision = decide(&bridge, &routed, TUNNEL, at(2));
    let wanted = (Verdict::Forward(PortId(1)), Learned::Off);
    assert_eq!((decision.verdict, decision.learned), wanted);
    assert_eq!(bridge.fdb().lookup(STATION, Scope::default(), at(2)), None);
    // By no other port, and from nobody else.
    for port in 0..3 {
        let forged = verdict(&mut bridge, routed, port);
        assert_eq!(forged, Verdict::Drop(DropReason::OwnSource), "{port}");
    }
    let circle = verdict(&mut bridge, frame(STATION, STATION), TUNNEL);
    assert_eq!(circle, Verdict::Drop(DropReason::OwnSource));
    // One that is kept from other hosts is kept from their gateways.
    change(&mut bridge, 1, |port| port.settings.reach = Reach::Near);
    assert_eq!(verdict(&mut bridge, routed, TUNNEL), Verdict::Drop(DropReason::Isolated));
    // A frame of our own is sent there as ever.
    let said = bridge.send(&frame(STATION, mac(3)), Leg::default(), at(2), &mut Path::default());
    assert_eq!(said, Verdict::Forward(PortId(TUNNEL)));
}

#[test]
fn another_host_s_gateway_is_answered_for_nodes_here_and_heard_by_none() {
    let mut bridge = hosts();
    let answered = |mac| (Verdict::Drop(DropReason::NeighSuppress), vec![(TUNNEL, mac)]);
    let silent = (Verdict::Drop(DropReason::NeighSuppress), Vec::new());
    assert_eq!(asked(&bridge, &arp(1, 1), TUNNEL), answered(mac(1)));
    // One that has said nothing for long is known all the same.
    bridge.fdb().remove(mac(2), Scope::default());
    assert_eq!(asked(&bridge, &arp(1, 2), TUNNEL), answered(mac(2)));
    // Who is behind a tunnel, nobody knows, or is kept from it is not answered for.
    for target in [3, 77] {
        assert_eq!(asked(&bridge, &arp(1, target), TUNNEL), silent, "{target}");
    }
    change(&mut bridge, 1, |port| port.settings.reach = Reach::Near);
    assert_eq!(asked(&bridge, &arp(1, 1), TUNNEL), silent);
    // What else it says is said beside it.
    let refused = (Verdict::Drop(DropReason::OwnSource), Vec::new());
    assert_eq!(asked(&bridge, &arp(2, 254), TUNNEL), refused);
    assert_eq!(asked(&bridge, &[], TUNNEL), refused);
    assert_eq!(asked(&bridge, &arp(1, 1), 0), refused);
}
