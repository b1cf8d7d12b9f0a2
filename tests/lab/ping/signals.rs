//! `^C` ends with the summary, `^\` gives a short account and goes on, as with ping.

use nix::sys::signal::Signal;

use super::{THERE, inside, joined, joined_to_silence, start};
use crate::support::{Process, rooted};

/// A text with its digits made alike.
fn shape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }) {
        if !(c == '9' && out.ends_with('9')) {
            out.push(c);
        }
    }
    out
}

#[test]
fn an_account_now_and_the_summary_at_the_end() {
    rooted(|sandbox| {
        joined(sandbox);
        let args = ["-i", "0.1", THERE];
        let line_by_line = inside(sandbox, &["stdbuf", "-oL", "ping"], &args);
        let mut accounts = Vec::new();
        for mut pinger in [Process::start(line_by_line, "ping"), start(sandbox, &args)] {
            pinger.wait_for("icmp_seq=2 ");
            pinger.signal(Signal::SIGQUIT);
            pinger.wait_for_complaint("packets");
            pinger.wait_for("icmp_seq=4 ");
            pinger.signal(Signal::SIGINT);
            let ended = pinger.ended();
            assert_eq!((ended.code, ended.signal), (Some(0), None));
            assert_eq!(ended.out.matches("ping statistics").count(), 1, "{}", ended.out);
            accounts.push(ended.err);
        }
        assert_eq!(shape(&accounts[0]), shape(&accounts[1]), "ping's account and ours");
    });
}

#[test]
fn once_or_twice_is_one() {
    rooted(|sandbox| {
        joined_to_silence(sandbox);
        for signals in [&[Signal::SIGINT][..], &[Signal::SIGINT; 5], &[Signal::SIGTERM]] {
            let mut pinger = start(sandbox, &["-O", "-i", "0.1", THERE]);
            pinger.wait_for("no answer yet");
            for signal in signals {
                pinger.signal(*signal);
            }
            let ended = pinger.ended();
            assert_eq!((ended.code, ended.signal), (Some(1), None), "nothing was answered");
            assert_eq!(ended.out.matches("100% packet loss").count(), 1, "{}", ended.out);
        }
    });
}
