//! A switch on a machine of its own: a private namespace that holds the switch, and a namespace a
//! node, each joined to it by a veth. A node sends and receives through a packet ring, so a test
//! sees vnet headers and tags as they were.
//!
//! `on_a_rig` needs root. Without it a test says aloud that it was skipped, and fails where
//! `USWITCH_REQUIRE_ROOT=1`. Nothing leaks: the namespaces end with the test's thread.

#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods)]

pub(crate) mod frames;
#[path = "../../../tests/support/skip.rs"]
pub(crate) mod skip;

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use sys::packet::{PacketIo, RingConfig};
use uswitch_switch::SharedStation;
use uswitch_switch::{Config, Counters, DropReason, FastPath, PortId, PortSpec, Switch};
use wire::{VlanTag, VnetHeader};

/// How long anything may take that should be immediate; generous, for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The namespaces of a test, and its nodes.
pub(crate) struct Rig {
    pub(crate) netns: OwnedFd,
    pub(crate) nodes: Vec<Node>,
}

/// A host at the other end of a veth.
pub(crate) struct Node {
    /// Its namespace.
    pub(crate) netns: OwnedFd,
    /// The switch's end of its veth: index and name.
    pub(crate) port: u32,
    pub(crate) name: String,
    /// Its own end.
    pub(crate) ifindex: u32,
    /// Its packet ring, over its own end.
    pub(crate) io: PacketIo,
}

/// A frame as a node got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) vnet: VnetHeader,
    pub(crate) vlan: Option<VlanTag>,
    pub(crate) bytes: Vec<u8>,
}

/// Runs `test` with `nodes` nodes, or says why not.
pub(crate) fn on_a_rig(nodes: usize, test: impl FnOnce(&mut Rig) + Send) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let outcome = std::thread::scope(|scope| {
        let body = || match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => test(&mut Rig::new(nodes)),
            Err(error) => skip::skip(format!("no network namespace without root: {error}")),
        };
        std::thread::Builder::new().name(name).spawn_scoped(scope, body).unwrap().join()
    });
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Rig {
    fn new(count: usize) -> Self {
        calm();
        let netns = own_netns();
        let mut rig = Self { netns, nodes: Vec::new() };
        rig.grow(count, 1500, 255);
        rig
    }

    /// Adds nodes whose veths have this MTU, each with a ring of this many slots.
    pub(crate) fn grow(&mut self, count: usize, mtu: u32, slots: usize) {
        let first = self.nodes.len();
        let spaces: Vec<OwnedFd> = (0..count).map(|_| new_netns()).collect();
        let mut batch = String::new();
        for (n, space) in spaces.iter().enumerate() {
            let (n, fd) =
                (first + n, format!("/proc/{}/fd/{}", std::process::id(), space.as_raw_fd()));
            batch +=
                &format!("link add v{n} mtu {mtu} type veth peer name p{n} mtu {mtu} netns {fd}\n");
            batch += &format!("link set v{n} up\n");
        }
        ip(&batch);
        for (n, netns) in spaces.into_iter().enumerate() {
            let own = format!("p{}", first + n);
            let name = format!("v{}", first + n);
            let port = nix::net::if_::if_nametoindex(name.as_str()).unwrap();
            let (ifindex, io) = sys::netns::inside(netns.as_fd(), || {
                ip(&format!("link set {own} up\n"));
                let ring = RingConfig { slots, ..RingConfig::default() };
                let index = nix::net::if_::if_nametoindex(own.as_str()).unwrap();
                Ok((index, PacketIo::open(ring)?))
            })
            .unwrap();
            self.nodes.push(Node { netns, port, name, ifindex, io });
        }
    }

    /// Starts a switch with every node's veth plugged in; node n is port n.
    /// With `USWITCH_TEST_FAST_PATH=on` a switch of one worker has a fast path.
    pub(crate) fn switch(&self, mut config: Config, station: Option<SharedStation>) -> Switch {
        let asked = std::env::var_os("USWITCH_TEST_FAST_PATH").is_some_and(|word| word == "on");
        if asked && config.fast.is_none() && config.workers <= 1 && !config.spread {
            config.fast = Some(FastPath::load().unwrap());
        }
        let switch = self.plain_switch(config, station);
        if asked {
            // From the first frame on: few of a test's would otherwise go by the kernel.
            (0..self.nodes.len())
                .for_each(|n| _ = switch.repeat_from(PortId(u16::try_from(n).unwrap())));
        }
        switch
    }

    /// The same without a fast path of its own accord.
    pub(crate) fn plain_switch(&self, config: Config, station: Option<SharedStation>) -> Switch {
        let switch = Switch::start(config, self.netns.as_fd(), station).unwrap();
        for (n, node) in self.nodes.iter().enumerate() {
            let id = switch.add_port(node.spec(1500)).unwrap();
            assert_eq!(id.index(), n);
        }
        switch
    }
}

impl Node {
    /// What plugs it in.
    pub(crate) fn spec(&self, mtu: u32) -> PortSpec {
        PortSpec::bridged(self.name.clone(), self.port, mtu)
    }

    /// Runs `work` on a thread inside the node.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.netns, work)
    }

    /// Sends a frame as it stands.
    #[track_caller]
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.send_with(VnetHeader::default(), None, frame);
    }

    /// Sends a frame with its vnet header and a tag.
    #[track_caller]
    pub(crate) fn send_with(&mut self, vnet: VnetHeader, vlan: Option<VlanTag>, frame: &[u8]) {
        assert_eq!(self.try_send(vnet, vlan, frame), None, "the kernel refused (errno)");
    }

    /// The same; the errno where the kernel refuses.
    pub(crate) fn try_send(
        &mut self,
        vnet: VnetHeader,
        vlan: Option<VlanTag>,
        frame: &[u8],
    ) -> Option<i32> {
        let tag = vlan.map(|tag| (tag.tpid, tag.tci));
        assert!(self.io.queue_copy([&vnet.to_bytes(), frame], self.ifindex, [tag, None]));
        let mut refused = None;
        self.io.flush(&mut |failure| refused = Some(failure.errno));
        refused
    }

    /// Queues a frame; `flush` sends what is queued.
    pub(crate) fn queue(&mut self, frame: &[u8]) {
        assert!(self.io.queue_copy(
            [&VnetHeader::default().to_bytes(), frame],
            self.ifindex,
            [None; 2]
        ));
    }

    /// Sends what is queued; says how many the kernel refused.
    pub(crate) fn flush(&mut self) -> u64 {
        let mut refused = 0;
        self.io.flush(&mut |failure| refused += failure.count);
        refused
    }

    /// The next frame, within our patience.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Got {
        self.receive_within(PATIENCE).expect("no frame came")
    }

    /// The next frame, if one comes in time.
    pub(crate) fn receive_within(&mut self, patience: Duration) -> Option<Got> {
        let limit = Instant::now() + patience;
        while !self.io.admit(0) {
            if Instant::now() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let (received, data) = self.io.slot(0)?;
        let (vnet, bytes) = data.split_first_chunk().unwrap();
        let got = Got {
            vnet: VnetHeader::from_bytes(*vnet),
            vlan: received.vlan.map(|(tpid, tci)| VlanTag { tpid, tci }),
            bytes: bytes.to_vec(),
        };
        self.io.release(1);
        Some(got)
    }

    /// Takes frames without copying them until none has come for a while; says how many came.
    pub(crate) fn count(&mut self, silence: Duration) -> u64 {
        let (mut count, mut last) = (0, Instant::now());
        while last.elapsed() < silence {
            if self.io.ready(0) {
                self.io.release(1);
                (count, last) = (count + 1, Instant::now());
            } else {
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        count
    }

    /// Asserts that nothing comes.
    #[track_caller]
    pub(crate) fn hears_nothing(&mut self) {
        let got = self.receive_within(Duration::from_millis(50));
        assert_eq!(got, None, "something came");
    }
}

/// Waits until the switch has taken `frames` frames off its rings or seen them dropped there, and
/// holds the books to the frame: what came in is in exactly one verdict, and the kernel's count of
/// what reached the rings is ours.
#[track_caller]
pub(crate) fn settled(switch: &Switch, frames: u64) -> Counters {
    let limit = Instant::now() + PATIENCE;
    loop {
        let now = switch.counters();
        let seen = now.received + now.ring_drops;
        if seen == frames && now.ring_packets == frames && now.accounted() == now.received {
            let by_port: u64 = switch.ports().iter().map(|port| port.stats.rx_packets).sum();
            let strays = now.drops[DropReason::UnknownPort.index()];
            assert!(by_port + strays <= now.received, "ports claim more than came in");
            return now;
        }
        assert!(Instant::now() < limit, "{frames} frames were sent, but: {now:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `holds`.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < limit, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Drops for one reason, whole switch.
pub(crate) fn dropped(counters: &Counters, reason: DropReason) -> u64 {
    counters.drops[reason.index()]
}

/// A port's sent frames and refused frames.
pub(crate) fn sent(switch: &Switch, id: PortId) -> (u64, u64) {
    let ports = switch.ports();
    let port = ports.iter().find(|port| port.id == id).unwrap();
    (port.stats.tx_packets, port.stats.tx_errors)
}

/// Runs `work` on a thread inside a namespace.
pub(crate) fn inside<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    sys::netns::inside(netns.as_fd(), || Ok(work())).unwrap()
}

/// Runs a batch of `ip` in the calling thread's namespace.
#[track_caller]
pub(crate) fn ip(batch: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "ip refused one of:\n{batch}");
}

/// The calling thread's namespace says nothing of its own accord.
fn calm() {
    for name in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        let file = File::options().write(true).open(path);
        // A kernel without IPv6 has nothing to silence.
        if let Ok(mut file) = file {
            file.write_all(b"1").unwrap();
        }
    }
}

fn new_netns() -> OwnedFd {
    let fresh = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        calm();
        own_netns()
    };
    std::thread::scope(|scope| scope.spawn(fresh).join().unwrap())
}

fn own_netns() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").unwrap().into()
}
