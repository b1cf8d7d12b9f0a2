//! The first hour with uswitch, as one session at one machine: `first_hour.txt` has each line as a
//! newcomer types it, good or bad, what comes of it on both outputs, and the exit code. `BLESS=1` writes
//! it anew; it is to be read by a person then, line by line.
//!
//! What differs from run to run is masked: decimals (`#.#`), what stands before a unit of time, process
//! numbers, dates; gaps beside a mask have two blanks, for its width differs too.

use std::fmt::Write as _;
use std::path::Path;

use nix::unistd::geteuid;

use crate::support::{Sandbox, rooted, skip};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/first_hour.txt");

/// One line that is typed, after what is remarked about it.
struct Step {
    remarks: Vec<String>,
    line: String,
    said: String,
}

#[test]
fn a_first_hour() {
    if !geteuid().is_root() {
        return skip("the session is root's");
    }
    rooted(|sandbox| {
        let (steps, end) = read(&std::fs::read_to_string(FILE).unwrap());
        assert!(steps.len() >= 60, "only {} lines: is the session whole?", steps.len());
        let mut session = String::new();
        let mut wrong = Vec::new();
        for step in &steps {
            let said = typed(sandbox, &step.line);
            for remark in &step.remarks {
                let _ = writeln!(session, "{remark}");
            }
            let _ = write!(session, "$ {}\n{said}", step.line);
            if said != step.said {
                wrong.push(format!("$ {}\n{}", step.line, differ(&step.said, &said)));
            }
        }
        session += &end;
        if std::env::var_os("BLESS").is_some() {
            return std::fs::write(FILE, session).unwrap();
        }
        let how = "look at it, then BLESS=1 cargo test --test lab first_hour";
        assert!(wrong.is_empty(), "{how}:\n{}", wrong.join("\n"));
    });
}

/// The steps of a session, and what stands after the last one.
fn read(text: &str) -> (Vec<Step>, String) {
    let (mut steps, mut remarks) = (Vec::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_prefix("$ ") else {
            remarks.push(line.to_owned());
            continue;
        };
        let mut said = String::new();
        for line in lines.by_ref() {
            let _ = writeln!(said, "{line}");
            if line.starts_with("[exit ") {
                break;
            }
        }
        steps.push(Step { remarks: std::mem::take(&mut remarks), line: line.to_owned(), said });
    }
    (steps, remarks.iter().map(|remark| format!("{remark}\n")).collect())
}

/// What comes of a line: standard output and error in their order, masked, and the exit code.
fn typed(sandbox: &Sandbox, line: &str) -> String {
    let bin = Path::new("/run/test").display();
    let ended = sandbox.shell(&format!("exec 2>&1; export PATH={bin}:$PATH; {line}"));
    let mut said: String =
        ended.out.lines().map(|line| format!("{}\n", masked(line).trim_end())).collect();
    let code = ended.code.map_or_else(|| "by a signal".into(), |code| code.to_string());
    let _ = writeln!(said, "[exit {code}]");
    said
}

/// The first line that differs, with the two before it.
fn differ(wanted: &str, found: &str) -> String {
    let (wanted, found): (Vec<_>, Vec<_>) = (wanted.lines().collect(), found.lines().collect());
    let mut at = (0..wanted.len().max(found.len())).filter(|at| wanted.get(*at) != found.get(*at));
    let at = at.next().unwrap_or(0);
    let nothing = &"(nothing more)";
    let mut text: String = found[at.saturating_sub(2)..at.min(found.len())]
        .iter()
        .map(|line| format!("    {line}\n"))
        .collect();
    let _ = writeln!(text, "  - {}", wanted.get(at).unwrap_or(nothing));
    let _ = writeln!(text, "  + {}", found.get(at).unwrap_or(nothing));
    text
}

/// A line without what differs from run to run.
fn masked(line: &str) -> String {
    // A busy machine takes milliseconds for what are microseconds else.
    let line =
        &line.replace("(seen just now)", "(seen 0 s ago)").replace(" ms in the ", " µs in the ");
    let bytes = line.as_bytes();
    let (mut out, mut at, mut any) = (String::new(), 0, false);
    while at < bytes.len() {
        let from = at;
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b".:-/_".contains(byte);
        let ours = part(&bytes[at]);
        while at < bytes.len() && part(&bytes[at]) == ours {
            at += 1;
        }
        let word = &line[from..at];
        let mask = if ours { mask(word, &line[..from], &line[at..]) } else { None };
        any |= mask.is_some();
        out += mask.as_deref().unwrap_or(word);
    }
    if !any {
        return out;
    }
    let mut narrow = String::new();
    for (number, word) in out.split("  ").filter(|gap| !gap.trim().is_empty()).enumerate() {
        narrow += if number == 0 { "" } else { "  " };
        narrow += word.trim();
    }
    let indent = out.len() - out.trim_start().len();
    format!("{}{narrow}", " ".repeat(indent.min(2)))
}

/// What stands for a word that differs from run to run; None for one that does not.
fn mask(word: &str, before: &str, after: &str) -> Option<String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let decimal = |text: &str| {
        text.split_once('.').is_some_and(|(whole, part)| number(whole) && number(part))
    };
    if let Some((word, end)) =
        [":", "."].iter().find_map(|end| Some((word.strip_suffix(end)?, end)))
    {
        return Some(mask(word, before, after)? + end);
    }
    if word.contains('/') && word.split('/').all(decimal) {
        return Some(word.split('/').map(|_| "#.#").collect::<Vec<_>>().join("/"));
    }
    let units = ["ms", "us", "ns", "s", "min", "h"];
    if decimal(word) {
        return Some("#.#".into());
    }
    for unit in units {
        if let Some(count) = word.strip_suffix(unit)
            && (number(count) || decimal(count))
        {
            return Some(format!("#{unit}"));
        }
    }
    if number(word) {
        let unit = after.strip_prefix(' ').unwrap_or_default();
        let unit = unit.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let counted =
            ["process ", "pid ", " id ", " seq "].iter().any(|name| before.ends_with(name));
        return (counted || units.contains(&unit)).then(|| "#".into());
    }
    // 2026-11-26, 11:48:02.123 and the like.
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let clock = shape == "00:00:00" || shape.starts_with("00:00:00.");
    (shape == "0000-00-00" || clock || shape.starts_with("0000-00-00T")).then(|| "#time".into())
}

#[test]
fn what_differs_is_masked_and_nothing_else() {
    for (line, want) in [
        (
            "✓ ping net1 -> net2 10.100.0.20             0.092 0.067 0.147 ms",
            "✓ ping net1 -> net2 10.100.0.20  #.# #.# #.# ms",
        ),
        (
            "64 bytes from 10.100.0.1: icmp_seq=1 ttl=64 time=0.05 ms",
            "64 bytes from 10.100.0.1: icmp_seq=1 ttl=64 time=#.# ms",
        ),
        (
            "02:00:0a:64:00:0a  veth1    net1     -   0s  learned",
            "02:00:0a:64:00:0a  veth1  net1  -  #s  learned",
        ),
        (
            "lab uswitch is held by process 4711: stop it",
            "lab uswitch is held by process #: stop it",
        ),
        (
            "1 packets transmitted, 1 received, 0% packet loss, time 0ms",
            "1 packets transmitted, 1 received, 0% packet loss, time #ms",
        ),
        ("rtt min/avg = 0.150/12.5 ms", "rtt min/avg = #.#/#.# ms"),
        ("= forwarded; 1.6 ms in the ring", "= forwarded; #.# µs in the ring"),
        ("address 10.100.0.20/16, port 8080", "address 10.100.0.20/16, port 8080"),
    ] {
        assert_eq!(masked(line), want);
    }
}
