//! Each thing that can be odd about an answer, made by an answerer, told apart and counted.

use serde_json::{Value, json};

use super::answerer::{Answer, Answerer, Request};
use super::{THERE, joined_to_silence, objects, ours, replies, summary};
use crate::support::{Sandbox, rooted};

/// Runs `uswitch ping --json` against `script`; the code, and what was said. The last answer is waited
/// for no longer than a pause, as iputils does: a busy machine needs one that is not short.
fn told(
    sandbox: &Sandbox,
    line: &str,
    script: impl Fn(&Request) -> Vec<Answer> + Send + 'static,
) -> (i32, String) {
    let _peer = Answerer::start(script);
    let line = format!("--json {line} {THERE}");
    let ended = ours(sandbox, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.err, "");
    (ended.code.unwrap(), ended.out)
}

/// Asserts the counters of a summary that are not zero besides `transmitted` and `received`.
#[track_caller]
fn counted(out: &str, transmitted: u64, received: u64, odd: Value) {
    let summary = summary(out);
    assert_eq!(summary["transmitted"], transmitted, "{summary}");
    assert_eq!(summary["received"], received, "{summary}");
    for counter in [
        "lost",
        "duplicates",
        "corrupt",
        "changed",
        "truncated",
        "wrong_source",
        "ttl_changes",
        "late",
        "reordered",
        "errors",
    ] {
        let wanted = odd.get(counter).cloned().unwrap_or(json!(0));
        assert_eq!(summary[counter], wanted, "{counter}: {summary}");
    }
}

/// The honest answer, but for the request with this number.
fn but(
    seq: u16,
    odd: fn(&Request) -> Vec<Answer>,
) -> impl Fn(&Request) -> Vec<Answer> + Send + 'static {
    move |request| if request.seq() == seq { odd(request) } else { vec![request.answer()] }
}

#[test]
fn lost_late_doubled_and_overtaken() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let (code, out) = told(sandbox, "-c 4 -i 0.5", but(2, |_| vec![]));
        counted(&out, 4, 3, json!({"lost": 1}));
        assert_eq!((code, summary(&out)["loss_percent"].as_f64()), (0, Some(25.0)));

        let late = but(1, |r| vec![r.answer().until(3)]);
        let (_, out) = told(sandbox, "-c 3 -i 1 -W 1.5", late);
        counted(&out, 3, 3, json!({"late": 1, "reordered": 1}));
        let late: Vec<_> = replies(&out).into_iter().filter(|r| r["late"] == true).collect();
        assert_eq!(late.len(), 1);
        assert!(late[0]["rtt_us"].as_f64().unwrap() >= 2_000_000.0, "{}", late[0]);

        let twice = but(2, |r| vec![r.answer(), r.answer().until(3)]);
        let (_, out) = told(sandbox, "-c 3 -i 0.5", twice);
        counted(&out, 3, 3, json!({"duplicates": 1}));

        let overtaken = but(1, |r| vec![r.answer().until(3)]);
        let (_, out) = told(sandbox, "-c 3 -i 0.5", overtaken);
        counted(&out, 3, 3, json!({"reordered": 1}));
        let order: Vec<_> = replies(&out).iter().map(|r| r["seq"].as_u64().unwrap()).collect();
        assert_eq!(order, [2, 1, 3]);
    });
}

#[test]
fn corrupt_changed_and_truncated() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let (_, out) = told(sandbox, "-c 3 -i 0.5 -W 5", but(2, |r| vec![r.answer().unsound()]));
        counted(&out, 3, 2, json!({"lost": 1, "corrupt": 1}));
        assert_eq!(replies(&out)[1]["bad_checksum"], true);

        // Byte 3 is in the nonce, 12 where ping keeps its time, 55 the last.
        for at in [3usize, 12, 20, 55] {
            let peer = move |r: &Request| {
                vec![if r.seq() == 2 { r.answer().changed(at) } else { r.answer() }]
            };
            let (_, out) = told(sandbox, "-c 3 -i 0.5 -W 20", peer);
            counted(&out, 3, 3, json!({"changed": 1}));
            assert_eq!(replies(&out)[1]["changed"]["at"], at, "{out}");
        }

        // Cut within the data, within the nonce, and down to the header.
        for left in [40usize, 3, 0] {
            let peer = move |r: &Request| {
                vec![if r.seq() == 2 { r.answer().cut(left) } else { r.answer() }]
            };
            let (_, out) = told(sandbox, "-c 3 -i 0.5 -W 20", peer);
            counted(&out, 3, 3, json!({"truncated": 1}));
            assert_eq!(replies(&out)[1]["bytes"], left + 8, "{out}");
        }
    });
}

#[test]
fn another_address_and_another_ttl() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let (_, out) =
            told(sandbox, "-c 3 -i 0.5", but(2, |r| vec![r.answer().from([10, 9, 0, 66])]));
        counted(&out, 3, 3, json!({"wrong_source": 1}));
        assert_eq!(replies(&out)[1]["from"], "10.9.0.66");

        let (_, out) = told(sandbox, "-c 4 -i 0.5", but(2, |r| vec![r.answer().ttl(7)]));
        counted(&out, 4, 4, json!({"ttl_changes": 2}));
        let replies = replies(&out);
        assert_eq!((&replies[1]["ttl"], &replies[1]["ttl_was"]), (&json!(7), &json!(64)));
        assert_eq!((&replies[2]["ttl"], &replies[2]["ttl_was"]), (&json!(64), &json!(7)));
    });
}

#[test]
fn errors_by_type_code_and_router() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let (code, out) = told(sandbox, "-c 4 -i 0.5 -W 1", |r| {
            vec![match r.seq() {
                1 | 2 => r.error(11, 0, [0; 4]).from([10, 9, 0, 8]),
                3 => r.error(3, 4, [0, 0, 2, 64]),
                _ => r.error(3, 13, [0; 4]).from([10, 9, 0, 8]),
            }]
        });
        counted(&out, 4, 0, json!({"lost": 4, "errors": 4}));
        assert_eq!(code, 1);
        let kinds = summary(&out)["icmp_errors"].clone();
        let kind = |kind: u8, code: u8, from: &str, count: u8| json!({"icmp_type": kind, "icmp_code": code, "from": from, "count": count});
        let wanted = [kind(11, 0, "10.9.0.8", 2), kind(3, 4, THERE, 1), kind(3, 13, "10.9.0.8", 1)];
        assert_eq!(kinds, json!(wanted));
        let told = objects(&out).into_iter().find(|object| object["icmp_code"] == 4).unwrap();
        assert_eq!((&told["info"], &told["seq"]), (&json!(576), &json!(3)));
    });
}

#[test]
fn what_is_not_ours_changes_nothing() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let (_, out) = told(sandbox, "-c 3 -i 0.5", |r| {
            let mut other_nonce = r.answer();
            other_nonce.message[8..16].copy_from_slice(b"a nonce!");
            let mut other_ident = r.answer();
            other_ident.message[4] ^= 0xff;
            let mut never_sent = r.answer();
            never_sent.message[6] = 0x77;
            let mut about_another = r.error(3, 1, [0; 4]);
            about_another.message[8 + 20 + 4] ^= 0xff;
            let mut elsewhere = r.error(3, 1, [0; 4]);
            elsewhere.message[8 + 19] ^= 0xff;
            let quotes_nothing = r.error(3, 1, [0; 4]).cut(20);
            let shut_up =
                [other_nonce, other_ident, never_sent, about_another, elsewhere, quotes_nothing];
            let mut storm: Vec<Answer> = (0..50).flat_map(|_| shut_up.clone()).collect();
            storm.push(r.answer().after(10));
            storm
        });
        counted(&out, 3, 3, json!({}));
        assert_eq!(replies(&out).len(), 3, "{out}");
    });
}

#[test]
fn two_pingers_take_no_answer_of_each_other() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let _peer = Answerer::start(|r| vec![r.answer(), r.answer().after(2)]);
        let args = ["--json", "-c", "20", "-i", "0.2", THERE];
        let pingers: Vec<_> = (0..4).map(|_| super::start(sandbox, &args)).collect();
        for pinger in pingers {
            let summary = summary(&pinger.ended().ok().out);
            assert_eq!(summary["received"], 20, "{summary}");
            assert!(summary["duplicates"].as_u64().unwrap() <= 20, "{summary}");
        }
    });
}

#[test]
fn the_summary_names_what_ping_does_not_count() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let _peer = Answerer::start(|r| match r.seq() {
            2 => vec![r.answer().cut(30).ttl(60)],
            3 => vec![r.answer().changed(20).from([10, 9, 0, 66])],
            4 => vec![r.error(11, 0, [0; 4]).from([10, 9, 0, 8])],
            _ => vec![r.answer()],
        });
        let out = ours(sandbox, &["-c", "5", "-i", "0.5", "-W", "20", THERE]).ok().out;
        for line in [
            "of the answers: 1 truncated, 1 with other data, 1 from another address, 2 with another TTL than the one before",
            "1 x type 11 code 0 from 10.9.0.8: Time to live exceeded",
        ] {
            assert!(out.lines().any(|said| said == line), "no {line:?} in:\n{out}");
        }
    });
}
