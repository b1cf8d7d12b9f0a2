#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::Site;
use super::*;

const VNI: u32 = 100;

fn end(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, host)
}

fn place(host: u8) -> IpAddr {
    end(host).into()
}

fn mac(number: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | number)
}

fn ip(last: u8) -> IpAddr {
    [10, 100, 1, last].into()
}

fn key(host: u8, of: Of) -> Key {
    Site::usual(VNI, end(host), 65000).key(of)
}

fn route(host: u8, sequence: u32) -> Route {
    Route { vtep: end(host), mobility: Mobility { sticky: false, sequence } }
}

/// What a host says of an address.
fn at(host: u8, number: u64, sequence: u32) -> (Key, Route) {
    (key(host, Of::Mac(mac(number), Some(ip(host)))), route(host, sequence))
}

fn own(table: &mut Table, macs: &[u64]) {
    table.set_own(&macs.iter().map(|number| (mac(*number), [ip(1)].into())).collect());
}

/// The number by which we say an address; None where we do not.
fn number(table: &Table, of: u64) -> Option<u32> {
    table.said().get(&Of::Mac(mac(of), Some(ip(1)))).copied()
}

fn secs(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn the_higher_number_has_an_address_and_at_a_tie_the_lower_end() {
    let mut table = Table::new(end(2));
    for (host, sequence, has) in [(5, 0, 5), (4, 0, 4), (6, 0, 4), (6, 1, 6), (4, 7, 4), (6, 7, 4)]
    {
        let (key, route) = at(host, 9, sequence);
        table.hear(key, route);
        assert_eq!(table.whereabouts(mac(9)), Some(place(has)), "{host} {sequence}");
    }
    // What does not move has it, whatever the number.
    let sticky = Route { mobility: Mobility { sticky: true, sequence: 0 }, ..route(8, 0) };
    table.hear(at(8, 9, 0).0, sticky);
    assert_eq!(table.whereabouts(mac(9)), Some(place(8)));
    table.forget(&at(8, 9, 0).0);
    assert_eq!(table.whereabouts(mac(9)), Some(place(4)));
}

#[test]
fn a_node_that_comes_takes_its_address_with_the_next_number_and_the_loser_says_nothing() {
    let mut table = Table::new(end(2));
    own(&mut table, &[1]);
    assert_eq!((number(&table, 1), table.whereabouts(mac(1))), (Some(0), None));
    // It moves away.
    let (key, there) = at(3, 1, 1);
    table.hear(key, there);
    assert_eq!((number(&table, 1), table.whereabouts(mac(1))), (None, Some(place(3))));
    assert_eq!(table.lost().collect::<Vec<_>>(), [(mac(1), there)]);
    // It is gone there: here it is again, by a number that nobody has heard.
    table.forget(&key);
    assert_eq!((number(&table, 1), table.lost().count()), (Some(2), 0));
    // A node that was elsewhere comes here.
    let (key, there) = at(3, 5, 7);
    table.hear(key, there);
    own(&mut table, &[1, 5]);
    assert_eq!((number(&table, 5), table.whereabouts(mac(5))), (Some(8), None));
    // Both at once, neither knew of the other: the lower end has it.
    for (other, number_here) in [(3, Some(0)), (1, None)] {
        own(&mut table, &[]);
        own(&mut table, &[6]);
        table.hear(at(other, 6, 0).0, route(other, 0));
        assert_eq!(number(&table, 6), number_here, "{other}");
        table.forget(&at(other, 6, 0).0);
    }
}

#[test]
fn what_an_earlier_process_said_is_gone_on_from() {
    let mut table = Table::new(end(2));
    table.remember(mac(1), 4);
    table.remember(mac(1), 3);
    own(&mut table, &[1]);
    assert_eq!(number(&table, 1), Some(4));
    // A number that the speaker does not take.
    table.raise(mac(1));
    assert_eq!(number(&table, 1), Some(9));
    table.hear(at(3, 1, u32::MAX).0, route(3, u32::MAX));
    table.forget(&at(3, 1, 0).0);
    assert_eq!(number(&table, 1), Some(u32::MAX));
}

#[test]
fn what_was_known_outlives_a_speaker_that_is_started_anew() {
    let mut table = Table::new(end(2));
    let all = [at(3, 3, 0), at(4, 4, 0), at(5, 5, 0)];
    table.list(all);
    table.list(all[..2].to_vec());
    assert_eq!(table.whereabouts(mac(5)), None, "what the speaker has no more is gone");
    table.renewed(secs(100));
    table.list([]);
    assert_eq!(table.whereabouts(mac(3)), Some(place(3)));
    // One comes back, the other's address comes back elsewhere, by a lower number.
    table.hear(all[0].0, all[0].1);
    table.hear(at(4, 9, 8).0, route(4, 8));
    table.renewed(secs(110));
    table.hear(all[0].0, all[0].1);
    table.hear(at(6, 9, 2).0, route(6, 2));
    assert_eq!(table.whereabouts(mac(9)), Some(place(6)), "what is told goes before what was");
    table.expire(secs(169));
    assert_eq!(table.whereabouts(mac(4)), Some(place(4)));
    assert_eq!(table.next(), Some(secs(170)));
    table.expire(secs(170));
    assert_eq!((table.whereabouts(mac(4)), table.next()), (None, None));
    assert_eq!(table.whereabouts(mac(3)), Some(place(3)));
}

#[test]
fn what_an_earlier_process_has_left_goes_on_until_the_speaker_has_told_all() {
    let mut table = Table::new(end(1));
    let row = |number, host| Row { mac: mac(number), vtep: place(host) };
    table.left([Row::flood(place(2)), Row::flood(place(3)), row(8, 2), row(9, 3), row(7, 1)]);
    assert_eq!(
        (table.floods(), table.ends()),
        ([place(2), place(3)].into(), [2, 3].map(place).into())
    );
    assert_eq!(
        [7, 8, 9].map(|n| table.whereabouts(mac(n))),
        [None, Some(place(2)), Some(place(3))]
    );
    // A node that is here now is here.
    own(&mut table, &[8]);
    assert_eq!((number(&table, 8), table.whereabouts(mac(8))), (Some(1), None));
    // The speaker answers. What it tells goes before, and the rest has its time.
    table.renewed(secs(10));
    table.list([at(4, 9, 0)]);
    assert_eq!(table.whereabouts(mac(9)), Some(place(4)));
    assert!(table.floods().contains(&place(3)));
    table.expire(secs(10) + STALE);
    assert_eq!((table.floods(), table.ends()), (BTreeSet::new(), [place(4)].into()));
}

#[test]
fn who_is_flooded_to_and_who_has_which_addresses() {
    let mut table = Table::new(end(2));
    table.hear(key(3, Of::Floods(end(3).into())), route(3, 0));
    table.hear(at(4, 9, 0).0, route(4, 0));
    table.hear(key(4, Of::Mac(mac(9), None)), route(4, 0));
    // It says an address that it had once, and another host has now.
    table.hear(at(5, 9, 1).0, route(5, 1));
    assert_eq!((table.floods(), table.ends()), ([place(3)].into(), [3, 4, 5].map(place).into()));
    assert_eq!(table.others(), [(mac(9), (place(5), [ip(5)].into()))].into());
    let touched = Touched::Some { macs: [mac(9)].into(), hosts: true };
    assert_eq!(table.take_touched(), touched);
    assert_eq!(table.take_touched(), Touched::Some { macs: BTreeSet::new(), hosts: false });
    // What is said again is no news.
    table.hear(at(5, 9, 1).0, route(5, 1));
    assert_eq!(table.take_touched(), Touched::Some { macs: BTreeSet::new(), hosts: false });
}

#[test]
fn routes_that_lead_nowhere_are_none() {
    let mut table = Table::new(end(2));
    let of = Of::Mac(mac(9), None);
    for vtep in [[0, 0, 0, 0], [224, 0, 0, 1], [255; 4], [10, 9, 0, 2]] {
        table.hear(key(3, of), Route { vtep: vtep.into(), ..route(3, 0) });
        assert_eq!(table.whereabouts(mac(9)), None, "{vtep:?}");
    }
    for none in [MacAddr::ZERO, MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 1])] {
        table.hear(key(3, Of::Mac(none, None)), route(3, 0));
        assert_eq!((table.whereabouts(none), table.ends().len()), (None, 0));
    }
    for number in 0..=MOST as u64 {
        table.hear(key(3, Of::Mac(mac(number), None)), route(3, 0));
    }
    assert_eq!((table.refused(), table.others().len()), (1, MOST));
}

/// Hosts that say and hear what they do with any delay.
#[derive(Clone, Debug)]
enum Step {
    /// A host has this node from now on, or no more.
    Node(u8, u64, bool),
    /// What one host says reaches another.
    Heard(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..=3u8, 1..=2u64, any::<bool>()).prop_map(|(host, of, is)| Step::Node(host, of, is)),
        (1..=3u8, 1..=3u8).prop_map(|(from, to)| Step::Heard(from, to)),
    ]
}

proptest! {
    /// Wherever nodes went and whatever was heard late, once all is heard one host has each address that
    /// anybody has, all agree which, and the others say nothing of it.
    #[test]
    fn all_agree_in_the_end(steps in proptest::collection::vec(step(), 0..40)) {
        let mut tables: Vec<_> = (1..=3).map(|host| Table::new(end(host))).collect();
        let mut nodes: Vec<BTreeMap<MacAddr, BTreeSet<IpAddr>>> = vec![BTreeMap::new(); 3];
        let tell = |tables: &mut Vec<Table>, from: u8, to: u8| {
            let said: Vec<_> = tables[usize::from(from) - 1].said().into_iter().collect();
            let routes = said.into_iter().map(|(of, n)| (key(from, of), route(from, n)));
            let routes: Vec<_> = routes.collect();
            let there = &mut tables[usize::from(to) - 1];
            let of = key(from, Of::Floods(end(from).into())).rd;
            let gone: Vec<_> = there.routes.keys().filter(|key| key.rd == of).copied().collect();
            gone.iter().filter(|key| routes.iter().all(|(own, _)| own != *key))
                .for_each(|key| there.forget(key));
            routes.into_iter().for_each(|(key, route)| there.hear(key, route));
        };
        for step in steps {
            match step {
                Step::Node(host, of, is) => {
                    let own = &mut nodes[usize::from(host) - 1];
                    if is { own.insert(mac(of), [ip(1)].into()); } else { own.remove(&mac(of)); }
                    let own = own.clone();
                    tables[usize::from(host) - 1].set_own(&own);
                }
                Step::Heard(from, to) if from != to => tell(&mut tables, from, to),
                Step::Heard(..) => {}
            }
        }
        for _ in 0..8 {
            for (from, to) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
                tell(&mut tables, from, to);
            }
        }
        for of in [1, 2] {
            let says: Vec<u8> =
                (1..=3).filter(|h| number(&tables[usize::from(*h) - 1], of).is_some()).collect();
            let has = nodes.iter().any(|own| own.contains_key(&mac(of)));
            prop_assert_eq!(says.len(), usize::from(has));
            for (table, host) in tables.iter().zip(1..) {
                let there = says.iter().find(|says| **says != host).map(|says| place(*says));
                prop_assert_eq!(table.whereabouts(mac(of)), there);
            }
        }
    }
}
