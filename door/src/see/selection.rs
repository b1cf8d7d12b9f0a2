//! The ports that a watcher looks at: the words it was asked with, and what they stand for now.
//!
//! The tap asks of each frame, so that is one look at a bit. The watcher's thread looks the words up
//! anew when ports have come, gone or moved; one that stands for nothing then stands for something
//! again once it is back.

use std::sync::atomic::{AtomicU64, Ordering};

use control::DoorError;
use lab::Lab;
use switch::PortId;

use super::names::Names;
use crate::open::refusal;

/// Bits of a word.
const BITS: usize = 64;

/// See above.
pub(crate) struct Selection {
    ports: Vec<String>,
    network: Option<String>,
    chosen: Box<[AtomicU64]>,
}

impl Selection {
    /// The ports named, of one network where it is named too; all, where nothing is.
    ///
    /// # Errors
    /// [`DoorError::NotFound`] for a word that stands for no port now, [`DoorError::Invalid`] where none of
    /// the ports is in the network.
    pub(crate) fn of(
        lab: &Lab,
        names: &Names,
        ports: &[String],
        network: Option<&str>,
    ) -> Result<Self, DoorError> {
        for word in ports {
            if names.find(word).is_empty() {
                let all: Vec<_> = names.all().map(|(_, name, _)| name).collect();
                let (lab, all) = (&lab.config().name, all.join(", "));
                let line = format!("lab {lab} has no port {word}; it has {all}");
                return Err(DoorError::NotFound(line));
            }
        }
        if let Some(network) = network {
            lab.network(Some(network)).map_err(|error| refusal(&error))?;
        }
        let selection = Self::new(ports, network);
        selection.look_up(names);
        if let (false, Some(network)) = (ports.is_empty(), network)
            && !selection.list(names).any(|_| true)
        {
            return Err(DoorError::Invalid(format!("none of these ports is in network {network}")));
        }
        Ok(selection)
    }

    fn new(ports: &[String], network: Option<&str>) -> Self {
        let chosen = (0..=PortId::MAX / BITS).map(|_| AtomicU64::new(0)).collect();
        Self { ports: ports.to_vec(), network: network.map(Into::into), chosen }
    }

    /// Finds anew what the words stand for.
    pub(crate) fn look_up(&self, names: &Names) {
        if self.is_all() {
            return;
        }
        let named: Vec<_> = self.ports.iter().flat_map(|word| names.find(word)).collect();
        let here = self.network.as_deref().map(|network| names.of_network(network));
        let mut words = vec![0u64; self.chosen.len()];
        for (id, ..) in names.all() {
            let is = (self.ports.is_empty() || named.contains(&id))
                && here.as_ref().is_none_or(|here| here.contains(&id));
            if let Some(word) = words.get_mut(id.index() / BITS).filter(|_| is) {
                *word |= 1 << (id.index() % BITS);
            }
        }
        for (kept, word) in self.chosen.iter().zip(words) {
            kept.store(word, Ordering::Relaxed);
        }
    }

    fn is_all(&self) -> bool {
        self.ports.is_empty() && self.network.is_none()
    }

    /// Whether a port is among them.
    pub(crate) fn has(&self, id: PortId) -> bool {
        let word = || self.chosen.get(id.index() / BITS);
        let bit = 1u64 << (id.index() % BITS);
        self.is_all() || word().is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Those there are.
    pub(crate) fn list(&self, names: &Names) -> impl Iterator<Item = PortId> {
        names.all().map(|(id, ..)| id).filter(|id| self.has(*id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(selection: &Selection) -> Vec<u16> {
        let all = (0..u16::try_from(PortId::MAX).unwrap_or(u16::MAX)).map(PortId);
        all.chain([PortId::LOCAL]).filter(|id| selection.has(*id)).map(|id| id.0).collect()
    }

    #[test]
    fn words_are_kept_and_stand_for_what_there_is_now() {
        let names = |rows: &[(u16, &str, &str)]| Names::said(rows);
        let before = names(&[(0, "net1", "lan"), (1, "net2", "lan"), (2, "db", "dmz")]);
        let looked_up = |ports: &[&str], network| {
            let words: Vec<String> = ports.iter().map(|word| (*word).into()).collect();
            let selection = Selection::new(&words, network);
            selection.look_up(&before);
            selection
        };
        let of_node = looked_up(&["net2"], None);
        let of_network = looked_up(&[], Some("dmz"));
        let of_both = looked_up(&["net2", "db"], Some("dmz"));
        for (selection, ports) in [(&of_node, &[1][..]), (&of_network, &[2]), (&of_both, &[2])] {
            assert_eq!(chosen(selection), ports);
        }
        // Another has the number of the one that is gone; one has moved.
        let between = names(&[(0, "net1", "dmz"), (1, "web", "lan"), (2, "db", "dmz")]);
        [&of_node, &of_network, &of_both].iter().for_each(|own| own.look_up(&between));
        for (selection, ports) in [(&of_node, &[][..]), (&of_network, &[0, 2]), (&of_both, &[2])] {
            assert_eq!(chosen(selection), ports);
        }
        let after = names(&[(0, "net1", "lan"), (1, "web", "lan"), (3, "net2", "dmz")]);
        [&of_node, &of_network, &of_both].iter().for_each(|own| own.look_up(&after));
        for (selection, ports) in [(&of_node, &[3][..]), (&of_network, &[3]), (&of_both, &[3])] {
            assert_eq!(chosen(selection), ports);
        }
        let all = Selection::new(&[], None);
        all.look_up(&after);
        assert!(all.has(PortId(9)) && all.has(PortId::LOCAL), "also those that come later");
    }
}
