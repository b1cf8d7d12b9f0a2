//! What `run` tells a service manager: a socket of ours stands in for the manager's.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::support::{As, Process, Sandbox, rooted, rootless};

const PATIENCE: Duration = Duration::from_secs(60);
/// The watchdog's period, and how long nothing has to come for it to count as silence.
const PERIOD: Duration = Duration::from_millis(900);

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(sandbox: &Sandbox) -> Self {
        let path = sandbox.dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        if sandbox.real_root {
            sandbox.tool("chmod", &["666", path.to_str().unwrap()]);
        }
        Self { socket, path }
    }

    /// The next message, unless none comes in time.
    fn next(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// The next message with `line`, past all others, which are given too.
    #[track_caller]
    fn wait_for(&self, line: &str) -> Vec<String> {
        let limit = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        while Instant::now() < limit {
            said.extend(self.next(Duration::from_millis(100)));
            if said.last().is_some_and(|message| has(message, line)) {
                return said;
            }
        }
        panic!("never said {line}: {said:?}");
    }
}

fn has(message: &str, line: &str) -> bool {
    message.lines().any(|one| one.starts_with(line))
}

fn managed(mut command: Command, manager: &Manager, period: Option<Duration>) -> Command {
    command.env("NOTIFY_SOCKET", &manager.path);
    if let Some(period) = period {
        command.env("WATCHDOG_USEC", period.as_micros().to_string());
    }
    command
}

/// Ready comes after the last check's line; then the lab says that it lives, until it ends.
fn ready_alive_ending(sandbox: &Sandbox) {
    let manager = Manager::listen(sandbox);
    let run = sandbox.uswitch_command(&["run"]);
    // Into a file: what has been said at a moment can be read at that moment.
    let said = sandbox.dir.join(if sandbox.real_root { "tmp/said" } else { "said" });
    let mut shell = Command::new("setpriv");
    shell.args(["--pdeathsig", "KILL", "sh", "-c", r#"exec "$0" "$@" >"$SAID""#]);
    shell.arg(run.get_program()).args(run.get_args()).stdin(Stdio::null()).env("SAID", &said);
    for (name, value) in run.get_envs() {
        shell.env(name, value.unwrap_or(OsStr::new("")));
    }
    let run = Process::start(managed(shell, &manager, Some(PERIOD)), "uswitch run");
    let before = manager.wait_for("READY=1");
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains("internet 8.8.8.8"), "ready before the last check: {said}");
    let status: Vec<_> = before.iter().filter(|message| has(message, "STATUS=")).collect();
    assert!(status.len() >= 3, "building, checking, ready: {before:?}");
    assert!(!before.iter().any(|message| has(message, "WATCHDOG=1")), "{before:?}");
    assert!(before.last().unwrap().contains("STATUS=lab uswitch: switch with 2 nodes"));
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    run.signal(Signal::SIGTERM);
    let last = manager.wait_for("STOPPING=1");
    assert!(!last.iter().any(|message| has(message, "READY=1")), "{last:?}");
    assert_eq!(run.ended().code, Some(0));
}

#[test]
fn ready_alive_ending_as_root() {
    rooted(ready_alive_ending);
}

#[test]
fn ready_alive_ending_as_an_ordinary_user() {
    rootless(ready_alive_ending);
}

#[test]
fn without_a_watchdog_none_is_fed() {
    rooted(|sandbox| {
        let manager = Manager::listen(sandbox);
        let command = managed(sandbox.uswitch_command(&["run", "pair"]), &manager, None);
        let run = Process::start(command, "uswitch run pair");
        manager.wait_for("READY=1");
        assert_eq!(manager.next(Duration::from_secs(2)), None);
        run.signal(Signal::SIGINT);
        assert_eq!(manager.wait_for("STOPPING=1").len(), 1);
        run.ended().ok();
    });
}

/// A worker that hangs is one that no longer says it lives, and the manager hears why.
#[test]
fn a_hung_worker_is_not_alive() {
    rooted(|sandbox| {
        let manager = Manager::listen(sandbox);
        let command = managed(sandbox.uswitch_command(&["run"]), &manager, Some(PERIOD));
        let run = Process::start(command, "uswitch run");
        manager.wait_for("WATCHDOG=1");
        let worker = thread_of(run.pid(), "worker-0");
        ptrace::seize(worker, ptrace::Options::empty()).unwrap();
        ptrace::interrupt(worker).unwrap();
        waitpid(worker, Some(WaitPidFlag::__WALL)).unwrap();
        let until = manager.wait_for("STATUS=the switch does not answer");
        let alive = until.iter().filter(|message| has(message, "WATCHDOG=1")).count();
        assert!(alive <= 1, "one may have been on its way: {until:?}");
        let limit = Instant::now() + 2 * PERIOD;
        while Instant::now() < limit {
            let message = manager.next(Duration::from_millis(100)).unwrap_or_default();
            assert!(!has(&message, "WATCHDOG=1"), "alive, with a worker that hangs");
        }
        ptrace::detach(worker, None).unwrap();
        manager.wait_for("WATCHDOG=1");
        manager.wait_for("STATUS=lab uswitch");
        run.signal(Signal::SIGTERM);
        run.ended().ok();
    });
}

/// Workers that answer are not enough: a frame has to go round. Here its way is cut.
#[test]
fn a_switch_that_forwards_nothing_is_not_alive() {
    rooted(|sandbox| {
        let manager = Manager::listen(sandbox);
        let command = managed(sandbox.uswitch_command(&["run"]), &manager, Some(PERIOD));
        let run = Process::start(command, "uswitch run");
        manager.wait_for("WATCHDOG=1");
        let link = |state| {
            let netns = format!("--net={}", switch_netns(run.pid()).display());
            sandbox.tool("nsenter", &[&netns, "ip", "link", "set", "round2", state]);
        };
        link("down");
        let until = manager.wait_for("STATUS=the switch stands still");
        let alive = until.iter().filter(|message| has(message, "WATCHDOG=1")).count();
        assert!(alive <= 2, "one or two may have been on their way: {until:?}");
        link("up");
        manager.wait_for("WATCHDOG=1");
        manager.wait_for("STATUS=lab uswitch");
        // The frames that go round are in no counter, and no port has them.
        let counters = sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
        assert!(!counters.contains("unknown-port"), "{counters}");
        run.signal(Signal::SIGTERM);
        run.ended().ok();
    });
}

/// The descriptor by which a lab holds the namespace of its switch.
fn switch_netns(process: Pid) -> PathBuf {
    let all = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let has_ports = |fd: &PathBuf| {
        let is_netns =
            std::fs::read_link(fd).is_ok_and(|to| to.to_string_lossy().starts_with("net:"));
        let mut links = Command::new("nsenter");
        links.arg(format!("--net={}", fd.display())).args(["ip", "link", "show", "round1"]);
        links.stderr(Stdio::null()).stdout(Stdio::null());
        is_netns && links.status().unwrap().success()
    };
    all.map(|fd| fd.unwrap().path()).find(has_ports).expect("no namespace of a switch")
}

fn thread_of(process: Pid, name: &str) -> Pid {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let named = |task: &PathBuf| {
        std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let task = tasks.map(|task| task.unwrap().path()).find(named).unwrap();
    Pid::from_raw(task.file_name().unwrap().to_str().unwrap().parse().unwrap())
}

/// A lab whose checks fail is never ready. It is held at its first line by a pipe that is full,
/// while a link is taken down.
#[test]
fn failed_checks_are_not_ready() {
    rooted(|sandbox| {
        let manager = Manager::listen(sandbox);
        let before = sandbox.state();
        let (mut out, write) = std::io::pipe().unwrap();
        let write = OwnedFd::from(write);
        fill(&write);
        let mut command = managed(sandbox.uswitch_command(&["run"]), &manager, None);
        let mut run = command.stdout(Stdio::from(write)).stderr(Stdio::piped()).spawn().unwrap();
        drop(command);
        cut(sandbox);
        let mut said = String::new();
        std::io::Read::read_to_string(&mut out, &mut said).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(1), "{}", said.trim_start());
        let mut told = Vec::new();
        while let Some(message) = manager.next(Duration::from_millis(100)) {
            told.push(message);
        }
        assert!(told.iter().any(|message| has(message, "STATUS=checking")), "{told:?}");
        assert!(!told.iter().any(|message| has(message, "READY=1")), "{told:?}");
        std::fs::remove_file(&manager.path).unwrap();
        std::fs::write(&manager.path, "").unwrap();
        assert_eq!(sandbox.state(), before);
    });
}

/// Fills a pipe, and leaves it as blocking as it was.
fn fill(pipe: &OwnedFd) {
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut file = std::fs::File::from(pipe.try_clone().unwrap());
    while file.write(&[b' '; 4096]).is_ok() {}
    while file.write(b" ").is_ok() {}
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).unwrap();
}

/// Takes net1's link down once it is up, which is the last that is done for net1.
fn cut(sandbox: &Sandbox) {
    let limit = Instant::now() + PATIENCE;
    loop {
        let mut link = sandbox.command(As::Root, Path::new("ip"));
        link.args(["-n", "net1", "link", "show", "vethpeer1"]);
        if Process::start(link, "ip link").ended().out.contains("state UP") {
            break;
        }
        assert!(Instant::now() < limit, "net1's link never comes up");
        std::thread::sleep(Duration::from_millis(20));
    }
    sandbox.tool("ip", &["-n", "net1", "link", "set", "vethpeer1", "down"]);
}
