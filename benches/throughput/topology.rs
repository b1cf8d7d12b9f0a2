//! The hosts of a run: named namespaces net1, net2, … each with one interface, and how a thread
//! gets into one. Used by every forwarder and every load generator.
//!
//! Addresses are the lab's own (10.100.0.10 for net1, 10.100.0.20 for net2, …), so that what
//! `uswitch` builds by itself and what is built here for its peers look alike to the load.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// One host.
pub struct Node {
    pub name: String,
    pub interface: String,
    pub address: Ipv4Addr,
    netns: File,
    published: Option<Published>,
}

/// Ports at which a node is reached by another's address, each under its own number.
struct Published {
    at: Ipv4Addr,
    first: u16,
    count: u16,
    next: AtomicU16,
}

impl Node {
    /// Opens a namespace that exists.
    ///
    /// # Errors
    /// When it does not.
    pub fn open(name: &str, interface: &str, address: Ipv4Addr) -> Result<Self> {
        Self::open_at(Path::new(&format!("/run/netns/{name}")), name, interface, address)
    }

    /// The same of a namespace that is elsewhere.
    ///
    /// # Errors
    /// When it is not there.
    pub fn open_at(path: &Path, name: &str, interface: &str, address: Ipv4Addr) -> Result<Self> {
        let netns = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let (name, interface) = (name.into(), interface.into());
        Ok(Self { name, interface, address, netns, published: None })
    }

    /// The node as it is reached by `count` published ports from `first` on, at `at`.
    #[allow(dead_code)] // a container's, which the benchmark of containers has
    pub fn reached_at(self, at: Ipv4Addr, first: u16, count: u16) -> Self {
        Self { published: Some(Published { at, first, count, next: AtomicU16::new(0) }), ..self }
    }

    /// Listens inside; where that is reached by others.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn listen(&self) -> Result<(TcpListener, SocketAddr)> {
        let (own, mut port) = (self.address, 0);
        if let Some(Published { first, count, next, .. }) = &self.published {
            port = first + next.fetch_add(1, Relaxed) % count;
        }
        let listener = self.run(move || Ok(TcpListener::bind((own, port))?))?;
        let at = self.published.as_ref().map_or(own, |published| published.at);
        let target = SocketAddr::new(IpAddr::V4(at), listener.local_addr()?.port());
        Ok((listener, target))
    }

    /// Starts a thread inside.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> JoinHandle<Result<T>> {
        let netns = self.netns.try_clone();
        std::thread::spawn(move || {
            setns(netns?.as_fd(), CloneFlags::CLONE_NEWNET).context("entering a namespace")?;
            work()
        })
    }

    /// Runs something inside and waits for it.
    ///
    /// # Errors
    /// Its own, or that of entering.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        finish(self.spawn(work))
    }

    /// The hardware address of the node's interface.
    ///
    /// # Errors
    /// Where the interface is missing.
    pub fn mac(&self) -> Result<[u8; 6]> {
        let interface = self.interface.clone();
        self.run(move || {
            let mut all = nix::ifaddrs::getifaddrs()?.filter(|i| i.interface_name == interface);
            all.find_map(|i| i.address.as_ref()?.as_link_addr()?.addr())
                .with_context(|| format!("no hardware address on {interface}"))
        })
    }
}

/// Joins a thread; a panic there is an error here.
///
/// # Errors
/// The thread's own.
pub fn finish<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a load generator panicked"))?
}

/// The lab's address of node `index` (from 1).
pub fn address_of(index: usize) -> Ipv4Addr {
    if index <= 25 {
        return Ipv4Addr::new(10, 100, 0, (index * 10) as u8);
    }
    let rest = index - 26;
    Ipv4Addr::new(10, 100, (1 + rest / 254) as u8, (1 + rest % 254) as u8)
}

/// Runs a batch of `ip` commands, in a namespace if one is named.
///
/// # Errors
/// What ip says.
pub fn ip_batch(netns: Option<&str>, commands: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    if let Some(netns) = netns {
        ip.args(["-n", netns]);
    }
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting ip")?;
    child.stdin.take().context("no stdin")?.write_all(commands.as_bytes())?;
    let out = child.wait_with_output()?;
    if !out.status.success() {
        bail!("ip -batch: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

/// The namespace in which the peers' switch ends of all veths live.
pub const FABRIC: &str = "fabric";

/// Makes `FABRIC` and the nodes' namespaces; with `veths`, also a pair to each node
/// (`veth<i>` in the fabric, `vethpeer<i>` in the node).
///
/// # Errors
/// What ip says.
pub fn build(nodes: usize, veths: bool) -> Result<()> {
    let mut batch = format!("netns add {FABRIC}\n");
    for i in 1..=nodes {
        batch += &format!("netns add net{i}\n");
        if veths {
            batch += &format!(
                "link add veth{i} netns {FABRIC} type veth peer name vethpeer{i} netns net{i}\n"
            );
        }
    }
    ip_batch(None, &batch)?;
    let fabric = Node::open(FABRIC, "lo", Ipv4Addr::UNSPECIFIED)?;
    fabric.run(quieten)?;
    if veths {
        let up: String = (1..=nodes).map(|i| format!("link set veth{i} up\n")).collect();
        ip_batch(Some(FABRIC), &up)?;
    }
    Ok(())
}

/// Gives the nodes their addresses and opens them. `interface` is there already.
///
/// # Errors
/// What ip says.
pub fn configure(nodes: usize) -> Result<()> {
    for i in 1..=nodes {
        let node = Node::open(&format!("net{i}"), &format!("vethpeer{i}"), address_of(i))?;
        node.run(quieten)?;
        ip_batch(
            Some(&node.name),
            &format!(
                "addr add {}/16 dev {name}\nlink set lo up\nlink set {name} up\n",
                node.address,
                name = node.interface
            ),
        )?;
    }
    Ok(())
}

/// The nodes of a lab that stands.
///
/// # Errors
/// When one is missing.
pub fn nodes(count: usize) -> Result<Vec<Node>> {
    (1..=count)
        .map(|i| {
            let node = Node::open(&format!("net{i}"), &format!("vethpeer{i}"), address_of(i))?;
            node.run(quieten)?;
            Ok(node)
        })
        .collect()
}

/// No IPv6 chatter in the calling thread's namespace: what is counted is what was sent.
fn quieten() -> Result<()> {
    for which in ["all", "default"] {
        let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
        if std::path::Path::new(&path).exists() {
            std::fs::write(&path, "1").with_context(|| path.clone())?;
        }
    }
    Ok(())
}

/// Removes every named namespace of this world, and what lives in them.
///
/// # Errors
/// What ip says.
pub fn clear() -> Result<()> {
    let mut batch = String::new();
    for entry in std::fs::read_dir("/run/netns").context("/run/netns")? {
        batch += &format!("netns del {}\n", entry?.file_name().to_string_lossy());
    }
    if batch.is_empty() { Ok(()) } else { ip_batch(None, &batch) }
}
