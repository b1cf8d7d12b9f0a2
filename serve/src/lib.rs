//! Networks for container engines, over a running lab: the sockets where engines ask, what is kept of
//! their networks and containers across the ends of processes, and the ports published for them.
//!
//! ```text
//!   dockerd ─► server ─► engine::docker ─► Daemon ─► lab: networks, guests, the host's ports
//!   plugin ─► client ─► plugins ─► engine::plugin ─┘ ├─► store: networks on disk, places in the run directory
//!                                                    ├─► Publisher: sockets of the host
//!                                                    └─► names: what Docker calls all of it
//! ```
//!
//! | module | what |
//! |---|---|
//! | `daemon` | does what engines ask: [`engine::docker::Driver`] |
//! | `containers` | does what plugins of other engines ask |
//! | `places` | containers' places as they are kept |
//! | `hosts` | networks that reach other hosts |
//! | `resume` | takes on what an earlier process has left |
//! | `lost` | links that are lost while their containers run |
//! | `store` | the files |
//! | `turns` | one call at a time for a place of a plugin's |
//! | `vanishing` | places that end with their containers' namespaces |
//! | `server` | the socket where dockerd asks |
//! | `plugins`, [`client`] | the two ends of the socket where plugins ask |
//! | `passing` | messages with descriptors |
//! | `leaving` | the end of a server that goes with its last container |
//! | [`held`] | sockets that an engine holds for published ports |
//! | `socket` | sockets that root alone can open |
//! | `names` | names of networks and containers, asked of Docker |
//! | `called` | what they are called, in the lab and on disk |
//! | `found` | ports that were found, and are found again |
//! | `leads` | which ports lead to which place, and whose address is seen there |
//! | `publish` | sockets of the host's for them |

#![forbid(unsafe_code)]

mod called;
pub mod client;
mod containers;
mod daemon;
mod error;
mod found;
pub mod held;
mod hosts;
mod leads;
mod leaving;
mod lost;
mod names;
mod passing;
mod places;
mod plugins;
mod publish;
mod resume;
mod server;
mod socket;
mod store;
mod turns;
mod vanishing;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab::Lab;

use daemon::Daemon;
pub use error::{Error, Result};
pub use leaving::{Ending, was_passing};
use server::{Door, Server};
pub use store::forget_place;

/// Where engines ask, and what is kept where.
#[derive(Debug)]
pub struct Config {
    /// The socket that dockerd knows the driver by; None where Docker is not served.
    pub plugin: Option<PathBuf>,
    /// The same, where a service manager has opened it.
    pub listener: Option<UnixListener>,
    /// The socket where plugins of other engines ask.
    pub own: PathBuf,
    /// The same, where a service manager has opened it.
    pub own_listener: Option<UnixListener>,
    /// Docker's own socket, where names are asked for.
    pub docker: PathBuf,
    /// The folder for what outlives a boot.
    pub state: PathBuf,
    /// What networks join that do not say themselves which hosts they reach.
    pub join: Option<topology::join::Join>,
    /// This host among the others.
    pub end: lab::hosts::End,
    /// How it ends with its last container; None where it stays.
    pub ending: Option<Ending>,
}

/// Removes the socket at `path` that a killed server has left; one that is listened at stays.
pub fn sweep(path: &Path) {
    if let Err(error) = UnixStream::connect(path)
        && error.kind() == std::io::ErrorKind::ConnectionRefused
    {
        let _ = std::fs::remove_file(path);
    }
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
        let places = lab::served::places(lab.ground(), &lab.config().name);
        leaving::mark(&places, config.ending.is_some())?;
        let vanished = vanishing::hear(lab);
        daemon.resume()?;
        // One of a service manager's stays when we end, and so does its file.
        let open = |listener: Option<UnixListener>, path: PathBuf| match listener {
            Some(listener) => Ok(Door { listener, path: None }),
            None => socket::listen(&path).map(|listener| Door { listener, path: Some(path) }),
        };
        let docker = config.plugin.map(|path| open(config.listener, path)).transpose()?;
        let plugins = open(config.own_listener, config.own)?;
        vanishing::watch(&daemon, vanished)?;
        if let Some(ending) = config.ending {
            leaving::watch(&daemon, ending)?;
        }
        let server = Server::start((docker, plugins), &daemon, config.docker)?;
        Ok(Self { _server: server, daemon })
    }

    /// How many networks are served, and how many containers' places in them.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        self.daemon.count()
    }
}
