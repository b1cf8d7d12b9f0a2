//! Groups of IPv4: joins, leaves, routers, sources.

use super::packets::{data, igmp, ip, ipv4, join, leave, report};
use super::{Scenario, Step, play, send, wait};

const G: [u8; 4] = [239, 10, 10, 10];
const H: [u8; 4] = [239, 10, 10, 11];

/// Snooping with short timers, asked for by the switch itself.
const ASKING: Step = Step::Set(
    "network set lan --mcast-snooping on --mcast-querier on --mcast-query-response-interval 1 \
     --mcast-last-member-interval 0.5",
    &[
        // Before the querier: as long as a response may take when it begins, all is flooded.
        "ip link set br0 type bridge mcast_query_response_interval 100 mcast_last_member_interval 50",
        "ip link set br0 type bridge mcast_snooping 1 mcast_querier 1",
    ],
);

#[test]
fn members_come_and_go() {
    let mut bad = join(2, H);
    bad[36] ^= 0xff;
    let steps = vec![
        send(1, data(1, G)), // 0: nobody snoops: to everybody
        ASKING,
        wait(2500),
        send(1, data(1, G)),                // 1: to nobody
        send(2, join(2, G)),                // 2: for routers, and there are none
        send(1, data(1, G)),                // 3: to 2
        send(2, data(2, G)),                // 4: not back
        send(1, data(1, [224, 0, 0, 251])), // 5: of the link: to everybody
        send(2, bad),                       // 6: broken
        send(1, data(1, H)),                // 7: so nobody is a member
        send(3, ipv4(3, 103, ip(3), [224, 0, 0, 13], &[0x20, 0, 0, 0])), // 8: a PIM router
        send(1, data(1, G)),                // 9: to 2 and the router
        send(1, data(1, H)),                // 10: to the router
        send(4, join(4, H)),                // 11: the report too
        send(4, report(4, 4, G, &[])),      // 12: one of version 3 to everybody
        send(1, data(1, G)),                // 13: to 2, 4 and the router
        send(2, leave(2, G)),               // 14: to everybody
        send(1, data(1, G)),                // 15: not given up yet
        wait(2500),
        send(1, data(1, G)), // 16: to 4 and the router
        Step::Set("port net4 --fastleave on", &["bridge link set dev veth4 fastleave on"]),
        send(4, leave(4, G)), // 17: to everybody
        send(1, data(1, G)),  // 18: at once to the router alone
        Step::Set("port net3 --mcast-router 0", &["bridge link set dev veth3 mcast_router 0"]),
        send(1, data(1, G)), // 19: to nobody
        Step::Set("port net2 --mcast-router 2", &["bridge link set dev veth2 mcast_router 2"]),
        send(1, data(1, G)), // 20: to 2
    ];
    play(&Scenario {
        steps,
        wanted: [
            &[5 + 3, 12, 14, 17],
            &[0, 3, 5, 8, 9, 12, 13, 15, 17, 20],
            &[0, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
            &[0, 5, 8, 13, 14, 15, 16],
        ],
    });
}

#[test]
fn sources_are_included_and_excluded() {
    let steps = vec![
        ASKING,
        Step::Set(
            "network set lan --mcast-igmp-version 3",
            &["ip link set br0 type bridge mcast_igmp_version 3"],
        ),
        wait(2500),
        send(2, report(2, 1, G, &[ip(1)])), // 0: IS_IN {1}: to everybody
        send(1, data(1, G)),                // 1: to 2
        send(4, data(4, G)),                // 2: to nobody
        send(3, report(3, 2, G, &[ip(4)])), // 3: IS_EX {4}: to everybody
        send(1, data(1, G)),                // 4: to 2 and 3
        send(4, data(4, G)),                // 5: to nobody
        send(2, report(2, 5, G, &[ip(4)])), // 6: ALLOW {4}
        send(4, data(4, G)),                // 7: to 2
        send(3, report(3, 5, G, &[ip(4)])), // 8: ALLOW {4}
        send(4, data(4, G)),                // 9: to 2 and 3
        send(3, report(3, 6, G, &[ip(4)])), // 10: BLOCK {4}: asked, and not answered
        wait(2000),
        send(4, data(4, G)), // 11: to 2
        send(1, data(1, G)), // 12: to 2 and 3
    ];
    play(&Scenario {
        steps,
        wanted: [
            &[0, 3, 6, 8, 10],
            &[1, 3, 4, 7, 8, 9, 10, 11, 12],
            &[0, 4, 6, 9, 12],
            &[0, 3, 6, 8, 10],
        ],
    });
}

/// A bridge's own querier asks from 0.0.0.0: what is behind it joins there, so it gets every group.
#[test]
fn who_asks_from_nowhere_is_a_router_too() {
    let query = igmp(3, 0x11, 10, &[0; 4], [224, 0, 0, 1])[34..42].to_vec();
    let steps = vec![
        Step::Set(
            "network set lan --mcast-snooping on",
            &["ip link set br0 type bridge mcast_snooping 1"],
        ),
        wait(100),
        send(3, ipv4(3, 2, [0; 4], [224, 0, 0, 1], &query)), // 0: a second to answer
        wait(1500),
        send(1, data(1, G)), // 1: to 3
        send(2, join(2, G)), // 2: to 3
        send(1, data(1, G)), // 3: to 2 and 3
    ];
    play(&Scenario { steps, wanted: [&[0], &[0, 3], &[1, 2, 3], &[0]] });
}

#[test]
fn another_one_who_asks_is_where_reports_go() {
    let steps = vec![
        Step::Set(
            "network set lan --mcast-snooping on",
            &["ip link set br0 type bridge mcast_snooping 1"],
        ),
        // The Linux bridge's own timer is to have run out (as in `mld`).
        wait(100),
        send(2, join(2, G)), // 0: nobody asks: to everybody
        send(1, data(1, G)), // 1: so does this
        send(3, igmp(3, 0x11, 10, &[0; 4], [224, 0, 0, 1])), // 2: port 3 asks, a second to answer
        wait(1500),
        send(1, data(1, G)), // 3: to 2, who has answered before, and to 3
        send(1, data(1, H)), // 4: to 3
        send(4, join(4, H)), // 5: to 3
        send(1, data(1, H)), // 6: to 3 and 4
    ];
    play(&Scenario { steps, wanted: [&[0, 2], &[1, 2, 3], &[0, 1, 3, 4, 5, 6], &[0, 1, 2, 6]] });
}

/// A member that excludes and is asked again may say that it includes nothing: nothing new (RFC 3376
/// 6.4.1). To include nothing from now on is to leave.
#[test]
fn to_include_nothing_as_ever_is_no_leave() {
    let steps = vec![
        ASKING,
        Step::Set(
            "network set lan --mcast-igmp-version 3",
            &["ip link set br0 type bridge mcast_igmp_version 3"],
        ),
        Step::Set("port net2 --fastleave on", &["bridge link set dev veth2 fastleave on"]),
        wait(2500),
        send(2, report(2, 2, G, &[ip(4)])), // 0: IS_EX {4}: to everybody
        send(2, report(2, 1, G, &[])),      // 1: IS_IN {}
        send(1, data(1, G)),                // 2: to 2
        send(2, report(2, 3, G, &[])),      // 3: TO_IN {}
        send(1, data(1, G)),                // 4: to nobody
    ];
    play(&Scenario { steps, wanted: [&[0, 1, 3], &[2], &[0, 1, 3], &[0, 1, 3]] });
}
