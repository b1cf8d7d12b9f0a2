//! Snooping and suppression as a port sees them: frames in, frames out, with virtual time. The
//! frames are made here, byte by byte.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::checksum;

use super::*;
use crate::core::{Exit, Group, McastConfig, RouterMode, Tagging};

const GROUP: [u8; 4] = [239, 1, 2, 3];
const ALL_HOSTS: [u8; 4] = [224, 0, 0, 1];

/// An Ethernet frame of IPv4 from host `n` to a group.
fn ipv4(n: u8, protocol: u8, from: [u8; 4], to: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 0, 0, 0, 1, protocol, 0, 0];
    let dst = [1, 0, 0x5e, to[1] & 0x7f, to[2], to[3]];
    [&dst[..], &[2, 0, 0, 0, 0, n, 8, 0], &header, &from, &to, body].concat()
}

fn host(n: u8) -> [u8; 4] {
    [10, 0, 0, n]
}

fn igmp(n: u8, kind: u8, code: u8, rest: &[u8], to: [u8; 4]) -> Vec<u8> {
    let mut body = [&[kind, code, 0, 0][..], rest].concat();
    let sum = checksum::checksum(&body).to_be_bytes();
    body[2..4].copy_from_slice(&sum);
    ipv4(n, 2, host(n), to, &body)
}

fn join(n: u8) -> Vec<u8> {
    igmp(n, 0x16, 0, &GROUP, GROUP)
}

fn leave(n: u8) -> Vec<u8> {
    igmp(n, 0x17, 0, &GROUP, [224, 0, 0, 2])
}

/// A report of IGMPv3 with one record.
fn report(n: u8, kind: u8, sources: &[[u8; 4]]) -> Vec<u8> {
    let count = u8::try_from(sources.len()).unwrap();
    let record = [&[0, 0, 0, 1, kind, 0, 0, count][..], &GROUP, &sources.concat()].concat();
    igmp(n, 0x22, 0, &record, [224, 0, 0, 22])
}

fn query(n: u8) -> Vec<u8> {
    igmp(n, 0x11, 100, &[0; 4], ALL_HOSTS)
}

/// Data from host `n` to the group.
fn data(n: u8) -> Vec<u8> {
    ipv4(n, 17, host(n), GROUP, &[0; 8])
}

/// A bridge of four ports that snoops, and how to speak to it.
struct Switch {
    bridge: Bridge,
    said: Vec<(Vec<u8>, Exit)>,
}

impl Switch {
    fn with(mcast: McastConfig) -> Self {
        let mut bridge = bridge(None);
        let mcast = McastConfig { snooping: true, ..mcast };
        bridge.set_network(NetworkId::FIRST, NetworkConfig { mcast, ..NetworkConfig::default() });
        Self { bridge, said: Vec::new() }
    }

    /// One that asks itself, and has been doing so for long enough.
    fn asking(mcast: McastConfig) -> Self {
        let mut switch = Self::with(McastConfig { querier: true, ..mcast });
        switch.tick(at(100));
        switch.said.clear();
        switch
    }

    fn tick(&mut self, now: Timestamp) {
        let mut path = Path::default();
        self.bridge.tick(now, &mut path);
        self.said.extend(path.take_said());
    }

    fn hear(&mut self, ingress: u16, bytes: &[u8], now: Timestamp) -> (Verdict, Vec<u16>) {
        let mac = |at: usize| MacAddr(bytes[at..at + 6].try_into().unwrap());
        let frame = Frame::new(mac(0), mac(6), None, 100);
        let mut path = Path::default();
        let bridge = &self.bridge;
        assert!(bridge.reads(&frame, PortId(ingress)));
        let said = bridge.decide_reading(&frame, bytes, PortId(ingress), now, &mut path);
        self.said.extend(path.take_said());
        (said.verdict, path.ports().map(|id| id.0).collect())
    }

    fn reached(&mut self, ingress: u16, bytes: &[u8], now: Timestamp) -> Vec<u16> {
        self.hear(ingress, bytes, now).1
    }
}

#[path = "bridge_mcast_ports.rs"]
mod ports;

#[test]
fn without_anybody_who_asks_groups_are_flooded() {
    let mut switch = Switch::with(McastConfig::default());
    assert_eq!(switch.reached(0, &join(0), at(1)), [1, 2, 3]);
    assert_eq!(switch.hear(1, &data(1), at(1)), (Verdict::Flood, vec![0, 2, 3]));
}

#[test]
fn members_get_their_group_and_nobody_else() {
    let mut switch = Switch::asking(McastConfig::default());
    // Hosts are given the time to answer the first query.
    assert_eq!(switch.reached(1, &data(1), at(105)), [0, 2, 3]);
    assert_eq!(switch.hear(1, &data(1), at(111)), (Verdict::Drop(DropReason::NoMember), vec![]));
    // A report is for routers alone, and there is none.
    assert_eq!(switch.hear(2, &join(2), at(111)).0, Verdict::Drop(DropReason::NoMember));
    assert_eq!(switch.hear(1, &data(1), at(112)), (Verdict::Members, vec![2]));
    // Its own frames do not come back to a member; what is known of other groups is nothing.
    assert_eq!(switch.hear(2, &data(2), at(112)).0, Verdict::Drop(DropReason::NoMember));
    let other = ipv4(1, 17, host(1), [239, 9, 9, 9], &[0; 8]);
    assert_eq!(switch.hear(1, &other, at(112)).0, Verdict::Drop(DropReason::NoMember));
    // A link's own groups, queries and leaves are flooded, whatever was asked for.
    for to in [[224, 0, 0, 5], [224, 0, 0, 251]] {
        let link = ipv4(1, 17, host(1), to, &[0; 8]);
        assert_eq!(switch.reached(1, &link, at(112)), [0, 2, 3]);
    }
    // It ends unless it is reported again.
    assert_eq!(switch.hear(1, &data(1), at(370)).0, Verdict::Members);
    assert_eq!(switch.hear(1, &data(1), at(372)).0, Verdict::Drop(DropReason::NoMember));
    switch.tick(at(372));
    let counts = switch.bridge.snoops.get(NetworkId::FIRST).unwrap().counts();
    assert_eq!((counts.groups, counts.members), (0, 0));
}

#[test]
fn a_member_that_leaves_is_asked_for_and_given_up() {
    let mut switch = Switch::asking(McastConfig::default());
    for n in [1, 2] {
        switch.hear(n, &join(u8::try_from(n).unwrap()), at(111));
    }
    switch.hear(1, &leave(1), at(120));
    // A question for this group, at that port alone: IGMPv2, a second to answer.
    let said = std::mem::take(&mut switch.said);
    assert_eq!(said.len(), 1);
    let (bytes, exit) = &said[0];
    assert_eq!((exit.port, exit.tagging), (PortId(1), Tagging::Keep));
    assert_eq!(bytes[..6], [1, 0, 0x5e, 1, 2, 3]);
    assert_eq!(bytes[38..40], [0x11, 10]);
    assert_eq!(bytes[42..46], GROUP);
    assert_eq!(switch.reached(0, &data(0), at(121)), [1, 2]);
    switch.tick(at(121));
    assert_eq!(switch.said.len(), 1, "asked twice");
    assert_eq!(switch.reached(0, &data(0), at(122)), [2]);
    // Somebody else behind the port answers in time.
    switch.hear(2, &leave(2), at(130));
    switch.hear(2, &join(9), at(131));
    assert_eq!(switch.reached(0, &data(0), at(140)), [2]);
}

#[test]
fn fastleave_asks_nobody() {
    let mut switch = Switch::asking(McastConfig::default());
    change(&mut switch.bridge, 1, |port| port.settings.fastleave = true);
    switch.hear(1, &join(1), at(111));
    assert_eq!(switch.reached(0, &data(0), at(111)), [1]);
    switch.hear(1, &leave(1), at(111));
    assert_eq!(switch.hear(0, &data(0), at(111)).0, Verdict::Drop(DropReason::NoMember));
    assert!(switch.said.is_empty());
}

#[test]
fn somebody_else_who_asks_leads_to_a_router_and_silences_us() {
    let mut switch = Switch::asking(McastConfig::default());
    switch.said.clear();
    switch.hear(3, &query(3), at(120));
    // Hosts may still be answering for the first time: by then they have.
    let now = at(131);
    assert_eq!(switch.reached(0, &data(0), now), [3], "to the router alone");
    assert_eq!(switch.reached(1, &join(1), now), [3], "reports too");
    assert_eq!(switch.reached(0, &data(0), now), [1, 3]);
    // A port that is said not to lead to a router is none of those, whatever was heard there.
    let mut deaf = PortState::up(PortSettings::default(), 1500);
    deaf.settings.mcast_router = RouterMode::Never;
    switch.bridge.set_port(PortId(3), deaf);
    assert_eq!(switch.reached(0, &data(0), now), [1]);
    switch.bridge.set_port(PortId(3), PortState::up(PortSettings::default(), 1500));
    switch.tick(at(300));
    let of_ipv4 =
        |switch: &Switch| switch.said.iter().filter(|(bytes, _)| bytes[12..14] == [8, 0]).count();
    assert_eq!(of_ipv4(&switch), 0, "the other one asks");
    // Once it is silent for long enough we ask again.
    switch.tick(at(376));
    assert_eq!(of_ipv4(&switch), 4, "one at each port");
    // A port that is never a router's, and one that always is.
    change(&mut switch.bridge, 3, |port| port.settings.mcast_router = RouterMode::Never);
    change(&mut switch.bridge, 2, |port| port.settings.mcast_router = RouterMode::Always);
    switch.hear(3, &query(3), at(377));
    assert_eq!(switch.reached(0, &data(0), at(388)), [1, 2]);
}

#[test]
fn a_pim_hello_leads_to_a_router() {
    let mut switch = Switch::asking(McastConfig::default());
    let hello = ipv4(2, 103, host(2), [224, 0, 0, 13], &[0x20, 0, 0, 0]);
    assert_eq!(switch.reached(2, &hello, at(111)), [0, 1, 3], "the link hears it");
    assert_eq!(switch.reached(0, &data(0), at(111)), [2]);
}

#[test]
fn sources_count_with_igmp_version_3() {
    let mut switch = Switch::asking(McastConfig { igmp_version: 3, ..McastConfig::default() });
    // IS_IN {10.0.0.7}: that source alone.
    switch.hear(1, &report(1, 1, &[host(7)]), at(111));
    assert_eq!(switch.reached(0, &data(7), at(112)), [1]);
    assert_eq!(switch.hear(0, &data(8), at(112)).0, Verdict::Drop(DropReason::NoMember));
    // IS_EX {10.0.0.8}: all but that one.
    switch.hear(2, &report(2, 2, &[host(8)]), at(112));
    assert_eq!(switch.reached(0, &data(7), at(113)), [1, 2]);
    assert_eq!(switch.hear(0, &data(8), at(113)).0, Verdict::Drop(DropReason::NoMember));
    // ALLOW lets it in, BLOCK asks whether anybody wants it still.
    switch.hear(2, &report(2, 5, &[host(8)]), at(113));
    assert_eq!(switch.reached(0, &data(8), at(114)), [2]);
    switch.said.clear();
    switch.hear(2, &report(2, 6, &[host(8)]), at(114));
    assert_eq!(switch.said.len(), 1);
    assert_eq!(switch.reached(0, &data(8), at(115)), [2]);
    assert_eq!(switch.hear(0, &data(8), at(117)).0, Verdict::Drop(DropReason::NoMember));
    // TO_IN {} ends it, when nobody answers.
    switch.hear(2, &report(2, 3, &[]), at(120));
    assert_eq!(switch.reached(0, &data(9), at(121)), [2]);
    assert_eq!(switch.hear(0, &data(9), at(123)).0, Verdict::Drop(DropReason::NoMember));
}

#[test]
fn reports_of_version_3_are_joins_and_leaves_to_version_2() {
    let mut switch = Switch::asking(McastConfig::default());
    switch.hear(1, &report(1, 4, &[]), at(111));
    assert_eq!(switch.reached(0, &data(0), at(112)), [1]);
    switch.hear(1, &report(1, 3, &[]), at(112));
    assert_eq!(switch.hear(0, &data(0), at(115)).0, Verdict::Drop(DropReason::NoMember));
}

#[test]
fn a_port_has_its_limit_and_a_full_network_floods() {
    let config = McastConfig { hash_max: 3, ..McastConfig::default() };
    let mut switch = Switch::asking(config);
    change(&mut switch.bridge, 1, |port| port.settings.mcast_max_groups = 2);
    let join = |last: u8| igmp(1, 0x16, 0, &[239, 1, 2, last], [239, 1, 2, last]);
    let data = |last: u8| ipv4(0, 17, host(0), [239, 1, 2, last], &[0; 8]);
    for last in 1..=3 {
        switch.hear(1, &join(last), at(111));
    }
    let snoop = switch.bridge.snoops.get(NetworkId::FIRST).unwrap();
    assert_eq!((snoop.of_port(PortId(1)), snoop.counts().refused), (2, 1));
    assert_eq!(switch.hear(0, &data(3), at(112)).0, Verdict::Drop(DropReason::NoMember));
    for last in 3..=4 {
        switch.hear(2, &join(last), at(112));
    }
    assert_eq!((snoop.counts().groups, snoop.counts().refused), (3, 2));
    // What is known goes to its members, what is not to everybody, for a membership's time.
    assert_eq!(switch.reached(0, &data(3), at(113)), [2]);
    assert_eq!(switch.hear(0, &data(9), at(113)), (Verdict::Flood, vec![1, 2, 3]));
    assert_eq!(switch.hear(0, &data(9), at(373)).0, Verdict::Drop(DropReason::NoMember));
}

#[test]
fn what_is_set_by_hand_stays() {
    let mut switch = Switch::asking(McastConfig::default());
    let snoop = switch.bridge.snoops.get(NetworkId::FIRST).unwrap();
    let settings = PortSettings::default();
    let group = Group::Ip(Ipv4Addr::from(GROUP).into());
    assert!(snoop.set(VlanId::NONE, group, (PortId(3), &settings), at(111)));
    switch.hear(3, &leave(3), at(112));
    switch.tick(at(9_000));
    assert_eq!(switch.reached(0, &data(0), at(9_000)), [3]);
    // The link's going down takes what was learned; the port's going takes all.
    change(&mut switch.bridge, 3, |port| port.up = false);
    change(&mut switch.bridge, 3, |port| port.up = true);
    assert_eq!(switch.reached(0, &data(0), at(9_000)), [3]);
    assert!(snoop.end(VlanId::NONE, group, PortId(3)));
    assert!(!snoop.end(VlanId::NONE, group, PortId(3)));
    // Of other frames than IP's by their hardware address, whoever asks.
    let other = [&[3, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0x88, 0xb5][..], &[0; 46]].concat();
    assert_eq!(switch.reached(0, &other, at(9_000)), [1, 2, 3]);
    let mac = Group::Mac(MacAddr([3, 0, 0, 0, 0, 9]));
    assert!(snoop.set(VlanId::NONE, mac, (PortId(1), &settings), at(9_000)));
    assert_eq!(switch.reached(0, &other, at(9_000)), [1]);
}

#[test]
fn a_broken_header_is_dropped() {
    let mut switch = Switch::with(McastConfig::default());
    let mut bad = join(0);
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!(switch.hear(0, &bad, at(1)).0, Verdict::Drop(DropReason::BadMembership));
}

#[test]
fn each_vlan_has_groups_of_its_own() {
    let mut bridge = bridge(None);
    let mcast = McastConfig { snooping: true, querier: true, ..McastConfig::default() };
    let vlans = Some(VlanFilter::default());
    let config = NetworkConfig { mcast, vlans, ..NetworkConfig::default() };
    bridge.set_network(NetworkId::FIRST, config);
    let vid = VlanId::from_tci;
    for (port, vlan) in [(0, 10), (1, 10), (2, 20)] {
        change(&mut bridge, port, |port| port.vlans = PortVlans::access(vid(vlan)).into());
    }
    let mut trunk = PortVlans::none();
    [10, 20].into_iter().for_each(|vlan| trunk.add(vid(vlan), false));
    change(&mut bridge, 3, |port| port.vlans = trunk.into());
    let mut switch = Switch { bridge, said: Vec::new() };
    switch.tick(at(100));
    // In VLAN 10 at three ports and in 20 at two, by two protocols; to the trunk with a tag.
    let tags = |port| switch.said.iter().filter(move |(_, exit)| exit.port == PortId(port));
    assert_eq!((tags(0).count(), tags(2).count(), tags(3).count()), (2, 2, 4));
    assert!(tags(3).all(|(_, exit)| matches!(exit.tagging, Tagging::Push(_))));
    switch.hear(1, &join(1), at(111));
    switch.hear(2, &join(2), at(111));
    assert_eq!(switch.reached(0, &data(0), at(112)), [1]);
}

/// A solicitation for `target` from host `n`.
fn solicitation(n: u8, from: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let to: Ipv6Addr =
        format!("ff02::1:ff{a:02x}:{:x}", u16::from_be_bytes([b, c])).parse().unwrap();
    let body =
        [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1, 2, 0, 0, 0, 0, n]].concat();
    [
        &[0x33, 0x33, 0xff, a, b, c, 2, 0, 0, 0, 0, n, 0x86, 0xdd][..],
        &[0x60, 0, 0, 0, 0, 32, 58, 255],
        &from.octets(),
        &to.octets(),
        &body,
    ]
    .concat()
}

fn request(n: u8, target: [u8; 4]) -> Vec<u8> {
    let asker = [2, 0, 0, 0, 0, n];
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &asker, &host(n), &[0; 6], &target].concat();
    [&[0xff; 6][..], &asker, &[8, 6], &arp].concat()
}

#[test]
fn questions_for_neighbours_are_answered_on_their_behalf() {
    let mut bridge = bridge(None);
    change(&mut bridge, 2, |port| port.settings.neigh_suppress = true);
    let v6: Ipv6Addr = "2001:db8::2".parse().unwrap();
    let known = [(IpAddr::from(host(2)), mac(2)), (v6.into(), mac(2)), (host(3).into(), mac(3))];
    bridge.set_neighbours(NetworkId::FIRST, Arc::new(known.into()));
    let mut switch = Switch { bridge, said: Vec::new() };
    // Answered, and sent to the others all the same; not to the port that suppresses.
    assert_eq!(switch.reached(0, &request(0, host(2)), at(2)), [1, 3]);
    let (answer, exit) = switch.said.pop().unwrap();
    assert_eq!((exit.port, exit.tagging), (PortId(0), Tagging::Keep));
    let wanted = [
        &[2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2][..],
        &[2, 0, 0, 0, 0, 2, 10, 0, 0, 2],
        &[2, 0, 0, 0, 0, 0, 10, 0, 0, 0],
    ]
    .concat();
    assert_eq!(answer, wanted);
    let from: Ipv6Addr = "2001:db8::9".parse().unwrap();
    assert_eq!(switch.reached(0, &solicitation(0, from, v6), at(2)), [1, 3]);
    let (answer, _) = switch.said.pop().unwrap();
    assert_eq!(answer[..14], [2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0x86, 0xdd]);
    assert_eq!((&answer[22..38], &answer[38..54]), (&v6.octets()[..], &from.octets()[..]));
    assert_eq!(answer[54..56], [136, 0]);
    // Who is known at a port that does not suppress is not answered for, and not asked there.
    assert_eq!(switch.reached(0, &request(0, host(3)), at(2)), [1, 3]);
    // Nobody known: as ever. Neither from the port itself.
    assert_eq!(switch.reached(0, &request(0, host(77)), at(2)), [1, 2, 3]);
    assert_eq!(switch.reached(2, &request(2, host(3)), at(2)), [0, 1, 3]);
    // What announces its own address is kept from it.
    assert_eq!(switch.reached(0, &request(0, host(0)), at(2)), [1, 3]);
    assert!(switch.said.is_empty());
    // Where nobody else is left, the frame ends here.
    for n in [1, 3] {
        switch.bridge.remove_port(PortId(n));
    }
    let said = switch.hear(0, &request(0, host(2)), at(2)).0;
    assert_eq!(said, Verdict::Drop(DropReason::NeighSuppress));
}

/// The reasons of networks that read group frames, for the list of all.
pub(super) const REASONS: [DropReason; 3] =
    [DropReason::NoMember, DropReason::BadMembership, DropReason::NeighSuppress];

#[test]
fn a_network_that_does_not_snoop_reads_nothing() {
    let bridge = bridge(None);
    let group = frame(mac(0), MacAddr::BROADCAST);
    assert!((0..4).all(|port| !bridge.reads(&group, PortId(port))) && !bridge.has_clock());
    assert_eq!(bridge.tick(at(1), &mut Path::default()), None);
}
