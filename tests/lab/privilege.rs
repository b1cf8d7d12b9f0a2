//! What a lab's process may still do once it stands: three capabilities in every thread, no new ones
//! by any program, and for the threads that forward hardly a system call.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::lab;
use crate::support::{As, Process, Sandbox, both_ways, captured, rooted, rootless};

/// CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN (linux/capability.h).
const KEPT: u64 = 1 << 12 | 1 << 13 | 1 << 21;

/// The threads of a process: their names, and their status.
fn threads(pid: i32) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    // One may end meanwhile.
    let read = |path: PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        Some((std::fs::read_to_string(path.join("comm")).ok()?.trim().to_owned(), status))
    };
    tasks.filter_map(|task| read(task.path())).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let mut fields = status.lines().filter_map(|line| line.split_once(":\t"));
    fields.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim())
}

#[track_caller]
fn little_is_left(run: &Process) {
    let all = threads(run.pid().as_raw());
    assert!(all.len() > 5, "{all:?}");
    for (name, status) in &all {
        let set = |name| u64::from_str_radix(field(status, name), 16).unwrap();
        for kept in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(set(kept), KEPT, "{name}: {kept}");
        }
        assert_eq!((set("CapInh"), set("CapAmb")), (0, 0), "{name}");
        assert_eq!(field(status, "NoNewPrivs"), "1", "{name}");
        let confined = field(status, "Seccomp") == "2";
        assert_eq!(confined, name.starts_with("worker-"), "{name}");
    }
    assert!(all.iter().any(|(name, _)| name.starts_with("worker-")), "{all:?}");
}

fn lives_on_it(sandbox: &Sandbox) {
    let before = sandbox.state();
    let run = lab(sandbox, &["run", "-n", "3", "--metrics", "9109"]);
    little_is_left(&run);
    sandbox.uswitch(&["add", "web"]).ok();
    sandbox.uswitch(&["publish", "8080:web:80"]).ok();
    sandbox.uswitch(&["ping", "web", "8.8.8.8", "-c", "2"]).ok();
    let mut capture = sandbox.start(&["capture", "-c", "4"]);
    capture.wait_for_complaint("recording");
    sandbox.uswitch(&["ping", "net1", "10.100.0.20", "-c", "4"]).ok();
    capture.ended().ok();
    sandbox.uswitch(&["remove", "web"]).ok();
    sandbox.uswitch(&["remove", "net3"]).ok();
    sandbox.uswitch(&["metrics"]).ok();
    sandbox.uswitch(&["fdb", "flush"]).ok();
    sandbox.uswitch(&["ping", "--all"]).ok();
    little_is_left(&run);
    run.signal(Signal::SIGTERM);
    let ended = run.ended().ok();
    assert!(ended.err.is_empty(), "{}", ended.err);
    assert_eq!(sandbox.state(), before);
}

#[test]
fn a_lab_of_roots_lives_on_three_capabilities() {
    rooted(lives_on_it);
}

#[test]
fn an_ordinary_users_lab_lives_on_three_capabilities_of_its_own_namespace() {
    rootless(lives_on_it);
}

#[test]
fn what_takes_other_rights_comes_before() {
    captured(|sandbox| {
        let mut run = sandbox.start(&["run", "--metrics", "80"]);
        run.wait_for(crate::READY);
        little_is_left(&run);
        let page = sandbox.tool("curl", &["-s", "http://127.0.0.1:80/metrics"]);
        assert!(page.contains("uswitch_"), "{page}");
        drop(run);
        sandbox.uswitch(&["down"]).ok();
    });
}

#[test]
fn nothing_a_worker_asks_for_is_refused() {
    captured(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "4"]);
        little_is_left(&run);
        let traced = sandbox.dir.join("tmp/calls");
        let pid = run.pid().to_string();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", traced.to_str().unwrap(), "-p", &pid]);
        if Command::new("strace").arg("-V").output().is_err() {
            return eprintln!("SKIPPED: no strace here");
        }
        let strace = Process::start(strace, "strace");
        std::thread::sleep(std::time::Duration::from_millis(500));
        let mut flood = sandbox.command(As::Root, Path::new("ip"));
        flood.args("netns exec net1 ping -f -q -c 2000 10.100.0.20".split(' '));
        Process::start(flood, "ping").ended().ok();
        // Enough for the other worker to be tried.
        let nodes = [crate::netns("net1"), crate::netns("net2")];
        both_ways((&nodes[0], &nodes[1]), "10.100.0.20:7400".parse().unwrap(), 64 << 20);
        sandbox.uswitch(&["add", "web"]).ok();
        sandbox.uswitch(&["remove", "web"]).ok();
        run.signal(Signal::SIGTERM);
        run.ended().ok();
        strace.ended();
        // Whatever the filter refuses is something the lab can do without, and does not ask for.
        let calls = std::fs::read_to_string(&traced).unwrap();
        assert!(calls.contains("sendmmsg("), "{calls}");
        let refused: Vec<_> = calls.lines().filter(|line| line.contains(" EPERM ")).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    });
}
