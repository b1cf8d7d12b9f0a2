//! The door of the fuzz target `etcd_answers`: what is made of what a registry says. Built for it and
//! for tests alone.

use overlay::registry::{Change, Put};
use overlay::{Registry, Space};

use super::etcd::{Answer, Told, told};
use super::lines::Rest;

/// Reads bytes as the answer of a watch, a line at a time however they are cut, and as a list; says how
/// many rows for a tunnel came of it.
pub fn read(bytes: &[u8], piece: usize) -> usize {
    let Ok(space) = Space::of("prod") else { return 0 };
    let mut registry = Registry::new(space);
    let mut rest = Rest::default();
    for piece in bytes.chunks(piece.max(1)) {
        rest.add(piece);
        while let Some(line) = rest.line() {
            let Ok(said) = serde_json::from_slice(line) else { continue };
            if let Ok(Told::Changes(changes)) = told(&said) {
                changes.iter().for_each(|change: &Change| _ = registry.apply(change));
            }
        }
    }
    let desired = registry.desired("h1");
    assert!(desired.macs.values().all(|vtep| desired.hosts.contains(vtep)));
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        let all = answer.kvs.into_iter().map(|kv| {
            let key = kv.key().into_owned();
            (key, Put { value: kv.value, lease: kv.lease, revision: kv.mod_revision })
        });
        registry.replace(1, all);
    }
    registry.desired("h1").rows().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: &[u8] = include_bytes!("../../../fuzz/seeds/etcd_answers/watch");
    const LIST: &[u8] = include_bytes!("../../../fuzz/seeds/etcd_answers/list");

    #[test]
    fn what_a_registry_says_becomes_rows_however_it_is_cut() {
        for piece in [1, 7, 4096] {
            assert_eq!(read(WATCH, piece), 2);
            assert_eq!(read(LIST, piece), 2);
        }
        for end in 0..WATCH.len() {
            read(&WATCH[..end], 64);
        }
    }
}
