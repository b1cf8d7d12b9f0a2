//! Ways of invented walks: the parts come to the whole, and each cause of a loss has its words.

use std::time::Duration;

use control::api::{Decision, Echo, Spent, Step, Verdict, Walk};
use proptest::prelude::*;
use serde_json::json;

use super::names::Names;
use super::tally::Tally;
use super::way::{Leg, Part, Unsent, Unsplit, Way};

/// When the probe was handed over.
const SENT: u64 = 1_700_000_000_000_000_000;
const REQUEST: Echo = Echo { reply: false, seq: 1, id: 7, translated: None };
const REPLY: Echo = Echo { reply: true, ..REQUEST };

fn names() -> Names {
    Names::invented(&[("veth1", "net1"), ("veth2", "net2"), ("vethinet", "inet")])
}

fn step(at: &str, decision: Decision, text: &str) -> Step {
    Step { at: at.into(), decision, text: text.into(), age: None }
}

/// A frame that came by `port` so many nanoseconds after the probe was sent.
fn walk(port: &str, after: u64, verdict: Verdict, to: &[&str]) -> Walk {
    Walk {
        time: SENT + after,
        port: port.into(),
        verdict,
        to: to.iter().map(|port| (*port).into()).collect(),
        steps: vec![step("table", Decision::Hit, "02:00:00:00:00:02 is at veth2 (net2)")],
        spent: Some(Spent { ring: 3_000, switch: 2_000, gateway: 0 }),
        ..Walk::default()
    }
}

fn dropped(port: &str, steps: &[Step]) -> Walk {
    Walk { steps: steps.to_vec(), ..walk(port, 1_000, Verdict::Dropped, &[]) }
}

fn way(walks: &[(Echo, Walk)]) -> Way {
    let mut way = Way::default();
    for (echo, walk) in walks {
        way.take(*echo, walk, &names());
    }
    way
}

fn there_and_back() -> Way {
    way(&[
        (REQUEST, walk("veth1", 10_000, Verdict::Forwarded, &["veth2"])),
        (REPLY, walk("veth2", 22_000, Verdict::Forwarded, &["veth1"])),
    ])
}

fn split(way: &Way, rtt: u64) -> Result<Vec<Part>, Unsplit> {
    way.parts("net1", Some(SENT + rtt), Duration::from_nanos(rtt))
}

fn told(parts: &[Part]) -> Vec<(&str, Leg, u64)> {
    let nanos = |part: &Part| u64::try_from(part.time.as_nanos()).unwrap();
    parts.iter().map(|part| (part.place.as_str(), part.leg, nanos(part))).collect()
}

#[test]
fn a_round_trip_has_five_parts() {
    let parts = split(&there_and_back(), 31_000).unwrap();
    assert_eq!(
        told(&parts),
        [
            ("net1", Leg::There, 10_000),
            ("switch", Leg::There, 5_000),
            ("net2", Leg::Turn, 7_000),
            ("switch", Leg::Back, 5_000),
            ("net1", Leg::Back, 4_000),
        ]
    );
}

#[test]
fn the_gateways_own_answer_has_three() {
    let mut answered = walk("veth1", 10_000, Verdict::Answered, &["veth1"]);
    answered.steps.push(step("gateway", Decision::Answers, "turned round in place"));
    let parts = split(&way(&[(REQUEST, answered)]), 20_000).unwrap();
    assert_eq!(
        told(&parts),
        [
            ("net1", Leg::There, 10_000),
            ("switch+gateway", Leg::Turn, 5_000),
            ("net1", Leg::Back, 5_000),
        ]
    );
}

#[test]
fn a_wait_for_a_neighbour_is_the_switches() {
    let mut waits = walk("veth1", 10_000, Verdict::Waits, &[]);
    waits.steps.push(step("gateway", Decision::Queued, "the packet waits"));
    let request = Echo { translated: Some(99), ..REQUEST };
    let later = Walk { spent: None, ..walk("gateway", 500_000, Verdict::Forwarded, &["vethinet"]) };
    let mut way = way(&[(request, waits)]);
    assert!(way.is_known_as(99) && !way.is_known_as(98));
    assert_eq!(way.fate("net1", None, None).kind, "waits");
    way.take(Echo { id: 99, ..REQUEST }, &later, &names());
    assert_eq!(way.fate("net1", None, None).text, "handed to inet, and no reply came back");
    way.take(REPLY, &walk("vethinet", 600_000, Verdict::Forwarded, &["veth1"]), &names());
    let parts = split(&way, 700_000).unwrap();
    assert_eq!(told(&parts)[1], ("switch+gateway", Leg::There, 490_000));
    assert_eq!(told(&parts)[2], ("inet", Leg::Turn, 100_000));
}

#[test]
fn a_flooded_probe_is_answered_by_one() {
    let way = way(&[
        (REQUEST, walk("veth1", 10_000, Verdict::Flooded, &["veth3", "veth2"])),
        (REPLY, walk("veth2", 22_000, Verdict::Forwarded, &["veth1"])),
        // What another says later counts for nothing.
        (REPLY, walk("veth3", 30_000, Verdict::Forwarded, &["veth1"])),
    ]);
    assert_eq!(told(&split(&way, 40_000).unwrap())[2], ("net2", Leg::Turn, 7_000));
}

#[test]
fn what_was_not_seen_whole_is_not_split() {
    let request = (REQUEST, walk("veth1", 10_000, Verdict::Forwarded, &["veth2"]));
    let reply = (REPLY, walk("veth2", 22_000, Verdict::Forwarded, &["veth1"]));
    for walks in [vec![], vec![request], vec![reply]] {
        assert_eq!(split(&way(&walks), 31_000), Err(Unsplit::Unseen));
    }
}

#[test]
fn a_stepped_clock_is_not_believed() {
    let way = there_and_back();
    let rtt = Duration::from_micros(31);
    assert_eq!(way.parts("net1", None, rtt), Err(Unsplit::Clock));
    for off in [-1_000_000_000i64, 1_000_000_000] {
        let received = SENT.checked_add_signed(off).unwrap() + 31_000;
        assert_eq!(way.parts("net1", Some(received), rtt), Err(Unsplit::Clock), "{off}");
    }
}

#[test]
fn each_loss_has_its_place_and_cause() {
    let request = || (REQUEST, walk("veth1", 10_000, Verdict::Forwarded, &["veth2"]));
    let reply = || (REPLY, walk("veth2", 22_000, Verdict::Forwarded, &["veth1"]));
    let down = [
        step("table", Decision::Hit, "02:00:00:00:00:02 is at veth2 (net2)"),
        step("table", Decision::Drop, "egress-down: that port is down or gone"),
    ];
    let refused = [
        step("table", Decision::Local, "for the gateway alone"),
        step("gateway", Decision::Drop, "no-route: no way there."),
    ];
    let mut answered = walk("veth1", 10_000, Verdict::Answered, &["veth1"]);
    answered.steps.clear();
    let strange = Walk { reason: Some("storm".into()), ..dropped("veth1", &[]) };
    for (walks, unsent, kind, text) in [
        (vec![], None, "unseen", "never came to the switch: net1 did not send it"),
        (
            vec![],
            Some(Unsent::Asking),
            "unseen",
            "never came to the switch: net1 still asks for its neighbour by ARP",
        ),
        (
            vec![],
            Some(Unsent::NoNeighbour),
            "unseen",
            "never came to the switch: net1 asked for its neighbour by ARP in vain",
        ),
        (
            vec![],
            Some(Unsent::Refused),
            "unseen",
            "never came to the switch: net1 refused to send it",
        ),
        (
            vec![(REQUEST, dropped("veth1", &down))],
            None,
            "dropped",
            "dropped by the switch: 02:00:00:00:00:02 is at veth2 (net2); egress-down: that port is \
             down or gone",
        ),
        (
            vec![(REQUEST, dropped("veth1", &refused))],
            None,
            "dropped",
            "dropped by the gateway: no-route: no way there",
        ),
        (vec![(REQUEST, strange)], None, "dropped", "dropped by the switch: storm"),
        (vec![request()], None, "unanswered", "handed to net2, and no reply came back"),
        (
            vec![(REQUEST, walk("veth1", 10_000, Verdict::Flooded, &["veth3", "veth4"]))],
            None,
            "unanswered",
            "not known by the table and flooded to veth3 and veth4, but not to net2, and no reply \
             came back",
        ),
        (
            vec![(REQUEST, answered)],
            None,
            "undelivered",
            "answered by the gateway, but not heard by net1",
        ),
        (
            vec![request(), (REPLY, dropped("veth2", &refused))],
            None,
            "answer_dropped",
            "answered by net2; the answer was dropped by the gateway: no-route: no way there",
        ),
        (
            vec![request(), reply()],
            None,
            "undelivered",
            "answered by net2; the answer was handed to net1, and not heard",
        ),
    ] {
        let fate = way(&walks).fate("net1", Some("net2"), unsent);
        assert_eq!((fate.kind, fate.text.as_str()), (kind, text));
    }
}

#[test]
fn a_run_is_summed_up() {
    let mut tally = Tally::default();
    tally.add(&split(&there_and_back(), 31_000));
    tally.add(&split(&there_and_back(), 37_000));
    tally.add(&Err(Unsplit::Clock));
    let silent = way(&[(REQUEST, walk("veth1", 10_000, Verdict::Forwarded, &["veth2"]))]);
    for number in [3, 4, 5, 9] {
        tally.lose(number, silent.fate("net1", None, None));
    }
    tally.lose(11, Way::default().fate("net1", None, None));
    assert_eq!(
        tally.lines(),
        [
            "WHERE               MIN µs  AVG µs  MAX µs  SHARE",
            "net1's stack          10.0    10.0    10.0    29%",
            "switch                 5.0     5.0     5.0    15%",
            "net2's stack           7.0     7.0     7.0    21%",
            "switch, back           5.0     5.0     5.0    15%",
            "net1's stack, back     4.0     7.0    10.0    21%",
            "lost icmp_seq=3-5, 9 (4): handed to net2, and no reply came back",
            "lost icmp_seq=11: never came to the switch: net1 did not send it",
            "1 answered while the wall clock was stepped: not split",
        ]
    );
    let told = tally.json();
    assert_eq!(told["parts"][4]["avg_us"], json!(7.0));
    assert_eq!(told["losses"][0]["count"], 4);
    assert_eq!(told["losses"][0]["seen"], "unanswered");
    assert_eq!(told["clock_stepped"], 1);
}

#[test]
fn what_is_remembered_of_losses_is_bounded() {
    let mut tally = Tally::default();
    let silent = way(&[(REQUEST, walk("veth1", 10_000, Verdict::Forwarded, &["veth2"]))]);
    for number in 0..100_000u64 {
        tally.lose(2 * number + 1, silent.fate("net1", None, None));
    }
    let lines = tally.lines();
    assert_eq!(
        lines,
        [
            "lost icmp_seq=1, 3, 5, 7, 9, 11, 13, 15, … (100000): handed to net2, and no reply came back"
        ]
    );
}

proptest! {
    // Whatever the stamps, the parts of a split come to the round trip.
    #[test]
    fn parts_come_to_the_whole(
        came in 0u64..400_000, ring in 0u64..100_000, turn in 0u64..400_000, rtt in 0u64..2_000_000,
    ) {
        let spent = Some(Spent { ring, switch: 1_000, gateway: 0 });
        let there = Walk { spent, ..walk("veth1", came, Verdict::Forwarded, &["veth2"]) };
        let back = walk("veth2", came + ring + turn, Verdict::Forwarded, &["veth1"]);
        if let Ok(parts) = split(&way(&[(REQUEST, there), (REPLY, back)]), rtt) {
            let sum: Duration = parts.iter().map(|part| part.time).sum();
            prop_assert_eq!(sum, Duration::from_nanos(rtt));
            prop_assert_eq!(parts.len(), 5);
        } else {
            prop_assert!(came + ring + turn + 5_000 > rtt, "in order, yet not split");
        }
    }
}
