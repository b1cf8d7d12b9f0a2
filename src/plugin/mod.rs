//! This program as a plugin of a container engine: a thin client that reads what the engine says, asks
//! the running `serve`, and answers. Nothing is made here.
//!
//! | module | what |
//! |---|---|
//! | `cni` | a plugin of the Container Network Interface |
//! | `netavark` | a driver of podman's own network program |
//! | `ipam` | the plugin beside it that gives out addresses |

pub(crate) mod cni;
mod ipam;
pub(crate) mod netavark;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use engine::plugin::{Answer, Ask, Join};
use serve::client::{Absent, ask};
use serve::held;

/// Where `serve` listens for plugins.
pub(crate) const SOCKET: &str = "/run/uswitch/serve.sock";
/// Says another place, where an engine lets its plugins have it.
const PLACE: &str = "USWITCH_SERVE";
/// Bytes of what an engine says: a container may publish thousands of ports.
const LONGEST: u64 = 4 << 20;

fn place() -> PathBuf {
    std::env::var_os(PLACE).map_or_else(|| SOCKET.into(), PathBuf::from)
}

/// Has a container taken in, whose namespace this is.
fn attach(mut join: Join, netns: &File) -> Result<Answer, Absent> {
    join.binds = held::callers().iter().any(|pid| held::binds(*pid));
    ask(&place(), &Ask::Attach(Box::new(join)), &[netns.as_fd()])
}

/// What the engine says on standard input.
fn said() -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    io::stdin().lock().take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}
