//! A locked port whose frames have VLANs, and addresses that wait there to be let in.

use super::packets::{ALL, mac, plain, tagged};
use super::send;
use super::vlans::{play, set};

/// Members of VLAN 100 by their tags, beside the preset.
fn tagged_ports() -> Vec<super::Step> {
    vec![
        set("network set lan --vlan-filtering on"),
        set("vlan add net1 100"),
        set("vlan add net2 100"),
        set("port net1 --learning off"),
    ]
}

#[test]
fn a_locked_port_lets_in_who_is_set_in_that_vlan() {
    let in_100 = |dst, src| tagged(&plain(dst, src), (0x8100, 100));
    let tag = Some((0x8100, 100));
    let mut steps = tagged_ports();
    steps.extend([
        send(1, in_100(ALL, mac(1))), // 0: to 2
        set("port net1 --locked on"),
        send(1, in_100(ALL, mac(1))),    // 1: to nobody
        send(2, in_100(mac(1), mac(2))), // 2: out of it all passes
        set("fdb add 02:aa:00:00:00:01 net1 --static --vlan 100"),
        send(1, in_100(ALL, mac(1))),    // 3: to 2
        send(1, in_100(mac(2), mac(1))), // 4: to 2
        send(1, plain(ALL, mac(1))),     // 5: not known in VLAN 1: to nobody
        set("fdb del 02:aa:00:00:00:01 net1 --vlan 100"),
        send(1, in_100(ALL, mac(1))), // 6: to nobody
        set("port net1 --locked off"),
        send(1, in_100(ALL, mac(1))), // 7: to 2
        send(1, plain(ALL, mac(1))),  // 8: to everybody
    ]);
    play(
        steps,
        [
            &[(2, tag)],
            &[(0, tag), (3, tag), (4, tag), (7, tag), (8, None)],
            &[(8, None)],
            &[(8, None)],
        ],
    );
}

/// Who waits in one VLAN waits there, and is let in there alone.
#[test]
fn who_waits_at_a_locked_port_is_let_in_by_hand() {
    let in_100 = |dst, src| tagged(&plain(dst, src), (0x8100, 100));
    let tag = Some((0x8100, 100));
    let mut steps = tagged_ports();
    steps.extend([
        set("port net1 --learning on --locked on"),
        send(1, plain(ALL, mac(1))), // 0: to nobody
        set("port net1 --mab on"),
        send(1, plain(ALL, mac(1))),    // 1: noted, and to nobody
        send(1, in_100(ALL, mac(1))),   // 2: the same
        send(2, plain(mac(1), mac(2))), // 3: who waits is known where it is
        set("fdb add 02:aa:00:00:00:01 net1 --static --vlan 100"),
        send(1, in_100(ALL, mac(1))), // 4: to 2
        send(1, plain(ALL, mac(1))),  // 5: waits still
        set("fdb add 02:aa:00:00:00:01 net1 --static --vlan 1"),
        send(1, plain(ALL, mac(1))), // 6: to everybody
        set("fdb del 02:aa:00:00:00:01 net1"),
        set("port net1 --mab off --locked off"),
        send(1, plain(ALL, mac(1))), // 7: to everybody
    ]);
    let open = [(6, None), (7, None)];
    play(steps, [&[(3, None)], &[(4, tag), (6, None), (7, None)], &open, &open]);
}
