//! Why a door cannot be opened; one line each.

use std::io;

/// A door that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The control socket.
    #[error(transparent)]
    Server(#[from] control::ServerError),
    /// What was to be published cannot be.
    #[error("{0}")]
    Publish(String),
    /// The thread that tells events.
    #[error("starting a thread")]
    Thread(#[source] io::Error),
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
