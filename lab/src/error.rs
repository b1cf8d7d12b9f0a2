//! What can go wrong with a lab; one line each, with the mend.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::called::{self, program};

/// A failure of a lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The kernel does not repeat what the switch decides.
    #[error("--fast-path on: {0}; `--fast-path auto` does without where it has to")]
    NoFastPath(String),
    /// Somebody runs a lab of this name.
    #[error(
        "lab {name} is held by {holder}{}: stop it with `{program} down{}`, or choose another --name",
        gone(.swept), down(name, .swept), program = program()
    )]
    Held {
        /// The lab.
        name: String,
        /// Who.
        holder: String,
        /// Whether its files are gone.
        swept: bool,
    },
    /// A lab runs and its files are gone.
    #[error(
        "lab {name} runs as {holder}{}: nothing reaches it any more; `{program} down --name {name}` \
         stops it", gone(&true), program = program()
    )]
    Swept {
        /// The lab.
        name: String,
        /// Who.
        holder: String,
    },
    /// The process that holds a lab cannot be told.
    #[error(
        "lab {0} is held by a process that cannot be seen from here, in another container perhaps: \
         ask there"
    )]
    Unseen(String),
    /// Another user has a lab of this name.
    #[error("lab {lab} is {owner}'s: {mend}")]
    Others {
        /// The lab.
        lab: String,
        /// The user.
        owner: String,
        /// How to reach it.
        mend: String,
    },
    /// A node that is not in the record of a lab that runs, which is damaged.
    #[error(
        "lab {lab} runs, but its record {why}, and it is unknown whether it has a node {node}: \
         `{} down{}` and start it anew",
        program(),
        called::option(lab)
    )]
    Unrecorded {
        /// The lab.
        lab: String,
        /// Who was asked for.
        node: String,
        /// What is wrong with the record.
        why: String,
    },
    /// The record of what a lab made is damaged.
    #[error(
        "lab {lab}: its record {} {why}; what is still known of it is undone. Look for more of the \
         lab's in `ip netns` and in net.ipv4.ip_local_reserved_ports{mend}",
        .path.display()
    )]
    Torn {
        /// The lab.
        lab: String,
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What is to be done then, if anything.
        mend: String,
    },
    /// The lab holds no such namespace any more.
    #[error("node {0}: the lab holds its namespace no longer: look at `{program} show topology`", program = program())]
    NodeGone(String),
    /// No lab of this name.
    #[error("lab {0} is not running: start it with `{program} up{name}`", program = program(), name = called::option(.0))]
    NotRunning(String),
    /// No lab of this name runs; these do.
    #[error("lab {lab} is not running; {running}")]
    NoLab {
        /// What was asked for.
        lab: String,
        /// Those that run and how to name one, or how to start one.
        running: String,
    },
    /// No such node; these there are.
    #[error("lab {lab} has no node {}; it has {nodes}", called::shown(node))]
    NoNode {
        /// The lab.
        lab: String,
        /// What was asked for.
        node: String,
        /// What there is.
        nodes: String,
    },
    /// The node is there already.
    #[error("lab {lab} has a node {node} already")]
    NodeExists {
        /// The lab.
        lab: String,
        /// Its name.
        node: String,
    },
    /// No such network; these there are.
    #[error("lab {lab} has no network {}; it has {networks}", called::shown(network))]
    NoNetwork {
        /// The lab.
        lab: String,
        /// What was asked for.
        network: String,
        /// What there is.
        networks: String,
    },
    /// The network is there already.
    #[error("lab {lab} has a network {network} already")]
    NetworkExists {
        /// The lab.
        lab: String,
        /// Its name.
        network: String,
    },
    /// Nodes are attached to the network.
    #[error("network {network} of lab {lab} has nodes attached: {nodes}; remove them first")]
    NetworkBusy {
        /// The lab.
        lab: String,
        /// The network.
        network: String,
        /// The nodes, the first few of them.
        nodes: String,
    },
    /// A link joins the network to another.
    #[error(
        "network {network} is joined to another by {link}, which is lab {lab}'s as long as it runs"
    )]
    NetworkJoined {
        /// The lab.
        lab: String,
        /// The network.
        network: String,
        /// The link.
        link: String,
    },
    /// A tunnel leads from the network to other hosts.
    #[error("network {network} reaches other hosts: `tunnel remove {vni}` first")]
    NetworkBeyond {
        /// The network.
        network: String,
        /// The tunnel's number.
        vni: u32,
    },
    /// Another has the address.
    #[error("{address} is {owner}'s in lab {lab}: choose another, or leave it out")]
    AddressTaken {
        /// The lab.
        lab: String,
        /// What was asked for.
        address: IpAddr,
        /// Whose it is.
        owner: String,
    },
    /// Another host of the network has the name or the address.
    #[error("{0}")]
    Claimed(String),
    /// The registry of a network of several hosts does not let this host in.
    #[error("network {network}: {what}, for etcd does not let this host in: {why}")]
    NotLetIn {
        /// The network.
        network: String,
        /// What cannot be done now.
        what: String,
        /// Why, as its members say or this host sees.
        why: String,
    },
    /// The registry of a network of several hosts refuses what it is asked for.
    #[error("network {network}: {what}: {why}")]
    NotTaken {
        /// The network.
        network: String,
        /// What cannot be done now.
        what: String,
        /// Why, as it says.
        why: String,
    },
    /// The registry of a network of several hosts cannot be asked.
    #[error(
        "network {network}: {what}, for etcd does not answer ({why}): look whether most of its members \
         run, and are reached from here"
    )]
    Registry {
        /// The network.
        network: String,
        /// What cannot be done now.
        what: String,
        /// What was heard of the members.
        why: String,
    },
    /// The BGP speaker beside the host cannot be asked, or is none that can.
    #[error("network {network}: the lab has not joined, for {why}")]
    Speaker {
        /// The network.
        network: String,
        /// What was heard of it, and the mend.
        why: String,
    },
    /// The topology has no switch.
    #[error("lab {0} has no switch: nodes come and go only in the topology `switch`")]
    NoSwitch(String),
    /// Something in the run directory is not to be believed.
    #[error(
        "{} {why}: nothing there is used; remove it, or set USWITCH_RUN_DIR to a folder of your \
         own", .path.display()
    )]
    NotOurs {
        /// What.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The real uplink that was asked for cannot be had.
    #[error("--uplink {name}: {why}")]
    Uplink {
        /// The interface, or `auto`.
        name: String,
        /// Why, and the mend.
        why: String,
    },
    /// Namespaces and links.
    #[error(transparent)]
    Ns(ns::Error),
    /// The switch.
    #[error(transparent)]
    Switch(#[from] switch::Error),
    /// A file of the lab, or a process.
    #[error("{what}")]
    Io {
        /// What was being done, on which object.
        what: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// Too late for a user namespace.
    #[error(
        "this process has several threads, and the kernel gives a user namespace to one alone: run \
         it as root, start its first lab before other threads, or run it inside one (`unshare --user \
         --map-root-user --mount COMMAND`)"
    )]
    Threads,
    /// A program in a node failed.
    #[error("{what}: exit code {code}: {said}")]
    Failed {
        /// In which node, which program.
        what: String,
        /// Its exit code.
        code: i32,
        /// Its last line.
        said: String,
    },
    /// A signal came while it was being built.
    #[error("interrupted")]
    Interrupted,
}

impl From<ns::Error> for Error {
    fn from(error: ns::Error) -> Self {
        match error {
            ns::Error::Interrupted => Self::Interrupted,
            other => Self::Ns(other),
        }
    }
}

/// How `down` is told which lab: one whose files are gone is not the one that is meant without a name.
fn down(name: &str, swept: &bool) -> String {
    if *swept { format!(" --name {name}") } else { called::option(name) }
}

fn gone(swept: &bool) -> &'static str {
    if *swept { ", whose files were removed" } else { "" }
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the operation an IO error happened in.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::Io { what: what(), source: e.into() })
    }
}

impl From<::topology::Invalid> for Error {
    fn from(why: ::topology::Invalid) -> Self {
        Self::Usage(why.0)
    }
}
