//! The table against a model that is plainly right; its size at the full bound; workers at once.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

const AGEING: u64 = 10;
const MOST: usize = 12;
const LIMIT: u32 = 6;

fn table(max_entries: usize) -> Fdb {
    let fdb = Fdb::new(FdbConfig { max_entries });
    fdb.set_network(NetworkId::FIRST, Duration::from_secs(AGEING), None);
    fdb
}

/// The part of the table that belongs to a VLAN.
fn scope(fdb: &Fdb, vlan: u16) -> Scope {
    fdb.scope(NetworkId::FIRST, VlanId::from_tci(vlan)).unwrap()
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 + n)
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

/// What can happen to a table.
#[derive(Clone, Copy, Debug)]
enum Op {
    Learn { mac: u64, vlan: u16, port: u16 },
    Lookup { mac: u64, vlan: u16 },
    Set { mac: u64, vlan: u16, port: u16, kind: EntryKind },
    Remove { mac: u64, vlan: u16 },
    Flush { port: Option<u16> },
    Forget { port: u16 },
    Expire,
    Wait { seconds: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        Just(EntryKind::Static),
        Just(EntryKind::Sticky),
        Just(EntryKind::Local),
        Just(EntryKind::Extern),
        Just(EntryKind::Locked),
        Just(EntryKind::Blackhole),
        Just(EntryKind::Local),
        Just(EntryKind::Extern),
        Just(EntryKind::Locked),
        Just(EntryKind::Learned),
    ];
    prop_oneof![
        12 => (0..24u64, 0..2u16, 0..4u16).prop_map(|(mac, vlan, port)| Op::Learn { mac, vlan, port }),
        4 => (0..24u64, 0..2u16).prop_map(|(mac, vlan)| Op::Lookup { mac, vlan }),
        1 => (0..24u64, 0..2u16, 0..4u16, kind)
            .prop_map(|(mac, vlan, port, kind)| Op::Set { mac, vlan, port, kind }),
        1 => (0..24u64, 0..2u16).prop_map(|(mac, vlan)| Op::Remove { mac, vlan }),
        1 => prop::option::of(0..4u16).prop_map(|port| Op::Flush { port }),
        1 => (0..4u16).prop_map(|port| Op::Forget { port }),
        1 => Just(Op::Expire),
        3 => (1..6u64).prop_map(|seconds| Op::Wait { seconds }),
    ]
}

/// The model: a map, and the rules said once more without atomics, windows or hashes.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(u64, u16), Row>,
    now: u64,
    /// What was found to have aged since it was last told.
    found: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    port: u16,
    kind: EntryKind,
    seen: u64,
}

impl Model {
    fn aged(&self, row: &Row) -> bool {
        row.kind.is_learned() && self.now - row.seen > AGEING
    }

    fn held_by(&self, port: u16) -> u32 {
        let learned = |row: &&Row| row.port == port && row.kind.is_learned();
        u32::try_from(self.rows.values().filter(learned).count()).unwrap()
    }

    /// What learning must say where it is not a matter of eviction.
    fn learn(&mut self, key: (u64, u16), port: u16) -> Option<Learned> {
        let here = self.rows.get(&key).is_some_and(|old| old.port == port);
        if !here && self.held_by(port) >= LIMIT {
            // What has aged counts no more.
            let before = self.rows.len();
            let now = self.now;
            self.rows.retain(|_, row| !(row.kind.is_learned() && now - row.seen > AGEING));
            self.found += before - self.rows.len();
        }
        let (now, over) = (self.now, self.held_by(port) >= LIMIT);
        let Some(old) = self.rows.get(&key).copied() else {
            return over.then_some(Learned::Full);
        };
        let new = Row { port, seen: now, ..old };
        let moved = Row { kind: EntryKind::Learned, ..new };
        Some(match old.kind {
            kind if kind.is_learned() && old.port == port => {
                self.rows.insert(key, new);
                Learned::Known
            }
            EntryKind::Blackhole | EntryKind::Local => Learned::Known,
            EntryKind::Sticky | EntryKind::Static | EntryKind::Extern if old.port == port => {
                self.rows.insert(key, new);
                Learned::Known
            }
            EntryKind::Sticky => {
                self.rows.insert(key, Row { seen: now, ..old });
                Learned::Sticky
            }
            EntryKind::Static => {
                self.rows.insert(key, new);
                Learned::Moved(PortId(old.port))
            }
            _ if over => Learned::Full,
            EntryKind::Learned | EntryKind::Locked | EntryKind::Extern => {
                self.rows.insert(key, moved);
                if self.aged(&old) { Learned::New } else { Learned::Moved(PortId(old.port)) }
            }
        })
    }

    /// A new row went in at `port`: takes over the table's choice of what had to go, if it was one
    /// the rules allow.
    fn entered(&mut self, fdb: &Fdb, key: (u64, u16), row: Row) {
        if self.rows.len() >= MOST {
            let raw = |(m, v): (u64, u16)| fdb.find(super::key(mac(m), scope(fdb, v).fid));
            let gone: Vec<_> = self.rows.keys().copied().filter(|k| raw(*k).is_none()).collect();
            assert_eq!(gone.len(), 1, "one row makes room for one");
            let victim = self.rows[&gone[0]];
            let fair =
                victim.port == row.port || self.held_by(victim.port) > self.held_by(row.port);
            assert!(
                self.aged(&victim) || (victim.kind.is_learned() && fair),
                "{victim:?} had to go for {row:?}"
            );
            self.rows.remove(&gone[0]);
        }
        self.rows.insert(key, row);
    }

    fn check(&self, fdb: &Fdb) {
        let living: BTreeMap<_, _> =
            self.rows.iter().filter(|(_, row)| !self.aged(row)).map(|(k, r)| (*k, *r)).collect();
        let base = mac(0).to_u64();
        let seen: BTreeMap<_, _> = fdb
            .snapshot(at(self.now))
            .into_iter()
            .map(|e| {
                let seen = self.now - e.idle.as_secs();
                ((e.mac.to_u64() - base, e.vlan.get()), Row { port: e.port.0, kind: e.kind, seen })
            })
            .collect();
        assert_eq!(seen, living);
        assert_eq!(fdb.len(), self.rows.len());
        assert!(fdb.len() <= MOST);
        for port in 0..4 {
            assert_eq!(fdb.port_len(PortId(port)), self.held_by(port), "share of port {port}");
        }
    }
}

fn apply(op: Op, fdb: &Fdb, model: &mut Model) {
    let now = at(model.now);
    let vid = |vlan| scope(fdb, vlan);
    match op {
        Op::Learn { mac: m, vlan, port } => {
            let expected = model.learn((m, vlan), port);
            let said = fdb.learn(mac(m), vid(vlan), PortId(port), LIMIT, now);
            match expected {
                Some(expected) => assert_eq!(said, expected, "{op:?}"),
                None if said == Learned::New => {
                    let row = Row { port, kind: EntryKind::Learned, seen: model.now };
                    model.entered(fdb, (m, vlan), row);
                }
                None => {
                    assert_eq!(said, Learned::Full, "{op:?}");
                    assert_eq!(model.rows.len(), MOST, "refused though there was room");
                }
            }
        }
        Op::Lookup { mac: m, vlan } => {
            let row = model.rows.get(&(m, vlan)).filter(|row| !model.aged(row));
            let expected = row.map(|row| (PortId(row.port), row.kind));
            assert_eq!(fdb.lookup(mac(m), vid(vlan), now), expected);
        }
        Op::Set { mac: m, vlan, port, kind } => {
            model.rows.remove(&(m, vlan));
            if fdb.set(mac(m), vid(vlan), PortId(port), kind, now) {
                model.entered(fdb, (m, vlan), Row { port, kind, seen: model.now });
            } else {
                assert_eq!(model.rows.len(), MOST, "refused though there was room");
            }
        }
        Op::Remove { mac: m, vlan } => {
            let was = model.rows.remove(&(m, vlan)).is_some();
            assert_eq!(fdb.remove(mac(m), vid(vlan)), was);
        }
        Op::Flush { port } => {
            let before = model.rows.len();
            model.rows.retain(|_, r| !r.kind.is_learned() || port.is_some_and(|p| r.port != p));
            assert_eq!(fdb.flush(port.map(PortId)), before - model.rows.len());
        }
        Op::Forget { port } => {
            let before = model.rows.len();
            model.rows.retain(|_, row| row.port != port);
            assert_eq!(fdb.forget_port(PortId(port)), before - model.rows.len());
        }
        Op::Expire => {
            let aged: Vec<_> =
                model.rows.iter().filter(|(_, r)| model.aged(r)).map(|(k, _)| *k).collect();
            model.rows.retain(|key, _| !aged.contains(key));
            model.found += aged.len();
            assert_eq!(fdb.expire(now), std::mem::take(&mut model.found));
        }
        Op::Wait { seconds } => model.now += seconds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_model_does(ops in prop::collection::vec(op(), 1..200)) {
        let fdb = table(MOST);
        let mut model = Model { now: 1000, ..Model::default() };
        for op in ops {
            apply(op, &fdb, &mut model);
            model.check(&fdb);
        }
    }
}

#[test]
fn the_default_table_holds_all_it_promises() {
    let config = FdbConfig::default();
    let fdb = Fdb::new(config);
    let most = config.max_entries as u64;
    // Addresses as they are found: counted up, and scattered.
    let scattered = |n: u64| mac(n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff);
    for n in 0..most / 2 {
        assert_eq!(
            fdb.learn(mac(n), Scope::default(), PortId(1), u32::MAX, at(1)),
            Learned::New,
            "{n}"
        );
    }
    let mut refused = 0;
    for n in most / 2..most {
        let said = fdb.learn(scattered(n), scope(&fdb, 7), PortId(2), u32::MAX, at(1));
        refused += u64::from(said == Learned::Full);
    }
    assert!(refused * 1000 < most, "{refused} of {most} found no slot");
}

#[test]
fn workers_at_once_leave_the_counts_right() {
    let fdb = table(512);
    std::thread::scope(|scope| {
        for port in 0..4u16 {
            let fdb = &fdb;
            scope.spawn(move || {
                for round in 0..40_000u64 {
                    // All four claim the same addresses, so they move without end.
                    let n = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55;
                    // Time passes quickly, so that nearly every learning also refreshes.
                    let now = at(round / 4);
                    fdb.learn(mac(n), Scope::default(), PortId(port), 400, now);
                    if let Some((found, _)) = fdb.lookup(mac(n), Scope::default(), now) {
                        assert!(found.0 < 4);
                    }
                    if round % 5000 == 0 {
                        fdb.flush(Some(PortId(port)));
                        fdb.expire(now);
                    }
                }
            });
        }
    });
    let mut held: HashMap<u16, u32> = HashMap::new();
    let rows = fdb.snapshot(Timestamp::ZERO);
    rows.iter().for_each(|row| *held.entry(row.port.0).or_default() += 1);
    assert_eq!(rows.len(), fdb.len());
    for port in 0..4 {
        assert_eq!(
            fdb.port_len(PortId(port)),
            held.get(&port).copied().unwrap_or(0),
            "port {port}"
        );
    }
}
