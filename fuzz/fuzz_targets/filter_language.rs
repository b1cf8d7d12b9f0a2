//! The filter language: no text and no frame makes it panic, an error points into its text, and a
//! filter says the same of a frame however its tag travels, and never yes together with its `not`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use observe::filter::{Filter, Frame, Host, Known};
use observe::pcapng::Direction;
use wire::{MacAddr, VlanTag};

/// Words that a byte stands for, so that most texts come close to the grammar.
const WORDS: &[&str] = &[
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "icmp6",
    "igmp",
    "ether",
    "iso",
    "isis",
    "stp",
    "ipx",
    "atalk",
    "llc",
    "rr",
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "protochain",
    "gateway",
    "src",
    "dst",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ":",
    "=",
    "!=",
    "<",
    ">=",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "+",
    "-",
    "*",
    "/",
    "%",
    "len",
    "less",
    "greater",
    "byte",
    "inbound",
    "outbound",
    "broadcast",
    "multicast",
    "vlan",
    "mpls",
    "pppoes",
    "pppoed",
    "mask",
    "0",
    "1",
    "2",
    "4",
    "13",
    "80",
    "100",
    "0xffffffff",
    "1500",
    "6000-6010",
    "10.100.0.10",
    "10.100",
    "2001:db8::1",
    "02:00:00:00:00:01",
    "net1",
    "http",
    "\\tcp",
    "tcpflags",
    "tcp-syn",
    "icmptype",
    "geneve",
    "8",
    "16",
];

fuzz_target!(|input: (bool, Vec<u8>, Vec<u8>, bool)| {
    let (raw, text, bytes, inward) = input;
    let text = if raw {
        String::from_utf8_lossy(&text).into_owned()
    } else {
        let word = |byte: &u8| WORDS[usize::from(*byte) % WORDS.len()];
        text.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let host = |name: &str| {
        let mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        let own = Host { address: Some([10, 100, 0, 10].into()), mac };
        if name == "net1" { vec![own] } else { vec![] }
    };
    let known = Known { host: &host, netmask: Some([255, 255, 0, 0].into()) };
    let filter = match Filter::parse(&text, &known) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(text.get(error.at.clone()).is_some(), "{error:?}");
            assert!(error.to_string().lines().count() >= 3);
            return;
        }
    };
    let direction = if inward { Direction::In } else { Direction::Out };
    let frame = Frame { bytes: &bytes, tags: [None; 2], length: bytes.len(), direction };
    let wanted = filter.wants(&frame);
    if let Ok(opposite) = Filter::parse(&format!("not ({text})"), &known) {
        assert!(!(wanted && opposite.wants(&frame)), "{text}");
    }
    if let Some([a, b, c, d]) = bytes.get(12..16) {
        let tag = VlanTag { tpid: u16::from_be_bytes([*a, *b]), tci: u16::from_be_bytes([*c, *d]) };
        let rest = [&bytes[..12], &bytes[16..]].concat();
        let taken = Frame { bytes: &rest, tags: [Some(tag), None], length: rest.len(), direction };
        assert_eq!(wanted, filter.wants(&taken), "{text}");
    }
});
