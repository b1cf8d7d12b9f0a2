//! A hosts file that can change while programs read it: `hosts(5)`, a line a slot.
//!
//! Nodes see it by a bind mount, so it has to stay the same file, and no reader may meet half a
//! line. Every line fills a slot of a power of two, at most a page, so that none lies across two
//! pieces that a C library reads at once. A line comes in as a comment, and is then written once more
//! as it is, of which its first byte alone is new and makes it count; it goes by that byte too. What is new is written before what
//! is old goes. Slots are used again, so the file is as long as it once had to be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::zone::{GATEWAY, NetworkId, Zone};

/// The widths a line can have, the end of the line included.
const WIDTHS: [usize; 2] = [128, 256];

/// Bytes to be put somewhere in the file, in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// From its beginning.
    pub at: u64,
    /// What stands there then.
    pub bytes: Vec<u8>,
}

/// Which line stands where.
#[derive(Debug)]
pub struct Hosts {
    width: usize,
    /// What the file is, as it stands in the slots before the lines.
    head: Vec<String>,
    lines: BTreeMap<String, usize>,
    free: BTreeSet<usize>,
    /// Slots there are.
    slots: usize,
}

impl Hosts {
    /// An empty file whose first lines are `head`. It is as wide as the longest of `widest` (lines
    /// that may come), and leaves out lines that do not fit.
    #[must_use]
    pub fn new(head: &[String], widest: usize) -> Self {
        let widest = head.iter().map(String::len).max().unwrap_or(0).max(widest) + 1;
        let [narrow, wide] = WIDTHS;
        let width = if widest <= narrow { narrow } else { wide };
        let head: Vec<_> = head.iter().filter(|line| line.len() < width).cloned().collect();
        Self { width, slots: head.len(), head, lines: BTreeMap::new(), free: BTreeSet::new() }
    }

    /// The whole file as it is.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        let mut slots = vec![self.slot(""); self.slots];
        let head = self.head.iter().enumerate().map(|(place, line)| (line, place));
        for (line, place) in head.chain(self.lines.iter().map(|(line, place)| (line, *place))) {
            if let Some(slot) = slots.get_mut(place) {
                *slot = self.slot(line);
            }
        }
        slots.concat()
    }

    /// Makes these the lines; says what is to be written, in this order.
    pub fn set(&mut self, lines: impl IntoIterator<Item = String>) -> Vec<Write> {
        let fits = |line: &String| !line.is_empty() && line.len() < self.width;
        let wanted: BTreeSet<String> = lines.into_iter().filter(fits).collect();
        let mut writes = Vec::new();
        // What comes behind the end, in one piece: first as comments, then as it is. A byte that is
        // written again as it stands there is the same to a reader at each moment.
        let (end, mut behind) = (self.slots, Vec::new());
        let known = |line: &&String| !self.lines.contains_key(*line);
        for line in wanted.iter().filter(known).cloned().collect::<Vec<_>>() {
            let bytes = self.slot(&line);
            let place = self.free.pop_first().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.lines.insert(line, place);
            match place < end {
                true => writes.extend(self.come(place, bytes)),
                false => behind.extend(bytes),
            }
        }
        if !behind.is_empty() {
            writes.extend(self.come(end, behind));
        }
        let gone: Vec<_> =
            self.lines.keys().filter(|line| !wanted.contains(*line)).cloned().collect();
        for line in gone {
            if let Some(place) = self.lines.remove(&line) {
                self.free.insert(place);
                writes.push(Write { at: (place * self.width) as u64, bytes: vec![COMMENT] });
            }
        }
        writes
    }

    /// What puts lines into slots from this place on.
    fn come(&self, place: usize, lines: Vec<u8>) -> [Write; 2] {
        let at = (place * self.width) as u64;
        let mut comments = lines.clone();
        comments.iter_mut().step_by(self.width).for_each(|first| *first = COMMENT);
        [Write { at, bytes: comments }, Write { at, bytes: lines }]
    }

    fn slot(&self, line: &str) -> Vec<u8> {
        let mut bytes = line.as_bytes().to_vec();
        bytes.resize(self.width - 1, b' ');
        bytes.push(b'\n');
        bytes
    }
}

const COMMENT: u8 = b'#';

/// The lines for those who are in these networks (in their order of preference): every host they
/// can reach, and the gateway.
#[must_use]
pub fn lines(zone: &Zone, from: &[NetworkId]) -> Vec<String> {
    let mut lines = Vec::new();
    let gateway =
        from.iter().filter_map(|id| zone.network(*id)).find_map(|net| net.gateway.first());
    lines.extend(gateway.map(|address| line(zone, *address, GATEWAY, &[])));
    let from = from.iter().copied().collect();
    for host in zone.hosts() {
        let seen = zone.seen(host, &from);
        lines.extend(seen.into_iter().map(|at| line(zone, at, &host.name, &host.aliases)));
    }
    lines
}

fn line(zone: &Zone, address: IpAddr, name: &str, aliases: &[String]) -> String {
    let mut line = format!("{address} {name} {name}.{}", zone.domain());
    for alias in aliases.iter().filter(|alias| *alias != name) {
        line.push(' ');
        line.push_str(alias);
    }
    line
}

/// The first lines of a lab's file: what it is, and what `host` (the host's own file) says of the
/// addresses that every network namespace has for itself.
#[must_use]
pub fn head(lab: &str, host: &str) -> Vec<String> {
    let mut head =
        vec![format!("# names of lab {lab}, which changes this file as nodes come and go")];
    let own = |line: &&str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        address.is_some_and(|address| address.is_loopback()) && words.next().is_some()
    };
    head.extend(host.lines().filter(own).map(|line| line.trim_end().to_owned()));
    for (address, names) in [("127.0.0.1", "localhost"), ("::1", "localhost ip6-localhost")] {
        let known = |line: &String| line.split_whitespace().next() == Some(address);
        if !head.iter().any(known) {
            head.push(format!("{address} {names}"));
        }
    }
    head
}

#[cfg(test)]
mod tests;
