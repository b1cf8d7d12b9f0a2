//! What exists, written down before it does: DIR/LAB/journal, a line of JSON each. After a SIGKILL
//! at any moment the next `run` or `down` knows from it which names are ours.
//!
//! A line is written in one piece before the thing is made, so a torn last line stands for nothing.
//! A full disk fails the making. Names, and ports of the host that are reserved: everything else
//! dies with the process.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ns::Identity;
use serde::{Deserialize, Serialize};

use crate::config::Topology;
use crate::error::{Doing, Result};
use crate::uplink::reserve::Reserved;

#[cfg(test)]
mod tests;

/// Its name in the lab's directory.
pub const FILE: &str = "journal";
/// A journal being rewritten, until it takes the other's place.
pub(crate) const FRESH: &str = "journal.new";
/// Of the format.
const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Of the format.
    pub version: u32,
    /// The boot it was written in: names of another one are long gone.
    pub boot: String,
    /// The lab's process.
    pub pid: u32,
    /// Whether it runs in a user namespace of its own.
    pub rootless: bool,
    /// What the names begin with.
    pub prefix: String,
    /// What joins the nodes.
    pub topology: Topology,
}

impl Header {
    /// The header of this process.
    #[must_use]
    pub fn of_this_process(rootless: bool, prefix: String, topology: Topology) -> Self {
        Self { version: VERSION, boot: boot(), pid: std::process::id(), rootless, prefix, topology }
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Lab(Header),
    Namespace(Identity),
    Address(Known),
    Reserved(Reserved),
}

/// The address a node is known by, for those who name it as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its namespace's name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// The journal of the running lab.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
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
    pub fn begin(lab: &Path, header: Header) -> Result<Self> {
        let path = lab.join(FILE);
        let file = write_all(&path, &[Line::Lab(header.clone())])
            .doing(|| format!("writing {}", path.display()))?;
        let (names, known, reserved) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { path, file, header, names, known, reserved })
    }

    /// Writes down a name that is about to be made.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be made.
    pub fn add(&mut self, identity: &Identity) -> io::Result<()> {
        let written = self.file.write_all(&line(&Line::Namespace(identity.clone()))?);
        written.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", self.path.display())))?;
        self.names.push(identity.clone());
        Ok(())
    }

    /// Writes down ports of the host that are about to be reserved.
    ///
    /// # Errors
    /// When they cannot be written: then they must not be reserved.
    pub fn reserve(&mut self, reserved: Reserved) -> Result<()> {
        let mut write = || self.file.write_all(&line(&Line::Reserved(reserved.clone()))?);
        write().doing(|| format!("writing {}", self.path.display()))?;
        self.reserved.push(reserved);
        Ok(())
    }

    /// Writes down the addresses of nodes that are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn know(&mut self, nodes: impl IntoIterator<Item = Known>) -> Result<()> {
        let mut bytes = Vec::new();
        let write = || {
            for node in nodes {
                bytes.extend(line(&Line::Address(node.clone()))?);
                self.known.push(node);
            }
            self.file.write_all(&bytes)
        };
        write().doing(|| format!("writing {}", self.path.display()))
    }

    /// Strikes out a name that is gone, and those that were never made.
    ///
    /// # Errors
    /// When it cannot be written; the old journal then stands, which does no harm.
    pub fn strike(&mut self, name: &str) -> Result<()> {
        self.names.retain(|identity| identity.name != name);
        self.known.retain(|known| known.name != name);
        let mut lines = vec![Line::Lab(self.header.clone())];
        lines.extend(self.names.iter().cloned().map(Line::Namespace));
        lines.extend(self.known.iter().cloned().map(Line::Address));
        lines.extend(self.reserved.iter().cloned().map(Line::Reserved));
        self.file =
            write_all(&self.path, &lines).doing(|| format!("writing {}", self.path.display()))?;
        Ok(())
    }
}

/// Writes a whole journal beside the old one and puts it in its place.
fn write_all(path: &Path, lines: &[Line]) -> io::Result<File> {
    let fresh = path.with_file_name(FRESH);
    let mut bytes = Vec::new();
    for each in lines {
        bytes.extend(line(each)?);
    }
    let write = || {
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        std::fs::rename(&fresh, path)?;
        Ok(file)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_file(&fresh);
    })
}

fn line(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// What a journal says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The first line.
    pub header: Header,
    /// The names, in the order they were made.
    pub names: Vec<Identity>,
    /// The addresses of nodes.
    pub known: Vec<Known>,
    /// Ports of the host that are reserved.
    pub reserved: Vec<Reserved>,
}

/// Reads the journal of a lab; None where there is none, or none that says anything.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(lab: &Path) -> Result<Option<Record>> {
    let path = lab.join(FILE);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing(|| format!("reading {}", path.display())),
    }
}

/// Lines up to the first that is torn or foreign.
fn parse(bytes: &[u8]) -> Option<Record> {
    let mut lines = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice::<Line>(line.strip_suffix(b"\n")?).ok());
    let Line::Lab(header) = lines.next()? else { return None };
    let (names, known, reserved) = (Vec::new(), Vec::new(), Vec::new());
    let mut record = Record { header, names, known, reserved };
    for line in lines {
        match line {
            Line::Namespace(identity) => record.names.push(identity),
            Line::Address(known) => record.known.push(known),
            Line::Reserved(reserved) => record.reserved.push(reserved),
            Line::Lab(_) => break,
        }
    }
    Some(record)
}
