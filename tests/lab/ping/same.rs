//! The same command line given to both, and the same bytes from both: only numbers that were
//! measured may differ, and what stands below ping's summary.
//!
//! Not compared, because the ping of 2022 that Debian 12 has differs from later ones, or from what
//! it does otherwise: `-M probe`, which it does not know; wrong checksums, which it looks past and
//! later ones mark as we do; `-q` with a probe too long to leave, which it then does not count.

use std::time::Duration;

use super::answerer::{Answer, Answerer, Request};
use super::{THERE, joined, joined_to_silence, ours, theirs};
use crate::support::{Ended, Sandbox, rooted};

/// Cuts measured numbers out of a text: what stands between a word and the next word.
fn blank(text: &str, from: &str, to: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once(from) {
        let number = after.find(|c: char| !c.is_ascii_digit() && !"./".contains(c));
        let (number, after) = after.split_at(number.unwrap_or(after.len()));
        let measured = !number.is_empty() && after.starts_with(to);
        out += &format!("{before}{from}{}", if measured { "N" } else { number });
        rest = after;
    }
    out + rest
}

/// What has to be the same.
fn plain(text: &str) -> String {
    let mut out = text.to_owned();
    for (from, to) in
        [("time=", " ms"), ("time ", "ms"), ("mdev = ", " ms"), ("ewma ", " ms"), ("[", "] ")]
    {
        out = blank(&out, from, to);
    }
    let beyond = |line: &&str| {
        !(line.starts_with("rtt p50/")
            || line.starts_with("of the answers")
            || line.contains(" x type "))
    };
    out.lines().filter(beyond).map(|line| format!("{line}\n")).collect()
}

/// Errors begin with the program's name.
fn unnamed(text: &str) -> String {
    text.replace("uswitch: ", "").replace("ping: ", "")
}

#[track_caller]
fn compare(args: &[&str], theirs: &Ended, ours: &Ended) {
    let said = args.join(" ");
    assert_eq!(plain(&theirs.out), plain(&ours.out), "ping's output and ours: {said}");
    assert_eq!(unnamed(&theirs.err), unnamed(&ours.err), "ping's complaints and ours: {said}");
    assert_eq!(theirs.code, ours.code, "ping's exit code and ours: {said}");
    assert!(theirs.out.contains("PING"), "ping itself said nothing: {said}: {}", theirs.err);
}

#[track_caller]
fn both(sandbox: &Sandbox, line: &str) {
    let args: Vec<&str> = line.split(' ').collect();
    compare(&args, &theirs(sandbox, &args), &ours(sandbox, &args));
}

#[test]
fn a_peer_that_answers() {
    rooted(|sandbox| {
        joined(sandbox);
        for line in [
            "-c 3 -i 0.1 10.9.0.2",
            "-n -4 -c 1 10.9.0.2",
            "-q -c 2 -i 0.1 10.9.0.2",
            "-D -c 2 -i 0.1 10.9.0.2",
            "-O -c 2 -i 0.1 10.9.0.2",
            "-s 0 -c 2 -i 0.1 10.9.0.2",
            "-s 8 -c 1 10.9.0.2",
            "-s 15 -c 2 -i 0.1 10.9.0.2",
            "-s 16 -c 2 -i 0.1 10.9.0.2",
            "-s 1472 -c 1 10.9.0.2",
            "-s 9000 -c 2 -i 0.1 10.9.0.2",
            "-s 65507 -c 1 10.9.0.2",
            "-p ff -c 1 10.9.0.2",
            "-p 0102abc -s 20 -c 1 10.9.0.2",
            "-q -p ff -c 1 10.9.0.2",
            "-t 3 -c 1 10.9.0.2",
            "-Q 0x10 -c 1 10.9.0.2",
            "-M do -s 1400 -c 1 10.9.0.2",
            "-M want -s 2000 -c 1 10.9.0.2",
            "-M dont -s 2000 -c 1 10.9.0.2",
            "-I va -c 1 10.9.0.2",
            "-I 10.9.0.1 -c 1 10.9.0.2",
            "-I 10.9.0.1 -I va -c 1 10.9.0.2",
            "-l 5 -c 5 10.9.0.2",
            "-l 3 -i 0.1 -c 5 10.9.0.2",
            "-w 2 -i 1.3 10.9.0.2",
            "-w 9 -c 2 -i 0.1 10.9.0.2",
            "-c 1 127.1",
            "-c 1 0",
            "-c 1 10.9.2",
        ] {
            // -q before -p or after it is one to us: ping prints the pattern it reads before -q.
            let args: Vec<&str> = line.split(' ').collect();
            compare(&args, &theirs(sandbox, &args), &ours(sandbox, &args));
        }
    });
}

/// One run in which every answer came before the next request was due, 10 ms or one answer after it. Where
/// something else had the processor for longer, ping says how many waited at a time: then once more.
fn unhurried(sandbox: &Sandbox, run: fn(&Sandbox, &[&str]) -> Ended, args: &[&str]) -> Ended {
    let mut runs = (0..20).map(|_| run(sandbox, args));
    let even = runs.find(|ended| !ended.out.contains(", pipe "));
    even.unwrap_or_else(|| panic!("in 20 runs of ping {} requests waited", args.join(" ")))
}

#[test]
fn a_peer_that_answers_at_once() {
    rooted(|sandbox| {
        joined(sandbox);
        for line in ["-A -q -c 20 10.9.0.2", "-f -q -c 200 10.9.0.2"] {
            let args: Vec<&str> = line.split(' ').collect();
            let runs = [theirs, ours].map(|run| unhurried(sandbox, run, &args));
            compare(&args, &runs[0], &runs[1]);
        }
    });
}

#[test]
fn a_peer_that_is_not_there() {
    rooted(|sandbox| {
        joined(sandbox);
        for line in [
            "-c 3 -i 0.1 10.9.0.77",
            "-q -c 1 10.9.0.77",
            "-D -c 1 10.9.0.77",
            "-w 3 10.9.0.77",
            "-M do -s 2000 -c 2 -i 0.2 -W 0.2 10.9.0.2",
        ] {
            both(sandbox, line);
        }
    });
}

#[test]
fn a_peer_that_is_silent() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        for line in [
            "-c 2 -i 0.1 -W 0.3 10.9.0.2",
            "-O -c 3 -i 0.1 -W 0.3 10.9.0.2",
            "-O -q -c 3 -i 0.1 -W 0.3 10.9.0.2",
            "-w 2 -i 1.3 10.9.0.2",
            "-w 2 -i 1.3 -c 1 10.9.0.2",
            "-s 0 -c 1 -W 0.3 10.9.0.2",
        ] {
            both(sandbox, line);
        }
    });
}

/// The honest answer, just ahead of the next request's.
fn again(request: &Request) -> Answer {
    request.answer().until(request.seq() + 1)
}

/// What a script makes of a request.
type Script = fn(&Request) -> Vec<Answer>;

/// The error that request number `seq` is answered by: every type and code there is a word for,
/// but "reassembly time exceeded", which the kernel keeps from a ping that waits for its word.
fn errors(request: &Request) -> Vec<Answer> {
    let seq = u8::try_from(request.seq()).unwrap();
    let (kind, code, rest) = match seq {
        1..=16 => (3, seq - 1, if seq == 5 { [0, 0, 5, 0xdc] } else { [0; 4] }),
        17 | 19 => (11, seq - 17, [0; 4]),
        18 => return vec![request.answer()],
        20 => (12, 0, [21, 0, 0, 0]),
        21 => (4, 0, [0; 4]),
        _ => (5, seq - 22, [10, 9, 0, 9]),
    };
    // Advice comes before the answer.
    let mut answers = vec![request.error(kind, code, rest)];
    if seq > 20 {
        answers.push(request.answer().after(20));
    }
    answers
}

/// One run with a request each 0.2 s. Where one of the three is kept from running for longer than
/// half of that, what is said of time differs ("pipe 3"): then once more.
fn undisturbed(
    sandbox: &Sandbox,
    script: Script,
    run: fn(&Sandbox, &[&str]) -> Ended,
    args: &[&str],
) -> Ended {
    for _ in 0..20 {
        let peer = Answerer::start(script);
        let ended = run(sandbox, args);
        if peer.was_steady(Duration::from_millis(200)) {
            return ended;
        }
    }
    panic!("20 runs of ping {} were disturbed", args.join(" "));
}

#[test]
fn a_peer_that_does_not_behave() {
    let scripts: [(&str, Script, &str); 8] = [
        ("doubles", |r| vec![r.answer(), again(r)], "-c 4 -i 0.2"),
        ("doubles", |r| vec![r.answer(), again(r)], "-q -c 4 -i 0.2"),
        (
            "loses every other",
            |r| if r.seq() % 2 == 0 { vec![r.answer()] } else { vec![] },
            "-O -c 5 -i 0.2 -W 1",
        ),
        (
            "other data",
            |r| vec![if r.seq() == 2 { r.answer().changed(20) } else { r.answer() }],
            "-c 3 -i 0.2 -s 100",
        ),
        ("other data, doubled", |r| vec![r.answer().changed(50), again(r)], "-c 3 -i 0.2 -D"),
        (
            "too short",
            |r| vec![if r.seq() == 2 { r.answer().cut(30) } else { r.answer() }],
            "-c 3 -i 0.2",
        ),
        (
            "another address, another TTL, twice",
            |r| {
                let odd = r.answer().from([10, 9, 0, 7]).ttl(61);
                if r.seq() == 2 { vec![r.answer(), odd.until(3)] } else { vec![odd] }
            },
            "-c 3 -i 0.2",
        ),
        ("every error there is", errors, "-c 25 -i 0.2 -W 1"),
    ];
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        for (what, script, line) in scripts {
            let line = format!("{line} {THERE}");
            let args: Vec<&str> = line.split(' ').collect();
            let runs = [theirs, ours].map(|run| undisturbed(sandbox, script, run, &args));
            eprintln!("{what}:\n{}", runs[1].out);
            compare(&args, &runs[0], &runs[1]);
        }
    });
}

#[test]
fn a_flood_of_dots() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        let script: Script = |r| if r.seq() % 3 == 0 { vec![] } else { vec![r.answer()] };
        let args = ["-f", "-c", "9", "-W", "1", THERE];
        let runs = [theirs, ours].map(|run| {
            let _peer = Answerer::start(script);
            run(sandbox, &args)
        });
        let dots = |ended: &Ended| ended.out.matches('.').count();
        assert!(dots(&runs[1]) >= 9 && runs[1].out.contains('\u{8}'), "{}", runs[1].out);
        assert_eq!(runs[0].code, runs[1].code);
        let counts =
            |ended: &Ended| ended.out.lines().find(|line| line.contains("transmitted")).map(plain);
        assert_eq!(counts(&runs[0]), counts(&runs[1]));
    });
}
