//! What this host says of itself in the registry, put back where somebody takes it out: its row and that
//! of its end, and whose the network's number is. And what stands there that nobody can go by.
//!
//! The rows are in what is watched. The number is not, for it is no network's, so it is asked for each
//! half a minute; a transaction that changes nothing is no write.

use std::time::Duration;

use overlay::{Host, Key, Space};
use wire::Timestamp;

use super::agent::Agent;
use super::enter::now;
use super::etcd::{Done, Write};
use super::http::Failed;

/// Until what was put back is to have come by the watch.
const LATER: Duration = Duration::from_millis(500);
/// Between two looks at whose the number is.
const NUMBER: Duration = Duration::from_secs(30);

/// What is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The lease by which the watch has shown this host's rows.
    shown: Option<i64>,
    /// When the number is looked at next.
    next_number: Timestamp,
    /// The network that has the number, where that is another.
    taken: Option<String>,
}

impl Agent {
    /// Puts back what this host says of itself. False where that takes a while, or it is not in the network
    /// any more: nothing is claimed then.
    pub(super) async fn stand(&mut self, lease: i64) -> bool {
        let own = Host { vtep: self.shared.join.vtep, lab: self.shared.lab.clone() };
        let is_here = self.registry.is_here(&own, lease);
        if is_here {
            self.own.shown = Some(lease);
        }
        let done = match is_here {
            true if self.own.next_number > now() => return true,
            true => self.number().await.map(|()| true),
            false => self.stand_again(lease).await,
        };
        match done {
            Ok(stands) => stands,
            Err(failed) => {
                match failed.is_missing() {
                    true => self.session.lost(now()),
                    false => self.alone(&failed),
                }
                false
            }
        }
    }

    async fn stand_again(&mut self, lease: i64) -> Result<bool, Failed> {
        if self.own.shown.take() == Some(lease) {
            let Self { shared, .. } = self;
            let network = shared.space.network();
            tracing::warn!(
                "network {network}: somebody has taken out or changed this host's row in etcd"
            );
        }
        if self.appear(lease).await?.is_none() {
            // Somebody else is there by this host's name or end: what it has claimed leads nowhere.
            self.withdraw().await;
            self.shared.status().lease = None;
        }
        // What is done here comes back by the watch.
        self.next_claim = now() + LATER;
        Ok(false)
    }

    /// Has the network's number be this network's, where it is nobody's.
    async fn number(&mut self) -> Result<(), Failed> {
        let name = self.shared.space.network().as_bytes().to_vec();
        let key = Space::of_vni(self.shared.vni);
        let write = Write { key, value: name.clone(), seen: 0 };
        self.own.taken = match self.etcd.put(&[write], 0).await? {
            Done::Made => None,
            Done::Refused(there) => {
                let other = there.iter().find(|kv| kv.value != name);
                other.map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
            }
        };
        self.own.next_number = now() + NUMBER;
        Ok(())
    }

    /// Tells what stands in the registry that this host cannot go by, though it goes on.
    pub(super) fn tell_amiss(&self) {
        let (space, vni) = (&self.shared.space, self.shared.vni);
        let network = space.network();
        let amiss = match (self.registry.agreed(), &self.own.taken) {
            (Some(Err(_)), _) => Some(format!(
                "what network {network} is cannot be read in etcd ({}): put back what was there, or \
                 take it out, and it is said again",
                space.write(&Key::Config)
            )),
            (_, Some(other)) => Some(format!(
                "VNI {vni} is network {other}'s too in etcd ({}), and their frames meet",
                Space::of_vni(vni)
            )),
            _ => self.device.amiss.clone(),
        };
        self.shared.tell_amiss(amiss);
    }
}
