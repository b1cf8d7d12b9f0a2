//! The filter language against tcpdump: the same file, the same filter, the same packets.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use uswitch_observe::Filter;
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
    let args = [options, &["-r", "-", "-w", "-", "-n", filter]].concat();
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

fn ours(frames: &[Vec<u8>], filter: &str) -> Vec<usize> {
    let filter = Filter::parse(filter, &|_| None).unwrap_or_else(|error| panic!("{error}"));
    let wanted: Vec<usize> =
        (0..frames.len()).filter(|n| filter.wants(&frames[*n], None)).collect();
    // The same frames with the tag taken out, as the kernel hands them over.
    let stripped: Vec<usize> = (0..frames.len())
        .filter(|n| match frames[*n].get(12..16) {
            Some([t1 @ (0x81 | 0x88 | 0x91), t2, c1, c2]) if [0, 0xa8].contains(t2) => {
                let tpid = u16::from_be_bytes([*t1, *t2]);
                let tag = VlanTag { tpid, tci: u16::from_be_bytes([*c1, *c2]) };
                let bytes = [&frames[*n][..12], &frames[*n][16..]].concat();
                filter.wants(&bytes, Some(tag))
            }
            _ => filter.wants(&frames[*n], None),
        })
        .collect();
    assert_eq!(wanted, stripped);
    wanted
}

const FILTERS: &[&str] = &[
    "icmp",
    "tcp",
    "udp",
    "sctp",
    "icmp6",
    "arp",
    "rarp",
    "ip",
    "ip6",
    "host 10.100.0.10",
    "src host 10.100.0.10",
    "dst host 8.8.8.8",
    "src 10.100.0.10",
    "src and dst host 10.100.0.10",
    "src or dst host 8.8.8.8",
    "ip host 10.100.0.20",
    "arp host 10.100.0.20",
    "rarp host 10.100.0.10",
    "arp src host 10.100.0.10",
    "net 10.100.0.0/16",
    "net 10.100",
    "net 10",
    "src net 8.8.8.0/24",
    "dst net 8",
    "net 10.100.0.0 mask 255.255.255.0",
    "arp net 10.100.0.0/24",
    "net 0.0.0.0/0",
    "host 2001:db8::1",
    "src host 2001:db8::2",
    "net 2001:db8::/32",
    "ip6 net 2001::/16",
    "not host fe80::1",
    "not net fe80::/10",
    "net ::/0",
    "port 53",
    "src port 53",
    "dst port 53",
    "tcp port 53",
    "udp dst port 53",
    "sctp port 53",
    "port domain",
    "port 80 or 443",
    "tcp port 80 or 8080",
    "src and dst port 53",
    "portrange 6000-6010",
    "udp portrange 50-60",
    "tcp dst portrange 8000-8100",
    "ip proto 47",
    "ip proto \\tcp",
    "ip6 proto 17",
    "proto 17",
    "ether proto 0x88cc",
    "ether proto \\arp",
    "proto \\udp",
    "ip proto \\icmp",
    "ether host 02:00:00:00:00:01",
    "ether src 02:00:00:00:00:01",
    "ether dst ff:ff:ff:ff:ff:ff",
    "ether broadcast",
    "broadcast",
    "ether multicast",
    "multicast",
    "ip multicast",
    "ip6 multicast",
    "less 60",
    "greater 100",
    "less 64 and not arp",
    "vlan",
    "vlan 100",
    "vlan 100 and icmp",
    "vlan and host 8.8.8.8",
    "vlan 5 and vlan 100 and udp",
    "not vlan",
    "vlan 100 or icmp",
    "icmp or vlan 100 and tcp",
    "vlan and vlan",
    "vlan 200 and ip",
    "tcp or udp and port 53",
    "tcp and port 53 or udp",
    "not tcp and not udp",
    "! (tcp or udp)",
    "not (port 53 and host 8.8.8.8)",
    "host 10.100.0.10 or 8.8.8.8",
    "not host 8.8.8.8 and 10.100.0.20",
    "(icmp or arp) && net 10.100.0.0/16",
    "icmp || arp",
    "host 10.100.0.10 and not port 53",
    "port (53 or 80)",
    "ip and not ip proto 6",
    "tcp src port 80 and dst port 8080",
];

#[test]
fn the_same_filter_finds_the_same_packets() {
    if !support::have("tcpdump") {
        return;
    }
    let frames = support::frames();
    let whole = support::whole_frames().len();
    let file = support::file(&frames);
    let mut wrong = Vec::new();
    for filter in FILTERS {
        let (theirs, ours) = (tcpdump(&file, &["-O"], filter), ours(&frames, filter));
        if theirs != ours {
            wrong.push(format!("{filter}: tcpdump {theirs:?}, here {ours:?}"));
        }
        let mut optimised = tcpdump(&file, &[], filter);
        optimised.retain(|number| *number < whole);
        let ours: Vec<_> = ours.into_iter().filter(|number| *number < whole).collect();
        if optimised != ours {
            wrong.push(format!("{filter}: tcpdump, optimised, {optimised:?}, here {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // Nearly every filter should find something and leave something, or it tests nothing.
    let telling = |f: &&&str| (1..frames.len()).contains(&ours(&frames, f).len());
    let idle: Vec<_> = FILTERS.iter().filter(|f| !telling(f)).collect();
    assert!(idle.len() < 3, "{idle:?}");
}

fn primitive() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> =
        FILTERS.iter().copied().filter(|f| !f.contains("or ") && !f.contains("vlan")).collect();
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
