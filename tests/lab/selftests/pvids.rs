//! Which VLAN a frame without one belongs to: the PVID, where it changes, and tags of the other kind.

use super::packets::{ALL, mac, plain, tagged};
use super::send;
use super::vlans::{access_and_trunk, play, q, set};

/// A tag of a priority alone.
fn priority() -> Vec<u8> {
    tagged(&plain(ALL, mac(1)), (0x8100, 0xa000))
}

#[test]
fn a_priority_tag_is_let_in_whatever_the_default_pvid() {
    let steps = vec![
        set("network set lan --vlan-filtering on"),
        send(1, priority()), // 0: to everybody
        set("network set lan --vlan-default-pvid 10"),
        send(1, priority()), // 1: to everybody
        set("vlan add net3 10"),
        send(1, priority()), // 2: with a tag to 3, and with its priority
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 1))), // 3: VLAN 1 is nobody's now
    ];
    let open = [(0, None), (1, None), (2, None)];
    play(steps, [&[], &open, &[(0, None), (1, None), (2, Some((0x8100, 0xa00a)))], &open]);
}

#[test]
fn a_port_without_a_pvid_takes_frames_with_a_vlan_alone() {
    let both = || [send(1, plain(ALL, mac(1))), send(1, priority())];
    let mut steps = vec![set("network set lan --vlan-filtering on")];
    steps.extend(both()); // 0, 1: to everybody
    steps.push(set("vlan add net1 1 --untagged"));
    steps.extend(both()); // 2, 3: to nobody
    steps.push(send(1, tagged(&plain(ALL, mac(1)), (0x8100, 1)))); // 4: to everybody
    steps.push(send(2, plain(ALL, mac(2)))); // 5: to it as well
    steps.push(set("vlan add net1 1 --pvid --untagged"));
    steps.extend(both()); // 6, 7: to everybody
    steps.push(set("vlan del net1 1"));
    steps.extend(both()); // 8, 9: to nobody
    steps.push(send(2, plain(ALL, mac(2)))); // 10: not to it
    steps.push(set("vlan add net1 1 --pvid --untagged"));
    steps.push(set("network set lan --vlan-default-pvid 0"));
    steps.extend(both()); // 11, 12: to nobody
    steps.push(set("network set lan --vlan-default-pvid 1"));
    steps.extend(both()); // 13, 14: to everybody
    let open = [0, 1, 4, 6, 7, 13, 14].map(|n| (n, None));
    let also_3 = [0, 1, 4, 5, 6, 7, 10, 13, 14].map(|n| (n, None));
    play(steps, [&[(5, None)], &open, &also_3, &also_3]);
}

#[test]
fn with_a_providers_tags_those_of_customers_are_payload() {
    let mut steps = vec![set("network set lan --vlan-filtering on --vlan-protocol 802.1ad")];
    steps.extend(access_and_trunk());
    steps.extend([
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 20))), // 0: of its PVID, and as it is
        send(1, tagged(&plain(ALL, mac(1)), (0x88a8, 10))), // 1: its own VLAN by a tag
        send(1, tagged(&plain(ALL, mac(1)), (0x88a8, 20))), // 2: a VLAN it is not in
        send(3, tagged(&plain(ALL, mac(3)), (0x88a8, 20))), // 3: to 4
        send(3, tagged(&plain(ALL, mac(3)), (0x8100, 20))), // 4: of 3's PVID, which is nobody else's
    ]);
    let s = |vlan| Some((0x88a8, vlan));
    play(steps, [&[], &[(0, q(20)), (1, None)], &[(0, s(10)), (1, s(10))], &[(3, None)]]);
}

/// Floods keep to their VLAN and to the flags of its ports.
#[test]
fn floods_follow_their_flags_within_a_vlan() {
    let group = [1, 0, 0x5e, 1, 2, 3];
    let mut steps = access_and_trunk();
    steps.extend([
        set("port net2 --flood off --mcast-flood on"),
        send(1, plain(mac(99), mac(1))), // 0: unknown: to 3
        send(1, plain(group, mac(1))),   // 1: to 2 and 3
        set("port net2 --flood on --mcast-flood off"),
        send(1, plain(mac(99), mac(1))), // 2: to 2 and 3
        send(1, plain(group, mac(1))),   // 3: to 3
        set("port net1 --hairpin on"),
        send(1, tagged(&plain(group, mac(1)), (0x8100, 10))), // 4: back as well, without its tag
        set("port net1 --hairpin off"),
        set("port net1 --isolated on"),
        set("port net3 --isolated on"),
        send(1, plain(mac(99), mac(1))), // 5: to 2
    ]);
    play(
        steps,
        [
            &[(4, None)],
            &[(1, None), (2, None), (5, None)],
            &[(0, q(10)), (1, q(10)), (2, q(10)), (3, q(10)), (4, q(10))],
            &[],
        ],
    );
}
