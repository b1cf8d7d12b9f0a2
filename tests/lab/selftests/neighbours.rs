//! Questions for neighbours, answered on their behalf.

use super::packets::{ALL, arp, ip, mac, plain};
use super::{Scenario, Step, play, send};

#[test]
fn questions_for_who_is_known_are_not_sent_where_they_are_suppressed() {
    let steps = vec![
        send(2, plain(ALL, mac(2))), // 0: host 2 is at port 2
        send(3, plain(ALL, mac(3))), // 1: host 3 at port 3
        send(1, arp(1, ip(2))),      // 2: to everybody
        Step::Set(
            "port net2 --neigh-suppress on",
            &["bridge link set dev veth2 neigh_suppress on"],
        ),
        send(1, arp(1, ip(2))), // 3: nobody is known: to everybody
        Step::Set(
            "neigh add 10.200.0.2 02:aa:00:00:00:02",
            &["ip neigh add 10.200.0.2 lladdr 02:aa:00:00:00:02 dev br0 nud permanent"],
        ),
        send(1, arp(1, ip(2))), // 4: answered: to the others
        Step::Set(
            "neigh add 10.200.0.3 02:aa:00:00:00:03",
            &["ip neigh add 10.200.0.3 lladdr 02:aa:00:00:00:03 dev br0 nud permanent"],
        ),
        send(1, arp(1, ip(3))),  // 5: known: not to port 2
        send(2, arp(2, ip(3))),  // 6: by the port itself: to everybody
        send(1, arp(1, ip(1))),  // 7: announces itself: not to port 2
        send(1, arp(1, ip(99))), // 8: unknown: to everybody
    ];
    play(&Scenario {
        steps,
        wanted: [
            &[0, 1, 6],
            &[1, 2, 3, 8],
            &[0, 2, 3, 4, 5, 6, 7, 8],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        ],
    });
}
