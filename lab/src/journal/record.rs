//! What a journal says, and whether it is whole.

use ns::Identity;

use super::line::{self, Line};
use super::{FILE, FIRST, Header, Known, LINES, PORTS, VERSION};
use crate::clean::UNDONE;
use crate::error::Result;
use crate::folder::Folder;
use crate::uplink::reserve::Reserved;

/// What is wrong with one that is not there.
pub(crate) const GONE: &str = "is gone";

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The first line; None where it cannot be read.
    pub header: Option<Header>,
    /// The names, in the order they were made.
    pub names: Vec<Identity>,
    /// The addresses of nodes.
    pub known: Vec<Known>,
    /// Ports of the host that are reserved.
    pub reserved: Vec<Reserved>,
    /// The number of its last line.
    pub lines: usize,
    /// What is wrong with it, in words.
    pub torn: Option<String>,
}

impl Record {
    /// Whether what it stands for can still be there: also where that cannot be read.
    #[must_use]
    pub fn is_of_this_boot(&self) -> bool {
        self.header.as_ref().is_none_or(Header::is_of_this_boot)
    }

    /// What the names begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.header.as_ref().map_or("", |header| header.prefix.as_str())
    }

    /// A node's name, by its namespace's.
    #[must_use]
    pub fn short<'a>(&self, name: &'a str) -> &'a str {
        name.strip_prefix(self.prefix()).unwrap_or(name)
    }

    /// Whether the node whose namespace is called `name` is meant by `node`, its name or its namespace's.
    #[must_use]
    pub fn is(&self, name: &str, node: &str) -> bool {
        name == node || self.short(name) == node
    }
}

/// Reads the journal of a lab; None where there is none, and nothing says that there was one.
///
/// # Errors
/// When it is there and cannot be read, or is not ours.
pub(crate) fn read(folder: &Folder) -> Result<Option<Record>> {
    let mut least = count(folder)?;
    let bytes = loop {
        let bytes = folder.read(FILE)?;
        // Between the two its owner may have written it anew, with fewer lines, and with more again.
        let now = count(folder)?;
        if now == least && folder.read(FILE)? == bytes {
            break bytes;
        }
        least = now;
    };
    let ports = folder.read(PORTS)?.map(|bytes| parse(&bytes).reserved);
    let mut record = match bytes {
        Some(bytes) => parse(&bytes),
        // Looked at already, and taken out since.
        None if folder.file(UNDONE)?.is_some() => return Ok(None),
        None if least == 0 && ports.is_none() => return Ok(None),
        None => Record { torn: Some(GONE.into()), ..Record::default() },
    };
    // One whose first line is gone is torn anyway.
    if record.lines < least && record.header.as_ref().is_some_and(|header| header.counted) {
        record.tear(format!("lacks what came after line {}", record.lines));
    }
    if record.torn.is_some() {
        for reserved in ports.into_iter().flatten() {
            if !record.reserved.contains(&reserved) {
                record.reserved.push(reserved);
            }
        }
    }
    Ok(Some(record))
}

/// How many lines there are at least; 0 where nothing tells.
fn count(folder: &Folder) -> Result<usize> {
    let told = folder.read(LINES)?.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(told.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

/// What the good lines of a journal say, and where it is not whole.
#[must_use]
pub fn parse(bytes: &[u8]) -> Record {
    let mut record = Record::default();
    let mut wanted = 1;
    for (place, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // The blanks before a line that was not written any more.
        if text.iter().all(|byte| *byte == b' ') {
            continue;
        }
        let first = record.header.as_ref().is_some_and(|header| header.version == FIRST);
        let read = line::read(text).filter(|(_, number)| number.is_some() || first || place == 0);
        let Some((line, number)) = read else {
            record.tear(format!("is torn at line {}", place + 1));
            continue;
        };
        if number.is_some_and(|number| number != wanted) {
            record.tear(format!("lacks lines before line {}", place + 1));
        }
        wanted = number.unwrap_or(wanted) + 1;
        record.lines = wanted - 1;
        match line {
            Line::Lab(header) if place == 0 => {
                match (header.version, number) {
                    (FIRST, None) | (VERSION, Some(_)) => {}
                    (other, _) => record
                        .tear(format!("is in format {other}, which this uswitch does not know")),
                }
                record.header = Some(header);
            }
            Line::Lab(_) => record.tear(format!("has a second beginning at line {}", place + 1)),
            Line::Namespace(identity) => record.names.push(identity),
            Line::Address(known) => record.known.push(known),
            Line::Reserved(reserved) => record.reserved.push(reserved),
        }
    }
    if record.header.is_none() {
        record.tear("lacks its first line".into());
    }
    record
}

impl Record {
    fn tear(&mut self, why: String) {
        self.torn.get_or_insert(why);
    }
}
