//! A host with an uplink, all of it in namespaces: the sandbox plays the host, `isp` its provider,
//! `core` a router behind that, `server` has 8.8.8.8. Nothing else is reachable.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::READY;
use crate::support::{As, Process, Sandbox, bound, captured, in_netns, rooted};

/// How long anything may take on a loaded machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Makes it.
pub(super) const MAKE: &str = "
set -e
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
for n in isp core server; do
    ip netns add $n
    ip -n $n link set lo up
    ip netns exec $n sysctl -qw net.ipv4.ip_forward=1
done
ip link add eth0 type veth peer name isp0 netns isp
ip -n isp link add isp1 type veth peer name core0 netns core
ip -n core link add core1 type veth peer name server0 netns server
ip addr add 192.0.2.2/24 dev eth0
ip -n isp addr add 192.0.2.1/24 dev isp0
ip -n isp addr add 198.51.100.1/30 dev isp1
ip -n core addr add 198.51.100.2/30 dev core0
ip -n core addr add 198.51.100.5/30 dev core1
ip -n server addr add 198.51.100.6/30 dev server0
ip -n server addr add 8.8.8.8/32 dev lo
ip link set eth0 up
for end in isp:isp0 isp:isp1 core:core0 core:core1 server:server0; do
    ip -n ${end%:*} link set ${end#*:} up
done
ip route add default via 192.0.2.1
ip -n isp route add 8.8.8.8/32 via 198.51.100.2
ip -n core route add 8.8.8.8/32 via 198.51.100.6
ip -n core route add 192.0.2.0/24 via 198.51.100.1
ip -n server route add default via 198.51.100.5 src 8.8.8.8
";

/// Runs `test` on a host with an uplink.
pub(crate) fn on_a_host(test: impl FnOnce(&Sandbox) + Send) {
    rooted(|sandbox| {
        sh(sandbox, MAKE);
        test(sandbox);
    });
}

/// The same where tcpdump listens at the provider's, or the kernel takes a BPF program.
pub(super) fn on_a_watched_host(test: impl FnOnce(&Sandbox) + Send) {
    captured(|sandbox| {
        sh(sandbox, MAKE);
        test(sandbox);
    });
}

/// Runs a script on the host.
pub(super) fn sh(sandbox: &Sandbox, script: &str) -> String {
    sandbox.tool("sh", &["-c", script])
}

/// A lab that is up.
pub(super) fn lab(sandbox: &Sandbox, args: &[&str]) -> Process {
    let mut run = sandbox.start(args);
    run.wait_for(READY);
    run
}

/// Ends a lab as Ctrl-C does.
pub(super) fn end(run: Process) {
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().code, Some(0));
}

/// The file of a namespace; `host` is the caller's own.
pub(super) fn netns(name: &str) -> PathBuf {
    match name {
        "host" => PathBuf::from("/proc/thread-self/ns/net"),
        name => Path::new("/run/netns").join(name),
    }
}

/// What the host keeps from its own choice of ports.
pub(super) fn reserved() -> String {
    // The kernel tells it in one read: a buffer large enough.
    let mut text = vec![0; 1 << 16];
    let mut file = std::fs::File::open("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap();
    let length = file.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..length]).trim().to_owned()
}

/// Waits until `holds`.
#[track_caller]
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A connection that stays, and both its ends.
pub(super) struct Talk {
    near: TcpStream,
    far: TcpStream,
}

impl Talk {
    /// From the namespace `near` to `at` in `far`.
    pub(super) fn open(ends: (&str, &str), at: &str) -> Self {
        Self::open_by(ends, at, at)
    }

    /// The same where what is sent to `by` is forwarded to `at`.
    pub(super) fn open_by((near, far): (&str, &str), by: &str, at: &str) -> Self {
        let [by, at]: [SocketAddr; 2] = [by, at].map(|address| address.parse().unwrap());
        let listener = in_netns(netns(far), || bound(|| TcpListener::bind(at)));
        let near = in_netns(netns(near), || TcpStream::connect_timeout(&by, PATIENCE).unwrap());
        let (far, _) = listener.accept().unwrap();
        for end in [&near, &far] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_nodelay(true).unwrap();
        }
        Self { near, far }
    }

    /// Who the far end thinks it talks to.
    pub(super) fn seen_as(&self) -> SocketAddr {
        self.far.peer_addr().unwrap()
    }

    /// A word there and a word back.
    #[track_caller]
    pub(super) fn talk(&self) {
        word(&self.near, &self.far);
        word(&self.far, &self.near);
    }

    /// The far end speaks, nobody hears it yet, then the near end does, and both are heard.
    #[track_caller]
    pub(super) fn far_first(&self) {
        (&self.far).write_all(b"before").unwrap();
        std::thread::sleep(Duration::from_millis(100));
        word(&self.near, &self.far);
        (&self.near).read_exact(&mut [0; 6]).unwrap();
    }
}

#[track_caller]
fn word(mut from: &TcpStream, mut to: &TcpStream) {
    from.write_all(b"word").unwrap();
    let mut word = [0; 4];
    to.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"word");
}

/// tcpdump on the provider's side of the uplink.
pub(super) struct Dump {
    process: Process,
    file: PathBuf,
}

impl Dump {
    /// Catches what matches `filter` from now on.
    pub(super) fn start(sandbox: &Sandbox, filter: &str) -> Self {
        let file = sandbox.dir.join("uplink.pcap");
        let mut command = sandbox.command(As::Root, Path::new("ip"));
        command.args(["netns", "exec", "isp", "tcpdump", "-n", "-U", "-i", "isp0", "-w"]);
        command.arg(&file).arg(filter);
        let mut process = Process::start(command, "tcpdump");
        process.wait_for_complaint("listening on");
        Self { process, file }
    }

    /// What was caught so far, a line a packet.
    pub(super) fn lines(&self, sandbox: &Sandbox) -> Vec<String> {
        let file = self.file.to_str().unwrap();
        let text =
            sandbox.tool("sh", &["-c", &format!("tcpdump -n -r {file} 2>/dev/null || true")]);
        text.lines().map(str::to_owned).collect()
    }

    /// Ends it and gives all that was caught.
    pub(super) fn end(self, sandbox: &Sandbox) -> Vec<String> {
        // What has been sent has been seen: the capture is flushed by its end.
        self.process.signal(Signal::SIGINT);
        let file = self.file.clone();
        assert_eq!(self.process.ended().code, Some(0));
        let args = ["-n", "-r", file.to_str().unwrap()];
        sandbox.tool("tcpdump", &args).lines().map(str::to_owned).collect()
    }
}
