//! Frames and settings by chance, through both switches: the same ones where a seed is the same.
//! `USWITCH_SEEDS=100-200` tries others than those that are always tried.

use super::packets::{
    ALL, advertise, arp, data_from, data6_from, ip, join, leave, link_local, mac, plain, report,
    report6, solicit, tagged, to,
};
use super::{PORTS, Scenario, Step, compare, send, wait};

/// Frames of a scenario; their numbers are those of bytes.
const FRAMES: usize = 200;

/// Numbers by chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn host(&mut self) -> u8 {
        u8::try_from(1 + self.below(6)).unwrap()
    }

    fn port(&mut self) -> usize {
        1 + self.below(4)
    }
}

/// What both are told, in words of ours and of theirs.
fn told(ours: String, theirs: String) -> Step {
    Step::Set(ours.leak(), vec![&*theirs.leak()].leak())
}

/// A flag of a port: ours, theirs, and how it is preset.
const FLAGS: [(&str, &str, &str); 8] = [
    ("learning", "learning", "on"),
    ("flood", "flood", "on"),
    ("mcast-flood", "mcast_flood", "on"),
    ("bcast-flood", "bcast_flood", "on"),
    ("hairpin", "hairpin", "off"),
    ("isolated", "isolated", "off"),
    ("locked", "locked", "off"),
    ("neigh-suppress", "neigh_suppress", "off"),
];

fn flag(port: usize, (ours, theirs, _): (&str, &str, &str), to: &str) -> Step {
    told(
        format!("port net{port} --{ours} {to}"),
        format!("bridge link set dev veth{port} {theirs} {to}"),
    )
}

fn setting(chance: &mut Chance, stuck: &mut [Option<usize>; 7]) -> Step {
    let port = chance.port();
    match chance.below(6) {
        0 => told("fdb flush".into(), "ip link set br0 type bridge fdb_flush".into()),
        1 => {
            // One that stays where it is set, or is taken out there.
            let host = chance.host();
            let address = format!("02:aa:00:00:00:{host:02x}");
            match stuck[usize::from(host)].take() {
                Some(port) => told(
                    format!("fdb del {address} net{port}"),
                    format!("bridge fdb del {address} dev veth{port} master"),
                ),
                None => {
                    stuck[usize::from(host)] = Some(port);
                    told(
                        format!("fdb add {address} net{port} --sticky"),
                        format!("bridge fdb replace {address} dev veth{port} master static sticky"),
                    )
                }
            }
        }
        2 => {
            let mask = chance.of(&["0x4000", "0x4", "0xc004", "0x0"]);
            told(
                format!("port net{port} --group-fwd-mask {mask}"),
                format!("ip link set veth{port} type bridge_slave group_fwd_mask {mask}"),
            )
        }
        _ => {
            let which = chance.of(&FLAGS);
            flag(port, which, chance.of(&["on", "off"]))
        }
    }
}

fn frame(chance: &mut Chance) -> Vec<u8> {
    let (from, host) = (chance.host(), chance.host());
    let group = [239, 10, 10, host];
    let group6 = format!("ff05::cc:{host}").parse().unwrap();
    let whole = match chance.below(12) {
        0 | 1 => plain(mac(host), mac(from)),
        2 => plain(mac(90 + host), mac(from)),
        3 => plain(ALL, mac(from)),
        4 => plain([1, 0, 0x5e, 1, 2, host], mac(from)),
        // From one that nobody speaks to: the kernel's bridge learns it at a locked port too, where
        // ours keeps it out.
        5 => plain([1, 0x80, 0xc2, 0, 0, chance.of(&[0, 1, 2, 3, 0xe, 0xf, 0x10])], mac(7)),
        6 => data_from(from, ip(host), group),
        7 => data6_from(from, link_local(host), group6),
        8 => arp(from, ip(host)),
        9 => solicit(from, link_local(host)),
        10 => advertise(from),
        // From nobody, and from a group.
        _ => plain(ALL, chance.of(&[[0; 6], [1, 0, 0x5e, 0, 0, 1], ALL])),
    };
    match chance.below(8) {
        0 => tagged(&whole, (chance.of(&[0x8100, 0x88a8]), chance.of(&[0, 1, 20, 0x6005]))),
        1 => to(mac(chance.host()), &whole),
        _ => whole,
    }
}

/// Floods, moves, locks, answers.
fn by_settings(seed: u64) -> Scenario {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut stuck = [None; 7];
    let mut steps: Vec<Step> = [2, 3]
        .map(|host| {
            told(
                format!("neigh add 10.200.0.{host} 02:aa:00:00:00:0{host}"),
                format!("ip neigh add 10.200.0.{host} lladdr 02:aa:00:00:00:0{host} dev br0 nud permanent"),
            )
        })
        .into();
    for _ in 0..FRAMES {
        if chance.below(4) == 0 {
            steps.push(setting(&mut chance, &mut stuck));
        }
        steps.push(send(chance.port(), frame(&mut chance)));
    }
    // The frames that end a scenario are for everybody.
    steps.extend(PORTS.iter().flat_map(|port| FLAGS.map(|of| flag(*port, of, of.2))));
    Scenario { steps, wanted: [&[]; 4] }
}

/// Groups: reports of one version, and what is sent to the groups. Timers are long, so that none ends.
/// With sources each group has one port that reports: of several, the kernel's bridge withholds what one
/// excludes no more while another includes it. Nor does a member leave at once there, for that bridge
/// counts hosts, and ours the sources of a port.
fn by_groups(seed: u64) -> Scenario {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let newer = seed.is_multiple_of(2);
    let (igmp, mld) = if newer { (3, 2) } else { (2, 1) };
    let ours = format!(
        "network set lan --mcast-snooping on --mcast-querier on --mcast-query-response-interval 1 \
         --mcast-last-member-interval 60 --mcast-igmp-version {igmp} --mcast-mld-version {mld}"
    );
    let theirs = vec![
        "ip link set br0 type bridge mcast_query_response_interval 100 mcast_last_member_interval 6000",
        &*format!("ip link set br0 type bridge mcast_igmp_version {igmp} mcast_mld_version {mld}")
            .leak(),
        "ip link set br0 type bridge mcast_snooping 1 mcast_querier 1",
    ];
    let mut steps = vec![Step::Set(ours.leak(), theirs.leak()), wait(2500)];
    for _ in 0..FRAMES {
        let (port, host) = (chance.port(), chance.host());
        let reports = if newer { 1 + usize::from(host % 3) } else { port };
        let n = u8::try_from(port).unwrap();
        let by = u8::try_from(reports).unwrap();
        let group = [239, 10, 10, host % 3];
        let group6 = format!("ff05::cc:{}", host % 3).parse().unwrap();
        let sources: Vec<u8> = (1..=6).filter(|_| chance.below(3) == 0).collect();
        let kind = chance.of(&[1, 2, 3, 4, 5, 6]);
        if chance.below(12) == 0 && !newer {
            let to = chance.of(&["on", "off"]);
            steps.push(flag(port, ("fastleave", "fastleave", ""), to));
        }
        if chance.below(16) == 0 {
            let to = chance.of(&[0, 1, 2]);
            steps.push(told(
                format!("port net{port} --mcast-router {to}"),
                format!("bridge link set dev veth{port} mcast_router {to}"),
            ));
        }
        let v4: Vec<_> = sources.iter().map(|n| ip(*n)).collect();
        let v6: Vec<_> = sources.iter().map(|n| link_local(*n)).collect();
        steps.push(match (chance.below(8), newer) {
            (0 | 1, true) => send(reports, report(by, kind, group, &v4)),
            (2, true) => send(reports, report6(by, kind, group6, &v6)),
            (0 | 1, false) => send(reports, join(by, group)),
            (2, false) => send(reports, leave(by, group)),
            (3 | 4, _) => send(port, data6_from(n, link_local(host), group6)),
            _ => send(port, data_from(n, ip(host), group)),
        });
    }
    Scenario { steps, wanted: [&[]; 4] }
}

/// The seeds to try.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let asked = std::env::var("USWITCH_SEEDS").ok();
    asked.map_or(1..=2, |text| {
        let (first, last) = text.split_once('-').unwrap();
        first.parse().unwrap()..=last.parse().unwrap()
    })
}

/// Compares, and says what happened for whoever looks into it: shown where it fails.
fn both(seed: u64, scenario: &Scenario) {
    println!("seed {seed}");
    let mut number = 0;
    for step in &scenario.steps {
        match step {
            Step::Send(port, frame) => {
                println!("{number}: net{port} {}", hex(frame));
                number += 1;
            }
            Step::Set(ours, _) => println!("{ours}"),
            Step::Wait(_) => {}
        }
    }
    compare(scenario, &format!("seed {seed}"));
}

fn hex(frame: &[u8]) -> String {
    frame.iter().take(90).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn settings_by_chance_do_the_same() {
    for seed in seeds() {
        both(seed, &by_settings(seed));
    }
}

#[test]
fn groups_by_chance_go_to_the_same() {
    for seed in seeds() {
        both(seed, &by_groups(seed));
    }
}
