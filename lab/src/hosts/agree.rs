//! What all hosts of a network agree on: the first one's word, put in the registry without a lease. A host
//! that has said it and does not come in takes it back, as long as no other host has come by it.

use overlay::{Config, Key, Space};

use super::Shared;
use super::enter::Entry;
use super::etcd::{Done, Etcd, Kv, Write};
use super::http::Failed;
use crate::error::{Error, Result};

impl Entry<'_> {
    /// Agrees with the other hosts on what the network is: its VNI.
    pub(super) async fn agree(&mut self, ours: impl Fn(u32) -> Config) -> Result<u32> {
        let key = self.space.write(&Key::Config);
        for _ in 0..3 {
            let there = self.etcd.get(&key).await.map_err(|failed| self.silent(&failed))?;
            if let Some(kv) = there {
                return self.alike(&kv, ours);
            }
            let vni = self.ask.vni.unwrap_or_else(|| self.space.usual_vni());
            let config = serde_json::to_vec(&ours(vni)).unwrap_or_default();
            let name = self.space.network().as_bytes().to_vec();
            let of_vni = Space::of_vni(vni);
            let writes = [
                Write { key: key.clone(), value: config, seen: 0 },
                Write { key: of_vni.clone(), value: name.clone(), seen: 0 },
            ];
            let done = self.etcd.put(&writes, 0).await.map_err(|failed| self.silent(&failed))?;
            let Done::Refused(there) = done else {
                self.said = Some(self.etcd.made);
                return Ok(vni);
            };
            let other = there.iter().find(|kv| kv.key() == of_vni && kv.value != name);
            if let Some(other) = other {
                return Err(Error::Usage(format!(
                    "VNI {vni} is network {}'s in etcd: give {} another, `?vni=N`",
                    String::from_utf8_lossy(&other.value),
                    self.space.network()
                )));
            }
            if there.iter().all(|kv| kv.key() == of_vni) {
                // Its network was taken out of etcd by hand: the number is free.
                let freed = there.iter().map(|kv| kv.mod_revision).next().unwrap_or(0);
                let freed = self.etcd.delete(&of_vni, freed).await;
                freed.map_err(|failed| self.silent(&failed))?;
            }
        }
        Err(self.silent(&Failed::Silent("others change the network all the time".into())))
    }

    fn alike(&self, kv: &Kv, ours: impl Fn(u32) -> Config) -> Result<u32> {
        let network = self.space.network();
        let config: Config = serde_json::from_slice(&kv.value).map_err(|error| {
            Error::Usage(format!(
                "network {network} cannot be read in etcd ({}): {error}",
                kv.key()
            ))
        })?;
        match config.unlike(&ours(self.ask.vni.unwrap_or(config.vni))) {
            None => Ok(config.vni),
            Some(what) => Err(Error::Usage(format!(
                "network {network} has {what}: make them the same, or join another network"
            ))),
        }
    }

    /// Takes back what this host has said of the network, where no host is in it and nobody has said it anew.
    /// Where that cannot be asked it stays.
    pub(super) async fn unsay(&mut self, vni: u32) {
        let Some(seen) = self.said.take() else { return };
        let keys = [self.space.write(&Key::Config), Space::of_vni(vni)].map(|key| (key, seen));
        let hosts = self.space.hosts();
        if let Err(failed) = self.etcd.clone().brief().delete_unused(&keys, &hosts).await {
            let network = self.space.network();
            tracing::warn!("what network {network} is stays in etcd: {failed}");
        }
    }
}

/// Says again what all hosts have agreed on, to a registry that was emptied; where another host is faster,
/// that one has.
pub(super) async fn agree_again(
    etcd: &mut Etcd,
    shared: &Shared,
) -> std::result::Result<(), Failed> {
    let config = serde_json::to_vec(&shared.config).unwrap_or_default();
    let name = shared.space.network().as_bytes().to_vec();
    for (key, value) in
        [(shared.space.write(&Key::Config), config), (Space::of_vni(shared.vni), name)]
    {
        etcd.put(&[Write { key, value, seen: 0 }], 0).await?;
    }
    Ok(())
}
