//! Links that go down, come back or vanish while the lab runs: what does not need them goes on.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::support::{As, Ended, Process, Sandbox, both_ways, in_netns, rooted};
use crate::{READY, netns};

/// Ends the load when it goes out of scope, also by a failure.
struct Until<'a>(&'a AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `change` while streams go both ways between net1 and net3, and datagrams from net1 to
/// net2 whether that is there or not. Every stream has to arrive whole.
fn under_load(change: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let streams = scope.spawn(|| {
            let mut turns = 0;
            while !done.load(Ordering::Relaxed) || turns == 0 {
                let at = format!("10.100.0.30:{}", 8000 + turns % 1000).parse().unwrap();
                for (sent, got) in both_ways((&netns("net1"), &netns("net3")), at, 8 << 20) {
                    assert_eq!(sent, got, "turn {turns}");
                }
                turns += 1;
            }
        });
        scope.spawn(|| {
            let socket = in_netns(netns("net1"), || UdpSocket::bind("10.100.0.10:0").unwrap());
            while !done.load(Ordering::Relaxed) {
                // Nobody listens, and at times nobody is there: both come back as errors.
                let _ = socket.send_to(&[0; 200], "10.100.0.20:9");
            }
        });
        let until = Until(&done);
        change();
        drop(until);
        streams.join().unwrap();
    });
}

/// ping of the machine's own from net1; `args` say how long.
fn ping(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", "net1", "ping", "-n"]).args(args);
    Process::start(command, "ping").ended()
}

fn start(sandbox: &Sandbox) -> Process {
    let mut run = sandbox.start(&["run", "-n", "3"]);
    run.wait_for(READY);
    run
}

#[test]
fn a_link_goes_down_and_comes_back() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            for _ in 0..5 {
                sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
                assert_eq!(ping(sandbox, &["-c", "1", "-W", "1", "10.100.0.20"]).code, Some(1));
                sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "up"]);
                // One answer.
                ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", "10.100.0.20"]).ok();
            }
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        let ended = run.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_port_vanishes_under_load() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            sandbox.tool("ip", &["-n", "net2", "link", "del", "vethpeer2"]);
            run.wait_for_complaint("interface is gone");
            assert_ne!(ping(sandbox, &["-c", "1", "-W", "1", "10.100.0.20"]).code, Some(0));
            for to in ["10.100.0.1", "10.100.0.30", "8.8.8.8"] {
                ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", to]).ok();
            }
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
        assert_eq!(sandbox.state(), before);
    });
}

#[test]
fn a_namespace_loses_its_name_under_load() {
    rooted(|sandbox| {
        let before = sandbox.state();
        let mut run = start(sandbox);
        under_load(|| {
            sandbox.tool("ip", &["netns", "del", "net2"]);
            // One of the same name is not the lab's, and stays.
            sandbox.tool("ip", &["netns", "add", "net2"]);
            ping(sandbox, &["-c", "1", "-w", "60", "-i", "0.2", "10.100.0.30"]).ok();
        });
        assert!(run.running());
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
        sandbox.tool("ip", &["netns", "del", "net2"]);
        assert_eq!(sandbox.state(), before);
    });
}
