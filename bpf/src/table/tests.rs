#![allow(clippy::unwrap_used)]

use super::*;

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn key(n: u8) -> Key {
    Key { ingress: 2, dst: mac(n), src: mac(200), tag: None, ends: None }
}

fn flow(egress: u32) -> Flow {
    let until = Timestamp::from_nanos(1_000);
    let retag = Retag::default();
    let (beyond, flood, ethertype, source) = (None, None, None, None);
    let (route, awaits, mtu) = (None, None, 1500);
    let peer = true;
    Flow { egress, flood, ethertype, beyond, peer, retag, mtu, until, source, route, awaits }
}

fn enter(table: &Table, key: &Key, flow: &Flow) -> FlowId {
    let id = table.places(key).next().unwrap();
    table.write(id, key, flow, table.generation());
    id
}

#[test]
fn a_flow_is_found_by_all_of_its_key() {
    let table = Table::alone(1);
    let tag = |tci| Some(VlanTag { tpid: 0x8100, tci });
    let keys = [
        key(1),
        Key { ingress: 3, ..key(1) },
        Key { src: mac(201), ..key(1) },
        Key { dst: mac(2), ..key(1) },
        Key { tag: tag(0), ..key(1) },
        Key { tag: tag(5), ..key(1) },
        Key { tag: tag(0x2005), ..key(1) },
        Key { tag: Some(VlanTag { tpid: 0x88a8, tci: 5 }), ..key(1) },
    ];
    for known in &keys {
        let table = Table::alone(1);
        let id = enter(&table, known, &flow(7));
        for asked in &keys {
            assert_eq!(table.find(asked), (asked == known).then_some(id), "{asked:?} {known:?}");
        }
        table.clear(id);
        assert_eq!(table.find(known), None);
    }
    assert!(table.places(&key(1)).count() == 2 * BUCKET);
}

#[test]
fn a_flow_holds_for_its_generation_and_its_time() {
    let table = Table::alone(1);
    let at = Timestamp::from_nanos;
    let id = enter(&table, &key(1), &flow(7));
    assert!(table.holds(id, at(999)) && !table.holds(id, at(1_000)));
    table.advance();
    assert!(!table.holds(id, at(0)));
    table.write(id, &key(1), &flow(7), table.generation());
    assert!(table.holds(id, at(0)));
    table.open(false);
    assert!(!table.holds(id, at(0)));
    let closed = table.generation();
    assert!(!closed.is_open());
    table.write(id, &key(1), &flow(7), closed);
    assert!(!table.holds(id, at(0)), "decided while nothing is to be repeated");
    table.advance();
    table.open(true);
    assert!(table.generation().is_open() && !table.holds(id, at(0)));
    // Decided before a change, written after it.
    let before = table.generation();
    table.advance();
    table.write(id, &key(1), &flow(7), before);
    assert!(!table.holds(id, at(0)));
}

#[test]
fn no_frame_overtakes_those_of_its_flow_that_are_in_the_ring() {
    let table = Table::alone(2);
    table.draw();
    table.draw();
    // The worker has taken the first and made a flow of it; the second waits.
    table.passed(Lane::Ports, 1);
    let id = enter(&table, &key(1), &flow(7));
    assert!(!table.admits(id), "the second is before it");
    table.passed(Lane::Ports, 1);
    assert!(!table.admits(id), "and now the third");
    table.passed(Lane::Ports, 2);
    assert!(table.admits(id) && table.admits(id), "the ring is empty");
    // Others' frames in the ring do not matter once its own must be through: all that came before,
    // and as many more as there are cores, of which each may have had one at hand.
    table.write(id, &key(1), &flow(7), table.generation());
    (0..10).for_each(|_| table.draw());
    table.passed(Lane::Ports, 2);
    assert!(table.admits(id), "none of its own has come since it was written");
}

#[test]
fn a_cut_flow_passes_at_once_and_tells_up_to_where_the_ring_is_to_drop() {
    let table = Table::alone(2);
    (0..100).for_each(|_| table.draw());
    let id = enter(&table, &key(1), &flow(7));
    assert!(!table.admits(id));
    assert_eq!(table.cut(id), Some(101));
    assert!(table.admits(id));
    assert_eq!(table.cut(id), None, "it waits for nothing any more");
}

#[test]
fn what_is_counted_on_each_core_is_added_up() {
    let table = Table::alone(1);
    let id = enter(&table, &key(1), &flow(7));
    table.count(id, 60, Timestamp::from_nanos(5));
    table.count(id, 1514, Timestamp::from_nanos(9));
    let seen = Timestamp::from_nanos(9);
    assert_eq!(
        table.totals(id),
        Totals { frames: 2, bytes: 1574, packets: 2, seen, ..Totals::default() }
    );
}

#[test]
fn each_ring_has_tickets_of_its_own() {
    let table = Table::alone(1);
    let known = [key(1), Key { ingress: elsewhere(key(1).ingress), ..key(1) }];
    let [here, there] = known.map(|key| enter(&table, &key, &flow(7)));
    assert!(here != there && known.map(|key| table.find(&key)) == [Some(here), Some(there)]);
    // Something is in the ports' ring, which is no matter to what comes by the uplink.
    table.draw();
    table.write(here, &known[0], &flow(7), table.generation());
    table.write(there, &known[1], &flow(7), table.generation());
    assert_eq!([here, there].map(|id| table.cut(id)), [Some(1), None]);
    table.passed(Lane::Uplink, 1);
    assert_eq!(Lane::ALL.map(|lane| table.progress(lane)), [[1, 0], [0, 1]]);
}

#[test]
fn its_memory_is_bounded() {
    // ARCHITECTURE.md says so: 64 bytes a flow, 128 a route, and 56 of either for each core; 24 a port
    // that frames are flooded to.
    let memory = ENTRIES * (64 + 128) + ROWS * 2 * 56 + CONTROL * 8 + 64 * (8 + 128 * 24);
    assert_eq!(Table::alone(2).memory(), memory);
}

#[test]
fn a_route_is_found_by_its_ends_too_and_apart_from_flows() {
    let table = Table::alone(1);
    let end = |port| std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
    let ends = |port| Some(Ends { protocol: 17, src: end(port), dst: end(53) });
    let of = |port| Key { ends: ends(port), ..key(1) };
    let between = enter(&table, &key(1), &flow(7));
    let (src, dst) = (end(9), end(53));
    let route =
        Route { src, dst, next: mac(3), own: mac(4), atomic: true, kept: false, answers: false };
    let routed = enter(&table, &of(1), &Flow { route: Some(route), ..flow(7) });
    assert!(usize::from(between.0) < ENTRIES && usize::from(routed.0) >= ENTRIES);
    assert_eq!(table.find(&key(1)), Some(between));
    assert_eq!(table.find(&of(1)), Some(routed));
    assert_eq!(table.find(&of(2)), None);
    let action = |id| halves(table.flow(id)[MTU_ACTION].load(Ordering::Relaxed)).1;
    assert_eq!(action(routed) & ACTION_KEPT, 0);
    let kept = Route { kept: true, ..route };
    let kept = enter(&table, &of(3), &Flow { route: Some(kept), ..flow(7) });
    assert_eq!(action(kept) & ACTION_KEPT, ACTION_KEPT);
    let tcp = ends(1).map(|ends| Ends { protocol: 6, ..ends });
    assert_eq!(table.find(&Key { ends: tcp, ..key(1) }), None);
}

/// Of two routes one has the answer to a SYN first, and the other waits for that; the programs read both
/// beside what else is noted of ends.
#[test]
fn an_answer_is_noted_beside_an_end_and_waited_for_until_it_is_released() {
    let table = Table::alone(1);
    let end = |port| std::net::SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), port);
    let (src, dst) = (end(9), end(80));
    let of = |src, dst| Key { ends: Some(Ends { protocol: 6, src, dst }), ..key(1) };
    let route =
        Route { src, dst, next: mac(3), own: mac(4), atomic: true, kept: false, answers: true };
    let back = Flow { route: Some(route), beyond: Some(5), ..flow(7) };
    let first = enter(&table, &of(dst, src), &back);
    table.begin(first);
    let action = halves(table.flow(first)[MTU_ACTION].load(Ordering::Relaxed)).1;
    assert_eq!(action & ACTION_ANSWERS, ACTION_ANSWERS);
    let waits =
        Flow { route: Some(Route { answers: false, ..route }), awaits: Some(first), ..back };
    let asked = enter(&table, &of(src, dst), &waits);
    let beyond = |id| halves(table.flow(id)[BEYOND].load(Ordering::Relaxed));
    let number = u32::from(first.0) - u32::try_from(ENTRIES).unwrap();
    assert_eq!([beyond(first), beyond(asked)], [(5, 0), (5, number + 1)]);
    table.release(asked);
    assert_eq!(beyond(asked), (5, 0));
    assert!(!table.answered(first) && table.ended(first).is_none());
    table.answer(first);
    assert!(table.answered(first) && table.ended(first).is_none());
    table.end(first, Timestamp::from_nanos(77));
    table.end(first, Timestamp::from_nanos(99));
    assert!(table.answered(first));
    assert_eq!(table.ended(first), Some(Timestamp::from_nanos(77)), "the first end");
    table.begin(first);
    assert!(!table.answered(first) && table.ended(first).is_none());
}

#[test]
fn a_set_tells_what_each_of_its_ports_missed_and_begins_anew() {
    let table = Table::alone(1);
    table.write_set(SetId(63), 1..=200);
    let words = table.set(SetId(63));
    assert_eq!(words[0].load(Ordering::Relaxed), pair(128, 0), "as many as there is room for");
    assert_eq!(words[1 + 3 * 127].load(Ordering::Relaxed), pair(128, 0));
    words[1 + 3 * 5 + 1].fetch_add((2 << 40) + 120, Ordering::Relaxed);
    words[1 + 3 * 5 + 2].fetch_add(1, Ordering::Relaxed);
    let missed = Missed { failed: 2, failed_bytes: 120, gone: 1 };
    let told: Vec<Missed> = table.missed(SetId(63)).collect();
    assert_eq!((told.len(), told[5]), (128, missed));
    assert_eq!(table.missed(SetId(62)).map(|missed| missed.failed).sum::<u64>(), 0);
    table.write_set(SetId(63), [7, 8, 9, 10, 11, 12]);
    assert!(table.missed(SetId(63)).all(|missed| missed == Missed::default()));
}
