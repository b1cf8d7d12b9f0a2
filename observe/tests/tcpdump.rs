//! The filter language against tcpdump: the same file, the same filter, the same packets.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use uswitch_observe::filter::{Filter, Frame, Known};
use uswitch_observe::pcapng::Direction;
use wire::VlanTag;

/// Numbers of the frames that tcpdump wants: it writes them to a classic pcap file, in which the
/// second of each is its number.
///
/// `-O` is the oracle: the program as the language defines it, which asks each byte a primitive
/// names. The optimiser leaves out or reorders questions, and where a frame is cut off before a
/// byte asked for, which rejects it, that changes the answer: `net 0.0.0.0/0` masks the address
/// away, so the optimised program finds a frame that ends before it. It also refuses to run a
/// program that can find nothing. On whole frames the two agree, and both are asked.
fn tcpdump(file: &[u8], options: &[&str], filter: &str) -> Vec<usize> {
    let args = [options, &["-r", "-", "-w", "-", "-n", "--", filter]].concat();
    let out = support::run("tcpdump", &args, file);
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| out[at + i])) as usize;
    let mut found = Vec::new();
    let mut at = 24;
    while at < out.len() {
        found.push(word(at));
        at += 16 + word(at + 8);
    }
    found
}

/// Whether a filter wants a frame that came in whole.
fn wants(filter: &Filter, bytes: &[u8], vlan: Option<VlanTag>) -> bool {
    filter.wants(&Frame {
        bytes,
        tags: [vlan, None],
        length: bytes.len(),
        direction: Direction::In,
    })
}

fn ours(frames: &[Vec<u8>], filter: &str) -> Vec<usize> {
    let filter = Filter::parse(filter, &Known::NOTHING).unwrap_or_else(|error| panic!("{error}"));
    let wanted: Vec<usize> =
        (0..frames.len()).filter(|n| wants(&filter, &frames[*n], None)).collect();
    // The same frames with the tag taken out, as the kernel hands them over.
    let stripped: Vec<usize> = (0..frames.len())
        .filter(|n| match frames[*n].get(12..16) {
            Some([t1 @ (0x81 | 0x88 | 0x91), t2, c1, c2]) if [0, 0xa8].contains(t2) => {
                let tpid = u16::from_be_bytes([*t1, *t2]);
                let tag = VlanTag { tpid, tci: u16::from_be_bytes([*c1, *c2]) };
                let bytes = [&frames[*n][..12], &frames[*n][16..]].concat();
                wants(&filter, &bytes, Some(tag))
            }
            _ => wants(&filter, &frames[*n], None),
        })
        .collect();
    assert_eq!(wanted, stripped);
    wanted
}

/// Filters that both read; a line each.
const READ: &str = include_str!("filters/read.txt");
/// Filters that both refuse.
const REFUSED: &str = include_str!("filters/refused.txt");

fn filters(list: &'static str) -> Vec<&'static str> {
    list.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn the_same_filter_finds_the_same_packets() {
    if !support::have("tcpdump") {
        return;
    }
    let frames = support::frames();
    let whole = support::whole_frames().len();
    let file = support::file(&frames);
    let filters = filters(READ);
    assert!(filters.len() >= 200, "{} filters", filters.len());
    let mut wrong = Vec::new();
    let mut idle = Vec::new();
    for filter in filters {
        let (theirs, ours) = (tcpdump(&file, &["-O"], filter), ours(&frames, filter));
        if theirs != ours {
            wrong.push(format!("{filter}: tcpdump {theirs:?}, here {ours:?}"));
        }
        if !(1..frames.len()).contains(&ours.len()) {
            idle.push(filter);
        }
        let ours: Vec<_> = ours.into_iter().filter(|number| *number < whole).collect();
        if ours.is_empty() {
            continue;
        }
        let mut optimised = tcpdump(&file, &[], filter);
        optimised.retain(|number| *number < whole);
        if optimised != ours {
            wrong.push(format!("{filter}: tcpdump, optimised, {optimised:?}, here {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // Nearly every filter should find something and leave something, or it tests nothing.
    assert!(idle.len() < 40, "{idle:?}");
}

#[test]
fn the_same_filters_are_refused() {
    if !support::have("tcpdump") {
        return;
    }
    let read = |filter: &str| {
        let tool = std::process::Command::new("tcpdump")
            .args(["-O", "-y", "EN10MB", "-d", "--", filter])
            .output()
            .unwrap();
        tool.status.success()
    };
    let mut wrong = Vec::new();
    for filter in filters(REFUSED) {
        let here = Filter::parse(filter, &Known::NOTHING).is_ok();
        if here || read(filter) {
            wrong.push(format!("{filter}: tcpdump {}, here {here}", read(filter)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Whether a filter moves what stands behind it, so that it cannot stand anywhere.
fn moves(filter: &str) -> bool {
    ["vlan", "mpls", "pppoes"].iter().any(|word| filter.contains(word))
}

fn primitive() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> =
        filters(READ).into_iter().filter(|f| !f.is_empty() && !moves(f)).collect();
    proptest::sample::select(known).prop_map(|f| format!("({f})"))
}

fn filter() -> impl Strategy<Value = String> {
    primitive().prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} and {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

/// PROPTEST_CASES says how many, where set. What failed is kept beside this file: a test's folder
/// has no lib.rs, from where the default would begin to look.
fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("proptest-regressions");
    let mut config =
        ProptestConfig { failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 48;
    }
    config
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn any_combination_finds_the_same_packets(filter in filter()) {
        if !support::have("tcpdump") {
            return Ok(());
        }
        let frames = support::frames();
        let theirs = tcpdump(&support::file(&frames), &["-O"], &filter);
        prop_assert_eq!(theirs, ours(&frames, &filter));
    }
}
