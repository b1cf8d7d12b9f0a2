//! What can go wrong with a lab; one line each, with the mend.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::called::program;

/// A failure of a lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Somebody runs a lab of this name.
    #[error(
        "lab {name} is held by process {pid}: stop it with `{program} down --name {name}`, or \
         choose another --name", program = program()
    )]
    Held {
        /// The lab.
        name: String,
        /// Who.
        pid: String,
    },
    /// No lab of this name.
    #[error("lab {0} is not running: start it with `{program} up --name {0}`", program = program())]
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
    #[error("lab {lab} has no node {node}; it has {nodes}")]
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
    /// Another has the address.
    #[error("{address} is {owner}'s in lab {lab}: choose another, or leave it out")]
    AddressTaken {
        /// The lab.
        lab: String,
        /// What was asked for.
        address: Ipv4Addr,
        /// Whose it is.
        owner: String,
    },
    /// The topology has no switch.
    #[error("lab {0} has no switch: nodes come and go only in the topology `switch`")]
    NoSwitch(String),
    /// The run directory is somebody else's.
    #[error("{} belongs to another user: set USWITCH_RUN_DIR", .0.display())]
    NotOurs(PathBuf),
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
    Ns(#[from] ns::Error),
    /// The switch.
    #[error(transparent)]
    Switch(#[from] switch::Error),
    /// The control socket.
    #[error(transparent)]
    Door(#[from] control::ServerError),
    /// What was to be published cannot be.
    #[error("{0}")]
    Publish(String),
    /// A file of the lab, or a process.
    #[error("{what}")]
    Io {
        /// What was being done, on which object.
        what: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// A signal came while it was being built.
    #[error("interrupted")]
    Interrupted,
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
