//! Who may send, and by which interfaces: what the programs look up. A remote end's packets come in where a
//! route to it leads out, by any of the host's tables and however many better ones there are (RFC 3704,
//! section 2.3), so that several uplinks, bonds, bridges and policies stay what they are, and an interface that leads to
//! containers alone lets none in.
//!
//! A key is an interface and an address. Beside those pairs there are the ends without an interface, and
//! the ports of bridges and bonds without an address: their frames come by again at the bridge, and are
//! judged there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use ns::ways::{Changed, Place, Ways};
use sys::bpf::KeySet;

/// An interface or none, and an address or none.
type Key = (u32, Option<IpAddr>);

/// What the programs look up, and what it follows from.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) set: KeySet,
    pub(super) outer: File,
    /// Whether the ends are of IPv6.
    pub(super) ipv6: bool,
    pub(super) members: BTreeSet<IpAddr>,
    pub(super) places: Vec<Place>,
    pub(super) ways: Ways,
    keys: BTreeSet<Key>,
}

impl Gate {
    /// Lets in these ends, as they are reached now.
    pub(super) fn begin(
        set: KeySet,
        outer: File,
        (ipv6, members): (bool, BTreeSet<IpAddr>),
    ) -> io::Result<Self> {
        let (places, ways, keys) = (Vec::new(), Ways::default(), BTreeSet::new());
        let mut gate = Self { set, outer, ipv6, members, places, ways, keys };
        gate.look(Changed { links: true, routes: true })?;
        Ok(gate)
    }

    /// These alone may send from now on.
    pub(super) fn set(&mut self, members: &BTreeSet<IpAddr>) -> io::Result<()> {
        if self.members == *members {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.members, members.clone());
        let told = self.look(Changed { links: false, routes: true });
        if told.is_err() {
            self.members = before;
        }
        told
    }

    /// Looks at what has changed, and has the programs know.
    pub(super) fn look(&mut self, changed: Changed) -> io::Result<()> {
        if changed.links {
            self.places = ns::ways::places(self.outer.as_fd()).map_err(io::Error::other)?;
        }
        if changed.routes {
            self.ways =
                ns::ways::ways(self.outer.as_fd(), &self.members).map_err(io::Error::other)?;
        }
        let wanted = keys(&self.members, &self.ways, &self.places);
        let bytes = |key: &Key| bytes(*key, self.ipv6);
        wanted.difference(&self.keys).try_for_each(|key| self.set.insert(&bytes(key)))?;
        self.keys.difference(&wanted).try_for_each(|key| self.set.remove(&bytes(key)))?;
        self.keys = wanted;
        Ok(())
    }
}

/// What the programs are to find.
fn keys(members: &BTreeSet<IpAddr>, ways: &Ways, places: &[Place]) -> BTreeSet<Key> {
    let takes = |index: u32| places.iter().any(|place| place.index == index && place.takes);
    let mut keys = BTreeSet::new();
    for place in places {
        if place.master.is_some_and(takes) {
            keys.insert((place.index, None));
        }
    }
    for end in members {
        keys.insert((0, Some(*end)));
        let mut by: Vec<u32> = match ways.unsaid.contains(end) {
            true => places.iter().map(|place| place.index).collect(),
            false => ways.by.get(end).into_iter().flatten().copied().collect(),
        };
        while let Some(index) = by.pop() {
            if keys.insert((index, Some(*end))) {
                by.extend(below(index, places));
            }
        }
    }
    keys
}

/// The interfaces whose frames come in by this one.
fn below(index: u32, places: &[Place]) -> impl Iterator<Item = u32> {
    let own = places.iter().find(|place| place.index == index);
    let lower = own.and_then(|place| place.lower);
    let ports = places.iter().filter(move |place| place.master == Some(index));
    lower.into_iter().chain(ports.map(|place| place.index))
}

/// A key as a program has it: an interface's number, and an address as it lies in a packet.
fn bytes((index, end): Key, ipv6: bool) -> Vec<u8> {
    let mut bytes = index.to_ne_bytes().to_vec();
    match end {
        Some(IpAddr::V4(own)) => bytes.extend(own.octets()),
        Some(IpAddr::V6(own)) => bytes.extend(own.octets()),
        None => bytes.resize(key_len(ipv6), 0),
    }
    bytes
}

/// Bytes of a key.
pub(super) fn key_len(ipv6: bool) -> usize {
    4 + if ipv6 { 16 } else { 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(index: u32, master: u32) -> Place {
        Place { index, master: Some(master), ..Place::default() }
    }

    fn over(index: u32, lower: u32) -> Place {
        Place { index, lower: Some(lower), ..Place::default() }
    }

    fn alone(index: u32) -> Place {
        Place { index, ..Place::default() }
    }

    /// The interfaces that let a packet of this end in, as a program judges.
    fn open(keys: &BTreeSet<Key>, end: IpAddr, places: &[Place]) -> Vec<u32> {
        let member = keys.contains(&(0, Some(end)));
        let by = |index: u32| {
            keys.contains(&(index, Some(end))) || member && keys.contains(&(index, None))
        };
        places.iter().map(|place| place.index).filter(|index| by(*index)).collect()
    }

    #[test]
    fn an_end_sends_by_what_leads_to_it_and_by_what_that_lies_upon() {
        let end: IpAddr = "10.9.0.2".parse().unwrap();
        let other: IpAddr = "10.9.0.3".parse().unwrap();
        let taking = |index| Place { index, takes: true, ..Place::default() };
        // lo; a bond of two; a VLAN upon it; a bridge and its port; an interface in a VRF, or of a mesh; the
        // VRF, or the mesh.
        let places = [
            alone(1),
            port(2, 4),
            port(3, 4),
            taking(4),
            over(5, 4),
            taking(6),
            port(7, 6),
            port(8, 30),
            alone(30),
        ];
        for (out, opened) in [
            (vec![4], vec![2, 3, 4, 7]),
            (vec![5], vec![2, 3, 4, 5, 7]),
            (vec![6], vec![2, 3, 6, 7]),
            (vec![8], vec![2, 3, 7, 8]),
            (vec![30], vec![2, 3, 7, 8, 30]),
            (vec![5, 6], vec![2, 3, 4, 5, 6, 7]),
            (vec![], vec![2, 3, 7]),
        ] {
            let ways =
                Ways { by: [(end, out.iter().copied().collect())].into(), ..Ways::default() };
            let keys = keys(&[end].into(), &ways, &places);
            assert_eq!(open(&keys, end, &places), opened, "out of {out:?}");
            assert!(open(&keys, other, &places).is_empty(), "no member");
        }
        let ways = Ways { unsaid: [end].into(), ..Ways::default() };
        let keys = keys(&[end].into(), &ways, &places);
        assert_eq!(open(&keys, end, &places).len(), places.len());
    }
}
