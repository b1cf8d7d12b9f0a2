//! docs/walkthrough.md: every command of the page is run, and says what the page says it does; `learn`
//! goes through it, waits, and leaves nothing behind.

use crate::support::{Sandbox, Terminal, rooted, rootless};

const PAGE: &str = include_str!("../../docs/walkthrough.md");
/// What differs from run to run.
const ANY: char = '…';

/// Commands of the page, each with the lines it is to say.
fn commands() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            all.push((command, Vec::new()));
        } else if inside {
            all.last_mut().unwrap().1.push(line);
        }
    }
    all
}

/// Whether a line is as the page has it.
fn is_like(said: &str, wanted: &str) -> bool {
    let mut pieces = wanted.split(ANY);
    let Some(mut rest) = said.strip_prefix(pieces.next().unwrap()) else { return false };
    let pieces: Vec<_> = pieces.collect();
    for (place, piece) in pieces.iter().enumerate() {
        let found = if place + 1 == pieces.len() {
            rest.ends_with(piece).then(|| rest.len() - piece.len())
        } else {
            rest.find(piece)
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    pieces.is_empty() && rest.is_empty() || !pieces.is_empty()
}

/// Whether lines are as the page has them; a line of nothing but the sign stands for any number.
fn are_like(said: &[&str], wanted: &[&str]) -> bool {
    match (said, wanted) {
        ([], []) => true,
        (_, [first, rest @ ..]) if *first == "…" => {
            (0..=said.len()).any(|skipped| are_like(&said[skipped..], rest))
        }
        ([line, said @ ..], [first, wanted @ ..]) => is_like(line, first) && are_like(said, wanted),
        _ => false,
    }
}

fn holds(sandbox: &Sandbox) {
    let commands = commands();
    assert!(commands.len() > 20);
    for (command, wanted) in commands {
        let line =
            command.strip_prefix("uswitch ").unwrap_or_else(|| panic!("{command}: not ours"));
        let mut words: Vec<_> = line.split(' ').collect();
        if matches!(words[0], "run" | "up") {
            // With one `explain` says more than the page does.
            words.extend(["--fast-path", "off"]);
        }
        let ended = sandbox.uswitch(&words);
        let said = [ended.out.as_str(), ended.err.as_str()].concat();
        let said: Vec<_> = said.lines().collect();
        assert!(are_like(&said, &wanted), "$ {command}\n{said:#?}\nthe page: {wanted:#?}");
    }
}

#[test]
fn the_page_is_true_as_root() {
    rooted(holds);
}

#[test]
fn the_page_is_true_as_an_ordinary_user() {
    rootless(holds);
}

#[test]
fn a_line_that_differs_is_found() {
    assert!(is_like("time=0.1 ms", "time=… ms") && !is_like("time=0.1 s", "time=… ms"));
    assert!(is_like("abc", "abc") && !is_like("abcd", "abc") && is_like("abcd", "abc…"));
    assert!(are_like(&["a", "b", "c"], &["a", "…"]) && are_like(&["a"], &["a", "…"]));
    assert!(!are_like(&["a", "b"], &["a"]) && !are_like(&["a"], &["a", "b"]));
    assert!(are_like(&["a", "b", "c"], &["…", "c"]) && !are_like(&["a", "b"], &["…", "c"]));
}

fn learnt(sandbox: &Sandbox) {
    let before = sandbox.state();
    let said = sandbox.uswitch(&["learn"]).ok().out;
    for (command, _) in commands() {
        let words = command.strip_prefix("uswitch ").unwrap();
        let run = said.lines().any(|line| line.starts_with("$ ") && line.ends_with(words));
        assert!(run, "{command} is not in:\n{said}");
    }
    assert_eq!(said.matches("100% packet loss").count(), 2, "{said}");
    assert_eq!(sandbox.state(), before);
}

#[test]
fn all_steps_are_gone_through_as_root() {
    rooted(learnt);
}

#[test]
fn all_steps_are_gone_through_as_an_ordinary_user() {
    rootless(learnt);
}

#[test]
fn between_steps_one_can_look_inside_and_leave() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut learn = Terminal::start(&sandbox.uswitch_command(&["learn"]), (110, 40));
        learn.wait_for("q: end >");
        learn.keys("\r");
        learn.wait_for("packet loss");
        learn.keys("show ports\r");
        learn.wait_for("has no switch");
        learn.keys("\r");
        learn.wait_for("veth1-5@");
        learn.keys("\r");
        learn.wait_for("permanent");
        learn.keys("uswitch exec net2 -- echo looked-inside=$((1+1))\r");
        learn.wait_for("looked-inside=");
        // Ctrl-C ends what is looked at, and not the lesson.
        learn.keys("trace net1 'icmp and net1' -c 1\r");
        learn.wait_for("until Ctrl-C");
        learn.keys("\x03");
        learn.wait_for("0 frames followed");
        learn.keys("net1\r");
        learn.wait_for("(net1)");
        learn.keys("echo $USWITCH_NODE is here; exit\r");
        learn.wait_for("net1 is here");
        learn.keys("q\r");
        assert_eq!(learn.ended(), 0);
        assert_eq!(sandbox.state(), before);
    });
}

/// Whoever reads the lesson's words may stop: what was built is undone.
#[test]
fn a_lesson_that_nobody_reads_on_leaves_nothing_behind() {
    rooted(|sandbox| {
        let read = sandbox.shell("uswitch learn </dev/null 2>&1 | head -n 40").ok().out;
        assert!(read.contains("$ uswitch up") || read.contains(" up "), "{read}");
        // The shell waits for both.
        assert!(!sandbox.state().contains("net1"), "{}", sandbox.state());
    });
}
