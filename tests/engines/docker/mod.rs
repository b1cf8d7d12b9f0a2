//! The real Docker: networks of ours beside nothing else, containers in them, the host and the world.
//!
//! Each test is run for the Docker of one suite: that of trixie, or of `USWITCH_TEST_SUITE`.
//!
//! | module | what |
//! |---|---|
//! | `networks` | networks as they were asked for, and who reaches whom |
//! | `ports` | published ports |
//! | `source` | clients' own addresses at published ports |
//! | `lives` | either side killed, restarted, late |
//! | `hosts` | containers of two hosts on one network |
//! | `page` | the page of a server |
//! | `spoof` | containers that speak for others |
//! | `compose` | docker compose |

mod compose;
mod hosts;
mod lives;
mod networks;
mod page;
mod ports;
mod source;
mod spoof;

use std::os::fd::OwnedFd;

use crate::machine::{Machine, eventually, on};
use crate::support::Process;

/// Docker 26.1.
const SUITE: &str = "trixie";

/// A machine on which Docker and we run.
struct Docker<'m> {
    machine: &'m Machine,
    serve: Option<Process>,
    dockerd: Option<Process>,
    /// What the server is told.
    words: &'static str,
}

fn docker(test: impl FnOnce(&mut Docker<'_>)) {
    let named = std::env::var("USWITCH_TEST_SUITE");
    on(named.as_deref().unwrap_or(SUITE), "docker", |machine| {
        let mut docker = Docker::begin(machine, "");
        test(&mut docker);
        docker.end();
    });
}

impl<'m> Docker<'m> {
    /// A server that is told these words, dockerd, and an image.
    fn begin(machine: &'m Machine, words: &'static str) -> Self {
        let mut docker = Self { machine, serve: None, dockerd: None, words };
        docker.serve();
        docker.dock("");
        docker.sh("tar -C /tmp/image -c . | docker import - box >/dev/null");
        docker
    }

    #[track_caller]
    fn sh(&self, line: &str) -> String {
        self.machine.sh(line)
    }

    /// Starts to serve.
    fn serve(&mut self) {
        let line = format!("echo $$ >/run/serve.pid; exec uswitch serve {}", self.words);
        let mut serve = self.machine.start_sh(&line);
        serve.wait_for("serving Docker");
        self.serve = Some(serve);
    }

    /// Kills the server, as a crash would.
    fn kill(&mut self) {
        self.sh("kill -KILL $(cat /run/serve.pid)");
        self.serve.take().unwrap().ended();
    }

    /// The same at a socket that has been there before.
    fn serve_at(&mut self, socket: OwnedFd) {
        let line = "exec 3<&0 0</dev/null; echo $$ >/run/serve.pid; \
                    LISTEN_FDS=1 LISTEN_FDNAMES=docker LISTEN_PID=$$ exec uswitch serve";
        let mut serve = self.machine.start_with(line, socket.into());
        serve.wait_for("serving Docker");
        self.serve = Some(serve);
    }

    /// Starts dockerd, and waits until it answers.
    fn dock(&mut self, options: &str) {
        self.start_dock(options);
        self.docked();
    }

    fn docked(&self) {
        let up = || self.machine.try_sh("docker version").code.filter(|code| *code == 0);
        eventually("dockerd answers", up);
    }

    fn start_dock(&mut self, options: &str) {
        let line = format!(
            "echo $$ >/run/dockerd.pid; exec dockerd --data-root /tmp/docker --exec-root /tmp/exec --storage-driver overlay2 \
             -H unix:///run/docker.sock {options}"
        );
        self.dockerd = Some(self.machine.start_sh(&line));
    }

    /// dockerd is gone, by this signal; what it leaves of itself would keep the next one.
    fn undock(&mut self, signal: &str) {
        self.sh(&format!("kill -{signal} $(cat /run/dockerd.pid)"));
        self.dockerd.take().unwrap().ended();
        self.sh("rm -f /run/docker.pid /var/run/docker.pid");
    }

    /// Waits until a web server answers so.
    #[track_caller]
    fn says(&self, at: &str, what: &str) {
        let said = format!("{what}\n");
        eventually(at, || (self.machine.try_sh(&format!("get {at}")).out == said).then_some(()));
    }

    /// Waits until the world has it so.
    #[track_caller]
    fn tells_the_world(&self, at: &str, what: &str) {
        let (said, line) = (format!("{what}\n"), format!("ip netns exec world get {at}"));
        eventually(&line, || (self.machine.try_sh(&line).out == said).then_some(()));
    }

    /// All that was made goes, and so do we; nothing of ours is left on the host.
    fn end(&mut self) {
        self.sh(
            "docker ps -aq | xargs -r docker rm -f >/dev/null; docker network prune -f >/dev/null",
        );
        let left = self.sh("docker network ls -qf driver=uswitch");
        assert_eq!(left, "", "networks that cannot be removed");
        let links = self.sh("ip -o link show | grep -E ': u[seh][0-9a-f]{8}' || true");
        assert_eq!(links, "");
        self.sh("kill $(cat /run/serve.pid)");
        assert_eq!(self.serve.take().unwrap().ended().code, Some(0));
        self.sh("uswitch serve --clean");
        assert_eq!(self.sh("ls -A /run/uswitch; ls /var/lib/uswitch/networks"), "");
        self.sh("kill $(cat /run/dockerd.pid)");
        self.dockerd.take().unwrap().ended();
    }

    /// Asserts that a container reaches an address, or does not.
    #[track_caller]
    fn reaches(&self, container: &str, to: &str, reached: bool) {
        let line = format!("docker exec {container} ping -c 1 -W 3 {to}");
        let ended = self.machine.try_sh(&line);
        assert_eq!(ended.code == Some(0), reached, "{line}:\n{}{}", ended.out, ended.err);
    }
}

/// A container that sleeps, and ends at once when told.
const SLEEP: &str = "box sh -c 'trap exit TERM; sleep 100000 & wait'";

/// A container that serves a page.
fn page(says: &str) -> String {
    format!("box sh -c 'echo {says} >/index.html; trap exit TERM; httpd -f -p 80 & wait'")
}
