//! What exists, written down before it does: DIR/LAB/journal, a line each. After a SIGKILL at any
//! moment the next `run` or `down` knows from it which names are ours.
//!
//! A line is JSON, its number and a checksum, and is written in one piece before the thing is made.
//! So a journal that is not whole is told from one that is: what its good lines say is undone, and
//! it is kept. How many lines there are at least stands in a file beside it, so that one which ends too
//! early, or is gone, is not taken for whole. A full disk fails the making, and what was written of the
//! line is taken back. Names, and ports of the host that are reserved: everything else dies with the
//! process. The ports are in a file of their own too, for nothing of the host's tells whose they are.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;

use ns::Identity;
use serde::{Deserialize, Serialize};

use crate::config::Topology;
use crate::error::{Doing, Result};
use crate::folder::Folder;
use crate::uplink::reserve::Reserved;

mod line;
mod record;
#[cfg(test)]
mod tests;

use line::Line;
pub(crate) use record::{GONE, read};
pub use record::{Record, parse};

/// Its name in the lab's directory.
pub const FILE: &str = "journal";
/// A journal being rewritten, until it takes the other's place.
pub(crate) const FRESH: &str = "journal.new";
/// The reserved ports once more.
pub(crate) const PORTS: &str = "ports";
/// How many lines it has at least.
pub(crate) const LINES: &str = "lines";
/// Of the format. The first had no numbers and no checksums.
const VERSION: u32 = 2;
const FIRST: u32 = 1;
/// A line does not go beyond a page of memory: a process that is killed writes each page whole or
/// not at all.
const PAGE: usize = 4096;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Of the format.
    pub version: u32,
    /// The boot it was written in: names of another one are long gone.
    pub boot: String,
    /// The lab's process, for people to read.
    pub pid: u32,
    /// Whether it runs in a user namespace of its own.
    pub rootless: bool,
    /// What the names begin with.
    pub prefix: String,
    /// What joins the nodes.
    pub topology: Topology,
    /// How many lines there are is told beside it. Who knew nothing of that left what stood there from a
    /// journal before.
    #[serde(default)]
    pub counted: bool,
}

impl Header {
    /// The header of this process.
    #[must_use]
    pub fn of_this_process(rootless: bool, prefix: String, topology: Topology) -> Self {
        let (version, pid, counted) = (VERSION, std::process::id(), true);
        Self { version, boot: boot(), pid, rootless, prefix, topology, counted }
    }

    /// Whether what it stands for can still be there.
    #[must_use]
    pub fn is_of_this_boot(&self) -> bool {
        self.boot == boot()
    }
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The address a node is known by, for those who name it as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its namespace's name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// The length of its prefix.
    #[serde(default)]
    pub prefix_len: u8,
    /// The network it has it in; None for a link to another node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// Where an address is reached: two nodes that have one of these in common reach each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place<'a> {
    /// A network.
    Network(&'a str),
    /// A link with this subnet.
    Link(u32, u8),
}

impl Known {
    /// Whether another's address is in the subnet of this one.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        let host = u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
        (self.address.to_bits() ^ other.address.to_bits()) & !host == 0
    }

    pub(crate) fn place(&self) -> Place<'_> {
        match &self.network {
            Some(network) => Place::Network(network),
            None => {
                let host = u32::MAX.checked_shr(self.prefix_len.into()).unwrap_or(0);
                Place::Link(self.address.to_bits() & !host, self.prefix_len)
            }
        }
    }
}

/// The journal of the running lab.
#[derive(Debug)]
pub struct Journal {
    folder: Folder,
    file: File,
    /// How many lines there are, for those who read it.
    count: File,
    /// Lines and bytes written.
    lines: usize,
    length: usize,
    /// The file says more than is true, or less.
    stale: bool,
    header: Header,
    names: Vec<Identity>,
    known: Vec<Known>,
    reserved: Vec<Reserved>,
}

impl Journal {
    /// Begins a journal, replacing an old one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn begin(folder: Folder, header: Header) -> Result<Self> {
        let what = || format!("writing {}", folder.path().join(FILE).display());
        let file = folder.fresh(FRESH).doing(what)?;
        let count = folder.fresh(LINES).doing(what)?;
        let (names, known, reserved) = (Vec::new(), Vec::new(), Vec::new());
        let (lines, length, stale) = (0, 0, true);
        let mut this =
            Self { folder, file, count, lines, length, stale, header, names, known, reserved };
        this.rewrite()?;
        Ok(this)
    }

    /// Writes down a name that is about to be made.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be made.
    pub fn add(&mut self, identity: &Identity) -> io::Result<()> {
        let written = self.append(&[Line::Namespace(identity.clone())]);
        let path = self.folder.path().join(FILE);
        written.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        self.names.push(identity.clone());
        Ok(())
    }

    /// Writes down ports of the host that are about to be reserved.
    ///
    /// # Errors
    /// When they cannot be written: then they must not be reserved.
    pub fn reserve(&mut self, reserved: Reserved) -> Result<()> {
        let path = self.folder.path();
        let mut all = self.reserved.clone();
        all.push(reserved.clone());
        let lines: Vec<_> = all.iter().cloned().map(Line::Reserved).collect();
        let twice = || self.folder.fresh(PORTS)?.write_all(&line::all(&lines, 0, 0)?);
        twice().doing(|| format!("writing {}", path.join(PORTS).display()))?;
        let what = format!("writing {}", path.join(FILE).display());
        self.append(&[Line::Reserved(reserved)]).doing(|| what)?;
        self.reserved = all;
        Ok(())
    }

    /// What it says, without its file.
    pub(crate) fn into_record(self) -> Record {
        let Self { header, names, known, reserved, .. } = self;
        Record { header: Some(header), names, known, reserved, lines: 0, torn: None }
    }

    /// Writes down the addresses of nodes that are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn know(&mut self, nodes: impl IntoIterator<Item = Known>) -> Result<()> {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let lines: Vec<_> = nodes.iter().cloned().map(Line::Address).collect();
        let what = format!("writing {}", self.folder.path().join(FILE).display());
        self.append(&lines).doing(|| what)?;
        self.known.extend(nodes);
        Ok(())
    }

    /// Writes down the addresses of a node that has others than before.
    ///
    /// # Errors
    /// When they cannot be written; the old journal then stands until the next line is written.
    pub fn know_anew(&mut self, name: &str, now: impl IntoIterator<Item = Known>) -> Result<()> {
        self.known.retain(|known| known.name != name);
        self.known.extend(now);
        self.stale = true;
        self.rewrite()
    }

    /// Strikes out a name that is gone, and those that were never made.
    ///
    /// # Errors
    /// When it cannot be written. The old journal then stands until the next line is written; it
    /// names what is gone, which is never taken for something else that has the name.
    pub fn strike(&mut self, name: &str) -> Result<()> {
        self.names.retain(|identity| identity.name != name);
        self.known.retain(|known| known.name != name);
        self.stale = true;
        self.rewrite()
    }

    /// Strikes out what the gateway was known by in a network that is gone.
    ///
    /// # Errors
    /// When it cannot be written; the old journal then stands until the next line is written.
    pub fn strike_network(&mut self, name: &str) -> Result<()> {
        self.known.retain(|known| known.network.as_deref() != Some(name));
        self.stale = true;
        self.rewrite()
    }

    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.stale {
            self.put()?;
        }
        let bytes = line::all(lines, self.lines, self.length)?;
        if let Err(error) = self.file.write_all(&bytes) {
            // A part of a line would make all that follow it unreadable.
            self.stale = self.file.set_len(self.length as u64).is_err()
                || io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.length as u64)).is_err();
            return Err(error);
        }
        self.lines += lines.len();
        self.length += bytes.len();
        self.tell(self.lines)
    }

    /// Tells how many lines there are at least.
    fn tell(&self, lines: usize) -> io::Result<()> {
        self.count.write_all_at(format!("{lines:>9}\n").as_bytes(), 0)
    }

    fn rewrite(&mut self) -> Result<()> {
        let path = self.folder.path().join(FILE);
        self.put().doing(|| format!("writing {}", path.display()))
    }

    /// Writes a whole journal beside the old one and puts it in its place.
    fn put(&mut self) -> io::Result<()> {
        let mut lines = vec![Line::Lab(self.header.clone())];
        lines.extend(self.names.iter().cloned().map(Line::Namespace));
        lines.extend(self.known.iter().cloned().map(Line::Address));
        lines.extend(self.reserved.iter().cloned().map(Line::Reserved));
        let bytes = line::all(&lines, 0, 0)?;
        // It may have fewer from one moment to the next.
        self.tell(0)?;
        let write = || {
            let mut file = self.folder.fresh(FRESH)?;
            file.write_all(&bytes)?;
            self.folder.rename(FRESH, FILE)?;
            Ok(file)
        };
        self.file = write().inspect_err(|_: &io::Error| {
            let _ = self.folder.remove(FRESH);
        })?;
        (self.lines, self.length, self.stale) = (lines.len(), bytes.len(), false);
        self.tell(self.lines)
    }
}
