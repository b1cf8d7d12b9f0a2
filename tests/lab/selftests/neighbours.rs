//! Questions for neighbours, answered on their behalf.

use super::packets::{ALL, advertise, arp, ip, link_local, mac, plain, solicit, to};
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

#[test]
fn solicitations_for_who_is_known_are_not_sent_where_they_are_suppressed() {
    let steps = vec![
        send(2, plain(ALL, mac(2))),        // 0: host 2 is at port 2
        send(3, plain(ALL, mac(3))),        // 1: host 3 at port 3
        send(1, solicit(1, link_local(2))), // 2: to everybody
        Step::Set(
            "port net2 --neigh-suppress on",
            &["bridge link set dev veth2 neigh_suppress on"],
        ),
        send(1, solicit(1, link_local(2))), // 3: nobody is known: to everybody
        Step::Set(
            "neigh add fe80::2 02:aa:00:00:00:02",
            &["ip neigh add fe80::2 lladdr 02:aa:00:00:00:02 dev br0 nud permanent"],
        ),
        send(1, solicit(1, link_local(2))), // 4: answered: to the others
        Step::Set(
            "neigh add fe80::3 02:aa:00:00:00:03",
            &["ip neigh add fe80::3 lladdr 02:aa:00:00:00:03 dev br0 nud permanent"],
        ),
        send(1, solicit(1, link_local(3))), // 5: known: not to port 2
        send(2, solicit(2, link_local(3))), // 6: by the port itself: to everybody
        send(1, advertise(1)),              // 7: announces itself: not to port 2
        send(1, solicit(1, link_local(99))), // 8: unknown: to everybody
        Step::Set(
            "port net2 --neigh-suppress off",
            &["bridge link set dev veth2 neigh_suppress off"],
        ),
        send(1, solicit(1, link_local(2))), // 9: to everybody
    ];
    play(&Scenario {
        steps,
        wanted: [
            &[0, 1, 6],
            &[1, 2, 3, 8, 9],
            &[0, 2, 3, 4, 5, 6, 7, 8, 9],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        ],
    });
}

/// Who asks one host, and not everybody, looks whether it is there: it is to answer itself.
#[test]
fn questions_to_one_host_are_its_own_to_answer() {
    let steps = vec![
        send(2, plain(ALL, mac(2))), // 0: host 2 is at port 2
        Step::Set(
            "port net2 --neigh-suppress on",
            &["bridge link set dev veth2 neigh_suppress on"],
        ),
        Step::Set(
            "neigh add 10.200.0.2 02:aa:00:00:00:02",
            &["ip neigh add 10.200.0.2 lladdr 02:aa:00:00:00:02 dev br0 nud permanent"],
        ),
        Step::Set(
            "neigh add fe80::2 02:aa:00:00:00:02",
            &["ip neigh add fe80::2 lladdr 02:aa:00:00:00:02 dev br0 nud permanent"],
        ),
        send(1, to(mac(2), &arp(1, ip(2)))), // 1: to 2
        send(1, to(mac(2), &solicit(1, link_local(2)))), // 2: to 2
    ];
    play(&Scenario { steps, wanted: [&[0], &[1, 2], &[0], &[0]] });
}

/// Whoever asks for an address of its own asks for one that is not known: everybody hears it.
#[test]
fn a_solicitation_for_ones_own_address_is_a_question() {
    let steps = vec![
        Step::Set(
            "port net2 --neigh-suppress on",
            &["bridge link set dev veth2 neigh_suppress on"],
        ),
        send(1, solicit(1, link_local(1))), // 0: to everybody
    ];
    play(&Scenario { steps, wanted: [&[], &[0], &[0], &[0]] });
}
