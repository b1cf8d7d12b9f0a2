//! The table against its rules: ageing, moving, bounds, fairness, kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wire::{MacAddr, Timestamp, VlanId};

use super::{EntryKind, Fdb, FdbConfig, Learned, Scope};
use crate::core::{Beside, Concern, NetworkId, PortId};

const A: PortId = PortId(0);
const B: PortId = PortId(1);

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | n)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

fn table(max_entries: usize) -> Fdb {
    Fdb::new(FdbConfig { max_entries })
}

fn learn(fdb: &Fdb, n: u64, port: PortId, seconds: u64) -> Learned {
    fdb.learn(mac(n), Scope::default(), port, u32::MAX, at(seconds))
}

#[test]
fn an_address_is_learned_refreshed_moved_and_aged() {
    let fdb = table(64);
    assert_eq!(learn(&fdb, 1, A, 0), Learned::New);
    assert_eq!(learn(&fdb, 1, A, 200), Learned::Known);
    assert_eq!(fdb.lookup(mac(1), Scope::default(), at(500)), Some((A, EntryKind::Learned)));
    assert_eq!(fdb.lookup(mac(1), Scope::default(), at(501)), None);
    assert_eq!(learn(&fdb, 1, B, 300), Learned::Moved(A));
    assert_eq!((fdb.port_len(A), fdb.port_len(B), fdb.len()), (0, 1, 1));
    assert_eq!(fdb.expire(at(601)), 1);
    assert!(fdb.is_empty());
}

#[test]
fn vlans_are_tables_of_their_own() {
    let fdb = table(64);
    let scope = |vlan| fdb.scope(NetworkId::FIRST, VlanId::from_tci(vlan)).unwrap();
    let (one, two) = (scope(1), scope(2));
    fdb.learn(mac(1), one, A, 9, at(0));
    fdb.learn(mac(1), two, B, 9, at(0));
    assert_eq!(fdb.lookup(mac(1), one, at(1)).map(|x| x.0), Some(A));
    assert_eq!(fdb.lookup(mac(1), two, at(1)).map(|x| x.0), Some(B));
    assert_eq!(fdb.lookup(mac(1), Scope::default(), at(1)), None);
}

#[test]
fn a_port_learns_no_more_than_its_limit() {
    let fdb = table(64);
    for n in 0..10 {
        let expected = if n < 4 { Learned::New } else { Learned::Full };
        assert_eq!(fdb.learn(mac(n), Scope::default(), A, 4, at(0)), expected);
    }
    assert_eq!(fdb.port_len(A), 4);
}

#[test]
fn a_flood_of_addresses_pushes_out_its_own_not_anothers() {
    let fdb = table(128);
    for n in 0..10 {
        assert_eq!(learn(&fdb, n, B, 0), Learned::New);
    }
    for n in 1000..50_000 {
        learn(&fdb, n, A, 1);
    }
    assert!(fdb.len() <= 128, "{} entries", fdb.len());
    for n in 0..10 {
        assert_eq!(
            fdb.lookup(mac(n), Scope::default(), at(1)).map(|x| x.0),
            Some(B),
            "address {n}"
        );
    }
}

#[test]
fn set_entries_do_not_age_and_only_static_ones_move() {
    let fdb = table(64);
    assert!(fdb.set(mac(1), Scope::default(), A, EntryKind::Static, at(0)));
    assert!(fdb.set(mac(2), Scope::default(), A, EntryKind::Sticky, at(0)));
    assert!(fdb.set(mac(3), Scope::default(), A, EntryKind::Blackhole, at(0)));
    assert_eq!(learn(&fdb, 1, B, 9), Learned::Moved(A));
    assert_eq!(learn(&fdb, 2, B, 9), Learned::Sticky);
    assert_eq!(learn(&fdb, 3, B, 9), Learned::Known);
    let found = |n| fdb.lookup(mac(n), Scope::default(), at(9999));
    assert_eq!(found(1), Some((B, EntryKind::Static)), "static there too");
    assert_eq!(found(2), Some((A, EntryKind::Sticky)));
    assert_eq!(found(3), Some((A, EntryKind::Blackhole)));
    // How long ago it was set or seen; of a blackhole nobody is.
    let idle = |n| fdb.entry(mac(n), Scope::default(), at(29)).unwrap().idle.as_secs();
    assert_eq!((idle(1), idle(2), idle(3)), (20, 20, 29));
    assert_eq!((fdb.port_len(A), fdb.port_len(B)), (0, 0), "they count against no limit");
    assert_eq!(fdb.flush(None), 0, "flushing forgets what was learned only");
    assert_eq!((fdb.forget_port(A), fdb.forget_port(B)), (2, 1));
}

/// Frames are noted by the second: one that came at its end is not forgotten before its time.
#[test]
fn nothing_is_forgotten_before_its_time() {
    let fdb = table(64);
    let millis = |n: u64| Timestamp::from_nanos(n * 1_000_000);
    fdb.learn(mac(1), Scope::default(), A, 9, millis(10_900));
    let found = |now| fdb.lookup(mac(1), Scope::default(), now).is_some();
    assert!(found(millis(310_800)));
    assert!(!found(millis(311_900)));
    // Without a time to live an address is as good as not learned.
    fdb.set_network(NetworkId(7), Duration::ZERO, None);
    let scope = fdb.scope(NetworkId(7), VlanId::NONE).unwrap();
    fdb.learn(mac(1), scope, A, 9, millis(10_900));
    assert_eq!(fdb.lookup(mac(1), scope, millis(10_900)), None);
}

#[test]
fn a_snapshot_shows_the_living_with_their_idle_time() {
    let fdb = table(64);
    learn(&fdb, 1, A, 0);
    learn(&fdb, 2, B, 250);
    let rows = fdb.snapshot(at(310));
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].mac, rows[0].port), (mac(2), B));
    assert_eq!(rows[0].idle, Duration::from_secs(60));
}

#[test]
fn networks_are_tables_of_their_own_with_ageing_and_limits_of_their_own() {
    let fdb = table(64);
    let (lan, dc) = (NetworkId(0), NetworkId(7));
    fdb.set_network(dc, Duration::from_secs(20), Some(3));
    let scope = |network| fdb.scope(network, VlanId::NONE).unwrap();
    for n in 0..5 {
        fdb.learn(mac(n), scope(lan), A, 9, at(0));
        let said = fdb.learn(mac(n), scope(dc), B, 9, at(0));
        assert_eq!(said, if n < 3 { Learned::New } else { Learned::Full }, "address {n}");
    }
    assert_eq!((fdb.network_len(lan), fdb.network_len(dc)), (5, 3));
    assert_eq!(fdb.lookup(mac(1), scope(lan), at(21)).map(|x| x.0), Some(A));
    assert_eq!(fdb.lookup(mac(1), scope(dc), at(21)), None, "it has aged there");
    assert_eq!(fdb.ageing(), Duration::from_secs(20));
    assert_eq!(fdb.expire(at(21)), 3);
    assert_eq!((fdb.network_len(lan), fdb.network_len(dc)), (5, 0));
    assert!(fdb.set(mac(1), scope(dc), B, EntryKind::Static, at(0)));
    assert_eq!(fdb.forget_network(dc), 1);
    assert_eq!(fdb.len(), 5);
}

#[test]
fn a_longer_time_brings_nothing_back_that_has_aged() {
    let fdb = table(64);
    let lives = |seconds| {
        fdb.forget_aged(at(9));
        fdb.set_network(NetworkId::FIRST, Duration::from_secs(seconds), None);
        fdb.scope(NetworkId::FIRST, VlanId::NONE).unwrap()
    };
    let scope = lives(2);
    fdb.learn(mac(1), scope, A, 9, at(5));
    fdb.learn(mac(2), scope, A, 9, at(8));
    let scope = lives(300);
    assert_eq!(fdb.lookup(mac(1), scope, at(9)), None);
    assert_eq!(fdb.lookup(mac(2), scope, at(9)).map(|x| x.0), Some(A));
    assert_eq!(fdb.expire(at(9)), 1, "it is told of");
}

#[test]
fn what_is_set_counts_against_no_limit() {
    let fdb = table(64);
    fdb.set_network(NetworkId::FIRST, Duration::from_secs(300), Some(2));
    assert!(fdb.set(mac(1), Scope::default(), A, EntryKind::Static, at(0)));
    assert!(fdb.set(mac(2), Scope::default(), A, EntryKind::Sticky, at(0)));
    let learn = |n| fdb.learn(mac(n), Scope::default(), A, 1, at(0));
    assert_eq!((learn(3), learn(4)), (Learned::New, Learned::Full));
    assert_eq!((fdb.port_len(A), fdb.len()), (1, 3));
}

#[test]
fn what_has_aged_counts_against_no_limit() {
    let fdb = table(64);
    fdb.set_network(NetworkId::FIRST, Duration::from_secs(10), Some(3));
    let learn = |n, port, now| fdb.learn(mac(n), Scope::default(), port, 2, at(now));
    assert_eq!([1, 2, 3].map(|n| learn(n, A, 1)), [Learned::New, Learned::New, Learned::Full]);
    assert_eq!(learn(3, A, 11), Learned::Full);
    assert_eq!(learn(3, A, 12), Learned::New, "nobody has looked for aged ones since");
    // The network's limit, and one that moves there.
    assert_eq!([4, 5].map(|n| learn(n, A, 13)), [Learned::New, Learned::Full]);
    assert_eq!([5, 6].map(|n| learn(n, B, 13)), [Learned::New, Learned::Full]);
    assert_eq!(learn(6, B, 24), Learned::New);
    assert_eq!((fdb.port_len(A), fdb.port_len(B), fdb.network_len(NetworkId::FIRST)), (0, 1, 1));
    assert_eq!(fdb.expire(at(24)), 5, "all are told");
}

/// Whoever is asked about ages has just seen a frame of address 1 at port B.
#[derive(Default)]
struct Talks(AtomicBool);

impl Beside for Talks {
    fn changed(&self) {}
    fn settle(&self, _: Concern) {}
    fn catch_up(&self, table: &Fdb, now: Timestamp) {
        if !self.0.swap(true, Ordering::Relaxed) {
            table.learn(mac(1), Scope::default(), B, u32::MAX, now);
            self.0.store(false, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_address_that_talks_is_set_all_the_same() {
    for (kind, port) in
        [EntryKind::Static, EntryKind::Sticky, EntryKind::Extern].into_iter().zip([A, B, A])
    {
        let fdb = table(64);
        fdb.go_beside(Arc::new(Talks::default()));
        learn(&fdb, 1, B, 1);
        assert!(fdb.set(mac(1), Scope::default(), port, kind, at(2)));
        assert_eq!(fdb.lookup(mac(1), Scope::default(), at(2)), Some((port, kind)));
        let learned = (fdb.port_len(A), fdb.port_len(B), fdb.network_len(NetworkId::FIRST));
        assert_eq!(learned, (0, 0, 0), "{kind:?} counts against no limit");
    }
}

#[test]
fn identifiers_of_vlans_are_given_back() {
    let fdb = table(64);
    let vlans = || (0..16).flat_map(|n| (1..4095).map(move |vlan| (NetworkId(n), vlan)));
    let scope = |(network, vlan)| fdb.scope(network, VlanId::from_tci(vlan));
    let got = vlans().filter(|owner| scope(*owner).is_some()).count();
    assert_eq!(got, 65_279);
    let (last, kept) = ((NetworkId(15), 4094), (NetworkId(3), 77));
    assert!(scope(last).is_none());
    let before = scope(kept).unwrap();
    assert!(fdb.set(mac(1), before, A, EntryKind::Static, at(0)));
    fdb.release(|network, _| network == NetworkId(5));
    // That of an entry stays, and what is used.
    assert_eq!(scope(kept), Some(before));
    let numbers: std::collections::BTreeSet<_> =
        vlans().rev().filter_map(scope).map(Scope::number).collect();
    assert_eq!(numbers.len(), 65_279, "each is one's");
    assert!(scope(last).is_some());
}
