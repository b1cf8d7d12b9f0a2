//! The block kept from the host's choice of ports (`net.ipv4.ip_local_reserved_ports`), and given
//! back: by the end of the lab, or from the journal by the next `run` or `down`.
//!
//! Only what was not reserved before is added, and only that is taken out again, from what the
//! list then holds: what others write meanwhile stays. Labs take turns by a lock on the file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::PortBlock;
use super::ports::Ports;
use crate::config::LabName;
use crate::error::Result;
use crate::ground::Ground;
use crate::{clean, journal, lock};

const FILE: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// More than the longest list: 32,768 single ports. The kernel tells it in one read or not whole.
const LONGEST: usize = 1 << 18;

/// Ports that were reserved for a lab: its journal's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The network namespace, by its inode.
    pub netns: u64,
    /// The kernel's cookie of that namespace, which no other ever has; None before Linux 5.14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// The ports that were not reserved before.
    pub ports: String,
}

impl Reserved {
    /// Whether it is the calling thread's network namespace's.
    fn is_here(&self) -> io::Result<bool> {
        let same = self.cookie.is_none_or(|was| sys::netns::cookie().is_ok_and(|is| is == was));
        Ok(same && netns()? == self.netns)
    }
}

/// What reserving `block` would add, to be written down before [`add`].
pub(super) fn plan(block: PortBlock) -> io::Result<Reserved> {
    let ports = Ports::of(block.range()).without(&read()?);
    Ok(Reserved { netns: netns()?, cookie: sys::netns::cookie().ok(), ports: ports.to_string() })
}

/// Reserves what was planned.
pub(super) fn add(reserved: &Reserved) -> io::Result<()> {
    change(reserved, |now, ours| now.with(ours))
}

/// Another lab that was killed with a part of `block` still reserved for it. Taking those ports now
/// would leave it open whose they are to give back.
pub(super) fn left_by(ground: &Ground, block: PortBlock, own: &LabName) -> Result<Option<LabName>> {
    let wanted = Ports::of(block.range());
    for name in ground.labs()?.into_iter().filter(|name| name != own) {
        // What is not ours says nothing.
        let Ok(Some(folder)) = ground.folder(&name) else { continue };
        if lock::keeper(ground, &name)?.is_some() || folder.file(clean::UNDONE)?.is_some() {
            continue;
        }
        let Some(record) = journal::read(&folder)? else { continue };
        let overlaps = |r: &Reserved| {
            let ports = r.ports.parse::<Ports>();
            let overlaps = ports.is_ok_and(|ports| wanted.without(&ports) != wanted);
            overlaps && r.is_here().unwrap_or(true)
        };
        if record.is_of_this_boot() && record.reserved.iter().any(overlaps) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Gives back what was reserved; false where that is another namespace's, and stays.
///
/// # Errors
/// What the kernel says.
pub(crate) fn remove(reserved: &Reserved) -> io::Result<bool> {
    if !reserved.is_here()? {
        return Ok(false);
    }
    change(reserved, |now, ours| now.without(ours))?;
    Ok(true)
}

fn change(reserved: &Reserved, of: impl Fn(&Ports, &Ports) -> Ports) -> io::Result<()> {
    let ours = reserved.ports.parse().map_err(io::Error::other)?;
    // A file system that knows no locks leaves a moment in which two labs could cross.
    let _turn =
        File::open(FILE).ok().and_then(|file| Flock::lock(file, FlockArg::LockExclusive).ok());
    let now = read()?;
    let then = of(&now, &ours);
    if then != now {
        let text = format!("{then}\n");
        File::options().write(true).open(FILE)?.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn read() -> io::Result<Ports> {
    let mut text = vec![0; LONGEST];
    let length = File::open(FILE)?.read(&mut text)?;
    String::from_utf8_lossy(&text[..length]).parse().map_err(io::Error::other)
}

/// The network namespace the calling thread is in.
fn netns() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/thread-self/ns/net")?.ino())
}
