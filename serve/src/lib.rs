//! Networks for container engines, over a running lab: the sockets where engines ask, what is kept of
//! their networks and containers across the ends of processes, and the ports published for them.
//!
//! ```text
//!   dockerd ─► server ─► engine::docker ─► Daemon ─► lab: networks, guests, the host's ports
//!                                           ├─► store: networks on disk, places in the run directory
//!                                           ├─► Publisher: sockets of the host
//!                                           └─► names: what Docker calls all of it
//! ```
//!
//! | module | what |
//! |---|---|
//! | `daemon` | does what engines ask: [`engine::docker::Driver`] |
//! | `resume` | takes on what an earlier process has left |
//! | `store` | the files |
//! | `server` | the socket where dockerd asks |
//! | `socket` | sockets that root alone can open |
//! | `names` | names of networks and containers, asked of Docker |
//! | `publish` | ports of the host that lead to containers |

#![forbid(unsafe_code)]

mod daemon;
mod error;
mod names;
mod publish;
mod resume;
mod server;
mod socket;
mod store;

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use lab::Lab;

use daemon::Daemon;
pub use error::{Error, Result};
use server::Server;

/// Where engines ask, and what is kept where.
#[derive(Debug)]
pub struct Config {
    /// The socket that dockerd knows the driver by.
    pub plugin: PathBuf,
    /// The same, where a service manager has opened it.
    pub listener: Option<UnixListener>,
    /// Docker's own socket, where names are asked for.
    pub docker: PathBuf,
    /// The folder for what outlives a boot.
    pub state: PathBuf,
}

/// The engines' networks, served; dropping it ends that, and leaves all links as they are.
pub struct Serve {
    // Nobody asks any more, then nothing is done any more.
    _server: Server,
    daemon: Arc<Daemon>,
}

impl Serve {
    /// Takes on what an earlier process has left, and serves.
    ///
    /// # Errors
    /// [`Error`] where a file, a socket or a thread cannot be had.
    pub fn start(lab: &Arc<Lab>, config: Config) -> Result<Self> {
        let daemon = Arc::new(Daemon::new(lab, &config)?);
        daemon.resume()?;
        // One of a service manager's stays when we end, and so does its file.
        let (listener, own) = match config.listener {
            Some(listener) => (listener, None),
            None => (socket::listen(&config.plugin)?, Some(config.plugin)),
        };
        let server = Server::start(listener, own, &daemon, config.docker)?;
        Ok(Self { _server: server, daemon })
    }

    /// How many networks are served, and how many containers' places in them.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        self.daemon.count()
    }
}
