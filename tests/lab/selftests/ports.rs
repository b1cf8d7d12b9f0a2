//! What ports are set to: floods, isolation, locks, entries that stick.

use super::packets::{ALL, mac, plain};
use super::{Scenario, Step, play, send, wait};

#[test]
fn isolated_ports_reach_others_alone() {
    let steps = vec![
        Step::Set("port net1 --isolated on", &["bridge link set dev veth1 isolated on"]),
        Step::Set("port net2 --isolated on", &["bridge link set dev veth2 isolated on"]),
        send(1, plain(ALL, mac(1))),     // 0: not to 2
        send(2, plain(mac(1), mac(2))),  // 1: known at 1: to nobody
        send(3, plain(mac(1), mac(3))),  // 2: to 1
        send(1, plain(mac(99), mac(1))), // 3: unknown: not to 2
        Step::Set("port net2 --isolated off", &["bridge link set dev veth2 isolated off"]),
        send(2, plain(mac(1), mac(2))), // 4: to 1
    ];
    play(&Scenario { steps, wanted: [&[2, 4], &[], &[0, 3], &[0, 3]] });
}

#[test]
fn floods_follow_their_flags() {
    let group = [1, 0, 0x5e, 1, 2, 3];
    let steps = vec![
        Step::Set("port net2 --flood off", &["bridge link set dev veth2 flood off"]),
        Step::Set("port net3 --mcast-flood off", &["bridge link set dev veth3 mcast_flood off"]),
        Step::Set("port net4 --bcast-flood off", &["bridge link set dev veth4 bcast_flood off"]),
        send(1, plain(mac(99), mac(1))), // 0: unknown
        send(1, plain(group, mac(1))),   // 1: a group
        send(1, plain(ALL, mac(1))),     // 2: everybody
        Step::Set("port net1 --hairpin on", &["bridge link set dev veth1 hairpin on"]),
        send(1, plain(group, mac(1))), // 3: back as well
        Step::Set("port net1 --hairpin off", &["bridge link set dev veth1 hairpin off"]),
        Step::Set("port net1 --learning off", &["bridge link set dev veth1 learning off"]),
        send(1, plain(mac(98), mac(7))), // 4: host 7 is not learned
        send(3, plain(mac(7), mac(3))),  // 5: so it is unknown
    ];
    play(&Scenario { steps, wanted: [&[3, 5], &[1, 2, 3], &[0, 2, 4], &[0, 1, 3, 4, 5]] });
}

#[test]
fn a_locked_port_lets_in_who_is_set_there() {
    let steps = vec![
        Step::Set(
            "port net1 --locked on --learning off",
            &["bridge link set dev veth1 locked on learning off"],
        ),
        send(1, plain(ALL, mac(1))), // 0: to nobody
        send(2, plain(ALL, mac(2))), // 1: to everybody
        send(1, plain(ALL, mac(2))), // 2: at home elsewhere: to nobody
        Step::Set(
            "fdb add 02:aa:00:00:00:01 net1",
            &["bridge fdb add 02:aa:00:00:00:01 dev veth1 master static"],
        ),
        send(1, plain(ALL, mac(1))),    // 3: to everybody
        send(2, plain(mac(1), mac(2))), // 4: to 1
        send(1, plain(mac(2), mac(1))), // 5: to 2
        Step::Set(
            "port net1 --locked off --learning on",
            &["bridge link set dev veth1 locked off learning on"],
        ),
        send(1, plain(ALL, mac(9))), // 6: to everybody
    ];
    play(&Scenario { steps, wanted: [&[1, 4], &[3, 5, 6], &[1, 3, 6], &[1, 3, 6]] });
}

#[test]
fn entries_that_are_set_neither_move_nor_age() {
    let steps = vec![
        Step::Set(
            "fdb add 02:aa:00:00:00:05 net1 --static",
            &["bridge fdb add 02:aa:00:00:00:05 dev veth1 master static"],
        ),
        send(2, plain(mac(5), mac(2))), // 0: to 1
        Step::Set("fdb flush", &["ip link set br0 type bridge fdb_flush"]),
        send(2, plain(mac(5), mac(2))), // 1: to 1 still
        Step::Set(
            "fdb del 02:aa:00:00:00:05",
            &["bridge fdb del 02:aa:00:00:00:05 dev veth1 master"],
        ),
        send(2, plain(mac(5), mac(2))), // 2: to everybody
        send(3, plain(ALL, mac(6))),    // 3: host 6 is at port 3
        send(4, plain(ALL, mac(6))),    // 4: and moves
        send(2, plain(mac(6), mac(2))), // 5: to 4
    ];
    play(&Scenario { steps, wanted: [&[0, 1, 2, 3, 4], &[3, 4], &[2, 4], &[2, 3, 5]] });
}

/// A static address that is seen elsewhere moves there and is static there; a sticky one stays where
/// it is, and what comes from it passes.
#[test]
fn static_addresses_move_and_sticky_ones_stay() {
    let steps = vec![
        Step::Set(
            "fdb add 02:aa:00:00:00:05 net1 --static",
            &["bridge fdb add 02:aa:00:00:00:05 dev veth1 master static"],
        ),
        send(2, plain(mac(5), mac(2))), // 0: to 1
        send(3, plain(mac(2), mac(5))), // 1: to 2; host 5 is at port 3 now
        send(2, plain(mac(5), mac(2))), // 2: to 3
        Step::Set("fdb flush", &["ip link set br0 type bridge fdb_flush"]),
        send(2, plain(mac(5), mac(2))), // 3: to 3 still
        Step::Set(
            "fdb add 02:aa:00:00:00:06 net1 --sticky",
            &["bridge fdb add 02:aa:00:00:00:06 dev veth1 master static sticky"],
        ),
        send(3, plain(mac(2), mac(6))), // 4: to 2
        send(2, plain(mac(6), mac(2))), // 5: to 1
    ];
    play(&Scenario { steps, wanted: [&[0, 5], &[1, 4], &[2, 3], &[]] });
}

#[test]
fn link_local_groups_pass_where_a_mask_says_so() {
    let to = |last| [1, 0x80, 0xc2, 0, 0, last];
    let steps = vec![
        send(1, plain(to(0), mac(1))), // 0: a BPDU passes where nobody speaks a spanning tree
        send(1, plain(to(1), mac(1))), // 1: PAUSE never
        send(1, plain(to(2), mac(1))), // 2: LACP
        send(1, plain(to(0xe), mac(1))), // 3: LLDP
        Step::Set(
            "network set lan --group-fwd-mask 0x4000",
            &["ip link set br0 type bridge group_fwd_mask 0x4000"],
        ),
        send(1, plain(to(0xe), mac(1))), // 4: passes now
        Step::Set(
            "port net1 --group-fwd-mask 0x4",
            &["ip link set veth1 type bridge_slave group_fwd_mask 0x4"],
        ),
        send(1, plain(to(2), mac(1))), // 5: passes from port 1
        send(2, plain(to(2), mac(2))), // 6: from no other
    ];
    play(&Scenario { steps, wanted: [&[], &[0, 4, 5], &[0, 4, 5], &[0, 4, 5]] });
}

/// Learned, aged out, and the usual ageing time set again: what comes next is flooded.
#[test]
fn an_address_that_has_aged_out_stays_unknown() {
    let usual = Step::Set(
        "network set lan --ageing-time 300",
        &["ip link set br0 type bridge ageing_time 30000"],
    );
    let steps = vec![
        Step::Set(
            "network set lan --ageing-time 1",
            &["ip link set br0 type bridge ageing_time 100"],
        ),
        send(1, plain(ALL, mac(1))), // 0
        wait(3500),
        send(2, plain(ALL, mac(2))), // 1
        usual,
        send(2, plain(mac(1), mac(2))), // 2: to all
        send(1, plain(mac(2), mac(1))), // 3: to 2
        send(2, plain(mac(1), mac(2))), // 4: to 1
        // A pause names nobody.
        send(3, plain([1, 0x80, 0xc2, 0, 0, 1], mac(3))), // 5
        send(2, plain(mac(3), mac(2))),                   // 6: to all
    ];
    play(&Scenario { steps, wanted: [&[1, 2, 4, 6], &[0, 3], &[0, 1, 2, 6], &[0, 1, 2, 6]] });
}
