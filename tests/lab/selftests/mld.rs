//! Groups of IPv6.

use super::packets::{data6, mld};
use super::{Scenario, Step, play, send, wait};

#[test]
fn members_of_ipv6_groups_come_and_go() {
    let group = "ff05::1234".parse().unwrap();
    let routers = "ff02::2".parse().unwrap();
    let nodes = "ff02::1".parse().unwrap();
    let steps = vec![
        Step::Set(
            "network set lan --mcast-snooping on --mcast-last-member-interval 0.5",
            &["ip link set br0 type bridge mcast_snooping 1 mcast_last_member_interval 50"],
        ),
        // The Linux bridge's own timer, which it starts now, is to have run out: while it runs, only
        // an address below its own can be the querier's.
        wait(100),
        // Port 3 asks.
        send(3, mld(3, 130, "::".parse().unwrap(), nodes)), // 0: to everybody
        wait(1500),
        send(1, data6(1, group)),             // 1: to the router
        send(2, mld(2, 131, group, group)),   // 2: the report to the router
        send(1, data6(1, group)),             // 3: to 2 and the router
        send(1, data6(1, nodes)),             // 4: to everybody
        send(2, mld(2, 132, group, routers)), // 5: done: to everybody; the router asks, not we
        send(1, data6(1, group)),             // 6: to both still
        Step::Set("port net2 --fastleave on", &["bridge link set dev veth2 fastleave on"]),
        send(2, mld(2, 132, group, routers)), // 7: to everybody
        send(1, data6(1, group)),             // 8: to the router
    ];
    play(&Scenario {
        steps,
        wanted: [&[0, 5, 7], &[0, 3, 4, 6], &[1, 2, 3, 4, 5, 6, 7, 8], &[0, 4, 5, 7]],
    });
}
