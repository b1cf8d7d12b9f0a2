//! What can go wrong below a lab, said in one line each: what, on which object, and the mend.
//! The cause is the source.

use std::io;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is taken by a namespace somebody else made.
    #[error(
        "namespace {0} already exists and is not ours: remove it with `ip netns del {0}`, or \
         choose other names with --prefix"
    )]
    Foreign(String),
    /// The kernel was asked for a veth pair and knows none.
    #[error(
        "this kernel has no veth devices: load them with `modprobe veth`, or enable CONFIG_VETH"
    )]
    NoVeth,
    /// Neither root nor a user namespace is to be had.
    #[error("not root, and no user namespace to be had: {mend}")]
    NoPrivilege {
        /// What to change, from what the system says forbids it.
        mend: String,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// The observer wanted to stop.
    #[error("interrupted")]
    Interrupted,
    /// Anything the kernel refused.
    #[error("{what}")]
    Io {
        /// What was being done, on which object.
        what: String,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
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
