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
use crate::error::{Doing, Result};
use crate::ground::Ground;
use crate::{journal, lock};

const FILE: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// More than the longest list: 32,768 single ports. The kernel tells it in one read or not whole.
const LONGEST: usize = 1 << 18;

/// Ports that were reserved for a lab: its journal's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The network namespace, by its inode.
    pub netns: u64,
    /// The ports that were not reserved before.
    pub ports: String,
}

/// What reserving `block` would add, to be written down before [`add`].
pub(super) fn plan(block: PortBlock) -> io::Result<Reserved> {
    let ports = Ports::of(block.range()).without(&read()?);
    Ok(Reserved { netns: netns()?, ports: ports.to_string() })
}

/// Reserves what was planned.
pub(super) fn add(reserved: &Reserved) -> io::Result<()> {
    change(reserved, |now, ours| now.with(ours))
}

/// Another lab that was killed with a part of `block` still reserved for it. Taking those ports now
/// would leave it open whose they are to give back.
pub(super) fn left_by(ground: &Ground, block: PortBlock, own: &LabName) -> Result<Option<LabName>> {
    let netns = netns().doing(|| "looking at the network namespace".into())?;
    let wanted = Ports::of(block.range());
    let folders = std::fs::read_dir(ground.base()).into_iter().flatten().flatten();
    let names = folders.filter_map(|entry| entry.file_name().to_str()?.parse::<LabName>().ok());
    for name in names.filter(|name| name != own && lock::held_by(ground, name).is_none()) {
        let Some(record) = journal::read(&ground.lab(&name))? else { continue };
        let overlaps = |r: &Reserved| {
            let ports = r.ports.parse::<Ports>();
            r.netns == netns && ports.is_ok_and(|ports| wanted.without(&ports) != wanted)
        };
        if record.header.is_of_this_boot() && record.reserved.iter().any(overlaps) {
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
    if netns()? != reserved.netns {
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
