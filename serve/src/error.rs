//! What can go wrong while serving; one line each.

use std::io;
use std::path::{Path, PathBuf};

/// A failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a folder or a socket.
    #[error("{what} {}", .path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// To which.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file does not say what it should.
    #[error("{} says nothing that can be read: {why}; remove it, and its network with its engine", .path.display())]
    Garbled {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another process serves at the socket.
    #[error(
        "{}: another process listens there; stop it, or name another socket with --plugin", .0.display()
    )]
    Taken(PathBuf),
    /// A thread or a runtime cannot be had.
    #[error("starting {0}")]
    Thread(&'static str, #[source] io::Error),
    /// The lab.
    #[error(transparent)]
    Lab(#[from] lab::Error),
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Names the operation an IO error happened in.
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T> {
        self.map_err(|e| Error::File { what, path: path.into(), source: e.into() })
    }
}

/// An error with all its causes, in one line.
pub(crate) fn line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
