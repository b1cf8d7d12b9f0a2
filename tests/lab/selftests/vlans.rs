//! VLANs told apart: who hears a frame, and with which tag (IEEE 802.1Q-2022, 6.9 and 8.6; the
//! scenarios of bridge_vlan_aware).

use super::packets::{ALL, mac, plain, tagged};
use super::{Scenario, Step, ours, send};
use crate::support::captured;

/// A frame and the tag in it, if any: TPID and TCI.
pub(super) type Heard = (u8, Option<(u16, u16)>);

pub(super) fn q(vlan: u16) -> Option<(u16, u16)> {
    Some((0x8100, vlan))
}

/// Plays it, and compares what each port heard with what is wanted.
pub(super) fn play(mut steps: Vec<Step>, wanted: [&[Heard]; 4]) {
    captured(|sandbox| {
        // The frames that end a scenario are for everybody.
        steps.push(set("network set lan --vlan-filtering off"));
        let scenario = Scenario { steps, wanted: [&[]; 4] };
        for (port, (heard, wanted)) in (1..).zip(ours(sandbox, &scenario).iter().zip(wanted)) {
            let tag = |bytes: &[u8]| {
                let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
                [0x8100, 0x88a8].contains(&word(12)).then(|| (word(12), word(14)))
            };
            let heard: Vec<Heard> = heard.iter().map(|(n, bytes)| (*n, tag(bytes))).collect();
            assert_eq!(heard, wanted, "port {port}");
        }
    });
}

pub(super) fn set(line: &'static str) -> Step {
    Step::Set(line, &[])
}

/// 1 and 2 have access to VLAN 10, 4 to VLAN 20, 3 has both with their tags.
pub(super) fn access_and_trunk() -> Vec<Step> {
    vec![
        set("network set lan --vlan-filtering on"),
        set("vlan add net1 10 --pvid --untagged"),
        set("vlan del net1 1"),
        set("vlan add net2 10 --pvid --untagged"),
        set("vlan del net2 1"),
        set("vlan add net3 10"),
        set("vlan add net3 20"),
        set("vlan add net4 20 --pvid --untagged"),
        set("vlan del net4 1"),
    ]
}

#[test]
fn frames_stay_in_their_vlan_and_addresses_with_them() {
    let mut steps = access_and_trunk();
    steps.extend([
        send(1, plain(mac(99), mac(1))), // 0: unknown: to 2, and tagged to 3
        send(4, plain(mac(1), mac(4))),  // 1: unknown in VLAN 20: tagged to 3
        send(2, plain(mac(1), mac(2))),  // 2: known in VLAN 10: to 1 alone
        send(3, tagged(&plain(mac(1), mac(3)), (0x8100, 10))), // 3: to 1, without its tag
        send(3, tagged(&plain(mac(4), mac(3)), (0x8100, 20))), // 4: to 4
        send(1, plain(mac(3), mac(1))),  // 5: known at 3 in VLAN 10
        send(1, plain(ALL, mac(1))),     // 6: everybody of VLAN 10
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 10))), // 7: its own VLAN by a tag
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 20))), // 8: a VLAN it is not in: to nobody
        send(3, tagged(&plain(ALL, mac(3)), (0x8100, 30))), // 9: a VLAN nobody is in
    ]);
    play(
        steps,
        [
            &[(2, None), (3, None)],
            &[(0, None), (6, None), (7, None)],
            &[(0, q(10)), (1, q(20)), (5, q(10)), (6, q(10)), (7, q(10))],
            &[(4, None)],
        ],
    );
}

#[test]
fn one_address_may_be_at_two_ports_in_two_vlans() {
    let mut steps = access_and_trunk();
    steps.extend([
        send(1, plain(mac(99), mac(7))), // 0: host 7 at 1 in VLAN 10
        send(4, plain(mac(99), mac(7))), // 1: and at 4 in VLAN 20
        send(3, tagged(&plain(mac(7), mac(3)), (0x8100, 10))), // 2: to 1
        send(3, tagged(&plain(mac(7), mac(3)), (0x8100, 20))), // 3: to 4
    ]);
    play(steps, [&[(2, None)], &[(0, None)], &[(0, q(10)), (1, q(20))], &[(3, None)]]);
}

#[test]
fn a_vlan_that_is_deleted_carries_nothing_until_it_is_there_again() {
    let mut steps = access_and_trunk();
    steps.extend([
        send(1, plain(ALL, mac(1))), // 0: to 2, to 3
        set("vlan del net2 10"),
        send(1, plain(ALL, mac(1))), // 1: to 3 alone
        send(2, plain(ALL, mac(2))), // 2: without a PVID: to nobody
        set("vlan add net2 10 --pvid --untagged"),
        send(2, plain(mac(1), mac(2))), // 3: to 1
    ]);
    play(steps, [&[(3, None)], &[(0, None)], &[(0, q(10)), (1, q(10))], &[]]);
}

#[test]
fn a_priority_tag_belongs_to_the_pvid_and_keeps_its_priority() {
    let mut steps = access_and_trunk();
    steps.extend([
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 0xa000))), // 0: priority 5, VLAN 0
        send(3, tagged(&plain(ALL, mac(3)), (0x8100, 0x600a))), // 1: priority 3, VLAN 10
        set("vlan del net1 10"),
        set("vlan add net1 10 --untagged"),
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 0xa000))), // 2: no PVID: to nobody
        send(1, tagged(&plain(ALL, mac(1)), (0x8100, 10))),     // 3: by its tag
        set("vlan add net1 10 --pvid --untagged"),
    ]);
    play(
        steps,
        [
            &[(1, None)],
            &[(0, None), (1, None), (3, None)],
            &[(0, Some((0x8100, 0xa00a))), (3, q(10))],
            &[],
        ],
    );
}

#[test]
fn a_tag_of_another_kind_is_no_tag() {
    let mut steps = access_and_trunk();
    steps.extend([
        // 802.1ad's number 20 means nothing to a bridge of 802.1Q: the frame is of the PVID.
        send(1, tagged(&plain(ALL, mac(1)), (0x88a8, 20))), // 0: to 2 as it is, to 3 behind a tag
    ]);
    play(steps, [&[], &[(0, Some((0x88a8, 20)))], &[(0, q(10))], &[]]);
}

#[test]
fn what_another_program_has_learned_moves_and_does_not_age() {
    let mut steps = access_and_trunk();
    steps.extend([
        set("network set lan --ageing-time 1"),
        set("fdb add 02:aa:00:00:00:05 net1 --extern --vlan 10"),
        Step::Wait(std::time::Duration::from_millis(2500)),
        send(2, plain(mac(5), mac(2))), // 0: to 1 still
        send(3, tagged(&plain(mac(99), mac(5)), (0x8100, 10))), // 1: it speaks at 3 now
        send(2, plain(mac(5), mac(2))), // 2: to 3
    ]);
    play(steps, [&[(0, None), (1, None)], &[(1, None)], &[(2, q(10))], &[]]);
}
