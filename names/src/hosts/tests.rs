use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::zone::{Host, Network, Place};

/// What a program reads in it: lines that are no comments, words by single blanks.
fn read(file: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let tidy = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    lines.map(tidy).filter(|line| !line.is_empty()).collect()
}

fn put(file: &mut Vec<u8>, write: &Write) {
    let at = usize::try_from(write.at).unwrap();
    file.resize(file.len().max(at + write.bytes.len()), 0);
    file[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
}

#[test]
fn a_line_comes_whole_and_goes_whole() {
    let mut hosts = Hosts::new(&["127.0.0.1 localhost".into()], 60);
    let mut file = hosts.whole();
    assert_eq!(file.len(), 128);
    for write in hosts.set(["10.0.0.1 a".into(), "10.0.0.2 b".into()]) {
        put(&mut file, &write);
    }
    assert_eq!(file, hosts.whole());
    assert_eq!(read(&file), ["127.0.0.1 localhost", "10.0.0.1 a", "10.0.0.2 b"]);
    // What is gone makes room.
    for write in hosts.set(["10.0.0.2 b".into()]) {
        put(&mut file, &write);
    }
    for write in hosts.set(["10.0.0.2 b".into(), "10.0.0.3 c".into()]) {
        put(&mut file, &write);
    }
    assert_eq!(read(&file), ["127.0.0.1 localhost", "10.0.0.3 c", "10.0.0.2 b"]);
    assert_eq!(file.len(), 3 * 128);
    assert_eq!(hosts.set(["10.0.0.2 b".into(), "10.0.0.3 c".into()]), []);
}

#[test]
fn long_names_have_wider_slots_and_what_is_longer_is_left_out() {
    let mut hosts = Hosts::new(&[], 200);
    let long = format!("10.0.0.1 {}", "x".repeat(190));
    let writes = hosts.set([long.clone(), "y".repeat(256)]);
    assert_eq!(writes.len(), 2);
    assert_eq!(read(&hosts.whole()), [long]);
}

proptest! {
    #[test]
    fn at_each_moment_it_holds_what_stays_and_nothing_that_never_was(
        steps in prop::collection::vec(prop::collection::btree_set(0u8..12, 0..8), 1..12)
    ) {
        let line = |n: &u8| format!("10.0.0.{n} node{n}");
        let mut hosts = Hosts::new(&["127.0.0.1 localhost".into()], 60);
        let mut file = hosts.whole();
        let mut before = BTreeSet::new();
        for step in steps {
            let now: BTreeSet<String> = step.iter().map(line).collect();
            for write in hosts.set(now.clone()) {
                // As the kernel may do it: byte by byte, and a reader after each. New slots appear
                // whole, for a file grows by what was written.
                let at = usize::try_from(write.at).unwrap();
                let grows = at >= file.len();
                for (n, byte) in write.bytes.iter().enumerate() {
                    if grows { continue }
                    put(&mut file, &Write { at: write.at + n as u64, bytes: vec![*byte] });
                    let seen: BTreeSet<_> = read(&file).into_iter().collect();
                    prop_assert!(before.intersection(&now).all(|line| seen.contains(line)));
                    prop_assert!(seen.iter().all(|line| line == "127.0.0.1 localhost"
                        || before.contains(line) || now.contains(line)), "{seen:?}");
                }
                if grows { put(&mut file, &write) }
            }
            let seen: BTreeSet<_> = read(&file).into_iter().filter(|l| !l.ends_with('t')).collect();
            prop_assert_eq!(&seen, &now);
            prop_assert_eq!(read(&file), read(&hosts.whole()));
            before = now;
        }
    }
}

#[test]
fn the_lines_are_what_can_be_reached_nearest_first() {
    let [a, b] = [NetworkId(1), NetworkId(2)];
    let mut zone = Zone::new("lab");
    zone.set_network(
        a,
        Network { gateway: vec!["10.0.1.1".parse().unwrap()], ..Network::default() },
    );
    zone.set_network(b, Network { reaches: [a].into(), ..Network::default() });
    let at = |id, text: &str| Place::In(id, text.parse().unwrap());
    let host = |name: &str, places: &[Place]| Host {
        name: name.into(),
        aliases: vec![format!("p-{name}")],
        places: places.to_vec(),
    };
    zone.put(host("one", &[at(a, "10.0.1.5")]));
    zone.put(host("both", &[at(a, "10.0.1.6"), at(b, "10.0.2.6")]));
    zone.put(host("two", &[at(b, "10.0.2.7")]));
    assert_eq!(
        lines(&zone, &[a]),
        [
            "10.0.1.1 gateway gateway.lab",
            "10.0.1.6 both both.lab p-both",
            "10.0.1.5 one one.lab p-one"
        ]
    );
    assert_eq!(
        lines(&zone, &[b]),
        [
            "10.0.2.6 both both.lab p-both",
            "10.0.1.5 one one.lab p-one",
            "10.0.2.7 two two.lab p-two"
        ]
    );
    let all = lines(&zone, &[b, a]);
    assert_eq!(all.len(), 5, "{all:?}");
}

#[test]
fn the_head_keeps_what_a_host_calls_itself() {
    let host = "# mine\n127.0.0.1 localhost\n127.0.1.1 box.example box # me\n10.0.0.9 nas\n::1 localhost\n";
    assert_eq!(
        head("lab", host)[1..],
        ["127.0.0.1 localhost", "127.0.1.1 box.example box # me", "::1 localhost"]
    );
    assert_eq!(head("lab", "")[1..], ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]);
    assert!(head("lab", "").iter().all(|line| !line.is_empty()));
}
