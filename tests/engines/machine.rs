//! A machine for an engine: namespaces of its own over a copy-on-write tree of a Debian suite's
//! packages, behind an interface that leads to a world in another namespace. All that runs in it ends
//! with it.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, geteuid};

use crate::support::{Ended, Process, skip};

/// How long anything may take on a loaded machine: dockerd's start, for one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Where the tree of a suite is made ready, by the first process of the machine.
const ROOT: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/u /run/w /run/r
mount -t overlay overlay -o lowerdir="$TREE",upperdir=/run/u,workdir=/run/w /run/r
cd /run/r; mkdir -p proc sys dev tmp old root uswitch
mount -t proc proc proc; mount --rbind /sys sys; mount --rbind /dev dev
mount --bind "$BINARIES" uswitch
mount -t tmpfs -o mode=1777 tmpfs tmp; mount -t tmpfs -o mode=755 tmpfs run; mkdir -p run/lock run/netns
# Not every host lets ordinary users open it; pasta does.
mknod -m 666 run/tun c 10 200; mount --bind run/tun dev/net/tun
echo "127.0.0.1 localhost" >etc/hosts; echo "nameserver 198.51.100.1" >etc/resolv.conf
pivot_root . old; cd /; umount -l /old
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ip link set lo up; ip netns add world
ip link add eth0 type veth peer name w0 netns world
ip addr add 198.51.100.2/24 dev eth0; ip link set eth0 up
ip -n world link set lo up; ip -n world link set w0 up
ip -n world addr add 198.51.100.1/24 dev w0; ip -n world addr add 203.0.113.9/32 dev lo
ip route add default via 198.51.100.1
mkdir -p /tmp/image/bin /tmp/image/cgi-bin; cp /bin/busybox /tmp/image/bin
for x in sh ping ip wget nc httpd sleep cat nslookup arping; do ln -s busybox /tmp/image/bin/$x; done
cat >/tmp/image/cgi-bin/who <<'EOF'
#!/bin/sh
# who asks
printf '\r\n%s\n' "$REMOTE_ADDR"
EOF
chmod +x /tmp/image/cgi-bin/who
cat >/usr/bin/get <<'EOF'
#!/bin/bash
# get HOST PORT [PATH]: what a web server there says
exec 3<>/dev/tcp/$1/$2 || exit 1
printf "GET ${3:-/} HTTP/1.0\r\n\r\n" >&3
sed '1,/^\r$/d' <&3
EOF
chmod +x /usr/bin/get
touch /run/made
exec tini -s -- sleep infinity
"#;

/// The machine.
pub(crate) struct Machine {
    init: Pid,
    // Killed with its process namespace when this goes.
    _process: Process,
}

/// The unpacked packages of a suite.
fn tree(suite: &str) -> Option<PathBuf> {
    let named = std::env::var_os("USWITCH_ENGINES").map(PathBuf::from);
    let cache = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/uswitch-engines"));
    let tree = named.or_else(cache)?.join(format!("root-{suite}"));
    tree.join(".complete").exists().then_some(tree)
}

/// Runs `test` on a machine with the engines of a suite, among which this one is to be.
pub(crate) fn on(suite: &str, engine: &str, test: impl FnOnce(&Machine)) {
    if !geteuid().is_root() {
        return skip("an engine's machine takes root");
    }
    match Machine::with(suite, engine) {
        Some(machine) => test(&machine),
        // What is not fetched is no failure: it is 800 MB.
        None => crate::support::beyond(format!("tests/engines/fetch {suite} was not run")),
    }
}

impl Machine {
    /// One with the engines of a suite, where it is unpacked and this one is among them.
    pub(crate) fn with(suite: &str, engine: &str) -> Option<Self> {
        let tree = tree(suite).filter(|tree| tree.join("usr/bin").join(engine).exists())?;
        Some(Self::start(&tree))
    }

    fn start(tree: &Path) -> Self {
        let binaries = Path::new(env!("CARGO_BIN_EXE_uswitch")).parent().unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "unshare", "-m", "-n", "-p", "-i", "-f"]);
        command.args(["--kill-child", "--propagation", "private", "sh", "-c", ROOT]);
        command.env("TREE", tree).env("BINARIES", binaries).stdin(Stdio::null());
        let process = Process::start(command, "the machine");
        let children = format!("/proc/{0}/task/{0}/children", process.pid());
        let init = eventually("its first process", || {
            std::fs::read_to_string(&children).unwrap().split_whitespace().next()?.parse().ok()
        });
        let machine = Self { init: Pid::from_raw(init), _process: process };
        eventually("the machine", || machine.try_sh("test -e /run/made").code.filter(|c| *c == 0));
        machine
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "nsenter", "-t", &self.init.to_string()]);
        command.args(["-m", "-n", "-p", "-i", "--", "sh", "-c", line]).env_clear();
        command
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/uswitch");
        command.env("HOME", "/root").stdin(Stdio::null());
        command
    }

    /// A cable to another machine: an interface `u0` at either end.
    pub(crate) fn cable(&self, other: &Self) {
        let (own, other) = (self.init.to_string(), other.init.to_string());
        let mut command = Command::new("nsenter");
        command.args(["-t", &own, "-n", "ip", "link", "add", "u0", "type", "veth"]);
        command.args(["peer", "name", "u0", "netns", &other]);
        Process::start(command, "a cable").ended().ok();
    }

    /// A network namespace of it, by its path there, as this process finds it.
    pub(crate) fn netns(&self, path: &str) -> String {
        self.file(path).display().to_string()
    }

    /// A file of it, in the same way.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root{path}", self.init).into()
    }

    /// Runs a line of shell in it to its end.
    pub(crate) fn try_sh(&self, line: &str) -> Ended {
        Process::start(self.command(line), line).ended_within(PATIENCE)
    }

    /// The same of one that has to succeed; what it said.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        let ended = self.try_sh(line);
        assert_eq!(ended.code, Some(0), "{line}:\n{}\n{}", ended.out, ended.err);
        ended.out
    }

    /// Starts to serve.
    pub(crate) fn serve(&self) -> Process {
        let mut serve = self.start_sh("echo $$ >/run/serve.pid; exec uswitch serve");
        serve.wait_for("serving Docker");
        serve
    }

    /// Kills the server, as a crash would.
    pub(crate) fn kill(&self, serve: Process) {
        self.sh("kill -KILL $(cat /run/serve.pid)");
        serve.ended();
    }

    /// A socket for datagrams in one of its namespaces, by the file that is that namespace.
    pub(crate) fn datagrams(&self, namespace: &str, at: &str) -> UdpSocket {
        let file = File::open(format!("/proc/{}/root{namespace}", self.init)).unwrap();
        let bind = || {
            setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
            UdpSocket::bind(at).unwrap()
        };
        let socket = std::thread::scope(|scope| scope.spawn(bind).join().unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
        socket
    }

    /// A Unix socket that is listened at, at a path in it.
    pub(crate) fn listener(&self, path: &str) -> OwnedFd {
        UnixListener::bind(format!("/proc/{}/root{path}", self.init)).unwrap().into()
    }

    /// Starts a line of shell in it, with this as its input.
    pub(crate) fn start_with(&self, line: &str, input: Stdio) -> Process {
        let mut command = self.command(line);
        command.stdin(input);
        Process::start(command, line)
    }

    /// Starts a line of shell in it.
    pub(crate) fn start_sh(&self, line: &str) -> Process {
        Process::start(self.command(line), line)
    }
}

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
