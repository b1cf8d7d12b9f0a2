//! Ports that have nothing to do with each other: no kind of frame passes from one to the other, with
//! no tag and with any (the scenarios of no_forwarding).

use std::net::Ipv6Addr;

use super::packets::{ALL, data, data6, ip, ipv4, ipv6, mac, plain, tagged, to};
use super::vlans::{Heard, set};
use super::{Scenario, Step, play, send, vlans, wait};

/// As far apart as the kernel's own test has them; 0 is a priority alone.
const VLANS: [u16; 14] = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 4094];

/// One of each kind, from host 1 to host 2 and to groups.
fn kinds() -> [Vec<u8>; 7] {
    let (host, nodes) =
        (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let udp = [0x12, 0x34, 0x12, 0x34, 0, 8, 0, 0];
    [
        plain(mac(2), mac(1)),
        plain([1, 2, 3, 4, 5, 6], mac(1)),
        plain(ALL, mac(1)),
        to(mac(2), &ipv4(1, 17, ip(1), ip(2), &udp)),
        data(1, [224, 0, 0, 1]),
        to(mac(2), &ipv6(1, 17, host, &udp)),
        data6(1, nodes),
    ]
}

/// All of them by port 1: first without a tag, then by each VLAN.
fn all() -> impl Iterator<Item = Step> {
    let by_vlan =
        VLANS.iter().flat_map(|vlan| kinds().map(|frame| tagged(&frame, (0x8100, *vlan))));
    kinds().into_iter().chain(by_vlan).map(|frame| send(1, frame))
}

/// The numbers of all of them, where `first` is the first.
fn numbers(first: u8) -> Vec<u8> {
    (first..).take(7 * (1 + VLANS.len())).collect()
}

#[test]
fn nothing_passes_between_networks() {
    let mut steps = vec![
        Step::Set(
            "network add other",
            &["ip link add br1 type bridge forward_delay 0 mcast_snooping 0", "ip link set br1 up"],
        ),
        Step::Set("port net2 --network other", &["ip link set veth2 master br1"]),
        Step::Set("port net4 --network other", &["ip link set veth4 master br1"]),
        wait(500),
        send(2, plain(ALL, mac(2))), // 0: host 2 is known, and where it is
        send(3, plain(mac(2), mac(3))), // 1: not here
    ];
    steps.extend(all());
    let wanted = [&[1][..], &[], &*numbers(2).leak(), &[0]];
    play(&Scenario { steps, wanted });
}

#[test]
fn nothing_passes_from_a_port_of_no_network() {
    let mut steps = vec![
        send(2, plain(ALL, mac(2))), // 0: host 2 is known
        Step::Set("port net1 --network none", &["ip link set veth1 nomaster"]),
        wait(500),
    ];
    steps.extend(all());
    steps.push(send(2, plain(mac(1), mac(2)))); // nor is host 1 known by what it has said
    let last = u8::try_from(numbers(1).len()).unwrap() + 1;
    // The frames that end a scenario are for everybody.
    steps.push(Step::Set("port net1 --network lan", &["ip link set veth1 master br0"]));
    steps.push(wait(500));
    let both = &*vec![0, last].leak();
    play(&Scenario { steps, wanted: [&[0], &[], both, both] });
}

/// Ports of one network whose frames without a tag belong to two VLANs, and which know no other.
#[test]
fn nothing_passes_between_ports_of_two_pvids() {
    let mut steps = vec![
        set("network set lan --vlan-filtering on --vlan-default-pvid 0"),
        set("vlan add net1 1 --pvid --untagged"),
        set("vlan add net2 2 --pvid --untagged"),
        set("vlan add net3 1 --pvid --untagged"),
        set("vlan add net4 2 --pvid --untagged"),
        send(2, plain(ALL, mac(2))), // 0: to 4
    ];
    steps.extend(all());
    // What has no VLAN is of VLAN 1, as is what says so; of the others port 1 is no member.
    let heard: Vec<Heard> = numbers(1).into_iter().take(7 * 3).map(|n| (n, None)).collect();
    vlans::play(steps, [&[], &[], heard.leak(), &[(0, None)]]);
}
