//! The registry: a map that does what etcd does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uswitch_overlay::Change;
use uswitch_overlay::registry::Put;
use wire::Timestamp;

/// The registry: keys, leases, and all that changed.
#[derive(Default)]
pub(super) struct Store {
    pub(super) revision: i64,
    pub(super) keys: BTreeMap<String, Put>,
    pub(super) by_lease: HashMap<i64, (Timestamp, BTreeSet<String>)>,
    pub(super) log: Vec<Change>,
    pub(super) transactions: u64,
    pub(super) operations: u64,
}

impl Store {
    /// Puts keys that are all free; false where one is not.
    pub(super) fn claim(&mut self, keys: &[String], value: &[u8], lease: i64) -> bool {
        self.transactions += 1;
        self.operations += keys.len() as u64;
        if keys.iter().any(|key| self.keys.contains_key(key)) || !self.by_lease.contains_key(&lease)
        {
            return false;
        }
        self.revision += 1;
        for key in keys {
            let put = Put { value: value.to_vec(), lease, revision: self.revision };
            self.by_lease.get_mut(&lease).unwrap().1.insert(key.clone());
            self.keys.insert(key.clone(), put.clone());
            self.log.push(Change { key: key.clone(), revision: self.revision, put: Some(put) });
        }
        true
    }

    pub(super) fn delete(&mut self, keys: impl IntoIterator<Item = String>) {
        self.revision += 1;
        for key in keys {
            let Some(put) = self.keys.remove(&key) else { continue };
            if let Some((_, own)) = self.by_lease.get_mut(&put.lease) {
                own.remove(&key);
            }
            self.log.push(Change { key, revision: self.revision, put: None });
        }
    }
}
