//! What leaves: the options as the bytes have them, nonce and identifier, floods within bounds.

use std::collections::HashSet;

use super::answerer::{Answerer, Request};
use super::{THERE, joined_to_silence, objects, ours, summary};
use crate::support::{Sandbox, rooted};

/// The requests that `uswitch ping LINE` sends to one that answers all.
fn sent(sandbox: &Sandbox, line: &str) -> Vec<Request> {
    let peer = Answerer::start(|r| vec![r.answer()]);
    let line = format!("{line} {THERE}");
    ours(sandbox, &line.split(' ').collect::<Vec<_>>()).ok();
    peer.seen()
}

#[test]
fn options_as_the_bytes_have_them() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let one = |line: &str| sent(sandbox, &format!("-c 1 {line}")).remove(0);
        assert_eq!(one("-Q 0x28").ip()[1], 0x28);
        assert_eq!(one("-t 9").ip()[8], 9);
        let dont_fragment = |request: &Request| request.ip()[6] & 0x40 != 0;
        assert!(dont_fragment(&one("-M do")) && dont_fragment(&one("-M probe")));
        assert!(!dont_fragment(&one("-M dont")));
        for size in [0usize, 1, 7, 8, 9, 1472] {
            let request = one(&format!("-s {size}"));
            assert_eq!(request.icmp().len(), size + 8);
            assert_eq!(wire::checksum::checksum(request.icmp()), 0, "size {size}");
        }
        let request = one("-p a1b2c3 -s 14");
        assert_eq!(request.icmp()[16..], [0xc3, 0xa1, 0xb2, 0xc3, 0xa1, 0xb2], "after the nonce");
        let counted: Vec<u8> = (8..56).collect();
        assert_eq!(one("-s 56").icmp()[16..], counted);
    });
}

#[test]
fn every_run_has_an_identifier_and_a_nonce_of_its_own() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let runs: Vec<_> = (0..8).map(|_| sent(sandbox, "-c 2 -i 0.01")).collect();
        for run in &runs {
            assert_eq!((run[0].seq(), run[1].seq()), (1, 2));
            assert_eq!(run[0].icmp()[4..6], run[1].icmp()[4..6], "one identifier a run");
            assert_eq!(run[0].icmp()[8..16], run[1].icmp()[8..16], "one nonce a run");
        }
        let nonces: HashSet<_> = runs.iter().map(|run| run[0].icmp()[8..16].to_vec()).collect();
        let idents: HashSet<_> = runs.iter().map(|run| run[0].icmp()[4..6].to_vec()).collect();
        assert_eq!(nonces.len(), runs.len());
        assert!(idents.len() > 4, "random identifiers: {idents:?}");
    });
}

#[test]
fn a_flood_stops_at_its_count_and_its_deadline() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        assert_eq!(sent(sandbox, "-f -q -c 500").len(), 500);
        // Nobody answers: as many as stated at once, then a hundred a second, until the deadline.
        let peer = Answerer::start(|_| vec![]);
        let out = ours(sandbox, &["-f", "--json", "-w", "2", "-l", "7", THERE]).out;
        let summary = summary(&out);
        let count = summary["transmitted"].as_u64().unwrap();
        assert!((8..=7 + 200).contains(&count), "{summary}");
        assert_eq!(peer.seen().len() as u64, count, "what was sent is what was counted");
    });
}

#[test]
fn gaps_are_told_while_they_last_and_afterwards() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let script =
            |r: &Request| if (4..=6).contains(&r.seq()) { vec![] } else { vec![r.answer()] };
        let _peer = Answerer::start(script);
        let line = ["-c", "8", "-i", "0.2", "-O", "--outage", THERE];
        let out = ours(sandbox, &line).ok().out;
        for seq in 4..=6 {
            assert!(out.contains(&format!("no answer yet for icmp_seq={seq}\n")), "{out}");
        }
        let last = out.lines().last().unwrap();
        assert!(last.starts_with("longest gap without an answer "), "{last}");
        assert!(last.ends_with(" ms, after icmp_seq=3, 3 lost in it"), "{last}");
        let out = ours(sandbox, &["-c", "8", "-i", "0.2", "-O", "--json", THERE]).ok().out;
        let outage = summary(&out)["outage"].clone();
        assert_eq!((outage["after_seq"].as_u64(), outage["lost"].as_u64()), (Some(3), Some(3)));
        // Four intervals lie between the answers around it.
        assert!(outage["gap_us"].as_f64().unwrap() >= 700_000.0, "{outage}");
        let silent = objects(&out).iter().filter(|object| object["type"] == "silent").count();
        assert_eq!(silent, 3, "{out}");
    });
}
