//! What this machine allows, found by trying it: each thing a lab can need, what follows where it is
//! missing, and the mend.
//!
//! Tried in namespaces made for it, which end with the thread that made them. Nothing stays.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use ns::nft;
use ns::plan::VethOptions;
use ns::user::Privilege;
use ns::{Directory, Plan};
use serde::Serialize;

use crate::ground::Ground;
use crate::progress::Quiet;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It can be had.
    Yes,
    /// It cannot, and labs do without.
    Without,
    /// It cannot, and there are no labs without it.
    No,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The thing, in a word or two.
    pub what: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What follows for labs.
    pub follows: String,
    /// What to do about it, where something can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn yes(what: &'static str, found: impl Into<String>, follows: impl Into<String>) -> Self {
        Self {
            what,
            standing: Standing::Yes,
            found: found.into(),
            follows: follows.into(),
            mend: None,
        }
    }

    fn but(self, standing: Standing, mend: impl Into<String>) -> Self {
        Self { standing, mend: Some(mend.into()), ..self }
    }
}

/// Tries all of it. The process may be root of a user namespace of its own afterwards, as a lab's
/// would be: to be called while it has but one thread, and last.
#[must_use]
pub fn look(ground: &Ground) -> Vec<Finding> {
    let root = ground.privilege() == Privilege::Root;
    let mut all = vec![
        privilege(root),
        kernel(),
        cores(),
        fast_path(root),
        idle_cores(),
        clock(),
        uplink(root),
    ];
    all.extend(neighbours());
    match ground.enter() {
        Err(error) => all.insert(1, cannot_build(&error)),
        Ok(()) => {
            all.insert(1, namespaces(root));
            all.extend(inside());
        }
    }
    all
}

fn privilege(root: bool) -> Finding {
    if root {
        return Finding::yes("privilege", "root", "namespaces are named, for `ip netns` to find");
    }
    let follows = "labs live in a user namespace of their own";
    let mend = "run it as root for these (CAP_SYS_ADMIN and CAP_NET_ADMIN)";
    Finding::yes("privilege", "an ordinary user", follows).but(Standing::Without, mend)
}

fn namespaces(root: bool) -> Finding {
    let how = if root { "made as root" } else { "made in a user namespace" };
    Finding::yes("namespaces", how, "labs can be built")
}

fn cannot_build(error: &crate::Error) -> Finding {
    let (found, mend) = match error {
        crate::Error::Ns(ns::Error::NoPrivilege { mend, source }) => (chain(source), mend.clone()),
        other => (chain(other), "see what it says".into()),
    };
    Finding::yes("namespaces", found, "no lab can be built").but(Standing::No, mend)
}

fn kernel() -> Finding {
    let Some((major, minor)) = sys::kernel::version() else {
        let follows = "frames stay below 64 KiB, tunnels' segments leave one by one";
        return Finding::yes("kernel", "no version to be read", follows)
            .but(Standing::Without, "none");
    };
    let found = format!("Linux {major}.{minor}");
    if (major, minor) < sys::kernel::UDP_SEGMENTS {
        let follows = "a tunnel's segments leave one by one: tunnels are slower";
        let (major, minor) = sys::kernel::UDP_SEGMENTS;
        let mend = format!("Linux {major}.{minor} or later");
        return Finding::yes("kernel", found, follows).but(Standing::Without, mend);
    }
    Finding::yes("kernel", found, "has what labs make use of")
}

fn cores() -> Finding {
    let installed = sys::cores::installed();
    let allowed = sys::cores::allowed().map_or(installed, |cores| cores.len());
    let found = format!("{allowed} of {installed} may be used");
    if allowed > 1 {
        return Finding::yes("cores", found, "switch and nodes work side by side");
    }
    let follows = "switch and nodes take turns: every frame waits for a change of process";
    Finding::yes("cores", found, follows).but(Standing::Without, "allow two (taskset, cpuset)")
}

fn fast_path(root: bool) -> Finding {
    let refused = if root {
        switch::FastPath::load().err().map(|error| error.to_string())
    } else {
        Some("BPF programs take root".into())
    };
    match refused {
        None => Finding::yes("fast path", "BPF and tcx", "`--fast-path on` works"),
        Some(why) => {
            let mend = "root, with CAP_BPF, and Linux 6.6 or later";
            Finding::yes("fast path", why, "every frame passes the switch in userspace")
                .but(Standing::Without, mend)
        }
    }
}

fn idle_cores() -> Finding {
    match sys::latency::CpuLatency::open() {
        Ok(_) => Finding::yes("idle cores", "can be kept awake", "short round trips under load"),
        Err(error) => {
            let follows = "a frame may wait until an idle core wakes";
            Finding::yes("idle cores", format!("/dev/cpu_dma_latency: {}", error.kind()), follows)
                .but(Standing::Without, "root, on a kernel with CONFIG_CPU_IDLE")
        }
    }
}

fn clock() -> Finding {
    const SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = std::fs::read_to_string(SOURCE).unwrap_or_else(|_| "unknown".into());
    let source = source.trim();
    if ["hpet", "acpi_pm", "jiffies"].contains(&source) {
        let mend = "boot with a clock that programs can read (tsc, kvm-clock)";
        return Finding::yes("clock", source, "each time stamp is a call to the kernel")
            .but(Standing::Without, mend);
    }
    Finding::yes("clock", source, "time stamps cost nanoseconds")
}

/// How many neighbours the kernel knows at a time, over all namespaces; None where that is not to be seen,
/// as in a network namespace other than the first.
fn neighbours() -> Option<Finding> {
    const MOST: &str = "/proc/sys/net/ipv4/neigh/default/gc_thresh3";
    let most = std::fs::read_to_string(MOST).ok()?.trim().parse().ok()?;
    let found = format!("{most} over all namespaces");
    let follows = format!("up to {} nodes can all talk to one another", all_to_all(most));
    Some(Finding::yes("neighbours", found, follows))
}

/// How many nodes there may be where each has all others as neighbours.
fn all_to_all(most: u64) -> u64 {
    let nodes = most.isqrt();
    if nodes * (nodes + 1) <= most { nodes + 1 } else { nodes }
}

fn uplink(root: bool) -> Finding {
    let none = |found: String, mend: &str| {
        let follows = "`--uplink sim`, the default, needs none";
        Finding::yes("uplink", found, follows).but(Standing::Without, mend)
    };
    if !root {
        return none("to share an interface takes root".into(), "run it as root");
    }
    let own = std::fs::File::open("/proc/self/ns/net");
    let look = |netns: std::fs::File| ns::route::look(netns.as_fd()).map_err(|e| chain(&e));
    let view = match own.map_err(|error| chain(&error)).and_then(look) {
        Ok(view) => view,
        Err(why) => return none(why, "name it: `--uplink IFACE`"),
    };
    let Some(route) = view.defaults.first() else {
        return none("no default route".into(), "a default route, or `--uplink IFACE`");
    };
    let link = view.links.iter().find(|link| link.index == route.index);
    let name = link.map_or_else(|| route.index.to_string(), |link| link.name.clone());
    let found = format!("the default route leaves by {name}");
    Finding::yes("uplink", found, format!("`--uplink auto` shares {name}"))
}

/// A failure and all its causes, on a line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if !text.contains(&why) {
            text = format!("{text}: {why}");
        }
        cause = error.source();
    }
    text
}

/// What takes a network namespace to try.
fn inside() -> Vec<Finding> {
    let mut plan = Plan::new();
    let room = plan.anonymous();
    let (end, _) = plan.veth((room, "a"), (room, "b"), VethOptions::default());
    plan.up(room, end);
    let made = ns::apply(&plan, &Directory::at("/nowhere"), &[], &mut Quiet);
    let applied = match made {
        Ok(applied) => applied,
        Err(error) => {
            let links = Finding::yes("links", chain(&error), "no lab can be built");
            return vec![links.but(Standing::No, "load the kernel's module: `modprobe veth`")];
        }
    };
    let links = Finding::yes("links", "veth pairs", "nodes can be plugged in");
    let Some(room) = applied.fd(room) else { return vec![links] };
    vec![links, packets(room), nftables(room)]
}

fn packets(room: BorrowedFd<'_>) -> Finding {
    let config = sys::packet::RingConfig { slots: 15, ..sys::packet::RingConfig::default() };
    match sys::netns::inside(room, || sys::packet::PacketIo::open(config)) {
        Ok(_) => Finding::yes("packets", "AF_PACKET with a ring", "the switch can take frames"),
        Err(error) => Finding::yes("packets", chain(&error), "no switch; `pair` and `mesh` work")
            .but(Standing::No, "a kernel with CONFIG_PACKET; a sandbox must allow AF_PACKET"),
    }
}

fn nftables(room: BorrowedFd<'_>) -> Finding {
    let ask = nft::Ask {
        name: "uswitch-doctor",
        interface: "a",
        address: Ipv4Addr::LOCALHOST,
        ports: &(1..=1),
        remote: nft::Remote::Nothing,
    };
    match nft::Table::install(room, &ask) {
        Ok(_) => Finding::yes("nftables", "a table can be made", "stands in where there is no tcx"),
        Err(error) => {
            let follows = "a real uplink needs tcx: nothing else keeps the host's stack silent";
            Finding::yes("nftables", chain(&error), follows)
                .but(Standing::Without, "a kernel with CONFIG_NF_TABLES (`modprobe nf_tables`)")
        }
    }
}

/// Whether labs can be built.
#[must_use]
pub fn builds(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.standing != Standing::No)
}

#[cfg(test)]
mod tests {
    use super::all_to_all;

    #[test]
    fn each_node_has_all_others_as_neighbours() {
        for (most, nodes) in [(0, 1), (1, 1), (2, 2), (5, 2), (6, 3), (1024, 32), (1056, 33)] {
            assert_eq!(all_to_all(most), nodes, "{most}");
        }
    }
}
