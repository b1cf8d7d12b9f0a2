//! `uswitch ping` beside the ping of iputils, against a kernel that answers and against an answerer
//! that does not behave.
//!
//! | module | what it shows |
//! |---|---|
//! | `answerer` | a peer made of raw frames, whose every answer the test decides |
//! | `same` | the same lines and the same exit code as ping, byte for byte |
//! | `odd` | each thing that can be odd about an answer: told apart and counted |
//! | `wire` | what leaves: options, nonce, floods within their bounds |
//! | `signals` | `^C`, `^\`, both again |
//! | `split` | round trips cut at the switch, lost probes named where they were seen last |
//! | `stamps` | round trips of a pinger that is kept from running |
//! | `users` | what an ordinary user gets: the datagram socket, limits, one line of complaint |
//! | `matrix` | nodes of a lab, several destinations, `--all` |

mod answerer;
mod matrix;
mod odd;
mod same;
mod signals;
mod split;
mod stamps;
mod users;
mod wire;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::door::until;
use crate::support::{As, Ended, Process, Sandbox, in_netns};

/// The other end; the pinging one is 10.9.0.1.
const THERE: &str = "10.9.0.2";
/// Its namespace.
const PEER: &str = "/run/netns/b";

/// Namespaces `a` (10.9.0.1) and `b` (10.9.0.2), joined by a veth pair. Neighbours that do not
/// answer are given up quickly.
fn joined(sandbox: &Sandbox) {
    for line in [
        "netns add a",
        "netns add b",
        "link add va netns a type veth peer vb netns b",
        "-n a link set lo up",
        "-n b link set lo up",
        "-n a addr add 10.9.0.1/24 dev va",
        "-n b addr add 10.9.0.2/24 dev vb",
        "-n a link set va up",
        "-n b link set vb up",
    ] {
        sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
    }
    // The kernel drops what the end brought up first sends until it has set that to work; who asks for
    // the link has it done at once (Linux 6.8).
    for (netns, end) in [("a", "va"), ("b", "vb")] {
        until("the link works", || {
            let shown = sandbox.tool("ip", &["-n", netns, "link", "show", end]);
            shown.contains("state UP").then_some(())
        });
    }
    in_netns("/run/netns/a", || {
        std::fs::write("/proc/sys/net/ipv4/neigh/va/retrans_time_ms", "100").unwrap();
    });
}

/// The same, and the other end answers no ping of its own.
fn joined_to_silence(sandbox: &Sandbox) {
    joined(sandbox);
    in_netns(PEER, || {
        std::fs::write("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1").unwrap();
    });
}

/// `program ARGS` in namespace `a`, ready to start.
fn inside(sandbox: &Sandbox, program: &[&str], args: &[&str]) -> Command {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", "a"]).args(program).args(args);
    command
}

/// `uswitch ping ARGS` in namespace `a`.
fn start(sandbox: &Sandbox, args: &[&str]) -> Process {
    let binary = sandbox.dir.join("uswitch");
    let command = inside(sandbox, &[binary.to_str().unwrap(), "ping"], args);
    Process::start(command, &format!("uswitch ping {}", args.join(" ")))
}

/// The same, to its end.
fn ours(sandbox: &Sandbox, args: &[&str]) -> Ended {
    start(sandbox, args).ended()
}

/// `ping ARGS` of iputils in namespace `a`, to its end.
fn theirs(sandbox: &Sandbox, args: &[&str]) -> Ended {
    Process::start(inside(sandbox, &["ping"], args), &format!("ping {}", args.join(" "))).ended()
}

/// The objects of `--json`.
fn objects(out: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.lines().map(parse).collect()
}

/// The last of them.
fn summary(out: &str) -> Value {
    let last = objects(out).pop().unwrap_or_else(|| panic!("nothing was said"));
    assert_eq!(last["type"], "summary", "{last}");
    last
}

/// The replies among them.
fn replies(out: &str) -> Vec<Value> {
    objects(out).into_iter().filter(|object| object["type"] == "reply").collect()
}
